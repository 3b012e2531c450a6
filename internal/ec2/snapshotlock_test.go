package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// newSnapshot makes a completed snapshot of a new plain volume.
func (h *house) newSnapshot() string {
	h.T.Helper()
	id := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(1))})
	snap := *ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &id}).SnapshotId
	h.Advance(2 * time.Second)
	return snap
}

func (h *house) lockState(id string) string {
	h.T.Helper()
	out := ask[ec2api.DescribeLockedSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeLockedSnapshotsRequest{SnapshotIds: []string{id}})
	if len(out.Snapshots) == 0 {
		return "none"
	}
	return *out.Snapshots[0].LockState
}

func TestALockedSnapshotIsNotDeleted(t *testing.T) {
	h := newHouse(t)
	id := h.newSnapshot()
	lock := func(mode string, days int32, coolOff *int32) *ec2api.LockSnapshotRequest {
		return &ec2api.LockSnapshotRequest{SnapshotId: &id, LockMode: &mode, LockDuration: &days, CoolOffPeriod: coolOff}
	}
	h.refuse(h.owner(), &ec2api.LockSnapshotRequest{SnapshotId: &id, LockMode: new("governance")}, "MissingParameter", "*")
	h.refuse(h.owner(), lock("governance", 1, new(int32(1))), "InvalidParameterCombination", "*")
	h.refuse(h.owner(), lock("compliance", 1, new(int32(73))), "InvalidParameterValue", "*")
	h.refuse(h.owner(), lock("governance", 36501, nil), "InvalidParameterValue", "*")
	h.refuse(h.owner(), &ec2api.UnlockSnapshotRequest{SnapshotId: &id}, "IncorrectState", "*")
	if got := h.lockState(id); got != "none" {
		t.Errorf("before it is locked the state is %s", got)
	}
	out := ask[ec2api.LockSnapshotResult](h.desk, h.owner(), lock("governance", 2, nil))
	if *out.LockState != "governance" || *out.LockDuration != 2 || !out.LockExpiresOn.Equal(out.LockCreatedOn.Add(48*time.Hour)) {
		t.Errorf("LockSnapshot answers %+v", out)
	}
	gone := &ec2api.DeleteSnapshotRequest{SnapshotId: &id}
	h.refuse(h.owner(), gone, "OperationNotPermitted", "*")
	ask[ec2api.UnlockSnapshotResult](h.desk, h.owner(), &ec2api.UnlockSnapshotRequest{SnapshotId: &id})

	ask[ec2api.LockSnapshotResult](h.desk, h.owner(), lock("compliance", 1, new(int32(2))))
	if got := h.lockState(id); got != "compliance-cooloff" {
		t.Errorf("in its cooling-off period the lock is %s", got)
	}
	ask[ec2api.LockSnapshotResult](h.desk, h.owner(), lock("compliance", 3, new(int32(1))))
	h.Advance(2 * time.Hour)
	if got := h.lockState(id); got != "compliance" {
		t.Errorf("after its cooling-off period the lock is %s", got)
	}
	h.refuse(h.owner(), &ec2api.UnlockSnapshotRequest{SnapshotId: &id}, "OperationNotPermitted", "*")
	h.refuse(h.owner(), lock("governance", 5, nil), "OperationNotPermitted", "*")
	h.refuse(h.owner(), lock("compliance", 1, nil), "OperationNotPermitted", "*")
	ask[ec2api.LockSnapshotResult](h.desk, h.owner(), lock("compliance", 5, nil))
	h.Advance(4 * 24 * time.Hour)
	h.refuse(h.owner(), gone, "OperationNotPermitted", "*")
	h.Advance(24 * time.Hour)
	if got := h.lockState(id); got != "expired" {
		t.Errorf("in the end the lock is %s", got)
	}
	_, err := h.try(h.owner(), gone)
	h.Must(err)
	h.refuse(h.allowed("nobody", `"ec2:LockSnapshot"`, `"*"`, `{"NumericLessThan":{"ec2:SnapshotLockDuration":"10"}}`),
		&ec2api.LockSnapshotRequest{SnapshotId: new(h.newSnapshot()), LockMode: new("governance"), LockDuration: new(int32(10))}, "UnauthorizedOperation", "*")
}

func TestPublicSharingIsBlocked(t *testing.T) {
	h := newHouse(t)
	id := h.newSnapshot()
	stranger := h.root(theirs)
	publish := &ec2api.ModifySnapshotAttributeRequest{SnapshotId: &id, OperationType: new("add"), GroupNames: []string{"all"}}
	sees := func() bool {
		_, err := h.try(stranger, &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}})
		list := ask[ec2api.DescribeSnapshotsResult](h.desk, stranger, &ec2api.DescribeSnapshotsRequest{Filters: []ec2api.Filter{filter("snapshot-id", id)}})
		if (err == nil) != (len(list.Snapshots) == 1) {
			t.Error("the snapshot is found by its id and not in the list, or the other way round")
		}
		return err == nil
	}
	state := func() string {
		return *ask[ec2api.GetSnapshotBlockPublicAccessStateResult](h.desk, h.owner(), &ec2api.GetSnapshotBlockPublicAccessStateRequest{}).State
	}
	if got := state(); got != "unblocked" {
		t.Errorf("in the beginning the state is %s", got)
	}
	_, err := h.try(h.owner(), publish)
	h.Must(err)
	ask[ec2api.EnableSnapshotBlockPublicAccessResult](h.desk, h.owner(), &ec2api.EnableSnapshotBlockPublicAccessRequest{State: new("block-new-sharing")})
	h.refuse(h.owner(), publish, "OperationNotPermitted", "*")
	if !sees() {
		t.Error("block-new-sharing hides what was public")
	}
	ask[ec2api.EnableSnapshotBlockPublicAccessResult](h.desk, h.owner(), &ec2api.EnableSnapshotBlockPublicAccessRequest{State: new("block-all-sharing")})
	if sees() || state() != "block-all-sharing" {
		t.Error("block-all-sharing hides nothing")
	}
	_, err = h.try(h.owner(), &ec2api.ModifySnapshotAttributeRequest{SnapshotId: &id, OperationType: new("add"), UserIds: []string{theirs}})
	h.Must(err)
	if !sees() {
		t.Error("block-all-sharing hides what is shared with an account by name")
	}
	ask[ec2api.DisableSnapshotBlockPublicAccessResult](h.desk, h.owner(), &ec2api.DisableSnapshotBlockPublicAccessRequest{})
	h.refuse(h.owner(), &ec2api.EnableSnapshotBlockPublicAccessRequest{State: new("unblocked")}, "InvalidParameterValue", "*")

	img := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), &ec2api.RegisterImageRequest{
		Name: new("own"), RootDeviceName: new("/dev/xvda"), BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &id}}},
	}).ImageId
	ask[ec2api.EnableImageBlockPublicAccessResult](h.desk, h.owner(), &ec2api.EnableImageBlockPublicAccessRequest{ImageBlockPublicAccessState: new("block-new-sharing")})
	share := &ec2api.ModifyImageAttributeRequest{ImageId: &img, LaunchPermission: &ec2api.LaunchPermissionModifications{Add: []ec2api.LaunchPermission{{Group: new("all")}}}}
	h.refuse(h.owner(), share, "OperationNotPermitted", "*")
	got := ask[ec2api.GetImageBlockPublicAccessStateResult](h.desk, h.owner(), &ec2api.GetImageBlockPublicAccessStateRequest{})
	if *got.ImageBlockPublicAccessState != "block-new-sharing" || *got.ManagedBy != "account" {
		t.Errorf("the state of images is %+v", got)
	}
	ask[ec2api.DisableImageBlockPublicAccessResult](h.desk, h.owner(), &ec2api.DisableImageBlockPublicAccessRequest{})
	_, err = h.try(h.owner(), share)
	h.Must(err)
}

func TestFastRestoreIsKeptPerZone(t *testing.T) {
	h := newHouse(t)
	id := h.newSnapshot()
	on := &ec2api.EnableFastSnapshotRestoresRequest{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{region + "a", region + "b"}}
	out := ask[ec2api.EnableFastSnapshotRestoresResult](h.desk, h.owner(), on)
	if len(out.Successful) != 2 || *out.Successful[0].State != "enabling" || *out.Successful[0].StateTransitionReason != "Client.UserInitiated" || out.Successful[0].EnabledTime != nil || len(out.Unsuccessful) != 0 {
		t.Errorf("EnableFastSnapshotRestores answers %+v", out)
	}
	h.Advance(time.Minute)
	if s := ask[ec2api.EnableFastSnapshotRestoresResult](h.desk, h.owner(), on).Successful[0]; *s.State != "enabled" || *s.StateTransitionReason != "Client.UserInitiated - Lifecycle state transition" || s.EnabledTime == nil {
		t.Errorf("a minute later it is %+v", s)
	}
	v := h.newVolume(&ec2api.CreateVolumeRequest{SnapshotId: &id})
	if !*h.volume(v).FastRestored {
		t.Error("a volume of the snapshot is not fast restored")
	}
	off := ask[ec2api.DisableFastSnapshotRestoresResult](h.desk, h.owner(), &ec2api.DisableFastSnapshotRestoresRequest{
		SourceSnapshotIds: []string{id}, AvailabilityZones: []string{region + "a", region + "c"},
	})
	if len(off.Successful) != 1 || *off.Successful[0].State != "disabling" || len(off.Unsuccessful) != 1 {
		t.Errorf("DisableFastSnapshotRestores answers %+v", off)
	}
	h.Advance(time.Minute)
	for state, want := range map[string]int{"enabled": 1, "disabled": 1, "enabling": 0} {
		got := ask[ec2api.DescribeFastSnapshotRestoresResult](h.desk, h.owner(), &ec2api.DescribeFastSnapshotRestoresRequest{Filters: []ec2api.Filter{filter("state", state), filter("snapshot-id", id)}})
		if len(got.FastSnapshotRestores) != want {
			t.Errorf("%d fast restores are %s, want %d", len(got.FastSnapshotRestores), state, want)
		}
	}
	h.refuse(h.owner(), &ec2api.EnableFastSnapshotRestoresRequest{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"nowhere"}}, "InvalidZone.NotFound", "*")
	h.refuse(h.owner(), &ec2api.EnableFastSnapshotRestoresRequest{SourceSnapshotIds: []string{"snap-00000000000000001"}, AvailabilityZones: on.AvailabilityZones}, "InvalidSnapshot.NotFound", "*")
}

func TestTheRecycleBinIsEmptyAndTheTierIsStandard(t *testing.T) {
	h := newHouse(t)
	id := h.newSnapshot()
	if out := ask[ec2api.ListSnapshotsInRecycleBinResult](h.desk, h.owner(), &ec2api.ListSnapshotsInRecycleBinRequest{}); len(out.Snapshots) != 0 {
		t.Error("something is in the recycle bin")
	}
	h.refuse(h.owner(), &ec2api.ListSnapshotsInRecycleBinRequest{SnapshotIds: []string{id}}, "InvalidSnapshot.NotFound", "*")
	h.refuse(h.owner(), &ec2api.RestoreSnapshotFromRecycleBinRequest{SnapshotId: &id}, "InvalidSnapshot.NotFound", "*")
	h.refuse(h.allowed("nobody", `"ec2:Describe*"`, `"*"`, ""), &ec2api.RestoreSnapshotFromRecycleBinRequest{SnapshotId: &id}, "UnauthorizedOperation", "*")
	out := ask[ec2api.DescribeSnapshotTierStatusResult](h.desk, h.owner(), &ec2api.DescribeSnapshotTierStatusRequest{Filters: []ec2api.Filter{filter("snapshot-id", id)}})
	if len(out.SnapshotTierStatuses) != 1 || *out.SnapshotTierStatuses[0].StorageTier != "standard" {
		t.Errorf("the tiers are %+v", out.SnapshotTierStatuses)
	}
}
