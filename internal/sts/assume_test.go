package sts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
)

type request = stsapi.AssumeRoleRequest

func seconds(n int32) func(*request) { return func(in *request) { in.DurationSeconds = &n } }
func external(id string) func(*request) {
	return func(in *request) { in.ExternalId = &id }
}
func source(id string) func(*request) { return func(in *request) { in.SourceIdentity = &id } }
func sessionPolicy(doc string) func(*request) {
	return func(in *request) { in.Policy = &doc }
}
func policyARNs(arns ...string) func(*request) {
	return func(in *request) {
		for _, a := range arns {
			in.PolicyArns = append(in.PolicyArns, stsapi.PolicyDescriptorType{Arn: &a})
		}
	}
}
func tags(pairs ...string) func(*request) {
	return func(in *request) {
		for _, p := range pairs {
			k, v, _ := strings.Cut(p, "=")
			in.Tags = append(in.Tags, stsapi.Tag{Key: &k, Value: &v})
		}
	}
}
func transitive(keys ...string) func(*request) {
	return func(in *request) { in.TransitiveTagKeys = keys }
}

// TestTrust proves what lets a caller assume a role.
func TestTrust(t *testing.T) {
	const user = `"AWS":"arn:aws:iam::111122223333:user/u"`
	tests := []struct {
		rule  string
		owner string   // of the role
		trust []string // of the role
		ident []string // of the user u
		in    []func(*request)
		want  string // of the refusal; "" if allowed
	}{
		{"naming the account leaves it to identity policies", account, []string{trust(ownAccount, assumeOnly)}, nil, nil, "because no identity-based policy allows the sts:AssumeRole action"},
		{"which may allow", account, []string{trust(ownAccount, assumeOnly)}, []string{allow(assumeOnly)}, nil, ""},
		{"naming the user is enough in one account", account, []string{trust(user, assumeOnly)}, nil, nil, ""},
		{"an identity policy alone is not", account, []string{trust(`"Service":"ec2.amazonaws.com"`, assumeOnly)}, []string{allow(everything)}, nil, "sts:AssumeRole"},
		{"nor across accounts is the trust", foreign, []string{trust(user, assumeOnly)}, nil, nil, "sts:AssumeRole"},
		{"both are", foreign, []string{trust(user, assumeOnly)}, []string{allow(assumeOnly)}, nil, ""},
		{"an identity deny wins", account, []string{trust(user, assumeOnly)}, []string{`{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}`}, nil, "explicit deny"},
		{"a trust deny wins", account, []string{trust(user, assumeOnly), `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`}, []string{allow(assumeOnly)}, nil, "explicit deny"},
		{"the external id is right", account, []string{trustWhen(user, assumeOnly, `{"StringEquals":{"sts:ExternalId":"secret"}}`)}, nil, []func(*request){external("secret")}, ""},
		{"or wrong", account, []string{trustWhen(user, assumeOnly, `{"StringEquals":{"sts:ExternalId":"secret"}}`)}, nil, []func(*request){external("other")}, "sts:AssumeRole"},
		{"or missing", account, []string{trustWhen(user, assumeOnly, `{"StringEquals":{"sts:ExternalId":"secret"}}`)}, nil, nil, "sts:AssumeRole"},
		{"the session name", account, []string{trustWhen(user, assumeOnly, `{"StringLike":{"sts:RoleSessionName":"sess*"}}`)}, nil, nil, ""},
		{"MFA is absent", account, []string{trustWhen(user, assumeOnly, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`)}, nil, nil, "sts:AssumeRole"},
		{"tags need sts:TagSession", account, []string{trust(user, assumeOnly)}, nil, []func(*request){tags("a=b")}, "sts:TagSession"},
		{"in the trust policy", account, []string{trust(user, `["sts:AssumeRole","sts:TagSession"]`)}, nil, []func(*request){tags("a=b")}, ""},
		{"tags have values", account, []string{trustWhen(user, `["sts:AssumeRole","sts:TagSession"]`, `{"StringEquals":{"aws:RequestTag/team":"blue"}}`)}, nil, []func(*request){tags("team=red")}, "sts:AssumeRole"},
		{"and keys", account, []string{trustWhen(user, `["sts:AssumeRole","sts:TagSession"]`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"],"sts:TransitiveTagKeys":["team"]}}`)}, nil, []func(*request){tags("team=red"), transitive("team")}, ""},
		{"a source identity needs sts:SetSourceIdentity", account, []string{trust(user, assumeOnly)}, nil, []func(*request){source("ann")}, "sts:SetSourceIdentity"},
		{"and is a condition key", account, []string{trustWhen(user, `["sts:AssumeRole","sts:SetSourceIdentity"]`, `{"StringEquals":{"sts:SourceIdentity":"ann"}}`)}, nil, []func(*request){source("ann")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			u := w.user(account, "u", tt.ident...)
			in := assuming(w.role(tt.owner, "r", tt.trust...), tt.in...)
			if tt.want == "" {
				u.must(in)
				return
			}
			u.refused(in, 403, "AccessDenied", tt.want)
		})
	}
}

func TestRoleTagsAreConditionKeysOfAssumeRole(t *testing.T) {
	w := newWorld(t)
	role := w.role(account, "r", trust(ownAccount, assumeOnly))
	w.admin(account).must(&iamapi.TagRoleRequest{RoleName: new("r"), Tags: []iamapi.Tag{{Key: new("team"), Value: new("blue")}}})
	for _, key := range []string{"iam:ResourceTag/team", "aws:ResourceTag/team"} {
		for value, allowed := range map[string]bool{"blue": true, "red": false} {
			name := strings.ReplaceAll(strings.ReplaceAll(key+value, ":", "-"), "/", "-")
			u := w.user(account, name, `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Condition":{"StringEquals":{"`+key+`":"`+value+`"}}}`)
			if _, err := u.do(assuming(role)); (err == nil) != allowed {
				t.Errorf("%s is %s: %v", key, value, err)
			}
		}
	}
}

func TestAssumeRoleErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	role := w.role(account, "r", trust(ownAccount, everything))
	big := document(allow(`"s3:` + strings.Repeat("x", 2048) + `"`))
	none := "arn:aws:iam::111122223333:role/none"
	local := *get[iamapi.CreatePolicyResponse](a, &iamapi.CreatePolicyRequest{PolicyName: new("p"), PolicyDocument: new(document(allow(`"iam:*"`)))}).Policy.Arn
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = local
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("k%d=v", i)
	}
	for _, tt := range []struct {
		rule    string
		who     *who
		in      *request
		status  int
		code    string
		message string
	}{
		{"root may not", w.login(account, ""), assuming(role), 403, "AccessDenied", "Roles may not be assumed by root accounts."},
		{"a role that is not there is one that does not trust", a, assuming(none), 403, "AccessDenied", "User: arn:aws:iam::111122223333:user/admin is not authorized to perform: sts:AssumeRole on resource: " + none},
		{"a path is part of the ARN", a, assuming("arn:aws:iam::111122223333:role/x/r"), 403, "AccessDenied", "is not authorized to perform: sts:AssumeRole"},
		{"a user is no role", a, assuming("arn:aws:iam::111122223333:user/r"), 400, "ValidationError", "arn:aws:iam::111122223333:user/r is invalid"},
		{"nor is a session", a, assuming("arn:aws:sts::111122223333:assumed-role/r/s"), 400, "ValidationError", "is invalid"},
		{"no longer than the role allows", a, assuming(role, seconds(3601)), 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"no shorter than 15 minutes", a, assuming(role, seconds(899)), 400, "ValidationError", "durationSeconds"},
		{"no longer than 12 hours", a, assuming(role, seconds(43201)), 400, "ValidationError", "durationSeconds"},
		{"a chained session lasts an hour", a.assume(assuming(role)), assuming(role, seconds(3601)), 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."},
		{"a session policy is JSON", a, assuming(role, sessionPolicy("{")), 400, "MalformedPolicyDocument", "The policy is not in the valid JSON format."},
		{"and has a size", a, assuming(role, sessionPolicy(big)), 400, "PackedPolicyTooLarge", "% of allotted space"},
		{"and so have tags", a, assuming(role, tags("a="+strings.Repeat("x", 256), "b="+strings.Repeat("x", 256), "c="+strings.Repeat("x", 256), "d="+strings.Repeat("x", 256),
			"e="+strings.Repeat("x", 256), "f="+strings.Repeat("x", 256), "g="+strings.Repeat("x", 256), "h="+strings.Repeat("x", 256))), 400, "PackedPolicyTooLarge", "Packed size of session tags consumes 101% of allotted space."},
		{"a managed one exists", a, assuming(role, policyARNs("arn:aws:iam::111122223333:policy/none")), 400, "ValidationError", "does not exist"},
		{"and is of the role's account", a, assuming(role, policyARNs("arn:aws:iam::444455556666:policy/p")), 400, "ValidationError", "is invalid"},
		{"ten are enough", a, assuming(role, policyARNs(eleven...)), 400, "ValidationError", "exceeds 10"},
		{"there is no MFA device", a, assuming(role, func(in *request) {
			in.SerialNumber, in.TokenCode = new("arn:aws:iam::111122223333:mfa/x"), new("123456")
		}), 403, "AccessDenied", "MultiFactorAuthentication failed"},
		{"tags are unique", a, assuming(role, tags("a=1", "A=2")), 400, "ValidationError", "Duplicate tag keys found."},
		{"AWS keeps its prefix", a, assuming(role, tags("aws:a=1")), 400, "ValidationError", "reserved"},
		{"a session has up to 50 tags", a, assuming(role, tags(many...)), 400, "ValidationError", "50"},
		{"a transitive tag is a tag", a, assuming(role, tags("a=1"), transitive("b")), 400, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."},
		{"a session has a name", a, &request{RoleArn: &role}, 400, "ValidationError", "roleSessionName"},
		{"of certain characters", a, &request{RoleArn: &role, RoleSessionName: new("a b")}, 400, "ValidationError", "roleSessionName"},
		{"contexts are not taken", a, assuming(role, func(in *request) {
			in.ProvidedContexts = []stsapi.ProvidedContext{{ProviderArn: new("arn:aws:iam::aws:contextProvider/IdentityCenter"), ContextAssertion: new("abcd")}}
		}), 400, "ValidationError", "provided contexts"},
	} {
		t.Run(tt.rule, func(t *testing.T) { tt.who.refused(tt.in, tt.status, tt.code, tt.message) })
	}
}

func TestLongSessionsWhereTheRoleAllowsThem(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	role := w.role(account, "r", trust(ownAccount, everything))
	a.must(&iamapi.UpdateRoleRequest{RoleName: new("r"), MaxSessionDuration: new(int32(43200))})
	out := get[stsapi.AssumeRoleResponse](a, assuming(role, seconds(43200)))
	if got := out.Credentials.Expiration.Sub(w.wall).Hours(); got < 11.9 || got > 12 {
		t.Errorf("lasts %v hours", got)
	}
}

func TestSessionPoliciesLimitTheSession(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	role := w.role(account, "r", trust(ownAccount, everything))
	a.must(&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(document(allow(`["iam:ListRoles","iam:ListUsers"]`)))})
	local := *get[iamapi.CreatePolicyResponse](a, &iamapi.CreatePolicyRequest{PolicyName: new("p"), PolicyDocument: new(document(allow(`["iam:ListUsers","iam:ListPolicies"]`)))}).Policy.Arn

	in := assuming(role, sessionPolicy(document(allow(`"iam:ListRoles"`))))
	if out := get[stsapi.AssumeRoleResponse](a, in); out.PackedPolicySize == nil || *out.PackedPolicySize < 1 || *out.PackedPolicySize > 100 {
		t.Errorf("packed size %v", out.PackedPolicySize)
	}
	inline := a.assume(in)
	inline.must(&iamapi.ListRolesRequest{})
	inline.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "because no session policy allows the iam:ListUsers action")

	managed := a.assume(assuming(role, policyARNs(local)))
	managed.must(&iamapi.ListUsersRequest{})
	managed.refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "session policy")
	managed.refused(&iamapi.ListPoliciesRequest{}, 403, "AccessDenied", "identity-based policy")

	both := get[stsapi.AssumeRoleResponse](a, assuming(role, policyARNs(local), sessionPolicy(document(allow(`"iam:ListRoles"`))))).Credentials
	s := w.login(*both.AccessKeyId, *both.SessionToken)
	s.must(&iamapi.ListRolesRequest{})
	s.must(&iamapi.ListUsersRequest{})
	a.must(&iamapi.DeletePolicyRequest{PolicyArn: &local})
	s = w.login(*both.AccessKeyId, *both.SessionToken)
	s.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "session policy")
	s.refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "session policy")
}

func TestSessionTagsBecomePrincipalTags(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	role := w.role(account, "r", trust(ownAccount, everything))
	a.must(&iamapi.TagRoleRequest{RoleName: new("r"), Tags: []iamapi.Tag{{Key: new("team"), Value: new("red")}}})
	a.must(&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(document(
		`{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"blue"}}}`))})
	a.assume(assuming(role)).refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "iam:ListRoles")
	a.assume(assuming(role, tags("team=blue"))).must(&iamapi.ListRolesRequest{})
}

func TestChainOfRoles(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	first := w.role(account, "first", trust(ownAccount, everything))
	a.must(&iamapi.PutRolePolicyRequest{RoleName: new("first"), PolicyName: new("p"), PolicyDocument: new(document(allow(everything)))})
	second := w.role(account, "second", trust(`"AWS":"`+first+`"`, everything))
	strict := w.role(account, "strict", trust(`"AWS":"`+first+`"`, assumeOnly))
	s := a.assume(assuming(first, tags("team=blue", "other=x"), transitive("TEAM"), source("ann")))

	s.refused(assuming(second, tags("Team=red")), 400, "InvalidParameterValue", "conflicts with a transitive tag key from the calling session.")
	s.refused(assuming(second, source("eve")), 400, "ValidationError", "The source identity is already set for this assume role session")
	s.refused(assuming(strict), 403, "AccessDenied", "sts:TagSession")

	out := get[stsapi.AssumeRoleResponse](s, assuming(second))
	if out.SourceIdentity == nil || *out.SourceIdentity != "ann" {
		t.Errorf("source identity %v", out.SourceIdentity)
	}
	chained := w.login(*out.Credentials.AccessKeyId, *out.Credentials.SessionToken).caller
	if got := chained.Principal.Tags; len(got) != 1 || got["team"] != "blue" {
		t.Errorf("tags %v: only transitive ones go on", got)
	}
	if chained.Session.Transitive["team"] != "blue" || chained.Session.SourceIdentity != "ann" {
		t.Errorf("session %+v", chained.Session)
	}
}

func TestTrustedPrincipalMadeAnewIsNotTrusted(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	u := w.user(account, "u")
	role := w.role(account, "r", trust(`"AWS":"arn:aws:iam::111122223333:user/u"`, assumeOnly))
	u.must(assuming(role))
	keys := get[iamapi.ListAccessKeysResponse](a, &iamapi.ListAccessKeysRequest{UserName: new("u")}).AccessKeyMetadata
	a.must(&iamapi.DeleteAccessKeyRequest{UserName: new("u"), AccessKeyId: keys[0].AccessKeyId})
	a.must(&iamapi.DeleteUserRequest{UserName: new("u")})
	w.user(account, "u").refused(assuming(role), 403, "AccessDenied", "sts:AssumeRole")
}

func TestRoleAssumesItselfOnlyIfItTrustsItself(t *testing.T) {
	w := newWorld(t)
	a := w.admin(account)
	role := w.role(account, "r", trust(`"AWS":"arn:aws:iam::111122223333:user/admin"`, assumeOnly))
	a.must(&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(document(allow(everything)))})
	s := a.assume(assuming(role))
	s.refused(assuming(role), 403, "AccessDenied", "sts:AssumeRole")
	a.must(&iamapi.UpdateAssumeRolePolicyRequest{RoleName: new("r"), PolicyDocument: new(document(trust(`"AWS":"`+role+`"`, assumeOnly)))})
	s.must(assuming(role))
}

func TestRefusalDoesNotTellWhichRolesExist(t *testing.T) {
	w := newWorld(t)
	there := w.role(foreign, "there", trust(`"AWS":"444455556666"`, assumeOnly))
	missing := "arn:aws:iam::444455556666:role/missing"
	u := w.user(account, "u", allow(assumeOnly))
	text := func(role string) string {
		_, err := u.do(assuming(role))
		if err == nil {
			t.Fatalf("%s was assumed", role)
		}
		return strings.ReplaceAll(err.Error(), role, "ROLE")
	}
	if a, b := text(there), text(missing); a != b {
		t.Errorf("a role that is there: %s\none that is not: %s", a, b)
	}
}
