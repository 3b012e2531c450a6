package autoscaling

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// none answers a listing of what this server has no operation to make, so that there is none. A
// group that is named must exist; no page was ever given out, so that every token is wrong.
func (s *Service) none(ctx context.Context, c *guard.Call, group, next *string, records *int32) error {
	if _, err := bound(records, 50, 100); err != nil {
		return err
	}
	return s.listing(ctx, c, func(tx store.Tx) error {
		if group != nil {
			if _, ok, err := groupTable.Get(tx, c.Region, c.Account(), *group); err != nil {
				return err
			} else if !ok {
				return notFound(*group)
			}
		}
		if api.Val(next) != "" {
			return apierr.New("InvalidNextToken", "The token '"+*next+"' is invalid.")
		}
		return nil
	})
}

// DescribePolicies lists nothing: groups have no scaling policies here.
func (s *Service) DescribePolicies(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribePoliciesType) (*autoscalingapi.PoliciesType, error) {
	return &autoscalingapi.PoliciesType{ScalingPolicies: []autoscalingapi.ScalingPolicy{}}, s.none(ctx, c, nil, in.NextToken, in.MaxRecords)
}

// DescribeScheduledActions lists nothing: groups have no scheduled actions here.
func (s *Service) DescribeScheduledActions(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeScheduledActionsType) (*autoscalingapi.ScheduledActionsType, error) {
	return &autoscalingapi.ScheduledActionsType{ScheduledUpdateGroupActions: []autoscalingapi.ScheduledUpdateGroupAction{}}, s.none(ctx, c, nil, in.NextToken, in.MaxRecords)
}

// DescribeNotificationConfigurations lists nothing: groups send no notifications here.
func (s *Service) DescribeNotificationConfigurations(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeNotificationConfigurationsType) (*autoscalingapi.DescribeNotificationConfigurationsAnswer, error) {
	return &autoscalingapi.DescribeNotificationConfigurationsAnswer{NotificationConfigurations: []autoscalingapi.NotificationConfiguration{}}, s.none(ctx, c, nil, in.NextToken, in.MaxRecords)
}

// DescribeLifecycleHooks lists nothing: a group has no lifecycle hooks here.
func (s *Service) DescribeLifecycleHooks(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLifecycleHooksType) (*autoscalingapi.DescribeLifecycleHooksAnswer, error) {
	return &autoscalingapi.DescribeLifecycleHooksAnswer{LifecycleHooks: []autoscalingapi.LifecycleHook{}}, s.none(ctx, c, in.AutoScalingGroupName, nil, nil)
}

// DescribeLoadBalancers lists nothing: a group has no classic load balancers here.
func (s *Service) DescribeLoadBalancers(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLoadBalancersRequest) (*autoscalingapi.DescribeLoadBalancersResponse, error) {
	return &autoscalingapi.DescribeLoadBalancersResponse{LoadBalancers: []autoscalingapi.LoadBalancerState{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}

// DescribeLoadBalancerTargetGroups lists nothing: a group has no target groups here.
func (s *Service) DescribeLoadBalancerTargetGroups(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLoadBalancerTargetGroupsRequest) (*autoscalingapi.DescribeLoadBalancerTargetGroupsResponse, error) {
	return &autoscalingapi.DescribeLoadBalancerTargetGroupsResponse{LoadBalancerTargetGroups: []autoscalingapi.LoadBalancerTargetGroupState{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}

// DescribeTrafficSources lists nothing: a group has no traffic sources here.
func (s *Service) DescribeTrafficSources(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeTrafficSourcesRequest) (*autoscalingapi.DescribeTrafficSourcesResponse, error) {
	return &autoscalingapi.DescribeTrafficSourcesResponse{TrafficSources: []autoscalingapi.TrafficSourceState{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}

// DescribeWarmPool lists nothing: a group has no instances in its warm pool here.
func (s *Service) DescribeWarmPool(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeWarmPoolType) (*autoscalingapi.DescribeWarmPoolAnswer, error) {
	return &autoscalingapi.DescribeWarmPoolAnswer{Instances: []autoscalingapi.Instance{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}

// DescribeInstanceRefreshes lists nothing: a group has no instance refreshes here.
func (s *Service) DescribeInstanceRefreshes(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeInstanceRefreshesType) (*autoscalingapi.DescribeInstanceRefreshesAnswer, error) {
	return &autoscalingapi.DescribeInstanceRefreshesAnswer{InstanceRefreshes: []autoscalingapi.InstanceRefresh{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}
