package autoscaling

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// What is kept of a metric: minutes for alarms, hours for forecasts.
const (
	keptMinutes = 6 * 60
	keptHours   = 14 * 24
)

// point is what was measured in a minute or an hour.
type point struct {
	At                 int64 // minutes or hours since 1970
	Sum, N, Least, Top float64
	Minutes            int `json:",omitempty"` // of an hour: those in which something was measured
}

func (p *point) add(v float64) {
	if p.N == 0 {
		p.Least, p.Top = v, v
	}
	p.Sum, p.N, p.Least, p.Top = p.Sum+v, p.N+1, min(p.Least, v), max(p.Top, v)
}

// value is a statistic of the point.
func (p *point) value(statistic string) float64 {
	switch statistic {
	case kagimoriapi.MetricStatisticSum:
		return p.Sum
	case kagimoriapi.MetricStatisticSampleCount:
		return p.N
	case kagimoriapi.MetricStatisticMinimum:
		return p.Least
	case kagimoriapi.MetricStatisticMaximum:
		return p.Top
	}
	return p.Sum / p.N
}

// series is a metric as measured, oldest first.
type series struct {
	Minutes, Hours []point
}

// Tables of metrics. Keys start with region and account.
var (
	seriesTable = store.Table[series]{Bucket: "autoscaling/series", Version: 1}     // ..., metric
	watchTable  = store.Table[string]{Bucket: "autoscaling/watch", Version: 1}      // ..., metric, "policy", group, policy or metric, "alarm", name
	alarmTable  = store.Table[alarmRecord]{Bucket: "autoscaling/alarm", Version: 1} // ..., name
)

// metricKey names a metric: namespace, name and dimensions in any order.
func metricKey(namespace, name string, dimensions map[string]string) string {
	parts := []string{namespace, name}
	for k, v := range dimensions {
		parts = append(parts, k+"="+v)
	}
	slices.Sort(parts[2:])
	return store.Key(parts...)
}

// place finds or makes the point of a time, in order; nil if it is older than all that is kept.
func (s *series) place(list *[]point, at int64, most int) *point {
	i, found := slices.BinarySearchFunc(*list, at, func(p point, at int64) int { return int(p.At - at) })
	if !found {
		if i == 0 && len(*list) >= most {
			return nil
		}
		*list = slices.Insert(*list, i, point{At: at})
		if len(*list) > most {
			*list, i = slices.Delete(*list, 0, len(*list)-most), i-1
		}
	}
	return &(*list)[i]
}

func (s *series) add(at time.Time, v float64) {
	minute := at.Unix() / 60
	_, seen := slices.BinarySearchFunc(s.Minutes, minute, func(p point, at int64) int { return int(p.At - at) })
	if p := s.place(&s.Minutes, minute, keptMinutes); p != nil {
		p.add(v)
	}
	if p := s.place(&s.Hours, minute/60, keptHours); p != nil {
		p.add(v)
		if !seen {
			p.Minutes++
		}
	}
}

// last are the values of the last n periods up to the newest point, oldest first; fewer if a period
// lacks data or is not wholly after since.
func (s *series) last(n int, period time.Duration, statistic string, since time.Time) []float64 {
	if len(s.Minutes) == 0 {
		return nil
	}
	size := max(1, int64(period/time.Minute))
	newest := s.Minutes[len(s.Minutes)-1].At / size
	all := make([]point, n)
	for _, p := range s.Minutes {
		if i := p.At/size - newest + int64(n) - 1; i >= 0 && !time.Unix(p.At*60, 0).Before(since) {
			q := &all[i]
			if q.N == 0 {
				*q = p
				continue
			}
			q.Sum, q.N, q.Least, q.Top = q.Sum+p.Sum, q.N+p.N, min(q.Least, p.Least), max(q.Top, p.Top)
		}
	}
	var out []float64
	for i := range all {
		if all[i].N > 0 {
			out = append(out, all[i].value(statistic))
		}
	}
	return out
}

// Metrics are the handlers of the operations of the kagimori service that stand in for what other services
// tell groups: metrics, alarms, recommendations.
func (s *Service) Metrics() map[string]guard.Handler {
	return map[string]guard.Handler{
		"PutMetricData":      guard.HandleVoid(s.PutMetricData),
		"PutMetricAlarm":     guard.HandleVoid(s.PutMetricAlarm),
		"ListMetricAlarms":   guard.Handle(s.ListMetricAlarms),
		"DeleteMetricAlarm":  guard.HandleVoid(s.DeleteMetricAlarm),
		"RecommendRebalance": guard.HandleVoid(s.RecommendRebalance),
	}
}

func (s *Service) allowMetrics(tx store.Tx, c *guard.Call) error {
	_, err := s.g.Allow(tx, c, authz.Part{Action: "kagimori:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()}})
	return err
}

func dimensionsOf(list []kagimoriapi.MetricDimension) map[string]string {
	out := map[string]string{}
	for _, d := range list {
		out[api.Val(d.Name)] = api.Val(d.Value)
	}
	return out
}

// PutMetricData tells what was measured. It stands in for the metrics that CloudWatch has of groups
// at AWS, under the same names: target tracking policies follow them, and alarms made by
// PutMetricAlarm watch them. A datum is of the service's present unless it has a time, which may be
// two hours ahead and two weeks past, as in CloudWatch.
func (s *Service) PutMetricData(ctx context.Context, c *guard.Call, in *kagimoriapi.PutMetricDataRequest) error {
	now := s.g.Now()
	for _, d := range in.MetricData {
		at := now
		set(&at, d.Timestamp)
		switch {
		case math.IsNaN(api.Val(d.Value)) || math.IsInf(api.Val(d.Value), 0):
			return apierr.Newf("ValidationException", "The value of the metric %s is not a number.", api.Val(d.MetricName))
		case at.Before(now.Add(-keptHours*time.Hour)) || at.After(now.Add(2*time.Hour)):
			return apierr.Newf("ValidationException", "The time of the metric %s is not between two weeks ago and two hours from now.", api.Val(d.MetricName))
		}
	}
	var keys []string
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		keys = nil
		if err := s.allowMetrics(tx, c); err != nil {
			return err
		}
		changed := map[string]*series{}
		for _, d := range in.MetricData {
			key := metricKey(api.Val(in.Namespace), api.Val(d.MetricName), dimensionsOf(d.Dimensions))
			r := changed[key]
			if r == nil {
				have, _, err := seriesTable.Get(tx, c.Region, c.Account(), key)
				if err != nil {
					return err
				}
				r = &have
				changed[key], keys = r, append(keys, key)
			}
			at := now
			set(&at, d.Timestamp)
			r.add(at, api.Val(d.Value))
		}
		for _, key := range keys {
			if err := seriesTable.Put(tx, *changed[key], c.Region, c.Account(), key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.measured(ctx, c.Region, c.Account(), key); err != nil {
			return err
		}
	}
	return nil
}

// measured has everything that watches a metric look at it.
func (s *Service) measured(ctx context.Context, region, account, key string) error {
	var watching [][]string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		watching = nil
		for r, err := range watchTable.Scan(tx, region, account, key) {
			if err != nil {
				return err
			}
			watching = append(watching, r.Key[3:])
		}
		return nil
	})
	for _, w := range watching {
		if err != nil {
			break
		}
		if w[0] == "alarm" {
			err = s.evaluateAlarm(ctx, region, account, w[1])
		} else {
			err = s.track(ctx, place{region, account, w[1]}, w[2])
		}
	}
	return err
}

// alarmed reports whether a policy of a group answers to alarms now.
func (g *groupRecord) alarmed() bool { return !g.Deleting && !g.suspended(processAlarm) }

// splitLabel takes a resource label apart, into what the metrics of load balancers call the balancer
// and the target group.
func splitLabel(label string) (balancer, targets string) {
	balancer, targets, _ = strings.Cut(label, "/targetgroup/")
	return balancer, "targetgroup/" + targets
}
