package tfplan_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/tfplan"
)

// TestWhatIsNotKnownIsSaidInJapanese: the sentences that go into scenarios are recognized.
func TestWhatIsNotKnownIsSaidInJapanese(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	kana := regexp.MustCompile(`[ぁ-ん]`)
	n := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !tfplan.Is(data) {
			continue
		}
		for _, opt := range []tfplan.Options{{}, {Strict: true}, {PlainImages: true}} {
			p, err := tfplan.Read(data, opt)
			if err != nil {
				t.Fatal(name, err)
			}
			var said []string
			for _, note := range p.Notes {
				said = append(said, note.Text)
			}
			for _, l := range p.Launches {
				said = slices.Concat(said, l.Assumed)
				for _, why := range l.Scenario.Unknown {
					said = append(said, why)
				}
			}
			for _, s := range said {
				n++
				if ja := speech.Written(s).In(speech.Japanese); !kana.MatchString(ja) {
					t.Errorf("%s: %q is %q", name, s, ja)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d sentences", n)
	}
}
