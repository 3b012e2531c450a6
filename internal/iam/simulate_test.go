package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func simulateCustom(c *who, in *iamapi.SimulateCustomPolicyRequest) *iamapi.SimulatePolicyResponse {
	c.w.t.Helper()
	return get[iamapi.SimulatePolicyResponse](c, in)
}

// summary renders a result: decision, deciding statements, what is missing and the details.
func summary(r iamapi.EvaluationResult) string {
	var s strings.Builder
	s.WriteString(api.Val(r.EvalDecision))
	for _, st := range r.MatchedStatements {
		s.WriteString(fmt.Sprintf(" %s(%s)", api.Val(st.SourcePolicyId), api.Val(st.SourcePolicyType)))
	}
	missing := r.MissingContextValues
	for _, res := range r.ResourceSpecificResults {
		if api.Val(res.EvalResourceDecision) != api.Val(r.EvalDecision) || api.Val(res.EvalResourceName) != api.Val(r.EvalResourceName) {
			s.WriteString(" RESOURCE DIFFERS")
		}
		missing = append(missing, res.MissingContextValues...)
	}
	if len(missing) > 0 {
		s.WriteString(" missing " + strings.Join(missing, ","))
	}
	if d := r.OrganizationsDecisionDetail; d != nil {
		s.WriteString(fmt.Sprintf(" organizations:%v", api.Val(d.AllowedByOrganizations)))
	}
	if d := r.PermissionsBoundaryDecisionDetail; d != nil {
		s.WriteString(fmt.Sprintf(" boundary:%v", api.Val(d.AllowedByPermissionsBoundary)))
	}
	if len(r.EvalDecisionDetails) > 0 {
		s.WriteString(fmt.Sprintf(" iam:%s resource:%s", r.EvalDecisionDetails["IAM Policy"], r.EvalDecisionDetails["Resource Policy"]))
	}
	return s.String()
}

func entry(name, kind string, values ...string) iamapi.ContextEntry {
	return iamapi.ContextEntry{ContextKeyName: &name, ContextKeyType: &kind, ContextKeyValues: values}
}

func TestSimulateCustomPolicy(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	const (
		bucket = "arn:aws:s3:::b/k"
		ana    = "arn:aws:iam::111122223333:user/ana"
	)
	when := func(effect, action, condition string) string {
		return document(`{"Effect":"` + effect + `","Action":"` + action + `","Resource":"*","Condition":` + condition + `}`)
	}
	open := document(allow(`"s3:*"`))
	bucketPolicy := document(`{"Effect":"Allow","Principal":{"AWS":"` + ana + `"},"Action":"s3:GetObject","Resource":"` + bucket + `"}`)
	for _, tt := range []struct {
		rule   string
		in     iamapi.SimulateCustomPolicyRequest
		action string
		want   string
	}{
		{"an allow", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{open}}, "s3:GetObject", "allowed PolicyInputList.1(IAM Policy)"},
		{"nothing", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{open}}, "ec2:RunInstances", "implicitDeny"},
		{"of an explicit deny only that statement is told", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{open, document(`{"Effect":"Deny","Action":"s3:Get*","Resource":"*"}`)}},
			"s3:GetObject", "explicitDeny PolicyInputList.2(IAM Policy)"},
		{"a key that is not given", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{when("Allow", "s3:GetObject", `{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)}},
			"s3:GetObject", "implicitDeny missing aws:SourceIp"},
		{"and one that is", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{when("Allow", "s3:GetObject", `{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)},
			ContextEntries:  []iamapi.ContextEntry{entry("aws:SourceIp", "ip", "192.0.2.7")},
		}, "s3:GetObject", "allowed PolicyInputList.1(IAM Policy)"},
		{"a list", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{when("Allow", "s3:GetObject", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`)},
			ContextEntries:  []iamapi.ContextEntry{entry("aws:TagKeys", "stringList", "a", "c")},
		}, "s3:GetObject", "implicitDeny"},
		{"a variable is a key", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}/*"}`)}},
			"s3:GetObject", "implicitDeny missing aws:username"},
		{"a boundary limits", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{open}, PermissionsBoundaryPolicyInputList: []string{document(allow(`"s3:List*"`))}},
			"s3:GetObject", "implicitDeny PolicyInputList.1(IAM Policy) boundary:false"},
		{"a boundary allows", iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{open}, PermissionsBoundaryPolicyInputList: []string{document(allow(`"s3:Get*"`))}},
			"s3:GetObject", "allowed PolicyInputList.1(IAM Policy) boundary:true"},
		{"a service control policy is silent", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{open}, OrderedOrganizationPolicyInputList: []iamapi.OrderedOrganizationPolicyType{{ServiceControlPolicyInputList: []string{document(allow(`"ec2:*"`))}}},
		}, "s3:GetObject", "implicitDeny PolicyInputList.1(IAM Policy) organizations:false"},
		{"a resource policy alone is enough in one account", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{document(allow(`"ec2:*"`))}, ResourcePolicy: &bucketPolicy, CallerArn: new(ana), ResourceArns: []string{bucket},
		}, "s3:GetObject", "allowed ResourcePolicy(Resource Policy)"},
		{"across accounts both sides must", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{document(allow(`"ec2:*"`))}, ResourcePolicy: &bucketPolicy, CallerArn: new(ana), ResourceArns: []string{bucket},
			ResourceOwner: new("arn:aws:iam::444455556666:root"),
		}, "s3:GetObject", "implicitDeny ResourcePolicy(Resource Policy) iam:implicitDeny resource:allowed"},
		{"and do", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{open}, ResourcePolicy: &bucketPolicy, CallerArn: new(ana), ResourceArns: []string{bucket}, ResourceOwner: new("444455556666"),
		}, "s3:GetObject", "allowed PolicyInputList.1(IAM Policy) ResourcePolicy(Resource Policy) iam:allowed resource:allowed"},
		{"the resource's keys are told of the resource", iamapi.SimulateCustomPolicyRequest{
			PolicyInputList: []string{when("Allow", "s3:GetObject", `{"Bool":{"aws:SecureTransport":"true"},"StringLike":{"s3:prefix":"x"}}`)}, ResourceArns: []string{bucket},
		}, "s3:GetObject", "implicitDeny missing aws:SecureTransport,s3:prefix"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			in := tt.in
			in.ActionNames = []string{tt.action}
			out := simulateCustom(a, &in)
			if len(out.EvaluationResults) != 1 || api.Val(out.IsTruncated) {
				t.Fatalf("answer %+v", out)
			}
			if got := summary(out.EvaluationResults[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Statements begin after what is before them, as the simulator's answers have it.
func TestSimulatedStatementsHavePlaces(t *testing.T) {
	w := newWorld(t)
	const (
		head  = `{"Version":"2012-10-17","Statement":`
		other = `{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`
		st    = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	)
	for _, tt := range []struct {
		name, doc string
		want      []int32
	}{
		{"alone", head + st + "}", []int32{1, 38, 1, 86}},
		{"the first of a list", head + "[" + st + "," + other + "]}", []int32{1, 38, 1, 87}},
		{"the second", head + "[" + other + ", " + st + "]}", []int32{1, 88, 1, 139}},
		{"on lines", "{\n\"Version\":\"2012-10-17\",\n \"Statement\": [\n  {\"Effect\":\"Allow\",\n  \"Action\":\"s3:*\",\"Resource\":\"*\"}\n]}", []int32{3, 16, 5, 34}},
		{"the second on lines", "{\n\"Version\":\"2012-10-17\",\n \"Statement\": [\n  " + other + "\n,\n" + st + "\n]}", []int32{4, 53, 6, 50}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := simulateCustom(w.admin(), &iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{tt.doc}, ActionNames: []string{"s3:GetObject"}})
			st := out.EvaluationResults[0].MatchedStatements[0]
			got := []int32{*st.StartPosition.Line, *st.StartPosition.Column, *st.EndPosition.Line, *st.EndPosition.Column}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Details of a resource's result are those of requests across accounts.
func TestSimulatedResourceResults(t *testing.T) {
	w := newWorld(t)
	ask := iamapi.SimulateCustomPolicyRequest{
		PolicyInputList: []string{document(allow(`"s3:*"`))}, ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::b/k"},
	}
	for owner, want := range map[string]map[string]string{"111122223333": nil, "444455556666": {"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}} {
		ask.ResourceOwner = &owner
		r := simulateCustom(w.admin(), &ask).EvaluationResults[0]
		if diff := cmp.Diff(want, r.ResourceSpecificResults[0].EvalDecisionDetails); diff != "" || r.EvalDecisionDetails == nil {
			t.Errorf("%s: %s, details %v", owner, diff, r.EvalDecisionDetails)
		}
		if r.MissingContextValues == nil {
			t.Errorf("%s: no list of missing keys", owner)
		}
	}
}

func TestSimulatePrincipalPolicy(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	u := w.user("ana", allow(`"s3:Get*"`), allow(`"iam:SimulatePrincipalPolicy"`))
	policyARN := a.createPolicy("managed")
	a.must(&iamapi.AttachUserPolicyRequest{UserName: new("ana"), PolicyArn: &policyARN})
	role := a.createRole("r")
	a.must(&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess")})
	const ana = "arn:aws:iam::111122223333:user/ana"
	for _, tt := range []struct {
		rule string
		in   iamapi.SimulatePrincipalPolicyRequest
		want string
	}{
		{"inline and managed policies are named", iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana)}, "allowed user_ana_p(IAM Policy) managed(IAM Policy)"},
		{"one can be left out", iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), PolicyExclusionList: []iamapi.PolicyIdentifier{
			{PolicyType: new("user-managed"), PolicyArn: &policyARN},
			{PolicyType: new("inline"), InlinePolicyIdentifier: &iamapi.InlinePolicyIdentifierType{PolicyName: new("p"), AttachmentType: new("user"), AttachmentName: new("other")}},
		}}, "allowed user_ana_p(IAM Policy)"},
		{"more can be added", iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), PolicyInputList: []string{document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)}},
			"explicitDeny PolicyInputList.1(IAM Policy)"},
		{"a role", iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: role.Arn}, "allowed AdministratorAccess(IAM Policy)"},
		{"a boundary of the request", iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: role.Arn, PermissionsBoundaryPolicyInputList: []string{document(allow(`"ec2:*"`))}},
			"implicitDeny AdministratorAccess(IAM Policy) boundary:false"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			in := tt.in
			in.ActionNames = []string{"s3:GetObject"}
			out := get[iamapi.SimulatePolicyResponse](a, &in)
			got := summary(out.EvaluationResults[0])
			got = strings.Replace(got, " organizations:true", "", 1) // of the development organization
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	t.Run("it is decided on the principal", func(t *testing.T) {
		u.must(&iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ActionNames: []string{"s3:GetObject"}})
		w.user("bo").refused(&iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ActionNames: []string{"s3:GetObject"}}, 403, "AccessDenied",
			"not authorized to perform: iam:SimulatePrincipalPolicy on resource: "+ana)
	})
	t.Run("agrees with what the principal may do", func(t *testing.T) {
		for action, want := range map[string]string{"iam:ListUsers": "implicitDeny", "iam:SimulatePrincipalPolicy": "allowed"} {
			out := get[iamapi.SimulatePolicyResponse](a, &iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ActionNames: []string{action}})
			if got := api.Val(out.EvaluationResults[0].EvalDecision); got != want {
				t.Errorf("%s: %s", action, got)
			}
		}
		u.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "")
	})
	for name, tt := range map[string]struct {
		in            iamapi.SimulatePrincipalPolicyRequest
		status        int
		code, message string
	}{
		"nobody":            {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new("arn:aws:iam::111122223333:user/nobody")}, 404, "NoSuchEntity", "The user with name nobody cannot be found."},
		"a group":           {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new("arn:aws:iam::111122223333:group/nobody")}, 404, "NoSuchEntity", "group"},
		"another account":   {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new("arn:aws:iam::444455556666:user/ana")}, 400, "InvalidInput", "Invalid Entity Arn"},
		"no policy":         {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), PolicyInputList: []string{"{"}}, 400, "InvalidInput", "PolicyInputList.1"},
		"two boundaries":    {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), PermissionsBoundaryPolicyInputList: []string{document(allow(`"*"`)), document(allow(`"*"`))}}, 400, "InvalidInput", "one permissions boundary"},
		"no resource":       {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ResourceArns: []string{"bucket"}}, 400, "InvalidInput", "Invalid Resource ARN: bucket"},
		"a bad key":         {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ContextEntries: []iamapi.ContextEntry{entry("aws:SourceIp", "ip", "here")}}, 400, "InvalidInput", `the value "here" of aws:SourceIp is no ip`},
		"two values of one": {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ContextEntries: []iamapi.ContextEntry{entry("aws:username", "string", "a", "b")}}, 400, "InvalidInput", "takes one"},
		"a role as caller":  {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), CallerArn: role.Arn}, 400, "InvalidInput", "is not the ARN of a user"},
		"a resource policy for a role without a caller": {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: role.Arn, ResourcePolicy: new(trusts(`"AWS":"*"`)), ResourceArns: []string{"arn:aws:s3:::b"}}, 400, "InvalidInput", "Invalid caller - Caller must be an IAM user in this context."},
		"no scenario":                      {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ResourceHandlingOption: new("EC2-Moon")}, 400, "InvalidInput", "Invalid Resource Handling Option: EC2-Moon"},
		"a scenario without its resources": {iamapi.SimulatePrincipalPolicyRequest{PolicySourceArn: new(ana), ResourceHandlingOption: new("EC2-VPC-EBS"), ResourceArns: launchARNs("instance", "image", "security-group", "network-interface")}, 400, "InvalidInput", "requires a resource of type volume"},
	} {
		t.Run(name, func(t *testing.T) {
			in := tt.in
			in.ActionNames = []string{"s3:GetObject"}
			a.refused(&in, tt.status, tt.code, tt.message)
		})
	}
}

func launchARNs(kinds ...string) (out []string) {
	for _, k := range kinds {
		out = append(out, "arn:aws:ec2:us-east-1:111122223333:"+k+"/x")
	}
	return out
}

// Of several resources one answer tells, with the decision of each below. One allow is enough for its
// own decision, but in the scenarios of EC2, whose actions need all of them.
func TestSimulationOfSeveralResources(t *testing.T) {
	w := newWorld(t)
	kinds := []string{"instance", "image", "security-group", "network-interface", "volume"}
	of := func(effect, kind string) string {
		return document(`{"Effect":"` + effect + `","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:` + kind + `/*"}`)
	}
	for _, tt := range []struct {
		name     string
		policies []string
		scenario *string
		want     string
	}{
		{"none", []string{document(allow(`"s3:*"`))}, nil, "implicitDeny: i i i i i"},
		{"one", []string{of("Allow", "image")}, nil, "allowed: i a i i i"},
		{"one denied", []string{document(allow(`"ec2:*"`)), of("Deny", "volume")}, nil, "explicitDeny: a a a a e"},
		{"one in a scenario", []string{of("Allow", "image")}, new("EC2-VPC-EBS"), "implicitDeny: i a i i i"},
		{"all in a scenario", []string{document(allow(`"ec2:*"`))}, new("EC2-VPC-EBS"), "allowed: a a a a a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := simulateCustom(w.admin(), &iamapi.SimulateCustomPolicyRequest{
				PolicyInputList: tt.policies, ActionNames: []string{"ec2:RunInstances"}, ResourceArns: launchARNs(kinds...), ResourceHandlingOption: tt.scenario,
			})
			if len(out.EvaluationResults) != 1 || len(out.EvaluationResults[0].ResourceSpecificResults) != len(kinds) {
				t.Fatalf("answer %+v", out)
			}
			r := out.EvaluationResults[0]
			var got strings.Builder
			got.WriteString(api.Val(r.EvalDecision) + ":")
			for i, one := range r.ResourceSpecificResults {
				got.WriteString(" " + api.Val(one.EvalResourceDecision)[:1])
				if api.Val(one.EvalResourceName) != launchARNs(kinds[i])[0] {
					t.Errorf("resource %d is %s", i, api.Val(one.EvalResourceName))
				}
			}
			if got.String() != tt.want {
				t.Errorf("got %s, want %s", got.String(), tt.want)
			}
			if name := api.Val(r.EvalResourceName); name != "arn:aws:ec2:${Region}:${Account}:${ResourceType}/${ResourcePath}" || len(r.MatchedStatements) > 0 {
				t.Errorf("resource %s, statements %+v", name, r.MatchedStatements)
			}
		})
	}
}

func TestSimulationHasPages(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	in := &iamapi.SimulateCustomPolicyRequest{
		PolicyInputList: []string{document(allow(`"s3:GetObject"`))}, ActionNames: []string{"s3:GetObject", "s3:PutObject", "s3:ListBucket"}, MaxItems: new(int32(2)),
	}
	first := simulateCustom(a, in)
	if len(first.EvaluationResults) != 2 || !api.Val(first.IsTruncated) {
		t.Fatalf("first page %+v", first)
	}
	in.Marker = first.Marker
	second := simulateCustom(a, in)
	var got []string
	for _, r := range append(first.EvaluationResults, second.EvaluationResults...) {
		got = append(got, fmt.Sprintf("%s %s", api.Val(r.EvalActionName), api.Val(r.EvalDecision)))
	}
	want := []string{"s3:GetObject allowed", "s3:PutObject implicitDeny", "s3:ListBucket implicitDeny"}
	if diff := cmp.Diff(want, got); diff != "" || api.Val(second.IsTruncated) {
		t.Error(diff)
	}
	in.ActionNames = []string{"s3:GetObject"}
	a.refused(in, 400, "ValidationError", "Invalid Marker.")

	in = &iamapi.SimulateCustomPolicyRequest{PolicyInputList: in.PolicyInputList, ActionNames: []string{"s3:GetObject", "s3:PutObject", "s3:ListBucket"}}
	for i := range 400 { // a page has a thousand decisions
		in.ResourceArns = append(in.ResourceArns, fmt.Sprintf("arn:aws:s3:::b/%d", i))
	}
	if wide := simulateCustom(a, in); len(wide.EvaluationResults) != 2 || !api.Val(wide.IsTruncated) {
		t.Errorf("a page of %d actions on 400 resources", len(wide.EvaluationResults))
	}
}

func TestGetContextKeys(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	w.user("ana", `{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}`)
	extra := document(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"AWS:requestedregion":"x","aws:SecureTransport":"true"}}}`)
	out := get[iamapi.GetContextKeysForPolicyResponse](a, &iamapi.GetContextKeysForPrincipalPolicyRequest{
		PolicySourceArn: new("arn:aws:iam::111122223333:user/ana"), PolicyInputList: []string{extra},
	})
	if diff := cmp.Diff([]string{"aws:username", "aws:RequestedRegion", "aws:SecureTransport"}, out.ContextKeyNames); diff != "" {
		t.Error(diff)
	}
	out = get[iamapi.GetContextKeysForPolicyResponse](a, &iamapi.GetContextKeysForCustomPolicyRequest{PolicyInputList: []string{extra}})
	if diff := cmp.Diff([]string{"AWS:requestedregion", "aws:SecureTransport"}, out.ContextKeyNames); diff != "" {
		t.Error(diff)
	}
	w.user("bo").refused(&iamapi.GetContextKeysForCustomPolicyRequest{PolicyInputList: []string{extra}}, 403, "AccessDenied", "iam:GetContextKeysForCustomPolicy")
}
