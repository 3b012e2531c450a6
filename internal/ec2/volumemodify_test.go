package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// newVolume makes a volume and lets it become available.
func (h *house) newVolume(in *ec2api.CreateVolumeRequest) string {
	h.T.Helper()
	if in.AvailabilityZone == nil {
		in.AvailabilityZone = new(region + "a")
	}
	id := *ask[ec2api.Volume](h.desk, h.owner(), in).VolumeId
	h.Advance(2 * time.Second)
	return id
}

func (h *house) volume(id string) ec2api.Volume {
	h.T.Helper()
	return ask[ec2api.DescribeVolumesResult](h.desk, h.owner(), &ec2api.DescribeVolumesRequest{VolumeIds: []string{id}}).Volumes[0]
}

func (h *house) modification(id string) ec2api.VolumeModification {
	h.T.Helper()
	return ask[ec2api.DescribeVolumesModificationsResult](h.desk, h.owner(), &ec2api.DescribeVolumesModificationsRequest{VolumeIds: []string{id}}).VolumesModifications[0]
}

func describe(v ec2api.Volume) string {
	n := func(p *int32) int32 {
		if p == nil {
			return 0
		}
		return *p
	}
	return fmt.Sprintf("%s %d GiB, %d IOPS, %d MiB/s", *v.VolumeType, *v.Size, n(v.Iops), n(v.Throughput))
}

func TestModifyVolumeGoesThroughItsStates(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(10)), Encrypted: new(true), KmsKeyId: &key})
	out := ask[ec2api.ModifyVolumeResult](h.desk, h.owner(), &ec2api.ModifyVolumeRequest{VolumeId: &id, Size: new(int32(60)), VolumeType: new("gp3"), Iops: new(int32(0)), Throughput: new(int32(200))}).VolumeModification
	if *out.ModificationState != "modifying" || *out.TargetSize != 60 || *out.OriginalSize != 10 || *out.TargetVolumeType != "gp3" || *out.TargetIops != 3000 || *out.Progress != 0 {
		t.Errorf("ModifyVolume answers %+v", out)
	}
	if got := describe(h.volume(id)); got != "gp2 10 GiB, 100 IOPS, 0 MiB/s" {
		t.Errorf("while modifying the volume is %s", got)
	}
	again := &ec2api.ModifyVolumeRequest{VolumeId: &id, Size: new(int32(61))}
	h.refuse(h.owner(), again, "IncorrectModificationState", "*")
	h.Advance(time.Second)
	if got := describe(h.volume(id)); *h.modification(id).ModificationState != "optimizing" || got != "gp3 60 GiB, 3000 IOPS, 200 MiB/s" {
		t.Errorf("while optimizing the volume is %s", got)
	}
	h.refuse(h.owner(), again, "IncorrectModificationState", "*")
	h.Advance(time.Minute)
	if m := h.modification(id); *m.ModificationState != "completed" || *m.Progress != 100 || m.EndTime == nil {
		t.Errorf("in the end the modification is %+v", m)
	}
	snap := ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &id})
	if *snap.VolumeSize != 60 {
		t.Errorf("a snapshot has %d GiB", *snap.VolumeSize)
	}
	// At most four in a day.
	for size := int32(61); size < 64; size++ {
		ask[ec2api.ModifyVolumeResult](h.desk, h.owner(), &ec2api.ModifyVolumeRequest{VolumeId: &id, Size: &size})
		h.Advance(time.Minute)
	}
	again.Size = new(int32(70))
	h.refuse(h.owner(), again, "VolumeModificationRateExceeded", "*")
	h.Advance(24 * time.Hour)
	ask[ec2api.ModifyVolumeResult](h.desk, h.owner(), again)
}

func TestAnAttachedVolumeGrowsAndAModificationOutlivesARestart(t *testing.T) {
	h := newHouse(t)
	i := h.run(h.owner(), encrypted("/dev/sdf", h.key("")))
	id := *h.volumeOn(i, "/dev/sdf").VolumeId
	want := []byte("what was written before")
	_, err := h.disk(id).WriteAt(want, 5<<20)
	h.Must(err)
	ask[ec2api.ModifyVolumeResult](h.desk, h.owner(), &ec2api.ModifyVolumeRequest{VolumeId: &id, Size: new(int32(100))})
	h.restart()
	h.Advance(time.Minute)
	if m := h.modification(id); *m.ModificationState != "completed" {
		t.Errorf("after a restart the modification is %s", *m.ModificationState)
	}
	d := h.disk(id)
	got := make([]byte, len(want))
	_, err = d.ReadAt(got, 5<<20)
	h.Must(err)
	if d.Size() != 100<<30 || string(got) != string(want) {
		t.Errorf("the disk has %d bytes and reads %q", d.Size(), got)
	}
	_, err = d.WriteAt(want, 99<<30)
	h.Must(err)
}

func TestModifyVolumeChangesTypes(t *testing.T) {
	h := newHouse(t)
	h.run(h.owner())
	for _, x := range []struct {
		from, to string
		in       ec2api.ModifyVolumeRequest
	}{
		{"gp3 100 GiB, 5000 IOPS, 125 MiB/s", "io1 100 GiB, 3000 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("io1")}},
		{"io1 100 GiB, 5000 IOPS, 0 MiB/s", "io2 100 GiB, 3000 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("io2")}},
		{"io2 100 GiB, 5000 IOPS, 0 MiB/s", "io2 200 GiB, 5000 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{Size: new(int32(200))}},
		{"gp2 100 GiB, 300 IOPS, 0 MiB/s", "standard 100 GiB, 0 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("standard")}},
		{"standard 100 GiB, 0 IOPS, 0 MiB/s", "standard 200 GiB, 0 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{Size: new(int32(200))}},
		{"standard 100 GiB, 0 IOPS, 0 MiB/s", "gp3 100 GiB, 3000 IOPS, 125 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("gp3")}},
		{"gp2 100 GiB, 300 IOPS, 0 MiB/s", "io1 100 GiB, 3000 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("io1")}},
		{"gp2 100 GiB, 300 IOPS, 0 MiB/s", "io2 100 GiB, 3000 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("io2")}},
		{"gp2 100 GiB, 300 IOPS, 0 MiB/s", "sc1 125 GiB, 0 IOPS, 0 MiB/s", ec2api.ModifyVolumeRequest{VolumeType: new("sc1"), Size: new(int32(125))}},
	} {
		kind, _, _ := strings.Cut(x.from, " ")
		made := ec2api.CreateVolumeRequest{Size: new(int32(100)), VolumeType: &kind}
		if strings.Contains(x.from, "5000 IOPS") {
			made.Iops = new(int32(5000))
		}
		id := h.newVolume(&made)
		before := describe(h.volume(id))
		x.in.VolumeId = &id
		ask[ec2api.ModifyVolumeResult](h.desk, h.owner(), &x.in)
		h.Advance(time.Minute)
		if got := describe(h.volume(id)); got != x.to || before != x.from {
			t.Errorf("%s became %s, want %s of %s", before, got, x.to, x.from)
		}
	}
}

func TestModifyVolumeRefusals(t *testing.T) {
	h := newHouse(t)
	gp3 := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(10)), VolumeType: new("gp3")})
	io2 := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(10)), VolumeType: new("io2"), Iops: new(int32(1000))})
	standard := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(10)), VolumeType: new("standard")})
	several := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(10)), VolumeType: new("io1"), Iops: new(int32(100)), MultiAttachEnabled: new(true)})
	root := *h.volumeOn(h.run(h.owner()), "/dev/xvda").VolumeId
	for _, x := range []struct {
		in   ec2api.ModifyVolumeRequest
		code string
	}{
		{ec2api.ModifyVolumeRequest{VolumeId: new("vol-00000000000000001"), Size: new(int32(20))}, "InvalidVolume.NotFound"},
		{ec2api.ModifyVolumeRequest{VolumeId: new("x"), Size: new(int32(20))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3}, "MissingParameter"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, Size: new(int32(9))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, Size: new(int32(65537))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, Iops: new(int32(100))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, Throughput: new(int32(3000))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, VolumeType: new("st1")}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, VolumeType: new("gp2"), Throughput: new(int32(125))}, "InvalidParameterCombination"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, MultiAttachEnabled: new(true)}, "InvalidParameterCombination"},
		{ec2api.ModifyVolumeRequest{VolumeId: &io2, Iops: new(int32(50))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &standard, Size: new(int32(1025))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, VolumeType: new("standard"), Size: new(int32(1025))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &root, VolumeType: new("st1"), Size: new(int32(125))}, "InvalidParameterValue"},
		{ec2api.ModifyVolumeRequest{VolumeId: &several, VolumeType: new("io2")}, "UnsupportedOperation"},
		{ec2api.ModifyVolumeRequest{VolumeId: &several, Size: new(int32(20))}, "UnsupportedOperation"},
		{ec2api.ModifyVolumeRequest{VolumeId: &several, Iops: new(int32(200))}, "UnsupportedOperation"},
		{ec2api.ModifyVolumeRequest{VolumeId: &gp3, Size: new(int32(20)), DryRun: new(true)}, "DryRunOperation"},
	} {
		h.refuse(h.owner(), &x.in, x.code, "*")
	}
	h.refuse(h.owner(), &ec2api.DescribeVolumesModificationsRequest{VolumeIds: []string{gp3}}, "InvalidVolumeModification.NotFound", "Modification for volume '"+gp3+"' does not exist.")
	nobody := h.allowed("nobody", `"ec2:ModifyVolume"`, `"*"`, `{"StringEquals":{"ec2:VolumeType":"io2"}}`)
	h.refuse(nobody, &ec2api.ModifyVolumeRequest{VolumeId: &gp3, Size: new(int32(20))}, "UnauthorizedOperation", "*")
	h.refuse(nobody, &ec2api.DescribeVolumesModificationsRequest{}, "UnauthorizedOperation", "*")
	ask[ec2api.ModifyVolumeResult](h.desk, nobody, &ec2api.ModifyVolumeRequest{VolumeId: &io2, MultiAttachEnabled: new(true)})
	h.Advance(time.Minute)
	if v := h.volume(io2); !*v.MultiAttachEnabled || *v.Iops != 1000 {
		t.Errorf("the io2 volume is %s, Multi-Attach %v", describe(v), *v.MultiAttachEnabled)
	}
	out := ask[ec2api.DescribeVolumesModificationsResult](h.desk, h.owner(), &ec2api.DescribeVolumesModificationsRequest{
		Filters: []ec2api.Filter{filter("modification-state", "completed"), filter("target-multi-attach-enabled", "true")},
	})
	if len(out.VolumesModifications) != 1 {
		t.Errorf("%d modifications pass the filter", len(out.VolumesModifications))
	}
}

func TestVolumeAttributes(t *testing.T) {
	h := newHouse(t)
	id := h.newVolume(&ec2api.CreateVolumeRequest{Size: new(int32(1))})
	_, err := h.try(h.owner(), &ec2api.ModifyVolumeAttributeRequest{VolumeId: &id, AutoEnableIO: &ec2api.AttributeBooleanValue{Value: new(true)}})
	h.Must(err)
	out := ask[ec2api.DescribeVolumeAttributeResult](h.desk, h.owner(), &ec2api.DescribeVolumeAttributeRequest{VolumeId: &id, Attribute: new("autoEnableIO")})
	if !*out.AutoEnableIO.Value {
		t.Error("autoEnableIO is not what was set")
	}
	h.refuse(h.owner(), &ec2api.ModifyVolumeAttributeRequest{VolumeId: &id}, "MissingParameter", "*")
	_, err = h.try(h.owner(), &ec2api.EnableVolumeIORequest{VolumeId: &id})
	h.Must(err)
	h.refuse(h.owner(), &ec2api.EnableVolumeIORequest{VolumeId: &id, DryRun: new(true)}, "DryRunOperation", "*")
}

func TestCopyVolumesCopiesWhatIsThere(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	i := h.run(h.owner(), encrypted("/dev/sdf", key))
	src := *h.volumeOn(i, "/dev/sdf").VolumeId
	want := []byte("the content of the source")
	_, err := h.disk(src).WriteAt(want, 1<<20)
	h.Must(err)
	in := &ec2api.CopyVolumesRequest{SourceVolumeId: &src, Size: new(int32(20)), ClientToken: new("one"), TagSpecifications: []ec2api.TagSpecification{
		{ResourceType: new("volume"), Tags: []ec2api.Tag{{Key: new("a"), Value: new("b")}}},
	}}
	out := ask[ec2api.CopyVolumesResult](h.desk, h.owner(), in)
	v := out.Volumes[0]
	if *v.State != "creating" || *v.Size != 20 || *v.VolumeType != "gp2" || *v.SourceVolumeId != src || !*v.Encrypted || len(v.Tags) != 1 || *v.SnapshotId != "" {
		t.Errorf("CopyVolumes answers %+v", v)
	}
	if again := ask[ec2api.CopyVolumesResult](h.desk, h.owner(), in); *again.Volumes[0].VolumeId != *v.VolumeId {
		t.Error("the same request made two copies")
	}
	_, err = h.disk(src).WriteAt([]byte("later"), 1<<20)
	h.Must(err)
	h.Advance(time.Minute)
	if got := h.volume(*v.VolumeId); *got.State != "available" || *got.KmsKeyId != key || *got.SourceVolumeId != src {
		t.Fatalf("the copy is %+v", got)
	}
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.AttachVolumeRequest{VolumeId: v.VolumeId, InstanceId: &i, Device: new("/dev/sdg")})
	h.Advance(time.Minute)
	got := make([]byte, len(want))
	_, err = h.disk(*v.VolumeId).ReadAt(got, 1<<20)
	h.Must(err)
	if string(got) != string(want) {
		t.Errorf("the copy reads %q", got)
	}
	h.noJobs()
	if n := h.count("ec2/discard"); n != 0 {
		t.Errorf("%d snapshots in between are left", n)
	}
	if found := ask[ec2api.DescribeSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeSnapshotsRequest{OwnerIds: []string{"self"}}); len(found.Snapshots) != 0 {
		t.Error("the snapshot in between can be seen")
	}
	h.refuse(h.owner(), &ec2api.CopyVolumesRequest{SourceVolumeId: &src, Size: new(int32(1))}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &ec2api.CopyVolumesRequest{SourceVolumeId: new("vol-00000000000000001")}, "InvalidVolume.NotFound", "*")
	h.refuse(h.owner(), &ec2api.CopyVolumesRequest{SourceVolumeId: &src, DryRun: new(true)}, "DryRunOperation", "*")
}

// A copy of an encrypted volume stays encrypted, and that of another one is if it is asked for or the account's default.
func TestCopiesOfVolumesAreEncrypted(t *testing.T) {
	h := newHouse(t)
	key, other := h.key(""), h.key("")
	sealed, plain := h.filled(h.owner(), key, "a sealed text"), h.filled(h.owner(), "", "a plain text")
	for _, c := range []struct {
		name, source, text string
		encrypted          *bool
		key, want          string
		always             bool // the account encrypts by default
	}{
		{name: "plain", source: plain, text: "a plain text"},
		{name: "not encrypted", source: plain, text: "a plain text", encrypted: new(false)},
		{name: "under the default key", source: plain, text: "a plain text", encrypted: new(true), want: "managed"},
		{name: "under a key", source: plain, text: "a plain text", encrypted: new(true), key: other, want: other},
		{name: "of an encrypted one", source: sealed, text: "a sealed text", want: key},
		{name: "without encryption", source: sealed, text: "a sealed text", encrypted: new(false), want: key},
		{name: "encrypted again", source: sealed, text: "a sealed text", encrypted: new(true), want: key},
		{name: "under another key", source: sealed, text: "a sealed text", encrypted: new(true), key: other, want: other},
		{name: "by default", source: plain, text: "a plain text", want: "managed", always: true},
	} {
		if c.always {
			ask[ec2api.EnableEbsEncryptionByDefaultResult](h.desk, h.owner(), &ec2api.EnableEbsEncryptionByDefaultRequest{})
		}
		v := ask[ec2api.CopyVolumesResult](h.desk, h.owner(), &ec2api.CopyVolumesRequest{SourceVolumeId: &c.source, Encrypted: c.encrypted, KmsKeyId: api.Opt(c.key)}).Volumes[0]
		if *v.Encrypted != (c.want != "") {
			t.Errorf("%s: the answer says %v", c.name, *v.Encrypted)
		}
		h.Advance(time.Minute)
		if c.want == "managed" {
			c.want = h.managedKey()
		}
		if got := h.volume(*v.VolumeId); *got.State != "available" || api.Val(got.KmsKeyId) != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		h.wantText(h.owner(), *v.VolumeId, c.text)
	}
	for _, source := range []string{plain, sealed} {
		h.refuse(h.owner(), &ec2api.CopyVolumesRequest{SourceVolumeId: &source, KmsKeyId: &other}, "InvalidParameterDependency", "*")
	}
}

// TestCopiesOfVolumesThatFail leave nothing: when the content cannot be stored, when the process dies after it was
// stored, and when it dies after the answer.
func TestCopiesOfVolumesThatFail(t *testing.T) {
	h, g := gatedHouse(t)
	v := h.filled(h.owner(), h.key(""), "text")
	in := &ec2api.CopyVolumesRequest{SourceVolumeId: &v, ClientToken: new("one")}
	go func() { g.pass <- errors.New("no space is left") }()
	if _, err := h.try(h.owner(), in); err == nil {
		t.Error("a copy was made of what could not be stored")
	}
	if n := h.blocks(); n != 0 || h.count("ec2/discard") != 0 || len(h.volumes()) != 1 {
		t.Errorf("%d blocks, %d to be discarded, %d volumes are left", n, h.count("ec2/discard"), len(h.volumes()))
	}

	ctx, kill := context.WithCancel(t.Context())
	g.indexed = kill // and nothing can be removed any more
	go g.let(1)
	if _, err := h.Invoke(ctx, h.owner(), ec2api.Service(), h.Ops, "CopyVolumes", in); err == nil || ctx.Err() == nil {
		t.Errorf("a copy was made that is not written down: %v", err)
	}
	g.indexed = nil
	h.restart()
	if n := h.blocks(); n != 0 || h.count("ec2/discard") != 0 || len(h.volumes()) != 1 {
		t.Errorf("after a crash %d blocks, %d to be discarded, %d volumes are left", n, h.count("ec2/discard"), len(h.volumes()))
	}

	go g.let(1)
	copied := *ask[ec2api.CopyVolumesResult](h.desk, h.owner(), in).Volumes[0].VolumeId
	h.restart()
	h.Advance(time.Minute)
	if got := h.volume(copied); *got.State != "available" {
		t.Errorf("the copy is %s", *got.State)
	}
	h.wantText(h.owner(), copied, "text")
	if n := h.blocks(); n != 0 || h.count("ec2/discard") != 0 {
		t.Errorf("in the end %d blocks, %d to be discarded", n, h.count("ec2/discard"))
	}
	h.noJobs()
}
