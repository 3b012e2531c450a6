package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// Packer names the accounts both in the newer form and, without an operation, in the older one.
func TestSharingInBothForms(t *testing.T) {
	h := newHouse(t)
	snapshot := h.snapshot(h.owner(), h.filled(h.owner(), "", "text"))
	image := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), &ec2api.RegisterImageRequest{
		Name: new("own"), RootDeviceName: new(rootDevice), Architecture: new("x86_64"), VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &snapshot}}},
	}).ImageId
	launch := &ec2api.LaunchPermissionModifications{Add: []ec2api.LaunchPermission{{UserId: new(theirs)}}}
	use := &ec2api.CreateVolumePermissionModifications{Add: []ec2api.CreateVolumePermission{{UserId: new(theirs)}}}
	for _, in := range []any{
		&ec2api.ModifyImageAttributeRequest{ImageId: &image, LaunchPermission: launch, UserIds: []string{theirs}},
		&ec2api.ModifyImageAttributeRequest{ImageId: &image, LaunchPermission: launch, UserIds: []string{theirs}, OperationType: new("add")},
		&ec2api.ModifySnapshotAttributeRequest{SnapshotId: &snapshot, CreateVolumePermission: use, UserIds: []string{theirs}},
		&ec2api.ModifySnapshotAttributeRequest{SnapshotId: &snapshot, CreateVolumePermission: use, UserIds: []string{theirs}, OperationType: new("add")},
	} {
		if _, err := h.try(h.owner(), in); err != nil {
			t.Fatalf("%+v: %v", in, err)
		}
	}
	launchers := ask[ec2api.ImageAttribute](h.desk, h.owner(), &ec2api.DescribeImageAttributeRequest{ImageId: &image, Attribute: new("launchPermission")}).LaunchPermissions
	if len(launchers) != 1 || *launchers[0].UserId != theirs {
		t.Errorf("who may launch: %+v", launchers)
	}
	makers := ask[ec2api.DescribeSnapshotAttributeResult](h.desk, h.owner(), &ec2api.DescribeSnapshotAttributeRequest{SnapshotId: &snapshot, Attribute: new("createVolumePermission")}).CreateVolumePermissions
	if len(makers) != 1 || *makers[0].UserId != theirs {
		t.Errorf("who may make volumes: %+v", makers)
	}
	for _, in := range []any{
		&ec2api.ModifyImageAttributeRequest{ImageId: &image, UserIds: []string{theirs}},
		&ec2api.ModifySnapshotAttributeRequest{SnapshotId: &snapshot, UserIds: []string{theirs}},
	} {
		h.refuse(h.owner(), in, "MissingParameter", "The request must contain the parameter OperationType")
	}
}

// An account can end that an image is shared with it, but not that everybody may launch it.
func TestCancelImageLaunchPermission(t *testing.T) {
	h := newHouse(t)
	snapshot, other := h.snapshot(h.owner(), h.filled(h.owner(), "", "text")), h.root(theirs)
	image := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), &ec2api.RegisterImageRequest{
		Name: new("own"), RootDeviceName: new(rootDevice), Architecture: new("x86_64"), VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &snapshot}}},
	}).ImageId
	cancel := &ec2api.CancelImageLaunchPermissionRequest{ImageId: &image}
	h.refuse(other, cancel, "InvalidAMIID.NotFound", "*")
	h.Must(h.shareImage(h.owner(), image, theirs))
	dry := *cancel
	dry.DryRun = new(true)
	h.refuse(other, &dry, "DryRunOperation", "*")
	if out := ask[ec2api.CancelImageLaunchPermissionResult](h.desk, other, cancel); !*out.Return {
		t.Error("it answers false")
	}
	h.refuse(other, &ec2api.DescribeImagesRequest{ImageIds: []string{image}}, "InvalidAMIID.NotFound", "*")
	public := &ec2api.ModifyImageAttributeRequest{ImageId: &image, OperationType: new("add"), UserGroups: []string{"all"}}
	if _, err := h.try(h.owner(), public); err != nil {
		t.Fatal(err)
	}
	h.refuse(other, cancel, "OperationNotPermitted", "*")
	h.refuse(h.owner(), cancel, "OperationNotPermitted", "*")
}
