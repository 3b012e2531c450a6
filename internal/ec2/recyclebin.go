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

// ListImagesInRecycleBin lists deregistered images that a retention rule keeps: none.
// Source: EC2 API Reference, ListImagesInRecycleBin.
func (s *Service) ListImagesInRecycleBin(ctx context.Context, c *guard.Call, in *ec2api.ListImagesInRecycleBinRequest) (*ec2api.ListImagesInRecycleBinResult, error) {
	out := &ec2api.ListImagesInRecycleBinResult{Images: []ec2api.ImageRecycleBinInfo{}}
	return out, s.viewList(ctx, c, "ec2:ListImagesInRecycleBin", in.DryRun, func(store.Tx) error {
		if len(in.ImageIds) > 0 {
			return errNoImage(in.ImageIds...)
		}
		_, _, err := paginate(c.Operation, out.Images, func(i ec2api.ImageRecycleBinInfo) string { return *i.ImageId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// RestoreImageFromRecycleBin finds nothing in the recycle bin. Source: EC2 API Reference, RestoreImageFromRecycleBin.
func (s *Service) RestoreImageFromRecycleBin(ctx context.Context, c *guard.Call, in *ec2api.RestoreImageFromRecycleBinRequest) (*ec2api.RestoreImageFromRecycleBinResult, error) {
	id := api.Val(in.ImageId)
	return nil, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(*imageRecord) error { return errNoImage(id) })
}
