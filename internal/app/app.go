package app

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/kagimori/kagimori/internal/console"
	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/iam"
)

// An App is a server without its listener. Safe for concurrent use.
type App struct {
	cfg    Config
	dir    *os.Root
	module *soft.Module
	// current is nil once the app is closed, or after a reset that failed.
	current atomic.Pointer[server]
	// gate lets a reset wait for the requests that run, and holds up new ones meanwhile. A
	// production server has no reset and does not use it.
	gate     sync.RWMutex
	draining atomic.Bool
	handler  http.Handler
	console  http.Handler // nil: there is none
	// operator takes the commands of `kagimori seal`; nil where there are no sockets.
	operator *operator
}

// Open opens the data directory and starts everything. What is wrong with the directory or its
// seal is said in one sentence, and nothing is touched then. Close the App in the end.
func Open(ctx context.Context, cfg Config) (*App, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg}
	if a.dir, err = openDataDir(cfg.Data, cfg.Dev); err != nil {
		return nil, err
	}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.serveOperator()
	protection := gateway.Protection{
		Dev: cfg.Dev, AllowedHosts: cfg.AllowedHosts,
		// Names below AWS's own domain, of which only the issuer's documents are served: route.
		Hosts: func(host string) bool { return iam.IssuerID(host) != "" },
	}
	if !cfg.NoConsole {
		a.console, protection.Public = console.New(), console.Is
	}
	a.handler = gateway.Protect(protection, http.HandlerFunc(a.route))
	return a, nil
}

// open takes the store, whose lock keeps other processes out, before it unseals; a new directory
// gets its seal first, so that a store never lacks one.
func (a *App) open(ctx context.Context) error {
	var (
		st     *engine
		served bool
		err    error
	)
	if a.cfg.Cluster != nil {
		if st, err = join(ctx, a.cfg); err != nil {
			return err
		}
		a.module, err = unsealShared(ctx, st, a.cfg)
	} else {
		if served, err = hasStore(a.dir); err != nil {
			return err
		}
		if served {
			if st, err = openEngine(a.cfg); err != nil {
				return err
			}
		}
		if a.module, err = unseal(ctx, a.dir, a.cfg, served); err == nil && !served {
			st, err = openEngine(a.cfg)
		}
	}
	if err == nil {
		err = makeFolders(a.dir, a.cfg.Data)
	}
	if err != nil {
		if st != nil {
			err = errors.Join(err, st.Close())
		}
		return err
	}
	return a.start(ctx, st)
}

// start makes a server over an open store, which it closes if it fails.
func (a *App) start(ctx context.Context, st *engine) error {
	s, err := newServer(ctx, a.cfg, a.dir, a.module, st)
	if err != nil {
		return err
	}
	a.current.Store(s)
	return nil
}

// Drain says that the server is about to end: health tells load balancers, each answer has its client
// close the connection, and another node takes the work over. Requests are answered as ever.
func (a *App) Drain() {
	a.draining.Store(true)
	if s := a.current.Load(); s != nil {
		go s.stopLeading()
	}
}

// Handler answers everything that the server answers.
func (a *App) Handler() http.Handler { return a.handler }

func (a *App) route(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	switch {
	case r.URL.Path == "/_kagimori/health":
		a.only(http.MethodGet, a.health, w, r)
	case a.cfg.Cluster != nil && r.URL.Path == peerPath:
		a.only(http.MethodPost, func(w http.ResponseWriter, r *http.Request) {
			a.withServer(w, func(s *server) { s.peers.ServeHTTP(w, r) })
		}, w, r)
	case a.cfg.Dev && r.URL.Path == "/_kagimori/reset":
		a.only(http.MethodPost, a.handleReset, w, r)
	case a.cfg.Dev && r.URL.Path == "/_kagimori/clock":
		a.only(http.MethodPost, a.handleClock, w, r)
	case a.cfg.Cluster != nil && r.URL.Path == hostPath:
		a.only(http.MethodPost, func(w http.ResponseWriter, r *http.Request) {
			a.withServer(w, func(s *server) { s.hostPeers.ServeHTTP(w, r) })
		}, w, r)
	case a.cfg.Cluster != nil && r.URL.Path == linePath:
		a.only(http.MethodPost, func(w http.ResponseWriter, r *http.Request) {
			a.withServer(w, func(s *server) { s.lines.ServeHTTP(w, r) })
		}, w, r)
	case isIssuer(r):
		a.only(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			a.withServer(w, func(s *server) { s.issuers.ServeHTTP(w, r) })
		}, w, r)
	case a.console != nil && console.Is(r):
		a.console.ServeHTTP(w, r)
	default:
		a.serve(w, r)
	}
}

func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	a.withServer(w, func(s *server) { s.front.ServeHTTP(w, r) })
}

// withServer runs fn with the server, which a reset waits for.
func (a *App) withServer(w http.ResponseWriter, fn func(*server)) {
	if a.cfg.Dev {
		a.gate.RLock()
		defer a.gate.RUnlock()
	}
	s := a.current.Load()
	if s == nil {
		unavailable(w)
		return
	}
	fn(s)
}

// Reset forgets everything but the root key and starts anew.
func (a *App) Reset(ctx context.Context) error {
	a.gate.Lock()
	defer a.gate.Unlock()
	s := a.current.Swap(nil)
	if s == nil {
		return errClosed
	}
	if err := errors.Join(s.rest(), s.store.empty(ctx), s.close()); err != nil {
		return err
	}
	if err := emptyDataDir(a.dir, a.cfg.Cluster != nil); err != nil {
		return err
	}
	var (
		st  *engine
		err error
	)
	if a.cfg.Cluster != nil {
		st, err = join(ctx, a.cfg)
	} else {
		st, err = openEngine(a.cfg)
	}
	if err != nil {
		return err
	}
	return a.start(context.WithoutCancel(ctx), st)
}

// Close ends the loops, moves what the trail still has to write, and closes everything. Stop
// taking requests before it. Closing twice does nothing.
func (a *App) Close() error {
	err := a.operator.close()
	a.operator = nil
	a.gate.Lock()
	defer a.gate.Unlock()
	if s := a.current.Swap(nil); s != nil {
		err = errors.Join(err, s.close())
	}
	if a.module != nil {
		err = errors.Join(err, a.module.Close())
	}
	return errors.Join(err, a.dir.Close())
}

var errClosed = errors.New("app: closed")
