package kms

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/store"
)

// otherPartition are the names of Regions that keys of this partition have no replicas in.
var otherPartition = regexp.MustCompile(`^(cn|us-gov|us-iso[a-z]*|eu-isoe|eusc)-`)

// ReplicateKey makes a replica of a multi-Region primary key in another Region: a key with the id,
// material and kind of the primary, and a policy, description and tags of its own.
// Source: KMS API Reference, ReplicateKey.
func (s *Service) ReplicateKey(ctx context.Context, c *guard.Call, in *kmsapi.ReplicateKeyRequest) (*kmsapi.ReplicateKeyResponse, error) {
	var (
		k keyRecord
		p permit.Permit
	)
	region := *in.ReplicaRegion
	decide := func(tx store.Tx) error {
		found, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		k = *found.keyRecord
		c.Touch(found.arn, k.Account, keyType)
		part := found.part(c, "kms:ReplicateKey")
		part.Context.Set("kms:replicaregion", region)
		if p, err = s.authorize(tx, c, found.keyView, part, false); err != nil {
			return err
		}
		switch {
		case k.Multi == nil || !k.primary():
			return notPrimary(&k)
		case otherPartition.MatchString(region):
			return apierr.Validation("The Region %s is not in the partition of the key.", region)
		case region == k.Region || slices.Contains(k.Multi.Replicas, region):
			return apierr.Newf("AlreadyExistsException", "Key %s already exists", arn.KMSKey(region, k.Account, k.ID))
		}
		return found.check(opUse)
	}
	if err := s.g.View(ctx, c, decide); err != nil {
		return nil, err
	}
	replica, err := s.newReplica(ctx, &k, in)
	if err != nil {
		return nil, err
	}
	if !k.external() { // what was imported has to be imported there too
		replica.Materials, err = s.hsm.Replicate(ctx, p, hsm.Use{Action: "kms:ReplicateKey", KeyARN: k.arn()}, k.Materials, replica.arn())
		if err != nil {
			return nil, cryptoError(err)
		}
	}
	// The replica is made by CreateKey in its Region, as the caller.
	asked := &kmsapi.CreateKeyRequest{
		Description: in.Description, KeySpec: &k.Spec, KeyUsage: &k.Usage, Origin: &k.Origin, MultiRegion: new(true),
		Policy: in.Policy, Tags: in.Tags, BypassPolicyLockoutSafetyCheck: in.BypassPolicyLockoutSafetyCheck,
	}
	own := c.Child(c.Caller, "kms", "CreateKey", asked, false)
	own.Region = region
	before := k
	var result keyRecord
	_, err = guard.InvokeOp(ctx, s.g, own, asked, func(ctx context.Context, own *guard.Call, asked *kmsapi.CreateKeyRequest) (*kmsapi.CreateKeyResponse, error) {
		out := &kmsapi.CreateKeyResponse{}
		return out, s.g.Update(ctx, own, func(tx store.Tx) error {
			if err := decide(tx); err != nil {
				return err
			}
			if !k.sameMaterials(&before) {
				return apierr.Newf("ConflictException", "%s is being rotated.", k.arn())
			}
			made := *replica
			made.Multi = &multiRegion{Primary: k.Region, Replicas: append(slices.Clone(k.Multi.Replicas), region)}
			made.Rotation, made.Rotations = k.Rotation, k.Rotations
			if k.external() {
				made.awaitImport(&k)
			}
			if _, err := freshen(s.hsm, &made); err != nil {
				return err
			}
			if err := s.putReplica(tx, own, asked, &k, &made); err != nil {
				return err
			}
			result = made
			out.KeyMetadata = made.metadata()
			own.Respond(out)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ReplicateKeyResponse{ReplicaKeyMetadata: result.metadata(), ReplicaPolicy: &result.Policy, ReplicaTags: []kmsapi.Tag{}}
	for _, t := range result.Tags {
		out.ReplicaTags = append(out.ReplicaTags, kmsapi.Tag{TagKey: &t.Key, TagValue: &t.Value})
	}
	// AWS answers before the replica is ready. Ours is, for whoever asks next.
	m := out.ReplicaKeyMetadata
	m.KeyState, m.Enabled, m.CurrentKeyMaterialId = new(kmsapi.KeyStateCreating), new(false), nil
	c.Respond(out)
	return out, nil
}

// awaitImport makes a replica wait for the material of its primary key.
func (k *keyRecord) awaitImport(primary *keyRecord) {
	for _, m := range primary.Materials {
		k.Materials = append(k.Materials, empty(m))
	}
	if primary.Pending != nil {
		k.Pending = new(empty(*primary.Pending))
	}
	k.settle()
}

// sameMaterials reports whether a key has the materials that it had before.
func (k *keyRecord) sameMaterials(before *keyRecord) bool {
	return slices.EqualFunc(k.Materials, before.Materials, func(a, b hsm.Material) bool { return a.ID == b.ID })
}

// newReplica is a replica with what is its own.
func (s *Service) newReplica(ctx context.Context, k *keyRecord, in *kmsapi.ReplicateKeyRequest) (*keyRecord, error) {
	r := &keyRecord{
		ID: k.ID, Region: *in.ReplicaRegion, Account: k.Account, Description: api.Val(in.Description), Usage: k.Usage, Spec: k.Spec,
		Origin: k.Origin, Manager: k.Manager, State: kmsapi.KeyStateEnabled, Created: s.g.Now().Truncate(time.Millisecond),
		Multi: &multiRegion{Primary: k.Region},
	}
	var err error
	if r.Tags, err = createTags(in.Tags); err != nil {
		return nil, err
	}
	return r, s.setPolicy(ctx, r, in.Policy)
}

// putReplica decides about a replica in its Region and stores it, with the relation on both sides.
func (s *Service) putReplica(tx store.Tx, own *guard.Call, asked *kmsapi.CreateKeyRequest, primary, r *keyRecord) error {
	if _, err := s.g.Authorize(tx, own, guard.Check{Parts: createParts(own, r, asked)}); err != nil {
		return err
	}
	if _, exists, err := keyTable.Get(tx, r.Region, r.Account, r.ID); err != nil {
		return err
	} else if exists {
		return apierr.Newf("AlreadyExistsException", "Key %s already exists", r.arn())
	}
	if asked.Policy != nil && !api.Val(asked.BypassPolicyLockoutSafetyCheck) {
		if err := s.checkLockout(tx, own, r); err != nil {
			return err
		}
	}
	own.Touch(r.arn(), r.Account, keyType)
	if err := primary.eachRelated(tx, func(other *keyRecord) error { other.Multi = r.Multi; return nil }); err != nil {
		return err
	}
	p := *primary
	p.Multi = r.Multi
	if err := keyTable.Put(tx, p, p.Region, p.Account, p.ID); err != nil {
		return err
	}
	return keyTable.Put(tx, *r, r.Region, r.Account, r.ID)
}

// UpdatePrimaryRegion makes a replica the primary key, and the primary key a replica.
// Source: KMS API Reference, UpdatePrimaryRegion.
func (s *Service) UpdatePrimaryRegion(ctx context.Context, c *guard.Call, in *kmsapi.UpdatePrimaryRegionRequest) error {
	var due time.Time
	region := *in.PrimaryRegion
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		due = time.Time{}
		k, err := s.resolve(tx, c, in.KeyId, false)
		if err != nil {
			return err
		}
		affects(c, k.keyView)
		keys := []*keyView{k.keyView}
		replica, found, err := s.keys.Shared(tx, region, k.Account, k.ID)
		if err != nil {
			return err
		}
		if found && region != k.Region {
			keys = append(keys, replica)
		}
		check := guard.Check{}
		for _, v := range keys {
			c.Touch(v.arn, v.Account, keyType)
			p := v.part(c, "kms:UpdatePrimaryRegion")
			p.Context.Set("kms:primaryregion", region)
			check.Parts, check.Grants = append(check.Parts, p), append(check.Grants, nil)
		}
		if _, err := s.g.Authorize(tx, c, check); err != nil {
			return err
		}
		switch {
		case k.Multi == nil || !k.primary():
			return notPrimary(k.keyRecord)
		case region == k.Region:
			return apierr.Validation("%s is the primary key of its Region already.", k.arn)
		case !slices.Contains(k.Multi.Replicas, region):
			return notFound("Key '%s' does not exist", arn.KMSKey(region, k.Account, k.ID))
		}
		for _, v := range keys {
			if err := v.check(opUse); err != nil {
				return err
			}
		}
		due, err = movePrimary(tx, *k.keyRecord, region)
		return err
	})
	if err == nil && !due.IsZero() {
		s.wakeAt(due)
	}
	return err
}

// movePrimary changes all related keys, and tells when the new primary rotates.
func movePrimary(tx store.Tx, k keyRecord, region string) (due time.Time, err error) {
	replicas := slices.Clone(k.Multi.Replicas)
	replicas[slices.Index(replicas, region)] = k.Region
	moved := &multiRegion{Primary: region, Replicas: replicas}
	err = k.eachRelated(tx, func(r *keyRecord) error {
		r.Multi = moved
		if r.Region == region {
			due = r.due()
		}
		return nil
	})
	if err != nil {
		return due, err
	}
	before := k
	k.Multi = moved
	if err := reschedule(tx, &before, &k); err != nil {
		return due, err
	}
	return due, keyTable.Put(tx, k, k.Region, k.Account, k.ID)
}
