package autoscaling_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// TestWhatGroupsShow: policies that have no effect here are kept and shown, with AWS's defaults.
func TestWhatGroupsShow(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	g := w.group("g")
	if *g.AvailabilityZoneDistribution.CapacityDistributionStrategy != "balanced-best-effort" || *g.CapacityReservationSpecification.CapacityReservationPreference != "default" ||
		*g.AvailabilityZoneImpairmentPolicy.ZonalShiftEnabled || *g.AvailabilityZoneImpairmentPolicy.ImpairedZoneHealthCheckBehavior != "IgnoreUnhealthy" || g.InstanceLifecyclePolicy != nil {
		t.Errorf("defaults of %s", jsonOf(t, g))
	}
	in := request("h", 1)
	in.CapacityReservationSpecification = &autoscalingapi.CapacityReservationSpecification{
		CapacityReservationPreference: new("capacity-reservations-first"),
		CapacityReservationTarget:     &autoscalingapi.CapacityReservationTarget{CapacityReservationIds: []string{"cr-0123456789abcdef0"}},
	}
	in.AvailabilityZoneImpairmentPolicy = &autoscalingapi.AvailabilityZoneImpairmentPolicy{ZonalShiftEnabled: new(true), ImpairedZoneHealthCheckBehavior: new("ReplaceUnhealthy")}
	in.InstanceLifecyclePolicy = &autoscalingapi.InstanceLifecyclePolicy{RetentionTriggers: &autoscalingapi.RetentionTriggers{TerminateHookAbandon: new("retain")}}
	w.must("CreateAutoScalingGroup", in)
	update := func(r *autoscalingapi.CapacityReservationSpecification) *autoscalingapi.UpdateAutoScalingGroupType {
		return &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("h"), CapacityReservationSpecification: r}
	}
	w.must("UpdateAutoScalingGroup", update(nil))
	h := w.group("h")
	if diff := cmp.Diff(in.CapacityReservationSpecification, h.CapacityReservationSpecification); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(in.AvailabilityZoneImpairmentPolicy, h.AvailabilityZoneImpairmentPolicy); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(in.InstanceLifecyclePolicy, h.InstanceLifecyclePolicy); diff != "" {
		t.Error(diff)
	}
	for _, preference := range []*string{nil, new("none"), new("default")} {
		guardtest.WantError(t, w.try("UpdateAutoScalingGroup", update(&autoscalingapi.CapacityReservationSpecification{
			CapacityReservationPreference: preference, CapacityReservationTarget: in.CapacityReservationSpecification.CapacityReservationTarget,
		})), "ValidationError", "*")
	}
	w.must("UpdateAutoScalingGroup", update(&autoscalingapi.CapacityReservationSpecification{CapacityReservationPreference: new("none")}))
	if r := w.group("h").CapacityReservationSpecification; *r.CapacityReservationPreference != "none" || r.CapacityReservationTarget != nil {
		t.Errorf("reservations %s", jsonOf(t, r))
	}
}

// TestGroupsLaunchIntoReservations that they ask for; what a group prefers only is what EC2 does by itself.
func TestGroupsLaunchIntoReservations(t *testing.T) {
	const id = "cr-0123456789abcdef0"
	named := &autoscalingapi.CapacityReservationTarget{CapacityReservationIds: []string{id}}
	for _, tt := range []struct {
		preference string
		target     *autoscalingapi.CapacityReservationTarget
		want       *ec2api.CapacityReservationSpecification
	}{
		{"default", nil, nil},
		{"capacity-reservations-first", named, nil},
		{"none", nil, &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new("none")}},
		{"capacity-reservations-only", nil, &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new("capacity-reservations-only")}},
		{"capacity-reservations-only", named, &ec2api.CapacityReservationSpecification{CapacityReservationTarget: &ec2api.CapacityReservationTarget{CapacityReservationId: new(id)}}},
	} {
		w := newWorld(t)
		in := request("g", 1)
		in.CapacityReservationSpecification = &autoscalingapi.CapacityReservationSpecification{CapacityReservationPreference: &tt.preference, CapacityReservationTarget: tt.target}
		w.must("CreateAutoScalingGroup", in)
		w.Advance(time.Minute)
		if diff := cmp.Diff(tt.want, w.ec2.requests[0].CapacityReservationSpecification); diff != "" {
			t.Errorf("%s: %s", tt.preference, diff)
		}
	}
}

// TestGroupsWithoutTheirInstances are described as asked.
func TestGroupsWithoutTheirInstances(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 2))
	w.Advance(time.Minute)
	for _, tt := range []struct {
		include *bool
		want    int
	}{{nil, 2}, {new(true), 2}, {new(false), 0}} {
		answer, err := w.do(w.admin, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{IncludeInstances: tt.include})
		w.Must(err)
		out := answer.(*autoscalingapi.AutoScalingGroupsType)
		if got := len(out.AutoScalingGroups[0].Instances); got != tt.want {
			t.Errorf("%v: %d instances, want %d", tt.include, got, tt.want)
		}
	}
}

// TestPredictiveLabels: predefined metrics of the group itself may have a label, which clients' examples give them.
func TestPredictiveLabels(t *testing.T) {
	w := newWorld(t)
	w.must("CreateAutoScalingGroup", request("g", 0))
	p := predictive()
	p.AutoScalingGroupName = new("g")
	own := autoscalingapi.PredictiveScalingMetricSpecification{
		TargetValue: new(50.0),
		PredefinedScalingMetricSpecification: &autoscalingapi.PredictiveScalingPredefinedScalingMetric{
			PredefinedMetricType: new("ASGAverageCPUUtilization"), ResourceLabel: new("label"),
		},
		PredefinedLoadMetricSpecification: &autoscalingapi.PredictiveScalingPredefinedLoadMetric{
			PredefinedMetricType: new("ASGTotalCPUUtilization"), ResourceLabel: new("label"),
		},
	}
	p.PredictiveScalingConfiguration.MetricSpecifications = []autoscalingapi.PredictiveScalingMetricSpecification{own}
	w.must("PutScalingPolicy", p)
	own.PredefinedLoadMetricSpecification.PredefinedMetricType = new("ALBTargetGroupRequestCount")
	guardtest.WantError(t, w.try("PutScalingPolicy", p), "ValidationError", "*")
}
