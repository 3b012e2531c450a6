package doctor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// variant is a scenario with changes: operation, path and value by turns, "add" being meant by
// paths alone; it expects nothing.
func variant(t *testing.T, id string, changes ...string) *format.Scenario {
	t.Helper()
	patch := []format.Edit{{Op: "replace", Path: "/expected", Value: format.Value("null")}}
	for i := 0; i < len(changes); i += 2 {
		e := format.Edit{Op: "add", Path: changes[i], Value: format.Value(changes[i+1])}
		if changes[i+1] == "" {
			e = format.Edit{Op: "remove", Path: changes[i]}
		}
		patch = append(patch, e)
	}
	sc, err := corpus(t)[id].Patched(patch)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// allowAll is a policy under which nothing is missing.
const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}]}`

// tagged is one under which the key needs a tag.
const tagged = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"web"}}}]}`

func TestWhatIsNotKnownIsNeitherGoodNorBad(t *testing.T) {
	const (
		simple  = "013-first-statement-only"
		human   = "037-boundary-hides-kms"
		image   = "022-image-under-old-key"
		foreign = "017-cross-account-no-grant"
	)
	unknown := func(path string) []string { return []string{"/unknown", `{"` + path + `":"nobody could read it"}`} }
	tests := []struct {
		name    string
		sc      *format.Scenario
		verdict string
		depends string
	}{
		{"a key policy", variant(t, simple, unknown("/keys/0/policy")...), "cannot-tell", "the key policy of arn:aws:kms:"},
		{"a key policy that does not matter, for the key is disabled", variant(t, simple, append(unknown("/keys/0/policy"), "/keys/0/state", `"Disabled"`)...), "fails", ""},
		{"grants that may help", variant(t, simple, unknown("/keys/0/grants")...), "cannot-tell", "the grants of key arn:aws:kms:"},
		{"grants that cannot help against a deny", variant(t, "029-deny-source-ip", unknown("/keys/0/grants")...), "fails", ""},
		{"grants that are not needed", variant(t, simple, append(unknown("/keys/0/grants"), "/keys/0/policy", allowAll)...), "launches", ""},
		{"the state of a key that may be used", variant(t, simple, append(unknown("/keys/0/state"), "/keys/0/policy", allowAll, "/keys/0/state", `"Disabled"`)...), "cannot-tell", "/keys/0/state"},
		{"tags on which a statement depends", variant(t, simple, append(unknown("/keys/0/tags"), "/keys/0/policy", tagged)...), "cannot-tell", "aws:ResourceTag/team"},
		{"tags on which nothing depends", variant(t, simple, append(unknown("/keys/0/tags"), "/keys/0/policy", allowAll)...), "launches", ""},
		{"a boundary", variant(t, human, unknown("/principals/0/boundary")...), "cannot-tell", "permissions boundary of arn:aws:iam::210987654321:role/karpenter"},
		{"identity policies", variant(t, "030-scheduler-start", append(unknown("/principals/0/policies"), "/principals/0/policies", `[]`)...), "cannot-tell", "the policies of arn:aws:iam::210987654321:role/SchedulerRole"},
		{"one of the identity policies", variant(t, "030-scheduler-start", unknown("/principals/0/policies/0/policy")...), "cannot-tell", "nobody could read it"},
		{"organization policies that may deny", variant(t, "011-lambda-caller-root-delegation", unknown("/accounts/0/scps")...), "cannot-tell", "/accounts/0/scps"},
		{"organization policies do not limit a service-linked role", variant(t, simple, append(unknown("/accounts/0/scps"), "/keys/0/policy", allowAll)...), "cannot-tell", "/accounts/0/scps"}, // but the instance's own role
		{"the key of a device", variant(t, simple, unknown("/launch/templates/0/blockDevices/0/ebs/kmsKeyId")...), "cannot-tell", "kmsKeyId"},
		{"an image", variant(t, image, unknown("/launch/templates/0/imageId")...), "cannot-tell", "imageId"},
		{"the key of a snapshot", variant(t, image, unknown("/snapshots/0/key")...), "cannot-tell", "/snapshots/0/key"},
		{"encryption by default, where the template says nothing", variant(t, simple, append(unknown("/accounts/0/ebs/us-west-2/encryptionByDefault"), "/launch/templates/0/blockDevices/0/ebs", `{"volumeSize":1}`)...), "cannot-tell", "encryptionByDefault"},
		{"encryption by default, where the template names a key", variant(t, simple, append(unknown("/accounts/0/ebs/us-west-2/encryptionByDefault"), "/keys/0/policy", allowAll)...), "launches", ""},
		{"the default key", variant(t, simple, append(unknown("/accounts/0/ebs/us-west-2/defaultKmsKeyId"), "/launch/templates/0/blockDevices/0/ebs", `{"encrypted":true}`)...), "cannot-tell", "defaultKmsKeyId"},
		{"defaults of a region that the account does not tell", variant(t, simple, "/accounts/0/ebs", `{}`, "/launch/templates/0/blockDevices/0/ebs", `{"volumeSize":1}`), "cannot-tell", "whether account 111122223333 encrypts by default in us-west-2"},
		{"a key of an account that is not described", variant(t, simple, "/launch/templates/0/blockDevices/0/ebs/kmsKeyId", `"arn:aws:kms:us-west-2:999999999999:key/6f708192-a3b4-4f70-9182-a3b46f708199"`), "cannot-tell", "for account 999999999999 is not described"},
		{"an alias of an account that is not described", variant(t, simple, "/launch/templates/0/blockDevices/0/ebs/kmsKeyId", `"arn:aws:kms:us-west-2:999999999999:alias/app"`), "cannot-tell", "which key arn:aws:kms:us-west-2:999999999999:alias/app is"},
		{"other keys that may have the alias", variant(t, "038-alias-only-in-other-region", unknown("/keys")...), "cannot-tell", "which other keys there are"},
		{"a principal of an account that is not described", variant(t, "020-role-does-not-exist-yet", "/setup/0/params/policy/Statement/-", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:role/x"},"Action":"kms:Decrypt","Resource":"*"}`,
			"/principals/-", `{"arn":"arn:aws:iam::210987654321:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling","kind":"service-linked-role","policies":[]}`), "cannot-tell", "whether arn:aws:iam::999999999999:role/x exists"},
		{"where a direct call comes from", variant(t, "004-cross-account-grant", "/keys/0/policy/Statement/0/Condition", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "/keys/0/policy/Statement/1/Condition", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "/keys/0/policy/Statement/2/Condition", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), "cannot-tell", "the value of the condition key aws:SourceIp"},
		{"a forwarded call has no address", variant(t, "011-lambda-caller-root-delegation", "/principals/0/policies/0/policy/Statement/0/Condition", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), "fails", ""},
		{"a document that is no policy", variant(t, simple, "/keys/0/policy", `{"Statement":"nothing"}`), "cannot-tell", "/keys/0/policy"},
		{"a grant that is missing and known to be", variant(t, foreign), "fails", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := doctor.Check(tt.sc)
			if r.Verdict != tt.verdict {
				t.Fatalf("%s, want %s; depends %q, failures %+v", r.Verdict, tt.verdict, r.Depends, r.Failures)
			}
			if (r.Launches == nil) != (tt.verdict == "cannot-tell") {
				t.Errorf("launches is %v", r.Launches)
			}
			if tt.depends != "" && !strings.Contains(strings.ToLower(strings.Join(r.Depends, "\n")), strings.ToLower(tt.depends)) {
				t.Errorf("it depends on %q, want %q", r.Depends, tt.depends)
			}
			if tt.verdict == "launches" && len(r.Depends) > 0 {
				t.Errorf("it depends on %q", r.Depends)
			}
		})
	}
}

func TestWhatFailsBeforeAnyKeyIsLookedFor(t *testing.T) {
	const simple, image = "013-first-statement-only", "022-image-under-old-key"
	tests := []struct {
		name       string
		sc         *format.Scenario
		step, rule string
		code, fix  string
	}{
		{"an image that is not shared", variant(t, "023-shared-image-default-key-closed", "/images/0/sharedWith", "[]"), "group-create", "image-not-shared", "ValidationError", "share-image"},
		{"a role that does not exist", variant(t, simple, "/launch/group/serviceLinkedRoleArn", `"arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x"`), "group-create", "no-service-linked-role", "ValidationError", "create-service-linked-role"},
		{"a key without Encrypted, by anybody", variant(t, "037-boundary-hides-kms", "/launch/templates/0/blockDevices/0/ebs/encrypted", ""), "request", "parameter-dependency", "InvalidParameterDependency", "change-template"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := doctor.Check(tt.sc)
			if r.Verdict != "fails" || len(r.Failures) != 1 || r.Failures[0].Step != tt.step || r.Failures[0].Rule != tt.rule || r.Symptom.APIError == nil || r.Symptom.APIError.Code != tt.code {
				t.Fatalf("%s %+v, symptom %+v", r.Verdict, r.Failures, r.Symptom)
			}
			if r.Fix == nil || !strings.HasPrefix(r.Fix.Kind, tt.fix) {
				t.Errorf("fix %+v", r.Fix)
			}
		})
	}
}

func TestVolumesAndCopies(t *testing.T) {
	free := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","kms:*"],"Resource":"*"}]}`
	key := "arn:aws:kms:us-west-2:210987654321:key/1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73"
	source := []string{"/launch/templates/0/kind", `"volume"`, "/snapshots", `[{"id":"snap-1","owner":"210987654321","encrypted":false,"key":null,"sharedWith":[]}]`,
		"/launch/templates/0/blockDevices/0/ebs/snapshotId", `"snap-1"`}
	operation := func(name string, more ...string) *format.Scenario {
		return variant(t, "037-boundary-hides-kms", append(append([]string{"/launch/operation", `"` + name + `"`}, source...), more...)...)
	}
	t.Run("a copy that is refused ends in error", func(t *testing.T) {
		r := doctor.Check(operation("CopySnapshot"))
		if r.Verdict != "fails" || r.Failures[0].Action != "kms:DescribeKey" || r.Symptom.SeenBy != "snapshot" || r.Symptom.StateReasonMessages[0] != "Given key ID is not accessible" {
			t.Errorf("%s: %+v %+v", r.Verdict, r.Failures, r.Symptom)
		}
	})
	t.Run("a copy asks for another key", func(t *testing.T) {
		r := doctor.Check(operation("CopySnapshot", "/principals/0/boundary", free, "/principals/0/policies/0/policy", free))
		if r.Verdict != "launches" || len(r.Volumes) != 1 || *r.Volumes[0].Key != key {
			t.Errorf("%s: %+v", r.Verdict, r.Failures)
		}
	})
	t.Run("a volume that is made and cannot be attached by its maker", func(t *testing.T) {
		some := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","kms:GenerateDataKeyWithoutPlaintext"],"Resource":"*"}]}`
		r := doctor.Check(operation("CreateVolume", "/principals/0/boundary", free, "/principals/0/policies/0/policy", some, "/launch/templates/0/blockDevices/0/ebs/snapshotId", ""))
		if r.Verdict != "launches" || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0].String(), "later-attach: arn:aws:iam::210987654321:role/karpenter can create the volume /dev/xvda but not attach it: kms:CreateGrant on "+key) {
			t.Errorf("%s: warnings %q, failures %+v", r.Verdict, r.Warnings, r.Failures)
		}
	})
	t.Run("a volume that is refused disappears", func(t *testing.T) {
		r := doctor.Check(operation("CreateVolume"))
		if r.Verdict != "fails" || r.Symptom.SeenBy != "volume" || r.Fix == nil || r.Fix.Kind != "edit-boundary" {
			t.Errorf("%s: %+v, fix %+v", r.Verdict, r.Symptom, r.Fix)
		}
	})
}

// TestWarnings are given for what can never apply, whatever the verdict, unless a failure tells of
// it.
func TestWarnings(t *testing.T) {
	const id = "001-example1-two-volumes"
	add := func(statement string) *format.Scenario {
		return variant(t, id, "/keys/0/policy/Statement/-", statement)
	}
	tests := []struct {
		name, warning string
		sc            *format.Scenario
	}{
		{"a misspelt action", "unknown-action: kms:GenerateDataKeys matches no action", add(`{"Sid":"x","Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:GenerateDataKeys","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333"}}}`)},
		{"a principal that does not exist", "unknown-principal: ", variant(t, id, "/keys/0/policy/Statement/-", `{"Sid":"x","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+corpus(t)[id].Launch.Account+`:role/gone"},"Action":"kms:Decrypt","Resource":"*"}`)},
		{"kms:GrantIsForAWSResource on an action that never carries it", "condition-key-absent: ", variant(t, id, "/keys/0/policy/Statement/-", `{"Sid":"x","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+corpus(t)[id].Launch.Account+`:root"},"Action":"kms:Decrypt","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`)},
		{"a service in another region", "via-service-region: ", variant(t, id, "/keys/0/policy/Statement/-", `{"Sid":"x","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+corpus(t)[id].Launch.Account+`:root"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ec2.sa-east-1.amazonaws.com"}}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := doctor.Check(tt.sc)
			if r.Verdict != "launches" || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0].String(), tt.warning) {
				t.Errorf("%s: warnings %q, want %q; notes %q", r.Verdict, r.Warnings, tt.warning, r.Notes)
			}
		})
	}
}

// TestFixesOfOtherMistakes are what the shared scenarios lack.
func TestFixesOfOtherMistakes(t *testing.T) {
	role := "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	tests := []struct {
		name, kind, summary string
		sc                  *format.Scenario
	}{
		{"a policy of one statement that is no list", "edit-key-policy", "Allow kms:GenerateDataKeyWithoutPlaintext, kms:CreateGrant to " + role, variant(t, "013-first-statement-only", "/keys/0/policy/Statement",
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}`)},
		{"the unique id of a deleted role", "edit-key-policy", "Name " + role + " in the place of AROACKCEVSQ6C2EXAMPLE", variant(t, "013-first-statement-only", "/keys/0/policy/Statement/1/Principal",
			`{"AWS":"AROACKCEVSQ6C2EXAMPLE"}`, "/keys/0/policy/Statement/1/Action/-", `"kms:CreateGrant"`)},
		{"a condition on a list of regions", "edit-key-policy", "Add ec2.eu-west-1.amazonaws.com to kms:ViaService", variant(t, "026-via-service-hard-coded-region",
			"/keys/0/policy/Statement/1/Condition/StringEquals/kms:ViaService", `["ec2.us-east-1.amazonaws.com","ec2.us-west-2.amazonaws.com"]`)},
		{"the path of a role that is left out", "edit-key-policy", "Write arn:aws:iam::210987654321:role/terraform in the place of", variant(t, "020-role-does-not-exist-yet",
			"/setup/0/params/policy/Statement/1/Principal/AWS", `"arn:aws:iam::210987654321:role/ci/terraform"`, "/setup/0/params/policy/Statement/2/Principal/AWS", `"arn:aws:iam::210987654321:role/ci/terraform"`,
			"/principals/-", `{"arn":"arn:aws:iam::210987654321:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling","kind":"service-linked-role","policies":[]}`)},
		{"a resource control policy that denies", "edit-rcp", "Except grants that are made for AWS services", variant(t, "028-scp-deny-human", "/accounts/0/scps", `[]`, "/accounts/0/rcps",
			`[{"name":"guard","policy":{"Version":"2012-10-17","Statement":[{"Sid":"DenyGrants","Effect":"Deny","Principal":"*","Action":"kms:CreateGrant","Resource":"*"}]}}]`)},
		{"two devices under two keys", "edit-key-policy", "Allow", variant(t, "036-one-of-two-keys", "/keys/0/policy/Statement", `[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":"kms:*","Resource":"*"}]`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := doctor.Check(tt.sc)
			if r.Verdict != "fails" || r.Fix == nil || r.Fix.Kind != tt.kind || !strings.HasPrefix(r.Fix.Summary.String(), tt.summary) {
				t.Fatalf("%s: fix %s", r.Verdict, fmt.Sprintf("%+v", r.Fix))
			}
			fixed, err := tt.sc.Patched(r.Fix.Patch)
			if err != nil {
				t.Fatal(err)
			}
			if again := doctor.Check(fixed); again.Verdict != "launches" {
				t.Errorf("fixed: %s %+v", again.Verdict, again.Failures)
			}
		})
	}
}

// TestWhyNothingHelps: AWS manages the policy of its own keys.
func TestWhyNothingHelps(t *testing.T) {
	r := doctor.Check(variant(t, "002-default-on-aws-managed-key", "/keys/0/policy/Statement/0", ""))
	if r.Verdict != "fails" || r.Fix != nil || len(r.Hopeless) != 1 || !strings.HasPrefix(r.Hopeless[0].String(), "Nothing can help: the key is one that AWS manages") {
		t.Errorf("%s, fix %+v, %q", r.Verdict, r.Fix, r.Hopeless)
	}
}

// TestWhatCouldNotBeReadIsToldWhatItNeeds: a key policy that nobody could read decides.
func TestWhatCouldNotBeReadIsToldWhatItNeeds(t *testing.T) {
	sc := variant(t, "013-first-statement-only", "/unknown", `{"/keys/0/policy":"no permission to read it","/keys/0/grants":"nor them"}`)
	r := doctor.Check(sc)
	if r.Verdict != "cannot-tell" || r.Fix != nil || r.Wanted == nil || len(r.Wanted.Patch) == 0 || !strings.HasPrefix(r.Wanted.Patch[0].Path, "/keys/0/policy/Statement/") {
		t.Fatalf("%s, fix %+v, wanted %+v", r.Verdict, r.Fix, r.Wanted)
	}
	if doc, rest := r.Document(r.Wanted.Patch[0].Path); !strings.HasPrefix(doc.String(), "the key policy of arn:aws:kms:") || rest != "/Statement/-" {
		t.Errorf("it is to be added to %q, at %s", doc, rest)
	}
	for name, other := range map[string]*format.Scenario{
		"known":           variant(t, "013-first-statement-only"),
		"another unknown": variant(t, "022-image-under-old-key", "/unknown", `{"/launch/templates/0/imageId":"nobody could read it"}`),
	} {
		if r := doctor.Check(other); r.Wanted != nil {
			t.Errorf("%s: wanted %+v", name, r.Wanted)
		}
	}
}
