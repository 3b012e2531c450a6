package accessanalyzer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
)

// checkKind is the kind of a document of a custom policy check. A resource-based policy about nothing
// but KMS is taken for a key policy, one that assumes roles for a trust policy.
func checkKind(policyType, text string) policy.Kind {
	if policyType == accessanalyzerapi.AccessCheckPolicyTypeIDENTITY_POLICY {
		return policy.Identity
	}
	return resourceKind(text)
}

// resourceKind tells what a resource-based policy is attached to, as far as its actions do.
func resourceKind(text string) policy.Kind {
	doc, err := policy.Parse([]byte(text), policy.Resource)
	if err != nil {
		return policy.Resource
	}
	only := func(prefix string) bool {
		some := false
		for i := range doc.Statements {
			st := &doc.Statements[i]
			if len(st.NotActions) > 0 {
				return false
			}
			for _, a := range st.Actions {
				if some = true; len(a.Value) < len(prefix) || !strings.EqualFold(a.Value[:len(prefix)], prefix) {
					return false
				}
			}
		}
		return some
	}
	hasResource := slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool { return len(st.Resources)+len(st.NotResources) > 0 })
	switch {
	case only("kms:"):
		return policy.Key
	case only("sts:") && !hasResource:
		return policy.Trust
	}
	return policy.Resource
}

// statementsThat are the reasons about the statements that allow something a check looks for.
func statementsThat(doc *policy.Document, what string, found func(*policy.Statement) bool) []accessanalyzerapi.ReasonSummary {
	var out []accessanalyzerapi.ReasonSummary
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow || !found(st) {
			continue
		}
		r := accessanalyzerapi.ReasonSummary{StatementIndex: new(int32(i)), StatementId: api.Opt(st.Sid)}
		if st.Sid != "" {
			r.Description = new(what + " statement with sid: " + st.Sid + ".")
		} else {
			r.Description = new(fmt.Sprintf("%s statement with index: %d.", what, i))
		}
		out = append(out, r)
	}
	return out
}

// outcome is the result of a check and its message.
func outcome(reasons []accessanalyzerapi.ReasonSummary, pass, fail string) (result, message *string) {
	if len(reasons) > 0 {
		return new("FAIL"), &fail
	}
	return new("PASS"), &pass
}

// who is everybody that a statement may allow.
func (s *subject) who(st *policy.Statement) []authz.Principal {
	if s.kind == policy.Identity {
		return []authz.Principal{someone(home)}
	}
	return principals(st)
}

// CheckAccessNotGranted tells whether a policy allows one of some actions on one of some resources.
func (s *Service) CheckAccessNotGranted(ctx context.Context, c *guard.Call, in *accessanalyzerapi.CheckAccessNotGrantedRequest) (*accessanalyzerapi.CheckAccessNotGrantedResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	if len(in.Access) == 0 || len(in.Access[0].Actions)+len(in.Access[0].Resources) == 0 {
		return nil, invalid("access", "The access to check must have actions or resources.")
	}
	access := &in.Access[0]
	for _, a := range access.Actions {
		if prefix, name, ok := strings.Cut(a, ":"); !ok && a != "*" || ok && (prefix == "" || name == "") {
			return nil, invalid("access", "The action "+cut(a)+" is not valid.")
		}
	}
	text := in.PolicyDocument.Reveal()
	kind := checkKind(api.Val(in.PolicyType), text)
	doc, err := parse("policyDocument", text, kind)
	if err != nil {
		return nil, err
	}
	sub := newSubject(doc, kind)
	reasons := statementsThat(doc, "One or more of the listed actions or resources in the", func(st *policy.Statement) bool {
		rs := sub.requests(st, access.Actions, access.Resources, sub.who(st))
		return slices.ContainsFunc(rs, func(r request) bool { return sub.only(st).mayAllow(&r, sub.keys) })
	})
	out := &accessanalyzerapi.CheckAccessNotGrantedResponse{Reasons: reasons}
	out.Result, out.Message = outcome(reasons, "The policy document does not grant access to perform the listed actions or resources.",
		"The policy document grants access to perform one or more of the listed actions or resources.")
	return out, nil
}

// CheckNoNewAccess tells whether a policy allows something that another does not. Conditions are
// compared as they are written: one that means the same in other words may be called new.
func (s *Service) CheckNoNewAccess(ctx context.Context, c *guard.Call, in *accessanalyzerapi.CheckNoNewAccessRequest) (*accessanalyzerapi.CheckNoNewAccessResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	text := in.NewPolicyDocument.Reveal()
	kind := checkKind(api.Val(in.PolicyType), text)
	doc, err := parse("newPolicyDocument", text, kind)
	if err != nil {
		return nil, err
	}
	before, err := parse("existingPolicyDocument", in.ExistingPolicyDocument.Reveal(), kind)
	if err != nil {
		return nil, err
	}
	fresh, old := newSubject(doc, kind), newSubject(before, kind)
	reasons := statementsThat(doc, "New access in the", func(st *policy.Statement) bool { return fresh.more(st, old) })
	out := &accessanalyzerapi.CheckNoNewAccessResponse{Reasons: reasons}
	out.Result, out.Message = outcome(reasons, "The modified permissions do not grant new access compared to your existing policy.",
		"The modified permissions grant new access compared to your existing policy.")
	return out, nil
}

// resourceTypes are the kinds of the policies of types that have one of their own.
func typeKind(resourceType string) policy.Kind {
	switch resourceType {
	case "AWS::KMS::Key":
		return policy.Key
	case "AWS::IAM::AssumeRolePolicyDocument":
		return policy.Trust
	}
	return policy.Resource
}

// CheckNoPublicAccess tells whether a resource-based policy allows everybody.
func (s *Service) CheckNoPublicAccess(ctx context.Context, c *guard.Call, in *accessanalyzerapi.CheckNoPublicAccessRequest) (*accessanalyzerapi.CheckNoPublicAccessResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	kind := typeKind(api.Val(in.ResourceType))
	doc, err := parse("policyDocument", in.PolicyDocument.Reveal(), kind)
	if err != nil {
		return nil, err
	}
	sub := newSubject(doc, kind)
	open := slices.DeleteFunc(slices.Clone(sub.keys), ofCaller)
	reasons := statementsThat(doc, "Public access granted in the following", func(st *policy.Statement) bool {
		rs := sub.requests(st, nil, nil, []authz.Principal{someone(abroad)})
		return slices.ContainsFunc(rs, func(r request) bool { return sub.only(st).mayAllow(&r, open) })
	})
	out := &accessanalyzerapi.CheckNoPublicAccessResponse{Reasons: reasons}
	out.Result, out.Message = outcome(reasons, "The resource policy does not grant public access for the given resource type.",
		"The resource policy grants public access for the given resource type.")
	return out, nil
}

// ofCaller reports whether a condition key says who calls, or from where: a stranger has none of the
// values that a policy trusts. Source: IAM User Guide, "Access Analyzer: the meaning of public".
func ofCaller(key string) bool {
	switch {
	case strings.HasPrefix(key, "aws:principal"), strings.HasPrefix(key, "aws:source"), strings.HasPrefix(key, "aws:vpc"):
		return true
	}
	switch key {
	case "aws:userid", "aws:username", "kms:calleraccount", "sts:externalid", "ec2:sourceinstancearn", "lambda:sourcefunctionarn":
		return true
	}
	return false
}

func cut(s string) string {
	if len(s) > 128 {
		return s[:128] + "..."
	}
	return s
}
