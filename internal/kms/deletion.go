package kms

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Bounds of the waiting period before a key is deleted, in days.
const (
	minWindow     = 7
	maxWindow     = 30
	defaultWindow = 30
)

// ScheduleKeyDeletion makes a key unusable now and deletes it after the waiting period.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, c *guard.Call, in *kmsapi.ScheduleKeyDeletionRequest) (*kmsapi.ScheduleKeyDeletionResponse, error) {
	days := int32(defaultWindow)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < minWindow || days > maxWindow {
		bound := "greater than or equal to 7"
		if days > maxWindow {
			bound = "less than or equal to 30"
		}
		return nil, apierr.Validation("1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value %s", days, bound)
	}
	var out *kmsapi.ScheduleKeyDeletionResponse
	parts := func(_ *keyView, p *authz.Part) {
		p.Context.Set("kms:schedulekeydeletionpendingwindowindays", itoa(days))
	}
	err := s.change(ctx, c, in.KeyId, "kms:ScheduleKeyDeletion", opSchedule, parts, func(tx store.Tx, k *keyRecord) error {
		k.State = kmsapi.KeyStatePendingDeletion
		k.Deletion = s.g.Now().Add(time.Duration(days) * 24 * time.Hour).Truncate(time.Millisecond)
		out = &kmsapi.ScheduleKeyDeletionResponse{
			KeyId: new(k.arn()), DeletionDate: &k.Deletion, KeyState: &k.State, PendingWindowInDays: &days,
		}
		c.Respond(out)
		return deletionTable.Put(tx, k.Deletion, k.Region, k.Account, k.ID)
	})
	if err != nil {
		return nil, err
	}
	s.clock.AfterFunc(out.DeletionDate.Sub(s.g.Now()), s.deleteDue)
	return out, nil
}

// CancelKeyDeletion takes a key out of the waiting period; it is disabled then.
func (s *Service) CancelKeyDeletion(ctx context.Context, c *guard.Call, in *kmsapi.CancelKeyDeletionRequest) (*kmsapi.CancelKeyDeletionResponse, error) {
	var out *kmsapi.CancelKeyDeletionResponse
	err := s.change(ctx, c, in.KeyId, "kms:CancelKeyDeletion", opCancel, nil, func(tx store.Tx, k *keyRecord) error {
		k.State, k.Deletion = kmsapi.KeyStateDisabled, time.Time{}
		out = &kmsapi.CancelKeyDeletionResponse{KeyId: new(k.arn())}
		c.Respond(out)
		return deletionTable.Delete(tx, k.Region, k.Account, k.ID)
	})
	return out, err
}

// Start deletes the keys whose time came while the server was down and waits for the others.
func (s *Service) Start(ctx context.Context) error {
	var due []time.Time
	err := s.g.Read(ctx, func(tx store.Tx) error {
		for r, err := range deletionTable.Scan(tx) {
			if err != nil {
				return err
			}
			due = append(due, r.Value)
		}
		return nil
	})
	for _, t := range due {
		s.clock.AfterFunc(max(0, t.Sub(s.g.Now())), s.deleteDue)
	}
	return err
}

// deleteDue deletes every key whose waiting period is over.
func (s *Service) deleteDue() {
	ctx := context.Background()
	var due [][]string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		due = nil
		for r, err := range deletionTable.Scan(tx) {
			if err != nil {
				return err
			}
			if !s.g.Now().Before(r.Value) {
				due = append(due, slices.Clone(r.Key))
			}
		}
		return nil
	})
	for _, key := range due {
		if err == nil {
			err = s.destroy(ctx, key[0], key[1], key[2])
		}
	}
	if err != nil {
		s.log.Error("a key whose waiting period is over was not deleted; the next start tries again", "error", err)
	}
}

// destroy deletes a key with its material, aliases and grants. What hangs on it goes first, in
// transactions of bounded size; the key stays pending deletion until the last one.
func (s *Service) destroy(ctx context.Context, region, account, id string) error {
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: "DeleteKey", Region: region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: serviceIdentity, InvokedBy: "AWS Internal"},
	}
	for {
		done := false
		step := func(tx store.Tx) error {
			k, found, err := s.keys.Shared(tx, region, account, id)
			if err != nil || !found || k.State != kmsapi.KeyStatePendingDeletion || s.g.Now().Before(k.Deletion) {
				done = true
				return err
			}
			c.Touch(k.arn, account, "AWS::KMS::Key")
			done, err = s.destroyStep(tx, k)
			return err
		}
		if err := s.g.Update(ctx, c, step); err != nil || done {
			return err
		}
	}
}

// destroyStep removes some of what hangs on a key and, when nothing is left, the key.
func (s *Service) destroyStep(tx store.Tx, k *keyView) (bool, error) {
	const batch = 10
	n := 0
	for r, err := range grantTable.ScanRange(tx, store.Range{Prefix: store.Key(k.Region, k.Account, k.ID), Limit: batch}) {
		if err != nil {
			return false, err
		}
		if err := s.deleteGrant(tx, k, r.Value); err != nil {
			return false, err
		}
		n++
	}
	if n > 0 {
		return false, nil
	}
	for _, a := range k.Aliases {
		if err := aliasTable.Delete(tx, k.Region, k.Account, a); err != nil {
			return false, err
		}
	}
	if err := deletionTable.Delete(tx, k.Region, k.Account, k.ID); err != nil {
		return false, err
	}
	return true, keyTable.Delete(tx, k.Region, k.Account, k.ID)
}
