package kms

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A usage is the last successful cryptographic operation with a key.
type usage struct {
	Operation string    `json:"operation"`
	At        time.Time `json:"at"`
	Event     string    `json:"event"`   // in the trail of the key's account
	Request   string    `json:"request"` // the request id
}

var (
	// usageTable has when keys were last used, by region, account and key; the last hour may be missing.
	usageTable = store.Table[usage]{Bucket: "kms/usage", Version: 1}
	// trackingTable has, under one key, since when uses are noted.
	trackingTable = store.Table[time.Time]{Bucket: "kms/usagetracking", Version: 1}
)

const trackingKey = "start"

// used notes that an operation with keys succeeded. Source: API Reference, GetKeyLastUsage: replicas
// are used for themselves, and ReEncrypt uses two keys.
func (s *Service) used(ctx context.Context, c *guard.Call, operation string, keys ...*keyView) {
	at := c.Time // the clock is not looked at once more for it
	if at.IsZero() {
		at = s.g.Now()
	}
	for _, k := range keys {
		s.uses.note(ctx, usedKey{k.Region, k.Account, k.ID}, usage{Operation: operation, At: at.Truncate(time.Millisecond), Event: c.EventID(k.Account), Request: c.ID})
	}
}

// startTracking remembers since when uses are noted.
func (s *Service) startTracking(ctx context.Context) error {
	missing := false
	err := s.g.Read(ctx, func(tx store.Tx) error {
		_, ok, err := trackingTable.Get(tx, trackingKey)
		missing = !ok
		return err
	})
	if err != nil || !missing {
		return err
	}
	return s.g.Change(ctx, func(tx store.Tx) error {
		if _, ok, err := trackingTable.Get(tx, trackingKey); err != nil || ok {
			return err
		}
		return trackingTable.Put(tx, s.g.Now().Truncate(time.Millisecond), trackingKey)
	})
}

// lastUse is the last use of a key, and since when uses are noted; at is zero if there was none.
func (s *Service) lastUse(tx store.Tx, k *keyRecord) (u usage, tracked time.Time, err error) {
	if tracked, _, err = trackingTable.Get(tx, trackingKey); err != nil {
		return u, tracked, err
	}
	if u, _, err = usageTable.Get(tx, k.Region, k.Account, k.ID); err != nil {
		return u, tracked, err
	}
	if recent := s.uses.latest(usedKey{k.Region, k.Account, k.ID}); recent.At.After(u.At) {
		u = recent
	}
	if u.At.Before(k.Created) { // of a replica that was deleted and made again
		u = usage{}
	}
	return u, tracked, nil
}

// GetKeyLastUsage tells when and for what a key was last used.
func (s *Service) GetKeyLastUsage(ctx context.Context, c *guard.Call, in *kmsapi.GetKeyLastUsageRequest) (*kmsapi.GetKeyLastUsageResponse, error) {
	var out *kmsapi.GetKeyLastUsageResponse
	err := s.read(ctx, c, in.KeyId, "kms:GetKeyLastUsage", func(tx store.Tx, k *keyView) error {
		u, tracked, err := s.lastUse(tx, k.keyRecord)
		if err != nil {
			return err
		}
		out = &kmsapi.GetKeyLastUsageResponse{
			KeyId: &k.arn, KeyCreationDate: &k.Created, TrackingStartDate: &tracked, KeyLastUsage: &kmsapi.KeyLastUsageData{},
		}
		if !u.At.IsZero() {
			out.KeyLastUsage = &kmsapi.KeyLastUsageData{
				Operation: &u.Operation, Timestamp: &u.At, CloudTrailEventId: &u.Event, KmsRequestId: &u.Request,
			}
		}
		return nil
	})
	return out, err
}

// trailing is more and, for the actions that have it, kms:TrailingDaysWithoutKeyUsage: the whole days
// since the last use that is known of, or of a key without one since it exists and uses are noted.
func (s *Service) trailing(tx store.Tx, k *keyView, action string, more func(*authz.Part)) (func(*authz.Part), error) {
	if action != "kms:DisableKey" && action != "kms:ScheduleKeyDeletion" {
		return more, nil
	}
	u, tracked, err := s.lastUse(tx, k.keyRecord)
	if err != nil {
		return nil, err
	}
	since := u.At
	if since.IsZero() {
		if since = k.Created; tracked.After(since) {
			since = tracked
		}
	}
	days := int32(max(0, s.g.Now().Sub(since)) / (24 * time.Hour))
	return func(p *authz.Part) {
		if more != nil {
			more(p)
		}
		p.Context.Set("kms:trailingdayswithoutkeyusage", itoa(days))
	}, nil
}

// Stop stores what is only in memory: when keys were last used. Call it when no call comes any more.
func (s *Service) Stop(ctx context.Context) { s.uses.save(ctx, 0) }
