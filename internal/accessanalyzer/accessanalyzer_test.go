package accessanalyzer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/accessanalyzer"
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/secret"
)

type kit struct {
	*guardtest.World
	t   *testing.T
	svc *accessanalyzer.Service
}

func newKit(t *testing.T) *kit {
	w := guardtest.New(t)
	return &kit{w, t, accessanalyzer.New(w.Guard)}
}

func do[Out any](k *kit, op string, in any) (*Out, error) {
	out, err := k.Invoke(k.t.Context(), k.Lookup("111122223333ADMIN"), accessanalyzerapi.Service(), k.svc.Operations(), op, in)
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}

func clear(s string) *secret.String { return new(secret.String(s)) }

func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

// path prints a path like Statement/0/Action.
func path(l accessanalyzerapi.Location) string {
	var parts []string
	for _, e := range l.Path {
		if e.Index != nil {
			parts = append(parts, fmt.Sprint(*e.Index))
		} else {
			parts = append(parts, api.Val(e.Value))
		}
	}
	s, e := l.Span.Start, l.Span.End
	return fmt.Sprintf("%s %d:%d(%d)-%d:%d(%d)", strings.Join(parts, "/"), *s.Line, *s.Column, *s.Offset, *e.Line, *e.Column, *e.Offset)
}

func TestValidatePolicy(t *testing.T) {
	const root = `"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`
	for _, tt := range []struct {
		name, kind, resource, doc string
		want                      []string // type, code, path and span
	}{
		{"good", "IDENTITY_POLICY", "", statements(`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"}`), nil},
		{"unknown action", "IDENTITY_POLICY", "", "{\"Version\":\"2012-10-17\",\"Statement\":[\n {\"Effect\":\"Deny\",\"Action\":[\"kms:É\",\"kms:Decript\"],\"Resource\":\"*\"}]}",
			[]string{"ERROR INVALID_ACTION Statement/0/Action/0 2:28(66)-2:35(73)", "ERROR INVALID_ACTION Statement/0/Action/1 2:36(74)-2:49(87)"}},
		{"unknown service", "IDENTITY_POLICY", "", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kmss:Decrypt","Resource":"*"}}`,
			[]string{"ERROR INVALID_SERVICE_IN_ACTION Statement/Action 1:62(62)-1:76(76)"}},
		{"no version", "IDENTITY_POLICY", "", `{"Statement":{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}}`, []string{"WARNING MISSING_VERSION  1:0(0)-1:69(69)"}},
		{"empty", "IDENTITY_POLICY", "", statements(`{"Sid":"","Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`), []string{"SUGGESTION EMPTY_SID_VALUE Statement/0/Sid 1:44(44)-1:46(46)"}},
		{"a federated principal that assumes the role like others", "RESOURCE_POLICY", "", statements(`{"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRole"}`),
			[]string{"ERROR MISMATCHED_ACTION_FOR_PRINCIPAL Statement/0/Action 1:123(123)-1:139(139) Statement/0/Principal/Federated 1:80(80)-1:112(112)"}},
		{"providers of the other kind", "RESOURCE_POLICY", "", statements(`{"Effect":"Allow","Principal":{"Federated":["arn:aws:iam::111122223333:saml-provider/s"]},"Action":["sts:AssumeRoleWithWebIdentity","sts:AssumeRoleWithSAML"]}`),
			[]string{"ERROR MISMATCHED_ACTION_FOR_PRINCIPAL Statement/0/Action/0 1:137(137)-1:168(168) Statement/0/Principal/Federated/0 1:81(81)-1:124(124)"}},
		{"an account for providers", "RESOURCE_POLICY", "", `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + root + `,"Action":"sts:AssumeRoleWithSAML"}}`,
			[]string{"ERROR MISMATCHED_ACTION_FOR_PRINCIPAL Statement/Action 1:116(116)-1:140(140) Statement/Principal/AWS 1:73(73)-1:105(105)"}},
		{"an account", "RESOURCE_POLICY", "", statements(`{"Effect":"Allow",` + root + `,"Action":"sts:AssumeRole"}`), nil},
		{"not JSON", "IDENTITY_POLICY", "", "{\n", []string{"WARNING MISSING_VERSION  1:0(0)-2:0(2)", "ERROR JSON_SYNTAX_ERROR  2:0(2)-2:0(2)"}},
		{"principal", "IDENTITY_POLICY", "", statements(`{"Effect":"Deny",` + root + `,"Action":"kms:Decrypt","Resource":"*"}`), []string{"ERROR UNSUPPORTED_PRINCIPAL Statement/0/Principal 1:66(66)-1:106(106)"}},
		{"everything", "IDENTITY_POLICY", "", statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`), []string{"SECURITY_WARNING PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE Statement/0/Action 1:64(64)-1:67(67)"}},
		{"trust", "RESOURCE_POLICY", "AWS::IAM::AssumeRolePolicyDocument", statements(`{"Effect":"Allow",` + root + `,"Action":"sts:AssumeRole"}`), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &accessanalyzerapi.ValidatePolicyRequest{PolicyDocument: &tt.doc, PolicyType: &tt.kind, ValidatePolicyResourceType: api.Opt(tt.resource)}
			out, err := do[accessanalyzerapi.ValidatePolicyResponse](newKit(t), "ValidatePolicy", in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range out.Findings {
				var text strings.Builder
				text.WriteString(*f.FindingType + " " + *f.IssueCode)
				for _, l := range f.Locations {
					text.WriteString(" " + path(l))
				}
				got = append(got, text.String())
				if *f.FindingDetails == "" || !strings.HasPrefix(*f.LearnMoreLink, "https://") {
					t.Errorf("%+v", f)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			in.Locale = new("JA")
			japanese, err := do[accessanalyzerapi.ValidatePolicyResponse](newKit(t), "ValidatePolicy", in)
			if err != nil || len(japanese.Findings) != len(out.Findings) {
				t.Fatal(japanese, err)
			}
			for i, f := range japanese.Findings {
				if !strings.Contains(*f.FindingDetails, "。") || *f.FindingDetails == *out.Findings[i].FindingDetails {
					t.Errorf("in Japanese: %s", *f.FindingDetails)
				}
			}
		})
	}
}

// A key policy is seen to be one, so what breaks a launch is told.
func TestValidateKeyPolicy(t *testing.T) {
	doc := statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}`,
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/AWSServiceRoleForAutoScaling"},"Action":["kms:Decrypt"],"Resource":"*"}`)
	out, err := do[accessanalyzerapi.ValidatePolicyResponse](newKit(t), "ValidatePolicy", &accessanalyzerapi.ValidatePolicyRequest{PolicyDocument: &doc, PolicyType: new("RESOURCE_POLICY")})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.Findings {
		if *f.IssueCode == "LINKED_ROLE_PATH" && strings.HasSuffix(*f.LearnMoreLink, "docs/lint.md#linked-role-path") {
			return
		}
	}
	t.Errorf("no finding about the service-linked role: %+v", out.Findings)
}

func TestPages(t *testing.T) {
	k := newKit(t)
	doc := statements(`{"Effect":"Deny","Action":["kms:A1","kms:A2","kms:A3"],"Resource":"*"}`)
	in := &accessanalyzerapi.ValidatePolicyRequest{PolicyDocument: &doc, PolicyType: new("IDENTITY_POLICY"), MaxResults: new(int32(2))}
	first, err := do[accessanalyzerapi.ValidatePolicyResponse](k, "ValidatePolicy", in)
	if err != nil || len(first.Findings) != 2 || first.NextToken == nil {
		t.Fatalf("%+v %v", first, err)
	}
	in.NextToken = first.NextToken
	second, err := do[accessanalyzerapi.ValidatePolicyResponse](k, "ValidatePolicy", in)
	if err != nil || len(second.Findings) != 1 || second.NextToken != nil {
		t.Fatalf("%+v %v", second, err)
	}
	in.PolicyDocument = new(statements(`{"Effect":"Deny","Action":"kms:A1","Resource":"*"}`))
	if _, err := do[accessanalyzerapi.ValidatePolicyResponse](k, "ValidatePolicy", in); apierr.Code(err) != "ValidationException" {
		t.Errorf("a token of another document: %v", err)
	}
	in.NextToken, in.MaxResults = nil, new(int32(0))
	if _, err := do[accessanalyzerapi.ValidatePolicyResponse](k, "ValidatePolicy", in); apierr.Code(err) != "ValidationException" {
		t.Errorf("a page of nothing: %v", err)
	}
}

func TestAccessNotGranted(t *testing.T) {
	const (
		bucket = "arn:aws:s3:::b"
		key    = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"
	)
	list := func(s ...string) []string { return s }
	for _, tt := range []struct {
		name, kind, doc    string
		actions, resources []string
		want               []string // reasons
	}{
		{"other action", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`), list("s3:PutObject"), nil, nil},
		{"action", "IDENTITY_POLICY", statements(`{"Effect":"Deny","Action":"s3:Put*","Resource":"*"}`, `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`),
			list("s3:PutObject", "s3:getobject"), nil, list("One or more of the listed actions or resources in the statement with index: 1.")},
		{"denied", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`, `{"Effect":"Deny","Action":"s3:*","Resource":"*"}`), list("s3:PutObject"), nil, nil},
		{"denied on some", "IDENTITY_POLICY", statements(`{"Sid":"All","Effect":"Allow","Action":"*","Resource":"*"}`, `{"Effect":"Deny","Action":"s3:*","Resource":"`+bucket+`"}`), list("s3:PutObject"), nil,
			list("One or more of the listed actions or resources in the statement with sid: All.")},
		{"denied on this", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`, `{"Effect":"Deny","Action":"s3:*","Resource":"`+bucket+`"}`), list("s3:PutObject"), list(bucket), nil},
		{"denied unless", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, `{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`), list("s3:PutObject"), nil,
			list("One or more of the listed actions or resources in the statement with index: 0.")},
		{"on a condition", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"b"}}}`), list("kms:Decrypt"), list(key),
			list("One or more of the listed actions or resources in the statement with index: 0.")},
		{"wildcard", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"kms:Describe*","Resource":"*"}`), list("kms:*Key"), nil,
			list("One or more of the listed actions or resources in the statement with index: 0.")},
		{"resource", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::a*"}`), nil, list(bucket), nil},
		{"resource pattern", "IDENTITY_POLICY", statements(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b*"}`), nil, list(bucket + "/*"),
			list("One or more of the listed actions or resources in the statement with index: 0.")},
		{"not action", "IDENTITY_POLICY", statements(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), list("iam:CreateUser"), nil, nil},
		{"not action but this", "IDENTITY_POLICY", statements(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), list("s3:GetObject"), nil,
			list("One or more of the listed actions or resources in the statement with index: 0.")},
		{"key policy", "RESOURCE_POLICY", statements(`{"Sid":"Root","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}`), list("kms:PutKeyPolicy"), nil,
			list("One or more of the listed actions or resources in the statement with sid: Root.")},
		{"service", "RESOURCE_POLICY", statements(`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}`), list("sqs:SendMessage"), nil,
			list("One or more of the listed actions or resources in the statement with index: 0.")},
		{"trust policy", "RESOURCE_POLICY", statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"sts:AssumeRole"}`), list("sts:TagSession"), nil, nil},
		{"trust policy allows", "RESOURCE_POLICY", statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"sts:AssumeRole"}`), list("sts:AssumeRole"), nil,
			list("One or more of the listed actions or resources in the statement with index: 0.")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := do[accessanalyzerapi.CheckAccessNotGrantedResponse](newKit(t), "CheckAccessNotGranted", &accessanalyzerapi.CheckAccessNotGrantedRequest{
				PolicyDocument: clear(tt.doc), PolicyType: &tt.kind, Access: []accessanalyzerapi.Access{{Actions: tt.actions, Resources: tt.resources}},
			})
			if err != nil {
				t.Fatal(err)
			}
			check(t, *out.Result, out.Reasons, tt.want)
		})
	}
}

func check(t *testing.T, result string, reasons []accessanalyzerapi.ReasonSummary, want []string) {
	t.Helper()
	var got []string
	for _, r := range reasons {
		got = append(got, *r.Description)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if (result == "PASS") != (len(want) == 0) {
		t.Errorf("result %s", result)
	}
}

func TestNoNewAccess(t *testing.T) {
	const tls, tag = `"Condition":{"Bool":{"aws:SecureTransport":"true"}}`, `"Condition":{"StringEquals":{"aws:PrincipalTag/a":["b"]}}`
	allow := func(action, resource, more string) string {
		if more != "" {
			more = "," + more
		}
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"` + more + `}`
	}
	deny := func(action, resource, more string) string {
		return strings.Replace(allow(action, resource, more), "Allow", "Deny", 1)
	}
	const at0, at1 = "New access in the statement with index: 0.", "New access in the statement with index: 1."
	for _, tt := range []struct {
		name, kind, before, after string
		want                      []string
	}{
		{"the same", "IDENTITY_POLICY", statements(allow("s3:Get*", "*", "")), statements(allow("s3:Get*", "*", "")), nil},
		{"less", "IDENTITY_POLICY", statements(allow("s3:*", "*", "")), statements(allow("s3:Get*", "arn:aws:s3:::b/*", "")), nil},
		{"more actions", "IDENTITY_POLICY", statements(allow("s3:Get*", "*", "")), statements(allow("s3:GetObject", "*", ""), allow("s3:*", "*", "")), []string{at1}},
		{"more resources", "IDENTITY_POLICY", statements(allow("s3:*", "arn:aws:s3:::b/*", "")), statements(allow("s3:*", "arn:aws:s3:::b*", "")), []string{at0}},
		{"split", "IDENTITY_POLICY", statements(allow("s3:*", "*", "")), statements(allow("s3:Get*", "*", ""), allow("s3:Put*", "*", "")), nil},
		{"condition added", "IDENTITY_POLICY", statements(allow("s3:*", "*", "")), statements(allow("s3:*", "*", tls)), nil},
		{"condition kept", "IDENTITY_POLICY", statements(allow("s3:*", "*", tag)), statements(allow("s3:Get*", "*", tag)), nil},
		{"condition dropped", "IDENTITY_POLICY", statements(allow("s3:*", "*", tls)), statements(allow("s3:*", "*", "")), []string{at0}},
		{"condition widened", "IDENTITY_POLICY", statements(allow("s3:*", "*", tag)), statements(allow("s3:*", "*", strings.Replace(tag, `"b"`, `"b","c"`, 1))), []string{at0}},
		{"condition narrowed", "IDENTITY_POLICY", statements(allow("s3:*", "*", strings.Replace(tag, `"b"`, `"b","c"`, 1))), statements(allow("s3:*", "*", tag)), nil},
		{"deny dropped", "IDENTITY_POLICY", statements(allow("s3:*", "*", ""), deny("s3:PutObject", "*", "")), statements(allow("s3:*", "*", "")), []string{at0}},
		{"deny kept", "IDENTITY_POLICY", statements(allow("s3:*", "*", ""), deny("s3:PutObject", "*", "")), statements(allow("s3:*", "*", ""), deny("s3:Put*", "*", "")), nil},
		{"deny on a condition kept", "IDENTITY_POLICY", statements(allow("s3:*", "*", ""), deny("s3:*", "*", tls)), statements(allow("s3:*", "*", ""), deny("s3:*", "*", tls)), nil},
		{"deny on a condition dropped", "IDENTITY_POLICY", statements(allow("s3:*", "*", ""), deny("s3:*", "*", tls)), statements(allow("s3:*", "*", "")), []string{at0}},
		{"principal added", "RESOURCE_POLICY",
			statements(allow("kms:*", "*", `"Principal":{"AWS":"111122223333"}`)),
			statements(allow("kms:*", "*", `"Principal":{"AWS":["111122223333","444455556666"]}`)), []string{at0}},
		{"principal of the account", "RESOURCE_POLICY",
			statements(allow("kms:*", "*", `"Principal":{"AWS":"111122223333"}`)),
			statements(allow("kms:*", "*", `"Principal":{"AWS":"arn:aws:iam::111122223333:role/r"}`)), nil},
		{"everybody", "RESOURCE_POLICY",
			statements(allow("sqs:*", "*", `"Principal":{"AWS":"111122223333"}`)), statements(allow("sqs:*", "*", `"Principal":"*"`)), []string{at0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := do[accessanalyzerapi.CheckNoNewAccessResponse](newKit(t), "CheckNoNewAccess", &accessanalyzerapi.CheckNoNewAccessRequest{
				NewPolicyDocument: clear(tt.after), ExistingPolicyDocument: clear(tt.before), PolicyType: &tt.kind,
			})
			if err != nil {
				t.Fatal(err)
			}
			check(t, *out.Result, out.Reasons, tt.want)
		})
	}
}

func TestNoPublicAccess(t *testing.T) {
	const bob = "Public access granted in the following statement with sid: Bob."
	bucket := func(more string) string {
		return `{"Sid":"Bob","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"` + more + `}`
	}
	for _, tt := range []struct {
		name, kind, doc string
		want            []string
	}{
		{"everybody", "AWS::S3::Bucket", statements(bucket("")), []string{bob}},
		{"everybody over TLS", "AWS::S3::Bucket", statements(bucket(`,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`)), []string{bob}},
		{"an organization", "AWS::S3::Bucket", statements(bucket(`,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`)), nil},
		{"an endpoint", "AWS::S3::Bucket", statements(bucket(`,"Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`)), nil},
		{"a deny for strangers", "AWS::S3::Bucket", statements(bucket(""), `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}`), nil},
		{"an account", "AWS::S3::Bucket", statements(`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*"}`), nil},
		{"a key", "AWS::KMS::Key", statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*"}`),
			[]string{"Public access granted in the following statement with index: 0."}},
		{"a key for an account", "AWS::KMS::Key", statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333"}}}`), nil},
		{"a role", "AWS::IAM::AssumeRolePolicyDocument", statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`),
			[]string{"Public access granted in the following statement with index: 0."}},
		{"a role with an external id", "AWS::IAM::AssumeRolePolicyDocument", statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := do[accessanalyzerapi.CheckNoPublicAccessResponse](newKit(t), "CheckNoPublicAccess", &accessanalyzerapi.CheckNoPublicAccessRequest{
				PolicyDocument: clear(tt.doc), ResourceType: &tt.kind,
			})
			if err != nil {
				t.Fatal(err)
			}
			check(t, *out.Result, out.Reasons, tt.want)
		})
	}
}

func TestBadRequests(t *testing.T) {
	k := newKit(t)
	good := statements(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	identity := new("IDENTITY_POLICY")
	for name, tt := range map[string]struct {
		op   string
		in   any
		want string
	}{
		"no access": {"CheckAccessNotGranted", &accessanalyzerapi.CheckAccessNotGrantedRequest{PolicyDocument: clear(good), PolicyType: identity, Access: []accessanalyzerapi.Access{}}, "ValidationException"},
		"bad action": {"CheckAccessNotGranted", &accessanalyzerapi.CheckAccessNotGrantedRequest{PolicyDocument: clear(good), PolicyType: identity,
			Access: []accessanalyzerapi.Access{{Actions: []string{"GetObject"}}}}, "ValidationException"},
		"bad document": {"CheckAccessNotGranted", &accessanalyzerapi.CheckAccessNotGrantedRequest{PolicyDocument: clear("{"), PolicyType: identity,
			Access: []accessanalyzerapi.Access{{Actions: []string{"s3:GetObject"}}}}, "InvalidParameterException"},
		"bad old document": {"CheckNoNewAccess", &accessanalyzerapi.CheckNoNewAccessRequest{NewPolicyDocument: clear(good), ExistingPolicyDocument: clear("x"), PolicyType: identity}, "InvalidParameterException"},
		"bad public":       {"CheckNoPublicAccess", &accessanalyzerapi.CheckNoPublicAccessRequest{PolicyDocument: clear("[]"), ResourceType: new("AWS::S3::Bucket")}, "InvalidParameterException"},
		"odd type": {"ValidatePolicy", &accessanalyzerapi.ValidatePolicyRequest{PolicyDocument: &good, PolicyType: identity,
			ValidatePolicyResourceType: new("AWS::S3::Bucket")}, "ValidationException"},
	} {
		_, err := k.Invoke(t.Context(), k.Lookup("111122223333ADMIN"), accessanalyzerapi.Service(), k.svc.Operations(), tt.op, tt.in)
		if apierr.Code(err) != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}
