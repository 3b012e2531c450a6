package kms

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// A specInfo says what a key spec can be used for. Source: KMS Developer Guide, "Key spec
// reference".
type specInfo map[string][]string // usage to algorithms, in the order AWS lists them

func (s specInfo) algorithms(usage string) []string { return s[usage] }

var (
	rsaEncryption = []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}
	rsaSigning    = []string{
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	}
	rsa = specInfo{kmsapi.KeyUsageTypeENCRYPT_DECRYPT: rsaEncryption, kmsapi.KeyUsageTypeSIGN_VERIFY: rsaSigning}
)

func ecc(alg string) specInfo {
	return specInfo{kmsapi.KeyUsageTypeSIGN_VERIFY: {alg}, kmsapi.KeyUsageTypeKEY_AGREEMENT: {"ECDH"}}
}

func mac(alg string) specInfo { return specInfo{kmsapi.KeyUsageTypeGENERATE_VERIFY_MAC: {alg}} }

// specs are the key specs that this kagimori makes material for.
var specs = map[string]specInfo{
	kmsapi.KeySpecSYMMETRIC_DEFAULT: {kmsapi.KeyUsageTypeENCRYPT_DECRYPT: {"SYMMETRIC_DEFAULT"}},
	"RSA_2048":                      rsa,
	"RSA_3072":                      rsa,
	"RSA_4096":                      rsa,
	"ECC_NIST_P256":                 ecc("ECDSA_SHA_256"),
	"ECC_NIST_P384":                 ecc("ECDSA_SHA_384"),
	"ECC_NIST_P521":                 ecc("ECDSA_SHA_512"),
	"ECC_NIST_EDWARDS25519":         {kmsapi.KeyUsageTypeSIGN_VERIFY: {"ED25519_SHA_512", "ED25519_PH_SHA_512"}},
	"HMAC_224":                      mac("HMAC_SHA_224"),
	"HMAC_256":                      mac("HMAC_SHA_256"),
	"HMAC_384":                      mac("HMAC_SHA_384"),
	"HMAC_512":                      mac("HMAC_SHA_512"),
}

// grantOrder is every grant operation in the order of the API Reference (CreateGrant, Operations),
// in which grants list theirs.
var grantOrder = []string{
	"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign", "Verify",
	"GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
	"GenerateMac", "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate",
}

// inGrantOrder sorts operations and drops repeated ones.
func inGrantOrder(ops []string) []string {
	out := slices.Clone(ops)
	slices.SortStableFunc(out, func(a, b string) int {
		return slices.Index(grantOrder, a) - slices.Index(grantOrder, b)
	})
	return slices.Compact(out)
}

// grantOperations lists what a grant on a key of this usage may allow beside CreateGrant,
// DescribeKey and RetireGrant. Source: KMS Developer Guide, "Grant operations".
func grantOperations(spec, usage string) []string {
	switch {
	case spec == kmsapi.KeySpecSYMMETRIC_DEFAULT:
		return []string{
			"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
			"GenerateDataKeyPairWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
		}
	case usage == kmsapi.KeyUsageTypeENCRYPT_DECRYPT:
		return []string{"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"}
	case usage == kmsapi.KeyUsageTypeSIGN_VERIFY:
		return []string{"Sign", "Verify", "GetPublicKey"}
	case usage == kmsapi.KeyUsageTypeKEY_AGREEMENT:
		return []string{"DeriveSharedSecret", "GetPublicKey"}
	case usage == kmsapi.KeyUsageTypeGENERATE_VERIFY_MAC:
		return []string{"GenerateMac", "VerifyMac"}
	}
	return nil
}

// checkUse refuses a key whose usage does not fit an operation or whose spec lacks the algorithm.
func (k *keyView) checkUse(op, usage, alg string) error {
	if k.Usage != usage {
		return apierr.Newf("InvalidKeyUsageException", "%s key usage is %s which is not valid for %s.", k.arn, k.Usage, op)
	}
	if !slices.Contains(specs[k.Spec].algorithms(usage), alg) {
		return apierr.Newf("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", alg, k.Spec)
	}
	return nil
}
