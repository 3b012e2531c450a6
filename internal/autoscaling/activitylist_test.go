package autoscaling_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

// pages reads all pages of a listing of activities.
func (w *world) pages(in autoscalingapi.DescribeScalingActivitiesType, size int32) (all []autoscalingapi.Activity) {
	w.T.Helper()
	in.MaxRecords = &size
	for {
		out, err := w.do(w.admin, "DescribeScalingActivities", &in)
		w.Must(err)
		page := out.(*autoscalingapi.ActivitiesType)
		if len(page.Activities) > int(size) {
			w.T.Fatalf("%d activities on a page of %d", len(page.Activities), size)
		}
		all = append(all, page.Activities...)
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return all
		}
	}
}

// Pages tell each activity once, those in progress first, then the newest, of one group or of all.
func TestActivitiesInPages(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("gone", 2))
	w.Advance(2 * time.Second)
	w.must("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("gone"), ForceDelete: new(true)})
	w.Advance(time.Minute)
	w.ec2.run = true
	for _, g := range []string{"a", "b"} {
		w.must("CreateAutoScalingGroup", request(g, 3))
		w.Advance(time.Minute)
	}
	w.ec2.run = false
	for _, g := range []string{"a", "b"} {
		w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: &g, DesiredCapacity: new(int32(5))})
		w.Advance(2 * time.Second)
	}
	for _, test := range []struct {
		group      string
		deleted    bool
		open, ends int
	}{{"a", false, 2, 3}, {"", false, 4, 6}, {"", true, 4, 10}, {"gone", true, 0, 4}} {
		in := autoscalingapi.DescribeScalingActivitiesType{IncludeDeletedGroups: &test.deleted}
		if test.group != "" {
			in.AutoScalingGroupName = &test.group
		}
		whole := w.activities(&in)
		if len(whole) != test.open+test.ends {
			t.Errorf("%+v: %d activities", test, len(whole))
		}
		for i, a := range whole {
			if (a.EndTime == nil) != (i < test.open) {
				t.Errorf("%+v: activity %d is %s", test, i, *a.StatusCode)
			}
			if i > 0 && i != test.open && a.StartTime.After(*whole[i-1].StartTime) {
				t.Errorf("%+v: activity %d is newer than the one before", test, i)
			}
		}
		for size := range int32(4) {
			paged := w.pages(in, size+1)
			ids := func(all []autoscalingapi.Activity) (out []string) {
				for _, a := range all {
					out = append(out, *a.ActivityId)
				}
				return out
			}
			if got, want := fmt.Sprint(ids(paged)), fmt.Sprint(ids(whole)); got != want {
				t.Errorf("%+v in pages of %d: %s, want %s", test, size+1, got, want)
			}
		}
	}
	one := *w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("b")})[0].ActivityId
	for group, n := range map[string]int{"a": 0, "b": 1} {
		if got := len(w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: &group, ActivityIds: []string{one}})); got != n {
			t.Errorf("%d activities of %s have the id, want %d", got, group, n)
		}
	}
	guardtest.WantError(t, w.try("DescribeScalingActivities", &autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("none")}),
		"ValidationError", "*")
}

// An activity that failed before anything was asked is told with its time and reason.
func TestFailedActivityIsTold(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	w.Advance(0)
	w.roles.refuse = apierr.New("AccessDenied", "not you")
	w.must("SetDesiredCapacity", resize(1))
	w.Advance(time.Second)
	a := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})[0]
	w.View(func(tx store.Tx) error {
		at, why, ok, err := w.service.FailedActivity(tx, guardtest.Region, account, *a.ActivityId)
		if !ok || why != *a.StatusMessage || at.Truncate(time.Second) != *a.EndTime {
			t.Errorf("%v at %v: %q, want %q at %v", ok, at, why, *a.StatusMessage, *a.EndTime)
		}
		if _, _, ok, _ := w.service.FailedActivity(tx, guardtest.Region, account, "nope"); ok {
			t.Error("there is no such activity")
		}
		return err
	})
}

// Many groups and instances named in one request are told in order, and only those.
func TestDescribeNamedGroupsAndInstances(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	var names, ids []string
	for i := range 40 {
		name := fmt.Sprintf("g%02d", i)
		w.must("CreateAutoScalingGroup", request(name, 2))
		if i%2 == 0 {
			names = append(names, name)
		}
	}
	w.Advance(time.Minute)
	for _, n := range []int{1, 3, 20} {
		out, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{AutoScalingGroupNames: append([]string{"none"}, names[:n]...)})
		w.Must(err)
		groups := out.(*autoscalingapi.AutoScalingGroupsType).AutoScalingGroups
		if len(groups) != n {
			t.Fatalf("%d groups, want %d", len(groups), n)
		}
		ids = nil
		for i, g := range groups {
			if *g.AutoScalingGroupName != names[i] || len(g.Instances) != 2 {
				t.Errorf("%s has %d instances", *g.AutoScalingGroupName, len(g.Instances))
			}
			for _, i := range g.Instances {
				ids = append(ids, *i.InstanceId)
			}
		}
	}
	out, err := w.do(w.admin, "DescribeAutoScalingInstances", &autoscalingapi.DescribeAutoScalingInstancesType{InstanceIds: append(ids, "i-0")})
	w.Must(err)
	if all := out.(*autoscalingapi.AutoScalingInstancesType).AutoScalingInstances; len(all) != 40 {
		t.Errorf("%d instances, want 40", len(all))
	}
	guardtest.WantError(t, w.try("DescribeAutoScalingInstances", &autoscalingapi.DescribeAutoScalingInstancesType{InstanceIds: slices.Repeat(ids[:1], 51)}), "ValidationError",
		"The number of instance ids that may be passed in is limited to 50")
}
