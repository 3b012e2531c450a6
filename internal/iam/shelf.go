package iam

import (
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A kept is a resource of an account that has a name and tags and is no principal: an identity
// provider, a certificate, an MFA device. Body is what makes it one of these.
type kept[T any] struct {
	Account string          `json:"account"`
	Path    string          `json:"path"`
	Name    string          `json:"name"`
	ID      string          `json:"id,omitempty"`
	Created time.Time       `json:"created"`
	Tags    []directory.Tag `json:"tags,omitempty"`
	Body    T               `json:"body"`
}

// fold is the form in which names are compared.
func fold(name string) string { return strings.ToLower(name) }

// A shelf is where the resources of one type are.
type shelf[T any] struct {
	table   store.Table[kept[T]] // (account, name in lower case)
	noun    string               // in ARNs
	trail   string
	missing func(*kept[T]) error
}

func (sh shelf[T]) arn(k *kept[T]) string {
	return arn.Make("iam", "", k.Account, sh.noun+k.Path+k.Name)
}

func (sh shelf[T]) put(tx store.Tx, k *kept[T]) error {
	return sh.table.Put(tx, *k, k.Account, fold(k.Name))
}

func (sh shelf[T]) delete(tx store.Tx, k *kept[T]) error {
	return sh.table.Delete(tx, k.Account, fold(k.Name))
}

// named is what a name of the caller's account stands for before it was looked up.
func (sh shelf[T]) named(c *guard.Call, name string) *kept[T] {
	return &kept[T]{Account: c.Account(), Path: "/", Name: name}
}

// byARN is what an ARN stands for before it was looked up; nil if it is none of this type.
func (sh shelf[T]) byARN(resource string) *kept[T] {
	a, err := arn.Parse(resource)
	name, ok := strings.CutPrefix(a.Resource, sh.noun+"/")
	if err != nil || !ok || a.Service != "iam" || name == "" {
		return nil
	}
	return &kept[T]{Account: a.Account, Path: "/", Name: name}
}

func (sh shelf[T]) part(s *Service, k *kept[T], action string, extra func(*authz.Context)) authz.Part {
	part := authz.Part{Action: "iam:" + action, Resource: s.resource(sh.arn(k), k.Account, k.Tags)}
	if extra != nil {
		extra(&part.Context)
	}
	return part
}

// decide looks a resource up, decides the action on it and tells whether it is there.
func (sh shelf[T]) decide(s *Service, tx store.Tx, c *guard.Call, k *kept[T], action string, extra func(*authz.Context)) (*kept[T], bool, error) {
	found, exists, err := sh.table.Get(tx, k.Account, fold(k.Name))
	if err != nil {
		return nil, false, err
	}
	if exists {
		k = &found
	}
	c.Touch(sh.arn(k), k.Account, sh.trail)
	_, err = s.g.Allow(tx, c, sh.part(s, k, action, extra))
	return k, exists, err
}

// authorized is decide, and an error if the resource is not there.
func (sh shelf[T]) authorized(s *Service, tx store.Tx, c *guard.Call, k *kept[T], action string, extra func(*authz.Context)) (*kept[T], error) {
	k, exists, err := sh.decide(s, tx, c, k, action, extra)
	if err == nil && !exists {
		err = sh.missing(k)
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// read runs fn on a resource after deciding the action.
func (sh shelf[T]) read(ctx context.Context, s *Service, c *guard.Call, k *kept[T], fn func(store.Tx, *kept[T]) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		k, err := sh.authorized(s, tx, c, k, c.Operation, nil)
		if err != nil {
			return err
		}
		return fn(tx, k)
	})
}

// change lets fn edit a resource after deciding the action.
func (sh shelf[T]) change(ctx context.Context, s *Service, c *guard.Call, k *kept[T], extra func(*authz.Context), fn func(store.Tx, *kept[T]) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := sh.authorized(s, tx, c, k, c.Operation, extra)
		if err != nil {
			return err
		}
		if err := fn(tx, k); err != nil {
			return err
		}
		return sh.put(tx, k)
	})
}

// remove deletes a resource after deciding the action, unless fn objects.
func (sh shelf[T]) remove(ctx context.Context, s *Service, c *guard.Call, k *kept[T], fn func(*kept[T]) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := sh.authorized(s, tx, c, k, c.Operation, nil)
		if err != nil {
			return err
		}
		if fn != nil {
			if err := fn(k); err != nil {
				return err
			}
		}
		return sh.delete(tx, k)
	})
}

// discard is remove for operations to which a resource that is not there is no error.
func (sh shelf[T]) discard(ctx context.Context, s *Service, c *guard.Call, k *kept[T]) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, exists, err := sh.decide(s, tx, c, k, c.Operation, nil)
		if err != nil || !exists {
			return err
		}
		return sh.delete(tx, k)
	})
}

// create keeps a new resource with tags after deciding the operation and, with tags, tagAction.
// exists is the error if there is one of this name.
func (sh shelf[T]) create(s *Service, tx store.Tx, c *guard.Call, k *kept[T], tags []iamapi.Tag, tagAction string, exists error) error {
	parts := []authz.Part{sh.part(s, k, c.Operation, withNewTags(tags))}
	if len(tags) > 0 {
		parts = append(parts, sh.part(s, k, tagAction, withTags(tags)))
	}
	c.Touch(sh.arn(k), k.Account, sh.trail)
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return err
	}
	if err := checkPath(k.Path); err != nil {
		return err
	}
	_, taken, err := sh.table.Get(tx, k.Account, fold(k.Name))
	if err != nil {
		return err
	}
	if taken {
		return exists
	}
	if k.Tags, err = merge(nil, tags); err != nil {
		return err
	}
	return sh.put(tx, k)
}

// all lists the resources of an account by name.
func (sh shelf[T]) all(tx store.Tx, account string) ([]kept[T], error) {
	var list []kept[T]
	for r, err := range sh.table.Scan(tx, account) {
		if err != nil {
			return nil, err
		}
		list = append(list, r.Value)
	}
	return list, nil
}

func (sh shelf[T]) tag(ctx context.Context, s *Service, c *guard.Call, k *kept[T], tags []iamapi.Tag) error {
	return sh.change(ctx, s, c, k, withTags(tags), func(_ store.Tx, k *kept[T]) (err error) {
		k.Tags, err = merge(k.Tags, tags)
		return err
	})
}

func (sh shelf[T]) untag(ctx context.Context, s *Service, c *guard.Call, k *kept[T], keys []string) error {
	return sh.change(ctx, s, c, k, withTagKeys(keys), func(_ store.Tx, k *kept[T]) error {
		k.Tags = without(k.Tags, keys)
		return nil
	})
}

func (sh shelf[T]) listTags(ctx context.Context, s *Service, c *guard.Call, k *kept[T], marker *string, items *int32) (tags []iamapi.Tag, truncated *bool, next *string, err error) {
	err = sh.read(ctx, s, c, k, func(_ store.Tx, k *kept[T]) (err error) {
		tags, truncated, next, err = s.listTags(c, sh.arn(k), k.Tags, marker, items)
		return err
	})
	return tags, truncated, next, err
}
