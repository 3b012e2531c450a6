package kms_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/trail"
)

func (c *who) lastUsage(key string) *kmsapi.GetKeyLastUsageResponse {
	c.w.t.Helper()
	return get[kmsapi.GetKeyLastUsageResponse](c, &kmsapi.GetKeyLastUsageRequest{KeyId: &key})
}

// wantUse wants that a key was last used for an operation, by the newest call of it in the trail.
func wantUse(t *testing.T, c *who, key, operation string) {
	t.Helper()
	out := c.lastUsage(key)
	u := out.KeyLastUsage
	if u.Operation == nil || *u.Operation != operation {
		t.Errorf("%s: last used for %+v, want %s", key, u, operation)
		return
	}
	for _, r := range c.w.records(trail.Filter{}) {
		if r.EventName != operation || r.RequestID != *u.KmsRequestId {
			continue
		}
		if theirs, ok := r.For(owner); ok && theirs.EventID == *u.CloudTrailEventId && !r.EventTime.Before(u.Timestamp.Add(-time.Second)) {
			return
		}
	}
	t.Errorf("%s: no event %s of request %s", operation, *u.CloudTrailEventId, *u.KmsRequestId)
}

func TestGetKeyLastUsageNamesTheLastCryptographicOperation(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	f.addKinds()
	ops := strings.FieldsSeq(`Encrypt Decrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair
		GenerateDataKeyPairWithoutPlaintext ReEncrypt Sign Verify GenerateMac VerifyMac DeriveSharedSecret Encapsulate Decapsulate`)
	for op := range ops {
		w.run(op, func(t *testing.T) {
			f.root.w.t = t
			f.root.must(onKey[op].in(f))
			wantUse(t, f.root, f.keyOf(op), op)
		})
	}
	wantUse(t, f.root, f.spare, "ReEncrypt") // both keys
}

func TestGetKeyLastUsageOfAnUnusedKey(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	out := root.lastUsage(key)
	if *out.KeyId != key || out.KeyLastUsage == nil || *out.KeyLastUsage != (kmsapi.KeyLastUsageData{}) || out.TrackingStartDate.After(*out.KeyCreationDate) {
		t.Errorf("got %+v", out)
	}
	// What fails, is dry or is not cryptographic is no use.
	wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), DryRun: new(true)}), "DryRunOperationException", "*")
	if err := root.try(&kmsapi.DecryptRequest{KeyId: &key, CiphertextBlob: []byte("none")}); err == nil {
		t.Error("nonsense was decrypted")
	}
	root.must(&kmsapi.DescribeKeyRequest{KeyId: &key})
	if got := root.lastUsage(key).KeyLastUsage; *got != (kmsapi.KeyLastUsageData{}) {
		t.Errorf("got %+v", got)
	}
	wantErr(t, root.try(&kmsapi.GetKeyLastUsageRequest{KeyId: new("alias/x")}), "InvalidArnException", "Key Aliases are not supported for this operation.")
}

// A caller of another account has another record of it than the owner of the key.
func TestGetKeyLastUsageOfACallerOfAnotherAccount(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey(allow(other, "", "kms:Encrypt"))
	w.root(other).encrypt(key, "x", nil)
	wantUse(t, root, key, "Encrypt")
}

func TestLastUsageSurvivesARestart(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	root.encrypt(key, "x", nil)
	check(t, w.clock.Advance(t.Context(), time.Minute)) // it is stored
	stored := root.lastUsage(key)
	w.restart()
	if got := root.lastUsage(key); *got.KeyLastUsage.KmsRequestId != *stored.KeyLastUsage.KmsRequestId || !got.TrackingStartDate.Equal(*stored.TrackingStartDate) {
		t.Errorf("got %+v, want %+v", got.KeyLastUsage, stored.KeyLastUsage)
	}
	root.must(&kmsapi.GenerateDataKeyRequest{KeyId: &key, NumberOfBytes: new(int32(8))}) // within the hour: stored at the end
	w.kms.Stop(t.Context())
	w.restart()
	wantUse(t, root, key, "GenerateDataKey")
	if n := w.size("kms/usage"); n != 1 {
		t.Errorf("%d uses are stored, want 1", n)
	}
	root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(7))})
	check(t, w.clock.Advance(t.Context(), 8*24*time.Hour))
	if n := w.size("kms/usage"); n != 0 {
		t.Errorf("%d uses of deleted keys are stored", n)
	}
}

// A store that fails loses no use.
func TestLastUsageIsStoredLaterIfTheStoreFails(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	root.encrypt(key, "x", nil)
	w.disk.full.Store(true)
	check(t, w.clock.Advance(t.Context(), time.Minute))
	w.disk.full.Store(false)
	if n := w.size("kms/usage"); n != 0 {
		t.Fatalf("%d uses are stored on a disk that is full", n)
	}
	check(t, w.clock.Advance(t.Context(), time.Minute))
	if n := w.size("kms/usage"); n != 1 {
		t.Errorf("%d uses are stored, want 1", n)
	}
}

func TestTrailingDaysWithoutKeyUsage(t *testing.T) {
	day := 24 * time.Hour
	for _, op := range []string{"DisableKey", "ScheduleKeyDeletion"} {
		w := newWorld(t)
		root := w.root(owner)
		deny := statement("Deny", "*", `{"NumericLessThan":{"kms:TrailingDaysWithoutKeyUsage":"30"}}`, "kms:DisableKey", "kms:ScheduleKeyDeletion")
		key := root.newKey(deny)
		f := &fixture{root: root, key: key}
		end := func() error { return root.try(onKey[op].in(f)) }
		wantErr(t, end(), "AccessDeniedException", "*") // never used, but new
		check(t, w.clock.Advance(t.Context(), 29*day))
		wantErr(t, end(), "AccessDeniedException", "*")
		root.encrypt(key, "x", nil)
		check(t, w.clock.Advance(t.Context(), 29*day+23*time.Hour))
		wantErr(t, end(), "AccessDeniedException", "*")
		check(t, w.clock.Advance(t.Context(), time.Hour))
		check(t, end())
	}
}

// What is remembered of when uses were stored is never later than the truth, at most a minute earlier, and of nearly
// all of a million keys.
func TestStoredUses(t *testing.T) {
	var s kms.StoredUses
	if at := s.At("k"); !at.IsZero() {
		t.Errorf("of nothing it knows %v", at)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const keys = 1_000_000
	when := func(i int) time.Time { return start.Add(time.Duration(i) * 3 * time.Millisecond) } // within an hour
	for i := range keys {
		s.Note(strconv.Itoa(i), when(i))
	}
	unknown := 0
	for i := range keys {
		at := s.At(strconv.Itoa(i))
		if at.IsZero() {
			unknown++
		} else if late := when(i).Sub(at); late < 0 || late >= time.Minute {
			t.Fatalf("of a use at %v it says %v", when(i), at)
		}
	}
	if unknown == 0 || unknown > keys/50 {
		t.Errorf("of %d keys %d are unknown", keys, unknown)
	}
	if at := s.At("another"); !at.IsZero() {
		t.Errorf("of a key that was not used it says %v", at)
	}
	s.Note("0", start.Add(time.Hour))
	if at := s.At("0"); at.Before(start.Add(59*time.Minute)) || at.After(start.Add(time.Hour)) {
		t.Errorf("after another use it says %v", at)
	}
	for _, at := range []time.Time{start.Add(-24 * time.Hour), start.AddDate(60, 0, 0)} { // the clock was set
		s.Note("0", at)
		if got := s.At("0"); !got.IsZero() {
			t.Errorf("of a use at %v it says %v", at, got)
		}
	}
}
