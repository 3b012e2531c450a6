package format

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Over is the scenario in a world that is there already: what the scenario does not say, or does not
// know, is taken from base. What it says counts: a key that both have gets the policy that the
// scenario gives it, and has the grants of both. Places of the scenario stay where they are; what
// only base has comes after them. Neither is changed.
func (s *Scenario) Over(base *Scenario) *Scenario {
	out := *s
	out.source = nil
	out.Unknown = maps.Clone(s.Unknown)
	if out.Unknown == nil {
		out.Unknown = map[string]string{}
	}
	o := over{base: base.Unknown, unknown: out.Unknown}
	out.Accounts = lay(&o, "accounts", s.Accounts, base.Accounts, func(a *Account) string { return a.ID })
	out.Keys = lay(&o, "keys", s.Keys, base.Keys, func(k *Key) string { return k.ARN })
	out.Principals = lay(&o, "principals", s.Principals, base.Principals, func(p *Principal) string { return p.ARN })
	out.Snapshots = lay(&o, "snapshots", s.Snapshots, base.Snapshots, func(n *Snapshot) string { return n.ID })
	out.Images = lay(&o, "images", s.Images, base.Images, func(i *Image) string { return i.ID })
	for i := range out.Keys {
		below := base.Key(out.Keys[i].ARN)
		if below == nil {
			continue
		}
		for _, g := range below.Grants {
			if !slices.ContainsFunc(out.Keys[i].Grants, func(mine Grant) bool { return mine.ID == g.ID }) {
				out.Keys[i].Grants = append(slices.Clone(out.Keys[i].Grants), g)
			}
		}
	}
	if len(out.Unknown) == 0 {
		out.Unknown = nil
	}
	return &out
}

// An over carries what is not known from one world into the other.
type over struct{ base, unknown map[string]string }

// lay puts the list of a scenario over that of the world below, whose things are the same if they
// have the same name.
func lay[T any](o *over, list string, mine, below []T, name func(*T) string) []T {
	out := slices.Clone(mine)
	for j := range below {
		from := "/" + list + "/" + strconv.Itoa(j)
		i := slices.IndexFunc(out, func(v T) bool { return name(&v) == name(&below[j]) })
		if i < 0 {
			out = append(out, below[j])
			o.carry(from, "/"+list+"/"+strconv.Itoa(len(out)-1))
			continue
		}
		o.fill(reflect.ValueOf(&out[i]).Elem(), reflect.ValueOf(below[j]), "/"+list+"/"+strconv.Itoa(i), from)
	}
	return out
}

// fill gives a thing the members that are not known of it, as the world below has them.
func (o *over) fill(mine, below reflect.Value, at, from string) {
	for i := range mine.NumField() {
		f := mine.Type().Field(i)
		member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if member == "" || !o.forget(at, member) {
			continue
		}
		mine.Field(i).Set(below.Field(i))
		o.carry(from+"/"+member, at+"/"+member)
	}
	if _, unknown := o.unknown[at]; !unknown {
		return
	}
	delete(o.unknown, at)
	if why, ok := o.base[from]; ok {
		o.unknown[at] = why
	}
}

// forget reports whether a member of a thing is not known, and takes note that it will be.
func (o *over) forget(at, member string) bool {
	_, unknown := o.unknown[at]
	path := at + "/" + member
	for p := range o.unknown {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(o.unknown, p)
			unknown = true
		}
	}
	return unknown
}

// carry takes over what the world below does not know of a place.
func (o *over) carry(from, at string) {
	for p, why := range o.base {
		if p == from || strings.HasPrefix(p, from+"/") {
			o.unknown[at+strings.TrimPrefix(p, from)] = why
		}
	}
}
