// Package guard is the border between deciding and doing. It gathers the documents that bear on
// a request, asks authz, records the decision in the trail and hands out the permits without
// which key material cannot be used. Nothing else in the server decides.
//
// The life of a request: Invoke starts the record and calls the service; the service reads its
// resource and calls Authorize in the same transaction (View or Update of this package); a
// change carries its record in its own transaction; everything else is recorded before Invoke
// returns. If a record cannot be written the request fails.
package guard

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard/internal/mint"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// Config of a [Guard].
type Config struct {
	Store     store.Store
	Directory *directory.Directory
	Trail     *trail.Trail
	// Fence gives the context of a call the fence of the lease under which this guard's services work, so
	// that what they ask of other services is under it too, or fails with store.ErrFenced if the lease is
	// known to be over. Nil: there is no lease.
	Fence func(context.Context) (context.Context, error)
	Now   func() time.Time // service time
	// Encode seals the details of an EC2 denial for sts:DecodeAuthorizationMessage.
	Encode func(plaintext []byte) string
	Logger *slog.Logger
	// Observe, if not nil, is shown everything that is to be decided. It serves tests of what
	// services supply, and must neither change nor keep the request.
	Observe func(*Call, *authz.Request)
}

// A Guard decides and records. Safe for concurrent use.
type Guard struct {
	cfg        Config
	flood      flood
	everything []*authz.Document
	second     atomic.Pointer[second]
	shapes     trail.Shapes
	rooms      sync.Pool // of *room
}

// New makes a Guard.
func New(cfg Config) *Guard {
	return &Guard{cfg: cfg, flood: flood{accounts: map[string]allowance{}}, everything: everything()}
}

// Directory of the principals.
func (g *Guard) Directory() *directory.Directory { return g.cfg.Directory }

// Now is the service time.
func (g *Guard) Now() time.Time { return g.cfg.Now() }

// View runs fn on a snapshot of the store. fn may run several times.
func (g *Guard) View(ctx context.Context, c *Call, fn func(store.Tx) error) error {
	if c.evidence.none() { // as it mostly is: there is nothing to keep for each run
		return g.cfg.Store.View(ctx, func(tx store.Tx) error {
			c.evidence.reset(mark{})
			return fn(tx)
		})
	}
	before := c.evidence.mark()
	return g.cfg.Store.View(ctx, func(tx store.Tx) error {
		c.evidence.reset(before)
		return fn(tx)
	})
}

// Update runs fn in a transaction that also carries the record of the call, unless an earlier
// transaction of the call did. fn may run several times.
func (g *Guard) Update(ctx context.Context, c *Call, fn func(store.Tx) error) error {
	before := c.evidence.mark()
	err := g.cfg.Store.Update(ctx, func(tx store.Tx) error {
		c.evidence.reset(before)
		if err := fn(tx); err != nil {
			return err
		}
		if c.evidence.recorded {
			return nil
		}
		return g.cfg.Trail.PutTx(tx, g.record(c, nil))
	})
	if err == nil && !c.evidence.recorded {
		c.evidence.recorded, c.evidence.kept = true, len(c.evidence.decisions)
		g.cfg.Trail.Kick()
	}
	return err
}

// Invoke serves a call and records it, whatever its outcome. in is put into the record; secrets
// in it are left out. A call that failed, or decided more, after a transaction of it committed has
// a second record. What fails before an unsigned request proved anything is nobody's and has none.
func (g *Guard) Invoke(ctx context.Context, c *Call, in any, h Handler) (any, error) {
	if g.cfg.Fence != nil {
		var err error
		if ctx, err = g.cfg.Fence(ctx); err != nil {
			return nil, err
		}
	}
	c.Input, c.evidence.shapes = in, &g.shapes
	if c.evidence.scratch == nil {
		g.enter(c)
		defer g.leave(c)
	}
	out, err := h(ctx, c, in)
	if err == nil && c.evidence.recorded && len(c.evidence.decisions) == c.evidence.kept {
		return out, nil
	}
	if err != nil && c.nobody() {
		return nil, err
	}
	c.evidence.eventID = ""
	rec := &c.evidence.scratch.record
	g.fill(rec, c, err)
	if rerr := g.cfg.Trail.Log(rec); rerr != nil {
		g.cfg.Logger.Error("the trail cannot be written: request refused", "request", c.ID, "error", rerr)
		return nil, &apierr.Error{Code: "InternalFailure", Server: true, Message: "The audit trail cannot be written."}
	}
	return out, err
}

// nobody reports whether nothing is known of who asks, nor about what.
func (c *Call) nobody() bool {
	return c.Caller.Principal.Type == authz.Anonymous && len(c.evidence.resources) == 0 && !c.evidence.recorded
}

// InvokeOp is Invoke for a method of a service, as another service calls it.
func InvokeOp[In, Out any](ctx context.Context, g *Guard, c *Call, in *In, fn func(context.Context, *Call, *In) (*Out, error)) (*Out, error) {
	out, err := g.Invoke(ctx, c, in, Handle(fn))
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}

// InvokeVoid is InvokeOp for a method without output.
func InvokeVoid[In any](ctx context.Context, g *Guard, c *Call, in *In, fn func(context.Context, *Call, *In) error) error {
	_, err := g.Invoke(ctx, c, in, HandleVoid(fn))
	return err
}

// Check is one thing that a service wants decided.
type Check struct {
	Parts []authz.Part
	// Grants read the grants of the parts that have such a source, by their index. They are asked
	// only where the policies do not allow.
	Grants []GrantSource
	// Given are identity-based policies that the caller has for this request beside its own.
	Given []*authz.Document
	// DryRun makes permits that refuse to be spent.
	DryRun bool
}

// Authorize decides whether the call's caller may do all the parts and returns a permit for
// each. A refusal is a *DeniedError. Call it in the transaction that read the resource.
func (g *Guard) Authorize(tx store.Tx, c *Call, check Check) ([]permit.Permit, error) {
	if len(check.Parts) == 0 {
		return nil, errors.New("guard: nothing to decide")
	}
	if err := g.judge(tx, c, &check); err != nil {
		return nil, err
	}
	permits := make([]permit.Permit, len(check.Parts))
	for i, p := range check.Parts {
		permits[i] = permit.New(mint.New(), p.Action, p.Resource.ARN, c.ID, check.DryRun)
	}
	return permits, nil
}

// AuthorizeOne is Authorize for one part, whose grants the source reads; it may be nil.
func (g *Guard) AuthorizeOne(tx store.Tx, c *Call, part authz.Part, grants GrantSource, dryRun bool) (permit.Permit, error) {
	check := Check{DryRun: dryRun}
	if r := c.evidence.scratch; r != nil {
		r.parts[0], r.grants[0] = part, grants
		check.Parts, check.Grants = r.parts[:], r.grants[:]
		defer func() { r.parts[0], r.grants[0] = authz.Part{}, nil }()
	} else {
		check.Parts, check.Grants = []authz.Part{part}, []GrantSource{grants}
	}
	if err := g.judge(tx, c, &check); err != nil {
		return permit.Permit{}, err
	}
	return permit.New(mint.New(), part.Action, part.Resource.ARN, c.ID, dryRun), nil
}

// judge decides, and keeps the evidence.
func (g *Guard) judge(tx store.Tx, c *Call, check *Check) error {
	var entries authz.Context
	var verdict *authz.Room
	var req *authz.Request
	if r := c.evidence.scratch; r != nil { // nobody has the request, nor that it is allowed, after the decision
		entries, verdict, req = r.context[:0], &r.verdict, &r.request
		defer func() { r.lent = false }()
	} else {
		req = new(authz.Request)
	}
	if err := g.request(tx, c, check.Parts, entries, req); err != nil {
		return err
	}
	if len(check.Given) > 0 {
		req.Identity = append(slices.Clip(req.Identity), check.Given...)
	}
	d, err := check.decide(tx, req, verdict)
	if err != nil {
		return err
	}
	if d.Outcome != authz.Allowed {
		return g.refuse(c, *req, d)
	}
	if data, ok := appendAllowed(c.evidence.forDecision(), c.frame(&req.Principal), &req.Principal, &d); ok {
		if r := c.evidence.scratch; r != nil && c.evidence.decisions == nil {
			c.evidence.decisions = r.decisions[:0]
		}
		c.evidence.decisions = append(c.evidence.decisions, data)
	} else if err := g.keepWhole(c, *req, d); err != nil {
		return err
	}
	return nil
}

// keepWhole keeps a decision as it is.
func (g *Guard) keepWhole(c *Call, req authz.Request, d authz.Decision) error {
	return g.keep(c, &version{req: &req, d: &d}, false)
}

// refuse keeps the evidence of a refusal and is the error of it.
func (g *Guard) refuse(c *Call, req authz.Request, d authz.Decision) error {
	caller, all := g.versions(&req, &d)
	brief := !g.flood.full(req.Principal.Account, g.cfg.Now())
	for i := range all {
		if err := g.keep(c, &all[i], brief); err != nil {
			return err
		}
	}
	c.evidence.rename(&req)
	return g.denied(c, &caller)
}

// Allow is Authorize for one part.
func (g *Guard) Allow(tx store.Tx, c *Call, part authz.Part) (permit.Permit, error) {
	return g.AuthorizeOne(tx, c, part, nil, false)
}

// Allowed asks without recording a decision: which of several things the caller may do, or
// whether a policy about to be saved would lock its author out.
func (g *Guard) Allowed(tx store.Tx, c *Call, part authz.Part) (bool, error) {
	var req authz.Request
	if err := g.request(tx, c, []authz.Part{part}, nil, &req); err != nil {
		return false, err
	}
	d := authz.Decide(&req)
	return d.Outcome == authz.Allowed, nil
}

// Consider gathers what a decision about parts would be made on, as Authorize does, and decides
// nothing: for what predicts decisions.
func (g *Guard) Consider(tx store.Tx, c *Call, parts []authz.Part) (authz.Request, error) {
	var req authz.Request
	err := g.request(tx, c, parts, nil, &req)
	return req, err
}

// request gathers in req what is decided on. entries is room for the condition keys, or nil.
func (g *Guard) request(tx store.Tx, c *Call, parts []authz.Part, entries authz.Context, req *authz.Request) error {
	docs, err := g.cfg.Directory.Documents(tx, &c.Caller.Identity)
	if err != nil {
		return err
	}
	if err := g.placeResources(tx, c, docs.Place, parts); err != nil {
		return err
	}
	*req = authz.Request{
		Principal: c.Caller.Principal, Context: g.context(c, entries), Parts: parts,
		Identity: docs.Identity, Boundary: docs.Boundary, Session: docs.Session, SCPs: docs.SCPs,
	}
	p := &req.Principal
	p.OrgID, p.OrgPaths, p.AccountRole = docs.Place.Organization, docs.Place.Paths, docs.Place.Role
	if e := c.Caller.endpoint(); e != nil {
		req.Endpoint = e.Policy
	}
	if g.cfg.Observe != nil {
		seen := *req
		g.cfg.Observe(c, &seen)
	}
	return nil
}

// placeResources gives each part what the organization of the resource's owner says: its place and
// the resource control policies. A role that is passed is of the account that its ARN names, whatever the
// service takes it for. An action without resource is under those of the caller's own account. A part
// that names another owner (aws:ResourceAccount) is about something that was shared: nothing of the
// caller's organization is said of it.
//
// Source: AWS Organizations User Guide, "Resource control policies (RCPs)".
func (g *Guard) placeResources(tx store.Tx, c *Call, caller *directory.Place, parts []authz.Part) error {
	place, of := caller, c.Account()
	for i := range parts {
		p := &parts[i]
		r := &p.Resource
		if p.Action == "iam:PassRole" { // a request may bring the role of another account
			r.Account = cmp.Or(arn.Owner(r.ARN), r.Account)
		}
		if r.Account != of {
			var err error
			if place, err = g.cfg.Directory.Place(tx, r.Account); err != nil {
				return err
			}
			of = r.Account
		}
		p.RCPs = place.RCPs
		r.AccountRole = place.Role
		if r.ARN == "*" {
			continue // there is no resource whose keys could be told
		}
		r.OrgID, r.OrgPaths = place.Organization, place.Paths
		if slices.ContainsFunc(p.Context, func(e authz.Entry) bool { return e.Key == "aws:resourceaccount" }) {
			r.OrgID, r.OrgPaths = "", nil
		}
	}
	return nil
}

// A DeniedError is a refused request with its evidence. As an API error it is the one that the
// service gives.
type DeniedError struct {
	Decision  authz.Decision
	Principal authz.Principal
	Message   string // AWS's text, without EC2's wrapping
	api       *apierr.Error
}

// Error is the code and message that the client sees.
func (e *DeniedError) Error() string { return e.api.Error() }

// Unwrap gives the *apierr.Error.
func (e *DeniedError) Unwrap() error { return e.api }

// Denied reports whether err is a refusal.
func Denied(err error) (*DeniedError, bool) { return errors.AsType[*DeniedError](err) }

// NewRequestID makes a request id: a random UUID, version 4. Ids are no secrets, and knowing one gives
// nothing: their source is ChaCha8, seeded by the system, of each thread.
func NewRequestID() string { return uuid(4, rand.Uint64()) }

// newEventID makes an event id: a UUID of version 7 (RFC 9562), which begins with the time, so that the records of
// changes lie beside each other in the store while they wait there, on few pages.
func newEventID(now time.Time) string {
	return uuid(7, uint64(now.UnixMilli())<<16|rand.Uint64()&0xffff)
}

// uuid is one whose first half is given, but for its version.
func uuid(version byte, first uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], first)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|version<<4, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:8], b[:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
