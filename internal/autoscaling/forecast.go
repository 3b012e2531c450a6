package autoscaling

import (
	"context"
	"maps"
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

// capacityAt is the capacity that a predictive policy forecasts for the hour that begins at a time; ok
// is false if it has no forecast for it.
func (r *policyRecord) capacityAt(tx store.Tx, at time.Time) (n int32, ok bool, err error) {
	m := &r.Params.PredictiveScalingConfiguration.MetricSpecifications[0]
	key, known := load(r.Group, m)
	if !known || api.Val(m.TargetValue) <= 0 {
		return 0, false, nil
	}
	data, _, err := seriesTable.Get(tx, r.Region, r.Account, key)
	if err != nil {
		return 0, false, err
	}
	hours, there, enough := data.byHour()
	h := at.UTC().Hour()
	if !enough || !there[h] {
		return 0, false, nil
	}
	return int32(min(math.Ceil(hours[h]/api.Val(m.TargetValue)), math.MaxInt32)), true, nil
}

// predicts reports whether a policy changes the capacity by its forecast.
func (r *policyRecord) predicts() bool {
	c := r.Params.PredictiveScalingConfiguration
	return api.Val(r.Params.PolicyType) == predictiveScaling && c != nil && r.enabled() && api.Val(c.Mode) == autoscalingapi.PredictiveScalingModeForecastAndScale
}

// predict raises the desired capacity to what predictive policies of mode ForecastAndScale expect of the
// hour that comes, as long before it as they say. They never lower it. It asks to be called again for
// the next hour.
// Source: User Guide, "Predictive scaling for Amazon EC2 Auto Scaling: How predictive scaling works";
// API Reference, PredictiveScalingConfiguration.
func (s *Service) predict(ctx context.Context, p place) error {
	any := false
	err := s.g.Read(ctx, func(tx store.Tx) error {
		any = false
		return scan(tx, policyTable, store.Range{Prefix: store.Key(p.key()...)}, func(_ []string, r *policyRecord) bool {
			any = r.predicts()
			return !any
		})
	})
	if err != nil || !any {
		return err
	}
	var next time.Time
	err = s.g.Change(ctx, func(tx store.Tx) error {
		next = time.Time{}
		now := s.g.Now()
		g, ok, err := groupTable.Get(tx, p.key()...)
		if err != nil || !ok || g.Deleting {
			return err
		}
		changed := false
		for r, err := range policyTable.Scan(tx, p.key()...) {
			if err != nil {
				return err
			}
			c := r.Value.Params.PredictiveScalingConfiguration
			if !r.Value.predicts() {
				continue
			}
			buffer := time.Duration(api.Val(c.SchedulingBufferTime)) * time.Second
			hour := now.Add(buffer).Truncate(time.Hour)
			if due := hour.Add(time.Hour - buffer); next.IsZero() || due.Before(next) {
				next = due
			}
			if g.Predicted[r.Value.Name] >= hour.Unix() || g.suspended(processScheduled) {
				continue
			}
			n, ok, err := r.Value.capacityAt(tx, hour)
			if err != nil {
				return err
			}
			marks := maps.Clone(g.Predicted)
			if marks == nil {
				marks = map[string]int64{}
			}
			marks[r.Value.Name], changed = hour.Unix(), true
			if g.Predicted = marks; ok {
				g.expect(now, n, r.Value.Name, c)
			}
		}
		if !changed {
			return nil
		}
		return s.put(tx, g)
	})
	if err == nil && !next.IsZero() {
		s.wake(p, next.Sub(s.g.Now()))
	}
	return err
}

// expect raises the desired capacity to a forecast, and the maximum with it if the policy may.
func (g *groupRecord) expect(now time.Time, n int32, policy string, c *autoscalingapi.PredictiveScalingConfiguration) {
	if api.Val(c.MaxCapacityBreachBehavior) == autoscalingapi.PredictiveScalingMaxCapacityBreachBehaviorIncreaseMaxCapacity {
		g.Max = max(g.Max, int32(min(math.Ceil(float64(n)*(100+float64(api.Val(c.MaxCapacityBuffer)))/100), math.MaxInt32)))
	}
	if n > g.Desired {
		g.resize(now, n, "the forecast of predictive scaling policy "+policy+" triggered")
	}
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
