package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
)

const zoneA = region + "a"

func (h *house) create(in *ec2api.CreateVolumeRequest) *ec2api.Volume {
	h.T.Helper()
	in.AvailabilityZone = new(zoneA)
	return ask[ec2api.Volume](h.desk, h.owner(), in)
}

func TestCreateVolumeShowsTheKeyAsPassedUntilItIsMade(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	h.askKMS("CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/data"), TargetKeyId: &key})
	v := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(2)), Encrypted: new(true), KmsKeyId: new("alias/data"),
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("volume"), Tags: tagList("Name", "v")}}})
	if *v.State != "creating" || *v.KmsKeyId != "alias/data" || !*v.Encrypted || *v.VolumeType != "gp2" || *v.Iops != 100 {
		t.Errorf("answer: %+v", v)
	}
	h.Advance(time.Second)
	got := h.volumes(filter("volume-id", *v.VolumeId))[0]
	if *got.State != "available" || *got.KmsKeyId != key || len(got.Tags) != 1 || len(got.Attachments) != 0 {
		t.Errorf("volume: %+v", got)
	}
	if info, err := blockdev.ReadInfo(h.folder, *v.VolumeId); err != nil || info.Encryption == nil || info.Encryption.KeyARN != key ||
		info.Encryption.ContextID != *v.VolumeId || info.Size != 2<<30 {
		t.Errorf("file: %+v, %v", info, err)
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("an empty volume has %d grants", len(g))
	}
}

// A volume for which no key is named shows the default one at once, also the AWS managed key before its first use.
func TestCreateVolumeShowsTheDefaultKey(t *testing.T) {
	h := newHouse(t)
	managed := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true)})
	key := h.key("")
	ask[ec2api.ModifyEbsDefaultKmsKeyIdResult](h.desk, h.owner(), &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &key})
	own := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true)})
	plain := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1))})
	h.Advance(time.Second)
	for _, v := range []*ec2api.Volume{managed, own, plain} {
		if made := h.volumes(filter("volume-id", *v.VolumeId))[0]; api.Val(made.KmsKeyId) != api.Val(v.KmsKeyId) {
			t.Errorf("the answer shows %q, the volume %q", api.Val(v.KmsKeyId), api.Val(made.KmsKeyId))
		}
	}
	if *own.KmsKeyId != key || api.Val(managed.KmsKeyId) == "" || plain.KmsKeyId != nil {
		t.Errorf("default %q, managed %q, plain %q", *own.KmsKeyId, api.Val(managed.KmsKeyId), api.Val(plain.KmsKeyId))
	}
}

// TestAVolumeThatCannotBeMadeDisappears whatever the reason, and nobody is told more than that.
func TestAVolumeThatCannotBeMadeDisappears(t *testing.T) {
	h := newHouse(t)
	disabled, denied := h.key(""), h.key(viaEC2("arn:aws:iam::"+mine+":root", "kms:Encrypt"))
	h.askKMS("DisableKey", &kmsapi.DisableKeyRequest{KeyId: &disabled})
	for name, key := range map[string]string{
		"unknown id": "1234abcd-12ab-34cd-56ef-1234567890ab", "unknown alias": "alias/nothing", "disabled": disabled, "denied": denied,
		"another region": "arn:aws:kms:eu-west-1:" + mine + ":key/1234abcd-12ab-34cd-56ef-1234567890ab",
		"not a key":      "arn:aws:s3:::bucket",
	} {
		t.Run(name, func(t *testing.T) {
			in := &ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key, ClientToken: new("token " + name)}
			v := h.create(in)
			if *v.State != "creating" || *v.KmsKeyId != key {
				t.Errorf("answer: %+v", v)
			}
			again := h.create(in)
			if *again.VolumeId != *v.VolumeId {
				t.Error("the same token made another volume")
			}
			h.Advance(time.Second)
			h.refuse(h.owner(), &ec2api.DescribeVolumesRequest{VolumeIds: []string{*v.VolumeId}}, "InvalidVolume.NotFound",
				"The volume '"+*v.VolumeId+"' does not exist.")
			h.refuse(h.owner(), in, "IdempotentParameterMismatch", "*")
			if name == "denied" {
				h.wantDenied(*v.VolumeId, "kms:GenerateDataKeyWithoutPlaintext")
			}
		})
	}
	h.wantNothing()
}

func (h *house) wantNothing() {
	h.T.Helper()
	if vols := h.volumes(); len(vols) != 0 {
		h.T.Errorf("%d volumes are left", len(vols))
	}
	if files, err := blockdev.List(h.folder); err != nil || len(files) != 0 {
		h.T.Errorf("files are left: %v, %v", files, err)
	}
	h.noJobs()
}

func TestCreateVolumeRefusals(t *testing.T) {
	h := newHouse(t)
	one := new(int32(1))
	tests := []struct {
		name          string
		in            ec2api.CreateVolumeRequest
		code, message string
	}{
		{"a key needs Encrypted", ec2api.CreateVolumeRequest{Size: one, KmsKeyId: new("alias/x")},
			"InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."},
		{"even Encrypted=false", ec2api.CreateVolumeRequest{Size: one, KmsKeyId: new("alias/x"), Encrypted: new(false)}, "InvalidParameterDependency", "*"},
		{"size or snapshot", ec2api.CreateVolumeRequest{}, "MissingParameter", "The request must contain the parameter size or snapshotId"},
		{"unknown type", ec2api.CreateVolumeRequest{Size: one, VolumeType: new("gp9")}, "*", "*"},
		{"too large", ec2api.CreateVolumeRequest{Size: new(int32(16385))}, "InvalidParameterValue", "Volume of 16385GiB is too large for volume type gp2; maximum is 16384GiB."},
		{"io1 needs iops", ec2api.CreateVolumeRequest{Size: new(int32(4)), VolumeType: new("io1")}, "MissingParameter", "The parameter iops must be specified for io1 volumes."},
		{"gp2 has none", ec2api.CreateVolumeRequest{Size: one, Iops: new(int32(3000))}, "InvalidParameterCombination", "The parameter iops is not supported for gp2 volumes."},
		{"gp3 throughput", ec2api.CreateVolumeRequest{Size: one, VolumeType: new("gp3"), Throughput: new(int32(900))}, "InvalidParameterValue", "*"},
		{"unknown snapshot", ec2api.CreateVolumeRequest{SnapshotId: new("snap-0123456789abcdef0")}, "InvalidSnapshot.NotFound", "*"},
		{"multi-attach", ec2api.CreateVolumeRequest{Size: one, MultiAttachEnabled: new(true)}, "InvalidParameterCombination", "*"},
		{"dry run", ec2api.CreateVolumeRequest{Size: one, DryRun: new(true)}, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
	}
	for _, tt := range tests {
		tt.in.AvailabilityZone = new(zoneA)
		if tt.code == "*" {
			if _, err := h.try(h.owner(), &tt.in); err == nil {
				t.Errorf("%s: no error", tt.name)
			}
			continue
		}
		t.Log(tt.name)
		h.refuse(h.owner(), &tt.in, tt.code, tt.message)
	}
	h.refuse(h.owner(), &ec2api.CreateVolumeRequest{Size: one, AvailabilityZone: new("mars-1a")}, "InvalidZone.NotFound", "The zone 'mars-1a' does not exist.")
	h.refuse(h.allowed("nobody", `"ec2:Describe*"`, `"*"`, ""), &ec2api.CreateVolumeRequest{Size: one, AvailabilityZone: new(zoneA)}, "UnauthorizedOperation", "*")
	h.wantNothing()
}

func TestGP3HasItsPerformanceWhenNobodyAsks(t *testing.T) {
	h := newHouse(t)
	v := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), VolumeType: new("gp3")})
	if *v.Iops != 3000 || *v.Throughput != 125 {
		t.Errorf("%+v", v)
	}
}

func TestAttachAndDetach(t *testing.T) {
	h := newHouse(t)
	user := h.launcher()
	key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"))
	id := h.run(user)
	v := *ask[ec2api.Volume](h.desk, user, &ec2api.CreateVolumeRequest{
		AvailabilityZone: h.instance(id).Placement.AvailabilityZone, Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key,
	}).VolumeId
	attach := &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &v, Device: new("/dev/sdf")}
	h.refuse(user, attach, "IncorrectState", v+" is not 'available'.")
	h.Advance(time.Second)
	out := ask[ec2api.VolumeAttachment](h.desk, user, attach)
	if *out.State != "attaching" || *out.Device != "/dev/sdf" || *out.DeleteOnTermination {
		t.Errorf("%+v", out)
	}
	if got := h.volumeOn(id, "/dev/sdf"); *got.Attachments[0].State != "attached" || *got.State != "in-use" {
		t.Errorf("%+v", got)
	}
	if _, err := h.disk(v).WriteAt([]byte("kept"), 0); err != nil {
		t.Error(err)
	}
	if g := h.grants(key); len(g) != 1 {
		t.Errorf("%d grants", len(g))
	}
	h.refuse(user, attach, "VolumeInUse", v+" is already attached to an instance")
	h.refuse(user, &ec2api.DeleteVolumeRequest{VolumeId: &v}, "VolumeInUse", "Volume "+v+" is currently attached to "+id)
	back := ask[ec2api.VolumeAttachment](h.desk, user, &ec2api.DetachVolumeRequest{VolumeId: &v})
	if *back.State != "detaching" || *back.InstanceId != id {
		t.Errorf("%+v", back)
	}
	if _, err := h.ec2.Disk(t.Context(), mine, region, v); err == nil {
		t.Error("the host still holds the volume")
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants", len(g))
	}
	if i := h.instance(id); len(i.BlockDeviceMappings) != 1 {
		t.Errorf("%+v", i.BlockDeviceMappings)
	}
	h.refuse(user, &ec2api.DetachVolumeRequest{VolumeId: &v}, "IncorrectState", "Volume '"+v+"' is in the 'available' state.")
	_, err := h.try(user, &ec2api.DeleteVolumeRequest{VolumeId: &v})
	h.Must(err)
	h.noJobs()
}

func TestAttachVolumeTellsAtOnceThatTheKeyIsOutOfReach(t *testing.T) {
	h := newHouse(t)
	user := h.launcher()
	key := h.key(viaEC2(user.Principal.ARN, "kms:GenerateDataKeyWithoutPlaintext"))
	id := h.run(user)
	v := *ask[ec2api.Volume](h.desk, user, &ec2api.CreateVolumeRequest{
		AvailabilityZone: h.instance(id).Placement.AvailabilityZone, Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key,
	}).VolumeId
	h.Advance(time.Second)
	h.refuse(user, &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &v, Device: new("/dev/sdf")}, "CustomerKeyHasBeenRevoked",
		"Volume "+v+" cannot be attached. The encrypted volume was unable to access the KMS key.")
	if got := h.volumes(filter("volume-id", v))[0]; *got.State != "available" || len(got.Attachments) != 0 {
		t.Errorf("%+v", got)
	}
	h.wantDenied(v, "kms:CreateGrant")
	h.noJobs()
}

// TestAVolumeAttachedToAStoppedInstanceIsHeldByNobody until it starts.
func TestAVolumeAttachedToAStoppedInstanceIsHeldByNobody(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner())
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	v := *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key}).VolumeId
	h.Advance(time.Second)
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &v, Device: new("/dev/sdf")})
	if _, err := h.ec2.Disk(t.Context(), mine, region, v); err == nil || len(h.grants(key)) != 0 {
		t.Errorf("held by the host (%v), or by %d grants", err, len(h.grants(key)))
	}
	h.noJobs()
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(2 * time.Second)
	h.wantState(id, "running")
	h.disk(v)
}

func TestAttachmentRefusals(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	v := *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1))}).VolumeId
	far := *ask[ec2api.Volume](h.desk, h.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(region + "b"), Size: new(int32(1))}).VolumeId
	h.Advance(time.Second)
	root := *h.volumeOn(id, rootDevice).VolumeId
	gone := "i-0123456789abcdef0"
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &far, Device: new("/dev/sdf")}, "InvalidVolume.ZoneMismatch", "*")
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &v, Device: new(rootDevice)}, "InvalidParameterValue",
		"Invalid value '/dev/xvda' for unixDevice. Attachment point /dev/xvda is already in use")
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &gone, VolumeId: &v, Device: new("/dev/sdf")}, "InvalidInstanceID.NotFound", "*")
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: new("i-1"), VolumeId: &v, Device: new("/dev/sdf")}, "InvalidInstanceID.Malformed", "*")
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: new("vol-0123456789abcdef0"), Device: new("/dev/sdf")}, "InvalidVolume.NotFound", "*")
	h.refuse(h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &root}, "OperationNotPermitted", "Unable to detach root volume '"+root+"' from instance '"+id+"'")
	h.refuse(h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &root, InstanceId: &gone}, "InvalidAttachment.NotFound", "*")
	h.refuse(h.root(theirs), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &v, Device: new("/dev/sdf")}, "InvalidVolume.NotFound", "*")
}

// TestVolumesFromEncryptedSnapshots: under the same key the data key is kept, under another it is
// fresh; the content is the same.
func TestVolumesFromEncryptedSnapshots(t *testing.T) {
	h := newHouse(t)
	first, second := h.key(""), h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", first))
	v := *h.volumeOn(id, "/dev/sdf").VolumeId
	if _, err := h.disk(v).WriteAt([]byte("from the snapshot"), 1<<20); err != nil {
		t.Fatal(err)
	}
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &v})
	snap := *ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &v}).SnapshotId
	h.Advance(time.Second)
	before, err := blockdev.ReadInfo(h.folder, v)
	h.Must(err)
	tests := []struct {
		name, key, want string
		kept            bool
	}{
		{"the snapshot's key", "", first, true},
		{"the same key by name", first, first, true},
		{"another key", second, second, false},
	}
	for n, tt := range tests {
		in := &ec2api.CreateVolumeRequest{SnapshotId: &snap, KmsKeyId: api.Opt(tt.key)}
		if tt.key != "" {
			in.Encrypted = new(true)
		}
		made := *h.create(in).VolumeId
		h.Advance(time.Second)
		device := "/dev/sd" + string(rune('g'+n))
		ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &made, Device: &device})
		got := make([]byte, 17)
		if _, err := h.disk(made).ReadAt(got, 1<<20); err != nil || string(got) != "from the snapshot" {
			t.Errorf("%s: content is %q, %v", tt.name, got, err)
		}
		info, err := blockdev.ReadInfo(h.folder, made)
		h.Must(err)
		if kept := info.Encryption.DataKeyID == before.Encryption.DataKeyID; kept != tt.kept || info.Encryption.KeyARN != tt.want {
			t.Errorf("%s: %+v", tt.name, info.Encryption)
		}
	}
	if n := len(h.grants(first)) + len(h.grants(second)); n != len(tests) {
		t.Errorf("%d grants for %d attached volumes", n, len(tests))
	}
	h.refuse(h.root(theirs), &ec2api.CreateVolumeRequest{SnapshotId: &snap, AvailabilityZone: new(zoneA)}, "InvalidSnapshot.NotFound", "*")
	h.noJobs()
}
