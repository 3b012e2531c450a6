package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ListSnapshotsInRecycleBin lists deleted snapshots that a retention rule keeps. Rules are made in another
// service (Recycle Bin), which is not here, so nothing is ever kept.
// Source: EC2 API Reference, ListSnapshotsInRecycleBin.
func (s *Service) ListSnapshotsInRecycleBin(ctx context.Context, c *guard.Call, in *ec2api.ListSnapshotsInRecycleBinRequest) (*ec2api.ListSnapshotsInRecycleBinResult, error) {
	out := &ec2api.ListSnapshotsInRecycleBinResult{Snapshots: []ec2api.SnapshotRecycleBinInfo{}}
	return out, s.viewList(ctx, c, "ec2:ListSnapshotsInRecycleBin", in.DryRun, func(store.Tx) error {
		for _, id := range in.SnapshotIds {
			return errNoSnapshot(id)
		}
		_, _, err := paginate(c.Operation, out.Snapshots, func(i ec2api.SnapshotRecycleBinInfo) string { return *i.SnapshotId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// RestoreSnapshotFromRecycleBin finds nothing in the recycle bin.
// Source: EC2 API Reference, RestoreSnapshotFromRecycleBin.
func (s *Service) RestoreSnapshotFromRecycleBin(ctx context.Context, c *guard.Call, in *ec2api.RestoreSnapshotFromRecycleBinRequest) (*ec2api.RestoreSnapshotFromRecycleBinResult, error) {
	id := api.Val(in.SnapshotId)
	return nil, s.g.View(ctx, c, func(tx store.Tx) error {
		p := s.part(c, "ec2:RestoreSnapshotFromRecycleBin", "snapshot/"+id, nil)
		if r, ok, err := snapshotTable.find(tx, c.Region, c.Account(), id); err != nil {
			return err
		} else if ok {
			tags, err := tagsOf(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			p = s.snapshotPart(c, "ec2:RestoreSnapshotFromRecycleBin", &r, tags)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{p}}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		return errNoSnapshot(id)
	})
}

// tierFields are the filters of DescribeSnapshotTierStatus.
var tierFields = fields[*snapshotRecord]{
	"snapshot-id":            func(r *snapshotRecord) []string { return oneOf(r.ID) },
	"volume-id":              func(r *snapshotRecord) []string { return oneOf(r.VolumeID) },
	"last-tiering-operation": fixed[*snapshotRecord](),
}

// DescribeSnapshotTierStatus tells the storage tier of the account's snapshots: the standard one, for there is
// no archive. Source: EC2 API Reference, DescribeSnapshotTierStatus.
func (s *Service) DescribeSnapshotTierStatus(ctx context.Context, c *guard.Call, in *ec2api.DescribeSnapshotTierStatusRequest) (*ec2api.DescribeSnapshotTierStatusResult, error) {
	out := &ec2api.DescribeSnapshotTierStatusResult{}
	err := s.viewList(ctx, c, "ec2:DescribeSnapshotTierStatus", in.DryRun, func(tx store.Tx) error {
		out.SnapshotTierStatuses = []ec2api.SnapshotTierStatus{}
		pass, err := tierFields.Filter(in.Filters)
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
			out.SnapshotTierStatuses = append(out.SnapshotTierStatuses, ec2api.SnapshotTierStatus{
				SnapshotId: &r.ID, VolumeId: &r.VolumeID, OwnerId: &r.Owner, Status: &r.State, StorageTier: new("standard"), Tags: apiTags(tags[r.ID]),
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
