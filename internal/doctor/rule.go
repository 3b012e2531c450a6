package doctor

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// rule is why a request is refused, in the words of the scenarios, with the statement or grant that
// decided.
func (w *world) rule(a *answer) (rule, where string) {
	if a.err != nil {
		return stateRule(a.err, a.key), ""
	}
	part := a.refused()
	if part.Outcome == authz.ExplicitDeny {
		return denyRule(part)
	}
	if w.keys[part.Resource] == nil && strings.HasPrefix(part.Resource, "arn:") && strings.Contains(part.Resource, ":kms:") {
		return "key-not-found", ""
	}
	if rule, where = grantRule(part); rule != "" {
		return rule, where
	}
	if rule, where = w.historyRule(a); rule != "" {
		return rule, where
	}
	return silentRule(part, a.key, a.who.principal.IsServiceLinked())
}

// denyRule is the rule of an explicit deny.
func denyRule(part *authz.PartDecision) (rule, where string) {
	layers := map[authz.Layer]string{
		authz.LayerResource: "key-policy", authz.LayerSCP: "scp", authz.LayerRCP: "rcp", authz.LayerIdentity: "identity", authz.LayerBoundary: "boundary",
	}
	for _, m := range part.Matched {
		if m.Effect == policy.Deny && where == "" {
			where = m.Sid
		}
	}
	return "explicit-deny-" + layers[part.By], where
}

// grantRule is the rule where a grant for the principal does not help.
func grantRule(part *authz.PartDecision) (rule, where string) {
	for _, m := range part.Missed {
		switch m.Reason {
		case authz.MissOperation:
			return "grant-operation-missing", m.GrantID
		case authz.MissConstraint, authz.MissSourceARN:
			return "grant-constraint-not-met", m.GrantID
		case authz.MissNotSubset:
			return "grant-not-subset", m.GrantID
		}
	}
	return "", ""
}

// historyRule is the rule where a grant for the principal would help if it had not ended.
func (w *world) historyRule(a *answer) (rule, where string) {
	if a.key == nil {
		return "", ""
	}
	for _, g := range a.key.ended {
		if g.GranteePrincipal != grantee(&a.who.principal) {
			continue
		}
		r, part := a.request, a.request.Parts[a.part]
		part.Grants = append(slices.Clone(part.Grants), w.grant(g, a.key.Account))
		r.Parts = []authz.Part{part}
		if authz.Decide(&r).Outcome == authz.Allowed {
			return "grant-" + g.Status, g.ID
		}
	}
	return "", ""
}

// silentRule is the rule of a request that nothing allows, by the limits of the caller and the
// policies of the two sides.
func silentRule(part *authz.PartDecision, k *key, linked bool) (rule, where string) {
	missing := map[authz.Layer]bool{}
	for _, l := range part.Silent {
		missing[l] = true
	}
	switch {
	case part.CrossAccount && k != nil && k.AWSManaged:
		return "aws-managed-key-cross-account", ""
	case linked && part.CrossAccount:
		return "cross-account-needs-grant", ""
	case missing[authz.LayerSCP]:
		return "no-allow-scp", ""
	case missing[authz.LayerBoundary]:
		return "boundary-no-allow", ""
	case part.Delegated && !linked && missing[authz.LayerIdentity]:
		return "no-identity-policy", ""
	}
	condition, action := "", false
	for _, m := range part.Missed {
		if m.Layer != authz.LayerResource {
			continue
		}
		switch m.Reason {
		case authz.MissCondition:
			condition = m.Sid
		case authz.MissAction:
			action = action || !m.Account
		}
	}
	switch {
	case condition != "":
		return "condition-not-met", condition
	case part.CrossAccount:
		return "cross-account-key-policy-missing", ""
	case action:
		return "action-not-in-key-policy", ""
	}
	return "not-in-key-policy", ""
}

// stateRule is why a request fails that is allowed.
func stateRule(err error, k *key) string {
	switch c := code(err); {
	case c == "DisabledException":
		return "key-disabled"
	case c == "KMSInvalidStateException" && k != nil && k.State == "PendingImport":
		return "key-pending-import"
	case c == "KMSInvalidStateException":
		return "key-pending-deletion"
	}
	return "key-not-symmetric"
}
