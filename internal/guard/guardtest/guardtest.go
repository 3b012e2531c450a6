// Package guardtest is the ground that services stand on, for their tests: the strict store, the
// trail, the directory of a development server, and the guard over them, all real.
package guardtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/wire"
)

// Region is where the calls of tests go.
const Region = "us-west-2"

// A World is everything below a service. It lives as long as its test.
type World struct {
	T         testing.TB
	Store     *memory.Store
	Trail     *trail.Trail
	Clock     *clock.Clock
	Module    hsm.Module
	Directory *directory.Directory
	Guard     *guard.Guard
	Logger    *slog.Logger
}

// New makes a World.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{
		T: t, Store: memory.New(memory.Config{Seed: 1}), Clock: clock.New(), Module: hsmtest.New(t),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	t.Cleanup(func() { w.Must(w.Store.Close()) })
	root, err := os.OpenRoot(t.TempDir())
	w.Must(err)
	w.Trail, err = trail.Open(trail.Config{Dir: root, Store: w.Store, Now: w.Clock.Now, Logger: w.Logger})
	w.Must(err)
	t.Cleanup(func() {
		w.Clock.Stop()
		w.Must(w.Trail.Close())
		w.Must(root.Close())
	})
	w.Directory, err = directory.New(directory.Config{
		Store: w.Store, Keys: w.Module.Box("keys"), Sessions: directory.SessionBoxes(w.Module.Box), Wall: time.Now, Dev: true,
	})
	w.Must(err)
	w.Guard = guard.New(guard.Config{
		Store: w.Store, Directory: w.Directory, Trail: w.Trail, Now: w.Clock.Now, Logger: w.Logger,
	})
	return w
}

// Must ends the test if err is not nil.
func (w *World) Must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Update changes the store.
func (w *World) Update(fn func(store.Tx) error) {
	w.T.Helper()
	w.Must(w.Store.Update(w.T.Context(), fn))
}

// View reads the store.
func (w *World) View(fn func(store.Tx) error) {
	w.T.Helper()
	w.Must(w.Store.View(w.T.Context(), fn))
}

// Advance moves service time and returns when nothing runs.
func (w *World) Advance(d time.Duration) {
	w.T.Helper()
	w.Must(w.Clock.Advance(w.T.Context(), d))
}

// Lookup is the caller behind an access key of a development server: "123456789012" is a root
// user, "123456789012ADMIN" an administrator.
func (w *World) Lookup(accessKeyID string) guard.Caller {
	w.T.Helper()
	_, id, err := w.Directory.Lookup(w.T.Context(), accessKeyID, "")
	w.Must(err)
	return Caller(id)
}

// Caller is an identity as it comes over the network.
func Caller(id directory.Identity) guard.Caller {
	return guard.Caller{Identity: id, SourceIP: "203.0.113.7", UserAgent: "test", Secure: true}
}

// User makes an IAM user with inline policies.
func (w *World) User(account, name string, policies ...string) guard.Caller {
	w.T.Helper()
	u := directory.User{
		Account: account, Name: name, Path: "/", ID: directory.NewID("AIDA"), Created: time.Now(), Inline: map[string]string{},
	}
	for i, p := range policies {
		u.Inline[fmt.Sprint("policy", i)] = p
	}
	var key directory.AccessKey
	w.Update(func(tx store.Tx) (err error) {
		if err := w.Directory.PutUser(tx, u); err != nil {
			return err
		}
		key, _, err = w.Directory.NewAccessKey(tx, account, name, u.ID)
		return err
	})
	return w.Lookup(key.ID)
}

// Invoke serves an operation as the gateway does after it verified the signature: constraints,
// then the handler, with its record.
func (w *World) Invoke(ctx context.Context, as guard.Caller, svc *api.Service, ops map[string]guard.Handler, op string, in any) (any, error) {
	o, h := svc.Operations[op], ops[op]
	if o == nil || h == nil {
		return nil, fmt.Errorf("guardtest: no operation %s:%s", svc.Name, op)
	}
	table, err := wire.TableOf(svc)
	if err != nil {
		return nil, err
	}
	if err := table.Validate(in); err != nil {
		return nil, err
	}
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: svc.Name, Operation: op, Region: Region, Caller: as, Time: w.Guard.Now(), ReadOnly: o.ReadOnly,
	}
	return w.Guard.Invoke(ctx, c, in, h)
}

// WantError fails the test unless err is an API error of that code and message; a message of "*"
// is any.
func WantError(t testing.TB, err error, code, message string) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	switch {
	case !ok:
		t.Errorf("got %v, want %s", err, code)
	case e.Code != code || message != "*" && e.Message != message:
		t.Errorf("got  %s: %s\nwant %s: %s", e.Code, e.Message, code, message)
	}
}
