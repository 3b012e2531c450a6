package scenario_test

import (
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/trail"
)

// rule is why a request to KMS failed, in the words of the scenarios, with the statement or grant
// that decided and the part of the request that was refused.
func (j *judge) rule(r *trail.Record) (rule, where string, refused *authz.PartDecision) {
	for _, rec := range j.decisions(r) {
		d := rec.Decision()
		for i := range d.Parts {
			part := &d.Parts[i]
			switch part.Outcome {
			case authz.ExplicitDeny:
				rule, where = denied(part)
				return rule, where, part
			case authz.ImplicitDeny:
				linked := r.UserIdentity.SessionContext != nil && strings.Contains(r.UserIdentity.SessionContext.SessionIssuer.ARN, ":role/aws-service-role/")
				rule, where = silent(part, linked)
				return rule, where, part
			}
			if refused == nil || strings.Contains(r.ErrorMessage, part.Resource) && !strings.Contains(r.ErrorMessage, refused.Resource) {
				refused = part // of a request that was allowed and failed: the one whose key KMS names
			}
		}
	}
	return stateRule(r), "", refused
}

// denied is the rule of an explicit deny.
func denied(part *authz.PartDecision) (rule, where string) {
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

// grantRules are why a grant for the principal does not help.
func grantRules() map[authz.MissReason]string {
	return map[authz.MissReason]string{
		authz.MissOperation: "grant-operation-missing", authz.MissConstraint: "grant-constraint-not-met", authz.MissSourceARN: "grant-constraint-not-met",
		authz.MissNotSubset: "grant-not-subset",
	}
}

// silent is the rule of a request that nothing allows, by what was tried: a grant for the
// principal, the limits of the caller, the policies of the two sides.
func silent(part *authz.PartDecision, linked bool) (rule, where string) {
	for _, m := range part.Missed {
		if rule, ok := grantRules()[m.Reason]; ok {
			return rule, m.GrantID
		}
	}
	missing := map[authz.Layer]bool{}
	for _, l := range part.Silent {
		missing[l] = true
	}
	switch {
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

// stateRule is why a request failed that was allowed.
func stateRule(r *trail.Record) string {
	switch {
	case r.ErrorCode == "DisabledException":
		return "key-disabled"
	case r.ErrorCode == "KMSInvalidStateException" && strings.Contains(r.ErrorMessage, "pending deletion"):
		return "key-pending-deletion"
	case r.ErrorCode == "KMSInvalidStateException" && strings.Contains(r.ErrorMessage, "pending import"):
		return "key-pending-import"
	case r.ErrorCode == "InvalidKeyUsageException", r.ErrorCode == "ValidationException" && r.EventName == "CreateGrant":
		return "key-not-symmetric"
	case r.ErrorCode == "NotFoundException" && strings.Contains(r.ErrorMessage, "lias"):
		return "alias-not-found"
	case r.ErrorCode == "NotFoundException" && strings.Contains(r.ErrorMessage, "Invalid arn "):
		return "key-wrong-region"
	case r.ErrorCode == "NotFoundException":
		return "key-not-found"
	}
	return r.ErrorCode + ": " + r.ErrorMessage
}
