package cfn_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

func TestPlaces(t *testing.T) {
	r := read(t, cfn.Options{}, file(t, "one-account-failing.yaml"))
	for address, want := range map[string]cfn.Place{
		"Volumes":                                       {Line: 11, Column: 3, LogicalID: "Volumes", Type: "AWS::KMS::Key"},
		"Volumes.KeyPolicy":                             {Line: 16, Column: 7, LogicalID: "Volumes", Type: "AWS::KMS::Key", Path: "KeyPolicy"},
		"Volumes.KeyPolicy.Statement[0].Sid":            {Line: 19, Column: 13, LogicalID: "Volumes", Type: "AWS::KMS::Key", Path: "KeyPolicy.Statement[0].Sid"},
		"Volumes.Nothing[3].Here":                       {Line: 11, Column: 3, LogicalID: "Volumes", Type: "AWS::KMS::Key"},
		"Web.LaunchTemplateData.BlockDeviceMappings[1]": {Line: 39, Column: 13, LogicalID: "Web", Type: "AWS::EC2::LaunchTemplate", Path: "LaunchTemplateData.BlockDeviceMappings[1]"},
	} {
		want.File, want.Stack = "one-account-failing.yaml", "one-account-failing"
		if got, ok := r.Where(address); !ok || got != want {
			t.Errorf("%s is at %+v, want %+v", address, got, want)
		}
	}
	if p, ok := r.Where("Nowhere"); ok {
		t.Errorf("what is nowhere is at %+v", p)
	}
	l := find(t, r, "WebGroup")
	for pointer, want := range map[string]string{
		"/keys/0/policy/Statement/-":                      "KeyPolicy",
		"/keys/0/state":                                   "",
		"/launch/templates/0/blockDevices/1":              "LaunchTemplateData.BlockDeviceMappings[1]",
		"/launch/templates/0/blockDevices/0/ebs/kmsKeyId": "LaunchTemplateData.BlockDeviceMappings[0].Ebs.KmsKeyId",
		"/launch/templates/0/blockDevices/9":              "",
		"/launch/group/desired":                           "",
	} {
		if p, ok := r.Locate(l, pointer); !ok || p.Path != want {
			t.Errorf("%s is at %+v, want %q", pointer, p, want)
		}
	}
	json := read(t, cfn.Options{}, file(t, "assembly/FleetStack.template.json"))
	if p, _ := json.Where("VolumeKey4A1B2C3D.KeyPolicy"); p.Line != 7 || p.Column != 5 {
		t.Errorf("in JSON it is at %+v", p)
	}
}

// Account and region are found, or have names.
func TestAccountAndRegion(t *testing.T) {
	const volume = "\n  Volume: {Type: AWS::EC2::Volume, Properties: {Encrypted: true, KmsKeyId: !GetAtt Key.Arn, AvailabilityZone: "
	key := func(principal string) string {
		return "Resources:\n  Key: {Type: AWS::KMS::Key, Properties: {KeyPolicy: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: {AWS: " + principal + "}, Action: 'kms:*', Resource: '*'}]}}}" + volume
	}
	for name, tt := range map[string]struct {
		file                    cfn.File
		opt                     cfn.Options
		account, region         string
		accountName, regionName string
	}{
		"nothing tells":                  {file: source(key("!Sub 'arn:aws:iam::${AWS::AccountId}:root'") + "!Select [0, !GetAZs '']}}"), account: "000000000001", region: "us-east-1", accountName: "AWS::AccountId", regionName: "AWS::Region"},
		"the administrator and the zone": {file: source(key("arn:aws:iam::111122223333:root") + "eu-west-1b}}"), account: "111122223333", region: "eu-west-1"},
		"an account alone":               {file: source(key("'444455556666'") + "us-gov-west-1a}}"), account: "444455556666", region: "us-gov-west-1"},
		"who is asked":                   {file: source(key("!Sub 'arn:aws:iam::${AWS::AccountId}:root'") + "!Ref AWS::Region}}"), opt: cfn.Options{Account: "111122223333", Region: "eu-west-3"}, account: "111122223333", region: "eu-west-3"},
		"the assembly counts more": {file: cfn.File{Name: "x.json", Data: source(key("!Ref AWS::AccountId") + "!Ref AWS::Region}}").Data, Account: "777788889999", Region: "ap-northeast-1"},
			opt: cfn.Options{Account: "111122223333", Region: "eu-west-3"}, account: "777788889999", region: "ap-northeast-1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := find(t, read(t, tt.opt, tt.file), "Volume")
			if l.Scenario.Launch.Account != tt.account || l.Scenario.Region != tt.region || l.Names[tt.account] != tt.accountName || l.Names[tt.region] != tt.regionName {
				t.Errorf("it is in %s (%s), %s (%s)", l.Scenario.Launch.Account, l.Names[tt.account], l.Scenario.Region, l.Names[tt.region])
			}
			if k := l.Scenario.Keys[0]; k.Account != tt.account || k.Region != tt.region || l.Names[k.ARN] != "Key.Arn" {
				t.Errorf("the key is %s, called %q", k.ARN, l.Names[k.ARN])
			}
		})
	}
}

// Users and roles have the policies of everything that gives them some.
func TestPeople(t *testing.T) {
	r := read(t, cfn.Options{Account: "111122223333"}, source(`
Resources:
  Boundary: {Type: AWS::IAM::ManagedPolicy, Properties: {ManagedPolicyName: edge, PolicyDocument: &doc {Version: 2012-10-17, Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}}}
  Managed: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: *doc, Users: [!Ref Admin], Roles: [!Ref Worker]}}
  Admin:
    Type: AWS::IAM::User
    Properties:
      UserName: admin
      Groups: [!Ref Admins]
      PermissionsBoundary: !Ref Boundary
      Policies: [{PolicyName: own, PolicyDocument: *doc}]
      ManagedPolicyArns: [!Ref Boundary, arn:aws:iam::aws:policy/AdministratorAccess]
  Admins:
    Type: AWS::IAM::Group
    Properties: {GroupName: admins, Policies: [{PolicyName: group, PolicyDocument: *doc}], ManagedPolicyArns: [!Ref Managed]}
  More: {Type: AWS::IAM::Policy, Properties: {PolicyName: more, PolicyDocument: *doc, Users: [admin], Roles: [!Ref Worker], Groups: [!Ref Admins]}}
  Apart: {Type: AWS::IAM::UserPolicy, Properties: {PolicyName: apart, PolicyDocument: *doc, UserName: !Ref Admin}}
  Worker: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}, Policies: [{PolicyName: bucket, PolicyDocument: {Statement: [{Effect: Allow, Action: 's3:*', Resource: !GetAtt Bucket.Arn}]}}]}}
  WorkerPolicy: {Type: AWS::IAM::RolePolicy, Properties: {PolicyName: late, PolicyDocument: {Statement: [{Effect: Allow, Action: '*', Resource: !Ref Nothing}]}, RoleName: !Ref Worker}}
  Late: {Type: AWS::IAM::User, Properties: {UserName: late}}
  Addition: {Type: AWS::IAM::UserToGroupAddition, Properties: {GroupName: !Ref Admins, Users: [!Ref Late]}}
  Bucket: {Type: AWS::S3::Bucket}
  Key:
    Type: AWS::KMS::Key
    Properties:
      Enabled: false
      Tags: [{Key: team, Value: web}]
      KeyPolicy: {Statement: [{Effect: Allow, Principal: {AWS: [!GetAtt Admin.Arn, !GetAtt Worker.Arn, !GetAtt Late.Arn, !Sub 'arn:aws:iam::${AWS::AccountId}:root']}, Action: 'kms:*', Resource: '*'}]}
  Volume: {Type: AWS::EC2::Volume, Properties: {Encrypted: 'true', KmsKeyId: !Ref Key, AvailabilityZone: us-east-1a}}
`))
	sc := find(t, r, "Volume").Scenario
	got := map[string][]string{}
	for i, p := range sc.Principals {
		var names []string
		for _, pol := range p.Policies {
			names = append(names, pol.Name)
		}
		slices.Sort(names)
		name, _, _ := strings.Cut(p.ARN[strings.LastIndexByte(p.ARN, '/')+1:], "-")
		got[name+"/"+p.Kind] = names
		if name == "admin" && p.Boundary == nil {
			t.Errorf("principal %d has no boundary", i)
		}
	}
	made := func(name string) string { // the name that CloudFormation makes
		for _, p := range sc.Principals {
			for _, pol := range p.Policies {
				if strings.HasPrefix(pol.Name, name) {
					return pol.Name
				}
			}
		}
		return name
	}
	managed := made("test-Managed-")
	if diff := cmp.Diff(map[string][]string{
		"admin/user":          {"AdministratorAccess", "apart", "edge", "group", "more", "more", "own", managed, managed},
		"late/user":           {"group", "more", managed},
		"test/role":           {"bucket", "late", "more", managed},
		"cloudformation/role": {"assumed"},
	}, got); diff != "" {
		t.Errorf("the policies (-want +got):\n%s", diff)
	}
	if k := sc.Keys[0]; k.State != "Disabled" || k.Tags["team"] != "web" {
		t.Errorf("the key is %+v", k)
	}
	var unknown []string
	for at, why := range sc.Unknown {
		if strings.HasPrefix(at, "/principals") {
			unknown = append(unknown, why)
		}
	}
	if len(unknown) != 1 || unknown[0] != "WorkerPolicy.PolicyDocument: Statement[0].Resource: there is no parameter or resource Nothing" {
		// The bucket is nothing that a key depends on, and so no reason.
		t.Errorf("not known of principals: %q", unknown)
	}
}

func TestKeysAndTemplates(t *testing.T) {
	r := read(t, cfn.Options{Account: "111122223333"}, source(`
Resources:
  Primary: {Type: AWS::KMS::Key, Properties: {MultiRegion: true, KeySpec: SYMMETRIC_DEFAULT}}
  Replica: {Type: AWS::KMS::ReplicaKey, Properties: {PrimaryKeyArn: 'arn:aws:kms:us-east-1:111122223333:key/mrk-1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d', KeyPolicy: {Statement: []}}}
  Imported: {Type: AWS::KMS::Key, Properties: {Origin: EXTERNAL}}
  Signing: {Type: AWS::KMS::Key, Properties: {KeySpec: RSA_2048, KeyUsage: SIGN_VERIFY}}
  Name: {Type: AWS::KMS::Alias, Properties: {AliasName: alias/mine, TargetKeyId: !Ref Signing}}
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateName: all
      LaunchTemplateData:
        ImageId: ami-0123456789abcdef0
        InstanceType: m7g.large
        InstanceMarketOptions: {MarketType: spot}
        BlockDeviceMappings:
          - {DeviceName: /dev/sda, Ebs: {Encrypted: true, KmsKeyId: !Ref Primary, VolumeType: gp3, VolumeSize: 9}}
          - {DeviceName: /dev/sdb, Ebs: {Encrypted: true, KmsKeyId: !GetAtt Replica.Arn, SnapshotId: snap-0123456789abcdef0}}
          - {DeviceName: /dev/sdc, Ebs: {Encrypted: true, KmsKeyId: !Ref Imported}}
          - {DeviceName: /dev/sdd, Ebs: {Encrypted: true, KmsKeyId: !Ref Name}}
          - {DeviceName: /dev/sde, VirtualName: ephemeral0}
          - {DeviceName: /dev/sdf, NoDevice: ''}
  Group: {Type: AWS::AutoScaling::AutoScalingGroup, Properties: {AutoScalingGroupName: g, MinSize: '1', DesiredCapacity: '3', MaxSize: '4', LaunchTemplate: {LaunchTemplateName: all, Version: '1'}}}
  Copied: {Type: AWS::AutoScaling::AutoScalingGroup, Properties: {MinSize: '1', MaxSize: '4', InstanceId: i-0123456789abcdef0}}
`))
	sc := find(t, r, "Group").Scenario
	if diff := cmp.Diff(&format.Group{Name: "g", Desired: 3}, sc.Launch.Group); diff != "" {
		t.Errorf("the group (-want +got):\n%s", diff)
	}
	tpl := sc.Launch.Templates[0]
	if tpl.Market != format.MarketSpot || tpl.Name != "all" || !slices.Equal(tpl.InstanceTypes, []string{"m7g.large"}) || len(tpl.BlockDevices) != 4 {
		t.Fatalf("the template is %+v", tpl)
	}
	var keys []string
	for _, k := range sc.Keys {
		keys = append(keys, k.Spec+" "+k.Usage+" "+k.State)
	}
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"RSA_2048 SIGN_VERIFY Enabled", "SYMMETRIC_DEFAULT ENCRYPT_DECRYPT Enabled", "SYMMETRIC_DEFAULT ENCRYPT_DECRYPT Enabled", "SYMMETRIC_DEFAULT ENCRYPT_DECRYPT Enabled"}, keys); diff != "" {
		t.Errorf("the keys (-want +got):\n%s", diff)
	}
	all := strings.Join(slices.Sorted(func(yield func(string) bool) {
		for _, why := range sc.Unknown {
			if !yield(why) {
				return
			}
		}
	}), "\n")
	for _, want := range []string{"Imported: whether its key material is imported", "leaves out the image's device /dev/sdf", "snapshot snap-0123456789abcdef0 is not in the template"} {
		if !strings.Contains(all, want) {
			t.Errorf("not known is\n%s\nand not %q", all, want)
		}
	}
	copied := find(t, r, "Copied").Scenario
	if why := copied.Unknown["/launch/templates/0/imageId"]; why != "Copied.LaunchTemplate: it is made after an instance (InstanceId)" && why != "Copied.launch_template: it is made after an instance (InstanceId)" {
		t.Errorf("of a copied group is not known: %q", why)
	}
}

func TestLoops(t *testing.T) {
	r := read(t, cfn.Options{Account: "111122223333"}, source(`
Transform: AWS::LanguageExtensions
Parameters:
  Zones: {Type: CommaDelimitedList, Default: 'a,b'}
Resources:
  Key: {Type: AWS::KMS::Key}
  Fn::ForEach::Volumes:
    - Zone
    - !Ref Zones
    - Volume${Zone}:
        Type: AWS::EC2::Volume
        Properties: {Encrypted: true, KmsKeyId: !Ref Key, AvailabilityZone: !Sub 'us-east-1${Zone}', Size: 1}
  Fn::ForEach::Groups:
    - Name
    - [Blue]
    - Template${Name}:
        Type: AWS::EC2::LaunchTemplate
        Properties: {LaunchTemplateData: {BlockDeviceMappings: [{DeviceName: /dev/sdf, Ebs: {Encrypted: true, KmsKeyId: !Ref Key}}]}}
      Group${Name}:
        Type: AWS::AutoScaling::AutoScalingGroup
        Properties: {MinSize: '1', MaxSize: '1', LaunchTemplate: {LaunchTemplateId: !Ref {'Fn::Sub': 'Template${Name}'}, Version: !GetAtt [!Sub 'Template${Name}', LatestVersionNumber]}}
  Fn::ForEach::Unknown:
    - X
    - !Ref Nothing
    - Other${X}: {Type: AWS::EC2::Volume}
`))
	var addresses []string
	for _, l := range r.Launches {
		addresses = append(addresses, l.Address)
	}
	if !slices.Equal(addresses, []string{"GroupBlue", "Volumea", "Volumeb"}) {
		t.Errorf("what launches is %v", addresses)
	}
	if l := find(t, r, "GroupBlue"); len(l.Scenario.Launch.Templates) != 1 || len(l.Scenario.Launch.Templates[0].BlockDevices) != 1 {
		t.Errorf("the group launches %+v", l.Scenario.Launch.Templates)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Text, "Fn::ForEach::Unknown makes is not read") {
		t.Errorf("the notes are %v", r.Notes)
	}
}

func TestAssembly(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "assembly", "manifest.json"))
	check(t, err)
	if !cfn.IsAssembly(data) || cfn.IsAssembly(file(t, "assembly/FleetStack.template.json").Data) {
		t.Error("the manifest is not recognized, or what is none is")
	}
	a, err := cfn.ReadAssembly("manifest.json", data)
	check(t, err)
	want := &cfn.Assembly{
		Stacks:  []cfn.File{{Name: "FleetStack.template.json", Stack: "FleetStack", Account: "111122223333", Region: "eu-west-1", Parameters: map[string]string{}}},
		Folders: []string{"assembly-Prod"},
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("the assembly (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		`{"version": "1", "artifacts": []}`: "m:1:1: a cloud assembly has artifacts",
		`{"version": "1", "artifacts": {"X": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "../../x"}}}}`: "m:1:32: the stack X has no templateFile beside the manifest",
		`{"version": "1", "artifacts": {`: "m:1:",
	} {
		if _, err := cfn.ReadAssembly("m", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %s", text, err, want)
		}
	}
}

func TestWhatIsNotRead(t *testing.T) {
	r := read(t, cfn.Options{}, source(`
Transform: [Mine, {Name: AWS::Include, Parameters: {Location: s3://x}}, AWS::LanguageExtensions]
Parameters: {Missing: {Type: String}}
Conditions: {Perhaps: !Equals [!Ref Missing, x], Never: !Equals [a, b]}
Resources:
  Base: &base {Type: AWS::EC2::Volume, Properties: &properties {Encrypted: true, Size: 1, AvailabilityZone: us-east-1a, KmsKeyId: !Ref Key}}
  Merged: {<<: *base, Properties: {<<: *properties, Size: 2}}
  Never: {Type: AWS::EC2::Volume, Condition: Never}
  Key: {Type: AWS::KMS::Key, Condition: Perhaps}
  Custom: {Type: Custom::AWS, Properties: {Create: !Ref Missing}}
`))
	var notes []string
	for _, n := range r.Notes {
		notes = append(notes, n.Address+": "+n.Text)
	}
	if diff := cmp.Diff([]string{
		": the macro Mine may change the template: what is written was read",
		": the macro AWS::Include may change the template: what is written was read",
		"Custom: the call of this custom resource is not known: the parameter Missing has no value (--parameters Missing=...)",
	}, notes); diff != "" {
		t.Errorf("the notes (-want +got):\n%s", diff)
	}
	if len(r.Launches) != 2 {
		t.Errorf("%d launch", len(r.Launches))
	}
	l := find(t, r, "Merged")
	if size := l.Scenario.Launch.Templates[0].BlockDevices[0].EBS.VolumeSize; size != 2 {
		t.Errorf("the size is %d", size)
	}
	if !slices.Contains(l.Assumed, "Key is created: its condition Perhaps is not known, the parameter Missing has no value (--parameters Missing=...)") {
		t.Errorf("assumed is %q", l.Assumed)
	}
}

// AwsCustomResource of CDK makes calls of which some bear on launches.
func TestCustomCalls(t *testing.T) {
	r := read(t, cfn.Options{Account: "111122223333", Region: "eu-west-1"}, source(`
Resources:
  Key: {Type: AWS::KMS::Key}
  On: {Type: Custom::AWS, Properties: {Create: '{"service": "EC2", "action": "enableEbsEncryptionByDefault"}'}}
  Default: {Type: Custom::AWS, Properties: {Create: !Sub '{"service": "@aws-sdk/client-ec2", "action": "ModifyEbsDefaultKmsKeyIdCommand", "parameters": {"KmsKeyId": "${Key.Arn}"}}'}}
  Policy: {Type: Custom::AWS, Properties: {Create: !Sub '{"service": "KMS", "action": "putKeyPolicy", "parameters": {"KeyId": "${Key}", "Policy": "{\"Version\":\"2012-10-17\",\"Statement\":[]}"}}'}}
  Grant:
    Type: Custom::AWS
    Properties:
      Create: !Sub >-
        {"service": "KMS", "action": "createGrant", "parameters": {"KeyId": "${Key.Arn}", "GranteePrincipal": "arn:aws:iam::${AWS::AccountId}:role/r",
        "Operations": ["Decrypt"], "Constraints": {"EncryptionContextSubset": {"a": "b"}}}}
  Other: {Type: Custom::AWS, Properties: {Create: '{"service": "S3", "action": "listBuckets"}'}}
  Volume: {Type: AWS::EC2::Volume, Properties: {AvailabilityZone: eu-west-1a, Size: 1}}
`))
	sc := find(t, r, "Volume").Scenario
	key := sc.Keys[0]
	if want := (format.EBS{EncryptionByDefault: true, DefaultKmsKeyID: key.ARN}); sc.Accounts[0].EBS["eu-west-1"] != want {
		t.Errorf("the settings are %+v, want %+v", sc.Accounts[0].EBS, want)
	}
	if string(key.Policy) != `{"Version":"2012-10-17","Statement":[]}` {
		t.Errorf("the policy is %s", key.Policy)
	}
	want := []format.Step{{Call: format.CallCreateGrant, As: "arn:aws:iam::111122223333:role/cloudformation", Params: format.Params{
		Key: key.ARN, GranteePrincipal: "arn:aws:iam::111122223333:role/r", Operations: []string{"Decrypt"},
		Constraints: &format.Constraints{EncryptionContextSubset: map[string]string{"a": "b"}},
	}}}
	if diff := cmp.Diff(want, sc.Setup); diff != "" {
		t.Errorf("the setup (-want +got):\n%s", diff)
	}
	if len(r.Notes) != 0 {
		t.Errorf("the notes are %v", r.Notes)
	}
}

// A policy of a principal is where it is written.
func TestPlacesOfPolicies(t *testing.T) {
	r := read(t, cfn.Options{Account: "111122223333"}, source(`Resources:
  Role: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyName: own, PolicyDocument: {Statement: []}}]}}
  Apart: {Type: AWS::IAM::Policy, Properties: {PolicyName: apart, PolicyDocument: {Statement: []}, Roles: [!Ref Role]}}
  Managed: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: []}, Roles: [!Ref Role]}}
  Key:
    Type: AWS::KMS::Key
    Properties: {KeyPolicy: {Statement: [{Effect: Allow, Principal: {AWS: !GetAtt Role.Arn}, Action: 'kms:*', Resource: '*'}]}, Enabled: true}
  Volume: {Type: AWS::EC2::Volume, Properties: {Encrypted: true, KmsKeyId: !Ref Key, AvailabilityZone: us-east-1a, Size: 1}}
`))
	l := find(t, r, "Volume")
	i := slices.IndexFunc(l.Scenario.Principals, func(p format.Principal) bool { return strings.Contains(p.ARN, "Role") })
	for j, want := range []string{"Role.Policies", "Apart.PolicyDocument", "Managed.PolicyDocument"} {
		p, ok := r.Locate(l, "/principals/"+string(rune('0'+i))+"/policies/"+string(rune('0'+j))+"/policy/Statement/-")
		if got := p.LogicalID + "." + p.Path; !ok || got != want {
			t.Errorf("policy %d, %s, is at %s, want %s", j, l.Scenario.Principals[i].Policies[j].Name, got, want)
		}
	}
	if p, _ := r.Locate(l, "/keys/0/state"); p.Path != "Enabled" || p.Line != 7 {
		t.Errorf("the state is at %+v", p)
	}
}

// A launch configuration has no KmsKeyId: who writes one is told, and the rest is read.
func TestKeyOfLaunchConfiguration(t *testing.T) {
	const template = `Resources:
  LC:
    Type: AWS::AutoScaling::LaunchConfiguration
    Properties:
      ImageId: ami-0123456789abcdef0
      BlockDeviceMappings: [{DeviceName: /dev/xvda, Ebs: {Encrypted: true%s}}]
  ASG:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties: {MinSize: 1, MaxSize: 1, LaunchConfigurationName: !Ref LC, AvailabilityZones: [us-east-1a]}
`
	for more, want := range map[string]int{", KmsKeyId: alias/app": 1, "": 0} {
		r, err := cfn.Read([]cfn.File{{Name: "t.yaml", Data: fmt.Appendf(nil, template, more)}}, cfn.Options{})
		if err != nil || len(r.Launches) != 1 {
			t.Fatalf("%d launches, %v", len(r.Launches), err)
		}
		if len(r.Notes) != want || want == 1 && (r.Notes[0].Address != "LC" || !strings.HasPrefix(r.Notes[0].Text, "KmsKeyId is no property")) {
			t.Errorf("with %q it says %v", more, r.Notes)
		}
	}
}
