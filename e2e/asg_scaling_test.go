package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// scalingGroup is a group without instances, and its name.
func scalingGroup(t *testing.T, c *client) *string {
	t.Helper()
	c.serviceRole(t)
	c.template(t, "scaling")
	must(c.asg.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: new("scaling"), MinSize: new(int32(0)), MaxSize: new(int32(4)), AvailabilityZones: []string{c.region + "a"},
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("scaling")},
	}))(t)
	return new("scaling")
}

// post calls an operation of the kagimori service, signed as the caller.
func (c *client) post(t *testing.T, method, path string, in any) (status int, body string) {
	t.Helper()
	data := must(json.Marshal(in))(t)
	req := must(http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(string(data))))(t)
	req.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(data)
	if err := v4.NewSigner().SignHTTP(t.Context(), c.creds, req, hex.EncodeToString(sum[:]), "kagimori", c.region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return read(t, req)
}

func TestScalingPolicies(t *testing.T) {
	c := admin(t)
	ctx, group := t.Context(), scalingGroup(t, c)
	put := func(in autoscaling.PutScalingPolicyInput) *autoscaling.PutScalingPolicyOutput {
		t.Helper()
		in.AutoScalingGroupName = group
		return must(c.asg.PutScalingPolicy(ctx, &in))(t)
	}
	put(autoscaling.PutScalingPolicyInput{PolicyName: new("simple"), AdjustmentType: new("ExactCapacity"), ScalingAdjustment: new(int32(1))})
	put(autoscaling.PutScalingPolicyInput{PolicyName: new("step"), PolicyType: new("StepScaling"), AdjustmentType: new("ChangeInCapacity"), StepAdjustments: []astypes.StepAdjustment{
		{MetricIntervalLowerBound: new(0.0), MetricIntervalUpperBound: new(10.0), ScalingAdjustment: new(int32(1))}, {MetricIntervalLowerBound: new(10.0), ScalingAdjustment: new(int32(2))},
	}})
	tracking := put(autoscaling.PutScalingPolicyInput{PolicyName: new("tracking"), PolicyType: new("TargetTrackingScaling"), TargetTrackingConfiguration: &astypes.TargetTrackingConfiguration{
		TargetValue: new(50.0), PredefinedMetricSpecification: &astypes.PredefinedMetricSpecification{PredefinedMetricType: astypes.MetricTypeASGAverageCPUUtilization},
	}})
	if len(tracking.Alarms) != 2 {
		t.Errorf("alarms = %+v", tracking.Alarms)
	}
	put(autoscaling.PutScalingPolicyInput{PolicyName: new("predictive"), PolicyType: new("PredictiveScaling"), PredictiveScalingConfiguration: &astypes.PredictiveScalingConfiguration{
		MetricSpecifications: []astypes.PredictiveScalingMetricSpecification{{TargetValue: new(40.0), PredefinedMetricPairSpecification: &astypes.PredictiveScalingPredefinedMetricPair{
			PredefinedMetricType: astypes.PredefinedMetricPairTypeASGCPUUtilization,
		}}},
	}})
	pages, names := autoscaling.NewDescribePoliciesPaginator(c.asg, &autoscaling.DescribePoliciesInput{AutoScalingGroupName: group, MaxRecords: new(int32(3))}), []string{}
	for pages.HasMorePages() {
		for _, p := range must(pages.NextPage(ctx))(t).ScalingPolicies {
			names = append(names, *p.PolicyName)
		}
	}
	if got := strings.Join(names, " "); got != "predictive simple step tracking" {
		t.Errorf("policies: %s", got)
	}
	must(c.asg.ExecutePolicy(ctx, &autoscaling.ExecutePolicyInput{AutoScalingGroupName: group, PolicyName: new("simple")}))(t)
	must(c.asg.ExecutePolicy(ctx, &autoscaling.ExecutePolicyInput{AutoScalingGroupName: group, PolicyName: new("step"), MetricValue: new(95.0), BreachThreshold: new(80.0)}))(t)
	refused(c.asg.ExecutePolicy(ctx, &autoscaling.ExecutePolicyInput{AutoScalingGroupName: group, PolicyName: new("tracking")}))(t, "ValidationError")
	refused(c.asg.PutScalingPolicy(ctx, &autoscaling.PutScalingPolicyInput{AutoScalingGroupName: new("none"), PolicyName: new("p"), AdjustmentType: new("ExactCapacity"), ScalingAdjustment: new(int32(1))}))(t, "ValidationError", "not found")
	forecast := must(c.asg.GetPredictiveScalingForecast(ctx, &autoscaling.GetPredictiveScalingForecastInput{
		AutoScalingGroupName: group, PolicyName: new("predictive"), StartTime: new(time.Now()), EndTime: new(time.Now().Add(48 * time.Hour)),
	}))(t)
	if len(forecast.LoadForecast) != 1 || forecast.CapacityForecast == nil || forecast.UpdateTime == nil {
		t.Errorf("forecast = %+v", forecast)
	}
	eventually(t, "two policies give three instances", func() (bool, string) {
		g := must(c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*group}}))(t).AutoScalingGroups[0]
		return len(g.Instances) == int(*g.DesiredCapacity) && len(g.Instances) > 0, string(must(json.Marshal(g.Instances))(t))
	})
	must(c.asg.DeletePolicy(ctx, &autoscaling.DeletePolicyInput{PolicyName: tracking.PolicyARN}))(t)
}

func TestMetricsDriveAlarms(t *testing.T) {
	c := admin(t)
	ctx, group := t.Context(), scalingGroup(t, c)
	policy := must(c.asg.PutScalingPolicy(ctx, &autoscaling.PutScalingPolicyInput{
		AutoScalingGroupName: group, PolicyName: new("p"), AdjustmentType: new("ExactCapacity"), ScalingAdjustment: new(int32(2)),
	}))(t)
	alarm := map[string]any{
		"AlarmName": "busy", "Namespace": "Shop", "MetricName": "Backlog", "Threshold": 10, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold",
		"AlarmActions": []string{*policy.PolicyARN},
	}
	if status, body := c.post(t, http.MethodPut, "/metric-alarms", alarm); status != http.StatusNoContent {
		t.Fatalf("PutMetricAlarm: %d %s", status, body)
	}
	data := map[string]any{"Namespace": "Shop", "MetricData": []any{map[string]any{"MetricName": "Backlog", "Value": 11}}}
	if status, body := c.user(t, "nobody").post(t, http.MethodPost, "/metric-data", data); status != http.StatusForbidden {
		t.Errorf("PutMetricData without permission: %d %s", status, body)
	}
	if status, body := c.post(t, http.MethodPost, "/metric-data", data); status != http.StatusNoContent {
		t.Fatalf("PutMetricData: %d %s", status, body)
	}
	if status, body := c.post(t, http.MethodGet, "/metric-alarms", nil); status != http.StatusOK || !strings.Contains(body, `"StateValue":"ALARM"`) {
		t.Errorf("ListMetricAlarms: %d %s", status, body)
	}
	shown := must(c.asg.DescribePolicies(ctx, &autoscaling.DescribePoliciesInput{AutoScalingGroupName: group}))(t).ScalingPolicies[0]
	if len(shown.Alarms) != 1 || *shown.Alarms[0].AlarmName != "busy" {
		t.Errorf("alarms = %+v", shown.Alarms)
	}
	g := must(c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*group}}))(t).AutoScalingGroups[0]
	if *g.DesiredCapacity != 2 {
		t.Errorf("desired capacity %d", *g.DesiredCapacity)
	}
	if status, body := c.post(t, http.MethodDelete, "/metric-alarms/busy", nil); status != http.StatusNoContent {
		t.Errorf("DeleteMetricAlarm: %d %s", status, body)
	}
}

func TestScheduledActions(t *testing.T) {
	c := admin(t)
	ctx, group := t.Context(), scalingGroup(t, c)
	start := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	must(c.asg.PutScheduledUpdateGroupAction(ctx, &autoscaling.PutScheduledUpdateGroupActionInput{
		AutoScalingGroupName: group, ScheduledActionName: new("a"), StartTime: &start, Recurrence: new("30 0 1 1,6,12 *"), TimeZone: new("America/Denver"), DesiredCapacity: new(int32(1)),
	}))(t)
	failed := must(c.asg.BatchPutScheduledUpdateGroupAction(ctx, &autoscaling.BatchPutScheduledUpdateGroupActionInput{
		AutoScalingGroupName: group, ScheduledUpdateGroupActions: []astypes.ScheduledUpdateGroupActionRequest{
			{ScheduledActionName: new("b"), StartTime: &start, MinSize: new(int32(1))}, {ScheduledActionName: new("c"), Recurrence: new("never"), MinSize: new(int32(1))},
		},
	}))(t).FailedScheduledUpdateGroupActions
	if len(failed) != 1 || *failed[0].ScheduledActionName != "c" || *failed[0].ErrorCode != "ValidationError" {
		t.Errorf("failed = %+v", failed)
	}
	all := must(c.asg.DescribeScheduledActions(ctx, &autoscaling.DescribeScheduledActionsInput{AutoScalingGroupName: group}))(t).ScheduledUpdateGroupActions
	if len(all) != 2 || !all[0].StartTime.Equal(start) || *all[0].TimeZone != "America/Denver" || all[0].MinSize != nil || *all[1].MinSize != 1 {
		t.Errorf("actions = %+v", all)
	}
	must(c.asg.DeleteScheduledAction(ctx, &autoscaling.DeleteScheduledActionInput{AutoScalingGroupName: group, ScheduledActionName: new("a")}))(t)
	refused(c.asg.DeleteScheduledAction(ctx, &autoscaling.DeleteScheduledActionInput{AutoScalingGroupName: group, ScheduledActionName: new("a")}))(t, "ValidationError", "Scheduled action name not found")
	gone := must(c.asg.BatchDeleteScheduledAction(ctx, &autoscaling.BatchDeleteScheduledActionInput{AutoScalingGroupName: group, ScheduledActionNames: []string{"a", "b"}}))(t).FailedScheduledActions
	if len(gone) != 1 || *gone[0].ScheduledActionName != "a" {
		t.Errorf("failed = %+v", gone)
	}
	refused(c.asg.PutScheduledUpdateGroupAction(ctx, &autoscaling.PutScheduledUpdateGroupActionInput{
		AutoScalingGroupName: group, ScheduledActionName: new("a"), StartTime: new(time.Now().Add(-time.Hour)), MinSize: new(int32(0)),
	}))(t, "ValidationError", "Given start time is in the past")
}

func TestWhatAGroupIsAttachedTo(t *testing.T) {
	c := admin(t)
	ctx, group := t.Context(), scalingGroup(t, c)
	targets := "arn:aws:elasticloadbalancing:" + c.region + ":" + c.account + ":targetgroup/"
	must(c.asg.AttachLoadBalancers(ctx, &autoscaling.AttachLoadBalancersInput{AutoScalingGroupName: group, LoadBalancerNames: []string{"classic"}}))(t)
	must(c.asg.AttachLoadBalancerTargetGroups(ctx, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: group, TargetGroupARNs: []string{targets + "a/1"}}))(t)
	must(c.asg.AttachTrafficSources(ctx, &autoscaling.AttachTrafficSourcesInput{AutoScalingGroupName: group, TrafficSources: []astypes.TrafficSourceIdentifier{{Identifier: new(targets + "b/1"), Type: new("elbv2")}}}))(t)
	eventually(t, "everything is attached", func() (bool, string) {
		all := must(c.asg.DescribeTrafficSources(ctx, &autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: group}))(t).TrafficSources
		added := 0
		for _, s := range all {
			if *s.State == "Added" {
				added++
			}
		}
		return added == 3, string(must(json.Marshal(all))(t))
	})
	if l := must(c.asg.DescribeLoadBalancers(ctx, &autoscaling.DescribeLoadBalancersInput{AutoScalingGroupName: group}))(t).LoadBalancers; len(l) != 1 || *l[0].LoadBalancerName != "classic" {
		t.Errorf("load balancers = %+v", l)
	}
	if l := must(c.asg.DescribeLoadBalancerTargetGroups(ctx, &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: group}))(t).LoadBalancerTargetGroups; len(l) != 2 {
		t.Errorf("target groups = %+v", l)
	}
	must(c.asg.DetachLoadBalancers(ctx, &autoscaling.DetachLoadBalancersInput{AutoScalingGroupName: group, LoadBalancerNames: []string{"classic"}}))(t)
	must(c.asg.DetachLoadBalancerTargetGroups(ctx, &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: group, TargetGroupARNs: []string{targets + "a/1"}}))(t)
	must(c.asg.DetachTrafficSources(ctx, &autoscaling.DetachTrafficSourcesInput{AutoScalingGroupName: group, TrafficSources: []astypes.TrafficSourceIdentifier{{Identifier: new(targets + "b/1"), Type: new("elbv2")}}}))(t)

	topic := "arn:aws:sns:" + c.region + ":" + c.account + ":events"
	must(c.asg.PutNotificationConfiguration(ctx, &autoscaling.PutNotificationConfigurationInput{AutoScalingGroupName: group, TopicARN: &topic, NotificationTypes: []string{"autoscaling:EC2_INSTANCE_LAUNCH"}}))(t)
	if n := must(c.asg.DescribeNotificationConfigurations(ctx, &autoscaling.DescribeNotificationConfigurationsInput{AutoScalingGroupNames: []string{*group}}))(t).NotificationConfigurations; len(n) != 1 || *n[0].TopicARN != topic {
		t.Errorf("notifications = %+v", n)
	}
	must(c.asg.DeleteNotificationConfiguration(ctx, &autoscaling.DeleteNotificationConfigurationInput{AutoScalingGroupName: group, TopicARN: &topic}))(t)
	must(c.asg.EnableMetricsCollection(ctx, &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: group, Granularity: new("1Minute"), Metrics: []string{"GroupMinSize", "GroupMaxSize"}}))(t)
	must(c.asg.DisableMetricsCollection(ctx, &autoscaling.DisableMetricsCollectionInput{AutoScalingGroupName: group, Metrics: []string{"GroupMinSize"}}))(t)
	g := must(c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*group}}))(t).AutoScalingGroups[0]
	if len(g.EnabledMetrics) != 1 || *g.EnabledMetrics[0].Metric != "GroupMaxSize" {
		t.Errorf("metrics = %+v", g.EnabledMetrics)
	}
}
