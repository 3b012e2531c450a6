package kms_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/trail"
)

// crossAccount are the operations that work on a key of another account. Source: KMS Developer
// Guide, "Allowing users in other accounts to use a KMS key".
var crossAccount = []string{
	"CreateGrant", "Decapsulate", "Decrypt", "DeriveSharedSecret", "DescribeKey", "Encapsulate", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GetKeyRotationStatus", "GetPublicKey",
	"ListGrants", "ReEncrypt", "RevokeGrant", "Sign", "Verify", "VerifyMac",
}

// With every permission on both sides an account can still do no more to a foreign key than AWS
// lets it. (RetireGrant has its own test.)
func TestOperationsOnForeignKeys(t *testing.T) {
	for op, row := range onKey {
		switch op {
		case "RetireGrant", "DeleteAlias", "ListAliases": // no key of another account in the request
			continue
		}
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			f := newWholeFixture(w, "Enabled", op)
			f.root.must(&kmsapi.PutKeyPolicyRequest{KeyId: new(f.keyOf(op)), Policy: new(document(rootStatement(owner), allow(arn.Root(other), "", "kms:*")))})
			they := w.user(other, "they", iam("*", "kms:*"))
			if op == "ReEncrypt" {
				f.spare = f.key
			}
			err := they.try(row.in(f))
			switch {
			case slices.Contains(crossAccount, op):
				if err != nil {
					t.Error(err)
				}
			case op == "UpdateAlias": // the alias is not theirs either
				wantErr(t, err, "NotFoundException", "Alias "+arn.KMSAlias(region, other, "alias/spare")+" is not found.")
			default:
				wantHidden(t, err, they, "kms:"+op)
			}
		})
	}
}

// A foreign caller cannot tell a key that is closed to it from one that does not exist.
func TestForeignKeysAreHidden(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	for name, they := range map[string]*who{"user with every permission": w.user(other, "all", iam("*", "kms:*")), "user without": w.user(other, "none"), "root": w.root(other)} {
		w.run(name, func(t *testing.T) {
			real, unreal := *f, *f
			unreal.key, unreal.grant = missingARN(owner), "00"+f.grant[2:]
			for _, op := range slices.Sorted(maps.Keys(onKey)) {
				if op == "DeleteAlias" || op == "UpdateAlias" || op == "Decrypt" || op == "ReEncrypt" {
					continue
				}
				a, b := they.try(onKey[op].in(&real)), they.try(onKey[op].in(&unreal))
				if a == nil || b == nil || a.Error() != b.Error() {
					t.Errorf("%s: a key that exists: %v\none that does not: %v", op, a, b)
				}
			}
			theirs := they.w.root(other).newKey(allow(they.arn(), "", "kms:*"))
			blob := they.encrypt(theirs, "x", nil)
			for _, in := range []func(key string) any{
				func(key string) any { return &kmsapi.DescribeKeyRequest{KeyId: &key} },
				func(key string) any { return &kmsapi.DecryptRequest{CiphertextBlob: f.blob, KeyId: &key} },
				func(key string) any { return &kmsapi.ReEncryptRequest{CiphertextBlob: blob, DestinationKeyId: &key} },
				func(key string) any {
					return &kmsapi.ReEncryptRequest{CiphertextBlob: f.blob, SourceKeyId: &key, DestinationKeyId: &theirs}
				},
			} {
				var texts []string
				for _, key := range []string{f.key, missingARN(owner), arn.KMSAlias(region, owner, "alias/key"), arn.KMSAlias(region, owner, "alias/none")} {
					err := they.try(in(key))
					if err == nil {
						t.Fatal("it worked")
					}
					texts = append(texts, err.Error())
				}
				if len(slices.Compact(texts)) != 1 {
					t.Errorf("answers differ: %v", texts)
				}
			}
			wantErr(t, they.try(&kmsapi.DecryptRequest{CiphertextBlob: f.blob}), "AccessDeniedException", foreignBlob)
			wantErr(t, they.try(&kmsapi.ReEncryptRequest{CiphertextBlob: f.blob, DestinationKeyId: &theirs}), "AccessDeniedException", foreignBlob)
		})
	}
}

// ReEncrypt names the side that is not allowed.
func TestReEncryptAcrossAccounts(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	user := w.user(owner, "u")
	source := root.newKey(allow(user.arn(), "", "kms:ReEncryptFrom"))
	target := root.newKey(allow(user.arn(), "", "kms:ReEncryptTo"))
	closed := root.newKey()
	in := func(from, to string) *kmsapi.ReEncryptRequest {
		return &kmsapi.ReEncryptRequest{CiphertextBlob: root.encrypt(from, "x", nil), DestinationKeyId: &to}
	}
	user.must(in(source, target))
	wantDenied(t, user.try(in(closed, target)), user, "kms:ReEncryptFrom", closed, noIdentity("kms:ReEncryptFrom"))
	wantDenied(t, user.try(in(source, closed)), user, "kms:ReEncryptTo", closed, noIdentity("kms:ReEncryptTo"))

	// From a key of one account to that of another, by one who may use both.
	theirs := w.root(other).newKey(allow(arn.Root(owner), "", "kms:ReEncryptTo"))
	mover := w.user(owner, "mover", iam("*", "kms:ReEncrypt*"))
	out := get[kmsapi.ReEncryptResponse](mover, in(source, theirs))
	if *out.SourceKeyId != source || *out.KeyId != theirs {
		t.Errorf("moved from %s to %s", *out.SourceKeyId, *out.KeyId)
	}
	r := w.records(trail.Filter{Account: other, EventName: "ReEncrypt"})
	if len(r) != 1 || len(r[0].Resources) != 2 || r[0].Resources[0].ARN != source || r[0].Resources[1].ARN != theirs {
		t.Errorf("records: %+v", r)
	}
}

// A ciphertext leads to a foreign key by a bare id too, as in AWS.
func TestDecryptByShortForeignID(t *testing.T) {
	w := newWorld(t)
	key := w.root(owner).newKey(allow(arn.Root(other), "", useActions...))
	blob := w.root(owner).encrypt(key, "x", nil)
	they := w.root(other)
	they.must(&kmsapi.DecryptRequest{CiphertextBlob: blob, KeyId: new(id(key))})
	they.must(&kmsapi.ReEncryptRequest{CiphertextBlob: blob, SourceKeyId: new(id(key)), DestinationKeyId: &key})
	wantErr(t, they.try(&kmsapi.EncryptRequest{KeyId: new(id(key)), Plaintext: []byte("x")}),
		"NotFoundException", "Key '"+arn.KMSKey(region, other, id(key))+"' does not exist")
}

// Operations without a key need IAM alone.
func TestOperationsWithoutKey(t *testing.T) {
	w := newWorld(t)
	nobody := w.user(owner, "nobody")
	for action, in := range map[string]any{
		"kms:CreateKey": &kmsapi.CreateKeyRequest{}, "kms:ListKeys": &kmsapi.ListKeysRequest{}, "kms:ListAliases": &kmsapi.ListAliasesRequest{},
		"kms:GenerateRandom": &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(1))},
	} {
		wantDenied(t, nobody.try(in), nobody, action, "*", noIdentity(action))
		w.user(owner, "one", iam("*", action)).must(in)
	}
}

// Each request is on record once, with its outcome and without what is secret.
func TestRecords(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	nobody := w.user(owner, "nobody")
	in := &kmsapi.EncryptRequest{KeyId: &f.key, Plaintext: []byte("top secret"), EncryptionContext: map[string]string{"project": "nile"}}
	_, allowed, err := f.root.do(t.Context(), in)
	check(t, err)
	_, denied, err := nobody.do(t.Context(), in)
	wantErr(t, err, "AccessDeniedException", "*")
	for id, code := range map[string]string{allowed: "", denied: "AccessDeniedException"} {
		recs := w.records(trail.Filter{RequestID: id})
		if len(recs) != 1 {
			t.Fatalf("%d records", len(recs))
		}
		r := recs[0]
		want := `{"keyId":"` + f.key + `","encryptionContext":{"project":"nile"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}`
		if r.ErrorCode != code || string(r.RequestParameters) != want || r.EventSource != "kms.amazonaws.com" || r.EventName != "Encrypt" ||
			r.AWSRegion != region || !r.ReadOnly || len(r.Kagimori.Decisions) != 1 || r.ResponseElements != nil && string(r.ResponseElements) != "null" {
			t.Errorf("record of %s: %s %s %s", r.EventName, r.ErrorCode, r.RequestParameters, r.ResponseElements)
		}
	}
}

// The records of operations with a symmetric key name the algorithm, asked for or not, and the material.
func TestRecordsNameMaterial(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	a, b := root.newKey(), root.newKey()
	last := func(in any) trail.Record {
		t.Helper()
		_, request, err := root.do(t.Context(), in)
		check(t, err)
		return w.records(trail.Filter{RequestID: request})[0]
	}
	made := get[kmsapi.EncryptResponse](root, &kmsapi.EncryptRequest{KeyId: &a, Plaintext: []byte("x")})
	opened := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: made.CiphertextBlob})
	other := get[kmsapi.GenerateDataKeyResponse](root, &kmsapi.GenerateDataKeyRequest{KeyId: &b, NumberOfBytes: new(int32(16))})
	for _, in := range []any{
		&kmsapi.EncryptRequest{KeyId: &a, Plaintext: []byte("x")}, &kmsapi.DecryptRequest{CiphertextBlob: made.CiphertextBlob},
		&kmsapi.GenerateDataKeyRequest{KeyId: &a, KeySpec: new("AES_128")}, &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &a, KeySpec: new("AES_128")},
		&kmsapi.GenerateDataKeyPairRequest{KeyId: &a, KeyPairSpec: new("ECC_NIST_P256")},
	} {
		if r := last(in); r.AdditionalEventData.Get("keyMaterialId") != *opened.KeyMaterialId {
			t.Errorf("%s: %v, want %s", r.EventName, r.AdditionalEventData, *opened.KeyMaterialId)
		}
	}
	if r := last(&kmsapi.DecryptRequest{CiphertextBlob: made.CiphertextBlob}); string(r.RequestParameters) != `{"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}` {
		t.Errorf("Decrypt: %s", r.RequestParameters)
	}
	r := last(&kmsapi.ReEncryptRequest{CiphertextBlob: made.CiphertextBlob, DestinationKeyId: &b})
	if r.AdditionalEventData.Get("sourceKeyMaterialId") != *opened.KeyMaterialId || r.AdditionalEventData.Get("destinationKeyMaterialId") != *other.KeyMaterialId ||
		len(r.Resources) != 2 || r.Resources[0].ARN != a || r.Resources[1].ARN != b {
		t.Errorf("ReEncrypt: %v, %v", r.AdditionalEventData, r.Resources)
	}
	if text := string(r.RequestParameters); !strings.Contains(text, `"sourceEncryptionAlgorithm":"SYMMETRIC_DEFAULT"`) || !strings.Contains(text, `"destinationEncryptionAlgorithm":"SYMMETRIC_DEFAULT"`) {
		t.Errorf("ReEncrypt: %s", text)
	}
}
