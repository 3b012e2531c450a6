// Package keypair makes and reads the key pairs with which people log in to instances.
//
// A private key is made, written in the format that was asked for, and forgotten: nothing here keeps
// it. It protects no data of this server, so it is no business of hsm.
//
// Sources: EC2 User Guide, "Create a key pair for your Amazon EC2 instance" and "Verify the
// fingerprint of your key pair"; RFC 4253 section 6.6 and RFC 8709 (public keys); RFC 4716; the
// PuTTY User Manual, appendix "PPK file format" (version 2).
package keypair

import (
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/kagimori/kagimori/internal/secret"
)

// Types of key pairs.
const (
	RSA     = "rsa"
	ED25519 = "ed25519"
)

// Formats of private keys.
const (
	PEM = "pem"
	PPK = "ppk"
)

// rsaBits is the size of the RSA keys that EC2 makes.
const rsaBits = 2048

// ErrFormat is the error of what is no public key that EC2 takes.
var ErrFormat = errors.New("keypair: no public key of a known format")

// A Public is the public half of a key pair.
type Public struct {
	Type        string // RSA or ED25519
	Fingerprint string // as EC2 shows it
	OpenSSH     string // "ssh-rsa AAAA...", without a comment
}

// New makes a key pair and the text of its private key. The text is the only copy.
func New(kind, format, name string) (Public, secret.String, error) {
	if kind == ED25519 {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return Public{}, "", err
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			return Public{}, "", err
		}
		pub := Public{Type: ED25519, Fingerprint: opensshPrint(key), OpenSSH: line(key)}
		if format == PPK { // the seed alone, as PuTTY has it
			return pub, ppk(key, name, field(private.Seed())), nil
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			return Public{}, "", err
		}
		return pub, text(block), nil
	}
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return Public{}, "", err
	}
	key, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		return Public{}, "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Public{}, "", err
	}
	sum := sha1.Sum(der)
	pub := Public{Type: RSA, Fingerprint: colons(sum[:]), OpenSSH: line(key)}
	if format == PPK {
		var fields []byte
		for _, n := range [][]byte{private.D.Bytes(), private.Primes[0].Bytes(), private.Primes[1].Bytes(), private.Precomputed.Qinv.Bytes()} {
			fields = append(fields, mpint(n)...)
		}
		return pub, ppk(key, name, fields), nil
	}
	return pub, text(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}), nil
}

// text is a PEM block without the last line break, as EC2 answers it.
func text(b *pem.Block) secret.String {
	return secret.String(strings.TrimSuffix(string(pem.EncodeToMemory(b)), "\n"))
}

// Parse reads a public key: a line of OpenSSH, a file of RFC 4716, or base64 of DER; RSA with 1024,
// 2048, 3072 or 4096 bits, or Ed25519. Anything else is [ErrFormat]. 3072 bits, what ssh-keygen
// makes by itself, are not on AWS's page, and AWS takes them.
// Source: EC2 User Guide, "Create a key pair", requirements of the key.
func Parse(material []byte) (Public, error) {
	key, err := read(strings.TrimSpace(string(material)))
	if err != nil {
		return Public{}, ErrFormat
	}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return Public{}, ErrFormat
	}
	switch k := crypto.CryptoPublicKey().(type) {
	case ed25519.PublicKey:
		return Public{Type: ED25519, Fingerprint: opensshPrint(key), OpenSSH: line(key)}, nil
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n != 1024 && n != 2048 && n != 3072 && n != 4096 {
			return Public{}, ErrFormat
		}
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return Public{}, ErrFormat
		}
		sum := md5.Sum(der)
		return Public{Type: RSA, Fingerprint: colons(sum[:]), OpenSSH: line(key)}, nil
	}
	return Public{}, ErrFormat
}

func read(material string) (ssh.PublicKey, error) {
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(material)); err == nil {
		return key, nil
	}
	if body, ok := rfc4716(material); ok {
		blob, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return nil, err
		}
		return ssh.ParsePublicKey(blob)
	}
	der := []byte(nil)
	if b, _ := pem.Decode([]byte(material)); b != nil {
		der = b.Bytes
	} else if raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(material), "")); err == nil {
		der = raw
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return ssh.NewPublicKey(key)
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(key)
}

// rfc4716 is the base64 text of an SSH public key file: without its frame and headers, which end in
// lines continued by a backslash.
func rfc4716(material string) (string, bool) {
	body, ok := strings.CutPrefix(material, "---- BEGIN SSH2 PUBLIC KEY ----")
	if !ok {
		return "", false
	}
	body, _, ok = strings.Cut(body, "---- END SSH2 PUBLIC KEY ----")
	var out strings.Builder
	header := false
	for l := range strings.Lines(body) {
		l = strings.TrimSpace(l)
		if header || strings.Contains(l, ":") {
			header = strings.HasSuffix(l, `\`)
			continue
		}
		out.WriteString(l)
	}
	return out.String(), ok
}

func line(k ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(k)), "\n")
}

// opensshPrint is the SHA-256 fingerprint of OpenSSH, with base64's padding.
func opensshPrint(k ssh.PublicKey) string {
	sum := sha256.Sum256(k.Marshal())
	return base64.StdEncoding.EncodeToString(sum[:])
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i := range sum {
		parts[i] = hex.EncodeToString(sum[i : i+1])
	}
	return strings.Join(parts, ":")
}
