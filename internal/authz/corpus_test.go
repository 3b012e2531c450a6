package authz_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/casefile"
	"github.com/kagimori/kagimori/internal/policy"
)

// corpus is testdata/cases.jsonl: evaluations with the decisions that AWS's documented rules give;
// and testdata/rules.jsonl, the same of our own, a group for each chapter of the rules.
func corpus(t testing.TB) []*casefile.Case {
	t.Helper()
	return slices.Concat(cases(t, "testdata/cases.jsonl", 163), cases(t, "testdata/rules.jsonl", 243))
}

func cases(t testing.TB, file string, n int) []*casefile.Case {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*casefile.Case
	for line := range bytes.Lines(data) {
		c, err := casefile.Parse(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	if len(cases) != n {
		t.Fatalf("%d cases", len(cases))
	}
	return cases
}

// build turns a case into what the engine decides on.
func build(t testing.TB, c *casefile.Case) *authz.Request {
	t.Helper()
	req, err := casefile.NewBuilder().Request(c)
	if err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	return req
}

// document parses and compiles a policy.
func document(t testing.TB, src string, kind policy.Kind) *authz.Document {
	t.Helper()
	doc, err := policy.Parse([]byte(src), kind)
	if err != nil {
		t.Fatal(err)
	}
	return authz.Compile(doc, kind)
}

var decisions = map[authz.Outcome]string{authz.Allowed: "Allow", authz.ExplicitDeny: "ExplicitDeny", authz.ImplicitDeny: "ImplicitDeny"}

func by(p *authz.PartDecision) string {
	if p.Outcome == authz.Allowed && p.By == authz.LayerIdentity && p.Also != authz.LayerNone {
		return p.By.String() + "+" + p.Also.String()
	}
	return p.By.String()
}

func TestCorpus(t *testing.T) {
	for _, c := range corpus(t) {
		t.Run(c.ID, func(t *testing.T) {
			req := build(t, c)
			fast, full := authz.Decide(req), authz.Explain(req)
			got := full.Parts[0]
			if decisions[full.Outcome] != c.Expect.Decision ||
				c.Expect.By != "" && by(&got) != c.Expect.By && !slices.Contains(c.Expect.ByAny, by(&got)) {
				t.Errorf("%s: %s by %s, want %s by %s", c.Why, decisions[full.Outcome], by(&got), c.Expect.Decision, c.Expect.By)
			}
			sameAnswer(t, fast, full)
		})
	}
}

// sameAnswer asserts that the two modes agree.
func sameAnswer(t testing.TB, fast, full authz.Decision) {
	t.Helper()
	if fast.Outcome != full.Outcome || fast.Part != full.Part {
		t.Fatalf("fast %v at %d, explained %v at %d", fast.Outcome, fast.Part, full.Outcome, full.Part)
	}
	if fast.Outcome == authz.Allowed {
		if len(fast.Parts) != 0 {
			t.Errorf("fast mode allowed with %d parts of evidence", len(fast.Parts))
		}
		return
	}
	if len(fast.Parts) != fast.Part+1 {
		t.Fatalf("fast mode stopped at part %d and gives %d parts", fast.Part, len(fast.Parts))
	}
	for i := range fast.Parts {
		a, b := &fast.Parts[i], &full.Parts[i]
		if a.Outcome != b.Outcome || a.By != b.By || a.Also != b.Also || a.CrossAccount != b.CrossAccount ||
			a.Delegated != b.Delegated || !slices.Equal(a.Silent, b.Silent) {
			t.Errorf("part %d: fast %+v, explained %+v", i, a, b)
		}
	}
}
