package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

const keyRefused = "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"

func wantHistory(t *testing.T, w *world, group string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.history(group)); diff != "" {
		t.Errorf("activities (-want +got):\n%s", diff)
	}
}

// A group launches as the service-linked role's session, which the user's request made.
func TestLaunch(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(0)
	if got := w.states("g"); got != "Pending Pending" {
		t.Fatalf("states: %s", got)
	}
	session := "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
	if diff := cmp.Diff([]string{session, session}, w.ec2.callers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"arn:aws:iam::" + account + ":user/admin"}, w.roles.makers); diff != "" {
		t.Errorf("who made the role: %s", diff)
	}
	zones := map[string]int{}
	for _, i := range w.group("g").Instances {
		zones[*i.AvailabilityZone]++
	}
	if zones["us-west-2a"] != 1 || zones["us-west-2b"] != 1 {
		t.Errorf("not balanced over the zones: %v", zones)
	}
	for _, id := range w.ec2.ids("pending") {
		w.ec2.become(id, "running", "")
	}
	w.Advance(2 * time.Second)
	if got := w.states("g"); got != "InService InService" {
		t.Errorf("states: %s", got)
	}
	wantHistory(t, w, "g",
		"Successful |  | Launching a new EC2 instance: i-00000000000000002",
		"Successful |  | Launching a new EC2 instance: i-00000000000000001")
	cause := *w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})[1].Cause
	for _, want := range []string{
		"a user request created an AutoScalingGroup changing the desired capacity from 0 to 2.  At ",
		"an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 0 to 1.",
	} {
		if !strings.Contains(cause, want) {
			t.Errorf("cause %q lacks %q", cause, want)
		}
	}
	tags := w.ec2.instances["i-00000000000000001"].Tags
	if *tags[0].Key != "aws:autoscaling:groupName" || *tags[0].Value != "g" {
		t.Errorf("tags: %v", tags)
	}
	if got := *w.group("g").Instances[0].LaunchTemplate.Version; got != "3" {
		t.Errorf("version of the instance: %s", got)
	}
}

// An instance that dies while pending is a Cancelled activity; the group tries again later and
// later, and at once after a change.
func TestLaunchDies(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(0)
	die := func() {
		t.Helper()
		w.ec2.become(w.ec2.ids("pending")[0], "terminated", keyRefused)
		w.Advance(2 * time.Second)
	}
	die()
	message := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + keyRefused
	wantHistory(t, w, "g", "Cancelled | "+message+" | Launching a new EC2 instance: i-00000000000000001.  Status Reason: "+message)
	if g := w.group("g"); len(g.Instances) != 0 || *g.DesiredCapacity != 1 {
		t.Errorf("group: %d instances, desired %d", len(g.Instances), *g.DesiredCapacity)
	}
	for i, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		w.Advance(wait - 5*time.Second)
		if n := len(w.ec2.ids("pending")); n != 0 {
			t.Fatalf("attempt %d came before %v", i, wait)
		}
		w.Advance(6 * time.Second)
		if n := len(w.ec2.ids("pending")); n != 1 {
			t.Fatalf("attempt %d: %d instances after %v", i, n, wait)
		}
		die()
	}
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(2))})
	w.Advance(0)
	if n := len(w.ec2.ids("pending")); n != 2 {
		t.Errorf("%d launches after a change; want 2 at once", n)
	}
}

// After a day without a success launching is suspended; resuming launches at once.
func TestSuspension(t *testing.T) {
	w := newWorld(t)
	w.ec2.refuse = apierr.New("InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist")
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(25 * time.Hour)
	wantFirst := "Failed | The image id '[ami-1]' does not exist Launching EC2 instance failed. | Launching a new EC2 instance.  " +
		"Status Reason: The image id '[ami-1]' does not exist Launching EC2 instance failed."
	if got := w.history("g")[0]; got != wantFirst {
		t.Errorf("got  %s\nwant %s", got, wantFirst)
	}
	g := w.group("g")
	if len(g.SuspendedProcesses) != 1 || *g.SuspendedProcesses[0].ProcessName != "Launch" ||
		!strings.HasPrefix(*g.SuspendedProcesses[0].SuspensionReason, "Administratively suspended at ") {
		t.Fatalf("suspended: %+v", g.SuspendedProcesses)
	}
	before := len(w.ec2.callers)
	w.Advance(24 * time.Hour)
	if got := len(w.ec2.callers); got != before {
		t.Errorf("%d attempts while suspended", got-before)
	}
	w.ec2.refuse, w.ec2.run = nil, true
	w.must("ResumeProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"Launch"}})
	w.Advance(2 * time.Second)
	if got := w.states("g"); got != "InService" {
		t.Errorf("after resuming: %q", got)
	}
}

// What stops a process, and only that process.
func TestSuspendProcesses(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	suspend := func(op string, names ...string) {
		t.Helper()
		w.must(op, &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: new("g"), ScalingProcesses: names})
	}
	desire := func(n int32) {
		t.Helper()
		w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: &n})
		w.Advance(3 * time.Second)
	}
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(3 * time.Second)
	suspend("SuspendProcesses", "Launch")
	desire(3)
	if got := w.states("g"); got != "InService InService" {
		t.Errorf("launched while Launch is suspended: %s", got)
	}
	suspend("SuspendProcesses", "Terminate")
	desire(1)
	if got := w.states("g"); got != "InService InService" {
		t.Errorf("terminated while Terminate is suspended: %s", got)
	}
	w.ec2.become("i-00000000000000001", "stopped", "")
	w.Advance(3 * time.Second)
	if got := *w.group("g").Instances[0].HealthStatus; got != "Unhealthy" {
		t.Errorf("health of a stopped instance: %s", got)
	}
	suspend("ResumeProcesses")
	w.Advance(3 * time.Second)
	if got := w.states("g"); got != "InService" {
		t.Errorf("after resuming: %q", got)
	}
	guardtest.WantError(t, w.try("SuspendProcesses", &autoscalingapi.ScalingProcessQuery{
		AutoScalingGroupName: new("g"), ScalingProcesses: []string{"Nap"},
	}), "ValidationError", "*")
}

// An instance that somebody ends, or calls unhealthy, is replaced.
func TestReplacement(t *testing.T) {
	tests := []struct{ name, cause string }{
		{"terminated", "an EC2 health check indicating it has been terminated or stopped."},
		{"unhealthy", "a user health-check."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			w.must("CreateAutoScalingGroup", request("g", 1))
			w.Advance(3 * time.Second)
			if tt.name == "terminated" {
				w.ec2.become("i-00000000000000001", "shutting-down", "")
				w.ec2.become("i-00000000000000001", "terminated", "")
			} else {
				w.must("SetInstanceHealth", &autoscalingapi.SetInstanceHealthQuery{InstanceId: new("i-00000000000000001"), HealthStatus: new("Unhealthy")})
			}
			w.Advance(5 * time.Second)
			wantHistory(t, w, "g",
				"Successful |  | Launching a new EC2 instance: i-00000000000000002",
				"Successful |  | Terminating EC2 instance: i-00000000000000001",
				"Successful |  | Launching a new EC2 instance: i-00000000000000001")
			all := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})
			if got := *all[0].Cause; !strings.Contains(got, "an instance was launched in response to an unhealthy instance needing to be replaced.") {
				t.Errorf("cause of the launch: %s", got)
			}
			if got := *all[1].Cause; !strings.HasSuffix(got, "an instance was taken out of service in response to "+tt.cause) {
				t.Errorf("cause of the termination: %s", got)
			}
		})
	}
}

// Scaling in takes the zone with most instances first, then the oldest, and no protected ones.
func TestScaleIn(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 3))
	w.Advance(3 * time.Second)
	w.must("SetInstanceProtection", &autoscalingapi.SetInstanceProtectionQuery{
		AutoScalingGroupName: new("g"), InstanceIds: []string{"i-00000000000000001"}, ProtectedFromScaleIn: new(true),
	})
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(0))})
	w.Advance(5 * time.Second)
	left := w.group("g").Instances
	if len(left) != 1 || *left[0].InstanceId != "i-00000000000000001" {
		t.Errorf("left: %+v", left)
	}
	cause := *w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})[0].Cause
	if !strings.Contains(cause, "shrinking the capacity from ") || !strings.HasSuffix(cause, " was selected for termination.") {
		t.Errorf("cause: %s", cause)
	}
}

// A launch whose answer was lost is asked for again under its token, not twice.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(0)
	w.service.Stop()
	w.ec2.become("i-00000000000000001", "running", "") // nobody hears it
	w.start()
	w.Advance(2 * time.Second)
	if got := w.states("g"); got != "InService" {
		t.Errorf("states: %s", got)
	}
	if n := len(w.ec2.ids("pending", "running")); n != 1 {
		t.Errorf("%d instances", n)
	}
}

// Without the right to become the role nothing launches, and the group says so.
func TestRoleCannotBeAssumed(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 0))
	w.Advance(0)
	w.roles.refuse = apierr.New("AccessDenied", "not you")
	w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
	w.Advance(0)
	if got := w.history("g"); len(got) != 1 || !strings.HasPrefix(got[0], "Failed | Authentication Failure. Launching EC2 instance failed. | ") {
		t.Errorf("activities: %q", got)
	}
	w.roles.refuse = nil
	w.Advance(2 * time.Minute)
	if got := w.states("g"); got != "InService" {
		t.Errorf("after the role came back: %q", got)
	}
}

// Deleting with force ends the instances first; the history stays for those who ask for it.
func TestDelete(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(3 * time.Second)
	guardtest.WantError(t, w.try("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g")}),
		"ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	w.must("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g"), ForceDelete: new(true)})
	w.Advance(5 * time.Second)
	if n := len(w.ec2.ids(ec2api.InstanceStateNameRunning)); n != 0 {
		t.Errorf("%d instances run on", n)
	}
	guardtest.WantError(t, w.try("DescribeScalingActivities", &autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")}),
		"ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'g' not found")
	if n := len(w.activities(&autoscalingapi.DescribeScalingActivitiesType{})); n != 0 {
		t.Errorf("%d activities without asking for deleted groups", n)
	}
	old := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g"), IncludeDeletedGroups: new(true)})
	if len(old) != 4 || *old[0].AutoScalingGroupState != "Deleted" {
		t.Errorf("history of the deleted group: %+v", old)
	}
}
