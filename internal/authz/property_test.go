package authz_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// rank orders outcomes by how much they let through.
func rank(o authz.Outcome) int {
	if o == authz.Allowed {
		return 1
	}
	return 0
}

// recompile gives a document with other statements and the rest of d.
func recompile(t *testing.T, d *authz.Document, kind policy.Kind, statements []policy.Statement) *authz.Document {
	t.Helper()
	src := *d.Source
	src.Statements = statements
	c := authz.Compile(&src, kind)
	c.SetPrincipalIDs(d.PrincipalIDs())
	return c
}

// Properties that hold whatever the documents say. Source: IAM User Guide, "Policy evaluation
// logic"; the same are proved of other policy languages (order independence, forbid over permit).
func TestProperties(t *testing.T) {
	changed := map[string]int{}
	for seed := range uint64(4000) {
		w := newWorld(t, seed)
		req := w.request()
		before := authz.Decide(req)
		check := func(name string, after authz.Decision, holds bool) {
			t.Helper()
			if !holds {
				t.Fatalf("seed %d: %s: %v became %v\n%s", seed, name, before.Outcome, after.Outcome, show(req))
			}
			if before.Outcome != after.Outcome {
				changed[name]++
			}
		}
		if len(req.Identity) > 0 {
			other, d := clone(req), req.Identity[0]
			reversed := slices.Clone(d.Source.Statements)
			slices.Reverse(reversed)
			other.Identity = slices.Clone(req.Identity)
			other.Identity[0] = recompile(t, d, policy.Identity, reversed)
			after := authz.Decide(other)
			check("order of statements", after, after.Outcome == before.Outcome)
			slices.Reverse(other.Identity)
			after = authz.Decide(other)
			check("order of documents", after, after.Outcome == before.Outcome)
		}
		for _, effect := range []string{"Allow", "Deny"} {
			s := w.statement(policy.Identity)
			s["Effect"] = effect
			other := clone(req)
			other.Identity = append(slices.Clone(req.Identity), w.compile(object{"Version": "2012-10-17", "Statement": s}, policy.Identity))
			after := authz.Decide(other)
			if effect == "Allow" {
				check("an allow never narrows", after, rank(after.Outcome) >= rank(before.Outcome))
			} else {
				check("a deny never widens", after, rank(after.Outcome) <= rank(before.Outcome))
			}
		}
		limits := map[string]func(*authz.Request){
			"an SCP level": func(r *authz.Request) {
				r.SCPs = append(slices.Clone(r.SCPs), []*authz.Document{w.document(policy.SCP)})
			},
			"an RCP": func(r *authz.Request) {
				r.Parts[0].RCPs = append(slices.Clone(r.Parts[0].RCPs), []*authz.Document{w.document(policy.RCP)})
			},
			"a boundary":         func(r *authz.Request) { r.Boundary = w.document(policy.Identity) },
			"an endpoint policy": func(r *authz.Request) { r.Endpoint = w.document(policy.Endpoint) },
			"a session policy":   func(r *authz.Request) { r.Session = []*authz.Document{w.document(policy.Session)} },
			"a removed grant":    func(r *authz.Request) { r.Parts[0].Grants = r.Parts[0].Grants[:len(r.Parts[0].Grants)/2] },
		}
		if req.Boundary != nil {
			delete(limits, "a boundary")
		}
		if req.Endpoint != nil {
			delete(limits, "an endpoint policy")
		}
		if req.Session != nil || req.Principal.Type == authz.FederatedUser {
			delete(limits, "a session policy")
		}
		for _, name := range keys(limits) {
			other := clone(req)
			limits[name](other)
			after := authz.Decide(other)
			check(name+" never widens", after, rank(after.Outcome) <= rank(before.Outcome))
		}
	}
	for _, name := range []string{
		"an allow never narrows", "a deny never widens", "an SCP level never widens", "an RCP never widens", "a boundary never widens",
		"an endpoint policy never widens", "a session policy never widens", "a removed grant never widens",
	} {
		if changed[name] == 0 {
			t.Errorf("%s: never changed a decision", name)
		}
	}
}

func TestDecisionsAreIndependentOfEvidenceAndRepeatable(t *testing.T) {
	for seed := range uint64(300) {
		req := newWorld(t, seed).request()
		first, err := json.Marshal(authz.Explain(req))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			again, err := json.Marshal(authz.Explain(req))
			if err != nil || string(again) != string(first) {
				t.Fatalf("seed %d: %v\n%s\n%s", seed, err, first, again)
			}
		}
	}
}
