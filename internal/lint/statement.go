package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// An entry is one entry of Action with what it matches.
type entry struct {
	policy.Text
	matches []*actions.Action
	// open reports that it also matches actions of which nothing is known.
	open bool
}

// A statement is a statement with what its actions match.
type statement struct {
	*policy.Statement
	entries []entry
	// open reports that the statement is about actions of which nothing is known.
	open bool
}

func (l *linter) analyse(s *policy.Statement) *statement {
	out := &statement{Statement: s, open: len(s.NotActions) > 0}
	for _, t := range s.Actions {
		e := l.match(t)
		out.entries = append(out.entries, e)
		out.open = out.open || e.open
	}
	return out
}

// match finds the actions that an entry of Action matches.
func (l *linter) match(t policy.Text) entry {
	e, ok := l.known.entry(t.Value)
	if !ok {
		e = l.find(t)
		l.known.keep(t.Value, e)
	}
	e.Text = t
	return e
}

func (l *linter) find(t policy.Text) entry {
	e := entry{Text: t, open: t.Value == "*"}
	matches := matcher(t.Value)
	prefix, _, _ := strings.Cut(t.Value, ":")
	if s, ok := l.table.Service(prefix); ok {
		for _, a := range s.Actions() {
			if matches(a.Full()) {
				e.matches = append(e.matches, a)
				e.open = e.open || a.NamesOnly
			}
		}
		return e
	}
	if t.Value != "*" {
		e.open = l.table.Exists(prefix)
		return e
	}
	for s := range l.table.Services() {
		e.matches = append(e.matches, s.Actions()...)
	}
	return e
}

// probeAccount is the account of principals that stand for any.
const probeAccount = "000000000000"

// matcher asks the engine whether an entry of Action covers an action.
func matcher(pattern string) func(action string) bool {
	doc := authz.Compile(&policy.Document{Version: policy.Version2012, Statements: []policy.Statement{{
		Effect: policy.Allow, Actions: []policy.Text{{Value: pattern}}, Resources: []policy.Text{{Value: "*"}},
	}}}, policy.Identity)
	req := authz.Request{
		Principal: authz.Principal{Type: authz.User, ARN: "arn:aws:iam::" + probeAccount + ":user/probe", Account: probeAccount},
		Identity:  []*authz.Document{doc},
		Parts: []authz.Part{{
			Resource: authz.Resource{ARN: "*", Account: probeAccount},
			Target:   &authz.Grant{IssuingAccount: probeAccount}, // of kms:RetireGrant, which no policy allows without one
		}},
	}
	return func(action string) bool {
		req.Parts[0].Action = action
		if strings.EqualFold(action, "sts:GetCallerIdentity") || strings.EqualFold(action, "sts:GetSessionToken") {
			return len(authz.Cite(&req, nil).Parts[0].Matched) > 0 // these are allowed whatever the policy says
		}
		return authz.Decide(&req).Outcome == authz.Allowed
	}
}

// matches are the actions of the table that the statement's entries match, each once.
func matches(s *statement) []*actions.Action {
	var out []*actions.Action
	for _, e := range s.entries {
		for _, a := range e.matches {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// covers reports whether an action is among those of the statement, by Action or NotAction.
func (s *statement) covers(action string) bool {
	for _, e := range s.entries {
		if matcher(e.Value)(action) {
			return true
		}
	}
	if len(s.NotActions) == 0 {
		return false
	}
	for _, t := range s.NotActions {
		if matcher(t.Value)(action) {
			return false
		}
	}
	return true
}

// elements finds statements that lack an element without which they apply to nothing.
//
// Source: KMS Developer Guide, "Creating a key policy" (Resource); IAM User Guide, "IAM JSON
// policy elements reference".
func (l *linter) elements(s *statement) {
	switch {
	case len(s.Actions)+len(s.NotActions) == 0:
		l.add("inert-statement", s.Statement, s.Pos, speech.Say("The statement has no Action, so it applies to nothing."), speech.Say("Add an Action, or remove the statement."))
	case len(s.Resources)+len(s.NotResources) == 0 && l.opts.Kind != policy.Trust:
		fix := speech.Say("Add the Resource.")
		if l.opts.Kind == policy.Key {
			fix = speech.Say(`Add "Resource": "*", which in a key policy is this key.`)
		}
		l.add("inert-statement", s.Statement, s.Pos, speech.Say("The statement has no Resource. It is accepted, but applies to nothing."), fix)
	case s.NotPrincipal != nil && s.Effect == policy.Allow:
		l.add("not-principal-allow", s.Statement, s.NotPrincipal.Pos, speech.Say("NotPrincipal serves to deny; with Allow the statement allows nobody."),
			speech.Say(`Name who is meant in Principal, or use "Principal": "*" with a condition on aws:PrincipalArn.`))
	}
}

// sidRules finds Sids that two statements have, where AWS accepts that.
func (l *linter) sidRules() {
	if l.opts.Kind != policy.Key && l.opts.Kind != policy.SCP && l.opts.Kind != policy.RCP {
		return
	}
	seen := map[string]int{}
	for i := range l.doc.Statements {
		s := &l.doc.Statements[i]
		if first, ok := seen[s.Sid]; ok && s.Sid != "" {
			l.add("duplicate-sid", s, s.Pos, speech.Say("The Sid %s is also that of statement %s, so what names it is ambiguous.", quote(s.Sid), itoa(first)),
				speech.Say("Give each statement its own Sid."))
			continue
		}
		seen[s.Sid] = s.Index + 1
	}
}
