package hsmtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// asymmetric are the specs with a public key.
var asymmetric = []hsm.Spec{
	"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519", "ECC_SECG_P256K1", "SM2",
	"ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024",
}

func sign(t testing.TB, m hsm.Module, mat hsm.Material, alg string, msg hsm.Message) ([]byte, error) {
	return m.Sign(t.Context(), permittest.New("kms:Sign", arnA), hsm.Use{Action: "kms:Sign", KeyARN: arnA}, mat, alg, msg)
}

func verify(t testing.TB, m hsm.Module, mat hsm.Material, alg string, msg hsm.Message, sig []byte) error {
	return m.Verify(t.Context(), permittest.New("kms:Verify", arnA), hsm.Use{Action: "kms:Verify", KeyARN: arnA}, mat, alg, msg, sig)
}

func publicKey(t testing.TB, m hsm.Module, mat hsm.Material) []byte {
	t.Helper()
	der, err := m.PublicKey(t.Context(), permittest.New("kms:GetPublicKey", arnA), hsm.Use{Action: "kms:GetPublicKey", KeyARN: arnA}, mat)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// schemes are the algorithms that sign digests, with their digest.
var schemes = []struct {
	spec hsm.Spec
	alg  string
	hash crypto.Hash
}{
	{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", crypto.SHA256},
	{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384", crypto.SHA384},
	{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512", crypto.SHA512},
	{"RSA_2048", "RSASSA_PSS_SHA_256", crypto.SHA256},
	{"RSA_2048", "RSASSA_PSS_SHA_384", crypto.SHA384},
	{"RSA_2048", "RSASSA_PSS_SHA_512", crypto.SHA512},
	{"RSA_3072", "RSASSA_PSS_SHA_256", crypto.SHA256},
	{"RSA_4096", "RSASSA_PKCS1_V1_5_SHA_512", crypto.SHA512},
	{"ECC_NIST_P256", "ECDSA_SHA_256", crypto.SHA256},
	{"ECC_NIST_P384", "ECDSA_SHA_384", crypto.SHA384},
	{"ECC_NIST_P521", "ECDSA_SHA_512", crypto.SHA512},
	{"ECC_SECG_P256K1", "ECDSA_SHA_256", crypto.SHA256},
}

// Signatures of messages and of their digests are the same thing, and what the standard library
// verifies with the public key.
func testSignDigests(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	keys := map[hsm.Spec]hsm.Material{}
	for _, s := range schemes {
		if _, made := keys[s.spec]; !made {
			keys[s.spec] = Generate(t, m, arnA, s.spec)
		}
		mat := keys[s.spec]
		h := s.hash.New()
		h.Write(plaintext)
		digest := h.Sum(nil)
		raw, hashed := hsm.Message{Bytes: plaintext}, hsm.Message{Type: hsm.Digest, Bytes: digest}
		for _, msg := range []hsm.Message{raw, {Type: hsm.Raw, Bytes: plaintext}, hashed} {
			sig, err := sign(t, m, mat, s.alg, msg)
			if err != nil {
				t.Fatalf("%s %s: %v", s.spec, s.alg, err)
			}
			for _, form := range []hsm.Message{raw, hashed} {
				if err := verify(t, m, mat, s.alg, form, sig); err != nil {
					t.Errorf("%s %s: signed as %q, verified as %q: %v", s.spec, s.alg, msg.Type, form.Type, err)
				}
			}
			if s.spec != "ECC_SECG_P256K1" && !standardVerifies(t, publicKey(t, m, mat), s.alg, s.hash, digest, sig) {
				t.Errorf("%s %s: the standard library refuses the signature", s.spec, s.alg)
			}
			refuse(t, m, mat, s.alg, raw, sig)
		}
		for _, n := range []int{0, len(digest) - 1, len(digest) + 1} {
			short := hsm.Message{Type: hsm.Digest, Bytes: make([]byte, n)}
			_, err := sign(t, m, mat, s.alg, short)
			wantErr(t, s.alg+" of a digest of another length", err, hsm.ErrDigest)
			wantErr(t, s.alg+" of a digest of another length", verify(t, m, mat, s.alg, short, []byte("x")), hsm.ErrDigest)
		}
		_, err := sign(t, m, mat, s.alg, hsm.Message{Type: hsm.ExternalMu, Bytes: make([]byte, 64)})
		wantErr(t, s.alg+" of a message representative", err, hsm.ErrUnsupported)
	}
}

func standardVerifies(t testing.TB, der []byte, alg string, hash crypto.Hash, digest, sig []byte) bool {
	t.Helper()
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(alg, "RSASSA_PSS") {
			return rsa.VerifyPSS(key, hash, digest, sig, &rsa.PSSOptions{SaltLength: hash.Size()}) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, sig)
	}
	return false
}

// refuse wants a good signature of msg to be refused once anything is changed.
func refuse(t testing.TB, m hsm.Module, mat hsm.Material, alg string, msg hsm.Message, sig []byte) {
	t.Helper()
	other := msg
	other.Bytes = bytes.Clone(msg.Bytes)
	other.Bytes[0] ^= 1
	wantErr(t, alg+": another message", verify(t, m, mat, alg, other, sig), hsm.ErrSignature)
	for _, at := range []int{0, len(sig) / 2, len(sig) - 1} {
		bad := bytes.Clone(sig)
		bad[at] ^= 1
		wantErr(t, alg+": a changed signature", verify(t, m, mat, alg, msg, bad), hsm.ErrSignature)
	}
	for _, bad := range [][]byte{nil, sig[:len(sig)-1], append(bytes.Clone(sig), 0), make([]byte, len(sig))} {
		wantErr(t, alg+": a signature of other bytes", verify(t, m, mat, alg, msg, bad), hsm.ErrSignature)
	}
}

// Ed25519 takes whole messages; its pre-hashed form takes digests, and hashes them again.
func testSignEd25519(t *testing.T, open func(*testing.T) hsm.Module) {
	const pure, ph = "ED25519_SHA_512", "ED25519_PH_SHA_512"
	m := open(t)
	mat := Generate(t, m, arnA, "ECC_NIST_EDWARDS25519")
	parsed, err := x509.ParsePKIXPublicKey(publicKey(t, m, mat))
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(ed25519.PublicKey)
	raw := hsm.Message{Bytes: plaintext}
	sig, err := sign(t, m, mat, pure, raw)
	if err != nil || !ed25519.Verify(key, plaintext, sig) {
		t.Errorf("the standard library refuses the signature: %v", err)
	}
	if err := verify(t, m, mat, pure, raw, sig); err != nil {
		t.Error(err)
	}
	refuse(t, m, mat, pure, raw, sig)

	digest := sha512.Sum512(plaintext)
	hashed := hsm.Message{Type: hsm.Digest, Bytes: digest[:]}
	sig, err = sign(t, m, mat, ph, hashed)
	again := sha512.Sum512(digest[:])
	if err != nil || ed25519.VerifyWithOptions(key, again[:], sig, &ed25519.Options{Hash: crypto.SHA512}) != nil {
		t.Errorf("the standard library refuses the pre-hashed signature: %v", err)
	}
	if err := verify(t, m, mat, ph, hashed, sig); err != nil {
		t.Error(err)
	}
	refuse(t, m, mat, ph, hashed, sig)
	_, err = sign(t, m, mat, ph, hsm.Message{Type: hsm.Digest, Bytes: digest[:32]})
	wantErr(t, "half a digest", err, hsm.ErrDigest)
	for alg, kinds := range map[string][]string{pure: {hsm.Digest, hsm.ExternalMu}, ph: {"", hsm.Raw, hsm.ExternalMu}} {
		for _, kind := range kinds {
			_, err := sign(t, m, mat, alg, hsm.Message{Type: kind, Bytes: digest[:]})
			wantErr(t, alg+" of "+kind, err, hsm.ErrUnsupported)
		}
	}
}

// ML-DSA takes messages, and the representatives that FIPS 204 makes of them with the public key.
func testSignMLDSA(t *testing.T, open func(*testing.T) hsm.Module) {
	const alg = "ML_DSA_SHAKE_256"
	m := open(t)
	for spec, sizes := range map[hsm.Spec][2]int{"ML_DSA_44": {1312, 2420}, "ML_DSA_65": {1952, 3309}, "ML_DSA_87": {2592, 4627}} {
		mat := Generate(t, m, arnA, spec)
		key := bits(t, publicKey(t, m, mat))
		if len(key) != sizes[0] {
			t.Errorf("%s: a public key of %d bytes", spec, len(key))
		}
		tr := sha3.SumSHAKE256(key, 64)
		mu := sha3.SumSHAKE256(append(append(tr, 0, 0), plaintext...), 64)
		raw, ext := hsm.Message{Bytes: plaintext}, hsm.Message{Type: hsm.ExternalMu, Bytes: mu}
		for _, msg := range []hsm.Message{raw, ext} {
			sig, err := sign(t, m, mat, alg, msg)
			if err != nil || len(sig) != sizes[1] {
				t.Fatalf("%s: a signature of %d bytes, %v", spec, len(sig), err)
			}
			for _, form := range []hsm.Message{raw, ext} {
				if err := verify(t, m, mat, alg, form, sig); err != nil {
					t.Errorf("%s: signed as %q, verified as %q: %v", spec, msg.Type, form.Type, err)
				}
				refuse(t, m, mat, alg, form, sig)
			}
		}
		_, err := sign(t, m, mat, alg, hsm.Message{Type: hsm.ExternalMu, Bytes: mu[:63]})
		wantErr(t, "63 bytes of mu", err, hsm.ErrDigest)
		_, err = sign(t, m, mat, alg, hsm.Message{Type: hsm.Digest, Bytes: mu})
		wantErr(t, "ML-DSA of a digest", err, hsm.ErrUnsupported)
	}
}

// bits is the public key in a SubjectPublicKeyInfo.
func bits(t testing.TB, der []byte) []byte {
	t.Helper()
	var k struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &k); err != nil || len(rest) > 0 {
		t.Fatalf("no SubjectPublicKeyInfo: %v", err)
	}
	return k.Key.Bytes
}

func testSignSM2(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, "SM2")
	raw := hsm.Message{Bytes: plaintext}
	sig, err := sign(t, m, mat, "SM2DSA", raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, m, mat, "SM2DSA", raw, sig); err != nil {
		t.Error(err)
	}
	refuse(t, m, mat, "SM2DSA", raw, sig)
	digest := hsm.Message{Type: hsm.Digest, Bytes: make([]byte, 32)}
	digest.Bytes[0] = 7
	if sig, err = sign(t, m, mat, "SM2DSA", digest); err != nil || verify(t, m, mat, "SM2DSA", digest, sig) != nil {
		t.Errorf("a digest: %v", err)
	}
	digest.Bytes = digest.Bytes[1:]
	_, err = sign(t, m, mat, "SM2DSA", digest)
	wantErr(t, "31 bytes", err, hsm.ErrDigest)
}

// A signature by a stranger may have the other s of ECDSA; it verifies as any other does.
func testKoblitzHighS(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, "ECC_SECG_P256K1")
	msg := hsm.Message{Bytes: plaintext}
	sig, err := sign(t, m, mat, "ECDSA_SHA_256", msg)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	rs.S.Sub(order, rs.S)
	other, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, m, mat, "ECDSA_SHA_256", msg, other); err != nil {
		t.Errorf("the other s: %v", err)
	}
	rs.S.Add(rs.S, order)
	if other, err = asn1.Marshal(rs); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "an s above the order", verify(t, m, mat, "ECDSA_SHA_256", msg, other), hsm.ErrSignature)
}

func testSigningUnsupported(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	msg := hsm.Message{Bytes: plaintext}
	for spec, algs := range map[hsm.Spec][]string{
		symmetric:               {"", symmetric, "ECDSA_SHA_256", "ML_DSA_SHAKE_256"},
		"HMAC_256":              {"HMAC_SHA_256", "ECDSA_SHA_256"},
		"RSA_2048":              {"", "RSASSA_PSS_SHA_1", "ECDSA_SHA_256", "RSAES_OAEP_SHA_256", "ML_DSA_SHAKE_256"},
		"ECC_NIST_P256":         {"ECDSA_SHA_384", "ECDH", "SM2DSA", ""},
		"ECC_SECG_P256K1":       {"ECDSA_SHA_512"},
		"ECC_NIST_EDWARDS25519": {"ECDSA_SHA_512"},
		"ML_DSA_44":             {"ED25519_SHA_512", ""},
		"ML_KEM_512":            {"ML_KEM", "ML_DSA_SHAKE_256"},
		"SM2":                   {"ECDSA_SHA_256"},
	} {
		mat := Generate(t, m, arnA, spec)
		for _, alg := range algs {
			sig, err := sign(t, m, mat, alg, msg)
			wantErr(t, string(spec)+" signs with "+alg, err, hsm.ErrUnsupported)
			if sig != nil {
				t.Error("an error with a signature")
			}
			wantErr(t, string(spec)+" verifies with "+alg, verify(t, m, mat, alg, msg, []byte("x")), hsm.ErrUnsupported)
		}
		_, err := sign(t, m, mat, "RSASSA_PSS_SHA_256", hsm.Message{Type: "OTHER", Bytes: plaintext})
		wantErr(t, "another message type", err, hsm.ErrUnsupported)
	}
}

func testMAC(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	gen := func(mat hsm.Material, alg string, msg secret.Bytes) ([]byte, error) {
		return m.GenerateMAC(t.Context(), permittest.New("kms:GenerateMac", arnA), hsm.Use{Action: "kms:GenerateMac", KeyARN: arnA}, mat, alg, msg)
	}
	check := func(mat hsm.Material, alg string, msg secret.Bytes, mac []byte) error {
		return m.VerifyMAC(t.Context(), permittest.New("kms:VerifyMac", arnA), hsm.Use{Action: "kms:VerifyMac", KeyARN: arnA}, mat, alg, msg, mac)
	}
	for spec, size := range map[hsm.Spec]int{"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64} {
		mat, alg := Generate(t, m, arnA, spec), "HMAC_SHA_"+string(spec[5:])
		mac, err := gen(mat, alg, plaintext)
		if err != nil || len(mac) != size {
			t.Fatalf("%s: %d bytes, %v", spec, len(mac), err)
		}
		if err := check(mat, alg, plaintext, mac); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
		again, err := gen(mat, alg, plaintext)
		if err != nil || !hmac.Equal(mac, again) {
			t.Errorf("%s: two codes of one message differ", spec)
		}
		bad := bytes.Clone(mac)
		bad[0] ^= 1
		for what, err := range map[string]error{
			"another message": check(mat, alg, plaintext[1:], mac), "a changed code": check(mat, alg, plaintext, bad),
			"a part": check(mat, alg, plaintext, mac[:size-1]), "nothing": check(mat, alg, plaintext, nil),
			"another key": check(Generate(t, m, arnA, spec), alg, plaintext, mac),
		} {
			wantErr(t, what, err, hsm.ErrMAC)
		}
		for _, other := range []string{"", "HMAC_SHA_1", "HMAC_SHA_256", "HMAC_SHA_512", symmetric} {
			if other == alg {
				continue
			}
			_, err := gen(mat, other, plaintext)
			wantErr(t, string(spec)+" with "+other, err, hsm.ErrUnsupported)
		}
	}
	_, err := gen(Generate(t, m, arnA, symmetric), "HMAC_SHA_256", plaintext)
	wantErr(t, "a symmetric key", err, hsm.ErrUnsupported)
}
