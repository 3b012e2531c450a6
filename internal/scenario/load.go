package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
)

// Errors of [Load] and [World.Launch] other than those of the server.
var (
	// ErrUnable: a server cannot be brought into the state that a scenario describes.
	ErrUnable = errors.New("scenario: a server cannot be made so")
	// ErrExists: something that a scenario makes is there already.
	ErrExists = errors.New("scenario: it exists already")
)

// A World is a scenario on a server.
type World struct {
	Scenario *Scenario
	// Setup is how each step of the setup went: up to the first that failed.
	Setup []SetupResult

	s       *session
	real    map[string]string // ids of the scenario that the server calls otherwise
	grants  map[string]string // by key ARN and id of the scenario
	actors  map[string]actor  // callers by ARN
	standIn string            // image of the templates that name none
	holder  string            // instance of the existing volumes, or that they are to be attached to
}

// A SetupResult is how a step of the setup went. Error is the code, Message the text of the
// refusal.
type SetupResult struct {
	OK             bool
	Error, Message string
}

// Load builds the world of a scenario on a development server and performs its setup, but not its
// launch. What exists already is an error ([ErrExists] if that shows before anything is made), but
// for service-linked roles and AWS managed keys: a world needs a server, or accounts, of its own.
func Load(ctx context.Context, cfg Config, sc *Scenario) (*World, error) {
	for _, path := range slices.Sorted(maps.Keys(sc.Unknown)) {
		return nil, fmt.Errorf("%w: %s of %s is not known: %s", ErrUnable, path, sc.ID, sc.Unknown[path])
	}
	if c := sc.Launch.Caller; c != nil && arn.IsServiceLinkedRole(*c) {
		return nil, fmt.Errorf("%w: %s is launched by %s, as which its service alone can act", ErrUnable, sc.ID, *c)
	}
	w := &World{
		Scenario: sc, s: newSession(cfg), real: map[string]string{}, grants: map[string]string{}, actors: map[string]actor{},
	}
	for _, part := range []func(context.Context) error{
		w.vacant, w.makePrincipals, w.makeKeys, w.makeSnapshots, w.makeImages, w.makeVolumes, w.makeGrants, w.putPolicies,
		w.setDefaults, w.makeTemplates, w.meetCallers, w.setStates, w.makeOrgPolicies, w.setUp,
	} {
		if err := part(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", sc.ID, err)
		}
	}
	return w, nil
}

// Real is the name that the server has for a name of the scenario: an id of a snapshot, image,
// volume or grant, or the ARN of an AWS managed key. Every other name is the server's too.
func (w *World) Real(name string) string {
	if r, ok := w.real[name]; ok {
		return r
	}
	return name
}

// RealGrant is the id that the server has for a grant on a key.
func (w *World) RealGrant(key, id string) string { return w.grants[key+" "+id] }

// SetUp reports whether the whole setup went well, so that the launch is reached.
func (w *World) SetUp() bool {
	for _, r := range w.Setup {
		if !r.OK {
			return false
		}
	}
	return true
}

// setUp performs the setup up to the first step that fails.
func (w *World) setUp(ctx context.Context) error {
	for i, st := range w.Scenario.Setup {
		err := w.step(ctx, st)
		e, refused := errors.AsType[*apierr.Error](err)
		switch {
		case refused:
			w.Setup = append(w.Setup, SetupResult{Error: e.Code, Message: e.Message})
			w.s.tell("setup %d: %s by %s is refused: %s: %s", i+1, st.Call, st.As, e.Code, e.Message)
			return nil
		case err != nil:
			return err
		}
		w.Setup = append(w.Setup, SetupResult{OK: true})
		w.s.tell("setup %d: %s by %s", i+1, st.Call, st.As)
	}
	return w.finishKeys(ctx)
}

func (w *World) step(ctx context.Context, st Step) error {
	k := w.Scenario.Key(st.Params.Key)
	who := w.actors[st.As].in(k.Region)
	switch st.Call {
	case callCreateKey:
		return w.createKey(ctx, who, k, st.Params.Policy, st.Params.Bypass)
	case callPutKeyPolicy:
		return w.putPolicy(ctx, who, k, st.Params.Policy, st.Params.Bypass)
	}
	g := Grant{GranteePrincipal: st.Params.GranteePrincipal, Operations: st.Params.Operations, Constraints: st.Params.Constraints}
	_, err := w.createGrant(ctx, who, k, g)
	return err
}

// account is the account of an ARN of the scenario.
func account(s string) string {
	a, err := arn.Parse(s)
	if err != nil {
		return ""
	}
	return a.Account
}
