package kms_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// material is the key's current material.
func (c *who) material(key string) string {
	c.w.t.Helper()
	return *c.describe(key).CurrentKeyMaterialId
}

// kinds are how the rotations of a key came about, oldest first.
func (c *who) kinds(key string) []string {
	c.w.t.Helper()
	var out []string
	for _, r := range get[kmsapi.ListKeyRotationsResponse](c, &kmsapi.ListKeyRotationsRequest{KeyId: &key}).Rotations {
		out = append(out, *r.RotationType)
	}
	return out
}

func (c *who) opens(key, plaintext, material string, blob []byte) {
	c.w.t.Helper()
	got := get[kmsapi.DecryptResponse](c, &kmsapi.DecryptRequest{CiphertextBlob: blob})
	if string(got.Plaintext) != plaintext || *got.KeyMaterialId != material || *got.KeyId != key {
		c.w.t.Errorf("Decrypt answered %d bytes, material %s of %s; want material %s", len(got.Plaintext), *got.KeyMaterialId, *got.KeyId, material)
	}
}

// Rotation changes what encrypts; what older material made, older material opens.
func TestRotateOnDemand(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	first := root.material(key)
	old := root.encrypt(key, "old", nil)
	w.advance(time.Hour)
	now := w.guard.Now()
	if got := get[kmsapi.RotateKeyOnDemandResponse](root, &kmsapi.RotateKeyOnDemandRequest{KeyId: new(id(key))}); *got.KeyId != key {
		t.Errorf("RotateKeyOnDemand answered %s", *got.KeyId)
	}
	second := root.material(key)
	if second == first {
		t.Fatal("the material is the same")
	}
	root.opens(key, "old", first, old)
	root.opens(key, "new", second, root.encrypt(key, "new", nil))
	root.wantNoRotation(key)
	data := get[kmsapi.GenerateDataKeyResponse](root, &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256")})
	moved := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{CiphertextBlob: old, DestinationKeyId: &key})
	if *data.KeyMaterialId != second || *moved.SourceKeyMaterialId != first || *moved.DestinationKeyMaterialId != second {
		t.Errorf("data key by %s, moved from %s to %s", *data.KeyMaterialId, *moved.SourceKeyMaterialId, *moved.DestinationKeyMaterialId)
	}

	got := get[kmsapi.ListKeyRotationsResponse](root, &kmsapi.ListKeyRotationsRequest{KeyId: &key})
	if len(got.Rotations) != 1 || got.Rotations[0].RotationDate.Sub(now).Abs() > time.Minute {
		t.Fatalf("rotations %+v", got.Rotations)
	}
	rotation := kmsapi.RotationsListEntry{
		KeyId: new(id(key)), KeyMaterialId: &second, KeyMaterialState: new("CURRENT"), RotationType: new("ON_DEMAND"), RotationDate: got.Rotations[0].RotationDate,
	}
	if d := cmp.Diff(&kmsapi.ListKeyRotationsResponse{Rotations: []kmsapi.RotationsListEntry{rotation}, Truncated: new(false)}, got); d != "" {
		t.Error(d)
	}
	all := get[kmsapi.ListKeyRotationsResponse](root, &kmsapi.ListKeyRotationsRequest{KeyId: &key, IncludeKeyMaterial: new("ALL_KEY_MATERIAL")})
	want := []kmsapi.RotationsListEntry{{KeyId: new(id(key)), KeyMaterialId: &first, KeyMaterialState: new("NON_CURRENT")}, rotation}
	if d := cmp.Diff(want, all.Rotations); d != "" {
		t.Error(d)
	}
	w.restart()
	root.opens(key, "old", first, old)
}

func TestRotationsOnDemandAreLimited(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	in := &kmsapi.RotateKeyOnDemandRequest{KeyId: &key}
	seen := map[string]bool{root.material(key): true}
	for range 25 {
		root.must(in)
		if m := root.material(key); seen[m] {
			t.Fatal("material comes back")
		} else {
			seen[m] = true
		}
	}
	wantErr(t, root.try(in), "LimitExceededException",
		"The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: "+key)
	// Page by page, it is the same list.
	var paged []string
	list := &kmsapi.ListKeyRotationsRequest{KeyId: &key, Limit: new(int32(7)), IncludeKeyMaterial: new("ALL_KEY_MATERIAL")}
	for {
		got := get[kmsapi.ListKeyRotationsResponse](root, list)
		for _, r := range got.Rotations {
			paged = append(paged, *r.KeyMaterialId)
		}
		if !*got.Truncated {
			break
		}
		list.Marker = got.NextMarker
	}
	if len(paged) != 26 || paged[25] != root.material(key) || len(slices.Compact(slices.Sorted(slices.Values(paged)))) != 26 {
		t.Errorf("%d entries in pages", len(paged))
	}
	list.Marker = new("x")
	wantErr(t, root.try(list), "InvalidMarkerException", "")
	// Automatic rotation has no limit.
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
	w.advance(90*day + time.Second)
	if n := len(root.kinds(key)); n != 26 {
		t.Errorf("%d rotations", n)
	}
}

func TestAutomaticRotation(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, other := root.newKey(), root.newKey()
	materials := []string{root.material(key)}
	blob := root.encrypt(key, "first", nil)
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &other}) // a later one
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(100))})
	w.advance(100*day - time.Minute)
	if m := root.material(key); m != materials[0] {
		t.Error("it rotated before its time")
	}
	// Close to it there is no rotation on demand.
	wantErr(t, root.try(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key}), "ConflictException", "*")
	w.advance(2 * time.Minute)
	materials = append(materials, root.material(key))
	root.wantRotation(key, 100)
	// A rotation on demand leaves the schedule alone.
	next := *root.rotation(key).NextRotationDate
	w.advance(50 * day)
	root.must(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key})
	materials = append(materials, root.material(key))
	if got := *root.rotation(key).NextRotationDate; !got.Equal(next) {
		t.Errorf("the next rotation moved from %v to %v", next, got)
	}
	w.advance(150 * day)
	if d := cmp.Diff([]string{"AUTOMATIC", "ON_DEMAND", "AUTOMATIC", "AUTOMATIC"}, root.kinds(key)); d != "" {
		t.Error(d)
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(append(materials, root.material(key)))))); n != 4 {
		t.Errorf("%d different materials", n)
	}
	root.opens(key, "first", materials[0], blob)
	if got := root.kinds(other); len(got) != 0 {
		t.Errorf("the other key rotated: %v", got)
	}
	w.advance(100 * day)
	if d := cmp.Diff([]string{"AUTOMATIC"}, root.kinds(other)); d != "" {
		t.Error(d)
	}
	recs := w.records(trail.Filter{Account: owner, EventName: "RotateKey"})
	if len(recs) != 5 || len(recs[0].Resources) != 1 {
		t.Fatalf("%d records of automatic rotation: %+v", len(recs), recs)
	}
	root.must(&kmsapi.DisableKeyRotationRequest{KeyId: &key})
	w.advance(400 * day)
	if n := len(root.kinds(key)); n != 5 {
		t.Errorf("after it was turned off there are %d rotations", n)
	}
}

// A key that is disabled or waits for its deletion does not rotate; it does when it is enabled.
func TestOverdueRotationWaitsForTheKey(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	for name, stop := range map[string][2]func(key string){
		"disabled": {
			func(key string) { root.must(&kmsapi.DisableKeyRequest{KeyId: &key}) }, func(string) {},
		},
		"pending deletion": {
			func(key string) { root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key}) },
			func(key string) { root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &key}) },
		},
	} {
		w.run(name, func(t *testing.T) {
			key := root.newKey()
			root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
			w.advance(80 * day)
			stop[0](key)
			w.advance(20 * day)
			stop[1](key)
			if got := root.kinds(key); len(got) != 0 {
				t.Errorf("it rotated: %v", got)
			}
			root.must(&kmsapi.EnableKeyRequest{KeyId: &key})
			w.advance(time.Second)
			if d := cmp.Diff([]string{"AUTOMATIC"}, root.kinds(key)); d != "" {
				t.Error(d)
			}
			root.wantRotation(key, 90) // counted from now, for it was late
		})
	}
}

func TestRotationAfterARestart(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	late, soon := root.newKey(), root.newKey()
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &late, RotationPeriodInDays: new(int32(90))})
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &soon, RotationPeriodInDays: new(int32(95))})
	w.clock.Stop() // the process ends, and the next starts 91 days later
	w.clock = clock.New()
	w.advance(91 * day)
	w.restart()
	w.advance(time.Second)
	if a, b := root.kinds(late), root.kinds(soon); len(a) != 1 || len(b) != 0 {
		t.Errorf("rotated %v and %v", a, b)
	}
	w.advance(5 * day)
	if a, b := root.kinds(late), root.kinds(soon); len(a) != 1 || len(b) != 1 {
		t.Errorf("rotated %v and %v", a, b)
	}
}

// What a kagimori without automatic rotation has stored rotates too, and its AWS managed keys.
func TestRotationOfKeysStoredBefore(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	var keys []string
	for range 45 {
		keys = append(keys, root.newKey())
	}
	for _, key := range keys[:30] {
		root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
	}
	managed := *root.describe("alias/aws/ebs").Arn
	w.edit(managed, func(k map[string]any) { delete(k, "rotation") })
	w.update(func(tx store.Tx) error {
		for _, bucket := range []string{"kms/rotation", "kms/rotationindex"} {
			var all []string
			for p, err := range tx.Scan(bucket, store.Range{}) {
				if err != nil {
					return err
				}
				all = append(all, p.Key)
			}
			for _, key := range all {
				if err := tx.Delete(bucket, key); err != nil {
					return err
				}
			}
		}
		return nil
	})
	w.restart()
	if got := root.rotation(managed); !*got.KeyRotationEnabled || *got.RotationPeriodInDays != 365 {
		t.Errorf("the managed key: %+v", got)
	}
	w.advance(91 * day)
	for i, key := range keys {
		if n := len(root.kinds(key)); n != map[bool]int{true: 1}[i < 30] {
			t.Errorf("key %d rotated %d times", i, n)
		}
	}
	w.advance(275 * day)
	if d := cmp.Diff([]string{"AUTOMATIC"}, root.kinds(managed)); d != "" {
		t.Error(d)
	}
}

func TestManagedKeysRotateEachYear(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := *root.describe("alias/aws/ebs").Arn
	root.wantRotation(key, 365)
	for range 3 {
		w.advance(365*day + time.Second)
	}
	if d := cmp.Diff([]string{"AUTOMATIC", "AUTOMATIC", "AUTOMATIC"}, root.kinds(key)); d != "" {
		t.Error(d)
	}
	wantErr(t, root.try(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key}), "AccessDeniedException", "*")
}

// A rotation that fails is tried again, and others are not held up for good.
func TestFailedRotationIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
	first := root.material(key)
	w.disk.full.Store(true)
	w.advance(90*day + time.Second)
	w.disk.full.Store(false)
	if root.material(key) != first {
		t.Error("it rotated on a full disk")
	}
	w.advance(time.Hour)
	if d := cmp.Diff([]string{"AUTOMATIC"}, root.kinds(key)); d != "" {
		t.Error(d)
	}
}

// Nobody but KMS rotates keys automatically, and rotation needs its own permission.
func TestRotationIsDecided(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	user, they := w.user(owner, "u", iam("*", "kms:EnableKeyRotation")), w.user(other, "they", iam("*", "kms:*"))
	key := root.newKey(allow(arn.Root(other), "", "kms:*"))
	in := &kmsapi.RotateKeyOnDemandRequest{KeyId: &key}
	wantDenied(t, user.try(in), user, "kms:RotateKeyOnDemand", key, noIdentity("kms:RotateKeyOnDemand"))
	wantHidden(t, they.try(in), they, "kms:RotateKeyOnDemand")
	list := &kmsapi.ListKeyRotationsRequest{KeyId: &key}
	wantDenied(t, user.try(list), user, "kms:ListKeyRotations", key, noIdentity("kms:ListKeyRotations"))
}
