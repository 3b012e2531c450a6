package condition

import (
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// A Value is what the request context holds for one condition key. A single-valued key and a
// list of one are different types. The zero Value is the empty string.
type Value struct {
	One     string
	List    []string
	Multi   bool // List holds the values
	Unknown bool // the key may be absent or have any value
}

// An Entry is one key of a request context. Key is lower-case, except for what follows the first
// slash or the second colon (tag keys, encryption-context keys), which keeps its case for
// display; all of it compares without regard to case.
type Entry struct {
	Key string
	Value
}

// A Tag is one of a resource.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// A Key is the name of a condition key, ready for comparison.
type Key struct {
	Name  string // as written
	lower string
	tag   uint8
	fact  fact
}

// MakeKey prepares a key for [Env.Lookup].
func MakeKey(name string) Key {
	k := Key{Name: name, lower: strings.ToLower(name)}
	k.tag = tag(k.lower)
	switch {
	case strings.HasPrefix(k.lower, principalTag):
		k.fact = factPrincipalTag
	case strings.HasPrefix(k.lower, resourceTag):
		k.fact = factResourceTag
	default:
		k.fact = facts[k.lower]
	}
	return k
}

// Same reports whether two keys are one.
func (k *Key) Same(other *Key) bool { return strings.EqualFold(k.lower, other.lower) }

// is compares with the key of an entry, without regard to case. It begins at the end, where most
// keys differ.
func (k *Key) is(name string) bool {
	if name == k.lower {
		return true
	}
	i, j := len(name), len(k.lower)
	for i > 0 && j > 0 {
		i, j = i-1, j-1
		a, b := name[i], k.lower[j]
		switch {
		case a == b && a < 0x80:
		case a >= 0x80 || b >= 0x80:
			return strings.EqualFold(name, k.lower)
		case 'A' <= a && a <= 'Z' && a|0x20 == b:
		default:
			return false
		}
	}
	return i == j
}

// tag is a number for the last two letters of a key, whatever their case; 0 for a key of which
// that cannot be told.
func tag(name string) uint8 {
	n := len(name)
	if n < 2 || name[n-1]|name[n-2] >= 0x80 {
		return 0
	}
	return 0x80 | (name[n-1]&0x1f)<<2 ^ name[n-2]&0x1f
}

// Facts are what the engine knows about principal and resource without being told in the
// context. An empty string is an absent key unless the comment says otherwise.
//
// Source: IAM User Guide, "AWS global condition context keys".
type Facts struct {
	PrincipalType    string
	PrincipalARN     string
	PrincipalAccount string
	UserID, Username string
	PrincipalOrgID   string
	PrincipalPaths   []string
	PrincipalTags    map[string]string
	Service          string // name of the calling service principal
	Signed           bool   // aws:PrincipalIsAWSService exists
	// UnknownPrincipal makes every absent key of the principal unknown.
	UnknownPrincipal bool

	ResourceAccount string
	ResourceOrgID   string
	ResourcePaths   []string
	ResourceTags    []Tag
	// UnknownResource makes aws:ResourceAccount unknown if it is absent.
	UnknownResource bool

	ResourceARN   string // of which comes aws:RequestedRegion
	Global        bool   // the service is in one Region for all
	CallerAccount string // kms:CallerAccount
	// OwnGrant is set for kms:CreateGrant, whose kms:GrantIsForAWSResource is "false" by default.
	OwnGrant bool
}

// An Env is the condition keys of one evaluation. Within a list the last entry of a key counts;
// Part overrides Request, and both override Facts.
type Env struct {
	Part, Request []Entry
	Facts

	tags  [32]uint8 // of the keys in Request and Part
	held  uint64    // a bit for each of the tags; tags may share one
	ready bool
	odd   bool // some tag is 0
}

// Ready makes lookups fast. Part and Request must not change afterwards.
func (e *Env) Ready() {
	if len(e.Request)+len(e.Part) > len(e.tags) {
		return
	}
	known, held := uint8(0x80), uint64(0)
	for i := range e.Request {
		t := tag(e.Request[i].Key)
		e.tags[i] = t
		known &= t
		held |= 1 << (t & 63)
	}
	rest := e.tags[len(e.Request):]
	for i := range e.Part {
		t := tag(e.Part[i].Key)
		rest[i] = t
		known &= t
		held |= 1 << (t & 63)
	}
	e.odd, e.held = known == 0, held
	e.ready = true
}

// Lookup finds the value of a key.
func (e *Env) Lookup(k *Key) (Value, bool) {
	if v := e.given(k); v != nil {
		return *v, true
	}
	return e.derived(k)
}

// given is the value that Part or Request have, or nil.
func (e *Env) given(k *Key) *Value {
	quick := e.ready && !e.odd && k.tag != 0
	if quick && e.held>>(k.tag&63)&1 == 0 {
		return nil
	}
	n := len(e.Request)
	for i := n + len(e.Part) - 1; i >= 0; i-- {
		if quick && e.tags[i] != k.tag {
			continue
		}
		var entry *Entry
		if i >= n {
			entry = &e.Part[i-n]
		} else {
			entry = &e.Request[i]
		}
		if k.is(entry.Key) {
			return &entry.Value
		}
	}
	return nil
}

func (e *Env) derived(k *Key) (Value, bool) {
	switch k.fact {
	case factPrincipalARN:
		return e.ofPrincipal(e.PrincipalARN)
	case factPrincipalAccount:
		return e.ofPrincipal(e.PrincipalAccount)
	case factPrincipalType:
		return e.ofPrincipal(e.PrincipalType)
	case factUserID:
		return e.ofPrincipal(e.UserID)
	case factUsername:
		return e.ofPrincipal(e.Username)
	case factPrincipalOrgID:
		return e.ofPrincipal(e.PrincipalOrgID)
	case factPrincipalOrgPaths:
		if len(e.PrincipalPaths) == 0 {
			return e.ofPrincipal("")
		}
		return Value{List: e.PrincipalPaths, Multi: true}, true
	case factIsService:
		return flag(e.Service != "", e.Signed)
	case factServiceName:
		return text(e.Service)
	case factServiceNames:
		return e.serviceNames()
	case factResourceAccount:
		if e.ResourceAccount == "" && e.UnknownResource {
			return Value{Unknown: true}, true
		}
		return text(e.ResourceAccount)
	case factResourceOrgID:
		return text(e.ResourceOrgID)
	case factResourceOrgPaths:
		return Value{List: e.ResourcePaths, Multi: true}, len(e.ResourcePaths) > 0
	case factRegion:
		return text(e.region())
	case factSecure:
		return flag(true, true)
	case factVia:
		return flag(false, true)
	case factCallerAccount:
		return text(e.CallerAccount)
	case factForResource:
		return flag(false, e.OwnGrant)
	case factPrincipalTag:
		return e.principalTag(k.Name[len(principalTag):])
	case factResourceTag:
		return e.resourceTag(k.Name[len(resourceTag):])
	}
	return Value{}, false
}

// region is that of the resource. Requests to a global service are made in US East (N. Virginia).
//
// Source: IAM User Guide, "AWS global condition context keys", aws:RequestedRegion.
func (e *Env) region() string {
	a, err := arn.Parse(e.ResourceARN)
	if (err != nil || a.Region == "") && e.Global {
		return "us-east-1"
	}
	return a.Region
}

// serviceNames has a list only for calls by services; it is the one derived value that allocates.
func (e *Env) serviceNames() (Value, bool) {
	if e.Service == "" {
		return Value{}, false
	}
	return Value{List: []string{e.Service}, Multi: true}, true
}

const (
	principalTag = "aws:principaltag/"
	resourceTag  = "aws:resourcetag/"
)

// A tagSearch finds a tag of principal or resource. The tag key compares without regard to case; if several differ in
// case only, the one written like the condition key wins, then the first in byte order.
type tagSearch struct {
	name         string
	found, value string
	ok           bool
}

// look looks at one tag, and reports whether it is the one: then there is no better.
func (s *tagSearch) look(key, value string) bool {
	if key == s.name {
		s.found, s.value, s.ok = key, value, true
		return true
	}
	if strings.EqualFold(key, s.name) && (!s.ok || key < s.found) {
		s.found, s.value, s.ok = key, value, true
	}
	return false
}

func (e *Env) principalTag(name string) (Value, bool) {
	if v, ok := e.PrincipalTags[name]; ok {
		return Value{One: v}, true
	}
	s := tagSearch{name: name}
	for key, value := range e.PrincipalTags {
		s.look(key, value)
	}
	if !s.ok && e.UnknownPrincipal {
		return Value{Unknown: true}, true
	}
	return Value{One: s.value}, s.ok
}

func (e *Env) resourceTag(name string) (Value, bool) {
	s := tagSearch{name: name}
	for _, t := range e.ResourceTags {
		if s.look(t.Key, t.Value) {
			break
		}
	}
	return Value{One: s.value}, s.ok
}

func (e *Env) ofPrincipal(s string) (Value, bool) {
	if s == "" && e.UnknownPrincipal {
		return Value{Unknown: true}, true
	}
	return text(s)
}

func text(s string) (Value, bool) { return Value{One: s}, s != "" }

// flag is a key that is "true" or "false", or absent.
func flag(b, present bool) (Value, bool) {
	switch {
	case !present:
		return Value{}, false
	case b:
		return Value{One: "true"}, true
	}
	return Value{One: "false"}, true
}
