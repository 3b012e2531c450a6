package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

func TestServiceLinkedRoleNeedsTheKeyPolicy(t *testing.T) {
	p := slr("123456789012", roleG)
	const one = `{"Effect":"Allow","Principal":{"AWS":["` + roleG + `"]},"Action":["` + generate + `"],"Resource":"*"}`
	t.Run("without either statement both are proposed", func(t *testing.T) {
		all := fixes(t, onKey(t, p, generate, "123456789012", rootG))
		wantKinds(t, all, "key-policy+key-policy", "key-policy+key-policy")
		least, page := named(t, all, explain.Least), named(t, all, explain.Documented)
		sameJSON(t, least[0].Document, through(one))
		sameJSON(t, least[1].Document, through(p2))
		sameJSON(t, page[0].Document, p1)
		sameJSON(t, page[1].Document, p2)
		for _, f := range all {
			if f.Owner != "123456789012" || f.Target != keyG || len(f.Digest) != 64 || len(f.Opens) == 0 ||
				f.Run.String() != "Somebody with kms:PutKeyPolicy on the key in account 123456789012, in Region us-west-2." {
				t.Errorf("fix = %+v", f)
			}
		}
		if !strings.Contains(page[1].Summary.String(), "The launch asks for kms:CreateGrant too: add a statement") {
			t.Errorf("fixes = %+v", page)
		}
		for _, set := range [][]explain.Fix{least, page} {
			wantAllowedWith(t, onKey(t, p, generate, "123456789012", rootG, set[0].Document, set[1].Document))
			wantAllowedWith(t, onKey(t, p, "kms:CreateGrant", "123456789012", rootG, set[0].Document, set[1].Document))
		}
	})
	t.Run("the grant comes first when the source is plain", func(t *testing.T) {
		all := fixes(t, onKey(t, p, "kms:CreateGrant", "123456789012", rootG))
		wantKinds(t, all, "key-policy+key-policy", "key-policy+key-policy")
		sameJSON(t, all[0].Document, through(p2))
		sameJSON(t, all[1].Document, through(one))
		sameJSON(t, all[2].Document, p2)
		sameJSON(t, all[3].Document, p1)
	})
	t.Run("with the first statement only the second is", func(t *testing.T) {
		all := fixes(t, onKey(t, p, "kms:CreateGrant", "123456789012", rootG, p1))
		wantKinds(t, all, "key-policy", "key-policy")
		sameJSON(t, all[0].Document, through(p2))
		sameJSON(t, all[1].Document, p2)
	})
	t.Run("with the second statement only the first is", func(t *testing.T) {
		all := fixes(t, onKey(t, p, generate, "123456789012", rootG, p2))
		wantKinds(t, all, "key-policy", "key-policy")
		sameJSON(t, all[0].Document, through(one))
		sameJSON(t, all[1].Document, p1)
	})
	t.Run("a wrong condition is named first", func(t *testing.T) {
		all := fixes(t, onKey(t, p, "kms:CreateGrant", "123456789012", rootG, p1, strings.Replace(p2, "true", "false", 1)))
		wantKinds(t, all, "condition", "key-policy", "key-policy")
		if want := `its condition Bool kms:GrantIsForAWSResource wants "false", the request has "true"`; !strings.Contains(all[0].Summary.String(), want) {
			t.Errorf("summary = %s", all[0].Summary)
		}
		if all[0].Name != "" || all[1].Name != explain.Least {
			t.Errorf("names %q, %q", all[0].Name, all[1].Name)
		}
	})
	t.Run("a Sid that the policy has is not used again", func(t *testing.T) {
		mine := strings.Replace(strings.Replace(p2, "P2", "Allow attachment of persistent resources", 1), "true", "false", 1)
		page := named(t, fixes(t, onKey(t, p, "kms:CreateGrant", "123456789012", rootG, p1, mine)), explain.Documented)
		if strings.Contains(page[0].Document, "Sid") {
			t.Errorf("document = %s", page[0].Document)
		}
	})
	t.Run("a policy that means the deleted role is to be saved again", func(t *testing.T) {
		req := onKey(t, p, generate, "123456789012", rootG, p1, p2)
		req.Parts[0].Policy.SetPrincipalIDs(map[string]string{roleG: "AROAZZZZZZZZZZZZZZZZZ"})
		all := fixes(t, req)
		wantKinds(t, all, "save-again", "key-policy", "key-policy")
		if !strings.Contains(all[0].Summary.String(), roleG) {
			t.Errorf("fixes = %+v", all)
		}
	})
}

func wantAllowedWith(t *testing.T, req *authz.Request) {
	t.Helper()
	if d := authz.Decide(req); d.Outcome != authz.Allowed {
		t.Errorf("with the fix applied: %+v", authz.Explain(req))
	}
}

func TestServiceLinkedRoleOfAnotherAccountNeedsAGrant(t *testing.T) {
	const command = `aws kms create-grant \
  --region us-west-2 \
  --key-id arn:aws:kms:us-west-2:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d \
  --grantee-principal arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling \
  --operations "Encrypt" "Decrypt" "ReEncryptFrom" "ReEncryptTo" "GenerateDataKey" "GenerateDataKeyWithoutPlaintext" "DescribeKey" "CreateGrant"`
	direct := strings.ReplaceAll(p1, roleG, roleA)
	for name, statements := range map[string][]string{
		"the account may use the key":         {p3, p4},
		"the key policy names the role":       {p3, p4, direct, strings.ReplaceAll(p2, roleG, roleA)},
		"the key policy says nothing of them": {strings.ReplaceAll(rootG, "123456789012", "444455556666")},
	} {
		for _, action := range []string{generate, "kms:CreateGrant", "kms:ReEncryptTo"} {
			t.Run(name+"/"+action, func(t *testing.T) {
				req := onKey(t, slr("111122223333", roleA), action, "444455556666", statements...)
				all := fixes(t, req)
				least, page := named(t, all, explain.Least), named(t, all, explain.Documented)
				if got := kinds(all); got[0] != "grant" || len(got) != 2 {
					t.Errorf("kinds %v", got)
				}
				if g := page[len(page)-1]; g.Command != command || g.Owner != "444455556666" || g.Shows != "111122223333" {
					t.Errorf("fix = %+v", g)
				}
				if want := 1; statements[0] == p3 && len(page) != want {
					t.Errorf("the statements of the page are proposed though they are there: %+v", page)
				}
				if statements[0] != p3 {
					sameJSON(t, page[0].Document, p3)
					sameJSON(t, page[1].Document, p4)
				}
				for _, g := range []explain.Fix{least[0], page[len(page)-1]} {
					req.Parts[0].Grants = []authz.Grant{{
						Grantee: roleA, GranteeID: req.Principal.UniqueID, IssuingAccount: "444455556666", Operations: grantOperations(g.Command),
					}}
					wantAllowedWith(t, req)
				}
				if len(grantOperations(least[0].Command)) >= len(grantOperations(command)) {
					t.Errorf("the least grant has %s", least[0].Command)
				}
			})
		}
	}
}

// grantOperations are those of an aws kms create-grant.
func grantOperations(command string) []string {
	return strings.Fields(strings.ReplaceAll(command[strings.Index(command, "--operations")+len("--operations"):], `"`, ""))
}

func TestUser(t *testing.T) {
	t.Run("the account decides: identity policy first", func(t *testing.T) {
		all := fixes(t, onKey(t, ana(), "kms:Decrypt", "123456789012", rootG))
		wantKinds(t, all, "identity-policy", "key-policy", "grant")
		sameJSON(t, all[0].Document, `{"Effect":"Allow","Action":["kms:Decrypt"],"Resource":"`+keyG+`"}`)
		if !strings.HasPrefix(all[0].Command, "aws iam put-user-policy --user-name ana ") {
			t.Errorf("command = %s", all[0].Command)
		}
		if want := `aws kms create-grant \
  --region us-west-2 \
  --key-id ` + keyG + ` \
  --grantee-principal ` + userG + ` \
  --operations "Decrypt"`; all[2].Command != want {
			t.Errorf("command = %s", all[2].Command)
		}
		req := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
		req.Identity = []*authz.Document{compile(t, policy.Identity, "new", "123456789012", all[0].Document)}
		wantAllowedWith(t, req)
		wantAllowedWith(t, onKey(t, ana(), "kms:Decrypt", "123456789012", rootG, all[1].Document))
	})
	t.Run("the key policy does not delegate: no identity policy helps", func(t *testing.T) {
		wantKinds(t, fixes(t, onKey(t, ana(), "kms:Decrypt", "123456789012", p1)), "key-policy", "grant")
	})
	t.Run("an action that no grant gives", func(t *testing.T) {
		wantKinds(t, fixes(t, onKey(t, ana(), "kms:PutKeyPolicy", "123456789012", rootG)), "identity-policy", "key-policy")
	})
	t.Run("a condition is loosened last", func(t *testing.T) {
		mine := strings.ReplaceAll(p2, roleG, userG)
		wantKinds(t, fixes(t, onKey(t, ana(), "kms:CreateGrant", "123456789012", rootG, mine)), "identity-policy", "key-policy", "grant", "condition")
	})
	t.Run("another account's key needs both sides", func(t *testing.T) {
		all := fixes(t, onKey(t, ana(), "kms:Decrypt", "444455556666", p3))
		wantKinds(t, all, "identity-policy+key-policy", "grant")
		if !strings.Contains(all[1].Document, "arn:aws:iam::123456789012:root") || all[1].Owner != "444455556666" || all[1].Shows != "" || all[0].Shows != "123456789012" {
			t.Errorf("fixes = %+v", all)
		}
	})
	t.Run("another account's key that lets the account in", func(t *testing.T) {
		wantKinds(t, fixes(t, onKey(t, ana(), "kms:Decrypt", "444455556666", strings.ReplaceAll(p3, "111122223333", "123456789012"))), "identity-policy", "grant")
	})
	t.Run("a key that does not exist has the fixes of one that is silent", func(t *testing.T) {
		silent := onKey(t, ana(), "kms:Decrypt", "444455556666", p3)
		hidden := onKey(t, ana(), "kms:Decrypt", "444455556666", p3)
		hidden.Parts[0].Policy = nil
		seen := func(req *authz.Request) []explain.Fix { return explain.VisibleFixes(fixes(t, req), "123456789012") }
		if diff := cmp.Diff(seen(silent), seen(hidden)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an action without a resource policy", func(t *testing.T) {
		req := &authz.Request{Principal: ana(), Parts: []authz.Part{{Action: "ec2:RunInstances", Resource: authz.Resource{ARN: "*", Account: "123456789012"}}}}
		wantKinds(t, fixes(t, req), "identity-policy")
	})
	t.Run("the managed key of EBS cannot be opened", func(t *testing.T) {
		req := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
		doc, err := policy.Parse([]byte(policy.EBSManagedKeyPolicy("123456789012", "us-west-2")), policy.Key)
		if err != nil {
			t.Fatal(err)
		}
		req.Parts[0].Policy, req.Parts[0].Resource.AWSManaged = authz.Compile(doc, policy.Key), true
		if all := fixes(t, req); len(all) > 0 {
			t.Errorf("fixes = %+v", all)
		}
	})
}

func TestRootUserNeedsTheKeyPolicy(t *testing.T) {
	root := authz.Principal{Type: authz.Root, ARN: "arn:aws:iam::123456789012:root", Account: "123456789012", UserID: "123456789012"}
	wantKinds(t, fixes(t, onKey(t, root, "kms:Decrypt", "123456789012", p1)), "key-policy")
}

func TestRoleIsNamedWithItsPath(t *testing.T) {
	p := authz.Principal{
		Type: authz.RoleSession, ARN: "arn:aws:sts::123456789012:assumed-role/deployer/one", RoleARN: "arn:aws:iam::123456789012:role/ci/deployer",
		Account: "123456789012", UniqueID: "AROABBBBBBBBBBBBBBBBB",
	}
	all := fixes(t, onKey(t, p, "kms:Decrypt", "123456789012", rootG))
	wantKinds(t, all, "identity-policy", "key-policy", "grant")
	if !strings.HasPrefix(all[0].Command, "aws iam put-role-policy --role-name deployer ") {
		t.Errorf("command = %s", all[0].Command)
	}
	for _, f := range all[1:] {
		if !strings.Contains(f.Document+f.Command, p.RoleARN) || strings.Contains(f.Document+f.Command, p.ARN) {
			t.Errorf("fix = %+v", f)
		}
	}
}

func TestInfrastructureRoleNeedsAGrantForItsVolume(t *testing.T) {
	p := authz.Principal{
		Type: authz.RoleSession, ARN: "arn:aws:sts::123456789012:assumed-role/aws:ec2-infrastructure/i-1",
		RoleARN: "arn:aws:iam::123456789012:role/aws:ec2-infrastructure", Account: "123456789012",
	}
	req := onKey(t, p, "kms:Decrypt", "123456789012", rootG)
	req.Parts[0].EncryptionContext = map[string]string{"aws:ebs:id": "vol-1"}
	all := fixes(t, req)
	wantKinds(t, all, "grant")
	if !strings.Contains(all[0].Command, p.ARN) || !strings.HasSuffix(all[0].Command, `--constraints '{"EncryptionContextSubset":{"aws:ebs:id":"vol-1"}}'`) {
		t.Errorf("command = %s", all[0].Command)
	}
}

func TestTrustPolicy(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/deployer"
	req := &authz.Request{Principal: ana(), Parts: []authz.Part{{
		Action: "sts:AssumeRole", Resource: authz.Resource{ARN: role, Account: "123456789012"}, Authoritative: true,
		Policy: compile(t, policy.Trust, role, "123456789012", `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`),
	}}}
	all := fixes(t, req)
	wantKinds(t, all, "trust-policy")
	sameJSON(t, all[0].Document, `{"Effect":"Allow","Principal":{"AWS":["`+userG+`"]},"Action":["sts:AssumeRole"]}`)

	req.Parts[0].Policy = compile(t, policy.Trust, role, "123456789012", `{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}`)
	wantKinds(t, fixes(t, req), "identity-policy", "trust-policy")
}

func TestDeniesAreRemovedTogether(t *testing.T) {
	const (
		deny1 = `{"Sid":"D1","Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`
		deny2 = `{"Sid":"D2","Effect":"Deny","Action":"kms:*","Resource":"*"}`
		allow = `{"Sid":"A","Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`
	)
	t.Run("two in one document", func(t *testing.T) {
		req := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
		req.Identity = []*authz.Document{compile(t, policy.Identity, "inline", "123456789012", deny1, allow, deny2)}
		all := fixes(t, req)
		wantKinds(t, all, "remove-deny+remove-deny")
		all = explain.VisibleFixes(all, "123456789012")
		if !strings.HasPrefix(all[0].Summary.String(), "Step 1 of 2: ") || !strings.Contains(all[0].Summary.String(), `"D1"`) || !strings.Contains(all[1].Summary.String(), `"D2"`) {
			t.Errorf("fixes = %+v", all)
		}
	})
	t.Run("the only statement, and an allow is missing too", func(t *testing.T) {
		req := onKey(t, ana(), "kms:PutKeyPolicy", "123456789012", rootG)
		req.Identity = []*authz.Document{compile(t, policy.Identity, "inline", "123456789012", deny2)}
		wantKinds(t, fixes(t, req), "remove-deny+identity-policy", "remove-deny+key-policy")
	})
	t.Run("in the key policy, seen by its owner only", func(t *testing.T) {
		req := onKey(t, slr("111122223333", roleA), generate, "444455556666", p3, `{"Sid":"Secret","Effect":"Deny","Principal":"*","Action":"kms:Gen*","Resource":"*"}`)
		all := fixes(t, req)
		wantKinds(t, all, "narrow-deny+grant", "narrow-deny+key-policy+grant") // the page's second statement is missing
		if all[0].Owner != "444455556666" || all[0].Shows != "444455556666" {
			t.Errorf("fix = %+v", all[0])
		}
		for _, f := range explain.VisibleFixes(all, "111122223333") {
			if strings.Contains(f.Summary.String()+f.Document+f.Command+f.Digest, "Secret") || f.Digest != "" || strings.HasPrefix(f.Summary.String(), "Step 2 of 2") && f.Name == explain.Least {
				t.Errorf("the caller's account sees %+v", f)
			}
		}
	})
	t.Run("an undetermined part has no fix", func(t *testing.T) {
		req := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
		d := authz.Decision{Parts: []authz.PartDecision{{Outcome: authz.Undetermined}}}
		if all := explain.Fixes(req, d); all != nil {
			t.Errorf("fixes of an undetermined part: %+v", all)
		}
	})
}

func TestLimits(t *testing.T) {
	const (
		allow = `{"Sid":"A","Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`
		other = `{"Sid":"O","Effect":"Allow","Action":"ec2:*","Resource":"*"}`
	)
	role := authz.Principal{
		Type: authz.RoleSession, ARN: "arn:aws:sts::123456789012:assumed-role/deployer/one", RoleARN: "arn:aws:iam::123456789012:role/deployer",
		Account: "123456789012", UniqueID: "AROABBBBBBBBBBBBBBBBB", AccountRole: authz.Member,
	}
	newRequest := func(t *testing.T, granted bool) *authz.Request {
		req := onKey(t, role, "kms:Decrypt", "123456789012", rootG)
		if granted {
			req.Identity = []*authz.Document{compile(t, policy.Identity, "inline", "123456789012", allow)}
		}
		return req
	}
	silent := func(t *testing.T, kind policy.Kind) *authz.Document {
		return compile(t, kind, "limit", "123456789012", other)
	}
	t.Run("the boundary alone", func(t *testing.T) {
		req := newRequest(t, true)
		req.Boundary = silent(t, policy.Identity)
		wantKinds(t, fixes(t, req), "permissions-boundary")
	})
	t.Run("the session policy alone", func(t *testing.T) {
		req := newRequest(t, true)
		req.Session = []*authz.Document{silent(t, policy.Session)}
		wantKinds(t, fixes(t, req), "session-policy")
	})
	t.Run("a service control policy alone", func(t *testing.T) {
		req := newRequest(t, true)
		req.SCPs = [][]*authz.Document{{silent(t, policy.SCP)}, {silent(t, policy.SCP)}}
		wantKinds(t, fixes(t, req), "service-control-policy")
	})
	t.Run("with the grant missing too", func(t *testing.T) {
		req := newRequest(t, false)
		req.Boundary = silent(t, policy.Identity)
		all := fixes(t, req)
		if got := kinds(all); len(got) == 0 || got[0] != "identity-policy+permissions-boundary" || slices.Contains(got, "identity-policy") {
			t.Errorf("kinds = %v", got)
		}
	})
}

func TestFixesOfEachDeniedPart(t *testing.T) {
	from := onKey(t, ana(), "kms:ReEncryptFrom", "123456789012", rootG)
	to := onKey(t, ana(), "kms:ReEncryptTo", "444455556666", p3)
	mine := onKey(t, ana(), "kms:DescribeKey", "123456789012", strings.ReplaceAll(p1, roleG, userG))
	req := &authz.Request{Principal: ana(), Parts: []authz.Part{from.Parts[0], mine.Parts[0], to.Parts[0]}}
	var parts []int
	for _, f := range fixes(t, req) {
		if !slices.Contains(parts, f.Part) {
			parts = append(parts, f.Part)
		}
	}
	if diff := cmp.Diff([]int{0, 2}, parts); diff != "" {
		t.Error(diff)
	}
}

func TestFixesLeaveTheRequestAlone(t *testing.T) {
	req := onKey(t, slr("123456789012", roleG), "kms:CreateGrant", "123456789012", rootG, strings.Replace(p2, "true", "false", 1))
	req.Identity = []*authz.Document{compile(t, policy.Identity, "inline", "123456789012", `{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)}
	before := authz.Explain(req)
	if all := fixes(t, req); len(all) == 0 {
		t.Error("no fixes")
	}
	if diff := cmp.Diff(before, authz.Explain(req)); diff != "" {
		t.Error(diff)
	}
}
