package condition

import "strings"

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

// A Key is the name of a condition key, ready for comparison.
type Key struct {
	Name  string // as written
	lower string
}

// MakeKey prepares a key for [Env.Lookup].
func MakeKey(name string) Key { return Key{name, strings.ToLower(name)} }

// Same reports whether two keys are one.
func (k *Key) Same(other *Key) bool { return strings.EqualFold(k.lower, other.lower) }

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
	ResourceTags    map[string]string
	// UnknownResource makes aws:ResourceAccount unknown if it is absent.
	UnknownResource bool

	Region        string // aws:RequestedRegion
	CallerAccount string // kms:CallerAccount
	// OwnGrant is set for kms:CreateGrant, whose kms:GrantIsForAWSResource is "false" by default.
	OwnGrant bool
}

// An Env is the condition keys of one evaluation. Within a list the last entry of a key counts;
// Part overrides Request, and both override Facts.
type Env struct {
	Part, Request []Entry
	Facts
}

// Lookup finds the value of a key.
func (e *Env) Lookup(k *Key) (Value, bool) {
	for i := len(e.Part) - 1; i >= 0; i-- {
		if strings.EqualFold(e.Part[i].Key, k.lower) {
			return e.Part[i].Value, true
		}
	}
	for i := len(e.Request) - 1; i >= 0; i-- {
		if strings.EqualFold(e.Request[i].Key, k.lower) {
			return e.Request[i].Value, true
		}
	}
	return e.derived(k)
}

func (e *Env) derived(k *Key) (Value, bool) {
	switch k.lower {
	case "aws:principalarn":
		return e.ofPrincipal(e.PrincipalARN)
	case "aws:principalaccount":
		return e.ofPrincipal(e.PrincipalAccount)
	case "aws:principaltype":
		return e.ofPrincipal(e.PrincipalType)
	case "aws:userid":
		return e.ofPrincipal(e.UserID)
	case "aws:username":
		return e.ofPrincipal(e.Username)
	case "aws:principalorgid":
		return e.ofPrincipal(e.PrincipalOrgID)
	case "aws:principalorgpaths":
		if len(e.PrincipalPaths) == 0 {
			return e.ofPrincipal("")
		}
		return Value{List: e.PrincipalPaths, Multi: true}, true
	case "aws:principalisawsservice":
		return flag(e.Service != "", e.Signed)
	case "aws:principalservicename":
		return text(e.Service)
	case "aws:principalservicenameslist":
		return e.serviceNames()
	case "aws:resourceaccount":
		if e.ResourceAccount == "" && e.UnknownResource {
			return Value{Unknown: true}, true
		}
		return text(e.ResourceAccount)
	case "aws:resourceorgid":
		return text(e.ResourceOrgID)
	case "aws:resourceorgpaths":
		return Value{List: e.ResourcePaths, Multi: true}, len(e.ResourcePaths) > 0
	case "aws:requestedregion":
		return text(e.Region)
	case "aws:securetransport":
		return flag(true, true)
	case "aws:viaawsservice":
		return flag(false, true)
	case "kms:calleraccount":
		return text(e.CallerAccount)
	case "kms:grantisforawsresource":
		return flag(false, e.OwnGrant)
	}
	return e.tag(k)
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

// tag finds a tag of principal or resource. The tag key compares without regard to case; if
// several differ in case only, the one written like the condition key wins, then the first in
// byte order.
func (e *Env) tag(k *Key) (Value, bool) {
	var tags map[string]string
	var name string
	switch {
	case strings.HasPrefix(k.lower, principalTag):
		tags, name = e.PrincipalTags, k.Name[len(principalTag):]
	case strings.HasPrefix(k.lower, resourceTag):
		tags, name = e.ResourceTags, k.Name[len(resourceTag):]
	default:
		return Value{}, false
	}
	if v, ok := tags[name]; ok {
		return Value{One: v}, true
	}
	found, value, ok := "", "", false
	for have, v := range tags {
		if strings.EqualFold(have, name) && (!ok || have < found) {
			found, value, ok = have, v, true
		}
	}
	if !ok && e.UnknownPrincipal && strings.HasPrefix(k.lower, principalTag) {
		return Value{Unknown: true}, true
	}
	return Value{One: value}, ok
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
