package autoscaling

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxAlarms is the most alarms of an account and region.
const maxAlarms = 5000

// States of an alarm, as CloudWatch calls them.
const (
	alarmOK      = "OK"
	alarmRaised  = "ALARM"
	alarmUnknown = "INSUFFICIENT_DATA"
)

// alarmRecord is an alarm that calls scaling policies.
type alarmRecord struct {
	Region, Account string
	Params          kagimoriapi.PutMetricAlarmRequest
	State           string
}

func (r *alarmRecord) metric() string {
	return metricKey(api.Val(r.Params.Namespace), api.Val(r.Params.MetricName), dimensionsOf(r.Params.Dimensions))
}

// look finds the state of the alarm and the newest value: it is raised when as many periods as it
// asks for, one after the other, are beyond the threshold.
func (r *alarmRecord) look(m *series) (state string, newest float64) {
	p := &r.Params
	values := m.last(int(*p.EvaluationPeriods), time.Duration(*p.Period)*time.Second, *p.Statistic, time.Time{})
	if len(values) < int(*p.EvaluationPeriods) {
		return alarmUnknown, 0
	}
	newest = values[len(values)-1]
	for _, v := range values {
		beyond := false
		switch *p.ComparisonOperator {
		case kagimoriapi.MetricComparisonGreaterThanThreshold:
			beyond = v > *p.Threshold
		case kagimoriapi.MetricComparisonGreaterThanOrEqualToThreshold:
			beyond = v >= *p.Threshold
		case kagimoriapi.MetricComparisonLessThanThreshold:
			beyond = v < *p.Threshold
		case kagimoriapi.MetricComparisonLessThanOrEqualToThreshold:
			beyond = v <= *p.Threshold
		}
		if !beyond {
			return alarmOK, newest
		}
	}
	return alarmRaised, newest
}

// PutMetricAlarm makes an alarm, or replaces it. It stands in for CloudWatch's alarms: the actions
// are ARNs of simple and step scaling policies of the account, which are called with each datum
// while the alarm is raised.
func (s *Service) PutMetricAlarm(ctx context.Context, c *guard.Call, in *kagimoriapi.PutMetricAlarmRequest) error {
	r := alarmRecord{Region: c.Region, Account: c.Account(), Params: *in, State: alarmUnknown}
	if r.Params.Period == nil {
		r.Params.Period = new(int32(60))
	}
	if r.Params.Statistic == nil {
		r.Params.Statistic = new(kagimoriapi.MetricStatisticAverage)
	}
	if *r.Params.Period%60 != 0 || int64(*r.Params.Period)*int64(*in.EvaluationPeriods) > keptMinutes*60 {
		return apierr.Newf("ValidationException", "Period must be a multiple of 60 seconds, and all periods together at most %d minutes.", keptMinutes)
	}
	policies := arn.Make("autoscaling", c.Region, c.Account(), "scalingPolicy:")
	for _, a := range in.AlarmActions {
		if !strings.HasPrefix(a, policies) {
			return apierr.Newf("ValidationException", "%s is not the ARN of a scaling policy of this account and Region.", a)
		}
	}
	name := api.Val(in.AlarmName)
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowMetrics(tx, c); err != nil {
			return err
		}
		n, found := 0, false
		for have, err := range alarmTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			n++
			if api.Val(have.Value.Params.AlarmName) == name {
				found = true
				if err := watchTable.Delete(tx, c.Region, c.Account(), have.Value.metric(), "alarm", name); err != nil {
					return err
				}
			}
		}
		if n >= maxAlarms && !found {
			return apierr.Newf("LimitExceededException", "There can be at most %d alarms.", maxAlarms)
		}
		if err := watchTable.Put(tx, "", c.Region, c.Account(), r.metric(), "alarm", name); err != nil {
			return err
		}
		return alarmTable.Put(tx, r, c.Region, c.Account(), name)
	})
}

// ListMetricAlarms lists the alarms with their states.
func (s *Service) ListMetricAlarms(ctx context.Context, c *guard.Call, _ *kagimoriapi.ListMetricAlarmsRequest) (*kagimoriapi.ListMetricAlarmsResponse, error) {
	out := &kagimoriapi.ListMetricAlarmsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowMetrics(tx, c); err != nil {
			return err
		}
		out.Alarms = []kagimoriapi.MetricAlarm{}
		for r, err := range alarmTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			p := &r.Value.Params
			out.Alarms = append(out.Alarms, kagimoriapi.MetricAlarm{
				AlarmName: p.AlarmName, AlarmArn: new(alarmARN(c.Region, c.Account(), *p.AlarmName)), Namespace: p.Namespace, MetricName: p.MetricName,
				Dimensions: p.Dimensions, Statistic: p.Statistic, Period: p.Period, EvaluationPeriods: p.EvaluationPeriods, Threshold: p.Threshold,
				ComparisonOperator: p.ComparisonOperator, AlarmActions: p.AlarmActions, StateValue: &r.Value.State,
			})
		}
		return nil
	})
	return out, err
}

// DeleteMetricAlarm removes an alarm.
func (s *Service) DeleteMetricAlarm(ctx context.Context, c *guard.Call, in *kagimoriapi.DeleteMetricAlarmRequest) error {
	name := api.Val(in.AlarmName)
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowMetrics(tx, c); err != nil {
			return err
		}
		r, ok, err := alarmTable.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return err
		}
		if !ok {
			return apierr.Newf("ResourceNotFoundException", "There is no alarm %s.", name)
		}
		if err := watchTable.Delete(tx, c.Region, c.Account(), r.metric(), "alarm", name); err != nil {
			return err
		}
		return alarmTable.Delete(tx, c.Region, c.Account(), name)
	})
}

// alarmsByPolicy are the names of the alarms that call each policy, by its ARN.
func alarmsByPolicy(tx store.Tx, region, account string) (map[string][]string, error) {
	out := map[string][]string{}
	for r, err := range alarmTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		for _, a := range r.Value.Params.AlarmActions {
			out[a] = append(out[a], api.Val(r.Value.Params.AlarmName))
		}
	}
	return out, nil
}

// evaluateAlarm looks at the metric of an alarm and, while it is raised, calls its policies.
func (s *Service) evaluateAlarm(ctx context.Context, region, account, name string) error {
	var woken []place
	err := s.g.Change(ctx, func(tx store.Tx) error {
		woken = nil
		r, ok, err := alarmTable.Get(tx, region, account, name)
		if err != nil || !ok {
			return err
		}
		m, _, err := seriesTable.Get(tx, region, account, r.metric())
		if err != nil {
			return err
		}
		state, value := r.look(&m)
		if state != r.State {
			r.State = state
			if err := alarmTable.Put(tx, r, region, account, name); err != nil {
				return err
			}
		}
		if state != alarmRaised {
			return nil
		}
		if woken, err = watching(tx, region, account, name); err != nil {
			return err
		}
		for _, action := range r.Params.AlarmActions {
			at, err := s.answer(tx, region, account, action, trigger{name, value, *r.Params.Threshold})
			if err != nil {
				return err
			}
			if at.Name != "" && !slices.Contains(woken, at) {
				woken = append(woken, at)
			}
		}
		return nil
	})
	for _, p := range woken {
		s.wake(p, 0)
	}
	return err
}

// answer has the policy that an alarm names act, if it is there, is enabled and may; it returns the
// group that it changed.
func (s *Service) answer(tx store.Tx, region, account, policyARN string, t trigger) (place, error) {
	_, rest, _ := strings.Cut(policyARN, ":autoScalingGroupName/")
	group, name, _ := strings.Cut(rest, ":policyName/")
	if group == "" || name == "" {
		return place{}, nil
	}
	at := place{region, account, group}
	r, ok, err := policyTable.Get(tx, region, account, group, name)
	if err != nil || !ok || r.arn() != policyARN || !r.enabled() {
		return place{}, err
	}
	typ := api.Val(r.Params.PolicyType)
	if typ != simpleScaling && typ != stepScaling {
		return place{}, nil
	}
	g, ok, err := groupTable.Get(tx, at.key()...)
	if err != nil || !ok || !g.alarmed() {
		return place{}, err
	}
	all, err := members(tx, at)
	if err != nil || typ == simpleScaling && !g.cooled(s.g.Now(), all) {
		return place{}, err
	}
	changed, err := s.act(&g, &r, all, t)
	if _, none := apiError(err); none { // no step is for this value
		return place{}, nil
	}
	if err != nil || !changed {
		return place{}, err
	}
	return at, s.put(tx, g)
}
