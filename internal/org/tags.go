package org

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

// system reports whether a tag key is AWS's.
func system(key string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") }

// merge adds tags or replaces values. Keys are case-sensitive.
// Source: AWS Organizations User Guide, "Tagging AWS Organizations resources".
func merge(old []directory.Tag, add []organizationsapi.Tag) ([]directory.Tag, error) {
	out := slices.Clone(old)
	seen := map[string]bool{}
	for _, t := range add {
		key := *t.Key
		switch {
		case seen[key]:
			return nil, because(codeInput, "DUPLICATE_TAG_KEY", "Tag keys must be unique among the tags of a request.")
		case system(key):
			return nil, errSystemTags
		}
		seen[key] = true
		i := slices.IndexFunc(out, func(o directory.Tag) bool { return o.Key == key })
		if i < 0 {
			out = append(out, directory.Tag{Key: key})
			i = len(out) - 1
		}
		out[i].Value = *t.Value
	}
	if len(out) > maxTags {
		return nil, because(codeConstraint, "MAX_TAG_LIMIT_EXCEEDED", fmt.Sprintf("You cannot attach more than %d tags to a resource.", maxTags))
	}
	return out, nil
}

// tagsOf are the tags of the root, a unit, an account, a customer's policy or the resource policy, and how to write
// them; ok is false if there is no such thing.
func (s *Service) tagsOf(tx store.Tx, o directory.Organization, id string) (tags []directory.Tag, put func([]directory.Tag) error, ok bool, err error) {
	switch {
	case isPolicy(id):
		p, ok, err := s.dir.OrgPolicy(tx, o, id)
		return p.Tags, func(tags []directory.Tag) error {
			p.Tags = tags
			return s.dir.PutOrgPolicy(tx, o, p)
		}, ok, err
	case isUnit(id):
		u, ok, err := s.dir.Unit(tx, o, id)
		return u.Tags, func(tags []directory.Tag) error {
			u.Tags = tags
			return s.dir.PutUnit(tx, o, u)
		}, ok, err
	case isRoot(id):
		return o.RootTags, func(tags []directory.Tag) error {
			o.RootTags = tags
			return s.dir.PutOrganization(tx, o)
		}, id == o.Root, nil
	case isResourcePolicy(id):
		if o.Resource == nil || o.Resource.ID != id {
			return nil, nil, false, nil
		}
		return o.Resource.Tags, func(tags []directory.Tag) error {
			r := *o.Resource
			r.Tags = tags
			o.Resource = &r
			return s.dir.PutOrganization(tx, o)
		}, true, nil
	}
	m, ok, err := s.dir.Member(tx, o, id)
	return m.Tags, func(tags []directory.Tag) error {
		m.Tags = tags
		return s.dir.PutMember(tx, o, m)
	}, ok, err
}

// retag changes the tags of a resource.
func (s *Service) retag(ctx context.Context, c *guard.Call, q question, change func([]directory.Tag) ([]directory.Tag, error)) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, q)
		if err != nil {
			return err
		}
		tags, put, ok, err := s.tagsOf(tx, o, q.ids[0])
		if err != nil {
			return err
		}
		if !ok {
			return errNoTarget
		}
		if tags, err = change(tags); err != nil {
			return err
		}
		return put(tags)
	})
}

// TagResource adds tags or replaces their values.
func (s *Service) TagResource(ctx context.Context, c *guard.Call, in *organizationsapi.TagResourceRequest) error {
	return s.retag(ctx, c, question{ids: []string{*in.ResourceId}, tags: in.Tags}, func(old []directory.Tag) ([]directory.Tag, error) {
		return merge(old, in.Tags)
	})
}

// UntagResource removes tags; those that are not there are no error.
func (s *Service) UntagResource(ctx context.Context, c *guard.Call, in *organizationsapi.UntagResourceRequest) error {
	return s.retag(ctx, c, question{ids: []string{*in.ResourceId}, tagKeys: in.TagKeys}, func(old []directory.Tag) ([]directory.Tag, error) {
		if slices.ContainsFunc(in.TagKeys, system) {
			return nil, errSystemTags
		}
		return slices.DeleteFunc(slices.Clone(old), func(t directory.Tag) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
	})
}

// ListTagsForResource lists the tags of a resource.
func (s *Service) ListTagsForResource(ctx context.Context, c *guard.Call, in *organizationsapi.ListTagsForResourceRequest) (*organizationsapi.ListTagsForResourceResponse, error) {
	out := &organizationsapi.ListTagsForResourceResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on(*in.ResourceId))
		if err != nil {
			return err
		}
		tags, _, ok, err := s.tagsOf(tx, o, *in.ResourceId)
		if err == nil && !ok {
			err = errNoTarget
		}
		if api.Val(in.NextToken) != "" {
			return errToken // all tags are on one page
		}
		out.Tags = shown(tags, func(t directory.Tag) organizationsapi.Tag { return organizationsapi.Tag{Key: &t.Key, Value: &t.Value} })
		return err
	})
	return out, err
}
