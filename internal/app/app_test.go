package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// ask makes a plain HTTP request and returns the status and the body.
func ask(t *testing.T, s *testkit.Server, method, path, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func TestHealthSaysWhatADevelopmentServerIs(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	status, body := ask(t, s, "GET", "/_kagimori/health", "", nil)
	var got struct {
		Status, Version string
		Dev             bool
		Time            time.Time
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if status != 200 || got.Status != "ok" || got.Version != "test" || !got.Dev || time.Since(got.Time).Abs() > time.Minute {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask(t, s, "POST", "/_kagimori/health", "", nil); status != 405 {
		t.Errorf("POST: %d, want 405", status)
	}
}

func TestClockMovesForwardOnly(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	start := s.App.Now()
	for _, tt := range []struct {
		name, body string
		want       int
		least      time.Duration // how far the clock is from its start then
	}{
		{"advance", `{"advance":"48h"}`, 200, 48 * time.Hour},
		{"back", `{"advance":"-1s"}`, 400, 48 * time.Hour},
		{"set", `{"set":"` + start.Add(100*time.Hour).Format(time.RFC3339Nano) + `"}`, 200, 100 * time.Hour},
		{"set back", `{"set":"` + start.Format(time.RFC3339Nano) + `"}`, 400, 100 * time.Hour},
		{"both", `{"advance":"1h","set":"2100-01-01T00:00:00Z"}`, 400, 100 * time.Hour},
		{"neither", `{}`, 400, 100 * time.Hour},
		{"no duration", `{"advance":"soon"}`, 400, 100 * time.Hour},
		{"unknown member", `{"advnce":"1h"}`, 400, 100 * time.Hour},
		{"not JSON", `1h`, 400, 100 * time.Hour},
		{"more than a duration holds", `{"advance":"2562047h"}`, 400, 100 * time.Hour},
		{"out of the calendar", `{"set":"9500-01-01T00:00:00Z"}`, 400, 100 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, s, "POST", "/_kagimori/clock", tt.body, nil)
			if status != tt.want {
				t.Errorf("%d %s, want %d", status, body, tt.want)
			}
			if d := s.App.Now().Sub(start); d < tt.least || d > tt.least+time.Minute {
				t.Errorf("the clock is %v from its start, want %v", d, tt.least)
			}
		})
	}
	if status, _ := ask(t, s, "GET", "/_kagimori/clock", "", nil); status != 405 {
		t.Errorf("GET: %d, want 405", status)
	}
	s.Restart()
	if d := s.App.Now().Sub(start); d < 100*time.Hour || d > 100*time.Hour+time.Minute {
		t.Errorf("after a restart the clock is %v from its start, want 100 h", d)
	}
	if err := s.App.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := s.App.Now().Sub(start); d > time.Minute {
		t.Errorf("after a reset the clock is %v from its start", d)
	}
}

func TestForgedBrowserRequestsAreRefusedOnEveryRoute(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	for _, path := range []string{"/", "/_kagimori/health", "/_kagimori/reset", "/_kagimori/clock", "/?Action=GetCallerIdentity&Version=2011-06-15"} {
		for name, change := range map[string]func(*http.Request){
			"cross-site page": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"old browser":     func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
			"rebound name":    func(r *http.Request) { r.Host = "evil.example:4566" },
		} {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				status, body := ask(t, s, method, path, `{"advance":"1h"}`, change)
				if status != http.StatusForbidden {
					t.Errorf("%s %s of a %s: %d %s", method, path, name, status, body)
				}
			}
		}
	}
	if d := time.Since(s.App.Now()).Abs(); d > time.Minute {
		t.Errorf("a forged request moved the clock by %v", d)
	}
}

// forReal makes the configuration that of a production server.
func forReal(cfg *app.Config) {
	cfg.Dev = false
	cfg.Locks = []soft.Lock{soft.PassphraseLock{Passphrase: []byte("open sesame"), WorkFactor: 1}}
}

// production starts a server that is not for development on a data directory.
func production(t *testing.T, data string) (*app.App, error) {
	t.Helper()
	cfg := app.Config{Data: data, Logger: slog.New(slog.DiscardHandler), NoSync: true}
	forReal(&cfg)
	a, err := app.Open(context.WithoutCancel(t.Context()), cfg)
	if err == nil {
		t.Cleanup(func() { _ = a.Close() })
	}
	return a, err
}

// credentials reads the file of the first credentials.
func credentials(t *testing.T, data string) sigv4.Credentials {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "root-credentials"))
	if err != nil {
		t.Fatal(err)
	}
	var c sigv4.Credentials
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch name {
		case "aws_access_key_id":
			c.AccessKeyID = value
		case "aws_secret_access_key":
			c.Secret = secret.String(value)
		}
	}
	return c
}

// createKey asks a production server for a key.
func createKey(t *testing.T, a *app.App, creds sigv4.Credentials) error {
	t.Helper()
	srv := httptest.NewServer(a.Handler())
	defer srv.Close()
	c, err := client.New(srv.URL, "eu-west-1", creds, kmsapi.Service())
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(t.Context(), "CreateKey", &kmsapi.CreateKeyRequest{}, new(kmsapi.CreateKeyResponse))
}

func TestFirstCredentialsAreThoseOfTheRootUserAndOfNobodyElse(t *testing.T) {
	data := t.TempDir()
	a, err := production(t, data)
	if err != nil {
		t.Fatal(err)
	}
	creds := credentials(t, data)
	if err := createKey(t, a, creds); err != nil {
		t.Errorf("root user: %v", err)
	}
	for _, stranger := range []sigv4.Credentials{
		{AccessKeyID: creds.AccessKeyID, Secret: "test"}, testkit.Root("111122223333"), testkit.Admin("111122223333"), {AccessKeyID: "test", Secret: "test"},
	} {
		err := createKey(t, a, stranger)
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != "UnrecognizedClientException" && e.Code != "InvalidSignatureException" {
			t.Errorf("%s: got %v", stranger.AccessKeyID, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = production(t, data); err != nil {
		t.Fatal(err)
	}
	if got := credentials(t, data); got != creds {
		t.Error("a second start made other credentials")
	}
	if err := createKey(t, a, creds); err != nil {
		t.Errorf("root user after a restart: %v", err)
	}
}

func TestCredentialsThatCouldNotBeHandedOverAreMadeAnew(t *testing.T) {
	data := t.TempDir()
	obstacle := filepath.Join(data, "root-credentials.new")
	if err := os.WriteFile(filepath.Join(data, "kagimori.json"), []byte(`{"format":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := production(t, data); err == nil || !strings.HasSuffix(err.Error(), "root-credentials cannot be written: is a directory") {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	a, err := production(t, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := createKey(t, a, credentials(t, data)); err != nil {
		t.Errorf("root user: %v", err)
	}
}

func TestProductionServerHasNothingForTests(t *testing.T) {
	a, err := production(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(a.Handler())
	defer srv.Close()
	for path, want := range map[string]int{"/_kagimori/health": 405, "/_kagimori/reset": 404, "/_kagimori/clock": 404} {
		res, err := http.Post(srv.URL+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("POST %s: %d, want %d", path, res.StatusCode, want)
		}
	}
	res, err := http.Get(srv.URL + "/_kagimori/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "{\"status\":\"ok\"}\n" {
		t.Errorf("health says %q, %v", body, err)
	}
	if err := a.Advance(t.Context(), time.Hour); err == nil {
		t.Error("the clock of a production server moves")
	}
}

// A data directory of an earlier kagimori gets the format of this one when it is first served, and not before that
// works out; a later one's is refused and stays as it is.
func TestTheFormatOfADataDirectoryIsRaisedOnce(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, "kagimori.json")
	mark := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(got)) != text {
			t.Errorf("the marker is %s, want %s (%v)", got, text, err)
		}
	}
	start := func() error {
		t.Helper()
		a, err := app.Open(t.Context(), app.Config{Data: data, Dev: true, Logger: slog.New(slog.DiscardHandler), NoSync: true})
		if err == nil {
			err = a.Close()
		}
		return err
	}
	old := `{"format":1,"dev":true}`
	mark(old)
	obstacle := filepath.Join(data, "store.db", "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if start() == nil {
		t.Error("it was served without a store")
	}
	want(old)
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := start(); err != nil {
			t.Fatal(err)
		}
		want(`{"format":5,"dev":true}`)
	}
	later := `{"format":6,"dev":true}`
	mark(later)
	if err := start(); err == nil || !strings.Contains(err.Error(), "was written by a newer kagimori (format 6; this one knows 5)") {
		t.Errorf("a later directory: %v", err)
	}
	want(later)
}

func TestWhatIsWrongInsideADataDirectoryIsOneSentence(t *testing.T) {
	for _, tt := range []struct{ name, path, want string }{
		{"a file for the audit log", "trail", "/trail is not a folder"},
		{"a file for the volumes", "volumes", "/volumes is not a folder"},
		{"a folder for the store", "store.db/x", "/store.db is not a file"},
		{"a folder for the seal", "seal.json/x", "/seal.json is not a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			path := filepath.Join(data, tt.path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{path: "", filepath.Join(data, "kagimori.json"): `{"format":1,"dev":true}`} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a, err := app.Open(t.Context(), app.Config{Data: data, Dev: true, Logger: slog.New(slog.DiscardHandler), NoSync: true})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), a.Close()))
			}
			if names, err := os.ReadDir(data); err != nil || len(names) != 2 {
				t.Errorf("the directory holds %v, %v", names, err)
			}
			if !strings.HasSuffix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want a sentence that ends with %q", err, tt.want)
			}
		})
	}
}
