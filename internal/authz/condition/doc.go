// Package condition evaluates the Condition element of policy statements, and the patterns with
// wildcards and policy variables that conditions share with resources.
//
// Everything is compiled once and evaluated many times, without allocation except where a
// comment says so. A request may hold keys of unknown value; hence the third truth value.
//
// Sources: IAM User Guide, "IAM JSON policy elements: Condition operators", "Multivalued context
// keys", "IAM policy elements: Variables and tags", "IAM JSON policy elements: Resource".
package condition

// Truth is a truth value of Kleene's three-valued logic, in the order False < Unknown < True:
// min is "and", max is "or".
type Truth uint8

// Truth values.
const (
	False   Truth = iota
	Unknown       // depends on a value that is not known
	True
)

// Not swaps True and False.
func (t Truth) Not() Truth { return True - t }

// Of is True or False.
func Of(b bool) Truth {
	if b {
		return True
	}
	return False
}
