package doctor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// ARN names the subject.
func (s *subject) ARN() string { return s.name }

// Impact says what stops working in the world of a scenario, after its setup, if a change is made: its
// launch, the start of what it launches after a stop, the volumes that grants of the key are for, and
// what principals can do. as is who starts and launches things in the place of the scenario's caller;
// "" is that caller. The error is a sentence about a change that cannot be made.
func (d *Doctor) Impact(ctx context.Context, sc *format.Scenario, ch impact.Change, as string) (*impact.Report, error) {
	o := &outcome{world: newWorld(sc, d.docs).clone()}
	o.setup = o.world.setUp()
	before := o.world
	key, err := before.changed(&ch)
	if err != nil {
		return nil, err
	}
	after := before.clone()
	after.detached = &ch
	if key != nil {
		k := after.keys[key.ARN()]
		ch.Key(&k.Key)
		k.grants = ch.Grants(ch.KeyARN, k.grants)
		if k.policy, err = ch.KeyPolicy(ch.KeyARN, k.policy); err != nil {
			return nil, fmt.Errorf("%s: %w", ch.KeyARN, err)
		}
	}
	c := &impact.Case{Before: before, After: after, Key: ch.KeyARN, Uses: before.uses(&ch, as), Principals: before.everybody()}
	for arn, k := range before.keys {
		if ch.KeyARN != "" && arn != ch.KeyARN {
			continue
		}
		q := impact.Questioned{KeyARN: arn}
		for _, op := range append(keyrule.GrantOperations(k.Spec, k.Usage), "DescribeKey", "CreateGrant") {
			q.Actions = append(q.Actions, "kms:"+op)
		}
		c.Keys = append(c.Keys, q)
	}
	slices.SortFunc(c.Keys, func(a, b impact.Questioned) int { return strings.Compare(a.KeyARN, b.KeyARN) })
	return impact.Of(ctx, c)
}

// changed finds what a change is about: the key by its ARN, its id, an alias or the ARN of one; nil if it is about none.
func (w *world) changed(ch *impact.Change) (*key, error) {
	if err := ch.Check(); err != nil {
		return nil, err
	}
	if ch.Kind == impact.DetachPolicy {
		i, ok := w.principals[ch.Principal]
		if !ok || !slices.ContainsFunc(w.sc.Principals[i].Policies, func(p format.InlinePolicy) bool { return p.Name == ch.Document }) {
			return nil, fmt.Errorf("the scenario has no policy %s of %s", ch.Document, ch.Principal)
		}
		return nil, nil
	}
	var found *key
	has := func(k *key) bool {
		return slices.ContainsFunc(k.grants, func(g authz.Grant) bool { return g.ID == ch.Grant })
	}
	for name, k := range w.keys {
		if ch.KeyARN == "" && has(k) || name == ch.KeyARN || k.ID == ch.KeyARN || slices.ContainsFunc(k.Aliases, func(alias string) bool {
			return alias == ch.KeyARN || arn.Make("kms", k.Region, k.Account, alias) == ch.KeyARN
		}) {
			if found != nil {
				return nil, fmt.Errorf("the scenario has several keys %s", ch.KeyARN)
			}
			found = k
		}
	}
	if found == nil && ch.KeyARN == "" {
		return nil, fmt.Errorf("no key of the scenario has an active grant %s", ch.Grant)
	}
	if found == nil {
		return nil, fmt.Errorf("the scenario has no key %s", ch.KeyARN)
	}
	ch.KeyARN = found.ARN()
	if ch.Grant != "" && !has(found) {
		return nil, fmt.Errorf("the key has no active grant %s", ch.Grant)
	}
	return found, nil
}

// Resolve finds the key that an identifier names.
func (w *world) Resolve(_, id string) (keyARN string, depends []string, err error) {
	return w.resolve(id)
}

// Ask answers a request of a plan. In a world every answer has its evidence.
func (w *world) Ask(caller impact.Caller, r launch.Request, made map[string][]authz.Grant, _ bool) (impact.Ruling, error) {
	who, _ := caller.(*subject) // nil where nobody calls
	if who != nil && w.detached != nil {
		who = new(*who)
		who.identity = w.detached.Identity(who.name, who.identity)
	}
	a := w.ask(r, who, made)
	return impact.Ruling{Who: a.who.name, Decision: a.decision, Part: a.part, Err: a.err, Depends: a.depends}, nil
}

// Access answers what a principal can do with a key, whatever the request.
func (w *world) Access(caller impact.Caller, keyARN, action string) (impact.Access, error) {
	who, ok := caller.(*subject)
	if !ok {
		return impact.Access{}, errors.New("doctor: no subject")
	}
	k := w.keys[keyARN]
	part := w.complete(keyPart(action, k), nil)
	if action == "kms:CreateGrant" {
		part.NewGrant = &authz.Grant{}
	}
	c := ask.Candidate{Principal: who.principal, Identity: who.identity, Boundary: who.boundary, SCPs: who.scps}
	if w.detached != nil {
		c.Identity = w.detached.Identity(who.name, c.Identity)
	}
	a, can := ask.Ask(&c, part)
	out := impact.Access{Can: can, Always: a.Outcome == authz.Allowed, Decision: &a.Part, More: a.More, Err: impact.AfterAccess(action, &k.Key)}
	if !can {
		out.Decision = new(ask.Refusal(&c, part))
	}
	return out, nil
}

// everybody yields the roles and users of the scenario, and the roots of its accounts.
func (w *world) everybody() iter.Seq2[impact.Caller, error] {
	return func(yield func(impact.Caller, error) bool) {
		for i := range w.sc.Accounts {
			if !yield(w.subjectNamed(arn.Root(w.sc.Accounts[i].ID)), nil) {
				return
			}
		}
		for i := range w.sc.Principals {
			if !yield(w.subjectOf(i), nil) {
				return
			}
		}
	}
}

// uses yields the launch of the scenario, each device alone, and what comes of it.
func (w *world) uses(ch *impact.Change, as string) iter.Seq2[impact.Use, error] {
	return func(yield func(impact.Use, error) bool) {
		caller := func(t *format.Template) *subject {
			if as != "" {
				return w.subject(as)
			}
			return w.caller(t)
		}
		give := func(t *format.Template, all []device) bool {
			for i := range all {
				d := &all[i]
				if len(d.depends) > 0 || len(w.choices(w.spec(), d)) > 0 {
					continue
				}
				u := w.use(t, d)
				u.Caller = caller(t)
				if !yield(u, nil) {
					return false
				}
				if again, ok := w.startAgain(&u); ok && !yield(again, nil) {
					return false
				}
			}
			return true
		}
		if len(w.sc.Launch.Templates) == 0 && !give(nil, w.existing()) {
			return
		}
		for i := range w.sc.Launch.Templates {
			devices, _ := w.devices(i)
			if !give(&w.sc.Launch.Templates[i], devices) {
				return
			}
		}
		k := w.keys[ch.KeyARN]
		if k == nil {
			return
		}
		for i := range k.grants {
			if u, ok := impact.Held(&k.grants[i], w.sc.Region, ch.KeyARN); ok && !yield(u, nil) {
				return
			}
		}
	}
}

// use is the launch of one device.
func (w *world) use(t *format.Template, d *device) impact.Use {
	l := &w.sc.Launch
	u := impact.Use{Kind: impact.Template, When: impact.Launch, Spec: w.spec()}
	u.Spec.Devices = []launch.Device{d.Device}
	switch {
	case l.Operation == format.StartInstances:
		u.Kind, u.ID, u.When = impact.Instance, instanceID, impact.Restart
	case t == nil, t.Kind == format.KindVolume:
		u.Kind, u.ID = impact.Volume, d.VolumeID
		if t != nil {
			u.ID = t.Name
		}
	case l.Group != nil:
		u.Kind, u.ID, u.Name = impact.Group, l.Group.Name, t.Name
	default:
		u.ID = t.Name
	}
	return u
}

// startAgain is the start, after a stop, of what a launch made; it needs a key that is known.
func (w *world) startAgain(u *impact.Use) (impact.Use, bool) {
	if u.Spec.Operation != launch.RunInstances {
		return impact.Use{}, false
	}
	c := course{}
	who, _ := u.Caller.(*subject)
	w.drive(&c, u.Spec, who)
	if c.fail != nil || c.volume == nil || !c.volume.Encrypted || len(c.depends) > 0 {
		return impact.Use{}, false
	}
	again := *u
	again.Kind, again.When, again.PartOf = impact.Instance, impact.Restart, u.ID
	again.ID = instanceID
	again.Spec.Operation = launch.StartInstances
	d := u.Spec.Devices[0]
	again.Spec.Devices = []launch.Device{{Name: d.Name, VolumeID: d.VolumeID, Source: launch.Source{Kind: launch.Existing, Encrypted: true, KeyARN: c.volume.KeyARN}}}
	return again, true
}
