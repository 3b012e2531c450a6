package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// awaitVolume waits until a volume is available.
func (c *client) awaitVolume(t *testing.T, id string) ec2types.Volume {
	t.Helper()
	var v ec2types.Volume
	eventually(t, id+" available", func() (bool, string) {
		out, err := c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
		if err != nil {
			return false, err.Error()
		}
		v = out.Volumes[0]
		return v.State == ec2types.VolumeStateAvailable, string(v.State)
	})
	return v
}

func TestAVolumeIsModifiedAndCopied(t *testing.T) {
	c := adminOf(server.Start(t, t.TempDir(), "--dev-pace=visible").URL, seed.NewAccount())
	key := c.key(t, "")
	id := c.createVolume(t, key)
	out := must(c.ec2.ModifyVolume(t.Context(), &ec2.ModifyVolumeInput{VolumeId: &id, Size: new(int32(40)), VolumeType: ec2types.VolumeTypeGp3, Iops: new(int32(4000))}))(t)
	if m := out.VolumeModification; m.ModificationState != ec2types.VolumeModificationStateModifying || *m.TargetIops != 4000 || *m.TargetThroughput != 125 {
		t.Errorf("ModifyVolume answers %+v", m)
	}
	refused(c.ec2.ModifyVolume(t.Context(), &ec2.ModifyVolumeInput{VolumeId: &id, Size: new(int32(50))}))(t, "IncorrectModificationState")
	eventually(t, "modification", func() (bool, string) {
		m := must(c.ec2.DescribeVolumesModifications(t.Context(), &ec2.DescribeVolumesModificationsInput{VolumeIds: []string{id}}))(t).VolumesModifications[0]
		return m.ModificationState == ec2types.VolumeModificationStateCompleted, string(m.ModificationState)
	})
	if v := c.awaitVolume(t, id); *v.Size != 40 || *v.Iops != 4000 || v.VolumeType != ec2types.VolumeTypeGp3 || str(v.KmsKeyId) != key {
		t.Errorf("the volume is %+v", v)
	}
	copied := must(c.ec2.CopyVolumes(t.Context(), &ec2.CopyVolumesInput{SourceVolumeId: &id}))(t).Volumes[0]
	if v := c.awaitVolume(t, *copied.VolumeId); *v.Size != 40 || v.VolumeType != ec2types.VolumeTypeGp2 || str(v.KmsKeyId) != key || str(v.SourceVolumeId) != id {
		t.Errorf("the copy is %+v", v)
	}
	other := c.key(t, "")
	copied = must(c.ec2.CopyVolumes(t.Context(), &ec2.CopyVolumesInput{SourceVolumeId: &id, Encrypted: new(true), KmsKeyId: &other}))(t).Volumes[0]
	if v := c.awaitVolume(t, *copied.VolumeId); str(v.KmsKeyId) != other {
		t.Errorf("the copy under another key is %+v", v)
	}
	must(c.ec2.ModifyVolumeAttribute(t.Context(), &ec2.ModifyVolumeAttributeInput{VolumeId: &id, AutoEnableIO: &ec2types.AttributeBooleanValue{Value: new(true)}}))(t)
	if a := must(c.ec2.DescribeVolumeAttribute(t.Context(), &ec2.DescribeVolumeAttributeInput{VolumeId: &id, Attribute: "autoEnableIO"}))(t); !*a.AutoEnableIO.Value {
		t.Error("autoEnableIO is not set")
	}
	must(c.ec2.EnableVolumeIO(t.Context(), &ec2.EnableVolumeIOInput{VolumeId: &id}))(t)
}

func TestSnapshotsAreLockedAndProtected(t *testing.T) {
	c := admin(t)
	id := c.snapshotOf(t, c.createVolume(t, ""))
	locked := must(c.ec2.LockSnapshot(t.Context(), &ec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeGovernance, LockDuration: new(int32(3))}))(t)
	if locked.LockState != ec2types.LockStateGovernance || *locked.LockDuration != 3 {
		t.Errorf("LockSnapshot answers %+v", locked)
	}
	refused(c.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id}))(t, "OperationNotPermitted")
	if out := must(c.ec2.DescribeLockedSnapshots(t.Context(), &ec2.DescribeLockedSnapshotsInput{}))(t).Snapshots; len(out) != 1 || *out[0].SnapshotId != id {
		t.Errorf("locked are %+v", out)
	}
	must(c.ec2.UnlockSnapshot(t.Context(), &ec2.UnlockSnapshotInput{SnapshotId: &id}))(t)

	must(c.ec2.EnableSnapshotBlockPublicAccess(t.Context(), &ec2.EnableSnapshotBlockPublicAccessInput{State: ec2types.SnapshotBlockPublicAccessStateBlockAllSharing}))(t)
	if out := must(c.ec2.GetSnapshotBlockPublicAccessState(t.Context(), &ec2.GetSnapshotBlockPublicAccessStateInput{}))(t); out.State != ec2types.SnapshotBlockPublicAccessStateBlockAllSharing {
		t.Errorf("the state of snapshots is %s", out.State)
	}
	refused(c.ec2.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &id, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission, OperationType: ec2types.OperationTypeAdd, GroupNames: []string{"all"},
	}))(t, "OperationNotPermitted")
	must(c.ec2.DisableSnapshotBlockPublicAccess(t.Context(), &ec2.DisableSnapshotBlockPublicAccessInput{}))(t)
	must(c.ec2.EnableImageBlockPublicAccess(t.Context(), &ec2.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: "block-new-sharing"}))(t)
	if out := must(c.ec2.GetImageBlockPublicAccessState(t.Context(), &ec2.GetImageBlockPublicAccessStateInput{}))(t); str(out.ImageBlockPublicAccessState) != "block-new-sharing" {
		t.Errorf("the state of images is %s", str(out.ImageBlockPublicAccessState))
	}
	must(c.ec2.DisableImageBlockPublicAccess(t.Context(), &ec2.DisableImageBlockPublicAccessInput{}))(t)

	fast := must(c.ec2.EnableFastSnapshotRestores(t.Context(), &ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{seed.Region + "a"}}))(t)
	if len(fast.Successful) != 1 || fast.Successful[0].State != ec2types.FastSnapshotRestoreStateCodeEnabling {
		t.Errorf("EnableFastSnapshotRestores answers %+v", fast)
	}
	must(c.ec2.DisableFastSnapshotRestores(t.Context(), &ec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{seed.Region + "a"}}))(t)
	if out := must(c.ec2.DescribeSnapshotTierStatus(t.Context(), &ec2.DescribeSnapshotTierStatusInput{}))(t).SnapshotTierStatuses; len(out) != 1 || out[0].StorageTier != ec2types.StorageTierStandard {
		t.Errorf("the tiers are %+v", out)
	}
	if out := must(c.ec2.ListSnapshotsInRecycleBin(t.Context(), &ec2.ListSnapshotsInRecycleBinInput{}))(t); len(out.Snapshots) != 0 {
		t.Errorf("in the recycle bin are %+v", out.Snapshots)
	}
	refused(c.ec2.RestoreSnapshotFromRecycleBin(t.Context(), &ec2.RestoreSnapshotFromRecycleBinInput{SnapshotId: &id}))(t, "InvalidSnapshot.NotFound")
}
