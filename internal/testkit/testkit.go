// Package testkit runs a whole server in the process of a test: every service over a loopback
// listener, on a data directory that ends with the test, as a development server.
package testkit

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// Region is where clients sign for unless they are told another.
const Region = "us-east-1"

// Options of a [Server]. The zero Options are good.
type Options struct {
	// Data is the data directory; empty is a new one of the test.
	Data string
	// Logger gets the server's log; nil writes it to the test's output.
	Logger *slog.Logger
	// Durable keeps fsync, for tests of crashes.
	Durable bool
	// Configure changes what the server is to be, if not nil.
	Configure func(*app.Config)
}

// A Server runs until the test ends.
type Server struct {
	URL string
	App *app.App

	tb   testing.TB
	cfg  app.Config
	http *httptest.Server
}

// Start starts a server; a failure ends the test.
func Start(tb testing.TB, opts Options) *Server {
	tb.Helper()
	if opts.Data == "" {
		opts.Data = tb.TempDir()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	s := &Server{tb: tb, cfg: app.Config{
		Data: opts.Data, Dev: true, Version: "test", NoSync: !opts.Durable, Logger: opts.Logger,
	}}
	if opts.Configure != nil {
		opts.Configure(&s.cfg)
	}
	s.open()
	tb.Cleanup(s.Stop)
	return s
}

func (s *Server) open() {
	s.tb.Helper()
	// The server outlives no test, but its end must not be that of the test's context.
	a, err := app.Open(context.WithoutCancel(s.tb.Context()), s.cfg)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.App, s.http = a, httptest.NewServer(a.Handler())
	s.URL = s.http.URL
}

// Data is the data directory.
func (s *Server) Data() string { return s.cfg.Data }

// Stop ends the server in good order. Stopping twice does nothing.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.App == nil {
		return
	}
	s.http.Close()
	if err := s.App.Close(); err != nil {
		s.tb.Errorf("close: %v", err)
	}
	s.App = nil
}

// Restart stops the server and starts it on the same data directory, at another URL: make new
// clients after it.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	s.open()
}

// Advance moves service time; everything that falls due on the way happens before it returns.
func (s *Server) Advance(d time.Duration) {
	s.tb.Helper()
	if err := s.App.Advance(s.tb.Context(), d); err != nil {
		s.tb.Fatal(err)
	}
}

// Root is the root user of an account.
func Root(account string) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: account, Secret: directory.DevSecret}
}

// Admin is the user admin of an account, who has AdministratorAccess.
func Admin(account string) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: directory.DevSecret}
}

// Clients of one caller in one region.
type Clients struct {
	KMS, IAM, STS, EC2, AutoScaling, Organizations, CloudTrail, Kagimori, AccessAnalyzer, EBS *Client
}

// A Client calls one service for a test.
type Client struct {
	*client.Client
	tb testing.TB
}

// As makes the clients of a caller in [Region].
func (s *Server) As(creds sigv4.Credentials) Clients { return s.In(Region, creds) }

// In makes the clients of a caller in a region.
func (s *Server) In(region string, creds sigv4.Credentials) Clients {
	s.tb.Helper()
	make := func(svc *api.Service) *Client {
		c, err := client.New(s.URL, region, creds, svc)
		if err != nil {
			s.tb.Fatal(err)
		}
		c.HTTP = s.http.Client()
		return &Client{c, s.tb}
	}
	return Clients{
		KMS: make(kmsapi.Service()), IAM: make(iamapi.Service()), STS: make(stsapi.Service()), EC2: make(ec2api.Service()),
		AutoScaling: make(autoscalingapi.Service()), Organizations: make(organizationsapi.Service()),
		CloudTrail: make(cloudtrailapi.Service()), Kagimori: make(kagimoriapi.Service()),
		AccessAnalyzer: make(accessanalyzerapi.Service()), EBS: make(ebsapi.Service()),
	}
}

// Call calls an operation that must succeed and returns its output.
func Call[Out any](c *Client, op string, in any) *Out {
	c.tb.Helper()
	out := new(Out)
	if err := c.Do(c.tb.Context(), op, in, out); err != nil {
		c.tb.Fatalf("%s: %v", op, err)
	}
	return out
}

// Must calls an operation without output that must succeed.
func Must(c *Client, op string, in any) {
	c.tb.Helper()
	if err := c.Do(c.tb.Context(), op, in, nil); err != nil {
		c.tb.Fatalf("%s: %v", op, err)
	}
}

// Refused calls an operation that the service must refuse, and returns the error.
func Refused(c *Client, op string, in any) *apierr.Error {
	c.tb.Helper()
	err := c.Do(c.tb.Context(), op, in, nil)
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		c.tb.Fatalf("%s: got %v, want an error of the service", op, err)
	}
	return e
}
