package kagimori

import (
	"iter"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

// anySession stands for the name of a session of a role that a question is about.
const anySession = "session"

// principals yields the root user, the users and the roles of an account, with their policies.
func (s *Service) principals(tx store.Tx, account string) iter.Seq2[ask.Candidate, error] {
	d := s.g.Directory()
	return func(yield func(ask.Candidate, error) bool) {
		give := func(who string, err error) bool {
			if err != nil {
				return yield(ask.Candidate{}, err)
			}
			c, ok, err := s.candidate(tx, who)
			if err == nil && !ok {
				return true
			}
			return yield(c, err) && err == nil
		}
		if !give(arn.Root(account), nil) {
			return
		}
		for r, err := range d.Users(tx, account, "") {
			if !give(r.Value.ARN(), err) || err != nil {
				return
			}
		}
		for r, err := range d.Roles(tx, account, "") {
			if !give(r.Value.ARN(), err) || err != nil {
				return
			}
		}
	}
}

// candidate is a user, a role or the root user of an account by ARN.
func (s *Service) candidate(tx store.Tx, principal string) (c ask.Candidate, ok bool, err error) {
	id, ok, err := s.g.Directory().Principal(tx, principal, anySession)
	if err != nil || !ok {
		return c, false, err
	}
	c, err = s.withPolicies(tx, &id)
	return c, true, err
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
