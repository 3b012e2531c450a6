package remedy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

const scenarios = "../launch/testdata/scenarios/"

func corpus(t *testing.T) map[string]*format.Scenario {
	t.Helper()
	files, err := filepath.Glob(scenarios + "*.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	out := map[string]*format.Scenario{}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if out[f], err = format.Parse(src); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func proposals(r *doctor.Report) []doctor.Proposal {
	if r.Fix == nil {
		return nil
	}
	return append([]doctor.Proposal{r.Fix.Proposal}, r.Fix.Alternatives...)
}

// fakeAWS is a shell's aws that writes its arguments down, a line each, and the files that they name.
const fakeAWS = `#!/bin/sh
for a in "$@"; do printf '%s\n' "$a" >> calls; case "$a" in file://*) cp "${a#file://}" "used-$(basename "${a#file://}")";; esac; done
echo --- >> calls
`

// TestCommandsCanBeCopied runs the commands of every fix of every scenario in a shell: all arguments
// arrive as they were meant, and a key policy is that of the scenario with the fix.
func TestCommandsCanBeCopied(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(fakeAWS), 0o755); err != nil {
		t.Fatal(err)
	}
	policies := 0
	for name, sc := range corpus(t) {
		for i, p := range proposals(doctor.Check(sc)) {
			steps, err := remedy.Steps(sc, p.Patch)
			if err != nil || len(steps) == 0 {
				t.Errorf("%s, fix %d: %d steps, %v", name, i, len(steps), err)
				continue
			}
			text := remedy.AWS.Write(steps, remedy.Target{})
			dir := t.TempDir()
			cmd := exec.Command("sh", "-eu")
			cmd.Dir, cmd.Env, cmd.Stdin = dir, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, fix %d: %v: %s\n%s", name, i, err, out, text)
				continue
			}
			calls, _ := os.ReadFile(filepath.Join(dir, "calls")) // there may be none
			fixed, err := sc.Patched(p.Patch)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				switch s.Kind {
				case remedy.KeyPolicy:
					policies++
					used, err := os.ReadFile(filepath.Join(dir, "used-key-policy-"+s.Target[strings.LastIndexByte(s.Target, '/')+1:]+".json"))
					if err != nil || !sameJSON(t, used, policyOf(fixed, &s)) {
						t.Errorf("%s, fix %d: %v\n%s", name, i, err, used)
					}
					if !strings.Contains(string(calls), "--key-id\n"+s.Target+"\n") && s.Name != "CreateKey" {
						t.Errorf("%s, fix %d: %s", name, i, calls)
					}
				case remedy.Grant:
					want := "--grantee-principal\n" + s.Grant.GranteePrincipal + "\n--operations\n" + strings.Join(s.Grant.Operations, "\n") + "\n"
					if !strings.Contains(string(calls), want) {
						t.Errorf("%s, fix %d: %q is not in\n%s", name, i, want, calls)
					}
				}
			}
		}
	}
	if policies < 20 {
		t.Errorf("only %d key policies", policies)
	}
}

// policyOf is the policy that a step changes, in the fixed scenario.
func policyOf(fixed *format.Scenario, s *remedy.Step) []byte {
	for _, st := range fixed.Setup {
		if strings.HasPrefix(s.Path, "/setup/") && st.Params.Policy != nil {
			return st.Params.Policy
		}
	}
	return fixed.Key(s.Target).Policy
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Error(err)
	}
	return reflect.DeepEqual(x, y)
}

// TestEveryFixHasWordsInEveryForm: or says by hand what is to be done; nothing is left empty.
func TestEveryFixHasWordsInEveryForm(t *testing.T) {
	for name, sc := range corpus(t) {
		for i, p := range proposals(doctor.Check(sc)) {
			steps, err := remedy.Steps(sc, p.Patch)
			if err != nil {
				t.Fatal(err)
			}
			edits := 0
			for j := range steps {
				edits += len(steps[j].Edits)
				if steps[j].Account == "" || steps[j].Permission == "" || steps[j].Target == "" {
					t.Errorf("%s, fix %d: %+v", name, i, steps[j])
				}
				if j > 0 && steps[j-1].Kind > steps[j].Kind {
					t.Errorf("%s, fix %d: steps are not in order", name, i)
				}
			}
			if edits != len(p.Patch) {
				t.Errorf("%s, fix %d: the steps have %d of %d edits", name, i, edits, len(p.Patch))
			}
			for _, f := range []remedy.Form{remedy.AWS, remedy.Terraform, remedy.CloudFormation, remedy.Patch} {
				en, ja := f.Write(steps, remedy.Target{}), f.Write(steps, remedy.Target{Language: speech.Japanese})
				if en == "" || strings.Contains(en, "%!") || strings.Contains(ja, "%!") || strings.Count(en, "\n") != strings.Count(ja, "\n") {
					t.Errorf("%s, fix %d as %s:\n%s\n%s", name, i, f, en, ja)
				}
				if f == remedy.Terraform && !balanced(en) {
					t.Errorf("%s, fix %d: brackets\n%s", name, i, en)
				}
			}
		}
	}
}

// balanced reports whether the brackets of a text close, comments and strings left out.
func balanced(s string) bool {
	depth, quoted := 0, false
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for i, r := range line {
			switch {
			case r == '"' && (i == 0 || line[i-1] != '\\'):
				quoted = !quoted
			case quoted:
			case strings.ContainsRune("{[(", r):
				depth++
			case strings.ContainsRune("}])", r):
				depth--
			}
		}
	}
	return depth == 0 && !quoted
}

func TestForms(t *testing.T) {
	sc := corpus(t)[scenarios+"013-first-statement-only.json"]
	patch := doctor.Check(sc).Fix.Patch
	steps, err := remedy.Steps(sc, patch)
	if err != nil {
		t.Fatal(err)
	}
	key := sc.Keys[0].ARN
	at := remedy.Target{At: func(string) string { return "data.aws_iam_policy_document.key" }, Names: map[string]string{key: "aws_kms_key.volumes.arn"}}
	want := `# In data.aws_iam_policy_document.key:
statement {
  effect    = "Allow"
  actions   = ["kms:CreateGrant"]
  resources = ["*"]
  principals {
    type        = "AWS"
    identifiers = ["arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"]
  }
  condition {
    test     = "Bool"
    variable = "kms:GrantIsForAWSResource"
    values   = ["true"]
  }
  condition {
    test     = "StringEquals"
    variable = "kms:ViaService"
    values   = ["ec2.us-west-2.amazonaws.com"]
  }
}
`
	if got := remedy.Terraform.Write(steps, at); got != want {
		t.Errorf("Terraform:\n%s\nwant\n%s", got, want)
	}
	grant := []format.Edit{{Op: "add", Path: "/keys/0/grants/-", Value: format.Value(`{"id":"new","granteePrincipal":"arn:aws:iam::444455556666:role/x","operations":["Decrypt","CreateGrant"],"constraints":{"encryptionContextSubset":{"aws:ebs:id":"vol-1"}},"status":"active"}`)}}
	if steps, err = remedy.Steps(sc, grant); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[remedy.Form]string{
		remedy.AWS: "# In account 111122223333, Region us-west-2, with kms:CreateGrant:\n" +
			"aws kms create-grant --region us-west-2 --key-id " + key + " --grantee-principal arn:aws:iam::444455556666:role/x --operations Decrypt CreateGrant --constraints '{\"EncryptionContextSubset\":{\"aws:ebs:id\":\"vol-1\"}}'\n",
		remedy.Terraform: "# In account 111122223333, Region us-west-2, with kms:CreateGrant:\nresource \"aws_kms_grant\" \"x\" {\n  key_id            = \"" + key +
			"\"\n  grantee_principal = \"arn:aws:iam::444455556666:role/x\"\n  operations        = [\"Decrypt\", \"CreateGrant\"]\n  constraints {\n    encryption_context_subset = {\n      \"aws:ebs:id\" = \"vol-1\"\n    }\n  }\n}\n",
		remedy.CloudFormation: "# In account 111122223333, Region us-west-2, with kms:CreateGrant:\n# There is no such resource; make the grant with the aws CLI.\n",
	} {
		if got := f.Write(steps, remedy.Target{}); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", f, got, want)
		}
	}
	two := append([]format.Edit{{Op: "add", Path: "/principals/-", Value: format.Value(`{"arn":"arn:aws:iam::444455556666:role/x","kind":"role","policies":[]}`)}}, grant...)
	if steps, err = remedy.Steps(sc, two); err != nil || len(steps) != 2 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	if got := remedy.AWS.Write(steps, remedy.Target{}); !strings.HasPrefix(got, "# The commands are for different accounts: ") ||
		!strings.Contains(got, "# 1/2 In account 444455556666, with iam:CreateRole:\n") || !strings.Contains(got, "# 2/2 In account 111122223333, Region us-west-2, with kms:CreateGrant:\n") {
		t.Errorf("two accounts:\n%s", got)
	}
	for _, edit := range []format.Edit{{Op: "replace", Path: "/title", Value: format.Value(`"x"`)}, {Op: "replace", Path: "/keys/0/policy/Statement/9", Value: format.Value(`{}`)}} {
		if steps, err := remedy.Steps(sc, []format.Edit{edit}); err == nil {
			t.Errorf("%s: %+v, want an error", edit.Path, steps)
		}
	}
	for _, name := range []string{"aws", "terraform", "cloudformation", "patch"} {
		if f, ok := remedy.ParseForm(name); !ok || f.String() != name {
			t.Errorf("%s is %s, %t", name, f, ok)
		}
	}
	if _, ok := remedy.ParseForm("pulumi"); ok {
		t.Error("pulumi is a form")
	}
}
