package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// warned are the rules of package lint whose findings are worth a warning whatever the verdict:
// what a statement says and can never mean, gives to more than it seems, or takes from launches. All
// other findings are notes.
var warned = []string{
	"unknown-service", "condition-value", "contradiction", "via-service", "via-service-region", "condition-key-absent", "unknown-condition-key",
	"caller-account", "unknown-principal", "alias-as-key", "linked-role-name", "linked-role-path", "linked-role-suffix", "principal-arn-session",
	"locked-out", "anyone", "key-administration", "account-typo", "not-principal-allow", "key-resource", "external-linked-role", "linked-role-exempt", "linked-role-session",
	"deny-hits-services", "deny-hits-volumes", "grant-condition-missing", "grant-condition-external",
}

// A written document is a policy with its place in the scenario.
type written struct {
	path    string
	name    speech.Text
	src     format.Document
	options lint.Options
}

// written are all documents of the scenario; of a key the one in force.
func (w *world) written() []written {
	var out []written
	for _, k := range w.sc.Keys {
		path, src := w.policyOf(w.keys[k.ARN])
		out = append(out, written{path, speech.Say("the key policy of %s", k.ARN), src, lint.Options{Kind: policy.Key, Resource: k.ARN, Account: k.Account}})
	}
	for i, p := range w.sc.Principals {
		a, _ := arn.Parse(p.ARN)
		o := lint.Options{Kind: policy.Identity, Account: a.Account}
		for j, pol := range p.Policies {
			out = append(out, written{fmt.Sprintf("/principals/%d/policies/%d/policy", i, j), speech.Say("policy %s of %s", pol.Name, p.ARN), pol.Policy, o})
		}
		if p.Boundary != nil {
			out = append(out, written{fmt.Sprintf("/principals/%d/boundary", i), speech.Say("the permissions boundary of %s", p.ARN), p.Boundary, o})
		}
	}
	for i, a := range w.sc.Accounts {
		for j, p := range a.SCPs {
			out = append(out, written{fmt.Sprintf("/accounts/%d/scps/%d/policy", i, j), speech.Say("the organization's policy %s", p.Name), p.Policy, lint.Options{Kind: policy.SCP, Account: a.ID}})
		}
		for j, p := range a.RCPs {
			out = append(out, written{fmt.Sprintf("/accounts/%d/rcps/%d/policy", i, j), speech.Say("the organization's policy %s", p.Name), p.Policy, lint.Options{Kind: policy.RCP, Account: a.ID}})
		}
	}
	return slices.DeleteFunc(out, func(d written) bool { _, unknown := w.unknown(d.path); return unknown })
}

// warnings tell what is worth saying although it does not decide the verdict; notes what else
// package lint finds.
func (o *outcome) warnings(linter *lint.Linter) (warnings, notes []speech.Text) {
	warnings = []speech.Text{}
	add := func(list *[]speech.Text, text speech.Text) {
		if !speech.Has(*list, text) {
			*list = append(*list, text)
		}
	}
	known := o.world.surroundings()
	cited := o.cited()
	for _, d := range o.world.written() {
		for _, action := range deadActions(d.src, d.options.Kind) {
			add(&warnings, speech.Say("unknown-action: %s matches no action", action))
		}
		d.options.Known = known
		for _, f := range linter.Check(d.src, d.options) {
			text := speech.Say("%s: %s (statement %d of %s)", f.Rule, f.Reason, f.Statement, d.name)
			switch {
			case f.Rule == "unknown-action" || slices.Contains(cited, statementAt(d, f.Statement)):
			case slices.Contains(warned, f.Rule):
				add(&warnings, text)
			case f.Severity >= lint.Warning:
				add(&notes, text)
			}
		}
	}
	for _, text := range o.leftovers() {
		add(&warnings, text)
	}
	for _, text := range o.recreated() {
		add(&notes, text)
	}
	return warnings, notes
}

// surroundings are what package lint may know of the world, with the grants that the setup made.
func (w *world) surroundings() *lint.World {
	known := &lint.World{Keys: map[string]lint.Key{}}
	for _, p := range w.sc.Principals {
		known.Principals = append(known.Principals, p.ARN)
	}
	for _, a := range w.sc.Accounts {
		known.Complete(a.ID)
	}
	for _, k := range w.sc.Keys {
		in := lint.Key{AWSManaged: k.Manager == format.ManagerAWS, Grants: []lint.Grant{}}
		for _, g := range w.keys[k.ARN].grants {
			in.Grants = append(in.Grants, lint.Grant{Grantee: g.Grantee, Operations: g.Operations, Exact: len(g.ContextEquals) > 0})
		}
		known.Keys[k.ARN] = in
	}
	return known
}

// deadActions are actions of a document that match none.
func deadActions(src format.Document, kind policy.Kind) []string {
	doc, err := policy.Parse(src, kind)
	if err != nil {
		return nil
	}
	var out []string
	for _, st := range doc.Statements {
		for _, t := range slices.Concat(st.Actions, st.NotActions) {
			if !actions.Load().MatchesAny(t.Value) {
				out = append(out, t.Value)
			}
		}
	}
	return out
}

// statementAt is the place of a statement, from 1.
func statementAt(d written, n int) string {
	parsed, _ := format.ParseAny(d.src)
	top, _ := parsed.(map[string]any)
	if _, many := top["Statement"].([]any); many {
		return d.path + "/Statement/" + itoa(n-1)
	}
	return d.path + "/Statement"
}

// cited are the places of the statements because of which something fails: they are explained
// there.
func (o *outcome) cited() []string {
	var out []string
	for _, f := range o.failures() {
		if f.answer == nil || f.answer.err != nil {
			continue
		}
		part := f.answer.refused()
		var matches []authz.Match
		for _, m := range part.Matched {
			if m.Effect == policy.Deny {
				matches = append(matches, m)
			}
		}
		for _, m := range part.Missed {
			if m.Reason == authz.MissCondition {
				matches = append(matches, m.Match)
			}
		}
		for _, m := range matches {
			if s, ok := o.siteOf(f.answer, m); ok {
				out = append(out, s.path+s.Path)
			}
		}
	}
	return out
}

// leftovers tell what goes well and leaves something undone.
func (o *outcome) leftovers() []speech.Text {
	var out []speech.Text
	for i := range o.courses {
		c := &o.courses[i]
		if c.fail != nil {
			continue
		}
		for _, s := range c.steps {
			for _, a := range s.answers {
				if len(s.step.Requests) > 0 && s.step.Requests[0].Call == launch.RetireGrant && !a.ok() {
					out = append(out, speech.Say("grant-stays: the grant that %s needed cannot be retired, for %s on %s is refused to %s",
						string(s.step.Requests[0].Purpose), a.request.Parts[0].Action, a.request.Parts[0].Resource.ARN, a.who.name))
				}
			}
		}
		if o.world.operation() == launch.CreateVolume && c.volume != nil && c.volume.Encrypted {
			out = append(out, o.world.attachLater(c)...)
		}
	}
	return out
}

// attachLater tells whether the creator of a volume may attach it.
func (w *world) attachLater(c *course) []speech.Text {
	spec := w.spec()
	spec.Operation = launch.AttachVolume
	spec.Devices = []launch.Device{{Name: c.device, VolumeID: newVolume, Source: launch.Source{Kind: launch.Existing, Encrypted: true, KeyARN: c.volume.KeyARN}}}
	next := course{device: c.device}
	who := w.caller(nil)
	w.drive(&next, spec, who)
	if next.fail == nil {
		return nil
	}
	return []speech.Text{speech.Say("later-attach: %s can create the volume %s but not attach it: %s on %s is refused (%s)",
		who.name, c.device, strings.TrimSpace(next.fail.action), next.fail.key, next.fail.rule)}
}
