package kms_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// unavailable says what operations do on a key whose store is not connected: u is refused, o is for keys
// of other origins. Those that are missing are for keys of other usages, or of several Regions, which no
// custom key store has. Source: KMS Developer Guide, "Key states of AWS KMS keys".
var unavailable = map[string]string{
	"Encrypt": "u", "Decrypt": "u", "ReEncrypt": "u", "GenerateDataKey": "u", "GenerateDataKeyWithoutPlaintext": "u", "GenerateDataKeyPair": "o",
	"GenerateDataKeyPairWithoutPlaintext": "o", "CreateGrant": "ok", "CreateAlias": "ok", "UpdateAlias": "ok", "DeleteAlias": "ok", "ListAliases": "ok",
	"DescribeKey": "ok", "GetKeyLastUsage": "ok", "GetKeyPolicy": "ok", "PutKeyPolicy": "ok", "ListKeyPolicies": "ok", "ListGrants": "ok",
	"RetireGrant": "ok", "RevokeGrant": "ok", "TagResource": "ok", "UntagResource": "ok", "ListResourceTags": "ok", "UpdateKeyDescription": "ok",
	"EnableKey": "ok", "DisableKey": "ok", "EnableKeyRotation": "o", "DisableKeyRotation": "o", "GetKeyRotationStatus": "o", "RotateKeyOnDemand": "o",
	"ListKeyRotations": "o", "ScheduleKeyDeletion": "ok", "CancelKeyDeletion": "n", "GetParametersForImport": "o", "ImportKeyMaterial": "o",
	"DeleteImportedKeyMaterial": "o",
}

// replicasFirst says what operations do on a primary key that waits for the deletion of its replicas: p is
// refused, o is for keys of imported material.
var replicasFirst = map[string]string{
	"Encrypt": "p", "Decrypt": "p", "ReEncrypt": "p", "GenerateDataKey": "p", "GenerateDataKeyWithoutPlaintext": "p", "GenerateDataKeyPair": "p",
	"GenerateDataKeyPairWithoutPlaintext": "p", "CreateGrant": "p", "CreateAlias": "p", "UpdateAlias": "p", "DeleteAlias": "ok", "ListAliases": "ok",
	"DescribeKey": "ok", "GetKeyLastUsage": "ok", "GetKeyPolicy": "ok", "PutKeyPolicy": "ok", "ListKeyPolicies": "ok", "ListGrants": "ok",
	"RetireGrant": "ok", "RevokeGrant": "ok", "TagResource": "p", "UntagResource": "p", "ListResourceTags": "ok", "UpdateKeyDescription": "p",
	"EnableKey": "p", "DisableKey": "p", "EnableKeyRotation": "p", "DisableKeyRotation": "p", "GetKeyRotationStatus": "ok", "RotateKeyOnDemand": "p",
	"ListKeyRotations": "ok", "ScheduleKeyDeletion": "p", "CancelKeyDeletion": "ok", "GetParametersForImport": "o", "ImportKeyMaterial": "o",
	"DeleteImportedKeyMaterial": "o", "ReplicateKey": "p", "UpdatePrimaryRegion": "p",
}

// onOneKey is a fixture in which all operations are on one symmetric key.
func (w *world) onOneKey(key string) *fixture {
	f := &fixture{root: w.root(owner), key: key}
	f.user, f.spare = w.user(owner, "u").arn(), f.root.newKey()
	f.signs.key, f.macs.key, f.agrees.key, f.kems.key, f.multi.key, f.moves.key, f.imported.key = key, key, key, key, key, key, key
	f.again = &kmsapi.ImportKeyMaterialRequest{KeyId: &key, ImportToken: []byte("t"), EncryptedKeyMaterial: []byte("m"), ExpirationModel: new("KEY_MATERIAL_DOES_NOT_EXPIRE")}
	f.blob = f.root.encrypt(key, "x", nil)
	f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/key"), TargetKeyId: &f.key})
	f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &f.spare})
	return f
}

// column tries the operations of a column of the table of key states. back brings the key into the state, and
// back to it after an operation that left it.
func (f *fixture) column(cells map[string]string, origin, state string, back func(op string)) {
	w := f.root.w
	grants := map[string]string{}
	for _, op := range []string{"RetireGrant", "RevokeGrant"} {
		grants[op] = *get[kmsapi.CreateGrantResponse](f.root, &kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}}).GrantId
	}
	back("")
	for op, want := range cells {
		w.run(op, func(t *testing.T) {
			f.grant = grants[op]
			err := f.root.try(onKey[op].in(f))
			switch want {
			case "ok":
				check(t, err)
			case "u":
				wantErr(t, err, "KMSInvalidStateException", notConnected)
			case "o":
				wantErr(t, err, "UnsupportedOperationException", f.key+" origin is "+origin+" which is not valid for this operation.")
			case "p":
				wantErr(t, err, "KMSInvalidStateException", f.key+" is pending replica deletion.")
			case "n":
				wantErr(t, err, "KMSInvalidStateException", f.key+" is not pending deletion.")
			default:
				t.Errorf("nobody decided what %s does", op)
			}
			back(op)
			if got := *f.root.describe(f.key).KeyState; got != state {
				t.Errorf("the state after %s is %s", op, got)
			}
		})
	}
}

func TestEveryOperationOnUnavailableKeys(t *testing.T) {
	w, _, root := external(t)
	id := root.connected("store")
	f := w.onOneKey(*root.createKey(externalKey(id, "ext-1")).Arn)
	f.column(unavailable, "EXTERNAL_KEY_STORE", "Unavailable", func(op string) {
		switch op {
		case "":
			root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
		case "ScheduleKeyDeletion":
			if got := *root.describe(f.key).KeyState; got != "PendingDeletion" {
				t.Errorf("the state is %s", got)
			}
			root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &f.key})
		}
	})
	// Operations for other kinds of keys are refused for what they are for.
	for op := range onKey {
		if unavailable[op] == "" {
			if err := root.try(onKey[op].in(f)); err == nil {
				t.Errorf("%s works", op)
			}
		}
	}
}

func TestEveryOperationOnKeysThatAwaitReplicas(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := *root.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true)}).Arn
	root.must(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new("eu-central-1")})
	f := w.onOneKey(key)
	schedule := func() { root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(7))}) }
	f.column(replicasFirst, "AWS_KMS", "PendingReplicaDeletion", func(op string) {
		if op == "" || op == "CancelKeyDeletion" {
			schedule()
		}
	})
	check(t, w.clock.Advance(t.Context(), 30*24*time.Hour)) // the window has not begun
	if m := root.describe(key); *m.KeyState != "PendingReplicaDeletion" || m.DeletionDate != nil || *m.PendingDeletionWindowInDays != 7 {
		t.Errorf("metadata = %+v", m)
	}
}
