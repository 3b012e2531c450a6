package lint_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/speech"
)

func results() []lint.Result {
	doc := `{"Version": "2012-10-17", "Statement": {"Sid": "Keys", "Effect": "Allow", "Action": "kms:ReEncrypt", "Resource": "` + keyARN + `"}}`
	return []lint.Result{{File: "dir/a b.json", Findings: lint.Check([]byte(doc), lint.Options{})}, {File: "clean.json"}}
}

func TestText(t *testing.T) {
	var out strings.Builder
	if err := lint.WriteText(&out, results(), speech.English); err != nil {
		t.Fatal(err)
	}
	const want = `dir/a b.json:1:85-1:100: error: unknown-action (statement 1, "Keys")
  "kms:ReEncrypt" matches no action of kms, so it allows nothing.
  Fix: The actions are "kms:ReEncryptFrom" and "kms:ReEncryptTo"; "kms:ReEncrypt*" matches them.
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

// TestBothLanguagesSayTheSame: the Japanese findings have the names, numbers and documents of the
// English ones, and no English sentence.
func TestBothLanguagesSayTheSame(t *testing.T) {
	names := regexp.MustCompile(`\b(?:[a-z0-9]+:[A-Za-z*/]+|arn:\S*|\d{12}|[A-Za-z]+[a-z][A-Z]\w+)`)
	n := 0
	for _, s := range sections(t) {
		if s.document == "" {
			continue
		}
		for _, f := range lint.Check([]byte(s.document), s.options(t)) {
			if f.Rule == "refused" {
				continue // what AWS says
			}
			n++
			for _, text := range []speech.Text{f.Reason, f.Fix} {
				en, ja := text.In(speech.English), text.In(speech.Japanese)
				for _, name := range names.FindAllString(en, -1) {
					if name = strings.Trim(name, `".,;:)`); !strings.Contains(ja, name) {
						t.Errorf("%s: %q is lost: %s\n%s", f.Rule, name, en, ja)
					}
				}
				if !regexp.MustCompile(`[ぁ-ん]`).MatchString(ja) {
					t.Errorf("%s: no Japanese: %s", f.Rule, ja)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d findings", n)
	}
	var out strings.Builder
	if err := lint.WriteText(&out, results(), speech.Japanese); err != nil {
		t.Fatal(err)
	}
	const want = `dir/a b.json:1:85-1:100: エラー: unknown-action (ステートメント 1、"Keys")
  "kms:ReEncrypt" に一致する kms のアクションがないため、何も許可しません。
  修正案: 該当するアクションは "kms:ReEncryptFrom", "kms:ReEncryptTo" です。"kms:ReEncrypt*" で一致します。
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := lint.WriteJSON(&out, results()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Findings []struct {
			Rule, Severity, File, Sid, Reason, Fix string
			Statement                              int
			Range                                  lint.Range
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Findings) != 1 {
		t.Fatalf("got %s", out.String())
	}
	f := got.Findings[0]
	want := lint.Range{Start: lint.Point{Line: 1, Column: 85}, End: lint.Point{Line: 1, Column: 100}}
	if f.Rule != "unknown-action" || f.Severity != "error" || f.File != "dir/a b.json" || f.Sid != "Keys" || f.Statement != 1 || f.Range != want || f.Reason == "" || f.Fix == "" {
		t.Errorf("got %+v", f)
	}
	out.Reset()
	if err := lint.WriteJSON(&out, []lint.Result{{File: "clean.json"}}); err != nil || !strings.Contains(out.String(), `"findings": []`) {
		t.Errorf("nothing found is %s, %v", out.String(), err)
	}
}

// TestSARIF looks for what the schema of SARIF 2.1.0 requires and viewers use.
func TestSARIF(t *testing.T) {
	var out strings.Builder
	if err := lint.WriteSARIF(&out, "1.2.3", results()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Schema, Version string
		Runs            []struct {
			ColumnKind string
			Tool       struct {
				Driver struct {
					Name, Version string
					Rules         []struct {
						ID                   string
						ShortDescription     struct{ Text string }
						DefaultConfiguration struct{ Level string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn, EndLine, EndColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(strings.Replace(out.String(), `"$schema"`, `"schema"`, 1)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "2.1.0" || !strings.Contains(got.Schema, "2.1.0") || len(got.Runs) != 1 || len(got.Runs[0].Results) != 1 {
		t.Fatalf("got %+v", got)
	}
	run := got.Runs[0]
	driver := run.Tool.Driver
	if driver.Name != "kagimori" || driver.Version != "1.2.3" || len(driver.Rules) != len(lint.Rules()) || run.ColumnKind != "unicodeCodePoints" {
		t.Errorf("the driver is %s %s with %d rules", driver.Name, driver.Version, len(driver.Rules))
	}
	for _, r := range driver.Rules {
		if l := r.DefaultConfiguration.Level; r.ShortDescription.Text == "" || l != "note" && l != "warning" && l != "error" {
			t.Errorf("rule %+v", r)
		}
	}
	r := run.Results[0]
	if driver.Rules[r.RuleIndex].ID != r.RuleID || r.RuleID != "unknown-action" || r.Level != "error" || r.Message.Text == "" {
		t.Errorf("the result is %+v", r)
	}
	at := r.Locations[0].PhysicalLocation
	if at.ArtifactLocation.URI != "dir/a%20b.json" || at.Region.StartLine != 1 || at.Region.StartColumn != 85 || at.Region.EndLine != 1 || at.Region.EndColumn != 100 {
		t.Errorf("the place is %+v", at)
	}
}
