package idiom

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
	MaxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// A Tag of a resource.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Tags holds the tags that an account gave a resource, its own or a shared one.
var Tags = store.Table[[]Tag]{Bucket: "ec2/tag", Version: 1} // region, account, resource id

// TagsOf gives the tags of a resource; nil if it has none.
func TagsOf(tx store.Tx, region, account, id string) (map[string]string, error) {
	tags, ok, err := Tags.Get(tx, region, account, id)
	if err != nil || !ok {
		return nil, err
	}
	return TagMap(tags), nil
}

// TagsOfAll gives the tags of all resources of an account and region, by resource id, with one
// read.
func TagsOfAll(tx store.Tx, region, account string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for rec, err := range Tags.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		all[rec.Key[2]] = TagMap(rec.Value)
	}
	return all, nil
}

// TagMap are tags by their keys; nil if there are none.
func TagMap(tags []Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// PutTags adds tags to those of a resource, in place of those of the same key.
func PutTags(tx store.Tx, region, account, id string, tags []Tag) error {
	if len(tags) == 0 {
		return nil
	}
	have, _, err := Tags.Get(tx, region, account, id)
	if err != nil {
		return err
	}
	have = slices.Clone(have)
	for _, t := range tags {
		if i := slices.IndexFunc(have, func(h Tag) bool { return h.Key == t.Key }); i >= 0 {
			have[i].Value = t.Value
		} else {
			have = append(have, t)
		}
	}
	// Tags of AWS do not count. Source: as above.
	own := 0
	for _, t := range have {
		if !Reserved(t.Key) {
			own++
		}
	}
	if own > MaxTags {
		return ErrTagLimit()
	}
	return Tags.Put(tx, have, region, account, id)
}

// ErrTagLimit is more tags than a resource may have.
func ErrTagLimit() error {
	return apierr.New("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
}

// DropTags removes the tags of a resource that is gone.
func DropTags(tx store.Tx, region, account, id string) error {
	return Tags.Delete(tx, region, account, id)
}

// Wire are tags as answers carry them, sorted by key.
func Wire(tags map[string]string) []ec2api.Tag {
	var out []ec2api.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ec2api.Tag{Key: new(key), Value: new(tags[key])})
	}
	return out
}

// Listed are tags as the answer to a request that makes something carries them: a list also if there are none.
func Listed(tags map[string]string) []ec2api.Tag { return append([]ec2api.Tag{}, Wire(tags)...) }

// MadeWith are the tags that a request gave what it makes, in its answer.
func MadeWith(tags []Tag) []ec2api.Tag { return Listed(TagMap(tags)) }

// Reserved reports whether a tag key is one for AWS.
func Reserved(key string) bool { return len(key) >= 4 && strings.EqualFold(key[:4], "aws:") }

// ForAWS reports whether the caller is AWS itself: a service or its service-linked role.
func ForAWS(c *guard.Call) bool {
	return c.Caller.Principal.Type == authz.Service || c.Caller.Principal.IsServiceLinked()
}

// reservedTag is what TagSpecification answers about a reserved key; CreateTags says before it which.
const reservedTag = "Tag keys starting with 'aws:' are reserved for internal use"

// NoReserved refuses tags of CreateTags that are for AWS. The text is as reported by users.
func NoReserved(c *guard.Call, in []ec2api.Tag) error {
	for _, t := range in {
		if key := api.Val(t.Key); Reserved(key) && !ForAWS(c) {
			return InvalidValue("Value ( %s ) for parameter key is invalid. %s", key, reservedTag)
		}
	}
	return nil
}

// ReadTags checks tags that a request gives. The prefix aws: is for AWS: for services and their
// service-linked roles.
func ReadTags(c *guard.Call, in []ec2api.Tag) ([]Tag, error) {
	ours := ForAWS(c)
	out := make([]Tag, 0, len(in))
	for _, t := range in {
		key := api.Val(t.Key)
		switch {
		case key == "":
			return nil, InvalidValue("Tag keys cannot be empty or null.")
		case utf8.RuneCountInString(key) > maxTagKey:
			return nil, InvalidValue("Tag key exceeds the maximum length of %d characters", maxTagKey)
		case Reserved(key) && !ours:
			return nil, InvalidValue("%s", reservedTag)
		case t.Value == nil:
			return nil, InvalidValue("Tag value cannot be null. Use empty string instead.")
		case utf8.RuneCountInString(*t.Value) > maxTagValue:
			return nil, InvalidValue("Tag value exceeds the maximum length of %d characters", maxTagValue)
		case slices.ContainsFunc(out, func(o Tag) bool { return o.Key == key }):
			return nil, InvalidValue("Duplicate tag key '%s' specified.", key)
		}
		out = append(out, Tag{key, *t.Value})
	}
	return out, nil
}

// TagSpecs reads the TagSpecification list of a request that makes resources: tags by resource
// type. kinds are the types that the operation can tag.
// Source: EC2 API Reference, "TagSpecification".
func TagSpecs(c *guard.Call, specs []ec2api.TagSpecification, kinds ...string) (map[string][]Tag, error) {
	out := map[string][]Tag{}
	for _, spec := range specs {
		kind := api.Val(spec.ResourceType)
		switch {
		case kind == "":
			return nil, InvalidValue("Tag specification resource type must have a value")
		case !slices.Contains(kinds, kind):
			return nil, InvalidValue("'%s' is not a valid taggable resource type for this operation.", kind)
		case out[kind] != nil:
			return nil, InvalidValue("Each resource type may only be specified once in the TagSpecification list.")
		case len(spec.Tags) == 0:
			return nil, InvalidValue("Tag specification must have at least one tag")
		}
		tags, err := ReadTags(c, spec.Tags)
		if err != nil {
			return nil, err
		}
		if len(tags) > MaxTags && !c.Caller.Principal.IsServiceLinked() {
			return nil, ErrTagLimit()
		}
		out[kind] = tags
	}
	return out, nil
}

// AddRequestTags puts the tags of a request into the context of a part.
// Source: IAM User Guide, "AWS global condition context keys", aws:RequestTag and aws:TagKeys.
func AddRequestTags(part *authz.Part, tags []Tag) {
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

// CreateTagsPart is the evaluation of ec2:CreateTags that an operation needs, besides its own,
// when it tags what it makes: resource is like "volume/*", createAction like "CreateVolume".
// Source: EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation".
func CreateTagsPart(c *guard.Call, resource string, tags []Tag, createAction string) authz.Part {
	p := Part(c, "ec2:CreateTags", resource, nil)
	AddRequestTags(&p, tags)
	p.Context.Set("ec2:createaction", createAction)
	return p
}

// idKinds are resource types by the prefix of their ids.
var idKinds = map[string]string{
	"i": "instance", "vol": "volume", "lt": "launch-template", "ami": "image", "snap": "snapshot",
	"vpc": "vpc", "subnet": "subnet", "sg": "security-group", "rtb": "route-table", "eni": "network-interface",
	"sgr": "security-group-rule", "key": "key-pair", "pg": "placement-group", "eipalloc": "elastic-ip",
	"replacevol": "replace-root-volume-task", "acl": "network-acl", "igw": "internet-gateway", "eigw": "egress-only-internet-gateway",
	"nat": "natgateway", "dopt": "dhcp-options", "vpce": "vpc-endpoint", "pcx": "vpc-peering-connection", "pl": "prefix-list", "iew": "instance-event-window",
	"cr": "capacity-reservation", "h": "dedicated-host", "scr": "subnet-cidr-reservation", "fl": "vpc-flow-log",
}

// KindOf tells the type of a resource from its id.
func KindOf(id string) (string, bool) {
	if kind, ok := longKind(id); ok {
		return kind, true
	}
	prefix, rest, ok := strings.Cut(id, "-")
	kind, known := idKinds[prefix]
	return kind, ok && known && IsHex(rest)
}

// longKind is KindOf for fleets, whose ids have a UUID, and for Spot Instance requests, whose ids have
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

// IsHex reports whether a text is what follows the prefix of an id: 8 or 17 hexadecimal digits.
func IsHex(s string) bool {
	if len(s) != 8 && len(s) != 17 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
