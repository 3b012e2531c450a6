package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// kmsOperations are the tests of the operations of KMS, one each.
var kmsOperations = map[string]func(t *testing.T, c *client){
	"CancelKeyDeletion":                   testCancelKeyDeletion,
	"CreateAlias":                         testCreateAlias,
	"CreateGrant":                         testCreateGrant,
	"CreateKey":                           testCreateKey,
	"Decapsulate":                         testDecapsulate,
	"Decrypt":                             testDecrypt,
	"DeleteAlias":                         testDeleteAlias,
	"DeleteImportedKeyMaterial":           testDeleteImportedKeyMaterial,
	"DeriveSharedSecret":                  testDeriveSharedSecret,
	"DescribeKey":                         testDescribeKey,
	"DisableKey":                          testDisableKey,
	"DisableKeyRotation":                  testDisableKeyRotation,
	"EnableKey":                           testEnableKey,
	"EnableKeyRotation":                   testEnableKeyRotation,
	"Encapsulate":                         testEncapsulate,
	"Encrypt":                             testEncrypt,
	"GenerateDataKey":                     testGenerateDataKey,
	"GenerateDataKeyPair":                 testGenerateDataKeyPair,
	"GenerateDataKeyPairWithoutPlaintext": testGenerateDataKeyPairWithoutPlaintext,
	"GenerateDataKeyWithoutPlaintext":     testGenerateDataKeyWithoutPlaintext,
	"GenerateMac":                         testGenerateMac,
	"GenerateRandom":                      testGenerateRandom,
	"GetKeyLastUsage":                     testGetKeyLastUsage,
	"GetKeyPolicy":                        testGetKeyPolicy,
	"GetKeyRotationStatus":                testGetKeyRotationStatus,
	"GetParametersForImport":              testGetParametersForImport,
	"GetPublicKey":                        testGetPublicKey,
	"ImportKeyMaterial":                   testImportKeyMaterial,
	"ListAliases":                         testListAliases,
	"ListGrants":                          testListGrants,
	"ListKeyPolicies":                     testListKeyPolicies,
	"ListKeyRotations":                    testListKeyRotations,
	"ListKeys":                            testListKeys,
	"ListResourceTags":                    testListResourceTags,
	"ListRetirableGrants":                 testListRetirableGrants,
	"PutKeyPolicy":                        testPutKeyPolicy,
	"ReEncrypt":                           testReEncrypt,
	"ReplicateKey":                        testReplicateKey,
	"RetireGrant":                         testRetireGrant,
	"RevokeGrant":                         testRevokeGrant,
	"RotateKeyOnDemand":                   testRotateKeyOnDemand,
	"ScheduleKeyDeletion":                 testScheduleKeyDeletion,
	"Sign":                                testSign,
	"TagResource":                         testTagResource,
	"UntagResource":                       testUntagResource,
	"UpdateAlias":                         testUpdateAlias,
	"UpdateKeyDescription":                testUpdateKeyDescription,
	"UpdatePrimaryRegion":                 testUpdatePrimaryRegion,
	"Verify":                              testVerify,
	"VerifyMac":                           testVerifyMac,
}

// storeOperations are tested together, by TestExternalKeyStore: each needs a store that the others left.
var storeOperations = []string{
	"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores", "DisconnectCustomKeyStore", "UpdateCustomKeyStore",
}

// clientOperations are the operations that the SDK has.
func clientOperations() []string {
	var out []string
	client := reflect.TypeFor[*kms.Client]()
	for m := range client.Methods() {
		if m.Type.NumIn() == 4 && m.Type.In(1) == reflect.TypeFor[context.Context]() && m.Type.NumOut() == 2 {
			out = append(out, m.Name)
		}
	}
	return out
}

func TestEveryKMSOperationHasATest(t *testing.T) {
	t.Parallel()
	tested := slices.Sorted(maps.Keys(kmsOperations))
	tested = append(tested, storeOperations...)
	ops := clientOperations()
	slices.Sort(tested)
	slices.Sort(ops)
	if len(ops) < 56 || !slices.Equal(tested, ops) {
		t.Errorf("tested: %v\nthe SDK has: %v", tested, ops)
	}
}

func TestEveryKMSOperation(t *testing.T) {
	t.Parallel()
	for name, test := range kmsOperations {
		t.Run(name, func(t *testing.T) { test(t, admin(t)) })
	}
}

// newKey makes a key of a spec and usage and gives its metadata.
func (c *client) newKey(t *testing.T, spec kmstypes.KeySpec, usage kmstypes.KeyUsageType) *kmstypes.KeyMetadata {
	t.Helper()
	return must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}))(t).KeyMetadata
}

func (c *client) symmetric(t *testing.T) *kmstypes.KeyMetadata {
	t.Helper()
	return c.newKey(t, kmstypes.KeySpecSymmetricDefault, kmstypes.KeyUsageTypeEncryptDecrypt)
}

func (c *client) describe(t *testing.T, key *string) *kmstypes.KeyMetadata {
	t.Helper()
	return must(c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key}))(t).KeyMetadata
}

func testCreateKey(t *testing.T, c *client) {
	for spec, usages := range map[kmstypes.KeySpec][]kmstypes.KeyUsageType{
		"SYMMETRIC_DEFAULT": {"ENCRYPT_DECRYPT"}, "RSA_2048": {"ENCRYPT_DECRYPT", "SIGN_VERIFY"},
		"ECC_NIST_P256": {"SIGN_VERIFY", "KEY_AGREEMENT"}, "ECC_NIST_P384": {"SIGN_VERIFY", "KEY_AGREEMENT"}, "ECC_NIST_P521": {"SIGN_VERIFY", "KEY_AGREEMENT"},
		"ECC_SECG_P256K1": {"SIGN_VERIFY"}, "ECC_NIST_EDWARDS25519": {"SIGN_VERIFY"}, "ML_DSA_44": {"SIGN_VERIFY"}, "ML_DSA_65": {"SIGN_VERIFY"}, "ML_DSA_87": {"SIGN_VERIFY"},
		"HMAC_224": {"GENERATE_VERIFY_MAC"}, "HMAC_256": {"GENERATE_VERIFY_MAC"}, "HMAC_384": {"GENERATE_VERIFY_MAC"}, "HMAC_512": {"GENERATE_VERIFY_MAC"},
		"ML_KEM_512": {"ENCAPSULATE_DECAPSULATE"}, "ML_KEM_768": {"ENCAPSULATE_DECAPSULATE"}, "ML_KEM_1024": {"ENCAPSULATE_DECAPSULATE"},
	} {
		for _, usage := range usages {
			m := c.newKey(t, spec, usage)
			if m.KeySpec != spec || m.KeyUsage != usage || m.KeyState != kmstypes.KeyStateEnabled || !m.Enabled || m.KeyManager != kmstypes.KeyManagerTypeCustomer ||
				*m.AWSAccountId != c.account || *m.Arn != seed.Key(c.account, *m.KeyId) {
				t.Errorf("%s %s: %+v", spec, usage, m)
			}
		}
	}
	refused(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: "RSA_2048"}))(t, "ValidationException",
		"You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	refused(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: "HMAC_256", KeyUsage: "SIGN_VERIFY"}))(t, "ValidationException",
		"KeyUsage SIGN_VERIFY is not compatible with KeySpec HMAC_256")
}

func testDescribeKey(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: new("alias/d"), TargetKeyId: k.KeyId}))(t)
	for _, id := range []string{*k.KeyId, *k.Arn, "alias/d", "arn:aws:kms:" + c.region + ":" + c.account + ":alias/d"} {
		if m := c.describe(t, &id); *m.Arn != *k.Arn || *m.CurrentKeyMaterialId != *k.CurrentKeyMaterialId {
			t.Errorf("%s: %+v", id, m)
		}
	}
	refused(c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: new("alias/none")}))(t, "NotFoundException", "alias/none is not found.")
}

func testListKeys(t *testing.T, c *client) {
	want := map[string]bool{}
	for range 5 {
		want[*c.symmetric(t).Arn] = true
	}
	p := kms.NewListKeysPaginator(c.kms, &kms.ListKeysInput{Limit: new(int32(2))})
	for pages := 0; p.HasMorePages(); pages++ {
		for _, k := range must(p.NextPage(t.Context()))(t).Keys {
			if !want[*k.KeyArn] {
				t.Errorf("%s is listed, once more or not ours", *k.KeyArn)
			}
			delete(want, *k.KeyArn)
		}
		if pages > 3 {
			t.Fatal("the list does not end")
		}
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
	refused(c.kms.ListKeys(t.Context(), &kms.ListKeysInput{Marker: new("nonsense")}))(t, "InvalidMarkerException")
}

func testUpdateKeyDescription(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.UpdateKeyDescription(t.Context(), &kms.UpdateKeyDescriptionInput{KeyId: k.KeyId, Description: new("new")}))(t)
	if m := c.describe(t, k.KeyId); *m.Description != "new" {
		t.Errorf("description %q", *m.Description)
	}
}

func testDisableKey(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: k.KeyId}))(t)
	if m := c.describe(t, k.KeyId); m.Enabled || m.KeyState != kmstypes.KeyStateDisabled {
		t.Errorf("%+v", m)
	}
	refused(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}))(t, "DisabledException", *k.Arn+" is disabled.")
}

func testEnableKey(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: k.KeyId}))(t)
	must(c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: k.KeyId}))(t)
	must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}))(t)
}

func testScheduleKeyDeletion(t *testing.T, c *client) {
	k := c.symmetric(t)
	out := must(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: new(int32(7))}))(t)
	if *out.KeyId != *k.Arn || out.KeyState != kmstypes.KeyStatePendingDeletion || *out.PendingWindowInDays != 7 || time.Until(*out.DeletionDate) < 6*24*time.Hour {
		t.Errorf("%+v", out)
	}
	refused(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId}))(t, "KMSInvalidStateException", *k.Arn+" is pending deletion.")
}

func testCancelKeyDeletion(t *testing.T, c *client) {
	k := c.symmetric(t)
	refused(c.kms.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: k.KeyId}))(t, "KMSInvalidStateException", "is not pending deletion.")
	must(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId}))(t)
	if out := must(c.kms.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: k.KeyId}))(t); *out.KeyId != *k.Arn {
		t.Errorf("%+v", out)
	}
	if m := c.describe(t, k.KeyId); m.KeyState != kmstypes.KeyStateDisabled || m.DeletionDate != nil {
		t.Errorf("%+v", m)
	}
}

func (c *client) aliases(t *testing.T, key *string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, a := range must(c.kms.ListAliases(t.Context(), &kms.ListAliasesInput{KeyId: key}))(t).Aliases {
		if a.TargetKeyId != nil {
			out[*a.AliasName] = *a.TargetKeyId
		}
	}
	return out
}

func testCreateAlias(t *testing.T, c *client) {
	k := c.symmetric(t)
	in := &kms.CreateAliasInput{AliasName: new("alias/a"), TargetKeyId: k.Arn}
	must(c.kms.CreateAlias(t.Context(), in))(t)
	if got := c.aliases(t, k.KeyId); len(got) != 1 || got["alias/a"] != *k.KeyId {
		t.Errorf("%v", got)
	}
	refused(c.kms.CreateAlias(t.Context(), in))(t, "AlreadyExistsException", "An alias with the name", "alias/a already exists")
	refused(c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: new("a"), TargetKeyId: k.Arn}))(t, "ValidationException", `Alias must start with the prefix "alias/".`)
}

func testUpdateAlias(t *testing.T, c *client) {
	a, b := c.symmetric(t), c.symmetric(t)
	must(c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: new("alias/u"), TargetKeyId: a.KeyId}))(t)
	must(c.kms.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: new("alias/u"), TargetKeyId: b.KeyId}))(t)
	if got := c.describe(t, new("alias/u")); *got.KeyId != *b.KeyId {
		t.Errorf("the alias is of %s", *got.KeyId)
	}
}

func testDeleteAlias(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: new("alias/x"), TargetKeyId: k.KeyId}))(t)
	must(c.kms.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: new("alias/x")}))(t)
	refused(c.kms.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: new("alias/x")}))(t, "NotFoundException")
}

func testListAliases(t *testing.T, c *client) {
	k := c.symmetric(t)
	for _, n := range []string{"alias/1", "alias/2", "alias/3"} {
		must(c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &n, TargetKeyId: k.KeyId}))(t)
	}
	p := kms.NewListAliasesPaginator(c.kms, &kms.ListAliasesInput{KeyId: k.KeyId, Limit: new(int32(2))})
	var got []string
	for p.HasMorePages() {
		for _, a := range must(p.NextPage(t.Context()))(t).Aliases {
			got = append(got, *a.AliasName)
			if a.CreationDate == nil || *a.AliasArn != "arn:aws:kms:"+c.region+":"+c.account+":"+*a.AliasName {
				t.Errorf("%+v", a)
			}
		}
	}
	if !slices.Equal(got, []string{"alias/1", "alias/2", "alias/3"}) {
		t.Errorf("%v", got)
	}
}

func testTagResource(t *testing.T, c *client) {
	k := c.symmetric(t)
	tag := func(key, value string) kmstypes.Tag { return kmstypes.Tag{TagKey: &key, TagValue: &value} }
	must(c.kms.TagResource(t.Context(), &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kmstypes.Tag{tag("a", "1"), tag("b", "2")}}))(t)
	must(c.kms.TagResource(t.Context(), &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kmstypes.Tag{tag("a", "3")}}))(t)
	got := must(c.kms.ListResourceTags(t.Context(), &kms.ListResourceTagsInput{KeyId: k.KeyId}))(t).Tags
	if len(got) != 2 || *got[0].TagKey != "a" || *got[0].TagValue != "3" {
		t.Errorf("%+v", got)
	}
	refused(c.kms.TagResource(t.Context(), &kms.TagResourceInput{KeyId: k.KeyId, Tags: []kmstypes.Tag{tag("aws:x", "1")}}))(t, "TagException", "Tags beginning with aws: are reserved")
}

func testUntagResource(t *testing.T, c *client) {
	k := must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Tags: []kmstypes.Tag{{TagKey: new("a"), TagValue: new("1")}}}))(t).KeyMetadata
	must(c.kms.UntagResource(t.Context(), &kms.UntagResourceInput{KeyId: k.KeyId, TagKeys: []string{"a", "unknown"}}))(t)
	if got := must(c.kms.ListResourceTags(t.Context(), &kms.ListResourceTagsInput{KeyId: k.KeyId}))(t).Tags; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func testListResourceTags(t *testing.T, c *client) {
	var tags []kmstypes.Tag
	for _, key := range []string{"a", "b", "c"} {
		tags = append(tags, kmstypes.Tag{TagKey: &key, TagValue: new("")})
	}
	k := must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Tags: tags}))(t).KeyMetadata
	p := kms.NewListResourceTagsPaginator(c.kms, &kms.ListResourceTagsInput{KeyId: k.KeyId, Limit: new(int32(2))})
	var got []string
	for p.HasMorePages() {
		for _, tag := range must(p.NextPage(t.Context()))(t).Tags {
			got = append(got, *tag.TagKey)
		}
	}
	if !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%v", got)
	}
}

func testGetKeyPolicy(t *testing.T, c *client) {
	out := must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: c.symmetric(t).KeyId}))(t)
	if *out.PolicyName != "default" || !bytes.Contains([]byte(*out.Policy), []byte("key-default-1")) {
		t.Errorf("%+v", out)
	}
}

func testPutKeyPolicy(t *testing.T, c *client) {
	k := c.symmetric(t)
	doc := seed.Policy(seed.Full(seed.Root(c.account)))
	must(c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: &doc}))(t)
	if got := must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: k.KeyId}))(t).Policy; *got != doc {
		t.Errorf("%s", *got)
	}
	lock := seed.Policy(seed.Full(seed.Root("999988887777")))
	refused(c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: &lock}))(t, "MalformedPolicyDocumentException")
}

func testListKeyPolicies(t *testing.T, c *client) {
	if out := must(c.kms.ListKeyPolicies(t.Context(), &kms.ListKeyPoliciesInput{KeyId: c.symmetric(t).KeyId}))(t); !slices.Equal(out.PolicyNames, []string{"default"}) || out.Truncated {
		t.Errorf("%+v", out)
	}
}

func testGetKeyLastUsage(t *testing.T, c *client) {
	k := c.symmetric(t)
	if out := must(c.kms.GetKeyLastUsage(t.Context(), &kms.GetKeyLastUsageInput{KeyId: k.KeyId}))(t); out.KeyLastUsage != nil && out.KeyLastUsage.Timestamp != nil || out.TrackingStartDate.After(*out.KeyCreationDate) {
		t.Errorf("%+v", out)
	}
	must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}))(t)
	u := must(c.kms.GetKeyLastUsage(t.Context(), &kms.GetKeyLastUsageInput{KeyId: k.KeyId}))(t).KeyLastUsage
	if u.Operation != kmstypes.KeyLastUsageTrackingOperationEncrypt || time.Since(*u.Timestamp).Abs() > time.Minute || len(*u.CloudTrailEventId) != 36 || len(*u.KmsRequestId) != 36 {
		t.Errorf("%+v", u)
	}
}

// wrapForImport wraps material for a key with the parameters that it gives.
func (c *client) wrapForImport(t *testing.T, key *string, material []byte) *kms.ImportKeyMaterialInput {
	t.Helper()
	p := must(c.kms.GetParametersForImport(t.Context(), &kms.GetParametersForImportInput{
		KeyId: key, WrappingAlgorithm: kmstypes.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kmstypes.WrappingKeySpecRsa2048,
	}))(t)
	pub := must(x509.ParsePKIXPublicKey(p.PublicKey))(t).(*rsa.PublicKey)
	return &kms.ImportKeyMaterialInput{
		KeyId: key, ImportToken: p.ImportToken, EncryptedKeyMaterial: must(rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, material, nil))(t),
		ExpirationModel: kmstypes.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}
}

func (c *client) external(t *testing.T) *kmstypes.KeyMetadata {
	t.Helper()
	return must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Origin: kmstypes.OriginTypeExternal}))(t).KeyMetadata
}

func testGetParametersForImport(t *testing.T, c *client) {
	k := c.external(t)
	out := must(c.kms.GetParametersForImport(t.Context(), &kms.GetParametersForImportInput{
		KeyId: k.KeyId, WrappingAlgorithm: kmstypes.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kmstypes.WrappingKeySpecRsa3072,
	}))(t)
	pub := must(x509.ParsePKIXPublicKey(out.PublicKey))(t).(*rsa.PublicKey)
	if *out.KeyId != *k.Arn || pub.N.BitLen() != 3072 || len(out.ImportToken) == 0 || time.Until(*out.ParametersValidTo).Round(time.Hour) != 24*time.Hour {
		t.Errorf("%+v", out)
	}
	s := c.symmetric(t)
	refused(c.kms.GetParametersForImport(t.Context(), &kms.GetParametersForImportInput{
		KeyId: s.KeyId, WrappingAlgorithm: kmstypes.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kmstypes.WrappingKeySpecRsa2048,
	}))(t, "UnsupportedOperationException", *s.Arn+" origin is AWS_KMS which is not valid for this operation.")
}

func testImportKeyMaterial(t *testing.T, c *client) {
	k := c.external(t)
	if k.KeyState != kmstypes.KeyStatePendingImport {
		t.Errorf("%+v", k)
	}
	out := must(c.kms.ImportKeyMaterial(t.Context(), c.wrapForImport(t, k.KeyId, bytes.Repeat([]byte{1}, 32))))(t)
	m := c.describe(t, k.KeyId)
	if *out.KeyId != *k.Arn || *out.KeyMaterialId != *m.CurrentKeyMaterialId || m.KeyState != kmstypes.KeyStateEnabled {
		t.Errorf("%+v %+v", out, m)
	}
	refused(c.kms.ImportKeyMaterial(t.Context(), c.wrapForImport(t, k.KeyId, bytes.Repeat([]byte{2}, 32))))(t, "IncorrectKeyMaterialException")
}

func testDeleteImportedKeyMaterial(t *testing.T, c *client) {
	k := c.external(t)
	made := must(c.kms.ImportKeyMaterial(t.Context(), c.wrapForImport(t, k.KeyId, bytes.Repeat([]byte{1}, 32))))(t)
	out := must(c.kms.DeleteImportedKeyMaterial(t.Context(), &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId}))(t)
	if m := c.describe(t, k.KeyId); *out.KeyId != *k.Arn || *out.KeyMaterialId != *made.KeyMaterialId || m.KeyState != kmstypes.KeyStatePendingImport {
		t.Errorf("%+v %+v", out, m)
	}
	refused(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")}))(t, "KMSInvalidStateException", *k.Arn+" is pending import.")
}
