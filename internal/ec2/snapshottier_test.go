package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (h *house) tier(id string) ec2api.SnapshotTierStatus {
	h.T.Helper()
	out := ask[ec2api.DescribeSnapshotTierStatusResult](h.desk, h.owner(), &ec2api.DescribeSnapshotTierStatusRequest{Filters: []ec2api.Filter{filter("snapshot-id", id)}})
	seen := ask[ec2api.DescribeSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}).Snapshots[0]
	s := out.SnapshotTierStatuses[0]
	if *seen.StorageTier != *s.StorageTier || (seen.RestoreExpiryTime == nil) != (s.RestoreExpiryTime == nil) {
		h.T.Errorf("DescribeSnapshots says %s until %v, DescribeSnapshotTierStatus %s until %v", *seen.StorageTier, seen.RestoreExpiryTime, *s.StorageTier, s.RestoreExpiryTime)
	}
	return s
}

func TestAnArchivedSnapshotIsRestoredBeforeItIsUsed(t *testing.T) {
	h := newHouse(t)
	id := h.newSnapshot()
	archive := &ec2api.ModifySnapshotTierRequest{SnapshotId: &id, StorageTier: new("archive")}
	use := &ec2api.CreateVolumeRequest{SnapshotId: &id, AvailabilityZone: new(region + "a")}
	days := func(n int32) *ec2api.RestoreSnapshotTierRequest {
		return &ec2api.RestoreSnapshotTierRequest{SnapshotId: &id, TemporaryRestoreDays: &n}
	}
	if s := h.tier(id); *s.StorageTier != "standard" || s.LastTieringOperationStatus != nil || s.ArchivalCompleteTime != nil {
		t.Errorf("in the beginning it is %+v", s)
	}
	h.refuse(h.owner(), &ec2api.ModifySnapshotTierRequest{SnapshotId: &id, StorageTier: new("standard")}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &ec2api.ModifySnapshotTierRequest{SnapshotId: new("snap-0123456789abcdef0")}, "InvalidSnapshot.NotFound", "*")
	h.refuse(h.owner(), days(1), "IncorrectState", "*")
	for _, bad := range []int32{0, 181} {
		h.refuse(h.owner(), days(bad), "InvalidParameterValue", "*")
	}
	h.refuse(h.owner(), &ec2api.RestoreSnapshotTierRequest{SnapshotId: &id}, "MissingParameter", "*")
	both := days(3)
	both.PermanentRestore = new(true)
	h.refuse(h.owner(), both, "InvalidParameterCombination", "*")

	out := ask[ec2api.ModifySnapshotTierResult](h.desk, h.owner(), archive)
	if *out.SnapshotId != id || out.TieringStartTime == nil {
		t.Errorf("ModifySnapshotTier answers %+v", out)
	}
	if s := h.tier(id); *s.StorageTier != "standard" || *s.LastTieringOperationStatus != "archival-in-progress" || *s.LastTieringProgress != 0 {
		t.Errorf("at first it is %s, %s", *s.StorageTier, *s.LastTieringOperationStatus)
	}
	h.refuse(h.owner(), archive, "IncorrectState", "*")
	h.Advance(time.Minute)
	if s := h.tier(id); *s.StorageTier != "archive" || *s.LastTieringOperationStatus != "archival-completed" || *s.LastTieringProgress != 100 || s.ArchivalCompleteTime == nil {
		t.Errorf("then it is %s, %s", *s.StorageTier, *s.LastTieringOperationStatus)
	}
	h.refuse(h.owner(), use, "IncorrectState", "*")
	h.refuse(h.owner(), &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &id}, "IncorrectState", "*")
	h.refuse(h.owner(), archive, "IncorrectState", "*")

	restored := ask[ec2api.RestoreSnapshotTierResult](h.desk, h.owner(), days(2))
	if *restored.IsPermanentRestore || *restored.RestoreDuration != 2 || restored.RestoreStartTime == nil {
		t.Errorf("RestoreSnapshotTier answers %+v", restored)
	}
	if s := h.tier(id); *s.StorageTier != "archive" || *s.LastTieringOperationStatus != "temporary-restore-in-progress" {
		t.Errorf("while it is restored it is %s, %s", *s.StorageTier, *s.LastTieringOperationStatus)
	}
	h.Advance(time.Minute)
	if s := h.tier(id); *s.StorageTier != "standard" || *s.LastTieringOperationStatus != "temporary-restore-completed" || s.RestoreExpiryTime == nil {
		t.Errorf("restored it is %s, %s", *s.StorageTier, *s.LastTieringOperationStatus)
	}
	h.newVolume(use)
	ask[ec2api.RestoreSnapshotTierResult](h.desk, h.owner(), days(3))
	if s := h.tier(id); *s.StorageTier != "standard" || s.RestoreExpiryTime.Sub(h.Clock.Now()).Round(24*time.Hour) != 72*time.Hour {
		t.Errorf("restored for longer it is %s until %v", *s.StorageTier, s.RestoreExpiryTime)
	}
	h.Advance(73 * time.Hour)
	if s := h.tier(id); *s.StorageTier != "archive" || *s.LastTieringOperationStatus != "archival-completed" || s.RestoreExpiryTime != nil {
		t.Errorf("after its days it is %s, %s", *s.StorageTier, *s.LastTieringOperationStatus)
	}
	if out := ask[ec2api.RestoreSnapshotTierResult](h.desk, h.owner(), &ec2api.RestoreSnapshotTierRequest{SnapshotId: &id, PermanentRestore: new(true)}); !*out.IsPermanentRestore || out.RestoreDuration != nil {
		t.Errorf("RestoreSnapshotTier answers %+v", out)
	}
	h.Advance(time.Minute)
	if s := h.tier(id); *s.StorageTier != "standard" || *s.LastTieringOperationStatus != "permanent-restore-completed" || s.RestoreExpiryTime != nil {
		t.Errorf("in the end it is %s, %s", *s.StorageTier, *s.LastTieringOperationStatus)
	}
	h.newVolume(use)
	ask[ec2api.ModifySnapshotTierResult](h.desk, h.owner(), archive)
	h.Advance(time.Minute)
	list := func(tier string) int {
		return len(ask[ec2api.DescribeSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}, Filters: []ec2api.Filter{filter("storage-tier", tier)}}).Snapshots)
	}
	if list("archive") != 1 || list("standard") != 0 {
		t.Errorf("archived are %d, others %d", list("archive"), list("standard"))
	}
	_, err := h.try(h.owner(), &ec2api.DeleteSnapshotRequest{SnapshotId: &id})
	h.Must(err)
}

func TestASnapshotOfAnImageIsNotArchived(t *testing.T) {
	h := newHouse(t)
	id := h.newSnapshot()
	img := h.register(h.owner(), "own", id)
	h.refuse(h.owner(), &ec2api.ModifySnapshotTierRequest{SnapshotId: &id, StorageTier: new("archive")}, "InvalidSnapshot.InUse", "The snapshot "+id+" is currently in use by "+img)
}
