package keyrule

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
)

// symmetric is the spec, and the algorithm, of keys for symmetric encryption.
const symmetric = "SYMMETRIC_DEFAULT"

const sm2 = "SM2"

// Usages of keys.
const (
	encrypts     = "ENCRYPT_DECRYPT"
	signs        = "SIGN_VERIFY"
	macs         = "GENERATE_VERIFY_MAC"
	agrees       = "KEY_AGREEMENT"
	encapsulates = "ENCAPSULATE_DECAPSULATE"
)

var (
	rsaEncryption = []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}
	rsaSigning    = []string{
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	}
	rsa = map[string][]string{encrypts: rsaEncryption, signs: rsaSigning}
)

func ecc(alg string) map[string][]string {
	return map[string][]string{signs: {alg}, agrees: {"ECDH"}}
}

func mac(alg string) map[string][]string { return map[string][]string{macs: {alg}} }

var (
	mldsa = map[string][]string{signs: {"ML_DSA_SHAKE_256"}}
	mlkem = map[string][]string{encapsulates: {"ML_KEM"}}
)

// specs are the algorithms of each key spec, by usage. Source: KMS Developer Guide, "Key spec
// reference".
var specs = map[string]map[string][]string{
	symmetric:               {encrypts: {symmetric}},
	"RSA_2048":              rsa,
	"RSA_3072":              rsa,
	"RSA_4096":              rsa,
	"ECC_NIST_P256":         ecc("ECDSA_SHA_256"),
	"ECC_NIST_P384":         ecc("ECDSA_SHA_384"),
	"ECC_NIST_P521":         ecc("ECDSA_SHA_512"),
	"ECC_NIST_EDWARDS25519": {signs: {"ED25519_SHA_512", "ED25519_PH_SHA_512"}},
	"HMAC_224":              mac("HMAC_SHA_224"),
	"HMAC_256":              mac("HMAC_SHA_256"),
	"HMAC_384":              mac("HMAC_SHA_384"),
	"HMAC_512":              mac("HMAC_SHA_512"),
	"ECC_SECG_P256K1":       {signs: {"ECDSA_SHA_256"}},
	"ML_DSA_44":             mldsa,
	"ML_DSA_65":             mldsa,
	"ML_DSA_87":             mldsa,
	"ML_KEM_512":            mlkem,
	"ML_KEM_768":            mlkem,
	"ML_KEM_1024":           mlkem,
	sm2:                     {encrypts: {"SM2PKE"}, signs: {"SM2DSA"}, agrees: {"ECDH"}},
}

// Algorithms are those of keys of a spec and usage, in the order AWS lists them; nil if the two do
// not go together. known is false for a spec that there is not.
func Algorithms(spec, usage string) (algorithms []string, known bool) {
	info, known := specs[spec]
	return info[usage], known
}

// InRegion reports whether a Region has keys and data key pairs of a spec: SM2 is only in the China
// Regions, ML-KEM only in the others. Source: KMS Developer Guide, "Key spec reference".
func InRegion(spec, region string) bool {
	china := strings.HasPrefix(region, "cn-")
	switch {
	case spec == sm2:
		return china
	case strings.HasPrefix(spec, "ML_KEM_"):
		return !china
	}
	return true
}

// CheckUse refuses a key whose usage does not fit an operation or whose spec lacks the algorithm.
func (k *Key) CheckUse(op, usage, alg string) error {
	if k.Usage != usage {
		return apierr.Newf("InvalidKeyUsageException", "%s key usage is %s which is not valid for %s.", k.ARN(), k.Usage, op)
	}
	if algs, _ := Algorithms(k.Spec, usage); !slices.Contains(algs, alg) {
		if op == "GenerateDataKey" || op == "GenerateDataKeyWithoutPlaintext" { // as reported by users
			return apierr.New("InvalidKeyUsageException", "You cannot generate a data key with an asymmetric CMK")
		}
		return apierr.Newf("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", alg, k.Spec)
	}
	return nil
}

// CheckEncrypts refuses a key that an operation of symmetric encryption cannot use: of another kind
// or in another state.
func (k *Key) CheckEncrypts(op string) error {
	if err := k.CheckUse(op, encrypts, symmetric); err != nil {
		return err
	}
	return Use.Check(k)
}
