package doctor_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// proposals are the fix of a report and its alternatives.
func proposals(r *doctor.Report) []doctor.Proposal {
	if r.Fix == nil {
		return nil
	}
	return append([]doctor.Proposal{r.Fix.Proposal}, r.Fix.Alternatives...)
}

// printed is a report after it was written down as JSON and read again: what a program has of it.
func printed(t *testing.T, r *doctor.Report) *doctor.Report {
	t.Helper()
	line, err := r.Line()
	if err != nil {
		t.Fatal(err)
	}
	var out doctor.Report
	if err := json.Unmarshal(line, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestEveryPrintedFixLaunches applies each fix of each failing scenario and checks again.
func TestEveryPrintedFixLaunches(t *testing.T) {
	failing := 0
	for id, sc := range corpus(t) {
		if sc.Expected.Launches {
			continue
		}
		failing++
		r := printed(t, doctor.Check(sc))
		if r.Fix == nil {
			t.Errorf("%s has no fix", id)
		}
		for i, p := range proposals(r) {
			fixed, err := sc.Patched(p.Patch)
			if err != nil {
				t.Errorf("%s, fix %d: %v", id, i, err)
				continue
			}
			if again := doctor.Check(fixed); again.Verdict != "launches" {
				t.Errorf("%s, fix %d (%s): %s: %+v", id, i, p.Summary, again.Verdict, again.Failures)
			}
			if p.Summary.Empty() || p.Kind == "" {
				t.Errorf("%s, fix %d says nothing: %+v", id, i, p)
			}
		}
		for i, patch := range sc.Expected.Fix.Patches() {
			fixed, err := sc.Patched(patch)
			if err != nil {
				t.Fatal(err)
			}
			if again := doctor.Check(fixed); again.Verdict != "launches" {
				t.Errorf("%s, fix %d of the scenario: %s: %+v", id, i, again.Verdict, again.Failures)
			}
		}
	}
	if failing != 38 {
		t.Errorf("%d scenarios fail, want 38", failing)
	}
}

// TestNoOperationOfAFixCanBeLeftOut: without any one of them it does not launch.
func TestNoOperationOfAFixCanBeLeftOut(t *testing.T) {
	for id, sc := range corpus(t) {
		r := doctor.Check(sc)
		if r.Fix == nil {
			continue
		}
		for i := range r.Fix.Patch {
			less := slices.Delete(slices.Clone(r.Fix.Patch), i, i+1)
			fixed, err := sc.Patched(less)
			if err != nil {
				continue // it cannot be applied without
			}
			if doctor.Check(fixed).Verdict == "launches" {
				t.Errorf("%s: operation %d of %q is not needed", id, i, r.Fix.Summary)
			}
		}
	}
}

// TestEveryDamagedWorldHasAFix takes one statement, grant, policy or step away from each scenario,
// or changes the state of a key. Only the policy of a key that AWS manages cannot be put right.
func TestEveryDamagedWorldHasAFix(t *testing.T) {
	worlds := 0
	for id, sc := range corpus(t) {
		for _, damage := range damages(t, sc) {
			broken, err := sc.Patched([]format.Edit{{Op: "replace", Path: "/expected", Value: format.Value("null")}, damage})
			if err != nil {
				t.Fatal(err)
			}
			worlds++
			r := doctor.Check(broken)
			managed := strings.Contains(damage.Path, "/policy/Statement/") && broken.Keys[damage.Path[len("/keys/")]-'0'].Manager == format.ManagerAWS
			if r.Verdict == "fails" && r.Fix == nil && !managed {
				t.Errorf("%s, %s %s: %s of %s has no fix", id, damage.Op, damage.Path, r.Failures[0].Rule, r.Failures[0].Action)
			}
			for _, p := range proposals(r) {
				fixed, err := broken.Patched(p.Patch)
				if err != nil {
					t.Fatal(err)
				}
				if again := doctor.Check(fixed); again.Verdict != "launches" {
					t.Errorf("%s, %s %s: after %q it %s", id, damage.Op, damage.Path, p.Summary, again.Verdict)
				}
			}
		}
	}
	if worlds < 280 {
		t.Errorf("only %d damaged worlds", worlds)
	}
}

// damages are edits that each break something, or leave something less.
func damages(t *testing.T, sc *format.Scenario) []format.Edit {
	t.Helper()
	var out []format.Edit
	add := func(op, path, value string) {
		out = append(out, format.Edit{Op: op, Path: path, Value: format.Value(value)})
	}
	for i, k := range sc.Keys {
		doc, err := policy.Parse(k.Policy, policy.Key)
		if err != nil {
			t.Fatal(err)
		}
		for j := range doc.Statements {
			if len(doc.Statements) > 1 {
				add("remove", fmt.Sprintf("/keys/%d/policy/Statement/%d", i, j), "")
			}
		}
		for j := range k.Grants {
			add("remove", fmt.Sprintf("/keys/%d/grants/%d", i, j), "")
		}
		for _, state := range []string{"Disabled", "PendingDeletion", "PendingImport"} {
			add("replace", fmt.Sprintf("/keys/%d/state", i), `"`+state+`"`)
		}
	}
	for i, p := range sc.Principals {
		for j := range p.Policies {
			add("remove", fmt.Sprintf("/principals/%d/policies/%d", i, j), "")
		}
	}
	for i := range sc.Setup {
		add("remove", fmt.Sprintf("/setup/%d", i), "")
	}
	return out
}

// A size is what a patch adds: actions, each once for each statement or grant, and principals.
type size struct{ actions, principals int }

func sizeOf(t *testing.T, patch []format.Edit) size {
	t.Helper()
	var s size
	who := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, a := range texts(v["Action"]) {
				s.actions += expand(a)
			}
			for _, op := range texts(v["operations"]) {
				s.actions += expand("kms:" + op)
			}
			if p, ok := v["Principal"].(map[string]any); ok {
				for _, name := range texts(p["AWS"]) {
					who[name] = true
				}
			}
			if g, ok := v["granteePrincipal"].(string); ok {
				who[g] = true
			}
			for _, name := range []string{"Statement", "policy"} {
				walk(v[name])
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case string:
			if strings.HasPrefix(v, "kms:") {
				s.actions += expand(v)
			}
		}
	}
	for _, e := range patch {
		var v any
		if e.Value != nil {
			if err := json.Unmarshal(e.Value, &v); err != nil {
				t.Fatal(err)
			}
		}
		walk(v)
	}
	s.principals = len(who)
	return s
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// expand counts the actions that a pattern matches.
func expand(pattern string) int {
	service, _ := actions.Load().Service("kms")
	name, many := strings.CutSuffix(strings.TrimPrefix(pattern, "kms:"), "*")
	n := 0
	for _, a := range service.Actions() {
		if a.Name == name || many && strings.HasPrefix(a.Name, name) {
			n++
		}
	}
	return n
}

// TestFixesAreNotLargerThanTheBestKnown: a fix opens no more actions and principals than the
// smallest that the scenario knows.
func TestFixesAreNotLargerThanTheBestKnown(t *testing.T) {
	for id, sc := range corpus(t) {
		r := doctor.Check(sc)
		if r.Fix == nil {
			continue
		}
		got := sizeOf(t, r.Fix.Patch)
		best := size{1 << 30, 1 << 30}
		for _, p := range sc.Expected.Fix.Patches() {
			s := sizeOf(t, p)
			best = size{min(best.actions, s.actions), min(best.principals, s.principals)}
		}
		// A change of template or defaults opens nothing: then the comparison is with what opens.
		if best == (size{}) && len(sc.Expected.Fix.Alternatives) > 0 {
			best = sizeOf(t, sc.Expected.Fix.Patch)
		}
		if got.actions > best.actions || got.principals > best.principals {
			t.Errorf("%s: the fix %q has size %+v, the best known %+v", id, r.Fix.Summary, got, best)
		}
	}
}

// TestFixesOpenNothingToStrangers samples requests that no launch makes, before and after each fix:
// direct ones by others, and every action of the key for the caller itself without EC2 between.
func TestFixesOpenNothingToStrangers(t *testing.T) {
	sampled := 0
	for id, sc := range corpus(t) {
		r := doctor.Check(sc)
		for i, p := range proposals(r) {
			fixed, err := sc.Patched(p.Patch)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range fixed.Keys {
				before := sc.Key(k.ARN)
				for _, q := range strangers(sc) {
					for _, action := range []string{"kms:Decrypt", "kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:ReEncryptFrom"} {
						sampled++
						if opened(t, q, action, before, &k) {
							t.Errorf("%s, fix %d (%s) opens %s on %s to %s", id, i, p.Summary, action, k.ARN, q.ARN)
						}
					}
				}
			}
		}
	}
	if sampled < 1000 {
		t.Errorf("only %d requests were sampled", sampled)
	}
}

// strangers are principals of whom no scenario knows: with and without policies of their own, in
// its accounts and in another.
func strangers(sc *format.Scenario) []authz.Principal {
	var out []authz.Principal
	for _, account := range []string{sc.Launch.Account, "999999999999"} {
		out = append(out, authz.Principal{Type: authz.User, ARN: arn.User(account, "/", "stranger"), Account: account, Username: "stranger"},
			authz.Principal{Type: authz.RoleSession, ARN: arn.Session(account, "stranger", "s"), RoleARN: arn.Role(account, "/", "stranger"), Account: account})
	}
	return append(out, authz.Principal{Type: authz.Service, ARN: "s3.amazonaws.com"})
}

// opened reports whether a direct request is allowed after a fix and was not before.
func opened(t *testing.T, who authz.Principal, action string, before, after *format.Key) bool {
	t.Helper()
	allowed := func(k *format.Key) bool {
		doc, err := policy.Parse(k.Policy, policy.Key)
		if err != nil {
			t.Fatal(err)
		}
		p := authz.Part{Action: action, Resource: authz.Resource{ARN: k.ARN, Account: k.Account}, Policy: authz.Compile(doc, policy.Key), Authoritative: true}
		p.Context.SetBool("aws:viaawsservice", false)
		p.Context.SetBool("kms:grantisforawsresource", false)
		p.Context.Set("aws:sourceip", "198.51.100.7")
		p.Context.Set("kms:calleraccount", who.Account)
		for _, g := range k.Grants {
			if g.Status == format.GrantActive {
				p.Grants = append(p.Grants, authz.Grant{ID: g.ID, Grantee: g.GranteePrincipal, IssuingAccount: k.Account, Operations: g.Operations})
			}
		}
		return authz.Decide(&authz.Request{Principal: who, Parts: []authz.Part{p}}).Outcome == authz.Allowed
	}
	return !allowed(before) && allowed(after)
}
