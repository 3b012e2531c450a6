package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/telemetry"
	"github.com/kagimori/kagimori/internal/testkit"
)

// The private port tells how the server is; profiles are there only where they were asked for, and web pages
// get nothing.
func TestPrivatePort(t *testing.T) {
	m, kept := telemetry.NewMetrics("v9"), tracetest.NewInMemoryExporter()
	tr := telemetry.NewTracesTo(kept, telemetry.TraceConfig{Ratio: 1})
	s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) {
		c.Watch, c.Committed = telemetry.Both(m.Watch, tr.Watch), m.Commit
	}})
	c := s.As(testkit.Admin("111122223333"))
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.KeyId
	out := testkit.Call[kmsapi.GenerateDataKeyResponse](c.KMS, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: key, KeySpec: new("AES_256")})
	testkit.Must(c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key, Plaintext: out.Plaintext, EncryptionContext: map[string]string{"planted-name": "planted-value-planted"}})
	private := s.App.Private(m, true)
	ask := func(h http.Handler, path string, header ...string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9464"+path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, path := range []string{"/live", "/ready", "/metrics", "/debug/pprof/", "/debug/pprof/goroutine"} {
		if code, body := ask(private, path); code != 200 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, _ := ask(private, "/metrics", "Sec-Fetch-Site", "cross-site"); code != 403 {
		t.Errorf("a page of another origin: %d", code)
	}
	open := s.App.Private(nil, false)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/profile"} {
		if code, _ := ask(open, path); code != 404 {
			t.Errorf("%s without being asked for: %d", path, code)
		}
	}
	_, figures := ask(private, "/metrics")
	for _, want := range []string{
		`kagimori_requests_total{code="OK",operation="Encrypt",service="kms"} 1`, `kagimori_decisions_total{outcome="allowed",service="kms"} 3`,
		"kagimori_keys_ready 1", "kagimori_ready 1", "kagimori_working 1", "kagimori_trail_waiting ", "kagimori_trail_records ", `kagimori_store_commit_seconds_count{result="ok"}`,
	} {
		if !strings.Contains(figures, want) {
			t.Errorf("the figures have no %s", want)
		}
	}
	spans := kept.GetSpans()
	if len(spans) != 3 || spans[2].Name != "kms.Encrypt" {
		t.Fatalf("%d spans", len(spans))
	}
	p := planted{"data key": out.Plaintext, "context": []byte("planted-value-planted"), "key id": []byte(*key), "account, twice": []byte("111122223333:user")}
	p.search(t, "the figures", []byte(figures))
	p.search(t, "a trace", asJSON(t, spans.Snapshots()))
	for _, span := range spans {
		for _, a := range span.Attributes {
			p.search(t, span.Name, []byte(string(a.Key)+"="+a.Value.String()))
			if strings.Contains(a.Value.String(), "111122223333") {
				t.Errorf("%s names the account", span.Name)
			}
		}
	}
	s.App.Drain()
	if code, _ := ask(private, "/ready"); code != 503 {
		t.Errorf("a server that is about to end is ready: %d", code)
	}
	if code, _ := ask(private, "/live"); code != 200 {
		t.Errorf("a server that is about to end does not live: %d", code)
	}
}
