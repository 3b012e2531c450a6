package autoscaling

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// listing answers an operation that shows what the service knows, without a resource.
func (s *Service) listing(ctx context.Context, c *guard.Call, then func(store.Tx) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "autoscaling:"+c.Operation); err != nil {
			return err
		}
		return then(tx)
	})
}

// decided is a listing whose answer never changes.
func (s *Service) decided(ctx context.Context, c *guard.Call) error {
	return s.listing(ctx, c, func(store.Tx) error { return nil })
}

// DescribeAccountLimits tells the quotas and how much of them is used.
func (s *Service) DescribeAccountLimits(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeAccountLimitsRequest) (*autoscalingapi.DescribeAccountLimitsAnswer, error) {
	var groups, configs int32
	err := s.listing(ctx, c, func(tx store.Tx) error {
		groups, configs = 0, 0
		for _, err := range groupTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			groups++
		}
		for _, err := range configTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			configs++
		}
		return nil
	})
	return &autoscalingapi.DescribeAccountLimitsAnswer{
		MaxNumberOfAutoScalingGroups: new(int32(s.maxGroups)), MaxNumberOfLaunchConfigurations: new(int32(maxConfigs)),
		NumberOfAutoScalingGroups: &groups, NumberOfLaunchConfigurations: &configs,
	}, err
}

// DescribeTerminationPolicyTypes lists the policies by which instances are taken out.
func (s *Service) DescribeTerminationPolicyTypes(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeTerminationPolicyTypesRequest) (*autoscalingapi.DescribeTerminationPolicyTypesAnswer, error) {
	return &autoscalingapi.DescribeTerminationPolicyTypesAnswer{TerminationPolicyTypes: terminationPolicies}, s.decided(ctx, c)
}

// DescribeAdjustmentTypes lists how scaling policies change the capacity.
// Source: API Reference, DescribeAdjustmentTypes.
func (s *Service) DescribeAdjustmentTypes(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeAdjustmentTypesRequest) (*autoscalingapi.DescribeAdjustmentTypesAnswer, error) {
	return &autoscalingapi.DescribeAdjustmentTypesAnswer{AdjustmentTypes: []autoscalingapi.AdjustmentType{
		{AdjustmentType: new(changeInCapacity)}, {AdjustmentType: new(exactCapacity)}, {AdjustmentType: new(percentInCapacity)},
	}}, s.decided(ctx, c)
}

// DescribeScalingProcessTypes lists the processes that can be suspended.
func (s *Service) DescribeScalingProcessTypes(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeScalingProcessTypesRequest) (*autoscalingapi.ProcessesType, error) {
	out := &autoscalingapi.ProcessesType{}
	for _, p := range processes {
		out.Processes = append(out.Processes, autoscalingapi.ProcessType{ProcessName: &p})
	}
	return out, s.decided(ctx, c)
}

// DescribeAutoScalingNotificationTypes lists the events of which groups can tell.
func (s *Service) DescribeAutoScalingNotificationTypes(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeAutoScalingNotificationTypesRequest) (*autoscalingapi.DescribeAutoScalingNotificationTypesAnswer, error) {
	return &autoscalingapi.DescribeAutoScalingNotificationTypesAnswer{AutoScalingNotificationTypes: notificationTypes}, s.decided(ctx, c)
}

// DescribeMetricCollectionTypes lists the metrics of groups.
func (s *Service) DescribeMetricCollectionTypes(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeMetricCollectionTypesRequest) (*autoscalingapi.DescribeMetricCollectionTypesAnswer, error) {
	out := &autoscalingapi.DescribeMetricCollectionTypesAnswer{Granularities: []autoscalingapi.MetricGranularityType{{Granularity: new(granularity)}}}
	for _, m := range groupMetrics {
		out.Metrics = append(out.Metrics, autoscalingapi.MetricCollectionType{Metric: &m})
	}
	return out, s.decided(ctx, c)
}

// DescribeLifecycleHookTypes lists the transitions at which hooks can wait.
func (s *Service) DescribeLifecycleHookTypes(ctx context.Context, c *guard.Call, _ *autoscalingapi.DescribeLifecycleHookTypesRequest) (*autoscalingapi.DescribeLifecycleHookTypesAnswer, error) {
	return &autoscalingapi.DescribeLifecycleHookTypesAnswer{LifecycleHookTypes: []string{
		"autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING",
	}}, s.decided(ctx, c)
}
