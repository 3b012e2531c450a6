package e2e_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// Access Analyzer through the official SDK: findings with paths and spans, the custom checks, and its
// errors as types.
func TestAccessAnalyzer(t *testing.T) {
	c := admin(t)
	doc := "{\"Version\":\"2012-10-17\",\"Statement\":[\n  {\"Effect\":\"Allow\",\"Action\":[\"kms:Decript\"],\"Resource\":\"*\"}\n]}"
	out := must(c.judge.ValidatePolicy(t.Context(), &accessanalyzer.ValidatePolicyInput{PolicyDocument: &doc, PolicyType: types.PolicyTypeIdentityPolicy}))(t)
	if len(out.Findings) != 1 {
		t.Fatalf("%d findings", len(out.Findings))
	}
	f := out.Findings[0]
	if f.FindingType != types.ValidatePolicyFindingTypeError || *f.IssueCode != "INVALID_ACTION" || !strings.HasSuffix(*f.LearnMoreLink, "#access-analyzer-reference-policy-checks-error-invalid-action") {
		t.Errorf("finding %s %s %s", f.FindingType, *f.IssueCode, *f.LearnMoreLink)
	}
	l := f.Locations[0]
	if p, ok := l.Path[3].(*types.PathElementMemberIndex); !ok || len(l.Path) != 4 || p.Value != 0 {
		t.Errorf("path %+v", l.Path)
	}
	if p, ok := l.Path[2].(*types.PathElementMemberValue); !ok || p.Value != "Action" {
		t.Errorf("path %+v", l.Path)
	}
	if s := l.Span; *s.Start.Line != 2 || *s.Start.Column != 30 || doc[*s.Start.Offset:*s.End.Offset] != `"kms:Decript"` {
		t.Errorf("span %d:%d %q", *s.Start.Line, *s.Start.Column, doc[*s.Start.Offset:*s.End.Offset])
	}

	root := seed.Policy(seed.Full(seed.Root(c.account)))
	granted := must(c.judge.CheckAccessNotGranted(t.Context(), &accessanalyzer.CheckAccessNotGrantedInput{
		PolicyDocument: &root, PolicyType: types.AccessCheckPolicyTypeResourcePolicy, Access: []types.Access{{Actions: []string{"kms:ScheduleKeyDeletion"}}},
	}))(t)
	if granted.Result != types.CheckAccessNotGrantedResultFail || len(granted.Reasons) != 1 || *granted.Reasons[0].StatementIndex != 0 || *granted.Reasons[0].StatementId != "Enable IAM User Permissions" {
		t.Errorf("granted: %s %+v", granted.Result, granted.Reasons)
	}
	more := seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(seed.Root(seed.NewAccount())))
	fresh := must(c.judge.CheckNoNewAccess(t.Context(), &accessanalyzer.CheckNoNewAccessInput{
		NewPolicyDocument: &more, ExistingPolicyDocument: &root, PolicyType: types.AccessCheckPolicyTypeResourcePolicy,
	}))(t)
	if fresh.Result != types.CheckNoNewAccessResultFail || len(fresh.Reasons) != 1 || *fresh.Reasons[0].StatementIndex != 1 ||
		*fresh.Message != "The modified permissions grant new access compared to your existing policy." {
		t.Errorf("new access: %s %v %+v", fresh.Result, str(fresh.Message), fresh.Reasons)
	}
	for doc, want := range map[string]types.CheckNoPublicAccessResult{root: types.CheckNoPublicAccessResultPass, seed.Policy(seed.Full("*")): types.CheckNoPublicAccessResultFail} {
		public := must(c.judge.CheckNoPublicAccess(t.Context(), &accessanalyzer.CheckNoPublicAccessInput{PolicyDocument: &doc, ResourceType: types.AccessCheckResourceTypeKmsKey}))(t)
		if public.Result != want {
			t.Errorf("public: %s for %s", public.Result, doc)
		}
	}

	bad, err := c.judge.CheckNoPublicAccess(t.Context(), &accessanalyzer.CheckNoPublicAccessInput{PolicyDocument: new("{"), ResourceType: types.AccessCheckResourceTypeKmsKey})
	refused(bad, err)(t, "InvalidParameterException")
	if _, ok := errors.AsType[*types.InvalidParameterException](err); !ok {
		t.Errorf("the error is %T", err)
	}
	_, err = c.judge.ValidatePolicy(t.Context(), &accessanalyzer.ValidatePolicyInput{PolicyDocument: &doc, PolicyType: types.PolicyTypeIdentityPolicy, MaxResults: new(int32(0))})
	if e, ok := errors.AsType[*types.ValidationException](err); !ok || e.Reason != types.ValidationExceptionReasonFieldValidationFailed || len(e.FieldList) != 1 || *e.FieldList[0].Name != "maxResults" {
		t.Errorf("the error is %+v", err)
	}
	none := c.user(t, "nobody")
	no, err := none.judge.ValidatePolicy(t.Context(), &accessanalyzer.ValidatePolicyInput{PolicyDocument: &doc, PolicyType: types.PolicyTypeIdentityPolicy})
	refused(no, err)(t, "AccessDeniedException", none.arn(t), "access-analyzer:ValidatePolicy", "because no identity-based policy allows")
	if _, ok := errors.AsType[*types.AccessDeniedException](err); !ok {
		t.Errorf("the error is %T", err)
	}
	if e := c.details(t, err).Evaluations[0]; e.Action != "access-analyzer:ValidatePolicy" || e.DecidedBy != "IDENTITY_BASED_POLICY" {
		t.Errorf("the details are %+v", e)
	}
	// The id in the message leads to IAM Toolbox's form of them.
	_, id, _ := strings.Cut(err.Error(), "with the following authorization id: ")
	var toolbox struct {
		Evaluations []struct{ Action, Resource, EvaluatedEffect string }
	}
	if status, body := c.kagimori(t, "GetRequestAuthorizationDetails", map[string]string{"authorizationId": id}, &toolbox); status != 200 ||
		len(toolbox.Evaluations) != 1 || toolbox.Evaluations[0].EvaluatedEffect != "IMPLICIT_DENY" {
		t.Errorf("%d %s", status, body)
	}
}
