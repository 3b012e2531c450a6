package casefile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/casefile"
	"github.com/kagimori/kagimori/internal/speech"
)

// Each line of the corpus that the engine is tested with is read, decided and met.
func TestTheCorpusIsMet(t *testing.T) {
	data, err := os.ReadFile("../authz/testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile("../authz/testdata/rules.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, more...)
	const cases = 163 + 243
	for _, opt := range []casefile.Options{{}, {Explain: true}, {Text: true}, {Text: true, Explain: true}} {
		var out bytes.Buffer
		counts, err := casefile.NewBuilder().Run(bytes.NewReader(data), &out, opt)
		if err != nil || counts != (casefile.Counts{Cases: cases}) {
			t.Fatalf("%+v, %v\n%s", counts, err, out.String())
		}
		if got := strings.Count(out.String(), "\n"); got != cases && !opt.Explain {
			t.Errorf("%d lines", got)
		}
	}
}

// base is a case that is allowed, with members replaced: an empty text removes one.
func base(t *testing.T, members map[string]string) string {
	t.Helper()
	c := map[string]json.RawMessage{
		"id": []byte(`"x"`), "action": []byte(`"kms:Decrypt"`),
		"principal":        []byte(`{"type":"user","arn":"arn:aws:iam::111122223333:user/alice","account":"111122223333","userid":"AIDAALICEXXXXXXXXXXXX"}`),
		"resource":         []byte(`{"arn":"arn:aws:kms:us-west-2:111122223333:key/1","account":"111122223333"}`),
		"identityPolicies": []byte(`[{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}]`),
		"resourcePolicy":   []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}]}`),
	}
	for k, v := range members {
		if c[k] = []byte(v); v == "" {
			delete(c, k)
		}
	}
	line, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func decide(t *testing.T, line string) *casefile.Result {
	t.Helper()
	c, err := casefile.Parse([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	r, err := casefile.NewBuilder().Decide(c, true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestACaseNeverMeansLessThanItSays(t *testing.T) {
	tests := []struct {
		name string
		line string
		want string
	}{
		{"no JSON", `{"id":`, "not JSON at byte"},
		{"no object", `[]`, "the line is a list"},
		{"text behind it", base(t, nil) + ` {}`, "not JSON at byte"},
		{"an unknown member", base(t, map[string]string{"scp": "[]"}), "scp is no member of a case"},
		{"a member in another case", base(t, map[string]string{"SCPs": "[]"}), "SCPs is no member of a case"},
		{"an unknown member below", base(t, map[string]string{"grants": `[{"Grantee":"x"}]`}), "grants/0/Grantee is no member of a case"},
		{"a member twice", `{"id":"a","id":"b"}`, "id is there twice"},
		{"a wrong type", base(t, map[string]string{"scps": `{}`}), "scps is an object, which it cannot be"},
		{"no principal", base(t, map[string]string{"principal": ""}), `principal/type "" is none of`},
		{"a principal type", base(t, map[string]string{"principal": `{"type":"group"}`}), `principal/type "group" is none of`},
		{"no ARN", base(t, map[string]string{"principal": `{"type":"user","account":"111122223333"}`}), "principal/arn is missing"},
		{"no account", base(t, map[string]string{"principal": `{"type":"user","arn":"alice"}`}), `principal/account "" is not 12 digits`},
		{"a session without role", base(t, map[string]string{"principal": `{"type":"role-session","arn":"arn:aws:sts::111122223333:assumed-role/r/s","account":"111122223333"}`}), "principal/roleArn is missing"},
		{"an account's role", base(t, map[string]string{"resource": `{"arn":"*","accountRole":"owner"}`}), `resource/accountRole "owner"`},
		{"no action", base(t, map[string]string{"action": ""}), `action "" has no service`},
		{"no resource", base(t, map[string]string{"resource": ""}), "resource/arn is missing"},
		{"a policy that is none", base(t, map[string]string{"boundary": `{"Statement":[{"Effect":"Allow","Actions":"*"}]}`}), "boundary: "},
		{"a policy that is null in a list", base(t, map[string]string{"identityPolicies": `[null]`}), "identityPolicies/0 is null"},
		{"a context value", base(t, map[string]string{"context": `{"a:b":{"x":1}}`}), "context/a:b is no text"},
		{"a context list", base(t, map[string]string{"context": `{"a:b":[["x"]]}`}), "context/a:b is no text"},
		{"a grant without grantee", base(t, map[string]string{"grants": `[{"Operations":["Decrypt"]}]`}), "grants/0 has no grantee"},
		{"an expectation", base(t, map[string]string{"expect": `{"decision":"Deny"}`}), `expect/decision "Deny" is none of`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := casefile.Parse([]byte(tt.line))
			if err == nil {
				_, err = casefile.NewBuilder().Decide(c, false)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestUnknownFactsAreUndeterminedIfTheyMatter(t *testing.T) {
	onlyFrom := `[{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}]`
	tests := []struct {
		name    string
		members map[string]string
		want    string
		depends []string
	}{
		{"nothing is unknown", nil, "Allow", nil},
		{"a context value", map[string]string{"identityPolicies": onlyFrom, "context": `{"aws:SourceIp":{"unknown":true}}`}, "Undetermined", []string{"key aws:SourceIp"}},
		{"a context value that does not matter", map[string]string{"context": `{"aws:SourceIp":{"unknown":true}}`}, "Allow", nil},
		{"a named document", map[string]string{"scps": `[[{"unknown":true,"name":"the SCP of root"}]]`}, "Undetermined", []string{"document the SCP of root"}},
		{"a document without name", map[string]string{"boundary": `{"unknown":true}`}, "Undetermined", []string{"document boundary"}},
		{"an unknown key policy cannot help without permissions", map[string]string{
			"identityPolicies": "[]", "boundary": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`,
			"resourcePolicy": `{"unknown":true}`,
		}, "ExplicitDeny", nil},
		{"the resource", map[string]string{"resource": `{"unknown":true,"account":"111122223333"}`,
			"identityPolicies": `[{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:us-west-2:111122223333:key/1"}]}]`}, "Undetermined", []string{"resource"}},
		{"the principal", map[string]string{"principal": `{"type":"unknown","account":"111122223333"}`, "identityPolicies": "[]",
			"resourcePolicy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:*","Resource":"*"}]}`}, "Undetermined", []string{"principal"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := decide(t, base(t, tt.members))
			if r.Decision != tt.want {
				t.Errorf("%s by %s", r.Decision, r.By)
			}
			if diff := cmp.Diff(tt.depends, r.Depends); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADocumentCanBeAFile(t *testing.T) {
	files := casefile.NewBuilder().Files(func(name string) ([]byte, error) {
		if name != "key.json" {
			return nil, errFull
		}
		return []byte("{\"Version\": \"2012-10-17\",\n \"Statement\": {\"Sid\": \"Closed\", \"Effect\": \"Deny\", \"Principal\": \"*\", \"Action\": \"*\", \"Resource\": \"*\"}}"), nil
	})
	in := func(policy string) *casefile.Case {
		c, err := casefile.Parse([]byte(base(t, map[string]string{"resourcePolicy": policy})))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	r, err := files.Decide(in(`{"file":"key.json"}`), true)
	if err != nil || r.Decision != "ExplicitDeny" || !strings.Contains(strings.Join(r.Text, "\n"), "key.json") {
		t.Errorf("%+v, %v", r, err)
	}
	for _, l := range r.Layers {
		if s := l.Statements; l.Layer == "resource" && (len(s) != 1 || s[0].Document != "key.json" || s[0].Line != 2 || s[0].Column != 15) {
			t.Errorf("%+v", s)
		}
	}
	if _, err := files.Decide(in(`{"file":"other.json"}`), false); !errors.Is(err, errFull) || !strings.HasPrefix(err.Error(), "resourcePolicy: ") {
		t.Errorf("error = %v", err)
	}
	if _, err := casefile.NewBuilder().Decide(in(`{"file":"key.json"}`), false); err == nil || !strings.Contains(err.Error(), "files cannot be read here") {
		t.Errorf("error = %v", err)
	}
}

func TestExpectationsCompareDecisionAndPolicy(t *testing.T) {
	tests := []struct {
		expect string
		met    bool
	}{
		{`{"decision":"Allow"}`, true},
		{`{"decision":"Allow","by":"identity+resource"}`, true},
		{`{"decision":"Allow","by":"grant","byAny":["resource","identity+resource"]}`, true},
		{`{"decision":"Allow","by":"grant"}`, false},
		{`{"decision":"ImplicitDeny"}`, false},
		{`null`, true},
	}
	for _, tt := range tests {
		r := decide(t, base(t, map[string]string{"expect": tt.expect}))
		if (r.Expected == nil) != tt.met {
			t.Errorf("%s: %s by %s is met: %v", tt.expect, r.Decision, r.By, r.Expected == nil)
		}
	}
}

func TestAnExplanationHasEachLayerWithItsStatements(t *testing.T) {
	r := decide(t, base(t, map[string]string{
		"identityPolicies": `[{"Version":"2012-10-17","Statement":[{"Sid":"Office","Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}]`,
		"context":          `{"aws:SourceIp":"192.0.2.1"}`,
	}))
	if r.Decision != "ImplicitDeny" || len(r.Fixes) == 0 || !strings.Contains(strings.Join(r.Text, "\n"), `"192.0.2.1"`) {
		t.Errorf("%+v", r)
	}
	want := []casefile.Statement{{
		Document: "identityPolicies/0", Sid: "Office", Line: 1, Column: 38, Effect: "Allow", Reason: "condition",
		Condition: &casefile.Condition{Operator: "IpAddress", Key: "aws:SourceIp", Want: []string{"10.0.0.0/8"}, Got: "192.0.2.1"},
	}}
	for _, l := range r.Layers {
		if l.Layer != "identity" {
			continue
		}
		if diff := cmp.Diff(want, l.Statements); diff != "" {
			t.Error(diff)
		}
		return
	}
	t.Errorf("no identity layer in %+v", r.Layers)
}

func TestARunAnswersEachLineInItsPlace(t *testing.T) {
	var in strings.Builder
	for i := range 500 {
		switch {
		case i%100 == 7:
			in.WriteString("{}\n")
		case i%100 == 8:
			in.WriteString("\n")
		default:
			in.WriteString(base(t, map[string]string{"id": fmt.Sprintf(`"%d"`, i)}) + "\n")
		}
	}
	var out bytes.Buffer
	var wrong []int
	counts, err := casefile.NewBuilder().Run(strings.NewReader(in.String()), &out, casefile.Options{Error: func(line int, _ error) { wrong = append(wrong, line) }})
	if err != nil || counts != (casefile.Counts{Cases: 490, Errors: 5}) {
		t.Fatalf("%+v, %v", counts, err)
	}
	if diff := cmp.Diff([]int{8, 108, 208, 308, 408}, wrong); diff != "" {
		t.Error(diff)
	}
	i := 0
	for line := range strings.Lines(out.String()) {
		if i%100 == 8 {
			i++ // a blank line has no answer
		}
		want := fmt.Sprintf(`{"id":"%d","decision":"Allow","by":"identity+resource"}`, i)
		if i%100 == 7 {
			want = fmt.Sprintf(`{"line":%d,"error":`, i+1)
		}
		if !strings.HasPrefix(line, want) {
			t.Fatalf("answer %d is %s, want %s", i, line, want)
		}
		i++
	}
	if i != 500 {
		t.Errorf("%d lines were answered", i)
	}
}

// A program that asks and waits for the answer gets it before it asks again.
func TestAnswersDoNotWaitForMoreCases(t *testing.T) {
	ask, in := io.Pipe()
	out, answer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := casefile.NewBuilder().Run(ask, answer, casefile.Options{})
		done <- errors.Join(err, answer.Close())
	}()
	got := make([]byte, 4096)
	for i := range 3 {
		if _, err := fmt.Fprintln(in, base(t, map[string]string{"id": fmt.Sprintf(`"%d"`, i)})); err != nil {
			t.Fatal(err)
		}
		n, err := out.Read(got)
		if want := fmt.Sprintf(`{"id":"%d",`, i); err != nil || !strings.HasPrefix(string(got[:n]), want) {
			t.Fatalf("got %q, %v", got[:n], err)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

var errFull = errors.New("the disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestARunStopsWhenItCannotWrite(t *testing.T) {
	_, err := casefile.NewBuilder().Run(strings.NewReader(strings.Repeat(base(t, nil)+"\n", 1000)), full{}, casefile.Options{})
	if !errors.Is(err, errFull) {
		t.Errorf("error = %v", err)
	}
}

func TestALineCanBeTooLong(t *testing.T) {
	line := base(t, map[string]string{"why": `"` + strings.Repeat("x", 17<<20) + `"`})
	_, err := casefile.NewBuilder().Run(strings.NewReader(base(t, nil)+"\n"+line+"\n"), io.Discard, casefile.Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("error = %v", err)
	}
}

// FuzzCases: no line makes the reader or the engine panic, and each has an answer.
func FuzzCases(f *testing.F) {
	data, err := os.ReadFile("../authz/testdata/cases.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		f.Add(bytes.TrimSpace(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := casefile.Parse(line)
		if err != nil {
			return
		}
		r, err := casefile.NewBuilder().Decide(c, true)
		if (err == nil) != (r != nil) || r != nil && r.Decision == "" {
			t.Errorf("%+v, %v", r, err)
		}
		if r != nil && len(r.Lines(speech.Japanese)) == 0 {
			t.Error("no text")
		}
	})
}

// BenchmarkRun is the speed of `kagimori decide` on the corpus. "cases/s" has a limit of 1,667:
// 100,000 a minute.
func BenchmarkRun(b *testing.B) {
	data, err := os.ReadFile("../authz/testdata/cases.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	data = bytes.Repeat(data, 20)
	for _, explained := range []bool{false, true} {
		b.Run(fmt.Sprintf("explained=%v", explained), func(b *testing.B) {
			n := 0
			for b.Loop() {
				counts, err := casefile.NewBuilder().Run(bytes.NewReader(data), io.Discard, casefile.Options{Explain: explained})
				if err != nil {
					b.Fatal(err)
				}
				n += counts.Cases
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "cases/s")
		})
	}
}
