package autoscaling

import (
	"context"
	"math"
	"reflect"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/store"
)

// A target tracking policy adds capacity when the metric was above the target for three minutes,
// and takes it away when it was below nine tenths of it for fifteen.
// Source: Application Auto Scaling and EC2 Auto Scaling User Guides describe the alarms that target
// tracking makes; the numbers are those that they show.
const (
	highPeriods = 3
	lowPeriods  = 15
	lowMargin   = 0.9
)

// A tracked metric is what a target tracking policy follows.
type tracked struct {
	key       string
	statistic string
	period    time.Duration
}

// predefinedMetric is a predefined metric under its CloudWatch name.
// Source: API Reference, PredefinedMetricSpecification; CloudWatch metrics of EC2 and of load
// balancers.
func predefinedMetric(group, metric string, label *string) string {
	of := map[string]string{"AutoScalingGroupName": group}
	switch metric {
	case autoscalingapi.MetricTypeASGAverageCPUUtilization:
		return metricKey("AWS/EC2", "CPUUtilization", of)
	case autoscalingapi.MetricTypeASGAverageNetworkIn:
		return metricKey("AWS/EC2", "NetworkIn", of)
	case autoscalingapi.MetricTypeASGAverageNetworkOut:
		return metricKey("AWS/EC2", "NetworkOut", of)
	}
	balancer, targets := splitLabel(api.Val(label))
	return metricKey("AWS/ApplicationELB", "RequestCountPerTarget", map[string]string{"LoadBalancer": balancer, "TargetGroup": targets})
}

// tracks is what the policy follows; ok is false for other policies, and for expressions over
// several metrics, which are kept and not computed.
func (r *policyRecord) tracks() (m tracked, ok bool) {
	t := r.Params.TargetTrackingConfiguration
	if t == nil {
		return m, false
	}
	if p := t.PredefinedMetricSpecification; p != nil {
		m = tracked{predefinedMetric(r.Group, *p.PredefinedMetricType, p.ResourceLabel), "Average", time.Minute}
		if *p.PredefinedMetricType == autoscalingapi.MetricTypeALBRequestCountPerTarget {
			m.statistic = "Sum"
		}
		return m, true
	}
	own := t.CustomizedMetricSpecification
	if own == nil || own.MetricName == nil {
		return m, false
	}
	dimensions := map[string]string{}
	for _, d := range own.Dimensions {
		dimensions[api.Val(d.Name)] = api.Val(d.Value)
	}
	m = tracked{metricKey(api.Val(own.Namespace), *own.MetricName, dimensions), api.Val(own.Statistic), time.Minute}
	if own.Period != nil {
		m.period = max(time.Minute, time.Duration(*own.Period)*time.Second)
	}
	return m, true
}

// tracksSame reports whether two policies follow the same metric.
func tracksSame(a, b *autoscalingapi.PutScalingPolicyType) bool {
	x, y := a.TargetTrackingConfiguration, b.TargetTrackingConfiguration
	return x != nil && y != nil && reflect.DeepEqual(x.PredefinedMetricSpecification, y.PredefinedMetricSpecification) &&
		reflect.DeepEqual(x.CustomizedMetricSpecification, y.CustomizedMetricSpecification)
}

// watch has the policy looked at when its metric is measured; unwatch ends that.
func watch(tx store.Tx, r *policyRecord) error {
	m, ok := r.tracks()
	if !ok {
		return nil
	}
	return watchTable.Put(tx, "", r.Region, r.Account, m.key, "policy", r.Group, r.Name)
}

func unwatch(tx store.Tx, r *policyRecord) error {
	m, ok := r.tracks()
	if !ok {
		return nil
	}
	return watchTable.Delete(tx, r.Region, r.Account, m.key, "policy", r.Group, r.Name)
}

// track has a target tracking policy look at its metric.
func (s *Service) track(ctx context.Context, at place, name string) error {
	changed := false
	err := s.g.Change(ctx, func(tx store.Tx) error {
		changed = false
		g, ok, err := groupTable.Get(tx, at.key()...)
		if err != nil || !ok || !g.alarmed() {
			return err
		}
		r, ok, err := policyTable.Get(tx, at.Region, at.Account, at.Name, name)
		if err != nil || !ok || !r.enabled() {
			return err
		}
		m, ok := r.tracks()
		if !ok {
			return nil
		}
		data, _, err := seriesTable.Get(tx, at.Region, at.Account, m.key)
		if err != nil {
			return err
		}
		all, err := members(tx, at)
		if err != nil {
			return err
		}
		if changed = s.trackUp(&g, &r, &data, m, all); !changed {
			changed, err = s.trackDown(tx, &g, &r, all)
		}
		if err != nil || !changed {
			return err
		}
		return s.put(tx, g)
	})
	if err == nil && changed {
		s.wake(at, 0)
	}
	return err
}

// proportional is the capacity at which the metric would be at its target.
func proportional(have int32, value, target float64) int32 {
	return int32(min(math.Ceil(float64(have)*value/target-1e-9), math.MaxInt32))
}

// trackUp adds capacity in proportion; instances that warm up count as there, and their load as not.
func (s *Service) trackUp(g *groupRecord, r *policyRecord, data *series, m tracked, all []memberRecord) bool {
	target := api.Val(r.Params.TargetTrackingConfiguration.TargetValue)
	values := data.last(highPeriods, m.period, m.statistic, time.Time{})
	if len(values) < highPeriods {
		return false
	}
	for _, v := range values {
		if v <= target {
			return false
		}
	}
	have := g.Desired - r.warming(g, all, s.g.Now())
	if have <= 0 {
		return false
	}
	want := proportional(have, values[len(values)-1], target)
	return want > g.Desired && g.scale(s.g.Now(), want, trigger{alarm: r.ownAlarms()[0]}.reason(r.Name))
}

// trackDown takes capacity away when all target tracking policies of the group would, and as little
// as any of them. Source: User Guide, "Target tracking scaling policies: Multiple target tracking
// scaling policies".
func (s *Service) trackDown(tx store.Tx, g *groupRecord, r *policyRecord, all []memberRecord) (bool, error) {
	if api.Val(r.Params.TargetTrackingConfiguration.DisableScaleIn) {
		return false, nil
	}
	want := int32(0)
	for other, err := range policyTable.Scan(tx, g.place().key()...) {
		if err != nil {
			return false, err
		}
		o := &other.Value
		m, ok := o.tracks()
		if !ok || !o.enabled() || api.Val(o.Params.TargetTrackingConfiguration.DisableScaleIn) {
			continue
		}
		data, _, err := seriesTable.Get(tx, o.Region, o.Account, m.key)
		if err != nil {
			return false, err
		}
		if o.warming(g, all, s.g.Now()) > 0 {
			return false, nil
		}
		target := api.Val(o.Params.TargetTrackingConfiguration.TargetValue)
		values := data.last(lowPeriods, m.period, m.statistic, g.Shrunk)
		if len(values) < lowPeriods {
			return false, nil
		}
		for _, v := range values {
			if v >= lowMargin*target {
				return false, nil
			}
		}
		want = max(want, proportional(g.Desired, values[len(values)-1], target))
	}
	alarm := r.ownAlarms()[1]
	if want >= g.Desired || !g.scale(s.g.Now(), want, trigger{alarm: alarm}.reason(r.Name)) {
		return false, nil
	}
	g.Shrunk = s.g.Now()
	return true, nil
}
