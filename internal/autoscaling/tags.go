package autoscaling

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// maxTags is the most tags that a group has.
const maxTags = 50

// mergeTags adds tags to those a group has, in place of those of the same key.
func mergeTags(have []tagRecord, add []autoscalingapi.Tag, group string) ([]tagRecord, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range add {
		key := api.Val(t.Key)
		switch {
		case t.ResourceId != nil && *t.ResourceId != group:
			return nil, validation("Tag resource id %s does not match the group %s.", *t.ResourceId, group)
		case t.ResourceType != nil && *t.ResourceType != "auto-scaling-group":
			return nil, validation("Invalid resource type: %s. The only supported type is auto-scaling-group.", *t.ResourceType)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, validation("Tag keys may not begin with aws:, a prefix that is reserved.")
		case seen[key]:
			return nil, validation("The tag key %s is given twice.", key)
		}
		seen[key] = true
		n := tagRecord{key, api.Val(t.Value), api.Val(t.PropagateAtLaunch)}
		if i := slices.IndexFunc(out, func(o tagRecord) bool { return o.Key == key }); i >= 0 {
			out[i] = n
		} else {
			out = append(out, n)
		}
	}
	if len(out) > maxTags {
		return nil, apierr.New("LimitExceeded", "A group can have at most 50 tags.")
	}
	return out, nil
}

func requestTags(ctx *authz.Context, tags []tagRecord) {
	if len(tags) == 0 {
		return
	}
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = t.Key
		ctx.Set("aws:requesttag/"+t.Key, t.Value)
	}
	ctx.SetList("aws:tagkeys", keys)
}

// eachGroup applies fn to every group that the tags name, in one transaction.
func (s *Service) eachGroup(ctx context.Context, c *guard.Call, tags []autoscalingapi.Tag, action string, fn func(*groupRecord, []autoscalingapi.Tag) error) error {
	byGroup := map[string][]autoscalingapi.Tag{}
	var names []string
	for _, t := range tags {
		name := api.Val(t.ResourceId)
		if name == "" {
			return validation("A tag needs a resource id.")
		}
		if byGroup[name] == nil {
			names = append(names, name)
		}
		byGroup[name] = append(byGroup[name], t)
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		for _, name := range names {
			g, err := s.load(tx, c, name, action, func(_ *groupRecord, p *authz.Part) {
				var given []tagRecord
				for _, t := range byGroup[name] {
					given = append(given, tagRecord{Key: api.Val(t.Key), Value: api.Val(t.Value)})
				}
				requestTags(&p.Context, given)
			})
			if err != nil {
				return err
			}
			if err := fn(&g, byGroup[name]); err != nil {
				return err
			}
			if err := s.put(tx, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// CreateOrUpdateTags adds tags to groups or replaces them.
func (s *Service) CreateOrUpdateTags(ctx context.Context, c *guard.Call, in *autoscalingapi.CreateOrUpdateTagsType) error {
	return s.eachGroup(ctx, c, in.Tags, "autoscaling:CreateOrUpdateTags", func(g *groupRecord, tags []autoscalingapi.Tag) (err error) {
		g.Tags, err = mergeTags(g.Tags, tags, g.Name)
		return err
	})
}

// DeleteTags removes tags from groups; unknown ones are no error.
func (s *Service) DeleteTags(ctx context.Context, c *guard.Call, in *autoscalingapi.DeleteTagsType) error {
	return s.eachGroup(ctx, c, in.Tags, "autoscaling:DeleteTags", func(g *groupRecord, tags []autoscalingapi.Tag) error {
		g.Tags = slices.DeleteFunc(g.Tags, func(t tagRecord) bool {
			return slices.ContainsFunc(tags, func(d autoscalingapi.Tag) bool { return api.Val(d.Key) == t.Key })
		})
		return nil
	})
}

// DescribeTags lists the tags of groups. Filters: auto-scaling-group, key, value,
// propagate-at-launch.
func (s *Service) DescribeTags(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeTagsType) (*autoscalingapi.TagsType, error) {
	known := map[string]func(string, tagRecord) string{
		"auto-scaling-group":  func(g string, _ tagRecord) string { return g },
		"key":                 func(_ string, t tagRecord) string { return t.Key },
		"value":               func(_ string, t tagRecord) string { return t.Value },
		"propagate-at-launch": func(_ string, t tagRecord) string { return strconv.FormatBool(t.Propagate) },
	}
	for _, f := range in.Filters {
		if known[api.Val(f.Name)] == nil {
			return nil, validation("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", api.Val(f.Name))
		}
	}
	var err error
	out := &autoscalingapi.TagsType{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 100)
	out.Tags, out.NextToken, err = paged(ctx, at, func(tx store.Tx, r store.Range, yield func(string, autoscalingapi.TagDescription) bool) error {
		return scan(tx, groupTable, store.Range{Prefix: r.Prefix}, func(key []string, g *groupRecord) bool {
			for _, t := range slices.SortedFunc(slices.Values(g.Tags), func(a, b tagRecord) int { return strings.Compare(a.Key, b.Key) }) {
				keep := true
				for _, f := range in.Filters {
					keep = keep && slices.Contains(f.Values, known[*f.Name](g.Name, t))
				}
				if keep && !yield(store.Key(append(slices.Clone(key), t.Key)...), t.describe(g.Name)) {
					return false
				}
			}
			return true
		})
	})
	return out, err
}
