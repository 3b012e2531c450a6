package keypair_test

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/kagimori/kagimori/internal/ec2/keypair"
)

func TestPrivateKeysAreReadByOpenSSH(t *testing.T) {
	for _, kind := range []string{keypair.RSA, keypair.ED25519} {
		public, private, err := keypair.New(kind, keypair.PEM, "login")
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.ParsePrivateKey([]byte(private.Reveal()))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if got := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))); got != public.OpenSSH {
			t.Errorf("%s: the public key is %s, want %s", kind, public.OpenSSH, got)
		}
		if kind == keypair.ED25519 {
			if want := strings.TrimPrefix(ssh.FingerprintSHA256(signer.PublicKey()), "SHA256:"); strings.TrimRight(public.Fingerprint, "=") != want {
				t.Errorf("fingerprint %s, want %s", public.Fingerprint, want)
			}
			continue
		}
		raw, err := ssh.ParseRawPrivateKey([]byte(private.Reveal()))
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(raw.(*rsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(der)
		if got := strings.ReplaceAll(public.Fingerprint, ":", ""); got != hex.EncodeToString(sum[:]) || len(public.Fingerprint) != 59 {
			t.Errorf("fingerprint %s is not the SHA-1 of the private key", public.Fingerprint)
		}
	}
}

func TestPuTTYFilesHoldTheKey(t *testing.T) {
	for _, kind := range []string{keypair.RSA, keypair.ED25519} {
		public, private, err := keypair.New(kind, keypair.PPK, "login")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(private.Reveal(), "\n")
		algorithm, blob, _ := strings.Cut(public.OpenSSH, " ")
		if lines[0] != "PuTTY-User-Key-File-2: "+algorithm || lines[2] != "Comment: login" || !strings.HasPrefix(lines[len(lines)-1], "Private-MAC: ") {
			t.Errorf("the file is %q", lines)
		}
		if !strings.Contains(strings.Join(lines, ""), blob) {
			t.Errorf("%s: the public key is not in the file", kind)
		}
		if kind == keypair.ED25519 { // the private part is the seed: the public key follows from it
			seed, err := base64.StdEncoding.DecodeString(lines[len(lines)-2])
			if err != nil || len(seed) != 36 {
				t.Fatalf("private part %q: %v", lines[len(lines)-2], err)
			}
			key, _ := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[4:]).Public())
			if got := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))); got != public.OpenSSH {
				t.Errorf("the file's private key belongs to %s", got)
			}
		}
	}
}

// vector is a public key; small a size of RSA keys that EC2 does not take.
const (
	vector = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPgkXRDH1JxwjQ3Px/LXz5CzBQ8oxBVTpVk4eVdLLT8W"
	small  = 768
)

func TestPublicKeysAreReadInEveryForm(t *testing.T) {
	made, _, err := keypair.New(keypair.RSA, keypair.PEM, "x")
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(made.OpenSSH))
	if err != nil {
		t.Fatal(err)
	}
	crypto := key.(ssh.CryptoPublicKey).CryptoPublicKey()
	der, err := x509.MarshalPKIXPublicKey(crypto)
	if err != nil {
		t.Fatal(err)
	}
	blob := base64.StdEncoding.EncodeToString(key.Marshal())
	forms := map[string]string{
		"OpenSSH":  made.OpenSSH + " me@home\n",
		"DER":      base64.StdEncoding.EncodeToString(der),
		"RFC 4716": "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"a \\\nb\"\n" + blob[:70] + "\n" + blob[70:] + "\n---- END SSH2 PUBLIC KEY ----\n",
	}
	prints := map[string]bool{}
	for name, text := range forms {
		p, err := keypair.Parse([]byte(text))
		if err != nil || p.OpenSSH != made.OpenSSH || p.Type != keypair.RSA {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		prints[p.Fingerprint] = true
	}
	for p := range prints {
		if len(prints) != 1 || len(p) != 47 {
			t.Errorf("fingerprints %v: one MD5 is wanted", prints)
		}
	}
	if p, err := keypair.Parse([]byte(vector)); err != nil || p.Type != keypair.ED25519 || p.OpenSSH != vector {
		t.Errorf("%+v, %v", p, err)
	}
}

// ssh-keygen makes keys of 3072 bits unless it is told otherwise.
func TestSizesOfRSAKeys(t *testing.T) {
	for bits, ok := range map[uint]bool{1024: true, 1536: false, 2048: true, 3072: true, 4096: true, 8192: false} {
		key, err := ssh.NewPublicKey(&rsa.PublicKey{N: bigOdd(bits), E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keypair.Parse(ssh.MarshalAuthorizedKey(key)); (err == nil) != ok {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestOtherTextsAreNoPublicKeys(t *testing.T) {
	weak := &rsa.PublicKey{N: bigOdd(small), E: 65537}
	key, err := ssh.NewPublicKey(weak)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "ssh-rsa", "ssh-rsa AAAA", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA==", "AAAA",
		"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", string(ssh.MarshalAuthorizedKey(key)),
	} {
		if p, err := keypair.Parse([]byte(text)); !errors.Is(err, keypair.ErrFormat) {
			t.Errorf("%q is read as %+v", text, p)
		}
	}
}
