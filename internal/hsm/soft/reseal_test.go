package soft_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
)

const resealARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func encryptWith(t *testing.T, m *soft.Module, mat hsm.Material) error {
	t.Helper()
	use := hsm.Use{Action: "kms:Encrypt", KeyARN: resealARN}
	_, err := m.Encrypt(t.Context(), permittest.New(use.Action, resealARN), use, mat, "SYMMETRIC_DEFAULT", secret.Bytes("x"), nil)
	return err
}

// What an epoch wrapped is readable until it ends, and never again after that: not by the module, and
// not by one that is opened with the seal of then.
func TestEndedEpochIsUnreadable(t *testing.T) {
	s := seals(t)["two"]
	root, err := s.create(t)
	m := module(t, root, err)
	old := hsmtest.Generate(t, m, resealARN, "SYMMETRIC_DEFAULT")
	if err := root.BeginEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := m.Rewrap(resealARN, old)
	if err != nil || bytes.Equal(kept.Wrapped, old.Wrapped) {
		t.Fatalf("not wrapped anew: %v", err)
	}
	if again, err := m.Rewrap(resealARN, kept); err != nil || !bytes.Equal(again.Wrapped, kept.Wrapped) {
		t.Errorf("wrapped anew twice: %v", err)
	}
	if got := root.Epochs(); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("epochs %v", got)
	}
	// A crash here loses nothing.
	half, err := s.unseal(t)
	if err := encryptWith(t, module(t, half, err), old); err != nil {
		t.Errorf("before the end: %v", err)
	}
	if err := root.EndEpochs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := encryptWith(t, m, old); err != nil {
		t.Errorf("a request that began before: %v", err)
	}
	if err := root.Forget(); err != nil {
		t.Fatal(err)
	}
	later, err := s.unseal(t)
	for name, m := range map[string]*soft.Module{"now": open(t, soft.Config{Root: later})} {
		if err := encryptWith(t, m, old); !errors.Is(err, hsm.ErrEnded) || !errors.Is(err, hsm.ErrMaterial) {
			t.Errorf("%s: %v", name, err)
		}
		if err := encryptWith(t, m, kept); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(err, root.EndEpochs(t.Context())); err != nil {
		t.Error(err)
	}
}

// The bytes of a seal file that was replaced are overwritten where they lie, and those of one that
// somebody linked elsewhere are left alone.
func TestReplacedSealIsOverwritten(t *testing.T) {
	for _, linked := range []bool{false, true} {
		s := seals(t)["plain-file"]
		root, err := s.create(t)
		module(t, root, err)
		f, err := s.Dir.Open("seal.json")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if linked {
			if err := s.Dir.Link("seal.json", "copy.json"); err != nil {
				t.Fatal(err)
			}
		}
		if err := root.BeginEpoch(t.Context()); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 64)
		if _, err := f.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		if zero := bytes.Equal(data, make([]byte, 64)); zero == linked {
			t.Errorf("linked %v: overwritten %v", linked, zero)
		}
	}
}

// New locks replace the old ones; a slot more opens; a slot less opens nothing.
func TestLocksChange(t *testing.T) {
	s := seals(t)["passphrase"]
	root, err := s.create(t)
	m := module(t, root, err)
	box := m.Box("x").Seal([]byte("y"), nil)
	opens := func(l soft.Lock, want error) {
		t.Helper()
		root, err := soft.Unseal(t.Context(), s.Seal, l)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", l.Kind(), err, want)
		}
		if err == nil {
			if got, err := module(t, root, nil).Box("x").Open(box, nil); err != nil || string(got) != "y" {
				t.Errorf("%s: %v", l.Kind(), err)
			}
		}
	}
	pb := soft.PBKDF2Lock{Passphrase: secret.Bytes("approved"), Iterations: 10}
	if err := errors.Join(root.AddLock(t.Context(), ageLock(t)), root.AddLock(t.Context(), pb)); err != nil {
		t.Fatal(err)
	}
	opens(passphrase("correct horse"), nil)
	opens(ageLock(t), nil)
	opens(pb, nil)
	opens(soft.PBKDF2Lock{Passphrase: secret.Bytes("wrong")}, hsm.ErrWrongSeal)
	if err := root.RemoveSlot(t.Context(), 0); !errors.Is(err, soft.ErrNoLock) {
		t.Errorf("a slot without its lock: %v", err)
	}
	if err := root.RemoveSlot(t.Context(), 0, pb); err != nil { // age has its recipients
		t.Fatal(err)
	}
	if _, err := soft.Unseal(t.Context(), s.Seal, passphrase("correct horse")); err == nil {
		t.Error("the removed passphrase opens")
	}
	opens(ageLock(t), nil)
	opens(pb, nil)
	if err := root.Reseal(t.Context(), passphrase("new")); err != nil {
		t.Fatal(err)
	}
	opens(passphrase("new"), nil)
	opens(passphrase("correct horse"), hsm.ErrWrongSeal)
	if err := root.RemoveSlot(t.Context(), 0, passphrase("new")); err == nil {
		t.Error("the last slot went")
	}
	if err := root.RemoveSlot(t.Context(), 5); err == nil {
		t.Error("a slot that is not there went")
	}
}

// Two that change one seal: the second sees that it is not what it read, and does nothing.
func TestSecondWriterRefuses(t *testing.T) {
	s := seals(t)["plain-file"]
	root, err := s.create(t)
	one := module(t, root, err).Root()
	root, err = s.unseal(t)
	two := module(t, root, err).Root()
	if err := one.BeginEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := s.Dir.ReadFile("seal.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"epoch":  func() error { return two.BeginEpoch(t.Context()) },
		"reseal": func() error { return two.Reseal(t.Context(), passphrase("x")) },
		"add":    func() error { return two.AddLock(t.Context(), passphrase("x")) },
	} {
		if err := change(); err == nil || !strings.Contains(err.Error(), "was changed by somebody else") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, err := s.Dir.ReadFile("seal.json"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the seal changed, %v", err)
	}
	if got := two.Epochs(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("epochs %v after changes that failed", got)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir.Name(), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

// Nobody without the seal key can slip a slot or a recipient in, not even with the right digest.
func TestSlotsAreAuthenticated(t *testing.T) {
	s := seals(t)["age"]
	root, err := s.create(t)
	module(t, root, err)
	data, err := s.Dir.ReadFile("seal.json")
	if err != nil {
		t.Fatal(err)
	}
	forged, err := soft.WithRecipients(data, "age1forged")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Dir.WriteFile("seal.json", forged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.unseal(t); err == nil || !strings.Contains(err.Error(), "does not open its keyring") {
		t.Errorf("got %v", err)
	}
}

// A seal of format 1 opens, is sealed anew, and what its epoch wrapped ends with it; what its other
// keys sealed opens for ever.
func TestSealOfFormat1(t *testing.T) {
	raw := secret.Bytes(bytes.Repeat([]byte{9}, 32))
	data, mat, boxed, err := soft.Format1(raw, resealARN)
	if err != nil {
		t.Fatal(err)
	}
	s := seals(t)["plain-file"]
	if err := s.Dir.WriteFile("seal.json", data, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := s.unseal(t)
	m := module(t, root, err)
	if root.Sealed() || root.BeginEpoch(t.Context()) == nil {
		t.Error("an old seal takes an epoch")
	}
	if after, err := s.Dir.ReadFile("seal.json"); err != nil || !bytes.Equal(after, data) {
		t.Errorf("Unseal wrote: %v", err)
	}
	if err := encryptWith(t, m, mat); err != nil {
		t.Fatal(err)
	}
	if err := root.Reseal(t.Context(), s.locks...); err != nil {
		t.Fatal(err)
	}
	kept, err := m.Rewrap(resealARN, mat)
	if err := errors.Join(err, root.EndEpochs(t.Context())); err != nil {
		t.Fatal(err)
	}
	root, err = s.unseal(t)
	m = module(t, root, err)
	if err := encryptWith(t, m, mat); !errors.Is(err, hsm.ErrEnded) {
		t.Errorf("material of the old seal: %v", err)
	}
	if err := encryptWith(t, m, kept); err != nil {
		t.Error(err)
	}
	if got, err := m.Box("access key").Open(boxed, nil); err != nil || string(got) != "boxed" {
		t.Errorf("a box of the old seal: %q, %v", got, err)
	}
	after, err := s.Dir.ReadFile("seal.json")
	if err != nil || bytes.Contains(after, []byte("CQkJCQkJ")) {
		t.Errorf("the old root key is in the new seal, %v", err)
	}
}

// With the profile on, what is not approved is refused; the rest works.
func TestApprovedOnly(t *testing.T) {
	m := open(t, soft.Config{Approved: true})
	for spec, want := range map[hsm.Spec]bool{
		"SYMMETRIC_DEFAULT": true, "RSA_2048": true, "ECC_NIST_P256": true, "ECC_NIST_EDWARDS25519": true, "HMAC_384": true,
		"ECC_SECG_P256K1": false, "SM2": false, "ML_DSA_44": false, "ML_KEM_512": false, "ML_KEM_768": false,
	} {
		_, err := m.Generate(t.Context(), permittest.New("kms:CreateKey", "*"), resealARN, spec)
		if got := err == nil; got != want || !want && !errors.Is(err, hsm.ErrNotApproved) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	// Material from before the profile was turned on is not used either.
	root, err := soft.NewRootKey()
	free := module(t, root, err)
	mat := hsmtest.Generate(t, free, resealARN, "ECC_SECG_P256K1")
	strict := open(t, soft.Config{Root: root, Approved: true})
	use := hsm.Use{Action: "kms:Sign", KeyARN: resealARN}
	if _, err := strict.Sign(t.Context(), permittest.New(use.Action, resealARN), use, mat, "ECDSA_SHA_256", hsm.Message{Bytes: secret.Bytes("x")}); !errors.Is(err, hsm.ErrNotApproved) {
		t.Errorf("sign: %v", err)
	}
}

// FuzzSeal: whatever the file holds, Unseal answers with a sentence.
func FuzzSeal(f *testing.F) {
	f.Add([]byte(`{"format":2,"generation":1,"epochs":[1],"slots":[{"kind":"plain-file","sealed":""}],"keyring":"","digest":""}`))
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		if err := dir.WriteFile("seal.json", data, 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := soft.Unseal(t.Context(), soft.Seal{Dir: dir}, soft.PlainLock{})
		if err == nil {
			t.Fatalf("opened a made-up seal with %v", root.Epochs())
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("not a sentence: %q", err)
		}
	})
}
