package hsmtest

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

func agree(t testing.TB, m hsm.Module, mat hsm.Material, peer []byte) (secret.Bytes, error) {
	const action = "kms:DeriveSharedSecret"
	return m.DeriveSharedSecret(t.Context(), permittest.New(action, arnA), hsm.Use{Action: action, KeyARN: arnA}, mat, peer)
}

// Both sides of an agreement find the same secret, and the standard library does on its side.
func testAgree(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	for spec, curve := range map[hsm.Spec]ecdh.Curve{
		"ECC_NIST_P256": ecdh.P256(), "ECC_NIST_P384": ecdh.P384(), "ECC_NIST_P521": ecdh.P521(), "SM2": nil,
	} {
		a, b := Generate(t, m, arnA, spec), Generate(t, m, arnA, spec)
		pa, pb := publicKey(t, m, a), publicKey(t, m, b)
		one, err := agree(t, m, a, pb)
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		two, err := agree(t, m, b, pa)
		if err != nil || !one.Equal(two) {
			t.Errorf("%s: the two sides differ: %v", spec, err)
		}
		if curve != nil {
			theirs, err := curve.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			der, err := x509.MarshalPKIXPublicKey(theirs.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := x509.ParsePKIXPublicKey(pa)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := parsed.(*ecdsa.PublicKey).ECDH()
			if err != nil {
				t.Fatal(err)
			}
			want, err := theirs.ECDH(ours)
			if err != nil {
				t.Fatal(err)
			}
			got, err := agree(t, m, a, der)
			if err != nil || !got.Equal(want) {
				t.Errorf("%s: the standard library finds another secret: %v", spec, err)
			}
		}
		bad := bytes.Clone(pb)
		bad[len(bad)-1] ^= 1 // off the curve
		compressed := append(bytes.Clone(pb[:len(pb)/2]), 0)
		others := map[string][]byte{"off the curve": bad, "cut": pb[:len(pb)-1], "a byte more": append(bytes.Clone(pb), 0), "nothing": nil, "half": compressed}
		for _, s := range []hsm.Spec{"ECC_NIST_P256", "ECC_NIST_P384", "SM2", "ECC_SECG_P256K1", "RSA_2048", "ECC_NIST_EDWARDS25519", "ML_KEM_512"} {
			if s != spec {
				others["a key of "+string(s)] = publicKey(t, m, Generate(t, m, arnA, s))
			}
		}
		for what, peer := range others {
			got, err := agree(t, m, a, peer)
			wantErr(t, string(spec)+" with "+what, err, hsm.ErrPublicKey)
			if got != nil {
				t.Error("an error with a secret")
			}
		}
	}
	for _, spec := range []hsm.Spec{symmetric, "RSA_2048", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "ML_KEM_512"} {
		_, err := agree(t, m, Generate(t, m, arnA, spec), publicKey(t, m, Generate(t, m, arnA, "ECC_NIST_P256")))
		wantErr(t, string(spec), err, hsm.ErrUnsupported)
	}
}

func encapsulate(t testing.TB, m hsm.Module, mat hsm.Material) (secret.Bytes, []byte, error) {
	const action = "kms:Encapsulate"
	return m.Encapsulate(t.Context(), permittest.New(action, arnA), hsm.Use{Action: action, KeyARN: arnA}, mat)
}

func decapsulate(t testing.TB, m hsm.Module, mat hsm.Material, ct []byte) (secret.Bytes, error) {
	const action = "kms:Decapsulate"
	return m.Decapsulate(t.Context(), permittest.New(action, arnA), hsm.Use{Action: action, KeyARN: arnA}, mat, ct)
}

func testKEM(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	for spec, size := range map[hsm.Spec]int{"ML_KEM_512": 768, "ML_KEM_768": 1088, "ML_KEM_1024": 1568} {
		mat := Generate(t, m, arnA, spec)
		shared, ct, err := encapsulate(t, m, mat)
		if err != nil || len(shared) != 32 || len(ct) != size {
			t.Fatalf("%s: a secret of %d bytes in %d, %v", spec, len(shared), len(ct), err)
		}
		got, err := decapsulate(t, m, mat, ct)
		if err != nil || !got.Equal(shared) {
			t.Errorf("%s: another secret comes back: %v", spec, err)
		}
		if again, _, err := encapsulate(t, m, mat); err != nil || again.Equal(shared) {
			t.Errorf("%s: two secrets are equal: %v", spec, err)
		}
		// A wrong ciphertext is not refused, but leads to a secret of its own, always the same one.
		bad := bytes.Clone(ct)
		bad[size/2] ^= 1
		wrong, err := decapsulate(t, m, mat, bad)
		if err != nil || len(wrong) != 32 || wrong.Equal(shared) {
			t.Errorf("%s: a changed ciphertext: %v", spec, err)
		}
		if again, err := decapsulate(t, m, mat, bad); err != nil || !again.Equal(wrong) {
			t.Errorf("%s: rejection is not implicit: %v", spec, err)
		}
		for _, n := range []int{0, size - 1, size + 1} {
			_, err := decapsulate(t, m, mat, make([]byte, n))
			wantErr(t, "a ciphertext of another length", err, hsm.ErrCiphertext)
		}
		if want := standardEncapsulates(t, spec, bits(t, publicKey(t, m, mat)), m, mat); !want {
			t.Errorf("%s: the standard library finds another secret", spec)
		}
	}
	for _, spec := range []hsm.Spec{symmetric, "RSA_2048", "ML_DSA_44", "HMAC_256"} {
		mat := Generate(t, m, arnA, spec)
		_, _, err := encapsulate(t, m, mat)
		wantErr(t, string(spec), err, hsm.ErrUnsupported)
		_, err = decapsulate(t, m, mat, make([]byte, 768))
		wantErr(t, string(spec), err, hsm.ErrUnsupported)
	}
}

// standardEncapsulates sends a secret from the standard library, which has no ML-KEM-512.
func standardEncapsulates(t testing.TB, spec hsm.Spec, key []byte, m hsm.Module, mat hsm.Material) bool {
	t.Helper()
	var shared, ct []byte
	switch spec {
	case "ML_KEM_768":
		k, err := mlkem.NewEncapsulationKey768(key)
		if err != nil {
			t.Fatal(err)
		}
		shared, ct = k.Encapsulate()
	case "ML_KEM_1024":
		k, err := mlkem.NewEncapsulationKey1024(key)
		if err != nil {
			t.Fatal(err)
		}
		shared, ct = k.Encapsulate()
	default:
		return true
	}
	got, err := decapsulate(t, m, mat, ct)
	return err == nil && got.Equal(shared)
}

func dataKeyPair(t testing.TB, m hsm.Module, action string, mat hsm.Material, pair hsm.Spec, aad []byte) (hsm.DataKeyPair, error) {
	return m.GenerateDataKeyPair(t.Context(), permittest.New(action, arnA), hsm.Use{Action: action, KeyARN: arnA}, mat, pair, aad)
}

func testDataKeyPairs(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	for _, pair := range []hsm.Spec{
		"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "SM2",
		"ML_KEM_512", "ML_KEM_768", "ML_KEM_1024",
	} {
		made, err := dataKeyPair(t, m, "kms:GenerateDataKeyPair", mat, pair, aad)
		if err != nil {
			t.Fatalf("%s: %v", pair, err)
		}
		got, err := decrypt(t, m, arnA, mat, symmetric, made.Ciphertext, aad)
		if err != nil || !got.Equal(made.Private) {
			t.Errorf("%s: another private key comes back: %v", pair, err)
		}
		if key, err := x509.ParsePKCS8PrivateKey(made.Private); err == nil {
			public, err := x509.MarshalPKIXPublicKey(key.(crypto.Signer).Public())
			if err != nil || !bytes.Equal(public, made.Public) {
				t.Errorf("%s: the halves do not belong together: %v", pair, err)
			}
		}
		if _, err := decrypt(t, m, arnA, mat, symmetric, made.Ciphertext, nil); err == nil {
			t.Errorf("%s: the private key opens without its context", pair)
		}
		silent, err := dataKeyPair(t, m, "kms:GenerateDataKeyPairWithoutPlaintext", mat, pair, aad)
		if err != nil || silent.Private != nil || len(silent.Public) == 0 {
			t.Errorf("%s without plaintext: %d bytes of private key, %v", pair, len(silent.Private), err)
		}
		if bytes.Equal(silent.Public, made.Public) {
			t.Errorf("%s: two pairs are equal", pair)
		}
	}
	for _, pair := range []hsm.Spec{"", symmetric, "HMAC_256", "ML_DSA_44", "AES_256"} {
		made, err := dataKeyPair(t, m, "kms:GenerateDataKeyPair", mat, pair, nil)
		wantErr(t, "a pair of "+string(pair), err, hsm.ErrUnsupported)
		if made.Private != nil || made.Public != nil || made.Ciphertext != nil {
			t.Error("an error with a pair")
		}
	}
	_, err := dataKeyPair(t, m, "kms:GenerateDataKeyPair", Generate(t, m, arnA, "RSA_2048"), "ECC_NIST_P256", nil)
	wantErr(t, "under an RSA key", err, hsm.ErrUnsupported)
}

// The public key lies beside the material in the clear; one that was swapped is not given out.
func testPublicKey(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	const action = "kms:GetPublicKey"
	get := func(mat hsm.Material) ([]byte, error) {
		return m.PublicKey(t.Context(), permittest.New(action, arnA), hsm.Use{Action: action, KeyARN: arnA}, mat)
	}
	for _, spec := range asymmetric {
		mat, other := Generate(t, m, arnA, spec), Generate(t, m, arnA, spec)
		got, err := get(mat)
		if err != nil || !bytes.Equal(got, mat.Public) || bytes.Equal(got, other.Public) {
			t.Errorf("%s: %v", spec, err)
		}
		mat.Public = other.Public
		_, err = get(mat)
		wantErr(t, string(spec)+" with another public key", err, hsm.ErrMaterial)
	}
	for _, spec := range []hsm.Spec{symmetric, "HMAC_256"} {
		_, err := get(Generate(t, m, arnA, spec))
		wantErr(t, string(spec), err, hsm.ErrUnsupported)
	}
}

func testSM2Encryption(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, "SM2")
	for _, n := range []int{1, 32, 1024} {
		plain := m.Random(n)
		ct, err := encrypt(t, m, arnA, mat, "SM2PKE", plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decrypt(t, m, arnA, mat, "SM2PKE", ct, nil)
		if err != nil || !got.Equal(plain) {
			t.Errorf("%d bytes: %d bytes back, %v", n, len(got), err)
		}
		for _, bad := range [][]byte{nil, {0x30}, ct[:len(ct)-1], append(bytes.Clone(ct), 0), append(bytes.Clone(ct[:len(ct)-1]), ct[len(ct)-1]^1)} {
			_, err := decrypt(t, m, arnA, mat, "SM2PKE", bad, nil)
			wantErr(t, "another ciphertext", err, hsm.ErrCiphertext)
		}
	}
	for i := range 600 { // short messages, whose key stream may be zero or the message itself
		plain := secret.Bytes{byte(i)}
		ct, err := encrypt(t, m, arnA, mat, "SM2PKE", plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decrypt(t, m, arnA, mat, "SM2PKE", ct, nil); err != nil || !got.Equal(plain) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	_, err := encrypt(t, m, arnA, mat, "SM2PKE", m.Random(1025), nil)
	wantErr(t, "1025 bytes", err, hsm.ErrTooLong)
	_, err = encrypt(t, m, arnA, mat, "SM2PKE", plaintext, aad)
	wantErr(t, "with aad", err, hsm.ErrUnsupported)
	_, err = encrypt(t, m, arnA, mat, "SM2PKE", nil, nil)
	wantErr(t, "nothing", err, hsm.ErrUnsupported)
}
