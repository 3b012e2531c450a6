// Package compare says what the change of a key policy changes: who can do what afterwards that
// they could not before, or the other way round, and on which conditions. It asks both policies the
// same questions about everybody whom either names (package ask), so that it knows no rule of its
// own; what a statement says twice, or in other words, is no change.
package compare

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// Kinds of change.
const (
	Gains   = "gains"   // what was not possible at all
	Loses   = "loses"   // what is not possible any more
	Wider   = "wider"   // on more conditions than before
	Tighter = "tighter" // on fewer
	Other   = "other"   // on other conditions
)

// A Change is what becomes of some actions of a principal.
type Change struct {
	Kind      string   `json:"kind"`
	Principal string   `json:"principal"` // an ARN, or in words who else
	Actions   []string `json:"actions"`   // of the policies' own patterns where they fit
	// Before and After are the conditions in words: "always", "never", "if ...".
	Before string `json:"before"`
	After  string `json:"after"`
}

// A Key is what the policies are of. An account that is "" is that of the statement which names
// one; see [Owner].
type Key struct{ ARN, Account, Region string }

// Owner is the account whose key a policy is made for, as far as it tells: that of the first
// statement that allows an account everything.
func Owner(docs ...*policy.Document) string {
	first := ""
	for _, d := range docs {
		for _, st := range d.Statements {
			if st.Principal == nil || st.Effect != policy.Allow {
				continue
			}
			for _, t := range st.Principal.AWS {
				account, ok := policy.IsAccountPrincipal(t.Value)
				if ok && slices.ContainsFunc(st.Actions, func(a policy.Text) bool { return strings.EqualFold(a.Value, "kms:*") || a.Value == "*" }) {
					return account
				}
				if a, err := arn.Parse(t.Value); first == "" && err == nil {
					first = a.Account
				}
			}
		}
	}
	return first
}

// Policies compares two policies of a key. The changes are ordered by principal, as the policies
// name them, and action.
func Policies(before, after *policy.Document, key Key) []Change {
	if key.Account == "" {
		key.Account = Owner(before, after)
	}
	if key.ARN == "" {
		key.ARN = arn.KMSKey("*", key.Account, "*") // no policy of a key says anything of its own ARN
	}
	q := questions{key: key, patterns: patterns(before, after), before: authz.Compile(before, policy.Key), after: authz.Compile(after, policy.Key)}
	for _, d := range []*authz.Document{q.before, q.after} {
		d.Name, d.Owner, d.Attached = "key policy", key.Account, key.ARN
	}
	kms, _ := actions.Load().Service("kms")
	for _, a := range kms.Actions() {
		if a.ByKeyPolicy {
			q.actions = append(q.actions, a.Full())
		}
	}
	var out []Change
	for _, s := range subjects(key, before, after) {
		out = append(out, q.changes(&s)...)
	}
	return out
}

// questions are those about two policies.
type questions struct {
	key           Key
	actions       []string
	patterns      []string // of actions, that the policies use
	before, after *authz.Document
}

// changes are those of one principal: actions that change alike are one.
func (q *questions) changes(s *subject) []Change {
	var out []Change
	for _, action := range q.actions {
		was, is := q.ask(s, q.before, action), q.ask(s, q.after, action)
		kind, ok := was.to(is)
		if !ok {
			continue
		}
		c := Change{Kind: kind, Principal: s.name, Before: was.String(), After: is.String()}
		i := slices.IndexFunc(out, func(o Change) bool { return o.Kind == c.Kind && o.Before == c.Before && o.After == c.After })
		if i < 0 {
			out = append(out, c)
			i = len(out) - 1
		}
		out[i].Actions = append(out[i].Actions, action)
	}
	for i := range out {
		out[i].Actions = q.short(out[i].Actions)
	}
	return out
}

func (q *questions) ask(s *subject, doc *authz.Document, action string) state {
	part := authz.Part{
		Action: action, Resource: authz.Resource{ARN: q.key.ARN, Account: q.key.Account}, Policy: doc, Authoritative: true,
	}
	if account := s.candidate.Principal.Account; account != "" {
		part.Context.Set("kms:CallerAccount", account)
	}
	a, ok := ask.Ask(&s.candidate, part)
	if !ok {
		return state{}
	}
	return stateOf(&a, len(s.candidate.Identity) > 0)
}

// short writes actions by the patterns of the policies, where all that a pattern means is there.
func (q *questions) short(list []string) []string {
	var out []string
	rest := slices.Clone(list)
	for _, p := range append([]string{"kms:*"}, q.patterns...) {
		prefix := strings.ToLower(strings.TrimSuffix(p, "*"))
		means := func(a string) bool { return strings.HasPrefix(strings.ToLower(a), prefix) }
		missing := slices.ContainsFunc(q.actions, func(a string) bool { return means(a) && !slices.Contains(list, a) })
		if missing || !slices.ContainsFunc(rest, means) {
			continue
		}
		out = append(out, p)
		rest = slices.DeleteFunc(rest, means)
	}
	return append(out, rest...)
}

// patterns are the patterns of actions with a star at the end, and no other, that policies have;
// the wider first.
func patterns(docs ...*policy.Document) []string {
	var out []string
	for _, d := range docs {
		for _, st := range d.Statements {
			for _, a := range slices.Concat(st.Actions, st.NotActions) {
				prefix, ok := strings.CutSuffix(a.Value, "*")
				if ok && len(prefix) > len("kms:") && !strings.ContainsAny(prefix, "*?") && !slices.Contains(out, a.Value) {
					out = append(out, a.Value)
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(a) - len(b) })
	return out
}
