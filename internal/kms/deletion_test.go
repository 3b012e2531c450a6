package kms_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

const day = 24 * time.Hour

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	check(w.t, w.clock.Advance(w.t.Context(), d))
}

func TestPendingWindow(t *testing.T) {
	root := newWorld(t).root(owner)
	const message = "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value %s"
	for days, bound := range map[int32]string{
		0: "greater than or equal to 1", 6: "greater than or equal to 7", 31: "less than or equal to 30", 366: "less than or equal to 365",
	} {
		key := root.newKey()
		err := root.try(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: &days})
		wantErr(t, err, "ValidationException", fmt.Sprintf(message, days, bound))
	}
	for _, days := range []*int32{nil, new(int32(7)), new(int32(30))} {
		key := root.newKey()
		out := get[kmsapi.ScheduleKeyDeletionResponse](root, &kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: days})
		want := int32(30)
		if days != nil {
			want = *days
		}
		if *out.PendingWindowInDays != want || !out.DeletionDate.Equal(*root.describe(key).DeletionDate) {
			t.Errorf("%d days until %v", *out.PendingWindowInDays, out.DeletionDate)
		}
	}
}

// holds are the buckets of KMS that have a text in a key or record.
func (w *world) holds(text string) (found []string) {
	w.t.Helper()
	check(w.t, w.store.View(w.t.Context(), func(tx store.Tx) error {
		for _, bucket := range []string{"kms/key", "kms/alias", "kms/grant", "kms/grantee", "kms/retiring", "kms/grantname", "kms/pendingdeletion", "kms/rotation"} {
			for p, err := range tx.Scan(bucket, store.Range{}) {
				if err != nil {
					return err
				}
				if strings.Contains(p.Key, text) || strings.Contains(string(p.Data), text) {
					found = append(found, bucket)
				}
			}
		}
		return nil
	}))
	return found
}

// After the window nothing is left of a key: not its material, aliases or grants. What it
// encrypted stays unreadable, and its name is free again.
func TestDeletionDestroys(t *testing.T) {
	w := newWorld(t)
	forgotten := &forgetful{Module: w.hsm}
	w.hsm = forgotten
	w.restart()
	f := newFixture(w, "Enabled")
	for i := range 25 {
		f.root.grant(&kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, RetiringPrincipal: &f.user, Operations: []string{"Decrypt"}, Name: new(fmt.Sprint(i))})
	}
	f.root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &f.key, PendingWindowInDays: new(int32(7))})
	material := *f.root.describe(f.key).CurrentKeyMaterialId

	w.advance(7*day - time.Second)
	if got := f.root.describe(f.key); *got.KeyState != "PendingDeletion" {
		t.Fatalf("a second before the end the key is %s", *got.KeyState)
	}
	w.advance(2 * time.Second)
	wantErr(t, f.root.try(&kmsapi.DescribeKeyRequest{KeyId: &f.key}), "NotFoundException", "Key '"+f.key+"' does not exist")
	wantErr(t, f.root.try(&kmsapi.DescribeKeyRequest{KeyId: new("alias/key")}), "NotFoundException", "*")
	wantErr(t, f.root.try(&kmsapi.CancelKeyDeletionRequest{KeyId: &f.key}), "NotFoundException", "*")
	wantErr(t, f.root.try(&kmsapi.DecryptRequest{CiphertextBlob: f.blob}), "AccessDeniedException", foreignBlob)
	if found := w.holds(id(f.key)); found != nil {
		t.Errorf("the key is still in %v", found)
	}
	if found := w.holds(material); found != nil {
		t.Errorf("the material is still in %v", found)
	}
	if len(forgotten.ids) != 1 || forgotten.ids[0] != material {
		t.Errorf("the module forgot %v, want %s", forgotten.ids, material)
	}
	f.root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/key"), TargetKeyId: &f.spare})
	if got := f.root.describe("alias/key"); *got.Arn != f.spare {
		t.Error("the alias's name is not free")
	}
	recs := w.records(trail.Filter{Account: owner, EventName: "DeleteKey"})
	if len(recs) != 1 || recs[0].RecipientAccountID != owner || recs[0].UserIdentity.InvokedBy == "" || recs[0].Resources[0].ARN != f.key || recs[0].ErrorCode != "" {
		t.Errorf("records of the deletion: %+v", recs)
	}
}

// forgetful notes what the module was told to forget.
type forgetful struct {
	hsm.Module
	ids []string
}

func (f *forgetful) Forget(keyARN string, m hsm.Material) {
	f.ids = append(f.ids, m.ID)
	f.Module.Forget(keyARN, m)
}

func TestCancelledDeletion(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "PendingDeletion")
	w.advance(29 * day)
	f.root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &f.key})
	w.advance(100 * day)
	f.root.must(&kmsapi.EnableKeyRequest{KeyId: &f.key})
	f.root.must(&kmsapi.DecryptRequest{CiphertextBlob: f.blob})
	if got := f.root.describe("alias/key"); *got.Arn != f.key || len(f.root.grants(f.key)) != 1 {
		t.Error("alias or grant is gone")
	}
	// Scheduled anew, the new time counts.
	f.root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &f.key, PendingWindowInDays: new(int32(20))})
	w.advance(19 * day)
	f.root.describe(f.key)
	w.advance(2 * day)
	wantErr(t, f.root.try(&kmsapi.DescribeKeyRequest{KeyId: &f.key}), "NotFoundException", "*")
}

// A server that was down when the time came deletes the key when it starts.
func TestDeletionAfterRestart(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "PendingDeletion")
	late := w.root(owner).newKey()
	f.root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &late, PendingWindowInDays: new(int32(7))})
	w.clock.Stop() // the process ends, and the next starts ten days later
	w.clock = clock.New()
	w.advance(10 * day)
	w.restart()
	w.advance(0)
	wantErr(t, f.root.try(&kmsapi.DescribeKeyRequest{KeyId: &late}), "NotFoundException", "*")
	if got := f.root.describe(f.key); *got.KeyState != "PendingDeletion" {
		t.Errorf("the other key is %s", *got.KeyState)
	}
	w.advance(21 * day)
	wantErr(t, f.root.try(&kmsapi.DescribeKeyRequest{KeyId: &f.key}), "NotFoundException", "*")
}

func TestDeletionLeavesOtherKeysAlone(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "PendingDeletion")
	blob := f.root.encrypt(f.spare, "kept", nil)
	theirs := w.root(other).createKey(&kmsapi.CreateKeyRequest{Tags: tags("_custom_id_", id(f.key))})
	w.advance(31 * day)
	f.root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
	if got := w.root(other).describe(*theirs.Arn); *got.KeyState != "Enabled" {
		t.Errorf("the key of the same id in another account is %s", *got.KeyState)
	}
}
