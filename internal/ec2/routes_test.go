package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// way is a route of a table.
func (p *tier) way(table, to string) ec2api.Route {
	p.T.Helper()
	for _, r := range ask[ec2api.DescribeRouteTablesResult](p.desk, p.root(mine), &ec2api.DescribeRouteTablesRequest{RouteTableIds: []string{table}}).RouteTables[0].Routes {
		if api.Val(r.DestinationCidrBlock) == to {
			return r
		}
	}
	p.T.Fatalf("no route to %s", to)
	return ec2api.Route{}
}

// A route to a network interface tells of the instance behind it, and leads nowhere while there is none that runs.
func TestRoutesToInterfaces(t *testing.T) {
	h := newHouse(t)
	p, me := h.opened(), h.root(mine)
	table, to := p.table(), "10.9.0.0/16"
	face := h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterfaceId
	h.done(&ec2api.CreateRouteRequest{RouteTableId: &table, DestinationCidrBlock: &to, NetworkInterfaceId: face})
	if r := p.way(table, to); *r.State != "blackhole" || *r.NetworkInterfaceId != *face || r.InstanceId != nil {
		t.Errorf("loose: %+v", r)
	}
	in := runRequest()
	in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), NetworkInterfaceId: face}}
	id := *ask[ec2api.Reservation](h.desk, me, in).Instances[0].InstanceId
	h.Advance(time.Minute)
	if r := p.way(table, to); *r.State != "active" || api.Val(r.InstanceId) != id || api.Val(r.InstanceOwnerId) != mine {
		t.Errorf("attached: %+v", r)
	}
	ask[ec2api.StopInstancesResult](h.desk, me, &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if r := p.way(table, to); *r.State != "blackhole" || api.Val(r.InstanceId) != id {
		t.Errorf("stopped: %+v", r)
	}
	ask[ec2api.TerminateInstancesResult](h.desk, me, &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	if r := p.way(table, to); *r.State != "blackhole" || r.InstanceId != nil {
		t.Errorf("terminated: %+v", r)
	}
}

// The local route leads to a network interface or a NAT gateway instead, and back; nothing removes it.
// Source: VPC User Guide, "Replace or restore the target for a local route".
func TestLocalRouteIsReplaced(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	table, local := p.table(), "10.0.0.0/16"
	face := ask[ec2api.CreateNetworkInterfaceResult](d, me, &ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterface.NetworkInterfaceId
	d.refuse(me, &ec2api.ReplaceRouteRequest{RouteTableId: &table, DestinationCidrBlock: &local, GatewayId: &p.gateway}, "InvalidParameterValue", "*")
	d.done(&ec2api.ReplaceRouteRequest{RouteTableId: &table, DestinationCidrBlock: &local, NetworkInterfaceId: face})
	if r := p.way(table, local); api.Val(r.NetworkInterfaceId) != *face || r.GatewayId != nil || *r.Origin != "CreateRouteTable" || len(p.routes(table)) != 1 {
		t.Errorf("replaced: %+v", r)
	}
	d.refuse(me, &ec2api.CreateRouteRequest{RouteTableId: &table, DestinationCidrBlock: &local, NetworkInterfaceId: face}, "RouteAlreadyExists", "*")
	undeleted := func(what string) {
		d.refuse(me, &ec2api.DeleteRouteRequest{RouteTableId: &table, DestinationCidrBlock: &local}, "InvalidParameterValue", "cannot remove local route 10.0.0.0/16 in route table "+table)
		if len(p.routes(table)) != 1 {
			t.Errorf("%s: it was deleted", what)
		}
	}
	undeleted("replaced")
	other := ask[ec2api.CreateNetworkInterfaceResult](d, me, &ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterface.NetworkInterfaceId
	d.done(&ec2api.ReplaceRouteRequest{RouteTableId: &table, DestinationCidrBlock: &local, NetworkInterfaceId: other})
	if r := p.way(table, local); api.Val(r.NetworkInterfaceId) != *other {
		t.Errorf("replaced again: %+v", r)
	}
	for range 2 { // the second changes nothing
		d.done(&ec2api.ReplaceRouteRequest{RouteTableId: &table, DestinationCidrBlock: &local, LocalTarget: new(true)})
		if r := p.way(table, local); api.Val(r.GatewayId) != "local" || r.NetworkInterfaceId != nil || *r.State != "active" {
			t.Errorf("restored: %+v", r)
		}
	}
	undeleted("restored")
	d.refuse(me, &ec2api.ReplaceRouteRequest{RouteTableId: &table, DestinationCidrBlock: new("0.0.0.0/0"), LocalTarget: new(true)}, "InvalidParameterValue", "*")
}
