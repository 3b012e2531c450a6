package kagimori

import (
	"iter"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

// principals yields the root user, the users and the roles of an account, with their policies.
func (s *Service) principals(tx store.Tx, account string, now time.Time) iter.Seq2[ask.Candidate, error] {
	d := s.g.Directory()
	return func(yield func(ask.Candidate, error) bool) {
		root := directory.Identity{Principal: authz.Principal{Type: authz.Root, ARN: arn.Root(account), Account: account, UserID: account}}
		c, err := s.withPolicies(tx, &root)
		if !yield(c, err) || err != nil {
			return
		}
		for r, err := range d.Users(tx, account, "") {
			if err == nil {
				c, err = s.withPolicies(tx, userIdentity(&r.Value))
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
		for r, err := range d.Roles(tx, account, "") {
			if err == nil {
				c, err = s.role(tx, &r.Value, now)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// candidate is a user, a role or the root user of an account by ARN.
func (s *Service) candidate(tx store.Tx, account, principal string, now time.Time) (c ask.Candidate, ok bool, err error) {
	a, perr := arn.Parse(principal)
	if perr != nil || a.Service != "iam" || a.Account != account {
		return c, false, nil
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	switch a.Type() {
	case "user":
		u, ok, err := s.g.Directory().User(tx, account, name)
		if err != nil || !ok || u.ARN() != principal {
			return c, false, err
		}
		c, err = s.withPolicies(tx, userIdentity(&u))
		return c, true, err
	case "role":
		r, ok, err := s.g.Directory().Role(tx, account, name)
		if err != nil || !ok || r.ARN() != principal {
			return c, false, err
		}
		c, err = s.role(tx, &r, now)
		return c, true, err
	}
	if a.Resource != "root" {
		return c, false, nil
	}
	root := directory.Identity{Principal: authz.Principal{Type: authz.Root, ARN: arn.Root(account), Account: account, UserID: account}}
	c, err = s.withPolicies(tx, &root)
	return c, true, err
}

func userIdentity(u *directory.User) *directory.Identity {
	p := authz.Principal{Type: authz.User, ARN: u.ARN(), Account: u.Account, UserID: u.ID, UniqueID: u.ID, Username: u.Name}
	if len(u.Tags) > 0 {
		p.Tags = make(map[string]string, len(u.Tags))
	}
	for _, t := range u.Tags {
		p.Tags[t.Key] = t.Value
	}
	return &directory.Identity{Principal: p}
}

// role is a session of a role, without session policies and tags of its own.
func (s *Service) role(tx store.Tx, r *directory.Role, now time.Time) (ask.Candidate, error) {
	id, err := s.g.Directory().SessionIdentity(tx, directory.SessionGrant{
		Account: r.Account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: "session", IssuedAt: now,
	})
	if err != nil {
		return ask.Candidate{}, err
	}
	return s.withPolicies(tx, &id)
}

func (s *Service) withPolicies(tx store.Tx, id *directory.Identity) (ask.Candidate, error) {
	docs, err := s.g.Directory().Documents(tx, id)
	if err != nil {
		return ask.Candidate{}, err
	}
	c := ask.Candidate{Principal: id.Principal, Identity: docs.Identity, Boundary: docs.Boundary, SCPs: docs.SCPs}
	c.Principal.OrgID, c.Principal.OrgPaths, c.Principal.AccountRole = docs.Place.Organization, docs.Place.Paths, docs.Place.Role
	return c, nil
}
