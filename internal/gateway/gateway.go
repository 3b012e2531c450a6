// Package gateway is the HTTP edge: it turns a request into a call of a service and the outcome
// into an answer.
//
// The order is fixed: browser protection, size, route, signature, decoding, constraints, service.
// Everything up to the service is answered in the protocol of the service that was meant, as far
// as the request tells, and never with HTML or, for what kagimori does not implement, a 5xx:
// clients retry those. Nothing here decides who may do what.
//
// What fails before its signature is verified is nobody's request and goes into no trail, as at
// AWS; the operator's log has a sample of it.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
	"github.com/kagimori/kagimori/internal/wire/awsquery"
	"github.com/kagimori/kagimori/internal/wire/ec2query"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

// DefaultMaxBody bounds a request's body if Config does not.
const DefaultMaxBody = 1 << 20

// Credentials finds who an access key id belongs to.
type Credentials interface {
	// Lookup returns the secret and the identity behind an access key id and, for temporary
	// credentials, a session token. It fails with directory.ErrUnknownAccessKey,
	// directory.ErrInvalidToken or directory.ErrExpiredToken; any other error is the server's.
	Lookup(ctx context.Context, accessKeyID, sessionToken string) (secret.String, directory.Identity, error)
}

// A Service is an API and what serves it.
type Service struct {
	API *api.Service
	// Ops are the handlers by operation. An operation of the API without one is answered as not
	// implemented.
	Ops map[string]guard.Handler
}

// Config of a gateway.
type Config struct {
	Services    []Service
	Verifier    *sigv4.Verifier
	Credentials Credentials
	// Admit is asked for the identity that serves after the signature was verified, before which
	// nothing may be written; nil takes that of Credentials as it is.
	Admit func(context.Context, directory.Identity) (directory.Identity, error)
	// Invoke wraps every call of a handler; nil calls it directly.
	Invoke func(ctx context.Context, c *guard.Call, in any, h guard.Handler) (any, error)
	Clock  func() time.Time // service time; nil is time.Now
	Logger *slog.Logger     // nil is slog.Default()
	// Dev refuses requests whose Host is not the loopback or one of AllowedHosts (any port), so
	// that a name that a web page points at this machine does not reach it.
	Dev          bool
	AllowedHosts []string
	// Protected says that the handler stands behind [Protect] already.
	Protected bool
	MaxBody   int64 // bytes; 0 is DefaultMaxBody
	// MaxConcurrent bounds the requests that are served at once; those above it are throttled. 0 is no bound.
	MaxConcurrent int
	// Limit reports whether the caller asks too often, and when to ask again; nil limits nobody. What it
	// refuses is in the trail.
	Limit func(*guard.Call) (wait time.Duration, ok bool)
	Watch Watcher // nil: nobody
}

// codec is what each protocol's package offers a server.
type codec interface {
	dialect
	Table() *wire.Table
}

// bodyCodec is that of a protocol whose messages are bodies.
type bodyCodec interface {
	codec
	DecodeRequest(op *api.Operation, body []byte) (any, error)
	EncodeResponse(op *api.Operation, out any, requestID string) ([]byte, error)
}

// appender is what a codec has that writes answers into a buffer that is there.
type appender interface {
	AppendResponse(dst []byte, op *api.Operation, out any) ([]byte, error)
}

// dialect is how errors are spelled.
type dialect interface {
	ContentType() string
	EncodeError(f wire.Fault, requestID string) []byte
}

// endpoint is one service, ready to serve.
type endpoint struct {
	codec
	body bodyCodec       // nil of a REST protocol
	into appender        // body, if it is one
	rest *restjson.Codec // nil of others
	svc  *api.Service
	ops  map[string]guard.Handler
}

type gateway struct {
	cfg       Config
	noise     sampler              // of requests that are not authenticated
	exchanges sync.Pool            // of *exchange
	running   atomic.Int64         // requests that have been routed and are not answered
	byTarget  map[string]*endpoint // awsJson target prefix
	byVersion map[string]*endpoint // query API version
	byName    map[string]*endpoint // signing name
	rest      []*endpoint          // REST services, found by signing name or else by path
}

// New makes the handler of the AWS protocols, for "/" of a server. It fails if a service's model
// cannot be compiled, or if two services cannot be told apart.
func New(cfg Config) (http.Handler, error) {
	if cfg.Invoke == nil {
		cfg.Invoke = func(ctx context.Context, c *guard.Call, in any, h guard.Handler) (any, error) { return h(ctx, c, in) }
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	g := &gateway{cfg: cfg, byTarget: map[string]*endpoint{}, byVersion: map[string]*endpoint{}, byName: map[string]*endpoint{}}
	for _, s := range cfg.Services {
		if err := g.add(s); err != nil {
			return nil, err
		}
	}
	if cfg.Protected {
		return g, nil
	}
	return Protect(Protection{Dev: cfg.Dev, AllowedHosts: cfg.AllowedHosts}, g), nil
}

func (g *gateway) add(s Service) error {
	for name := range s.Ops {
		if s.API.Operations[name] == nil {
			return fmt.Errorf("gateway: %s has no operation %s", s.API.Name, name)
		}
	}
	e := &endpoint{svc: s.API, ops: s.Ops}
	var err error
	index, key := g.byVersion, s.API.Version
	switch s.API.Protocol {
	case api.JSON11:
		e.body, err = awsjson.New(s.API)
		index, key = g.byTarget, s.API.TargetPrefix
	case api.Query:
		e.body, err = awsquery.New(s.API)
	case api.EC2:
		e.body, err = ec2query.New(s.API)
	case api.RESTJSON:
		e.rest, err = restjson.New(s.API)
		index, key = map[string]*endpoint{}, ""
	default:
		err = fmt.Errorf("no protocol %d", s.API.Protocol)
	}
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", s.API.Name, err)
	}
	if index[key] != nil || g.byName[s.API.Name] != nil {
		return fmt.Errorf("gateway: %s cannot be told from another service", s.API.Name)
	}
	e.into, _ = e.body.(appender)
	index[key], g.byName[s.API.Name] = e, e
	if e.codec = e.body; e.rest != nil {
		e.codec = e.rest
		g.rest = append(g.rest, e)
	}
	if short := key[strings.LastIndexByte(key, '.')+1:]; s.API.Protocol == api.JSON11 && index[short] == nil {
		index[short] = e // the SDKs generated from Smithy models leave the namespace out, as for CloudTrail
	}
	return nil
}
