package ask

import (
	"iter"
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
	allows             bool // the operation
	equals, subset     constraint
	source             string
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

// distinct are grants that stand for all: each, if they are no more than maxCited, else one of each
// situation and others that allow the operation, up to so many. more counts those left out that allow it.
func distinct(grants iter.Seq[*authz.Grant], operation string) (out []authz.Grant, more int) {
	held := slices.Collect(grants)
	take := map[int]bool{}
	if len(held) > maxCited {
		seen, sources := map[situation]bool{}, map[string]bool{}
		for i, g := range held {
			s := situation{
				grantee: g.Grantee, granteeID: g.GranteeID, allows: allows(g, operation), source: g.SourceARN,
				equals: constraintOf(g.ContextEquals), subset: constraintOf(g.ContextSubset),
			}
			if len(sources) == maxSources && !sources[s.source] {
				s.source = "another"
			}
			if sources[s.source] = true; !seen[s] {
				seen[s], take[i] = true, true
			}
		}
	}
	for i, g := range held {
		switch {
		case take[i]:
		case len(held) <= maxCited, len(take) < maxCited && allows(g, operation):
			take[i] = true
		case allows(g, operation):
			more++
		}
	}
	for i, g := range held {
		if take[i] {
			out = append(out, *g)
		}
	}
	return out, more
}

// allows reports whether a grant has an operation.
func allows(g *authz.Grant, operation string) bool {
	return slices.ContainsFunc(g.Operations, func(op string) bool { return strings.EqualFold(op, operation) })
}
