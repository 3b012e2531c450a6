package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// allocate makes a host for a type, in the zone of launches that name none.
func (h *house) allocate(kind, auto string) string {
	h.T.Helper()
	return ask[ec2api.AllocateHostsResult](h.desk, h.owner(), &ec2api.AllocateHostsRequest{
		InstanceType: &kind, AvailabilityZone: new(zone), Quantity: new(int32(1)), AutoPlacement: &auto,
	}).HostIds[0]
}

func (h *house) dedicated(id string) ec2api.Host {
	h.T.Helper()
	return ask[ec2api.DescribeHostsResult](h.desk, h.owner(), &ec2api.DescribeHostsRequest{HostIds: []string{id}}).Hosts[0]
}

// onHost is a launch of n large instances with the tenancy host.
func onHost(n int32, host, affinity string) *ec2api.RunInstancesRequest {
	in := runRequest()
	in.InstanceType, in.MinCount, in.MaxCount = new("m5.12xlarge"), &n, &n
	in.Placement = &ec2api.Placement{Tenancy: new("host"), HostId: api.Opt(host), Affinity: api.Opt(affinity)}
	return in
}

func TestInstancesRunOnDedicatedHosts(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	h.refuse(me, onHost(1, "", ""), "InsufficientCapacityOnHost", "*")
	named, auto := h.allocate("m5.12xlarge", "off"), h.allocate("m5.12xlarge", "on")
	first := h.launched(onHost(1, named, "host"))[0]
	if p := h.instance(first).Placement; *p.HostId != named || *p.Affinity != "host" || *p.Tenancy != "host" {
		t.Errorf("placement %+v", p)
	}
	h.refuse(me, onHost(2, named, ""), "InsufficientCapacityOnHost", "*")
	two := h.launched(onHost(2, "", ""))
	if d := h.dedicated(auto); len(d.Instances) != 2 || *d.AvailableCapacity.AvailableVCpus != 0 || *d.AvailableCapacity.AvailableInstanceCapacity[0].AvailableCapacity != 0 ||
		*d.AvailableCapacity.AvailableInstanceCapacity[0].TotalCapacity != 2 {
		t.Errorf("the full host %+v", d)
	}
	h.refuse(me, onHost(1, "", ""), "InsufficientCapacityOnHost", "*")
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{first, two[0]}})
	h.Advance(time.Minute)
	if p := h.instance(two[0]).Placement; p.HostId != nil || *h.instance(first).Placement.HostId != named {
		t.Errorf("a stopped instance is on %+v", p)
	}
	third := h.launched(onHost(1, "", ""))[0] // takes the place of the one that stopped
	h.refuse(me, &ec2api.StartInstancesRequest{InstanceIds: two[:1]}, "InsufficientCapacityOnHost", "*")
	ask[ec2api.ModifyInstancePlacementResult](h.desk, me, &ec2api.ModifyInstancePlacementRequest{InstanceId: &two[0], HostId: &named, Affinity: new("host")})
	ask[ec2api.StartInstancesResult](h.desk, me, &ec2api.StartInstancesRequest{InstanceIds: []string{first, two[0]}})
	h.Advance(time.Minute)
	for id, host := range map[string]string{first: named, two[0]: named, two[1]: auto, third: auto} {
		if got := api.Val(h.instance(id).Placement.HostId); got != host {
			t.Errorf("%s is on %q", id, got)
		}
	}
	found := ask[ec2api.DescribeInstancesResult](h.desk, me, &ec2api.DescribeInstancesRequest{Filters: []ec2api.Filter{{Name: new("host-id"), Values: []string{named}}}})
	if len(found.Reservations) != 2 {
		t.Errorf("%d launches are found by their host", len(found.Reservations))
	}
}

func TestDedicatedHostsChangeAndGo(t *testing.T) {
	h := newHouse(t)
	me := h.owner()
	id := h.allocate("m5.12xlarge", "off")
	if p := h.dedicated(id).HostProperties; *p.InstanceType != "m5.12xlarge" || p.InstanceFamily != nil {
		t.Errorf("a host of one type %+v", p)
	}
	running := h.launched(onHost(1, id, ""))
	change := func(in ec2api.ModifyHostsRequest, code string) {
		t.Helper()
		in.HostIds = []string{id, "h-0123456789abcdef0"}
		out := ask[ec2api.ModifyHostsResult](h.desk, me, &in)
		last := out.Unsuccessful[len(out.Unsuccessful)-1]
		if *last.Error.Code != "Client.InvalidHostID.NotFound" || (code == "") != (len(out.Successful) == 1) || code != "" && *out.Unsuccessful[0].Error.Code != code {
			t.Errorf("answer %+v, want %q", out, code)
		}
	}
	change(ec2api.ModifyHostsRequest{InstanceType: new("m5.large")}, "Client.InvalidHost.Occupied")
	change(ec2api.ModifyHostsRequest{InstanceFamily: new("c5")}, "Client.InvalidParameterValue")
	change(ec2api.ModifyHostsRequest{InstanceFamily: new("m5"), AutoPlacement: new("on"), HostRecovery: new("on")}, "")
	if d := h.dedicated(id); *d.AllowsMultipleInstanceTypes != "on" || *d.AutoPlacement != "on" || *d.HostRecovery != "on" || d.HostProperties.InstanceType != nil || *d.HostProperties.InstanceFamily != "m5" || len(d.AvailableCapacity.AvailableInstanceCapacity) < 2 {
		t.Errorf("changed %+v", d)
	}
	h.refuse(me, &ec2api.ModifyHostsRequest{HostIds: []string{id}, InstanceFamily: new("m5"), InstanceType: new("m5.large")}, "InvalidParameterCombination", "*")
	for _, tt := range []struct {
		in   ec2api.AllocateHostsRequest
		code string
	}{
		{ec2api.AllocateHostsRequest{AvailabilityZone: new(zone)}, "MissingParameter"},
		{ec2api.AllocateHostsRequest{InstanceType: new("m5.large")}, "MissingParameter"},
		{ec2api.AllocateHostsRequest{AvailabilityZone: new(zone), InstanceType: new("m5.none")}, "InvalidParameterValue"},
		{ec2api.AllocateHostsRequest{AvailabilityZone: new(zone), InstanceFamily: new("m5"), Quantity: new(int32(21))}, "HostLimitExceeded"},
	} {
		h.refuse(me, &tt.in, tt.code, "*")
	}
	release := func() *ec2api.ReleaseHostsResult {
		return ask[ec2api.ReleaseHostsResult](h.desk, me, &ec2api.ReleaseHostsRequest{HostIds: []string{id}})
	}
	if out := release(); len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "Client.InvalidHost.Occupied" {
		t.Errorf("released with an instance: %+v", out)
	}
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: running})
	h.Advance(time.Minute)
	if out := release(); len(out.Successful) != 1 {
		t.Errorf("not released: %+v", out)
	}
	if d := h.dedicated(id); *d.State != "released" || d.ReleaseTime == nil {
		t.Errorf("released %+v", d)
	}
	if out := release(); len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "Client.InvalidHostID.NotFound" {
		t.Errorf("released again: %+v", out)
	}
	h.refuse(me, onHost(1, id, ""), "InvalidHostState", "*")
	h.Advance(2 * time.Hour)
	h.refuse(me, &ec2api.DescribeHostsRequest{HostIds: []string{id}}, "InvalidHostID.NotFound", "*")
}
