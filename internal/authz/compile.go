package authz

import (
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// compiled is a document's statements made ready. It is immutable.
type compiled struct {
	statements []statement
}

// A statement made ready. One that can never apply (it lacks an element that its kind of document
// needs) is inert.
type statement struct {
	sid          string
	effect       policy.Effect
	pos          policy.Pos
	inert        bool
	principal    *principals
	notPrincipal *principals
	actions      []actionPattern
	notActions   bool // actions are a NotAction
	resources    []condition.Pattern
	notResources bool // resources are a NotResource
	anyResource  bool // trust policies have no resources
	conditions   []condition.Condition
}

// Compile makes a document ready for evaluation. The kind says which elements a statement needs:
// one without Resource applies in a trust policy only. The caller fills in Name, Owner, Attached
// and PrincipalIDs before it shares the result. A nil doc gives an Unknown document.
func Compile(doc *policy.Document, kind policy.Kind) *Document {
	if doc == nil {
		return &Document{Unknown: true}
	}
	c := &compiled{statements: make([]statement, len(doc.Statements))}
	for i := range doc.Statements {
		c.statements[i] = compileStatement(&doc.Statements[i], kind, doc.Variables())
	}
	return &Document{Source: doc, kind: kind, compiled: c}
}

func compileStatement(s *policy.Statement, kind policy.Kind, variables bool) statement {
	out := statement{sid: s.Sid, effect: s.Effect, pos: s.Pos}
	if out.sid == "" {
		out.sid = "#" + strconv.Itoa(s.Index+1)
	}
	out.principal, out.notPrincipal = compilePrincipals(s.Principal), compilePrincipals(s.NotPrincipal)
	actions := s.Actions
	if len(actions) == 0 {
		actions, out.notActions = s.NotActions, true
	}
	for _, a := range actions {
		out.actions = append(out.actions, compileAction(a.Value))
	}
	resources := s.Resources
	if len(resources) == 0 {
		resources, out.notResources = s.NotResources, true
	}
	for _, r := range resources {
		out.resources = append(out.resources, condition.Resource(r.Value, variables))
	}
	out.anyResource = kind == policy.Trust && len(resources) == 0
	for _, c := range s.Conditions {
		out.conditions = append(out.conditions, condition.Compile(c, variables))
	}
	out.inert = len(actions) == 0 || len(resources) == 0 && !out.anyResource ||
		s.Effect != policy.Allow && s.Effect != policy.Deny
	return out
}

// An actionPattern is an entry of Action or NotAction in lower case: "*", or a service, in which
// wildcards are plain characters, and a name that may have them.
//
// Source: IAM User Guide, "IAM JSON policy elements: Action".
type actionPattern struct {
	all     bool
	service string // with its colon
	name    string
	plain   bool // name has no wildcards
}

func compileAction(s string) actionPattern {
	if s == "*" {
		return actionPattern{all: true}
	}
	service, name, ok := strings.Cut(strings.ToLower(s), ":")
	if !ok {
		return actionPattern{} // matches nothing: every action has a colon
	}
	return actionPattern{service: service + ":", name: name, plain: !strings.ContainsAny(name, "*?")}
}

func (a *actionPattern) match(action string) bool {
	if a.all {
		return true
	}
	if !a.sameService(action) {
		return false
	}
	name := action[len(a.service):]
	if a.plain {
		return strings.EqualFold(name, a.name)
	}
	return matchFold(a.name, name)
}

func (a *actionPattern) sameService(action string) bool {
	n := len(a.service)
	return n > 0 && len(action) >= n && strings.EqualFold(action[:n], a.service)
}

// matchFold matches s with a lower-case pattern of * and ?. Letters of s count in any case;
// action names are ASCII.
func matchFold(pattern, s string) bool {
	i, at, star, starAt := 0, 0, -1, 0
	for at < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, starAt = i, at
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == lower(s[at])):
			i, at = i+1, at+1
		case star >= 0:
			starAt++
			i, at = star+1, starAt
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func (s *statement) matchAction(action string) bool {
	for i := range s.actions {
		if s.actions[i].match(action) {
			return !s.notActions
		}
	}
	return s.notActions
}

// ofService reports whether the statement speaks of the service of an action.
func (s *statement) ofService(action string) bool {
	if s.notActions {
		return true
	}
	for i := range s.actions {
		if s.actions[i].all || s.actions[i].sameService(action) {
			return true
		}
	}
	return false
}
