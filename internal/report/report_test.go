package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/report"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

func corpus(t *testing.T) []report.Checked {
	t.Helper()
	files, err := filepath.Glob("../launch/testdata/scenarios/*.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	var out []report.Checked
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := format.Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		it := &report.Item{File: filepath.Base(f), Report: doctor.Check(sc), Source: src}
		out = append(out, report.Checked{Item: it, Findings: report.Findings(it)})
	}
	return out
}

// evidence are the names in a text: ARNs, actions, condition keys, ids, Sids, values.
var evidence = regexp.MustCompile(`arn:aws:[^\s,"'。、<&%]+|(?:kms|aws|ec2|iam|organizations):[A-Za-z*]+|\b[0-9]{12}\b|"[A-Za-z0-9 -]+"|[a-z]+-[a-z]+-[0-9]|Client\.[A-Za-z.]+|[a-z]+(?:-[a-z]+)+`)

// TestBothLanguagesCarryTheSameEvidence: all that is a name is in both, as often.
func TestBothLanguagesCarryTheSameEvidence(t *testing.T) {
	prose := regexp.MustCompile(`^(service-linked|customer-managed|identity-based|least-|re-evaluation)`)
	names := func(text string) []string {
		var out []string
		for _, n := range evidence.FindAllString(text, -1) {
			if n = strings.TrimRight(n, ".:)"); !prose.MatchString(n) {
				out = append(out, n)
			}
		}
		slices.Sort(out)
		return out
	}
	japanese := regexp.MustCompile(`\p{Hiragana}|\p{Katakana}`)
	for _, c := range corpus(t) {
		for _, f := range report.Formats() {
			if f == report.FormatJSON {
				continue // it has one language
			}
			var en, ja bytes.Buffer
			all := []report.Checked{c}
			for l, out := range map[speech.Language]*bytes.Buffer{speech.English: &en, speech.Japanese: &ja} {
				style := report.Style{Language: l, Verbose: true, Forms: []remedy.Form{remedy.AWS, remedy.Terraform, remedy.CloudFormation, remedy.Patch}}
				if err := f.All(out, all, style); err != nil {
					t.Fatal(err)
				}
			}
			if c.Report.Told() == doctor.Fails && !japanese.MatchString(ja.String()) {
				t.Errorf("%s as %s says nothing in Japanese", c.File, f)
			}
			if f == report.FormatSARIF {
				continue // its descriptions of rules are prose
			}
			if a, b := names(en.String()), names(ja.String()); !slices.Equal(a, b) {
				t.Errorf("%s as %s: only in one: %q, %q", c.File, f, missing(a, b), missing(b, a))
			}
			if strings.Contains(en.String(), "%!") || strings.Contains(ja.String(), "%!") || japanese.MatchString(en.String()) {
				t.Errorf("%s as %s:\n%s\n%s", c.File, f, &en, &ja)
			}
		}
	}
}

// missing are those of a that b lacks.
func missing(a, b []string) []string {
	b = slices.Clone(b)
	var out []string
	for _, s := range a {
		if i := slices.Index(b, s); i >= 0 {
			b = slices.Delete(b, i, i+1)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// TestJSONIsTheReport: nothing is added for a scenario that is a file of its own, in any language.
func TestJSONIsTheReport(t *testing.T) {
	for _, c := range corpus(t) {
		var got bytes.Buffer
		if err := report.FormatJSON.One(&got, c, report.Style{Language: speech.Japanese}, true); err != nil {
			t.Fatal(err)
		}
		want, err := c.Report.Line()
		if err != nil || got.String() != string(want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.File, err, &got, want)
		}
	}
}

func TestSARIF(t *testing.T) {
	all := corpus(t)
	var out bytes.Buffer
	if err := report.SARIF(&out, all, report.Style{Version: "v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name, Version string
					Rules         []struct {
						ID               string
						ShortDescription struct{ Text string }
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
						Region           struct{ StartLine int }
					}
				}
				PartialFingerprints map[string]string
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil || log.Version != "2.1.0" || len(log.Runs) != 1 {
		t.Fatalf("%v: %+v", err, log)
	}
	run := log.Runs[0]
	findings := 0
	for _, c := range all {
		findings += len(c.Findings)
	}
	if len(run.Results) != findings || findings < 30 || run.Tool.Driver.Name != "kagimori" || run.Tool.Driver.Version != "v1.2.3" {
		t.Errorf("%d results for %d findings, by %+v", len(run.Results), findings, run.Tool.Driver)
	}
	seen := map[string]bool{}
	for _, r := range run.Results {
		at := r.Locations[0].PhysicalLocation
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || r.Level != "error" && r.Level != "warning" && r.Level != "note" || at.Region.StartLine < 2 || !strings.HasSuffix(at.ArtifactLocation.URI, ".json") {
			t.Errorf("%+v", r)
		}
		if seen[r.PartialFingerprints["kagimori/v1"]] {
			t.Errorf("two results have the fingerprint of %s", r.Message.Text)
		}
		seen[r.PartialFingerprints["kagimori/v1"]] = true
	}
	for _, r := range run.Tool.Driver.Rules {
		if r.ShortDescription.Text == r.ID && !strings.Contains("via-service condition-value contradiction principal-arn-session unknown-principal", r.ID) {
			t.Errorf("rule %s is not described", r.ID)
		}
	}
}

func TestJUnit(t *testing.T) {
	all := corpus(t)
	var out bytes.Buffer
	if err := report.JUnit(&out, all, report.Style{}); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Type    string `xml:"type,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &suites); err != nil || suites.Tests != len(all) || suites.Failures != 38 || suites.Errors != 0 {
		t.Fatalf("%v: %d tests, %d failures, %d errors", err, suites.Tests, suites.Failures, suites.Errors)
	}
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			if c.Failure != nil && (c.Failure.Message == "" || c.Failure.Type == "" || !strings.Contains(c.Failure.Text, "You will see: ")) {
				t.Errorf("%s: %+v", c.Name, c.Failure)
			}
		}
	}
}

func TestGitHubEscapes(t *testing.T) {
	c := corpus(t)[12]
	c.Findings = slices.Clone(c.Findings)
	c.Findings[0].Place = report.Place{File: "a,b:c.tf", Line: 7}
	c.Findings[0].Message = speech.Raw("50%\nof it")
	var out bytes.Buffer
	if err := report.GitHub(&out, []report.Checked{c}, report.Style{}); err != nil {
		t.Fatal(err)
	}
	if want := "::error file=a%2Cb%3Ac.tf,line=7,title=kagimori action-not-in-key-policy::013-first-statement-only: 50%25%0Aof it.%0A"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("%s\nwant %s", &out, want)
	}
	if strings.Count(out.String(), "\n") != len(c.Findings) {
		t.Errorf("a finding is not one line:\n%s", &out)
	}
}

func TestColor(t *testing.T) {
	c := corpus(t)[12]
	var with, without bytes.Buffer
	if err := report.FormatHuman.One(&with, c, report.Style{Color: true}, false); err != nil {
		t.Fatal(err)
	}
	if err := report.FormatHuman.One(&without, c, report.Style{}, false); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(with.String(), "\x1b[31m013-first-statement-only: will not launch\x1b[0m\n") {
		t.Errorf("%q", with.String()[:60])
	}
	if got := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(with.String(), ""); got != without.String() {
		t.Errorf("colour changes the text:\n%s", got)
	}
}

func TestBaseline(t *testing.T) {
	day := time.Date(2026, 11, 26, 23, 0, 0, 0, time.UTC)
	parse := func(accepted string) *report.Baseline {
		b, err := report.ParseBaseline([]byte(`{"schema":"kagimori.baseline/1","accepted":[` + accepted + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c := corpus(t)[12]
	tests := []struct {
		name, accepted string
		want           doctor.Verdict
		stale          string
	}{
		{"by pattern", `{"scenario":"013-*","rule":"action-not-in-key-policy","reason":"r","until":"2026-11-26"}`, doctor.Launches, ""},
		{"by all members", `{"scenario":"013-first-statement-only","rule":"action-not-in-key-policy","device":"/dev/*","principal":"arn:*AWSServiceRoleForAutoScaling","action":"kms:CreateGrant","key":"arn:*","reason":"r","until":"2027-01-01"}`, doctor.Launches, ""},
		{"too late", `{"scenario":"013-*","rule":"action-not-in-key-policy","reason":"r","until":"2026-11-25"}`, doctor.Fails, "ended on 2026-11-25"},
		{"another action", `{"scenario":"013-*","rule":"action-not-in-key-policy","action":"kms:Decrypt","reason":"r","until":"2026-11-26"}`, doctor.Fails, "is not found any more"},
		{"another rule", `{"scenario":"*","rule":"key-disabled","reason":"r","until":"2026-11-26"}`, doctor.Fails, "is not found any more"},
	}
	for _, tt := range tests {
		b, findings := parse(tt.accepted), slices.Clone(c.Findings)
		b.Accept(findings, day)
		if got := report.Told(c.Report, findings); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if stale := strings.Join(b.Stale(day), "\n"); (stale == "") != (tt.stale == "") || !strings.Contains(stale, tt.stale) {
			t.Errorf("%s: stale %q, want %q", tt.name, stale, tt.stale)
		}
	}
	src, err := report.NewBaseline(nil, c.Findings, "known", "2026-12-31").Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := report.ParseBaseline(src)
	if err != nil {
		t.Fatal(err)
	}
	if again.Accept(c.Findings, day); report.Told(c.Report, c.Findings) != doctor.Launches {
		t.Errorf("a baseline does not accept what it was made of:\n%s", src)
	}
	for _, bad := range []string{
		``, `{}`, `{"schema":"kagimori.baseline/2","accepted":[]}`, `{"schema":"kagimori.baseline/1","accepted":[]} 1`, `{"schema":"kagimori.baseline/1","more":1}`,
		`{"schema":"kagimori.baseline/1","accepted":[{"scenario":"*","rule":"r","until":"2026-12-31"}]}`,
		`{"schema":"kagimori.baseline/1","accepted":[{"scenario":"*","rule":"r","reason":"x"}]}`,
		`{"schema":"kagimori.baseline/1","accepted":[{"scenario":"*","rule":"r","reason":"x","until":"soon"}]}`,
		`{"schema":"kagimori.baseline/1","accepted":[{"scenario":"[","rule":"r","reason":"x","until":"2026-12-31"}]}`,
	} {
		if _, err := report.ParseBaseline([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// FuzzBaseline: what is read is written and read again as the same.
func FuzzBaseline(f *testing.F) {
	f.Add(`{"schema":"kagimori.baseline/1","accepted":[{"scenario":"*","rule":"r","reason":"x","until":"2026-12-31"}]}`)
	f.Fuzz(func(t *testing.T, src string) {
		b, err := report.ParseBaseline([]byte(src))
		if err != nil {
			return
		}
		once, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := report.ParseBaseline(once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice, _ := again.Encode(); !bytes.Equal(once, twice) {
			t.Errorf("%s\n%s", once, twice)
		}
	})
}
