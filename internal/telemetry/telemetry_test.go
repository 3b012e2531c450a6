package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/telemetry"
)

func request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://localhost/", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	return r
}

var outcomes = []gateway.Outcome{
	{Service: "kms", Operation: "Decrypt", Account: "111122223333", Status: 200, Decided: true, RequestID: "r1"},
	{Service: "kms", Operation: "Decrypt", Account: "111122223333", Status: 400, Code: "AccessDeniedException", Decided: true, Denied: true, RequestID: "r2"},
	{Status: 404, Code: "InvalidAction", RequestID: "r3"},
	{Service: "iam", Operation: "GetUser", Account: "111122223333", Status: 500, Code: "InternalFailure", RequestID: "r4"},
}

// Requests are counted by operation and outcome, and nothing says who asked.
func TestMetrics(t *testing.T) {
	m := telemetry.NewMetrics("v9")
	m.Gauge("kagimori_keys_ready", "Keys.", func() float64 { return 7 })
	for _, o := range outcomes {
		_, done := m.Watch(request())
		done(o)
	}
	m.Commit(time.Millisecond, nil)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := w.Body.String()
	for _, want := range []string{
		`kagimori_requests_total{code="OK",operation="Decrypt",service="kms"} 1`,
		`kagimori_requests_total{code="AccessDeniedException",operation="Decrypt",service="kms"} 1`,
		`kagimori_requests_total{code="InvalidAction",operation="",service=""} 1`,
		`kagimori_decisions_total{outcome="allowed",service="kms"} 1`,
		`kagimori_decisions_total{outcome="denied",service="kms"} 1`,
		`kagimori_request_seconds_count{operation="Decrypt",service="kms"} 2`,
		`kagimori_store_commit_seconds_count{result="ok"} 1`,
		"kagimori_requests_running 0", "kagimori_keys_ready 7", `kagimori_build_info{version="v9"} 1`, "go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "111122223333") {
		t.Error("the figures name an account")
	}
}

// Each request is a span, a child of the client's, with the operation and what was decided.
func TestTraces(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	tr := telemetry.NewTracesTo(kept, telemetry.TraceConfig{Ratio: 1, Version: "v9"})
	for _, o := range outcomes {
		_, done := tr.Watch(request())
		done(o)
	}
	spans := kept.GetSpans()
	if len(spans) != 4 {
		t.Fatalf("%d spans of 4 requests", len(spans))
	}
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
		if s.Parent.SpanID().String() != "b7ad6b7169203331" {
			t.Errorf("%s has the parent %s", s.Name, s.Parent.SpanID())
		}
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.String(), "111122223333") {
				t.Errorf("%s names an account", s.Name)
			}
			if a.Key == "kagimori.decision" && (s.Name != "kms.Decrypt" || a.Value.AsString() != "allowed" && a.Value.AsString() != "denied") {
				t.Errorf("%s: %v", s.Name, a)
			}
		}
	}
	if got := strings.Join(names, " "); got != "kms.Decrypt kms.Decrypt request iam.GetUser" {
		t.Errorf("spans: %s", got)
	}
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A ratio of 0 makes no spans of clients that do not trace.
func TestTracesAreSampled(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	tr := telemetry.NewTracesTo(kept, telemetry.TraceConfig{})
	_, done := tr.Watch(httptest.NewRequest(http.MethodPost, "http://localhost/", nil))
	done(outcomes[0])
	if n := len(kept.GetSpans()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// Spans go to a collector on the loopback in plain, to others by https only.
func TestTraceURL(t *testing.T) {
	for raw, ok := range map[string]bool{
		"http://127.0.0.1:4318/v1/traces": true, "http://[::1]:4318/v1/traces": true, "https://collector.example/v1/traces": true,
		"http://collector.example/v1/traces": false, "http://10.0.0.1:4318/": false, "https://u:p@collector.example/": false, "file:///tmp/x": false, "": false,
	} {
		if _, err := telemetry.CheckTraceURL(raw); (err == nil) != ok {
			t.Errorf("%s: %v", raw, err)
		}
	}
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.Path }))
	defer srv.Close()
	tr, err := telemetry.NewTraces(t.Context(), telemetry.TraceConfig{URL: srv.URL + "/v1/traces", Ratio: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, done := tr.Watch(request())
	done(outcomes[0])
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path := <-got; path != "/v1/traces" {
		t.Errorf("spans went to %s", path)
	}
}

// Watchers are told in turn; one alone is itself.
func TestBoth(t *testing.T) {
	m, kept := telemetry.NewMetrics(""), tracetest.NewInMemoryExporter()
	tr := telemetry.NewTracesTo(kept, telemetry.TraceConfig{Ratio: 1})
	if telemetry.Both(nil, nil) != nil {
		t.Error("nobody is somebody")
	}
	_, done := telemetry.Both(m.Watch, tr.Watch)(request())
	done(outcomes[0])
	if len(kept.GetSpans()) != 1 {
		t.Error("no span")
	}
	_, done = telemetry.Both(nil, tr.Watch)(request())
	done(outcomes[0])
	if len(kept.GetSpans()) != 2 {
		t.Error("no span of the second")
	}
}
