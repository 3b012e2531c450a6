package kms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/trail"
)

// A dry run does everything but use the key, and says so.
func TestDryRunOfKeyOperations(t *testing.T) {
	w := newWorld(t)
	f := newWholeFixture(w, "Enabled", "")
	they := w.user(owner, "nobody")
	for op, in := range dryRuns(f) {
		w.run(op, func(t *testing.T) {
			wantErr(t, f.root.try(in), "DryRunOperationException", dryRun)
			wantDenied(t, they.try(in), they, "kms:"+op, f.keyOf(op), noIdentity("kms:"+op))
		})
	}
	// What is wrong is said in a dry run too.
	yes, forged := new(true), []byte("forged")
	wantErr(t, f.root.try(&kmsapi.VerifyRequest{KeyId: &f.signs.key, Message: []byte("m"), Signature: forged, SigningAlgorithm: new("ECDSA_SHA_256"), DryRun: yes}), "KMSInvalidSignatureException", "")
	wantErr(t, f.root.try(&kmsapi.VerifyMacRequest{KeyId: &f.macs.key, Message: []byte("m"), Mac: forged, MacAlgorithm: new("HMAC_SHA_256"), DryRun: yes}), "KMSInvalidMacException", "")
	wantErr(t, f.root.try(&kmsapi.DeriveSharedSecretRequest{KeyId: &f.agrees.key, PublicKey: forged, KeyAgreementAlgorithm: new("ECDH"), DryRun: yes}), "ValidationException", "")
	wrong := map[string]string{"another": "context"}
	wantErr(t, f.root.try(&kmsapi.DecryptRequest{CiphertextBlob: f.blob, EncryptionContext: wrong, DryRun: yes}), "InvalidCiphertextException", "")
	wantErr(t, f.root.try(&kmsapi.ReEncryptRequest{CiphertextBlob: f.blob, SourceEncryptionContext: wrong, DestinationKeyId: &f.spare, DryRun: yes}), "InvalidCiphertextException", "")
	wantErr(t, f.root.try(&kmsapi.SignRequest{KeyId: &f.signs.key, Message: []byte("m"), MessageType: new("DIGEST"), SigningAlgorithm: new("ECDSA_SHA_256"), DryRun: new(true)}),
		"ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.")
	wantErr(t, f.root.try(&kmsapi.SignRequest{KeyId: &f.key, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256"), DryRun: new(true)}), "InvalidKeyUsageException", "*")
}

func dryRuns(f *fixture) map[string]any {
	yes := new(true)
	return map[string]any{
		"Sign":                                &kmsapi.SignRequest{KeyId: &f.signs.key, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256"), DryRun: yes},
		"Verify":                              &kmsapi.VerifyRequest{KeyId: &f.signs.key, Message: []byte("m"), Signature: f.signs.made, SigningAlgorithm: new("ECDSA_SHA_256"), DryRun: yes},
		"GenerateMac":                         &kmsapi.GenerateMacRequest{KeyId: &f.macs.key, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_256"), DryRun: yes},
		"VerifyMac":                           &kmsapi.VerifyMacRequest{KeyId: &f.macs.key, Message: []byte("m"), Mac: f.macs.made, MacAlgorithm: new("HMAC_SHA_256"), DryRun: yes},
		"DeriveSharedSecret":                  &kmsapi.DeriveSharedSecretRequest{KeyId: &f.agrees.key, PublicKey: f.agrees.made, KeyAgreementAlgorithm: new("ECDH"), DryRun: yes},
		"Encapsulate":                         &kmsapi.EncapsulateRequest{KeyId: &f.kems.key, EncapsulationAlgorithm: new("ML_KEM"), DryRun: yes},
		"Decapsulate":                         &kmsapi.DecapsulateRequest{KeyId: &f.kems.key, SharedSecretCiphertextBlob: f.kems.made, EncapsulationAlgorithm: new("ML_KEM"), DryRun: yes},
		"GenerateDataKeyPair":                 &kmsapi.GenerateDataKeyPairRequest{KeyId: &f.key, KeyPairSpec: new("RSA_4096"), DryRun: yes},
		"GenerateDataKeyPairWithoutPlaintext": &kmsapi.GenerateDataKeyPairWithoutPlaintextRequest{KeyId: &f.key, KeyPairSpec: new("RSA_4096"), DryRun: yes},
	}
}

// Each kind of key takes the grant operations of its usage, and a grant is enough to use it, from
// another account too.
func TestGrantsOnKindsOfKeys(t *testing.T) {
	w := newWorld(t)
	f := newWholeFixture(w, "Enabled", "")
	they := w.user(other, "they")
	for op := range dryRuns(f) {
		w.run(op, func(t *testing.T) {
			in := onKey[op].in(f)
			wantHidden(t, they.try(in), they, "kms:"+op)
			g := f.root.grant(&kmsapi.CreateGrantRequest{KeyId: new(f.keyOf(op)), GranteePrincipal: new(they.arn()), Operations: []string{op}})
			if err := they.try(in); err != nil {
				t.Error(err)
			}
			f.root.must(&kmsapi.RevokeGrantRequest{KeyId: new(f.keyOf(op)), GrantId: g.GrantId})
			wantHidden(t, they.try(in), they, "kms:"+op)
		})
	}
	for op, key := range map[string]string{"Sign": f.kems.key, "Encapsulate": f.signs.key, "GetPublicKey": f.macs.key, "GenerateMac": f.key, "Decrypt": f.agrees.key} {
		wantErr(t, f.root.try(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(they.arn()), Operations: []string{op}}), "ValidationException", "*")
	}
	wantErr(t, f.root.try(&kmsapi.CreateGrantRequest{KeyId: &f.signs.key, GranteePrincipal: new(they.arn()), Operations: []string{"Sign"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "b"}}}), "ValidationException", "*")
}

// The condition keys of the operations hold what the request has.
func TestConditionKeysOfKeyOperations(t *testing.T) {
	w, n := newWorld(t), 0
	for op, keys := range map[string]map[string]string{
		"Sign":               {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW", "kms:KeySpec": "ECC_NIST_P256", "kms:KeyUsage": "SIGN_VERIFY", "kms:RequestAlias": "alias/kind"},
		"Verify":             {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW", "kms:RequestAlias": "alias/kind"},
		"GetPublicKey":       {"kms:RequestAlias": "alias/kind", "kms:CallerAccount": owner},
		"GenerateMac":        {"kms:MacAlgorithm": "HMAC_SHA_256", "kms:RequestAlias": "alias/kind"},
		"VerifyMac":          {"kms:MacAlgorithm": "HMAC_SHA_256", "kms:RequestAlias": "alias/kind"},
		"DeriveSharedSecret": {"kms:KeyAgreementAlgorithm": "ECDH", "kms:KeyUsage": "KEY_AGREEMENT", "kms:RequestAlias": "alias/kind"},
		"Encapsulate":        {"kms:RequestAlias": "alias/kind", "kms:KeyUsage": "ENCAPSULATE_DECAPSULATE"},
		"Decapsulate":        {"kms:RequestAlias": "alias/kind", "kms:KeySpec": "ML_KEM_768"},
	} {
		for key, value := range keys {
			n++
			region := fmt.Sprintf("region-%d", n)
			w.run(op+"/"+key, func(t *testing.T) {
				f := &fixture{root: w.root(owner).in(region)}
				f.addKinds()
				user := w.user(owner, fmt.Sprint("u", n)).in(region)
				target := f.keyOf(op)
				f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/kind"), TargetKeyId: &target})
				only := func(value string) *kmsapi.PutKeyPolicyRequest {
					return &kmsapi.PutKeyPolicyRequest{KeyId: &target, Policy: new(document(rootStatement(owner), allow(user.arn(), condition(key, value), "kms:"+op)))}
				}
				in := onKey[op].in(f.named("alias/kind"))
				f.root.must(only(wrong(key, value)))
				wantDenied(t, user.try(in), user, "kms:"+op, target, noIdentity("kms:"+op))
				f.root.must(only(value))
				if err := user.try(in); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// named is the fixture with keys called by a name.
func (f *fixture) named(name string) *fixture {
	g := *f
	g.signs.key, g.macs.key, g.agrees.key, g.kems.key = name, name, name, name
	return &g
}

func TestMessageTypeIsACondition(t *testing.T) {
	w := newWorld(t)
	root, user := w.root(owner), w.user(owner, "u")
	key := root.keyOf("ECC_NIST_P256", "SIGN_VERIFY")
	root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(rootStatement(owner), allow(user.arn(), condition("kms:MessageType", "DIGEST"), "kms:Sign")))})
	in := &kmsapi.SignRequest{KeyId: &key, Message: make([]byte, 32), SigningAlgorithm: new("ECDSA_SHA_256")}
	wantDenied(t, user.try(in), user, "kms:Sign", key, noIdentity("kms:Sign"))
	in.MessageType = new("DIGEST")
	user.must(in)
}

// No message, secret, signature or private key is in the trail; algorithms and names are.
func TestTrailOfKeyOperations(t *testing.T) {
	w := newWorld(t)
	f := newWholeFixture(w, "Enabled", "")
	for _, op := range []string{"Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate", "GenerateDataKeyPair", "GetPublicKey"} {
		_, request, err := f.root.do(t.Context(), onKey[op].in(f))
		check(t, err)
		rec := w.records(trail.Filter{RequestID: request})[0]
		if rec.EventName != op || !rec.ReadOnly || rec.ResponseElements != nil || len(rec.Resources) != 1 || rec.Resources[0].ARN != f.keyOf(op) {
			t.Errorf("%s: recorded %s, %v", op, rec.EventName, rec.Resources)
		}
		text := string(rec.RequestParameters)
		for _, member := range []string{"message\"", "signature\"", "mac\"", "publicKey", "sharedSecret", "privateKey"} {
			if strings.Contains(text, `"`+member) {
				t.Errorf("%s: the trail has %s", op, text)
			}
		}
		if !strings.Contains(text, `"keyId":"`+arn.KMSKey(region, owner, id(f.keyOf(op)))+`"`) {
			t.Errorf("%s: the trail has %s", op, text)
		}
		if op == "GenerateDataKeyPair" && !strings.Contains(text, `"keyPairSpec":"ECC_NIST_P256"`) {
			t.Errorf("the trail has %s", text)
		}
	}
}

func TestTagsAndAliasesOfKindsOfKeys(t *testing.T) {
	root := newWorld(t).root(owner)
	a, b := root.keyOf("ML_DSA_44", "SIGN_VERIFY"), root.keyOf("ML_KEM_512", "ENCAPSULATE_DECAPSULATE")
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/a"), TargetKeyId: &a})
	root.must(&kmsapi.SignRequest{KeyId: new("alias/a"), Message: []byte("m"), SigningAlgorithm: new("ML_DSA_SHAKE_256")})
	wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: new("alias/a"), TargetKeyId: &b}), "ValidationException", "*")
	for _, in := range []any{
		&kmsapi.EnableKeyRotationRequest{KeyId: &a}, &kmsapi.DisableKeyRotationRequest{KeyId: &b},
		&kmsapi.RotateKeyOnDemandRequest{KeyId: &a}, &kmsapi.ListKeyRotationsRequest{KeyId: &b},
	} {
		wantErr(t, root.try(in), "UnsupportedOperationException", "")
	}
}
