package autoscaling_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// Groups, their instances and launches tell the ids of their zones, and take them.
func TestZoneIDs(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.AvailabilityZones, in.AvailabilityZoneIds = nil, []string{"usw2-az2"}
	w.must("CreateAutoScalingGroup", in)
	w.Advance(3 * time.Second)
	g := w.group("g")
	if !slices.Equal(g.AvailabilityZoneIds, []string{"usw2-az2"}) || !slices.Equal(g.AvailabilityZones, []string{"us-west-2b"}) || *g.DeletionProtection != "none" ||
		*g.Instances[0].AvailabilityZoneId != "usw2-az2" {
		t.Errorf("the group is %s", jsonOf(t, g))
	}
	out, err := w.do(w.admin, "DescribeAutoScalingInstances", &autoscalingapi.DescribeAutoScalingInstancesType{})
	w.Must(err)
	if i := out.(*autoscalingapi.AutoScalingInstancesType).AutoScalingInstances[0]; *i.AvailabilityZoneId != "usw2-az2" {
		t.Errorf("the instance is %s", jsonOf(t, i))
	}
	update := &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), AvailabilityZoneIds: []string{"usw2-az1", "usw2-az2"}}
	w.must("UpdateAutoScalingGroup", update)
	if g := w.group("g"); !slices.Equal(g.AvailabilityZoneIds, []string{"usw2-az1", "usw2-az2"}) || !slices.Equal(g.AvailabilityZones, []string{"us-west-2a", "us-west-2b"}) {
		t.Errorf("after the update it is %s", jsonOf(t, g))
	}
	launch := launchNow(1, "t", "")
	launch.AvailabilityZoneIds = []string{"usw2-az1"}
	if c := w.launch(launch).Instances[0]; *c.AvailabilityZoneId != "usw2-az1" || *c.AvailabilityZone != "us-west-2a" {
		t.Errorf("launched %s", jsonOf(t, c))
	}
	launch = launchNow(1, "u", "")
	launch.AvailabilityZoneIds = []string{"usw2-az9"}
	guardtest.WantError(t, w.try("LaunchInstances", launch), "ValidationError", "The Auto Scaling group g does not use the Availability Zone usw2-az9.")

	const twice = "You cannot specify both AvailabilityZones and AvailabilityZoneIds in the same request."
	update.AvailabilityZones = []string{"us-west-2a"}
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", update), "ValidationError", twice)
	in.AvailabilityZones = []string{"us-west-2a"}
	guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", twice)
	update.AvailabilityZones, update.AvailabilityZoneIds = nil, []string{"usw2-az9"}
	guardtest.WantError(t, w.try("UpdateAutoScalingGroup", update), "ValidationError", "One or more of the Availability Zones do not exist.")
}

func TestActivitiesByFilter(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 3))
	w.Advance(time.Minute)
	whole := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})
	between := whole[0].EndTime.UTC()
	w.ec2.run = false
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(5))})
	w.Advance(2 * time.Second)
	filter := func(name string, values ...string) autoscalingapi.Filter {
		return autoscalingapi.Filter{Name: &name, Values: values}
	}
	for _, tt := range []struct {
		filters []autoscalingapi.Filter
		want    int
	}{
		{nil, 5},
		{[]autoscalingapi.Filter{filter("Status", "Successful")}, 3},
		{[]autoscalingapi.Filter{filter("Status", "Successful", "PreInService", "InProgress")}, 5},
		{[]autoscalingapi.Filter{filter("Status", "Failed")}, 0},
		{[]autoscalingapi.Filter{filter("StartTimeLowerBound", between.Format(time.RFC3339))}, 2},
		{[]autoscalingapi.Filter{filter("StartTimeUpperBound", between.Format("2006-01-02T15:04:05"))}, 3},
		{[]autoscalingapi.Filter{filter("StartTimeUpperBound", between.Format(time.RFC3339)), filter("Status", "PreInService", "InProgress")}, 0},
		{[]autoscalingapi.Filter{filter("StartTimeUpperBound", between.In(time.FixedZone("", 8*3600)).Format(time.RFC3339))}, 3},
	} {
		in := autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g"), Filters: tt.filters}
		if got := w.activities(&in); len(got) != tt.want {
			t.Errorf("%s: %d activities, want %d", jsonOf(t, tt.filters), len(got), tt.want)
		}
		if got := w.pages(in, 1); len(got) != tt.want {
			t.Errorf("%s in pages of one: %d activities, want %d", jsonOf(t, tt.filters), len(got), tt.want)
		}
	}
	for _, f := range []autoscalingapi.Filter{filter("Colour", "red"), filter("Status", "Fine"), filter("StartTimeLowerBound", "soon"), filter("StartTimeLowerBound")} {
		in := &autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g"), Filters: []autoscalingapi.Filter{f}}
		guardtest.WantError(t, w.try("DescribeScalingActivities", in), "ValidationError", "*")
	}
	guardtest.WantError(t, w.try("DescribeScalingActivities", &autoscalingapi.DescribeScalingActivitiesType{Filters: []autoscalingapi.Filter{filter("Status", "Failed")}}),
		"ValidationError", "The Status filter can only be used in combination with the AutoScalingGroupName parameter.")
}
