package cfn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
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
		where   string   // file and line of what the fix changes
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
