package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func (s *Service) snapshotFields() fields[snapshotRecord] {
	return fields[snapshotRecord]{
		"snapshot-id":   func(r snapshotRecord) []string { return oneOf(r.ID) },
		"owner-id":      func(r snapshotRecord) []string { return oneOf(r.Owner) },
		"owner-alias":   func(r snapshotRecord) []string { return oneOf(r.OwnerAlias) },
		"volume-id":     func(r snapshotRecord) []string { return oneOf(r.VolumeID) },
		"volume-size":   func(r snapshotRecord) []string { return intOf(r.SizeGiB) },
		"description":   func(r snapshotRecord) []string { return oneOf(r.Description) },
		"status":        func(r snapshotRecord) []string { return oneOf(r.State) },
		"progress":      func(r snapshotRecord) []string { return oneOf(r.progress()) },
		"encrypted":     func(r snapshotRecord) []string { return boolOf(r.Encrypted) },
		"start-time":    func(r snapshotRecord) []string { return oneOf(apiTime(r.Created)) },
		"storage-tier":  func(r snapshotRecord) []string { return oneOf(s.tierOf(&r).tier) },
		"transfer-type": fixed[snapshotRecord](),
	}
}

// restorable reports whether one of the users may make volumes of a snapshot: everybody ("all"),
// an account, or self. Source: EC2 API Reference, "DescribeSnapshots", RestorableBy.
func (r *snapshotRecord) restorable(users []string, self string) bool {
	return len(users) == 0 || slices.ContainsFunc(users, func(u string) bool {
		if u == "self" {
			u = self
		}
		return u == "all" && r.Public || u == r.Owner || slices.Contains(r.SharedWith, u)
	})
}

// DescribeSnapshots lists snapshots that the caller may use.
func (s *Service) DescribeSnapshots(ctx context.Context, c *guard.Call, in *ec2api.DescribeSnapshotsRequest) (*ec2api.DescribeSnapshotsResult, error) {
	out := new(ec2api.DescribeSnapshotsResult)
	err := s.viewList(ctx, c, "ec2:DescribeSnapshots", in.DryRun, func(tx store.Tx) error {
		if err := checkOwners(in.OwnerIds); err != nil {
			return err
		}
		all, err := s.snapshots(tx, c)
		if err != nil {
			return err
		}
		all, err = pick(all, in.SnapshotIds, func(r snapshotRecord) string { return r.ID }, func(id string) error {
			_, err := s.lookupSnapshot(tx, c, id)
			return err
		})
		if err != nil {
			return err
		}
		passes, err := s.snapshotFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		tags, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		var items []ec2api.Snapshot
		for _, r := range all {
			if !ownedBy(in.OwnerIds, r.Owner, r.OwnerAlias, c.Account()) || !r.restorable(in.RestorableByUserIds, c.Account()) || !passes(r, tags[r.ID]) {
				continue
			}
			w := r.wire()
			w.Tags, w.Progress = apiTags(tags[r.ID]), new(s.progress.of(&r))
			t := s.tierOf(&r)
			w.StorageTier, w.RestoreExpiryTime = &t.tier, t.expiry()
			items = append(items, w)
		}
		out.Snapshots, out.NextToken, err = paginate(c.Operation, items, func(r ec2api.Snapshot) string { return *r.SnapshotId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
