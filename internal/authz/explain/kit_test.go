package explain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// Statements of the Amazon EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with
// encrypted volumes".
const (
	roleG = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	roleA = "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"

	rootG = `{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}`
	p1    = `{"Sid":"P1","Effect":"Allow","Principal":{"AWS":["` + roleG + `"]},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	p2    = `{"Sid":"P2","Effect":"Allow","Principal":{"AWS":["` + roleG + `"]},"Action":["kms:CreateGrant"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}`
	p3    = `{"Sid":"P3","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	p4    = `{"Sid":"P4","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:CreateGrant"],"Resource":"*"}`

	generate = "kms:GenerateDataKeyWithoutPlaintext"
)

func compile(t *testing.T, kind policy.Kind, name, owner string, statements ...string) *authz.Document {
	t.Helper()
	src := `{"Version": "2012-10-17",  "Statement": [` + strings.Join(statements, ", ") + `]}`
	doc, err := policy.Parse([]byte(src), kind)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	c := authz.Compile(doc, kind)
	c.Name, c.Owner = name, owner
	return c
}

// slr is a session of Auto Scaling's role.
func slr(account, role string) authz.Principal {
	return authz.Principal{
		Type: authz.RoleSession, ARN: "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
		RoleARN: role, Account: account, UserID: "AROAAAAAAAAAAAAAAAAAA:AutoScaling", UniqueID: "AROAAAAAAAAAAAAAAAAAA",
	}
}

func ana() authz.Principal {
	return authz.Principal{Type: authz.User, ARN: userG, Account: "123456789012", Username: "ana", UserID: "AIDAAAAAAAAAAAAAAAAAA", UniqueID: "AIDAAAAAAAAAAAAAAAAAA"}
}

func viaEC2() authz.Context {
	var c authz.Context
	c.Set("kms:viaservice", "ec2.us-west-2.amazonaws.com")
	return c
}

// onKey is a request for an action on a key of an account with a key policy of statements.
func onKey(t *testing.T, p authz.Principal, action, account string, statements ...string) *authz.Request {
	t.Helper()
	key := strings.Replace(keyG, "123456789012", account, 1)
	part := authz.Part{Action: action, Resource: authz.Resource{ARN: key, Account: account}, Authoritative: true}
	part.Policy = compile(t, policy.Key, key, account, statements...)
	part.Policy.SetPrincipalIDs(map[string]string{p.ARN: p.UniqueID, p.RoleARN: p.UniqueID})
	req := &authz.Request{Principal: p, Parts: []authz.Part{part}}
	if action == "kms:CreateGrant" {
		req.Parts[0].NewGrant = &authz.Grant{Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"aws:ebs:id": "vol-1"}}
		req.Parts[0].Context.SetBool("kms:grantisforawsresource", p.IsServiceLinked())
	}
	if p.IsServiceLinked() {
		req.Context = viaEC2()
	}
	return req
}

func fixes(t *testing.T, req *authz.Request) []explain.Fix {
	t.Helper()
	d := authz.Explain(req)
	if d.Outcome == authz.Allowed {
		t.Fatal("the request is allowed")
	}
	return explain.Fixes(req, d)
}

// kinds are the kinds of the fixes, one string per set.
func kinds(all []explain.Fix) []string {
	var out []string
	for _, f := range all {
		if f.Set > len(out) {
			out = append(out, f.Kind)
		} else {
			out[f.Set-1] += "+" + f.Kind
		}
	}
	return out
}

func wantKinds(t *testing.T, all []explain.Fix, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, kinds(all)); diff != "" {
		t.Fatalf("kinds of fixes: %s\n%+v", diff, all)
	}
}

// named is the set of fixes of that name.
func named(t *testing.T, all []explain.Fix, name string) []explain.Fix {
	t.Helper()
	var out []explain.Fix
	for _, f := range all {
		if f.Name == name {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no set is named %q: %+v", name, all)
	}
	return out
}

// through limits a statement to requests through EC2.
func through(statement string) string {
	var st map[string]any
	_ = json.Unmarshal([]byte(statement), &st) // a constant of this file
	cond, _ := st["Condition"].(map[string]any)
	if cond == nil {
		cond = map[string]any{}
	}
	cond["StringEquals"] = map[string]any{"kms:ViaService": "ec2.us-west-2.amazonaws.com"}
	st["Condition"] = cond
	out, _ := json.Marshal(st)
	return string(out)
}

// sameJSON compares statements without regard to layout, Sid and the order of members.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w map[string]any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	delete(g, "Sid")
	delete(w, "Sid")
	if diff := cmp.Diff(w, g); diff != "" {
		t.Error(diff)
	}
}
