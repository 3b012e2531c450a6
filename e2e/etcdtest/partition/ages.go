package partition

import (
	"fmt"
	"slices"
	"time"
)

// A Violation is an operation that must not have happened as it did.
type Violation struct {
	Op   Op
	What string
}

// String tells it.
func (v Violation) String() string { return v.What + ": " + v.Op.String() }

// A Worst is the greatest age of what was read.
type Worst struct{ State, Policy, Grants time.Duration }

// Max is the greatest of all.
func (w Worst) Max() time.Duration { return max(w.State, w.Policy, w.Grants) }

// Ages finds how old each answer was at least when its request was sent, and reports those that
// are older than the bound, or that nothing explains.
func Ages(ops []Op, bound time.Duration) (worst Worst, wrong []Violation) {
	for _, key := range byKey(ops) {
		h := newPast(key)
		for _, o := range key {
			if o.Kind.Writes() || o.Outcome == Unknown {
				continue
			}
			note := func(what string, of *time.Duration, age time.Duration, explained bool) {
				switch {
				case !explained:
					wrong = append(wrong, Violation{o, what + " that never was"})
					return
				case age > bound:
					wrong = append(wrong, Violation{o, fmt.Sprintf("%s of %s before the request", what, age)})
				}
				*of = max(*of, age)
			}
			h.judge(o, &worst, note)
		}
	}
	slices.SortFunc(wrong, func(a, b Violation) int { return int(a.Op.Call - b.Op.Call) })
	return worst, wrong
}

// judge notes the age of everything that an operation tells of a key.
func (h *past) judge(o Op, worst *Worst, note func(what string, of *time.Duration, age time.Duration, explained bool)) {
	state := func(enabled bool) {
		age, ok := h.state.age(o, func(v string) bool { return (v == "on") == enabled })
		note("a state", &worst.State, age, ok)
	}
	policy := func(fits func(string) bool) {
		age, ok := h.policy.age(o, fits)
		note("a policy", &worst.Policy, age, ok)
	}
	switch {
	case o.Kind == ReadState:
		state(o.Enabled)
	case o.Kind == ReadPolicy:
		policy(func(v string) bool { return v == o.Policy })
	case o.Kind == ListGrants:
		age, ok := h.listed(o)
		note("a list of grants", &worst.Grants, age, ok)
	case o.Outcome == Disabled:
		state(false)
	case o.Kind == UsePolicy:
		policy(func(v string) bool { return lets(v) == (o.Outcome == Done) })
	case o.Kind == UseGrant:
		age, ok := h.granted(o)
		note("a grant", &worst.Grants, age, ok)
	}
	if o.Outcome == Done && (o.Kind == UsePolicy || o.Kind == UseGrant) {
		state(true)
	}
}

// A write gave a value.
type write struct {
	value     string
	call, ret time.Duration
	gone      time.Duration // by when another value was surely there
}

// A register has one value at a time.
type register []write

// settle fills in until when a value may have been there.
func (r register) settle() register {
	for i := range r {
		r[i].gone = forever
		for _, w := range r {
			if w.call > r[i].ret {
				r[i].gone = min(r[i].gone, w.ret)
			}
		}
	}
	return r
}

// age is how long before the call of a read the last value was surely gone that fits what it
// read; ok is false if no value does that was written before it returned.
func (r register) age(o Op, fits func(string) bool) (age time.Duration, ok bool) {
	age = forever
	for _, w := range r {
		if w.call <= o.Return && fits(w.value) {
			age, ok = min(age, max(0, o.Call-w.gone)), true
		}
	}
	return age, ok
}

// A life is that of a grant.
type life struct {
	user         string
	call, ret    time.Duration // of its making; ret is forever if that is not known
	asked, ended time.Duration // when it was first asked to end, and by when it surely had
}

// past is everything that was written to one key.
type past struct {
	state, policy register
	grants        map[string]*life
}

func newPast(ops []Op) *past {
	before := write{call: -1, ret: -1}
	h := &past{grants: map[string]*life{}}
	on, first := before, before
	on.value, first.value = "on", firstPolicy
	h.state, h.policy = register{on}, register{first}
	for _, o := range ops {
		w := write{call: o.Call, ret: o.Return}
		switch {
		case !o.Kind.Writes() || o.Outcome != Done && o.Outcome != Unknown:
		case o.Kind == Enable:
			w.value = "on"
			h.state = append(h.state, w)
		case o.Kind == Disable:
			w.value = "off"
			h.state = append(h.state, w)
		case o.Kind == PutPolicy:
			w.value = o.Policy
			h.policy = append(h.policy, w)
		case o.Kind == CreateGrant:
			h.grants[o.Grant] = &life{user: o.User, call: o.Call, ret: o.Return, asked: forever, ended: forever}
		}
	}
	for _, o := range ops {
		if g := h.grants[o.Grant]; o.Kind == RevokeGrant && g != nil && (o.Outcome == Done || o.Outcome == Unknown) {
			g.asked, g.ended = min(g.asked, o.Call), min(g.ended, o.Return)
		}
	}
	h.state, h.policy = h.state.settle(), h.policy.settle()
	return h
}

// there is how old it is that a grant exists; absent how old that it does not.
func (g *life) there(o Op) (age time.Duration, ok bool) {
	return max(0, o.Call-g.ended), g.call <= o.Return
}

func (g *life) absent(o Op) time.Duration {
	if g.asked <= o.Return {
		return 0
	}
	return max(0, o.Call-g.ret)
}

// listed is the age of a list: that of the oldest thing it says.
func (h *past) listed(o Op) (age time.Duration, ok bool) {
	for _, name := range o.Grants {
		g := h.grants[name]
		if g == nil {
			return 0, false
		}
		a, ok := g.there(o)
		if !ok {
			return 0, false
		}
		age = max(age, a)
	}
	for name, g := range h.grants {
		if !slices.Contains(o.Grants, name) {
			age = max(age, g.absent(o))
		}
	}
	return age, true
}

// granted is the age of what a use of the key tells of the user's grants.
func (h *past) granted(o Op) (age time.Duration, ok bool) {
	if o.Outcome == Denied {
		for _, g := range h.grants {
			if g.user == o.User {
				age = max(age, g.absent(o))
			}
		}
		return age, true
	}
	age = forever
	for _, g := range h.grants {
		if a, made := g.there(o); g.user == o.User && made {
			age, ok = min(age, a), true
		}
	}
	return age, ok
}
