package e2e_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
)

func (c *client) public(t *testing.T, key *string) any {
	t.Helper()
	return must(x509.ParsePKIXPublicKey(must(c.kms.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: key}))(t).PublicKey))(t)
}

func testEncrypt(t *testing.T, c *client) {
	k := c.symmetric(t)
	out := must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("secret")}))(t)
	if *out.KeyId != *k.Arn || out.EncryptionAlgorithm != kmstypes.EncryptionAlgorithmSpecSymmetricDefault || bytes.Contains(out.CiphertextBlob, []byte("secret")) {
		t.Errorf("%+v", out)
	}
	r := c.newKey(t, "RSA_2048", "ENCRYPT_DECRYPT")
	refused(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: r.KeyId, Plaintext: make([]byte, 191), EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))(t,
		"ValidationException", "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.")
	refused(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x"), DryRun: new(true)}))(t,
		"DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
}

func testDecrypt(t *testing.T, c *client) {
	k := c.symmetric(t)
	context := map[string]string{"a": "b"}
	blob := must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("secret"), EncryptionContext: context}))(t).CiphertextBlob
	out := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: context}))(t)
	if string(out.Plaintext) != "secret" || *out.KeyId != *k.Arn || *out.KeyMaterialId != *k.CurrentKeyMaterialId {
		t.Errorf("%+v", out)
	}
	if e := refused(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: blob}))(t, "InvalidCiphertextException"); e.ErrorMessage() != "" {
		t.Errorf("message %q", e.ErrorMessage())
	}
	refused(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: context, KeyId: c.symmetric(t).KeyId}))(t,
		"IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	// What anybody encrypts with the public key.
	r := c.newKey(t, "RSA_2048", "ENCRYPT_DECRYPT")
	sealed := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, c.public(t, r.KeyId).(*rsa.PublicKey), []byte("outside"), nil))(t)
	if out := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: sealed, KeyId: r.KeyId, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))(t); string(out.Plaintext) != "outside" || out.KeyMaterialId != nil {
		t.Errorf("%+v", out)
	}
}

func testReEncrypt(t *testing.T, c *client) {
	a, b := c.symmetric(t), c.symmetric(t)
	blob := must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: a.KeyId, Plaintext: []byte("secret")}))(t).CiphertextBlob
	out := must(c.kms.ReEncrypt(t.Context(), &kms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: b.KeyId, DestinationEncryptionContext: map[string]string{"a": "b"}}))(t)
	if *out.SourceKeyId != *a.Arn || *out.KeyId != *b.Arn || *out.SourceKeyMaterialId != *a.CurrentKeyMaterialId || *out.DestinationKeyMaterialId != *b.CurrentKeyMaterialId {
		t.Errorf("%+v", out)
	}
	if got := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: map[string]string{"a": "b"}}))(t); string(got.Plaintext) != "secret" {
		t.Errorf("%q", got.Plaintext)
	}
}

func testGenerateDataKey(t *testing.T, c *client) {
	k := c.symmetric(t)
	out := must(c.kms.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: kmstypes.DataKeySpecAes128}))(t)
	if len(out.Plaintext) != 16 || *out.KeyId != *k.Arn || *out.KeyMaterialId != *k.CurrentKeyMaterialId {
		t.Errorf("%+v", out)
	}
	if got := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob}))(t); !bytes.Equal(got.Plaintext, out.Plaintext) {
		t.Error("another key")
	}
	refused(c.kms.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: k.KeyId}))(t, "ValidationException", "Please specify either number of bytes or key spec.")
}

func testGenerateDataKeyWithoutPlaintext(t *testing.T, c *client) {
	k := c.symmetric(t)
	out := must(c.kms.GenerateDataKeyWithoutPlaintext(t.Context(), &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: k.KeyId, NumberOfBytes: new(int32(64))}))(t)
	if got := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob}))(t); len(got.Plaintext) != 64 || *out.KeyId != *k.Arn {
		t.Errorf("%+v", out)
	}
}

func testGenerateDataKeyPair(t *testing.T, c *client) {
	k := c.symmetric(t)
	for _, spec := range []kmstypes.DataKeyPairSpec{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"} {
		out := must(c.kms.GenerateDataKeyPair(t.Context(), &kms.GenerateDataKeyPairInput{KeyId: k.KeyId, KeyPairSpec: spec}))(t)
		private := must(x509.ParsePKCS8PrivateKey(out.PrivateKeyPlaintext))(t).(interface{ Public() crypto.PublicKey })
		if public := must(x509.MarshalPKIXPublicKey(private.Public()))(t); !bytes.Equal(public, out.PublicKey) {
			t.Errorf("%s: the keys are no pair", spec)
		}
		if out.KeyPairSpec != spec || *out.KeyId != *k.Arn || *out.KeyMaterialId != *k.CurrentKeyMaterialId {
			t.Errorf("%s: %+v", spec, out)
		}
		if got := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: out.PrivateKeyCiphertextBlob}))(t); !bytes.Equal(got.Plaintext, out.PrivateKeyPlaintext) {
			t.Errorf("%s: another key", spec)
		}
	}
}

func testGenerateDataKeyPairWithoutPlaintext(t *testing.T, c *client) {
	k := c.symmetric(t)
	out := must(c.kms.GenerateDataKeyPairWithoutPlaintext(t.Context(), &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: k.KeyId, KeyPairSpec: "ECC_NIST_P256"}))(t)
	der := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: out.PrivateKeyCiphertextBlob}))(t).Plaintext
	private := must(x509.ParsePKCS8PrivateKey(der))(t).(*ecdsa.PrivateKey)
	if public := must(x509.ParsePKIXPublicKey(out.PublicKey))(t).(*ecdsa.PublicKey); !private.PublicKey.Equal(public) || out.KeyPairSpec != "ECC_NIST_P256" {
		t.Errorf("%+v", out)
	}
}

func testGenerateRandom(t *testing.T, c *client) {
	a := must(c.kms.GenerateRandom(t.Context(), &kms.GenerateRandomInput{NumberOfBytes: new(int32(1024))}))(t).Plaintext
	b := must(c.kms.GenerateRandom(t.Context(), &kms.GenerateRandomInput{NumberOfBytes: new(int32(1024))}))(t).Plaintext
	if len(a) != 1024 || bytes.Equal(a, b) {
		t.Error("not random")
	}
	refused(c.kms.GenerateRandom(t.Context(), &kms.GenerateRandomInput{}))(t, "ValidationException", "NumberOfBytes is required.")
}

func testGetPublicKey(t *testing.T, c *client) {
	k := c.newKey(t, "RSA_2048", "SIGN_VERIFY")
	out := must(c.kms.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: k.KeyId}))(t)
	if pub := must(x509.ParsePKIXPublicKey(out.PublicKey))(t).(*rsa.PublicKey); pub.N.BitLen() != 2048 || *out.KeyId != *k.Arn || len(out.SigningAlgorithms) != 6 || out.KeyUsage != "SIGN_VERIFY" {
		t.Errorf("%+v", out)
	}
}

func testSign(t *testing.T, c *client) {
	k := c.newKey(t, "ECC_NIST_P256", "SIGN_VERIFY")
	sum := sha256.Sum256([]byte("message"))
	pub := c.public(t, k.KeyId).(*ecdsa.PublicKey)
	for message, in := range map[string]*kms.SignInput{"raw": {Message: []byte("message")}, "digest": {Message: sum[:], MessageType: kmstypes.MessageTypeDigest}} {
		in.KeyId, in.SigningAlgorithm = k.KeyId, kmstypes.SigningAlgorithmSpecEcdsaSha256
		out := must(c.kms.Sign(t.Context(), in))(t)
		if *out.KeyId != *k.Arn || out.SigningAlgorithm != in.SigningAlgorithm || !ecdsa.VerifyASN1(pub, sum[:], out.Signature) {
			t.Errorf("%s: %+v", message, out)
		}
	}
	refused(c.kms.Sign(t.Context(), &kms.SignInput{KeyId: k.KeyId, Message: []byte("short"), MessageType: "DIGEST", SigningAlgorithm: "ECDSA_SHA_256"}))(t,
		"ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.")
}

func testVerify(t *testing.T, c *client) {
	for spec, alg := range map[kmstypes.KeySpec]kmstypes.SigningAlgorithmSpec{
		"RSA_2048": "RSASSA_PSS_SHA_512", "ECC_NIST_P521": "ECDSA_SHA_512", "ECC_SECG_P256K1": "ECDSA_SHA_256", "ECC_NIST_EDWARDS25519": "ED25519_SHA_512", "ML_DSA_65": "ML_DSA_SHAKE_256",
	} {
		k := c.newKey(t, spec, "SIGN_VERIFY")
		sig := must(c.kms.Sign(t.Context(), &kms.SignInput{KeyId: k.KeyId, Message: []byte("m"), SigningAlgorithm: alg}))(t).Signature
		out := must(c.kms.Verify(t.Context(), &kms.VerifyInput{KeyId: k.KeyId, Message: []byte("m"), SigningAlgorithm: alg, Signature: sig}))(t)
		if !out.SignatureValid || *out.KeyId != *k.Arn || out.SigningAlgorithm != alg {
			t.Errorf("%s: %+v", spec, out)
		}
		if e := refused(c.kms.Verify(t.Context(), &kms.VerifyInput{KeyId: k.KeyId, Message: []byte("n"), SigningAlgorithm: alg, Signature: sig}))(t, "KMSInvalidSignatureException"); e.ErrorMessage() != "" {
			t.Errorf("message %q", e.ErrorMessage())
		}
	}
}

func testGenerateMac(t *testing.T, c *client) {
	for spec, alg := range map[kmstypes.KeySpec]kmstypes.MacAlgorithmSpec{"HMAC_224": "HMAC_SHA_224", "HMAC_256": "HMAC_SHA_256", "HMAC_384": "HMAC_SHA_384", "HMAC_512": "HMAC_SHA_512"} {
		k := c.newKey(t, spec, "GENERATE_VERIFY_MAC")
		out := must(c.kms.GenerateMac(t.Context(), &kms.GenerateMacInput{KeyId: k.KeyId, Message: []byte("m"), MacAlgorithm: alg}))(t)
		if *out.KeyId != *k.Arn || out.MacAlgorithm != alg || len(out.Mac) < 28 {
			t.Errorf("%s: %+v", spec, out)
		}
	}
	k := c.newKey(t, "HMAC_224", "GENERATE_VERIFY_MAC")
	refused(c.kms.GenerateMac(t.Context(), &kms.GenerateMacInput{KeyId: k.KeyId, Message: []byte("m"), MacAlgorithm: "HMAC_SHA_256"}))(t,
		"InvalidKeyUsageException", "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.")
}

func testVerifyMac(t *testing.T, c *client) {
	k := c.newKey(t, "HMAC_256", "GENERATE_VERIFY_MAC")
	mac := must(c.kms.GenerateMac(t.Context(), &kms.GenerateMacInput{KeyId: k.KeyId, Message: []byte("m"), MacAlgorithm: "HMAC_SHA_256"}))(t).Mac
	if out := must(c.kms.VerifyMac(t.Context(), &kms.VerifyMacInput{KeyId: k.KeyId, Message: []byte("m"), Mac: mac, MacAlgorithm: "HMAC_SHA_256"}))(t); !out.MacValid || *out.KeyId != *k.Arn {
		t.Errorf("%+v", out)
	}
	mac[0] ^= 1
	refused(c.kms.VerifyMac(t.Context(), &kms.VerifyMacInput{KeyId: k.KeyId, Message: []byte("m"), Mac: mac, MacAlgorithm: "HMAC_SHA_256"}))(t, "KMSInvalidMacException")
}

func testDeriveSharedSecret(t *testing.T, c *client) {
	k := c.newKey(t, "ECC_NIST_P384", "KEY_AGREEMENT")
	peer := must(ecdh.P384().GenerateKey(rand.Reader))(t)
	der := must(x509.MarshalPKIXPublicKey(peer.PublicKey()))(t)
	out := must(c.kms.DeriveSharedSecret(t.Context(), &kms.DeriveSharedSecretInput{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: der}))(t)
	ours := must(c.public(t, k.KeyId).(*ecdsa.PublicKey).ECDH())(t)
	if !bytes.Equal(out.SharedSecret, must(peer.ECDH(ours))(t)) || *out.KeyId != *k.Arn || out.KeyOrigin != kmstypes.OriginTypeAwsKms || out.KeyAgreementAlgorithm != "ECDH" {
		t.Errorf("%+v", out)
	}
	refused(c.kms.DeriveSharedSecret(t.Context(), &kms.DeriveSharedSecretInput{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: []byte("x")}))(t, "ValidationException")
}

func testEncapsulate(t *testing.T, c *client) {
	for spec, size := range map[kmstypes.KeySpec]int{"ML_KEM_512": 768, "ML_KEM_768": 1088, "ML_KEM_1024": 1568} {
		k := c.newKey(t, spec, "ENCAPSULATE_DECAPSULATE")
		out := must(c.kms.Encapsulate(t.Context(), &kms.EncapsulateInput{KeyId: k.KeyId, EncapsulationAlgorithm: "ML_KEM"}))(t)
		if len(out.SharedSecret) != 32 || len(out.SharedSecretCiphertextBlob) != size || *out.KeyId != *k.Arn {
			t.Errorf("%s: %+v", spec, out)
		}
	}
}

func testDecapsulate(t *testing.T, c *client) {
	k := c.newKey(t, "ML_KEM_768", "ENCAPSULATE_DECAPSULATE")
	der := must(c.kms.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: k.KeyId}))(t).PublicKey
	ek := must(mlkem.NewEncapsulationKey768(der[len(der)-mlkem.EncapsulationKeySize768:]))(t)
	shared, blob := ek.Encapsulate()
	out := must(c.kms.Decapsulate(t.Context(), &kms.DecapsulateInput{KeyId: k.KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob: blob}))(t)
	if !bytes.Equal(out.SharedSecret, shared) || *out.KeyId != *k.Arn {
		t.Errorf("%+v", out)
	}
	refused(c.kms.Decapsulate(t.Context(), &kms.DecapsulateInput{KeyId: k.KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob: blob[1:]}))(t, "InvalidCiphertextException")
}
