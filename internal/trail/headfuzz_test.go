package trail_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/trail"
)

func FuzzHead(f *testing.F) {
	for _, seed := range []string{"", "7:" + strings.Repeat("ab", 32), "7:ab", "-1:" + strings.Repeat("00", 32), "18446744073709551616:" + strings.Repeat("00", 32)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := trail.ParseHead(text)
		if err != nil {
			return
		}
		if again, err := trail.ParseHead(h.String()); err != nil || again != h {
			t.Fatalf("%q becomes %v, %v", text, again, err)
		}
	})
}
