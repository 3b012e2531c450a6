package kms_test

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/trail"
)

// newExternal makes a key whose material is to be imported and returns its ARN.
func (c *who) newExternal(spec, usage string) string {
	c.w.t.Helper()
	return *c.createKey(&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL"), KeySpec: &spec, KeyUsage: &usage}).Arn
}

// wrapped is a request to import material that does not expire, wrapped as its owner would do it.
func (c *who) wrapped(key, alg string, material []byte) *kmsapi.ImportKeyMaterialRequest {
	c.w.t.Helper()
	p := get[kmsapi.GetParametersForImportResponse](c, &kmsapi.GetParametersForImportRequest{KeyId: &key, WrappingAlgorithm: &alg, WrappingKeySpec: new("RSA_2048")})
	parsed, err := x509.ParsePKIXPublicKey(p.PublicKey)
	check(c.w.t, err)
	newHash := map[bool]func() hash.Hash{true: sha256.New, false: sha1.New}[strings.HasSuffix(alg, "SHA_256")]
	var tail []byte
	if strings.HasPrefix(alg, "RSA_AES") {
		between := make([]byte, 32)
		rand.Read(between)
		material, tail = between, wrapKWP(c.w.t, between, material)
	}
	ct, err := rsa.EncryptOAEP(newHash(), rand.Reader, parsed.(*rsa.PublicKey), material, nil)
	check(c.w.t, err)
	return &kmsapi.ImportKeyMaterialRequest{
		KeyId: &key, ImportToken: p.ImportToken, EncryptedKeyMaterial: append(ct, tail...), ExpirationModel: new("KEY_MATERIAL_DOES_NOT_EXPIRE"),
	}
}

// wrapKWP is AES key wrap with padding, RFC 5649.
func wrapKWP(t testing.TB, key, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	check(t, err)
	a := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(plain)))
	r := append(bytes.Clone(plain), make([]byte, (8-len(plain)%8)%8)...)
	n := len(r) / 8
	b := make([]byte, 16)
	if n == 1 {
		block.Encrypt(b, append(a, r...))
		return b
	}
	for j := range 6 {
		for i := 1; i <= n; i++ {
			block.Encrypt(b, append(bytes.Clone(a), r[8*(i-1):8*i]...))
			binary.BigEndian.PutUint64(a, binary.BigEndian.Uint64(b)^uint64(n*j+i))
			copy(r[8*(i-1):], b[8:])
		}
	}
	return append(a, r...)
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return der
}

// Material of each kind of key arrives by each algorithm that can carry it, and is what was sent.
func TestImport(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	check(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	all := []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"}
	for _, tt := range []struct {
		spec, usage string
		material    []byte
		algs        []string
		use         func(t *testing.T, key string)
	}{
		{"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", bytes.Repeat([]byte{1}, 32), all, func(t *testing.T, key string) {
			root.must(&kmsapi.DecryptRequest{CiphertextBlob: root.encrypt(key, "x", nil)})
		}},
		{"HMAC_384", "GENERATE_VERIFY_MAC", bytes.Repeat([]byte{2}, 48), all, func(t *testing.T, key string) {
			root.must(&kmsapi.GenerateMacRequest{KeyId: &key, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_384")})
		}},
		{"RSA_3072", "SIGN_VERIFY", pkcs8(t, rsaKey), all[2:], func(t *testing.T, key string) {
			digest := sha256.Sum256([]byte("m"))
			sig := get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: &key, Message: []byte("m"), SigningAlgorithm: new("RSASSA_PKCS1_V1_5_SHA_256")}).Signature
			check(t, rsa.VerifyPKCS1v15(&rsaKey.PublicKey, 5, digest[:], sig))
		}},
		{"ECC_NIST_P384", "KEY_AGREEMENT", pkcs8(t, ec), all, func(t *testing.T, key string) {
			der, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
			check(t, err)
			if got := get[kmsapi.GetPublicKeyResponse](root, &kmsapi.GetPublicKeyRequest{KeyId: &key}).PublicKey; !bytes.Equal(got, der) {
				t.Error("another public key")
			}
			if got := get[kmsapi.DeriveSharedSecretResponse](root, &kmsapi.DeriveSharedSecretRequest{KeyId: &key, PublicKey: der, KeyAgreementAlgorithm: new("ECDH")}); *got.KeyOrigin != "EXTERNAL" {
				t.Errorf("origin %s", *got.KeyOrigin)
			}
		}},
	} {
		for _, alg := range tt.algs {
			w.run(tt.spec+" "+alg, func(t *testing.T) {
				key := root.newExternal(tt.spec, tt.usage)
				m := root.describe(key)
				if *m.KeyState != "PendingImport" || *m.Enabled || *m.Origin != "EXTERNAL" || m.ExpirationModel != nil || m.CurrentKeyMaterialId != nil {
					t.Errorf("before: %+v", m)
				}
				out := get[kmsapi.ImportKeyMaterialResponse](root, root.wrapped(key, alg, tt.material))
				m = root.describe(key)
				if *out.KeyId != key || *m.KeyState != "Enabled" || *m.ExpirationModel != "KEY_MATERIAL_DOES_NOT_EXPIRE" || m.ValidTo != nil {
					t.Errorf("after: %s, %+v", *out.KeyId, m)
				}
				if symmetric := tt.spec == "SYMMETRIC_DEFAULT"; symmetric != (out.KeyMaterialId != nil) || symmetric && *m.CurrentKeyMaterialId != *out.KeyMaterialId {
					t.Errorf("material %v", out.KeyMaterialId)
				}
				tt.use(t, key)
			})
		}
	}
}

func TestImportRefuses(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, second := root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	good := func() *kmsapi.ImportKeyMaterialRequest {
		return root.wrapped(key, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{1}, 32))
	}
	foreign := root.wrapped(second, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{1}, 32))
	foreign.KeyId = &key
	w.run("the token of another key", func(t *testing.T) { wantErr(t, root.try(foreign), "InvalidImportTokenException", "") })
	for name, tt := range map[string]struct {
		change func(*kmsapi.ImportKeyMaterialRequest)
		code   string
	}{
		"another token":        {func(in *kmsapi.ImportKeyMaterialRequest) { in.ImportToken[9] ^= 1 }, "InvalidImportTokenException"},
		"changed material":     {func(in *kmsapi.ImportKeyMaterialRequest) { in.EncryptedKeyMaterial[9] ^= 1 }, "InvalidCiphertextException"},
		"cut material":         {func(in *kmsapi.ImportKeyMaterialRequest) { in.EncryptedKeyMaterial = in.EncryptedKeyMaterial[1:] }, "InvalidCiphertextException"},
		"no date":              {func(in *kmsapi.ImportKeyMaterialRequest) { in.ExpirationModel = nil }, "ValidationException"},
		"a date, though never": {func(in *kmsapi.ImportKeyMaterialRequest) { in.ValidTo = new(w.guard.Now().Add(time.Hour)) }, "ValidationException"},
		"a date of the past":   {func(in *kmsapi.ImportKeyMaterialRequest) { in.ExpirationModel, in.ValidTo = nil, new(w.guard.Now()) }, "ValidationException"},
		"a date too far": {func(in *kmsapi.ImportKeyMaterialRequest) {
			in.ExpirationModel, in.ValidTo = nil, new(w.guard.Now().Add(366*day))
		}, "ValidationException"},
		"new, of a name": {func(in *kmsapi.ImportKeyMaterialRequest) {
			in.ImportType, in.KeyMaterialId = new("NEW_KEY_MATERIAL"), new(strings.Repeat("0", 64))
		}, "ValidationException"},
		"existing, of no name":  {func(in *kmsapi.ImportKeyMaterialRequest) { in.ImportType = new("EXISTING_KEY_MATERIAL") }, "IncorrectKeyMaterialException"},
		"material of that name": {func(in *kmsapi.ImportKeyMaterialRequest) { in.KeyMaterialId = new(strings.Repeat("0", 64)) }, "IncorrectKeyMaterialException"},
	} {
		w.run(name, func(t *testing.T) {
			in := good()
			tt.change(in)
			wantErr(t, root.try(in), tt.code, "*")
		})
	}
	w.run("no date, by its text", func(t *testing.T) {
		in := good()
		in.ExpirationModel = nil
		wantErr(t, root.try(in), "ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
	})
	for _, size := range []int{0, 16, 31, 33} {
		if size > 0 {
			wantErr(t, root.try(root.wrapped(key, "RSAES_OAEP_SHA_256", make([]byte, size))), "IncorrectKeyMaterialException", "*")
		}
	}
	late := good()
	w.advance(24 * time.Hour)
	wantErr(t, root.try(late), "ExpiredImportTokenException", "")
	own := root.newKey()
	const wrong = " origin is AWS_KMS which is not valid for this operation."
	wantErr(t, root.try(&kmsapi.GetParametersForImportRequest{KeyId: &own, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")}), "UnsupportedOperationException", own+wrong)
	wantErr(t, root.try(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &own}), "UnsupportedOperationException", own+wrong)
	late.KeyId = &own
	wantErr(t, root.try(late), "UnsupportedOperationException", own+wrong)
	wantErr(t, root.try(&kmsapi.GetParametersForImportRequest{KeyId: &key, WrappingAlgorithm: new("RSAES_PKCS1_V1_5"), WrappingKeySpec: new("RSA_2048")}), "UnsupportedOperationException", "*")
	for spec, tt := range map[string]struct{ algorithm, wrapping, code string }{
		"RSA_2048":      {"RSAES_OAEP_SHA_256", "RSA_4096", "UnsupportedOperationException"},
		"RSA_4096":      {"RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", ""},
		"ECC_NIST_P384": {"RSAES_OAEP_SHA_1", "RSA_2048", ""},
		"ECC_NIST_P521": {"RSAES_OAEP_SHA_1", "RSA_2048", "UnsupportedOperationException"},
	} {
		private := root.newExternal(spec, "SIGN_VERIFY")
		if err := root.try(&kmsapi.GetParametersForImportRequest{KeyId: &private, WrappingAlgorithm: &tt.algorithm, WrappingKeySpec: &tt.wrapping}); apierr.Code(err) != tt.code {
			t.Errorf("%s: %v", spec, err)
		}
	}
	wantErr(t, root.try(&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL"), KeySpec: new("ML_DSA_44"), KeyUsage: new("SIGN_VERIFY")}), "ValidationException", "KeySpec ML_DSA_44 is not supported for Origin EXTERNAL")
	for _, in := range []any{&kmsapi.EnableKeyRotationRequest{KeyId: &key}, &kmsapi.DisableKeyRotationRequest{KeyId: &key}, &kmsapi.GetKeyRotationStatusRequest{KeyId: &key}} {
		wantErr(t, root.try(in), "UnsupportedOperationException", key+" origin is EXTERNAL which is not valid for this operation.")
	}
}

// Material that was deleted or has expired can come back, and only it.
func TestDeleteAndImportAgain(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	material := bytes.Repeat([]byte{1}, 32)
	root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key}) // no effect
	first := *get[kmsapi.ImportKeyMaterialResponse](root, root.wrapped(key, "RSAES_OAEP_SHA_256", material)).KeyMaterialId
	blob := root.encrypt(key, "x", nil)
	if got := get[kmsapi.DeleteImportedKeyMaterialResponse](root, &kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key}); *got.KeyId != key || *got.KeyMaterialId != first {
		t.Errorf("DeleteImportedKeyMaterial answered %s, %s", *got.KeyId, *got.KeyMaterialId)
	}
	m := root.describe(key)
	if *m.KeyState != "PendingImport" || m.ExpirationModel != nil || *m.CurrentKeyMaterialId != first {
		t.Errorf("after deletion: %+v", m)
	}
	wantErr(t, root.try(&kmsapi.DecryptRequest{CiphertextBlob: blob}), "KMSInvalidStateException", key+" is pending import.")
	wantErr(t, root.try(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key}), "KMSInvalidStateException", key+" is pending import.")
	wantErr(t, root.try(root.wrapped(key, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{2}, 32))), "IncorrectKeyMaterialException", "*")

	again := root.wrapped(key, "RSA_AES_KEY_WRAP_SHA_256", material)
	again.ExpirationModel, again.ValidTo = nil, new(w.guard.Now().Add(10*day).Truncate(time.Second))
	root.must(again)
	m = root.describe(key)
	if *m.KeyState != "Enabled" || *m.ExpirationModel != "KEY_MATERIAL_EXPIRES" || !m.ValidTo.Equal(*again.ValidTo) {
		t.Errorf("imported again: %+v", m)
	}
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
	w.advance(9 * day)
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
	w.advance(day + time.Second)
	m = root.describe(key)
	if *m.KeyState != "PendingImport" || m.ValidTo != nil || *m.CurrentKeyMaterialId != first {
		t.Errorf("expired: %+v", m)
	}
	recs := w.records(trail.Filter{Account: owner, EventName: "DeleteExpiredKeyMaterial"})
	if len(recs) != 1 || recs[0].Resources[0].ARN != key {
		t.Errorf("records of the expiry: %+v", recs)
	}
	for _, material := range w.stored(key) {
		if material["wrapped"] != nil {
			t.Error("the material is still stored")
		}
	}
	root.must(root.wrapped(key, "RSAES_OAEP_SHA_1", material))
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
	w.advance(400 * day)
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
}

// A disabled key stays so when material comes and goes; a cancelled deletion shows what is missing.
func TestStatesOfExternalKeys(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newExternal("HMAC_256", "GENERATE_VERIFY_MAC")
	material := bytes.Repeat([]byte{1}, 32)
	state := func(want string) {
		t.Helper()
		if m := root.describe(key); *m.KeyState != want {
			t.Errorf("the state is %s, want %s", *m.KeyState, want)
		}
	}
	wantErr(t, root.try(&kmsapi.DisableKeyRequest{KeyId: &key}), "KMSInvalidStateException", key+" is pending import.")
	wantErr(t, root.try(&kmsapi.GenerateMacRequest{KeyId: &key, Message: []byte("m"), MacAlgorithm: new("HMAC_SHA_256")}), "KMSInvalidStateException", key+" is pending import.")
	root.must(root.wrapped(key, "RSAES_OAEP_SHA_256", material))
	root.must(&kmsapi.DisableKeyRequest{KeyId: &key})
	root.must(root.wrapped(key, "RSAES_OAEP_SHA_256", material))
	state("Disabled")
	root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key})
	state("PendingImport")
	wantErr(t, root.try(root.wrapped(key, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{2}, 32))), "IncorrectKeyMaterialException", "*")
	root.must(root.wrapped(key, "RSAES_OAEP_SHA_256", material))
	state("Enabled")
	root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key})
	root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key})
	state("PendingDeletion")
	root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &key})
	state("PendingImport")
}

// entries are what ListKeyRotations says of all material.
func (c *who) entries(key string) (out [][4]string) {
	c.w.t.Helper()
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	for _, r := range get[kmsapi.ListKeyRotationsResponse](c, &kmsapi.ListKeyRotationsRequest{KeyId: &key, IncludeKeyMaterial: new("ALL_KEY_MATERIAL")}).Rotations {
		out = append(out, [4]string{text(r.KeyMaterialDescription), text(r.KeyMaterialState), text(r.ImportState), text(r.RotationType)})
	}
	return out
}

// More material waits for its rotation; the key works only while all that it ever used is there.
func TestRotationOfImportedMaterial(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	add := func(n byte, name string) *kmsapi.ImportKeyMaterialRequest {
		in := root.wrapped(key, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{n}, 32))
		in.ImportType, in.KeyMaterialDescription = new("NEW_KEY_MATERIAL"), &name
		return in
	}
	first := *get[kmsapi.ImportKeyMaterialResponse](root, add(1, "one")).KeyMaterialId
	old := root.encrypt(key, "old", nil)
	wantErr(t, root.try(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key}), "KMSInvalidStateException", "No available key material pending rotation for the key: "+key+".")
	wantErr(t, root.try(add(1, "one")), "IncorrectKeyMaterialException", "*")
	second := *get[kmsapi.ImportKeyMaterialResponse](root, add(2, "two")).KeyMaterialId
	if root.material(key) != first {
		t.Error("pending material is used already")
	}
	err := root.try(add(3, "three"))
	wantErr(t, err, "KMSInvalidStateException", "*")
	if !strings.Contains(err.Error(), "cannot be imported into KMS key "+key+", because another key material (id: "+second+") is pending rotation.") {
		t.Error(err)
	}
	if d := cmp.Diff([][4]string{{"one", "CURRENT", "IMPORTED", "-"}, {"two", "PENDING_ROTATION", "IMPORTED", "-"}}, root.entries(key)); d != "" {
		t.Error(d)
	}
	root.must(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key})
	if d := cmp.Diff([][4]string{{"one", "NON_CURRENT", "IMPORTED", "-"}, {"two", "CURRENT", "IMPORTED", "ON_DEMAND"}}, root.entries(key)); d != "" {
		t.Error(d)
	}
	root.opens(key, "old", first, old)
	root.opens(key, "new", second, root.encrypt(key, "new", nil))
	root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key, KeyMaterialId: &first})
	if m := root.describe(key); *m.KeyState != "PendingImport" || *m.CurrentKeyMaterialId != second {
		t.Errorf("without its first material: %+v", m)
	}
	wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), "KMSInvalidStateException", key+" is pending import.")
	again := root.wrapped(key, "RSAES_OAEP_SHA_256", bytes.Repeat([]byte{1}, 32))
	again.KeyMaterialId = &first
	root.must(again)
	root.opens(key, "old", first, old)
	// Pending material that is deleted makes room for another.
	third := *get[kmsapi.ImportKeyMaterialResponse](root, add(3, "three")).KeyMaterialId
	root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key, KeyMaterialId: &third})
	if m := root.describe(key); *m.KeyState != "Enabled" {
		t.Errorf("the key is %s", *m.KeyState)
	}
	root.must(add(4, "four"))
	wantErr(t, root.try(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key, KeyMaterialId: &third}), "NotFoundException", "*")
}

// Replicas of keys with imported material need it imported too, and rotate when all have it.
func TestImportedMaterialOfRelatedKeys(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	there := root.in(eu)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL"), MultiRegion: new(true)}).Arn
	twin := inRegion(key, eu)
	wantErr(t, root.try(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new(eu)}), "KMSInvalidStateException", key+" is pending import.")
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	root.must(root.wrapped(key, "RSAES_OAEP_SHA_256", one))
	blob := root.encrypt(key, "x", nil)
	root.must(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new(eu)})
	if m := there.describe(twin); *m.KeyState != "PendingImport" {
		t.Errorf("the replica is %s", *m.KeyState)
	}
	wantErr(t, there.try(there.wrapped(twin, "RSAES_OAEP_SHA_256", two)), "IncorrectKeyMaterialException", "*")
	there.must(there.wrapped(twin, "RSAES_OAEP_SHA_256", one))
	there.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
	fresh := root.wrapped(key, "RSAES_OAEP_SHA_256", two)
	fresh.ImportType = new("NEW_KEY_MATERIAL")
	root.must(fresh)
	want := [][4]string{{"-", "CURRENT", "IMPORTED", "-"}, {"-", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "IMPORTED", "-"}}
	if d := cmp.Diff(want, root.entries(key)); d != "" {
		t.Error(d)
	}
	wantErr(t, root.try(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key}), "KMSInvalidStateException", "No available key material pending rotation for the key: "+key+".")
	there.must(there.wrapped(twin, "RSAES_OAEP_SHA_256", two))
	want[1][1] = "PENDING_ROTATION"
	if d := cmp.Diff(want, there.entries(twin)); d != "" {
		t.Error(d)
	}
	root.must(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key})
	if root.material(key) != there.material(twin) || len(there.kinds(twin)) != 1 {
		t.Error("the related keys did not rotate together")
	}
	there.must(&kmsapi.DecryptRequest{CiphertextBlob: root.encrypt(key, "new", nil)})
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
}

// Material that is withdrawn from a primary key goes from its replicas too, and is to be made final
// there even if the primary had lost its own already.
func TestWithdrawnMaterialOfReplicasIsDestroyed(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	there := root.in(eu)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL"), MultiRegion: new(true)}).Arn
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	root.must(root.wrapped(key, "RSAES_OAEP_SHA_256", one))
	root.must(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new(eu)})
	twin := inRegion(key, eu)
	there.must(there.wrapped(twin, "RSAES_OAEP_SHA_256", one))
	fresh := root.wrapped(key, "RSAES_OAEP_SHA_256", two)
	fresh.ImportType, fresh.ExpirationModel, fresh.ValidTo = new("NEW_KEY_MATERIAL"), nil, new(w.clock.Now().Add(time.Hour))
	id := *get[kmsapi.ImportKeyMaterialResponse](root, fresh).KeyMaterialId
	there.must(there.wrapped(twin, "RSAES_OAEP_SHA_256", two))
	check(t, w.clock.Advance(t.Context(), 2*time.Hour)) // the primary's expires
	before, err := kms.Pending(t.Context(), w.store)
	check(t, err)
	root.must(&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key, KeyMaterialId: &id})
	after, err := kms.Pending(t.Context(), w.store)
	check(t, err)
	if after.Count != before.Count+1 {
		t.Errorf("%d removals wait to be final, then %d", before.Count, after.Count)
	}
	if got := there.entries(twin); len(got) != 1 {
		t.Errorf("the replica has %v", got)
	}
}

func TestConditionKeysOfImport(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
	user := w.user(owner, "u", document(
		statement("Allow", "", `{"StringEquals":{"kms:WrappingAlgorithm":"RSAES_OAEP_SHA_256","kms:WrappingKeySpec":"RSA_2048"}}`, "kms:GetParametersForImport"),
		statement("Allow", "", `{"StringEquals":{"kms:ExpirationModel":"KEY_MATERIAL_EXPIRES"},"DateLessThan":{"kms:ValidTo":"`+w.guard.Now().Add(5*day).UTC().Format(time.RFC3339)+`"}}`, "kms:ImportKeyMaterial")))
	in := user.wrapped(key, "RSAES_OAEP_SHA_256", make([]byte, 32))
	wantDenied(t, user.try(in), user, "kms:ImportKeyMaterial", key, noIdentity("kms:ImportKeyMaterial"))
	in.ExpirationModel, in.ValidTo = new("KEY_MATERIAL_EXPIRES"), new(w.guard.Now().Add(6*day))
	wantDenied(t, user.try(in), user, "kms:ImportKeyMaterial", key, noIdentity("kms:ImportKeyMaterial"))
	in.ValidTo = new(w.guard.Now().Add(4 * day))
	user.must(in)
	ask := &kmsapi.GetParametersForImportRequest{KeyId: &key, WrappingAlgorithm: new("RSAES_OAEP_SHA_1"), WrappingKeySpec: new("RSA_2048")}
	wantDenied(t, user.try(ask), user, "kms:GetParametersForImport", key, noIdentity("kms:GetParametersForImport"))
	rec := w.records(trail.Filter{Account: owner, EventName: "ImportKeyMaterial"})[0]
	if text := string(rec.RequestParameters); strings.Contains(text, "importToken") || strings.Contains(text, "encryptedKeyMaterial") || !strings.Contains(text, "validTo") {
		t.Errorf("the trail has %s", text)
	}
}

// What operations do to keys without their material. Source: KMS Developer Guide, "Key states of
// AWS KMS keys", PendingImport. Those that are not here work.
func TestOperationsPendingImport(t *testing.T) {
	use := " is pending import."
	refused := map[string]string{
		"CancelKeyDeletion": " is not pending deletion.", "CreateGrant": use, "EnableKey": use, "DisableKey": use, "RotateKeyOnDemand": use, "ReplicateKey": use,
		"Encrypt": use, "ReEncrypt": use, "GenerateDataKey": use, "GenerateDataKeyWithoutPlaintext": use, "GenerateDataKeyPair": use,
		"GenerateDataKeyPairWithoutPlaintext": use, "Sign": use, "Verify": use, "GetPublicKey": use, "GenerateMac": use, "VerifyMac": use, "DeriveSharedSecret": use,
	}
	elsewhere := map[string]bool{ // with a test of their own, or never about a key without material
		"Decrypt": true, "RevokeGrant": true, "RetireGrant": true, "Encapsulate": true, "Decapsulate": true, "UpdatePrimaryRegion": true,
		"ImportKeyMaterial": true, "EnableKeyRotation": true, "DisableKeyRotation": true, "GetKeyRotationStatus": true,
	}
	for op, row := range onKey {
		if elsewhere[op] {
			continue
		}
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			f := &fixture{root: w.root(owner), user: w.user(owner, "u").arn()}
			f.key, f.spare = f.root.newExternal("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), f.root.newKey()
			f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/key"), TargetKeyId: &f.key})
			f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &f.spare})
			f.signs = kindOfKey{f.root.newExternal("ECC_NIST_P256", "SIGN_VERIFY"), []byte("s")}
			f.macs = kindOfKey{f.root.newExternal("HMAC_256", "GENERATE_VERIFY_MAC"), []byte("m")}
			f.agrees = kindOfKey{f.root.newExternal("ECC_NIST_P256", "KEY_AGREEMENT"), []byte("p")}
			f.multi.key = *f.root.createKey(&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL"), MultiRegion: new(true)}).Arn
			f.imported.key = f.key
			in, key := row.in(f), f.keyOf(op)
			if op == "ReEncrypt" { // to the key
				in = &kmsapi.ReEncryptRequest{CiphertextBlob: f.root.encrypt(f.spare, "x", nil), DestinationKeyId: &f.key}
			}
			err := f.root.try(in)
			if message, no := refused[op]; no {
				wantErr(t, err, "KMSInvalidStateException", key+message)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
