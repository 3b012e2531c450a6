package autoscaling_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// maybe makes a request that the crash, or what it left, may have made pointless.
func (w *crashWorld) maybe(op string, in any) {
	w.T.Helper()
	w.revive()
	if err := w.try(op, in); err != nil && apierr.Code(err) == "" {
		w.revive()
		_ = w.try(op, in)
	}
}

// cycle is a life with hooks, a warm pool, a refresh, standby and detachment.
func (w *crashWorld) cycle() {
	in := request("g", 2)
	in.LifecycleHookSpecificationList = []autoscalingapi.LifecycleHookSpecification{
		{LifecycleHookName: new("up"), LifecycleTransition: new(launching), HeartbeatTimeout: new(int32(30)), DefaultResult: new("CONTINUE")},
		{LifecycleHookName: new("down"), LifecycleTransition: new(leaving), HeartbeatTimeout: new(int32(30)), DefaultResult: new("CONTINUE")},
	}
	w.ask("CreateAutoScalingGroup", in)
	w.rest()
	w.ask("PutWarmPool", &autoscalingapi.PutWarmPoolType{AutoScalingGroupName: new("g"), MaxGroupPreparedCapacity: new(int32(3)),
		InstanceReusePolicy: &autoscalingapi.InstanceReusePolicy{ReuseOnScaleIn: new(true)}})
	w.rest()
	w.ask("SetDesiredCapacity", resize(3))
	w.rest()
	w.ask("SetDesiredCapacity", resize(2))
	w.rest()
	w.maybe("StartInstanceRefresh", start(autoscalingapi.RefreshPreferences{MinHealthyPercentage: new(int32(100)), MaxHealthyPercentage: new(int32(200))}))
	w.rest()
	w.rest()
	if ids := w.ec2.ids("running"); len(ids) > 0 {
		w.maybe("EnterStandby", &autoscalingapi.EnterStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: ids[:1], ShouldDecrementDesiredCapacity: new(true)})
		w.rest()
		w.maybe("ExitStandby", &autoscalingapi.ExitStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: ids[:1]})
		w.rest()
	}
	w.ask("DeleteWarmPool", &autoscalingapi.DeleteWarmPoolType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	w.rest()
	w.Advance(10 * time.Minute)
}

// Wherever the server is killed in the life cycle of instances, the group comes to rest as it should.
func TestKilledInTheLifeCycle(t *testing.T) {
	w := newCrashWorld(t, 0, nil)
	w.cycle()
	w.sound("without a crash")
	steps := w.m.steps
	if steps < 100 {
		t.Fatalf("only %d steps", steps)
	}
	for kill := range kills(t, steps) {
		t.Run(fmt.Sprint(kill), func(t *testing.T) {
			t.Parallel()
			w := newCrashWorld(t, kill, nil)
			w.cycle()
			w.rest()
			w.sound("at the end")
		})
	}
}
