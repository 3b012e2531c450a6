package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// Limits of what is asked of AWS.
const (
	defaultParallel = 8
	tries           = 8                      // of a call that is throttled
	firstPause      = 200 * time.Millisecond // doubles with each try
	longestPause    = 20 * time.Second
)

// globalRegion is where calls of global services go and are signed for.
const globalRegion = "us-east-1"

// ErrUnreadable says that nothing can be said: the credentials are refused, or nothing is selected.
var ErrUnreadable = errors.New("live: it cannot be read")

// An Access is one set of credentials, for one account.
type Access struct {
	Name   string // how messages call it: `profile "prod"`
	Region string
	// Credentials are asked for before each call, so that they can be renewed.
	Credentials func(context.Context) (sigv4.Credentials, error)
	// Endpoint is where a service is called; nil or "" is AWS's own.
	Endpoint func(service string) string
}

// A Config says what is read, and how.
type Config struct {
	// Accesses are those of the accounts; the first is that of the launches, with its region.
	Accesses []Access
	HTTP     *http.Client // nil is http.DefaultClient
	Parallel int          // calls at a time; 8 if 0
	// Pause waits before a call that was throttled is made again; nil is the wall clock.
	Pause func(context.Context, time.Duration) error
	// Progress hears of each call that was made; nil does not. It may be called from many goroutines.
	Progress func(service, operation string)
	// Organization policies that cannot be read are taken for ones that deny nothing.
	TrustOrganization bool
}

// A Session reads accounts. It remembers every answer, so that launches which share a key read it
// once. Safe for concurrent use.
type Session struct {
	cfg      Config
	services map[string]*api.Service
	slots    chan struct{}
	accounts []*account // with credentials; the first is that of the launches

	mu       sync.Mutex
	answered map[string]*answer
}

// An account whose credentials are known.
type account struct {
	Access
	id  string
	who string // ARN of who the credentials belong to
}

// An answer to a call, once it is there.
type answer struct {
	ready chan struct{}
	value any
	err   error
}

// Open asks who all the credentials belong to.
func Open(ctx context.Context, cfg Config) (*Session, error) {
	if len(cfg.Accesses) == 0 {
		return nil, fmt.Errorf("%w: there are no credentials", ErrUnreadable)
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = defaultParallel
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	s := &Session{cfg: cfg, services: map[string]*api.Service{}, slots: make(chan struct{}, cfg.Parallel), answered: map[string]*answer{}}
	for _, svc := range []*api.Service{
		kmsapi.Service(), iamapi.Service(), stsapi.Service(), ec2api.Service(), autoscalingapi.Service(), organizationsapi.Service(),
	} {
		s.services[svc.Name] = svc
	}
	for _, access := range cfg.Accesses {
		a := &account{Access: access}
		me, err := ask[stsapi.GetCallerIdentityResponse](ctx, s, a, "sts", "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{})
		if err != nil {
			return nil, fmt.Errorf("%w with %s: %w", ErrUnreadable, access.Name, err)
		}
		a.id, a.who = api.Val(me.Account), api.Val(me.Arn)
		if i := slices.IndexFunc(s.accounts, func(b *account) bool { return b.id == a.id }); i >= 0 {
			return nil, fmt.Errorf("%w: %s and %s are both of account %s", ErrUnreadable, s.accounts[i].Name, a.Name, a.id)
		}
		s.accounts = append(s.accounts, a)
	}
	return s, nil
}

// access is the account of an id, or nil if there are no credentials for it.
func (s *Session) access(id string) *account {
	if i := slices.IndexFunc(s.accounts, func(a *account) bool { return a.id == id }); i >= 0 {
		return s.accounts[i]
	}
	return nil
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

// ask makes a call of the table, or gives the answer that it had before. The output must not be
// changed: it is everybody's.
func ask[Out any](ctx context.Context, s *Session, a *account, service, op string, in any) (*Out, error) {
	c, ok := call(service, op)
	if !ok {
		return nil, fmt.Errorf("live: %s:%s is not in the table of calls", service, op)
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	key := a.Name + "|" + c.Name() + "|" + string(data)
	s.mu.Lock()
	got, asked := s.answered[key]
	if !asked {
		got = &answer{ready: make(chan struct{})}
		s.answered[key] = got
	}
	s.mu.Unlock()
	if !asked {
		out := new(Out)
		got.value, got.err = out, s.try(ctx, a, c, in, out)
		close(got.ready)
	}
	select {
	case <-got.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if got.err != nil {
		return nil, got.err
	}
	return got.value.(*Out), nil
}

// try makes a call, again and again with growing pauses while it is throttled or the service fails.
func (s *Session) try(ctx context.Context, a *account, c Call, in, out any) error {
	for n, wait := 1, firstPause; ; n, wait = n+1, min(2*wait, longestPause) {
		err := s.once(ctx, a, c, in, out)
		if err == nil || !transient(err) || n == tries || ctx.Err() != nil {
			return refusal(a, c, err)
		}
		if err := s.cfg.Pause(ctx, wait/2+rand.N(wait/2)); err != nil {
			return err
		}
	}
}

func (s *Session) once(ctx context.Context, a *account, c Call, in, out any) error {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slots }()
	creds, err := a.Credentials(ctx)
	if err != nil {
		return err
	}
	endpoint, region := a.endpoint(c.Service)
	cl, err := client.New(endpoint, region, creds, s.services[c.Service])
	if err != nil {
		return err
	}
	cl.HTTP = s.cfg.HTTP
	if s.cfg.Progress != nil {
		s.cfg.Progress(c.Service, c.Operation)
	}
	return cl.Do(ctx, c.Operation, in, out)
}

// endpoint is where a service is called, and the region that is signed for.
//
// Source: AWS General Reference, "Service endpoints and quotas" of each service.
func (a *account) endpoint(service string) (url, region string) {
	region = a.Region
	if service == "iam" || service == "organizations" {
		region = globalRegion
	}
	if a.Endpoint != nil {
		if url = a.Endpoint(service); url != "" {
			return url, region
		}
	}
	if service == "iam" {
		return "https://iam.amazonaws.com", region
	}
	return "https://" + service + "." + region + ".amazonaws.com", region
}

// throttling are the codes of services that want to be asked more slowly.
//
// Source: SDKs and Tools Reference Guide, "Retry behavior".
var throttling = []string{
	"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
	"BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException",
}

// transient reports whether the same call may go well a moment later.
func transient(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		var net interface{ Timeout() bool }
		return errors.As(err, &net) && net.Timeout()
	}
	return slices.Contains(throttling, e.Code) || e.Status >= 500 || e.Server
}

// A Refusal is a call that was refused for want of permission.
type Refusal struct {
	Call Call
	Who  string // name of the access, then ARN
	err  error
}

// Error tells what is missing.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s may not %s: %s", r.Who, r.Call.Name(), apierr.Code(r.err))
}

// Unwrap gives the service's error.
func (r *Refusal) Unwrap() error { return r.err }

// denied are the codes of calls that are refused for want of permission.
var denied = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "AccessDeniedForDependencyException", "OptInRequired"}

// refusal makes a Refusal of an error that says that permission is missing.
func refusal(a *account, c Call, err error) error {
	if err == nil {
		return nil
	}
	if slices.Contains(denied, apierr.Code(err)) {
		who := a.Name
		if a.who != "" {
			who += " (" + a.who + ")"
		}
		return &Refusal{c, who, err}
	}
	return fmt.Errorf("%s with %s: %w", c.Name(), a.Name, err)
}

// pages calls a function until there is no next page.
func pages(page func(marker *string) (next *string, err error)) error {
	for marker := (*string)(nil); ; {
		next, err := page(marker)
		if err != nil || api.Val(next) == "" {
			return err
		}
		marker = next
	}
}
