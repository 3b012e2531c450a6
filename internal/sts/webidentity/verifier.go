package webidentity

import (
	"context"
	_ "crypto/sha256" // hashes of the algorithms
	_ "crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/outbound"
)

// Config of a [Verifier]. Zero durations are the defaults.
type Config struct {
	// Outbound reaches the issuers.
	Outbound *outbound.Client
	// Wall is the wall clock, by which tokens end; nil is time.Now.
	Wall func() time.Time
	// Life is how long a set of keys serves before it is fetched again: an hour.
	Life time.Duration
	// Refetch is how long a set serves at least, whatever keys tokens name: 10 seconds.
	Refetch time.Duration
}

// limits of each exchange with an issuer. Source for the time: STS API Reference,
// AssumeRoleWithWebIdentity, IDPCommunicationError (the exact bound is not documented).
var limits = outbound.Limits{Time: 5 * time.Second, Body: 256 << 10}

// maxIssuers is how many sets of keys are kept.
const maxIssuers = 1000

// A Verifier verifies tokens. Safe for concurrent use.
type Verifier struct {
	cfg Config
	mu  sync.Mutex
	// sets are by issuer. A set is fetched by one request at a time.
	sets map[string]*set
}

type set struct {
	mu      sync.Mutex
	keys    []key
	fetched time.Time
	failure error // of the last fetch, if it failed
}

// New makes a Verifier.
func New(cfg Config) *Verifier {
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	if cfg.Life == 0 {
		cfg.Life = time.Hour
	}
	if cfg.Refetch == 0 {
		cfg.Refetch = 10 * time.Second
	}
	return &Verifier{cfg: cfg, sets: map[string]*set{}}
}

// Verify proves that the issuer made the token. It does not look at times and audiences.
func (v *Verifier) Verify(ctx context.Context, t *Token) error {
	if _, ok := algorithms[t.alg]; !ok {
		return ErrSignature
	}
	s := v.set(t.Issuer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := v.cfg.Wall().Sub(s.fetched); s.keys == nil && (s.failure == nil || age >= v.cfg.Refetch) || age >= v.cfg.Life {
		v.fetch(ctx, s, t.Issuer)
	}
	if s.verifies(t) {
		return nil
	}
	if s.failure == nil && v.cfg.Wall().Sub(s.fetched) >= v.cfg.Refetch { // the key may be new
		v.fetch(ctx, s, t.Issuer)
	}
	switch {
	case s.verifies(t):
		return nil
	case s.failure != nil:
		return s.failure
	}
	return ErrSignature
}

func (s *set) verifies(t *Token) bool {
	return slices.ContainsFunc(s.keys, func(k key) bool {
		return (t.kid == "" || k.id == "" || k.id == t.kid) && t.verified(&k)
	})
}

func (v *Verifier) set(issuer string) *set {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sets[issuer]
	if s == nil {
		if len(v.sets) >= maxIssuers {
			clear(v.sets)
		}
		s = &set{}
		v.sets[issuer] = s
	}
	return s
}

// fetch gets the set of an issuer. If it fails, the keys that are there are forgotten: whoever
// withdraws keys must not have them used on.
func (v *Verifier) fetch(ctx context.Context, s *set, issuer string) {
	keys, err := v.keys(context.WithoutCancel(ctx), issuer) // others wait for them too
	s.keys, s.failure, s.fetched = keys, err, v.cfg.Wall()
}

func (v *Verifier) keys(ctx context.Context, issuer string) ([]key, error) {
	var about struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	data, err := v.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(data, &about) != nil || strings.TrimSuffix(about.Issuer, "/") != strings.TrimSuffix(issuer, "/") {
		return nil, ErrKeys
	}
	if data, err = v.get(ctx, about.JWKSURI); err != nil {
		return nil, err
	}
	return readKeys(data)
}

func (v *Verifier) get(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, ErrKeys
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{"Accept": {"application/json"}}}
	answer, err := v.cfg.Outbound.Do(ctx, r, limits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if answer.Status != http.StatusOK {
		return nil, ErrKeys
	}
	return answer.Body, nil
}
