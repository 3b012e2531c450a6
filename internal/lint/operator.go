package lint

import (
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// family is what an operator compares: "String", "Numeric", "Date", "Bool", "Binary", "Ip", "Arn"
// or "Null".
func family(op policy.Operator) string {
	for _, f := range []string{"String", "Numeric", "Date", "Arn", "Bool", "Binary", "Null"} {
		if strings.HasPrefix(op.Name, f) {
			return f
		}
	}
	return "Ip"
}

func negated(op policy.Operator) bool { return strings.Contains(op.Name, "Not") }

// A fit says how well operators of a family serve for a type of key.
type fit uint8

const (
	never  fit = iota // compares what cannot be equal
	asText            // compares the text, so another spelling of the same value differs
	good
)

// fits is the table of operators and types.
//
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators"; Access Analyzer policy
// checks, "Data type mismatch".
func fits(f string, t actions.Type) fit {
	switch f {
	case "Null":
		return good
	case "String":
		if t == actions.String || t == actions.ARN {
			return good
		}
		return asText
	case "Numeric":
		return yes(t == actions.Numeric || t == actions.DateOrNumeric)
	case "Date":
		return yes(t == actions.Date || t == actions.DateOrNumeric)
	case "Bool":
		return yes(t == actions.Bool)
	case "Ip":
		return yes(t == actions.IP)
	case "Arn":
		return yes(t == actions.ARN || t == actions.String) // some keys of type String hold ARNs
	}
	return never
}

func yes(b bool) fit {
	if b {
		return good
	}
	return never
}

// operators are those to use for a type.
func operators(t actions.Type) speech.Text {
	switch t {
	case actions.Bool:
		return speech.Raw("Bool")
	case actions.Numeric:
		return speech.Say("NumericEquals or another Numeric operator")
	case actions.Date:
		return speech.Say("DateLessThan or another Date operator")
	case actions.DateOrNumeric:
		return speech.Say("a Date or Numeric operator")
	case actions.IP:
		return speech.Say("IpAddress or NotIpAddress")
	case actions.ARN:
		return speech.Say("ArnLike or ArnEquals")
	}
	return speech.Say("StringEquals or StringLike")
}
