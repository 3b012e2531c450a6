package tfplan_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/tfplan"
)

const web = "aws_autoscaling_group.web"

// TestVerdicts has the doctor judge plans that Terraform made.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name, file, launch string
		verdict            string
		rules              []string // of the first refusal of each device that fails
		where              string   // resource that the fix changes
		depends            string   // part of what it depends on
	}{
		{"statements for the role of the group", "one-account/good.json", web, "launches", nil, "", ""},
		{"the same, applied", "one-account/state.json", web, "launches", nil, "", ""},
		{"the same, planned again", "one-account/unchanged.json", web, "launches", nil, "", ""},
		{"a policy of two documents and a resource of its own", "one-account/key-policy.json", web, "launches", nil, "", ""},
		{"delegation to the account does not help the group", "one-account/missing-statements.json", web, "fails",
			[]string{"not-in-key-policy", "not-in-key-policy"}, "data.aws_iam_policy_document.key", ""},
		{"the role has a suffix that the policy lacks", "one-account/wrong-suffix.json", web, "fails",
			[]string{"not-in-key-policy", "not-in-key-policy"}, "data.aws_iam_policy_document.key", ""},
		{"the role is of another account", "one-account/wrong-account.json", web, "fails",
			[]string{"not-in-key-policy", "not-in-key-policy"}, "data.aws_iam_policy_document.key", ""},
		{"the instances' role does not launch", "one-account/wrong-role.json", web, "fails",
			[]string{"not-in-key-policy", "not-in-key-policy"}, "data.aws_iam_policy_document.key", ""},
		{"a document that is not known", "one-account/unknown-policy.json", web, "cannot-tell", nil, "",
			"aws_kms_key.volumes.policy is made of aws_iam_service_linked_role.autoscaling, in an expression that plans do not tell"},
		{"dynamic statements", "one-account/dynamic.json", web, "cannot-tell", nil, "", "the block is dynamic"},
		{"a grant across accounts", "two-accounts/good.json", web, "launches", nil, "", ""},
		{"no grant across accounts", "two-accounts/no-grant.json", web, "fails", []string{"cross-account-needs-grant"}, "aws_kms_key.shared", ""},
		{"the condition keeps people from making the grant", "two-accounts/condition.json", web, "fails",
			[]string{"condition-not-met"}, "aws_kms_key.shared", ""},
		{"the default key is closed", "defaults/closed-key.json", web, "fails", []string{"not-in-key-policy"}, "aws_kms_key.default", ""},
		{"Spot Instances of a launch configuration", "defaults/spot-launch-configuration.json", "aws_autoscaling_group.spot", "fails",
			[]string{"not-in-key-policy", "not-in-key-policy"}, "aws_kms_key.default", ""},
		{"policies of user and group within the boundary", "principals/allowed.json", "aws_ebs_volume.data", "launches", nil, "", ""},
		{"and attached", "principals/allowed.json", "aws_volume_attachment.data", "launches", nil, "", ""},
		{"the boundary lacks KMS", "principals/boundary.json", "aws_ebs_volume.data", "fails", []string{"boundary-no-allow"}, "aws_iam_user.admin", ""},
		{"the organization denies", "principals/organization.json", "aws_volume_attachment.data", "fails", []string{"explicit-deny-scp"},
			"aws_organizations_policy.grants", ""},
		{"a disabled key", "sources/plan.json", "aws_volume_attachment.data", "fails", []string{"key-disabled"}, "aws_kms_key.data", ""},
		{"a secret key", "sources/plan.json", "aws_ebs_volume.secret", "cannot-tell", nil, "", "marked as sensitive"},
		{"a replica whose policy names the role", "regions/plan.json", "aws_autoscaling_group.opened", "launches", nil, "", ""},
		{"a replica with a policy of its own", "regions/plan.json", "aws_autoscaling_group.closed", "fails", []string{"not-in-key-policy"}, "aws_kms_replica_key.closed", ""},
		{"the primary key is in another Region", "regions/plan.json", "aws_ebs_volume.primary", "fails", []string{"key-wrong-region"}, "", ""},
		{"material that may not be imported", "regions/plan.json", "aws_ebs_volume.imported", "cannot-tell", nil, "", "whether its key material is imported"},
		{"a Spot request", "regions/plan.json", "aws_spot_instance_request.batch", "launches", nil, "", ""},
		{"a shared image, and no grant", "sharing/plan.json", web, "fails", []string{"cross-account-needs-grant"}, "", ""},
		{"the same by a user", "sharing/plan.json", "aws_instance.web", "launches", nil, "", ""},
		{"a copy of a shared snapshot", "sharing/plan.json", "aws_ebs_snapshot_copy.own", "launches", nil, "", ""},
		{"a key of elsewhere", "sources/plan.json", "aws_ebs_volume.outside", "cannot-tell", nil, "", "is not in the plan"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := find(t, read(t, tt.file, tfplan.Options{}), tt.launch)
			r := doctor.Check(l.Scenario)
			if r.Verdict != tt.verdict {
				t.Fatalf("the verdict is %s, want %s; depends on %q", r.Verdict, tt.verdict, r.Depends)
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

// KMS refuses a policy that names somebody who does not exist, and a plan tells only of those it makes.
func TestPrincipalsThatThePlanDoesNotMake(t *testing.T) {
	for file, want := range map[string]string{
		"one-account/good.json":         "",
		"one-account/unchanged.json":    "", // the policy is there already
		"one-account/state.json":        "",
		"one-account/wrong-suffix.json": "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling exists, whom the policy of aws_kms_key.volumes names",
	} {
		l := find(t, read(t, file, tfplan.Options{}), web)
		if got := strings.Join(l.Assumed, "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: assumed is %q, want %q", file, got, want)
		}
	}
}

// Every plan of testdata is judged above or below; this one sees that all are read at all.
func TestAllPlansAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.json")
	check(t, err)
	if len(files) < 20 {
		t.Fatalf("there are %d plans", len(files))
	}
	for _, file := range files {
		p := read(t, filepath.ToSlash(strings.TrimPrefix(filepath.ToSlash(file), "testdata/")), tfplan.Options{})
		if len(p.Launches) == 0 {
			t.Errorf("%s launches nothing", file)
		}
		if len(p.Notes) > 0 {
			t.Errorf("%s: %v", file, p.Notes)
		}
		if state := strings.HasSuffix(file, "state.json"); p.State != state {
			t.Errorf("%s is a state: %v", file, p.State)
		}
	}
}

// What Terraform knew after apply is what was put together before.
func TestDocumentsAreThoseAfterApply(t *testing.T) {
	before := find(t, read(t, "one-account/good.json", tfplan.Options{}), web)
	after := find(t, read(t, "one-account/state.json", tfplan.Options{}), web)
	if diff := cmp.Diff(canonical(t, after.Scenario.Keys[0].Policy), canonical(t, before.Scenario.Keys[0].Policy)); diff != "" {
		t.Errorf("the key policy before and after apply (-after +before):\n%s", diff)
	}
	if diff := cmp.Diff(after.Scenario.Principals, before.Scenario.Principals); diff != "" {
		t.Errorf("the principals (-after +before):\n%s", diff)
	}
	if len(after.Names) != 0 {
		t.Errorf("after apply nothing stands for something else, but %v", after.Names)
	}
	if names := slices.Collect(mapValues(before.Names)); !slices.Equal(names, []string{"aws_kms_key.volumes.arn"}) {
		t.Errorf("names are %v", names)
	}
}
