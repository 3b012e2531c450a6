package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/telemetry"
)

// Private is what a server answers on its private port, to the operator's own machines: /live says that it
// runs, and no more when only another start helps, /ready whether it can serve, as health does, and /metrics the figures. With profile, which is for
// the loopback only, there are Go's profiles below /debug/pprof/, and only the loopback's names are
// answered for.
func (a *App) Private(m *telemetry.Metrics, profile bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) {
		if s := a.current.Load(); s != nil && s.stopped() != nil {
			problem(w, http.StatusServiceUnavailable, errStopped.Error())
			return
		}
		answer(w, http.StatusOK, healthAnswer{Status: "ok"})
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) { a.answerHealth(w, r, true) })
	if m != nil {
		a.figures(m)
		mux.Handle("GET /metrics", m.Handler())
	}
	if profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return gateway.Protect(gateway.Protection{Dev: profile}, mux)
}

// figures adds what is asked of the server whenever the metrics are.
func (a *App) figures(m *telemetry.Metrics) {
	of := func(read func(*server) float64) func() float64 {
		return func() float64 {
			if s := a.current.Load(); s != nil {
				return read(s)
			}
			return 0
		}
	}
	m.Gauge("kagimori_keys_ready", "Keys that are unwrapped in locked memory.", of(func(*server) float64 {
		n, _ := a.module.Ready()
		return float64(n)
	}))
	m.Gauge("kagimori_ready", "1 while the server can serve.", of(func(s *server) float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return truth(s.ready(ctx) == nil && s.recorded() == nil && !a.draining.Load())
	}))
	m.Gauge("kagimori_working", "1 while this node runs the loops of instances, groups and keys.", of(func(s *server) float64 {
		return truth(s.work.Load() != nil)
	}))
	a.sinkFigures(m)
	m.Gauge("kagimori_trail_records", "Sequence number of the newest record of the audit log.", of(func(s *server) float64 {
		return float64(s.trail.Sequence())
	}))
	m.Gauge("kagimori_trail_waiting", "Records of changes that are not in the audit log yet, counted to 1000; -1 if that cannot be said.", of(func(s *server) float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		n, err := s.trail.Waiting(ctx, 1000)
		if err != nil {
			return -1
		}
		return float64(n)
	}))
}

// sinkFigures adds those of the audit log's sinks.
func (a *App) sinkFigures(m *telemetry.Metrics) {
	of := func(read func(SinkStatus) float64) func() map[string]float64 {
		return func() map[string]float64 {
			out := map[string]float64{}
			if s := a.current.Load(); s != nil {
				for _, st := range s.sinkStatus() {
					out[st.Name] = read(st)
				}
			}
			return out
		}
	}
	m.Gauges("kagimori_audit_sink_behind", "Records of the audit log that the sink has not taken.", "sink", of(func(s SinkStatus) float64 { return float64(s.Behind) }))
	m.Gauges("kagimori_audit_sink_lag_seconds", "About how long the oldest of them has waited.", "sink", of(func(s SinkStatus) float64 { return s.Lag.Seconds() }))
	m.Counters("kagimori_audit_sink_failures_total", "Attempts to deliver that failed.", "sink", of(func(s SinkStatus) float64 { return float64(s.Failures) }))
	m.Counters("kagimori_audit_sink_lost_total", "Records that were removed from the audit log before the sink took them.", "sink", of(func(s SinkStatus) float64 { return float64(s.Lost) }))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// timed is a store whose commits are timed.
type timed struct {
	store.Store
	commit func(time.Duration, error)
}

// Update implements [store.Store].
func (t timed) Update(ctx context.Context, fn func(store.Tx) error) error {
	begun := time.Now()
	err := t.Store.Update(ctx, fn)
	t.commit(time.Since(begun), err)
	return err
}
