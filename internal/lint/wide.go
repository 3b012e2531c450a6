package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// wideRules finds what allows more than it seems to.
func (l *linter) wideRules(s *statement) {
	if s.Effect != policy.Allow {
		return
	}
	if len(s.NotActions) > 0 && l.opts.Kind != policy.SCP {
		l.add("not-action-allow", s.Statement, s.Pos, speech.Say("The statement allows every action but these, of every service that its Resource can be of, also those that AWS will add."),
			speech.Say("List what is to be allowed in Action."))
	}
	if len(s.NotResources) > 0 {
		l.add("not-resource-allow", s.Statement, s.Pos, speech.Say("The statement allows every resource but these, also those that will be made."),
			speech.Say("List what is to be allowed in Resource, or deny the exceptions in another statement."))
	}
	l.anyone(s)
	switch l.opts.Kind {
	case policy.Identity, policy.Session:
		l.wideIdentity(s)
	}
}

// limiting are the keys that say who calls. A condition on one of them makes "*" less than
// everybody.
//
// Source: Access Analyzer, "How access to resources is evaluated"; IAM User Guide, "AWS
// global condition context keys".
var limiting = []string{
	"aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid", "aws:username",
	"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce",
	"aws:sourcevpcarn", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "aws:sourceip", "aws:vpcsourceip",
	"aws:principalservicename", "aws:principalservicenameslist", "kms:calleraccount", "sts:externalid",
	"ec2:sourceinstancearn", "lambda:sourcefunctionarn",
}

// anyone finds statements that allow everybody.
//
// Source: KMS Developer Guide, "Key policies", Principal element; IAM User Guide, "AWS JSON policy
// elements: Principal".
func (l *linter) anyone(s *statement) {
	if s.Principal == nil || !s.Principal.Any || l.opts.Kind == policy.RCP || l.opts.Kind == policy.Endpoint {
		return
	}
	for _, c := range s.Conditions {
		k := l.cond(c)
		if slices.Contains(limiting, strings.ToLower(c.Key)) && !negated(k.op) && !k.op.IfExists && k.op.Set != policy.ForAllValues && !isNull(k) && !everything(c) {
			return
		}
		if strings.HasPrefix(strings.ToLower(c.Key), "aws:principaltag/") && !negated(k.op) && !k.op.IfExists && !everything(c) {
			return
		}
	}
	reason := speech.Say("Everybody may do this, of every account whose own policies allow it.")
	fix := speech.Say("Name the principals, or add a condition that says who: kms:CallerAccount, aws:PrincipalOrgID or aws:PrincipalArn.")
	if len(s.Conditions) > 0 {
		reason = speech.Say("Everybody may do this, of every account whose own policies allow it: no condition of the statement says who calls.")
	}
	l.add("anyone", s.Statement, s.Principal.Pos, reason, fix)
}

// everything reports whether a condition's values include one that matches any text.
func everything(c policy.Condition) bool {
	return slices.ContainsFunc(c.Values, func(v policy.Text) bool {
		return strings.Trim(v.Value, "*") == "" || v.Value == "0.0.0.0/0" || v.Value == "::/0"
	})
}

// wideIdentity looks at what an identity-based policy allows on everything.
func (l *linter) wideIdentity(s *statement) {
	all := len(s.Resources) == 0 || slices.ContainsFunc(s.Resources, func(r policy.Text) bool { return r.Value == "*" })
	for _, e := range s.entries {
		if e.Value == "*" && all && len(s.Conditions) == 0 {
			l.add("any-action", s.Statement, e.Pos, speech.Say("Every action on everything is allowed, also those on keys, policies and grants."), speech.Say("List the actions that are needed."))
			return
		}
	}
	if t, a := l.anyKey(s); a != "" {
		l.add("any-key", s.Statement, t.Pos,
			speech.Say("%s is allowed on every key that delegates to the account, of any account and region.", a),
			speech.Say("Name the keys by ARN, or add a condition on kms:ResourceAliases, aws:ResourceTag or kms:ViaService."))
	}
	l.passAnyRole(s, all)
}

// anyKey finds a Resource that is every key together with an action that changes or uses keys.
func (l *linter) anyKey(s *statement) (policy.Text, string) {
	i := slices.IndexFunc(s.Resources, func(r policy.Text) bool {
		f, ok := fields(r.Value)
		return r.Value == "*" || ok && f[2] == "kms" && (f[5] == "*" || f[5] == "key/*") && (f[4] == "*" || f[3] == "*")
	})
	if i < 0 || len(s.Conditions) > 0 {
		return policy.Text{}, ""
	}
	for _, e := range s.entries {
		if e.Value == "*" {
			continue
		}
		for _, a := range e.matches {
			if a.Service.Prefix == "kms" && onKeys(a) && slices.ContainsFunc(a.Level, func(level string) bool { return level != "Read" && level != "List" }) {
				return s.Resources[i], e.Value
			}
		}
	}
	return policy.Text{}, ""
}

func onKeys(a *actions.Action) bool {
	return slices.ContainsFunc(a.Resources, func(o actions.On) bool { return o.Name == "key" })
}

// passAnyRole finds iam:PassRole without limits.
//
// Source: Access Analyzer policy checks, "PassRole with star in resource".
func (l *linter) passAnyRole(s *statement, all bool) {
	if !all || slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
		return strings.EqualFold(c.Key, "iam:PassedToService") || strings.EqualFold(c.Key, "iam:AssociatedResourceArn")
	}) {
		return
	}
	for _, e := range s.entries {
		if e.Value != "*" && slices.ContainsFunc(e.matches, func(a *actions.Action) bool { return a.Full() == "iam:PassRole" }) {
			l.add("pass-any-role", s.Statement, e.Pos, speech.Say("Any role may be passed to any service, and whoever passes a role can use its permissions."),
				speech.Say("Name the roles in Resource and the service in a condition on iam:PassedToService."))
			return
		}
	}
}
