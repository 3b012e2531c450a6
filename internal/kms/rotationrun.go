package kms

import (
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// ownPolicy is the right of KMS to rotate keys and synchronize related ones by itself, said in the
// language that everything else is decided in.
const ownPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"AWS KMS itself","Effect":"Allow",
"Principal":{"Service":"kms.amazonaws.com"},"Action":["kms:RotateKey","kms:SynchronizeMultiRegionKey"],"Resource":"*"}]}`

// ownPart is the evaluation of what KMS does to a key by itself.
func ownPart(action string, k *keyRecord) (authz.Part, error) {
	doc, err := policy.Parse([]byte(ownPolicy), policy.Resource)
	if err != nil {
		return authz.Part{}, err
	}
	right := authz.Compile(doc, policy.Resource)
	right.Name, right.Owner = "AWS KMS itself", "aws"
	return authz.Part{Action: action, Resource: authz.Resource{ARN: k.arn(), Account: k.Account}, Policy: right}, nil
}

// rotateAgain is how long after a failure automatic rotation is tried again.
const rotateAgain = time.Hour

// dueFormat makes times whose order as text is that of time.
const dueFormat = "2006-01-02T15:04:05.000Z"

// wakeAt makes rotateDue run at a time, if it would not sooner.
func (s *Service) wakeAt(t time.Time) { s.alarm.set(s.clock, t, s.rotateDue) }

// reschedule keeps the table of what is due in step with a key that changed.
func reschedule(tx store.Tx, before, after *keyRecord) error {
	was, is := before.wake(), after.wake()
	if was.Equal(is) {
		return nil
	}
	if !was.IsZero() {
		if err := rotationTable.Delete(tx, was.UTC().Format(dueFormat), before.Region, before.Account, before.ID); err != nil {
			return err
		}
	}
	if is.IsZero() {
		return nil
	}
	return rotationTable.Put(tx, struct{}{}, is.UTC().Format(dueFormat), after.Region, after.Account, after.ID)
}

// rotateDue rotates every key whose time has come, and waits for the next one.
func (s *Service) rotateDue() {
	s.alarm.rang()
	ctx, ok := s.background()
	if !ok {
		return
	}
	keys, err := s.dueRotations(ctx)
	failed := err != nil
	store.Report(ctx, s.log, "keys that are due for rotation could not be found", err)
	for _, k := range keys {
		if err := s.happen(ctx, k[0], k[1], k[2], k[3]); err != nil {
			failed = true
			store.Report(ctx, s.log, "a key was not rotated, or its material not removed yet", err, "key", k[3])
		}
	}
	if failed {
		s.wakeAt(s.g.Now().Add(rotateAgain))
	}
	if err := s.awaitRotation(ctx); err != nil {
		store.Report(ctx, s.log, "automatic rotation waits for no key", err)
		s.wakeAt(s.g.Now().Add(rotateAgain))
	}
}

// happen does what is due for a key.
func (s *Service) happen(ctx context.Context, due, region, account, id string) error {
	expires := false
	err := s.g.Read(ctx, func(tx store.Tx) error {
		k, _, err := keyTable.Get(tx, region, account, id)
		expires = k.external()
		return err
	})
	switch {
	case err != nil:
		return err
	case expires:
		return s.expire(ctx, due, region, account, id)
	}
	return s.rotateAutomatically(ctx, due, region, account, id)
}

// dueRotations are the entries whose time has come.
func (s *Service) dueRotations(ctx context.Context) (keys [][]string, err error) {
	now := s.g.Now().UTC().Format(dueFormat)
	err = s.g.Read(ctx, func(tx store.Tx) error {
		keys = nil
		for r, err := range rotationTable.Scan(tx) {
			if err != nil {
				return err
			}
			if r.Key[0] > now {
				break
			}
			keys = append(keys, r.Key)
		}
		return nil
	})
	return keys, err
}

// awaitRotation waits for the first rotation that is not due yet.
func (s *Service) awaitRotation(ctx context.Context) error {
	var first time.Time
	now := s.g.Now().UTC().Format(dueFormat)
	err := s.g.Read(ctx, func(tx store.Tx) error {
		first = time.Time{}
		for r, err := range rotationTable.Scan(tx) {
			if err != nil {
				return err
			}
			if r.Key[0] > now {
				first, err = time.Parse(dueFormat, r.Key[0])
				return err
			}
		}
		return nil
	})
	if err == nil && !first.IsZero() {
		s.wakeAt(first)
	}
	return err
}

// errNotRotating ends a rotation that is no longer due, or was made by another node.
var errNotRotating = errors.New("kms: the key is not due for rotation")

// rotateAutomatically makes new material for a key that is due.
func (s *Service) rotateAutomatically(ctx context.Context, due, region, account, id string) error {
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: "RotateKey", Region: region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: serviceIdentity, InvokedBy: "AWS Internal"},
	}
	var (
		k keyRecord
		p permit.Permit
	)
	authorize := func(tx store.Tx) (err error) {
		var found bool
		if k, found, err = keyTable.Get(tx, region, account, id); err != nil {
			return err
		}
		if !found || k.due().UTC().Format(dueFormat) != due {
			return errNotRotating
		}
		c.Touch(k.arn(), account, keyType)
		part, err := ownPart("kms:RotateKey", &k)
		if err == nil {
			p, err = s.g.Allow(tx, c, part)
		}
		return err
	}
	var m hsm.Material
	err := s.g.View(ctx, c, authorize)
	if err == nil {
		m, err = s.hsm.Rotate(ctx, p, hsm.Use{Action: "kms:RotateKey", KeyARN: k.arn()}, k.current())
	}
	old := k
	var copies map[string]hsm.Material
	if err == nil {
		copies, err = s.synchronize(ctx, &old, m)
	}
	if err == nil {
		err = s.g.Update(ctx, c, func(tx store.Tx) error {
			if err := authorize(tx); err != nil {
				return err
			}
			if len(k.Materials) != len(old.Materials) || !k.sameRelations(&old) {
				return errNotRotating
			}
			before, now := k, s.g.Now()
			// The next period begins when this one ended, unless nobody was there then.
			began := k.Rotation.next()
			if now.Sub(began) > 24*time.Hour {
				began = now.Truncate(time.Millisecond)
			}
			k.Rotation = &rotation{Days: k.Rotation.Days, Enabled: began}
			if err := s.rotateAll(tx, &k, m, copies, now, kmsapi.RotationTypeAUTOMATIC); err != nil {
				return err
			}
			if err := reschedule(tx, &before, &k); err != nil {
				return err
			}
			return keyTable.Put(tx, k, region, account, id)
		})
	}
	if errors.Is(err, errNotRotating) {
		return s.forgetRotation(ctx, due, region, account, id)
	}
	return err
}

// errChanged has a rotation tried again.
var errChanged = errors.New("kms: the key changed while it was rotated")

// forgetRotation removes an entry whose key does not rotate then.
func (s *Service) forgetRotation(ctx context.Context, due, region, account, id string) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		k, found, err := keyTable.Get(tx, region, account, id)
		if err == nil && found && k.wake().UTC().Format(dueFormat) == due {
			err = errChanged
		}
		if err != nil {
			return err
		}
		return rotationTable.Delete(tx, due, region, account, id)
	})
}

// indexRotations makes the table of due rotations for what a kagimori without it has stored, once.
// AWS managed keys get the setting that they had without saying so.
func (s *Service) indexRotations(ctx context.Context) error {
	const batch = 20
	done, after := false, ""
	for !done {
		last := after
		err := s.g.Change(ctx, func(tx store.Tx) error {
			last, done = after, false
			if _, indexed, err := rotationIndexed.Get(tx, "done"); err != nil || indexed {
				done = true
				return err
			}
			n := 0
			for r, err := range keyTable.ScanRange(tx, store.Range{After: after, Limit: batch}) {
				if err != nil {
					return err
				}
				n++
				last = store.Key(r.Key...)
				k := r.Value
				if k.Manager == kmsapi.KeyManagerTypeAWS && k.Rotation == nil {
					k.Rotation = managedRotation(k.Created, s.g.Now())
					if err := keyTable.Put(tx, k, r.Key...); err != nil {
						return err
					}
				}
				if err := reschedule(tx, &keyRecord{}, &k); err != nil {
					return err
				}
			}
			if done = n < batch; done {
				return rotationIndexed.Put(tx, true, "done")
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = last
	}
	return nil
}

// managedRotation is the setting of an AWS managed key: a year, counted from its creation.
func managedRotation(created, now time.Time) *rotation {
	const period = defaultRotation * 24 * time.Hour
	return &rotation{Days: defaultRotation, Enabled: created.Add(max(0, now.Sub(created)/period) * period)}
}
