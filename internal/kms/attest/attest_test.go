package attest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/kms/attest/attesttest"
)

func rsaKey(tb testing.TB, bits int) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestVerify(t *testing.T) {
	h, key := attesttest.New(t), rsaKey(t, 2048)
	v := attest.NewVerifier(nil, attest.Fingerprint(h.Root))
	good := h.Sign(t, h.Fields(&key.PublicKey))
	for _, doc := range [][]byte{good, append([]byte{0xd2}, good...)} {
		d, err := v.Verify(doc)
		if err != nil {
			t.Fatal(err)
		}
		if d.TPM || d.ModuleID == "" || len(d.PCRs) != 16 || d.PCRs[2][:4] != "0300" {
			t.Errorf("got %+v", d)
		}
		for _, n := range []int{0, 1, 15, 16, 17, 4096} {
			plain := bytes.Repeat([]byte{7}, n)
			sealed, err := d.Encrypt(plain)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := attesttest.Open(key, sealed); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes: %v", n, err)
			}
			if n > 0 && bytes.Contains(sealed, plain[:min(n, 16)]) && n >= 16 {
				t.Error("the plaintext is in the envelope")
			}
		}
	}
}

func TestVerifyOfNitroTPM(t *testing.T) {
	h, key := attesttest.New(t), rsaKey(t, 2048)
	f := h.Fields(&key.PublicKey)
	f["nitrotpm_pcrs"] = f["pcrs"]
	delete(f, "pcrs")
	d, err := attest.NewVerifier(nil, attest.Fingerprint(h.Root)).Verify(h.Sign(t, f))
	if err != nil || !d.TPM || len(d.PCRs) != 16 {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	h, key := attesttest.New(t), rsaKey(t, 2048)
	v := attest.NewVerifier(nil, attest.Fingerprint(h.Root))
	with := func(name string, value any) []byte {
		f := maps.Clone(h.Fields(&key.PublicKey))
		f[name] = value
		return h.Sign(t, f)
	}
	without := func(name string) []byte {
		f := maps.Clone(h.Fields(&key.PublicKey))
		delete(f, name)
		return h.Sign(t, f)
	}
	good := with("nonce", []byte("n"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	altered := bytes.Replace(good, []byte("i-0123"), []byte("i-0124"), 1)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	smallDER, _ := x509.MarshalPKIXPublicKey(&small.PublicKey)
	stranger := attesttest.New(t)
	for name, doc := range map[string][]byte{
		"nothing": {}, "text": []byte("hello"), "trailing bytes": append(bytes.Clone(good), 0),
		"altered signature": flipped, "altered payload": altered,
		"another root":      stranger.Sign(t, stranger.Fields(&key.PublicKey)),
		"a root named only": h.Sign(t, func() map[string]any { f := h.Fields(&key.PublicKey); f["certificate"] = stranger.Leaf.Raw; return f }()),
		"no module":         without("module_id"), "no timestamp": without("timestamp"), "digest": with("digest", "SHA256"),
		"no PCRs": without("pcrs"), "PCR 32": with("pcrs", map[int][]byte{32: make([]byte, 48)}),
		"short PCR":      with("pcrs", map[int][]byte{0: make([]byte, 20)}),
		"both kinds":     with("nitrotpm_pcrs", map[int][]byte{0: make([]byte, 48)}),
		"no certificate": without("certificate"), "no bundle": without("cabundle"), "empty certificate": with("cabundle", [][]byte{{}}),
		"no key": without("public_key"), "null key": with("public_key", nil), "short key": with("public_key", smallDER),
		"elliptic key": with("public_key", h.Leaf.RawSubjectPublicKeyInfo), "long nonce": with("nonce", make([]byte, 1025)),
		"payload is no map": h.SignPayload(t, []byte{0x80}),
		"a field twice":     h.SignPayload(t, []byte("\xa2\x69module_id\x61a\x69module_id\x61b")),
		"indefinite length": h.SignPayload(t, []byte("\xbf\x69module_id\x61a\xff")),
		"huge":              make([]byte, attest.MaxDocument+1),
	} {
		if _, err := v.Verify(doc); !errors.Is(err, attest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.Verify(good); err != nil {
		t.Errorf("the document that was altered is good: %v", err)
	}
	if _, err := attest.NewVerifier(nil).Verify(good); !errors.Is(err, attest.ErrInvalid) {
		t.Errorf("without configuration only AWS is believed: %v", err)
	}
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	if _, err := attest.NewVerifier(later, attest.Fingerprint(h.Root)).Verify(good); !errors.Is(err, attest.ErrInvalid) {
		t.Errorf("certificates that ended: %v", err)
	}
}

// OpenSSL opens the envelope too.
func TestEncryptForOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed: apt-get install openssl")
	}
	h, key := attesttest.New(t), rsaKey(t, 2048)
	d, err := attest.NewVerifier(nil, attest.Fingerprint(h.Root)).Verify(h.Sign(t, h.Fields(&key.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := d.Encrypt([]byte("for the enclave"))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"in": sealed, "key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), openssl, "cms", "-decrypt", "-inform", "DER", "-in", "in", "-inkey", "key")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil || string(out) != "for the enclave" {
		t.Errorf("openssl: %q, %v", out, err)
	}
}

func FuzzVerify(f *testing.F) {
	h, key := attesttest.New(f), rsaKey(f, 2048)
	v := attest.NewVerifier(nil, attest.Fingerprint(h.Root))
	good := h.Sign(f, h.Fields(&key.PublicKey))
	f.Add(good)
	f.Add([]byte{0x84, 0x40, 0xa0, 0x40, 0x40})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := v.Verify(doc)
		switch {
		case err != nil && !errors.Is(err, attest.ErrInvalid):
			t.Errorf("another error: %v", err)
		case err == nil && d.ModuleID == "":
			t.Error("a document of nobody")
		}
	})
}
