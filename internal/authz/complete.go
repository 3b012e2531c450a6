package authz

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz/condition"
)

// maxCompletions bounds the work on a request with several unknown keys.
const maxCompletions = 256

// settle looks at an undetermined part again: if unknown condition keys are compared in ways that
// a few values stand for, it decides with each of these, and a common answer is the answer. So a
// request that is allowed for one value by one statement and for all others by another is
// allowed.
func settle(req *Request, i int, v verdict) verdict {
	part := req.Parts[i]
	completions := []Context{nil}
	for _, k := range unknownKeys(req, &part) {
		cases := casesOf(req, &part, &k)
		if !cases.Exact() {
			continue // stays unknown
		}
		values := cases.Values(&k)
		if len(completions)*len(values) > maxCompletions {
			return v
		}
		var longer []Context
		for _, c := range completions {
			for _, value := range values {
				longer = append(longer, append(slices.Clip(c), Entry{Key: k.Name, Value: value}))
			}
		}
		completions = longer
	}
	if len(completions) == 1 {
		return v
	}
	var common verdict
	for n, c := range completions {
		e := evaluation{req: req, part: new(part)}
		e.part.Context = slices.Concat(part.Context, c)
		got := e.decide()
		switch {
		case got.outcome == Undetermined, n > 0 && (got.outcome == Allowed) != (common.outcome == Allowed):
			return v
		case n == 0, got.outcome == ImplicitDeny && common.outcome == ExplicitDeny:
			common = got // denied in all, not explicitly in all
		}
	}
	return common
}

// unknownKeys are the keys of the context whose values are unknown.
func unknownKeys(req *Request, part *Part) []condition.Key {
	env := condition.Env{Part: part.Context, Request: req.Context}
	var keys []condition.Key
	for _, entry := range slices.Concat(part.Context, req.Context) {
		k := condition.MakeKey(entry.Key)
		if v, _ := env.Lookup(&k); v.Unknown && !slices.ContainsFunc(keys, func(o condition.Key) bool { return o.Same(&k) }) {
			keys = append(keys, k)
		}
	}
	return keys
}

// casesOf gathers how all documents and grants of a part use a key.
func casesOf(req *Request, part *Part, k *condition.Key) *condition.Cases {
	cases := &condition.Cases{}
	for d := range documents(req, part) {
		if d == nil || d.compiled == nil {
			continue
		}
		for i := range d.compiled.statements {
			d.compiled.statements[i].uses(k, cases)
		}
	}
	grants := [...][]Grant{part.Grants, ofIndex(part)}
	if k.Same(&sourceARN) {
		known := map[string]bool{"": true} // a grant without one asks for none
		for _, list := range grants {
			for i := range list {
				if text := list[i].SourceARN; !known[text] {
					known[text] = true
					cases.Text(text)
				}
			}
		}
	}
	if _, ok := cutFold(k.Name, strings.TrimSuffix(encryptionContext, ":")); ok && len(grants[0])+len(grants[1]) > 0 || k.Same(&federatedProvider) {
		cases.Inexact()
	}
	return cases
}

// ofIndex are the grants of a part's index.
func ofIndex(part *Part) []Grant {
	if part.GrantIndex == nil {
		return nil
	}
	return part.GrantIndex.all
}

func (s *statement) uses(k *condition.Key, cases *condition.Cases) {
	for i := range s.resources {
		if s.resources[i].Uses(k) {
			cases.Inexact()
		}
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.Uses(k) {
			cases.Inexact()
		}
		if c.Key.Same(k) {
			cases.Add(c)
		}
	}
}

// documents yields every document that bears on a part.
func documents(req *Request, part *Part) func(func(*Document) bool) {
	all := slices.Concat(req.Identity, req.Session, []*Document{req.Boundary, req.Endpoint, part.Policy})
	for _, levels := range [...][][]*Document{req.SCPs, part.RCPs} {
		for _, docs := range levels {
			all = append(all, docs...)
		}
	}
	return slices.Values(all)
}
