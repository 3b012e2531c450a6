package ec2_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/store"
)

// manyRequest is a launch of more instances than one transaction of the store carries.
func manyRequest(least, most int32, token string) *ec2api.RunInstancesRequest {
	in := runRequest()
	in.MinCount, in.MaxCount, in.ClientToken = &least, &most, &token
	in.TagSpecifications = []ec2api.TagSpecification{
		{ResourceType: new("instance"), Tags: tagList("of", token)},
		{ResourceType: new("network-interface"), Tags: tagList("of", token)},
	}
	return in
}

func instanceIDs(r *ec2api.Reservation) (ids []string) {
	for _, i := range r.Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

func TestManyInstancesAreOneLaunch(t *testing.T) {
	h := newHouse(t)
	out := ask[ec2api.Reservation](h.desk, h.owner(), manyRequest(1, 130, "many"))
	if len(out.Instances) != 130 {
		t.Fatalf("%d instances", len(out.Instances))
	}
	ids, addresses := map[string]bool{}, map[string]bool{}
	for n, i := range out.Instances {
		ids[*i.InstanceId], addresses[*i.PrivateIpAddress] = true, true
		if *i.AmiLaunchIndex != int32(n) || *i.State.Name != "pending" || len(i.Tags) != 1 {
			t.Errorf("%d: index %d, %s, %d tags", n, *i.AmiLaunchIndex, *i.State.Name, len(i.Tags))
		}
	}
	if len(ids) != 130 || len(addresses) != 130 {
		t.Errorf("%d ids, %d addresses", len(ids), len(addresses))
	}
	again := ask[ec2api.Reservation](h.desk, h.owner(), manyRequest(1, 130, "many"))
	if *again.ReservationId != *out.ReservationId || len(again.Instances) != 130 {
		t.Errorf("the token launched again: %s with %d", *again.ReservationId, len(again.Instances))
	}
	h.refuse(h.owner(), manyRequest(1, 131, "many"), "IdempotentParameterMismatch", "*")
	h.Advance(5 * time.Second)
	all := instanceIDs(out)
	found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{InstanceIds: all})
	if len(found.Reservations) != 1 || len(found.Reservations[0].Instances) != 130 {
		t.Fatalf("%d reservations", len(found.Reservations))
	}
	for _, i := range found.Reservations[0].Instances {
		if *i.State.Name != "running" {
			t.Errorf("%s is %s", *i.InstanceId, *i.State.Name)
		}
	}
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: append(all, "i-0123456789abcdef0")}, "InvalidInstanceID.NotFound", "*")
	stopped := ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: all})
	if len(stopped.StoppingInstances) != 130 {
		t.Errorf("%d instances stop", len(stopped.StoppingInstances))
	}
	h.Advance(5 * time.Second)
	ended := ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: all})
	if len(ended.TerminatingInstances) != 130 {
		t.Errorf("%d instances end", len(ended.TerminatingInstances))
	}
	h.Advance(5 * time.Second)
	h.clean()
	h.refuse(h.owner(), manyRequest(1, 130, "many"), "IdempotentInstanceTerminated", "*")
}

func TestAnUnfinishedLaunchIsTakenBack(t *testing.T) {
	for _, spot := range []bool{false, true} {
		t.Run(fmt.Sprint("spot ", spot), func(t *testing.T) {
			h := newHouse(t)
			in := manyRequest(50, 50, "many")
			if spot {
				in.InstanceMarketOptions = &ec2api.InstanceMarketOptionsRequest{MarketType: new("spot")}
			}
			kept := ask[ec2api.Reservation](h.desk, h.owner(), manyRequest(2, 2, "few"))
			out := ask[ec2api.Reservation](h.desk, h.owner(), in)
			h.Update(func(tx store.Tx) error {
				return h.ec2.Unfinish(tx, region, mine, *out.ReservationId, "many", instanceIDs(out))
			})
			h.refuse(h.owner(), in, "Unavailable", "*")
			h.restart()
			found := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{})
			if len(found.Reservations) != 1 || *found.Reservations[0].ReservationId != *kept.ReservationId {
				t.Errorf("%d reservations are left", len(found.Reservations))
			}
			for kind, n := range map[string]int{"instance": 2, "network-interface": 2} {
				tags := ask[ec2api.DescribeTagsResult](h.desk, h.owner(), &ec2api.DescribeTagsRequest{Filters: []ec2api.Filter{filter("resource-type", kind)}})
				if len(tags.Tags) != n {
					t.Errorf("%d tags of %ss are left", len(tags.Tags), kind)
				}
			}
			spots := ask[ec2api.DescribeSpotInstanceRequestsResult](h.desk, h.owner(), &ec2api.DescribeSpotInstanceRequestsRequest{})
			if len(spots.SpotInstanceRequests) != 0 {
				t.Errorf("%d Spot requests are left", len(spots.SpotInstanceRequests))
			}
			again := ask[ec2api.Reservation](h.desk, h.owner(), in)
			if *again.ReservationId == *out.ReservationId || len(again.Instances) != 50 {
				t.Errorf("the launch was not made again: %d instances", len(again.Instances))
			}
			h.Advance(5 * time.Second)
			h.wantState(*again.Instances[49].InstanceId, "running")
			h.wantState(*kept.Instances[1].InstanceId, "running")
			h.noJobs()
		})
	}
}

func TestALaunchFitsItsSubnet(t *testing.T) {
	h := newHouse(t)
	vpc := ask[ec2api.CreateVpcResult](h.desk, h.owner(), &ec2api.CreateVpcRequest{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId
	net := ask[ec2api.CreateSubnetResult](h.desk, h.owner(), &ec2api.CreateSubnetRequest{VpcId: vpc, CidrBlock: new("10.0.0.0/27")}).Subnet.SubnetId
	in := manyRequest(28, 28, "a")
	in.SubnetId = net
	h.refuse(h.owner(), in, "InsufficientFreeAddressesInSubnet", "*")
	in = manyRequest(5, 100, "b")
	in.SubnetId = net
	if out := ask[ec2api.Reservation](h.desk, h.owner(), in); len(out.Instances) != 27 {
		t.Errorf("%d instances", len(out.Instances))
	}
}
