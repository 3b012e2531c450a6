package hsmtest

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

const (
	symmetric = "SYMMETRIC_DEFAULT"
	arnA      = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	arnB      = "arn:aws:kms:eu-central-1:444455556666:key/0987dcba-09fe-87dc-65ba-ab0987654321"
)

var (
	plaintext = secret.Bytes("attack at dawn, bring umbrellas")
	aad       = []byte("canonical encryption context")
)

// Run checks that the modules which open returns keep the contract of hsm.Module. Each call of
// open must return a module with a root key of its own; Run does not close it.
func Run(t *testing.T, open func(t *testing.T) hsm.Module) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) hsm.Module){
		"Generate":                testGenerate,
		"SymmetricRoundTrip":      testSymmetric,
		"RSARoundTrip":            testRSA,
		"DataKeys":                testDataKeys,
		"ReEncrypt":               testReEncrypt,
		"Unsupported":             testUnsupported,
		"Limits":                  testLimits,
		"OtherAAD":                testOtherAAD,
		"OtherKey":                testOtherKey,
		"TamperedCiphertext":      testTamperedCiphertext,
		"TamperedMaterial":        testTamperedMaterial,
		"OtherModule":             testOtherModule,
		"Permits":                 testPermits,
		"PermitsAreForTheMethod":  testActions,
		"RefusedPermitDoesNoWork": testSpentFirst,
		"Cancelled":               testCancelled,
		"Concurrent":              testConcurrent,
		"Forget":                  testForget,
		"Random":                  testRandom,
		"Box":                     testBox,
		"Pseudonyms":              testPseudonyms,
		"Redaction":               testRedaction,
		"Rotate":                  testRotate,
		"Replicate":               testReplicate,
		"Import":                  testImport,
		"SignDigests":             testSignDigests,
		"SignEd25519":             testSignEd25519,
		"SignMLDSA":               testSignMLDSA,
		"SignSM2":                 testSignSM2,
		"KoblitzHighS":            testKoblitzHighS,
		"SigningUnsupported":      testSigningUnsupported,
		"MAC":                     testMAC,
		"Agree":                   testAgree,
		"KEM":                     testKEM,
		"DataKeyPairs":            testDataKeyPairs,
		"PublicKey":               testPublicKey,
		"SM2Encryption":           testSM2Encryption,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func encrypt(t testing.TB, m hsm.Module, arn string, mat hsm.Material, alg string, plain secret.Bytes, aad []byte) ([]byte, error) {
	return m.Encrypt(t.Context(), permittest.New("kms:Encrypt", arn), hsm.Use{Action: "kms:Encrypt", KeyARN: arn}, mat, alg, plain, aad)
}

func decrypt(t testing.TB, m hsm.Module, arn string, mat hsm.Material, alg string, ciphertext, aad []byte) (secret.Bytes, error) {
	return m.Decrypt(t.Context(), permittest.New("kms:Decrypt", arn), hsm.Use{Action: "kms:Decrypt", KeyARN: arn}, mat, alg, ciphertext, aad)
}

func mustEncrypt(t testing.TB, m hsm.Module, arn string, mat hsm.Material) []byte {
	t.Helper()
	ct, err := encrypt(t, m, arn, mat, symmetric, plaintext, aad)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func testGenerate(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	id := regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := map[string]bool{}
	specs := append([]hsm.Spec{symmetric, "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"}, asymmetric...)
	for _, spec := range specs {
		mat := Generate(t, m, arnA, spec)
		if mat.Spec != spec || len(mat.Wrapped) == 0 {
			t.Errorf("%s: spec %q, %d bytes wrapped", spec, mat.Spec, len(mat.Wrapped))
		}
		if !id.MatchString(mat.ID) || seen[mat.ID] {
			t.Errorf("%s: material id %q", spec, mat.ID)
		}
		seen[mat.ID] = true
		if pair := slices.Contains(asymmetric, spec); (len(mat.Public) > 0) != pair || pair && len(bits(t, mat.Public)) == 0 {
			t.Errorf("%s: a public key of %d bytes", spec, len(mat.Public))
		}
	}
	for _, spec := range []hsm.Spec{"", "AES_256", "HMAC_1", "rsa_2048"} {
		_, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), arnA, spec)
		wantErr(t, "spec "+string(spec), err, hsm.ErrUnsupported)
	}
	if _, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), "", symmetric); err == nil {
		t.Error("material for no key")
	}
}

func testSymmetric(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	for _, n := range []int{0, 1, 15, 16, 32, 4096} {
		for _, aad := range [][]byte{nil, aad, make([]byte, 9000)} {
			plain := m.Random(n)
			ct, err := encrypt(t, m, arnA, mat, symmetric, plain, aad)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if n >= 16 && bytes.Contains(ct, plain) {
				t.Fatal("the ciphertext shows the plaintext")
			}
			got, err := decrypt(t, m, arnA, mat, symmetric, ct, aad)
			if err != nil || got == nil || !got.Equal(plain) {
				t.Errorf("%d bytes, aad of %d: %d bytes back, %v", n, len(aad), len(got), err)
			}
		}
	}
	if bytes.Equal(mustEncrypt(t, m, arnA, mat), mustEncrypt(t, m, arnA, mat)) {
		t.Error("two encryptions are equal")
	}
}

func testRSA(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, "RSA_2048")
	// The longest plaintexts are those of KMS API Reference, Encrypt.
	for alg, longest := range map[string]int{"RSAES_OAEP_SHA_1": 214, "RSAES_OAEP_SHA_256": 190} {
		for _, n := range []int{0, 1, longest} {
			plain := m.Random(n)
			ct, err := encrypt(t, m, arnA, mat, alg, plain, nil)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", alg, n, err)
			}
			got, err := decrypt(t, m, arnA, mat, alg, ct, nil)
			if err != nil || got == nil || !got.Equal(plain) {
				t.Errorf("%s, %d bytes: %d bytes back, %v", alg, n, len(got), err)
			}
		}
		_, err := encrypt(t, m, arnA, mat, alg, m.Random(longest+1), nil)
		wantErr(t, alg+" and a byte more", err, hsm.ErrTooLong)
		_, err = encrypt(t, m, arnA, mat, alg, plaintext, aad)
		wantErr(t, alg+" with aad", err, hsm.ErrUnsupported)
	}
	ct, err := encrypt(t, m, arnA, mat, "RSAES_OAEP_SHA_1", plaintext, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = decrypt(t, m, arnA, mat, "RSAES_OAEP_SHA_256", ct, nil)
	wantErr(t, "the other algorithm", err, hsm.ErrCiphertext)
	ct[0] ^= 1
	_, err = decrypt(t, m, arnA, mat, "RSAES_OAEP_SHA_1", ct, nil)
	wantErr(t, "tampered", err, hsm.ErrCiphertext)
	_, err = decrypt(t, m, arnA, mat, "RSAES_OAEP_SHA_1", nil, nil)
	wantErr(t, "nothing", err, hsm.ErrCiphertext)
}

func testDataKeys(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	for _, action := range []string{"kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"} {
		for _, n := range []int{1, 16, 32, 64, 1024} {
			use := hsm.Use{Action: action, KeyARN: arnA}
			plain, ct, err := m.GenerateDataKey(t.Context(), permittest.New(action, arnA), use, mat, n, aad)
			if err != nil {
				t.Fatalf("%s of %d bytes: %v", action, n, err)
			}
			got, err := decrypt(t, m, arnA, mat, symmetric, ct, aad)
			if err != nil || len(got) != n {
				t.Errorf("%s of %d bytes: %d bytes back, %v", action, n, len(got), err)
			}
			switch action {
			case "kms:GenerateDataKey":
				if !plain.Equal(got) {
					t.Errorf("plaintext and ciphertext of a data key of %d bytes differ", n)
				}
			default:
				if plain != nil {
					t.Error("the plaintext came out though nobody may see it")
				}
			}
			if n >= 16 && got.Equal(make(secret.Bytes, n)) {
				t.Error("a data key of zeros")
			}
		}
	}
}

func testReEncrypt(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	a, b, r := Generate(t, m, arnA, symmetric), Generate(t, m, arnB, symmetric), Generate(t, m, arnB, "RSA_2048")
	const oaep = "RSAES_OAEP_SHA_256"
	ct := mustEncrypt(t, m, arnA, a)
	from := func() hsm.Side { return side("kms:ReEncryptFrom", arnA, a, symmetric, ct, aad) }

	moved, err := m.ReEncrypt(t.Context(), from(), side("kms:ReEncryptTo", arnB, b, symmetric, nil, []byte("new")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decrypt(t, m, arnB, b, symmetric, moved, []byte("new"))
	if err != nil || !got.Equal(plaintext) {
		t.Errorf("after the move: %d bytes, %v", len(got), err)
	}
	_, err = decrypt(t, m, arnB, b, symmetric, moved, aad)
	wantErr(t, "the aad of before", err, hsm.ErrCiphertext)

	moved, err = m.ReEncrypt(t.Context(), from(), side("kms:ReEncryptTo", arnB, r, oaep, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	back, err := m.ReEncrypt(t.Context(), side("kms:ReEncryptFrom", arnB, r, oaep, moved, nil), side("kms:ReEncryptTo", arnA, a, symmetric, nil, aad))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(t, m, arnA, a, symmetric, back, aad); err != nil || !got.Equal(plaintext) {
		t.Errorf("after RSA and back: %d bytes, %v", len(got), err)
	}

	wrong := from()
	wrong.AAD = []byte("other")
	_, err = m.ReEncrypt(t.Context(), wrong, side("kms:ReEncryptTo", arnB, b, symmetric, nil, nil))
	wantErr(t, "wrong source aad", err, hsm.ErrCiphertext)
	_, err = m.ReEncrypt(t.Context(), from(), side("kms:ReEncryptTo", arnB, Generate(t, m, arnB, "HMAC_256"), symmetric, nil, nil))
	wantErr(t, "to an HMAC key", err, hsm.ErrUnsupported)
}

func side(action, arn string, m hsm.Material, alg string, in, aad []byte) hsm.Side {
	return hsm.Side{Permit: permittest.New(action, arn), Use: hsm.Use{Action: action, KeyARN: arn}, Material: m, Alg: alg, In: in, AAD: aad}
}

func testUnsupported(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	for _, tt := range []struct {
		spec hsm.Spec
		algs []string
	}{
		{symmetric, []string{"", "RSAES_OAEP_SHA_256", "AES"}},
		{"RSA_2048", []string{"", symmetric, "RSAES_PKCS1_V1_5"}},
		{"ECC_NIST_P256", []string{symmetric, "RSAES_OAEP_SHA_256"}},
		{"ECC_NIST_EDWARDS25519", []string{symmetric}},
		{"HMAC_256", []string{symmetric, "HMAC_SHA_256"}},
	} {
		mat := Generate(t, m, arnA, tt.spec)
		for _, alg := range tt.algs {
			_, err := encrypt(t, m, arnA, mat, alg, plaintext, nil)
			wantErr(t, string(tt.spec)+" encrypts with "+alg, err, hsm.ErrUnsupported)
			_, err = decrypt(t, m, arnA, mat, alg, []byte("x"), nil)
			wantErr(t, string(tt.spec)+" decrypts with "+alg, err, hsm.ErrUnsupported)
		}
		if tt.spec != symmetric {
			use := hsm.Use{Action: "kms:GenerateDataKey", KeyARN: arnA}
			plain, ct, err := m.GenerateDataKey(t.Context(), permittest.New(use.Action, arnA), use, mat, 32, nil)
			wantErr(t, "data key under "+string(tt.spec), err, hsm.ErrUnsupported)
			if plain != nil || ct != nil {
				t.Error("an error with a data key")
			}
		}
	}
}

func testLimits(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat := Generate(t, m, arnA, symmetric)
	_, err := encrypt(t, m, arnA, mat, symmetric, make(secret.Bytes, hsm.MaxSymmetric+1), nil)
	wantErr(t, "a byte more than the most", err, hsm.ErrTooLong)
	use := hsm.Use{Action: "kms:GenerateDataKey", KeyARN: arnA}
	for _, n := range []int{-1, 0, 1 << 20} {
		plain, ct, err := m.GenerateDataKey(t.Context(), permittest.New(use.Action, arnA), use, mat, n, nil)
		if err == nil || plain != nil || ct != nil {
			t.Errorf("a data key of %d bytes: %d and %d bytes, %v", n, len(plain), len(ct), err)
		}
	}
}

func testCancelled(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mat, err := m.Generate(ctx, permittest.New("kms:CreateKey", "*"), arnA, symmetric)
	if err != nil {
		t.Fatalf("a caller that went away made the module fail: %v", err)
	}
	use := hsm.Use{Action: "kms:Encrypt", KeyARN: arnA}
	if _, err := m.Encrypt(ctx, permittest.New(use.Action, arnA), use, mat, symmetric, plaintext, aad); err != nil {
		t.Errorf("a caller that went away made the module fail: %v", err)
	}
}

func testConcurrent(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	arns := []string{arnA, arnB, arnA + "2", arnB + "2"}
	var mats []hsm.Material
	for _, arn := range arns {
		mats = append(mats, Generate(t, m, arn, symmetric))
	}
	shared := permittest.New("kms:Encrypt", arnA)
	var wg sync.WaitGroup
	won := make(chan bool, 8)
	for range cap(won) {
		wg.Go(func() {
			for i := range 40 {
				arn, mat := arns[i%len(arns)], mats[i%len(mats)]
				ct, err := encrypt(t, m, arn, mat, symmetric, plaintext, aad)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := decrypt(t, m, arn, mat, symmetric, ct, aad); err != nil || !got.Equal(plaintext) {
					t.Errorf("%d bytes back, %v", len(got), err)
				}
			}
			_, err := m.Encrypt(t.Context(), shared, hsm.Use{Action: "kms:Encrypt", KeyARN: arnA}, mats[0], symmetric, plaintext, aad)
			if err != nil {
				wantErr(t, "shared permit", err, permit.ErrSpent)
			}
			won <- err == nil
		})
	}
	wg.Wait()
	close(won)
	uses := 0
	for ok := range won {
		if ok {
			uses++
		}
	}
	if uses != 1 {
		t.Errorf("one permit was used %d times", uses)
	}
}

// Rotation gives a key more material; what the older made, the older opens for ever.
func testRotate(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	rotate := func(arn string, mat hsm.Material) (hsm.Material, error) {
		const action = "kms:RotateKeyOnDemand"
		return m.Rotate(t.Context(), permittest.New(action, arn), hsm.Use{Action: action, KeyARN: arn}, mat)
	}
	first := Generate(t, m, arnA, symmetric)
	ct := mustEncrypt(t, m, arnA, first)
	second, err := rotate(arnA, first)
	if err != nil || second.ID == first.ID || second.Spec != first.Spec {
		t.Fatalf("material %s after %s: %v", second.ID, first.ID, err)
	}
	if got, err := decrypt(t, m, arnA, first, symmetric, ct, aad); err != nil || !got.Equal(plaintext) {
		t.Errorf("the older material: %v", err)
	}
	_, err = decrypt(t, m, arnA, second, symmetric, ct, aad)
	wantErr(t, "the newer material", err, hsm.ErrCiphertext)
	if got, err := decrypt(t, m, arnA, second, symmetric, mustEncrypt(t, m, arnA, second), aad); err != nil || !got.Equal(plaintext) {
		t.Errorf("the newer material: %v", err)
	}
	_, err = rotate(arnB, first)
	wantErr(t, "the material of another key", err, hsm.ErrMaterial)
	for _, spec := range []hsm.Spec{"HMAC_256", "ECC_NIST_P256"} {
		_, err := rotate(arnA, Generate(t, m, arnA, spec))
		wantErr(t, string(spec), err, hsm.ErrUnsupported)
	}
}

// Related keys have the same material in wrappings of their own; nobody else gets any.
func testReplicate(t *testing.T, open func(*testing.T) hsm.Module) {
	const (
		from   = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
		to     = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
		action = "kms:ReplicateKey"
	)
	m := open(t)
	replicate := func(arn, toARN string, ms ...hsm.Material) ([]hsm.Material, error) {
		return m.Replicate(t.Context(), permittest.New(action, arn), hsm.Use{Action: action, KeyARN: arn}, ms, toARN)
	}
	one, two := Generate(t, m, from, symmetric), Generate(t, m, from, symmetric)
	ct := mustEncrypt(t, m, from, one)
	got, err := replicate(from, to, one, two)
	if err != nil || len(got) != 2 || got[0].ID != one.ID || got[1].ID != two.ID {
		t.Fatalf("%d materials, %v", len(got), err)
	}
	if plain, err := decrypt(t, m, to, got[0], symmetric, ct, aad); err != nil || !plain.Equal(plaintext) {
		t.Errorf("the related key: %v", err)
	}
	_, err = decrypt(t, m, from, got[0], symmetric, ct, aad)
	wantErr(t, "a wrapping for the other key", err, hsm.ErrMaterial)
	_, err = decrypt(t, m, to, one, symmetric, ct, aad)
	wantErr(t, "a wrapping for the first key", err, hsm.ErrMaterial)
	for _, other := range []string{
		"", from, "arn:aws:kms:eu-west-1:444455556666:key/mrk-1234abcd12ab34cd56ef1234567890ab", to + "c",
		"arn:aws:kms:eu-west-1:111122223333:key/mrk-0234abcd12ab34cd56ef1234567890ab", "arn:aws:ec2:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
	} {
		_, err := replicate(from, other, one)
		wantErr(t, "to "+other, err, hsm.ErrUnsupported)
	}
	single := "arn:aws:kms:us-east-1" + arnA[len("arn:aws:kms:eu-central-1"):]
	_, err = replicate(arnA, single, Generate(t, m, arnA, symmetric))
	wantErr(t, "a single-Region key", err, hsm.ErrUnsupported)
	_, err = replicate(from, to, Generate(t, m, to, symmetric))
	wantErr(t, "material of another key", err, hsm.ErrMaterial)
}

// Forgetting is of memory alone: who still has the wrapped material uses it as before.
func testForget(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	mat, other := Generate(t, m, arnA, symmetric), Generate(t, m, arnB, symmetric)
	ct, kept := mustEncrypt(t, m, arnA, mat), mustEncrypt(t, m, arnB, other)
	m.Forget(arnA, mat)
	m.Forget(arnA, mat)
	for arn, use := range map[string]struct {
		mat hsm.Material
		ct  []byte
	}{arnA: {mat, ct}, arnB: {other, kept}} {
		if got, err := decrypt(t, m, arn, use.mat, symmetric, use.ct, aad); err != nil || !got.Equal(plaintext) {
			t.Errorf("after Forget: %v", err)
		}
	}
}

func testRandom(t *testing.T, open func(*testing.T) hsm.Module) {
	m := open(t)
	for _, n := range []int{-1, 0, 1, 32, 1024} {
		if b := m.Random(n); b == nil || len(b) != max(n, 0) {
			t.Errorf("Random(%d) has %d bytes", n, len(b))
		}
	}
	if m.Random(32).Equal(m.Random(32)) {
		t.Error("two random numbers are equal")
	}
}
