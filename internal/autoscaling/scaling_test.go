package autoscaling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

type policy = autoscalingapi.PutScalingPolicyType

func simple(typ string, by int32) *policy {
	return &policy{AutoScalingGroupName: new("g"), PolicyName: new("p"), AdjustmentType: &typ, ScalingAdjustment: &by}
}

func step(typ string, steps ...autoscalingapi.StepAdjustment) *policy {
	return &policy{AutoScalingGroupName: new("g"), PolicyName: new("p"), PolicyType: new("StepScaling"), AdjustmentType: &typ, StepAdjustments: steps}
}

func tracking(name string, target float64) *policy {
	return &policy{
		AutoScalingGroupName: new("g"), PolicyName: &name, PolicyType: new("TargetTrackingScaling"),
		TargetTrackingConfiguration: &autoscalingapi.TargetTrackingConfiguration{
			TargetValue: &target, PredefinedMetricSpecification: &autoscalingapi.PredefinedMetricSpecification{PredefinedMetricType: new("ASGAverageCPUUtilization")},
		},
	}
}

func predictive() *policy {
	return &policy{
		AutoScalingGroupName: new("g"), PolicyName: new("p"), PolicyType: new("PredictiveScaling"),
		PredictiveScalingConfiguration: &autoscalingapi.PredictiveScalingConfiguration{MetricSpecifications: []autoscalingapi.PredictiveScalingMetricSpecification{{
			TargetValue: new(50.0), PredefinedMetricPairSpecification: &autoscalingapi.PredictiveScalingPredefinedMetricPair{PredefinedMetricType: new("ASGCPUUtilization")},
		}}},
	}
}

// between is a step; NaN-like "no bound" is written as nil by the callers.
func between(lower, upper *float64, by int32) autoscalingapi.StepAdjustment {
	return autoscalingapi.StepAdjustment{MetricIntervalLowerBound: lower, MetricIntervalUpperBound: upper, ScalingAdjustment: &by}
}

func (w *world) put(p *policy) *autoscalingapi.PolicyARNType {
	w.T.Helper()
	out, err := w.do(w.admin, "PutScalingPolicy", p)
	w.Must(err)
	return out.(*autoscalingapi.PolicyARNType)
}

func (w *world) policies(in *autoscalingapi.DescribePoliciesType) *autoscalingapi.PoliciesType {
	w.T.Helper()
	out, err := w.do(w.admin, "DescribePolicies", in)
	w.Must(err)
	return out.(*autoscalingapi.PoliciesType)
}

// metric calls an operation of the kagimori service.
func (w *world) metric(op string, in any) (any, error) {
	return w.Invoke(w.T.Context(), w.admin, kagimoriapi.Service(), w.service.Metrics(), op, in)
}

// measure tells of one value of the group's CPU use now.
func (w *world) measure(v float64) {
	w.T.Helper()
	_, err := w.metric("PutMetricData", &kagimoriapi.PutMetricDataRequest{Namespace: new("AWS/EC2"), MetricData: []kagimoriapi.MetricDatum{{
		MetricName: new("CPUUtilization"), Dimensions: []kagimoriapi.MetricDimension{{Name: new("AutoScalingGroupName"), Value: new("g")}}, Value: &v,
	}}})
	w.Must(err)
}

func TestPolicyRefusals(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	with := func(p *policy, change func(*policy)) *policy { change(p); return p }
	for name, c := range map[string]struct {
		in      *policy
		message string
	}{
		"no group":              {with(simple("ChangeInCapacity", 1), func(p *policy) { p.AutoScalingGroupName = new("x") }), "AutoScalingGroup name not found - AutoScalingGroup 'x' not found"},
		"type":                  {with(simple("ChangeInCapacity", 1), func(p *policy) { p.PolicyType = new("Magic") }), "*"},
		"no adjustment type":    {with(simple("ChangeInCapacity", 1), func(p *policy) { p.AdjustmentType = nil }), "*"},
		"adjustment type":       {simple("Double", 1), "*"},
		"no adjustment":         {with(simple("ChangeInCapacity", 1), func(p *policy) { p.ScalingAdjustment = nil }), "*"},
		"exact and negative":    {simple("ExactCapacity", -1), "*"},
		"magnitude of a change": {with(simple("ChangeInCapacity", 1), func(p *policy) { p.MinAdjustmentMagnitude = new(int32(1)) }), "*"},
		"warmup of simple": {with(simple("ChangeInCapacity", 1), func(p *policy) { p.EstimatedInstanceWarmup = new(int32(1)) }),
			"EstimatedInstanceWarmup is not supported for policy type SimpleScaling."},
		"cooldown of step": {with(step("ChangeInCapacity", between(new(0.0), nil, 1)), func(p *policy) { p.Cooldown = new(int32(1)) }), "Cooldown is not supported for policy type StepScaling."},
		"no steps":         {step("ChangeInCapacity"), "*"},
		"open at both":     {step("ChangeInCapacity", between(nil, nil, 1)), "The upper and lower bound can't be null in the same step adjustment."},
		"overlap":          {step("ChangeInCapacity", between(new(0.0), new(20.0), 1), between(new(10.0), nil, 2)), "StepAdjustment intervals can't overlap"},
		"gap":              {step("ChangeInCapacity", between(new(0.0), new(10.0), 1), between(new(20.0), nil, 2)), "StepAdjustment intervals can't have gaps between them"},
		"two open below":   {step("ChangeInCapacity", between(nil, new(0.0), -1), between(nil, new(10.0), 2)), "At most one StepAdjustment may have an unspecified lower bound"},
		"two open above":   {step("ChangeInCapacity", between(new(0.0), nil, 1), between(new(10.0), nil, 2)), "At most one StepAdjustment may have an unspecified upper bound"},
		"upside down":      {step("ChangeInCapacity", between(new(10.0), new(0.0), 1)), "*"},
		"closed above": {step("ChangeInCapacity", between(new(0.0), new(10.0), 1)),
			"There must be a StepAdjustment with an unspecified upper bound (i.e., upper bound is null) when one StepAdjustment has a positive upper bound"},
		"closed below":   {step("ChangeInCapacity", between(new(-10.0), new(0.0), 1)), "*"},
		"aggregation":    {with(step("ChangeInCapacity", between(new(0.0), nil, 1)), func(p *policy) { p.MetricAggregationType = new("Median") }), "*"},
		"target of zero": {tracking("p", 0), "*"},
		"no metric":      {with(tracking("p", 1), func(p *policy) { p.TargetTrackingConfiguration.PredefinedMetricSpecification = nil }), "*"},
		"label of CPU": {with(tracking("p", 1), func(p *policy) {
			p.TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel = new("app/a/1/targetgroup/b/2")
		}), "*"},
		"no label of requests": {with(tracking("p", 1), func(p *policy) {
			p.TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType = new("ALBRequestCountPerTarget")
		}), "*"},
		"steps of tracking":        {with(tracking("p", 1), func(p *policy) { p.StepAdjustments = []autoscalingapi.StepAdjustment{between(new(0.0), nil, 1)} }), "*"},
		"no configuration":         {with(predictive(), func(p *policy) { p.PredictiveScalingConfiguration = nil }), "*"},
		"buffer of a held maximum": {with(predictive(), func(p *policy) { p.PredictiveScalingConfiguration.MaxCapacityBuffer = new(int32(1)) }), "*"},
		"no buffer of a growing one": {with(predictive(), func(p *policy) {
			p.PredictiveScalingConfiguration.MaxCapacityBreachBehavior = new("IncreaseMaxCapacity")
		}), "*"},
		"buffer time": {with(predictive(), func(p *policy) { p.PredictiveScalingConfiguration.SchedulingBufferTime = new(int32(3601)) }), "*"},
	} {
		t.Run(name, func(t *testing.T) {
			guardtest.WantError(t, w.try("PutScalingPolicy", c.in), "ValidationError", c.message)
		})
	}
	if n := len(w.policies(&autoscalingapi.DescribePoliciesType{}).ScalingPolicies); n != 0 {
		t.Errorf("%d policies were made", n)
	}
}

func TestPoliciesAreKept(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	first := w.put(simple("ChangeInCapacity", 1))
	if again := w.put(simple("ChangeInCapacity", 2)); *again.PolicyARN != *first.PolicyARN || len(again.Alarms) != 0 {
		t.Errorf("a policy that is put again is %+v", again)
	}
	track := w.put(tracking("track", 50))
	if len(track.Alarms) != 2 || !strings.HasPrefix(*track.Alarms[0].AlarmName, "TargetTracking-g-AlarmHigh-") || !strings.HasPrefix(*track.Alarms[1].AlarmName, "TargetTracking-g-AlarmLow-") {
		t.Errorf("alarms = %s", jsonOf(t, track.Alarms))
	}
	if high, low := *track.Alarms[0].AlarmName, *track.Alarms[1].AlarmName; high[len(high)-36:] == low[len(low)-36:] {
		t.Errorf("alarms share an id: %s, %s", high, low)
	}
	shown := w.policies(&autoscalingapi.DescribePoliciesType{PolicyNames: []string{"track"}}).ScalingPolicies[0].TargetTrackingConfiguration
	if shown.DisableScaleIn == nil || *shown.DisableScaleIn {
		t.Errorf("a policy that says nothing of scaling in is shown as %s", jsonOf(t, shown))
	}
	guardtest.WantError(t, w.try("PutScalingPolicy", tracking("other", 60)), "ValidationError", "Only one TargetTrackingScaling policy for a given metric specification is allowed.")
	guardtest.WantError(t, w.try("PutScalingPolicy", func() *policy { p := tracking("p", 60); return p }()), "ValidationError", "*") // another type
	all := w.policies(&autoscalingapi.DescribePoliciesType{AutoScalingGroupName: new("g")}).ScalingPolicies
	if len(all) != 2 || *all[0].PolicyType != "SimpleScaling" || *all[0].ScalingAdjustment != 2 || !*all[0].Enabled || *all[1].PolicyARN != *track.PolicyARN {
		t.Errorf("policies = %s", jsonOf(t, all))
	}
	for want, in := range map[string]*autoscalingapi.DescribePoliciesType{
		"p":     {PolicyNames: []string{"p", "nope"}},
		"track": {PolicyTypes: []string{"TargetTrackingScaling"}, PolicyNames: []string{*track.PolicyARN, "p"}},
	} {
		if got := w.policies(in).ScalingPolicies; len(got) != 1 || *got[0].PolicyName != want {
			t.Errorf("%s: %s", want, jsonOf(t, got))
		}
	}
	page := w.policies(&autoscalingapi.DescribePoliciesType{MaxRecords: new(int32(1))})
	rest := w.policies(&autoscalingapi.DescribePoliciesType{MaxRecords: new(int32(1)), NextToken: page.NextToken})
	if *page.ScalingPolicies[0].PolicyName != "p" || *rest.ScalingPolicies[0].PolicyName != "track" || rest.NextToken != nil {
		t.Errorf("pages = %s, %s", jsonOf(t, page), jsonOf(t, rest))
	}
	_, err := w.do(w.admin, "DescribePolicies", &autoscalingapi.DescribePoliciesType{PolicyTypes: []string{"x"}})
	guardtest.WantError(t, err, "ValidationError", "*")
	w.must("DeletePolicy", &autoscalingapi.DeletePolicyType{PolicyName: first.PolicyARN})
	guardtest.WantError(t, w.try("DeletePolicy", &autoscalingapi.DeletePolicyType{PolicyName: first.PolicyARN}), "ValidationError", "*")
	guardtest.WantError(t, w.try("DeletePolicy", &autoscalingapi.DeletePolicyType{PolicyName: new("track")}), "ValidationError", "*")
	w.must("DeleteAutoScalingGroup", &autoscalingapi.DeleteAutoScalingGroupType{AutoScalingGroupName: new("g")})
	w.must("CreateAutoScalingGroup", request("g", 0))
	if n := len(w.policies(&autoscalingapi.DescribePoliciesType{}).ScalingPolicies); n != 0 {
		t.Errorf("%d policies outlived their group", n)
	}
}

// Zeros that Terraform's provider sends with every update are not about the type.
func TestZerosOfOtherTypesAreTaken(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	for name, p := range map[string]*policy{"step": step("ChangeInCapacity", between(new(0.0), nil, 1)), "tracking": tracking("p", 1), "predictive": predictive()} {
		p.PolicyName, p.Cooldown, p.ScalingAdjustment, p.MinAdjustmentMagnitude = &name, new(int32(0)), new(int32(0)), new(int32(0))
		w.put(p)
		if got := w.policies(&autoscalingapi.DescribePoliciesType{PolicyNames: []string{name}}).ScalingPolicies[0]; got.Cooldown != nil || got.MinAdjustmentMagnitude != nil {
			t.Errorf("%s: %s", name, jsonOf(t, got))
		}
	}
	guardtest.WantError(t, w.try("PutScalingPolicy", func() *policy { p := tracking("q", 1); p.Cooldown = new(int32(1)); return p }()), "ValidationError", "*")
}

func TestExecutePolicy(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(10 * time.Second)
	desired := func() int32 { return *w.group("g").DesiredCapacity }
	for i, c := range []struct {
		typ             string
		by, least, want int32
	}{
		{"ChangeInCapacity", 1, 0, 3}, {"ExactCapacity", 2, 0, 2}, {"PercentChangeInCapacity", 50, 0, 3}, {"PercentChangeInCapacity", 10, 0, 4},
		{"PercentChangeInCapacity", -10, 0, 3}, {"PercentChangeInCapacity", -10, 2, 1}, {"ChangeInCapacity", 100, 0, 5}, {"ChangeInCapacity", -100, 0, 0},
		{"ExactCapacity", 2, 0, 2},
	} {
		p := simple(c.typ, c.by)
		if c.least > 0 {
			p.MinAdjustmentMagnitude = &c.least
		}
		w.put(p)
		w.must("ExecutePolicy", &autoscalingapi.ExecutePolicyType{AutoScalingGroupName: new("g"), PolicyName: new("p")})
		if got := desired(); got != c.want {
			t.Fatalf("%d: %+v: desired = %d", i, c, got)
		}
		w.Advance(10 * time.Second)
	}
	if all := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")}); !slices.ContainsFunc(all, func(a autoscalingapi.Activity) bool {
		return strings.Contains(*a.Cause, "a user request executed policy p changing the desired capacity from 0 to 2.")
	}) {
		t.Errorf("no activity tells of the policy: %s", jsonOf(t, all[0]))
	}
	execute := func(in autoscalingapi.ExecutePolicyType) error {
		in.AutoScalingGroupName, in.PolicyName = new("g"), new("p")
		return w.try("ExecutePolicy", &in)
	}
	guardtest.WantError(t, execute(autoscalingapi.ExecutePolicyType{MetricValue: new(1.0)}), "ValidationError", "*")
	w.put(simple("ChangeInCapacity", 1))
	guardtest.WantError(t, execute(autoscalingapi.ExecutePolicyType{HonorCooldown: new(true)}), "ScalingActivityInProgress", "*")
	guardtest.WantError(t, w.try("SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(3)), HonorCooldown: new(true)}),
		"ScalingActivityInProgress", "*")
	w.Advance(5 * time.Minute)
	w.Must(execute(autoscalingapi.ExecutePolicyType{HonorCooldown: new(true)}))
	if desired() != 3 {
		t.Errorf("after the cooldown: %d", desired())
	}
	w.put(func() *policy { p := simple("ChangeInCapacity", 1); p.Enabled = new(false); return p }())
	guardtest.WantError(t, execute(autoscalingapi.ExecutePolicyType{}), "ValidationError", "*")
}

// What a policy says of warming up is for instances that a policy launched, and what the group says
// for all of them.
func TestInstancesThatWarmUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		group *int32
		want  []int32
	}{
		{"of the policy", nil, []int32{2, 2, 2}},
		{"of the group", new(int32(300)), []int32{1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.ec2.run = true
			in := request("g", 1)
			in.MaxSize, in.DefaultInstanceWarmup = new(int32(20)), c.group
			w.must("CreateAutoScalingGroup", in)
			w.Advance(10 * time.Second)
			w.put(step("ChangeInCapacity", between(new(0.0), nil, 1)))
			for i, want := range c.want {
				w.must("ExecutePolicy", &autoscalingapi.ExecutePolicyType{AutoScalingGroupName: new("g"), PolicyName: new("p"), MetricValue: new(60.0), BreachThreshold: new(50.0)})
				w.Advance(10 * time.Second)
				if got := *w.group("g").DesiredCapacity; got != want {
					t.Errorf("%d: the group wants %d, not %d", i, got, want)
				}
			}
		})
	}
}

func TestExecuteStepPolicy(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 2)
	in.MaxSize = new(int32(20))
	w.must("CreateAutoScalingGroup", in)
	w.Advance(time.Hour)
	p := step("ChangeInCapacity", between(nil, new(-10.0), -1), between(new(-10.0), new(0.0), 0), between(new(0.0), new(20.0), 1), between(new(20.0), nil, 3))
	p.EstimatedInstanceWarmup = new(int32(120))
	w.put(p)
	execute := func(value float64) int32 {
		t.Helper()
		w.must("ExecutePolicy", &autoscalingapi.ExecutePolicyType{AutoScalingGroupName: new("g"), PolicyName: new("p"), MetricValue: &value, BreachThreshold: new(50.0)})
		w.Advance(10 * time.Second)
		return *w.group("g").DesiredCapacity
	}
	for i, c := range []struct {
		value float64
		wait  time.Duration
		want  int32
	}{
		{50, 0, 3},               // at the threshold: the step above it
		{60, 0, 3},               // the instance that warms up is the one that this adds
		{70, 0, 5},               // a greater step adds the rest
		{39, 0, 5},               // nothing is taken away meanwhile
		{40, 5 * time.Minute, 4}, // -10 belongs to the step below
		{45, 5 * time.Minute, 4},
	} {
		w.Advance(c.wait)
		if got := execute(c.value); got != c.want {
			t.Errorf("%d: at %v the group wants %d, not %d", i, c.value, got, c.want)
		}
	}
	exec := &autoscalingapi.ExecutePolicyType{AutoScalingGroupName: new("g"), PolicyName: new("p")}
	guardtest.WantError(t, w.try("ExecutePolicy", exec), "ValidationError", "*")
	w.put(tracking("track", 50))
	exec.PolicyName = new("track")
	guardtest.WantError(t, w.try("ExecutePolicy", exec), "ValidationError", "*")
}

// A day in which the load rises and falls: the group follows it up at once and down after a quarter
// of an hour, and never leaves its limits.
func TestTargetTrackingFollowsTheLoad(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.MinSize, in.MaxSize, in.DefaultInstanceWarmup = new(int32(1)), new(int32(8)), new(int32(60))
	w.must("CreateAutoScalingGroup", in)
	w.Advance(10 * time.Minute)
	w.put(tracking("track", 50))
	load := func(minute int) float64 { // in percent of one instance
		switch {
		case minute < 60:
			return 30
		case minute < 180:
			return 240
		case minute < 240:
			return 1000
		}
		return 40
	}
	var seen []int32
	for minute := range 360 {
		n := *w.group("g").DesiredCapacity
		if n < 1 || n > 8 {
			t.Fatalf("minute %d: %d instances", minute, n)
		}
		if len(seen) == 0 || seen[len(seen)-1] != n {
			seen = append(seen, n)
		}
		w.measure(min(100, load(minute)/float64(n)))
		w.Advance(time.Minute)
	}
	if got := fmt.Sprint(seen); got != "[1 2 4 5 8 1]" {
		t.Errorf("sizes of the day: %s", got)
	}
	all := w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")})
	if !slices.ContainsFunc(all, func(a autoscalingapi.Activity) bool {
		return strings.Contains(*a.Cause, "a monitor alarm TargetTracking-g-AlarmLow-") && strings.Contains(*a.Cause, "in state ALARM triggered policy track changing the desired capacity from 8 to 1.")
	}) {
		t.Errorf("no activity tells of the alarm: %s", jsonOf(t, all[0]))
	}
}

func TestAlarmsCallPolicies(t *testing.T) {
	w := newWorld(t)
	w.ec2.run = true
	in := request("g", 1)
	in.DefaultCooldown = new(int32(120))
	w.must("CreateAutoScalingGroup", in)
	w.Advance(10 * time.Minute)
	arn := w.put(simple("ChangeInCapacity", 1)).PolicyARN
	alarm := &kagimoriapi.PutMetricAlarmRequest{
		AlarmName: new("busy"), Namespace: new("AWS/EC2"), MetricName: new("CPUUtilization"), Threshold: new(80.0), EvaluationPeriods: new(int32(2)),
		Dimensions: []kagimoriapi.MetricDimension{{Name: new("AutoScalingGroupName"), Value: new("g")}}, ComparisonOperator: new("GreaterThanThreshold"), AlarmActions: []string{*arn},
	}
	_, err := w.metric("PutMetricAlarm", alarm)
	w.Must(err)
	if p := w.policies(&autoscalingapi.DescribePoliciesType{}).ScalingPolicies[0]; len(p.Alarms) != 1 || *p.Alarms[0].AlarmName != "busy" {
		t.Errorf("alarms = %s", jsonOf(t, p.Alarms))
	}
	state := func() string {
		out, err := w.metric("ListMetricAlarms", &kagimoriapi.ListMetricAlarmsRequest{})
		w.Must(err)
		return *out.(*kagimoriapi.ListMetricAlarmsResponse).Alarms[0].StateValue
	}
	var sizes []string
	for _, v := range []float64{90, 90, 90, 90, 90, 10, 90} {
		w.measure(v)
		sizes = append(sizes, fmt.Sprintf("%d:%s", *w.group("g").DesiredCapacity, state()))
		w.Advance(time.Minute)
	}
	// The third and fourth minute are in the cooldown, which begins when the instance is there.
	if got := strings.Join(sizes, " "); got != "1:INSUFFICIENT_DATA 2:ALARM 2:ALARM 2:ALARM 3:ALARM 3:OK 3:OK" {
		t.Errorf("sizes: %s", got)
	}
	w.must("SuspendProcesses", &autoscalingapi.ScalingProcessQuery{AutoScalingGroupName: new("g"), ScalingProcesses: []string{"AlarmNotification"}})
	w.Advance(10 * time.Minute)
	for range 3 {
		w.measure(95)
		w.Advance(time.Minute)
	}
	if n := *w.group("g").DesiredCapacity; n != 3 {
		t.Errorf("an alarm scaled a group that does not listen: %d", n)
	}
	alarm.AlarmActions = []string{"arn:aws:sns:us-west-2:" + account + ":topic"}
	_, err = w.metric("PutMetricAlarm", alarm)
	guardtest.WantError(t, err, "ValidationException", "*")
	_, err = w.metric("DeleteMetricAlarm", &kagimoriapi.DeleteMetricAlarmRequest{AlarmName: new("busy")})
	w.Must(err)
	_, err = w.metric("DeleteMetricAlarm", &kagimoriapi.DeleteMetricAlarmRequest{AlarmName: new("busy")})
	guardtest.WantError(t, err, "ResourceNotFoundException", "*")
	_, err = w.metric("PutMetricData", &kagimoriapi.PutMetricDataRequest{Namespace: new("n"), MetricData: []kagimoriapi.MetricDatum{{MetricName: new("m"), Value: new(1.0), Timestamp: new(w.Clock.Now().Add(-30 * 24 * time.Hour))}}})
	guardtest.WantError(t, err, "ValidationException", "*")
}

func TestForecast(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	w.put(predictive())
	start := w.Clock.Now().Truncate(time.Hour)
	forecast := func() (*autoscalingapi.GetPredictiveScalingForecastAnswer, error) {
		out, err := w.do(w.admin, "GetPredictiveScalingForecast", &autoscalingapi.GetPredictiveScalingForecastType{
			AutoScalingGroupName: new("g"), PolicyName: new("p"), StartTime: new(start.Add(48 * time.Hour)), EndTime: new(start.Add(50 * time.Hour)),
		})
		if err != nil {
			return nil, err
		}
		return out.(*autoscalingapi.GetPredictiveScalingForecastAnswer), nil
	}
	out, err := forecast()
	w.Must(err)
	if len(out.LoadForecast) != 1 || len(out.LoadForecast[0].Values) != 0 {
		t.Errorf("without data: %s", jsonOf(t, out))
	}
	for hour := range 30 {
		w.measure(float64(100 + start.Add(time.Duration(hour)*time.Hour).Hour()))
		w.Advance(time.Hour)
	}
	out, err = forecast()
	w.Must(err)
	h := float64(start.Hour())
	if got := out.LoadForecast[0].Values; len(got) != 2 || got[0] != 100+h || out.CapacityForecast.Values[0] != 3 && h > 0 {
		t.Errorf("forecast = %s", jsonOf(t, out))
	}
	w.put(simpleNamed("s"))
	_, err = w.do(w.admin, "GetPredictiveScalingForecast", &autoscalingapi.GetPredictiveScalingForecastType{
		AutoScalingGroupName: new("g"), PolicyName: new("s"), StartTime: &start, EndTime: new(start.Add(time.Hour)),
	})
	guardtest.WantError(t, err, "ValidationError", "*")
	if api.Val(out.UpdateTime) == (time.Time{}) {
		t.Error("no update time")
	}
}

func simpleNamed(name string) *policy {
	p := simple("ChangeInCapacity", 1)
	p.PolicyName = &name
	return p
}
