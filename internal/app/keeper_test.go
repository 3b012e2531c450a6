package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/unseal"
)

// sealer reaches the seal of a server, or of its directory when it is stopped.
func sealer(t *testing.T, data string, locks ...soft.Lock) *app.Sealer {
	t.Helper()
	s, err := app.OpenSealer(t.Context(), app.Config{Data: data, Dev: true, Locks: locks, Logger: slog.New(slog.DiscardHandler), ParseLock: unseal.Config{}.Parse, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wrappedIn finds the wrapped material of keys in a copy of a store file, free pages and all: it is
// fields of Protocol Buffers, the id, spec and wrapped bytes.
func wrappedIn(t *testing.T, file []byte) (out []hsm.Material) {
	t.Helper()
	idField := []byte{1<<3 | 2, 64}
	for rest := file; ; {
		i := bytes.Index(rest, idField)
		if i < 0 {
			return out
		}
		rest = rest[i:]
		var parts [3][]byte
		left, n := rest, 0
		for k := range parts {
			if len(left) < 2 || left[0] != byte(k+1)<<3|2 {
				break
			}
			if parts[k], n = protowire.ConsumeBytes(left[1:]); n < 0 {
				break
			}
			left = left[1+n:]
		}
		if m := (hsm.Material{ID: string(parts[0]), Spec: hsm.Spec(parts[1]), Wrapped: parts[2]}); m.Spec == "SYMMETRIC_DEFAULT" && len(m.Wrapped) > 0 {
			out = append(out, m)
		}
		rest = rest[1:]
	}
}

// unwraps reports how many of the materials a module opens.
func unwraps(t *testing.T, dir string, arn string, ms []hsm.Material) (n int) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	key, err := soft.Unseal(t.Context(), soft.Seal{Dir: root}, soft.PlainLock{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := soft.Open(soft.Config{Root: key})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, mat := range ms {
		use := hsm.Use{Action: "kms:Encrypt", KeyARN: arn}
		if _, err := m.Encrypt(t.Context(), permittest.New(use.Action, arn), use, mat, "SYMMETRIC_DEFAULT", secret.Bytes("x"), nil); err == nil {
			n++
		}
	}
	return n
}

// A key that was deleted is gone: an hour later nothing that anybody kept of the store, and no free
// page of it, opens with the seal. Keys that stayed decrypt what they encrypted before.
func TestDeletedMaterialIsUnreadable(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	gone := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	kept := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	blob := testkit.Call[kmsapi.EncryptResponse](c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: kept.KeyId, Plaintext: secret.Bytes("kept")}).CiphertextBlob
	backup := filepath.Join(t.TempDir(), "backup")
	backupSeal := takeBackup(t, sealer(t, s.Data()), backup)

	store := filepath.Join(s.Data(), "store.db")
	before, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Call[kmsapi.ScheduleKeyDeletionResponse](c.KMS, "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: gone.KeyId, PendingWindowInDays: new(int32(7))})
	s.Advance(7*24*time.Hour + time.Minute)
	report, err := sealer(t, s.Data()).Status(t.Context())
	if err != nil || report.Pending.Count != 1 || report.Epochs[0] != 1 {
		t.Errorf("before the epoch ends: %+v, %v", report, err)
	}
	old := wrappedIn(t, before)
	if n := unwraps(t, s.Data(), *gone.Arn, old); n == 0 {
		t.Fatal("the old copy of the store does not have the deleted key: this test proves nothing")
	}

	s.Advance(time.Hour)
	report, err = sealer(t, s.Data()).Status(t.Context())
	if err != nil || report.Pending.Count != 0 || len(report.Epochs) != 1 || report.Epochs[0] != 2 {
		t.Errorf("after: %+v, %v", report, err)
	}
	now, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	for name, ms := range map[string][]hsm.Material{"an old copy": old, "the file with its free pages": wrappedIn(t, now)} {
		if n := unwraps(t, s.Data(), *gone.Arn, ms); n != 0 {
			t.Errorf("%s: %d materials of the deleted key open", name, n)
		}
	}
	if n := unwraps(t, s.Data(), *kept.Arn, wrappedIn(t, now)); n == 0 {
		t.Error("nor does that of the key that stayed")
	}
	plain := testkit.Call[kmsapi.DecryptResponse](c.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: blob})
	if string(plain.Plaintext) != "kept" {
		t.Errorf("the key that stayed decrypted %d bytes", len(plain.Plaintext))
	}
	// The older backup does not open with the seal of now, and does with its own, until that is deleted.
	seal, err := os.ReadFile(filepath.Join(s.Data(), "seal.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(t, filepath.Join(t.TempDir(), "a"), backup, seal); err == nil || !strings.Contains(err.Error(), "which has ended since") {
		t.Errorf("restored with the new seal: %v", err)
	}
	if err := restore(t, filepath.Join(t.TempDir(), "b"), backup, backupSeal); err != nil {
		t.Errorf("restored with its own seal: %v", err)
	}
}

func takeBackup(t *testing.T, s *app.Sealer, path string) (seal []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Backup(t.Context(), true, func(b []byte) error { seal = b; return nil }, f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return seal
}

func restore(t *testing.T, data, backup string, seal []byte) error {
	t.Helper()
	f, err := os.Open(backup)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return app.Restore(t.Context(), app.Config{Data: data, Dev: true, Logger: slog.New(slog.DiscardHandler)}, f, seal)
}

// A backup that was taken while keys were made and used restores elsewhere, and whatever was
// answered before it began is in it. One bit changed, or the end missing, and it restores nothing.
func TestBackupWhileServing(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin(account))
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	blob := testkit.Call[kmsapi.EncryptResponse](c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: secret.Bytes("before")}).CiphertextBlob
	var load sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := c.KMS.Do(t.Context(), "CreateKey", &kmsapi.CreateKeyRequest{}, new(kmsapi.CreateKeyResponse)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	backup := filepath.Join(t.TempDir(), "backup")
	seal := takeBackup(t, sealer(t, s.Data()), backup)
	if _, err := sealer(t, s.Data()).Rotate(t.Context()); err != nil { // while keys are being made
		t.Error(err)
	}
	close(stop)
	load.Wait()
	list := testkit.Call[kmsapi.ListKeysResponse](c.KMS, "ListKeys", &kmsapi.ListKeysRequest{Limit: new(int32(1000))}).Keys
	for _, k := range list {
		testkit.Call[kmsapi.GenerateDataKeyResponse](c.KMS, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: k.KeyId, NumberOfBytes: new(int32(32))})
	}
	there := filepath.Join(t.TempDir(), "restored")
	if err := restore(t, there, backup, seal); err != nil {
		t.Fatal(err)
	}
	r := testkit.Start(t, testkit.Options{Data: there}).As(testkit.Admin(account))
	if got := testkit.Call[kmsapi.DecryptResponse](r.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: blob}); string(got.Plaintext) != "before" {
		t.Errorf("restored: %d bytes", len(got.Plaintext))
	}
	data, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"one bit":    func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"no end":     func(b []byte) []byte { return b[:len(b)-600] },
		"half":       func(b []byte) []byte { return b[:len(b)/2] },
		"nothing":    func([]byte) []byte { return nil },
		"other text": func([]byte) []byte { return []byte("not a backup") },
	} {
		bad, into := filepath.Join(t.TempDir(), "bad"), filepath.Join(t.TempDir(), "into")
		if err := os.WriteFile(bad, spoil(bytes.Clone(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := restore(t, into, bad, seal); err == nil {
			t.Errorf("%s: restored", name)
		}
		if left, err := filepath.Glob(into + "*"); err != nil || len(left) > 0 {
			t.Errorf("%s left %v, %v", name, left, err)
		}
	}
}

// The root key is sealed by another kagimori; without it, or without permission there, nothing starts.
func TestSealedByAnotherKMS(t *testing.T) {
	keeper := testkit.Start(t, testkit.Options{})
	c := keeper.As(testkit.Admin(account))
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	cfg := unseal.Config{Credentials: func() (sigv4.Credentials, error) { return testkit.Admin(account), nil }}
	lock, err := cfg.Parse("kms:" + *key.Arn + "@" + keeper.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.Start(t, testkit.Options{Configure: func(cfg *app.Config) { cfg.Locks = []soft.Lock{lock} }})
	mine := testkit.Call[kmsapi.CreateKeyResponse](s.As(testkit.Admin(account)).KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	s.Restart()
	testkit.Call[kmsapi.GenerateDataKeyResponse](s.As(testkit.Admin(account)).KMS, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: mine.KeyId, NumberOfBytes: new(int32(32))})
	recs, err := keeper.App.Records(t.Context(), trail.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, r := range recs {
		if r.EventName == "Decrypt" && strings.Contains(string(asJSON(t, r)), `"kagimori:purpose":"seal key"`) {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("the other KMS was asked %d times with the encryption context", asked)
	}
	s.Stop()
	testkit.Must(c.KMS, "DisableKey", &kmsapi.DisableKeyRequest{KeyId: key.KeyId})
	_, err = app.Open(context.WithoutCancel(t.Context()), app.Config{Data: s.Data(), Dev: true, Locks: []soft.Lock{lock}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "DisabledException") {
		t.Errorf("with the key disabled: %v", err)
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testdata/seal2.tar.gz is a data directory whose seal has format 2, in its second epoch.
const (
	seal2Key        = "arn:aws:kms:us-east-1:111122223333:key/cab0ae15-27b9-4ffb-b3db-6f73b8156424"
	seal2Ciphertext = "S0cBARnfZpDlbKesHZpJNg97VZ4fXExqf0jay2ZlD/tRw2yibMyfLoUJdXMtZWFzdC0xJGNhYjBhZTE1LTI3YjktNGZmYi1iM2RiLTZmNzNiODE1NjQyNAFsoxNZTaeigtPD7qL32awhgTtt1J7Ml4DAUPtOtigU4U0lp6Q4cOUcq6l9F5W/5kwmR67e5Ix1dG/1yu/C1I6s"
)

// A later kagimori opens what the first one with slots and epochs sealed.
func TestOpensASealOfFormat2(t *testing.T) {
	dir := t.TempDir()
	unpack(t, "testdata/seal2.tar.gz", dir)
	s := testkit.Start(t, testkit.Options{Data: dir})
	blob, err := base64.StdEncoding.DecodeString(seal2Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	plain := testkit.Call[kmsapi.DecryptResponse](s.As(testkit.Admin(account)).KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: blob})
	if string(plain.Plaintext) != "kept since seal format 2" || *plain.KeyId != seal2Key {
		t.Errorf("decrypted %d bytes under %s", len(plain.Plaintext), *plain.KeyId)
	}
	report, err := sealer(t, dir).Status(t.Context())
	if err != nil || report.Format != 2 || len(report.Epochs) != 1 || report.Epochs[0] != 2 {
		t.Errorf("the seal: %+v, %v", report, err)
	}
}
