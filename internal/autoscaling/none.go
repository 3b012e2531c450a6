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

// DescribeLifecycleHooks lists nothing: a group has no lifecycle hooks here.
func (s *Service) DescribeLifecycleHooks(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLifecycleHooksType) (*autoscalingapi.DescribeLifecycleHooksAnswer, error) {
	return &autoscalingapi.DescribeLifecycleHooksAnswer{LifecycleHooks: []autoscalingapi.LifecycleHook{}}, s.none(ctx, c, in.AutoScalingGroupName, nil, nil)
}

// DescribeWarmPool lists nothing: a group has no instances in its warm pool here.
func (s *Service) DescribeWarmPool(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeWarmPoolType) (*autoscalingapi.DescribeWarmPoolAnswer, error) {
	return &autoscalingapi.DescribeWarmPoolAnswer{Instances: []autoscalingapi.Instance{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}

// DescribeInstanceRefreshes lists nothing: a group has no instance refreshes here.
func (s *Service) DescribeInstanceRefreshes(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeInstanceRefreshesType) (*autoscalingapi.DescribeInstanceRefreshesAnswer, error) {
	return &autoscalingapi.DescribeInstanceRefreshesAnswer{InstanceRefreshes: []autoscalingapi.InstanceRefresh{}}, s.none(ctx, c, in.AutoScalingGroupName, in.NextToken, in.MaxRecords)
}
