package cfn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
)

const (
	instanceOverTemplate = `
Parameters:
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64}
Resources:
  Key: {Type: AWS::KMS::Key}
  Options: {Type: AWS::EC2::LaunchTemplate, Properties: {LaunchTemplateName: options, LaunchTemplateData: {MetadataOptions: {HttpTokens: required}}}}
  Server:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: !Ref Image
      LaunchTemplate: {LaunchTemplateName: options, Version: !GetAtt Options.LatestVersionNumber}
      BlockDeviceMappings: [{DeviceName: /dev/xvda, Ebs: {Encrypted: true, KmsKeyId: !GetAtt Key.Arn}}]
`
	exportsKey = `
Resources:
  Key: {Type: AWS::KMS::Key}
Outputs:
  Key: {Value: !GetAtt Key.Arn, Export: {Name: volumes-key}}
`
	importsKey = `
Resources:
  Data: {Type: AWS::EC2::Volume, Properties: {AvailabilityZone: eu-west-1a, Size: 10, Encrypted: true, KmsKeyId: !ImportValue volumes-key}}
`
)

// TestVerdicts has the doctor judge templates.
func TestVerdicts(t *testing.T) {
	in := func(f cfn.File, stack, account string) cfn.File {
		f.Stack, f.Account, f.Region = stack, account, "us-west-2"
		return f
	}
	for _, tt := range []struct {
		name    string
		files   []cfn.File
		opt     cfn.Options
		launch  string
		verdict string
		rules   []string // of the first refusal of each device that fails
		where   string   // resource that the fix changes
		depends string   // part of what it depends on
	}{
		{name: "statements for the role of the group", files: []cfn.File{file(t, "one-account.yaml")}, launch: "WebGroup", verdict: "launches"},
		{name: "delegation to the account does not help the group", files: []cfn.File{file(t, "one-account-failing.yaml")}, launch: "WebGroup",
			verdict: "fails", rules: []string{"not-in-key-policy", "not-in-key-policy"}, where: "Volumes"},
		{name: "a grant across accounts", files: []cfn.File{in(file(t, "two-accounts-key.yaml"), "Key", "444455556666"), in(file(t, "two-accounts-group.yaml"), "Group", "111122223333")},
			launch: "Group/Group", verdict: "launches"},
		{name: "no grant across accounts", files: []cfn.File{in(file(t, "two-accounts-key.yaml"), "Key", "444455556666"), in(file(t, "two-accounts-group.yaml"), "Group", "111122223333")},
			opt: cfn.Options{Parameters: map[string]string{"WithGrant": "false"}}, launch: "Group/Group", verdict: "fails",
			rules: []string{"cross-account-needs-grant"}, where: "Key/Shared"},
		{name: "a key of a stack that is not given", files: []cfn.File{file(t, "two-accounts-group.yaml")}, launch: "Group", verdict: "cannot-tell",
			depends: "no given stack exports us-east-1-shared-key"},
		{name: "CDK gave the key to the instances' role, which does not launch", files: []cfn.File{in(file(t, "assembly/FleetStack.template.json"), "FleetStack", "111122223333")},
			launch: "FleetASG1F2E", verdict: "fails", rules: []string{"not-in-key-policy"}, where: "VolumeKey4A1B2C3D"},
		{name: "who deploys makes a volume under a key of its account", files: []cfn.File{file(t, "assembly/assembly-Prod/ProdKeys.template.json")}, launch: "Volume9F2B77C0", verdict: "launches"},
		{name: "an alias, in a template of SAM", files: []cfn.File{file(t, "sam.yaml")}, launch: "Runners", verdict: "launches"},
		{name: "nested stacks", files: []cfn.File{file(t, "nested/parent.yaml")}, opt: cfn.Options{Open: open}, launch: "parent-Group/Group", verdict: "launches"},
		{name: "parameters without values", files: []cfn.File{file(t, "conditions.yaml")}, launch: "Data", verdict: "cannot-tell",
			depends: "Data.Encrypted: the condition Encrypted is not known: the parameter Environment has no value"},
		{name: "a principal without a value", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Parameters: map[string]string{"Environment": "prod"}},
			launch: "Data", verdict: "cannot-tell", depends: "Key.KeyPolicy: Statement[1].Principal.AWS: the parameter AdminRoleArn has no value"},
		{name: "all of them", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Parameters: map[string]string{"Environment": "prod", "AdminRoleArn": "arn:aws:iam::111122223333:role/admin"}},
			launch: "Data", verdict: "launches"},
		{name: "a key of elsewhere", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Parameters: map[string]string{
			"Environment": "test", "KeyArn": "arn:aws:kms:us-east-1:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"}},
			launch: "Data", verdict: "cannot-tell", depends: "key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d is not in the template"},
		{name: "no encryption asked for, and a default that is not known", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Parameters: map[string]string{"Environment": "test"}},
			launch: "Data", verdict: "cannot-tell", depends: "encrypts EBS volumes by default"},
		{name: "the image is not known", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Parameters: map[string]string{"Environment": "prod", "AdminRoleArn": "arn:aws:iam::111122223333:role/admin"}},
			launch: "Server", verdict: "cannot-tell", depends: "image ami-0123456789abcdef0 is not in the template"},
		{name: "the image is taken for plain", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{PlainImages: true, Parameters: map[string]string{"Environment": "prod", "AdminRoleArn": "arn:aws:iam::111122223333:role/admin"}},
			launch: "Server", verdict: "launches"},
		{name: "a volume of an instance", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Parameters: map[string]string{"Environment": "prod", "AdminRoleArn": "arn:aws:iam::111122223333:role/admin"}},
			launch: "Server.Volumes[0]", verdict: "launches"},
		{name: "who deploys has no other rights", files: []cfn.File{file(t, "conditions.yaml")}, opt: cfn.Options{Strict: true, Parameters: map[string]string{"Environment": "prod", "AdminRoleArn": "arn:aws:iam::111122223333:role/admin"}},
			launch: "Data", verdict: "cannot-tell", depends: "the template does not say what policies they are"},
		{name: "a fleet has a role", files: []cfn.File{file(t, "fleets.yaml")}, launch: "Fleet", verdict: "launches"},
		{name: "an instant fleet has none", files: []cfn.File{file(t, "fleets.yaml")}, launch: "InstantFleet", verdict: "launches"},
		{name: "a Spot Fleet has another", files: []cfn.File{file(t, "fleets.yaml")}, launch: "SpotFleet", verdict: "fails", rules: []string{"not-in-key-policy", "not-in-key-policy"}, where: "Key"},
		{name: "a node group has the default role", files: []cfn.File{file(t, "fleets.yaml")}, launch: "Nodes", verdict: "fails", rules: []string{"not-in-key-policy"}, where: "Key"},
		{name: "a group with a role of its own", files: []cfn.File{file(t, "fleets.yaml")}, launch: "SuffixGroup", verdict: "launches"},
		{name: "Spot Instances under the default key", files: []cfn.File{file(t, "fleets.yaml")}, opt: cfn.Options{PlainImages: true}, launch: "SpotGroup", verdict: "cannot-tell",
			depends: "the default key for EBS of account 111122223333"},
		{name: "an instance names the image that its template leaves open", files: []cfn.File{source(instanceOverTemplate)}, launch: "Server", verdict: "launches"},
		{name: "what imports is where the export is", files: []cfn.File{
			{Name: "key.yaml", Data: []byte(exportsKey), Stack: "Key"}, {Name: "volume.yaml", Data: []byte(importsKey), Stack: "Volume"}},
			launch: "Volume/Data", verdict: "launches"},
		{name: "a name is exported in two Regions", files: []cfn.File{
			{Name: "key.yaml", Data: []byte(exportsKey), Stack: "KeyUS", Account: "111122223333", Region: "us-west-2"},
			{Name: "key.yaml", Data: []byte(exportsKey), Stack: "KeyEU", Account: "111122223333", Region: "eu-west-1"},
			{Name: "volume.yaml", Data: []byte(importsKey), Stack: "Volume", Account: "111122223333", Region: "eu-west-1"}},
			launch: "Volume/Data", verdict: "launches"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, tt.opt, tt.files...)
			l := find(t, res, tt.launch)
			r := doctor.Check(l.Scenario)
			if r.Verdict != tt.verdict {
				t.Fatalf("the verdict is %s, want %s; depends on %q; failures %+v", r.Verdict, tt.verdict, r.Depends, r.Failures)
			}
			var rules []string
			for _, f := range r.Failures {
				rules = append(rules, f.Rule)
			}
			if diff := cmp.Diff(tt.rules, rules); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			if !strings.Contains(strings.Join(r.Depends, "\n"), tt.depends) || (tt.depends == "") != (len(r.Depends) == 0) {
				t.Errorf("it depends on %q, want %q", r.Depends, tt.depends)
			}
			if tt.where == "" {
				return
			}
			if r.Fix == nil || len(r.Fix.Patch) == 0 {
				t.Fatal("there is no fix")
			}
			for _, e := range r.Fix.Patch {
				if at := l.At(e.Path); at != tt.where {
					t.Errorf("the fix at %s is in %s, want %s", e.Path, at, tt.where)
				}
			}
			fixed, err := l.Scenario.Patched(r.Fix.Patch)
			check(t, err)
			if r := doctor.Check(fixed); r.Verdict != "launches" {
				t.Errorf("with the fix the verdict is %s", r.Verdict)
			}
		})
	}
}
