// Package openssl_test compares what KMS makes and takes with OpenSSL's command line: `make openssl`.
package openssl_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A bench has a server and a folder in which openssl runs.
type bench struct {
	t   *testing.T
	kms *kms.Client
	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := server.Start(t, t.TempDir()+"/data")
	account := seed.NewAccount()
	cfg := aws.Config{Region: seed.Region, BaseEndpoint: &s.URL, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: account + "ADMIN", SecretAccessKey: "test"}, nil
	})}
	return &bench{t, kms.NewFromConfig(cfg), t.TempDir()}
}

// in is the bench of a subtest, with a folder of its own.
func (b *bench) in(t *testing.T) *bench { return &bench{t, b.kms, t.TempDir()} }

func (b *bench) write(name string, data []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) []byte {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

// run runs openssl and gives its output; arguments are separated by spaces.
func (b *bench) run(args string) []byte {
	b.t.Helper()
	out, err := b.try(args)
	if err != nil {
		b.t.Fatalf("openssl %s: %v\n%s", args, err, out)
	}
	return out
}

func (b *bench) try(args string) ([]byte, error) {
	cmd := exec.CommandContext(b.t.Context(), "openssl", strings.Fields(args)...)
	cmd.Dir = b.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return append(out, stderr.Bytes()...), err
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *bench) key(spec types.KeySpec, usage types.KeyUsageType, origin types.OriginType) *string {
	b.t.Helper()
	return must(b.kms.CreateKey(b.t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage, Origin: origin}))(b.t).KeyMetadata.Arn
}

// public writes a key's public key, and its form in PEM, which openssl made.
func (b *bench) public(key *string) {
	b.t.Helper()
	b.write("pub.der", must(b.kms.GetPublicKey(b.t.Context(), &kms.GetPublicKeyInput{KeyId: key}))(b.t).PublicKey)
	b.run("pkey -pubin -inform DER -in pub.der -out pub.pem")
}

// specs are the specs of keys that sign, with openssl's words for their algorithms.
var signing = []struct {
	spec      types.KeySpec
	algorithm types.SigningAlgorithmSpec
	verify    string
}{
	{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", "-digest sha256 -rawin"},
	{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384", "-digest sha384 -rawin"},
	{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512", "-digest sha512 -rawin"},
	{"RSA_3072", "RSASSA_PSS_SHA_256", "-digest sha256 -rawin -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest -pkeyopt rsa_mgf1_md:sha256"},
	{"RSA_3072", "RSASSA_PSS_SHA_384", "-digest sha384 -rawin -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest -pkeyopt rsa_mgf1_md:sha384"},
	{"RSA_4096", "RSASSA_PSS_SHA_512", "-digest sha512 -rawin -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest -pkeyopt rsa_mgf1_md:sha512"},
	{"ECC_NIST_P256", "ECDSA_SHA_256", "-digest sha256 -rawin"},
	{"ECC_NIST_P384", "ECDSA_SHA_384", "-digest sha384 -rawin"},
	{"ECC_NIST_P521", "ECDSA_SHA_512", "-digest sha512 -rawin"},
	{"ECC_SECG_P256K1", "ECDSA_SHA_256", "-digest sha256 -rawin"},
	{"ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "-rawin"},
}

func TestSignatures(t *testing.T) {
	b := newBench(t)
	for _, s := range signing {
		t.Run(string(s.algorithm)+"/"+string(s.spec), func(t *testing.T) {
			b := b.in(t)
			key := b.key(s.spec, "SIGN_VERIFY", "")
			b.public(key)
			b.write("message", []byte("a message"))
			b.write("sig", must(b.kms.Sign(t.Context(), &kms.SignInput{KeyId: key, Message: []byte("a message"), SigningAlgorithm: s.algorithm}))(t).Signature)
			verify := "pkeyutl -verify -pubin -inkey pub.pem -in message -sigfile sig " + s.verify
			b.run(verify)
			b.write("message", []byte("another message"))
			if out, err := b.try(verify); err == nil {
				t.Errorf("openssl takes it for another message too: %s", out)
			}
		})
	}
}

// What openssl signs with a key of its own, KMS verifies after the key was imported, and the other way
// around.
func TestImportedKeysSign(t *testing.T) {
	b := newBench(t)
	for spec, curve := range map[types.KeySpec]string{"ECC_NIST_P256": "P-256", "ECC_NIST_P384": "P-384", "ECC_SECG_P256K1": "secp256k1"} {
		t.Run(string(spec), func(t *testing.T) {
			b := b.in(t)
			b.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:" + curve + " -out key.pem")
			b.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out material")
			key := b.key(spec, "SIGN_VERIFY", types.OriginTypeExternal)
			b.importMaterial(key)
			b.roundTrip(key, "ECDSA_SHA_"+map[types.KeySpec]string{"ECC_NIST_P384": "384"}[spec])
		})
	}
	t.Run("RSA_2048", func(t *testing.T) { // too long for OAEP: wrapped by AES key wrap with padding
		b := b.in(t)
		b.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem")
		b.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out material")
		key := b.key("RSA_2048", "SIGN_VERIFY", types.OriginTypeExternal)
		p := must(b.kms.GetParametersForImport(t.Context(), &kms.GetParametersForImportInput{
			KeyId: key, WrappingAlgorithm: types.AlgorithmSpecRsaAesKeyWrapSha256, WrappingKeySpec: types.WrappingKeySpecRsa4096,
		}))(t)
		b.write("wrap.der", p.PublicKey)
		aes := bytes.Repeat([]byte{0x5a, 0xc3}, 16)
		b.write("aes", aes)
		b.run("enc -id-aes256-wrap-pad -K " + hex.EncodeToString(aes) + " -iv A65959A6 -in material -out wrapped")
		b.run("pkeyutl -encrypt -pubin -keyform DER -inkey wrap.der -in aes -out aes.enc -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256")
		must(b.kms.ImportKeyMaterial(t.Context(), &kms.ImportKeyMaterialInput{
			KeyId: key, ImportToken: p.ImportToken, EncryptedKeyMaterial: append(b.read("aes.enc"), b.read("wrapped")...),
			ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
		}))(t)
		b.roundTrip(key, "RSASSA_PKCS1_V1_5_SHA_256")
	})
}

// importMaterial wraps the file material with openssl, by OAEP, and imports it.
func (b *bench) importMaterial(key *string) {
	b.t.Helper()
	p := must(b.kms.GetParametersForImport(b.t.Context(), &kms.GetParametersForImportInput{
		KeyId: key, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa4096,
	}))(b.t)
	b.write("wrap.der", p.PublicKey)
	b.run("pkeyutl -encrypt -pubin -keyform DER -inkey wrap.der -in material -out wrapped -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256")
	must(b.kms.ImportKeyMaterial(b.t.Context(), &kms.ImportKeyMaterialInput{
		KeyId: key, ImportToken: p.ImportToken, EncryptedKeyMaterial: b.read("wrapped"), ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}))(b.t)
}

// roundTrip has KMS and openssl, which has the private key in key.pem, verify each other's signatures.
func (b *bench) roundTrip(key *string, algorithm string) {
	b.t.Helper()
	digest := "sha256"
	if strings.HasSuffix(algorithm, "384") {
		digest = "sha384"
	} else if strings.HasSuffix(algorithm, "_") {
		algorithm += "256"
	}
	alg := types.SigningAlgorithmSpec(algorithm)
	b.write("message", []byte("a message"))
	b.run("pkey -in key.pem -pubout -out pub.pem")
	b.run("pkeyutl -sign -inkey key.pem -in message -rawin -digest " + digest + " -out sig")
	if out := must(b.kms.Verify(b.t.Context(), &kms.VerifyInput{KeyId: key, Message: []byte("a message"), Signature: b.read("sig"), SigningAlgorithm: alg}))(b.t); !out.SignatureValid {
		b.t.Error("KMS does not take openssl's signature")
	}
	b.write("sig", must(b.kms.Sign(b.t.Context(), &kms.SignInput{KeyId: key, Message: []byte("a message"), SigningAlgorithm: alg}))(b.t).Signature)
	b.run("pkeyutl -verify -pubin -inkey pub.pem -in message -sigfile sig -rawin -digest " + digest)
}

func TestRSAEncryption(t *testing.T) {
	b := newBench(t)
	for _, spec := range []types.KeySpec{"RSA_2048", "RSA_3072", "RSA_4096"} {
		key := b.key(spec, "ENCRYPT_DECRYPT", "")
		for alg, md := range map[types.EncryptionAlgorithmSpec]string{"RSAES_OAEP_SHA_1": "sha1", "RSAES_OAEP_SHA_256": "sha256"} {
			t.Run(string(spec)+"/"+md, func(t *testing.T) {
				b := b.in(t)
				b.public(key)
				b.write("plain", []byte("from outside"))
				b.run("pkeyutl -encrypt -pubin -inkey pub.pem -in plain -out sealed -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:" + md + " -pkeyopt rsa_mgf1_md:" + md)
				out := must(b.kms.Decrypt(t.Context(), &kms.DecryptInput{KeyId: key, CiphertextBlob: b.read("sealed"), EncryptionAlgorithm: alg}))(t)
				if string(out.Plaintext) != "from outside" {
					t.Errorf("decrypted %q", out.Plaintext)
				}
			})
		}
	}
}

func TestKeyAgreement(t *testing.T) {
	b := newBench(t)
	for spec, curve := range map[types.KeySpec]string{"ECC_NIST_P256": "P-256", "ECC_NIST_P384": "P-384", "ECC_NIST_P521": "P-521"} {
		t.Run(string(spec), func(t *testing.T) {
			b := b.in(t)
			key := b.key(spec, "KEY_AGREEMENT", "")
			b.public(key)
			b.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:" + curve + " -out peer.pem")
			b.run("pkey -in peer.pem -pubout -outform DER -out peer.der")
			b.run("pkeyutl -derive -inkey peer.pem -peerkey pub.pem -out shared")
			out := must(b.kms.DeriveSharedSecret(t.Context(), &kms.DeriveSharedSecretInput{KeyId: key, KeyAgreementAlgorithm: "ECDH", PublicKey: b.read("peer.der")}))(t)
			if !bytes.Equal(out.SharedSecret, b.read("shared")) {
				t.Error("the secrets differ")
			}
		})
	}
}

func TestMACs(t *testing.T) {
	b := newBench(t)
	for spec, n := range map[types.KeySpec]int{"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64} {
		t.Run(string(spec), func(t *testing.T) {
			b := b.in(t)
			bits := strings.TrimPrefix(string(spec), "HMAC_")
			material := bytes.Repeat([]byte{0x37}, n)
			b.write("material", material)
			b.write("message", []byte("a message"))
			key := b.key(spec, "GENERATE_VERIFY_MAC", types.OriginTypeExternal)
			b.importMaterial(key)
			b.run("dgst -sha" + bits + " -mac HMAC -macopt hexkey:" + hex.EncodeToString(material) + " -binary -out mac message")
			out := must(b.kms.GenerateMac(t.Context(), &kms.GenerateMacInput{KeyId: key, Message: []byte("a message"), MacAlgorithm: types.MacAlgorithmSpec("HMAC_SHA_" + bits)}))(t)
			if !bytes.Equal(out.Mac, b.read("mac")) {
				t.Error("the codes differ")
			}
		})
	}
}

// The pairs are pairs to openssl too, and it finds nothing wrong with them.
func TestDataKeyPairs(t *testing.T) {
	b := newBench(t)
	key := b.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "")
	for _, spec := range []types.DataKeyPairSpec{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"} {
		t.Run(string(spec), func(t *testing.T) {
			b := b.in(t)
			out := must(b.kms.GenerateDataKeyPair(t.Context(), &kms.GenerateDataKeyPairInput{KeyId: key, KeyPairSpec: spec}))(t)
			b.write("key.der", out.PrivateKeyPlaintext)
			b.run("pkey -inform DER -in key.der -check -noout")
			b.run("pkey -inform DER -in key.der -pubout -outform DER -out pub.der")
			if !bytes.Equal(b.read("pub.der"), out.PublicKey) {
				t.Error("the public keys differ")
			}
		})
	}
}
