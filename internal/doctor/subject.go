package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A subject is who makes a request, with the documents on its side.
type subject struct {
	name      string // ARN of the role, user or root
	principal authz.Principal
	identity  []*authz.Document
	boundary  *authz.Document
	scps      [][]*authz.Document
}

// sessionOf is the name of a role's sessions. In a world only those of roles that launch for a
// service have one that is known.
func sessionOf(role string) string { return cmp.Or(launch.SessionOf(role), "session") }

// subjectOf is a principal of the scenario.
func (w *world) subjectOf(i int) *subject {
	p := &w.sc.Principals[i]
	path := "/principals/" + strconv.Itoa(i)
	s := w.subjectNamed(p.ARN)
	s.principal.UniqueID = p.ID
	if p.ID != "" {
		s.principal.UserID = p.ID
		if s.principal.Type == authz.RoleSession {
			s.principal.UserID += ":" + sessionOf(p.ARN)
		}
	}
	account := s.principal.Account
	if _, unknown := w.unknown(path + "/policies"); unknown && len(p.Policies) == 0 {
		s.identity = append(s.identity, w.document(path+"/policies", "the policies of "+p.ARN, account, p.ARN, policy.Identity, nil))
	}
	for j, pol := range p.Policies {
		s.identity = append(s.identity, w.document(fmt.Sprintf("%s/policies/%d/policy", path, j), pol.Name, account, p.ARN, policy.Identity, pol.Policy))
	}
	if _, unknown := w.unknown(path + "/boundary"); p.Boundary != nil || unknown {
		s.boundary = w.document(path+"/boundary", "permissions boundary of "+p.ARN, account, p.ARN, policy.Identity, p.Boundary)
	}
	return s
}

// subjectNamed is a role, user or root of an ARN, without documents of its own.
func (w *world) subjectNamed(name string) *subject {
	a, err := arn.Parse(name)
	s := &subject{name: name, principal: authz.Principal{Type: authz.UnknownPrincipal, ARN: name, Account: a.Account}}
	if err != nil {
		return s
	}
	id := a.ID()
	short := id[strings.LastIndexByte(id, '/')+1:]
	p := &s.principal
	switch {
	case name == arn.Root(a.Account):
		p.Type, p.UserID = authz.Root, a.Account
	case a.Type() == "user":
		p.Type, p.Username, p.UserID = authz.User, short, "AIDAEXAMPLE"
	case a.Type() == "role":
		p.Type, p.RoleARN = authz.RoleSession, name
		p.ARN, p.UserID = arn.Session(a.Account, short, sessionOf(name)), "AROAEXAMPLE:"+sessionOf(name)
	}
	w.placeOf(s)
	return s
}

// placeOf gives a subject what the organization of its account says.
func (w *world) placeOf(s *subject) {
	if a, ok := w.accounts[s.principal.Account]; ok {
		s.scps = a.scps
		s.principal.AccountRole, s.principal.OrgID = a.place, a.Org
	}
}

// subject is a principal by its ARN, which must exist or be one that AWS makes when it is needed.
func (w *world) subject(name string) *subject {
	if i, ok := w.principals[name]; ok {
		return w.subjectOf(i)
	}
	return w.subjectNamed(name)
}

// actor is who makes a request of a launch that the caller does not make.
func (w *world) actor(r launch.Request) *subject {
	p, _ := r.Principal()
	s := &subject{name: p.ARN, principal: p}
	if r.As == launch.Infrastructure {
		s.name = p.RoleARN
		w.placeOf(s)
	}
	return s
}

// errUnknown says that nobody knows whether a principal exists.
var errUnknown = errors.New("doctor: not known")

// find finds a principal for what names it. Its error wraps errUnknown if the scenario does not
// tell.
func (w *world) find(principal string) (id string, known bool, _ error) {
	if id, known = w.listed(principal); known {
		return id, true, nil
	}
	if why, ok := w.unknown("/principals"); ok { // there may be others
		return "", false, fmt.Errorf("%w: %s", errUnknown, why)
	}
	a, err := arn.Parse(principal)
	if err != nil {
		return "", false, nil
	}
	if _, here := w.accounts[a.Account]; !here && arn.IsAccount(a.Account) {
		return "", false, fmt.Errorf("%w: whether %s exists, for account %s is not described", errUnknown, principal, a.Account)
	}
	return "", false, nil
}

// listed finds a principal among those that the scenario lists, and the roots of its accounts.
func (w *world) listed(principal string) (id string, ok bool) {
	a, err := arn.Parse(principal)
	if err != nil {
		return "", false
	}
	if _, here := w.accounts[a.Account]; here && principal == arn.Root(a.Account) {
		return "", true
	}
	if a.Service == "sts" { // a session exists if its role does
		name, _, _ := strings.Cut(a.ID(), "/")
		for _, p := range w.sc.Principals {
			if p.Kind != format.KindUser && strings.HasSuffix(p.ARN, "/"+name) && strings.Contains(p.ARN, "::"+a.Account+":role/") {
				return p.ID, true
			}
		}
		return "", false
	}
	i, ok := w.principals[principal]
	if !ok {
		return "", false
	}
	return w.sc.Principals[i].ID, true
}
