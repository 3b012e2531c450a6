package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/telemetry"
)

// privateFlags are about what the operator sees of the server.
type privateFlags struct {
	listen string
	traces string
	ratio  float64

	metrics *telemetry.Metrics
	tracer  *telemetry.Traces
}

func (f *privateFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.listen, "private-listen", "", "`address` for /live, /ready and /metrics (Prometheus), without TLS or credentials: keep it from others; profiles are below /debug/pprof on the loopback only")
	fl.StringVar(&f.traces, "traces", "", "`URL` of a collector that gets a span of each request, by OTLP over HTTP: https, or http on the loopback, such as http://127.0.0.1:4318/v1/traces")
	fl.Float64Var(&f.ratio, "trace-ratio", 0.01, "part of the requests that are traced, from 0 to 1, beside those whose clients trace them")
}

// check looks at the flags by themselves.
func (f *privateFlags) check() error {
	if !(f.ratio >= 0 && f.ratio <= 1) {
		return errors.New("--trace-ratio is from 0 to 1")
	}
	if _, _, err := net.SplitHostPort(f.listen); f.listen != "" && err != nil {
		return fmt.Errorf("--private-listen %q is not an address such as 127.0.0.1:9464", f.listen)
	}
	if f.traces == "" {
		return nil
	}
	if _, err := telemetry.CheckTraceURL(f.traces); err != nil {
		return fmt.Errorf("--traces %q: %w", f.traces, err)
	}
	return nil
}

// configure has requests counted and traced as the flags say. Without them nothing watches.
func (f *privateFlags) configure(ctx context.Context, cfg *app.Config) error {
	if f.listen != "" {
		f.metrics = telemetry.NewMetrics(cfg.Version)
		cfg.Watch, cfg.Committed = f.metrics.Watch, f.metrics.Commit
	}
	if f.traces == "" {
		return nil
	}
	var err error
	f.tracer, err = telemetry.NewTraces(ctx, telemetry.TraceConfig{
		URL: f.traces, Ratio: f.ratio, Version: cfg.Version, Outbound: outbound.New(cfg.Outbound), Logger: cfg.Logger,
	})
	if err != nil {
		return failed(err)
	}
	cfg.Watch = telemetry.Both(cfg.Watch, f.tracer.Watch)
	return nil
}

// listener is the private port's; nil without one.
func (f *privateFlags) listener(ctx context.Context) (net.Listener, error) {
	if f.listen == "" {
		return nil, nil
	}
	l, err := listen(ctx, f.listen)
	return l, failed(err)
}

// serve answers on the private port until ctx ends. A server whose private port fails goes on.
func (f *privateFlags) serve(ctx context.Context, l net.Listener, a *app.App, logger *slog.Logger) {
	if l == nil {
		return
	}
	host, _, _ := net.SplitHostPort(l.Addr().String())
	if err := serveHTTP(ctx, l, nil, a.Private(f.metrics, isLoopback(host)), logger); err != nil {
		logger.Error("the private port is closed", "error", err)
	}
}

// end sends the spans that wait.
func (f *privateFlags) end(logger *slog.Logger) {
	if f.tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.tracer.Shutdown(ctx); err != nil {
		logger.Warn("the last traces were not delivered", "error", err)
	}
}
