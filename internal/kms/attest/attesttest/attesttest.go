// Package attesttest is a Nitro hypervisor for tests: it makes attestation documents under a root of
// its own.
package attesttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/kagimori/kagimori/internal/kms/attest"
)

// A Hypervisor signs documents.
type Hypervisor struct {
	Root *x509.Certificate
	// Between are the certificates between Root and Leaf.
	Between []*x509.Certificate
	Leaf    *x509.Certificate

	key *ecdsa.PrivateKey
}

// New makes a Hypervisor whose certificates are valid for an hour around now.
func New(tb testing.TB) *Hypervisor {
	tb.Helper()
	rootKey, root := certificate(tb, "test.nitro-enclaves", nil, nil)
	zoneKey, zone := certificate(tb, "zone.test", root, rootKey)
	leafKey, leaf := certificate(tb, "i-1-enc1.test", zone, zoneKey)
	return &Hypervisor{Root: root, Between: []*x509.Certificate{zone}, Leaf: leaf, key: leafKey}
}

func certificate(tb testing.TB, name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: len(name) > 0 && name[0] != 'i',
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if t.IsCA {
		t.KeyUsage = x509.KeyUsageCertSign
	}
	if parent == nil {
		parent, signer = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return key, c
}

// RootPEM is the root certificate as a file has it.
func (h *Hypervisor) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Root.Raw})
}

// Fields is the content of a good document of an enclave, to be changed.
func (h *Hypervisor) Fields(key *rsa.PublicKey) map[string]any {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err) // an RSA key always encodes
	}
	bundle := [][]byte{h.Root.Raw}
	for _, c := range h.Between {
		bundle = append(bundle, c.Raw)
	}
	pcrs := map[int][]byte{}
	for i := range 16 {
		pcrs[i] = make([]byte, 48)
		pcrs[i][0] = byte(i + 1)
	}
	return map[string]any{
		"module_id": "i-0123456789abcdef0-enc0123456789abcdef", "timestamp": uint64(time.Now().UnixMilli()), "digest": "SHA384",
		"pcrs": pcrs, "certificate": h.Leaf.Raw, "cabundle": bundle, "public_key": der, "user_data": nil, "nonce": nil,
	}
}

// Sign makes a document.
func (h *Hypervisor) Sign(tb testing.TB, fields map[string]any) []byte {
	tb.Helper()
	payload, err := cbor.Marshal(fields)
	if err != nil {
		tb.Fatal(err)
	}
	return h.SignPayload(tb, payload)
}

// SignPayload makes a document of any bytes.
func (h *Hypervisor) SignPayload(tb testing.TB, payload []byte) []byte {
	tb.Helper()
	protected, _ := cbor.Marshal(map[int]int{1: -35})
	signed, err := attest.SigStructure(protected, payload)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha512.Sum384(signed)
	r, s, err := ecdsa.Sign(rand.Reader, h.key, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	sig := append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
	doc, err := cbor.Marshal([]any{protected, map[int]int{}, payload, sig})
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// Open decrypts a CiphertextForRecipient as the software in an enclave does.
func Open(key *rsa.PrivateKey, envelope []byte) ([]byte, error) {
	var ci struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version    int
			Recipients []struct {
				Version int
				ID      []byte `asn1:"tag:0"`
				Alg     pkix.AlgorithmIdentifier
				Key     []byte
			} `asn1:"set"`
			Content struct {
				Type asn1.ObjectIdentifier
				Alg  pkix.AlgorithmIdentifier
				Data []byte `asn1:"tag:0"`
			}
		} `asn1:"explicit,tag:0"`
	}
	if rest, err := asn1.Unmarshal(envelope, &ci); err != nil || len(rest) > 0 || len(ci.Content.Recipients) != 1 {
		return nil, errors.Join(errors.New("no EnvelopedData for one recipient"), err)
	}
	content, err := rsa.DecryptOAEP(sha256.New(), nil, key, ci.Content.Recipients[0].Key, nil)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(content)
	if err != nil {
		return nil, err
	}
	iv, data := ci.Content.Content.Alg.Parameters.Bytes, ci.Content.Content.Data
	if len(iv) != aes.BlockSize || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errors.New("no AES-256-CBC")
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errors.New("bad padding")
	}
	return data[:len(data)-pad], nil
}
