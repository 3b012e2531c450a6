package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
)

// Two VPCs of two accounts that could be connected.
type pair struct {
	*desk
	near, far string // of mine and theirs
	me, they  guard.Caller
}

func newPair(t *testing.T) *pair {
	p := &pair{desk: newDesk(t)}
	p.me, p.they = p.root(mine), p.root(theirs)
	p.near = p.newVPC("10.0.0.0/16")
	p.far = *ask[ec2api.CreateVpcResult](p.desk, p.they, &ec2api.CreateVpcRequest{CidrBlock: new("10.1.0.0/16")}).Vpc.VpcId
	return p
}

func (p *pair) asked() *ec2api.CreateVpcPeeringConnectionRequest {
	return &ec2api.CreateVpcPeeringConnectionRequest{VpcId: &p.near, PeerVpcId: &p.far, PeerOwnerId: new(theirs)}
}

func (p *pair) made() *string {
	p.T.Helper()
	return ask[ec2api.CreateVpcPeeringConnectionResult](p.desk, p.me, p.asked()).VpcPeeringConnection.VpcPeeringConnectionId
}

func (p *pair) state(as guard.Caller, id *string) string {
	p.T.Helper()
	found := ask[ec2api.DescribeVpcPeeringConnectionsResult](p.desk, as, &ec2api.DescribeVpcPeeringConnectionsRequest{Filters: []ec2api.Filter{filter("vpc-peering-connection-id", *id)}})
	if len(found.VpcPeeringConnections) == 0 {
		return ""
	}
	return *found.VpcPeeringConnections[0].Status.Code
}

// TestPeeringOfTwoAccounts: one asks, the other takes it, both see it and route to it, one ends it.
func TestPeeringOfTwoAccounts(t *testing.T) {
	p := newPair(t)
	in := p.asked()
	in.TagSpecifications = specs("vpc-peering-connection")
	first := ask[ec2api.CreateVpcPeeringConnectionResult](p.desk, p.me, in).VpcPeeringConnection
	id := first.VpcPeeringConnectionId
	if *first.Status.Code != "initiating-request" || *first.AccepterVpcInfo.OwnerId != theirs || first.AccepterVpcInfo.CidrBlock != nil || *first.Tags[0].Value != "x" || first.ExpirationTime == nil {
		t.Errorf("made %+v", first)
	}
	seen := ask[ec2api.DescribeVpcPeeringConnectionsResult](p.desk, p.they, &ec2api.DescribeVpcPeeringConnectionsRequest{
		Filters: []ec2api.Filter{filter("requester-vpc-info.vpc-id", p.near), filter("status-code", "pending-acceptance"), filter("requester-vpc-info.cidr-block", "10.0.0.0/16")},
	}).VpcPeeringConnections
	if len(seen) != 1 || *seen[0].Status.Message != "Pending Acceptance by "+theirs || len(seen[0].Tags) != 0 {
		t.Fatalf("seen %+v", seen)
	}
	tables := ask[ec2api.DescribeRouteTablesResult](p.desk, p.me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("vpc-id", p.near)}}).RouteTables
	p.done(&ec2api.CreateRouteRequest{RouteTableId: tables[0].RouteTableId, DestinationCidrBlock: new("10.1.0.0/16"), VpcPeeringConnectionId: id})
	routed := func() string {
		r := ask[ec2api.DescribeRouteTablesResult](p.desk, p.me, &ec2api.DescribeRouteTablesRequest{Filters: []ec2api.Filter{filter("route.vpc-peering-connection-id", *id)}}).RouteTables[0].Routes[1]
		return *r.VpcPeeringConnectionId + " " + *r.State
	}
	if got := routed(); got != *id+" blackhole" {
		t.Errorf("route %s", got)
	}
	p.refuse(p.me, p.asked(), "VpcPeeringConnectionAlreadyExists", "*")
	p.refuse(p.me, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "OperationNotPermitted", "*")
	p.refuse(p.me, &ec2api.RejectVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "OperationNotPermitted", "*")
	p.refuse(p.they, &ec2api.DeleteVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "OperationNotPermitted", "*")
	p.refuse(p.root("999988887777"), &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "InvalidVpcPeeringConnectionID.NotFound", "*")
	taken := ask[ec2api.AcceptVpcPeeringConnectionResult](p.desk, p.they, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}).VpcPeeringConnection
	if *taken.Status.Code != "provisioning" || *taken.AccepterVpcInfo.CidrBlock != "10.1.0.0/16" || *taken.AccepterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc {
		t.Errorf("taken %+v", taken)
	}
	if a, b := p.state(p.me, id), p.state(p.they, id); a != "active" || b != "active" || routed() != *id+" active" {
		t.Errorf("states %s, %s, route %s", a, b, routed())
	}
	p.refuse(p.they, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "InvalidStateTransition", "*")
	p.refuse(p.they, &ec2api.DeleteVpcRequest{VpcId: &p.far}, "DependencyViolation", "*")
	other := p.newVPC("10.7.0.0/16")
	table := ask[ec2api.CreateRouteTableResult](p.desk, p.me, &ec2api.CreateRouteTableRequest{VpcId: &other}).RouteTable.RouteTableId
	p.refuse(p.me, &ec2api.CreateRouteRequest{RouteTableId: table, DestinationCidrBlock: new("10.1.0.0/16"), VpcPeeringConnectionId: id}, "InvalidVpcPeeringConnectionID.NotFound", "*")
	if _, err := p.try(p.they, &ec2api.DeleteVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}); err != nil {
		t.Fatal(err)
	}
	if a := p.state(p.me, id); a != "deleted" || routed() != *id+" blackhole" {
		t.Errorf("state %s, route %s", a, routed())
	}
	p.Advance(3 * time.Hour)
	if a, b := p.state(p.me, id), p.state(p.they, id); a != "deleted" || b != "" {
		t.Errorf("after three hours %q, %q", a, b)
	}
	p.Advance(48 * time.Hour)
	if a := p.state(p.me, id); a != "" {
		t.Errorf("after two days %q", a)
	}
	p.made()
	if n := p.count("ec2/peering"); n != 1 {
		t.Errorf("%d connections are stored", n)
	}
}

// TestPeeringEndsBeforeItBegins: rejected, failed, expired, withdrawn.
func TestPeeringEndsBeforeItBegins(t *testing.T) {
	p := newPair(t)
	p.refuse(p.me, &ec2api.CreateVpcPeeringConnectionRequest{VpcId: &p.near}, "MissingParameter", "*")
	p.refuse(p.me, &ec2api.CreateVpcPeeringConnectionRequest{VpcId: &p.near, PeerVpcId: &p.near}, "InvalidParameterValue", "*")
	p.refuse(p.me, &ec2api.CreateVpcPeeringConnectionRequest{VpcId: &p.far, PeerVpcId: &p.near}, "InvalidVpcID.NotFound", "*")
	id := p.made()
	ask[ec2api.RejectVpcPeeringConnectionResult](p.desk, p.they, &ec2api.RejectVpcPeeringConnectionRequest{VpcPeeringConnectionId: id})
	p.refuse(p.me, &ec2api.DeleteVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "InvalidStateTransition", "*")
	if got := p.state(p.me, id); got != "rejected" {
		t.Errorf("state %s", got)
	}
	id = p.made()
	p.Advance(7*24*time.Hour + time.Minute)
	p.refuse(p.they, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}, "InvalidStateTransition", "*")
	if got := p.state(p.they, id); got != "expired" {
		t.Errorf("state %s", got)
	}
	id = p.made()
	p.done(&ec2api.DeleteVpcPeeringConnectionRequest{VpcPeeringConnectionId: id})
	if got := p.state(p.they, id); got != "deleted" {
		t.Errorf("state %s", got)
	}
	close := p.newVPC("10.0.128.0/20")
	for _, peer := range []string{close, "vpc-0123456789abcdef0"} {
		made := ask[ec2api.CreateVpcPeeringConnectionResult](p.desk, p.me, &ec2api.CreateVpcPeeringConnectionRequest{VpcId: &p.near, PeerVpcId: &peer}).VpcPeeringConnection
		if got := p.state(p.me, made.VpcPeeringConnectionId); got != "failed" {
			t.Errorf("state with %s: %s", peer, got)
		}
	}
	p.done(&ec2api.DeleteVpcRequest{VpcId: &p.near})
}

// TestPeeringOptions: names of hosts, by the owner of each VPC.
func TestPeeringOptions(t *testing.T) {
	p := newPair(t)
	id := p.made()
	on := &ec2api.PeeringConnectionOptionsRequest{AllowDnsResolutionFromRemoteVpc: new(true)}
	requester := &ec2api.ModifyVpcPeeringConnectionOptionsRequest{VpcPeeringConnectionId: id, RequesterPeeringConnectionOptions: on}
	p.refuse(p.me, requester, "OperationNotPermitted", "*")
	ask[ec2api.AcceptVpcPeeringConnectionResult](p.desk, p.they, &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id})
	p.refuse(p.me, requester, "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", "*")
	hosts := &ec2api.AttributeBooleanValue{Value: new(true)}
	if _, err := p.try(p.they, &ec2api.ModifyVpcAttributeRequest{VpcId: &p.far, EnableDnsHostnames: hosts}); err != nil {
		t.Fatal(err)
	}
	p.refuse(p.me, requester, "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", "*")
	if _, err := p.try(p.they, &ec2api.ModifyVpcAttributeRequest{VpcId: &p.far, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: new(false)}}); err != nil {
		t.Fatal(err)
	}
	p.done(&ec2api.ModifyVpcAttributeRequest{VpcId: &p.near, EnableDnsHostnames: hosts}) // the other VPC need not have it
	if out := ask[ec2api.ModifyVpcPeeringConnectionOptionsResult](p.desk, p.me, requester); !api.Val(out.RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc) || out.AccepterPeeringConnectionOptions != nil {
		t.Errorf("options %+v", out)
	}
	p.refuse(p.they, requester, "OperationNotPermitted", "*")
	p.refuse(p.me, &ec2api.ModifyVpcPeeringConnectionOptionsRequest{VpcPeeringConnectionId: id}, "MissingParameter", "*")
	p.refuse(p.me, &ec2api.ModifyVpcPeeringConnectionOptionsRequest{
		VpcPeeringConnectionId: id, RequesterPeeringConnectionOptions: &ec2api.PeeringConnectionOptionsRequest{AllowEgressFromLocalClassicLinkToRemoteVpc: new(true)},
	}, "UnsupportedOperation", "*")
	shown := ask[ec2api.DescribeVpcPeeringConnectionsResult](p.desk, p.they, &ec2api.DescribeVpcPeeringConnectionsRequest{VpcPeeringConnectionIds: []string{*id}}).VpcPeeringConnections[0]
	if !*shown.RequesterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc || *shown.AccepterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc {
		t.Errorf("shown %+v", shown)
	}
}

// TestWhoMayPeer: the conditions of the guide's examples, about the accepter for who asks and about the requester for who
// takes. Source: VPC Peering Guide, "Identity and access management for VPC peering".
func TestWhoMayPeer(t *testing.T) {
	p := newPair(t)
	arns := func(account, what string) string { return "arn:aws:ec2:" + region + ":" + account + ":" + what }
	policy := func(action, account, key, vpc string) string {
		return `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"` + action + `","Resource":"` + arns(account, "vpc/*") + `"},
			{"Effect":"Allow","Action":"` + action + `","Resource":"` + arns(account, "vpc-peering-connection/*") + `","Condition":{"ArnLike":{"` + key + `":"` + vpc + `"}}}]}`
	}
	const create, accept = "ec2:CreateVpcPeeringConnection", "ec2:AcceptVpcPeeringConnection"
	p.refuse(p.User(mine, "elsewhere", policy(create, mine, "ec2:AccepterVpc", arns(theirs, "vpc/vpc-other"))), p.asked(), "UnauthorizedOperation", "*")
	p.refuse(p.User(mine, "tags", policy(create, mine, "ec2:AccepterVpc", arns(theirs, "vpc/*"))), func() any {
		in := p.asked()
		in.TagSpecifications = specs("vpc-peering-connection")
		return in
	}(), "UnauthorizedOperation", "*")
	id := ask[ec2api.CreateVpcPeeringConnectionResult](p.desk, p.User(mine, "asks", policy(create, mine, "ec2:AccepterVpc", arns(theirs, "vpc/"+p.far))), p.asked()).VpcPeeringConnection.VpcPeeringConnectionId
	take := &ec2api.AcceptVpcPeeringConnectionRequest{VpcPeeringConnectionId: id}
	p.refuse(p.User(theirs, "others", policy(accept, theirs, "ec2:RequesterVpc", arns("999988887777", "vpc/*"))), take, "UnauthorizedOperation", "*")
	if _, err := p.try(p.User(theirs, "takes", policy(accept, theirs, "ec2:RequesterVpc", arns(mine, "vpc/*"))), take); err != nil {
		t.Error(err)
	}
}

func TestPeersHaveTheFormOfAnAccountAndARegion(t *testing.T) {
	p := newPair(t)
	for _, change := range []func(*ec2api.CreateVpcPeeringConnectionRequest){
		func(in *ec2api.CreateVpcPeeringConnectionRequest) { in.PeerOwnerId = new("12345") },
		func(in *ec2api.CreateVpcPeeringConnectionRequest) { in.PeerOwnerId = new("me") },
		func(in *ec2api.CreateVpcPeeringConnectionRequest) { in.PeerRegion = new("Frankfurt") },
		func(in *ec2api.CreateVpcPeeringConnectionRequest) { in.PeerRegion = new("us-east-1a") },
	} {
		in := p.asked()
		change(in)
		p.refuse(p.me, in, "InvalidParameterValue", "*")
	}
}
