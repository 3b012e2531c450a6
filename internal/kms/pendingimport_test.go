package kms_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// awaits says what operations do on a key that waits for its material: i is refused, o is for keys of
// other origins. Source: KMS Developer Guide, "Key states of AWS KMS keys".
var awaits = map[string]string{
	"Encrypt": "i", "Decrypt": "i", "ReEncrypt": "i", "GenerateDataKey": "i", "GenerateDataKeyWithoutPlaintext": "i", "GenerateDataKeyPair": "i",
	"GenerateDataKeyPairWithoutPlaintext": "i", "GetPublicKey": "i", "Sign": "i", "Verify": "i", "GenerateMac": "i", "VerifyMac": "i",
	"DeriveSharedSecret": "i", "CreateGrant": "i", "CreateAlias": "ok", "UpdateAlias": "ok", "DeleteAlias": "ok", "ListAliases": "ok",
	"DescribeKey": "ok", "GetKeyLastUsage": "ok", "GetKeyPolicy": "ok", "PutKeyPolicy": "ok", "ListKeyPolicies": "ok", "ListGrants": "ok",
	"RetireGrant": "ok", "RevokeGrant": "ok", "TagResource": "ok", "UntagResource": "ok", "ListResourceTags": "ok", "UpdateKeyDescription": "ok",
	"EnableKey": "i", "DisableKey": "i", "EnableKeyRotation": "o", "DisableKeyRotation": "o", "GetKeyRotationStatus": "o", "RotateKeyOnDemand": "i",
	"ListKeyRotations": "ok", "ScheduleKeyDeletion": "ok", "CancelKeyDeletion": "n", "GetParametersForImport": "ok", "ImportKeyMaterial": "ok",
	"DeleteImportedKeyMaterial": "ok", "ReplicateKey": "i", "UpdatePrimaryRegion": "i",
}

// importedKey makes a key of imported material.
func (c *who) importedKey(spec, usage string, multi bool, material []byte) string {
	c.w.t.Helper()
	key := *c.createKey(&kmsapi.CreateKeyRequest{KeySpec: &spec, KeyUsage: &usage, Origin: new("EXTERNAL"), MultiRegion: &multi}).Arn
	c.must(c.wrapped(key, "RSAES_OAEP_SHA_256", material))
	return key
}

func privateKey(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return der
}

func TestEveryOperationOnKeysThatAwaitMaterial(t *testing.T) {
	for op := range onKey {
		if awaits[op] == "" && op != "Encapsulate" && op != "Decapsulate" { // ML-KEM takes no imported material
			t.Errorf("nobody decided what %s does", op)
		}
	}
	w := newWorld(t)
	root := w.root(owner)
	secret := bytes.Repeat([]byte{9}, 32)
	f := &fixture{root: root, user: w.user(owner, "u").arn(), spare: root.newKey()}
	f.key = root.importedKey("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", false, secret)
	f.imported.key, f.again = f.key, root.wrapped(f.key, "RSAES_OAEP_SHA_256", secret)
	f.signs.key, f.agrees.key = root.importedKey("ECC_NIST_P256", "SIGN_VERIFY", false, privateKey(t)), root.importedKey("ECC_NIST_P256", "KEY_AGREEMENT", false, privateKey(t))
	f.macs.key = root.importedKey("HMAC_256", "GENERATE_VERIFY_MAC", false, secret)
	f.multi.key, f.moves.key = root.importedKey("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", true, secret), root.importedKey("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", true, secret)
	root.must(&kmsapi.ReplicateKeyRequest{KeyId: &f.moves.key, ReplicaRegion: new("eu-central-1")})
	f.blob = root.encrypt(f.key, "x", nil)
	f.signs.made, f.macs.made = []byte("s"), []byte("m")
	f.agrees.made = get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &f.signs.key}).PublicKey
	grant := func() string {
		return *get[kmsapi.CreateGrantResponse](root, &kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}}).GrantId
	}
	grants := map[string]string{"RetireGrant": grant(), "RevokeGrant": grant()}
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/key"), TargetKeyId: &f.key})
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &f.spare})
	lose := func(key string) { root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key}) }
	for _, key := range []string{f.key, f.signs.key, f.agrees.key, f.macs.key, f.multi.key, f.moves.key} {
		lose(key)
	}
	for op, want := range awaits {
		w.run(op, func(t *testing.T) {
			root.w.t = t
			f.grant = grants[op]
			err, key := root.try(onKey[op].in(f)), f.keyOf(op)
			switch want {
			case "ok":
				check(t, err)
			case "i":
				wantErr(t, err, "KMSInvalidStateException", key+" is pending import.")
			case "o":
				wantErr(t, err, "UnsupportedOperationException", key+" origin is EXTERNAL which is not valid for this operation.")
			case "n":
				wantErr(t, err, "KMSInvalidStateException", key+" is not pending deletion.")
			}
			switch op { // back to where it was
			case "ImportKeyMaterial":
				lose(f.key)
			case "ScheduleKeyDeletion":
				root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &f.key})
				if got := *root.describe(f.key).KeyState; got != "PendingImport" {
					t.Errorf("the state is %s", got)
				}
			}
		})
	}
}
