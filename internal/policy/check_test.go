package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/policy"
)

// identity is a good document with some elements replaced by the caller's.
func identity(elements string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + elements + `}}`
}

func resource(r string) string { return identity(`"Action":"s3:ListBucket","Resource":"` + r + `"`) }
func action(a string) string   { return identity(`"Action":"` + a + `","Resource":"*"`) }
func condition(c string) string {
	return identity(`"Action":"s3:ListBucket","Resource":"*","Condition":` + c)
}

const (
	syntax    = "Syntax errors in policy."
	version   = "Policy document must be version 2012-10-17 or greater."
	legacy    = "The policy failed legacy parsing"
	principal = "Policy document should not specify a principal."
	sidUnique = "Statement IDs (SID) in a single policy must be unique."
	sidText   = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	noActions = "Policy statement must contain actions."
	vendor    = "Resource vendor must be fully qualified and cannot contain regexes."
	prefaced  = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	oneColon  = "Actions/Condition can contain only one colon."
	noRes     = "Policy statement must contain resources."
	iamPath   = `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`
)

func TestCheckIdentityMessages(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"not JSON", `{`, syntax},
		{"empty", ``, syntax},
		{"no statement", `{"Version":"2012-10-17"}`, syntax},
		{"unknown element", `{"Version":"2012-10-17","Statement":{"Effect":"Allow"},"X":1}`, syntax},
		{"effect", `{"Version":"2012-10-17","Statement":{"Effect":"Permit","Action":"a:b","Resource":"*"}}`, syntax},
		{"unknown version", `{"Version":"2012-10-18","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`, syntax},
		{"both actions", identity(`"Action":"a:b","NotAction":"a:b","Resource":"*"`), syntax},
		{"unknown operator", condition(`{"Equals":{"a":"b"}}`), syntax},
		{"two colons in an operator", condition(`{"ForAnyValue::StringEquals":{"a":"b"}}`), syntax},
		{"escaped control character", identity(`"Action":"a:\u0001","Resource":"*"`), syntax},

		{"no version", statement(`"Action":"a:b","Resource":"*"`), version},
		{"old version", `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`, version},

		{"space before", " " + identity(`"Action":"a:b","Resource":"*"`), legacy},
		{"line break before", "\n" + identity(`"Action":"a:b","Resource":"*"`), legacy},
		{"effect case", `{"Version":"2012-10-17","Statement":{"Effect":"denY","Action":"a:b","Resource":"*"}}`, legacy},
		{"too few colons", resource("arn:aws:s3::x"), legacy},
		{"empty service, short", resource("arn:aws::fdsasf"), legacy},
		{"empty service", resource("arn:aws:::acct:x"), legacy},
		{"in NotResource too", identity(`"Action":"a:b","NotResource":["*","arn:aws:s3::x"]`), legacy},
		{"no date", condition(`{"DateLessThan":{"a":"tomorrow"}}`), legacy},
		{"zone without minutes", condition(`{"DateEquals":{"a":"2019-07-01T13:20:15+01"}}`), legacy},
		{"zone too large", condition(`{"DateEquals":{"a":"2019-07-01T13:20:15+24:00"}}`), legacy},
		{"one digit hour", condition(`{"DateEquals":{"a":"2019-07-01T3:20:15Z"}}`), legacy},
		{"no zone", condition(`{"DateEquals":{"a":"2019-07-01T13:20"}}`), legacy},
		{"epoch beyond int64", condition(`{"ForAnyValue:DateGreaterThanIfExists":{"a":["2019",9223372036854775808]}}`), legacy},

		{"principal", identity(`"Action":"a:b","Resource":"*","Principal":"*"`), principal},
		{"a trust policy", identity(`"Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}`), principal},

		{"same Sid", `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":"a:b","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"a:b","Resource":"*"}]}`, sidUnique},
		{"Sid with a space", identity(`"Sid":"a b","Action":"a:b","Resource":"*"`), sidText},

		{"no actions", identity(`"Resource":"*"`), noActions},
		{"empty actions", identity(`"Action":[],"Resource":"*"`), noActions},

		{"no ARN", resource("bucket"), `Resource bucket must be in ARN format or "*".`},
		{"empty resource", resource(""), `Resource  must be in ARN format or "*".`},
		{"not arn", resource("urn:aws:s3:::b"), `Resource urn:aws:s3:::b must be in ARN format or "*".`},
		{"partition", resource("arn:error:s3:::b"), `Partition "error" is not valid for resource "arn:error:s3:::b".`},
		{"partition, padded", resource("aws:s3:b"), `Partition "s3" is not valid for resource "arn:s3:b:*:*:*".`},
		{"partition, all padding", resource("a:b"), `Partition "b" is not valid for resource "arn:b:*:*:*:*".`},
		{"colons in the resource stay", resource("arn:x:logs:r:a:log-group:g:*"), `Partition "x" is not valid for resource "arn:x:logs:r:a:log-group:g:*".`},
		{"iam path", resource("arn:aws:iam::111122223333:thing/x"), iamPath},
		{"iam path, user without slash", resource("arn:aws:iam::111122223333:user"), iamPath},
		{"iam region", resource("arn:aws:iam:us-east-1:111122223333:user/x"), "IAM resource arn:aws:iam:us-east-1:111122223333:user/x cannot contain region information."},
		{"iam region wildcard", resource("arn:aws:iam:*:*:*name*"), "IAM resource arn:aws:iam:*:*:*name* cannot contain region information."},
		{"s3 region", resource("arn:aws:s3:us-east-1::b"), "Resource arn:aws:s3:us-east-1::b can not contain region information."},
		{"no service", resource("arn:aws"), vendor},
		{"wildcard service", resource("arn:aws:s*:::b"), vendor},

		{"bare action", action("ListBucket"), prefaced},
		{"empty action", action(""), prefaced},
		{"two colons", action("s3:s3:ListBucket"), oneColon},
		{"vendor", action("a b:ListBucket"), "Vendor a b is not valid"},
		{"wildcard vendor", action("*:ListBucket"), "Vendor * is not valid"},
		{"empty vendor", action(":ListBucket"), "Vendor  is not valid"},
		{"NotAction too", identity(`"NotAction":["*","x"],"Resource":"*"`), prefaced},

		{"no resources", identity(`"Action":"a:b"`), noRes},
		{"empty resources", identity(`"Action":"a:b","NotResource":[]`), noRes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.CheckIdentity([]byte(tt.src))
			wantError(t, d, err, "MalformedPolicyDocument", tt.want)
		})
	}
}

func wantError(t *testing.T, d *policy.Document, err error, code, message string) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || d != nil {
		t.Fatalf("got %v, %v, want an API error", d, err)
	}
	if e.Code != code || e.Message != message {
		t.Errorf("got  %s: %s\nwant %s: %s", e.Code, e.Message, code, message)
	}
}

// TestCheckIdentityOrder breaks every rule from one on, then repairs them one by one: the text must
// always be that of the first rule still broken.
func TestCheckIdentityOrder(t *testing.T) {
	steps := []struct{ want, broken, good string }{
		{syntax, `"Nope":1,`, ``},
		{version, `"Version":"2008-10-17"`, `"Version":"2012-10-17"`},
		{legacy, `"denY"`, `"Deny"`},
		{principal, `"Principal":"*",`, ``},
		{sidUnique, `"Sid":"a","Resource"`, `"Sid":"b","Resource"`},
		{sidText, `"Sid":"-"`, `"Sid":"c"`},
		{noActions, `"Action":[]`, `"Action":"a:b"`},
		{`Resource r must be in ARN format or "*".`, `"r"`, `"*"`},
		{prefaced, `"list"`, `"s3:list"`},
		{noRes, `"Effect":"Allow"}`, `"Effect":"Allow","Resource":"*"}`},
	}
	src := `{"Nope":1,"Version":"2008-10-17","Statement":[` +
		`{"Sid":"a","Action":"list","Effect":"Allow"},` +
		`{"Sid":"a","Resource":"r","Principal":"*","Action":[],"Effect":"denY"},` +
		`{"Sid":"-","Effect":"Allow","Action":"a:b","Resource":"*"}]}`
	for _, step := range steps {
		d, err := policy.CheckIdentity([]byte(src))
		wantError(t, d, err, "MalformedPolicyDocument", step.want)
		if strings.Count(src, step.broken) != 1 {
			t.Fatalf("%q is not once in %s", step.broken, src)
		}
		src = strings.Replace(src, step.broken, step.good, 1)
	}
	if _, err := policy.CheckIdentity([]byte(src)); err != nil {
		t.Errorf("repaired document: %v", err)
	}
}

func TestCheckIdentityAccepts(t *testing.T) {
	tests := []struct{ name, src string }{
		{"star", identity(`"Action":"*","Resource":"*"`)},
		{"unknown service", action("s33:ListBucket")},
		{"spaces in an action", action("iam: asdf safdsf af ")},
		{"Id", `{"Version":"2012-10-17","Id":"x","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`},
		{"empty Sids", `{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Action":"a:b","Resource":"*"},{"Sid":"","Effect":"Deny","Action":"a:b","Resource":"*"}]}`},
		{"null among resources", identity(`"Action":"a:b","Resource":["arn:aws:s3:::b",null]`)},
		{"empty condition", condition(`{}`)},
		{"empty operator", condition(`{"StringEquals":{},"whatever":{}}`)},
		{"dates", condition(`{"DateEquals":{"a":["2019","2019-07","2019-07-01","2019-07-01T13:20Z","2019-07-01T13:20:15.5-09:30",1561981215]}}`)},
		{"trailing star over colons", resource("arn:aws:sqs:*")},
		{"region star at the end", resource("arn:aws:s3:*")},
		{"partition star", resource("arn:*:ec2:*:*:instance/*")},
		{"variable with colons", resource("arn:aws:sqs:us-east-1:111122223333:${aws:username}-q")},
		{"variable as account", resource("arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:q")},
		{"access point", resource("arn:aws:s3:us-east-1:111122223333:accesspoint/x")},
		{"iam role", resource("arn:aws:iam::111122223333:role/a/b")},
		{"iam any", resource("arn:aws:iam::*:*")},
		{"iam infix", resource("arn:aws:iam::*:*name*")},
		{"iam part of a type", resource("arn:aws:iam::*:u*")},
		{"iam account root", resource("arn:aws:iam::*:root")},
		{"image without account", resource("arn:aws:ec2:us-east-1::image/ami-1")},
		{"latin-1", identity(`"Action":"a:b","Resource":"arn:aws:s3:::ü"`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, check := range map[string]func([]byte) (*policy.Document, error){
				"identity": policy.CheckIdentity, "session": policy.CheckSession,
			} {
				if d, err := check([]byte(tt.src)); err != nil || len(d.Statements) == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestCheckCharset(t *testing.T) {
	tests := []struct {
		name, member string
		check        func([]byte) (*policy.Document, error)
	}{
		{"identity", "policyDocument", policy.CheckIdentity},
		{"session", "policy", policy.CheckSession},
		{"trust", "policyDocument", policy.CheckTrust},
		{"key", "policy", policy.CheckKey},
	}
	for _, tt := range tests {
		for _, src := range []string{`{"Id":"鍵"}`, "{\x00}"} {
			d, err := tt.check([]byte(src))
			wantError(t, d, err, "ValidationException", "1 validation error detected: Value at '"+tt.member+
				"' failed to satisfy constraint: Member must satisfy regular expression pattern: "+
				`[\u0009\u000A\u000D\u0020-\u00FF]+`)
		}
	}
}

func TestCheckSession(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"not JSON", `{"Version":`, "The policy is not in the valid JSON format."},
		{"bad UTF-8", "{\"\xff\":1}", "The policy is not in the valid JSON format."},
		{"not JSON after bad grammar", `{"X":1,}`, "The policy is not in the valid JSON format."},
		{"grammar", `{"X":1}`, syntax},
		{"name twice", `{"Id":"a","Id":"b"}`, syntax},
		{"principal", identity(`"Action":"a:b","Resource":"*","Principal":"*"`), principal},
		{"no resources", identity(`"Action":"a:b"`), noRes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.CheckSession([]byte(tt.src))
			wantError(t, d, err, "MalformedPolicyDocument", tt.want)
		})
	}
}

func TestCheckTrustUnknown(t *testing.T) {
	trust := func(more string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",` + more + `}]}`
	}
	tests := []struct{ name, src, want string }{
		{"of the document", `{"invalid":true}`, "Unknown field invalid"},
		{"with a slash", `{"a/b":true}`, "Unknown field a/b"},
		{"of a statement", trust(`"Principals":"*"`), "Unknown field Principals"},
		{"of a principal", trust(`"Principal":{"Users":"*"}`), syntax},
		{"another breach", trust(`"Principal":"*","Effect":"Allow"`), syntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := policy.CheckTrust([]byte(tt.src))
			wantError(t, d, err, "MalformedPolicyDocument", tt.want)
		})
	}
}

func TestCheckErrorCause(t *testing.T) {
	_, err := policy.CheckIdentity([]byte("{\n \"X\":1}"))
	e, ok := errors.AsType[*policy.SyntaxError](err)
	if !ok || e.Line != 2 || e.Pointer != "/X" {
		t.Errorf("cause is %v", e)
	}
}

func TestSizeWithoutSpace(t *testing.T) {
	tests := []struct {
		src  string
		want int
	}{
		{"", 0}, {" \t\r\n", 0}, {`{ "Sid" : "a b" }`, 12}, {"é", 1},
	}
	for _, tt := range tests {
		if got := policy.SizeWithoutSpace([]byte(tt.src)); got != tt.want {
			t.Errorf("SizeWithoutSpace(%q) = %d, want %d", tt.src, got, tt.want)
		}
	}
}
