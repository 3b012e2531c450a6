package ec2

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Limits of tags. Source: EC2 User Guide, "Tag your Amazon EC2 resources", tag restrictions.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// A tag of a resource.
type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// tagTable holds the tags that an account gave a resource, its own or a shared one.
var tagTable = store.Table[[]tag]{Bucket: "ec2/tag", Version: 1} // region, account, resource id

// tagsOf gives the tags of a resource; nil if it has none.
func tagsOf(tx store.Tx, region, account, id string) (map[string]string, error) {
	tags, ok, err := tagTable.Get(tx, region, account, id)
	if err != nil || !ok {
		return nil, err
	}
	return tagMap(tags), nil
}

// tagsOfAll gives the tags of all resources of an account and region, by resource id, with one
// read.
func tagsOfAll(tx store.Tx, region, account string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for rec, err := range tagTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		all[rec.Key[2]] = tagMap(rec.Value)
	}
	return all, nil
}

func tagMap(tags []tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// putTags adds tags to those of a resource, in place of those of the same key.
func putTags(tx store.Tx, region, account, id string, tags []tag) error {
	if len(tags) == 0 {
		return nil
	}
	have, _, err := tagTable.Get(tx, region, account, id)
	if err != nil {
		return err
	}
	have = slices.Clone(have)
	for _, t := range tags {
		if i := slices.IndexFunc(have, func(h tag) bool { return h.Key == t.Key }); i >= 0 {
			have[i].Value = t.Value
		} else {
			have = append(have, t)
		}
	}
	// Tags of AWS do not count. Source: as above.
	own := 0
	for _, t := range have {
		if !reserved(t.Key) {
			own++
		}
	}
	if own > maxTags {
		return errTagLimit()
	}
	return tagTable.Put(tx, have, region, account, id)
}

func errTagLimit() error {
	return apierr.New("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
}

// dropTags removes the tags of a resource that is gone.
func dropTags(tx store.Tx, region, account, id string) error {
	return tagTable.Delete(tx, region, account, id)
}

// apiTags are tags as answers carry them, sorted by key.
func apiTags(tags map[string]string) []ec2api.Tag {
	var out []ec2api.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ec2api.Tag{Key: new(key), Value: new(tags[key])})
	}
	return out
}

// listed are tags as the answer to a request that makes something carries them: a list also if there are none.
func listed(tags map[string]string) []ec2api.Tag { return append([]ec2api.Tag{}, apiTags(tags)...) }

func madeWith(tags []tag) []ec2api.Tag { return listed(tagMap(tags)) }

func reserved(key string) bool { return len(key) >= 4 && strings.EqualFold(key[:4], "aws:") }

// forAWS reports whether the caller is AWS itself: a service or its service-linked role.
func forAWS(c *guard.Call) bool {
	return c.Caller.Principal.Type == authz.Service || c.Caller.Principal.IsServiceLinked()
}

// readTags checks tags that a request gives. The prefix aws: is for AWS: for services and their
// service-linked roles.
func readTags(c *guard.Call, in []ec2api.Tag) ([]tag, error) {
	ours := forAWS(c)
	out := make([]tag, 0, len(in))
	for _, t := range in {
		key := api.Val(t.Key)
		switch {
		case key == "":
			return nil, invalidValue("Tag keys cannot be empty or null.")
		case utf8.RuneCountInString(key) > maxTagKey:
			return nil, invalidValue("Tag key exceeds the maximum length of %d characters", maxTagKey)
		case reserved(key) && !ours:
			return nil, invalidValue("Tag keys starting with 'aws:' are reserved for internal use")
		case t.Value == nil:
			return nil, invalidValue("Tag value cannot be null. Use empty string instead.")
		case utf8.RuneCountInString(*t.Value) > maxTagValue:
			return nil, invalidValue("Tag value exceeds the maximum length of %d characters", maxTagValue)
		case slices.ContainsFunc(out, func(o tag) bool { return o.Key == key }):
			return nil, invalidValue("Duplicate tag key '%s' specified.", key)
		}
		out = append(out, tag{key, *t.Value})
	}
	return out, nil
}

// tagSpecs reads the TagSpecification list of a request that makes resources: tags by resource
// type. kinds are the types that the operation can tag.
// Source: EC2 API Reference, "TagSpecification".
func tagSpecs(c *guard.Call, specs []ec2api.TagSpecification, kinds ...string) (map[string][]tag, error) {
	out := map[string][]tag{}
	for _, spec := range specs {
		kind := api.Val(spec.ResourceType)
		switch {
		case kind == "":
			return nil, invalidValue("Tag specification resource type must have a value")
		case !slices.Contains(kinds, kind):
			return nil, invalidValue("'%s' is not a valid taggable resource type for this operation.", kind)
		case out[kind] != nil:
			return nil, invalidValue("Each resource type may only be specified once in the TagSpecification list.")
		case len(spec.Tags) == 0:
			return nil, invalidValue("Tag specification must have at least one tag")
		}
		tags, err := readTags(c, spec.Tags)
		if err != nil {
			return nil, err
		}
		if len(tags) > maxTags && !c.Caller.Principal.IsServiceLinked() {
			return nil, errTagLimit()
		}
		out[kind] = tags
	}
	return out, nil
}

// addRequestTags puts the tags of a request into the context of a part.
// Source: IAM User Guide, "AWS global condition context keys", aws:RequestTag and aws:TagKeys.
func addRequestTags(part *authz.Part, tags []tag) {
	if len(tags) == 0 {
		return
	}
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = t.Key
		part.Context.Set("aws:requesttag/"+t.Key, t.Value)
	}
	part.Context.SetList("aws:tagkeys", keys)
}

// createTagsPart is the evaluation of ec2:CreateTags that an operation needs, besides its own,
// when it tags what it makes: resource is like "volume/*", createAction like "CreateVolume".
// Source: EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation".
func (s *Service) createTagsPart(c *guard.Call, resource string, tags []tag, createAction string) authz.Part {
	p := s.part(c, "ec2:CreateTags", resource, nil)
	addRequestTags(&p, tags)
	p.Context.Set("ec2:createaction", createAction)
	return p
}

// idKinds are resource types by the prefix of their ids.
var idKinds = map[string]string{
	"i": "instance", "vol": "volume", "lt": "launch-template", "ami": "image", "snap": "snapshot",
	"vpc": "vpc", "subnet": "subnet", "sg": "security-group", "rtb": "route-table", "eni": "network-interface",
	"sgr": "security-group-rule", "key": "key-pair", "pg": "placement-group", "eipalloc": "elastic-ip",
	"replacevol": "replace-root-volume-task", "acl": "network-acl", "igw": "internet-gateway",
}

// kindOf tells the type of a resource from its id.
func kindOf(id string) (string, bool) {
	if kind, ok := longKind(id); ok {
		return kind, true
	}
	prefix, rest, ok := strings.Cut(id, "-")
	kind, known := idKinds[prefix]
	return kind, ok && known && isHex(rest)
}

// longKind is kindOf for fleets, whose ids have a UUID, and for Spot Instance requests, whose ids have
// eight letters and digits.
func longKind(id string) (string, bool) {
	prefix, rest, _ := strings.Cut(id, "-")
	switch {
	case prefix == "sir":
		return "spot-instances-request", len(rest) == 8
	case prefix == "fleet" || prefix == "sfr":
		return map[string]string{"fleet": "fleet", "sfr": "spot-fleet-request"}[prefix], len(rest) == 36
	}
	return "", false
}

// isHex reports whether a text is what follows the prefix of an id: 8 or 17 hexadecimal digits.
func isHex(s string) bool {
	if len(s) != 8 && len(s) != 17 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
