package autoscaling

import (
	"context"
	"math"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// longestForecast bounds what a request may ask for. Source: API Reference,
// GetPredictiveScalingForecast, EndTime.
const longestForecast = 30 * 24 * time.Hour

// load is the metric that a predictive policy forecasts; ok is false for expressions over several.
func load(group string, m *autoscalingapi.PredictiveScalingMetricSpecification) (key string, ok bool) {
	named := func(metric string, label *string) (string, bool) {
		switch metric {
		case "ASGCPUUtilization", "ASGTotalCPUUtilization":
			return predefinedMetric(group, autoscalingapi.MetricTypeASGAverageCPUUtilization, nil), true
		case "ASGNetworkIn", "ASGTotalNetworkIn":
			return predefinedMetric(group, autoscalingapi.MetricTypeASGAverageNetworkIn, nil), true
		case "ASGNetworkOut", "ASGTotalNetworkOut":
			return predefinedMetric(group, autoscalingapi.MetricTypeASGAverageNetworkOut, nil), true
		}
		balancer, targets := splitLabel(api.Val(label))
		return metricKey("AWS/ApplicationELB", "RequestCount", map[string]string{"LoadBalancer": balancer, "TargetGroup": targets}), true
	}
	switch {
	case m.PredefinedMetricPairSpecification != nil:
		return named(*m.PredefinedMetricPairSpecification.PredefinedMetricType, m.PredefinedMetricPairSpecification.ResourceLabel)
	case m.PredefinedLoadMetricSpecification != nil:
		return named(*m.PredefinedLoadMetricSpecification.PredefinedMetricType, m.PredefinedLoadMetricSpecification.ResourceLabel)
	case m.CustomizedLoadMetricSpecification == nil || len(m.CustomizedLoadMetricSpecification.MetricDataQueries) != 1:
		return "", false
	}
	q := m.CustomizedLoadMetricSpecification.MetricDataQueries[0]
	if q.MetricStat == nil || q.MetricStat.Metric == nil {
		return "", false
	}
	dimensions := map[string]string{}
	for _, d := range q.MetricStat.Metric.Dimensions {
		dimensions[api.Val(d.Name)] = api.Val(d.Value)
	}
	return metricKey(api.Val(q.MetricStat.Metric.Namespace), api.Val(q.MetricStat.Metric.MetricName), dimensions), true
}

// byHour is the load of a minute in each hour of the day, the mean of the days that are kept; ok is
// false before a day's history is there, which a forecast needs.
// Source: User Guide, "Predictive scaling for Amazon EC2 Auto Scaling: How predictive scaling works".
func (s *series) byHour() (hours [24]float64, known [24]bool, ok bool) {
	if len(s.Hours) == 0 || s.Hours[len(s.Hours)-1].At-s.Hours[0].At < 23 {
		return hours, known, false
	}
	var n [24]float64
	for _, p := range s.Hours {
		h := p.At % 24
		hours[h] += p.Sum / float64(max(1, p.Minutes))
		n[h]++
	}
	for h := range hours {
		if known[h] = n[h] > 0; known[h] {
			hours[h] /= n[h]
		}
	}
	return hours, known, true
}

// GetPredictiveScalingForecast tells the load that a predictive policy expects hour by hour, and the
// capacity for it. The forecast is the mean of the same hour on earlier days; AWS's is a model of
// its own.
func (s *Service) GetPredictiveScalingForecast(ctx context.Context, c *guard.Call, in *autoscalingapi.GetPredictiveScalingForecastType) (*autoscalingapi.GetPredictiveScalingForecastAnswer, error) {
	start, end := api.Val(in.StartTime), api.Val(in.EndTime)
	switch {
	case !end.After(start):
		return nil, validation("EndTime must be after StartTime.")
	case end.Sub(start) > longestForecast:
		return nil, validation("The time between StartTime and EndTime must be at most 30 days.")
	}
	group, name := api.Val(in.AutoScalingGroupName), api.Val(in.PolicyName)
	out := &autoscalingapi.GetPredictiveScalingForecastAnswer{UpdateTime: new(s.g.Now().Truncate(time.Hour))}
	err := s.listing(ctx, c, func(tx store.Tx) error {
		out.LoadForecast, out.CapacityForecast = []autoscalingapi.LoadForecast{}, &autoscalingapi.CapacityForecast{}
		if _, ok, err := groupTable.Get(tx, c.Region, c.Account(), group); err != nil {
			return err
		} else if !ok {
			return notFound(group)
		}
		r, ok, err := policyTable.Get(tx, c.Region, c.Account(), group, name)
		switch {
		case err != nil:
			return err
		case !ok:
			return validation("Policy %s not found for Auto Scaling group %s", name, group)
		case api.Val(r.Params.PolicyType) != predictiveScaling:
			return validation("Policy %s is not of type %s.", name, predictiveScaling)
		}
		m := &r.Params.PredictiveScalingConfiguration.MetricSpecifications[0]
		forecast := autoscalingapi.LoadForecast{MetricSpecification: m, Timestamps: []time.Time{}, Values: []float64{}}
		capacity := &autoscalingapi.CapacityForecast{Timestamps: []time.Time{}, Values: []float64{}}
		if key, ok := load(group, m); ok {
			data, _, err := seriesTable.Get(tx, c.Region, c.Account(), key)
			if err != nil {
				return err
			}
			if hours, known, ok := data.byHour(); ok {
				for at := start.UTC().Add(time.Hour - 1).Truncate(time.Hour); at.Before(end); at = at.Add(time.Hour) {
					if h := at.Hour(); known[h] {
						forecast.Timestamps, forecast.Values = append(forecast.Timestamps, at), append(forecast.Values, hours[h])
						capacity.Timestamps, capacity.Values = append(capacity.Timestamps, at), append(capacity.Values, math.Ceil(hours[h]/api.Val(m.TargetValue)))
					}
				}
			}
		}
		out.LoadForecast, out.CapacityForecast = []autoscalingapi.LoadForecast{forecast}, capacity
		return nil
	})
	return out, err
}
