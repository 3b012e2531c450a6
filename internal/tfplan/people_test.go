package tfplan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// TestPoliciesOfWhoApplies gathers the policies of the role or user that applies a plan.
func TestPoliciesOfWhoApplies(t *testing.T) {
	const (
		doc  = `"{\"Version\":\"2012-10-17\",\"Statement\":[]}"`
		ours = "arn:aws:iam::111122223333:"
	)
	role := part{"=aws_iam_role.r", `{"arn":"` + ours + `role/path/r","name":"r","path":"/path/","unique_id":"AROAEXAMPLE"}`, "", ""}
	user := part{"=aws_iam_user.u", `{"arn":"` + ours + `user/u","name":"u"}`, "", ""}
	policy := part{"aws_iam_policy.p", `{"name":"p","path":"/x/","policy":` + doc + `}`, `{"arn":true,"id":true}`, ""}
	const policyARN = `"` + ours + `policy/x/p"`
	for _, tt := range []struct {
		name, identity string
		parts          []part
		policies       []string
		unknown        []string // pointers
	}{
		{"a policy of the role", "assumed-role/r/s", []part{role, {"aws_iam_role_policy.a", `{"role":"r","name":"inline","policy":` + doc + `}`, "", ""}}, []string{"inline"}, nil},
		{"a role that is named by its id", "assumed-role/r/s", []part{role, {"aws_iam_role_policy.a", `{"role":"r","policy":` + doc + `}`, "", ""}}, []string{"policy-0"}, nil},
		{"a managed policy of the plan", "assumed-role/r/s", []part{role, policy, {"aws_iam_role_policy_attachment.a", `{"role":"r","policy_arn":` + policyARN + `}`, "", ""}}, []string{"p"}, nil},
		{"a managed policy of AWS", "assumed-role/r/s", []part{role, {"aws_iam_role_policy_attachment.a", `{"role":"r","policy_arn":"arn:aws:iam::aws:policy/AdministratorAccess"}`, "", ""}},
			[]string{"AdministratorAccess"}, nil},
		{"a managed policy of elsewhere", "assumed-role/r/s", []part{role, {"aws_iam_role_policy_attachment.a", `{"role":"r","policy_arn":"` + ours + `policy/q"}`, "", ""}},
			[]string{"q"}, []string{"/policies/0/policy"}},
		{"policies in the role itself", "assumed-role/r/s", []part{{"=aws_iam_role.r",
			`{"name":"r","inline_policy":[{"name":"i","policy":` + doc + `}],"managed_policy_arns":["arn:aws:iam::aws:policy/AdministratorAccess"]}`, "", ""}},
			[]string{"i", "AdministratorAccess"}, nil},
		{"policies that are left alone", "assumed-role/r/s", []part{{"aws_iam_role.r", `{"name":"r"}`, `{"inline_policy":true,"managed_policy_arns":true}`, ""}}, nil, nil},
		{"policies that are not known", "assumed-role/r/s", []part{{"aws_iam_role.r", `{"name":"r"}`, `{"managed_policy_arns":true}`, `{"managed_policy_arns":{"references":["local.x"]}}`}},
			nil, []string{"/policies"}},
		{"an attachment to all", "user/u", []part{user, policy, {"aws_iam_policy_attachment.a", `{"users":["u"],"roles":["r"],"groups":["g"],"policy_arn":` + policyARN + `}`, "", ""}},
			[]string{"p"}, nil},
		{"a policy of the user", "user/u", []part{user, {"aws_iam_user_policy.a", `{"user":"u","name":"inline","policy":` + doc + `}`, "", ""}}, []string{"inline"}, nil},
		{"a policy of a group of the user", "user/u", []part{user, {"aws_iam_group_policy.a", `{"group":"g","name":"ofgroup","policy":` + doc + `}`, "", ""},
			{"aws_iam_user_group_membership.m", `{"user":"u","groups":["g","h"]}`, "", ""}}, []string{"ofgroup"}, nil},
		{"a policy of a group of others", "user/u", []part{user, {"aws_iam_group_policy.a", `{"group":"g","name":"ofgroup","policy":` + doc + `}`, "", ""},
			{"aws_iam_group_membership.m", `{"group":"g","users":["v"]}`, "", ""}}, nil, nil},
		{"an attachment to a group", "user/u", []part{user, policy, {"aws_iam_policy_attachment.a", `{"groups":["g"],"policy_arn":` + policyARN + `}`, "", ""},
			{"aws_iam_group_membership.m", `{"group":"g","users":["u"]}`, "", ""}}, []string{"p"}, nil},
		{"a boundary of elsewhere", "user/u", []part{{"=aws_iam_user.u", `{"name":"u","permissions_boundary":"` + ours + `policy/b"}`, "", ""}}, nil, []string{"/boundary"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service := "iam"
			if strings.HasPrefix(tt.identity, "assumed-role") {
				service = "sts"
			}
			me := part{"data.aws_caller_identity.me", `{"account_id":"111122223333","arn":"arn:aws:` + service + `::111122223333:` + tt.identity + `"}`, "", ""}
			l := find(t, made(t, "", append(tt.parts, me, part{volume, `{"encrypted":true}`, "", ""})...), volume)
			if len(l.Assumed) != 0 || len(l.Scenario.Principals) != 1 {
				t.Fatalf("assumed %q, principals %+v", l.Assumed, l.Scenario.Principals)
			}
			p := l.Scenario.Principals[0]
			var names, unknown []string
			for _, x := range p.Policies {
				names = append(names, x.Name)
			}
			for pointer := range l.Scenario.Unknown {
				if at, ok := strings.CutPrefix(pointer, "/principals/0"); ok {
					unknown = append(unknown, at)
				}
			}
			if !slices.Equal(names, tt.policies) || !slices.Equal(unknown, tt.unknown) {
				t.Errorf("policies %q, want %q; unknown %q, want %q", names, tt.policies, unknown, tt.unknown)
			}
		})
	}
}

// TestDocumentsArePutTogether builds what the data source would.
func TestDocumentsArePutTogether(t *testing.T) {
	const (
		role      = "aws_iam_role.new"
		roleARN   = "arn:aws:iam::111122223333:role/new"
		unknown   = `"json":true`
		reference = `{"references":["aws_iam_role.new.arn","aws_iam_role.new"]}`
	)
	for _, tt := range []struct {
		name, values, unknown, exprs string
		more                         []part
		want, why                    string
	}{
		{"principals of two kinds and a variable of a policy",
			`{"statement":[{"sid":"a","actions":["kms:Decrypt"],"resources":["&{aws:username}"],"principals":[{"type":"AWS","identifiers":[null,"arn:aws:iam::111122223333:root"]},{"type":"Service","identifiers":["ec2.amazonaws.com"]}],"not_principals":[],"condition":[]}]}`,
			`{` + unknown + `,"statement":[{"principals":[{"identifiers":[true,false]},{"identifiers":[false]}]}]}`,
			`{"statement":[{"principals":[{"type":{"constant_value":"AWS"},"identifiers":` + reference + `},{"type":{"constant_value":"Service"},"identifiers":{"constant_value":["ec2.amazonaws.com"]}}]}]}`, nil,
			`{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","` + roleARN + `"],"Service":"ec2.amazonaws.com"},"Action":"kms:Decrypt","Resource":"${aws:username}"}]}`, ""},
		{"blocks of a set are in another order than their values",
			`{"statement":[{"actions":["kms:*"],"resources":["*"],"principals":[{"type":"AWS","identifiers":[null]},{"type":"Federated","identifiers":["x"]}],"not_principals":[],"condition":[]}]}`,
			`{` + unknown + `,"statement":[{"principals":[{"identifiers":[true]},{}]}]}`,
			`{"statement":[{"principals":[{"type":{"constant_value":"Federated"}},{"type":{"constant_value":"AWS"},"identifiers":` + reference + `}]}]}`, nil,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + roleARN + `","Federated":"x"},"Action":"kms:*","Resource":"*"}]}`, ""},
		{"an override takes the place of a statement",
			`{"version":"2008-10-17","statement":[{"sid":"a","effect":"Deny","not_actions":["kms:*"],"resources":["*"],"principals":[{"type":"*","identifiers":["*"]}],"not_principals":[],"condition":[{"test":"Null","variable":"aws:x","values":["true"]}]},{"sid":"b","actions":["kms:x"],"not_resources":["y"],"principals":[],"not_principals":[],"condition":[]}],
			  "override_policy_documents":["{\"Statement\":{\"Sid\":\"b\",\"Effect\":\"Deny\",\"Action\":\"z\"}}"],"source_policy_documents":["{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"first\"}]}"]}`, `{` + unknown + `}`, "", nil,
			`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Action":"first"},{"Sid":"a","Effect":"Deny","Principal":"*","NotAction":"kms:*","Resource":"*","Condition":{"Null":{"aws:x":"true"}}},{"Sid":"b","Effect":"Deny","Action":"z"}]}`, ""},
		{"one unknown item of two candidates",
			`{"statement":[{"actions":["kms:*"],"resources":[null],"principals":[],"not_principals":[],"condition":[]}]}`, `{` + unknown + `,"statement":[{"resources":[true]}]}`,
			`{"statement":[{"resources":{"references":["aws_iam_role.new.arn","aws_iam_role.new","aws_iam_role.old.arn","aws_iam_role.old"]}}]}`,
			[]part{{"aws_iam_role.old", `{"name":"old"}`, `{"arn":true}`, ""}}, "", "it cannot be told what its 1 unknown items are"},
		{"a part of what is known only later",
			`{"statement":[{"actions":["kms:*"],"resources":[null],"principals":[],"not_principals":[],"condition":[]}]}`, `{` + unknown + `,"statement":[{"resources":[true]}]}`,
			`{"statement":[{"resources":{"references":["aws_iam_role.new.unique_id","aws_iam_role.new"]}}]}`, nil, "", "aws_iam_role.new.unique_id is not known before apply"},
		{"a Sid that is known only later", `{"statement":[{"actions":["kms:*"]}]}`, `{` + unknown + `,"statement":[{"sid":true}]}`, "", nil, "", "statement[0] is not known before apply"},
		{"statements that are known only later", `{}`, `{` + unknown + `,"statement":true}`, "", nil, "", "statement is not known before apply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts := append(tt.more,
				part{"data.aws_caller_identity.me", `{"account_id":"111122223333"}`, "", ""},
				part{role, `{"name":"new"}`, `{"arn":true,"unique_id":true}`, ""},
				part{"aws_kms_key.k", `{}`, `{"arn":true,"policy":true}`, `{"policy":{"references":["data.aws_iam_policy_document.d.json","data.aws_iam_policy_document.d"]}}`},
				part{volume, `{"encrypted":true}`, `{"kms_key_id":true}`, `{"kms_key_id":{"references":["aws_kms_key.k.arn","aws_kms_key.k"]}}`})
			parts = append(parts, part{"data.aws_iam_policy_document.d", tt.values, tt.unknown, tt.exprs})
			l := find(t, made(t, "", parts...), volume)
			why := l.Scenario.Unknown["/keys/0/policy"]
			if tt.why != "" {
				if !strings.Contains(why, tt.why) {
					t.Errorf("the policy is unknown for %q, want %q", why, tt.why)
				}
				return
			}
			if diff := cmp.Diff(canonical(t, format.Document(tt.want)), canonical(t, l.Scenario.Keys[0].Policy)); why != "" || diff != "" {
				t.Errorf("the policy is unknown for %q, or differs (-want +got):\n%s", why, diff)
			}
			if at := l.At("/keys/0/policy/Statement/0"); at != "data.aws_iam_policy_document.d" {
				t.Errorf("the policy is of %s", at)
			}
		})
	}
}
