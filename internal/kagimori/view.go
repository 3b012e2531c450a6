package kagimori

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/trail"
)

// policyTypes are the names of the layers: those of IAM Toolbox, and our own for what it lacks.
var policyTypes = [...]string{
	authz.LayerNone:     "",
	authz.LayerIdentity: "IDENTITY_BASED_POLICY",
	authz.LayerResource: "RESOURCE_BASED_POLICY",
	authz.LayerTrust:    "ROLE_TRUST_POLICY",
	authz.LayerBoundary: "PERMISSIONS_BOUNDARY",
	authz.LayerSession:  "SESSION_POLICY",
	authz.LayerSCP:      "SERVICE_CONTROL_POLICY",
	authz.LayerRCP:      "RESOURCE_CONTROL_POLICY",
	authz.LayerEndpoint: "VPC_ENDPOINT_POLICY",
	authz.LayerGrant:    "GRANT",
	authz.LayerRoot:     "ROOT_USER",
}

func policyType(l authz.Layer) string {
	if int(l) < len(policyTypes) {
		return policyTypes[l]
	}
	return ""
}

func effect(o authz.Outcome) string {
	switch o {
	case authz.Allowed:
		return kagimoriapi.EffectTypeALLOW
	case authz.ExplicitDeny:
		return kagimoriapi.EffectTypeEXPLICIT_DENY
	case authz.Undetermined:
		return kagimoriapi.EffectTypeUNDETERMINED
	}
	return kagimoriapi.EffectTypeIMPLICIT_DENY
}

// authorization is a record as an account may see it; ok is false if it may not see it at all.
func authorization(r *trail.Record, viewer string) (_ kagimoriapi.Authorization, ok bool, _ error) {
	caller := r.UserIdentity.AccountID
	own := viewer == caller
	a := kagimoriapi.Authorization{
		AuthorizationId: &r.RequestID, EventTime: &r.EventTime, EventSource: &r.EventSource, EventName: &r.EventName,
		Principal: api.Opt(r.UserIdentity.ARN), ErrorCode: api.Opt(r.ErrorCode), ErrorMessage: api.Opt(r.ErrorMessage),
	}
	if r.UserIdentity.ARN == "" {
		a.Principal = api.Opt(r.UserIdentity.InvokedBy)
	}
	decisions, err := decode(r.Kagimori.Decisions)
	if err != nil {
		return a, false, err
	}
	for i := range decisions {
		a.Evaluations = append(a.Evaluations, evaluations(&decisions[i], viewer)...)
	}
	if own {
		failure(r, a.Evaluations)
		return a, true, nil
	}
	if caller != "" { // another account learns which account it was, as in its own CloudTrail
		a.Principal = &caller
		a.ErrorMessage = nil
	}
	named := slices.ContainsFunc(r.Resources, func(x trail.Resource) bool { return x.AccountID == viewer })
	return a, viewer != "" && (named || len(a.Evaluations) > 0), nil
}

// evaluations are the parts of a decision that an account may see.
func evaluations(d *guard.Recorded, viewer string) []kagimoriapi.Evaluation {
	who := d.Principal
	if viewer != d.Account && d.Account != "" {
		who = "A principal of account " + d.Account
	}
	fixes := explain.VisibleFixes(d.Fixes, viewer)
	var out []kagimoriapi.Evaluation
	for i, part := range d.Decision().Parts {
		seen, ok := explain.Visible(part, d.Account, viewer)
		if !ok {
			continue
		}
		e := kagimoriapi.Evaluation{
			Action: &seen.Action, Resource: &seen.Resource, EvaluatedEffect: new(effect(seen.Outcome)),
			DecidedBy: api.Opt(policyType(seen.By)), CrossAccount: &seen.CrossAccount, Explanation: explain.Text(seen, who),
		}
		for _, m := range explain.Deciding(seen) {
			e.MatchedStatements = append(e.MatchedStatements, statement(&m))
		}
		for _, f := range fixes {
			if f.Part == i {
				e.Fixes = append(e.Fixes, kagimoriapi.Fix{
					Kind: &f.Kind, Summary: &f.Summary, Document: api.Opt(f.Document), Command: api.Opt(f.Command),
				})
			}
		}
		out = append(out, e)
	}
	return out
}

func statement(m *authz.Match) kagimoriapi.MatchedStatement {
	s := kagimoriapi.MatchedStatement{
		PolicyType: api.Opt(policyType(m.Layer)), Policy: api.Opt(m.Document), Sid: api.Opt(m.Sid), GrantId: api.Opt(m.GrantID),
		EvaluatedEffect: new("ALLOW"), // of a grant too
	}
	if m.Effect.String() == "Deny" {
		s.EvaluatedEffect = new("DENY")
	}
	return s
}
