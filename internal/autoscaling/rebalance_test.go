package autoscaling_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
)

// With Capacity Rebalancing a Spot Instance at risk is replaced: first another one is launched. Without
// it nothing happens.
func TestCapacityRebalancing(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := newWorld(t)
		sink := &received{}
		w.events = sink.take
		w.service.Stop()
		w.start()
		w.ec2.run = true
		in := mixed("g", 2, &autoscalingapi.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: new(int32(50))}, "m5.large")
		in.CapacityRebalance = &on
		w.must("CreateAutoScalingGroup", in)
		w.Advance(10 * time.Second)
		recommend := func(id string) error {
			_, err := w.metric("RecommendRebalance", &kagimoriapi.RecommendRebalanceRequest{InstanceId: &id})
			return err
		}
		var spot, other string
		for _, id := range w.ec2.ids("running") {
			if w.ec2.market(id) == "spot" {
				spot = id
			} else {
				other = id
			}
		}
		guardtest.WantError(t, recommend(other), "ValidationException", "The instance "+other+" is no Spot Instance.")
		guardtest.WantError(t, recommend("i-0none"), "ResourceNotFoundException", "*")
		w.Must(recommend(spot))
		least := 9
		for range 60 {
			w.Advance(time.Second)
			least = min(least, len(w.ec2.ids("running")))
		}
		now := w.ec2.ids("running")
		if gone := !slices.Contains(now, spot); gone != on || len(now) != 2 || least < 2 {
			t.Errorf("rebalancing %v: %v run, %d at least; %s got the recommendation", on, now, least, spot)
		}
		if got := sink.kinds(); !strings.Contains(got, "Rebalance Recommendation") {
			t.Errorf("events: %s", got)
		}
		if !on {
			continue
		}
		var causes []string
		for _, a := range w.activities(&autoscalingapi.DescribeScalingActivitiesType{AutoScalingGroupName: new("g")}) {
			causes = append(causes, *a.Cause)
		}
		for _, want := range []string{"an instance was launched in response to an EC2 instance rebalance recommendation.", "an instance was taken out of service in response to an EC2 instance rebalance recommendation."} {
			if !strings.Contains(strings.Join(causes, "\n"), want) {
				t.Errorf("no activity says %q: %q", want, causes)
			}
		}
	}
}

// A refresh whose alarm is raised ends, or goes back if it may.
func TestInstanceRefreshWatchesAlarms(t *testing.T) {
	for _, back := range []bool{false, true} {
		w := running(t, 3)
		_, err := w.metric("PutMetricAlarm", &kagimoriapi.PutMetricAlarmRequest{AlarmName: new("errors"), Namespace: new("n"), MetricName: new("m"), EvaluationPeriods: new(int32(1)),
			Threshold: new(5.0), ComparisonOperator: new("GreaterThanThreshold")})
		w.Must(err)
		if back {
			w.must("UpdateAutoScalingGroup", &autoscalingapi.UpdateAutoScalingGroupType{AutoScalingGroupName: new("g"),
				LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("3")}})
		}
		in := start(autoscalingapi.RefreshPreferences{InstanceWarmup: new(int32(60)), AutoRollback: &back,
			AlarmSpecification: &autoscalingapi.AlarmSpecification{Alarms: []string{"errors", "unknown"}}})
		if back {
			in.DesiredConfiguration = &autoscalingapi.DesiredConfiguration{LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: new("4")}}
		}
		w.must("StartInstanceRefresh", in)
		w.Advance(90 * time.Second)
		w.wantRefresh("before the alarm", "InProgress", 33)
		_, err = w.metric("PutMetricData", &kagimoriapi.PutMetricDataRequest{Namespace: new("n"), MetricData: []kagimoriapi.MetricDatum{{MetricName: new("m"), Value: new(9.0)}}})
		w.Must(err)
		w.Advance(time.Second)
		r := w.refreshes()[0]
		want := map[bool]string{false: "Failed", true: "RollbackInProgress"}[back]
		if *r.Status != want {
			t.Errorf("the refresh is %s, want %s", *r.Status, want)
		}
		why := r.StatusReason
		if back {
			why = r.RollbackDetails.RollbackReason
		}
		if !strings.Contains(*why, "errors") {
			t.Errorf("the reason is %q", *why)
		}
	}
}

// A predictive policy of mode ForecastAndScale raises the capacity before the hour that needs it, and no
// other does.
func TestPredictiveScaling(t *testing.T) {
	for _, mode := range []string{"ForecastAndScale", "ForecastOnly"} {
		w := newWorld(t)
		w.ec2.run = true
		w.must("CreateAutoScalingGroup", request("g", 1))
		w.Advance(w.Clock.Now().Truncate(time.Hour).Add(time.Hour).Sub(w.Clock.Now()))
		busy := w.Clock.Now().Add(3 * time.Hour).Hour() // of each day: 200 instead of 40
		begin := w.Clock.Now().Add(-26 * time.Hour)
		for h := range 26 {
			at := begin.Add(time.Duration(h) * time.Hour)
			v := 40.0
			if at.Hour() == busy {
				v = 170
			}
			_, err := w.metric("PutMetricData", &kagimoriapi.PutMetricDataRequest{Namespace: new("AWS/EC2"), MetricData: []kagimoriapi.MetricDatum{{
				MetricName: new("CPUUtilization"), Dimensions: []kagimoriapi.MetricDimension{{Name: new("AutoScalingGroupName"), Value: new("g")}}, Value: &v, Timestamp: &at,
			}}})
			w.Must(err)
		}
		policy := func(behavior *string, buffer *int32) {
			w.put(&autoscalingapi.PutScalingPolicyType{AutoScalingGroupName: new("g"), PolicyName: new("p"), PolicyType: new("PredictiveScaling"),
				PredictiveScalingConfiguration: &autoscalingapi.PredictiveScalingConfiguration{Mode: &mode, SchedulingBufferTime: new(int32(600)), MaxCapacityBreachBehavior: behavior,
					MaxCapacityBuffer: buffer, MetricSpecifications: []autoscalingapi.PredictiveScalingMetricSpecification{{TargetValue: new(20.0),
						PredefinedMetricPairSpecification: &autoscalingapi.PredictiveScalingPredefinedMetricPair{PredefinedMetricType: new("ASGCPUUtilization")}}}}})
		}
		policy(nil, nil)
		var got []string
		see := func() { got = append(got, fmt.Sprint(*w.group("g").DesiredCapacity, len(w.ec2.ids("running")))) }
		w.Advance(time.Minute)
		see() // 40 at 20 each
		w.Advance(2*time.Hour + 48*time.Minute)
		see() // eleven minutes before the busy hour
		w.Advance(2 * time.Minute)
		see() // nine minutes before it
		policy(new("IncreaseMaxCapacity"), new(int32(10)))
		w.Advance(24 * time.Hour)
		got = append(got, fmt.Sprint(*w.group("g").MaxSize, *w.group("g").DesiredCapacity))
		want := "[2 2 2 2 5 5 10 9]"
		if mode == "ForecastOnly" {
			want = "[1 1 1 1 1 1 5 1]"
		}
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s: desired and running: %s, want %s", mode, s, want)
		}
	}
}
