package ec2_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
)

// abroad is a key of account theirs that only its owner may use, and a grant on it for the
// service-linked role of account mine. Source: EC2 Auto Scaling User Guide, "Example: customer
// managed key access from other accounts".
type abroad struct {
	*house
	key     string
	scaling guard.Caller
	grant   string
}

func newAbroad(t *testing.T) *abroad {
	t.Helper()
	h := newHouse(t)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + theirs + `"},"Action":"kms:*","Resource":"*"}]}`
	a := &abroad{house: h, scaling: h.scaling()}
	a.key = *a.theirKMS("CreateKey", &kmsapi.CreateKeyRequest{Policy: &policy}).(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
	a.admit()
	return a
}

// theirKMS serves a request to KMS as the owner of the key.
func (a *abroad) theirKMS(op string, in any) any {
	a.T.Helper()
	out, err := a.Invoke(a.T.Context(), a.root(theirs), kmsapi.Service(), a.kms.Operations(), op, in)
	a.Must(err)
	return out
}

// admit makes the grant for the role.
func (a *abroad) admit() {
	a.T.Helper()
	out := a.theirKMS("CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &a.key, GranteePrincipal: &a.scaling.Principal.RoleARN,
		Operations: []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"},
	}).(*kmsapi.CreateGrantResponse)
	a.grant = *out.GrantId
}

func (a *abroad) revoke() {
	a.T.Helper()
	a.theirKMS("RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: &a.key, GrantId: &a.grant})
}

// children are the grants on the key but that of the role.
func (a *abroad) children() (out []kmsapi.GrantListEntry) {
	a.T.Helper()
	for _, g := range a.theirKMS("ListGrants", &kmsapi.ListGrantsRequest{KeyId: &a.key}).(*kmsapi.ListGrantsResponse).Grants {
		if *g.GrantId != a.grant {
			out = append(out, g)
		}
	}
	return out
}

// sharedImage is an image of account theirs under its key, shared with account mine.
func (a *abroad) sharedImage() string {
	a.T.Helper()
	owner := a.root(theirs)
	id := a.register(owner, "golden", a.snapshot(owner, a.filled(owner, a.key, "from abroad")))
	a.Must(a.shareImage(owner, id, mine))
	return id
}

// TestLaunchesUnderTheKeyOfAnotherAccount through a grant for the role alone. (S28)
func TestLaunchesUnderTheKeyOfAnotherAccount(t *testing.T) {
	a := newAbroad(t)
	img := a.sharedImage()
	plain := a.launch(a.scaling, exampleImage, encrypted(rootDevice, a.key))
	shared := a.launch(a.scaling, img, encrypted(rootDevice, a.key))
	own := a.launch(a.scaling, img)
	for _, id := range []string{plain, shared, own} {
		a.wantState(id, "running")
	}
	for id, want := range map[string]string{plain: a.key, shared: a.key, own: a.managedKey()} {
		if v := a.volumeOn(id, rootDevice); *v.KmsKeyId != want {
			t.Errorf("%s is under %s, want %s", id, *v.KmsKeyId, want)
		}
	}
	for _, id := range []string{shared, own} {
		if got := a.textOn(mine, *a.volumeOn(id, rootDevice).VolumeId, 11); got != "from abroad" {
			t.Errorf("%s holds %q", id, got)
		}
	}
	children := a.children()
	if len(children) != 2 {
		t.Fatalf("%d child grants", len(children))
	}
	for _, g := range children {
		if !strings.HasPrefix(*g.GranteePrincipal, "arn:aws:sts::"+mine+":assumed-role/aws:ec2-infrastructure/i-") || *g.IssuingAccount != "arn:aws:iam::"+mine+":root" {
			t.Errorf("%+v", g)
		}
	}
	if a.onDisk("from abroad") {
		t.Error("the text is on disk in the clear")
	}
	a.noJobs()
}

// TestASharedImageNeedsItsKeyToo: sharing makes no grant, and what a stranger may not use fails.
func TestASharedImageNeedsItsKeyToo(t *testing.T) {
	a := newAbroad(t)
	img := a.sharedImage()
	a.revoke()
	id := a.launch(a.scaling, img)
	a.wantState(id, "terminated")
	a.wantDenied(id, "kms:ReEncryptFrom")
	if g := a.children(); len(g) != 0 {
		t.Errorf("%d grants are left", len(g))
	}
	a.noJobs()
}

// TestARevokedGrant: what runs goes on, nothing new begins, and a new grant brings everything back.
// (S34)
func TestARevokedGrant(t *testing.T) {
	a := newAbroad(t)
	runs := a.launch(a.scaling, exampleImage, encrypted("/dev/sdf", a.key))
	rests := a.launch(a.scaling, exampleImage, encrypted("/dev/sdf", a.key))
	data := *a.volumeOn(runs, "/dev/sdf").VolumeId
	write := func(text string) {
		if _, err := a.disk(data).WriteAt([]byte(text), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	snap := a.snapshot(a.scaling, data)
	a.revoke()

	write("during")
	if got := a.textOn(mine, data, 6); got != "during" {
		t.Errorf("the running instance reads %q", got)
	}
	failed := a.launch(a.scaling, exampleImage, encrypted("/dev/sdf", a.key))
	a.wantState(failed, "terminated")

	ask[ec2api.StopInstancesResult](a.desk, a.scaling, &ec2api.StopInstancesRequest{InstanceIds: []string{rests}})
	a.Advance(2 * time.Second)
	start := func() {
		ask[ec2api.StartInstancesResult](a.desk, a.scaling, &ec2api.StartInstancesRequest{InstanceIds: []string{rests}})
		a.Advance(3 * time.Second)
	}
	start()
	a.wantState(rests, "stopped")
	if got := a.instance(rests).StateReason; *got.Code != "Client.InvalidKMSKey.InvalidState" {
		t.Errorf("%+v", got)
	}

	ask[ec2api.VolumeAttachment](a.desk, a.scaling, &ec2api.DetachVolumeRequest{VolumeId: &data})
	attach := &ec2api.AttachVolumeRequest{InstanceId: &runs, VolumeId: &data, Device: new("/dev/sdf")}
	a.refuse(a.scaling, attach, "CustomerKeyHasBeenRevoked", "Volume "+data+" cannot be attached. The encrypted volume was unable to access the KMS key.")

	copied := *ask[ec2api.CopySnapshotResult](a.desk, a.scaling, &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &snap}).SnapshotId
	a.Advance(2 * time.Second)
	if got := a.snapshotNow(a.scaling, copied); *got.State != "error" || *got.StateMessage != "Given key ID is not accessible" || *got.Progress != "0%" {
		t.Errorf("%+v", got)
	}
	a.wantDenied(copied, "kms:ReEncryptFrom")

	a.admit()
	ask[ec2api.VolumeAttachment](a.desk, a.scaling, attach)
	if got := a.textOn(mine, data, 6); got != "during" {
		t.Errorf("after all this the volume holds %q", got)
	}
	start()
	a.wantState(rests, "running")
	a.wantState(a.launch(a.scaling, exampleImage, encrypted("/dev/sdf", a.key)), "running")
	v := *ask[ec2api.Volume](a.desk, a.scaling, &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), SnapshotId: &snap}).VolumeId
	a.Advance(time.Second)
	ask[ec2api.VolumeAttachment](a.desk, a.scaling, &ec2api.AttachVolumeRequest{InstanceId: &runs, VolumeId: &v, Device: new("/dev/sdg")})
	if got := a.textOn(mine, v, 6); got != "before" {
		t.Errorf("a volume of the snapshot holds %q", got)
	}
	a.noJobs()
}

// TestADisabledKeyIsLikeARevokedGrant and enabling it again heals.
func TestADisabledKeyIsLikeARevokedGrant(t *testing.T) {
	a := newAbroad(t)
	id := a.launch(a.scaling, exampleImage, encrypted("/dev/sdf", a.key))
	data := *a.volumeOn(id, "/dev/sdf").VolumeId
	a.theirKMS("DisableKey", &kmsapi.DisableKeyRequest{KeyId: &a.key})
	if _, err := a.disk(data).WriteAt([]byte("during"), 1<<20); err != nil {
		t.Error(err)
	}
	ask[ec2api.VolumeAttachment](a.desk, a.scaling, &ec2api.DetachVolumeRequest{VolumeId: &data})
	attach := &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &data, Device: new("/dev/sdf")}
	a.refuse(a.scaling, attach, "CustomerKeyHasBeenRevoked", "*")
	a.theirKMS("EnableKey", &kmsapi.EnableKeyRequest{KeyId: &a.key})
	ask[ec2api.VolumeAttachment](a.desk, a.scaling, attach)
	if got := a.textOn(mine, data, 6); got != "during" {
		t.Errorf("the volume holds %q", got)
	}
}

// TestADeletedKeyTakesTheDataWithIt once nobody holds the data key in memory any more.
func TestADeletedKeyTakesTheDataWithIt(t *testing.T) {
	a := newAbroad(t)
	id := a.launch(a.scaling, exampleImage, encrypted("/dev/sdf", a.key))
	data := *a.volumeOn(id, "/dev/sdf").VolumeId
	snap := a.snapshot(a.scaling, data)
	a.theirKMS("ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &a.key, PendingWindowInDays: new(int32(7))})
	a.Advance(8 * 24 * time.Hour)
	if _, err := a.disk(data).WriteAt([]byte("during"), 1<<20); err != nil {
		t.Error(err)
	}
	ask[ec2api.VolumeAttachment](a.desk, a.scaling, &ec2api.DetachVolumeRequest{VolumeId: &data})
	a.refuse(a.scaling, &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &data, Device: new("/dev/sdf")}, "CustomerKeyHasBeenRevoked", "*")
	v := *ask[ec2api.Volume](a.desk, a.scaling, &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), SnapshotId: &snap}).VolumeId
	a.Advance(2 * time.Second)
	a.refuse(a.scaling, &ec2api.DescribeVolumesRequest{VolumeIds: []string{v}}, "InvalidVolume.NotFound", "*")
	for _, in := range []any{&ec2api.DeleteVolumeRequest{VolumeId: &data}, &ec2api.DeleteSnapshotRequest{SnapshotId: &snap}} {
		_, err := a.try(a.scaling, in) // what cannot be read can be deleted
		a.Must(err)
	}
	a.noJobs()
}

// TestCopiesOfImages: own ones keep their key, shared ones get the account's, or the one that is
// named; without the snapshot's permission there is no copy.
func TestCopiesOfImages(t *testing.T) {
	h := newHouse(t)
	other, foreign, named := h.root(theirs), h.keyIn(theirs), h.keyIn(mine)
	snap := h.snapshot(other, h.filled(other, foreign, "golden image"))
	img := h.register(other, "golden", snap)
	h.Must(h.shareImage(other, img, mine))
	copyImage := func(as guard.Caller, from, name, key string) string {
		in := &ec2api.CopyImageRequest{SourceRegion: new(region), SourceImageId: &from, Name: &name, KmsKeyId: api.Opt(key), ClientToken: &name}
		if key != "" {
			in.Encrypted = new(true)
		}
		id := *ask[ec2api.CopyImageResult](h.desk, as, in).ImageId
		if again := *ask[ec2api.CopyImageResult](h.desk, as, in).ImageId; again != id {
			t.Errorf("the same token made %s and %s", id, again)
		}
		if got := h.image(as, id); *got.State != "pending" {
			t.Errorf("%+v", got)
		}
		h.Advance(2 * time.Second)
		return id
	}
	h.refuse(h.owner(), &ec2api.CopyImageRequest{SourceRegion: new(region), SourceImageId: &img, Name: new("copy")}, "InvalidRequest",
		"You do not have permission to access the storage of this ami")
	h.share(other, snap, mine)
	for _, tt := range []struct {
		as              guard.Caller
		name, key, want string
	}{
		{other, "own", "", foreign}, {h.owner(), "shared", "", h.managedKey()}, {h.owner(), "named", named, named},
	} {
		id := copyImage(tt.as, img, tt.name, tt.key)
		got := h.image(tt.as, id)
		ebs := got.BlockDeviceMappings[0].Ebs
		if *got.State != "available" || *got.SourceImageId != img || *got.SourceImageRegion != region || !*ebs.Encrypted {
			t.Errorf("%s: %+v", tt.name, got)
		}
		made := h.snapshotNow(tt.as, *ebs.SnapshotId)
		if *made.KmsKeyId != tt.want || *made.State != "completed" || made.VolumeId == nil {
			t.Errorf("%s: %+v", tt.name, made)
		}
		run := h.launch(tt.as, id)
		v := ask[ec2api.DescribeVolumesResult](h.desk, tt.as, &ec2api.DescribeVolumesRequest{Filters: []ec2api.Filter{filter("attachment.instance-id", run)}}).Volumes[0]
		if got := h.textOn(tt.as.Principal.Account, *v.VolumeId, 12); got != "golden image" || *v.KmsKeyId != tt.want {
			t.Errorf("%s: %q under %s", tt.name, got, *v.KmsKeyId)
		}
	}
	failed := copyImage(h.owner(), img, "closed", h.key(viaEC2("arn:aws:iam::"+mine+":root", "kms:Encrypt")))
	if got := h.image(h.owner(), failed); *got.State != "failed" || *got.StateReason.Message != "Client.InternalError: Given key ID is not accessible" {
		t.Errorf("%+v", got)
	}
	amazon := copyImage(h.owner(), exampleImage, "of the catalogue", named)
	h.wantState(h.launch(h.owner(), amazon), "running")
	h.noJobs()
}
