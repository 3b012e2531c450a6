package cfn_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/cfn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// What a fix says in the words of CloudFormation, copied into the template, is the fix.
func TestFixesCanBeCopiedIntoTheTemplate(t *testing.T) {
	failing := file(t, "one-account-failing.yaml")
	r := read(t, cfn.Options{}, failing)
	l := find(t, r, "WebGroup")
	fix := doctor.Check(l.Scenario).Fix
	if fix == nil || len(fix.Alternatives) == 0 {
		t.Fatal("there are no fixes")
	}
	for i, patch := range [][]format.Edit{fix.Patch, fix.Alternatives[0].Patch} {
		steps, err := remedy.Steps(l.Scenario, patch)
		check(t, err)
		snippet := remedy.CloudFormation.Write(steps, remedy.Target{At: l.At, Names: l.Names})
		var indented strings.Builder
		for line := range strings.Lines(snippet) {
			indented.WriteString("          " + line)
		}
		const last = "            Action: kms:*\n            Resource: '*'\n"
		before, after, ok := strings.Cut(string(failing.Data), last)
		if !ok {
			t.Fatal("the template has no such statement")
		}
		mended := cfn.File{Name: "mended.yaml", Data: []byte(before + last + indented.String() + after)}
		for _, opt := range []cfn.Options{{}, {Account: "111122223333", Region: "eu-west-1"}} { // it holds in any account and region
			m := find(t, read(t, opt, mended), "WebGroup")
			if got := doctor.Check(m.Scenario); got.Verdict != "launches" {
				t.Errorf("with fix %d the verdict is %s:\n%s", i, got.Verdict, mended.Data)
			}
		}
	}
}
