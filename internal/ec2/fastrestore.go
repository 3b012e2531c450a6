package ec2

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// States of fast snapshot restores. Source: EC2 API Reference, EnableFastSnapshotRestores.
const (
	restoreEnabling   = "enabling"
	restoreOptimizing = "optimizing"
	restoreEnabled    = "enabled"
	restoreDisabling  = "disabling"
	restoreDisabled   = "disabled"
)

// A restoreRecord is fast restore of a snapshot in a zone. Its state follows from the clock.
type restoreRecord struct {
	Snapshot string    `json:"snapshot"`
	Owner    string    `json:"owner"` // of the snapshot
	Zone     string    `json:"zone"`
	ZoneID   string    `json:"zoneId"`
	On       time.Time `json:"on"`
	Off      time.Time `json:"off,omitzero"`
}

// restoreTable is keyed by (region, account, snapshot, zone).
var restoreTable = store.Table[restoreRecord]{Bucket: "ec2/fast-restore", Version: 1}

// maxFastRestores is how many an account can have in a region.
// Source: Amazon EBS User Guide, "Amazon EBS fast snapshot restore", quotas.
const maxFastRestores = 5

// Bounds of a request, so that it fits into one transaction.
const (
	maxFastRestoreSnapshots = 10
	maxFastRestorePairs     = 15
)

// state is that of a fast restore: each step takes d.
func (r *restoreRecord) state(now time.Time, d time.Duration) string {
	switch {
	case !r.Off.IsZero() && now.Sub(r.Off) >= d:
		return restoreDisabled
	case !r.Off.IsZero():
		return restoreDisabling
	case now.Sub(r.On) >= 2*d:
		return restoreEnabled
	case now.Sub(r.On) >= d:
		return restoreOptimizing
	}
	return restoreEnabling
}

func (r *restoreRecord) wire(now time.Time, d time.Duration) ec2api.EnableFastSnapshotRestoreSuccessItem {
	out := ec2api.EnableFastSnapshotRestoreSuccessItem{
		SnapshotId: &r.Snapshot, AvailabilityZone: &r.Zone, AvailabilityZoneId: &r.ZoneID, OwnerId: &r.Owner, State: new(r.state(now, d)),
		StateTransitionReason: new("Client.UserInitiated"), EnablingTime: &r.On,
	}
	reached := func(at time.Time) *time.Time {
		if at.IsZero() || now.Before(at) || !r.Off.IsZero() && at.After(r.Off) && at.Before(r.Off.Add(d)) {
			return nil
		}
		return &at
	}
	out.OptimizingTime, out.EnabledTime = reached(r.On.Add(d)), reached(r.On.Add(2*d))
	if !r.Off.IsZero() {
		out.DisablingTime, out.DisabledTime = &r.Off, reached(r.Off.Add(d))
	}
	if *out.State != restoreEnabling && *out.State != restoreDisabling { // these the caller set off, others followed
		out.StateTransitionReason = new("Client.UserInitiated - Lifecycle state transition")
	}
	return out
}

// EnableFastSnapshotRestores makes volumes of snapshots fast from the beginning, in zones. Volumes here always
// are: the state is kept and shown. What cannot be done is told per snapshot and zone.
// Source: EC2 API Reference, EnableFastSnapshotRestores.
func (s *Service) EnableFastSnapshotRestores(ctx context.Context, c *guard.Call, in *ec2api.EnableFastSnapshotRestoresRequest) (*ec2api.EnableFastSnapshotRestoresResult, error) {
	out := &ec2api.EnableFastSnapshotRestoresResult{}
	err := s.fastRestores(ctx, c, in.DryRun, in.SourceSnapshotIds, in.AvailabilityZones, in.AvailabilityZoneIds, out,
		func() {
			out.Successful, out.Unsuccessful = []ec2api.EnableFastSnapshotRestoreSuccessItem{}, []ec2api.EnableFastSnapshotRestoreErrorItem{}
		},
		func(tx store.Tx, snap *snapshotRecord, z zone.Zone) error {
			rec, ok, err := restoreTable.Get(tx, c.Region, c.Account(), snap.ID, z.Name)
			if err != nil {
				return err
			}
			now := s.g.Now()
			if !ok || !rec.Off.IsZero() {
				n, err := s.countFastRestores(tx, c)
				if err != nil {
					return err
				}
				if n >= maxFastRestores {
					return apierr.Newf("FastSnapshotRestoreLimitExceeded", "The limit of %d fast snapshot restores in this Region is exceeded.", maxFastRestores)
				}
				rec = restoreRecord{Snapshot: snap.ID, Owner: snap.Owner, Zone: z.Name, ZoneID: z.ID, On: now}
			}
			out.Successful = append(out.Successful, rec.wire(now, s.timing.Snapshot))
			return restoreTable.Put(tx, rec, c.Region, c.Account(), snap.ID, z.Name)
		},
		func(id string, z zone.Zone, e *apierr.Error) {
			out.Unsuccessful = append(out.Unsuccessful, ec2api.EnableFastSnapshotRestoreErrorItem{
				SnapshotId: &id, FastSnapshotRestoreStateErrors: []ec2api.EnableFastSnapshotRestoreStateErrorItem{{
					AvailabilityZone: &z.Name, AvailabilityZoneId: &z.ID, Error: &ec2api.EnableFastSnapshotRestoreStateError{Code: &e.Code, Message: &e.Message},
				}},
			})
		})
	return out, err
}

// DisableFastSnapshotRestores takes EnableFastSnapshotRestores back.
func (s *Service) DisableFastSnapshotRestores(ctx context.Context, c *guard.Call, in *ec2api.DisableFastSnapshotRestoresRequest) (*ec2api.DisableFastSnapshotRestoresResult, error) {
	out := &ec2api.DisableFastSnapshotRestoresResult{}
	err := s.fastRestores(ctx, c, in.DryRun, in.SourceSnapshotIds, in.AvailabilityZones, in.AvailabilityZoneIds, out,
		func() {
			out.Successful, out.Unsuccessful = []ec2api.DisableFastSnapshotRestoreSuccessItem{}, []ec2api.DisableFastSnapshotRestoreErrorItem{}
		},
		func(tx store.Tx, snap *snapshotRecord, z zone.Zone) error {
			rec, ok, err := restoreTable.Get(tx, c.Region, c.Account(), snap.ID, z.Name)
			if err != nil {
				return err
			}
			if !ok || rec.state(s.g.Now(), s.timing.Snapshot) == restoreDisabled {
				return apierr.New("InvalidFastSnapshotRestoreState", "Fast snapshot restore is not enabled for this snapshot in this Availability Zone.")
			}
			if rec.Off.IsZero() {
				rec.Off = s.g.Now()
			}
			w := rec.wire(s.g.Now(), s.timing.Snapshot)
			out.Successful = append(out.Successful, ec2api.DisableFastSnapshotRestoreSuccessItem(w))
			return restoreTable.Put(tx, rec, c.Region, c.Account(), snap.ID, z.Name)
		},
		func(id string, z zone.Zone, e *apierr.Error) {
			out.Unsuccessful = append(out.Unsuccessful, ec2api.DisableFastSnapshotRestoreErrorItem{
				SnapshotId: &id, FastSnapshotRestoreStateErrors: []ec2api.DisableFastSnapshotRestoreStateErrorItem{{
					AvailabilityZone: &z.Name, AvailabilityZoneId: &z.ID, Error: &ec2api.DisableFastSnapshotRestoreStateError{Code: &e.Code, Message: &e.Message},
				}},
			})
		})
	return out, err
}

// fastRestores decides a request about snapshots in zones and does it for each pair. reset begins the answer
// anew; failed is told of API errors of one pair.
func (s *Service) fastRestores(ctx context.Context, c *guard.Call, flag *bool, ids, zones, zoneIDs []string, out any, reset func(),
	one func(store.Tx, *snapshotRecord, zone.Zone) error, failed func(string, zone.Zone, *apierr.Error)) error {
	where, err := s.zonesNamed(c, zones, zoneIDs)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return apierr.New("MissingParameter", "The request must contain the parameter SourceSnapshotId")
	}
	if len(ids) > maxFastRestoreSnapshots || len(ids)*len(where) > maxFastRestorePairs {
		return invalidValue("The request names too many snapshots and Availability Zones.")
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		reset()
		var snaps []snapshotRecord
		var parts []authz.Part
		for _, id := range ids {
			snap, err := s.lookupSnapshot(tx, c, id)
			if err != nil {
				return err
			}
			tags, err := tagsOf(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			snaps = append(snaps, snap)
			for _, z := range where {
				p := s.snapshotPart(c, "ec2:"+c.Operation, &snap, tags)
				p.Context.Set("ec2:availabilityzone", z.Name)
				parts = append(parts, p)
			}
			c.Touch(snap.arn(), snap.Owner, "AWS::EC2::Snapshot")
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		for n := range snaps {
			for _, z := range where {
				err := s.ready(&snaps[n])
				if err == nil {
					err = one(tx, &snaps[n], z)
				}
				if e, ok := err.(*apierr.Error); ok {
					failed(snaps[n].ID, z, e)
				} else if err != nil {
					return err
				}
			}
		}
		c.Respond(out)
		return nil
	})
}

func (s *Service) zonesNamed(c *guard.Call, names, ids []string) ([]zone.Zone, error) {
	if len(names)+len(ids) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter AvailabilityZone")
	}
	var out []zone.Zone
	for _, name := range names {
		z, err := s.volumeZone(c, name, "")
		if err != nil {
			return nil, err
		}
		out = append(out, z)
	}
	for _, id := range ids {
		z, err := s.volumeZone(c, "", id)
		if err != nil {
			return nil, err
		}
		out = append(out, z)
	}
	return out, nil
}

func (s *Service) countFastRestores(tx store.Tx, c *guard.Call) (n int, err error) {
	for r, err := range restoreTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return 0, err
		}
		if r.Value.Off.IsZero() {
			n++
		}
	}
	return n, nil
}

// fastRestored reports whether a new volume in a zone is made with fast restore of its snapshot.
func (s *Service) fastRestored(tx store.Tx, v *volumeRecord) (bool, error) {
	if v.Snapshot == "" {
		return false, nil
	}
	rec, ok, err := restoreTable.Get(tx, v.Region, v.Account, v.Snapshot, v.Zone)
	return ok && rec.state(s.g.Now(), s.timing.Snapshot) == restoreEnabled, err
}

// restoreFields are the filters of DescribeFastSnapshotRestores.
func (s *Service) restoreFields() fields[*restoreRecord] {
	return fields[*restoreRecord]{
		"availability-zone":    func(r *restoreRecord) []string { return oneOf(r.Zone) },
		"availability-zone-id": func(r *restoreRecord) []string { return oneOf(r.ZoneID) },
		"owner-id":             func(r *restoreRecord) []string { return oneOf(r.Owner) },
		"snapshot-id":          func(r *restoreRecord) []string { return oneOf(r.Snapshot) },
		"state":                func(r *restoreRecord) []string { return oneOf(r.state(s.g.Now(), s.timing.Snapshot)) },
	}
}

// DescribeFastSnapshotRestores describes what EnableFastSnapshotRestores made.
// Source: EC2 API Reference, DescribeFastSnapshotRestores.
func (s *Service) DescribeFastSnapshotRestores(ctx context.Context, c *guard.Call, in *ec2api.DescribeFastSnapshotRestoresRequest) (*ec2api.DescribeFastSnapshotRestoresResult, error) {
	out := &ec2api.DescribeFastSnapshotRestoresResult{}
	err := s.viewList(ctx, c, "ec2:DescribeFastSnapshotRestores", in.DryRun, func(tx store.Tx) error {
		out.FastSnapshotRestores = []ec2api.DescribeFastSnapshotRestoreSuccessItem{}
		pass, err := s.restoreFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		var found []*restoreRecord
		for r, err := range restoreTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			if pass(&r.Value, nil) {
				found = append(found, &r.Value)
			}
		}
		found, out.NextToken, err = paginate(c.Operation, found, func(r *restoreRecord) string { return r.Snapshot + r.Zone }, anyPage, in.MaxResults, in.NextToken)
		for _, r := range found {
			out.FastSnapshotRestores = append(out.FastSnapshotRestores, ec2api.DescribeFastSnapshotRestoreSuccessItem(r.wire(s.g.Now(), s.timing.Snapshot)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
