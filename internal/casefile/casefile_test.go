package casefile_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/casefile"
)

// Each line of the corpus that the engine is tested with is read, decided and met.
func TestTheCorpusIsMet(t *testing.T) {
	data, err := os.ReadFile("../authz/testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, explained := range []bool{false, true} {
		out.Reset()
		counts, err := casefile.NewBuilder().Run(bytes.NewReader(data), &out, casefile.Options{Explain: explained})
		if err != nil || counts != (casefile.Counts{Cases: 163}) {
			t.Fatalf("%+v, %v\n%s", counts, err, out.String())
		}
		if got := strings.Count(out.String(), "\n"); got != 163 {
			t.Errorf("%d lines", got)
		}
	}
}
