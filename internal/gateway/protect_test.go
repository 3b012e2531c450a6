package gateway_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/gateway"
)

func TestProtect(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, tt := range []struct {
		name, method, host string
		header             http.Header
		dev, refused       bool
	}{
		{name: "sdk", host: "127.0.0.1:4566", dev: true},
		{name: "localhost", host: "LOCALHOST:1", dev: true},
		{name: "no port", host: "localhost", dev: true},
		{name: "ipv6", host: "[::1]:4566", dev: true},
		{name: "ipv6 without port", host: "[::1]", dev: true},
		{name: "listed", host: "Kagimori.test:99", dev: true},
		{name: "rebound name", host: "evil.example:4566", dev: true, refused: true},
		{name: "suffix of a listed name", host: "xkagimori.test", dev: true, refused: true},
		{name: "no host", host: "", dev: true, refused: true},
		{name: "any name in production", host: "kms.corp.example"},
		{name: "cross-site post", host: "localhost", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, refused: true},
		{name: "cross-site get", method: "GET", host: "localhost", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, refused: true},
		{name: "cross-site preflight", method: "OPTIONS", host: "localhost", header: http.Header{"Origin": {"https://evil.example"}}, refused: true},
		{name: "same-site is another origin", host: "localhost:1", header: http.Header{"Sec-Fetch-Site": {"same-site"}}, refused: true},
		{name: "old browser", host: "localhost", header: http.Header{"Origin": {"https://evil.example"}}, refused: true},
		{name: "sandboxed page", host: "localhost", header: http.Header{"Origin": {"null"}}, refused: true},
		{name: "console", host: "localhost:1", header: http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://localhost:1"}}},
		{name: "typed address", method: "GET", host: "localhost", header: http.Header{"Sec-Fetch-Site": {"none"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = http.MethodPost
			}
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Host = tt.host
			if tt.header != nil {
				r.Header = tt.header
			}
			rec := httptest.NewRecorder()
			gateway.Protect(gateway.Protection{Dev: tt.dev, AllowedHosts: []string{"kagimori.TEST"}}, next).ServeHTTP(rec, r)
			want := http.StatusTeapot
			if tt.refused {
				want = http.StatusForbidden
			}
			if rec.Code != want {
				t.Fatalf("got %d", rec.Code)
			}
			if tt.refused && !strings.Contains(rec.Body.String(), "<Code>AccessDenied</Code>") {
				t.Errorf("body %s", rec.Body)
			}
			for name := range rec.Header() {
				if strings.HasPrefix(name, "Access-Control") {
					t.Errorf("header %s", name)
				}
			}
		})
	}
}

func TestGatewayIsProtected(t *testing.T) {
	w := newWorld(t, nil)
	r, err := http.NewRequest(http.MethodPost, w.URL+"/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Amz-Target": {"TrentService.EnableKey"}, "Sec-Fetch-Site": {"cross-site"}}
	if status, contentType, body := send(t, w, r); status != 403 || contentType != "application/x-amz-json-1.1" || !strings.Contains(body, "AccessDeniedException") {
		t.Errorf("%d %s %s", status, contentType, body)
	}
}

// brokenWriter is the answer of a client that went away.
type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestRefusalSurvivesAClientThatWentAway(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Host = "evil.example"
	w := brokenWriter{httptest.NewRecorder()}
	gateway.Protect(gateway.Protection{Dev: true}, http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("got %d", w.Code)
	}
}

func TestProtectLetsLinksLeadToWhatIsPublic(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	public := func(r *http.Request) bool { return r.URL.Path == "/public" }
	for _, tt := range []struct {
		path, host string
		want       int
	}{
		{"/public", "localhost", http.StatusTeapot},
		{"/", "localhost", http.StatusForbidden},
		{"/public", "evil.example", http.StatusForbidden}, // a rebound name is one all the same
	} {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Host = tt.host
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		rec := httptest.NewRecorder()
		gateway.Protect(gateway.Protection{Dev: true, Public: public}, next).ServeHTTP(rec, r)
		if rec.Code != tt.want {
			t.Errorf("%s of %s: %d, want %d", tt.path, tt.host, rec.Code, tt.want)
		}
	}
}
