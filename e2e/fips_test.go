package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

const (
	unsupported = "UnsupportedOperationException"
	notApproved = "not approved"
)

// before are keys from a time without the profile, and what they made.
type before struct {
	curve, dsa, kem, rsa, symmetric, imported string
	curveSig, dsaSig, encapsulated, sha1Blob  []byte
	token, wrapped                            []byte
}

func (c *client) specKey(t *testing.T, spec kmstypes.KeySpec, usage kmstypes.KeyUsageType) string {
	t.Helper()
	return *must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}))(t).KeyMetadata.Arn
}

func newBefore(t *testing.T, c *client) before {
	t.Helper()
	ctx := t.Context()
	b := before{
		curve: c.specKey(t, "ECC_SECG_P256K1", "SIGN_VERIFY"), dsa: c.specKey(t, "ML_DSA_65", "SIGN_VERIFY"),
		kem: c.specKey(t, "ML_KEM_768", "ENCAPSULATE_DECAPSULATE"), rsa: c.specKey(t, "RSA_2048", "ENCRYPT_DECRYPT"),
		symmetric: c.specKey(t, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
	}
	sign := func(key string, alg kmstypes.SigningAlgorithmSpec) []byte {
		return must(c.kms.Sign(ctx, &kms.SignInput{KeyId: &key, Message: []byte("m"), SigningAlgorithm: alg}))(t).Signature
	}
	b.curveSig, b.dsaSig = sign(b.curve, "ECDSA_SHA_256"), sign(b.dsa, "ML_DSA_SHAKE_256")
	b.encapsulated = must(c.kms.Encapsulate(ctx, &kms.EncapsulateInput{KeyId: &b.kem, EncapsulationAlgorithm: "ML_KEM"}))(t).SharedSecretCiphertextBlob
	b.sha1Blob = must(c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &b.rsa, Plaintext: []byte("x"), EncryptionAlgorithm: "RSAES_OAEP_SHA_1"}))(t).CiphertextBlob
	b.imported = *must(c.kms.CreateKey(ctx, &kms.CreateKeyInput{Origin: "EXTERNAL"}))(t).KeyMetadata.Arn
	params := must(c.kms.GetParametersForImport(ctx, &kms.GetParametersForImportInput{KeyId: &b.imported, WrappingAlgorithm: "RSAES_OAEP_SHA_1", WrappingKeySpec: "RSA_2048"}))(t)
	public := must(x509.ParsePKIXPublicKey(params.PublicKey))(t).(*rsa.PublicKey)
	b.token, b.wrapped = params.ImportToken, must(rsa.EncryptOAEP(sha1.New(), rand.Reader, public, make([]byte, 32), nil))(t)
	return b
}

// With --fips every algorithm that is not approved is refused, for new keys and for those that were there
// before; everything else works. What is approved: docs/sealing.md.
func TestFIPSProfile(t *testing.T) {
	dir := t.TempDir() + "/data"
	account := seed.NewAccount()
	s := server.Start(t, dir)
	b := newBefore(t, adminOf(s.URL, account))
	s.Stop()
	t.Setenv("GODEBUG", "fips140=on")
	c := adminOf(server.Start(t, dir, "--fips").URL, account)
	t.Run("new keys", func(t *testing.T) { fipsNewKeys(t, c) })
	t.Run("old keys", func(t *testing.T) { fipsOldKeys(t, c, &b) })
	t.Run("approved", func(t *testing.T) { fipsApproved(t, c, &b) })
}

func fipsNewKeys(t *testing.T, c *client) {
	ctx := t.Context()
	for spec, usage := range map[kmstypes.KeySpec]kmstypes.KeyUsageType{
		"ECC_SECG_P256K1": "SIGN_VERIFY", "ML_DSA_44": "SIGN_VERIFY", "ML_DSA_65": "SIGN_VERIFY", "ML_DSA_87": "SIGN_VERIFY",
		"ML_KEM_512": "ENCAPSULATE_DECAPSULATE", "ML_KEM_768": "ENCAPSULATE_DECAPSULATE", "ML_KEM_1024": "ENCAPSULATE_DECAPSULATE",
	} {
		refused(c.kms.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}))(t, unsupported, notApproved)
	}
	symmetric := c.specKey(t, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	for _, spec := range []kmstypes.DataKeyPairSpec{"ECC_SECG_P256K1", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"} {
		refused(c.kms.GenerateDataKeyPair(ctx, &kms.GenerateDataKeyPairInput{KeyId: &symmetric, KeyPairSpec: spec}))(t, unsupported, notApproved)
		refused(c.kms.GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: &symmetric, KeyPairSpec: spec}))(t, unsupported, notApproved)
	}
}

func fipsOldKeys(t *testing.T, c *client, b *before) {
	ctx := t.Context()
	for _, k := range []struct {
		key string
		alg kmstypes.SigningAlgorithmSpec
		sig []byte
	}{{b.curve, "ECDSA_SHA_256", b.curveSig}, {b.dsa, "ML_DSA_SHAKE_256", b.dsaSig}} {
		refused(c.kms.Sign(ctx, &kms.SignInput{KeyId: &k.key, Message: []byte("m"), SigningAlgorithm: k.alg}))(t, unsupported, notApproved)
		refused(c.kms.Verify(ctx, &kms.VerifyInput{KeyId: &k.key, Message: []byte("m"), Signature: k.sig, SigningAlgorithm: k.alg}))(t, unsupported, notApproved)
	}
	refused(c.kms.Encapsulate(ctx, &kms.EncapsulateInput{KeyId: &b.kem, EncapsulationAlgorithm: "ML_KEM"}))(t, unsupported, notApproved)
	refused(c.kms.Decapsulate(ctx, &kms.DecapsulateInput{KeyId: &b.kem, SharedSecretCiphertextBlob: b.encapsulated, EncapsulationAlgorithm: "ML_KEM"}))(t, unsupported, notApproved)
	refused(c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &b.rsa, Plaintext: []byte("x"), EncryptionAlgorithm: "RSAES_OAEP_SHA_1"}))(t, unsupported, notApproved)
	refused(c.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: &b.rsa, CiphertextBlob: b.sha1Blob, EncryptionAlgorithm: "RSAES_OAEP_SHA_1"}))(t, unsupported, notApproved)
	refused(c.kms.ReEncrypt(ctx, &kms.ReEncryptInput{
		SourceKeyId: &b.rsa, CiphertextBlob: b.sha1Blob, SourceEncryptionAlgorithm: "RSAES_OAEP_SHA_1", DestinationKeyId: &b.symmetric,
	}))(t, unsupported, notApproved)
	blob := must(c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &b.symmetric, Plaintext: []byte("x")}))(t).CiphertextBlob
	refused(c.kms.ReEncrypt(ctx, &kms.ReEncryptInput{
		CiphertextBlob: blob, DestinationKeyId: &b.rsa, DestinationEncryptionAlgorithm: "RSAES_OAEP_SHA_1",
	}))(t, unsupported, notApproved)
	for _, alg := range []kmstypes.AlgorithmSpec{"RSAES_OAEP_SHA_1", "RSA_AES_KEY_WRAP_SHA_1"} {
		refused(c.kms.GetParametersForImport(ctx, &kms.GetParametersForImportInput{KeyId: &b.imported, WrappingAlgorithm: alg, WrappingKeySpec: "RSA_2048"}))(t, unsupported)
	}
	refused(c.kms.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
		KeyId: &b.imported, ImportToken: b.token, EncryptedKeyMaterial: b.wrapped, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
	}))(t, unsupported)
	// They can still be looked at, and deleted.
	for _, key := range []string{b.curve, b.dsa, b.kem} {
		must(c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key}))(t)
		refused(c.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &key}))(t, unsupported, notApproved)
		must(c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key}))(t)
	}
}

func fipsApproved(t *testing.T, c *client, b *before) {
	ctx := t.Context()
	blob := must(c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &b.rsa, Plaintext: []byte("x"), EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))(t).CiphertextBlob
	out := must(c.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: &b.rsa, CiphertextBlob: blob, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))(t)
	if string(out.Plaintext) != "x" {
		t.Errorf("decrypted %q", out.Plaintext)
	}
	for spec, alg := range map[kmstypes.KeySpec]kmstypes.SigningAlgorithmSpec{
		"RSA_2048": "RSASSA_PSS_SHA_256", "ECC_NIST_P256": "ECDSA_SHA_256", "ECC_NIST_P384": "ECDSA_SHA_384", "ECC_NIST_P521": "ECDSA_SHA_512",
		"ECC_NIST_EDWARDS25519": "ED25519_SHA_512",
	} {
		key := c.specKey(t, spec, "SIGN_VERIFY")
		sig := must(c.kms.Sign(ctx, &kms.SignInput{KeyId: &key, Message: []byte("m"), SigningAlgorithm: alg}))(t).Signature
		must(c.kms.Verify(ctx, &kms.VerifyInput{KeyId: &key, Message: []byte("m"), Signature: sig, SigningAlgorithm: alg}))(t)
	}
	mac := c.specKey(t, "HMAC_224", "GENERATE_VERIFY_MAC")
	must(c.kms.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: &mac, Message: []byte("m"), MacAlgorithm: "HMAC_SHA_224"}))(t)
	agree := c.specKey(t, "ECC_NIST_P384", "KEY_AGREEMENT")
	public := must(c.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &agree}))(t).PublicKey
	must(c.kms.DeriveSharedSecret(ctx, &kms.DeriveSharedSecretInput{KeyId: &agree, PublicKey: public, KeyAgreementAlgorithm: "ECDH"}))(t)
	must(c.kms.GenerateDataKeyPair(ctx, &kms.GenerateDataKeyPairInput{KeyId: &b.symmetric, KeyPairSpec: "RSA_2048"}))(t)
	must(c.kms.GenerateRandom(ctx, &kms.GenerateRandomInput{NumberOfBytes: new(int32(32))}))(t)
}
