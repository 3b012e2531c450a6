package partition

import (
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// A Verdict is what the search for an order found.
type Verdict struct {
	Parts     int      // histories that were searched, two of each key
	Illegal   []string // those without an order
	Undecided []string // those that took too long
}

// Linear looks for an order of the operations of each key. Reads count only if they have to be of
// the newest. A search takes patience at most.
func Linear(ops []Op, reads bool, patience time.Duration) (v Verdict) {
	for key, of := range byKey(ops) {
		for name, m := range map[string]machine{"grants": grants{}, "policy": policy{}} {
			var history []porcupine.Operation
			for _, o := range of {
				if (o.Kind.Writes() || reads && o.Outcome != Unknown) && m.concerns(o) {
					history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: int64(o.Call), Output: o.Outcome, Return: int64(o.Return)})
				}
			}
			v.Parts++
			switch porcupine.CheckOperationsTimeout(model(m), history, patience) {
			case porcupine.Illegal:
				v.Illegal = append(v.Illegal, key+" "+name)
			case porcupine.Unknown:
				v.Undecided = append(v.Undecided, key+" "+name)
			}
		}
	}
	slices.Sort(v.Illegal)
	slices.Sort(v.Undecided)
	return v
}

// A machine is a part of a key: states are texts.
type machine interface {
	start() string
	concerns(o Op) bool
	// step is what an operation leaves behind; ok is false if it cannot have ended as it did.
	step(state string, o Op) (next string, ok bool)
}

func model(m machine) porcupine.Model {
	return porcupine.Model{
		Init:  func() any { return m.start() },
		Step:  func(state, in, _ any) (bool, any) { next, ok := m.step(state.(string), in.(Op)); return ok, next },
		Equal: func(a, b any) bool { return a == b },
	}
}

// policy is the text of the key's policy.
type policy struct{}

func (policy) start() string { return firstPolicy }

func (policy) concerns(o Op) bool {
	return o.Kind == PutPolicy || o.Kind == ReadPolicy || o.Kind == UsePolicy && o.Outcome != Disabled
}

func (policy) step(state string, o Op) (string, bool) {
	switch o.Kind {
	case PutPolicy:
		return o.Policy, o.Outcome == Done || o.Outcome == Unknown
	case ReadPolicy:
		return state, state == o.Policy
	}
	return state, lets(state) == (o.Outcome == Done)
}

// grants are whether the key is enabled, and its grants: "on" or "off", then grant@user, in order.
type grants struct{}

func (grants) start() string { return "on" }

func (grants) concerns(o Op) bool { return o.Kind != PutPolicy && o.Kind != ReadPolicy }

func (grants) step(state string, o Op) (string, bool) {
	parts := strings.Split(state, " ")
	on, there := parts[0] == "on", parts[1:]
	this := o.Grant + "@" + o.User
	holds := slices.Contains(there, this)
	switch o.Kind {
	case Enable:
		return joined("on", there), o.Outcome != Denied
	case Disable:
		return joined("off", there), o.Outcome != Denied
	case ReadState:
		return state, on == o.Enabled
	case CreateGrant:
		if !on {
			return state, o.Outcome == Disabled || o.Outcome == Unknown
		}
		if !holds {
			there = append(there[:len(there):len(there)], this)
		}
		return joined(parts[0], there), o.Outcome == Done || o.Outcome == Unknown
	case RevokeGrant:
		if !holds {
			return state, o.Outcome == NotFound || o.Outcome == Unknown
		}
		return joined(parts[0], slices.DeleteFunc(slices.Clone(there), func(s string) bool { return s == this })), o.Outcome == Done || o.Outcome == Unknown
	case ListGrants:
		return state, slices.Equal(names(there), slices.Sorted(slices.Values(o.Grants)))
	}
	if o.Outcome == Disabled {
		return state, !on
	}
	if o.Kind == UsePolicy { // only the state is of this part
		return state, o.Outcome == Denied || on
	}
	may := slices.ContainsFunc(there, func(s string) bool { return strings.HasSuffix(s, "@"+o.User) })
	if o.Outcome == Denied {
		return state, !may
	}
	return state, may && on
}

func joined(on string, there []string) string {
	slices.Sort(there)
	return strings.Join(append([]string{on}, there...), " ")
}

// names are those of grants, in order.
func names(there []string) []string {
	var out []string
	for _, s := range there {
		name, _, _ := strings.Cut(s, "@")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
