package ec2

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Bounds of a temporary restore, in days.
const (
	minRestoreDays = 1
	maxRestoreDays = 180
)

// A tierRecord says when a snapshot was archived and restored. Where it is now follows from the clock.
type tierRecord struct {
	Archived time.Time `json:"archived"`
	// Restored is when its last restore began, zero if it was not restored since it was archived.
	Restored time.Time `json:"restored,omitzero"`
	Days     int32     `json:"days,omitempty"` // of a temporary restore; 0: it is permanent
}

// expires is when a temporary restore ends; zero for others.
func (t *tierRecord) expires() time.Time {
	if t.Restored.IsZero() || t.Days == 0 {
		return time.Time{}
	}
	return t.Restored.Add(time.Duration(t.Days) * day)
}

// A tierState is where a snapshot is at a time. Source: EC2 API Reference, SnapshotTierStatus.
type tierState struct {
	tier      string // archive: it has to be restored before anything can be made of it
	operation string // the last one and its state; "" if there was none
	begun     time.Time
	progress  int32
	archived  time.Time // when archiving was completed, or zero
	until     time.Time // when it is archived again, or zero
}

func (t tierState) expiry() *time.Time { return timeOrNil(t.until) }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// state is where a snapshot is, if each operation takes d.
func (t *tierRecord) state(now time.Time, d time.Duration) tierState {
	if t == nil {
		return tierState{tier: ec2api.StorageTierStandard}
	}
	s := tierState{tier: ec2api.StorageTierArchive, begun: t.Archived, progress: 100, archived: t.Archived.Add(d)}
	over := t.expires()
	switch restored := !t.Restored.IsZero(); {
	case !restored && now.Before(s.archived):
		s.tier, s.operation, s.progress, s.archived = ec2api.StorageTierStandard, ec2api.TieringOperationStatusArchivalInProgress, 0, time.Time{}
	case !restored, !over.IsZero() && !now.Before(over):
		s.operation = ec2api.TieringOperationStatusArchivalCompleted
	case now.Before(t.Restored.Add(d)):
		s.begun, s.progress, s.operation = t.Restored, 0, ec2api.TieringOperationStatusPermanentRestoreInProgress
		if t.Days > 0 {
			s.operation = ec2api.TieringOperationStatusTemporaryRestoreInProgress
		}
	default:
		s.begun, s.tier, s.operation = t.Restored, ec2api.StorageTierStandard, ec2api.TieringOperationStatusPermanentRestoreCompleted
		if t.Days > 0 {
			s.until, s.operation = over, ec2api.TieringOperationStatusTemporaryRestoreCompleted
		}
	}
	return s
}

func (s *Service) tierOf(r *snapshotRecord) tierState {
	return r.Tier.state(s.g.Now(), s.timing.Snapshot)
}

// ready is EC2's refusal to make something of a snapshot that is not completed, or archived.
// Source: Amazon EBS User Guide, "Archive Amazon EBS snapshots": an archived snapshot has to be restored before it
// is used. AWS's code and text for it are not published.
func (s *Service) ready(r *snapshotRecord) error {
	switch {
	case r.State != snapshotCompleted:
		return apierr.Newf("IncorrectState", "Snapshot is in invalid state - %s", r.State)
	case s.tierOf(r).tier == ec2api.StorageTierArchive:
		return apierr.Newf("IncorrectState", "Snapshot %s is archived. It has to be restored from the archive tier first.", r.ID)
	}
	return nil
}

// ModifySnapshotTier archives a snapshot. Its blocks stay where they are: nothing can be made of them until it is
// restored. Source: EC2 API Reference, ModifySnapshotTier; Amazon EBS User Guide, "Considerations and limitations
// for archiving Amazon EBS snapshots".
func (s *Service) ModifySnapshotTier(ctx context.Context, c *guard.Call, in *ec2api.ModifySnapshotTierRequest) (*ec2api.ModifySnapshotTierResult, error) {
	to := api.Val(in.StorageTier)
	if to != "" && to != ec2api.TargetStorageTierArchive {
		return nil, invalidValue("Value (%s) for parameter storageTier is invalid. Valid values: archive.", to)
	}
	var out *ec2api.ModifySnapshotTierResult
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeSnapshot(tx, c, api.Val(in.SnapshotId), in.DryRun, func(p *authz.Part) { setAttribute(p, "StorageTier", to) })
		if err != nil {
			return err
		}
		now := s.g.Now()
		if err := s.ready(&r); err != nil {
			return err
		}
		if r.Tier != nil && s.tierOf(&r).operation != ec2api.TieringOperationStatusPermanentRestoreCompleted {
			return apierr.Newf("IncorrectState", "Snapshot %s is being archived, or was restored temporarily.", r.ID)
		}
		switch user, err := imageUsing(tx, &r); {
		case err != nil:
			return err
		case user != "":
			return apierr.Newf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", r.ID, user)
		}
		r.Tier = &tierRecord{Archived: now}
		out = &ec2api.ModifySnapshotTierResult{SnapshotId: &r.ID, TieringStartTime: &now}
		c.Respond(out)
		return putSnapshot(tx, r)
	})
	return out, err
}

// RestoreSnapshotTier restores an archived snapshot, for some days or for good, or changes for how long one is
// restored. Source: EC2 API Reference, RestoreSnapshotTier; Amazon EBS User Guide, "Restore an archived Amazon EBS
// snapshot".
func (s *Service) RestoreSnapshotTier(ctx context.Context, c *guard.Call, in *ec2api.RestoreSnapshotTierRequest) (*ec2api.RestoreSnapshotTierResult, error) {
	permanent, days := api.Val(in.PermanentRestore), api.Val(in.TemporaryRestoreDays)
	switch {
	case permanent && in.TemporaryRestoreDays != nil:
		return nil, apierr.New("InvalidParameterCombination", "The parameter TemporaryRestoreDays cannot be used with the parameter PermanentRestore")
	case !permanent && in.TemporaryRestoreDays == nil:
		return nil, apierr.New("MissingParameter", "The request must contain the parameter TemporaryRestoreDays or PermanentRestore")
	case !permanent && (days < minRestoreDays || days > maxRestoreDays):
		return nil, invalidValue("Value (%d) for parameter temporaryRestoreDays is invalid. Expecting %d to %d days.", days, minRestoreDays, maxRestoreDays)
	}
	var out *ec2api.RestoreSnapshotTierResult
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeSnapshot(tx, c, api.Val(in.SnapshotId), in.DryRun, nil)
		if err != nil {
			return err
		}
		now := s.g.Now()
		switch at := s.tierOf(&r); {
		case at.tier == ec2api.StorageTierArchive && at.operation == ec2api.TieringOperationStatusArchivalCompleted:
			t := *r.Tier
			r.Tier, t.Restored, t.Days = &t, now, days
		case at.operation == ec2api.TieringOperationStatusTemporaryRestoreCompleted:
			// It is there already: the days count from the new request.
			t := *r.Tier
			r.Tier, t.Restored, t.Days = &t, now.Add(-s.timing.Snapshot), days
		default:
			return apierr.Newf("IncorrectState", "Snapshot %s is not archived.", r.ID)
		}
		out = &ec2api.RestoreSnapshotTierResult{SnapshotId: &r.ID, RestoreStartTime: &now, IsPermanentRestore: &permanent, RestoreDuration: in.TemporaryRestoreDays}
		c.Respond(out)
		return putSnapshot(tx, r)
	})
	return out, err
}

// tierFields are the filters of DescribeSnapshotTierStatus.
func (s *Service) tierFields() fields[*snapshotRecord] {
	return fields[*snapshotRecord]{
		"snapshot-id":            func(r *snapshotRecord) []string { return oneOf(r.ID) },
		"volume-id":              func(r *snapshotRecord) []string { return oneOf(r.VolumeID) },
		"last-tiering-operation": func(r *snapshotRecord) []string { return oneOf(s.tierOf(r).operation) },
	}
}

// DescribeSnapshotTierStatus tells the storage tier of the account's snapshots.
// Source: EC2 API Reference, DescribeSnapshotTierStatus.
func (s *Service) DescribeSnapshotTierStatus(ctx context.Context, c *guard.Call, in *ec2api.DescribeSnapshotTierStatusRequest) (*ec2api.DescribeSnapshotTierStatusResult, error) {
	out := &ec2api.DescribeSnapshotTierStatusResult{}
	err := s.viewList(ctx, c, "ec2:DescribeSnapshotTierStatus", in.DryRun, func(tx store.Tx) error {
		out.SnapshotTierStatuses = []ec2api.SnapshotTierStatus{}
		pass, err := s.tierFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		own, err := s.ownSnapshots(tx, c, nil)
		if err != nil {
			return err
		}
		tags, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		var kept []*snapshotRecord
		for _, r := range own {
			if pass(r, tags[r.ID]) {
				kept = append(kept, r)
			}
		}
		kept, out.NextToken, err = paginate(c.Operation, kept, func(r *snapshotRecord) string { return r.ID }, anyPage, in.MaxResults, in.NextToken)
		for _, r := range kept {
			out.SnapshotTierStatuses = append(out.SnapshotTierStatuses, s.tierStatus(r, tags[r.ID]))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) tierStatus(r *snapshotRecord, tags map[string]string) ec2api.SnapshotTierStatus {
	t := s.tierOf(r)
	w := ec2api.SnapshotTierStatus{
		SnapshotId: &r.ID, VolumeId: &r.VolumeID, OwnerId: &r.Owner, Status: &r.State, StorageTier: &t.tier, Tags: listed(tags),
		ArchivalCompleteTime: timeOrNil(t.archived), RestoreExpiryTime: t.expiry(),
	}
	if t.operation != "" {
		w.LastTieringOperationStatus, w.LastTieringStartTime, w.LastTieringProgress = &t.operation, &t.begun, &t.progress
	}
	return w
}
