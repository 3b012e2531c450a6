package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// devSecret is the secret of every access key of a development server.
const devSecret = "test"

// globalRegion is where calls of global services are signed for.
const globalRegion = "us-east-1"

// pollEvery is the time between two looks at what a server is about.
const pollEvery = 500 * time.Millisecond

// ErrWait says that something took longer than [Config.Patience].
var ErrWait = errors.New("scenario: waited too long")

// Config says how to reach a server, and whom to tell what happens there.
type Config struct {
	Endpoint string       // of a development server: "http://127.0.0.1:4566"
	HTTP     *http.Client // http.DefaultClient if nil
	// Out gets a line for everything that is made, and with Verbose the aws commands for it; nil
	// tells nobody.
	Out     io.Writer
	Verbose bool
	// Patience is the longest wait for one thing; 90 s if 0.
	Patience time.Duration
	// Pause lets d pass between two looks at the server; it follows the wall clock if nil.
	Pause func(ctx context.Context, d time.Duration) error
}

// A session talks to one server.
type session struct {
	Config
	services map[string]*api.Service
	clients  map[clientKey]*client.Client
}

type clientKey struct{ access, region, service string }

func newSession(cfg Config) *session {
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.Patience == 0 {
		cfg.Patience = 90 * time.Second
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	s := &session{Config: cfg, services: map[string]*api.Service{}, clients: map[clientKey]*client.Client{}}
	for _, svc := range []*api.Service{
		kmsapi.Service(), iamapi.Service(), stsapi.Service(), ec2api.Service(), autoscalingapi.Service(), organizationsapi.Service(), kagimoriapi.Service(),
	} {
		s.services[svc.Name] = svc
	}
	return s
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An actor makes calls.
type actor struct {
	name  string
	creds sigv4.Credentials
}

// admin is the user admin of an account of a development server.
func admin(account string) actor {
	return actor{"admin of " + account, sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: devSecret}}
}

// root is the root user of an account of a development server.
func root(account string) actor {
	return actor{"root of " + account, sigv4.Credentials{AccessKeyID: account, Secret: devSecret}}
}

// in is an actor in a region.
func (a actor) in(region string) place { return place{a, region} }

type place struct {
	actor
	region string
}

// do makes a call and tells of it. An error that the server answered stays visible.
func (s *session) do(ctx context.Context, who place, service, op string, in, out any) error {
	if s.Verbose {
		s.tell("    %s   # as %s", command(service, op, who.region, in), who.name)
	}
	return s.ask(ctx, who, service, op, in, out)
}

// ask makes a call of which nobody needs to know.
func (s *session) ask(ctx context.Context, who place, service, op string, in, out any) error {
	key := clientKey{who.creds.AccessKeyID, who.region, service}
	c := s.clients[key]
	if c == nil {
		var err error
		if c, err = client.New(s.Endpoint, who.region, who.creds, s.services[service]); err != nil {
			return err
		}
		c.HTTP = s.HTTP
		s.clients[key] = c
	}
	if err := c.Do(ctx, op, in, out); err != nil {
		return fmt.Errorf("%s by %s: %w", op, who.name, err)
	}
	return nil
}

func (s *session) tell(format string, args ...any) {
	fmt.Fprintf(s.Out, format+"\n", args...) // progress: who cannot hear it misses nothing else
}

// until looks at the server until there is what is waited for.
func (s *session) until(ctx context.Context, what string, look func() (bool, error)) error {
	for range max(1, int(s.Patience/pollEvery)) {
		done, err := look()
		if done || err != nil {
			return err
		}
		if err := s.Pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %s", ErrWait, what)
}
