package ec2_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
)

// shared is an encrypted io2 volume with Multi-Attach.
func (h *house) shared(key string) string {
	h.T.Helper()
	v := h.create(&ec2api.CreateVolumeRequest{
		Size: new(int32(4)), VolumeType: new("io2"), Iops: new(int32(100)), MultiAttachEnabled: new(true), Encrypted: new(true), KmsKeyId: &key,
	})
	h.Advance(time.Second)
	return *v.VolumeId
}

func (h *house) attach(volume, instance, device string) *ec2api.VolumeAttachment {
	h.T.Helper()
	return ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.AttachVolumeRequest{VolumeId: &volume, InstanceId: &instance, Device: &device})
}

// done serves a request that must succeed and is not answered.
func (h *house) done(in any) {
	h.T.Helper()
	_, err := h.try(h.owner(), in)
	h.Must(err)
}

// several launches instances in zone a.
func (h *house) several(n int, kind string) []string {
	h.T.Helper()
	in := runRequest()
	in.MinCount, in.MaxCount, in.InstanceType = new(int32(n)), new(int32(n)), &kind
	in.Placement = &ec2api.Placement{AvailabilityZone: new(zoneA)}
	var ids []string
	for _, i := range ask[ec2api.Reservation](h.desk, h.owner(), in).Instances {
		ids = append(ids, *i.InstanceId)
	}
	h.Advance(5 * time.Second)
	return ids
}

// TestMultiAttachSharesSectors: each instance has a grant of its own, and the host holds the volume until
// the last of them lets go of it.
func TestMultiAttachSharesSectors(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	v, ids := h.shared(key), h.several(2, "m5.large")
	h.attach(v, ids[0], "/dev/sdf")
	if a := h.attach(v, ids[1], "/dev/sdg"); *a.InstanceId != ids[1] || *a.Device != "/dev/sdg" || *a.DeleteOnTermination {
		t.Errorf("%+v", a)
	}
	got := h.volumes(filter("volume-id", v))[0]
	if *got.State != "in-use" || !*got.MultiAttachEnabled || len(got.Attachments) != 2 || *got.Attachments[0].InstanceId != ids[0] || *got.Attachments[1].State != "attached" {
		t.Fatalf("%+v", got)
	}
	if g := h.grants(key); len(g) != 2 || *g[0].GranteePrincipal == *g[1].GranteePrincipal {
		t.Errorf("%d grants", len(g))
	}
	for _, id := range ids {
		if one := h.volumes(filter("attachment.instance-id", id), filter("volume-id", v)); len(one) != 1 {
			t.Errorf("%s does not find it", id)
		}
	}
	one, other := h.disk(v), h.disk(v)
	if _, err := one.WriteAt(bytes.Repeat([]byte("shared"), 1000), 8192); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 6)
	if _, err := other.ReadAt(buf, 8192); err != nil || string(buf) != "shared" {
		t.Errorf("%q, %v", buf, err)
	}
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{VolumeId: &v, InstanceId: &ids[0], Device: new("/dev/sdz")}, "VolumeInUse", "*")
	h.refuse(h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &v}, "InvalidParameterCombination", "*")
	h.refuse(h.owner(), &ec2api.DeleteVolumeRequest{VolumeId: &v}, "VolumeInUse", "*")
	h.refuse(h.owner(), &ec2api.ModifyVolumeRequest{VolumeId: &v, MultiAttachEnabled: new(false)}, "VolumeInUse", "*")

	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: ids[:1]})
	h.Advance(2 * time.Second)
	if g := h.grants(key); len(g) != 1 {
		t.Errorf("%d grants after one instance stopped", len(g))
	}
	if _, err := h.disk(v).ReadAt(buf, 8192); err != nil || string(buf) != "shared" {
		t.Errorf("after the other stopped: %q, %v", buf, err)
	}
	h.restart()
	if _, err := h.disk(v).ReadAt(buf, 8192); err != nil || string(buf) != "shared" {
		t.Errorf("after a restart: %q, %v", buf, err)
	}
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &v, InstanceId: &ids[1]})
	if _, err := h.ec2.Disk(t.Context(), mine, region, v); !errors.Is(err, hosts.ErrNotHeld) {
		t.Errorf("held without an instance that runs: %v", err)
	}
	if got := h.volumes(filter("volume-id", v))[0]; *got.State != "in-use" || len(got.Attachments) != 1 {
		t.Errorf("%+v", got)
	}
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &v})
	if got := h.volumes(filter("volume-id", v))[0]; *got.State != "available" || len(got.Attachments) != 0 {
		t.Errorf("%+v", got)
	}
	h.done(&ec2api.DeleteVolumeRequest{VolumeId: &v})
}

// TestMultiAttachRefusals: who cannot have a volume with Multi-Attach, and how many can.
func TestMultiAttachRefusals(t *testing.T) {
	h := newHouse(t)
	v := h.shared(h.key(""))
	old := h.several(1, "t2.micro")[0]
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{VolumeId: &v, InstanceId: &old, Device: new("/dev/sdf")}, "UnsupportedOperation", "*")
	ids := h.several(17, "m5.large")
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{VolumeId: &v, InstanceId: &ids[0], Device: new(rootDevice)}, "UnsupportedOperation", "*")
	for _, id := range ids[:16] {
		h.attach(v, id, "/dev/sdf")
	}
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{VolumeId: &v, InstanceId: &ids[16], Device: new("/dev/sdf")}, "AttachmentLimitExceeded", "*")
	plain := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1))})
	h.Advance(time.Second)
	h.attach(*plain.VolumeId, ids[0], "/dev/sdg")
	h.refuse(h.owner(), &ec2api.AttachVolumeRequest{VolumeId: plain.VolumeId, InstanceId: &ids[1], Device: new("/dev/sdg")}, "VolumeInUse",
		*plain.VolumeId+" is already attached to an instance")
}

func TestDeviceNames(t *testing.T) {
	h := newHouse(t)
	id := h.several(1, "t3.micro")[0]
	v := h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1))})
	h.Advance(time.Second)
	for _, bad := range []string{"bogus", "/dev/", "/dev/sd", "/dev/sdf015", "/dev/sdfff", "/dev/nvme1n1", "/dev/xvdf123"} {
		h.refuse(h.owner(), &ec2api.AttachVolumeRequest{VolumeId: v.VolumeId, InstanceId: &id, Device: &bad}, "InvalidParameterValue",
			"Value ("+bad+") for parameter device is invalid. "+bad+" is not a valid EBS device name.")
	}
	for _, good := range []string{"sdf", "/dev/sdf1", "xvdba", "/dev/xvdf", "/dev/sda15"} {
		h.attach(*v.VolumeId, id, good)
		ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.DetachVolumeRequest{VolumeId: v.VolumeId})
	}
	in := runRequest(encrypted("/dev/nvme1n1", ""))
	h.refuse(h.owner(), in, "InvalidBlockDeviceMapping", "Invalid device name /dev/nvme1n1")
}

// TestTheLastInstanceDecides whether a volume with Multi-Attach is deleted.
func TestTheLastInstanceDecides(t *testing.T) {
	for _, test := range []struct {
		name        string
		first, last bool
		gone        bool
	}{{"the last takes it along", false, true, true}, {"the last leaves it", true, false, false}} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t)
			key := h.key("")
			v, ids := h.shared(key), h.several(2, "m5.large")
			for n, id := range ids {
				h.attach(v, id, "/dev/sdf")
				h.done(&ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, BlockDeviceMappings: []ec2api.InstanceBlockDeviceMappingSpecification{{
					DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: new([]bool{test.first, test.last}[n])},
				}}})
			}
			for _, id := range ids {
				ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
				h.Advance(2 * time.Second)
				h.wantState(id, "terminated")
			}
			left := h.volumes(filter("volume-id", v))
			if test.gone != (len(left) == 0) {
				t.Errorf("%d volumes are left", len(left))
			}
			if len(left) == 1 && (*left[0].State != "available" || len(left[0].Attachments) != 0) {
				t.Errorf("%s %+v", api.Val(left[0].State), left[0].Attachments)
			}
			if g := h.grants(key); len(g) != 0 {
				t.Errorf("%d grants are left", len(g))
			}
			h.noJobs()
		})
	}
}
