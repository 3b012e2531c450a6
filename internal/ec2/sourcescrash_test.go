package ec2_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// TestInterruptedCopiesAreFinished kills the process before and after each KMS request of a volume
// made, and of a snapshot copied, under another key.
func TestInterruptedCopiesAreFinished(t *testing.T) {
	const requests = 8 // of each
	for n := range 2 * (requests + 1) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t)
			first, second := h.key(""), h.key("")
			snap := h.snapshot(h.owner(), h.filled(h.owner(), first, "kept text"))
			die := func(_ string, at int) error {
				if at >= n/2 {
					return store.ErrClosed
				}
				return nil
			}
			if n%2 == 0 {
				h.wire.breakAt(die, nil)
			} else {
				h.wire.breakAt(nil, die)
			}
			v := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &snap, Encrypted: new(true), KmsKeyId: &second}).VolumeId
			h.Advance(time.Second)
			h.restart()
			h.Advance(20 * time.Second)
			copied := *ask[ec2api.CopySnapshotResult](h.desk, h.owner(), &ec2api.CopySnapshotRequest{
				SourceRegion: new(region), SourceSnapshotId: &snap, Encrypted: new(true), KmsKeyId: &second,
			}).SnapshotId
			if n%2 == 0 {
				h.wire.breakAt(die, nil)
			} else {
				h.wire.breakAt(nil, die)
			}
			h.Advance(time.Second)
			h.restart()
			h.Advance(20 * time.Second)
			if got := h.snapshotNow(h.owner(), copied); *got.State != "completed" || *got.KmsKeyId != second {
				t.Errorf("%+v", got)
			}
			again := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &copied}).VolumeId
			h.Advance(time.Second)
			for _, id := range []string{v, again} {
				h.wantText(h.owner(), id, "kept text")
			}
			if n := len(h.grants(first)) + len(h.grants(second)); n != 0 {
				t.Errorf("%d grants are left", n)
			}
			h.noJobs()
		})
	}
}

// TestAnInstanceWithAllItsVolumesBecomesAnImage: what one request makes fits into a transaction.
func TestAnInstanceWithAllItsVolumesBecomesAnImage(t *testing.T) {
	h := newHouse(t)
	key := h.keyIn(mine)
	var devices []ec2api.BlockDeviceMapping
	for n := range 26 {
		d := encrypted("/dev/sd"+string(rune('b'+n%13))+fmt.Sprint(n/13), key)
		d.Ebs.VolumeSize = new(int32(1))
		devices = append(devices, d)
	}
	id := h.run(h.owner(), devices...)
	h.wantState(id, "running")
	img := *ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{
		InstanceId: &id, Name: new("large"), TagSpecifications: []ec2api.TagSpecification{
			{ResourceType: new("image"), Tags: tagList("of", "image")}, {ResourceType: new("snapshot"), Tags: tagList("of", "snapshot")},
		},
	}).ImageId
	h.Advance(2 * time.Second)
	h.Must(h.shareImage(h.owner(), img, theirs))
	got := h.image(h.owner(), img)
	if *got.State != "available" || len(got.BlockDeviceMappings) != 27 {
		t.Fatalf("%s with %d devices", *got.State, len(got.BlockDeviceMappings))
	}
	abroad := ask[ec2api.Reservation](h.desk, h.root(theirs), &ec2api.RunInstancesRequest{
		ImageId: &img, InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)),
	}).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	there := ask[ec2api.DescribeInstancesResult](h.desk, h.root(theirs), &ec2api.DescribeInstancesRequest{InstanceIds: []string{*abroad}}).Reservations[0].Instances[0]
	if *there.State.Name != "running" || len(there.BlockDeviceMappings) != 27 {
		t.Errorf("%s with %d volumes", *there.State.Name, len(there.BlockDeviceMappings))
	}
	again := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), &ec2api.RegisterImageRequest{
		Name: new("again"), Architecture: got.Architecture, VirtualizationType: got.VirtualizationType, RootDeviceName: got.RootDeviceName,
		BlockDeviceMappings: bare(got.BlockDeviceMappings),
	}).ImageId
	copied := *ask[ec2api.CopyImageResult](h.desk, h.owner(), &ec2api.CopyImageRequest{
		SourceRegion: new(region), SourceImageId: &again, Name: new("copy"),
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("snapshot"), Tags: tagList("of", "copy")}},
	}).ImageId
	h.Advance(2 * time.Second)
	if got := h.image(h.owner(), copied); *got.State != "available" {
		t.Errorf("%+v", got)
	}
	for _, image := range []string{copied, again, img} {
		out := ask[ec2api.DeregisterImageResult](h.desk, h.owner(), &ec2api.DeregisterImageRequest{ImageId: &image, DeleteAssociatedSnapshots: new(true)})
		want := "success"
		if image == again {
			want = "skipped" // the first image has them too
		}
		if len(out.DeleteSnapshotResults) != 27 || *out.DeleteSnapshotResults[26].ReturnCode != want {
			t.Errorf("%s: %+v", image, out)
		}
	}
	own := ask[ec2api.DescribeSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}})
	if len(own.Snapshots) != 0 || h.count("ec2/snapshot") != 0 || h.count("ec2/snapshot-shared") != 0 {
		t.Errorf("%d snapshots are left", len(own.Snapshots))
	}
	h.noJobs()
}

// bare are mappings of an image without what only answers have.
func bare(in []ec2api.BlockDeviceMapping) (out []ec2api.BlockDeviceMapping) {
	for _, m := range in {
		out = append(out, ec2api.BlockDeviceMapping{DeviceName: m.DeviceName, Ebs: &ec2api.EbsBlockDevice{SnapshotId: m.Ebs.SnapshotId}})
	}
	return out
}

// TestDeletingWithAnImageNeedsPermission for each snapshot.
func TestDeletingWithAnImageNeedsPermission(t *testing.T) {
	h := newHouse(t)
	snap := h.snapshot(h.owner(), h.filled(h.owner(), "", "text"))
	img := h.register(h.owner(), "image", snap)
	user := h.allowed("deregisterer", `"ec2:DeregisterImage"`, `"*"`, "")
	out := ask[ec2api.DeregisterImageResult](h.desk, user, &ec2api.DeregisterImageRequest{ImageId: &img, DeleteAssociatedSnapshots: new(true)})
	if len(out.DeleteSnapshotResults) != 1 || *out.DeleteSnapshotResults[0].ReturnCode != "missing-permissions" {
		t.Errorf("%+v", out)
	}
	h.snapshotNow(h.owner(), snap)
}

// TestCopiesToAnotherRegion have keys of that region.
func TestCopiesToAnotherRegion(t *testing.T) {
	const far = "eu-west-1"
	h := newHouse(t)
	in := func(region, op string, service map[string]guard.Handler, name string, in any) (any, error) {
		c := &guard.Call{ID: guard.NewRequestID(), Service: name, Operation: op, Region: region, Caller: h.owner(), Time: h.Guard.Now()}
		return h.Guard.Invoke(t.Context(), c, in, service[op])
	}
	made, err := in(far, "CreateKey", h.kms.Operations(), "kms", &kmsapi.CreateKeyRequest{})
	h.Must(err)
	there := *made.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
	here := h.key("")
	for name, tt := range map[string]struct{ from, to string }{
		"plain": {"", ""}, "encrypted": {"", there}, "from one key to another": {here, there}, "to the default key": {here, ""},
	} {
		snap := h.snapshot(h.owner(), h.filled(h.owner(), tt.from, "kept text"))
		req := &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &snap, KmsKeyId: api.Opt(tt.to)}
		if tt.to != "" {
			req.Encrypted = new(true)
		}
		out, err := in(far, "CopySnapshot", h.Ops, "ec2", req)
		h.Must(err)
		id := *out.(*ec2api.CopySnapshotResult).SnapshotId
		h.Advance(2 * time.Second)
		found, err := in(far, "DescribeSnapshots", h.Ops, "ec2", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}})
		h.Must(err)
		got := found.(*ec2api.DescribeSnapshotsResult).Snapshots[0]
		if tt.from != "" && tt.to == "" {
			if key := api.Val(got.KmsKeyId); !strings.HasPrefix(key, "arn:aws:kms:"+far+":"+mine+":key/") || key == there {
				t.Errorf("%s: the copy is under %q", name, key)
			}
			tt.to = api.Val(got.KmsKeyId)
		}
		if *got.State != "completed" || api.Val(got.KmsKeyId) != tt.to {
			t.Errorf("%s: %s (%s) under %q", name, *got.State, api.Val(got.StateMessage), api.Val(got.KmsKeyId))
		}
		if _, err := h.try(h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}); err == nil {
			t.Errorf("%s: the copy is in the source's region too", name)
		}
		back, err := in(far, "CreateVolume", h.Ops, "ec2", &ec2api.CreateVolumeRequest{AvailabilityZone: new(far + "a"), SnapshotId: &id})
		h.Must(err)
		h.Advance(2 * time.Second)
		volume := *back.(*ec2api.Volume).VolumeId
		if vols, err := in(far, "DescribeVolumes", h.Ops, "ec2", &ec2api.DescribeVolumesRequest{VolumeIds: []string{volume}}); err != nil {
			t.Errorf("%s: no volume can be made of the copy: %v", name, err)
		} else if *vols.(*ec2api.DescribeVolumesResult).Volumes[0].State != "available" {
			t.Errorf("%s: the volume of the copy is not available", name)
		}
	}
	if !h.onDisk("kept text") { // of the plain ones
		t.Error("the plain text is not on disk")
	}
	// The permission on each key is that of its region.
	snap := h.snapshot(h.owner(), h.filled(h.owner(), here, "kept text"))
	for missing, key := range map[string]string{"kms:ReEncryptFrom": here, "kms:ReEncryptTo": there, "kms:CreateGrant": here} {
		user := h.User(mine, "copier-"+missing[4:], `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","kms:*"],"Resource":"*"},
			{"Effect":"Deny","Action":"`+missing+`","Resource":"`+key+`"}]}`)
		c := &guard.Call{ID: guard.NewRequestID(), Service: "ec2", Operation: "CopySnapshot", Region: far, Caller: user, Time: h.Guard.Now()}
		out, err := h.Guard.Invoke(t.Context(), c, &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &snap, Encrypted: new(true), KmsKeyId: &there}, h.Ops["CopySnapshot"])
		h.Must(err)
		h.Advance(2 * time.Second)
		found, err := in(far, "DescribeSnapshots", h.Ops, "ec2", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{*out.(*ec2api.CopySnapshotResult).SnapshotId}})
		h.Must(err)
		if got := found.(*ec2api.DescribeSnapshotsResult).Snapshots[0]; *got.State != "error" || *got.StateMessage != "Given key ID is not accessible" {
			t.Errorf("without %s the copy is %s: %s", missing, *got.State, api.Val(got.StateMessage))
		}
	}
	if g := h.grants(here); len(g) != 0 {
		t.Errorf("%d grants are left", len(g))
	}
	h.noJobs()
}

// TestASnapshotIsOfOneMoment: it holds what was written before, while writing goes on.
func TestASnapshotIsOfOneMoment(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner(), encrypted("/dev/sdf", h.key("")))
	v := *h.volumeOn(id, "/dev/sdf").VolumeId
	disk := h.disk(v)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if _, err := disk.WriteAt(fmt.Appendf(nil, "%09d", n), 1<<20); err != nil {
				ended <- err
				return
			}
		}
	}()
	snap := h.snapshot(h.owner(), v)
	close(stop)
	h.Must(<-ended)
	made := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &snap}).VolumeId
	h.Advance(time.Second)
	h.attached(h.owner(), made, func(d io.WriterAt) error {
		got := make([]byte, 9)
		if _, err := d.(io.ReaderAt).ReadAt(got, 1<<20); err != nil {
			return err
		}
		for _, c := range got {
			if (c < '0' || c > '9') && c != 0 {
				t.Errorf("the snapshot holds %q", got)
				break
			}
		}
		return nil
	})
}
