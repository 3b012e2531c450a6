package kms_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

var errDisk = errors.New("the disk is full")

// A disk is a store whose changes can fail at the last moment.
type disk struct {
	store.Store
	full atomic.Bool

	grantScans atomic.Int64
}

func (d *disk) Update(ctx context.Context, fn func(store.Tx) error) error {
	return d.Store.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil || !d.full.Load() {
			return err
		}
		return errDisk
	})
}

// contents are all records of KMS.
func (w *world) contents() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	check(w.t, w.store.View(w.t.Context(), func(tx store.Tx) error {
		for _, bucket := range []string{"kms/key", "kms/alias", "kms/grant", "kms/grantee", "kms/retiring", "kms/grantname", "kms/pendingdeletion", "kms/rotation"} {
			for p, err := range tx.Scan(bucket, store.Range{}) {
				if err != nil {
					return err
				}
				all[bucket+" "+p.Key] = string(p.Data)
			}
		}
		return nil
	}))
	return all
}

// A change that cannot be saved is an error, changes nothing, and is on record as failed; the
// same request works later.
func TestFailedChangeLeavesNothing(t *testing.T) {
	requests := map[string]func(*fixture) any{"CreateKey": func(*fixture) any { return &kmsapi.CreateKeyRequest{Tags: tags("a", "b")} }}
	operations := kmsapi.Service().Operations
	for op, row := range onKey {
		if !operations[op].ReadOnly {
			requests[op] = row.in
		}
	}
	for op, in := range requests {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			state := "Enabled"
			if op == "CancelKeyDeletion" {
				state = "PendingDeletion"
			}
			f := newWholeFixture(w, state, op)
			before := w.contents()
			w.disk.full.Store(true)
			_, request, err := f.root.do(t.Context(), in(f))
			if !errors.Is(err, errDisk) {
				t.Errorf("got %v, want the disk's error", err)
			}
			if d := cmp.Diff(before, w.contents()); d != "" {
				t.Error(d)
			}
			failed := w.records(trail.Filter{RequestID: request})[0]
			if failed.ErrorCode != "InternalFailure" || failed.ResponseElements != nil && string(failed.ResponseElements) != "null" {
				t.Errorf("record %+v", failed)
			}
			w.disk.full.Store(false)
			f.root.must(in(f))
			if cmp.Equal(before, w.contents()) && op != "EnableKey" && op != "EnableKeyRotation" && op != "UntagResource" && op != "PutKeyPolicy" {
				t.Error("the second try changed nothing")
			}
		})
	}
}

// A deletion that fails is tried again until it succeeds, and is on record once.
func TestFailedDeletionIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "PendingDeletion")
	w.advance(30*day - time.Minute) // with room: what is noted every few seconds would be tried a quarter of a million times
	w.disk.full.Store(true)
	w.advance(time.Minute + time.Second)
	if got := f.root.describe(f.key); *got.KeyState != "PendingDeletion" {
		t.Errorf("the key is %s", *got.KeyState)
	}
	wantErr(t, f.root.try(&kmsapi.EncryptRequest{KeyId: &f.key, Plaintext: []byte("x")}), "KMSInvalidStateException", f.key+" is pending deletion.")
	w.disk.full.Store(false)
	// Its time is over: nobody can save it any more.
	wantErr(t, f.root.try(&kmsapi.CancelKeyDeletionRequest{KeyId: &f.key}), "NotFoundException", "Key '"+f.key+"' does not exist")
	w.advance(time.Hour)
	wantErr(t, f.root.try(&kmsapi.DescribeKeyRequest{KeyId: &f.key}), "NotFoundException", "*")
	if n := len(w.records(trail.Filter{EventName: "DeleteKey"})); n != 1 {
		t.Errorf("%d records of the deletion", n)
	}
}

// A key that cannot be deleted does not keep others from it.
func TestFailedDeletionHoldsUpNoOther(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	var keys []string
	for range 3 {
		keys = append(keys, *root.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true)}).Arn)
	}
	slices.Sort(keys) // as they are deleted
	for _, key := range keys {
		root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key})
	}
	lost := map[string]any{"primary": "eu-north-1", "replicas": []string{region}}
	w.edit(keys[0], func(rec map[string]any) { rec["multiRegion"] = lost }) // related to a key that there is not
	w.advance(31 * day)
	for i, key := range keys {
		if err := root.try(&kmsapi.DescribeKeyRequest{KeyId: &key}); (err == nil) != (i == 0) {
			t.Errorf("key %d: %v", i, err)
		}
	}
}

// edit changes the stored record of a key.
func (w *world) edit(key string, change func(map[string]any)) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		rec, err := kms.StoredKey(tx, region, owner, id(key))
		if err != nil {
			return err
		}
		change(rec)
		return kms.StoreKey(tx, rec, region, owner, id(key))
	})
}

// A customer's key has at most 50,000 grants; the limit is not for keys of AWS.
func TestGrantLimit(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, managed := root.newKey(), *root.describe("alias/aws/ebs").Arn
	for _, k := range []string{key, managed} {
		w.edit(k, func(rec map[string]any) { rec["grants"] = json.Number("50000") })
	}
	in := &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(w.user(owner, "u").arn()), Operations: []string{"Decrypt"}}
	wantErr(t, root.try(in), "LimitExceededException", "Key "+key+" already has 50000 grants")
	dry := *in
	dry.DryRun = new(true)
	wantErr(t, root.try(&dry), "LimitExceededException", "*") // a dry run fails as the request would
	attachGrant(root, managed)
	w.edit(key, func(rec map[string]any) { rec["grants"] = json.Number("49999") })
	root.must(in)
}

// A key in a state that no operation knows does nothing: states that later versions add fail closed.
func TestUnknownStateRefuses(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	w.edit(f.key, func(rec map[string]any) { rec["state"] = "Melting" })
	for _, op := range []string{"Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "CreateGrant", "CreateAlias", "EnableKey", "TagResource", "ScheduleKeyDeletion", "CancelKeyDeletion"} {
		w.run(op, func(t *testing.T) {
			wantErr(t, f.root.try(onKey[op].in(f)), "KMSInvalidStateException", f.key+" is Melting.")
		})
	}
}

// Material that was exchanged in the store does not open, and is no ciphertext error of the client.
func TestForeignMaterialRefuses(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	var stolen any
	w.edit(f.spare, func(rec map[string]any) { stolen = rec["materials"] })
	w.edit(f.key, func(rec map[string]any) { rec["materials"] = stolen })
	err := f.root.try(&kmsapi.EncryptRequest{KeyId: &f.key, Plaintext: []byte("x")})
	if err == nil {
		t.Fatal("a key encrypted with another key's material")
	}
	wantErr(t, f.root.try(&kmsapi.DecryptRequest{CiphertextBlob: f.blob}), "InvalidCiphertextException", "")
}

// How EC2 looks names up.
func TestResolveKey(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &key})
	tests := map[string]struct{ account, id, want, code string }{
		"id":              {owner, id(key), key, ""},
		"ARN":             {owner, key, key, ""},
		"alias":           {owner, "alias/app", key, ""},
		"alias ARN":       {owner, arn.KMSAlias(region, owner, "alias/app"), key, ""},
		"foreign ARN":     {other, key, key, ""},
		"foreign unknown": {other, missingARN(owner), missingARN(owner), ""},
		"unknown":         {owner, missing, "", "NotFoundException"},
		"id elsewhere":    {other, id(key), "", "NotFoundException"},
		"unknown alias":   {owner, "alias/none", "", "NotFoundException"},
		"no id":           {owner, "key", "", "NotFoundException"},
		"other region":    {owner, arn.KMSKey("eu-central-1", owner, id(key)), "", "NotFoundException"},
		"other service":   {owner, "arn:aws:s3:::bucket", "", "InvalidArnException"},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			got, err := w.kms.ResolveKey(t.Context(), region, tt.account, tt.id)
			if tt.code != "" {
				wantErr(t, err, tt.code, "*")
			} else if err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
	// An alias that another account does not have is a key that is not there, always the same.
	gone := func(account, alias string) string {
		got, err := w.kms.ResolveKey(t.Context(), region, account, arn.KMSAlias(region, owner, alias))
		check(t, err)
		return got
	}
	first := gone(other, "alias/none")
	if again, second := gone(other, "alias/none"), gone(other, "alias/no"); again != first || second == first || !keyrule.IsKeyID(id(first)) || !strings.HasPrefix(first, arn.KMSKey(region, owner, "")) {
		t.Errorf("aliases that do not exist are %s, %s and %s", first, again, second)
	}
	got, err := w.kms.ResolveKey(t.Context(), region, owner, "alias/aws/ebs")
	check(t, err)
	if want := *root.describe("alias/aws/ebs").Arn; got != want {
		t.Errorf("alias/aws/ebs is %s, want %s", got, want)
	}
}

// stored is the material of a key as it is stored.
func (w *world) stored(key string) (out []map[string]any) {
	w.t.Helper()
	w.edit(key, func(k map[string]any) {
		out = nil
		for _, m := range k["materials"].([]any) {
			out = append(out, m.(map[string]any))
		}
	})
	return out
}
