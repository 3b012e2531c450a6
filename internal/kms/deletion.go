package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
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

// deleteAgain is how long after a failure the deletion of keys is tried again.
const deleteAgain = time.Hour

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
	more := func(p *authz.Part) {
		p.Context.Set("kms:schedulekeydeletionpendingwindowindays", itoa(days))
	}
	err := s.change(ctx, c, in.KeyId, "kms:ScheduleKeyDeletion", opSchedule, more, func(tx store.Tx, k *keyRecord) error {
		if k.Multi != nil && k.primary() && len(k.Multi.Replicas) > 0 {
			k.State, k.Window = kmsapi.KeyStatePendingReplicaDeletion, days
			out = &kmsapi.ScheduleKeyDeletionResponse{KeyId: new(k.arn()), KeyState: &k.State, PendingWindowInDays: &days}
			c.Respond(out)
			return nil
		}
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
	if out.DeletionDate != nil {
		s.deleteAt(*out.DeletionDate)
	}
	return out, nil
}

// CancelKeyDeletion takes a key out of the waiting period; it is disabled then.
func (s *Service) CancelKeyDeletion(ctx context.Context, c *guard.Call, in *kmsapi.CancelKeyDeletionRequest) (*kmsapi.CancelKeyDeletionResponse, error) {
	var out *kmsapi.CancelKeyDeletionResponse
	err := s.change(ctx, c, in.KeyId, "kms:CancelKeyDeletion", opCancel, nil, func(tx store.Tx, k *keyRecord) error {
		if k.State == kmsapi.KeyStatePendingDeletion && !s.g.Now().Before(k.Deletion) {
			return notFound("Key '%s' does not exist", k.arn()) // what hangs on it is being removed
		}
		k.State, k.Deletion, k.Window = kmsapi.KeyStateDisabled, time.Time{}, 0
		k.settle()
		out = &kmsapi.CancelKeyDeletionResponse{KeyId: new(k.arn())}
		c.Respond(out)
		return deletionTable.Delete(tx, k.Region, k.Account, k.ID)
	})
	return out, err
}

// Start deletes and rotates the keys whose time came while the server was down and waits for the
// others.
func (s *Service) Start(ctx context.Context) error {
	err := s.awaitDeletions(ctx)
	if err == nil {
		err = s.startTracking(ctx)
	}
	if err == nil {
		err = s.indexRotations(ctx)
	}
	if err == nil {
		err = s.resumeConnections(ctx)
	}
	if err == nil {
		s.wakeAt(s.g.Now()) // which looks for the first that is due
	}
	return err
}

// deleteAt makes deleteDue run at a time, if it would not sooner.
func (s *Service) deleteAt(t time.Time) { s.deletions.set(s.clock, t, s.deleteDue) }

// deleteDue deletes every key whose waiting period is over, and waits for the next one.
func (s *Service) deleteDue() {
	s.deletions.rang()
	ctx, ok := s.background()
	if !ok {
		return
	}
	var (
		due  [][]string
		next time.Time
	)
	err := s.g.Read(ctx, func(tx store.Tx) error {
		due, next = nil, time.Time{}
		for r, err := range deletionTable.Scan(tx) {
			if err != nil {
				return err
			}
			switch {
			case !s.g.Now().Before(r.Value):
				due = append(due, r.Key)
			case next.IsZero() || r.Value.Before(next):
				next = r.Value
			}
		}
		return nil
	})
	if !next.IsZero() {
		s.deleteAt(next)
	}
	for _, key := range due { // one that fails does not hold up the others
		if bad := s.destroy(ctx, key[0], key[1], key[2]); bad != nil {
			err = errors.Join(err, fmt.Errorf("key %s: %w", arn.KMSKey(key[0], key[1], key[2]), bad))
		}
	}
	if err != nil {
		store.Report(ctx, s.log, "a key whose waiting period is over was not deleted yet", err)
		s.deleteAt(s.g.Now().Add(deleteAgain))
	}
}

// errNotDue ends a deletion that was cancelled, or done by another node.
var errNotDue = errors.New("kms: the key is not due for deletion")

// destroy deletes a key with its material, aliases and grants. Grants go first, in transactions of
// bounded size; the key stays pending deletion until the last transaction, which carries the
// record.
func (s *Service) destroy(ctx context.Context, region, account, id string) error {
	due := func(tx store.Tx) (*keyView, error) {
		k, found, err := s.keys.Shared(tx, region, account, id)
		if err == nil && (!found || k.State != kmsapi.KeyStatePendingDeletion || s.g.Now().Before(k.Deletion)) {
			err = errNotDue
		}
		return k, err
	}
	var err error
	for more := true; more && err == nil; {
		err = s.g.Change(ctx, func(tx store.Tx) error {
			k, err := due(tx)
			if err != nil {
				return err
			}
			more, err = s.removeGrants(tx, k)
			return err
		})
	}
	if err == nil {
		err = s.unlink(ctx, due)
	}
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: "DeleteKey", Region: region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: serviceIdentity, InvokedBy: "AWS Internal"},
	}
	var gone *keyView
	if err == nil {
		err = s.g.Update(ctx, c, func(tx store.Tx) (err error) {
			if gone, err = due(tx); err != nil {
				return err
			}
			c.Touch(gone.arn, account, keyType)
			if err := noteDestroyed(tx, s.g.Now(), len(gone.materials())); err != nil {
				return err
			}
			return removeKey(tx, gone)
		})
	}
	switch {
	case errors.Is(err, errNotDue):
		return nil
	case err != nil:
		return err
	}
	s.forget(gone.arn, gone.materials()...)
	return nil
}

// removeGrants removes some of a key's grants; more reports whether there may be others.
func (s *Service) removeGrants(tx store.Tx, k *keyView) (more bool, err error) {
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
	return n == batch, nil
}

// removeKey removes a key without grants, and its aliases.
func removeKey(tx store.Tx, k *keyView) error {
	for _, a := range k.Aliases {
		if err := aliasTable.Delete(tx, k.Region, k.Account, a); err != nil {
			return err
		}
	}
	if err := deletionTable.Delete(tx, k.Region, k.Account, k.ID); err != nil {
		return err
	}
	if k.Store != "" {
		if err := xksKeyTable.Delete(tx, k.Region, k.Account, k.Store, k.XksKey); err != nil {
			return err
		}
	}
	if err := usageTable.Delete(tx, k.Region, k.Account, k.ID); err != nil {
		return err
	}
	return keyTable.Delete(tx, k.Region, k.Account, k.ID)
}
