package instancetype_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
)

func TestReservedInstancesOfferings(t *testing.T) {
	d := ec2test.New(t, operations)
	type request = ec2api.DescribeReservedInstancesOfferingsRequest
	ask := func(in request) *ec2api.DescribeReservedInstancesOfferingsResult {
		return ec2test.Ask[ec2api.DescribeReservedInstancesOfferingsResult](d, d.Root(), &in)
	}
	seen := map[string]bool{}
	var token *string
	for range 3 {
		out := ask(request{MaxResults: new(int32(1)), NextToken: token})
		if len(out.ReservedInstancesOfferings) != 1 || out.NextToken == nil {
			t.Fatalf("a page of one has %d and token %v", len(out.ReservedInstancesOfferings), out.NextToken)
		}
		token = out.NextToken
		seen[*out.ReservedInstancesOfferings[0].ReservedInstancesOfferingId] = true
	}
	if len(seen) != 3 {
		t.Errorf("three pages show %v", seen)
	}
	if n := len(ask(request{}).ReservedInstancesOfferings); n != 100 {
		t.Errorf("a page that nobody cut has %d", n)
	}
	medium := request{InstanceType: new("t3.medium"), OfferingClass: new("standard"), MaxDuration: new(int64(365 * 24 * 3600))}
	all := ask(medium).ReservedInstancesOfferings
	if len(all) != 15 { // three ways to pay, in the Region and its four zones
		t.Fatalf("%d offerings of t3.medium for a year", len(all))
	}
	for _, o := range all {
		paid := *o.FixedPrice
		for _, c := range o.RecurringCharges {
			paid += *c.Amount * 365 * 24
		}
		if on := 0.0416 * 365 * 24; paid < on*0.58 || paid > on*0.64 {
			t.Errorf("%s costs %.2f of %.2f on demand", *o.OfferingType, paid, on)
		}
		if zonal := *o.Scope == "Availability Zone"; zonal != (o.AvailabilityZone != nil) || *o.Marketplace || *o.InstanceTenancy != "default" {
			t.Errorf("%+v", o)
		}
	}
	one := ask(request{ReservedInstancesOfferingIds: []string{*all[0].ReservedInstancesOfferingId, *all[0].ReservedInstancesOfferingId}}).ReservedInstancesOfferings
	if len(one) != 1 || *one[0].InstanceType != "t3.medium" || *one[0].Duration != *all[0].Duration {
		t.Errorf("by its id: %+v", one)
	}
	for want, in := range map[int]request{
		12: {InstanceType: medium.InstanceType, OfferingClass: medium.OfferingClass, MaxDuration: medium.MaxDuration, Filters: []ec2api.Filter{ec2test.Filter("scope", "Availability Zone")}},
		5:  {InstanceType: medium.InstanceType, OfferingClass: medium.OfferingClass, MinDuration: new(int64(3 * 365 * 24 * 3600)), OfferingType: new("All Upfront")},
		0:  {InstanceType: medium.InstanceType, InstanceTenancy: new("dedicated")},
		3:  {InstanceType: medium.InstanceType, OfferingClass: medium.OfferingClass, MaxDuration: medium.MaxDuration, AvailabilityZone: all[14].AvailabilityZone},
	} {
		if got := len(ask(in).ReservedInstancesOfferings); got != want {
			t.Errorf("%d, want %d: %+v", got, want, in)
		}
	}
	d.Refuse(d.Root(), &request{ReservedInstancesOfferingIds: []string{"438012d3-4967-4ba9-aa40-cbb1a13e8b61"}}, "InvalidReservedInstancesOfferingId", "*")
	d.Refuse(d.Root(), &request{MaxResults: new(int32(101))}, "InvalidParameterValue", "*")
}
