package kms_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// rotation is what GetKeyRotationStatus says of a key.
func (c *who) rotation(key string) *kmsapi.GetKeyRotationStatusResponse {
	c.w.t.Helper()
	return get[kmsapi.GetKeyRotationStatusResponse](c, &kmsapi.GetKeyRotationStatusRequest{KeyId: &key})
}

// wantNoRotation wants automatic rotation to be off.
func (c *who) wantNoRotation(key string) {
	c.w.t.Helper()
	if d := cmp.Diff(&kmsapi.GetKeyRotationStatusResponse{KeyId: &key, KeyRotationEnabled: new(false)}, c.rotation(key)); d != "" {
		c.w.t.Error(d)
	}
}

// wantRotation wants automatic rotation to be on, first due that many days from now.
func (c *who) wantRotation(key string, days int32) {
	c.w.t.Helper()
	got := c.rotation(key)
	if !*got.KeyRotationEnabled || got.RotationPeriodInDays == nil || *got.RotationPeriodInDays != days {
		c.w.t.Errorf("rotation status is %+v, want every %d days", got, days)
		return
	}
	if due := got.NextRotationDate.Sub(c.w.guard.Now()).Hours() / 24; due > float64(days) || due < float64(days)-0.1 {
		c.w.t.Errorf("rotation is due in %.2f days, want %d", due, days)
	}
}

func TestRotationIsOffUntilItIsEnabled(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	root.wantNoRotation(key)
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key})
	root.wantRotation(key, 365)
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
	root.wantRotation(key, 90)
	root.must(&kmsapi.DisableKeyRotationRequest{KeyId: &key})
	root.must(&kmsapi.DisableKeyRotationRequest{KeyId: &key})
	root.wantNoRotation(key)
}

func TestRotationPeriodHasBounds(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	for days, bound := range map[int32]string{0: "greater than or equal to 90", 89: "greater than or equal to 90", 2561: "less than or equal to 2560"} {
		wantErr(t, root.try(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: &days}), "ValidationException", fmt.Sprintf(
			"1 validation error detected: Value '%d' at 'rotationPeriodInDays' failed to satisfy constraint: Member must have value %s", days, bound))
	}
	root.wantNoRotation(key)
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(2560))})
	root.wantRotation(key, 2560)
}

// While a key is disabled its setting stays; while it waits for deletion it reads off.
func TestRotationSettingOutlivesStates(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(180))})
	root.must(&kmsapi.DisableKeyRequest{KeyId: &key})
	root.wantRotation(key, 180)
	root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key})
	root.wantNoRotation(key)
	root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &key})
	root.wantRotation(key, 180)
}

// Keys that are not symmetric have no rotation: the question is answered, the change is not.
func TestOnlySymmetricKeysRotate(t *testing.T) {
	root := newWorld(t).root(owner)
	for spec, usage := range map[string]string{"HMAC_256": "GENERATE_VERIFY_MAC", "RSA_2048": "ENCRYPT_DECRYPT", "ECC_NIST_P256": "SIGN_VERIFY"} {
		key := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: &spec, KeyUsage: &usage}).Arn
		root.wantNoRotation(key)
		wantErr(t, root.try(&kmsapi.EnableKeyRotationRequest{KeyId: &key}), "UnsupportedOperationException", "")
		wantErr(t, root.try(&kmsapi.DisableKeyRotationRequest{KeyId: &key}), "UnsupportedOperationException", "")
	}
}

func TestManagedKeysRotateYearlyWhateverAnybodyWants(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	managed := root.describe("alias/aws/ebs")
	if got := root.rotation(*managed.Arn); !*got.KeyRotationEnabled || *got.RotationPeriodInDays != 365 ||
		!got.NextRotationDate.Equal(managed.CreationDate.AddDate(0, 0, 365)) {
		t.Errorf("AWS managed key: %+v", got)
	}
	wantDenied(t, root.try(&kmsapi.EnableKeyRotationRequest{KeyId: managed.Arn}), root, "kms:EnableKeyRotation", *managed.Arn, noResource("kms:EnableKeyRotation"))
	wantDenied(t, root.try(&kmsapi.DisableKeyRotationRequest{KeyId: managed.Arn}), root, "kms:DisableKeyRotation", *managed.Arn, noResource("kms:DisableKeyRotation"))
}
