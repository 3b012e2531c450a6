// Package ask answers questions over many principals and keys: who can do something with a key,
// and what a principal can do. Each answer is one decision ([authz.Explain]) in which all that a
// request would bring is unknown, so it holds for every request, or says on which conditions it
// depends.
package ask

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A Candidate is a principal with the documents on its side.
type Candidate struct {
	Principal authz.Principal
	Identity  []*authz.Document
	Boundary  *authz.Document
	SCPs      [][]*authz.Document
	// Sorting, if it is not nil, keeps how the grants of an index were sorted, for the next question to the same
	// candidate: it may hold very many.
	Sorting *Sorting
}

// An Answer is a decision about one candidate and one action.
type Answer struct {
	// Outcome is Allowed for every request, or Undetermined: it depends on the request.
	Outcome authz.Outcome
	// Part cites the statements and grants. Matched apply to every request. Missed may apply: each is
	// one condition that remains to be met, or for a Deny not to be met.
	Part authz.PartDecision
	// More counts grants that are like some of those cited: of very many, not each is.
	More int
}

// Ask decides whether a candidate can do the part's action. ok is false if no request is allowed.
// Grants are looked up in the part's index, or its list. If the part asks for a new grant, that is
// any grant: what a grant that the candidate holds wants of the ones made by it remains a condition.
// If it asks to retire none in particular, the answer cites those that the candidate can retire.
func Ask(c *Candidate, part authz.Part) (_ Answer, ok bool) {
	if anyRetired(&part) {
		return retires(c, part)
	}
	more := reduce(c, &part)
	a, ok := decide(c, part)
	if part.NewGrant != nil && (!ok || a.Outcome != authz.Allowed) {
		for i := range part.Grants {
			if b, can := underParent(c, part, &part.Grants[i]); can && !ok {
				a, ok = b, true
			} else if can {
				a.Part.Missed = append(a.Part.Missed, b.Part.Missed...)
			}
		}
	}
	if ok {
		a.More = more
	}
	return a, ok
}

// Refusal is the evidence of a part that is refused to a candidate, whatever the request.
func Refusal(c *Candidate, part authz.Part) authz.PartDecision {
	if !anyRetired(&part) {
		reduce(c, &part)
	}
	req := request(c, part)
	return authz.Explain(&req).Parts[0]
}

// anyRetired reports whether a part asks to retire no grant in particular.
func anyRetired(part *authz.Part) bool {
	return strings.EqualFold(part.Action, "kms:RetireGrant") && part.Target == nil
}

// reduce leaves a part the grants of a candidate that stand for all; more counts the others.
func reduce(c *Candidate, part *authz.Part) (more int) {
	_, operation, _ := strings.Cut(part.Action, ":")
	part.Grants, more = c.sorted(part).distinct(operation)
	part.GrantIndex = nil
	return more
}

// maxRetired bounds the grants that an answer about kms:RetireGrant cites.
const maxRetired = 10

// retires answers which of the grants a candidate can retire, which depends on the grant. Those that
// name the same principals are decided once.
func retires(c *Candidate, part authz.Part) (a Answer, ok bool) {
	index := part.GrantIndex
	if index == nil {
		index = authz.IndexGrants(part.Grants)
	}
	part.Grants, part.GrantIndex = nil, nil
	type ends struct {
		grantee, granteeID, retiring, retiringID, issuer string
		retires                                          bool
	}
	known := map[ends]bool{}
	n := 0
	for g := range index.Retirable(&c.Principal) {
		e := ends{g.Grantee, g.GranteeID, g.Retiring, g.RetiringID, g.IssuingAccount, allows(g.Operations, "RetireGrant")}
		can, again := known[e]
		switch {
		case again && !can:
			continue
		case again && n == maxRetired:
			a.More++
			continue
		}
		part.Target = g
		b, can := decide(c, part)
		known[e] = can
		switch {
		case !can:
			continue
		case n == maxRetired:
			a.More++
			continue
		case !ok:
			a, ok = Answer{Outcome: authz.Undetermined, Part: b.Part}, true
		default:
			a.Part.Matched = append(a.Part.Matched, slices.DeleteFunc(b.Part.Matched, func(m authz.Match) bool { return slices.Contains(a.Part.Matched, m) })...)
			a.Part.Missed = append(a.Part.Missed, b.Part.Missed...)
		}
		n++
	}
	return a, ok
}

// decide answers for one part.
func decide(c *Candidate, part authz.Part) (_ Answer, ok bool) {
	keys := unknowns(c, &part)
	req := request(c, part)
	for _, k := range keys {
		req.Context.SetUnknown(k)
	}
	known := authz.Explain(&req)
	if known.Outcome != authz.Allowed && known.Outcome != authz.Undetermined || len(known.Parts) != 1 {
		return Answer{}, false
	}
	a := Answer{Outcome: known.Outcome, Part: known.Parts[0]}
	// What cannot apply is in known.Missed. Of the rest, which statements there are shows where the
	// unknown keys are absent: then each applies, or misses for a condition.
	bare := request(c, part)
	if d := authz.Explain(&bare); len(d.Parts) == 1 {
		a.Part.Missed = remaining(c, &part, keys, &known.Parts[0], &d.Parts[0])
	}
	return a, true
}

// underParent answers whether a candidate can make grants by one that it holds, under the same
// constraints. Source: KMS Developer Guide, "Creating grants", Granting CreateGrant permission.
func underParent(c *Candidate, part authz.Part, parent *authz.Grant) (_ Answer, ok bool) {
	if !slices.Contains(parent.Operations, "CreateGrant") || len(parent.ContextEquals)+len(parent.ContextSubset) == 0 && parent.SourceARN == "" {
		return Answer{}, false
	}
	part.NewGrant = &authz.Grant{ContextEquals: parent.ContextEquals, ContextSubset: parent.ContextSubset, SourceARN: parent.SourceARN}
	part.Grants = []authz.Grant{*parent}
	a, ok := decide(c, part)
	if !ok {
		return a, false
	}
	a.Outcome = authz.Undetermined // on the new grant
	i := slices.IndexFunc(a.Part.Matched, func(m authz.Match) bool { return m.Layer == authz.LayerGrant && m.GrantID == parent.ID })
	if i >= 0 {
		a.Part.Missed = append(a.Part.Missed, constraints(&part, &a.Part.Matched[i])...)
		a.Part.Matched = slices.Delete(a.Part.Matched, i, i+1)
	}
	return a, true
}

func request(c *Candidate, part authz.Part) authz.Request {
	return authz.Request{
		Principal: c.Principal, Identity: c.Identity, Boundary: c.Boundary, SCPs: c.SCPs, Parts: []authz.Part{part},
	}
}

// remaining are the conditions on unknown keys of the statements and grants that may apply.
func remaining(c *Candidate, part *authz.Part, keys []string, known, bare *authz.PartDecision) []authz.Miss {
	var out []authz.Miss
	add := func(m *authz.Match) {
		same := func(o *authz.Match) bool {
			return o.Layer == m.Layer && o.Document == m.Document && o.Pos == m.Pos && o.GrantID == m.GrantID
		}
		if slices.ContainsFunc(known.Matched, func(o authz.Match) bool { return same(&o) }) ||
			slices.ContainsFunc(known.Missed, func(o authz.Miss) bool { return same(&o.Match) }) {
			return
		}
		if m.GrantID != "" {
			out = append(out, constraints(part, m)...)
			return
		}
		st, ok := find(c, part, m)
		if !ok {
			return
		}
		for _, cond := range st.Conditions {
			if slices.Contains(keys, strings.ToLower(cond.Key)) {
				out = append(out, authz.Miss{
					Match: *m, Reason: authz.MissCondition, Operator: cond.Operator, Key: cond.Key, Want: values(cond.Values),
					Got: authz.Value{Unknown: true},
				})
			}
		}
	}
	for i := range bare.Matched {
		add(&bare.Matched[i])
	}
	for i := range bare.Missed {
		switch m := &bare.Missed[i]; m.Reason {
		case authz.MissCondition, authz.MissConstraint, authz.MissSourceARN, authz.MissNotSubset:
			add(&m.Match)
		}
	}
	return out
}

// constraints are what a grant wants of a request.
func constraints(part *authz.Part, m *authz.Match) []authz.Miss {
	var out []authz.Miss
	for i := range part.Grants {
		g := &part.Grants[i]
		if g.ID != m.GrantID {
			continue
		}
		for _, pairs := range []map[string]string{g.ContextEquals, g.ContextSubset} {
			for _, k := range sorted(pairs) {
				out = append(out, authz.Miss{
					Match: *m, Reason: authz.MissConstraint, Key: encryptionContext + k, Want: []string{pairs[k]}, Got: authz.Value{Unknown: true},
				})
			}
		}
		if g.SourceARN != "" {
			out = append(out, authz.Miss{
				Match: *m, Reason: authz.MissSourceARN, Key: "aws:SourceArn", Want: []string{g.SourceARN}, Got: authz.Value{Unknown: true},
			})
		}
	}
	return out
}

// find is the statement that a match names.
func find(c *Candidate, part *authz.Part, m *authz.Match) (policy.Statement, bool) {
	for d := range documents(c, part) {
		if d.Source == nil || d.Name != m.Document {
			continue
		}
		i := slices.IndexFunc(d.Source.Statements, func(st policy.Statement) bool { return st.Pos == m.Pos && st.Effect == m.Effect })
		if i >= 0 {
			return d.Source.Statements[i], true
		}
	}
	return policy.Statement{}, false
}

func values(texts []policy.Text) []string {
	out := make([]string, len(texts))
	for i := range texts {
		out[i] = texts[i].Value
	}
	return out
}
