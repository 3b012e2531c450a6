package ec2_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/guard"
)

// register makes an image of a snapshot.
func (h *house) register(as guard.Caller, name, snapshot string) string {
	h.T.Helper()
	return *ask[ec2api.RegisterImageResult](h.desk, as, &ec2api.RegisterImageRequest{
		Name: &name, Architecture: new("x86_64"), VirtualizationType: new("hvm"), RootDeviceName: new(rootDevice), SriovNetSupport: new("simple"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &snapshot}}},
	}).ImageId
}

func (h *house) image(as guard.Caller, id string) ec2api.Image {
	h.T.Helper()
	return ask[ec2api.DescribeImagesResult](h.desk, as, &ec2api.DescribeImagesRequest{ImageIds: []string{id}}).Images[0]
}

func (h *house) shareImage(as guard.Caller, id string, with ...string) error {
	var add []ec2api.LaunchPermission
	for _, account := range with {
		if account == "all" {
			add = append(add, ec2api.LaunchPermission{Group: &account})
		} else {
			add = append(add, ec2api.LaunchPermission{UserId: &account})
		}
	}
	_, err := h.try(as, &ec2api.ModifyImageAttributeRequest{ImageId: &id, Attribute: new("launchPermission"),
		LaunchPermission: &ec2api.LaunchPermissionModifications{Add: add}})
	return err
}

func (h *house) launch(as guard.Caller, image string, devices ...ec2api.BlockDeviceMapping) string {
	h.T.Helper()
	in := runRequest(devices...)
	in.ImageId = &image
	id := *ask[ec2api.Reservation](h.desk, as, in).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	return id
}

// textOn is what a volume of a running instance holds where filled writes.
func (h *house) textOn(account, volume string, n int) string {
	h.T.Helper()
	d, err := h.ec2.Disk(h.T.Context(), account, region, volume)
	h.Must(err)
	got := make([]byte, n)
	_, err = d.(io.ReaderAt).ReadAt(got, 1<<20)
	h.Must(err)
	return string(got)
}

// TestTheKeyIsChosenWithTheSnapshot: an image of a snapshot launches under the snapshot's key, that
// of a copy under the copy's. (S9)
func TestTheKeyIsChosenWithTheSnapshot(t *testing.T) {
	h := newHouse(t)
	user := h.scaling()
	first, second, third := h.key(seedPolicy(user.Principal.RoleARN)), h.key(seedPolicy(user.Principal.RoleARN)), h.key(seedPolicy(user.Principal.RoleARN))
	for _, k := range []string{first, second} {
		h.askKMS("PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &k, Policy: new(strings.Replace(seedPolicy(user.Principal.RoleARN), `"kms:Put*"`, `"kms:*"`, 1))})
	}
	snap := h.snapshot(h.owner(), h.filled(h.owner(), first, "golden image"))
	copied := *ask[ec2api.CopySnapshotResult](h.desk, h.owner(), &ec2api.CopySnapshotRequest{
		SourceRegion: new(region), SourceSnapshotId: &snap, Encrypted: new(true), KmsKeyId: &second, PresignedUrl: nil,
	}).SnapshotId
	h.Advance(time.Second)
	a, b := h.snapshotNow(h.owner(), snap), h.snapshotNow(h.owner(), copied)
	if *b.State != "completed" || *b.KmsKeyId != second || *b.VolumeId != "vol-ffffffff" || *a.DataEncryptionKeyId == *b.DataEncryptionKeyId {
		t.Errorf("copy: %+v", b)
	}
	if info, err := blockdev.ReadInfo(h.folder, copied); err != nil || info.Encryption.ContextID != copied || info.Kind != blockdev.KindSnapshot {
		t.Errorf("file: %+v, %v", info, err)
	}
	for name, tt := range map[string]struct {
		snapshot, want string
		devices        []ec2api.BlockDeviceMapping
	}{
		"snapshot": {snap, first, nil}, "copy": {copied, second, nil},
		"another key": {snap, third, []ec2api.BlockDeviceMapping{encrypted(rootDevice, third)}},
		"copy again":  {copied, third, []ec2api.BlockDeviceMapping{encrypted(rootDevice, third)}},
	} {
		img := h.register(h.owner(), "image of "+name, tt.snapshot)
		id := h.launch(user, img, tt.devices...)
		h.wantState(id, "running")
		v := h.volumeOn(id, rootDevice)
		if *v.KmsKeyId != tt.want || h.textOn(mine, *v.VolumeId, 12) != "golden image" {
			t.Errorf("%s: under %s, want %s; it holds %q", name, *v.KmsKeyId, tt.want, h.textOn(mine, *v.VolumeId, 12))
		}
	}
	if h.onDisk("golden image") {
		t.Error("the text is on disk in the clear")
	}
	h.noJobs()
}

func TestAnImageOfAnInstance(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	root, data := *h.volumeOn(id, rootDevice).VolumeId, *h.volumeOn(id, "/dev/sdf").VolumeId
	for _, v := range []string{root, data} {
		_, err := h.disk(v).WriteAt([]byte("on "+v), 1<<20)
		h.Must(err)
	}
	out := *ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{
		InstanceId: &id, Name: new("golden"), Description: new("d"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{
			{DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsBlockDevice{VolumeType: new("gp3"), DeleteOnTermination: new(false)}},
			{DeviceName: new("/dev/sdg"), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(2)), Encrypted: new(true)}},
		},
		TagSpecifications: []ec2api.TagSpecification{
			{ResourceType: new("image"), Tags: tagList("of", "image")}, {ResourceType: new("snapshot"), Tags: tagList("of", "snapshot")},
		},
	}).ImageId
	in := runRequest()
	in.ImageId = &out
	if got := h.image(h.owner(), out); *got.State != "pending" {
		t.Errorf("%+v", got)
	}
	h.refuse(h.owner(), in, "InvalidAMIID.Unavailable", "The image ID '"+out+"' is not available")
	h.restart()
	h.Advance(time.Second)
	h.wantState(id, "running")
	img := h.image(h.owner(), out)
	if *img.State != "available" || *img.SourceInstanceId != id || *img.RootDeviceName != rootDevice || len(img.BlockDeviceMappings) != 3 || len(img.Tags) != 1 || *img.Public {
		t.Fatalf("%+v", img)
	}
	byName := map[string]*ec2api.EbsBlockDevice{}
	for _, m := range img.BlockDeviceMappings {
		byName[*m.DeviceName] = m.Ebs
	}
	if d := byName[rootDevice]; *d.Encrypted || d.SnapshotId == nil || !*d.DeleteOnTermination {
		t.Errorf("root: %+v", d)
	}
	if d := byName["/dev/sdf"]; !*d.Encrypted || *d.VolumeType != "gp3" || *d.Iops != 3000 || *d.DeleteOnTermination {
		t.Errorf("data: %+v", d)
	}
	if d := byName["/dev/sdg"]; !*d.Encrypted || d.SnapshotId != nil || *d.VolumeSize != 2 {
		t.Errorf("empty: %+v", d)
	}
	snap := h.snapshotNow(h.owner(), *byName["/dev/sdf"].SnapshotId)
	if *snap.KmsKeyId != key || len(snap.Tags) != 1 || *snap.VolumeId != data {
		t.Errorf("%+v", snap)
	}
	second := h.launch(h.owner(), out)
	h.wantState(second, "running")
	for device, of := range map[string]string{rootDevice: root, "/dev/sdf": data} {
		v := h.volumeOn(second, device)
		if got := h.textOn(mine, *v.VolumeId, len("on "+of)); got != "on "+of {
			t.Errorf("%s holds %q", device, got)
		}
	}
	if v := h.volumeOn(second, "/dev/sdf"); *v.KmsKeyId != key || *v.VolumeType != "gp3" {
		t.Errorf("%+v", v)
	}
	if v := h.volumeOn(second, "/dev/sdg"); *v.KmsKeyId != h.managedKey() || *v.Size != 2 {
		t.Errorf("%+v", v)
	}
	h.noJobs()
}

func TestImageRefusals(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	snap := h.snapshot(h.owner(), *h.volumeOn(id, rootDevice).VolumeId)
	first := h.register(h.owner(), "taken", snap)
	root := func(e *ec2api.EbsBlockDevice) []ec2api.BlockDeviceMapping {
		return []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: e}}
	}
	registers := func(change func(*ec2api.RegisterImageRequest)) *ec2api.RegisterImageRequest {
		in := &ec2api.RegisterImageRequest{Name: new("free"), RootDeviceName: new(rootDevice), BlockDeviceMappings: root(&ec2api.EbsBlockDevice{SnapshotId: &snap})}
		change(in)
		return in
	}
	creates := func(change func(*ec2api.CreateImageRequest)) *ec2api.CreateImageRequest {
		in := &ec2api.CreateImageRequest{Name: new("free"), InstanceId: &id}
		change(in)
		return in
	}
	tests := []struct {
		name          string
		in            any
		code, message string
	}{
		{"name taken", registers(func(in *ec2api.RegisterImageRequest) { in.Name = new("taken") }), "InvalidAMIName.Duplicate", "AMI name taken is already in use by AMI " + first},
		{"name malformed", registers(func(in *ec2api.RegisterImageRequest) { in.Name = new("a*b") }), "InvalidAMIName.Malformed", "*"},
		{"name too short", registers(func(in *ec2api.RegisterImageRequest) { in.Name = new("ab") }), "InvalidAMIName.Malformed", "*"},
		{"name too long", registers(func(in *ec2api.RegisterImageRequest) { in.Name = new(strings.Repeat("a", 129)) }), "InvalidAMIName.Malformed", "*"},
		{"encryption is the snapshot's", registers(func(in *ec2api.RegisterImageRequest) { in.BlockDeviceMappings[0].Ebs.Encrypted = new(true) }), "InvalidBlockDeviceMapping", "*"},
		{"the key is the snapshot's", registers(func(in *ec2api.RegisterImageRequest) { in.BlockDeviceMappings[0].Ebs.KmsKeyId = new("alias/x") }), "InvalidParameterCombination", "*"},
		{"a hard disk to boot from", registers(func(in *ec2api.RegisterImageRequest) {
			in.BlockDeviceMappings[0].Ebs.VolumeType, in.BlockDeviceMappings[0].Ebs.VolumeSize = new("st1"), new(int32(500))
		}), "InvalidBlockDeviceMapping", "Volumes of type st1 cannot be used as root volume."},
		{"no root", registers(func(in *ec2api.RegisterImageRequest) { in.RootDeviceName = new("/dev/sda1") }), "InvalidBlockDeviceMapping", "*"},
		{"root without snapshot", registers(func(in *ec2api.RegisterImageRequest) {
			in.BlockDeviceMappings = root(&ec2api.EbsBlockDevice{VolumeSize: new(int32(8))})
		}), "InvalidBlockDeviceMapping", "*"},
		{"too small", registers(func(in *ec2api.RegisterImageRequest) { in.BlockDeviceMappings[0].Ebs.VolumeSize = new(int32(1)) }), "InvalidBlockDeviceMapping", "*"},
		{"no such snapshot", registers(func(in *ec2api.RegisterImageRequest) {
			in.BlockDeviceMappings[0].Ebs.SnapshotId = new("snap-00000000")
		}), "InvalidSnapshot.NotFound", "*"},
		{"TPM without UEFI", registers(func(in *ec2api.RegisterImageRequest) { in.TpmSupport = new("v2.0") }), "InvalidParameterCombination", "*"},
		{"TPM with BIOS", registers(func(in *ec2api.RegisterImageRequest) {
			in.TpmSupport, in.BootMode = new("v2.0"), new("legacy-bios")
		}), "InvalidParameterCombination", "*"},
		{"in S3", registers(func(in *ec2api.RegisterImageRequest) { in.ImageLocation = new("bucket/image") }), "UnsupportedOperation", "*"},
		{"dry run", registers(func(in *ec2api.RegisterImageRequest) { in.DryRun = new(true) }), "DryRunOperation", "*"},
		{"create: name taken", creates(func(in *ec2api.CreateImageRequest) { in.Name = new("taken") }), "InvalidAMIName.Duplicate", "*"},
		{"create: no such instance", creates(func(in *ec2api.CreateImageRequest) { in.InstanceId = new("i-00000000") }), "InvalidInstanceID.NotFound", "*"},
		{"create: no root", creates(func(in *ec2api.CreateImageRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), NoDevice: new("")}}
		}), "InvalidBlockDeviceMapping", "The root device /dev/xvda cannot be suppressed"},
		{"create: encryption is the volume's", creates(func(in *ec2api.CreateImageRequest) {
			in.BlockDeviceMappings = root(&ec2api.EbsBlockDevice{Encrypted: new(true)})
		}), "InvalidBlockDeviceMapping", "*"},
		{"create: dry run", creates(func(in *ec2api.CreateImageRequest) { in.DryRun = new(true) }), "DryRunOperation", "*"},
		{"delete: in use", &ec2api.DeleteSnapshotRequest{SnapshotId: &snap}, "InvalidSnapshot.InUse", "The snapshot " + snap + " is currently in use by " + first},
		{"delete: malformed", &ec2api.DeleteSnapshotRequest{SnapshotId: new("snap")}, "InvalidParameterValue", "Value (snap) for parameter snapshotId is invalid. Expected: 'snap-...'."},
		{"deregister: malformed", &ec2api.DeregisterImageRequest{ImageId: new("linux")}, "InvalidAMIID.Malformed", "*"},
		{"deregister: not there", &ec2api.DeregisterImageRequest{ImageId: new("ami-00000000")}, "InvalidAMIID.NotFound", "*"},
		{"deregister: of others", &ec2api.DeregisterImageRequest{ImageId: new(exampleImage)}, "AuthFailure", "Not authorized for image:" + exampleImage},
		{"snapshot of no volume", &ec2api.CreateSnapshotRequest{VolumeId: new("vol-00000000")}, "InvalidVolume.NotFound", "*"},
	}
	for _, tt := range tests {
		t.Log(tt.name)
		h.refuse(h.owner(), tt.in, tt.code, tt.message)
	}
	nobody := h.allowed("nobody", `["ec2:Describe*"]`, `"*"`, "")
	for _, in := range []any{
		registers(func(*ec2api.RegisterImageRequest) {}), creates(func(*ec2api.CreateImageRequest) {}), &ec2api.DeleteSnapshotRequest{SnapshotId: &snap},
		&ec2api.DeregisterImageRequest{ImageId: &first}, &ec2api.CreateSnapshotRequest{VolumeId: h.volumeOn(id, rootDevice).VolumeId},
		&ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &snap},
		&ec2api.CopyImageRequest{SourceRegion: new(region), SourceImageId: &first, Name: new("copy")},
		&ec2api.ResetImageAttributeRequest{ImageId: &first, Attribute: new("launchPermission")},
		&ec2api.ResetSnapshotAttributeRequest{SnapshotId: &snap, Attribute: new("createVolumePermission")},
		&ec2api.CreateSnapshotsRequest{InstanceSpecification: &ec2api.InstanceSpecification{InstanceId: &id}},
	} {
		h.refuse(nobody, in, "UnauthorizedOperation", "*")
	}
	files, err := blockdev.List(h.folder)
	h.Must(err)
	if len(files) != 2 { // the volume and the snapshot
		t.Errorf("files: %v", files)
	}
	res := ask[ec2api.DeregisterImageResult](h.desk, h.owner(), &ec2api.DeregisterImageRequest{ImageId: &first, DeleteAssociatedSnapshots: new(true)})
	if len(res.DeleteSnapshotResults) != 1 || *res.DeleteSnapshotResults[0].ReturnCode != "success" {
		t.Errorf("%+v", res)
	}
	if out := ask[ec2api.DescribeImagesResult](h.desk, h.owner(), &ec2api.DescribeImagesRequest{ImageIds: []string{first}}); len(out.Images) != 0 {
		t.Errorf("a deregistered image is listed: %+v", out.Images)
	}
	h.refuse(h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{snap}}, "InvalidSnapshot.NotFound", "*")
}

func TestSharing(t *testing.T) {
	h := newHouse(t)
	other := h.root(theirs)
	plain, secret := h.snapshot(h.owner(), h.filled(h.owner(), "", "text")), h.snapshot(h.owner(), h.filled(h.owner(), h.keyIn(mine), "text"))
	managed := h.snapshot(h.owner(), h.filled(h.owner(), h.managedKey(), "text"))
	add := func(snap, user, group string) *ec2api.ModifySnapshotAttributeRequest {
		return &ec2api.ModifySnapshotAttributeRequest{SnapshotId: &snap, CreateVolumePermission: &ec2api.CreateVolumePermissionModifications{
			Add: []ec2api.CreateVolumePermission{{UserId: api.Opt(user), Group: api.Opt(group)}},
		}}
	}
	h.refuse(h.owner(), add(managed, theirs, ""), "OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
	h.refuse(h.owner(), add(secret, "", "all"), "OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
	h.refuse(h.owner(), add(secret, "me", ""), "InvalidUserID.Malformed", "*")
	h.refuse(other, add(secret, theirs, ""), "InvalidSnapshot.NotFound", "*")
	see := func(as guard.Caller, in *ec2api.DescribeSnapshotsRequest) (ids []string) {
		for _, s := range ask[ec2api.DescribeSnapshotsResult](h.desk, as, in).Snapshots {
			if *s.OwnerId == mine {
				ids = append(ids, *s.SnapshotId)
			}
		}
		return ids
	}
	if got := see(other, &ec2api.DescribeSnapshotsRequest{}); len(got) != 0 {
		t.Errorf("another account sees %v", got)
	}
	h.share(h.owner(), secret, theirs, "777788889999")
	_, err := h.try(h.owner(), add(plain, "", "all"))
	h.Must(err)
	if got := see(other, &ec2api.DescribeSnapshotsRequest{}); len(got) != 2 || !slices.Contains(got, secret) || !slices.Contains(got, plain) {
		t.Errorf("another account sees %v", got)
	}
	if got := see(other, &ec2api.DescribeSnapshotsRequest{RestorableByUserIds: []string{"self"}}); !slices.Equal(got, []string{secret}) {
		t.Errorf("shared with it by name: %v", got)
	}
	if got := see(h.owner(), &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}}); len(got) != 3 {
		t.Errorf("own: %v", got)
	}
	about := ask[ec2api.DescribeSnapshotAttributeResult](h.desk, h.owner(), &ec2api.DescribeSnapshotAttributeRequest{SnapshotId: &secret, Attribute: new("createVolumePermission")})
	if p := about.CreateVolumePermissions; len(p) != 2 || *p[0].UserId != theirs || *p[1].UserId != "777788889999" {
		t.Errorf("%+v", p)
	}
	h.refuse(other, &ec2api.DescribeSnapshotAttributeRequest{SnapshotId: &secret, Attribute: new("createVolumePermission")}, "OperationNotPermitted", "*")
	h.refuse(other, &ec2api.DeleteSnapshotRequest{SnapshotId: &secret}, "OperationNotPermitted", "*")

	image := h.register(h.owner(), "secret image", secret)
	if err := h.shareImage(h.owner(), image, "all"); err == nil {
		t.Error("an image with an encrypted snapshot became public")
	}
	own := h.register(h.owner(), "managed image", managed)
	if err := h.shareImage(h.owner(), own, theirs); err == nil {
		t.Error("an image under the AWS managed key was shared")
	}
	h.refuse(other, &ec2api.DescribeImagesRequest{ImageIds: []string{image}}, "InvalidAMIID.NotFound", "*")
	h.Must(h.shareImage(h.owner(), image, theirs))
	if got := h.image(other, image); *got.OwnerId != mine || *got.Public || *got.ImageLocation != mine+"/secret image" {
		t.Errorf("%+v", got)
	}
	for users, want := range map[string]int{"self": 1, theirs: 1, "777788889999": 0} {
		found := ask[ec2api.DescribeImagesResult](h.desk, other, &ec2api.DescribeImagesRequest{ExecutableUsers: []string{users}})
		if len(found.Images) != want {
			t.Errorf("executable by %s: %d", users, len(found.Images))
		}
	}
	perms := ask[ec2api.ImageAttribute](h.desk, h.owner(), &ec2api.DescribeImageAttributeRequest{ImageId: &image, Attribute: new("launchPermission")})
	if len(perms.LaunchPermissions) != 1 || *perms.LaunchPermissions[0].UserId != theirs {
		t.Errorf("%+v", perms)
	}
	for _, in := range []any{
		&ec2api.ModifySnapshotAttributeRequest{SnapshotId: &plain, OperationType: new("remove"), GroupNames: []string{"all"}, Attribute: new("createVolumePermission")},
		&ec2api.ResetSnapshotAttributeRequest{SnapshotId: &secret, Attribute: new("createVolumePermission")},
		&ec2api.ResetImageAttributeRequest{ImageId: &image, Attribute: new("launchPermission")},
		&ec2api.ModifyImageAttributeRequest{ImageId: &image, Description: &ec2api.AttributeValue{Value: new("new")}},
	} {
		_, err := h.try(h.owner(), in)
		h.Must(err)
	}
	if got := see(other, &ec2api.DescribeSnapshotsRequest{}); len(got) != 0 {
		t.Errorf("another account still sees %v", got)
	}
	if got := *h.image(h.owner(), image).Description; got != "new" {
		t.Error(got)
	}
	in := runRequest()
	in.ImageId = &image
	h.refuse(other, in, "InvalidAMIID.NotFound", "*")
}

// TestSharingIsDecidedByWhom: the condition keys of the change.
func TestSharingIsDecidedByWhom(t *testing.T) {
	h := newHouse(t)
	snap := h.snapshot(h.owner(), h.filled(h.owner(), "", "text"))
	user := h.allowed("sharer", `"ec2:ModifySnapshotAttribute"`, `"arn:aws:ec2:`+region+`::snapshot/*"`,
		`{"StringEquals":{"ec2:Add/userId":"`+theirs+`","ec2:Owner":"`+mine+`"}}`)
	for account, ok := range map[string]bool{theirs: true, "777788889999": false} {
		_, err := h.try(user, &ec2api.ModifySnapshotAttributeRequest{SnapshotId: &snap, CreateVolumePermission: &ec2api.CreateVolumePermissionModifications{
			Add: []ec2api.CreateVolumePermission{{UserId: &account}},
		}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", account, err)
		}
	}
}

func TestSnapshotsOfAnInstance(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key), encrypted("/dev/sdg", key))
	data := *h.volumeOn(id, "/dev/sdf").VolumeId
	_, err := h.try(h.owner(), &ec2api.CreateTagsRequest{Resources: []string{data}, Tags: tagList("Name", "data")})
	h.Must(err)
	out := ask[ec2api.CreateSnapshotsResult](h.desk, h.owner(), &ec2api.CreateSnapshotsRequest{
		InstanceSpecification: &ec2api.InstanceSpecification{InstanceId: &id, ExcludeBootVolume: new(true), ExcludeDataVolumeIds: []string{*h.volumeOn(id, "/dev/sdg").VolumeId}},
		CopyTagsFromSource:    new("volume"),
	})
	if len(out.Snapshots) != 1 || *out.Snapshots[0].VolumeId != data || *out.Snapshots[0].State != "pending" || len(out.Snapshots[0].Tags) != 1 {
		t.Fatalf("%+v", out)
	}
	h.Advance(time.Second)
	if got := h.snapshotNow(h.owner(), *out.Snapshots[0].SnapshotId); *got.State != "completed" || *got.KmsKeyId != key || len(got.Tags) != 1 {
		t.Errorf("%+v", got)
	}
}

// The instance store volumes that a mapping names are shown, although hosts here have none.
func TestImagesShowInstanceStoreVolumes(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	snap := *ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: h.volumeOn(id, rootDevice).VolumeId}).SnapshotId
	h.Advance(time.Minute)
	store := ec2api.BlockDeviceMapping{DeviceName: new("/dev/sdb"), VirtualName: new("ephemeral0")}
	registered := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), &ec2api.RegisterImageRequest{
		Name: new("one"), RootDeviceName: new(rootDevice), BlockDeviceMappings: []ec2api.BlockDeviceMapping{
			{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &snap}}, store,
		},
	}).ImageId
	made := *ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{
		Name: new("two"), InstanceId: &id, BlockDeviceMappings: []ec2api.BlockDeviceMapping{store},
	}).ImageId
	h.Advance(time.Minute)
	copied := *ask[ec2api.CopyImageResult](h.desk, h.owner(), &ec2api.CopyImageRequest{Name: new("three"), SourceImageId: &registered, SourceRegion: new(region)}).ImageId
	for _, image := range []string{registered, made, copied} {
		got := ask[ec2api.DescribeImagesResult](h.desk, h.owner(), &ec2api.DescribeImagesRequest{ImageIds: []string{image}}).Images[0].BlockDeviceMappings
		if len(got) != 2 || *got[1].DeviceName != "/dev/sdb" || *got[1].VirtualName != "ephemeral0" || got[1].Ebs != nil {
			t.Errorf("%s: %+v", image, got)
		}
	}
}

// The bounds of IOPS and throughput are those of launches.
func TestRegisteredMappingsKeepTheirPerformance(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	snap := *ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: h.volumeOn(id, rootDevice).VolumeId}).SnapshotId
	h.Advance(time.Minute)
	in := &ec2api.RegisterImageRequest{Name: new("one"), Architecture: new("x86_64"), VirtualizationType: new("hvm"), RootDeviceName: new(rootDevice), BlockDeviceMappings: []ec2api.BlockDeviceMapping{
		{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &snap}},
		{DeviceName: new("/dev/sdb"), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(10)), VolumeType: new("gp3"), Iops: new(int32(100)), Throughput: new(int32(500))}},
	}}
	image := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), in).ImageId
	if e := h.image(h.owner(), image).BlockDeviceMappings[1].Ebs; *e.Iops != 100 || *e.Throughput != 500 || *e.VolumeType != "gp3" || *e.VolumeSize != 10 {
		t.Errorf("the mapping is %+v", e)
	}
	run := runRequest()
	run.ImageId = &image
	h.refuse(h.owner(), run, "InvalidParameterValue", "Volume iops of 100 is too low; minimum is 3000.")
	in.Name, in.BlockDeviceMappings[1].Ebs.VolumeType = new("two"), new("st1")
	h.refuse(h.owner(), in, "InvalidParameterValue", "Volume of 10GiB is too small for volume type st1; minimum is 125GiB.")
	in.BlockDeviceMappings[1].Ebs.VolumeType = new("gp2")
	h.refuse(h.owner(), in, "InvalidParameterCombination", "The parameter throughput is not supported for gp2 volumes.")
}

// A copy is neither deprecated nor protected, as its source is.
func TestCopiesOfDeprecatedAndProtectedImages(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	source := ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{Name: new("source"), InstanceId: &id}).ImageId
	h.Advance(time.Minute)
	ask[ec2api.EnableImageDeprecationResult](h.desk, h.owner(), &ec2api.EnableImageDeprecationRequest{ImageId: source, DeprecateAt: new(h.Clock.Now().AddDate(1, 0, 0))})
	ask[ec2api.EnableImageDeregistrationProtectionResult](h.desk, h.owner(), &ec2api.EnableImageDeregistrationProtectionRequest{ImageId: source, WithCooldown: new(true)})
	made := ask[ec2api.CopyImageResult](h.desk, h.owner(), &ec2api.CopyImageRequest{Name: new("source"), SourceImageId: source, SourceRegion: new(region)}).ImageId
	h.Advance(time.Minute)
	got := ask[ec2api.DescribeImagesResult](h.desk, h.owner(), &ec2api.DescribeImagesRequest{ImageIds: []string{*source, *made}}).Images
	if *got[0].ImageId != *source {
		got[0], got[1] = got[1], got[0]
	}
	if got[0].DeprecationTime == nil || got[1].DeprecationTime != nil {
		t.Errorf("deprecated from %v and %v", got[0].DeprecationTime, got[1].DeprecationTime)
	}
	if *got[1].Name != "source" { // the copy of an image may have its name
		t.Errorf("the copy is called %s", *got[1].Name)
	}
	ask[ec2api.DeregisterImageResult](h.desk, h.owner(), &ec2api.DeregisterImageRequest{ImageId: made})
}

// A copy has the description that was given, also an empty one; else that of its source.
func TestDescriptionsOfCopiedImages(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	source := *ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{Name: new("source"), InstanceId: &id, Description: new("golden")}).ImageId
	h.Advance(time.Minute)
	for name, tt := range map[string]struct{ given, want *string }{
		"absent": {nil, new("golden")}, "empty": {new(""), nil}, "own": {new("copper"), new("copper")},
	} {
		made := ask[ec2api.CopyImageResult](h.desk, h.owner(), &ec2api.CopyImageRequest{
			Name: &name, SourceImageId: &source, SourceRegion: new(region), Description: tt.given,
		})
		got := ask[ec2api.DescribeImagesResult](h.desk, h.owner(), &ec2api.DescribeImagesRequest{ImageIds: []string{*made.ImageId}}).Images[0].Description
		if (got == nil) != (tt.want == nil) || api.Val(got) != api.Val(tt.want) {
			t.Errorf("%s: the description is %q", name, api.Val(got))
		}
	}
}
