package attest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the identifier of a key by RFC 5280, section 4.2.1.2, method 1
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// Object identifiers. Sources: RFC 5652, RFC 8017, RFC 3565.
var (
	oidEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidOAEP          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidAES256CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     envelopedData `asn1:"explicit,tag:0"`
}

type envelopedData struct {
	Version    int
	Recipients []recipientInfo `asn1:"set"`
	Content    encryptedContent
}

type recipientInfo struct {
	Version      int
	KeyID        []byte `asn1:"tag:0"` // subjectKeyIdentifier
	Algorithm    pkix.AlgorithmIdentifier
	EncryptedKey []byte
}

type encryptedContent struct {
	ContentType asn1.ObjectIdentifier
	Algorithm   pkix.AlgorithmIdentifier
	Encrypted   []byte `asn1:"tag:0"`
}

// oaepParameters are those of RSAES-OAEP with SHA-256 and no label.
type oaepParameters struct {
	Hash pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
	MGF  pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
}

// Encrypt makes the CiphertextForRecipient of a plaintext: CMS EnvelopedData in DER, with a content
// key of AES-256-CBC under the document's public key by RSAES-OAEP with SHA-256.
func (d *Document) Encrypt(plaintext []byte) ([]byte, error) {
	key, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	defer clear(key)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(iv)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, d.key, key, nil)
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	pad := aes.BlockSize - len(plaintext)%aes.BlockSize // RFC 5652, section 6.3
	content := append(bytes.Clone(plaintext), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(content, content)
	id := sha1.Sum(x509.MarshalPKCS1PublicKey(d.key))
	oaep, err := oaepAlgorithm()
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(iv)
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	out, err := asn1.Marshal(contentInfo{oidEnvelopedData, envelopedData{
		Version:    2, // for a recipient is named by its key's identifier
		Recipients: []recipientInfo{{Version: 2, KeyID: id[:], Algorithm: oaep, EncryptedKey: wrapped}},
		Content: encryptedContent{
			oidData, pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{FullBytes: params}}, content,
		},
	}})
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	return out, nil
}

func oaepAlgorithm() (alg pkix.AlgorithmIdentifier, err error) {
	hash := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}
	hashDER, err := asn1.Marshal(hash)
	if err != nil {
		return alg, fmt.Errorf("attest: %w", err)
	}
	params, err := asn1.Marshal(oaepParameters{hash, pkix.AlgorithmIdentifier{Algorithm: oidMGF1, Parameters: asn1.RawValue{FullBytes: hashDER}}})
	if err != nil {
		return alg, fmt.Errorf("attest: %w", err)
	}
	return pkix.AlgorithmIdentifier{Algorithm: oidOAEP, Parameters: asn1.RawValue{FullBytes: params}}, nil
}
