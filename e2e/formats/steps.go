package main

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

const day = 24 * time.Hour

// keySteps make a key of each spec, and use it.
func (w *world) keySteps() (all []step) {
	add := func(r string, spec types.KeySpec, usage types.KeyUsageType, use func(context.Context, *kms.Client, string, string) error) {
		all = append(all, step{fmt.Sprintf("%s %s", spec, usage), func(ctx context.Context) error {
			c := w.in(r).kms
			k, err := c.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage, Description: aws.String(fmt.Sprint(spec, " for ", usage)),
				Tags: []types.Tag{{TagKey: aws.String("made"), TagValue: aws.String("for a fixture")}}})
			if err != nil {
				return err
			}
			return use(ctx, c, r, *k.KeyMetadata.Arn)
		}})
	}
	add(region, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", w.encrypts("SYMMETRIC_DEFAULT"))
	add(region, "RSA_2048", "ENCRYPT_DECRYPT", w.encrypts("RSAES_OAEP_SHA_256"))
	add(chinese, "SM2", "ENCRYPT_DECRYPT", w.encrypts("SM2PKE"))
	for spec, alg := range map[types.KeySpec]types.SigningAlgorithmSpec{
		"RSA_3072": "RSASSA_PSS_SHA_256", "ECC_NIST_P256": "ECDSA_SHA_256", "ECC_NIST_P384": "ECDSA_SHA_384", "ECC_NIST_P521": "ECDSA_SHA_512",
		"ECC_SECG_P256K1": "ECDSA_SHA_256", "ECC_NIST_EDWARDS25519": "ED25519_SHA_512", "ML_DSA_44": "ML_DSA_SHAKE_256", "ML_DSA_65": "ML_DSA_SHAKE_256", "ML_DSA_87": "ML_DSA_SHAKE_256",
	} {
		add(region, spec, "SIGN_VERIFY", w.signs(alg))
	}
	for spec, alg := range map[types.KeySpec]types.MacAlgorithmSpec{"HMAC_224": "HMAC_SHA_224", "HMAC_256": "HMAC_SHA_256", "HMAC_384": "HMAC_SHA_384", "HMAC_512": "HMAC_SHA_512"} {
		add(region, spec, "GENERATE_VERIFY_MAC", w.macs(alg))
	}
	add(region, "ECC_NIST_P256", "KEY_AGREEMENT", w.agrees)
	for _, spec := range []types.KeySpec{"ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"} {
		add(region, spec, "ENCAPSULATE_DECAPSULATE", w.encapsulates)
	}
	return all
}

func (w *world) encrypts(alg types.EncryptionAlgorithmSpec) func(context.Context, *kms.Client, string, string) error {
	return func(ctx context.Context, c *kms.Client, r, key string) error {
		in := &kms.EncryptInput{KeyId: &key, Plaintext: []byte("kept since then"), EncryptionAlgorithm: alg}
		if alg == "SYMMETRIC_DEFAULT" {
			in.EncryptionContext = map[string]string{"for": "later"}
		} else if err := w.public(ctx, c, r, key); err != nil {
			return err
		}
		out, err := c.Encrypt(ctx, in)
		if err == nil {
			w.holds.Ciphertexts = append(w.holds.Ciphertexts, ciphertext{r, key, string(alg), in.EncryptionContext, out.CiphertextBlob, in.Plaintext})
		}
		return err
	}
}

// keep encrypts under a symmetric key.
func (w *world) keep(ctx context.Context, c *kms.Client, key string) error {
	return w.encrypts("SYMMETRIC_DEFAULT")(ctx, c, region, key)
}

func (w *world) public(ctx context.Context, c *kms.Client, r, key string) error {
	p, err := c.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &key})
	if err == nil {
		w.holds.PublicKeys[r+" "+key] = p.PublicKey
	}
	return err
}

func (w *world) signs(alg types.SigningAlgorithmSpec) func(context.Context, *kms.Client, string, string) error {
	return func(ctx context.Context, c *kms.Client, r, key string) error {
		if err := w.public(ctx, c, r, key); err != nil {
			return err
		}
		msg := []byte("signed then")
		out, err := c.Sign(ctx, &kms.SignInput{KeyId: &key, Message: msg, MessageType: "RAW", SigningAlgorithm: alg})
		if err == nil {
			w.holds.Signatures = append(w.holds.Signatures, signature{r, key, string(alg), msg, out.Signature})
		}
		return err
	}
}

func (w *world) macs(alg types.MacAlgorithmSpec) func(context.Context, *kms.Client, string, string) error {
	return func(ctx context.Context, c *kms.Client, r, key string) error {
		msg := []byte("authenticated then")
		out, err := c.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: &key, Message: msg, MacAlgorithm: alg})
		if err == nil {
			w.holds.MACs = append(w.holds.MACs, signature{r, key, string(alg), msg, out.Mac})
		}
		return err
	}
}

func (w *world) agrees(ctx context.Context, c *kms.Client, r, key string) error {
	peer, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(peer.PublicKey())
	if err != nil {
		return err
	}
	out, err := c.DeriveSharedSecret(ctx, &kms.DeriveSharedSecretInput{KeyId: &key, PublicKey: der, KeyAgreementAlgorithm: "ECDH"})
	if err != nil {
		return err
	}
	w.holds.Shared = append(w.holds.Shared, shared{r, key, "ECDH", der, out.SharedSecret})
	return w.public(ctx, c, r, key)
}

func (w *world) encapsulates(ctx context.Context, c *kms.Client, r, key string) error {
	d, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	if err != nil {
		return err
	}
	alg := d.KeyMetadata.EncapsulationAlgorithms[0]
	out, err := c.Encapsulate(ctx, &kms.EncapsulateInput{KeyId: &key, EncapsulationAlgorithm: alg})
	if err != nil {
		return err
	}
	w.holds.Shared = append(w.holds.Shared, shared{r, key, string(alg), out.SharedSecretCiphertextBlob, out.SharedSecret})
	return w.public(ctx, c, r, key)
}

// create makes a symmetric key.
func create(ctx context.Context, c *kms.Client, in *kms.CreateKeyInput) (string, error) {
	out, err := c.CreateKey(ctx, in)
	if err != nil {
		return "", err
	}
	return *out.KeyMetadata.Arn, nil
}

// keyStateSteps make keys in every state, rotated, imported and replicated ones, and what belongs to keys.
func (w *world) keyStateSteps() []step {
	c := w.in(region).kms
	return []step{
		{"a rotated key", func(ctx context.Context) error {
			key, err := create(ctx, c, &kms.CreateKeyInput{Description: aws.String("rotated")})
			if err != nil {
				return err
			}
			if err := w.keep(ctx, c, key); err != nil {
				return err
			}
			if _, err := c.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: &key, RotationPeriodInDays: aws.Int32(90)}); err != nil {
				return err
			}
			if _, err := c.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: &key}); err != nil {
				return err
			}
			return w.keep(ctx, c, key)
		}},
		{"an imported key", func(ctx context.Context) error { return w.imported(ctx, c) }},
		{"a multi-Region key", func(ctx context.Context) error {
			key, err := create(ctx, c, &kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
			if err != nil {
				return err
			}
			r, err := c.ReplicateKey(ctx, &kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String(other)})
			if err != nil {
				return err
			}
			if err := w.keep(ctx, c, key); err != nil {
				return err
			}
			last := w.holds.Ciphertexts[len(w.holds.Ciphertexts)-1]
			last.Region, last.Key = other, *r.ReplicaKeyMetadata.Arn // the replica opens it too
			w.holds.Ciphertexts = append(w.holds.Ciphertexts, last)
			return nil
		}},
		{"a disabled key", func(ctx context.Context) error {
			key, err := create(ctx, c, &kms.CreateKeyInput{Description: aws.String("disabled")})
			if err == nil {
				_, err = c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &key})
			}
			return err
		}},
		{"a deleted key", func(ctx context.Context) error {
			key, err := create(ctx, c, &kms.CreateKeyInput{})
			if err != nil {
				return err
			}
			if _, err := c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(7)}); err != nil {
				return err
			}
			w.holds.Gone = append(w.holds.Gone, key)
			return w.advance(8 * day)
		}},
		{"a key that waits for its deletion", func(ctx context.Context) error {
			key, err := create(ctx, c, &kms.CreateKeyInput{})
			if err == nil {
				_, err = c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(30)})
			}
			return err
		}},
		{"an alias", func(ctx context.Context) error {
			key := w.holds.Ciphertexts[0].Key
			_, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/kept"), TargetKeyId: &key})
			return err
		}},
		{"grants", func(ctx context.Context) error {
			for i := range 3 {
				_, err := c.CreateGrant(ctx, &kms.CreateGrantInput{
					KeyId: &w.holds.Ciphertexts[0].Key, Name: aws.String(fmt.Sprint("grant", i)), GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"),
					RetiringPrincipal: aws.String("arn:aws:iam::" + account + ":root"), Operations: []types.GrantOperation{"Decrypt", "GenerateDataKey"},
					Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"for": "later"}},
				})
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"an external key store", func(ctx context.Context) error {
			_, err := c.CreateCustomKeyStore(ctx, &kms.CreateCustomKeyStoreInput{
				CustomKeyStoreName: aws.String("kept"), CustomKeyStoreType: "EXTERNAL_KEY_STORE", XksProxyConnectivity: "PUBLIC_ENDPOINT",
				XksProxyUriEndpoint: aws.String("https://xks.example.com"), XksProxyUriPath: aws.String("/kms/xks/v1"),
				XksProxyAuthenticationCredential: &types.XksProxyAuthenticationCredentialType{AccessKeyId: aws.String("ABCDEFGHIJKLMNOPQRST"), RawSecretAccessKey: aws.String("DXjSUawnel2fr6SKC7G25CNxTyWKE5PF9XX6H/u9pSo=")},
			})
			return err
		}},
	}
}

func (w *world) imported(ctx context.Context, c *kms.Client) error {
	key, err := create(ctx, c, &kms.CreateKeyInput{Origin: "EXTERNAL", Description: aws.String("imported")})
	if err != nil {
		return err
	}
	p, err := c.GetParametersForImport(ctx, &kms.GetParametersForImportInput{KeyId: &key, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048"})
	if err != nil {
		return err
	}
	pub, err := x509.ParsePKIXPublicKey(p.PublicKey)
	if err != nil {
		return err
	}
	material := make([]byte, 32)
	rand.Read(material) // never fails
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, pub.(*rsa.PublicKey), material, nil)
	if err != nil {
		return err
	}
	if _, err := c.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
		KeyId: &key, ImportToken: p.ImportToken, EncryptedKeyMaterial: wrapped, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
	}); err != nil {
		return err
	}
	return w.keep(ctx, c, key)
}
