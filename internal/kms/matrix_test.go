package kms_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// A cell of the table of key states: what an operation does in a state.
type cell string

const (
	works    cell = "works"
	disabled cell = "DisabledException"
	pending  cell = "pending deletion"
	// pendingReplicas is the state of a primary key with replicas in place of PendingDeletion.
	pendingReplicas cell = "pending replica deletion"
	notPending      cell = "not pending deletion"
)

// onKey are the operations on a key, each with its request, and what they do in the states
// Enabled, Disabled and PendingDeletion. Source: KMS Developer Guide, "Key states of AWS KMS keys".
var onKey = map[string]struct {
	in    func(f *fixture) any
	cells [3]cell
}{
	"Encrypt": {func(f *fixture) any { return &kmsapi.EncryptRequest{KeyId: &f.key, Plaintext: []byte("x")} },
		[3]cell{works, disabled, pending}},
	"Decrypt": {func(f *fixture) any { return &kmsapi.DecryptRequest{CiphertextBlob: f.blob} },
		[3]cell{works, disabled, pending}},
	"ReEncrypt": {func(f *fixture) any {
		return &kmsapi.ReEncryptRequest{CiphertextBlob: f.blob, DestinationKeyId: &f.spare}
	},
		[3]cell{works, disabled, pending}},
	"GenerateDataKey": {func(f *fixture) any { return &kmsapi.GenerateDataKeyRequest{KeyId: &f.key, KeySpec: new("AES_256")} },
		[3]cell{works, disabled, pending}},
	"GenerateDataKeyWithoutPlaintext": {func(f *fixture) any {
		return &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &f.key, KeySpec: new("AES_256")}
	}, [3]cell{works, disabled, pending}},
	"GenerateDataKeyPair": {func(f *fixture) any {
		return &kmsapi.GenerateDataKeyPairRequest{KeyId: &f.key, KeyPairSpec: new("ECC_NIST_P256")}
	}, [3]cell{works, disabled, pending}},
	"GenerateDataKeyPairWithoutPlaintext": {func(f *fixture) any {
		return &kmsapi.GenerateDataKeyPairWithoutPlaintextRequest{KeyId: &f.key, KeyPairSpec: new("ECC_NIST_P256")}
	}, [3]cell{works, disabled, pending}},
	"GetPublicKey": {func(f *fixture) any { return &kmsapi.GetPublicKeyRequest{KeyId: &f.signs.key} }, [3]cell{works, disabled, pending}},
	"Sign": {func(f *fixture) any {
		return &kmsapi.SignRequest{KeyId: &f.signs.key, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256")}
	}, [3]cell{works, disabled, pending}},
	"Verify": {func(f *fixture) any {
		return &kmsapi.VerifyRequest{KeyId: &f.signs.key, Message: []byte("m"), Signature: f.signs.made, SigningAlgorithm: new("ECDSA_SHA_256")}
	}, [3]cell{works, disabled, pending}},
	"GenerateMac": {func(f *fixture) any {
		return &kmsapi.GenerateMacRequest{KeyId: &f.macs.key, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_256")}
	}, [3]cell{works, disabled, pending}},
	"VerifyMac": {func(f *fixture) any {
		return &kmsapi.VerifyMacRequest{KeyId: &f.macs.key, Message: []byte("m"), Mac: f.macs.made, MacAlgorithm: new("HMAC_SHA_256")}
	}, [3]cell{works, disabled, pending}},
	"DeriveSharedSecret": {func(f *fixture) any {
		return &kmsapi.DeriveSharedSecretRequest{KeyId: &f.agrees.key, PublicKey: f.agrees.made, KeyAgreementAlgorithm: new("ECDH")}
	}, [3]cell{works, disabled, pending}},
	"Encapsulate": {func(f *fixture) any {
		return &kmsapi.EncapsulateRequest{KeyId: &f.kems.key, EncapsulationAlgorithm: new("ML_KEM")}
	}, [3]cell{works, disabled, pending}},
	"Decapsulate": {func(f *fixture) any {
		return &kmsapi.DecapsulateRequest{KeyId: &f.kems.key, SharedSecretCiphertextBlob: f.kems.made, EncapsulationAlgorithm: new("ML_KEM")}
	}, [3]cell{works, disabled, pending}},
	"CreateGrant": {func(f *fixture) any {
		return &kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}}
	}, [3]cell{works, disabled, pending}},
	"CreateAlias": {func(f *fixture) any {
		return &kmsapi.CreateAliasRequest{AliasName: new("alias/new"), TargetKeyId: &f.key}
	},
		[3]cell{works, works, pending}},
	"UpdateAlias": {func(f *fixture) any {
		return &kmsapi.UpdateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &f.key}
	},
		[3]cell{works, works, pending}},
	"DeleteAlias": {func(f *fixture) any { return &kmsapi.DeleteAliasRequest{AliasName: new("alias/key")} },
		[3]cell{works, works, works}},
	"ListAliases": {func(f *fixture) any { return &kmsapi.ListAliasesRequest{KeyId: &f.key} },
		[3]cell{works, works, works}},
	"DescribeKey":     {func(f *fixture) any { return &kmsapi.DescribeKeyRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"GetKeyLastUsage": {func(f *fixture) any { return &kmsapi.GetKeyLastUsageRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"GetKeyPolicy":    {func(f *fixture) any { return &kmsapi.GetKeyPolicyRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"ListKeyPolicies": {func(f *fixture) any { return &kmsapi.ListKeyPoliciesRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"PutKeyPolicy": {func(f *fixture) any {
		return &kmsapi.PutKeyPolicyRequest{KeyId: &f.key, Policy: new(document(rootStatement(owner)))}
	}, [3]cell{works, works, works}},
	"ListGrants":  {func(f *fixture) any { return &kmsapi.ListGrantsRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"RevokeGrant": {func(f *fixture) any { return &kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &f.grant} }, [3]cell{works, works, works}},
	"RetireGrant": {func(f *fixture) any { return &kmsapi.RetireGrantRequest{KeyId: &f.key, GrantId: &f.grant} }, [3]cell{works, works, works}},
	"TagResource": {func(f *fixture) any {
		return &kmsapi.TagResourceRequest{KeyId: &f.key, Tags: []kmsapi.Tag{{TagKey: new("k"), TagValue: new("v")}}}
	}, [3]cell{works, works, pending}},
	"UntagResource":        {func(f *fixture) any { return &kmsapi.UntagResourceRequest{KeyId: &f.key, TagKeys: []string{"k"}} }, [3]cell{works, works, pending}},
	"ListResourceTags":     {func(f *fixture) any { return &kmsapi.ListResourceTagsRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"UpdateKeyDescription": {func(f *fixture) any { return &kmsapi.UpdateKeyDescriptionRequest{KeyId: &f.key, Description: new("d")} }, [3]cell{works, works, pending}},
	"EnableKey":            {func(f *fixture) any { return &kmsapi.EnableKeyRequest{KeyId: &f.key} }, [3]cell{works, works, pending}},
	"DisableKey":           {func(f *fixture) any { return &kmsapi.DisableKeyRequest{KeyId: &f.key} }, [3]cell{works, works, pending}},
	"ScheduleKeyDeletion":  {func(f *fixture) any { return &kmsapi.ScheduleKeyDeletionRequest{KeyId: &f.key} }, [3]cell{works, works, pending}},
	"CancelKeyDeletion":    {func(f *fixture) any { return &kmsapi.CancelKeyDeletionRequest{KeyId: &f.key} }, [3]cell{notPending, notPending, works}},
	"EnableKeyRotation":    {func(f *fixture) any { return &kmsapi.EnableKeyRotationRequest{KeyId: &f.key} }, [3]cell{works, disabled, pending}},
	"DisableKeyRotation":   {func(f *fixture) any { return &kmsapi.DisableKeyRotationRequest{KeyId: &f.key} }, [3]cell{works, disabled, pending}},
	"GetParametersForImport": {func(f *fixture) any {
		return &kmsapi.GetParametersForImportRequest{KeyId: &f.imported.key, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")}
	}, [3]cell{works, works, pending}},
	"ImportKeyMaterial": {func(f *fixture) any { return f.again }, [3]cell{works, works, pending}},
	"DeleteImportedKeyMaterial": {func(f *fixture) any {
		return &kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &f.imported.key}
	}, [3]cell{works, works, works}},
	"ReplicateKey": {func(f *fixture) any {
		return &kmsapi.ReplicateKeyRequest{KeyId: &f.multi.key, ReplicaRegion: new("eu-west-1")}
	}, [3]cell{works, disabled, pending}},
	"UpdatePrimaryRegion": {func(f *fixture) any {
		return &kmsapi.UpdatePrimaryRegionRequest{KeyId: &f.moves.key, PrimaryRegion: new("eu-central-1")}
	}, [3]cell{works, disabled, pendingReplicas}},
	"RotateKeyOnDemand":    {func(f *fixture) any { return &kmsapi.RotateKeyOnDemandRequest{KeyId: &f.key} }, [3]cell{works, disabled, pending}},
	"ListKeyRotations":     {func(f *fixture) any { return &kmsapi.ListKeyRotationsRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
	"GetKeyRotationStatus": {func(f *fixture) any { return &kmsapi.GetKeyRotationStatusRequest{KeyId: &f.key} }, [3]cell{works, works, works}},
}

// noKey are the operations that are not about one key.
var noKey = map[string]bool{
	"CreateKey": true, "ListKeys": true, "GenerateRandom": true, "ListRetirableGrants": true, "CreateCustomKeyStore": true,
	"DescribeCustomKeyStores": true, "UpdateCustomKeyStore": true, "DeleteCustomKeyStore": true, "ConnectCustomKeyStore": true,
	"DisconnectCustomKeyStore": true,
}

// A fixture is a key in some state, with an alias, a grant, rotation and a ciphertext, beside an enabled key
// with an alias. A whole one has keys of other usages in the state of the first too.
type fixture struct {
	root             *who
	key, spare, user string
	grant            string
	blob             []byte

	// Of a whole fixture: multi and moves are multi-Region keys, without a replica and with one.
	signs, macs, agrees, kems, multi, moves, imported kindOfKey

	again *kmsapi.ImportKeyMaterialRequest // imports into imported once more
}

// A kindOfKey is a key with something that was made with it.
type kindOfKey struct {
	key  string
	made []byte
}

// keyOf is the key that the operation of the table is about.
func (f *fixture) keyOf(op string) string {
	switch op {
	case "Sign", "Verify", "GetPublicKey":
		return f.signs.key
	case "GenerateMac", "VerifyMac":
		return f.macs.key
	case "DeriveSharedSecret":
		return f.agrees.key
	case "Encapsulate", "Decapsulate":
		return f.kems.key
	case "GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial":
		return f.imported.key
	case "ReplicateKey":
		return f.multi.key
	case "UpdatePrimaryRegion":
		return f.moves.key
	}
	return f.key
}

// addKinds makes the keys of other usages.
func (f *fixture) addKinds() {
	r := f.root
	f.signs.key, f.macs.key = r.keyOf("ECC_NIST_P256", "SIGN_VERIFY"), r.keyOf("HMAC_256", "GENERATE_VERIFY_MAC")
	f.agrees.key, f.kems.key = r.keyOf("ECC_NIST_P256", "KEY_AGREEMENT"), r.keyOf("ML_KEM_768", "ENCAPSULATE_DECAPSULATE")
	f.multi.key = *r.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true)}).Arn
	f.moves.key = *r.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true)}).Arn
	r.must(&kmsapi.ReplicateKeyRequest{KeyId: &f.moves.key, ReplicaRegion: new("eu-central-1")})
	f.signs.made = get[kmsapi.SignResponse](r, &kmsapi.SignRequest{KeyId: &f.signs.key, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256")}).Signature
	f.macs.made = get[kmsapi.GenerateMacResponse](r, &kmsapi.GenerateMacRequest{KeyId: &f.macs.key, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_256")}).Mac
	f.agrees.made = get[kmsapi.GetPublicKeyResponse](r, &kmsapi.GetPublicKeyRequest{KeyId: &f.signs.key}).PublicKey
	f.kems.made = get[kmsapi.EncapsulateResponse](r, &kmsapi.EncapsulateRequest{KeyId: &f.kems.key, EncapsulationAlgorithm: new("ML_KEM")}).SharedSecretCiphertextBlob
}

// addImported makes a key with imported material.
func (f *fixture) addImported() {
	r := f.root
	f.imported.key = r.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	f.again = r.wrapped(f.imported.key, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{7}, 32))
	r.must(f.again)
}

// keyOf makes a key of a spec and usage and returns its ARN.
func (c *who) keyOf(spec, usage string) string {
	c.w.t.Helper()
	return *c.createKey(&kmsapi.CreateKeyRequest{KeySpec: &spec, KeyUsage: &usage}).Arn
}

func newFixture(w *world, state string) *fixture {
	f := &fixture{root: w.root(owner)}
	f.user = w.user(owner, "u"+state).arn()
	f.key, f.spare = f.root.newKey(), f.root.newKey()
	f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/key"), TargetKeyId: &f.key})
	f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &f.spare})
	f.grant = *get[kmsapi.CreateGrantResponse](f.root, &kmsapi.CreateGrantRequest{
		KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"},
	}).GrantId
	f.blob = f.root.encrypt(f.key, "secret", nil)
	f.root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &f.key})
	f.bring(state, f.key)
	return f
}

// newWholeFixture is newFixture with keys of all usages, and with imported material if the
// operation is about that: a wrapping key takes its time.
func newWholeFixture(w *world, state, op string) *fixture {
	f := newFixture(w, state)
	f.addKinds()
	if strings.Contains(op, "Import") {
		f.addImported()
		f.bring(state, f.imported.key)
	}
	f.bring(state, f.signs.key, f.macs.key, f.agrees.key, f.kems.key, f.multi.key, f.moves.key)
	return f
}

// bring puts enabled keys into a state.
func (f *fixture) bring(state string, keys ...string) {
	for _, key := range keys {
		switch state {
		case "Disabled":
			f.root.must(&kmsapi.DisableKeyRequest{KeyId: &key})
		case "PendingDeletion":
			f.root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key})
		}
	}
}

func TestEveryOperationIsDecidedInEveryState(t *testing.T) {
	for op := range newWorld(t).ops {
		if _, known := onKey[op]; known == noKey[op] {
			t.Errorf("%s is not in exactly one of the tables", op)
		}
	}
	for i, state := range []string{"Enabled", "Disabled", "PendingDeletion"} {
		for op, row := range onKey {
			t.Run(state+"/"+op, func(t *testing.T) {
				f := newWholeFixture(newWorld(t), state, op)
				err := f.root.try(row.in(f))
				key := f.keyOf(op)
				switch row.cells[i] {
				case works:
					if err != nil {
						t.Error(err)
					}
				case disabled:
					wantErr(t, err, "DisabledException", key+" is disabled.")
				case pending:
					wantErr(t, err, "KMSInvalidStateException", key+" is pending deletion.")
				case pendingReplicas:
					wantErr(t, err, "KMSInvalidStateException", key+" is pending replica deletion.")
				case notPending:
					wantErr(t, err, "KMSInvalidStateException", key+" is not pending deletion.")
				default:
					t.Errorf("nobody decided what %s does in %s", op, state)
				}
			})
		}
	}
}

// ReEncrypt needs both keys.
func TestReEncryptToUnusableKey(t *testing.T) {
	f := newFixture(newWorld(t), "Disabled")
	err := f.root.try(&kmsapi.ReEncryptRequest{CiphertextBlob: f.root.encrypt(f.spare, "x", nil), DestinationKeyId: &f.key})
	wantErr(t, err, "DisabledException", f.key+" is disabled.")
}

func TestUpdateAliasAwayFromKeyPendingDeletion(t *testing.T) {
	f := newFixture(newWorld(t), "PendingDeletion")
	f.root.must(&kmsapi.UpdateAliasRequest{AliasName: new("alias/key"), TargetKeyId: &f.spare})
	if got := f.root.describe("alias/key"); *got.Arn != f.spare {
		t.Errorf("alias/key is %s, want %s", *got.Arn, f.spare)
	}
}

func TestStatesShowInMetadata(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	show := func(state string, enabled, deletion bool) {
		t.Helper()
		m := f.root.describe(f.key)
		if *m.KeyState != state || *m.Enabled != enabled || (m.DeletionDate != nil) != deletion {
			t.Errorf("state %s enabled %t deletion %v, want %s %t %t", *m.KeyState, *m.Enabled, m.DeletionDate, state, enabled, deletion)
		}
	}
	show("Enabled", true, false)
	f.root.must(&kmsapi.DisableKeyRequest{KeyId: &f.key})
	show("Disabled", false, false)
	f.root.must(&kmsapi.EnableKeyRequest{KeyId: &f.key})
	show("Enabled", true, false)
	out := get[kmsapi.ScheduleKeyDeletionResponse](f.root, &kmsapi.ScheduleKeyDeletionRequest{KeyId: &f.key, PendingWindowInDays: new(int32(7))})
	show("PendingDeletion", false, true)
	if *out.KeyId != f.key || *out.KeyState != "PendingDeletion" || *out.PendingWindowInDays != 7 {
		t.Errorf("ScheduleKeyDeletion answered %+v", out)
	}
	if d := time.Until(*out.DeletionDate) - 7*24*time.Hour; d > 0 || d < -time.Minute {
		t.Errorf("DeletionDate is %v off seven days", d)
	}
	if got := get[kmsapi.CancelKeyDeletionResponse](f.root, &kmsapi.CancelKeyDeletionRequest{KeyId: &f.key}); *got.KeyId != f.key {
		t.Errorf("CancelKeyDeletion answered %s", *got.KeyId)
	}
	show("Disabled", false, false)
}
