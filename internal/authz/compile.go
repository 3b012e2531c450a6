package authz

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// compiled is a document's statements made ready. It is immutable.
type compiled struct {
	statements []statement
	index      *index // nil if there are few
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
	anyResource  bool // resources have "*", or are not there, as in trust policies
	conditions   []condition.Condition
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
	out.anyResource = kind == policy.Trust && len(resources) == 0 ||
		!out.notResources && slices.ContainsFunc(out.resources, func(p condition.Pattern) bool { return p.All() })
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
	plain   bool   // name has no wildcards
	hash    uint64 // of the service
}

func compileAction(s string) actionPattern {
	if s == "*" {
		return actionPattern{all: true}
	}
	service, name, ok := strings.Cut(strings.ToLower(s), ":")
	if !ok {
		return actionPattern{} // matches nothing: every action has a colon
	}
	service += ":"
	return actionPattern{service: service, name: name, plain: !strings.ContainsAny(name, "*?"), hash: hash(service)}
}

func (p *actionPattern) match(a *action) bool {
	if p.all {
		return true
	}
	if !p.sameService(a) {
		return false
	}
	name := a.name[len(p.service):]
	switch {
	case p.name == "*":
		return true
	case !p.plain:
		return matchFold(p.name, name)
	case a.n > 0:
		return string(a.lower[len(p.service):a.n]) == p.name
	}
	return matchFold(p.name, name)
}

func (p *actionPattern) sameService(a *action) bool {
	n := len(p.service)
	if a.n > 0 {
		return p.hash == a.serviceHash && n == a.service && string(a.lower[:n]) == p.service
	}
	return n > 0 && len(a.name) >= n && matchFold(p.service, a.name[:n])
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

func (s *statement) matchAction(a *action) bool {
	for i := range s.actions {
		if s.actions[i].match(a) {
			return !s.notActions
		}
	}
	return s.notActions
}

// ofService reports whether the statement speaks of the service of an action.
func (s *statement) ofService(a *action) bool {
	if s.notActions {
		return true
	}
	for i := range s.actions {
		if s.actions[i].all || s.actions[i].sameService(a) {
			return true
		}
	}
	return false
}
