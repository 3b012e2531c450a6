package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// createVolumePermission is the attribute that says who may use a snapshot.
const createVolumePermission = "createVolumePermission"

// DeleteSnapshot deletes a snapshot that no image uses. Volumes made of it do not need it.
// Source: EC2 API Reference, DeleteSnapshot.
func (s *Service) DeleteSnapshot(ctx context.Context, c *guard.Call, in *ec2api.DeleteSnapshotRequest) error {
	id := api.Val(in.SnapshotId)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeSnapshot(tx, c, id, in.DryRun, nil)
		if err != nil {
			return err
		}
		if err := r.locked(s.g.Now()); err != nil {
			return err
		}
		user, err := imageUsing(tx, &r)
		switch {
		case err != nil:
			return err
		case user != "":
			return apierr.Newf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", r.ID, user)
		}
		if working, err := beingCopied(tx, &r); err != nil || working {
			return orMissing(err, "IncorrectState", "The snapshot '%s' is being copied.", r.ID)
		}
		return s.forgetSnapshot(tx, &r)
	})
	if err == nil {
		s.storage.cancel(id)
		s.discard(id)
	}
	return err
}

// beingCopied reports whether a job makes the snapshot.
func beingCopied(tx store.Tx, r *snapshotRecord) (bool, error) {
	if r.State != snapshotPending {
		return false, nil
	}
	_, ok, err := jobTable.Get(tx, r.Region, r.Owner, r.ID)
	return ok, err
}

// changeSnapshot decides the call's action on a snapshot of the caller's. more adds to the decision.
func (s *Service) changeSnapshot(tx store.Tx, c *guard.Call, id string, flag *bool, more func(*authz.Part)) (snapshotRecord, error) {
	r, err := s.lookupSnapshot(tx, c, id)
	if err != nil {
		return r, err
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), id)
	if err != nil {
		return r, err
	}
	p := s.snapshotPart(c, "ec2:"+c.Operation, &r, tags)
	if more != nil {
		more(&p)
	}
	c.Touch(r.arn(), r.Owner, "AWS::EC2::Snapshot")
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return r, err
	}
	if err := dryRun(flag); err != nil {
		return r, err
	}
	return s.ownSnapshot(tx, c, id)
}

// ModifySnapshotAttribute changes who may make volumes of a snapshot. KMS is not asked: who may use
// the snapshot still needs the key. Source: EC2 API Reference, ModifySnapshotAttribute.
func (s *Service) ModifySnapshotAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifySnapshotAttributeRequest) error {
	if a := api.Val(in.Attribute); a != "" && a != createVolumePermission {
		return invalidValue("Value (%s) for parameter attribute is invalid. Only createVolumePermission can be modified.", a)
	}
	x, err := snapshotSharing(in)
	if err != nil {
		return err
	}
	return s.shareSnapshot(ctx, c, api.Val(in.SnapshotId), in.DryRun, &x)
}

func snapshotSharing(in *ec2api.ModifySnapshotAttributeRequest) (x sharing, err error) {
	if p := in.CreateVolumePermission; p != nil {
		if err := permitted(&x.add, p.Add); err != nil {
			return x, err
		}
		if err := permitted(&x.remove, p.Remove); err != nil {
			return x, err
		}
	}
	if err := x.listed(api.Val(in.OperationType), in.UserIds, in.GroupNames); err != nil {
		return x, err
	}
	if x.empty() {
		return x, apierr.New("MissingParameter", "The request must contain the parameter CreateVolumePermission")
	}
	return x, nil
}

func permitted(m *members, in []ec2api.CreateVolumePermission) error {
	for _, p := range in {
		if p.UserId != nil {
			if err := m.addAccount(*p.UserId); err != nil {
				return err
			}
		}
		if p.Group != nil {
			if err := m.addGroup(*p.Group); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareSnapshot changes who may use a snapshot. KMS tells outside the transaction who manages its
// key, which never changes.
func (s *Service) shareSnapshot(ctx context.Context, c *guard.Call, id string, flag *bool, x *sharing) error {
	more := func(p *authz.Part) {
		p.Context.Set("ec2:attribute", "CreateVolumePermission")
		x.describe(p)
	}
	var r snapshotRecord
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		r, err = s.changeSnapshot(tx, c, id, flag, more)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.shareable(ctx, x, []snapshotRecord{r}); err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.ownSnapshot(tx, c, id)
		if err != nil {
			return err
		}
		state, _, err := publicBlocks(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		if err := x.publishable(state, "snapshot"); err != nil {
			return err
		}
		x.apply(&r.Public, &r.SharedWith)
		return putSnapshot(tx, r)
	})
}

// ResetSnapshotAttribute shares a snapshot with nobody.
func (s *Service) ResetSnapshotAttribute(ctx context.Context, c *guard.Call, in *ec2api.ResetSnapshotAttributeRequest) error {
	if a := api.Val(in.Attribute); a != createVolumePermission {
		return invalidValue("Value (%s) for parameter attribute is invalid. Only createVolumePermission can be reset.", a)
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeSnapshot(tx, c, api.Val(in.SnapshotId), in.DryRun, func(p *authz.Part) {
			p.Context.Set("ec2:attribute", "CreateVolumePermission")
		})
		if err != nil {
			return err
		}
		r.Public, r.SharedWith = false, nil
		return putSnapshot(tx, r)
	})
}

// DescribeSnapshotAttribute tells the owner of a snapshot who else may use it.
func (s *Service) DescribeSnapshotAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeSnapshotAttributeRequest) (*ec2api.DescribeSnapshotAttributeResult, error) {
	var r snapshotRecord
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		r, err = s.changeSnapshot(tx, c, api.Val(in.SnapshotId), in.DryRun, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ec2api.DescribeSnapshotAttributeResult{SnapshotId: &r.ID}
	switch a := api.Val(in.Attribute); a {
	case createVolumePermission:
		out.CreateVolumePermissions = []ec2api.CreateVolumePermission{}
		if r.Public {
			out.CreateVolumePermissions = append(out.CreateVolumePermissions, ec2api.CreateVolumePermission{Group: new(everybody)})
		}
		for _, id := range r.SharedWith {
			out.CreateVolumePermissions = append(out.CreateVolumePermissions, ec2api.CreateVolumePermission{UserId: &id})
		}
	case "productCodes":
		out.ProductCodes = []ec2api.ProductCode{}
	default:
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", a)
	}
	return out, nil
}
