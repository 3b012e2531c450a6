package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kagimori/kagimori/internal/gateway"
)

// Metrics are the figures of a server. Safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	decisions *prometheus.CounterVec
	running   prometheus.Gauge
	commits   *prometheus.HistogramVec
}

// NewMetrics makes the figures, with those of Go's runtime and of the process.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kagimori_requests_total", Help: "Requests answered, by operation and error code (OK without one).",
		}, []string{"service", "operation", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kagimori_request_seconds", Help: "Time from the request's header to the answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"service", "operation"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kagimori_decisions_total", Help: "Requests that policies decided, by outcome.",
		}, []string{"service", "outcome"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kagimori_requests_running", Help: "Requests that are being served."}),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kagimori_store_commit_seconds", Help: "Time of transactions that write, by result.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"result"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kagimori_build_info", Help: "1, with the program's version.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.requests, m.seconds, m.decisions, m.running, m.commits, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge has a figure read whenever the figures are asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Gauges has figures read whenever the figures are asked for, each with a label of its own.
func (m *Metrics) Gauges(name, help, label string, read func() map[string]float64) {
	m.registry.MustRegister(labelled{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.GaugeValue, read})
}

// Counters is Gauges of figures that only grow while the server runs.
func (m *Metrics) Counters(name, help, label string, read func() map[string]float64) {
	m.registry.MustRegister(labelled{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.CounterValue, read})
}

// labelled are figures that something else keeps.
type labelled struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func() map[string]float64
}

// Describe implements [prometheus.Collector].
func (l labelled) Describe(c chan<- *prometheus.Desc) { c <- l.desc }

// Collect implements [prometheus.Collector].
func (l labelled) Collect(c chan<- prometheus.Metric) {
	for value, n := range l.read() {
		c <- prometheus.MustNewConstMetric(l.desc, l.kind, n, value)
	}
}

// Commit counts a transaction that writes.
func (m *Metrics) Commit(took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.commits.WithLabelValues(result).Observe(took.Seconds())
}

// Watch counts requests.
func (m *Metrics) Watch(r *http.Request) (*http.Request, func(gateway.Outcome)) {
	begun := time.Now()
	m.running.Inc()
	return r, func(o gateway.Outcome) {
		m.running.Dec()
		code := o.Code
		if code == "" {
			code = "OK"
		}
		m.requests.WithLabelValues(o.Service, o.Operation, code).Inc()
		m.seconds.WithLabelValues(o.Service, o.Operation).Observe(time.Since(begun).Seconds())
		switch {
		case o.Denied:
			m.decisions.WithLabelValues(o.Service, "denied").Inc()
		case o.Decided:
			m.decisions.WithLabelValues(o.Service, "allowed").Inc()
		}
	}
}

// Handler answers Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 30 * time.Second})
}

// Both has two watchers told; either may be nil.
func Both(a, b gateway.Watcher) gateway.Watcher {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(r *http.Request) (*http.Request, func(gateway.Outcome)) {
		r, first := a(r)
		r, second := b(r)
		return r, func(o gateway.Outcome) { second(o); first(o) }
	}
}
