package autoscaling_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

func (w *world) warm() (states string, answer *autoscalingapi.DescribeWarmPoolAnswer) {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribeWarmPool", &autoscalingapi.DescribeWarmPoolType{AutoScalingGroupName: new("g")})
	w.Must(err)
	answer = out.(*autoscalingapi.DescribeWarmPoolAnswer)
	var all []string
	for _, i := range answer.Instances {
		all = append(all, *i.LifecycleState)
	}
	slices.Sort(all)
	return strings.Join(all, " "), answer
}

func (w *world) wantWarm(when, want string) {
	w.T.Helper()
	if got, _ := w.warm(); got != want {
		w.T.Errorf("%s: the warm pool is %q; want %q", when, got, want)
	}
}

// A warm pool holds what the group is prepared for; scaling out takes from it, and the role starts
// the instance: its volumes need their grants again.
func TestWarmPool(t *testing.T) {
	w := running(t, 1)
	w.must("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: new("g"), MaxGroupPreparedCapacity: new(int32(3)), MinSize: new(int32(1))})
	w.Advance(5 * time.Second)
	w.wantWarm("filled", "Warmed:Stopped Warmed:Stopped")
	w.wantStates("the group", "InService")
	g := w.group("g")
	if *g.WarmPoolSize != 2 || *g.WarmPoolConfiguration.PoolState != "Stopped" || *g.WarmPoolConfiguration.MaxGroupPreparedCapacity != 3 {
		t.Errorf("group: %s", jsonOf(t, g.WarmPoolConfiguration))
	}
	if h := w.history("g"); !strings.Contains(h[0], "Launching a new EC2 instance into warm pool: i-") {
		t.Errorf("activity: %s", h[0])
	}
	w.must("SetDesiredCapacity", resize(2))
	w.Advance(5 * time.Second)
	w.wantStates("scaled out", "InService InService")
	w.wantWarm("smaller", "Warmed:Stopped")
	if h := w.history("g"); !strings.Contains(h[0], "Launching a new EC2 instance from warm pool: i-") {
		t.Errorf("activity: %s", h[0])
	}
	if want := "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"; len(w.ec2.starters) != 1 || w.ec2.starters[0] != want {
		t.Errorf("started by %v", w.ec2.starters)
	}
	if n := len(w.ec2.ids("running", "stopped")); n != 3 {
		t.Errorf("%d instances", n)
	}

	guardtest.WantError(t, w.try("DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: new("g")}), "ResourceInUse",
		"You cannot delete a warm pool while there are instances still in the warm pool.")
	w.must("DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	if _, out := w.warm(); *out.WarmPoolConfiguration.Status != "PendingDelete" {
		t.Errorf("pool: %s", jsonOf(t, out))
	}
	w.Advance(5 * time.Second)
	if _, out := w.warm(); out.WarmPoolConfiguration != nil || len(out.Instances) != 0 {
		t.Errorf("pool: %s", jsonOf(t, out))
	}
	w.wantStates("the group stays", "InService InService")
	guardtest.WantError(t, w.try("DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: new("g")}), "ValidationError", "No warm pool found for Auto Scaling group g")
}

// An instance whose volumes cannot be opened again when it leaves the pool is terminated, and its
// activity says why.
func TestWarmStartFails(t *testing.T) {
	w := running(t, 1)
	w.must("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: new("g"), MaxGroupPreparedCapacity: new(int32(2))})
	w.Advance(5 * time.Second)
	w.ec2.startFails = keyRefused
	w.must("SetDesiredCapacity", resize(2))
	w.Advance(4 * time.Second)
	id := w.ec2.ids("terminated")[0]
	message := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + keyRefused
	if h := w.history("g"); !slices.Contains(h, "Cancelled | "+message+" | Launching a new EC2 instance from warm pool: "+id+".  Status Reason: "+message) {
		t.Errorf("activities: %q", h)
	}
	w.Advance(2 * time.Minute)
	w.wantStates("launched anew", "InService InService")
}

// With a reuse policy instances go back when the group shrinks; a running pool keeps them running.
func TestWarmPoolReuse(t *testing.T) {
	w := running(t, 3)
	w.must("PutLifecycleHook", hook("down", leaving, "CONTINUE"))
	w.must("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: new("g"), MaxGroupPreparedCapacity: new(int32(3)), PoolState: new("Running"),
		InstanceReusePolicy: &autoscalingapi.InstanceReusePolicy{ReuseOnScaleIn: new(true)}})
	w.Advance(3 * time.Second)
	w.wantWarm("nothing is spare", "")
	w.must("SetDesiredCapacity", resize(1))
	w.Advance(3 * time.Second)
	w.wantStates("hooks first", "InService Terminating:Wait Terminating:Wait")
	w.Advance(time.Minute)
	w.Advance(3 * time.Second)
	w.wantStates("shrunk", "InService")
	w.wantWarm("reused", "Warmed:Running Warmed:Running")
	if n := len(w.ec2.ids("terminated")); n != 0 {
		t.Errorf("%d instances were terminated", n)
	}
	// Deleting the group with force ends the pool's instances too, and waits for no hook.
	w.must("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	w.Advance(5 * time.Second)
	if n := len(w.ec2.ids("running", "stopped")); n != 0 {
		t.Errorf("%d instances are left", n)
	}
}
