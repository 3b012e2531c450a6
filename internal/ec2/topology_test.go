package ec2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// TestTopology: running instances of the types that have one tell their place in the network, in pages.
// Source: EC2 User Guide, "Prerequisites for Amazon EC2 topology".
func TestTopology(t *testing.T) {
	h := newHouse(t)
	ask[ec2api.CreatePlacementGroupResult](h.desk, h.owner(), &ec2api.CreatePlacementGroupRequest{GroupName: new("near"), Strategy: new("cluster")})
	start := func(kind string, group *string) string {
		in := runRequest()
		in.InstanceType, in.Placement = &kind, &ec2api.Placement{GroupName: group}
		id := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
		h.Advance(time.Minute)
		return id
	}
	first, second, halted := start("g6e.xlarge", new("near")), start("trn1.2xlarge", nil), start("g6e.xlarge", nil)
	start("t3.micro", nil)
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{halted}})
	h.Advance(time.Minute)
	type request = ec2api.DescribeInstanceTopologyRequest
	for name, tt := range map[string]struct {
		in   request
		want []string
	}{
		"all":         {request{}, []string{first, second}},
		"a page":      {request{MaxResults: new(int32(100))}, []string{first, second}},
		"named":       {request{InstanceIds: []string{second, halted}}, []string{second}},
		"of a group":  {request{GroupNames: []string{"near"}}, []string{first}},
		"of a family": {request{Filters: []ec2api.Filter{filter("instance-type", "trn1*")}}, []string{second}},
		"elsewhere":   {request{Filters: []ec2api.Filter{filter("availability-zone", "us-east-1z")}}, nil},
	} {
		var got []string
		for _, i := range ask[ec2api.DescribeInstanceTopologyResult](h.desk, h.owner(), &tt.in).Instances {
			got = append(got, *i.InstanceId)
			if len(i.NetworkNodes) != 3 || i.CapacityBlockId != nil || api.Val(i.GroupName) != map[string]string{first: "near"}[*i.InstanceId] {
				t.Errorf("%s: %+v", name, i)
			}
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	all := ask[ec2api.DescribeInstanceTopologyResult](h.desk, h.owner(), &request{}).Instances
	if n := all[0].NetworkNodes; !slices.Equal(n, all[1].NetworkNodes) || n[0] == n[1] || n[1] == n[2] {
		t.Errorf("nodes %v and %v of one host", n, all[1].NetworkNodes)
	}
	h.refuse(h.owner(), &request{InstanceIds: []string{first}, MaxResults: new(int32(5))}, "InvalidParameterCombination", "*")
	h.refuse(h.owner(), &request{InstanceIds: []string{"i-0123456789abcdef0"}}, "InvalidInstanceID.NotFound", "*")
	h.refuse(h.owner(), &request{DryRun: new(true)}, "DryRunOperation", "*")
}

// TestSpotDatafeed: an account has one, or none.
func TestSpotDatafeed(t *testing.T) {
	h := newHouse(t)
	type create = ec2api.CreateSpotDatafeedSubscriptionRequest
	describe := &ec2api.DescribeSpotDatafeedSubscriptionRequest{}
	h.refuse(h.owner(), describe, "InvalidSpotDatafeed.NotFound", "*")
	h.refuse(h.owner(), &create{Bucket: new("x")}, "InvalidParameterValue", "*")
	h.refuse(h.owner(), &create{Bucket: new("logs"), DryRun: new(true)}, "DryRunOperation", "*")
	for _, prefix := range []string{"spot", ""} {
		ask[ec2api.CreateSpotDatafeedSubscriptionResult](h.desk, h.owner(), &create{Bucket: new("logs"), Prefix: api.Opt(prefix)})
		feed := ask[ec2api.DescribeSpotDatafeedSubscriptionResult](h.desk, h.owner(), describe).SpotDatafeedSubscription
		if *feed.Bucket != "logs" || api.Val(feed.Prefix) != prefix || *feed.State != "Active" || *feed.OwnerId != mine {
			t.Errorf("feed %+v", feed)
		}
	}
	for range 2 {
		if _, err := h.try(h.owner(), &ec2api.DeleteSpotDatafeedSubscriptionRequest{}); err != nil {
			t.Error(err)
		}
	}
	h.refuse(h.owner(), describe, "InvalidSpotDatafeed.NotFound", "*")
}
