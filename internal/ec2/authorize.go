package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// part is the evaluation of an action on a resource of the caller's account: "volume/vol-1", or
// "*" for actions without resources. tags are those that the resource has. Images and snapshots
// have no account in their ARN; see owned for those of others.
// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
func (s *Service) part(c *guard.Call, action, resource string, tags map[string]string) authz.Part {
	p := authz.Part{Action: action, Resource: authz.Resource{ARN: resource, Account: c.Account(), Tags: tags}}
	p.Context.Set("ec2:region", c.Region)
	if resource == "*" {
		return p
	}
	p.Resource.ARN = s.resourceARN(c, resource)
	for key, value := range tags {
		p.Context.Set("ec2:resourcetag/"+key, value)
	}
	return p
}

// resourceARN is the ARN under which a resource of the caller is decided.
func (s *Service) resourceARN(c *guard.Call, resource string) string {
	kind, _, _ := strings.Cut(resource, "/")
	if kind == "image" || kind == "snapshot" {
		return arn.EC2(c.Region, "", resource)
	}
	return arn.EC2(c.Region, c.Account(), resource)
}

// owned says in a part whose image or snapshot it is about. EC2 has no resource policies: sharing
// is an attribute, which the caller of owned has checked, so the decision stays one inside the
// caller's account and only the condition keys tell the owner. alias is "amazon" or "".
func owned(p *authz.Part, owner, alias string) {
	p.Context.Set("ec2:owner", cmp.Or(alias, owner))
	if owner != p.Resource.Account {
		p.Context.Set("aws:resourceaccount", owner)
	}
}

// allowList decides an action that has no resource.
func (s *Service) allowList(tx store.Tx, c *guard.Call, action string) error {
	_, err := s.g.Allow(tx, c, s.part(c, action, "*", nil))
	return err
}

// allowDry is allowList for a request that may have DryRun set.
func (s *Service) allowDry(tx store.Tx, c *guard.Call, action string, flag *bool) error {
	if err := s.allowList(tx, c, action); err != nil {
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

// pick keeps the items that a request names, all if it names none. A name without an item is an
// error.
func pick[T any](items []T, names []string, name func(T) string, missing func(string) error) ([]T, error) {
	if len(names) == 0 {
		return items, nil
	}
	for _, n := range names {
		if !slices.ContainsFunc(items, func(item T) bool { return name(item) == n }) {
			return nil, missing(n)
		}
	}
	return slices.DeleteFunc(items, func(item T) bool { return !slices.Contains(names, name(item)) }), nil
}
