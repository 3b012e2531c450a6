package explain

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
)

// maxFixes bounds the fixes of one part.
const maxFixes = 12

// Fixes are the smallest changes that would allow the parts of a request that were denied, best
// first. Each was verified by deciding the part again with the change made. There are none for an
// undetermined part.
func Fixes(req *authz.Request, d authz.Decision) []Fix {
	fixes, _ := Advise(req, d)
	return fixes
}

// Advise gives [Fixes] and, where they cannot say it, which kind of change could help.
func Advise(req *authz.Request, d authz.Decision) ([]Fix, []Note) {
	var (
		all   []Fix
		notes []Note
	)
	for i := range d.Parts {
		if o := d.Parts[i].Outcome; i >= len(req.Parts) || o != authz.ImplicitDeny && o != authz.ExplicitDeny {
			continue
		}
		r := *req
		r.Parts = []authz.Part{req.Parts[i]}
		s := newSearch(&r)
		s.rewraps = rewraps(req)
		for _, f := range s.search() {
			f.Part = i
			all = append(all, f)
		}
		for _, n := range s.notes(&d.Parts[i]) {
			n.Part = i
			notes = append(notes, n)
		}
	}
	return all, notes
}

// A change is one fix with its effect on a request.
type change struct {
	fix Fix
	// apply returns the request with the change made; it does not alter the one it is given. ok
	// is false if the change cannot be made.
	apply func(authz.Request) (_ authz.Request, ok bool)
}

// An alternative are changes that are made together, as a named set or one without a name.
type alternative struct {
	name    string
	changes []change
}

// search looks for the changes that allow the one part of a request.
type search struct {
	req   authz.Request
	part  *authz.Part
	p     *authz.Principal
	owner string // account of the resource
	cross bool
	// page wants changes as AWS's page gives them, not the least.
	page bool
	// rewraps: the request puts a data key under another wrapping of the same key.
	rewraps bool
	// base is the request without what denies it.
	base  authz.Request
	found []Fix
	sets  [][]string // ids of the changes of each set found
}

func newSearch(req *authz.Request) *search {
	s := &search{req: *req, base: *req, part: &req.Parts[0], p: &req.Principal}
	s.owner = s.part.Resource.Account
	if s.owner == "" {
		s.owner = s.p.Account
	}
	s.cross = s.p.Account != "" && s.owner != s.p.Account
	return s
}

func explained(r *authz.Request) (authz.PartDecision, bool) {
	d := authz.Explain(r)
	if len(d.Parts) != 1 {
		return authz.PartDecision{}, false
	}
	return d.Parts[0], true
}

func allowed(r *authz.Request) bool { return authz.Decide(r).Outcome == authz.Allowed }

func (s *search) search() []Fix {
	now, ok := explained(&s.req)
	if !ok || now.Outcome == authz.Allowed {
		return nil
	}
	base, removals := s.req, []change(nil)
	if now.Outcome == authz.ExplicitDeny {
		if base, removals, ok = s.lifted(&now); !ok {
			return s.found
		}
		if now, ok = explained(&base); !ok {
			return s.found
		}
	}
	s.base = base
	s.try(base, removals, alternative{}) // what is granted but limited needs no more grants
	corrections, edited := s.corrections(&now)
	edits := s.edits(&now, edited)
	alternatives := s.alternatives(&now)
	if s.p.IsServiceLinked() {
		alternatives = slices.Concat(corrections, edits, alternatives)
	} else { // loosening a condition is the last thing to propose
		alternatives = slices.Concat(corrections, alternatives, edits)
	}
	for _, alt := range alternatives {
		if len(s.found) >= maxFixes {
			break
		}
		s.try(base, removals, alt)
	}
	s.nameLeast()
	return s.found
}

// lifted is the request without the statements that deny it, and the changes that take them away; ok
// is false if there are none, or if nothing else is needed: then they are found.
func (s *search) lifted(now *authz.PartDecision) (base authz.Request, changes []change, ok bool) {
	narrow := s.narrowings(now)
	for _, set := range narrow {
		if r, ok := applyAll(s.req, set); ok && allowed(&r) {
			s.accept(set, Narrowed)
		}
	}
	changes = s.removals(now)
	if base, ok = applyAll(s.req, changes); !ok || len(changes) == 0 {
		return base, nil, false
	}
	if allowed(&base) {
		s.accept(changes, "")
		return base, nil, false
	}
	if len(narrow) > 0 { // the least of what is needed beside an allow
		if r, ok := applyAll(s.req, narrow[0]); ok {
			return r, narrow[0], true
		}
	}
	return base, changes, true
}

// nameLeast names the first set that leaves all statements as they are, unless a set has the name.
func (s *search) nameLeast() {
	first := 0
	for set := len(s.sets); set > 0; set-- {
		adds := true
		for _, f := range s.found {
			if f.Set == set {
				if f.Name == Least {
					return
				}
				adds = adds && f.Name == "" && !slices.Contains([]string{RemoveDeny, Condition, Correction, NarrowDeny}, f.Kind)
			}
		}
		if adds {
			first = set
		}
	}
	for i := range s.found {
		if s.found[i].Set == first {
			s.found[i].Name = Least
		}
	}
}

func applyAll(r authz.Request, changes []change) (authz.Request, bool) {
	for _, c := range changes {
		var ok bool
		if r, ok = c.apply(r); !ok {
			return r, false
		}
	}
	return r, true
}

// try accepts an alternative if it allows the part, alone or with what the limiting layers lack.
func (s *search) try(base authz.Request, removals []change, alt alternative) {
	if len(alt.changes) > 0 && s.covered(alt.changes) {
		return
	}
	r, ok := applyAll(base, alt.changes)
	if !ok {
		return
	}
	if allowed(&r) {
		s.page = alt.name == Documented
		next := s.next(&r, alt.changes)
		s.page = false
		s.accept(slices.Concat(removals, alt.changes), alt.name)
		s.follow(next, alt.name)
		return
	}
	now, ok := explained(&r)
	if !ok || now.Outcome != authz.ImplicitDeny {
		return
	}
	limits := s.limits(&r, now.Silent)
	set := slices.Concat(removals, alt.changes, limits)
	if r, ok = applyAll(r, limits); ok && len(limits) > 0 && allowed(&r) && !s.covered(set) {
		s.accept(set, alt.name)
	}
}

// follow adds changes to the set that was found last.
func (s *search) follow(changes []change, name string) {
	for _, c := range changes {
		c.fix.Set, c.fix.Name = len(s.sets), name
		s.found = append(s.found, c.fix)
	}
}

// covered reports whether a set that was found already is part of an alternative.
func (s *search) covered(alt []change) bool {
	return slices.ContainsFunc(s.sets, func(set []string) bool {
		for _, id := range set {
			if !slices.ContainsFunc(alt, func(c change) bool { return c.id() == id }) {
				return false
			}
		}
		return true
	})
}

func (c *change) id() string {
	return strings.Join([]string{c.fix.Kind, c.fix.Summary.String(), c.fix.Document, c.fix.Command}, "\x00")
}

func (s *search) accept(set []change, name string) {
	if slices.ContainsFunc(s.found, func(f Fix) bool { return f.Name == name }) {
		name = "" // of several, the first is called so
	}
	var ids []string
	for _, c := range set {
		ids = append(ids, c.id())
		f := c.fix
		f.Set, f.Name = len(s.sets)+1, name
		s.found = append(s.found, f)
	}
	s.sets = append(s.sets, ids)
}

// alternatives are the sets of additions that may help, best first: who owns the key decides
// which of key policy, identity policy and grant has an effect.
//
// Source: KMS Developer Guide, "Key policies", "Allowing users in other accounts to use a KMS
// key", "Grants"; Amazon EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with
// encrypted volumes".
func (s *search) alternatives(now *authz.PartDecision) []alternative {
	if s.p.Type == authz.Anonymous || s.p.Type == authz.UnknownPrincipal {
		return nil
	}
	var sets []alternative
	add := func(name string, set ...[]change) {
		all := slices.Concat(set...)
		for _, one := range set {
			if len(one) == 0 { // not possible for this principal or resource
				return
			}
		}
		sets = append(sets, alternative{name, all})
	}
	identity, resource, grant := s.identity(), s.resource(), s.grant()
	switch {
	case s.isInfrastructure():
		add("", grant)
	case !s.part.Authoritative && s.part.Policy == nil:
		add("", identity)
	case s.cross && s.p.IsServiceLinked():
		add(Least, grant) // it has no identity policy of its own and cannot get one
		sets = append(sets, s.documented()...)
	case s.p.IsServiceLinked():
		add(Least, resource)
		sets = append(sets, s.documented()...)
	case s.cross:
		add("", identity)
		add("", resource)
		add("", identity, resource)
		add("", grant)
	case now.Delegated:
		add("", identity)
		add("", resource)
		add("", grant)
	default:
		add("", resource)
		add("", grant)
		add("", identity) // resources whose policy is not the only way in
	}
	return sets
}

func (s *search) isKMS() bool { return strings.HasPrefix(strings.ToLower(s.part.Action), "kms:") }

func (s *search) operation() string {
	_, op, _ := strings.Cut(s.part.Action, ":")
	return op
}
