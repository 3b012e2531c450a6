package autoscaling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// subnetsAsked are the subnets of the requests to EC2, in order.
func (w *world) subnetsAsked() []string {
	var out []string
	for _, r := range w.ec2.requests {
		out = append(out, api.Val(r.SubnetId))
	}
	return out
}

// A zone without capacity is followed by the next at once; when all have failed the group waits.
func TestNextZone(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.ec2.full = map[string]string{"subnet-a": "InsufficientInstanceCapacity"}
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(3 * time.Second)
	if got := w.states("g"); got != "InService" || *w.group("g").Instances[0].AvailabilityZone != "us-west-2b" {
		t.Errorf("states %q", got)
	}
	if diff := cmp.Diff([]string{"subnet-a", "subnet-b"}, w.subnetsAsked()); diff != "" {
		t.Errorf("subnets asked (-want +got):\n%s", diff)
	}
	if got := w.history("g"); len(got) != 2 || !strings.HasPrefix(got[1], "Failed | There is none of it. Launching EC2 instance failed. | ") {
		t.Errorf("activities: %q", got)
	}

	w = newWorld(t)
	w.ec2.full = map[string]string{"subnet-a": "InsufficientInstanceCapacity", "subnet-b": "Unsupported"}
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(50 * time.Second)
	if diff := cmp.Diff([]string{"subnet-a", "subnet-b"}, w.subnetsAsked()); diff != "" {
		t.Errorf("both zones full, subnets asked (-want +got):\n%s", diff)
	}
	w.ec2.full, w.ec2.run = nil, true
	w.Advance(15 * time.Second)
	if got := w.states("g"); got != "InService" {
		t.Errorf("when there is room again: %q", got)
	}
}

// A refusal that no zone can cure is not tried in the next.
func TestOtherRefusalsWait(t *testing.T) {
	w := newWorld(t)
	w.ec2.full = map[string]string{"subnet-a": "InvalidAMIID.NotFound"}
	w.must("CreateAutoScalingGroup", request("g", 1))
	w.Advance(50 * time.Second)
	if diff := cmp.Diff([]string{"subnet-a"}, w.subnetsAsked()); diff != "" {
		t.Errorf("subnets asked (-want +got):\n%s", diff)
	}
}

// A type without capacity is followed by the next of the policy, in the same zone first.
func TestNextType(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.ec2.full = map[string]string{"m5.large": "InsufficientInstanceCapacity"}
	w.must("CreateAutoScalingGroup", mixed("g", 2, nil, "m5.large", "c5.large"))
	w.Advance(5 * time.Second)
	if got := w.launched(); got != "2 on-demand c5.large, 2 on-demand m5.large" {
		t.Errorf("asked for %s", got)
	}
	zones := map[string]int{}
	for _, i := range w.group("g").Instances {
		zones[*i.AvailabilityZone]++
	}
	if got := fmt.Sprint(zones); got != "map[us-west-2a:1 us-west-2b:1]" {
		t.Errorf("zones: %s", got)
	}
}

// Which instances go first, by termination policy. The group has one zone; i-1 is the oldest and
// of a launch configuration, i-2 of another template, i-3 of the group's. The hour of i-3 ends
// first.
func TestTerminationPolicies(t *testing.T) {
	tests := []struct{ policies, want string }{
		{"Default", "1 2 3"},
		{"OldestInstance", "1 2 3"},
		{"NewestInstance", "3 2 1"},
		{"OldestLaunchConfiguration", "1 2 3"},
		{"OldestLaunchTemplate", "2 3 1"},
		{"ClosestToNextInstanceHour", "3 2 1"},
		{"OldestLaunchTemplate Default", "2 3 1"},
		{"AllocationStrategy NewestInstance", "3 2 1"},
	}
	for _, tt := range tests {
		t.Run(tt.policies, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			w.must("CreateLaunchConfiguration", configuration("lc"))
			in := byConfig("g", "lc", 1)
			in.AvailabilityZones, in.TerminationPolicies = []string{"us-west-2a"}, strings.Fields(tt.policies)
			w.must("CreateAutoScalingGroup", in)
			grow := func(after time.Duration, template string, n int32) {
				w.Advance(after)
				w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{
					AutoScalingGroupName: new("g"), DesiredCapacity: &n, LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: &template},
				})
			}
			w.ec2.templates = templatesNamed("old")
			grow(50*time.Minute, "old", 2)
			grow(15*time.Minute, "web", 3)
			w.Advance(57 * time.Minute) // i-1 lives for 2:02, i-2 for 1:12, i-3 for 0:57
			var got []string
			for n := range int32(3) {
				before := w.ec2.ids("running")
				w.must("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(2 - n)})
				w.Advance(3 * time.Second)
				after := w.ec2.ids("running")
				for _, id := range before {
					if !slices.Contains(after, id) {
						got = append(got, id[len(id)-1:])
					}
				}
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("went %s, want %s", g, tt.want)
			}
		})
	}
}

func TestSettingsRefused(t *testing.T) {
	type input = autoscalingapi.CreateAutoScalingGroupType
	tests := []struct {
		name   string
		change func(*input)
	}{
		{"unknown policy", func(in *input) { in.TerminationPolicies = []string{"Random"} }},
		{"Default not last", func(in *input) { in.TerminationPolicies = []string{"Default", "OldestInstance"} }},
		{"policy twice", func(in *input) { in.TerminationPolicies = []string{"OldestInstance", "OldestInstance"} }},
		{"function", func(in *input) {
			in.TerminationPolicies = []string{"arn:aws:lambda:us-west-2:" + account + ":function:f:1"}
		}},
		{"warm-up", func(in *input) { in.DefaultInstanceWarmup = new(int32(-2)) }},
		{"short life", func(in *input) { in.MaxInstanceLifetime = new(int32(3600)) }},
		{"long life", func(in *input) { in.MaxInstanceLifetime = new(int32(31536001)) }},
		{"grace period", func(in *input) { in.HealthCheckGracePeriod = new(int32(-1)) }},
		{"cooldown", func(in *input) { in.DefaultCooldown = new(int32(-1)) }},
		{"health check", func(in *input) { in.HealthCheckType = new("DOCTOR") }},
		{"capacity in vCPUs", func(in *input) { in.DesiredCapacityType = new("vcpu") }},
		{"InstanceId form", func(in *input) { in.LaunchTemplate, in.InstanceId = nil, new("i-1") }},
		{"two sources", func(in *input) { in.LaunchConfigurationName = new("lc") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			in := request("g", 0)
			tt.change(in)
			guardtest.WantError(t, w.try("CreateAutoScalingGroup", in), "ValidationError", "*")
		})
	}
	w := newWorld(t)
	in := request("g", 0)
	in.MaxInstanceLifetime, in.DefaultCooldown, in.HealthCheckType = new(int32(86400)), new(int32(60)), new("EC2,EBS")
	w.must("CreateAutoScalingGroup", in)
	if g := w.group("g"); *g.MaxInstanceLifetime != 86400 || *g.DefaultCooldown != 60 || *g.HealthCheckType != "EC2,EBS" {
		t.Errorf("group: %+v", g)
	}
	w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), MaxInstanceLifetime: new(int32(0))})
	if g := w.group("g"); g.MaxInstanceLifetime != nil {
		t.Errorf("the limit that was taken away: %d", *g.MaxInstanceLifetime)
	}
	for _, given := range []int32{30, -1} { // -1 takes it away
		w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"), DefaultInstanceWarmup: &given})
		if got := w.group("g").DefaultInstanceWarmup; (got == nil) != (given == -1) || got != nil && *got != given {
			t.Errorf("a default warm-up of %d is shown as %v", given, got)
		}
	}
}

// In the grace period bad news of an instance is not heard, unless the caller insists.
func TestGracePeriod(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.HealthCheckGracePeriod = new(int32(300))
	w.must("CreateAutoScalingGroup", in)
	w.Advance(3 * time.Second)
	say := func(respect *bool) string {
		id := *w.group("g").Instances[0].InstanceId
		w.must("SetInstanceHealth", &autoscalingapi.SetInstanceHealthQuery{InstanceId: &id, HealthStatus: new("Unhealthy"), ShouldRespectGracePeriod: respect})
		w.Advance(3 * time.Second)
		return strings.Join(w.ec2.ids("running"), " ")
	}
	if got := say(nil); got != "i-00000000000000001" {
		t.Errorf("in the grace period: %s", got)
	}
	if got := say(new(false)); got != "i-00000000000000002" {
		t.Errorf("insisted: %s", got)
	}
	w.Advance(5 * time.Minute)
	if got := say(new(true)); got != "i-00000000000000003" {
		t.Errorf("after the grace period: %s", got)
	}
}

// The lists that clients ask for are those of the documentation.
func TestTypeLists(t *testing.T) {
	w := newWorld(t)
	tests := map[string]struct {
		in   any
		want string
	}{
		"DescribeTerminationPolicyTypes":       {&autoscalingapi.DescribeTerminationPolicyTypesRequest{}, "OldestLaunchTemplate"},
		"DescribeAdjustmentTypes":              {&autoscalingapi.DescribeAdjustmentTypesRequest{}, "PercentChangeInCapacity"},
		"DescribeScalingProcessTypes":          {&autoscalingapi.DescribeScalingProcessTypesRequest{}, `Processes":[{"ProcessName":"AZRebalance"},{"ProcessName":"AddToLoadBalancer"},{"ProcessName":"AlarmNotification`},
		"DescribeAutoScalingNotificationTypes": {&autoscalingapi.DescribeAutoScalingNotificationTypesRequest{}, "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"},
		"DescribeMetricCollectionTypes":        {&autoscalingapi.DescribeMetricCollectionTypesRequest{}, `GroupInServiceInstances"},{"Metric":"GroupInServiceCapacity"},{"Metric":"GroupPendingInstances`},
		"DescribeLifecycleHookTypes":           {&autoscalingapi.DescribeLifecycleHookTypesRequest{}, "autoscaling:EC2_INSTANCE_TERMINATING"},
	}
	nobody := w.User(account, "nobody")
	for op, tt := range tests {
		out, err := w.do(w.admin, op, tt.in)
		w.Must(err)
		if got := jsonOf(t, out); !strings.Contains(got, `"`+tt.want+`"`) {
			t.Errorf("%s: %s", op, got)
		}
		if _, err := w.do(nobody, op, tt.in); err == nil {
			t.Errorf("%s: anybody may", op)
		}
	}
}

// What this server cannot make, it lists as none: of a group that exists.
func TestEmptyLists(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	for op, input := range map[string]func(group *string) any{
		"DescribeLifecycleHooks": func(g *string) any { return &autoscalingapi.DescribeLifecycleHooksType{AutoScalingGroupName: g} },
		"DescribeLoadBalancers":  func(g *string) any { return &autoscalingapi.DescribeLoadBalancersRequest{AutoScalingGroupName: g} },
		"DescribeLoadBalancerTargetGroups": func(g *string) any {
			return &autoscalingapi.DescribeLoadBalancerTargetGroupsRequest{AutoScalingGroupName: g}
		},
		"DescribeTrafficSources":    func(g *string) any { return &autoscalingapi.DescribeTrafficSourcesRequest{AutoScalingGroupName: g} },
		"DescribeWarmPool":          func(g *string) any { return &autoscalingapi.DescribeWarmPoolType{AutoScalingGroupName: g} },
		"DescribeInstanceRefreshes": func(g *string) any { return &autoscalingapi.DescribeInstanceRefreshesType{AutoScalingGroupName: g} },
	} {
		out, err := w.do(w.admin, op, input(new("g")))
		w.Must(err)
		if got := jsonOf(t, out); !strings.Contains(got, ":[]") {
			t.Errorf("%s: %s", op, got)
		}
		guardtest.WantError(t, errorOf(w.do(w.admin, op, input(new("nope")))), "ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'nope' not found")
	}
	for op, in := range map[string]any{
		"DescribePolicies":                   &autoscalingapi.DescribePoliciesType{NextToken: new("bm9wZQ")},
		"DescribeScheduledActions":           &autoscalingapi.DescribeScheduledActionsType{NextToken: new("bm9wZQ")},
		"DescribeNotificationConfigurations": &autoscalingapi.DescribeNotificationConfigurationsType{NextToken: new("bm9wZQ")},
	} {
		guardtest.WantError(t, errorOf(w.do(w.admin, op, in)), "InvalidNextToken", "*")
	}
	out, err := w.do(w.admin, "DescribePolicies", &autoscalingapi.DescribePoliciesType{AutoScalingGroupName: new("g")})
	w.Must(err)
	if n := out.(*autoscalingapi.PoliciesType).ScalingPolicies; n == nil || len(n) != 0 {
		t.Errorf("policies: %v", n)
	}
}
