package ec2

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Modes and states of a lock. Source: EC2 API Reference, LockSnapshot.
const (
	lockGovernance = "governance"
	lockCompliance = "compliance"
	lockCoolOff    = "compliance-cooloff"
	lockExpired    = "expired"
)

// Bounds of a lock: days, and hours of its cooling-off period.
const (
	maxLockDays = 36500
	maxCoolOff  = 72
	day         = 24 * time.Hour
)

// A lockRecord is the lock of a snapshot.
type lockRecord struct {
	Mode    string    `json:"mode"`
	Days    int32     `json:"days"`
	Created time.Time `json:"created"`
	Start   time.Time `json:"start"` // of the duration
	Expires time.Time `json:"expires"`
	CoolOff int32     `json:"coolOff,omitempty"` // hours
	Cooled  time.Time `json:"cooled,omitzero"`   // end of the cooling-off period
}

// state is that of a lock at a time.
func (l *lockRecord) state(now time.Time) string {
	switch {
	case !now.Before(l.Expires):
		return lockExpired
	case l.Mode == lockCompliance && now.Before(l.Cooled):
		return lockCoolOff
	}
	return l.Mode
}

// locked is EC2's refusal to delete a locked snapshot. AWS's code and text are not published.
func (r *snapshotRecord) locked(now time.Time) error {
	if r.Lock == nil || r.Lock.state(now) == lockExpired {
		return nil
	}
	return apierr.Newf("OperationNotPermitted", "The snapshot '%s' is locked and cannot be deleted until %s.", r.ID, apiTime(r.Lock.Expires))
}

// LockSnapshot protects a snapshot from being deleted, or changes how it is protected.
// Source: EC2 API Reference, LockSnapshot; Amazon EBS User Guide, "Amazon EBS snapshot lock".
func (s *Service) LockSnapshot(ctx context.Context, c *guard.Call, in *ec2api.LockSnapshotRequest) (*ec2api.LockSnapshotResult, error) {
	var out *ec2api.LockSnapshotResult
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		now := s.g.Now()
		r, err := s.changeSnapshot(tx, c, api.Val(in.SnapshotId), in.DryRun, func(p *authz.Part) {
			if in.CoolOffPeriod != nil {
				p.Context.Set("ec2:snapshotcooloffperiod", strconv.Itoa(int(*in.CoolOffPeriod)))
			}
			if in.LockDuration != nil {
				p.Context.Set("ec2:snapshotlockduration", strconv.Itoa(int(*in.LockDuration)))
			}
		})
		if err != nil {
			return err
		}
		l, err := readLock(in, now)
		if err != nil {
			return err
		}
		if r.Lock != nil {
			if err := r.Lock.allow(&l, now); err != nil {
				return err
			}
		}
		r.Lock = &l
		info := r.lockWire(now)
		out = &ec2api.LockSnapshotResult{
			SnapshotId: &r.ID, LockState: info.LockState, LockDuration: info.LockDuration, CoolOffPeriod: info.CoolOffPeriod,
			CoolOffPeriodExpiresOn: info.CoolOffPeriodExpiresOn, LockCreatedOn: info.LockCreatedOn, LockExpiresOn: info.LockExpiresOn,
			LockDurationStartTime: info.LockDurationStartTime,
		}
		c.Respond(out)
		return putSnapshot(tx, r)
	})
	return out, err
}

// readLock is the lock that a request asks for.
func readLock(in *ec2api.LockSnapshotRequest, now time.Time) (lockRecord, error) {
	l := lockRecord{Mode: api.Val(in.LockMode), Created: now, Start: now}
	switch {
	case l.Mode != lockGovernance && l.Mode != lockCompliance:
		return l, invalidValue("Value (%s) for parameter lockMode is invalid. Expecting 'governance' or 'compliance'.", l.Mode)
	case in.LockDuration == nil && in.ExpirationDate == nil:
		return l, apierr.New("MissingParameter", "The request must contain the parameter LockDuration or ExpirationDate")
	case in.LockDuration != nil && in.ExpirationDate != nil:
		return l, apierr.New("InvalidParameterCombination", "The parameter LockDuration cannot be used with the parameter ExpirationDate")
	case in.CoolOffPeriod != nil && l.Mode == lockGovernance:
		return l, apierr.New("InvalidParameterCombination", "The parameter CoolOffPeriod cannot be used with the lock mode governance")
	case in.CoolOffPeriod != nil && (*in.CoolOffPeriod < 1 || *in.CoolOffPeriod > maxCoolOff):
		return l, invalidValue("Value (%d) for parameter coolOffPeriod is invalid. Expecting 1 to %d hours.", *in.CoolOffPeriod, maxCoolOff)
	}
	if in.CoolOffPeriod != nil {
		l.CoolOff = *in.CoolOffPeriod
		l.Cooled = now.Add(time.Duration(l.CoolOff) * time.Hour)
		l.Start = l.Cooled // Source: LockSnapshot, LockDurationStartTime
	}
	if in.LockDuration != nil {
		l.Days = *in.LockDuration
		if l.Days < 1 || l.Days > maxLockDays {
			return l, invalidValue("Value (%d) for parameter lockDuration is invalid. Expecting 1 to %d days.", l.Days, maxLockDays)
		}
		l.Expires = l.Start.Add(time.Duration(l.Days) * day)
		return l, nil
	}
	l.Expires = in.ExpirationDate.UTC()
	if l.Expires.Before(now.Add(day)) {
		return l, invalidValue("The expiration date must be at least one day in the future.")
	}
	l.Days = int32(l.Expires.Sub(l.Start) / day)
	return l, nil
}

// allow is EC2's refusal to change a lock into another: in compliance mode it can only last longer. It
// keeps when the lock was made.
func (l *lockRecord) allow(next *lockRecord, now time.Time) error {
	switch l.state(now) {
	case lockExpired:
		return nil
	case lockCompliance:
		switch {
		case next.Mode != lockCompliance:
			return apierr.New("OperationNotPermitted", "The lock mode of a snapshot locked in compliance mode cannot be changed.")
		case next.CoolOff != 0:
			return apierr.New("InvalidParameterCombination", "The cooling-off period has expired: the parameter CoolOffPeriod cannot be used.")
		case next.Expires.Before(l.Expires):
			return apierr.New("OperationNotPermitted", "The lock of a snapshot locked in compliance mode cannot be shortened.")
		}
	}
	next.Created = l.Created
	return nil
}

// lockWire is a snapshot's lock as answers carry it.
func (r *snapshotRecord) lockWire(now time.Time) ec2api.LockedSnapshotsInfo {
	l := r.Lock
	out := ec2api.LockedSnapshotsInfo{
		OwnerId: &r.Owner, SnapshotId: &r.ID, LockState: new(l.state(now)), LockDuration: &l.Days, LockCreatedOn: &l.Created,
		LockExpiresOn: &l.Expires, LockDurationStartTime: &l.Start,
	}
	if l.CoolOff > 0 {
		out.CoolOffPeriod, out.CoolOffPeriodExpiresOn = &l.CoolOff, &l.Cooled
	}
	return out
}

// UnlockSnapshot takes a lock away that is not one of compliance past its cooling-off period.
// Source: EC2 API Reference, UnlockSnapshot.
func (s *Service) UnlockSnapshot(ctx context.Context, c *guard.Call, in *ec2api.UnlockSnapshotRequest) (*ec2api.UnlockSnapshotResult, error) {
	out := &ec2api.UnlockSnapshotResult{SnapshotId: in.SnapshotId}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeSnapshot(tx, c, api.Val(in.SnapshotId), in.DryRun, nil)
		switch {
		case err != nil:
			return err
		case r.Lock == nil:
			return apierr.Newf("IncorrectState", "The snapshot '%s' is not locked.", r.ID)
		case r.Lock.state(s.g.Now()) == lockCompliance:
			return apierr.Newf("OperationNotPermitted", "The snapshot '%s' is locked in compliance mode and cannot be unlocked.", r.ID)
		}
		r.Lock = nil
		c.Respond(out)
		return putSnapshot(tx, r)
	})
	return out, err
}

// lockFields are the filters of DescribeLockedSnapshots.
func (s *Service) lockFields() fields[*snapshotRecord] {
	return fields[*snapshotRecord]{"lock-state": func(r *snapshotRecord) []string { return oneOf(r.Lock.state(s.g.Now())) }}
}

// DescribeLockedSnapshots describes the locks of the account's snapshots.
// Source: EC2 API Reference, DescribeLockedSnapshots.
func (s *Service) DescribeLockedSnapshots(ctx context.Context, c *guard.Call, in *ec2api.DescribeLockedSnapshotsRequest) (*ec2api.DescribeLockedSnapshotsResult, error) {
	out := &ec2api.DescribeLockedSnapshotsResult{}
	err := s.viewList(ctx, c, "ec2:DescribeLockedSnapshots", in.DryRun, func(tx store.Tx) error {
		out.Snapshots = []ec2api.LockedSnapshotsInfo{}
		pass, err := s.lockFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		own, err := s.ownSnapshots(tx, c, in.SnapshotIds)
		if err != nil {
			return err
		}
		own = slices.DeleteFunc(own, func(r *snapshotRecord) bool { return r.Lock == nil || !pass(r, nil) })
		own, out.NextToken, err = paginate(c.Operation, own, func(r *snapshotRecord) string { return r.ID }, anyPage, in.MaxResults, in.NextToken)
		for _, r := range own {
			out.Snapshots = append(out.Snapshots, r.lockWire(s.g.Now()))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ownSnapshots are the caller's snapshots with the ids, or all of them.
func (s *Service) ownSnapshots(tx store.Tx, c *guard.Call, ids []string) ([]*snapshotRecord, error) {
	var all []*snapshotRecord
	for r, err := range snapshotTable.own.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		all = append(all, &r.Value)
	}
	return pick(all, ids, func(r *snapshotRecord) string { return r.ID }, errNoSnapshot)
}
