package cfn_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/cfn"
)

// told is what an expression is: as the name of a group, or why it is not known, as a key.
func told(t *testing.T, expression string, opt cfn.Options) (value, why string) {
	t.Helper()
	r := read(t, opt, source(`
Parameters:
  Name: {Type: String, Default: web}
  Names: {Type: CommaDelimitedList, Default: 'one, two,three'}
  Numbers: {Type: List<Number>, Default: '1,2'}
  Missing: {Type: String}
  Secret: {Type: String, NoEcho: true, Default: badcafe}
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /mine/image}
Mappings:
  Regions: {us-east-1: {Short: use1}, other: {Short: xx, List: [a, b]}}
Conditions:
  Yes: !Equals [!Ref Name, web]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Condition No]
  Either: !Or [!Condition Yes, !Equals [!Ref Missing, x]]
  Neither: !And [!Condition No, !Equals [!Ref Missing, x]]
  Perhaps: !Equals [!Ref Missing, x]
  Unsure: !And [!Condition Yes, !Condition Perhaps]
  Round: !Not [!Condition Round]
Resources:
  Key: {Type: AWS::KMS::Key}
  Bucket: {Type: AWS::S3::Bucket}
  Custom: {Type: Custom::Thing}
  Role: {Type: AWS::IAM::Role, Properties: {RoleName: !Sub '${Name}-role', Path: /app/}}
  Loop: {Type: AWS::IAM::Role, Properties: {RoleName: !Ref Loop}}
  Stored: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Sub '${Name}-value'}}
  Group: {Type: AWS::AutoScaling::AutoScalingGroup, Properties: {MinSize: '1', MaxSize: '1', AutoScalingGroupName: `+expression+`}}
  Volume: {Type: AWS::EC2::Volume, Properties: {Encrypted: true, AvailabilityZone: us-east-1a, KmsKeyId: `+expression+`}}
`))
	group, volume := find(t, r, "Group").Scenario, find(t, r, "Volume").Scenario
	return group.Launch.Group.Name, volume.Unknown["/launch/templates/0/blockDevices/0/ebs/kmsKeyId"]
}

func TestFunctions(t *testing.T) {
	for expression, want := range map[string]string{
		`plain`:                             "plain",
		`!Ref Name`:                         "web",
		`{Ref: Name}`:                       "web",
		`!Ref AWS::Region`:                  "us-east-1",
		`!Ref AWS::AccountId`:               "111122223333",
		`!Ref AWS::Partition`:               "aws",
		`!Ref AWS::URLSuffix`:               "amazonaws.com",
		`!Ref AWS::StackName`:               "test",
		`!Sub 'a-${Name}-${AWS::Region}-b'`: "a-web-us-east-1-b",
		`!Sub '${!Name} ${ Name }'`:         "${Name} web",
		`!Sub ['${X}-${Name}', {X: !Sub ['${Y}${Y}', {Y: !Ref Name}]}]`: "webweb-web",
		`!Sub '${Role.Arn}'`:                                "arn:aws:iam::111122223333:role/app/web-role",
		`!GetAtt Role.Arn`:                                  "arn:aws:iam::111122223333:role/app/web-role",
		`{'Fn::GetAtt': [Role, Arn]}`:                       "arn:aws:iam::111122223333:role/app/web-role",
		`!GetAtt Stored.Value`:                              "web-value",
		`!Join ['-', [a, !Ref Name, 3]]`:                    "a-web-3",
		`!Join ['+', !Ref Names]`:                           "one+two+three",
		`!Select [1, !Ref Names]`:                           "two",
		`!Select ['1', !Split ['/', 'x/y/z']]`:              "y",
		`!Select [0, !Ref Numbers]`:                         "1",
		`!Select [2, !GetAZs '']`:                           "us-east-1c",
		`!Select [0, {'Fn::GetAZs': !Ref AWS::Region}]`:     "us-east-1a",
		`!FindInMap [Regions, !Ref AWS::Region, Short]`:     "use1",
		`!Select [1, !FindInMap [Regions, other, List]]`:    "b",
		`!FindInMap [Regions, x, Short, {DefaultValue: d}]`: "d",
		`!If [Yes, a, b]`:                                   "a",
		`!If [No, a, b]`:                                    "b",
		`!If [Both, a, b]`:                                  "b",
		`!If [Either, a, b]`:                                "a",
		`!If [Neither, a, b]`:                               "b",
		`!If [Perhaps, same, same]`:                         "same",
		`!If [No, a, !If [Yes, !Ref Name, x]]`:              "web",
		`!Base64 {Ref: Name}`:                               "d2Vi",
		`{'Fn::Length': !Ref Names}`:                        "3",
		`{'Fn::ToJsonString': {a: [!Ref Name, 1, true]}}`:   `{"a":["web",1,true]}`,
	} {
		t.Run(expression, func(t *testing.T) {
			got, why := told(t, expression, cfn.Options{Account: "111122223333"})
			if got != want || why != "" {
				t.Errorf("%s is %q, want %q; not known: %s", expression, got, want, why)
			}
		})
	}
}

func TestWhatFunctionsDoNotTell(t *testing.T) {
	for expression, want := range map[string]string{
		`!Ref Missing`:                           "the parameter Missing has no value (--parameters Missing=...)",
		`!Sub 'x-${Missing}'`:                    "the parameter Missing has no value",
		`!Join ['', [a, !Ref Missing]]`:          "the parameter Missing has no value",
		`!Ref Secret`:                            "the parameter Secret is secret (NoEcho)",
		`!Sub '${Secret}'`:                       "the parameter Secret is secret (NoEcho)",
		`!Ref Image`:                             "the parameter Image is the value of the SSM parameter /mine/image",
		`'{{resolve:ssm:/key/arn:3}}'`:           "it is in the SSM parameter /key/arn:3",
		`'{{resolve:secretsmanager:mine}}'`:      "it is in the secret mine",
		`!Sub '{{resolve:ssm:/${Name}/arn}}'`:    "it is in the SSM parameter /web/arn",
		`!ImportValue elsewhere`:                 "no given stack exports elsewhere",
		`!ImportValue {'Fn::Sub': '${Missing}'}`: "the name of the import is not known: the parameter Missing has no value",
		`!If [Perhaps, a, b]`:                    "the condition Perhaps is not known: the parameter Missing has no value",
		`!If [Unsure, a, b]`:                     "the condition Unsure is not known",
		`!If [Round, a, b]`:                      "the condition Round is made of itself",
		`!If [Nowhere, a, b]`:                    "there is no condition Nowhere",
		`!Ref Nowhere`:                           "there is no parameter or resource Nowhere",
		`!GetAtt Nowhere.Arn`:                    "there is no parameter or resource Nowhere",
		`!GetAtt Custom.KeyArn`:                  "Custom.KeyArn (Custom::Thing) is not known before deployment",
		`!GetAtt Bucket.Arn`:                     "Bucket.Arn is not known before deployment",
		`!Sub '${Bucket}/x'`:                     "Bucket is not known before deployment",
		`!Select [7, !Ref Names]`:                "Fn::Select finds no item 7",
		`!Select [x, [a]]`:                       "Fn::Select finds no item x",
		`!FindInMap [Regions, x, Short]`:         "the mapping Regions has no x.Short",
		`{'Fn::Transform': {Name: Mine}}`:        "the macro Mine makes it",
		`!Cidr [10.0.0.0/16, 2, 8]`:              "Fn::Cidr is not computed",
		`{'Fn::Nonsense': x}`:                    "no function is called Fn::Nonsense",
		`!Ref Names`:                             "it is no text",
		`!Join ['', [a, [b]]]`:                   "a part of the text is no text",
		`!Split [',', a]`:                        "it is no text",
		`!Join [x]`:                              "Fn::Join has other arguments than it needs",
		`!GetAtt [Key]`:                          "Fn::GetAtt needs a resource and an attribute",
	} {
		t.Run(expression, func(t *testing.T) {
			_, why := told(t, expression, cfn.Options{})
			if !strings.Contains(why, want) || !strings.HasPrefix(why, "Volume.KmsKeyId: ") {
				t.Errorf("of %s it is told %q, want %q", expression, why, want)
			}
			if strings.Contains(why, "badcafe") {
				t.Errorf("of %s a secret is told: %q", expression, why)
			}
		})
	}
}

func TestParameters(t *testing.T) {
	got, _ := told(t, `!Join ['', [!Ref Name, !Select [1, !Ref Names]]]`, cfn.Options{Parameters: map[string]string{"Name": "n", "Names": "a,b"}})
	if got != "nb" {
		t.Errorf("the name is %q", got)
	}
	for name, tt := range map[string]struct{ file, want string }{
		"of the aws command": {`[{"ParameterKey": "A", "ParameterValue": "1"}, {"ParameterKey": "B", "UsePreviousValue": true}]`, "1"},
		"of CodePipeline":    {`{"Parameters": {"A": "1"}, "Tags": {"x": "y"}}`, "1"},
		"of SAM":             {"A: 1\n", "1"},
		"with a list":        {`{"A": ["1", "2"]}`, "1,2"},
	} {
		values, err := cfn.Parameters("p", []byte(tt.file))
		check(t, err)
		if len(values) != 1 || values["A"] != tt.want {
			t.Errorf("%s: the values are %v", name, values)
		}
	}
	for file, want := range map[string]string{
		`[{"ParameterKey": "A"}]`: "p:1:2: a parameter needs ParameterKey and ParameterValue",
		`{"A": {}}`:               "p:1:7: the value of A is no text",
		`text`:                    "p:1:1: this is no file of parameters",
		`{"A": "1"`:               "p:1:10: ",
	} {
		if _, err := cfn.Parameters("p", []byte(file)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %s", file, err, want)
		}
	}
}
