package hsmtest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
)

func testOtherAAD(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	ct := mustEncrypt(t, m, arnA, mat)
	for _, other := range [][]byte{nil, {}, aad[:len(aad)-1], append(bytes.Clone(aad), 0), bytes.ToUpper(aad)} {
		got, err := decrypt(t, m, arnA, mat, symmetric, ct, other)
		wantErr(t, fmt.Sprintf("aad %q", other), err, hsm.ErrCiphertext)
		if got != nil {
			t.Error("an error with a plaintext")
		}
	}
}

func testOtherKey(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	a, b := Generate(t, m, arnA, symmetric), Generate(t, m, arnB, symmetric)
	ct := mustEncrypt(t, m, arnA, a) // and a is now warm in any cache
	_, err := decrypt(t, m, arnB, b, symmetric, ct, aad)
	wantErr(t, "another key's material", err, hsm.ErrCiphertext)
	// The decision was about B, but the material is A's: B's permit must not open A's ciphertext.
	_, err = decrypt(t, m, arnB, a, symmetric, ct, aad)
	wantErr(t, "material of a foreign key", err, hsm.ErrMaterial)
	_, err = encrypt(t, m, arnB, a, symmetric, plaintext, aad)
	wantErr(t, "material of a foreign key", err, hsm.ErrMaterial)
	second := Generate(t, m, arnA, symmetric)
	_, err = decrypt(t, m, arnA, second, symmetric, ct, aad)
	wantErr(t, "newer material of the same key", err, hsm.ErrCiphertext)
}

func testTamperedCiphertext(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	ct := mustEncrypt(t, m, arnA, mat)
	try := func(what string, ct []byte) {
		t.Helper()
		got, err := decrypt(t, m, arnA, mat, symmetric, ct, aad)
		wantErr(t, what, err, hsm.ErrCiphertext)
		if got != nil {
			t.Errorf("%s: an error with a plaintext", what)
		}
	}
	for i := range ct {
		bad := bytes.Clone(ct)
		bad[i] ^= 0x80
		try(fmt.Sprintf("byte %d changed", i), bad)
		try(fmt.Sprintf("cut to %d bytes", i), ct[:i])
	}
	try("a byte more", append(bytes.Clone(ct), 0))
	try("nothing", nil)
	if got, err := decrypt(t, m, arnA, mat, symmetric, ct, aad); err != nil || !got.Equal(plaintext) {
		t.Errorf("untouched: %d bytes, %v", len(got), err)
	}
}

func testTamperedMaterial(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	ct := mustEncrypt(t, m, arnA, mat)
	try := func(what string, mat hsm.Material) {
		t.Helper()
		_, err := decrypt(t, m, arnA, mat, symmetric, ct, aad)
		wantErr(t, what, err, hsm.ErrMaterial)
	}
	for i := range mat.Wrapped {
		bad := mat
		bad.Wrapped = bytes.Clone(mat.Wrapped)
		bad.Wrapped[i] ^= 1
		try(fmt.Sprintf("wrapped byte %d changed", i), bad)
		bad.Wrapped = mat.Wrapped[:i]
		try(fmt.Sprintf("wrapped cut to %d bytes", i), bad)
	}
	bad := mat
	bad.ID = strings.Repeat("0", 64)
	try("another id", bad)
	bad = mat
	bad.Public = []byte("x")
	try("another public key", bad)
	bad = mat
	bad.Spec = "RSA_2048"
	_, err := decrypt(t, m, arnA, bad, "RSAES_OAEP_SHA_256", ct, nil)
	wantErr(t, "another spec", err, hsm.ErrMaterial)

	// A public key swapped for somebody's own would let him read what others encrypt.
	r, other := Generate(t, m, arnA, "RSA_2048"), Generate(t, m, arnA, "ECC_NIST_P256")
	r.Public = other.Public
	_, err = encrypt(t, m, arnA, r, "RSAES_OAEP_SHA_256", plaintext, nil)
	wantErr(t, "another public key beside RSA material", err, hsm.ErrMaterial)
}

func testOtherModule(t *testing.T, open func(*testing.T) hsm.Module) {
	m, other := open(t), open(t)
	mat := Generate(t, m, arnA, symmetric)
	_, err := decrypt(t, other, arnA, mat, symmetric, mustEncrypt(t, m, arnA, mat), aad)
	wantErr(t, "material of another module", err, hsm.ErrMaterial)
	_, err = other.Box("p").Open(m.Box("p").Seal(plaintext, nil), nil)
	wantErr(t, "box of another module", err, hsm.ErrCiphertext)
}

// A method is one way to use a key, with the action that its permit must be for.
type method struct {
	name, action, resource string
	call                   func(p permit.Permit, action, resource string) error
}

// methods are all methods of the module that spend a permit, each with arguments that work.
func methods(t *testing.T, m hsm.Module) []method {
	mat := Generate(t, m, arnA, symmetric)
	ct := mustEncrypt(t, m, arnA, mat)
	sides := func() (from, to hsm.Side) {
		return side("kms:ReEncryptFrom", arnA, mat, symmetric, ct, aad), side("kms:ReEncryptTo", arnA, mat, symmetric, nil, nil)
	}
	dataKey := func(p permit.Permit, action, resource string) error {
		plain, ct, err := m.GenerateDataKey(t.Context(), p, hsm.Use{Action: action, KeyARN: resource}, mat, 32, aad)
		if err != nil && (plain != nil || ct != nil) {
			t.Error("GenerateDataKey: an error with a result")
		}
		return err
	}
	return append(keyMethods(t, m), []method{
		{"Generate", "kms:CreateKey", "*", func(p permit.Permit, _, _ string) error {
			got, err := m.Generate(t.Context(), p, arnB, symmetric)
			if err != nil && (got.ID != "" || got.Wrapped != nil) {
				t.Error("Generate: an error with a result")
			}
			return err
		}},
		{"Encrypt", "kms:Encrypt", arnA, func(p permit.Permit, action, resource string) error {
			got, err := m.Encrypt(t.Context(), p, hsm.Use{Action: action, KeyARN: resource}, mat, symmetric, plaintext, aad)
			if err != nil && got != nil {
				t.Error("Encrypt: an error with a result")
			}
			return err
		}},
		{"Decrypt", "kms:Decrypt", arnA, func(p permit.Permit, action, resource string) error {
			got, err := m.Decrypt(t.Context(), p, hsm.Use{Action: action, KeyARN: resource}, mat, symmetric, ct, aad)
			if err != nil && got != nil {
				t.Error("Decrypt: an error with a result")
			}
			return err
		}},
		{"GenerateDataKey", "kms:GenerateDataKey", arnA, dataKey},
		{"GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKeyWithoutPlaintext", arnA, dataKey},
		{"ReEncrypt from", "kms:ReEncryptFrom", arnA, func(p permit.Permit, action, resource string) error {
			from, to := sides()
			from.Permit, from.Use = p, hsm.Use{Action: action, KeyARN: resource}
			_, err := m.ReEncrypt(t.Context(), from, to)
			return err
		}},
		{"ReEncrypt to", "kms:ReEncryptTo", arnA, func(p permit.Permit, action, resource string) error {
			from, to := sides()
			to.Permit, to.Use = p, hsm.Use{Action: action, KeyARN: resource}
			_, err := m.ReEncrypt(t.Context(), from, to)
			return err
		}},
	}...)
}

// keyMethods are those of keys that are not symmetric, and of data key pairs.
func keyMethods(t *testing.T, m hsm.Module) []method {
	const ecdsa, hmac = "ECDSA_SHA_256", "HMAC_SHA_256"
	mat, pair, code, kem := Generate(t, m, arnA, symmetric), Generate(t, m, arnA, "ECC_NIST_P256"), Generate(t, m, arnA, "HMAC_256"), Generate(t, m, arnA, "ML_KEM_768")
	msg := hsm.Message{Bytes: plaintext}
	sig, err := sign(t, m, pair, ecdsa, msg)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := m.GenerateMAC(t.Context(), permittest.New("kms:GenerateMac", arnA), hsm.Use{Action: "kms:GenerateMac", KeyARN: arnA}, code, hmac, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	_, ct, err := encapsulate(t, m, kem)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, action string, call func(p permit.Permit, use hsm.Use) (made bool, err error)) method {
		return method{name, action, arnA, func(p permit.Permit, action, resource string) error {
			made, err := call(p, hsm.Use{Action: action, KeyARN: resource})
			if err != nil && made {
				t.Errorf("%s: an error with a result", name)
			}
			return err
		}}
	}
	pairs := func(p permit.Permit, use hsm.Use) (bool, error) {
		got, err := m.GenerateDataKeyPair(t.Context(), p, use, mat, "ECC_NIST_P256", aad)
		return got.Public != nil || got.Private != nil || got.Ciphertext != nil, err
	}
	rotate := func(p permit.Permit, use hsm.Use) (bool, error) {
		got, err := m.Rotate(t.Context(), p, use, mat)
		return got.ID != "" || got.Wrapped != nil, err
	}
	const mrk = "arn:aws:kms:%s:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
	multi := Generate(t, m, fmt.Sprintf(mrk, "us-east-1"), symmetric)
	replicate := func(name, action string) method {
		return method{name, action, fmt.Sprintf(mrk, "us-east-1"), func(p permit.Permit, action, resource string) error {
			got, err := m.Replicate(t.Context(), p, hsm.Use{Action: action, KeyARN: resource}, []hsm.Material{multi}, fmt.Sprintf(mrk, "eu-west-1"))
			if err != nil && got != nil {
				t.Errorf("%s: an error with a result", name)
			}
			return err
		}}
	}
	wrapping, token := parameters(t, m, arnA)
	wrapped := wrapOAEP(t, wrapping, make([]byte, 32))
	return []method{
		with("ImportParameters", "kms:GetParametersForImport", func(p permit.Permit, use hsm.Use) (bool, error) {
			public, token, err := m.ImportParameters(t.Context(), p, use, "RSA_2048", "RSAES_OAEP_SHA_256", importTime)
			return public != nil || token != nil, err
		}),
		with("Import", "kms:ImportKeyMaterial", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, err := m.Import(t.Context(), p, use, symmetric, token, wrapped, importTime)
			return got.Wrapped != nil, err
		}),
		replicate("Replicate", "kms:ReplicateKey"), replicate("Synchronize", "kms:SynchronizeMultiRegionKey"),
		with("Rotate on demand", "kms:RotateKeyOnDemand", rotate),
		with("Rotate", "kms:RotateKey", rotate),
		with("GenerateDataKeyPair", "kms:GenerateDataKeyPair", pairs),
		with("GenerateDataKeyPairWithoutPlaintext", "kms:GenerateDataKeyPairWithoutPlaintext", pairs),
		with("PublicKey", "kms:GetPublicKey", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, err := m.PublicKey(t.Context(), p, use, pair)
			return got != nil, err
		}),
		with("Sign", "kms:Sign", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, err := m.Sign(t.Context(), p, use, pair, ecdsa, msg)
			return got != nil, err
		}),
		with("Verify", "kms:Verify", func(p permit.Permit, use hsm.Use) (bool, error) {
			return false, m.Verify(t.Context(), p, use, pair, ecdsa, msg, sig)
		}),
		with("GenerateMAC", "kms:GenerateMac", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, err := m.GenerateMAC(t.Context(), p, use, code, hmac, plaintext)
			return got != nil, err
		}),
		with("VerifyMAC", "kms:VerifyMac", func(p permit.Permit, use hsm.Use) (bool, error) {
			return false, m.VerifyMAC(t.Context(), p, use, code, hmac, plaintext, mac)
		}),
		with("DeriveSharedSecret", "kms:DeriveSharedSecret", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, err := m.DeriveSharedSecret(t.Context(), p, use, pair, pair.Public)
			return got != nil, err
		}),
		with("Encapsulate", "kms:Encapsulate", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, ct, err := m.Encapsulate(t.Context(), p, use, kem)
			return got != nil || ct != nil, err
		}),
		with("Decapsulate", "kms:Decapsulate", func(p permit.Permit, use hsm.Use) (bool, error) {
			got, err := m.Decapsulate(t.Context(), p, use, kem, ct)
			return got != nil, err
		}),
	}
}

func testPermits(t *testing.T, open func(*testing.T) hsm.Module) {
	for _, me := range methods(t, open(t)) {
		t.Run(me.name, func(t *testing.T) {
			call := func(p permit.Permit) error { return me.call(p, me.action, me.resource) }
			wantErr(t, "zero permit", call(permit.Permit{}), permit.ErrNone)
			wantErr(t, "dry run", call(permittest.DryRun(me.action, me.resource)), permit.ErrDryRun)
			wantErr(t, "other resource", call(permittest.New(me.action, arnB)), permit.ErrMismatch)
			wantErr(t, "other action", call(permittest.New("kms:DescribeKey", me.resource)), permit.ErrMismatch)
			p := permittest.New(me.action, me.resource)
			if err := call(p); err != nil {
				t.Errorf("good permit: %v", err)
			}
			wantErr(t, "second use", call(p), permit.ErrSpent)
		})
	}
}

// A permit for one action does not serve the method of another, even if the caller names the
// action it has.
func testActions(t *testing.T, open func(*testing.T) hsm.Module) {
	all := methods(t, open(t))
	for _, me := range all {
		if me.name == "Generate" {
			continue // its action is fixed
		}
		for _, other := range append(all, method{action: "kms:DescribeKey"}, method{action: ""}) {
			// One method serves both.
			short := strings.NewReplacer("WithoutPlaintext", "", "OnDemand", "", "SynchronizeMultiRegionKey", "ReplicateKey")
			if short.Replace(other.action) == short.Replace(me.action) {
				continue
			}
			err := me.call(permittest.New(other.action, arnA), other.action, arnA)
			wantErr(t, me.name+" as "+other.action, err, permit.ErrMismatch)
		}
	}
}

// The permit is the first thing that counts: bad arguments with a bad permit are a bad permit.
func testSpentFirst(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	_, err := m.Generate(t.Context(), permit.Permit{}, "", "nonsense")
	wantErr(t, "Generate", err, permit.ErrNone)
	use := hsm.Use{Action: "kms:Encrypt", KeyARN: arnA}
	_, err = m.Encrypt(t.Context(), permit.Permit{}, use, hsm.Material{}, "nonsense", nil, nil)
	wantErr(t, "Encrypt", err, permit.ErrNone)
	use.Action = "kms:Decrypt"
	_, err = m.Decrypt(t.Context(), permit.Permit{}, use, hsm.Material{}, "nonsense", nil, nil)
	wantErr(t, "Decrypt", err, permit.ErrNone)
	use.Action = "kms:GenerateDataKey"
	_, _, err = m.GenerateDataKey(t.Context(), permit.Permit{}, use, hsm.Material{}, -1, nil)
	wantErr(t, "GenerateDataKey", err, permit.ErrNone)
	_, err = m.ReEncrypt(t.Context(), hsm.Side{}, hsm.Side{})
	wantErr(t, "ReEncrypt", err, permit.ErrMismatch)
}

func testPseudonyms(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	name := m.Pseudonyms("alias")("a")
	if m.Pseudonyms("alias")("a") != name {
		t.Error("a text has two names")
	}
	if m.Pseudonyms("alias")("b") == name || m.Pseudonyms("key")("a") == name || open(t).Pseudonyms("alias")("a") == name || name == [16]byte{} {
		t.Error("another text, purpose or module makes the same name")
	}
}

func testBox(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	b := m.Box("session token")
	for _, n := range []int{0, 1, 5000} {
		plain := m.Random(n)
		sealed := b.Seal(plain, aad)
		// Boxes of one purpose open each other's.
		got, err := m.Box("session token").Open(sealed, aad)
		if err != nil || got == nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d bytes back, %v", n, len(got), err)
		}
	}
	sealed := b.Seal(plaintext, aad)
	if bytes.Equal(sealed, b.Seal(plaintext, aad)) {
		t.Error("two sealed secrets are equal")
	}
	for _, purpose := range []string{"", "session", "session token ", "cursor"} {
		_, err := m.Box(purpose).Open(sealed, aad)
		wantErr(t, "purpose "+purpose, err, hsm.ErrCiphertext)
	}
	_, err := b.Open(sealed, nil)
	wantErr(t, "other aad", err, hsm.ErrCiphertext)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err := b.Open(bad, aad)
		wantErr(t, fmt.Sprintf("byte %d changed", i), err, hsm.ErrCiphertext)
		_, err = b.Open(sealed[:i], aad)
		wantErr(t, fmt.Sprintf("cut to %d bytes", i), err, hsm.ErrCiphertext)
	}
}

// Whatever is printed, and however, shows neither plaintexts nor keys.
func testRedaction(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	got, err := decrypt(t, m, arnA, mat, symmetric, mustEncrypt(t, m, arnA, mat), aad)
	if err != nil {
		t.Fatal(err)
	}
	_, failed := encrypt(t, m, arnA, mat, "nonsense", got, aad)
	things := map[string]any{"module": m, "plaintext": got, "box": m.Box("p"), "error": failed, "material": mat}
	var log bytes.Buffer
	text, js := slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))
	var shown strings.Builder
	for name, thing := range things {
		text.Info("x", name, thing)
		js.Info("x", name, thing)
		enc, err := json.Marshal(map[string]any{name: thing})
		if err != nil {
			t.Errorf("%s as JSON: %v", name, err)
		}
		shown.Write(enc)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&shown, verb+"\n", thing)
			fmt.Fprintf(&shown, verb+"\n", []any{thing, struct{ V any }{thing}})
		}
	}
	shown.Write(log.Bytes())
	leaks := []string{string(plaintext), hex.EncodeToString(plaintext), strings.Trim(fmt.Sprint([]byte(plaintext)), "[]")}
	for _, leak := range leaks {
		if strings.Contains(strings.ToLower(shown.String()), leak) {
			t.Errorf("the plaintext is shown as %q", leak)
		}
	}
	for _, name := range []string{"module", "plaintext", "box"} {
		if s := fmt.Sprintf("%+v", things[name]); s != "[redacted]" {
			t.Errorf("the %s prints as %q", name, s)
		}
	}
}
