package kms

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxTags is the most tags that a key has.
const maxTags = 50

var errReserved = apierr.New("TagException", "Tags beginning with aws: are reserved")

// reserved reports whether a tag key is one of AWS's, which nobody else sets or removes.
// Source: KMS API Reference, TagResource and UntagResource.
func reserved(key string) bool { return len(key) >= 4 && strings.EqualFold(key[:4], "aws:") }

// newTags adds tags to those a key has, in place of those of the same key.
func newTags(have []tag, add []kmsapi.Tag) ([]tag, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range add {
		key, value := api.Val(t.TagKey), api.Val(t.TagValue)
		if seen[key] {
			return nil, apierr.New("TagException", "Duplicate tag keys")
		}
		seen[key] = true
		if reserved(key) {
			return nil, errReserved
		}
		i := slices.IndexFunc(out, func(o tag) bool { return o.Key == key })
		if i >= 0 {
			out[i].Value = value
		} else {
			out = append(out, tag{Key: key, Value: value})
		}
	}
	if len(out) > maxTags {
		return nil, apierr.New("LimitExceededException", "Too many tags")
	}
	return out, nil
}

func requestTags(ctx *authz.Context, tags []kmsapi.Tag) {
	if len(tags) == 0 {
		return
	}
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = api.Val(t.TagKey)
		ctx.Set("aws:requesttag/"+keys[i], api.Val(t.TagValue))
	}
	ctx.SetList("aws:tagkeys", keys)
}

// TagResource adds tags to a key or replaces their values.
func (s *Service) TagResource(ctx context.Context, c *guard.Call, in *kmsapi.TagResourceRequest) error {
	more := func(p *authz.Part) { requestTags(&p.Context, in.Tags) }
	return s.change(ctx, c, in.KeyId, "kms:TagResource", opEdit, more, func(_ store.Tx, k *keyRecord) (err error) {
		k.Tags, err = newTags(k.Tags, in.Tags)
		return err
	})
}

// UntagResource removes tags; unknown ones are no error.
func (s *Service) UntagResource(ctx context.Context, c *guard.Call, in *kmsapi.UntagResourceRequest) error {
	more := func(p *authz.Part) { p.Context.SetList("aws:tagkeys", in.TagKeys) }
	return s.change(ctx, c, in.KeyId, "kms:UntagResource", opEdit, more, func(_ store.Tx, k *keyRecord) error {
		if slices.ContainsFunc(in.TagKeys, reserved) {
			return errReserved
		}
		k.Tags = slices.DeleteFunc(k.Tags, func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		return nil
	})
}

// ListResourceTags lists a key's tags in the order they were added.
func (s *Service) ListResourceTags(ctx context.Context, c *guard.Call, in *kmsapi.ListResourceTagsRequest) (*kmsapi.ListResourceTagsResponse, error) {
	pg, err := s.page(in.Marker, in.Limit, 50, 50, "tags", api.Val(in.KeyId))
	if err != nil {
		return nil, err
	}
	out := &kmsapi.ListResourceTagsResponse{}
	err = s.read(ctx, c, in.KeyId, "kms:ListResourceTags", func(_ store.Tx, k *keyView) error {
		tags := k.Tags
		if pg.after != "" {
			i := slices.IndexFunc(tags, func(t tag) bool { return t.Key == pg.after })
			if i < 0 { // removed since
				return errMarker
			}
			tags = tags[i+1:]
		}
		out.Tags = []kmsapi.Tag{}
		end := next{}
		for i, t := range tags {
			if i == pg.limit {
				end = next{pg.prefix, tags[i-1].Key}
				break
			}
			out.Tags = append(out.Tags, kmsapi.Tag{TagKey: &t.Key, TagValue: &t.Value})
		}
		out.Truncated, out.NextMarker = s.more(end)
		return nil
	})
	return out, err
}
