package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

func hook(name, transition, result string) *autoscalingapi.PutLifecycleHookType {
	return &autoscalingapi.PutLifecycleHookType{
		AutoScalingGroupName: new("g"), LifecycleHookName: &name, LifecycleTransition: &transition, DefaultResult: &result, HeartbeatTimeout: new(int32(60)),
	}
}

const launching, leaving = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"

func complete(name, instance, result string) *autoscalingapi.CompleteLifecycleActionType {
	return &autoscalingapi.CompleteLifecycleActionType{
		AutoScalingGroupName: new("g"), LifecycleHookName: &name, InstanceId: &instance, LifecycleActionResult: &result,
	}
}

func resize(n int32) *autoscalingapi.SetDesiredCapacityType {
	return &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: &n}
}

func (w *world) wantStates(when, want string) {
	w.T.Helper()
	if got := w.states("g"); got != want {
		w.T.Errorf("%s: states are %q; want %q", when, got, want)
	}
}

// Instances wait at hooks on their way in and out, all hooks of a transition at the same time.
func TestLifecycleHooks(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 0))
	w.must("PutLifecycleHook", hook("up", launching, "ABANDON"))
	w.must("PutLifecycleHook", hook("up-too", launching, "CONTINUE"))
	w.must("PutLifecycleHook", hook("down", leaving, "CONTINUE"))
	w.must("SetDesiredCapacity", resize(1))
	w.Advance(3 * time.Second)
	w.wantStates("launched", "Pending:Wait")
	if h := w.history("g"); !strings.HasPrefix(h[0], "MidLifecycleAction | ") {
		t.Errorf("while it waits: %s", h[0])
	}
	id := w.ec2.ids("running")[0]
	guardtest.WantError(t, w.try("CompleteLifecycleAction", complete("nope", id, "CONTINUE")), "ValidationError", "No active Lifecycle Action found with instance ID "+id)
	w.must("CompleteLifecycleAction", complete("up", id, "CONTINUE"))
	w.Advance(time.Second)
	w.wantStates("one of two is done", "Pending:Wait")
	w.Advance(50 * time.Second)
	w.must("RecordLifecycleActionHeartbeat", &autoscalingapi.RecordLifecycleActionHeartbeatType{
		AutoScalingGroupName: new("g"), LifecycleHookName: new("up-too"), InstanceId: &id,
	})
	w.Advance(50 * time.Second)
	w.wantStates("after a heartbeat", "Pending:Wait")
	w.Advance(11 * time.Second)
	w.wantStates("time is up, which means CONTINUE", "InService")

	w.must("SetDesiredCapacity", resize(0))
	w.Advance(3 * time.Second)
	w.wantStates("taken out", "Terminating:Wait")
	guardtest.WantError(t, w.try("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{
		AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ProtectedFromScaleIn: new(true),
	}), "ValidationError", "The instance "+id+" is not in InService or EnteringStandby or Standby.")
	if n := len(w.ec2.ids("running")); n != 1 {
		t.Errorf("%d instances run while the hook waits", n)
	}
	w.must("CompleteLifecycleAction", complete("down", id, "ABANDON"))
	w.Advance(3 * time.Second)
	w.wantStates("at the end", "")
	wantHistory(t, w, "g", "Successful |  | Terminating EC2 instance: "+id, "Successful |  | Launching a new EC2 instance: "+id)
}

// A launch that is abandoned, or forgotten, ends; so does one whose hook is deleted.
func TestLifecycleHookAbandons(t *testing.T) {
	for name, tc := range map[string]struct {
		act  func(w *world, id string)
		text string
	}{
		"told":         {func(w *world, id string) { w.must("CompleteLifecycleAction", complete("up", id, "ABANDON")) }, " was abandoned: Lifecycle Action Completed with ABANDON Result"},
		"forgotten":    {func(w *world, _ string) { w.Advance(time.Minute) }, " was abandoned: Heartbeat Timeout"},
		"hook deleted": {func(w *world, _ string) { w.must("DeleteLifecycleHook", deleteHook("up")) }, " was abandoned: Lifecycle Action Completed with ABANDON Result"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			in := request("g", 1)
			in.LifecycleHookSpecificationList = []autoscalingapi.LifecycleHookSpecification{{
				LifecycleHookName: new("up"), LifecycleTransition: new(launching), HeartbeatTimeout: new(int32(30)),
			}}
			w.must("CreateAutoScalingGroup", in)
			w.Advance(2 * time.Second)
			w.wantStates("launched", "Pending:Wait")
			tc.act(w, w.ec2.ids("running")[0])
			w.Advance(3 * time.Second)
			w.wantStates("abandoned", "")
			h := w.history("g")
			if len(h) != 2 || !strings.HasPrefix(h[1], "Cancelled | Instance failed to complete user's Lifecycle Action: Lifecycle Action with token ") || !strings.Contains(h[1], tc.text+" | ") {
				t.Errorf("activities: %q", h)
			}
			if n := len(w.ec2.ids("running")); n != 0 {
				t.Errorf("%d instances run on", n)
			}
			w.Advance(2 * time.Minute)
			if n := len(w.ec2.requests); n < 2 {
				t.Errorf("%d launches after a while", n)
			}
		})
	}
}

func deleteHook(name string) *autoscalingapi.DeleteLifecycleHookType {
	return &autoscalingapi.DeleteLifecycleHookType{AutoScalingGroupName: new("g"), LifecycleHookName: &name}
}

// What hooks look like, and what is refused.
func TestHookOperations(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	in := hook("h", launching, "CONTINUE")
	in.NotificationTargetARN, in.RoleARN = new("arn:aws:sqs:us-west-2:"+account+":q"), new("arn:aws:iam::"+account+":role/r")
	w.must("PutLifecycleHook", in)
	out, err := w.do(w.admin, "DescribeLifecycleHooks", &autoscalingapi.DescribeLifecycleHooksType{AutoScalingGroupName: new("g")})
	w.Must(err)
	got := jsonOf(t, out.(*autoscalingapi.DescribeLifecycleHooksAnswer).LifecycleHooks)
	want := `[{"LifecycleHookName":"h","AutoScalingGroupName":"g","LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING",` +
		`"NotificationTargetARN":"arn:aws:sqs:us-west-2:` + account + `:q","RoleARN":"arn:aws:iam::` + account + `:role/r","NotificationMetadata":null,"HeartbeatTimeout":60,"GlobalTimeout":6000,"DefaultResult":"CONTINUE"}]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bad := hook("h2", launching, "CONTINUE")
	bad.HeartbeatTimeout = new(int32(29))
	guardtest.WantError(t, w.try("PutLifecycleHook", bad), "ValidationError", "Heartbeat Timeout must be between 30 and 7200 seconds.")
	bad = hook("h2", launching, "CONTINUE")
	bad.LifecycleTransition = nil
	guardtest.WantError(t, w.try("PutLifecycleHook", bad), "ValidationError", "A lifecycle hook that does not exist yet needs a Lifecycle Transition.")
	guardtest.WantError(t, w.try("DeleteLifecycleHook", deleteHook("no")), "ValidationError", "No Lifecycle Hook found with the name: no in the Auto Scaling group: g")
	w.must("DeleteLifecycleHook", deleteHook("h"))
	for i := range 50 {
		w.must("PutLifecycleHook", hook("h"+strings.Repeat("x", i), leaving, "CONTINUE"))
	}
	guardtest.WantError(t, w.try("PutLifecycleHook", hook("one-more", leaving, "CONTINUE")), "LimitExceeded",
		"You have reached your limit of 50 lifecycle hooks for the Auto Scaling group.")
}
