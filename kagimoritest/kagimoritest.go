// Package kagimoritest runs a kagimori server in the process of a test: an endpoint for AWS SDKs
// that really enforces permissions and really encrypts, with the decisions it made.
//
//	srv := kagimoritest.Start(t)
//	cfg, err := config.LoadDefaultConfig(t.Context(),
//		config.WithBaseEndpoint(srv.Endpoint), config.WithRegion("us-west-2"),
//		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
//			srv.Admin("111122223333").AccessKeyID, srv.Admin("111122223333").SecretAccessKey, "")))
//	client := kms.NewFromConfig(cfg)
//
// It is a development server: every 12-digit account exists. Each test can have its own server, or
// its own account in a shared one.
package kagimoritest

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/directory"
)

// An Option of [Start].
type Option func(*app.Config)

// WithData keeps the server's data in a folder instead of one that ends with the test.
func WithData(dir string) Option { return func(c *app.Config) { c.Data = dir } }

// WithLog writes the server's log; without it there is none.
func WithLog(w io.Writer) Option {
	return func(c *app.Config) { c.Logger = slog.New(slog.NewTextHandler(w, nil)) }
}

// A Server runs until its test ends. Safe for concurrent use.
type Server struct {
	// Endpoint is the URL of all services: set it as the SDK's base endpoint, or as
	// AWS_ENDPOINT_URL.
	Endpoint string

	t   testing.TB
	app *app.App
}

// Start starts a server. It ends the test if that fails.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	cfg := app.Config{Dev: true, NoSync: true, Version: "test", Logger: slog.New(slog.DiscardHandler)}
	for _, o := range options {
		o(&cfg)
	}
	if cfg.Data == "" {
		cfg.Data = t.TempDir()
	}
	a, err := app.Open(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatalf("kagimoritest: %v", err)
	}
	h := httptest.NewServer(a.Handler())
	t.Cleanup(func() {
		h.Close()
		if err := a.Close(); err != nil {
			t.Errorf("kagimoritest: %v", err)
		}
	})
	return &Server{Endpoint: h.URL, t: t, app: a}
}

// Credentials to sign with.
type Credentials struct{ AccessKeyID, SecretAccessKey string }

// Root is the root user of an account of 12 digits.
func (s *Server) Root(account string) Credentials {
	return Credentials{account, directory.DevSecret}
}

// Admin is the IAM user admin of an account, who may do everything in it.
func (s *Server) Admin(account string) Credentials {
	return Credentials{account + "ADMIN", directory.DevSecret}
}

// Now is the service time: that of keys, instances and groups. Signatures follow the wall clock.
func (s *Server) Now() time.Time { return s.app.Now() }

// Advance moves service time forward. What falls due on the way (a launch, a retry, a key's
// deletion) has happened when it returns.
func (s *Server) Advance(d time.Duration) {
	s.t.Helper()
	if err := s.app.Advance(s.t.Context(), d); err != nil {
		s.t.Fatalf("kagimoritest: %v", err)
	}
}

// Reset forgets everything but the root key.
func (s *Server) Reset() {
	s.t.Helper()
	if err := s.app.Reset(s.t.Context()); err != nil {
		s.t.Fatalf("kagimoritest: %v", err)
	}
}
