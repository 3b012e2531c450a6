package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// console are the commands of a page with what it says they print: blocks that begin with "$ ".
func console(t *testing.T, page string) (commands, outputs []string) {
	t.Helper()
	src, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	in := false
	for line := range strings.Lines(string(src)) {
		text, indented := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    ")
		switch command, begins := strings.CutPrefix(text, "$ "); {
		case !indented && strings.TrimSpace(line) != "":
			in = false
		case begins && indented:
			commands, outputs, in = append(commands, command), append(outputs, ""), true
		case in && strings.TrimSpace(line) != "":
			outputs[len(outputs)-1] += text + "\n"
		}
	}
	return commands, outputs
}

// inFolder runs a command line of kagimori in a folder.
func inFolder(t *testing.T, dir, line string) (stdout string, code int) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	args := strings.Fields(strings.ReplaceAll(line, "'", ""))
	if args[0] != "kagimori" {
		t.Fatalf("%s is no command of kagimori", line)
	}
	code = run(context.Background(), args[1:], stdio{strings.NewReader(""), &out, &errs})
	if code == exitBadInput || code == exitUsage {
		t.Errorf("%s: exit code %d: %s", line, code, errs.String())
	}
	return out.String(), code
}

// TestREADMEIsTrue runs the commands of README that are shown with their output.
func TestREADMEIsTrue(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	commands, outputs := console(t, filepath.Join(root, "README.md"))
	if len(commands) < 2 {
		t.Fatalf("README shows %d commands", len(commands))
	}
	for i, line := range commands {
		got, _ := inFolder(t, root, line)
		if got = strings.TrimRight(got, "\n") + "\n"; got != outputs[i] {
			t.Errorf("%s prints\n%s\nREADME says\n%s", line, got, outputs[i])
		}
	}
}

// TestExamples runs the commands of examples/README.md.
func TestExamples(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	dir, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	wants := []struct {
		code int
		text string
	}{
		{exitWillNot, "To change: data.aws_iam_policy_document.volumes (key.tf:4)"}, {exitWillNot, "variable = \"kms:GrantIsForAWSResource\""},
		{exitOK, "3 tests: 3 passed"}, {exitOK, "1 tests: 1 passed"},
	}
	found := regexp.MustCompile(`(?m)^    (kagimori [^#\n]*)`).FindAllSubmatch(src, -1)
	if len(found) != len(wants) {
		t.Fatalf("%d commands, want %d", len(found), len(wants))
	}
	for i, m := range found {
		out, code := inFolder(t, filepath.Join(dir, "terraform"), strings.TrimSpace(string(m[1])))
		if code != wants[i].code || !strings.Contains(out, wants[i].text) {
			t.Errorf("%s: exit code %d, want %d, and %q in\n%s", m[1], code, wants[i].code, wants[i].text, out)
		}
	}
}

// flagsOf are the flags of a command.
func flagsOf(t *testing.T, path ...string) []string {
	t.Helper()
	cmd, _, err := newRoot(stdio{}).Find(path)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`--[a-z-]+`).FindAllString(cmd.Flags().FlagUsages(), -1)
}

// TestAction runs the script of the GitHub Action, and compares what action.yml declares with it.
func TestAction(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs map[string]struct{ Default string } `yaml:"inputs"`
		Runs   struct {
			Using string `yaml:"using"`
			Steps []struct {
				Run string            `yaml:"run"`
				Env map[string]string `yaml:"env"`
			} `yaml:"steps"`
		} `yaml:"runs"`
	}
	read := func(name string, into any) []byte {
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(src, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return src
	}
	src := read("action.yml", &action)
	for name := range action.Inputs {
		if !strings.Contains(string(src), "inputs."+name+" }}") {
			t.Errorf("the input %s is not used", name)
		}
	}
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses string         `yaml:"uses"`
				With map[string]any `yaml:"with"`
			} `yaml:"steps"`
		} `yaml:"jobs"`
	}
	read("examples/terraform/.github/workflows/kagimori.yml", &workflow)
	used := 0
	for _, s := range workflow.Jobs["check"].Steps {
		if strings.HasPrefix(s.Uses, "kagimori/kagimori@") {
			used++
			for name := range s.With {
				if _, ok := action.Inputs[name]; !ok {
					t.Errorf("the example gives %s, which the action does not have", name)
				}
			}
		}
	}
	if used != 1 || action.Runs.Using != "composite" || len(action.Runs.Steps) != 3 {
		t.Errorf("the action is used %d times, and has %d steps", used, len(action.Runs.Steps))
	}

	bin, temp := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "kagimori"), []byte("#!/bin/sh\nKAGIMORI_TEST_MAIN=1 exec '"+self+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := func(env ...string) (string, int) {
		cmd := exec.Command("sh", filepath.Join(root, ".github/action/check.sh"))
		cmd.Dir = filepath.Join(root, "examples/terraform")
		cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "LANGUAGE_OF_TEXTS=en", "FAIL_ON=error", "GITHUB_OUTPUT=" + filepath.Join(temp, "output")}, env...)
		out, err := cmd.CombinedOutput()
		code := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			code = e.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		return string(out), code
	}
	out, code := script("FILES=plan.json", "TESTS=tests", "SARIF="+filepath.Join(temp, "s"), "COMMENT="+filepath.Join(temp, "c"), "JUNIT="+filepath.Join(temp, "j"))
	if code != exitWillNot || !strings.Contains(out, "::error file=main.tf,line=") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for file, want := range map[string]string{"s": `"version": "2.1.0"`, "c": "## kagimori: will it launch?", "j": "<testsuites ", "output": "exit-code=1\n"} {
		if text, err := os.ReadFile(filepath.Join(temp, file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
	if out, code := script("TESTS=tests"); code != exitOK {
		t.Errorf("the tests alone: exit code %d\n%s", code, out)
	}
	if out, code := script("FILES=plan.json", "FAIL_ON=never", "ARGS=--lang ja"); code != exitOK || !strings.Contains(out, "修正案") {
		t.Errorf("fail-on never: exit code %d\n%s", code, out)
	}
	if out, code := script(); code != exitBadInput {
		t.Errorf("nothing: exit code %d\n%s", code, out)
	}
}

// TestPreCommitHooks: each hook is a command with flags that exist.
func TestPreCommitHooks(t *testing.T) {
	src, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID       string   `yaml:"id"`
		Name     string   `yaml:"name"`
		Entry    string   `yaml:"entry"`
		Language string   `yaml:"language"`
		Args     []string `yaml:"args"`
	}
	if err := yaml.Unmarshal(src, &hooks); err != nil || len(hooks) != 3 {
		t.Fatalf("%v: %+v", err, hooks)
	}
	for _, h := range hooks {
		words := strings.Fields(h.Entry)
		flags := flagsOf(t, words[1:]...)
		if words[0] != "kagimori" || h.Language != "golang" || h.Name == "" || len(flags) == 0 {
			t.Errorf("%+v", h)
		}
		for _, a := range h.Args {
			if strings.HasPrefix(a, "--") && !slices.Contains(flags, a) {
				t.Errorf("%s: there is no flag %s", h.ID, a)
			}
		}
	}
}
