package explain_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/policy"
)

// patched is a document with the edits of a fix made to its text.
func patched(t *testing.T, doc *authz.Document, kind policy.Kind, f *explain.Fix) *authz.Document {
	t.Helper()
	text := doc.Source.Source
	for _, e := range f.Edits {
		var err error
		if text, err = jsonedit.Apply(text, e.Op, e.Path, e.Value); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := policy.Parse(text, kind)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out := authz.Compile(parsed, kind)
	out.Name, out.Owner = doc.Name, doc.Owner
	return out
}

// TestCorrectionsComeFirst: where a statement has a mistake, the smallest fix is to put it right; in a
// launch it is followed by what else the launch asks for.
func TestCorrectionsComeFirst(t *testing.T) {
	tests := []struct{ name, statement, says, sets string }{
		{"the service of another Region", `{"Effect":"Allow","Principal":{"AWS":"` + roleG + `"},"Action":"kms:Gen*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ec2.eu-west-1.amazonaws.com"}}}`,
			"Write ec2.us-west-2.amazonaws.com for kms:ViaService in statement #2 of the key policy", "correction+key-policy"},
		{"an action without its star", `{"Effect":"Allow","Principal":{"AWS":"` + roleG + `"},"Action":["kms:GenerateDataKeyWithout","kms:CreateGrant"],"Resource":"*"}`,
			"Write kms:GenerateDataKeyWithout* in the place of kms:GenerateDataKeyWithout", "correction"},
		{"a role without its path", strings.Replace(p1, "aws-service-role/autoscaling.amazonaws.com/", "", 1), "Write " + roleG + " in the place of", "correction+key-policy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := onKey(t, slr("123456789012", roleG), generate, "123456789012", rootG, tt.statement)
			all := fixes(t, req)
			f := all[0]
			if got := kinds(all); got[0] != tt.sets || len(got) < 2 || got[1] == explain.Condition {
				t.Errorf("kinds %v", got)
			}
			if f.Name != explain.Corrected || !strings.HasPrefix(f.Summary.String(), tt.says) || len(f.Digest) != 64 || f.Target != keyG || len(f.Opens) == 0 || f.Run.Empty() {
				t.Errorf("fix %+v", f)
			}
			req.Parts[0].Policy = patched(t, req.Parts[0].Policy, policy.Key, &f)
			wantAllowedWith(t, req)
			if seen := explain.VisibleFixes(all, "444455556666"); len(seen) > 0 && seen[0].Kind == explain.Correction {
				t.Errorf("another account sees %+v", seen[0])
			}
		})
	}
}

// TestDeniesAreNarrowed: what denies is narrowed before it is removed, two statements together.
func TestDeniesAreNarrowed(t *testing.T) {
	const deny = `{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}`
	req := onKey(t, slr("123456789012", roleG), generate, "123456789012", rootG, p1, p2, deny, strings.Replace(deny, "kms:*", "kms:Gen*", 1))
	req.Context.SetBool("aws:viaawsservice", true)
	all := fixes(t, req)
	wantKinds(t, all, "narrow-deny+narrow-deny", "narrow-deny+narrow-deny", "remove-deny+remove-deny")
	for i, want := range []string{"Except calls that AWS services make in statement #4", "Except calls that AWS services make in statement #5", "Except " + roleG + " in statement #4"} {
		if got := all[i].Summary.String(); !strings.HasPrefix(got, want) {
			t.Errorf("fix %d: %s", i, got)
		}
	}
	if all[0].Name != explain.Narrowed || all[2].Name != "" {
		t.Errorf("names %q and %q", all[0].Name, all[2].Name)
	}
	for i := range 2 {
		req.Parts[0].Policy = patched(t, req.Parts[0].Policy, policy.Key, &all[i])
	}
	wantAllowedWith(t, req)
}
