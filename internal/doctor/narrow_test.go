package doctor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
)

// What a deny keeps out that was never meant is excepted without opening anything else, and a role
// that is named without its path or in another partition is named rightly: each is the first fix.
func TestDeniesAndNamesAreMendedFirst(t *testing.T) {
	const (
		account = "210987654321"
		role    = "arn:aws:iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
		infra   = "arn:aws:iam::*:role/aws:ec2-infrastructure"
	)
	deny := func(action, condition string) string {
		return `{"Sid":"No","Effect":"Deny","Principal":{"AWS":"*"},` + action + `,"Resource":"*","Condition":` + condition + `}`
	}
	for _, tt := range []struct {
		name, path, value string
		want              map[string]string // by the end of the edit's path
	}{
		{"nobody without MFA", "/keys/0/policy/Statement/3", deny(`"Action":"kms:*"`, `{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`), map[string]string{
			"/BoolIfExists/aws:ViaAWSService": `"false"`, "/BoolIfExists/aws:PrincipalIsAWSService": `"false"`, "/Condition/ArnNotLike": `{"aws:PrincipalArn":"` + infra + `"}`}},
		{"nobody but those who are named", "/keys/0/policy/Statement/3", deny(`"Action":"kms:*"`, `{"ArnNotLike":{"aws:PrincipalArn":["`+role+`"]}}`), map[string]string{
			"/Condition/BoolIfExists": `{"aws:PrincipalIsAWSService":"false"}`, "/ArnNotLike/aws:PrincipalArn/-": `"` + infra + `"`}},
		{"no service but others", "/keys/0/policy/Statement/3", deny(`"Action":"kms:CreateGrant"`, `{"StringNotEquals":{"kms:ViaService":["rds.us-west-2.amazonaws.com"]}}`), map[string]string{
			"/StringNotEquals/kms:ViaService/-": `"ec2.us-west-2.amazonaws.com"`}},
		{"no grants but by people", "/keys/0/policy/Statement/3", deny(`"Action":["kms:CreateGrant","kms:RevokeGrant"]`, `{"Null":{"aws:SourceIp":"true"}}`), map[string]string{
			"/Condition/Bool": `{"kms:GrantIsForAWSResource":"false"}`}},
		{"no grants, and no deletion", "/keys/0/policy/Statement/3", deny(`"Action":["kms:CreateGrant","kms:ScheduleKeyDeletion"]`, `{"Null":{"aws:SourceIp":"true"}}`), map[string]string{
			"/Condition/BoolIfExists": `{"kms:GrantIsForAWSResource":"false"}`}},
		{"the role without its path", "/keys/0/policy/Statement/2/Principal/AWS", `"arn:aws:iam::` + account + `:role/AWSServiceRoleForAutoScaling"`,
			map[string]string{"/Statement/2/Principal/AWS": `"` + role + `"`}},
		{"the role of another partition", "/keys/0/policy/Statement/2/Principal/AWS", `["` + strings.Replace(role, "aws", "aws-cn", 1) + `"]`,
			map[string]string{"/Statement/2/Principal/AWS/0": `"` + role + `"`}},
		{"a condition on the role without its path", "/keys/0/policy/Statement/2/Condition", `{"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::` + account +
			`:role/Admin","arn:aws:iam::` + account + `:role/AWSServiceRoleForAutoScaling"]}}`, map[string]string{"/Condition/ArnLike/aws:PrincipalArn/1": `"` + role + `"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := variant(t, "001-example1-two-volumes", tt.path, tt.value)
			r := doctor.Check(sc)
			if r.Verdict != "fails" || r.Fix == nil {
				t.Fatalf("the verdict is %s, the fix %v", r.Verdict, r.Fix)
			}
			if len(r.Fix.Patch) != len(tt.want) {
				t.Errorf("the fix is %v, want %v", r.Fix.Patch, tt.want)
			}
			for _, e := range r.Fix.Patch {
				found := false
				for end, value := range tt.want {
					found = found || strings.HasSuffix(e.Path, end) && string(e.Value) == value
				}
				if !found {
					t.Errorf("the fix has %s %s %s, want %v", e.Op, e.Path, e.Value, tt.want)
				}
			}
			fixed, err := sc.Patched(r.Fix.Patch)
			if err != nil {
				t.Fatal(err)
			}
			if r := doctor.Check(fixed); r.Verdict != "launches" {
				t.Errorf("with the fix the verdict is %s", r.Verdict)
			}
			for i := range r.Fix.Patch { // no edit is too much
				less := append(r.Fix.Patch[:i:i], r.Fix.Patch[i+1:]...)
				if i+1 < len(r.Fix.Patch) && strings.HasPrefix(r.Fix.Patch[i+1].Path, r.Fix.Patch[i].Path+"/") {
					continue // the next edit is in what this one makes
				}
				if without, err := sc.Patched(less); err == nil && doctor.Check(without).Verdict == "launches" {
					t.Errorf("it launches without %s", r.Fix.Patch[i].Path)
				}
			}
		})
	}
}

// A principal gets one new policy with all that it needs: two of one name would leave the last alone.
func TestOnePolicyForAPrincipal(t *testing.T) {
	sc := variant(t, "037-boundary-hides-kms", "/principals/0/boundary", "", "/principals/0/policies/0/policy/Statement/0/Action", `["ec2:*"]`)
	r := doctor.Check(sc)
	if r.Fix == nil {
		t.Fatalf("there is no fix: %v", r.Verdict)
	}
	var names []string
	for _, e := range r.Fix.Patch {
		var p struct {
			Name   string
			Policy struct{ Statement []map[string]any }
		}
		if err := json.Unmarshal(e.Value, &p); err != nil {
			t.Fatal(err)
		}
		if names = append(names, p.Name); len(p.Policy.Statement) != 2 {
			t.Errorf("the policy is %s", e.Value)
		}
	}
	if len(names) != 1 || len(r.Fix.Commands) != 1 {
		t.Errorf("new policies are %q, commands %q", names, r.Fix.Commands)
	}
}
