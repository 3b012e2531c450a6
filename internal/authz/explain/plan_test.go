package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// reEncrypt is a request of a service-linked role, through EC2, to re-wrap a data key.
func reEncrypt(t *testing.T, p authz.Principal, sameKey bool, source, target []string) *authz.Request {
	t.Helper()
	from := onKey(t, p, "kms:ReEncryptFrom", "123456789012", source...)
	to := onKey(t, p, "kms:ReEncryptTo", "123456789012", target...)
	if !sameKey {
		other := strings.Replace(keyG, "1a2b3c4d", "9a2b3c4d", 1)
		from.Parts[0].Resource.ARN, from.Parts[0].Policy.Name = other, other
	}
	from.Parts[0].EncryptionContext = map[string]string{"aws:ebs:id": "vol-0"}
	to.Parts[0].EncryptionContext = map[string]string{"aws:ebs:id": "vol-1"}
	from.Parts = append(from.Parts, to.Parts[0])
	return from
}

// The least fix lets the whole launch through that a refused request is part of, and nothing else.
// Source: EBS User Guide, "How Amazon EBS encryption works"; see package launch for the requests.
func TestTheLeastFixIsForTheWholeLaunch(t *testing.T) {
	const create = "kms:CreateGrant"
	p := slr("123456789012", roleG)
	for _, tt := range []struct {
		name    string
		sameKey bool
		part    int
		have    []string
		want    [][]string // actions of the statements
	}{
		{"the same key", true, 0, []string{rootG}, [][]string{{"kms:ReEncryptFrom", "kms:ReEncryptTo"}, {create}}},
		{"the same key, the second half denied too", true, 1, []string{rootG}, [][]string{{"kms:ReEncryptFrom", "kms:ReEncryptTo"}, {create}}},
		{"the same key, grants are allowed", true, 0, []string{rootG, p2}, [][]string{{"kms:ReEncryptFrom", "kms:ReEncryptTo"}}},
		{"another key's source", false, 0, []string{rootG}, [][]string{{"kms:ReEncryptFrom"}, {create}}},
		{"another key's target", false, 1, []string{rootG}, [][]string{{"kms:ReEncryptTo", generate}, {create}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := reEncrypt(t, p, tt.sameKey, tt.have, tt.have)
			d := authz.Explain(req)
			least := named(t, slices.DeleteFunc(explain.Fixes(req, d), func(f explain.Fix) bool { return f.Part != tt.part }), explain.Least)
			fixed := slices.Clone(tt.have)
			plan := []string{create}
			for i, f := range least {
				fixed = append(fixed, f.Document)
				if i >= len(tt.want) {
					t.Fatalf("too many statements: %+v", least)
				}
				st := compile(t, policy.Key, "x", "", f.Document).Source.Statements[0]
				var got []string
				for _, a := range st.Actions {
					got = append(got, a.Value)
				}
				slices.Sort(got)
				if want := slices.Sorted(slices.Values(tt.want[i])); !slices.Equal(got, want) {
					t.Errorf("statement %d allows %v, want %v", i, got, want)
				}
				plan = append(plan, tt.want[i]...)
			}
			for _, action := range []string{"kms:ReEncryptFrom", "kms:ReEncryptTo", create, generate, "kms:Decrypt", "kms:Encrypt", "kms:PutKeyPolicy"} {
				after := authz.Decide(onKey(t, p, action, "123456789012", fixed...)).Outcome
				if want := slices.Contains(plan, action); (after == authz.Allowed) != want {
					t.Errorf("%s is then %v, want allowed %v", action, after, want)
				}
			}
		})
	}
	t.Run("by a grant, across accounts", func(t *testing.T) {
		p := slr("111122223333", roleA)
		req := onKey(t, p, "kms:ReEncryptFrom", "444455556666", p3, p4)
		to := onKey(t, p, "kms:ReEncryptTo", "444455556666", p3, p4)
		req.Parts = append(req.Parts, to.Parts[0])
		least := named(t, fixes(t, req), explain.Least)
		if got, want := strings.Join(least[0].Grant.Operations, " "), "Decrypt ReEncryptFrom ReEncryptTo CreateGrant"; got != want {
			t.Errorf("operations %s, want %s", got, want)
		}
	})
}

// A VPC endpoint's policy that is silent has a fix like every limit: the statement, what it opens,
// and who changes it, which nobody at the key can.
func TestTheEndpointsSilenceHasAFix(t *testing.T) {
	req := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
	req.Identity = []*authz.Document{compile(t, policy.Identity, "inline", "123456789012", `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`)}
	req.Endpoint = compile(t, policy.Endpoint, "vpce-1", "123456789012", `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`)
	all := fixes(t, req)
	wantKinds(t, all, explain.Endpoint)
	f := all[0]
	if f.Name != explain.Least || f.Target != "vpce-1" || !strings.Contains(f.Run.String(), "ec2:ModifyVpcEndpoint on the endpoint in account 123456789012") ||
		len(f.Opens) != 1 || !strings.Contains(f.Opens[0].String(), "comes through the endpoint") {
		t.Errorf("fix %+v", f)
	}
	req.Endpoint = compile(t, policy.Endpoint, "vpce-1", "123456789012", `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`, f.Document)
	wantAllowedWith(t, req)

	req.Endpoint = compile(t, policy.Endpoint, "vpce-1", "123456789012", `{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}`)
	all, notes := advise(t, req)
	if got := kinds(all); len(got) != 1 || got[0] != "narrow-deny+endpoint-policy" {
		t.Errorf("kinds %v", got)
	}
	if len(notes) != 1 || !strings.Contains(notes[0].Text.String(), "No permission can outweigh it") {
		t.Errorf("notes %+v", notes)
	}
}
