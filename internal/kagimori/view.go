package kagimori

import (
	"maps"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/speech"
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

// Outcome says what an evaluated effect is.
func Outcome(effect string) speech.Text {
	switch effect {
	case kagimoriapi.EffectTypeALLOW:
		return explain.Outcome(authz.Allowed)
	case kagimoriapi.EffectTypeEXPLICIT_DENY:
		return explain.Outcome(authz.ExplicitDeny)
	case kagimoriapi.EffectTypeIMPLICIT_DENY:
		return explain.Outcome(authz.ImplicitDeny)
	}
	return explain.Outcome(authz.Undetermined)
}

// states are the names of the states of layers.
var states = map[explain.State]string{
	explain.Allows: kagimoriapi.LayerStateTypeALLOWS, explain.Delegates: kagimoriapi.LayerStateTypeDELEGATES,
	explain.Denies: kagimoriapi.LayerStateTypeDENIES, explain.Needed: kagimoriapi.LayerStateTypeNEEDED,
	explain.Silent: kagimoriapi.LayerStateTypeSILENT,
}

// reasons are the names of the reasons why a statement or grant does not apply.
var reasons = [...]string{
	authz.MissPrincipal: "PRINCIPAL", authz.MissDeadPrincipal: "DELETED_PRINCIPAL", authz.MissAction: "ACTION", authz.MissResource: "RESOURCE",
	authz.MissCondition: "CONDITION", authz.MissGrantee: "GRANTEE", authz.MissOperation: "OPERATION", authz.MissConstraint: "CONSTRAINT",
	authz.MissNotSubset: "NOT_SUBSET", authz.MissSourceARN: "SOURCE_ARN",
}

// A reader is the account that reads, and the language that it reads.
type reader struct {
	account  string
	language speech.Language
}

// language is the one that is asked for.
func language(tag *string) speech.Language {
	l, _ := speech.Parse(api.Val(tag))
	return l
}

// authorization is a record as an account may see it; ok is false if it may not see it at all.
func authorization(r *trail.Record, who reader, text texts) (_ kagimoriapi.Authorization, ok bool, _ error) {
	caller := r.UserIdentity.AccountID
	viewer := who.account
	own := viewer == caller
	a := kagimoriapi.Authorization{
		AuthorizationId: &r.RequestID, EventTime: &r.EventTime, EventSource: &r.EventSource, EventName: &r.EventName,
		Principal: api.Opt(r.UserIdentity.ARN), ErrorCode: api.Opt(r.ErrorCode), ErrorMessage: api.Opt(r.ErrorMessage),
	}
	if r.UserIdentity.ARN == "" {
		a.Principal = api.Opt(r.UserIdentity.InvokedBy)
	}
	decisions, err := guard.Decisions(r)
	if err != nil {
		return a, false, err
	}
	for i := range decisions {
		if decisions[i].For(viewer) {
			a.Evaluations = append(a.Evaluations, evaluations(&decisions[i], who, text)...)
		}
	}
	if own {
		failure(r, a.Evaluations, who.language)
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
func evaluations(d *guard.Recorded, to reader, text texts) []kagimoriapi.Evaluation {
	viewer := to.account
	own := viewer == d.Account || d.Account == ""
	who := d.Principal
	if !own {
		who = speech.Say("A principal of account %s", d.Account).In(to.language)
	}
	fixes, notes := explain.VisibleFixes(d.Fixes, viewer), explain.VisibleNotes(d.Notes, viewer)
	var out []kagimoriapi.Evaluation
	for i, part := range d.Decision().Parts {
		seen, ok := explain.Visible(part, d.Account, viewer)
		if !ok {
			continue
		}
		e := kagimoriapi.Evaluation{
			Action: &seen.Action, Resource: &seen.Resource, EvaluatedEffect: new(effect(seen.Outcome)),
			DecidedBy: api.Opt(policyType(seen.By)), CrossAccount: &seen.CrossAccount, Explanation: speech.All(to.language, explain.Lines(seen, who)),
		}
		if own {
			e.Context = contextOf(d, i, &seen)
		}
		for _, m := range explain.Deciding(seen) {
			e.MatchedStatements = append(e.MatchedStatements, statement(&m))
		}
		for _, l := range explain.Layers(seen, who) {
			e.Layers = append(e.Layers, layer(&l, to.language))
		}
		e.Fixes = fixesOf(fixes, i, to, text)
		for _, n := range notes {
			if n.Part == i {
				note := n.Text.In(to.language)
				e.Notes, e.Explanation = append(e.Notes, note), append(e.Explanation, note)
			}
		}
		if d.Brief && seen.Outcome != authz.Allowed {
			brief := speech.Say("The account had more refused requests at the time than are kept in full: what did not apply, and fixes, were left out.").In(to.language)
			e.Notes, e.Explanation = append(e.Notes, brief), append(e.Explanation, brief)
		}
		out = append(out, e)
	}
	return out
}

// contextOf are the condition keys of a part. Those that tell of a resource of another account are
// left out.
func contextOf(d *guard.Recorded, i int, part *authz.PartDecision) map[string]string {
	if part.CrossAccount {
		return d.Context
	}
	if len(d.Context) == 0 {
		return d.Parts[i].Context
	}
	out := maps.Clone(d.Context)
	maps.Copy(out, d.Parts[i].Context)
	return out
}

func layer(v *explain.LayerView, l speech.Language) kagimoriapi.Layer {
	out := kagimoriapi.Layer{PolicyType: api.Opt(policyType(v.Layer)), Name: new(v.Name.In(l)), State: new(states[v.State]), Change: api.Opt(v.Change.In(l))}
	for _, st := range v.Statements {
		m := statement(&st.Match)
		s := kagimoriapi.LayerStatement{
			Policy: m.Policy, Owner: api.Opt(st.Owner), Sid: m.Sid, GrantId: m.GrantId, EvaluatedEffect: m.EvaluatedEffect,
			Applies: &st.Applies, Delegates: &st.Account, Nearly: &st.Nearly, Explanation: new(st.Text.In(l)),
		}
		if st.Pos.Line > 0 {
			s.Line, s.Column = new(int32(st.Pos.Line)), new(int32(st.Pos.Column))
		}
		if st.Miss != nil {
			s.Reason, s.Condition = new(reasons[st.Miss.Reason]), failedCondition(st.Miss)
		}
		out.Statements = append(out.Statements, s)
	}
	return out
}

// failedCondition is nil where no condition was looked at.
func failedCondition(m *authz.Miss) *kagimoriapi.FailedCondition {
	if m.Key == "" {
		return nil
	}
	c := &kagimoriapi.FailedCondition{Operator: api.Opt(m.Operator), Key: &m.Key, Expected: m.Want, Present: &m.Present, Hidden: &m.Got.Unknown}
	switch {
	case m.Got.Unknown || !m.Present:
	case m.Got.Multi:
		c.Actual = m.Got.List
	default:
		c.Actual = []string{m.Got.One}
	}
	return c
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
