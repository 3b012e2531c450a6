package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

// maxMissed bounds the lines about statements that do not apply.
const maxMissed = 20

// Text says in plain words who asked for what, which statement or grant decided, what is missing,
// and which conditions were false. who is the principal; pass the part through [Visible] first if
// the reader is not the owner of everything in it.
func Text(part authz.PartDecision, who string) []string {
	lines := []string{fmt.Sprintf("%s asked for %s on %s: %s.", who, part.Action, part.Resource, outcome(part.Outcome))}
	denied := part.Outcome == authz.ExplicitDeny || part.Outcome == authz.ImplicitDeny
	for _, m := range Deciding(part) {
		lines = append(lines, matched(&part, &m, denied))
	}
	if part.Outcome == authz.ImplicitDeny {
		for _, l := range missing(&part) {
			lines = append(lines, silent(&part, l, who))
		}
	}
	if part.Outcome == authz.Allowed {
		return lines
	}
	for _, d := range part.Depends {
		lines = append(lines, "It depends on "+d+".")
	}
	missed := slices.Clone(part.Missed)
	slices.SortStableFunc(missed, func(a, b authz.Miss) int { return interest(a.Reason) - interest(b.Reason) })
	for i, m := range missed {
		if i == maxMissed {
			lines = append(lines, strconv.Itoa(len(missed)-i)+" more statements and grants do not apply.")
			break
		}
		lines = append(lines, missLine(&part, &m))
	}
	return lines
}

// Deciding are the statements and grants to name as the reason. Where all is allowed those are the
// ones of the layers that granted it: a statement that only delegates to identity policies is no
// reason if a grant decided, nor is one of a limiting policy.
func Deciding(part authz.PartDecision) []authz.Match {
	if part.Outcome != authz.Allowed {
		return part.Matched
	}
	var out, weak []authz.Match
	byIdentity := part.By == authz.LayerIdentity || part.Also == authz.LayerIdentity
	for _, m := range part.Matched {
		switch {
		case m.Layer != part.By && m.Layer != part.Also:
		case m.Account && !byIdentity:
			weak = append(weak, m)
		default:
			out = append(out, m)
		}
	}
	if len(out) == 0 { // the account's root user is whom a delegating statement names
		return weak
	}
	return out
}

func outcome(o authz.Outcome) string {
	switch o {
	case authz.Allowed:
		return "allowed"
	case authz.ExplicitDeny:
		return "denied, a statement says so"
	case authz.Undetermined:
		return "undetermined"
	}
	return "denied, an allow is missing"
}

// interest orders what did not apply: nearest to applying first.
func interest(r authz.MissReason) int {
	switch r {
	case authz.MissCondition, authz.MissDeadPrincipal, authz.MissConstraint, authz.MissNotSubset, authz.MissSourceARN:
		return 0
	case authz.MissOperation, authz.MissAction, authz.MissResource:
		return 1
	}
	return 2
}

// place names a layer in the words of the action's service.
func place(part *authz.PartDecision, l authz.Layer) string {
	switch l {
	case authz.LayerIdentity:
		return "identity policy"
	case authz.LayerResource:
		if strings.HasPrefix(strings.ToLower(part.Action), "kms:") {
			return "key policy"
		}
		return "resource policy"
	case authz.LayerTrust:
		return "trust policy"
	case authz.LayerGrant:
		return "grant"
	case authz.LayerRoot:
		return "standing of the account's root user"
	case authz.LayerNone:
		return "policy"
	}
	return noun(l)
}

// named says which statement or grant a match is.
func named(part *authz.PartDecision, m *authz.Match) string {
	where := place(part, m.Layer)
	switch {
	case m.Layer == authz.LayerRoot:
		return "The " + where
	case m.GrantID != "":
		return "Grant " + m.GrantID + ownedBy(m)
	case m.Document == "" && m.Sid == "": // see Visible
		return "The " + where + ownedBy(m)
	}
	s := "Statement " + quoted(m.Sid) + " of the " + where
	if m.Document != "" && m.Document != part.Resource {
		s += " " + m.Document
	}
	return s + ownedBy(m)
}

func ownedBy(m *authz.Match) string {
	if arn.IsAccount(m.Owner) {
		return " (account " + m.Owner + ")"
	}
	return ""
}

// quoted leaves "#2", the name of a statement without a Sid, as it is.
func quoted(sid string) string {
	if strings.HasPrefix(sid, "#") {
		return sid
	}
	return strconv.Quote(sid)
}

func matched(part *authz.PartDecision, m *authz.Match, denied bool) string {
	s := named(part, m)
	switch {
	case isDeny(m):
		return s + " denies it."
	case m.Account && part.Outcome == authz.Allowed && part.By != authz.LayerIdentity && part.Also != authz.LayerIdentity:
		return s + " names the account, and so its root user."
	case m.Account:
		return s + " names the account, which leaves the decision to the account's identity policies."
	case denied:
		return s + " would allow it, but that is not enough."
	}
	return s + " allows it."
}

// missing are the layers without an allow.
func missing(part *authz.PartDecision) []authz.Layer {
	if len(part.Silent) == 0 && part.By != authz.LayerNone {
		return []authz.Layer{part.By}
	}
	return part.Silent
}

func silent(part *authz.PartDecision, l authz.Layer, who string) string {
	switch l {
	case authz.LayerIdentity:
		s := "No identity policy of the principal allows " + part.Action
		if isServiceLinked(who) {
			s += ", and the policies of a service-linked role cannot be changed"
			if part.CrossAccount {
				s += ": for a key of another account only a grant can help"
			}
		}
		return s + "."
	case authz.LayerGrant:
		return "No grant for the principal covers " + part.Action + "."
	case authz.LayerResource, authz.LayerTrust:
		s := "The " + place(part, l)
		if a, err := arn.Parse(part.Resource); err == nil && part.CrossAccount && arn.IsAccount(a.Account) {
			s += " in account " + a.Account
		}
		return s + ": no allow there."
	}
	return "The " + place(part, l) + ": no allow there."
}

// isServiceLinked accepts the ARN of a session of a service-linked role. It carries no path, so
// the reserved name decides. Source: IAM User Guide, "Using service-linked roles".
func isServiceLinked(who string) bool {
	a, err := arn.Parse(who)
	return err == nil && a.Service == "sts" && strings.HasPrefix(a.Resource, "assumed-role/AWSServiceRoleFor")
}

func missLine(part *authz.PartDecision, m *authz.Miss) string {
	s := named(part, &m.Match)
	_, op, _ := strings.Cut(part.Action, ":")
	switch m.Reason {
	case authz.MissPrincipal:
		return s + " is for other principals."
	case authz.MissDeadPrincipal:
		return s + " names a principal that was deleted; the present one of the same ARN is another."
	case authz.MissAction:
		return s + " does not cover " + part.Action + "."
	case authz.MissResource:
		return s + " is for other resources."
	case authz.MissCondition:
		return s + " does not apply: " + wanted(m) + "."
	case authz.MissGrantee:
		return s + " is for another grantee."
	case authz.MissOperation:
		return s + " does not include " + op + "."
	case authz.MissConstraint:
		return s + " is limited to another encryption context" + detail(m) + "."
	case authz.MissNotSubset:
		return s + " does not cover all that the new grant would allow."
	case authz.MissSourceARN:
		return s + " is limited to another source" + detail(m) + "."
	}
	return s + " does not apply."
}

func detail(m *authz.Miss) string {
	if m.Key == "" && len(m.Want) == 0 {
		return ""
	}
	return ": " + wanted(m)
}

// wanted compares what a condition wants with what the request has.
func wanted(m *authz.Miss) string {
	s := strings.TrimSpace(m.Operator + " " + m.Key)
	if m.Operator != "" {
		s = "its condition " + s
	}
	return s + " wants " + list(m.Want) + ", " + got(m)
}

func got(m *authz.Miss) string {
	switch {
	case m.Got.Unknown:
		return "the request's value is not shown or not known"
	case !m.Present:
		return "the request does not have it"
	case m.Got.Multi:
		return "the request has " + list(m.Got.List)
	}
	return "the request has " + strconv.Quote(m.Got.One)
}

func list(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	q := make([]string, len(values))
	for i, v := range values {
		q[i] = strconv.Quote(v)
	}
	return strings.Join(q, " or ")
}
