package ec2

import (
	"cmp"
	"context"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// owned says in a part whose image or snapshot it is about. EC2 has no resource policies: sharing
// is an attribute, which the caller of owned has checked, so the decision stays one inside the
// caller's account and only the condition keys tell the owner. alias is "amazon" or "".
func owned(p *authz.Part, owner, alias string) {
	p.Context.Set("ec2:owner", cmp.Or(alias, owner))
	if owner != p.Resource.Account {
		p.Context.Set("aws:resourceaccount", owner)
	}
}

// allowList decides an action that has no resource; describe puts condition keys of the request into the decision.
func (s *Service) allowList(tx store.Tx, c *guard.Call, action string, describe ...func(*authz.Part)) error {
	p := s.part(c, action, "*", nil)
	for _, d := range describe {
		d(&p)
	}
	_, err := s.g.Allow(tx, c, p)
	return err
}

// allowDry is allowList for a request that may have DryRun set.
func (s *Service) allowDry(tx store.Tx, c *guard.Call, action string, flag *bool, describe ...func(*authz.Part)) error {
	if err := s.allowList(tx, c, action, describe...); err != nil {
		return err
	}
	return dryRun(flag)
}

// viewList runs fn in a snapshot after an action without resource has been decided.
func (s *Service) viewList(ctx context.Context, c *guard.Call, action string, flag *bool, fn func(tx store.Tx) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowDry(tx, c, action, flag); err != nil {
			return err
		}
		return fn(tx)
	})
}
