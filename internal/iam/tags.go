package iam

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// merge adds tags or replaces values. Keys are unique whatever their case.
// Source: IAM User Guide, "Tags for AWS Identity and Access Management resources".
func merge(old []directory.Tag, add []iamapi.Tag) ([]directory.Tag, error) {
	out := slices.Clone(old)
	seen := make(map[string]bool, len(add))
	for _, t := range add {
		key := api.Val(t.Key)
		fold := strings.ToLower(key)
		switch {
		case seen[fold]:
			return nil, apierr.New(codeInvalid, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case strings.HasPrefix(fold, "aws:"):
			return nil, apierr.Newf(codeInvalid, "The tag key %s is not valid: the prefix aws: is reserved for AWS.", key)
		}
		seen[fold] = true
		tag := directory.Tag{Key: key, Value: api.Val(t.Value)}
		if i := slices.IndexFunc(out, func(o directory.Tag) bool { return strings.EqualFold(o.Key, key) }); i >= 0 {
			out[i] = tag
		} else {
			out = append(out, tag)
		}
	}
	if len(out) > maxTags {
		return nil, exceeded("Cannot exceed quota for TagsPerResource: %d", maxTags)
	}
	return out, nil
}

func without(tags []directory.Tag, keys []string) []directory.Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t directory.Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

// requestTags supplies aws:RequestTag and aws:TagKeys.
func requestTags(ctx *authz.Context, tags []iamapi.Tag) {
	if len(tags) == 0 {
		return
	}
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = api.Val(t.Key)
		ctx.Set("aws:requesttag/"+keys[i], api.Val(t.Value))
	}
	ctx.SetList("aws:tagkeys", keys)
}

// newTags supplies, for what a request makes with tags, the keys of the request and those of the
// resource to be: a request that creates with tags carries aws:ResourceTag.
//
// Source: IAM User Guide, "AWS global condition context keys", aws:ResourceTag.
func newTags(ctx *authz.Context, tags []iamapi.Tag) {
	requestTags(ctx, tags)
	for _, t := range tags {
		ctx.Set("aws:resourcetag/"+api.Val(t.Key), api.Val(t.Value))
		ctx.Set("iam:resourcetag/"+api.Val(t.Key), api.Val(t.Value))
	}
}

func withNewTags(tags []iamapi.Tag) func(*authz.Context) {
	return func(ctx *authz.Context) { newTags(ctx, tags) }
}

func withTags(tags []iamapi.Tag) func(*authz.Context) {
	return func(ctx *authz.Context) { requestTags(ctx, tags) }
}

func withTagKeys(keys []string) func(*authz.Context) {
	return func(ctx *authz.Context) { ctx.SetList("aws:tagkeys", keys) }
}

func apiTags(tags []directory.Tag) []iamapi.Tag {
	var out []iamapi.Tag
	for _, t := range tags {
		out = append(out, iamapi.Tag{Key: &t.Key, Value: &t.Value})
	}
	return out
}

// cutTags is the page of a list of tags. Its marker is a position:
// a key may be longer than a marker.
func cutTags(p page, tags []directory.Tag) (shown []iamapi.Tag, last string) {
	from, _ := strconv.Atoi(p.after) // sealed by us: a number, or "" for the start
	from = min(from, len(tags))
	to := min(from+p.limit, len(tags))
	if to < len(tags) {
		last = strconv.Itoa(to)
	}
	shown = apiTags(tags[from:to])
	if shown == nil {
		shown = []iamapi.Tag{}
	}
	return shown, last
}

// tag and untag may be done to service-linked roles too: Terraform tags them.
func (s *Service) tag(ctx context.Context, c *guard.Call, k kind, name *string, action string, tags []iamapi.Tag) error {
	return s.retag(ctx, c, k, name, action, withTags(tags), func(p *principal) (err error) {
		*p.tags, err = merge(*p.tags, tags)
		return err
	})
}

func (s *Service) untag(ctx context.Context, c *guard.Call, k kind, name *string, action string, keys []string) error {
	return s.retag(ctx, c, k, name, action, withTagKeys(keys), func(p *principal) error {
		*p.tags = without(*p.tags, keys)
		return nil
	})
}

func (s *Service) retag(ctx context.Context, c *guard.Call, k kind, name *string, action string, extra func(*authz.Context), fn func(*principal) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, k, name, action, extra)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		return s.save(tx, p)
	})
}

// TagRole adds tags to a role or replaces their values.
func (s *Service) TagRole(ctx context.Context, c *guard.Call, in *iamapi.TagRoleRequest) error {
	return s.tag(ctx, c, roleKind, in.RoleName, "TagRole", in.Tags)
}

// UntagRole removes tags; unknown ones are no error.
func (s *Service) UntagRole(ctx context.Context, c *guard.Call, in *iamapi.UntagRoleRequest) error {
	return s.untag(ctx, c, roleKind, in.RoleName, "UntagRole", in.TagKeys)
}

// TagUser adds tags to a user or replaces their values.
func (s *Service) TagUser(ctx context.Context, c *guard.Call, in *iamapi.TagUserRequest) error {
	return s.tag(ctx, c, userKind, in.UserName, "TagUser", in.Tags)
}

// UntagUser removes tags; unknown ones are no error.
func (s *Service) UntagUser(ctx context.Context, c *guard.Call, in *iamapi.UntagUserRequest) error {
	return s.untag(ctx, c, userKind, in.UserName, "UntagUser", in.TagKeys)
}

// ListRoleTags lists a role's tags.
func (s *Service) ListRoleTags(ctx context.Context, c *guard.Call, in *iamapi.ListRoleTagsRequest) (*iamapi.ListRoleTagsResponse, error) {
	out := &iamapi.ListRoleTagsResponse{}
	err := s.read(ctx, c, roleKind, in.RoleName, "ListRoleTags", func(_ store.Tx, p *principal) (err error) {
		out.Tags, out.IsTruncated, out.Marker, err = s.listTags(c, p.arn, *p.tags, in.Marker, in.MaxItems)
		return err
	})
	return out, err
}

// ListUserTags lists a user's tags.
func (s *Service) ListUserTags(ctx context.Context, c *guard.Call, in *iamapi.ListUserTagsRequest) (*iamapi.ListUserTagsResponse, error) {
	out := &iamapi.ListUserTagsResponse{}
	err := s.read(ctx, c, userKind, in.UserName, "ListUserTags", func(_ store.Tx, p *principal) (err error) {
		out.Tags, out.IsTruncated, out.Marker, err = s.listTags(c, p.arn, *p.tags, in.Marker, in.MaxItems)
		return err
	})
	return out, err
}

// listTags is a page of tags, in the order of their keys.
// Source: IAM API Reference, ListUserTags and its siblings: "The returned list of tags is sorted by tag key."
func (s *Service) listTags(c *guard.Call, owner string, tags []directory.Tag, marker *string, items *int32) ([]iamapi.Tag, *bool, *string, error) {
	pg, err := s.page(c, owner, marker, items)
	if err != nil {
		return nil, nil, nil, err
	}
	shown, last := cutTags(pg, slices.SortedFunc(slices.Values(tags), func(a, b directory.Tag) int { return cmp.Compare(a.Key, b.Key) }))
	truncated, next := s.end(pg, last)
	return shown, truncated, next, nil
}
