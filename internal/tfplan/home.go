package tfplan

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// A home is where the resources of a provider are: account and region, as far as they are known.
type home struct {
	name             string // of the provider: aws.key; "" in a state
	account, region  string
	noAccount        string // why the account is not known; account stands for it then
	noRegion         string
	accountName      string // what the account is called, if the number only stands for it
	regionName       string // and the region
	caller           string // ARN of the role or user that applies the plan, or ""
	callerIsAssigned bool   // the provider's configuration says so
}

// region is an account in a region.
type region struct{ account, region string }

// homeOf is where a resource is. What its own ARN says counts more than what is known of the provider.
func (m *model) homeOf(r *resource) *home {
	if r.home != nil {
		return r.home
	}
	name := ""
	if b := m.block(r); b != nil {
		name = b.provider
	}
	h := m.provider(name)
	a, err := arn.Parse(r.known("arn"))
	if account := a.Account; err == nil && arn.IsAccount(account) && r.typ != "aws_caller_identity" {
		region := a.Region
		if !regionName.MatchString(region) {
			region = ""
		}
		if account != h.account || region != "" && region != h.region {
			own := *h
			own.account, own.noAccount = account, ""
			if region != "" {
				own.region, own.noRegion = region, ""
			}
			h = &own
		}
	}
	r.home = h
	return h
}

// provider learns what a plan says of a provider, and of those that differ from it in the region alone.
func (m *model) provider(name string) *home {
	if h, ok := m.homes[name]; ok {
		return h
	}
	h := m.told(name)
	m.homes[name] = h
	if h.account == "" {
		h.likeOthers(m)
	}
	if h.account == "" {
		h.account = m.opt.accountOf(m, name)
	}
	who := "the provider " + name
	if name == "" {
		who = "the resources"
	}
	if h.account == "" {
		h.noAccount = "the account of " + who + " is not in the plan; --account tells it"
		h.account = standIn(name)
	}
	if h.region == "" {
		h.noRegion = "the region of " + who + " is not in the plan"
		h.region = "us-east-1"
	}
	return h
}

// told is what a provider and its resources say themselves.
func (m *model) told(name string) *home {
	h := &home{name: name}
	var mine []*resource
	for _, r := range m.resources {
		if b := m.block(r); b != nil && b.provider == name || b == nil && name == "" {
			mine = append(mine, r)
		}
	}
	h.learnCaller(m, mine)
	if h.account == "" {
		h.account = m.allowedAccount(name)
	}
	for _, say := range []func(*resource) string{accountOfARN, accountOfRole, m.administrator} {
		if h.account == "" {
			h.account = only(mine, say)
		}
	}
	if e, ok := m.setting(name, "region"); ok {
		if s, _ := e.(string); regionName.MatchString(s) {
			h.region = s
		}
	}
	for _, r := range mine {
		if s := r.known("name"); h.region == "" && r.typ == "aws_region" && regionName.MatchString(s) {
			h.region = s
		}
	}
	if h.region == "" {
		h.region = only(mine, regionOf)
	}
	return h
}

// likeOthers takes the account of providers with the same credentials, if they agree.
func (h *home) likeOthers(m *model) {
	var same []*home
	for _, name := range slices.Sorted(maps.Keys(m.providers)) {
		if name != h.name && m.sameCredentials(name, h.name) {
			if o := m.told(name); o.account != "" {
				same = append(same, o)
			}
		}
	}
	for _, o := range same {
		if o.account != same[0].account {
			return
		}
	}
	if len(same) > 0 {
		h.account, h.caller, h.callerIsAssigned = same[0].account, same[0].caller, same[0].callerIsAssigned
	}
}

// sameCredentials reports whether two providers of one module differ in their region alone.
func (m *model) sameCredentials(a, b string) bool {
	p, q := m.providers[a], m.providers[b]
	if p.Name == "" || p.Name != q.Name || p.Module != q.Module {
		return false
	}
	without := func(in map[string]any) map[string]any {
		out := maps.Clone(in)
		delete(out, "region")
		return out
	}
	x, y := without(p.Exprs), without(q.Exprs)
	return len(x) == 0 && len(y) == 0 || reflect.DeepEqual(x, y)
}

// accountOf is the account that the user tells of a provider.
func (o *Options) accountOf(m *model, name string) string {
	if id := o.Accounts[name]; id != "" {
		return id
	}
	if p := m.providers[name]; name == "" || name == p.Name || m.sameCredentials(name, p.Name) || len(m.providers) == 0 {
		return o.Accounts[""]
	}
	return ""
}

// standIn is the number that stands for the unknown account of a provider. No account has it.
func standIn(provider string) string {
	sum := sha256.Sum256([]byte(provider))
	return fmt.Sprintf("0000%08d", (uint32(sum[0])<<16|uint32(sum[1])<<8|uint32(sum[2]))%100_000_000)
}

// stands is what an account is called that is not known, also as a part of an ARN.
func (h *home) stands() string {
	if h.name == "" {
		return "<account id>"
	}
	return "<account id of " + h.name + ">"
}

// An accountNumber stands in an ARN or for itself; the end of a key's id may look like one.
var accountNumber = regexp.MustCompile(`(?:^|[^0-9A-Za-z-])([0-9]{12})(?:[^0-9A-Za-z-]|$)`)

// elsewhere reports whether the launch has to do with an account that is known by its number: then it matters
// whether that is the account that launches, whose number is not known. Who owns an image does not, if no key of
// theirs is in it.
func (b *builder) elsewhere() bool {
	about := []any{b.sc.Accounts, b.sc.Keys, b.sc.Principals, b.sc.Setup, b.sc.Launch}
	for _, s := range b.sc.Snapshots {
		about = append(about, s.Key)
	}
	data, err := json.Marshal(about)
	return err != nil || slices.ContainsFunc(accountNumber.FindAllSubmatch(data, -1), func(found [][]byte) bool { return string(found[1]) != b.home.account })
}

// learnCaller finds out who a provider acts as.
func (h *home) learnCaller(m *model, mine []*resource) {
	if e, ok := m.setting(h.name, "assume_role", "role_arn"); ok {
		if role, _ := e.(string); role != "" {
			if a, _ := arn.Parse(role); isPerson(role, "role") {
				h.caller, h.account, h.callerIsAssigned = role, a.Account, true
			}
		}
	}
	for _, r := range mine {
		if r.kind() != "data.aws_caller_identity" {
			continue
		}
		account := r.known("account_id")
		if !arn.IsAccount(account) {
			continue
		}
		if h.account != "" && h.account != account && h.name == "" {
			h.account, h.caller = "", "" // a state of several accounts
			return
		}
		h.account = account
		if h.caller == "" {
			h.caller = callerOf(r.known("arn"))
		}
	}
}

// callerOf is the role, user or root that an identity is of. The path of a role is not in it.
func callerOf(identity string) string {
	a, err := arn.Parse(identity)
	if err != nil {
		return ""
	}
	if a.Type() == "assumed-role" {
		role, _, _ := strings.Cut(a.ID(), "/")
		identity = arn.Role(a.Account, "/", role)
	}
	if isPerson(identity, "role") || isPerson(identity, "user") || arn.IsAccount(a.Account) && identity == arn.Root(a.Account) {
		return identity
	}
	return ""
}

// setting is a constant or variable that a provider is configured with.
func (m *model) setting(name string, path ...string) (any, bool) {
	p, ok := m.providers[name]
	if !ok {
		return nil, false
	}
	var e any = p.Exprs
	for _, step := range path {
		if list, ok := e.([]any); ok && len(list) == 1 {
			e = list[0]
		}
		members, _ := e.(map[string]any)
		if e, ok = members[step]; !ok {
			return nil, false
		}
	}
	leaf, _ := e.(map[string]any)
	if c, ok := leaf["constant_value"]; ok {
		return c, true
	}
	refs, _ := leaf["references"].([]any)
	if len(refs) != 1 || p.Module != "" {
		return nil, false
	}
	ref, _ := refs[0].(string)
	variable, ok := strings.CutPrefix(ref, "var.")
	if !ok || strings.ContainsAny(variable, ".[") {
		return nil, false
	}
	v, ok := m.variables[variable]
	return v, ok
}

func (m *model) allowedAccount(name string) string {
	e, _ := m.setting(name, "allowed_account_ids")
	if list, _ := e.([]any); len(list) == 1 {
		id, _ := list[0].(string)
		if arn.IsAccount(id) {
			return id
		}
	}
	return ""
}

// only is what all resources that say something agree about.
func only(rs []*resource, say func(*resource) string) string {
	var said []string
	for _, r := range rs {
		if s := say(r); s != "" && !slices.Contains(said, s) {
			said = append(said, s)
		}
	}
	if len(said) == 1 {
		return said[0]
	}
	return ""
}

func accountOfARN(r *resource) string {
	a, err := arn.Parse(r.known("arn"))
	if err != nil || !arn.IsAccount(a.Account) || r.mode == "data" || r.typ == "aws_organizations_policy" {
		return ""
	}
	return a.Account
}

// accountOfRole is the account of a service-linked role that a group is given: its own.
func accountOfRole(r *resource) string {
	a, err := arn.Parse(r.known("service_linked_role_arn"))
	if err != nil || !arn.IsAccount(a.Account) {
		return ""
	}
	return a.Account
}

// regionOf is the region of a resource, as its ARN or its zones tell it.
func regionOf(r *resource) string {
	if a, err := arn.Parse(r.known("arn")); err == nil && regionName.MatchString(a.Region) {
		return a.Region
	}
	zone := cmp.Or(r.known("availability_zone"), r.known("availability_zones", 0))
	if strings.Count(zone, "-") != 2 {
		return "" // there is none, or it is a local zone
	}
	if zone = strings.TrimRight(zone, "abcdefgh"); regionName.MatchString(zone) {
		return zone
	}
	return ""
}
