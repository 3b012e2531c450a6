package ec2_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
)

func TestDescribeInstances(t *testing.T) {
	h := newHouse(t)
	in := runRequest()
	in.MinCount, in.MaxCount = new(int32(2)), new(int32(2))
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tagList("Team", "a")}}
	pair := ask[ec2api.Reservation](h.desk, h.owner(), in)
	for range 5 {
		ask[ec2api.Reservation](h.desk, h.owner(), runRequest())
	}
	h.Advance(2 * time.Second)
	ids := func(out *ec2api.DescribeInstancesResult) (ids []string) {
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				ids = append(ids, *i.InstanceId)
			}
		}
		return ids
	}
	first := h.instance(*pair.Instances[0].InstanceId)
	tests := []struct {
		filters []ec2api.Filter
		want    int
	}{
		{nil, 7},
		{[]ec2api.Filter{filter("tag:Team", "a")}, 2},
		{[]ec2api.Filter{filter("instance-state-name", "pending", "running"), filter("tag-key", "Team")}, 2},
		{[]ec2api.Filter{filter("instance-state-name", "stopped")}, 0},
		{[]ec2api.Filter{filter("reservation-id", *pair.ReservationId)}, 2},
		{[]ec2api.Filter{filter("private-ip-address", *first.PrivateIpAddress)}, 1},
		{[]ec2api.Filter{filter("block-device-mapping.volume-id", *first.BlockDeviceMappings[0].Ebs.VolumeId)}, 1},
		{[]ec2api.Filter{filter("subnet-id", *first.SubnetId), filter("vpc-id", *first.VpcId), filter("image-id", exampleImage)}, 7},
		{[]ec2api.Filter{filter("instance-type", "t3.*")}, 7},
		{[]ec2api.Filter{filter("instance-lifecycle", "spot")}, 0},
		{[]ec2api.Filter{filter("network-interface.addresses.private-ip-address", *first.PrivateIpAddress)}, 1},
		{[]ec2api.Filter{filter("network-interface.network-interface-id", *first.NetworkInterfaces[0].NetworkInterfaceId)}, 1},
		{[]ec2api.Filter{filter("network-interface.group-name", "default"), filter("network-interface.status", "in-use")}, 7},
		{[]ec2api.Filter{filter("network-interface.attachment.instance-id", *first.InstanceId), filter("network-interface.attachment.device-index", "0")}, 1},
		{[]ec2api.Filter{filter("network-interface.association.public-ip", "198.*")}, 7},
		{[]ec2api.Filter{filter("block-device-mapping.attach-time", first.BlockDeviceMappings[0].Ebs.AttachTime.UTC().Format("2006-*"))}, 7},
		{[]ec2api.Filter{filter("block-device-mapping.attach-time", "1999-*")}, 0},
		{[]ec2api.Filter{filter("metadata-options.state", "applied"), filter("metadata-options.http-put-response-hop-limit", "1", "2")}, 7},
		{[]ec2api.Filter{filter("ena-support", "true"), filter("ebs-optimized", "false", "true"), filter("hibernation-options.configured", "false")}, 7},
		{[]ec2api.Filter{filter("capacity-reservation-specification.capacity-reservation-preference", "none")}, 0},
		{[]ec2api.Filter{filter("usage-operation", "RunInstances"), filter("operator.managed", "false")}, 7},
		{[]ec2api.Filter{filter("iam-instance-profile.id", "*")}, 0},
		{[]ec2api.Filter{filter("dns-name", "ec2-198-*")}, 7},
		{[]ec2api.Filter{filter("host-id", "*")}, 0},
	}
	for _, tt := range tests {
		out := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: tt.filters})
		if got := ids(out); len(got) != tt.want {
			t.Errorf("%v: %d instances, want %d", tt.filters, len(got), tt.want)
		}
	}
	h.refuse(h.owner(), &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{filter("no-such", "x")}}, "InvalidParameterValue", "The filter 'no-such' is invalid")

	var paged []string
	req := &ec2api.DescribeInstancesRequest{MaxResults: new(int32(5))}
	for {
		out := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), req)
		paged = append(paged, ids(out)...)
		if req.NextToken = out.NextToken; out.NextToken == nil {
			break
		}
	}
	slices.Sort(paged)
	if len(slices.Compact(paged)) != 7 {
		t.Errorf("pages give %d instances", len(paged))
	}
	if out := ask[ec2api.DescribeInstancesResult](h.desk, h.root(theirs), &ec2api.DescribeInstancesRequest{}); len(out.Reservations) != 0 {
		t.Error("another account sees the instances")
	}
	h.refuse(h.owner(), &ec2api.DescribeInstancesRequest{InstanceIds: []string{"i-0123456789abcdef0", "i-0123456789abcdef1"}},
		"InvalidInstanceID.NotFound", "The instance IDs 'i-0123456789abcdef0, i-0123456789abcdef1' do not exist")
	h.refuse(h.allowed("blind", `"ec2:RunInstances"`, `"*"`, ""), &ec2api.DescribeInstancesRequest{}, "UnauthorizedOperation", "*")
}

func TestInstanceStatusIsWhatTheHostCanSay(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	status := func(all bool, filters ...ec2api.Filter) []ec2api.InstanceStatus {
		return ask[ec2api.DescribeInstanceStatusResult](h.desk, h.owner(), &ec2api.DescribeInstanceStatusRequest{
			InstanceIds: []string{id}, IncludeAllInstances: &all, Filters: filters,
		}).InstanceStatuses
	}
	for name, values := range map[string][2]string{
		"instance-status.status": {"ok", "impaired"}, "system-status.status": {"ok", "impaired"}, "attached-ebs-status.status": {"ok", "not-applicable"},
		"instance-status.reachability": {"passed", "failed"}, "system-status.reachability": {"passed", "initializing"},
		"instance-state-name": {"running", "stopped"},
	} {
		if len(status(false, filter(name, values[0]))) != 1 || len(status(false, filter(name, values[1]))) != 0 {
			t.Errorf("the filter %s", name)
		}
	}
	if got := status(false, filter("event.code", "*")); len(got) != 0 {
		t.Errorf("an event: %+v", got)
	}
	if got := status(false); len(got) != 1 || *got[0].InstanceStatus.Status != "ok" || *got[0].AttachedEbsStatus.Status != "ok" {
		t.Errorf("%+v", got)
	}
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	if got := status(false); len(got) != 0 {
		t.Errorf("stopped: %+v", got)
	}
	if got := status(true); len(got) != 1 || *got[0].InstanceStatus.Status != "not-applicable" || *got[0].InstanceState.Name != "stopped" {
		t.Errorf("stopped, all: %+v", got)
	}
	if got := status(true, filter("instance-status.reachability", "*")); len(got) != 0 {
		t.Errorf("stopped, and reachable: %+v", got)
	}
}

// TestListsAreThereIfTheyAreEmpty: clients index them. Tags are only in the answer that makes something.
func TestListsAreThereIfTheyAreEmpty(t *testing.T) {
	h := newHouse(t)
	made := ask[ec2api.Reservation](h.desk, h.owner(), runRequest()).Instances[0]
	check := func(when string, i ec2api.Instance) {
		t.Helper()
		if i.BlockDeviceMappings == nil || i.NetworkInterfaces == nil || i.SecurityGroups == nil || i.ProductCodes == nil || i.Tags != nil {
			t.Errorf("%s: %+v", when, i)
		}
		for _, n := range i.NetworkInterfaces {
			if n.Ipv6Addresses == nil {
				t.Errorf("%s: %+v", when, n)
			}
		}
	}
	check("pending", made)
	h.Advance(2 * time.Second)
	check("running", h.instance(*made.InstanceId))
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{*made.InstanceId}})
	h.Advance(5 * time.Second)
	gone := h.instance(*made.InstanceId)
	check("terminated", gone)
	if len(gone.BlockDeviceMappings)+len(gone.NetworkInterfaces)+len(gone.SecurityGroups) > 0 {
		t.Errorf("a terminated instance has %+v", gone)
	}

	v := ask[ec2api.Volume](h.desk, h.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(region + "a"), Size: new(int32(1))})
	if v.Tags == nil || v.Attachments == nil {
		t.Errorf("a new volume: %+v", v)
	}
	h.Advance(time.Second)
	all := ask[ec2api.DescribeVolumesResult](h.desk, h.owner(), &ec2api.DescribeVolumesRequest{VolumeIds: []string{*v.VolumeId}}).Volumes
	if len(all) != 1 || all[0].Attachments == nil || all[0].Tags != nil {
		t.Errorf("a volume: %+v", all)
	}
	if s := ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: v.VolumeId}); s.Tags == nil {
		t.Errorf("a new snapshot: %+v", s)
	}
}

func TestStateRefusals(t *testing.T) {
	h := newHouse(t)
	id := *ask[ec2api.Reservation](h.desk, h.owner(), runRequest()).Instances[0].InstanceId
	only := []string{id}
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: only}, "IncorrectInstanceState", "This instance '"+id+"' is not in a state from which it can be stopped.")
	h.Advance(2 * time.Second)
	same := ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: only}).StartingInstances[0]
	if *same.CurrentState.Name != "running" || *same.PreviousState.Name != "running" {
		t.Errorf("%+v", same)
	}
	// One bad id and nothing happens.
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id, "i-0123456789abcdef0"}}, "InvalidInstanceID.NotFound", "*")
	h.wantState(id, "running")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: only})
	h.refuse(h.owner(), &ec2api.StartInstancesRequest{InstanceIds: only}, "IncorrectInstanceState", "*")
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: only})
	h.wantState(id, "shutting-down")
	h.Advance(2 * time.Second)
	h.wantState(id, "terminated")
	h.wantNothing()
	h.refuse(h.owner(), &ec2api.StartInstancesRequest{InstanceIds: only}, "IncorrectInstanceState", "*")
	h.refuse(h.owner(), &ec2api.RebootInstancesRequest{InstanceIds: only}, "IncorrectInstanceState", "*")

	in := runRequest()
	in.DisableApiTermination = new(true)
	protected := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	h.refuse(h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{protected}}, "OperationNotPermitted", "*")
}

func TestManyInstancesAtOnce(t *testing.T) {
	h := newHouse(t)
	in := runRequest(encrypted(rootDevice, ""), encrypted("/dev/sdf", ""), encrypted("/dev/sdg", ""))
	in.MinCount, in.MaxCount = new(int32(20)), new(int32(20))
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tagList("a", "b")}}
	in.UserData = new(secret.String(strings.Repeat("QUFB", 5000)))
	var ids []string
	for n := range 2 {
		in.ClientToken = new(fmt.Sprint("many-", n))
		for _, i := range ask[ec2api.Reservation](h.desk, h.owner(), in).Instances {
			ids = append(ids, *i.InstanceId)
		}
	}
	h.Advance(2 * time.Second)
	for _, id := range ids {
		h.wantState(id, "running")
	}
	h.refuse(h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: append([]string{"i-0123456789abcdef0"}, ids...)}, "InvalidInstanceID.NotFound", "*")
	out := ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: ids})
	if len(out.TerminatingInstances) != len(ids) {
		t.Errorf("%d instances are terminating", len(out.TerminatingInstances))
	}
	h.Advance(2 * time.Second)
	h.wantNothing()
}

// TestAsManyVolumesAsAnInstanceCanHave fit into the store's transactions on every way.
func TestAsManyVolumesAsAnInstanceCanHave(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	devices := []ec2api.BlockDeviceMapping{encrypted(rootDevice, key)}
	for n := range 26 {
		devices = append(devices, encrypted("/dev/sd"+string(rune('a'+n)), key))
	}
	h.refuse(h.owner(), runRequest(append(devices, encrypted("/dev/sdaa", key))...), "AttachmentLimitExceeded", "*")
	id := h.run(h.owner(), devices...)
	h.wantState(id, "running")
	only := []string{id}
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: only})
	h.Advance(time.Second)
	h.wantState(id, "stopped")
	h.askKMS("DisableKey", &kmsapi.DisableKeyRequest{KeyId: &key})
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: only})
	h.Advance(2 * time.Second)
	h.wantState(id, "stopped")
	h.wantState(h.run(h.owner(), devices...), "terminated")
	h.askKMS("EnableKey", &kmsapi.EnableKeyRequest{KeyId: &key})
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: only})
	h.Advance(2 * time.Second)
	h.wantState(id, "running")
	h.wire.breakAt(func(call string, _ int) error {
		if call == "RetireGrant" {
			return apierr.New("KMSInternalException", "not now")
		}
		return nil
	}, nil)
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: only})
	h.Advance(time.Second)
	h.wantState(id, "terminated")
	h.wire.mend()
	h.Advance(2 * time.Minute)
	h.clean(key)
}

func TestRightsOverInstancesFollowTheirTags(t *testing.T) {
	h := newHouse(t)
	in := runRequest()
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tagList("Team", "a")}}
	ours := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	others := *ask[ec2api.Reservation](h.desk, h.owner(), runRequest()).Instances[0].InstanceId
	h.Advance(2 * time.Second)
	user := h.allowed("team", `"ec2:*"`, `"*"`, `{"StringEquals":{"aws:ResourceTag/Team":"a"}}`)
	h.refuse(user, &ec2api.TerminateInstancesRequest{InstanceIds: []string{ours, others}}, "UnauthorizedOperation", "*")
	ask[ec2api.TerminateInstancesResult](h.desk, user, &ec2api.TerminateInstancesRequest{InstanceIds: []string{ours}})
	h.wantState(others, "running")
}
