package explain

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/speech"
)

// maxMissed bounds the lines about statements that do not apply.
const maxMissed = 20

// Text says in plain words who asked for what, which statement or grant decided, what is missing,
// and which conditions were false. who is the principal; pass the part through [Visible] first if
// the reader is not the owner of everything in it.
func Text(part authz.PartDecision, who string) []string {
	return speech.All(speech.English, Lines(part, who))
}

// Lines is [Text] in every language.
func Lines(part authz.PartDecision, who string) []speech.Text {
	lines := []speech.Text{speech.Say("%s asked for %s on %s: %s.", who, part.Action, part.Resource, Outcome(part.Outcome))}
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
		lines = append(lines, speech.Say("It depends on %s.", d))
	}
	missed := slices.Clone(part.Missed)
	slices.SortStableFunc(missed, func(a, b authz.Miss) int { return interest(a.Reason) - interest(b.Reason) })
	for i, m := range missed {
		if i == maxMissed {
			lines = append(lines, speech.Say("%d more statements and grants do not apply.", len(missed)-i))
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

// Outcome says what was decided.
func Outcome(o authz.Outcome) speech.Text {
	switch o {
	case authz.Allowed:
		return speech.Say("allowed")
	case authz.ExplicitDeny:
		return speech.Say("denied, a statement says so")
	case authz.Undetermined:
		return speech.Say("undetermined")
	}
	return speech.Say("denied, an allow is missing")
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
func place(part *authz.PartDecision, l authz.Layer) speech.Text {
	switch l {
	case authz.LayerIdentity:
		return speech.Say("identity policy")
	case authz.LayerResource:
		if strings.HasPrefix(strings.ToLower(part.Action), "kms:") {
			return speech.Say("key policy")
		}
		return speech.Say("resource policy")
	case authz.LayerTrust:
		return speech.Say("trust policy")
	case authz.LayerGrant:
		return speech.Say("grant")
	case authz.LayerRoot:
		return speech.Say("standing of the account's root user")
	case authz.LayerNone:
		return speech.Say("policy")
	}
	return limit(l)
}

// limit names a layer that only limits.
func limit(l authz.Layer) speech.Text {
	switch l {
	case authz.LayerBoundary:
		return speech.Say("permissions boundary")
	case authz.LayerSession:
		return speech.Say("session policy")
	case authz.LayerSCP:
		return speech.Say("service control policy")
	case authz.LayerRCP:
		return speech.Say("resource control policy")
	case authz.LayerEndpoint:
		return speech.Say("VPC endpoint policy")
	}
	return speech.Raw(noun(l))
}

// named says which statement or grant a match is.
func named(part *authz.PartDecision, m *authz.Match) speech.Text {
	where := place(part, m.Layer)
	switch {
	case m.Layer == authz.LayerRoot:
		return speech.Say("The %s", where)
	case m.GrantID != "":
		return speech.Join(speech.Say("Grant %s", m.GrantID), ownedBy(m))
	case m.Document == "" && m.Sid == "": // see Visible
		return speech.Join(speech.Say("The %s", where), hanging(m), ownedBy(m))
	}
	s := speech.Say("Statement %s of the %s", quoted(m.Sid), where)
	if m.Document != "" && m.Document != part.Resource {
		s = speech.Say("Statement %s of the %s %s", quoted(m.Sid), where, m.Document)
	}
	return speech.Join(s, hanging(m), ownedBy(m))
}

// hanging says at which level of an organization its policy hangs.
func hanging(m *authz.Match) speech.Text {
	if l, ok := level(m.Target); ok {
		return speech.Say(" on %s", l)
	}
	return speech.Text{}
}

// level names a level of an organization by its ARN.
func level(target string) (speech.Text, bool) {
	a, err := arn.Parse(target)
	if err != nil || a.Service != "organizations" {
		return speech.Text{}, false
	}
	id := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	switch a.Type() {
	case "root":
		return speech.Say("the root %s", id), true
	case "ou":
		return speech.Say("the organizational unit %s", id), true
	}
	return speech.Say("the account %s", id), true
}

// lacking names the levels of an organization at which a layer has no allow.
func lacking(part *authz.PartDecision, l authz.Layer) (levels speech.Text, ok bool) {
	for _, at := range part.Lacking {
		here, known := level(at.Target)
		switch {
		case at.Layer != l || !known:
		case ok:
			levels = speech.Join(levels, speech.Say(" and on "), here)
		default:
			levels, ok = here, true
		}
	}
	return levels, ok
}

func ownedBy(m *authz.Match) speech.Text {
	if arn.IsAccount(m.Owner) {
		return speech.Say(" (account %s)", m.Owner)
	}
	return speech.Text{}
}

// quoted leaves "#2", the name of a statement without a Sid, as it is.
func quoted(sid string) string {
	if strings.HasPrefix(sid, "#") {
		return sid
	}
	return strconv.Quote(sid)
}

func matched(part *authz.PartDecision, m *authz.Match, denied bool) speech.Text {
	s := named(part, m)
	switch {
	case isDeny(m):
		return speech.Say("%s denies it.", s)
	case m.Account && part.Outcome == authz.Allowed && part.By != authz.LayerIdentity && part.Also != authz.LayerIdentity:
		return speech.Say("%s names the account, and so its root user.", s)
	case m.Account:
		return speech.Say("%s names the account, which leaves the decision to the account's identity policies.", s)
	case denied:
		return speech.Say("%s would allow it, but that is not enough.", s)
	}
	return speech.Say("%s allows it.", s)
}

// missing are the layers without an allow.
func missing(part *authz.PartDecision) []authz.Layer {
	if len(part.Silent) == 0 && part.By != authz.LayerNone {
		return []authz.Layer{part.By}
	}
	return part.Silent
}

func silent(part *authz.PartDecision, l authz.Layer, who string) speech.Text {
	switch l {
	case authz.LayerIdentity:
		switch {
		case isServiceLinked(who) && part.CrossAccount:
			return speech.Say("No identity policy of the principal allows %s, and the policies of a service-linked role cannot be changed: for a key of another account only a grant can help.", part.Action)
		case isServiceLinked(who):
			return speech.Say("No identity policy of the principal allows %s, and the policies of a service-linked role cannot be changed.", part.Action)
		}
		return speech.Say("No identity policy of the principal allows %s.", part.Action)
	case authz.LayerGrant:
		return speech.Say("No grant for the principal covers %s.", part.Action)
	case authz.LayerResource, authz.LayerTrust:
		if a, err := arn.Parse(part.Resource); err == nil && part.CrossAccount && arn.IsAccount(a.Account) {
			return speech.Say("The %s in account %s: no allow there.", place(part, l), a.Account)
		}
	}
	if levels, ok := lacking(part, l); ok {
		return speech.Say("The %s on %s: no allow there.", place(part, l), levels)
	}
	return speech.Say("The %s: no allow there.", place(part, l))
}

// isServiceLinked accepts the ARN of a session of a service-linked role. It carries no path, so
// the reserved name decides. Source: IAM User Guide, "Using service-linked roles".
func isServiceLinked(who string) bool {
	a, err := arn.Parse(who)
	return err == nil && a.Service == "sts" && strings.HasPrefix(a.Resource, "assumed-role/AWSServiceRoleFor")
}

func missLine(part *authz.PartDecision, m *authz.Miss) speech.Text {
	s := named(part, &m.Match)
	_, op, _ := strings.Cut(part.Action, ":")
	switch m.Reason {
	case authz.MissPrincipal:
		return speech.Say("%s is for other principals.", s)
	case authz.MissDeadPrincipal:
		return speech.Say("%s names a principal that was deleted; the present one of the same ARN is another.", s)
	case authz.MissAction:
		return speech.Say("%s does not cover %s.", s, part.Action)
	case authz.MissResource:
		return speech.Say("%s is for other resources.", s)
	case authz.MissCondition:
		return speech.Say("%s does not apply: %s.", s, wanted(m))
	case authz.MissGrantee:
		return speech.Say("%s is for another grantee.", s)
	case authz.MissOperation:
		return speech.Say("%s does not include %s.", s, op)
	case authz.MissConstraint:
		return speech.Say("%s is limited to another encryption context%s.", s, detail(m))
	case authz.MissNotSubset:
		return speech.Say("%s does not cover all that the new grant would allow.", s)
	case authz.MissSourceARN:
		return speech.Say("%s is limited to another source%s.", s, detail(m))
	}
	return speech.Say("%s does not apply.", s)
}

func detail(m *authz.Miss) speech.Text {
	if m.Key == "" && len(m.Want) == 0 {
		return speech.Text{}
	}
	return speech.Join(speech.Raw(": "), wanted(m))
}

// wanted compares what a condition wants with what the request has.
func wanted(m *authz.Miss) speech.Text {
	s := strings.TrimSpace(m.Operator + " " + m.Key)
	if m.Operator != "" {
		return speech.Say("its condition %s wants %s, %s", s, list(m.Want), got(m))
	}
	return speech.Say("%s wants %s, %s", s, list(m.Want), got(m))
}

func got(m *authz.Miss) speech.Text {
	switch {
	case m.Got.Unknown:
		return speech.Say("the request's value is not shown or not known")
	case !m.Present:
		return speech.Say("the request does not have it")
	case m.Got.Multi:
		return speech.Say("the request has %s", list(m.Got.List))
	}
	return speech.Say("the request has %s", strconv.Quote(m.Got.One))
}

func list(values []string) speech.Text {
	if len(values) == 0 {
		return speech.Say("nothing")
	}
	var out speech.Text
	for i, v := range values {
		if i == 0 {
			out = speech.Raw(strconv.Quote(v))
		} else {
			out = speech.Join(out, speech.Say(" or "), speech.Raw(strconv.Quote(v)))
		}
	}
	return out
}
