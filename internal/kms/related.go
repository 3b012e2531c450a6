package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// multiRegionPrefix begins the ids of multi-Region keys.
const multiRegionPrefix = "mrk-"

// A multiRegion says which keys a multi-Region key is related to. Related keys have the same id in
// the same account, share material and the setting for rotation, and each has all of this.
// Source: KMS Developer Guide, "Multi-Region keys in AWS KMS".
type multiRegion struct {
	Primary  string   `json:"primary"`            // the Region of the primary key
	Replicas []string `json:"replicas,omitempty"` // those of the others, in the order they were made
}

// multiRegionID makes the id of a multi-Region key of a UUID.
func multiRegionID(uuid string) string {
	return multiRegionPrefix + strings.ReplaceAll(uuid, "-", "")
}

// primary reports whether a key is not a replica: single-Region keys are not.
func (k *keyRecord) primary() bool { return k.Multi == nil || k.Multi.Primary == k.Region }

// regionType is the MultiRegionKeyType, "" of a single-Region key.
func (k *keyRecord) regionType() string {
	switch {
	case k.Multi == nil:
		return ""
	case k.primary():
		return kmsapi.MultiRegionKeyTypePRIMARY
	}
	return kmsapi.MultiRegionKeyTypeREPLICA
}

func (k *keyRecord) multiRegionConfiguration() *kmsapi.MultiRegionConfiguration {
	if k.Multi == nil {
		return nil
	}
	in := func(region string) kmsapi.MultiRegionKey {
		return kmsapi.MultiRegionKey{Arn: new(arn.KMSKey(region, k.Account, k.ID)), Region: &region}
	}
	out := &kmsapi.MultiRegionConfiguration{
		MultiRegionKeyType: new(k.regionType()), PrimaryKey: new(in(k.Multi.Primary)), ReplicaKeys: []kmsapi.MultiRegionKey{},
	}
	for _, r := range k.Multi.Replicas {
		out.ReplicaKeys = append(out.ReplicaKeys, in(r))
	}
	return out
}

// others are the Regions of the related keys.
func (k *keyRecord) others() []string {
	if k.Multi == nil {
		return nil
	}
	all := append([]string{k.Multi.Primary}, k.Multi.Replicas...)
	return slices.DeleteFunc(all, func(r string) bool { return r == k.Region })
}

func (k *keyRecord) sameRelations(other *keyRecord) bool {
	return slices.Equal(k.others(), other.others()) && k.primary() == other.primary()
}

// notPrimary refuses what only a primary key can do.
func notPrimary(k *keyRecord) error {
	return apierr.Newf("UnsupportedOperationException", "%s is not a multi-region primary key.", k.arn())
}

// eachRelated changes the related keys in the transaction that changes k.
func (k *keyRecord) eachRelated(tx store.Tx, fn func(*keyRecord) error) error {
	for _, region := range k.others() {
		r, found, err := keyTable.Get(tx, region, k.Account, k.ID)
		if err != nil || !found {
			return fmt.Errorf("kms: key %s, related to %s, is missing: %w", arn.KMSKey(region, k.Account, k.ID), k.arn(), err)
		}
		before := r
		if err := fn(&r); err != nil {
			return err
		}
		if err := reschedule(tx, &before, &r); err != nil {
			return err
		}
		if err := keyTable.Put(tx, r, r.Region, r.Account, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// synchronize wraps new material of a primary key for its replicas, by Region.
func (s *Service) synchronize(ctx context.Context, k *keyRecord, m hsm.Material) (copies map[string]hsm.Material, _ error) {
	if len(k.others()) == 0 {
		return nil, nil
	}
	copies = map[string]hsm.Material{}
	own := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: "SynchronizeMultiRegionKey", Region: k.Region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: serviceIdentity, InvokedBy: "AWS Internal"},
	}
	use := hsm.Use{Action: "kms:SynchronizeMultiRegionKey", KeyARN: k.arn()}
	part, err := ownPart(use.Action, k)
	if err != nil {
		return nil, err
	}
	return copies, guard.InvokeVoid(ctx, s.g, own, &struct{}{}, func(ctx context.Context, own *guard.Call, _ *struct{}) error {
		own.Touch(k.arn(), k.Account, keyType)
		for _, region := range k.others() {
			var p permit.Permit
			err := s.g.View(ctx, own, func(tx store.Tx) (err error) {
				p, err = s.g.Allow(tx, own, part)
				return err
			})
			if err != nil {
				return err
			}
			ms, err := s.hsm.Replicate(ctx, p, use, []hsm.Material{m}, arn.KMSKey(region, k.Account, k.ID))
			if err != nil {
				return err
			}
			copies[region] = ms[0]
		}
		return nil
	})
}

// rotateAll makes new material the current one of a key and its replicas.
func (s *Service) rotateAll(tx store.Tx, k *keyRecord, m hsm.Material, copies map[string]hsm.Material, now time.Time, kind string) error {
	m, err := s.hsm.Rewrap(k.arn(), m)
	if err != nil {
		return err
	}
	k.rotate(m, now, kind)
	return k.eachRelated(tx, func(r *keyRecord) error {
		m, err := s.hsm.Rewrap(r.arn(), copies[r.Region])
		if err != nil {
			return err
		}
		r.rotate(m, now, kind)
		r.Rotation = k.Rotation
		return nil
	})
}

// unlink takes a key that is about to be deleted out of its relations. When the last replica goes,
// the waiting period of a primary key that waited for it begins.
func (s *Service) unlink(ctx context.Context, due func(store.Tx) (*keyView, error)) error {
	var primaryGoes time.Time
	err := s.g.Change(ctx, func(tx store.Tx) error {
		primaryGoes = time.Time{}
		v, err := due(tx)
		if err != nil || v.Multi == nil {
			return err
		}
		k := *v.keyRecord
		err = k.eachRelated(tx, func(r *keyRecord) error {
			left := slices.DeleteFunc(slices.Clone(r.Multi.Replicas), func(region string) bool { return region == k.Region })
			r.Multi = &multiRegion{Primary: r.Multi.Primary, Replicas: left}
			if len(left) > 0 || r.State != kmsapi.KeyStatePendingReplicaDeletion {
				return nil
			}
			primaryGoes = s.g.Now().Add(time.Duration(r.Window) * 24 * time.Hour).Truncate(time.Millisecond)
			r.State, r.Deletion, r.Window = kmsapi.KeyStatePendingDeletion, primaryGoes, 0
			return deletionTable.Put(tx, r.Deletion, r.Region, r.Account, r.ID)
		})
		if err != nil {
			return err
		}
		k.Multi = &multiRegion{Primary: k.Region} // related to nothing any more
		return keyTable.Put(tx, k, k.Region, k.Account, k.ID)
	})
	if err == nil && !primaryGoes.IsZero() {
		s.deleteAt(primaryGoes)
	}
	return err
}
