package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// running makes a group "g" of n instances that serve.
func running(t *testing.T, n int32) *world {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", n))
	w.Advance(3 * time.Second)
	if got := len(w.ec2.ids("running")); got != int(n) {
		t.Fatalf("%d instances run; want %d", got, n)
	}
	return w
}

func TestStandby(t *testing.T) {
	w := running(t, 2)
	id := w.ec2.ids("running")[0]
	out, err := w.do(w.admin, "EnterStandby", &autoscalingapi.EnterStandbyQuery{
		AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(true),
	})
	w.Must(err)
	a := out.(*autoscalingapi.EnterStandbyAnswer).Activities[0]
	if *a.StatusCode != "InProgress" || *a.Progress != 50 || *a.Description != "Moving EC2 instance to Standby: "+id ||
		!strings.HasSuffix(*a.Cause, " instance "+id+" was moved to standby in response to a user request, shrinking the capacity from 2 to 1.") {
		t.Errorf("activity: %s", jsonOf(t, a))
	}
	w.Advance(2 * time.Second)
	w.wantStates("after a moment", "InService Standby")
	if g := w.group("g"); *g.DesiredCapacity != 1 {
		t.Errorf("desired: %d", *g.DesiredCapacity)
	}
	w.ec2.become(id, "stopped", "") // standby is not checked
	w.Advance(time.Minute)
	w.wantStates("stopped by the user", "InService Standby")
	w.ec2.become(id, "running", "")
	out, err = w.do(w.admin, "ExitStandby", &autoscalingapi.ExitStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}})
	w.Must(err)
	a = out.(*autoscalingapi.ExitStandbyAnswer).Activities[0]
	if *a.StatusCode != "PreInService" || *a.Progress != 30 || *a.Description != "Moving EC2 instance out of Standby: "+id ||
		!strings.HasSuffix(*a.Cause, " instance "+id+" was moved out of standby in response to a user request, increasing the capacity from 1 to 2.") {
		t.Errorf("activity: %s", jsonOf(t, a))
	}
	w.Advance(2 * time.Second)
	w.wantStates("back", "InService InService")
	if h := w.history("g"); !strings.HasPrefix(h[0], "Successful |  | Moving EC2 instance out of Standby: ") {
		t.Errorf("activity: %s", h[0])
	}

	// Without the decrement another takes its place; below the minimum it cannot go.
	w.must("EnterStandby", &autoscalingapi.EnterStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(false)})
	w.Advance(4 * time.Second)
	w.wantStates("replaced", "InService InService Standby")
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), MinSize: new(int32(2)), MaxSize: new(int32(2))})
	guardtest.WantError(t, w.try("ExitStandby", &autoscalingapi.ExitStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}}), "ValidationError",
		"AutoScalingGroup g has min-size=2, max-size=2, and desired-size=2. To return from standby 1 more instance, please update the AutoScalingGroup sizes appropriately.")
	other := w.group("g").Instances[1].InstanceId
	guardtest.WantError(t, w.try("EnterStandby", &autoscalingapi.EnterStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{*other}, ShouldDecrementDesiredCapacity: new(true)}), "ValidationError",
		"AutoScalingGroup g has min-size=2, max-size=2, and desired-size=2. To place into standby 1 instance, please update the AutoScalingGroup sizes appropriately.")
	guardtest.WantError(t, w.try("EnterStandby", &autoscalingapi.EnterStandbyQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(false)}), "ValidationError",
		"The instance "+id+" is not in InService.")
}

// An instance that is detached runs on without the group's tag, and can be attached again.
func TestDetachAndAttach(t *testing.T) {
	w := running(t, 2)
	id := w.ec2.ids("running")[0]
	w.must("DetachInstances", &autoscalingapi.DetachInstancesQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: new(true)})
	w.wantStates("at once", "Detaching InService")
	w.Advance(2 * time.Second)
	w.wantStates("detached", "InService")
	if got := w.ec2.tag(id, "aws:autoscaling:groupName"); got != "" {
		t.Errorf("the tag is still there: %s", got)
	}
	if n := len(w.ec2.ids("running")); n != 2 {
		t.Errorf("%d instances run", n)
	}
	w.must("AttachInstances", &autoscalingapi.AttachInstancesQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}})
	w.Advance(3 * time.Second)
	w.wantStates("attached", "InService InService")
	if got := w.ec2.tag(id, "aws:autoscaling:groupName"); got != "g" {
		t.Errorf("the tag is %q", got)
	}
	if g := w.group("g"); *g.DesiredCapacity != 2 {
		t.Errorf("desired: %d", *g.DesiredCapacity)
	}
	wantHistory(t, w, "g", "Successful |  | Attaching an existing EC2 instance: "+id, "Successful |  | Detaching EC2 instance: "+id,
		"Successful |  | Launching a new EC2 instance: i-00000000000000002", "Successful |  | Launching a new EC2 instance: i-00000000000000001")
	guardtest.WantError(t, w.try("AttachInstances", &autoscalingapi.AttachInstancesQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{id}}),
		"ValidationError", "Invalid Instance ID(s): ["+id+"] specified. The instance is already part of the Auto Scaling group g.")
	guardtest.WantError(t, w.try("AttachInstances", &autoscalingapi.AttachInstancesQuery{AutoScalingGroupName: new("g"), InstanceIds: []string{"i-0"}}),
		"ValidationError", "Invalid Instance ID(s): [i-0] specified")
}

// A group whose zones are uneven launches where there is least and takes out where there is most.
func TestRebalance(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.ec2.full = map[string]string{"subnet-a": "InsufficientInstanceCapacity"}
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(5 * time.Second)
	zones := func() string {
		n := map[string]int{}
		for _, i := range w.group("g").Instances {
			n[*i.AvailabilityZone]++
		}
		return jsonOf(t, n)
	}
	if got := zones(); got != `{"us-west-2b":2}` {
		t.Fatalf("zones: %s", got)
	}
	w.ec2.full = nil
	w.Advance(time.Hour)
	if got := zones(); got != `{"us-west-2a":1,"us-west-2b":1}` {
		t.Errorf("zones: %s", got)
	}
	var causes []string
	for _, a := range w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")}) {
		causes = append(causes, *a.Cause)
	}
	if !strings.Contains(strings.Join(causes, "\n"), "availability zones us-west-2a us-west-2b had 0 2 instances respectively. An instance was launched to aid in balancing the group's zones.") {
		t.Errorf("causes: %q", causes)
	}
}

// The instances of a zone that a group has left are replaced in those that it has, others are launched first.
func TestLeavingZones(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int32
		to   string
	}{
		{"the only other zone", 2, "us-west-2b"},
		{"one instance in each", 1, "us-west-2b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			in := request("g", c.n)
			in.AvailabilityZones, in.VPCZoneIdentifier = nil, new("subnet-a")
			w.must("CreateAutoScalingGroup", in)
			w.Advance(5 * time.Second)
			w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), VPCZoneIdentifier: new("subnet-b")})
			for range 60 {
				w.Advance(time.Minute)
				if n := len(w.ec2.ids("running")); n < int(c.n) || n > int(c.n)+1 {
					t.Fatalf("%d instances run", n)
				}
			}
			g := w.group("g")
			if len(g.Instances) != int(c.n) {
				t.Fatalf("%d instances", len(g.Instances))
			}
			for _, i := range g.Instances {
				if *i.AvailabilityZone != c.to {
					t.Errorf("%s is in %s", *i.InstanceId, *i.AvailabilityZone)
				}
			}
		})
	}
}

// Instances that reached their maximum lifetime are replaced, one at a time in a small group.
func TestMaxInstanceLifetime(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 2)
	in.MaxInstanceLifetime = new(int32(86400))
	w.must("CreateAutoScalingGroup", in)
	w.Advance(23 * time.Hour)
	before := w.ec2.ids("running")
	for range 70 {
		w.Advance(time.Minute)
		if n := len(w.ec2.ids("running")); n < 1 || n > 2 {
			t.Fatalf("%d instances run", n)
		}
	}
	after := w.ec2.ids("running")
	if len(after) != 2 || len(w.ec2.ids("terminated")) != 2 || after[0] == before[0] || after[0] == before[1] {
		t.Errorf("before %v, after %v", before, after)
	}
}
