package remedy_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// In a template, what stands for something is said by Fn::Sub.
func TestTemplatesSubstitute(t *testing.T) {
	sc := corpus(t)[scenarios+"013-first-statement-only.json"]
	steps, err := remedy.Steps(sc, doctor.Check(sc).Fix.Patch)
	if err != nil {
		t.Fatal(err)
	}
	const head = "# In Web/Key:\n# Add to the list KeyPolicy.Statement:\n- Effect: \"Allow\"\n  Principal:\n    AWS:\n      - "
	const tail = "\n  Action:\n    - \"kms:CreateGrant\"\n  Resource: \"*\"\n  Condition:\n    Bool:\n      \"kms:GrantIsForAWSResource\": true\n    StringEquals:\n      \"kms:ViaService\": "
	const role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	for name, tt := range map[string]struct {
		names      map[string]string
		role, mask string
	}{
		"account and region": {map[string]string{"111122223333": "AWS::AccountId", "us-west-2": "AWS::Region"},
			`!Sub "arn:aws:iam::${AWS::AccountId}:` + role + `"`, `!Sub "ec2.${AWS::Region}.amazonaws.com"`},
		"a resource of the stack":     {map[string]string{"arn:aws:iam::111122223333:" + role: "Web/Role.Arn"}, `!Sub "${Role.Arn}"`, `"ec2.us-west-2.amazonaws.com"`},
		"a resource of another stack": {map[string]string{"arn:aws:iam::111122223333:" + role: "Other/Role.Arn"}, `"arn:aws:iam::111122223333:` + role + `"`, `"ec2.us-west-2.amazonaws.com"`},
		"a resource of Terraform":     {map[string]string{"arn:aws:iam::111122223333:" + role: "aws_iam_role.web.arn"}, `"arn:aws:iam::111122223333:` + role + `"`, `"ec2.us-west-2.amazonaws.com"`},
		"nothing":                     {nil, `"arn:aws:iam::111122223333:` + role + `"`, `"ec2.us-west-2.amazonaws.com"`},
	} {
		got := remedy.CloudFormation.Write(steps, remedy.Target{At: func(string) string { return "Web/Key" }, Names: tt.names})
		if want := head + tt.role + tail + tt.mask + "\n"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	edit := []format.Edit{{Op: "add", Path: "/keys/0/policy/Statement/-", Value: format.Value(
		`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/111122223333":"111122223333-${aws:username}"}}}`)}}
	if steps, err = remedy.Steps(sc, edit); err != nil {
		t.Fatal(err)
	}
	got := remedy.CloudFormation.Write(steps, remedy.Target{At: func(string) string { return "Key" }, Names: map[string]string{"111122223333": "AWS::AccountId"}})
	const want = "# In Key:\n# Add to the list KeyPolicy.Statement:\n- Effect: \"Allow\"\n  Principal:\n    AWS: !Sub \"${AWS::AccountId}\"\n  Action: \"kms:Decrypt\"\n  Resource: \"*\"\n" +
		"  Condition:\n    StringEquals:\n      \"aws:PrincipalTag/111122223333\": !Sub \"${AWS::AccountId}-${!aws:username}\"\n"
	if got != want {
		t.Errorf("a variable of a policy:\n%s\nwant\n%s", got, want)
	}
}
