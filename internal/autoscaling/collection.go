package autoscaling

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const granularity = "1Minute"

// groupMetrics are the metrics of groups. Source: API Reference, EnableMetricsCollection.
var groupMetrics = []string{
	"GroupMinSize", "GroupMaxSize", "GroupDesiredCapacity", "GroupInServiceInstances", "GroupInServiceCapacity", "GroupPendingInstances",
	"GroupPendingCapacity", "GroupTerminatingInstances", "GroupTerminatingCapacity", "GroupStandbyInstances", "GroupStandbyCapacity",
	"GroupTotalInstances", "GroupTotalCapacity", "WarmPoolDesiredCapacity", "WarmPoolWarmedCapacity", "WarmPoolPendingCapacity",
	"WarmPoolTerminatingCapacity", "WarmPoolTotalCapacity", "GroupAndWarmPoolDesiredCapacity", "GroupAndWarmPoolTotalCapacity",
}

func (g *groupRecord) enabledMetrics() []autoscalingapi.EnabledMetric {
	out := []autoscalingapi.EnabledMetric{}
	for _, m := range g.Metrics {
		out = append(out, autoscalingapi.EnabledMetric{Metric: &m, Granularity: new(granularity)})
	}
	return out
}

// EnableMetricsCollection notes that metrics of a group are wanted: all, if none is named. They are
// not sent anywhere.
func (s *Service) EnableMetricsCollection(ctx context.Context, c *guard.Call, in *autoscalingapi.EnableMetricsCollectionQuery) error {
	if g := api.Val(in.Granularity); g != granularity {
		return validation("Invalid granularity: %s. The only valid value is %s.", g, granularity)
	}
	return s.setMetrics(ctx, c, in.AutoScalingGroupName, in.Metrics, func(m string, have, named bool) bool { return have || named })
}

// DisableMetricsCollection ends the collection of metrics of a group: of all, if none is named.
func (s *Service) DisableMetricsCollection(ctx context.Context, c *guard.Call, in *autoscalingapi.DisableMetricsCollectionQuery) error {
	return s.setMetrics(ctx, c, in.AutoScalingGroupName, in.Metrics, func(m string, have, named bool) bool { return have && !named })
}

func (s *Service) setMetrics(ctx context.Context, c *guard.Call, group *string, named []string, keep func(m string, have, named bool) bool) error {
	for _, m := range named {
		if !slices.Contains(groupMetrics, m) {
			return validation("Invalid metric: %s. Valid metrics are %s.", m, strings.Join(groupMetrics, ", "))
		}
	}
	if len(named) == 0 {
		named = groupMetrics
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(group), "autoscaling:"+c.Operation, nil)
		if err != nil {
			return err
		}
		var left []string
		for _, m := range groupMetrics {
			if keep(m, slices.Contains(g.Metrics, m), slices.Contains(named, m)) {
				left = append(left, m)
			}
		}
		g.Metrics = left
		return s.put(tx, g)
	})
}
