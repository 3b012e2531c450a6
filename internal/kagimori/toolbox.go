package kagimori

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// evaluationsOfPage is how many evaluations a page has.
const evaluationsOfPage = 100

// GetRequestAuthorizationDetails tells what was evaluated for a request that was denied, as IAM Toolbox
// does: evaluations, and the policies that matched. Grants are policies of the type GRANT. Who may see
// what is as with GetAuthorizationDetails, which tells more. It fails with
// ResourceNotFoundException if nothing was denied.
//
// Source: IAM Toolbox API Reference, GetRequestAuthorizationDetails.
func (s *Service) GetRequestAuthorizationDetails(ctx context.Context, c *guard.Call, in *kagimoriapi.GetRequestAuthorizationDetailsRequest) (*kagimoriapi.GetRequestAuthorizationDetailsResponse, error) {
	err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allow(tx, c) })
	if err != nil {
		return nil, err
	}
	start := 0
	if in.NextToken != nil {
		if start, err = strconv.Atoi(*in.NextToken); err != nil || start < 1 {
			return nil, apierr.Validation("The nextToken is not valid.")
		}
	}
	id := api.Val(in.AuthorizationId)
	records, err := s.trail.Get(ctx, guard.RequestOf(id))
	if err != nil {
		return nil, fmt.Errorf("kagimori: trail: %w", err)
	}
	d := details{viewer: c.Account(), policies: map[string]kagimoriapi.EvaluatedPolicy{}}
	for i := range slices.Backward(records) {
		if err := d.add(&records[i]); err != nil {
			return nil, err
		}
	}
	if len(d.evaluations) == 0 {
		return nil, apierr.Newf("ResourceNotFoundException", "No authorization details are kept for the authorization id %s.", id)
	}
	return d.page(start), nil
}

// details are what an account may see of the evaluations of a request.
type details struct {
	viewer      string
	context     map[string]string
	evaluations []kagimoriapi.RequestEvaluation
	policies    map[string]kagimoriapi.EvaluatedPolicy // by uri
	order       []string
}

// add takes what a record has of decisions that were not allowed.
func (d *details) add(r *trail.Record) error {
	decisions, err := guard.Decisions(r)
	if err != nil {
		return err
	}
	for i := range decisions {
		rec := &decisions[i]
		decision := rec.Decision()
		if decision.Outcome == authz.Allowed || !rec.For(d.viewer) {
			continue
		}
		own := d.viewer == rec.Account || rec.Account == ""
		if own && d.context == nil {
			d.context = rec.Context
		}
		for n, part := range decision.Parts {
			seen, ok := explain.Visible(part, rec.Account, d.viewer)
			if !ok {
				continue
			}
			e := kagimoriapi.RequestEvaluation{
				Action: &seen.Action, Resource: &seen.Resource, EvaluatedEffect: new(effect(seen.Outcome)),
				MatchedPolicies: d.matched(&seen),
			}
			if own && !seen.CrossAccount { // keys of a part tell of its resource
				e.Context = rec.Parts[n].Context
			}
			d.evaluations = append(d.evaluations, e)
		}
	}
	return nil
}

// matched are the policies with statements that decided, and the grants.
func (d *details) matched(part *authz.PartDecision) []kagimoriapi.MatchedPolicy {
	out := []kagimoriapi.MatchedPolicy{}
	for _, m := range explain.Deciding(*part) {
		if m.Document == "" && m.GrantID == "" {
			continue // another account's, or no policy: the root user's own standing
		}
		p := evaluatedPolicy(&m)
		if _, known := d.policies[*p.Uri]; !known {
			d.policies[*p.Uri] = p
			d.order = append(d.order, *p.Uri)
		}
		st := kagimoriapi.RequestStatement{Sid: api.Opt(m.Sid), EvaluatedEffect: statement(&m).EvaluatedEffect}
		if m.GrantID != "" {
			st.Sid = &m.GrantID
		}
		i := slices.IndexFunc(out, func(o kagimoriapi.MatchedPolicy) bool { return *o.Uri == *p.Uri })
		if i < 0 {
			out = append(out, kagimoriapi.MatchedPolicy{Uri: p.Uri})
			i = len(out) - 1
		}
		out[i].MatchedStatements = append(out[i].MatchedStatements, st)
	}
	return out
}

// evaluatedPolicy is the policy that a statement is in. Those that are managed have an ARN.
func evaluatedPolicy(m *authz.Match) kagimoriapi.EvaluatedPolicy {
	managed := strings.HasPrefix(m.Document, "arn:") && strings.Contains(m.Document, ":policy/")
	p := kagimoriapi.EvaluatedPolicy{Type: new(policyType(m.Layer)), Inline: new(!managed), Uri: &m.Document}
	switch {
	case m.Target != "":
		p.AttachedTo = []kagimoriapi.AttachedTo{{Arn: &m.Target}}
	case m.GrantID != "":
		p.Uri = new("grant/" + m.GrantID)
		if m.Document != "" {
			p.AttachedTo = []kagimoriapi.AttachedTo{{Arn: &m.Document}}
		}
	case !managed && strings.HasPrefix(m.Document, "arn:"): // named by the resource that it is of
		p.AttachedTo = []kagimoriapi.AttachedTo{{Arn: &m.Document}}
	case !managed:
		p.Uri = new(strings.ToLower(policyType(m.Layer)) + "/" + m.Document)
	}
	return p
}

// page is the part of the evaluations from a place on, with all policies.
func (d *details) page(start int) *kagimoriapi.GetRequestAuthorizationDetailsResponse {
	out := &kagimoriapi.GetRequestAuthorizationDetailsResponse{RequestContext: d.context, Policies: []kagimoriapi.EvaluatedPolicy{}}
	for _, uri := range d.order {
		out.Policies = append(out.Policies, d.policies[uri])
	}
	start = min(start, len(d.evaluations))
	end := min(start+evaluationsOfPage, len(d.evaluations))
	out.Evaluations = append([]kagimoriapi.RequestEvaluation{}, d.evaluations[start:end]...)
	if end < len(d.evaluations) {
		out.NextToken = new(strconv.Itoa(end))
	}
	return out
}
