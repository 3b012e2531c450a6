package soft_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	circlsign "github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

const keyARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wrap(t testing.TB, m *soft.Module, spec hsm.Spec, raw, public []byte) hsm.Material {
	t.Helper()
	mat, err := m.Wrap(keyARN, spec, raw, public)
	if err != nil {
		t.Fatal(err)
	}
	return mat
}

func use(action string) hsm.Use { return hsm.Use{Action: action, KeyARN: keyARN} }

func sign(t testing.TB, m hsm.Module, mat hsm.Material, alg string, msg hsm.Message) []byte {
	t.Helper()
	sig, err := m.Sign(t.Context(), permittest.New("kms:Sign", keyARN), use("kms:Sign"), mat, alg, msg)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func verify(t testing.TB, m hsm.Module, mat hsm.Material, alg string, msg hsm.Message, sig []byte) error {
	return m.Verify(t.Context(), permittest.New("kms:Verify", keyARN), use("kms:Verify"), mat, alg, msg, sig)
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Source: RFC 4231, test cases 1 and 2.
func TestHMACVectors(t *testing.T) {
	m := open(t, soft.Config{})
	for _, tt := range []struct{ spec, alg, key, message, want string }{
		{"HMAC_224", "HMAC_SHA_224", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"},
		{"HMAC_256", "HMAC_SHA_256", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"HMAC_256", "HMAC_SHA_256", hex.EncodeToString([]byte("Jefe")), "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"HMAC_384", "HMAC_SHA_384", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
		{"HMAC_512", "HMAC_SHA_512", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
	} {
		mat := wrap(t, m, hsm.Spec(tt.spec), unhex(t, tt.key), nil)
		got, err := m.GenerateMAC(t.Context(), permittest.New("kms:GenerateMac", keyARN), use("kms:GenerateMac"), mat, tt.alg, secret.Bytes(tt.message))
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s of %q: %x, %v", tt.alg, tt.message, got, err)
		}
	}
}

func TestSignatureVectors(t *testing.T) {
	m := open(t, soft.Config{})
	t.Run("Ed25519: RFC 8032, 7.1, test 2", func(t *testing.T) {
		key := ed25519.NewKeyFromSeed(unhex(t, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
		mat := wrap(t, m, "ECC_NIST_EDWARDS25519", pkcs8(t, key), nil)
		const want = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
		if got := sign(t, m, mat, "ED25519_SHA_512", hsm.Message{Bytes: secret.Bytes{0x72}}); hex.EncodeToString(got) != want {
			t.Errorf("%x", got)
		}
	})
	t.Run("secp256k1: deterministic, of the private key 1", func(t *testing.T) {
		one := append(make([]byte, 31), 1)
		raw, err := soft.MarshalPrivate("ECC_SECG_P256K1", one, nil)
		if err != nil {
			t.Fatal(err)
		}
		mat := wrap(t, m, "ECC_SECG_P256K1", raw, nil)
		want := der(t, "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8", "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5")
		if got := sign(t, m, mat, "ECDSA_SHA_256", hsm.Message{Bytes: secret.Bytes("Satoshi Nakamoto")}); !bytes.Equal(got, want) {
			t.Errorf("%x", got)
		}
	})
	t.Run("P-256: RFC 6979, A.2.5", func(t *testing.T) {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex(t, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"))
		if err != nil {
			t.Fatal(err)
		}
		mat := wrap(t, m, "ECC_NIST_P256", pkcs8(t, key), nil)
		sig := der(t, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8")
		if err := verify(t, m, mat, "ECDSA_SHA_256", hsm.Message{Bytes: secret.Bytes("sample")}, sig); err != nil {
			t.Error(err)
		}
	})
}

// der is an ECDSA signature.
func der(t testing.TB, r, s string) []byte {
	t.Helper()
	out, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(unhex(t, r)), new(big.Int).SetBytes(unhex(t, s))})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Source: NIST CAVP, KAS_ECC_CDH_PrimitiveTest, P-256, count 0.
func TestAgreementVector(t *testing.T) {
	m := open(t, soft.Config{})
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex(t, "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534"))
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(t, "04"+
		"700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"+"db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"))
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(peer)
	if err != nil {
		t.Fatal(err)
	}
	const action = "kms:DeriveSharedSecret"
	got, err := m.DeriveSharedSecret(t.Context(), permittest.New(action, keyARN), use(action), wrap(t, m, "ECC_NIST_P256", pkcs8(t, key), nil), spki)
	if err != nil || !got.Equal(unhex(t, "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b")) {
		t.Errorf("another secret: %v", err)
	}
}

// Source: RFC 5649, section 6.
func TestKeyUnwrapVectors(t *testing.T) {
	key := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for wrapped, want := range map[string]string{
		"138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a": "c37b7e6492584340bed12207808941155068f738",
		"afbeb0f07dfbf5419200f2ccb50bb24f":                                 "466f7250617369",
	} {
		ct := unhex(t, wrapped)
		got, err := soft.UnwrapKWP(key, ct)
		if err != nil || !got.Equal(unhex(t, want)) {
			t.Errorf("%s: %d bytes, %v", wrapped, len(got), err)
		}
		for i := range ct {
			bad := bytes.Clone(ct)
			bad[i] ^= 1
			if _, err := soft.UnwrapKWP(key, bad); err == nil {
				t.Errorf("%s opens with byte %d changed", wrapped, i)
			}
			if _, err := soft.UnwrapKWP(key, ct[:i]); err == nil {
				t.Errorf("%d bytes of %s open", i, wrapped)
			}
		}
	}
}

// A second library decapsulates what ours encapsulates, and the other way round.
func TestMLKEMWithASecondLibrary(t *testing.T) {
	m := hsmtest.New(t)
	for spec, scheme := range map[hsm.Spec]kem.Scheme{"ML_KEM_512": mlkem512.Scheme(), "ML_KEM_768": mlkem768.Scheme(), "ML_KEM_1024": mlkem1024.Scheme()} {
		mat := hsmtest.Generate(t, m, keyARN, spec)
		raw, err := soft.ParsePublic(spec, mat.Public)
		if err != nil {
			t.Fatal(err)
		}
		public, err := scheme.UnmarshalBinaryPublicKey(raw)
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		ct, shared, err := scheme.Encapsulate(public)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Decapsulate(t.Context(), permittest.New("kms:Decapsulate", keyARN), use("kms:Decapsulate"), mat, ct)
		if err != nil || !got.Equal(shared) {
			t.Errorf("%s: we find another secret: %v", spec, err)
		}
		// A data key pair shows its private key: the seed.
		aes := hsmtest.Generate(t, m, keyARN, "SYMMETRIC_DEFAULT")
		pair, err := m.GenerateDataKeyPair(t.Context(), permittest.New("kms:GenerateDataKeyPair", keyARN), use("kms:GenerateDataKeyPair"), aes, spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		seed, err := soft.ParsePrivate(spec, pair.Private)
		if err != nil {
			t.Fatal(err)
		}
		theirPublic, _ := scheme.DeriveKeyPair(seed)
		encoded, err := theirPublic.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if ours, err := soft.ParsePublic(spec, pair.Public); err != nil || !bytes.Equal(ours, encoded) {
			t.Errorf("%s: the seed has another public key: %v", spec, err)
		}
	}
}

func TestMLDSAWithASecondLibrary(t *testing.T) {
	m := hsmtest.New(t)
	for spec, scheme := range map[hsm.Spec]circlsign.Scheme{"ML_DSA_44": mldsa44.Scheme(), "ML_DSA_65": mldsa65.Scheme(), "ML_DSA_87": mldsa87.Scheme()} {
		mat := hsmtest.Generate(t, m, keyARN, spec)
		raw, err := soft.ParsePublic(spec, mat.Public)
		if err != nil {
			t.Fatal(err)
		}
		public, err := scheme.UnmarshalBinaryPublicKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		msg := []byte("attack at dawn")
		sig := sign(t, m, mat, "ML_DSA_SHAKE_256", hsm.Message{Bytes: msg})
		if !scheme.Verify(public, msg, sig, nil) {
			t.Errorf("%s: the second library refuses our signature", spec)
		}
		seed := m.Random(scheme.SeedSize())
		theirPublic, theirs := scheme.DeriveKey(seed)
		encoded, err := theirPublic.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		private, err := soft.MarshalPrivate(spec, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := open(t, soft.Config{})
		imported := wrap(t, n, spec, private, encoded)
		msgOf := hsm.Message{Bytes: msg}
		if err := verify(t, n, imported, "ML_DSA_SHAKE_256", msgOf, scheme.Sign(theirs, msg, nil)); err != nil {
			t.Errorf("%s: we refuse the signature of the second library: %v", spec, err)
		}
	}
}

// DER that is not that of a key of the spec is refused, wherever it is changed so that it could
// mean something else.
func TestKeyCodecs(t *testing.T) {
	for _, spec := range []hsm.Spec{"ECC_SECG_P256K1", "SM2", "ML_DSA_44", "ML_KEM_512"} {
		private, public := bytes.Repeat([]byte{7}, 32), append([]byte{4}, make([]byte, 64)...)
		priv, err := soft.MarshalPrivate(spec, private, public)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := soft.MarshalPublic(spec, public)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := soft.ParsePrivate(spec, priv); err != nil || !got.Equal(private) {
			t.Errorf("%s: private: %v", spec, err)
		}
		if got, err := soft.ParsePublic(spec, pub); err != nil || !bytes.Equal(got, public) {
			t.Errorf("%s: public: %v", spec, err)
		}
		for _, other := range []hsm.Spec{"ECC_SECG_P256K1", "SM2", "ML_DSA_44", "ML_DSA_65", "ML_KEM_512", "RSA_2048", ""} {
			if other == spec {
				continue
			}
			if _, err := soft.ParsePublic(other, pub); err == nil {
				t.Errorf("the public key of %s is read as one of %s", spec, other)
			}
			if _, err := soft.ParsePrivate(other, priv); err == nil {
				t.Errorf("the private key of %s is read as one of %s", spec, other)
			}
		}
		for n := range priv {
			if _, err := soft.ParsePrivate(spec, priv[:n]); err == nil {
				t.Errorf("%s: %d bytes are read as a private key", spec, n)
			}
		}
		for n := range pub {
			if _, err := soft.ParsePublic(spec, pub[:n]); err == nil {
				t.Errorf("%s: %d bytes are read as a public key", spec, n)
			}
		}
		if _, err := soft.ParsePublic(spec, append(pub, 0)); err == nil {
			t.Errorf("%s: a byte more is read", spec)
		}
		if _, err := soft.ParsePrivate(spec, append(priv, 0)); err == nil {
			t.Errorf("%s: a byte more is read", spec)
		}
	}
}

func FuzzParsePublic(f *testing.F) {
	for _, spec := range []hsm.Spec{"SM2", "ML_KEM_512"} {
		if der, err := soft.MarshalPublic(spec, append([]byte{4}, make([]byte, 64)...)); err == nil {
			f.Add(string(spec), der)
		}
	}
	f.Fuzz(func(t *testing.T, spec string, der []byte) {
		key, err := soft.ParsePublic(hsm.Spec(spec), der)
		if err != nil {
			return
		}
		again, err := soft.MarshalPublic(hsm.Spec(spec), key)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		if back, err := soft.ParsePublic(hsm.Spec(spec), again); err != nil || !bytes.Equal(back, key) {
			t.Errorf("another key comes back: %v", err)
		}
	})
}
