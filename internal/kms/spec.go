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
	"HMAC_224":                      mac("HMAC_SHA_224"),
	"HMAC_256":                      mac("HMAC_SHA_256"),
	"HMAC_384":                      mac("HMAC_SHA_384"),
	"HMAC_512":                      mac("HMAC_SHA_512"),
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

// An operation is a row of the table of key states.
type operation uint8

const (
	opUse         operation = iota // cryptography
	opCreateGrant                  //
	opCreateAlias                  // also the new target of UpdateAlias
	opRead                         // Describe, Get, List, PutKeyPolicy, Retire and Revoke, DeleteAlias
	opEdit                         // tags and description
	opSwitch                       // EnableKey, DisableKey
	opSchedule                     //
	opCancel                       //
	numOps
)

// A keyState is a column of the table.
type keyState uint8

const (
	stateEnabled keyState = iota
	stateDisabled
	statePendingDeletion
	numStates
)

type verdict uint8 // the zero value means that nobody decided; check refuses it

const (
	_ verdict = iota
	ok
	disabled   // DisabledException
	pending    // KMSInvalidStateException: pending deletion
	notPending // KMSInvalidStateException: not pending deletion
)

// states says what each operation does in each state. Source: KMS Developer Guide, "Key states of
// AWS KMS keys".
var states = [numOps][numStates]verdict{
	opUse:         {ok, disabled, pending},
	opCreateGrant: {ok, disabled, pending},
	opCreateAlias: {ok, ok, pending},
	opRead:        {ok, ok, ok},
	opEdit:        {ok, ok, pending},
	opSwitch:      {ok, ok, pending},
	opSchedule:    {ok, ok, pending},
	opCancel:      {notPending, notPending, ok},
}

var stateOf = map[string]keyState{
	kmsapi.KeyStateEnabled: stateEnabled, kmsapi.KeyStateDisabled: stateDisabled,
	kmsapi.KeyStatePendingDeletion: statePendingDeletion,
}

// check refuses an operation that the key's state does not allow.
func (op operation) check(k *keyView) error {
	s, known := stateOf[k.State]
	if !known {
		return apierr.Newf("KMSInvalidStateException", "%s is %s.", k.arn, k.State)
	}
	switch states[op][s] {
	case ok:
		return nil
	case disabled:
		return apierr.Newf("DisabledException", "%s is disabled.", k.arn)
	case pending:
		return apierr.Newf("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	case notPending:
		return apierr.Newf("KMSInvalidStateException", "%s is not pending deletion.", k.arn)
	}
	return &apierr.Error{Code: "KMSInternalException", Server: true}
}
