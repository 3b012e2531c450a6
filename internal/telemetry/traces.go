package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/outbound"
)

// TraceConfig says where traces go.
type TraceConfig struct {
	// URL of the collector's OTLP endpoint over HTTP, such as https://collector.example/v1/traces. Plain
	// http is for the loopback only.
	URL string
	// Ratio of the requests that are traced, from 0 to 1, unless their client says (traceparent) that it
	// traces them.
	Ratio    float64
	Version  string
	Outbound *outbound.Client // for collectors on other machines
	Logger   *slog.Logger
}

// Traces makes a span of each request. Safe for concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// ErrTraceURL is a URL that traces are not sent to.
var ErrTraceURL = errors.New("the collector's URL is https, or http on the loopback, such as http://127.0.0.1:4318/v1/traces")

// CheckTraceURL refuses what NewTraces would.
func CheckTraceURL(raw string) (local bool, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false, ErrTraceURL
	}
	switch u.Scheme {
	case "https":
		return false, nil
	case "http":
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
			return true, nil
		}
	}
	return false, ErrTraceURL
}

// NewTraces begins to send. Shut it down in the end.
func NewTraces(ctx context.Context, cfg TraceConfig) (*Traces, error) {
	local, err := CheckTraceURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil}}
	if !local {
		client.Transport = through{cfg.Outbound}
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.URL), otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return newTraces(sdktrace.NewBatchSpanProcessor(noisy{exporter, cfg.Logger}), cfg), nil
}

// NewTracesTo is NewTraces with another destination.
func NewTracesTo(exporter sdktrace.SpanExporter, cfg TraceConfig) *Traces {
	return newTraces(sdktrace.NewSimpleSpanProcessor(exporter), cfg)
}

func newTraces(p sdktrace.SpanProcessor, cfg TraceConfig) *Traces {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(p),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Ratio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "kagimori"), attribute.String("service.version", cfg.Version),
		)),
	)
	return &Traces{provider: provider, tracer: provider.Tracer("github.com/kagimori/kagimori")}
}

// Watch makes a span of a request: a child of its client's, if it names one.
func (t *Traces) Watch(r *http.Request) (*http.Request, func(gateway.Outcome)) {
	ctx := t.context.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx), func(o gateway.Outcome) {
		if span.IsRecording() {
			describe(span, o)
		}
		span.End()
	}
}

func describe(span trace.Span, o gateway.Outcome) {
	span.SetAttributes(
		attribute.String("rpc.system", "aws-api"), attribute.String("rpc.service", o.Service), attribute.String("rpc.method", o.Operation),
		attribute.Int("http.response.status_code", o.Status), attribute.String("aws.request_id", o.RequestID),
	)
	if o.Operation != "" {
		span.SetName(o.Service + "." + o.Operation)
	}
	if o.Code != "" {
		span.SetAttributes(attribute.String("error.type", o.Code))
	}
	switch {
	case o.Denied:
		span.SetAttributes(attribute.String("kagimori.decision", "denied"))
	case o.Decided:
		span.SetAttributes(attribute.String("kagimori.decision", "allowed"))
	}
	if o.Status >= 500 {
		span.SetStatus(codes.Error, o.Code)
	}
}

// Shutdown sends what waits.
func (t *Traces) Shutdown(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// noisy logs why spans were not delivered, instead of OpenTelemetry's handler for the process.
type noisy struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

func (n noisy) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := n.SpanExporter.ExportSpans(ctx, spans); err != nil && n.log != nil {
		n.log.Warn("traces were not delivered", "spans", len(spans), "error", err)
	}
	return nil
}

// through has the rules for tenants' URLs hold for the collector too.
type through struct{ client *outbound.Client }

const maxAnswer = 1 << 20

func (t through) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := t.client.Do(r.Context(), r, outbound.Limits{Time: 10 * time.Second, Body: maxAnswer})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(a.Status), StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)), ContentLength: int64(len(a.Body)), Request: r,
	}, nil
}
