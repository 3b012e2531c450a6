package kms_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
)

const (
	incorrectKey = "The key ID in the request does not identify a CMK that can perform this operation."
	dryRun       = "The request would have succeeded, but the DryRun option is set."
	foreignBlob  = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."
)

func TestEncryptAndDecrypt(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.createKey(&kmsapi.CreateKeyRequest{})
	ctx := map[string]string{"project": "nile", "Größe": "七"}
	enc := get[kmsapi.EncryptResponse](root, &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: []byte("attack"), EncryptionContext: ctx})
	want := &kmsapi.EncryptResponse{CiphertextBlob: enc.CiphertextBlob, KeyId: key.Arn, EncryptionAlgorithm: new("SYMMETRIC_DEFAULT")}
	if d := cmp.Diff(want, enc); d != "" || len(enc.CiphertextBlob) > 6144 || bytes.Contains(enc.CiphertextBlob, []byte("attack")) {
		t.Errorf("blob %x: %s", enc.CiphertextBlob, d)
	}
	if again := root.encrypt(*key.Arn, "attack", ctx); bytes.Equal(again, enc.CiphertextBlob) {
		t.Error("two encryptions are the same")
	}
	dec := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: ctx})
	if string(dec.Plaintext) != "attack" || *dec.KeyId != *key.Arn || *dec.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" || *dec.KeyMaterialId != *key.CurrentKeyMaterialId {
		t.Errorf("Decrypt answered %q, %s, %s, %s", string(dec.Plaintext), *dec.KeyId, *dec.EncryptionAlgorithm, *dec.KeyMaterialId)
	}
}

func TestDecryptRefuses(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, second := root.newKey(), root.newKey()
	hmac := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")})
	ctx := map[string]string{"a": "1", "b": "2"}
	blob := root.encrypt(key, "secret", ctx)
	change := func(at int) []byte {
		b := bytes.Clone(blob)
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
	tests := map[string]struct {
		in            kmsapi.DecryptRequest
		code, message string
	}{
		"no context":            {kmsapi.DecryptRequest{CiphertextBlob: blob}, "InvalidCiphertextException", ""},
		"context of other case": {kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: map[string]string{"A": "1", "b": "2"}}, "InvalidCiphertextException", ""},
		"less context":          {kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: map[string]string{"a": "1"}}, "InvalidCiphertextException", ""},
		"altered text":          {kmsapi.DecryptRequest{CiphertextBlob: change(-1), EncryptionContext: ctx}, "InvalidCiphertextException", ""},
		"altered material id":   {kmsapi.DecryptRequest{CiphertextBlob: change(10), EncryptionContext: ctx}, "InvalidCiphertextException", ""},
		"altered region":        {kmsapi.DecryptRequest{CiphertextBlob: change(43), EncryptionContext: ctx}, "InvalidCiphertextException", ""},
		"altered magic":         {kmsapi.DecryptRequest{CiphertextBlob: change(0), EncryptionContext: ctx}, "InvalidCiphertextException", ""},
		"altered account":       {kmsapi.DecryptRequest{CiphertextBlob: change(8), EncryptionContext: ctx}, "AccessDeniedException", foreignBlob},
		"no blob of ours":       {kmsapi.DecryptRequest{CiphertextBlob: []byte("AQICAH"), KeyId: &key}, "InvalidCiphertextException", ""},
		"wrong key":             {kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: ctx, KeyId: &second}, "IncorrectKeyException", incorrectKey},
		"key of other usage":    {kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: ctx, KeyId: hmac.Arn}, "IncorrectKeyException", incorrectKey},
		"unknown key":           {kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: ctx, KeyId: new(missing)}, "NotFoundException", "Key '" + missingARN(owner) + "' does not exist"},
		"no blob":               {kmsapi.DecryptRequest{}, "ValidationException", "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null"},
		"empty blob":            {kmsapi.DecryptRequest{CiphertextBlob: []byte{}}, "ValidationException", "*"},
		"blob too long":         {kmsapi.DecryptRequest{CiphertextBlob: make([]byte, 6145)}, "ValidationException", "*"},
		"asymmetric, no key":    {kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionAlgorithm: new("RSAES_OAEP_SHA_1")}, "ValidationException", "*"},
		"asymmetric algorithm":  {kmsapi.DecryptRequest{CiphertextBlob: blob, KeyId: &key, EncryptionAlgorithm: new("RSAES_OAEP_SHA_1")}, "InvalidKeyUsageException", "Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec SYMMETRIC_DEFAULT."},
		"attestation":           {kmsapi.DecryptRequest{CiphertextBlob: blob, Recipient: &kmsapi.RecipientInfo{}}, "ValidationException", "Recipient needs an AttestationDocument."},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			wantErr(t, root.try(&tt.in), tt.code, tt.message)
		})
	}
	w.run("in another region", func(t *testing.T) {
		err := root.in("eu-central-1").try(&kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: ctx})
		wantErr(t, err, "AccessDeniedException", foreignBlob)
	})
}

func TestPlaintextSizes(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	rsa := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")}).Arn
	const of = "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length "
	tests := []struct {
		key, alg string
		size     int
		message  string // "": it works
	}{
		{key, "", 1, ""},
		{key, "", 4096, ""},
		{key, "", 0, of + "greater than or equal to 1"},
		{key, "", 4097, of + "less than or equal to 4096"},
		{rsa, "RSAES_OAEP_SHA_1", 214, ""},
		{rsa, "RSAES_OAEP_SHA_1", 215, "Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes."},
		{rsa, "RSAES_OAEP_SHA_256", 190, ""},
		{rsa, "RSAES_OAEP_SHA_256", 191, "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes."},
	}
	for _, tt := range tests {
		in := &kmsapi.EncryptRequest{KeyId: &tt.key, Plaintext: make([]byte, tt.size)}
		if tt.alg != "" {
			in.EncryptionAlgorithm = &tt.alg
		}
		if tt.message != "" {
			wantErr(t, root.try(in), "ValidationException", tt.message)
			continue
		}
		enc := get[kmsapi.EncryptResponse](root, in)
		dec := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: enc.CiphertextBlob, KeyId: &tt.key, EncryptionAlgorithm: in.EncryptionAlgorithm})
		if len(dec.Plaintext) != tt.size || *dec.EncryptionAlgorithm != *enc.EncryptionAlgorithm {
			t.Errorf("%s: %d bytes came back as %d", tt.alg, tt.size, len(dec.Plaintext))
		}
		if (dec.KeyMaterialId == nil) != (tt.key == rsa) {
			t.Errorf("%s: key material id %v", tt.alg, dec.KeyMaterialId)
		}
	}
}

func TestAsymmetricUse(t *testing.T) {
	root := newWorld(t).root(owner)
	rsa := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")}).Arn
	ecc := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("ECC_NIST_P256"), KeyUsage: new("SIGN_VERIFY")}).Arn
	plain := []byte("x")
	tests := map[string]struct {
		in            any
		code, message string
	}{
		"default algorithm": {&kmsapi.EncryptRequest{KeyId: &rsa, Plaintext: plain},
			"InvalidKeyUsageException", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."},
		"signing key": {&kmsapi.EncryptRequest{KeyId: &ecc, Plaintext: plain},
			"InvalidKeyUsageException", ecc + " key usage is SIGN_VERIFY which is not valid for Encrypt."},
		"data key": {&kmsapi.GenerateDataKeyRequest{KeyId: &ecc, KeySpec: new("AES_256")},
			"InvalidKeyUsageException", ecc + " key usage is SIGN_VERIFY which is not valid for GenerateDataKey."},
		"context": {&kmsapi.EncryptRequest{KeyId: &rsa, Plaintext: plain, EncryptionAlgorithm: new("RSAES_OAEP_SHA_256"), EncryptionContext: map[string]string{"a": "b"}},
			"ValidationException", "*"},
		"garbage": {&kmsapi.DecryptRequest{KeyId: &rsa, CiphertextBlob: make([]byte, 256), EncryptionAlgorithm: new("RSAES_OAEP_SHA_256")},
			"InvalidCiphertextException", ""},
	}
	for name, tt := range tests {
		root.w.run(name, func(t *testing.T) { wantErr(t, root.try(tt.in), tt.code, tt.message) })
	}
}

func TestEncryptionContextSize(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	root.encrypt(key, "x", map[string]string{"k": strings.Repeat("v", 8000), "\x00binary\xff": "\x01"})
	err := root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: map[string]string{"k": strings.Repeat("v", 8192)}})
	wantErr(t, err, "ValidationException", "EncryptionContext is larger than 8192 bytes.")
	// An empty context is none.
	blob := root.encrypt(key, "x", map[string]string{})
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
}

func TestDataKeys(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.createKey(&kmsapi.CreateKeyRequest{})
	ctx := map[string]string{"aws:ebs:id": "vol-1"}
	decrypt := func(blob []byte) []byte {
		t.Helper()
		return get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: ctx}).Plaintext
	}
	tests := []struct {
		spec  *string
		bytes *int32
		want  int // 0: refused
	}{
		{new("AES_256"), nil, 32}, {new("AES_128"), nil, 16}, {nil, new(int32(64)), 64}, {nil, new(int32(1)), 1}, {nil, new(int32(1024)), 1024},
		{nil, nil, 0}, {new("AES_256"), new(int32(32)), 0},
	}
	for _, tt := range tests {
		in := &kmsapi.GenerateDataKeyRequest{KeyId: key.KeyId, KeySpec: tt.spec, NumberOfBytes: tt.bytes, EncryptionContext: ctx}
		quiet := &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: key.KeyId, KeySpec: tt.spec, NumberOfBytes: tt.bytes, EncryptionContext: ctx}
		if tt.want == 0 {
			wantErr(t, root.try(in), "ValidationException", "Please specify either number of bytes or key spec.")
			wantErr(t, root.try(quiet), "ValidationException", "Please specify either number of bytes or key spec.")
			continue
		}
		out := get[kmsapi.GenerateDataKeyResponse](root, in)
		if len(out.Plaintext) != tt.want || !bytes.Equal(decrypt(out.CiphertextBlob), out.Plaintext) ||
			*out.KeyId != *key.Arn || *out.KeyMaterialId != *key.CurrentKeyMaterialId {
			t.Errorf("GenerateDataKey for %d bytes answered %d, %s, %s", tt.want, len(out.Plaintext), *out.KeyId, *out.KeyMaterialId)
		}
		silent := get[kmsapi.GenerateDataKeyWithoutPlaintextResponse](root, quiet)
		if len(decrypt(silent.CiphertextBlob)) != tt.want || *silent.KeyId != *key.Arn || *silent.KeyMaterialId != *key.CurrentKeyMaterialId {
			t.Errorf("GenerateDataKeyWithoutPlaintext for %d bytes is wrong", tt.want)
		}
	}
	for n, bound := range map[int32]string{0: "greater than or equal to 1", 1025: "less than or equal to 1024"} {
		err := root.try(&kmsapi.GenerateDataKeyRequest{KeyId: key.KeyId, NumberOfBytes: &n})
		value := map[int32]string{0: "0", 1025: "1025"}[n]
		wantErr(t, err, "ValidationException", "1 validation error detected: Value '"+value+"' at 'numberOfBytes' failed to satisfy constraint: Member must have value "+bound)
	}
}

func TestGenerateRandom(t *testing.T) {
	root := newWorld(t).root(owner)
	a := get[kmsapi.GenerateRandomResponse](root, &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(32))})
	b := get[kmsapi.GenerateRandomResponse](root, &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(32))})
	if len(a.Plaintext) != 32 || bytes.Equal(a.Plaintext, b.Plaintext) {
		t.Errorf("%d bytes, equal %t", len(a.Plaintext), bytes.Equal(a.Plaintext, b.Plaintext))
	}
	wantErr(t, root.try(&kmsapi.GenerateRandomRequest{}), "ValidationException", "NumberOfBytes is required.")
	wantErr(t, root.try(&kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(1025))}), "ValidationException",
		"1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024")
	wantErr(t, root.try(&kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(1)), CustomKeyStoreId: new("cks-1234567890abcdef0")}),
		"CustomKeyStoreNotFoundException", "*")
}

func TestReEncrypt(t *testing.T) {
	root := newWorld(t).root(owner)
	from, to := root.createKey(&kmsapi.CreateKeyRequest{}), root.createKey(&kmsapi.CreateKeyRequest{})
	old, fresh := map[string]string{"v": "1"}, map[string]string{"v": "2"}
	blob := root.encrypt(*from.Arn, "secret", old)
	out := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{
		CiphertextBlob: blob, SourceEncryptionContext: old, DestinationKeyId: to.KeyId, DestinationEncryptionContext: fresh,
	})
	want := &kmsapi.ReEncryptResponse{
		CiphertextBlob: out.CiphertextBlob, SourceKeyId: from.Arn, KeyId: to.Arn,
		SourceEncryptionAlgorithm: new("SYMMETRIC_DEFAULT"), DestinationEncryptionAlgorithm: new("SYMMETRIC_DEFAULT"),
		SourceKeyMaterialId: from.CurrentKeyMaterialId, DestinationKeyMaterialId: to.CurrentKeyMaterialId,
	}
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
	dec := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: out.CiphertextBlob, EncryptionContext: fresh, KeyId: to.Arn})
	if string(dec.Plaintext) != "secret" {
		t.Errorf("plaintext %q", string(dec.Plaintext))
	}
	rsa := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")})
	ecc := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("ECC_NIST_P256"), KeyUsage: new("SIGN_VERIFY")})
	across := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{
		CiphertextBlob: blob, SourceEncryptionContext: old, DestinationKeyId: rsa.Arn, DestinationEncryptionAlgorithm: new("RSAES_OAEP_SHA_256"),
	})
	if across.DestinationKeyMaterialId != nil || *across.DestinationEncryptionAlgorithm != "RSAES_OAEP_SHA_256" {
		t.Errorf("to RSA: %+v", across)
	}
	back := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{
		CiphertextBlob: across.CiphertextBlob, SourceKeyId: rsa.Arn, SourceEncryptionAlgorithm: new("RSAES_OAEP_SHA_256"), DestinationKeyId: to.Arn,
	})
	if back.SourceKeyMaterialId != nil || *back.SourceKeyId != *rsa.Arn {
		t.Errorf("from RSA: %+v", back)
	}
	tests := map[string]struct {
		in            kmsapi.ReEncryptRequest
		code, message string
	}{
		"wrong source":       {kmsapi.ReEncryptRequest{SourceKeyId: to.Arn, SourceEncryptionContext: old, DestinationKeyId: to.Arn}, "IncorrectKeyException", incorrectKey},
		"wrong context":      {kmsapi.ReEncryptRequest{SourceEncryptionContext: fresh, DestinationKeyId: to.Arn}, "InvalidCiphertextException", ""},
		"signing key":        {kmsapi.ReEncryptRequest{SourceEncryptionContext: old, DestinationKeyId: ecc.Arn}, "InvalidKeyUsageException", *ecc.Arn + " key usage is SIGN_VERIFY which is not valid for ReEncryptTo."},
		"unknown target":     {kmsapi.ReEncryptRequest{SourceEncryptionContext: old, DestinationKeyId: new(missing)}, "NotFoundException", "Key '" + missingARN(owner) + "' does not exist"},
		"target in a region": {kmsapi.ReEncryptRequest{SourceEncryptionContext: old, DestinationKeyId: new(arn.KMSKey("eu-central-1", owner, missing))}, "NotFoundException", "Invalid arn eu-central-1"},
	}
	for name, tt := range tests {
		root.w.run(name, func(t *testing.T) {
			tt.in.CiphertextBlob = blob
			wantErr(t, root.try(&tt.in), tt.code, tt.message)
		})
	}
}

// A dry run makes every check and leaves nothing behind.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	user := w.user(owner, "nobody")
	yes := new(true)
	requests := map[string]struct {
		in     any
		action string
	}{
		"Encrypt":         {&kmsapi.EncryptRequest{KeyId: &f.key, Plaintext: []byte("x"), DryRun: yes}, "kms:Encrypt"},
		"Decrypt":         {&kmsapi.DecryptRequest{CiphertextBlob: f.blob, DryRun: yes}, "kms:Decrypt"},
		"ReEncrypt":       {&kmsapi.ReEncryptRequest{CiphertextBlob: f.blob, DestinationKeyId: &f.spare, DryRun: yes}, "kms:ReEncryptFrom"},
		"GenerateDataKey": {&kmsapi.GenerateDataKeyRequest{KeyId: &f.key, KeySpec: new("AES_256"), DryRun: yes}, "kms:GenerateDataKey"},
		"GenerateDataKeyWithoutPlaintext": {&kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &f.key, KeySpec: new("AES_256"), DryRun: yes},
			"kms:GenerateDataKeyWithoutPlaintext"},
		"CreateGrant": {&kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}, DryRun: yes}, "kms:CreateGrant"},
		"RevokeGrant": {&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &f.grant, DryRun: yes}, "kms:RevokeGrant"},
		"RetireGrant": {&kmsapi.RetireGrantRequest{KeyId: &f.key, GrantId: &f.grant, DryRun: yes}, ""},
	}
	before := w.size("kms/grant")
	for name, tt := range requests {
		w.run(name, func(t *testing.T) {
			wantErr(t, f.root.try(tt.in), "DryRunOperationException", dryRun)
			err := user.try(tt.in)
			if tt.action == "" {
				wantErr(t, err, "AccessDeniedException", "*")
			} else {
				wantDenied(t, err, user, tt.action, f.key, noIdentity(tt.action))
			}
		})
	}
	if n := w.size("kms/grant"); n != before {
		t.Errorf("%d grants, want %d", n, before)
	}
	f.root.must(&kmsapi.DisableKeyRequest{KeyId: &f.key})
	wantErr(t, f.root.try(requests["Encrypt"].in), "DisabledException", f.key+" is disabled.")
}

// IGNORE_CIPHERTEXT asks for the authorization alone.
func TestDryRunWithoutCiphertext(t *testing.T) {
	f := newFixture(newWorld(t), "Enabled")
	ignore := []string{"IGNORE_CIPHERTEXT"}
	wantErr(t, f.root.try(&kmsapi.DecryptRequest{KeyId: &f.key, DryRun: new(true), DryRunModifiers: ignore}), "DryRunOperationException", dryRun)
	wantErr(t, f.root.try(&kmsapi.ReEncryptRequest{SourceKeyId: &f.key, DestinationKeyId: &f.spare, DryRun: new(true), DryRunModifiers: ignore}),
		"DryRunOperationException", dryRun)
	const null = "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null"
	wantErr(t, f.root.try(&kmsapi.DecryptRequest{DryRun: new(true), DryRunModifiers: ignore}), "ValidationException", null)
	wantErr(t, f.root.try(&kmsapi.DecryptRequest{KeyId: &f.key, DryRunModifiers: ignore}), "ValidationException", null)
	wantErr(t, f.root.try(&kmsapi.ReEncryptRequest{DestinationKeyId: &f.spare, DryRun: new(true), DryRunModifiers: ignore}), "ValidationException", null)
}
