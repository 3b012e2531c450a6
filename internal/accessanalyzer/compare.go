package accessanalyzer

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// only is the document with no other Allow than one statement: what it allows by itself.
func (s *subject) only(st *policy.Statement) *subject {
	return s.keeping(func(o *policy.Statement) bool { return o.Effect == policy.Deny || o.Index == st.Index })
}

func (s *subject) keeping(keep func(*policy.Statement) bool) *subject {
	doc := *s.doc
	doc.Statements = nil
	for i := range s.doc.Statements {
		if st := &s.doc.Statements[i]; keep(st) {
			doc.Statements = append(doc.Statements, *st)
		}
	}
	return &subject{&doc, authz.Compile(&doc, s.kind), s.kind, s.keys}
}

// more reports whether a statement allows something that another document does not.
func (s *subject) more(st *policy.Statement, old *subject) bool {
	own := s.only(st)
	open := slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.keys, old.keys))))
	for _, r := range s.requests(st, nil, nil, s.who(st)) {
		if own.mayAllow(&r, open) && !old.covers(&r, open, st, own) {
			return true
		}
	}
	return s.escapes(st, own, old, open)
}

// escapes looks at what the other document denies and this one does not: requests that the patterns of
// those denials have in common with the statement.
func (s *subject) escapes(st *policy.Statement, own, old *subject, open []string) bool {
	for i := range old.doc.Statements {
		deny := &old.doc.Statements[i]
		if deny.Effect != policy.Deny {
			continue
		}
		for _, r := range s.requests(st, values(deny.Actions), values(deny.Resources), slices.Concat(s.who(st), s.who(deny))) {
			if own.mayAllow(&r, open) && !old.covers(&r, open, st, own) {
				return true
			}
		}
	}
	return false
}

// covers reports whether the document allows all of the requests that a statement of another one does.
func (s *subject) covers(r *request, open []string, st *policy.Statement, other *subject) bool {
	switch s.decide(r, open) {
	case authz.Allowed:
		return true
	case authz.Undetermined:
	default:
		return false
	}
	// Each of its denials that may match must be one of the other's too.
	for i := range s.doc.Statements {
		deny := &s.doc.Statements[i]
		if deny.Effect != policy.Deny || !s.applies(r, open, deny) {
			continue
		}
		if !slices.ContainsFunc(other.doc.Statements, func(o policy.Statement) bool {
			return o.Effect == policy.Deny && implied(deny.Conditions, o.Conditions) && other.applies(r, open, &o)
		}) {
			return false
		}
	}
	for i := range s.doc.Statements {
		allow := &s.doc.Statements[i]
		if allow.Effect == policy.Allow && implied(st.Conditions, allow.Conditions) && s.applies(r, open, allow) {
			return true
		}
	}
	return false
}

// applies reports whether a statement matches a request but for its conditions.
func (s *subject) applies(r *request, open []string, st *policy.Statement) bool {
	bare := *st
	bare.Effect, bare.Conditions = policy.Allow, nil
	one := s.keeping(func(*policy.Statement) bool { return false })
	one.doc.Statements = []policy.Statement{bare}
	one.compiled = authz.Compile(one.doc, s.kind)
	return one.decide(r, open) == authz.Allowed
}

// implied reports whether conditions that hold make others hold: each of those is among them, with the
// same values or more.
func implied(strict, loose []policy.Condition) bool {
	return !slices.ContainsFunc(loose, func(l policy.Condition) bool {
		return !slices.ContainsFunc(strict, func(s policy.Condition) bool {
			if s.Operator != l.Operator || !strings.EqualFold(s.Key, l.Key) {
				return false
			}
			// More values make a condition wider, and a negated one narrower.
			few, many := s.Values, l.Values
			if op, ok := policy.ParseOperator(s.Operator); ok && strings.Contains(op.Name, "Not") {
				few, many = l.Values, s.Values
			}
			return subset(few, many)
		})
	})
}

func subset(few, many []policy.Text) bool {
	return !slices.ContainsFunc(few, func(f policy.Text) bool {
		return !slices.ContainsFunc(many, func(m policy.Text) bool { return m.Value == f.Value })
	})
}
