package authz_test

import (
	"bytes"
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

// rewrite gives a request with each of its documents written otherwise.
func rewrite(req *authz.Request, fn func(*authz.Document, policy.Kind) *authz.Document) *authz.Request {
	list := func(docs []*authz.Document, kind policy.Kind) []*authz.Document {
		out := slices.Clone(docs)
		for i := range out {
			out[i] = fn(out[i], kind)
		}
		return out
	}
	one := func(d *authz.Document, kind policy.Kind) *authz.Document {
		if d == nil {
			return nil
		}
		return fn(d, kind)
	}
	levels := func(docs [][]*authz.Document, kind policy.Kind) [][]*authz.Document {
		out := slices.Clone(docs)
		for i := range out {
			out[i] = list(out[i], kind)
		}
		return out
	}
	c := clone(req)
	c.Identity, c.Boundary, c.Session = list(req.Identity, policy.Identity), one(req.Boundary, policy.Identity), list(req.Session, policy.Session)
	c.SCPs, c.Endpoint = levels(req.SCPs, policy.SCP), one(req.Endpoint, policy.Endpoint)
	for i := range c.Parts {
		p := &c.Parts[i]
		kind := kindOf(p)
		p.Policy, p.RCPs = one(p.Policy, kind), levels(p.RCPs, policy.RCP)
	}
	return c
}

// kindOf is the kind of the policy of a part.
func kindOf(p *authz.Part) policy.Kind {
	switch {
	case p.Action == "sts:AssumeRole":
		return policy.Trust
	case p.Authoritative:
		return policy.Key
	}
	return policy.Resource
}

// rewrites are ways to write a document otherwise that mean the same.
var rewrites = map[string]func(*testing.T, *authz.Document, policy.Kind) *authz.Document{
	"order of statements": func(t *testing.T, d *authz.Document, kind policy.Kind) *authz.Document {
		reversed := slices.Clone(d.Source.Statements)
		slices.Reverse(reversed)
		return recompile(t, d, kind, reversed)
	},
	"statements twice": func(t *testing.T, d *authz.Document, kind policy.Kind) *authz.Document {
		return recompile(t, d, kind, slices.Concat(d.Source.Statements, d.Source.Statements))
	},
	"white space": func(t *testing.T, d *authz.Document, kind policy.Kind) *authz.Document {
		var b bytes.Buffer
		if err := json.Indent(&b, d.Source.Source, "  ", "\t"); err != nil {
			t.Fatal(err)
		}
		c := document(t, b.String(), kind)
		c.SetPrincipalIDs(d.PrincipalIDs())
		return c
	},
	"one value or a list of one": func(t *testing.T, d *authz.Document, kind policy.Kind) *authz.Document {
		var tree any
		if err := json.Unmarshal(d.Source.Source, &tree); err != nil {
			t.Fatal(err)
		}
		src, err := json.Marshal(relist(tree))
		if err != nil {
			t.Fatal(err)
		}
		c := document(t, string(src), kind)
		c.SetPrincipalIDs(d.PrincipalIDs())
		return c
	},
}

// relist turns lists of one string into the string, and the strings of elements that may be lists
// into lists.
func relist(v any) any {
	switch v := v.(type) {
	case []any:
		if len(v) == 1 {
			if _, ok := v[0].(string); ok {
				return v[0]
			}
		}
		for i := range v {
			v[i] = relist(v[i])
		}
	case map[string]any:
		for k, member := range v {
			text, isText := member.(string)
			switch k {
			case "Effect", "Version", "Sid", "Principal", "NotPrincipal":
				if isText {
					continue
				}
			}
			if isText {
				v[k] = []any{text}
			} else {
				v[k] = relist(member)
			}
		}
	}
	return v
}

// Properties that hold whatever the documents say. Source: IAM User Guide, "Policy evaluation
// logic"; the same are proved of other policy languages (order independence, forbid over permit).
func TestProperties(t *testing.T) {
	changed := map[string]int{}
	for seed := range uint64(1500) {
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
		for _, name := range keys(rewrites) {
			after := authz.Decide(rewrite(req, func(d *authz.Document, kind policy.Kind) *authz.Document {
				return rewrites[name](t, d, kind)
			}))
			check(name, after, after.Outcome == before.Outcome)
		}
		reordered := clone(req)
		reordered.Identity = slices.Clone(req.Identity)
		slices.Reverse(reordered.Identity)
		reordered.Parts[0].Grants = slices.Clone(req.Parts[0].Grants)
		slices.Reverse(reordered.Parts[0].Grants)
		after := authz.Decide(reordered)
		check("order of documents and grants", after, after.Outcome == before.Outcome)
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
			p := &req.Parts[0]
			if p.Policy == nil {
				continue
			}
			s = w.statement(kindOf(p))
			s["Effect"] = effect
			more := w.compile(object{"Version": "2012-10-17", "Statement": s}, kindOf(p)).Source.Statements
			other = clone(req)
			other.Parts[0].Policy = recompile(t, p.Policy, kindOf(p), slices.Concat(p.Policy.Source.Statements, more))
			after = authz.Decide(other)
			if effect == "Allow" {
				check("an allow of the resource's policy never narrows", after, rank(after.Outcome) >= rank(before.Outcome))
			} else {
				check("a deny of the resource's policy never widens", after, rank(after.Outcome) <= rank(before.Outcome))
			}
		}
		granted := clone(req)
		granted.Parts[0].Grants = append(slices.Clone(req.Parts[0].Grants), w.grant())
		after = authz.Decide(granted)
		check("a grant never narrows", after, rank(after.Outcome) >= rank(before.Outcome))
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
		"an allow never narrows", "a deny never widens", "an allow of the resource's policy never narrows",
		"a deny of the resource's policy never widens", "a grant never narrows", "an SCP level never widens", "an RCP never widens", "a boundary never widens",
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
