package actions_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/kms/attest/attesttest"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/sts/webidentity/issuertest"
	"github.com/kagimori/kagimori/internal/testkit"
)

// fillers are what stands for the placeholders of condition keys in the requests of this test.
var fillers = strings.NewReplacer("${TagKey}", "team", "${EncryptionContextKey}", "purpose", "${n}", "0", "${AttributeName}", "any")

// A place is where a condition key can be: an action on a type of resource ("" for "*").
type place struct{ action, typ string }

// A watcher sees what services ask to have decided, and asks the engine which of the condition keys
// of the table each evaluation has.
type watcher struct {
	t     *testing.T
	table *actions.Table

	mu      sync.Mutex
	seen    map[place]map[string]bool // templates of keys that some evaluation had
	global  map[string]bool
	strange map[string]bool // actions and resources that the table does not know
	probes  map[place]probe
}

// A probe is a document that denies each key, by a statement of its own: as an identity-based
// policy, and as that of the resource for callers without policies of their own.
type probe struct {
	keys               []string
	identity, resource *authz.Document
}

func newWatcher(t *testing.T) *watcher {
	return &watcher{
		t: t, table: actions.Load(), seen: map[place]map[string]bool{}, global: map[string]bool{}, strange: map[string]bool{}, probes: map[place]probe{},
	}
}

// observe is for [guard.Config]. Background work of the server is observed too.
func (w *watcher) observe(_ *guard.Call, req *authz.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range req.Parts {
		w.part(req, req.Parts[i])
	}
}

func (w *watcher) part(req *authz.Request, part authz.Part) {
	action, ok := w.table.Action(part.Action)
	if !ok || action.NamesOnly {
		w.strange[part.Action] = true
		return
	}
	on, ok := w.typeOf(action, part.Resource.ARN)
	if !ok {
		w.strange[part.Action+" on "+part.Resource.ARN] = true
		return
	}
	at := place{action.Full(), ""}
	if on != nil {
		at.typ = on.Name
	}
	p, ok := w.probes[at]
	if !ok {
		p = newProbe(append(action.Carries(on), w.table.GlobalKeys()...))
		w.probes[at] = p
	}
	if w.seen[at] == nil {
		w.seen[at] = map[string]bool{}
	}
	for _, k := range p.present(req, part) {
		w.seen[at][k] = true
		w.global[k] = true
	}
}

// typeOf finds the type of a resource among those that the action acts on.
func (w *watcher) typeOf(a *actions.Action, arn string) (*actions.On, bool) {
	if arn == "*" {
		return nil, len(a.Resources) == 0
	}
	for i := range a.Resources {
		if formOf(a.Resources[i].ARN).MatchString(arn) {
			return &a.Resources[i], true
		}
	}
	return nil, false
}

var placeholder = regexp.MustCompile(`\\\$\\\{[^}]*\\\}`)

func formOf(template string) *regexp.Regexp {
	return regexp.MustCompile("^" + placeholder.ReplaceAllString(regexp.QuoteMeta(template), ".+") + "$")
}

func newProbe(keys []string) probe {
	doc := &policy.Document{Version: policy.Version2012}
	for i, k := range keys {
		doc.Statements = append(doc.Statements, policy.Statement{
			Sid: k, Effect: policy.Deny, Principal: &policy.Principals{Any: true}, Index: i,
			Actions: []policy.Text{{Value: "*"}}, Resources: []policy.Text{{Value: "*"}},
			Conditions: []policy.Condition{{Operator: "Null", Key: fillers.Replace(k), Values: []policy.Text{{Value: "false"}}}},
		})
	}
	return probe{keys, authz.Compile(doc, policy.Identity), authz.Compile(doc, policy.Resource)}
}

// present asks the engine: the request again, under the probe alone. Of keys with a placeholder it
// also finds those with other names than the probe's.
func (p probe) present(req *authz.Request, part authz.Part) []string {
	part.Policy, part.RCPs, part.Grants = p.resource, nil, nil
	d := authz.Explain(&authz.Request{
		Principal: req.Principal, Context: req.Context, Identity: []*authz.Document{p.identity}, Parts: []authz.Part{part},
	})
	var out []string
	for _, m := range d.Parts[0].Matched {
		if m.Effect == policy.Deny {
			out = append(out, m.Sid)
		}
	}
	for _, k := range p.keys {
		if strings.Contains(k, "${") && slices.ContainsFunc(part.Context, func(e authz.Entry) bool { return actions.Fits(k, e.Key) }) {
			out = append(out, k)
		}
	}
	return out
}

// TestActionsCarryTheirConditionKeys makes one full request to each operation and compares the
// condition keys that reach the decision with the table's. What is missing stands in gaps, with the
// reason; a gap that was closed fails too.
func TestActionsCarryTheirConditionKeys(t *testing.T) {
	w := newWatcher(t)
	h, issuer := attesttest.New(t), issuertest.New(t)
	s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) {
		c.Observe, c.AttestationRoots, c.Outbound = w.observe, []string{attest.Fingerprint(h.Root)}, issuer.Config()
	}})
	drive(t, s, h)
	driveFederation(t, s, issuer)
	s.Stop() // nothing is observed any more

	missing := w.missing()
	known := map[string]bool{}
	for _, g := range slices.Concat(gaps, issuerGaps()) {
		if g.reason == "" {
			t.Errorf("the gap %v has no reason", g)
		}
		for _, k := range g.list() {
			known[k] = true
			if !slices.Contains(missing, k) {
				t.Errorf("the gap %q is closed: take it out of the list", k)
			}
		}
	}
	for _, m := range missing {
		if !known[m] {
			t.Errorf("missing: %s", m)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(w.strange)) {
		if _, ok := beyondTheTable[what]; !ok {
			t.Errorf("%s is decided, and not in the table", what)
		}
	}
}

// missing are the places and keys of the table that no evaluation had: "action type key".
func (w *watcher) missing() []string {
	var out []string
	for _, s := range services() {
		for name := range s.Operations {
			full := s.Name + ":" + name
			names, other := authorizedAs[full]
			if !other {
				names = []string{full}
			}
			for _, n := range names {
				if a, ok := w.table.Action(n); ok {
					out = append(out, w.missingOf(a)...)
				}
			}
		}
	}
	for _, k := range w.table.GlobalKeys() {
		if !w.global[k] {
			out = append(out, "any request: "+k)
		}
	}
	slices.Sort(out)
	return out
}

// always are the global keys that every signed request of a user has.
//
// Source: IAM User Guide, "AWS global condition context keys".
var always = []string{
	"aws:CurrentTime", "aws:EpochTime", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID",
	"aws:PrincipalOrgPaths", "aws:PrincipalType", "aws:RequestedRegion", "aws:SecureTransport", "aws:SourceIp", "aws:UserAgent",
	"aws:ViaAWSService", "aws:userid", "aws:username",
}

// ofTheWay are keys of a service that say how a request came, whatever the action: any of its
// evaluations shows them.
var ofTheWay = []string{"kms:ViaService", "ec2:SourceInstanceArn"}

func (w *watcher) missingOf(a *actions.Action) []string {
	types := make([]*actions.On, 0, len(a.Resources))
	for i := range a.Resources {
		types = append(types, &a.Resources[i])
	}
	if len(types) == 0 {
		types = append(types, nil)
	}
	var out []string
	decided := false
	for _, on := range types {
		at := place{a.Full(), ""}
		if on != nil {
			at.typ = on.Name
		}
		seen, ok := w.seen[at]
		if !ok {
			if on != nil && on.Required {
				out = append(out, a.Full()+" "+at.typ+" is not decided")
			}
			continue
		}
		decided = true
		for _, k := range slices.Concat(a.Carries(on), always) {
			if !seen[k] && !(slices.Contains(ofTheWay, k) && w.global[k]) {
				out = append(out, strings.Join([]string{a.Full(), at.typ, k}, " "))
			}
		}
	}
	if !decided && len(out) == 0 {
		out = append(out, a.Full()+" is not decided")
	}
	return out
}

// A gap is a key that is missing at places ("action/type"), and why. Without a key nothing is
// decided there at all.
type gap struct{ reason, key, places string }

func (g gap) list() []string {
	var out []string
	for p := range strings.FieldsSeq(g.places) {
		action, typ, _ := strings.Cut(p, "/")
		switch {
		case p == "any":
			out = append(out, "any request: "+g.key)
		case g.key != "":
			out = append(out, action+" "+typ+" "+g.key)
		default:
			out = append(out, strings.TrimSpace(action+" "+typ)+" is not decided")
		}
	}
	return out
}
