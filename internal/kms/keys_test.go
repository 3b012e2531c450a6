package kms_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
)

func TestCreateKeyDefaults(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	got := root.createKey(&kmsapi.CreateKeyRequest{})
	if len(*got.KeyId) != 36 || *got.Arn != arn.KMSKey(region, owner, *got.KeyId) || len(*got.CurrentKeyMaterialId) != 64 {
		t.Errorf("id %s, ARN %s, material %s", *got.KeyId, *got.Arn, *got.CurrentKeyMaterialId)
	}
	want := &kmsapi.KeyMetadata{
		AWSAccountId: new(owner), KeyId: got.KeyId, Arn: got.Arn, CreationDate: got.CreationDate, Enabled: new(true),
		Description: new(""), KeyUsage: new("ENCRYPT_DECRYPT"), KeyState: new("Enabled"), Origin: new("AWS_KMS"),
		KeyManager: new("CUSTOMER"), CustomerMasterKeySpec: new("SYMMETRIC_DEFAULT"), KeySpec: new("SYMMETRIC_DEFAULT"),
		EncryptionAlgorithms: []string{"SYMMETRIC_DEFAULT"}, MultiRegion: new(false), CurrentKeyMaterialId: got.CurrentKeyMaterialId,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(got, root.describe(*got.KeyId)); d != "" {
		t.Errorf("DescribeKey differs from CreateKey: %s", d)
	}
	if d := w.guard.Now().Sub(*got.CreationDate); d < 0 || d.Minutes() > 1 {
		t.Errorf("created %v ago", d)
	}
}

// What DescribeKey says of a key of each spec, and that none but a symmetric one makes data keys.
func TestKeySpecs(t *testing.T) {
	rsaSign := []string{
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	}
	tests := []struct {
		spec, usage string
		algorithms  []string
	}{
		{"RSA_2048", "ENCRYPT_DECRYPT", []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}},
		{"RSA_2048", "SIGN_VERIFY", rsaSign},
		{"ECC_NIST_P256", "SIGN_VERIFY", []string{"ECDSA_SHA_256"}},
		{"ECC_NIST_P384", "SIGN_VERIFY", []string{"ECDSA_SHA_384"}},
		{"ECC_NIST_P521", "SIGN_VERIFY", []string{"ECDSA_SHA_512"}},
		{"ECC_NIST_P256", "KEY_AGREEMENT", []string{"ECDH"}},
		{"ECC_NIST_EDWARDS25519", "SIGN_VERIFY", []string{"ED25519_SHA_512", "ED25519_PH_SHA_512"}},
		{"HMAC_224", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_224"}},
		{"HMAC_256", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_256"}},
		{"HMAC_384", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_384"}},
		{"HMAC_512", "GENERATE_VERIFY_MAC", []string{"HMAC_SHA_512"}},
	}
	root := newWorld(t).root(owner)
	for _, tt := range tests {
		root.w.run(tt.spec+"/"+tt.usage, func(t *testing.T) {
			got := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: &tt.spec, KeyUsage: &tt.usage})
			want := &kmsapi.KeyMetadata{KeySpec: &tt.spec, CustomerMasterKeySpec: &tt.spec, KeyUsage: &tt.usage}
			switch tt.usage {
			case "ENCRYPT_DECRYPT":
				want.EncryptionAlgorithms = tt.algorithms
			case "SIGN_VERIFY":
				want.SigningAlgorithms = tt.algorithms
			case "KEY_AGREEMENT":
				want.KeyAgreementAlgorithms = tt.algorithms
			default:
				want.MacAlgorithms = tt.algorithms
			}
			common := cmpopts.IgnoreFields(kmsapi.KeyMetadata{},
				"AWSAccountId", "KeyId", "Arn", "CreationDate", "Enabled", "Description", "KeyState", "Origin", "KeyManager", "MultiRegion")
			if d := cmp.Diff(want, root.describe(*got.KeyId), common); d != "" {
				t.Error(d)
			}
			message := *got.Arn + " key usage is " + tt.usage + " which is not valid for GenerateDataKeyWithoutPlaintext."
			if tt.usage == "ENCRYPT_DECRYPT" {
				message = "You cannot generate a data key with an asymmetric CMK"
			}
			err := root.try(&kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: got.Arn, NumberOfBytes: new(int32(64))})
			wantErr(t, err, "InvalidKeyUsageException", message)
		})
	}
}

func TestCreateKeyRefuses(t *testing.T) {
	tests := map[string]struct {
		in            kmsapi.CreateKeyRequest
		code, message string
	}{
		"no usage": {kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048")},
			"ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
		"usage that the spec lacks": {kmsapi.CreateKeyRequest{KeySpec: new("HMAC_256"), KeyUsage: new("ENCRYPT_DECRYPT")},
			"ValidationException", "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec HMAC_256"},
		"usage for the default spec": {kmsapi.CreateKeyRequest{KeyUsage: new("SIGN_VERIFY")},
			"ValidationException", "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT"},
		"both names of the spec": {kmsapi.CreateKeyRequest{KeySpec: new("SYMMETRIC_DEFAULT"), CustomerMasterKeySpec: new("SYMMETRIC_DEFAULT")},
			"ValidationException", "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."},
		"unknown spec": {kmsapi.CreateKeyRequest{KeySpec: new("AES_256")}, "ValidationException", "*"},
		"custom key store": {kmsapi.CreateKeyRequest{CustomKeyStoreId: new("cks-1234567890abcdef0")},
			"ValidationException", "CustomKeyStoreId is valid only when the Origin is AWS_CLOUDHSM or EXTERNAL_KEY_STORE."},
		"long description": {kmsapi.CreateKeyRequest{Description: new(strings.Repeat("x", 8193))}, "ValidationException", "*"},
	}
	w := newWorld(t)
	root := w.root(owner)
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			wantErr(t, root.try(&tt.in), tt.code, tt.message)
		})
	}
	if n := w.size("kms/key"); n != 0 {
		t.Errorf("%d keys were made", n)
	}
}

func TestCustomID(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	tag := func(value string) *kmsapi.CreateKeyRequest {
		return &kmsapi.CreateKeyRequest{Tags: []kmsapi.Tag{{TagKey: new("_custom_id_"), TagValue: &value}}}
	}
	const want = "1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	if got := root.createKey(tag(strings.ToUpper(want))); *got.KeyId != want {
		t.Errorf("id %s, want %s", *got.KeyId, want)
	}
	wantErr(t, root.try(tag(want)), "AlreadyExistsException", "*")
	wantErr(t, root.try(tag("my-key")), "ValidationException", "_custom_id_ must be a key id")
	if got := w.root(other).createKey(tag(want)); *got.Arn != arn.KMSKey(region, other, want) {
		t.Errorf("the same id in another account: %s", *got.Arn)
	}
}

// How each form of an identifier resolves. Messages as recorded from AWS.
func TestResolve(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &key})
	mrk := "mrk-" + strings.Repeat("0a", 16)
	tests := map[string]struct {
		id, code, message string // no code: the key
	}{
		"key id":               {id: id(key)},
		"key ARN":              {id: key},
		"alias":                {id: "alias/app"},
		"alias ARN":            {id: arn.KMSAlias(region, owner, "alias/app")},
		"unknown id":           {missing, "NotFoundException", "Key '" + missingARN(owner) + "' does not exist"},
		"unknown ARN":          {missingARN(owner), "NotFoundException", "Key '" + missingARN(owner) + "' does not exist"},
		"unknown mrk":          {mrk, "NotFoundException", "Key '" + arn.KMSKey(region, owner, mrk) + "' does not exist"},
		"not an id":            {"fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'"},
		"id without dashes":    {strings.ReplaceAll(missing, "-", ""), "NotFoundException", "Invalid keyId '" + strings.ReplaceAll(missing, "-", "") + "'"},
		"false mrk":            {"mrk-fake-key-id", "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"},
		"ARN of another":       {arn.KMSKey("eu-central-1", owner, id(key)), "NotFoundException", "Invalid arn eu-central-1"},
		"unknown alias":        {"alias/none", "NotFoundException", "Alias " + arn.KMSAlias(region, owner, "alias/none") + " is not found."},
		"alias in other case":  {"alias/APP", "NotFoundException", "Alias " + arn.KMSAlias(region, owner, "alias/APP") + " is not found."},
		"ARN of other service": {"arn:aws:s3:::bucket", "InvalidArnException", "Invalid arn arn:aws:s3:::bucket"},
		"ARN of other kind":    {arn.Make("kms", region, owner, "store/x"), "InvalidArnException", "Invalid arn " + arn.Make("kms", region, owner, "store/x")},
		"other partition":      {"arn:aws-cn:kms:" + region + ":" + owner + ":key/" + id(key), "InvalidArnException", "*"},
		"too long":             {strings.Repeat("k", 2049), "ValidationException", "*"},
		"empty":                {"", "ValidationException", "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			in := &kmsapi.DescribeKeyRequest{KeyId: &tt.id}
			if tt.code != "" {
				wantErr(t, root.try(in), tt.code, tt.message)
				return
			}
			if got := root.describe(tt.id); *got.Arn != key {
				t.Errorf("got %s, want %s", *got.Arn, key)
			}
			if out := get[kmsapi.EncryptResponse](root, &kmsapi.EncryptRequest{KeyId: &tt.id, Plaintext: []byte("x")}); *out.KeyId != key {
				t.Errorf("Encrypt answered the key %s, want the ARN %s", *out.KeyId, key)
			}
		})
	}
	w.run("the region is the caller's", func(t *testing.T) {
		err := root.in("eu-central-1").try(&kmsapi.DescribeKeyRequest{KeyId: new(id(key))})
		wantErr(t, err, "NotFoundException", "Key '"+arn.KMSKey("eu-central-1", owner, id(key))+"' does not exist")
	})
}

// Operations that manage a key do not take aliases.
func TestAliasesAreNotForManagement(t *testing.T) {
	f := newFixture(newWorld(t), "Enabled")
	f.key = "alias/key"
	for _, op := range []string{
		"CancelKeyDeletion", "CreateGrant", "DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases", "ListGrants",
		"ListKeyPolicies", "ListResourceTags", "PutKeyPolicy", "RetireGrant", "RevokeGrant", "ScheduleKeyDeletion", "TagResource",
		"UntagResource", "UpdateKeyDescription",
	} {
		f.root.w.run(op, func(t *testing.T) {
			wantErr(t, f.root.try(onKey[op].in(f)), "InvalidArnException", "Key Aliases are not supported for this operation.")
		})
	}
}

func TestListKeysPages(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	want := map[string]bool{}
	for range 5 {
		want[root.newKey()] = true
	}
	w.root(other).newKey()
	root.in("eu-central-1").newKey()
	got := map[string]bool{}
	in := &kmsapi.ListKeysRequest{Limit: new(int32(2))}
	for pages := 1; ; pages++ {
		out := get[kmsapi.ListKeysResponse](root, in)
		for _, k := range out.Keys {
			got[*k.KeyArn] = true
			if *k.KeyId != id(*k.KeyArn) {
				t.Errorf("id %s beside ARN %s", *k.KeyId, *k.KeyArn)
			}
		}
		if !*out.Truncated {
			if pages != 3 || out.NextMarker != nil {
				t.Errorf("%d pages, marker %v", pages, out.NextMarker)
			}
			break
		}
		in.Marker = out.NextMarker
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLimitsAndMarkers(t *testing.T) {
	f := newFixture(newWorld(t), "Enabled")
	root := f.root
	atLeast := "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
	atMost := func(got, most string) string {
		return "1 validation error detected: Value '" + got + "' at 'limit' failed to satisfy constraint: Member must have value less than or equal to " + most
	}
	lists := map[string]struct {
		in   func(limit *int32, marker *string) any
		most int32
	}{
		"ListKeys": {func(l *int32, m *string) any { return &kmsapi.ListKeysRequest{Limit: l, Marker: m} }, 1000},
		"ListKeyPolicies": {func(l *int32, m *string) any {
			return &kmsapi.ListKeyPoliciesRequest{KeyId: &f.key, Limit: l, Marker: m}
		}, 1000},
		"ListAliases": {func(l *int32, m *string) any { return &kmsapi.ListAliasesRequest{Limit: l, Marker: m} }, 100},
		"ListGrants":  {func(l *int32, m *string) any { return &kmsapi.ListGrantsRequest{KeyId: &f.key, Limit: l, Marker: m} }, 100},
		"ListRetirableGrants": {func(l *int32, m *string) any {
			return &kmsapi.ListRetirableGrantsRequest{RetiringPrincipal: &f.user, Limit: l, Marker: m}
		}, 100},
		"ListResourceTags": {func(l *int32, m *string) any {
			return &kmsapi.ListResourceTagsRequest{KeyId: &f.key, Limit: l, Marker: m}
		}, 50},
	}
	names := map[int32]string{50: "50", 100: "100", 1000: "1000"}
	over := map[int32]string{50: "51", 100: "101", 1000: "1001"}
	for name, l := range lists {
		f.root.w.run(name, func(t *testing.T) {
			root.must(l.in(&l.most, nil))
			wantErr(t, root.try(l.in(new(int32(0)), nil)), "ValidationException", atLeast)
			wantErr(t, root.try(l.in(new(l.most+1), nil)), "ValidationException", atMost(over[l.most], names[l.most]))
			for _, marker := range []string{"x", "AAAA", strings.Repeat("A", 1024)} {
				wantErr(t, root.try(l.in(nil, &marker)), "InvalidMarkerException", "")
			}
		})
	}
}

// A marker of one list means nothing to another.
func TestMarkersAreBound(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	for range 2 {
		root.newKey()
		w.root(other).newKey()
	}
	out := get[kmsapi.ListKeysResponse](root, &kmsapi.ListKeysRequest{Limit: new(int32(1))})
	in := &kmsapi.ListKeysRequest{Marker: out.NextMarker}
	root.must(in)
	wantErr(t, w.root(other).try(in), "InvalidMarkerException", "")
	wantErr(t, root.in("eu-central-1").try(in), "InvalidMarkerException", "")
	if strings.Contains(*out.NextMarker, id(*out.Keys[0].KeyArn)) {
		t.Error("the marker shows what is in it")
	}
}

func TestUpdateKeyDescription(t *testing.T) {
	root := newWorld(t).root(owner)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Description: new("first")}).Arn
	root.must(&kmsapi.UpdateKeyDescriptionRequest{KeyId: &key, Description: new("")})
	if got := *root.describe(key).Description; got != "" {
		t.Errorf("description %q, want none", got)
	}
}
