package kms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// A kind is a key spec and usage with its algorithms. Source: KMS Developer Guide, "Key spec
// reference"; the order is that of recorded answers.
type kind struct {
	spec, usage string
	algs        []string
}

var kinds = []kind{
	{"RSA_2048", "ENCRYPT_DECRYPT", []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}},
	{"RSA_2048", "SIGN_VERIFY", []string{"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512"}},
	{"ECC_NIST_P256", "SIGN_VERIFY", []string{"ECDSA_SHA_256"}},
	{"ECC_NIST_P384", "SIGN_VERIFY", []string{"ECDSA_SHA_384"}},
	{"ECC_NIST_P521", "SIGN_VERIFY", []string{"ECDSA_SHA_512"}},
	{"ECC_SECG_P256K1", "SIGN_VERIFY", []string{"ECDSA_SHA_256"}},
	{"ECC_NIST_EDWARDS25519", "SIGN_VERIFY", []string{"ED25519_SHA_512", "ED25519_PH_SHA_512"}},
	{"ML_DSA_44", "SIGN_VERIFY", []string{"ML_DSA_SHAKE_256"}},
	{"ML_DSA_65", "SIGN_VERIFY", []string{"ML_DSA_SHAKE_256"}},
	{"ML_DSA_87", "SIGN_VERIFY", []string{"ML_DSA_SHAKE_256"}},
	{"ECC_NIST_P256", "KEY_AGREEMENT", []string{"ECDH"}},
	{"ECC_NIST_P384", "KEY_AGREEMENT", []string{"ECDH"}},
	{"ECC_NIST_P521", "KEY_AGREEMENT", []string{"ECDH"}},
	{"HMAC_224", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_224"}},
	{"HMAC_256", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_256"}},
	{"HMAC_384", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_384"}},
	{"HMAC_512", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_512"}},
	{"ML_KEM_512", "ENCAPSULATE_DECAPSULATE", []string{"ML_KEM"}},
	{"ML_KEM_768", "ENCAPSULATE_DECAPSULATE", []string{"ML_KEM"}},
	{"ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", []string{"ML_KEM"}},
}

func TestMetadataAndPublicKeyOfEveryKind(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	for _, k := range kinds {
		w.run(k.spec+" "+k.usage, func(t *testing.T) {
			m := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: &k.spec, KeyUsage: &k.usage})
			if d := cmp.Diff(m, root.describe(*m.Arn)); d != "" {
				t.Error(d)
			}
			got := slices.Concat(m.EncryptionAlgorithms, m.SigningAlgorithms, m.MacAlgorithms, m.KeyAgreementAlgorithms, m.EncapsulationAlgorithms)
			if *m.KeySpec != k.spec || *m.KeyUsage != k.usage || !slices.Equal(got, k.algs) || m.CurrentKeyMaterialId != nil {
				t.Errorf("metadata %s %s %v %v", *m.KeySpec, *m.KeyUsage, got, m.CurrentKeyMaterialId)
			}
			in := &kmsapi.GetPublicKeyRequest{KeyId: m.KeyId}
			if strings.HasPrefix(k.spec, "HMAC") {
				wantErr(t, root.try(in), "UnsupportedOperationException", "*")
				return
			}
			pub := get[kmsapi.GetPublicKeyResponse](root, in)
			want := &kmsapi.GetPublicKeyResponse{
				KeyId: m.Arn, PublicKey: pub.PublicKey, KeySpec: m.KeySpec, CustomerMasterKeySpec: m.KeySpec, KeyUsage: m.KeyUsage,
				EncryptionAlgorithms: m.EncryptionAlgorithms, SigningAlgorithms: m.SigningAlgorithms,
				KeyAgreementAlgorithms: m.KeyAgreementAlgorithms, EncapsulationAlgorithms: m.EncapsulationAlgorithms,
			}
			if d := cmp.Diff(want, pub); d != "" || len(pub.PublicKey) == 0 {
				t.Error(d)
			}
		})
	}
	wantErr(t, root.try(&kmsapi.GetPublicKeyRequest{KeyId: new(root.newKey())}), "UnsupportedOperationException", "*")
}

func TestKindsThatDoNotGoTogether(t *testing.T) {
	root := newWorld(t).root(owner)
	for spec, usage := range map[string]string{
		"ECC_SECG_P256K1": "KEY_AGREEMENT", "ECC_NIST_EDWARDS25519": "KEY_AGREEMENT", "ML_DSA_44": "ENCRYPT_DECRYPT", "ML_KEM_768": "ENCRYPT_DECRYPT",
		"HMAC_256": "SIGN_VERIFY", "RSA_2048": "KEY_AGREEMENT", "ECC_NIST_P256": "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT": "SIGN_VERIFY",
	} {
		wantErr(t, root.try(&kmsapi.CreateKeyRequest{KeySpec: &spec, KeyUsage: &usage}), "ValidationException", "KeyUsage "+usage+" is not compatible with KeySpec "+spec)
		if spec != "SYMMETRIC_DEFAULT" {
			wantErr(t, root.try(&kmsapi.CreateKeyRequest{KeySpec: &spec}), "ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
		}
	}
}

// SM2 is a spec of the China Regions, ML-KEM one of all others.
func TestSpecsOfRegions(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	china := root.in("cn-north-1")
	const of = "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: ["
	for _, tt := range []struct {
		c                         *who
		spec, usage, member, gone string
	}{
		{root, "SM2", "SIGN_VERIFY", "keySpec", "SM2"},
		{china, "ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "keySpec", "ML_KEM_512"},
	} {
		err := tt.c.try(&kmsapi.CreateKeyRequest{KeySpec: &tt.spec, KeyUsage: &tt.usage})
		wantErr(t, err, "ValidationException", "*")
		text, list, ok := strings.Cut(err.Error(), "Member must satisfy enum value set: [")
		if !ok || !strings.Contains(text+"Member must satisfy enum value set: [", fmt.Sprintf(of, tt.spec, tt.member)) || strings.Contains(list, tt.gone) || !strings.Contains(list, "RSA_2048") {
			t.Errorf("got %v", err)
		}
		key := tt.c.newKey()
		err = tt.c.try(&kmsapi.GenerateDataKeyPairRequest{KeyId: &key, KeyPairSpec: &tt.spec})
		wantErr(t, err, "ValidationException", "*")
		if !strings.Contains(err.Error(), "'keyPairSpec'") {
			t.Errorf("got %v", err)
		}
	}
	for usage, alg := range map[string]string{"SIGN_VERIFY": "SM2DSA", "ENCRYPT_DECRYPT": "SM2PKE", "KEY_AGREEMENT": "ECDH"} {
		key := china.keyOf("SM2", usage)
		switch usage {
		case "SIGN_VERIFY":
			sig := get[kmsapi.SignResponse](china, &kmsapi.SignRequest{KeyId: &key, Message: []byte("m"), SigningAlgorithm: &alg}).Signature
			china.must(&kmsapi.VerifyRequest{KeyId: &key, Message: []byte("m"), Signature: sig, SigningAlgorithm: &alg})
		case "ENCRYPT_DECRYPT":
			ct := get[kmsapi.EncryptResponse](china, &kmsapi.EncryptRequest{KeyId: &key, Plaintext: make([]byte, 1024), EncryptionAlgorithm: &alg}).CiphertextBlob
			if got := get[kmsapi.DecryptResponse](china, &kmsapi.DecryptRequest{KeyId: &key, CiphertextBlob: ct, EncryptionAlgorithm: &alg}); len(got.Plaintext) != 1024 {
				t.Errorf("%d bytes come back", len(got.Plaintext))
			}
			wantErr(t, china.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: make([]byte, 1025), EncryptionAlgorithm: &alg}), "ValidationException",
				"Algorithm SM2PKE and key spec SM2 cannot encrypt data larger than 1024 bytes.")
		case "KEY_AGREEMENT":
			pub := get[kmsapi.GetPublicKeyResponse](china, &kmsapi.GetPublicKeyRequest{KeyId: new(china.keyOf("SM2", usage))}).PublicKey
			china.must(&kmsapi.DeriveSharedSecretRequest{KeyId: &key, PublicKey: pub, KeyAgreementAlgorithm: &alg})
		}
	}
}

// digestOf is the digest of a message as a signing algorithm makes it.
func digestOf(alg string, message []byte) (crypto.Hash, []byte) {
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(alg, "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(alg, "512"):
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(message)
	return hash, h.Sum(nil)
}

// What Sign makes, the standard library verifies with what GetPublicKey gives, and Verify does;
// RAW and DIGEST are two ways to say the same.
func TestSignAndVerify(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	message := []byte("attack at dawn")
	for _, k := range kinds {
		if k.usage != "SIGN_VERIFY" || strings.HasPrefix(k.spec, "ML_") || k.spec == "ECC_NIST_EDWARDS25519" {
			continue
		}
		key := root.keyOf(k.spec, k.usage)
		der := get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &key}).PublicKey
		for _, alg := range k.algs {
			w.run(k.spec+" "+alg, func(t *testing.T) {
				hash, digest := digestOf(alg, message)
				out := get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: new(id(key)), Message: message, SigningAlgorithm: &alg})
				if *out.KeyId != key || *out.SigningAlgorithm != alg {
					t.Errorf("Sign answered %s, %s", *out.KeyId, *out.SigningAlgorithm)
				}
				if k.spec != "ECC_SECG_P256K1" && !standard(t, der, alg, hash, digest, out.Signature) {
					t.Error("the standard library refuses the signature")
				}
				for typ, msg := range map[string][]byte{"RAW": message, "DIGEST": digest} {
					got := get[kmsapi.VerifyResponse](root, &kmsapi.VerifyRequest{KeyId: &key, Message: msg, MessageType: &typ, Signature: out.Signature, SigningAlgorithm: &alg})
					if d := cmp.Diff(&kmsapi.VerifyResponse{KeyId: &key, SignatureValid: new(true), SigningAlgorithm: &alg}, got); d != "" {
						t.Error(d)
					}
					again := get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: &key, Message: msg, MessageType: &typ, SigningAlgorithm: &alg}).Signature
					root.must(&kmsapi.VerifyRequest{KeyId: &key, Message: message, Signature: again, SigningAlgorithm: &alg})
				}
				wantErr(t, root.try(&kmsapi.VerifyRequest{KeyId: &key, Message: []byte("other"), Signature: out.Signature, SigningAlgorithm: &alg}), "KMSInvalidSignatureException", "")
				wantErr(t, root.try(&kmsapi.VerifyRequest{KeyId: &key, Message: message, Signature: []byte("x"), SigningAlgorithm: &alg}), "KMSInvalidSignatureException", "")
				for _, bad := range [][]byte{digest[1:], append(bytes.Clone(digest), 0)} {
					wantErr(t, root.try(&kmsapi.SignRequest{KeyId: &key, Message: bad, MessageType: new("DIGEST"), SigningAlgorithm: &alg}), "ValidationException", "Digest is invalid length for algorithm "+alg+".")
					wantErr(t, root.try(&kmsapi.VerifyRequest{KeyId: &key, Message: bad, MessageType: new("DIGEST"), Signature: out.Signature, SigningAlgorithm: &alg}), "ValidationException", "Digest is invalid length for algorithm "+alg+".")
				}
			})
		}
	}
}

func standard(t testing.TB, der []byte, alg string, hash crypto.Hash, digest, sig []byte) bool {
	t.Helper()
	parsed, err := x509.ParsePKIXPublicKey(der)
	check(t, err)
	switch key := parsed.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(alg, "RSASSA_PSS") {
			return rsa.VerifyPSS(key, hash, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, sig)
	}
	return false
}

func TestSignEd25519(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.keyOf("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
	parsed, err := x509.ParsePKIXPublicKey(get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &key}).PublicKey)
	check(t, err)
	message := []byte("attack at dawn")
	sig := get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: &key, Message: message, SigningAlgorithm: new("ED25519_SHA_512")}).Signature
	if !ed25519.Verify(parsed.(ed25519.PublicKey), message, sig) {
		t.Error("the standard library refuses the signature")
	}
	digest := sha512.Sum512(message)
	sig = get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: &key, Message: digest[:], MessageType: new("DIGEST"), SigningAlgorithm: new("ED25519_PH_SHA_512")}).Signature
	twice := sha512.Sum512(digest[:])
	if ed25519.VerifyWithOptions(parsed.(ed25519.PublicKey), twice[:], sig, &ed25519.Options{Hash: crypto.SHA512}) != nil {
		t.Error("the standard library refuses the pre-hashed signature")
	}
	for _, tt := range [][3]string{
		{"DIGEST", "ED25519_SHA_512", "RAW"}, {"RAW", "ED25519_PH_SHA_512", "DIGEST"}, {"EXTERNAL_MU", "ED25519_SHA_512", "RAW"},
	} {
		wantErr(t, root.try(&kmsapi.SignRequest{KeyId: &key, Message: digest[:], MessageType: &tt[0], SigningAlgorithm: &tt[1]}), "ValidationException",
			"MessageType "+tt[0]+" is not valid for algorithm "+tt[1]+"; it takes "+tt[2]+".")
	}
	wantErr(t, root.try(&kmsapi.SignRequest{KeyId: &key, Message: digest[:32], MessageType: new("DIGEST"), SigningAlgorithm: new("ED25519_PH_SHA_512")}), "ValidationException", "Digest is invalid length for algorithm ED25519_PH_SHA_512.")
}

func TestSignMLDSA(t *testing.T) {
	root := newWorld(t).root(owner)
	alg := new("ML_DSA_SHAKE_256")
	for spec, size := range map[string]int{"ML_DSA_44": 2420, "ML_DSA_65": 3309, "ML_DSA_87": 4627} {
		key := root.keyOf(spec, "SIGN_VERIFY")
		for typ, msg := range map[string][]byte{"RAW": make([]byte, 4096), "EXTERNAL_MU": make([]byte, 64)} {
			sig := get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: &key, Message: msg, MessageType: &typ, SigningAlgorithm: alg}).Signature
			if len(sig) != size {
				t.Errorf("%s %s: %d bytes", spec, typ, len(sig))
			}
			root.must(&kmsapi.VerifyRequest{KeyId: &key, Message: msg, MessageType: &typ, Signature: sig, SigningAlgorithm: alg})
			msg[0] = 1
			wantErr(t, root.try(&kmsapi.VerifyRequest{KeyId: &key, Message: msg, MessageType: &typ, Signature: sig, SigningAlgorithm: alg}), "KMSInvalidSignatureException", "")
		}
		wantErr(t, root.try(&kmsapi.SignRequest{KeyId: &key, Message: make([]byte, 63), MessageType: new("EXTERNAL_MU"), SigningAlgorithm: alg}), "ValidationException", "Digest is invalid length for algorithm ML_DSA_SHAKE_256.")
		wantErr(t, root.try(&kmsapi.SignRequest{KeyId: &key, Message: make([]byte, 64), MessageType: new("DIGEST"), SigningAlgorithm: alg}), "ValidationException", "*")
	}
}

func TestGenerateAndVerifyMac(t *testing.T) {
	root := newWorld(t).root(owner)
	for _, k := range kinds {
		if k.usage != "GENERATE_VERIFY_MAC" {
			continue
		}
		key, alg := root.keyOf(k.spec, k.usage), k.algs[0]
		out := get[kmsapi.GenerateMacResponse](root, &kmsapi.GenerateMacRequest{KeyId: &key, Message: []byte("m"), MacAlgorithm: &alg})
		if d := cmp.Diff(&kmsapi.GenerateMacResponse{KeyId: &key, Mac: out.Mac, MacAlgorithm: &alg}, out); d != "" || fmt.Sprint(8*len(out.Mac)) != k.spec[5:] {
			t.Errorf("%d bytes: %s", len(out.Mac), d)
		}
		ver := get[kmsapi.VerifyMacResponse](root, &kmsapi.VerifyMacRequest{KeyId: &key, Message: []byte("m"), Mac: out.Mac, MacAlgorithm: &alg})
		if d := cmp.Diff(&kmsapi.VerifyMacResponse{KeyId: &key, MacValid: new(true), MacAlgorithm: &alg}, ver); d != "" {
			t.Error(d)
		}
		wantErr(t, root.try(&kmsapi.VerifyMacRequest{KeyId: &key, Message: []byte("n"), Mac: out.Mac, MacAlgorithm: &alg}), "KMSInvalidMacException", "")
		wantErr(t, root.try(&kmsapi.VerifyMacRequest{KeyId: &key, Message: []byte("m"), Mac: out.Mac[1:], MacAlgorithm: &alg}), "KMSInvalidMacException", "")
	}
	key := root.keyOf("HMAC_224", "GENERATE_VERIFY_MAC")
	const of = "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length "
	wantErr(t, root.try(&kmsapi.GenerateMacRequest{KeyId: &key, Message: make([]byte, 4097), MacAlgorithm: new("HMAC_SHA_224")}), "ValidationException", of+"less than or equal to 4096")
	wantErr(t, root.try(&kmsapi.GenerateMacRequest{KeyId: &key, Message: []byte{}, MacAlgorithm: new("HMAC_SHA_224")}), "ValidationException", of+"greater than or equal to 1")
	wantErr(t, root.try(&kmsapi.GenerateMacRequest{KeyId: &key, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_1")}), "ValidationException", "*")
}

func TestDeriveSharedSecret(t *testing.T) {
	root := newWorld(t).root(owner)
	for spec, curve := range map[string]ecdh.Curve{"ECC_NIST_P256": ecdh.P256(), "ECC_NIST_P384": ecdh.P384(), "ECC_NIST_P521": ecdh.P521()} {
		key := root.keyOf(spec, "KEY_AGREEMENT")
		parsed, err := x509.ParsePKIXPublicKey(get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &key}).PublicKey)
		check(t, err)
		ours, err := parsed.(*ecdsa.PublicKey).ECDH()
		check(t, err)
		theirs, err := curve.GenerateKey(rand.Reader)
		check(t, err)
		der, err := x509.MarshalPKIXPublicKey(theirs.PublicKey())
		check(t, err)
		want, err := theirs.ECDH(ours)
		check(t, err)
		in := &kmsapi.DeriveSharedSecretRequest{KeyId: &key, PublicKey: der, KeyAgreementAlgorithm: new("ECDH")}
		got := get[kmsapi.DeriveSharedSecretResponse](root, in)
		if !got.SharedSecret.Equal(want) || *got.KeyId != key || *got.KeyOrigin != "AWS_KMS" || *got.KeyAgreementAlgorithm != "ECDH" {
			t.Errorf("%s: another answer than the standard library's", spec)
		}
		for _, bad := range [][]byte{[]byte("x"), der[1:], der[:len(der)-1]} {
			in.PublicKey = bad
			wantErr(t, root.try(in), "ValidationException", "")
		}
		in.PublicKey = make([]byte, 8193)
		wantErr(t, root.try(in), "ValidationException", "*")
	}
}

func TestEncapsulateAndDecapsulate(t *testing.T) {
	root := newWorld(t).root(owner)
	alg := new("ML_KEM")
	for spec, size := range map[string]int{"ML_KEM_512": 768, "ML_KEM_768": 1088, "ML_KEM_1024": 1568} {
		key := root.keyOf(spec, "ENCAPSULATE_DECAPSULATE")
		out := get[kmsapi.EncapsulateResponse](root, &kmsapi.EncapsulateRequest{KeyId: &key, EncapsulationAlgorithm: alg})
		if *out.KeyId != key || *out.EncapsulationAlgorithm != "ML_KEM" || len(out.SharedSecret) != 32 || len(out.SharedSecretCiphertextBlob) != size {
			t.Errorf("%s: %d and %d bytes for %s", spec, len(out.SharedSecret), len(out.SharedSecretCiphertextBlob), *out.KeyId)
		}
		in := &kmsapi.DecapsulateRequest{KeyId: &key, EncapsulationAlgorithm: alg, SharedSecretCiphertextBlob: out.SharedSecretCiphertextBlob}
		got := get[kmsapi.DecapsulateResponse](root, in)
		if !got.SharedSecret.Equal(out.SharedSecret) || *got.KeyId != key || *got.EncapsulationAlgorithm != "ML_KEM" {
			t.Errorf("%s: another secret comes back", spec)
		}
		// A wrong ciphertext is not detected: FIPS 203, implicit rejection.
		in.SharedSecretCiphertextBlob[0] ^= 1
		if got := get[kmsapi.DecapsulateResponse](root, in); len(got.SharedSecret) != 32 || got.SharedSecret.Equal(out.SharedSecret) {
			t.Errorf("%s: a changed ciphertext gives %d bytes", spec, len(got.SharedSecret))
		}
		for _, n := range []int{1, size - 1, size + 1} {
			in.SharedSecretCiphertextBlob = make([]byte, n)
			wantErr(t, root.try(in), "InvalidCiphertextException", "")
			wantErr(t, root.try(&kmsapi.DecapsulateRequest{KeyId: &key, EncapsulationAlgorithm: alg, SharedSecretCiphertextBlob: make([]byte, n), DryRun: new(true)}), "InvalidCiphertextException", "")
		}
	}
	// The standard library is the sender.
	key := root.keyOf("ML_KEM_768", "ENCAPSULATE_DECAPSULATE")
	der := get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &key}).PublicKey
	ek, err := mlkem.NewEncapsulationKey768(der[len(der)-mlkem.EncapsulationKeySize768:])
	check(t, err)
	shared, ct := ek.Encapsulate()
	if got := get[kmsapi.DecapsulateResponse](root, &kmsapi.DecapsulateRequest{KeyId: &key, EncapsulationAlgorithm: alg, SharedSecretCiphertextBlob: ct}); !got.SharedSecret.Equal(shared) {
		t.Error("the standard library sends another secret")
	}
}

func TestDataKeyPairs(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.createKey(&kmsapi.CreateKeyRequest{})
	ctx := map[string]string{"a": "1"}
	for _, spec := range []string{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"} {
		w.run(spec, func(t *testing.T) {
			out := get[kmsapi.GenerateDataKeyPairResponse](root, &kmsapi.GenerateDataKeyPairRequest{KeyId: key.KeyId, KeyPairSpec: &spec, EncryptionContext: ctx})
			if *out.KeyId != *key.Arn || *out.KeyPairSpec != spec || *out.KeyMaterialId != *key.CurrentKeyMaterialId || len(out.PublicKey) == 0 || out.CiphertextForRecipient != nil {
				t.Errorf("answered %s %s %s", *out.KeyId, *out.KeyPairSpec, *out.KeyMaterialId)
			}
			dec := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: out.PrivateKeyCiphertextBlob, EncryptionContext: ctx})
			if !dec.Plaintext.Equal(out.PrivateKeyPlaintext) || len(dec.Plaintext) == 0 {
				t.Error("Decrypt gives another private key")
			}
			if spec != "ECC_SECG_P256K1" && !strings.HasPrefix(spec, "ML_KEM") {
				priv, err := x509.ParsePKCS8PrivateKey(out.PrivateKeyPlaintext)
				check(t, err)
				pub, err := x509.MarshalPKIXPublicKey(priv.(crypto.Signer).Public())
				check(t, err)
				if !bytes.Equal(pub, out.PublicKey) {
					t.Error("the public key is not that of the private key")
				}
			}
			silent := get[kmsapi.GenerateDataKeyPairWithoutPlaintextResponse](root, &kmsapi.GenerateDataKeyPairWithoutPlaintextRequest{KeyId: key.KeyId, KeyPairSpec: &spec})
			if *silent.KeyId != *key.Arn || *silent.KeyPairSpec != spec || *silent.KeyMaterialId != *key.CurrentKeyMaterialId || bytes.Equal(silent.PublicKey, out.PublicKey) {
				t.Errorf("without plaintext: %s %s", *silent.KeyId, *silent.KeyPairSpec)
			}
			root.must(&kmsapi.DecryptRequest{CiphertextBlob: silent.PrivateKeyCiphertextBlob})
		})
	}
	for spec, usage := range map[string]string{"RSA_2048": "ENCRYPT_DECRYPT", "HMAC_256": "GENERATE_VERIFY_MAC"} {
		k := root.keyOf(spec, usage)
		wantErr(t, root.try(&kmsapi.GenerateDataKeyPairRequest{KeyId: &k, KeyPairSpec: new("ECC_NIST_P256")}), "InvalidKeyUsageException", "*")
	}
	wantErr(t, root.try(&kmsapi.GenerateDataKeyPairRequest{KeyId: key.Arn, KeyPairSpec: new("ML_DSA_44")}), "ValidationException", "*")
}

// Every operation refuses keys of another usage by their ARN and its own name, and algorithms of
// other specs.
func TestWrongUsageAndAlgorithm(t *testing.T) {
	root := newWorld(t).root(owner)
	sym, mac := root.newKey(), root.keyOf("HMAC_224", "GENERATE_VERIFY_MAC")
	signs, agrees, kem := root.keyOf("ECC_NIST_P256", "SIGN_VERIFY"), root.keyOf("ECC_NIST_P256", "KEY_AGREEMENT"), root.keyOf("ML_KEM_512", "ENCAPSULATE_DECAPSULATE")
	rsaKey := root.keyOf("RSA_2048", "ENCRYPT_DECRYPT")
	usage := func(key, usage, op string) string {
		return key + " key usage is " + usage + " which is not valid for " + op + "."
	}
	for _, tt := range []struct {
		in      any
		message string
	}{
		{&kmsapi.SignRequest{KeyId: &sym, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256")}, usage(sym, "ENCRYPT_DECRYPT", "Sign")},
		{&kmsapi.SignRequest{KeyId: &agrees, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256")}, usage(agrees, "KEY_AGREEMENT", "Sign")},
		{&kmsapi.VerifyRequest{KeyId: &rsaKey, Message: []byte("m"), Signature: []byte("s"), SigningAlgorithm: new("RSASSA_PSS_SHA_256")}, usage(rsaKey, "ENCRYPT_DECRYPT", "Verify")},
		{&kmsapi.SignRequest{KeyId: &signs, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_384")}, "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256."},
		{&kmsapi.VerifyRequest{KeyId: &signs, Message: []byte("m"), Signature: []byte("s"), SigningAlgorithm: new("ML_DSA_SHAKE_256")}, "Algorithm ML_DSA_SHAKE_256 is incompatible with key spec ECC_NIST_P256."},
		{&kmsapi.GenerateMacRequest{KeyId: &sym, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_256")}, usage(sym, "ENCRYPT_DECRYPT", "GenerateMac")},
		{&kmsapi.GenerateMacRequest{KeyId: &mac, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_256")}, "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224."},
		{&kmsapi.VerifyMacRequest{KeyId: &signs, Message: []byte("m"), Mac: []byte("m"), MacAlgorithm: new("HMAC_SHA_256")}, usage(signs, "SIGN_VERIFY", "VerifyMac")},
		{&kmsapi.DeriveSharedSecretRequest{KeyId: &signs, PublicKey: []byte("p"), KeyAgreementAlgorithm: new("ECDH")}, usage(signs, "SIGN_VERIFY", "DeriveSharedSecret")},
		{&kmsapi.EncapsulateRequest{KeyId: &sym, EncapsulationAlgorithm: new("ML_KEM")}, usage(sym, "ENCRYPT_DECRYPT", "Encapsulate")},
		{&kmsapi.DecapsulateRequest{KeyId: &mac, EncapsulationAlgorithm: new("ML_KEM"), SharedSecretCiphertextBlob: []byte("c")}, usage(mac, "GENERATE_VERIFY_MAC", "Decapsulate")},
		{&kmsapi.EncryptRequest{KeyId: &kem, Plaintext: []byte("p")}, usage(kem, "ENCAPSULATE_DECAPSULATE", "Encrypt")},
		{&kmsapi.EncryptRequest{KeyId: &rsaKey, Plaintext: []byte("p")}, "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."},
		{&kmsapi.GenerateDataKeyPairRequest{KeyId: &mac, KeyPairSpec: new("RSA_2048")}, usage(mac, "GENERATE_VERIFY_MAC", "GenerateDataKeyPair")},
	} {
		wantErr(t, root.try(tt.in), "InvalidKeyUsageException", tt.message)
	}
}

// The encrypting RSA keys interoperate with the standard library both ways, and with ReEncrypt.
func TestRSAEncryption(t *testing.T) {
	root := newWorld(t).root(owner)
	key, sym := root.keyOf("RSA_2048", "ENCRYPT_DECRYPT"), root.newKey()
	parsed, err := x509.ParsePKIXPublicKey(get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &key}).PublicKey)
	check(t, err)
	ct, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, parsed.(*rsa.PublicKey), []byte("secret"), nil)
	check(t, err)
	alg := new("RSAES_OAEP_SHA_256")
	if got := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{KeyId: &key, CiphertextBlob: ct, EncryptionAlgorithm: alg}); string(got.Plaintext) != "secret" || got.KeyMaterialId != nil {
		t.Errorf("what the standard library encrypts opens as %d bytes", len(got.Plaintext))
	}
	moved := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{CiphertextBlob: ct, SourceKeyId: &key, SourceEncryptionAlgorithm: alg, DestinationKeyId: &sym})
	if moved.SourceKeyMaterialId != nil || moved.DestinationKeyMaterialId == nil || *moved.SourceKeyId != key || *moved.SourceEncryptionAlgorithm != *alg {
		t.Errorf("ReEncrypt answered %s", *moved.SourceKeyId)
	}
	back := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{CiphertextBlob: moved.CiphertextBlob, DestinationKeyId: &key, DestinationEncryptionAlgorithm: alg})
	if got := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{KeyId: &key, CiphertextBlob: back.CiphertextBlob, EncryptionAlgorithm: alg}); string(got.Plaintext) != "secret" {
		t.Errorf("after ReEncrypt there and back: %d bytes", len(got.Plaintext))
	}
	wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("p"), EncryptionAlgorithm: alg, EncryptionContext: map[string]string{"a": "b"}}), "ValidationException", "*")
}
