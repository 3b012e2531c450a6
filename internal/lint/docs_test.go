package lint_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

var kinds = map[string]policy.Kind{
	"identity": policy.Identity, "key": policy.Key, "trust": policy.Trust, "scp": policy.SCP, "rcp": policy.RCP,
	"resource": policy.Resource, "session": policy.Session,
}

// A section is what docs/lint.md says of one rule.
type section struct {
	rule, text, info, document, known string
}

func sections(t *testing.T) []section {
	t.Helper()
	src, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json ([^\n]+)\n(.*?)\n```")
	var out []section
	for _, part := range strings.Split(string(src), "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		s := section{rule: name, text: text}
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			if m[1] == "known" {
				s.known = m[2]
			} else {
				s.info, s.document = m[1], m[2]
			}
		}
		out = append(out, s)
	}
	return out
}

func (s *section) options(t *testing.T) lint.Options {
	t.Helper()
	words := strings.Fields(s.info)
	o := lint.Options{Kind: kinds[words[0]]}
	if o.Kind == 0 {
		t.Fatalf("%s: no kind of policy is called %q", s.rule, words[0])
	}
	for i := 1; i+1 < len(words); i += 2 {
		switch words[i] {
		case "--resource":
			o.Resource = words[i+1]
		case "--account":
			o.Account = words[i+1]
		default:
			t.Fatalf("%s: %s is no option", s.rule, words[i])
		}
	}
	if s.known != "" {
		o.Known = &lint.World{}
		if err := o.Known.Add([]byte(s.known)); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestEachRuleIsDocumentedAndItsExampleHasTheFinding(t *testing.T) {
	documented := map[string]bool{}
	severities := map[string]lint.Severity{}
	for _, r := range lint.Rules() {
		severities[r.ID] = r.Severity
	}
	for _, s := range sections(t) {
		documented[s.rule] = true
		severity, ok := severities[s.rule]
		if !ok {
			t.Errorf("%s is documented and no rule", s.rule)
			continue
		}
		if want := severity.String(); !strings.HasPrefix(strings.ToLower(strings.TrimSpace(s.text)), want+".") {
			t.Errorf("%s is a %s, and the section does not begin so", s.rule, want)
		}
		if s.document == "" {
			if s.rule != "too-large" {
				t.Errorf("%s has no example", s.rule)
			}
			continue
		}
		found := lint.Check([]byte(s.document), s.options(t))
		i := slices.IndexFunc(found, func(f lint.Finding) bool { return f.Rule == s.rule })
		if i < 0 {
			t.Errorf("%s: the example has %+v", s.rule, found)
			continue
		}
		for _, f := range found {
			if f.Rule != s.rule && f.Severity == lint.Error {
				t.Errorf("%s: the example also has %s: %s", s.rule, f.Rule, f.Reason)
			}
		}
		if f := found[i]; f.Severity != severity || f.Fix.Empty() || f.Reason.Empty() || f.Range.Start.Line == 0 || f.Range.End == (lint.Point{}) {
			t.Errorf("%s: the finding is %+v", s.rule, f)
		}
	}
	for _, r := range lint.Rules() {
		if !documented[r.ID] {
			t.Errorf("%s is not in docs/lint.md", r.ID)
		}
	}
}

func TestTheSampleSaysWhatIsDocumented(t *testing.T) {
	src, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json sample\n(.*?)```.*?```text\n(.*?)```").FindSubmatch(src)
	if m == nil {
		t.Fatal("docs/lint.md has no sample")
	}
	var out strings.Builder
	err = lint.WriteText(&out, []lint.Result{{File: "seed.json", Findings: lint.Check(m[1], lint.Options{Kind: policy.Key})}}, speech.English)
	if err != nil || out.String() != string(m[2]) {
		t.Errorf("the sample has (%v)\n%s\nand docs/lint.md says\n%s", err, out.String(), m[2])
	}
}
