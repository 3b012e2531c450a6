package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

func (w *world) refreshes() []autoscalingapi.InstanceRefresh {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeInstanceRefreshes", &autoscalingapi.DescribeInstanceRefreshesType{AutoScalingGroupName: new("g")})
	w.Must(err)
	return out.(*autoscalingapi.DescribeInstanceRefreshesAnswer).InstanceRefreshes
}

func (w *world) wantRefresh(when, status string, percent int32) {
	w.T.Helper()
	r := w.refreshes()[0]
	if *r.Status != status || api.Val(r.PercentageComplete) != percent {
		w.T.Errorf("%s: the refresh is %s at %d%% (%s); want %s at %d%%", when, *r.Status, api.Val(r.PercentageComplete), api.Val(r.StatusReason), status, percent)
	}
}

func start(p autoscalingapi.RefreshPreferences) *autoscalingapi.StartInstanceRefreshType {
	return &autoscalingapi.StartInstanceRefreshType{AutoScalingGroupName: new("g"), Preferences: &p}
}

// A refresh replaces everything and stays within its bounds.
func TestInstanceRefresh(t *testing.T) {
	for name, tc := range map[string]struct {
		prefs       autoscalingapi.RefreshPreferences
		least, most int
	}{
		"one at a time":     {autoscalingapi.RefreshPreferences{InstanceWarmup: new(int32(30))}, 3, 4},
		"half":              {autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(50)), InstanceWarmup: new(int32(30))}, 2, 4},
		"launch first":      {autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(150)), InstanceWarmup: new(int32(30))}, 4, 6},
		"launch first, 110": {autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(110))}, 4, 5},
		"everything":        {autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(0))}, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, 4)
			w.must("StartInstanceRefresh", start(tc.prefs))
			guardtest.WantError(t, w.try("StartInstanceRefresh", start(tc.prefs)), "InstanceRefreshInProgress",
				"An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
			for range 300 {
				w.Advance(time.Second)
				if n := len(w.ec2.ids("running")); n < tc.least || n > tc.most {
					t.Fatalf("%d instances run; want %d to %d", n, tc.least, tc.most)
				}
			}
			w.wantRefresh("at the end", "Successful", 100)
			if n := len(w.ec2.ids("terminated")); n != 4 {
				t.Errorf("%d instances were replaced", n)
			}
			w.wantStates("at the end", "InService InService InService InService")
			var causes strings.Builder
			for _, a := range w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")}) {
				causes.WriteString(*a.Cause + "\n")
			}
			if n := strings.Count(causes.String(), "an instance was taken out of service in response to an instance refresh."); n != 4 {
				t.Errorf("%d terminations say so:\n%s", n, causes.String())
			}
			if n := strings.Count(causes.String(), "an instance was launched in response to an instance refresh."); n != 4 {
				t.Errorf("%d launches say so:\n%s", n, causes.String())
			}
		})
	}
}

// Skip matching leaves instances of the template's version alone; a desired configuration becomes
// the group's when all went well.
func TestRefreshSkipMatchingAndDesired(t *testing.T) {
	w := running(t, 2)
	w.must("StartInstanceRefresh", start(autoscalingapi.RefreshPreferences{SkipMatching: new(true)}))
	w.Advance(3 * time.Second)
	w.wantRefresh("nothing differs", "Successful", 100)
	if n := len(w.ec2.ids("terminated")); n != 0 {
		t.Errorf("%d instances were replaced", n)
	}
	in := start(autoscalingapi.RefreshPreferences{SkipMatching: new(true), MinHealthyPercentage: new(int32(0)), BakeTime: new(int32(600))})
	in.DesiredConfiguration = &autoscalingapi.DesiredConfiguration{LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("4")}}
	w.must("StartInstanceRefresh", in)
	w.Advance(10 * time.Second)
	w.wantRefresh("replaced", "Baking", 100)
	if got := *w.group("g").LaunchTemplate.Version; got != "$Latest" {
		t.Errorf("while it bakes the group has version %s", got)
	}
	w.Advance(10 * time.Minute)
	w.wantRefresh("baked", "Successful", 100)
	g := w.group("g")
	if *g.LaunchTemplate.Version != "4" || *g.Instances[0].LaunchTemplate.Version != "4" {
		t.Errorf("group %s, instance %s", *g.LaunchTemplate.Version, *g.Instances[0].LaunchTemplate.Version)
	}
}

// A refresh pauses at checkpoints, and stops when it is told to.
func TestRefreshPreferencesRefused(t *testing.T) {
	w := running(t, 1)
	guardtest.WantError(t, w.try("StartInstanceRefresh", start(autoscalingapi.RefreshPreferences{AutoRollback: new(true)})), "ValidationError",
		"The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. "+
			"Set AutoRollback to false or specify a desired configuration and try again.")
	for name, p := range map[string]autoscalingapi.RefreshPreferences{
		"upper bound alone": {MaxHealthyPercentage: new(int32(110))},
		"too far apart":     {MinHealthyPercentage: new(int32(50)), MaxHealthyPercentage: new(int32(200))},
		"descending":        {CheckpointPercentages: []int32{50, 25}},
	} {
		if err := w.try("StartInstanceRefresh", start(p)); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			guardtest.WantError(t, err, "ValidationError", "*")
		}
	}
}

func TestRefreshCheckpointsAndCancel(t *testing.T) {
	w := running(t, 4)
	w.must("StartInstanceRefresh", start(autoscalingapi.RefreshPreferences{
		MinHealthyPercentage: new(int32(75)), CheckpointPercentages: []int32{25, 50, 100}, CheckpointDelay: new(int32(600)),
	}))
	w.Advance(9 * time.Minute)
	w.wantRefresh("at the first checkpoint", "InProgress", 25)
	w.Advance(10 * time.Minute)
	w.wantRefresh("at the second checkpoint", "InProgress", 50)
	w.must("CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: new("g")})
	w.Advance(3 * time.Second)
	w.wantRefresh("cancelled", "Cancelled", 50)
	w.Advance(time.Hour)
	if n := len(w.ec2.ids("terminated")); n != 2 {
		t.Errorf("%d instances were replaced", n)
	}
	guardtest.WantError(t, w.try("CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: new("g")}),
		"ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group g")
}

// versioned makes a group of n instances of version 3 of the template, by number.
func versioned(t *testing.T, n int32) *world {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", n)
	in.LaunchTemplate.Version = new("3")
	w.must("CreateAutoScalingGroup", in)
	w.Advance(3 * time.Second)
	return w
}

func toVersion4(p autoscalingapi.RefreshPreferences) *autoscalingapi.StartInstanceRefreshType {
	in := start(p)
	in.DesiredConfiguration = &autoscalingapi.DesiredConfiguration{LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("4")}}
	return in
}

// A rollback replaces what the refresh launched by what the group had.
func TestRefreshRollback(t *testing.T) {
	w := versioned(t, 2)
	guardtest.WantError(t, w.try("RollbackInstanceRefresh", &autoscalingapi.RollbackInstanceRefreshType{AutoScalingGroupName: new("g")}),
		"ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group g")
	w.must("StartInstanceRefresh", toVersion4(autoscalingapi.RefreshPreferences{CheckpointPercentages: []int32{50, 100}, CheckpointDelay: new(int32(3600))}))
	w.Advance(5 * time.Minute)
	w.wantRefresh("at the checkpoint", "InProgress", 50)
	w.must("RollbackInstanceRefresh", &autoscalingapi.RollbackInstanceRefreshType{AutoScalingGroupName: new("g")})
	w.Advance(5 * time.Minute)
	w.wantRefresh("rolled back", "RollbackSuccessful", 100)
	r := w.refreshes()[0]
	if *r.RollbackDetails.PercentageCompleteOnRollback != 50 {
		t.Errorf("details: %s", jsonOf(t, r.RollbackDetails))
	}
	g := w.group("g")
	for _, i := range g.Instances {
		if *i.LaunchTemplate.Version != "3" {
			t.Errorf("%s has version %s", *i.InstanceId, *i.LaunchTemplate.Version)
		}
	}
	if *g.LaunchTemplate.Version != "3" || len(w.ec2.ids("running")) != 2 {
		t.Errorf("group: %s", *g.LaunchTemplate.Version)
	}
}

// A refresh that cannot go on for an hour fails, or turns back if it was asked to. Protected
// instances are what is waited for.
func TestRefreshTimesOut(t *testing.T) {
	for _, back := range []bool{false, true} {
		w := versioned(t, 2)
		id := w.ec2.ids("running")[0]
		w.must("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ProtectedFromScaleIn: new(true)})
		w.must("StartInstanceRefresh", toVersion4(autoscalingapi.RefreshPreferences{AutoRollback: &back}))
		w.Advance(30 * time.Minute)
		w.wantRefresh("in the middle", "InProgress", 50)
		w.Advance(40 * time.Minute)
		if back {
			w.wantRefresh("turned back", "RollbackSuccessful", 100)
		} else {
			w.wantRefresh("too late", "Failed", 50)
		}
	}
}

// Where a refresh is pending for a moment nothing happens until it is over; a second one is refused, and it can be
// cancelled.
func TestPendingInstanceRefresh(t *testing.T) {
	w := newWorld(t)
	w.timing.Refresh = 5 * time.Second
	w.start()
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(3 * time.Second)
	again := start(autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(0))})
	w.must("StartInstanceRefresh", again)
	w.Advance(4 * time.Second)
	w.wantRefresh("before its time", "Pending", 0)
	guardtest.WantError(t, w.try("StartInstanceRefresh", again), "InstanceRefreshInProgress", "*")
	for op, in := range map[string]any{
		"AttachLoadBalancers":            &autoscalingapi.AttachLoadBalancersType{AutoScalingGroupName: new("g"), LoadBalancerNames: []string{"classic"}},
		"AttachLoadBalancerTargetGroups": &autoscalingapi.AttachLoadBalancerTargetGroupsType{AutoScalingGroupName: new("g"), TargetGroupARNs: []string{target}},
		"AttachTrafficSources":           &autoscalingapi.AttachTrafficSourcesType{AutoScalingGroupName: new("g"), TrafficSources: []autoscalingapi.TrafficSourceIdentifier{{Identifier: new(services)}}},
		"PutWarmPool":                    &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: new("g")},
	} {
		guardtest.WantError(t, w.try(op, in), "InstanceRefreshInProgress", "*")
	}
	w.must("CancelInstanceRefresh", &autoscalingapi.CancelInstanceRefreshType{AutoScalingGroupName: new("g")})
	w.Advance(time.Second)
	w.wantRefresh("cancelled", "Cancelled", 0)
	if n := len(w.ec2.ids("terminated")); n != 0 {
		t.Errorf("%d instances were replaced", n)
	}
	w.must("StartInstanceRefresh", again)
	w.Advance(time.Minute)
	w.wantRefresh("at the end", "Successful", 100)
	if n := len(w.ec2.ids("terminated")); n != 2 {
		t.Errorf("%d instances were replaced", n)
	}
}
