package e2e_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// snapshot is one by its id.
func (c *client) snapshot(t *testing.T, id string) ec2types.Snapshot {
	t.Helper()
	out := must(c.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))(t).Snapshots
	if len(out) != 1 {
		t.Fatalf("DescribeSnapshots of %s gives %d snapshots", id, len(out))
	}
	return out[0]
}

// completed waits until a snapshot is made, in the state that is wanted.
func (c *client) completed(t *testing.T, id string, want ec2types.SnapshotState) ec2types.Snapshot {
	t.Helper()
	var s ec2types.Snapshot
	eventually(t, "snapshot "+id, func() (bool, string) {
		s = c.snapshot(t, id)
		return s.State != ec2types.SnapshotStatePending, string(s.State)
	})
	if s.State != want {
		t.Fatalf("snapshot %s is %s (%s), want %s", id, s.State, str(s.StateMessage), want)
	}
	return s
}

// snapshotOf makes a snapshot of a volume.
func (c *client) snapshotOf(t *testing.T, volume string) string {
	t.Helper()
	id := *must(c.ec2.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: &volume}))(t).SnapshotId
	c.completed(t, id, ec2types.SnapshotStateCompleted)
	return id
}

// plainSnapshot is the snapshot of the plain image.
func (c *client) plainSnapshot(t *testing.T) string {
	t.Helper()
	out := must(c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{c.plainImage(t)}}))(t)
	return *out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
}

// filledSnapshot is a snapshot with the content of the plain image, under a key, or plain without one.
func (c *client) filledSnapshot(t *testing.T, key string) string {
	t.Helper()
	in := &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), SnapshotId: new(c.plainSnapshot(t))}
	if key != "" {
		in.Encrypted, in.KmsKeyId = new(true), &key
	}
	vol := *must(c.ec2.CreateVolume(t.Context(), in))(t).VolumeId
	c.available(t, vol)
	snap := c.snapshotOf(t, vol)
	must(c.ec2.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &vol}))(t)
	c.vanishes(t, vol)
	return snap
}

// available waits until a volume is.
func (c *client) available(t *testing.T, volume string) {
	t.Helper()
	eventually(t, volume+" available", func() (bool, string) {
		out, err := c.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{volume}})
		if err != nil {
			return false, err.Error()
		}
		v := out.Volumes[0]
		return v.State == ec2types.VolumeStateAvailable, string(v.State)
	})
}

// image registers an image whose root device is made from a snapshot.
func (c *client) image(t *testing.T, name, snapshot string) string {
	t.Helper()
	return *must(c.ec2.RegisterImage(t.Context(), &ec2.RegisterImageInput{
		Name: &name, RootDeviceName: new("/dev/xvda"), Architecture: ec2types.ArchitectureValuesX8664, VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{
			DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot, DeleteOnTermination: new(true)},
		}},
	}))(t).ImageId
}

// imageUnder is an image with the content of the plain one, whose snapshot is under a key.
func (c *client) imageUnder(t *testing.T, key string) string {
	t.Helper()
	return c.image(t, "under "+fmt.Sprintf("%.36s", key[max(0, len(key)-36):]), c.filledSnapshot(t, key))
}

// shareImage lets an account launch an image.
func (c *client) shareImage(t *testing.T, image, with string) {
	t.Helper()
	must(c.ec2.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
		ImageId: &image, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: &with}}},
	}))(t)
}

// shareSnapshot lets an account make volumes of a snapshot.
func (c *client) shareSnapshot(t *testing.T, snapshot, with string) {
	t.Helper()
	must(c.ec2.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &snapshot, CreateVolumePermission: &ec2types.CreateVolumePermissionModifications{
			Add: []ec2types.CreateVolumePermission{{UserId: &with}},
		},
	}))(t)
}
