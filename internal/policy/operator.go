package policy

import "strings"

// Set operators of a condition.
const (
	ForAllValues = "ForAllValues"
	ForAnyValue  = "ForAnyValue"
)

// An Operator is a condition operator taken apart: ForAnyValue:StringLikeIfExists is
// {ForAnyValue, StringLike, true}.
type Operator struct {
	Set      string // [ForAllValues], [ForAnyValue] or ""
	Name     string // as in the documentation, such as StringEquals
	IfExists bool
}

// ParseOperator takes an operator apart. Operators are case-sensitive; Null has no IfExists. It
// returns false for an operator that does not exist.
//
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
func ParseOperator(s string) (Operator, bool) {
	var op Operator
	op.Name = s
	if set, rest, ok := strings.Cut(s, ":"); ok {
		if set != ForAllValues && set != ForAnyValue {
			return Operator{}, false
		}
		op.Set, op.Name = set, rest
	}
	op.Name, op.IfExists = strings.CutSuffix(op.Name, "IfExists")
	if !operators[op.Name] || op.IfExists && op.Name == "Null" {
		return Operator{}, false
	}
	return op, true
}

var operators = map[string]bool{
	"StringEquals": true, "StringNotEquals": true,
	"StringEqualsIgnoreCase": true, "StringNotEqualsIgnoreCase": true,
	"StringLike": true, "StringNotLike": true,
	"NumericEquals": true, "NumericNotEquals": true,
	"NumericLessThan": true, "NumericLessThanEquals": true,
	"NumericGreaterThan": true, "NumericGreaterThanEquals": true,
	"DateEquals": true, "DateNotEquals": true,
	"DateLessThan": true, "DateLessThanEquals": true,
	"DateGreaterThan": true, "DateGreaterThanEquals": true,
	"Bool": true, "BinaryEquals": true,
	"IpAddress": true, "NotIpAddress": true,
	"ArnEquals": true, "ArnNotEquals": true, "ArnLike": true, "ArnNotLike": true,
	"Null": true,
}
