package ask

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
)

// maxCited is up to how many grants an answer looks at all that there are, and cites them.
const maxCited = 100

// maxSources is how many source ARNs tell situations apart: more than there are completions of an
// unknown key, beyond which authz leaves a request undetermined.
const maxSources = 300

// A situation is what tells the grants of a principal apart where nothing is known of the request: which
// key and value a constraint names makes no difference. Grants of one situation stand for each other.
type situation struct {
	grantee, granteeID string
	equals, subset     constraint
	source             string
}

// A kind is a situation with the operations of its grants.
type kind struct {
	situation
	operations int // the number of a list of them
}

// A constraint is there, empty or not, or is not there.
type constraint uint8

const (
	none constraint = iota
	empty
	pairs
)

func constraintOf(m map[string]string) constraint {
	switch {
	case m == nil:
		return none
	case len(m) == 0:
		return empty
	}
	return pairs
}

// A Sorting keeps how grants of indexes were sorted. It is not safe for concurrent use.
type Sorting struct {
	known map[*authz.GrantIndex]*sortedGrants
}

// A sortedGrants is grants with their kinds, which nothing has but more than maxCited.
type sortedGrants struct {
	held       []*authz.Grant
	kindOf     []int32 // of each grant, the number of its kind
	kinds      []kind
	operations [][]string // of each kind
}

// sorted are the grants of a part that concern the candidate.
func (c *Candidate) sorted(part *authz.Part) *sortedGrants {
	of := func() *sortedGrants { return sortGrants(slices.Collect(concerning(part, &c.Principal))) }
	if c.Sorting == nil || part.GrantIndex == nil || len(part.Grants) > 0 {
		return of()
	}
	s := c.Sorting.known[part.GrantIndex]
	if s == nil {
		s = of()
		if c.Sorting.known == nil {
			c.Sorting.known = map[*authz.GrantIndex]*sortedGrants{}
		}
		c.Sorting.known[part.GrantIndex] = s
	}
	return s
}

func sortGrants(held []*authz.Grant) *sortedGrants {
	out := &sortedGrants{held: held}
	if len(held) <= maxCited {
		return out
	}
	out.kindOf = make([]int32, len(held))
	number, lists, sources := map[kind]int32{}, map[string]int{}, map[string]bool{}
	var list []byte
	for i, g := range held {
		list = list[:0]
		for _, op := range g.Operations {
			list = append(append(list, op...), ' ')
		}
		of, ok := lists[string(list)]
		if !ok {
			of = len(lists)
			lists[string(list)] = of
		}
		k := kind{operations: of, situation: situation{
			grantee: g.Grantee, granteeID: g.GranteeID, source: g.SourceARN, equals: constraintOf(g.ContextEquals), subset: constraintOf(g.ContextSubset),
		}}
		if len(sources) >= maxSources && !sources[k.source] {
			k.source = "another"
		}
		sources[k.source] = true
		n, ok := number[k]
		if !ok {
			n = int32(len(out.kinds))
			number[k], out.kinds, out.operations = n, append(out.kinds, k), append(out.operations, g.Operations)
		}
		out.kindOf[i] = n
	}
	return out
}

// distinct are grants that stand for all: each, if they are no more than maxCited, else one of each
// situation that allows an operation, or does not, and others that allow it, up to so many. more counts those
// left out that allow it.
func (s *sortedGrants) distinct(operation string) (out []authz.Grant, more int) {
	if len(s.kinds) == 0 {
		for _, g := range s.held {
			out = append(out, *g)
		}
		return out, 0
	}
	type told struct {
		situation
		allows bool
	}
	allow, first, seen := make([]bool, len(s.kinds)), make([]bool, len(s.kinds)), map[told]bool{}
	for i := range s.kinds {
		allow[i] = allows(s.operations[i], operation)
		t := told{s.kinds[i].situation, allow[i]}
		first[i], seen[t] = !seen[t], true
	}
	room := maxCited - len(seen)
	for i, g := range s.held {
		switch k := s.kindOf[i]; {
		case first[k]:
			first[k] = false
			out = append(out, *g)
		case allow[k] && room > 0:
			room--
			out = append(out, *g)
		case allow[k]:
			more++
		}
	}
	return out, more
}

// allows reports whether operations of a grant have one.
func allows(operations []string, operation string) bool {
	return slices.ContainsFunc(operations, func(op string) bool { return strings.EqualFold(op, operation) })
}
