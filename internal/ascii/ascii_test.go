package ascii_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/ascii"
)

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func quotable(s string) bool { return printable(s) && !strings.ContainsAny(s, `"\`) }

// TestEveryByteAtEveryPlace puts each byte at each place of texts of each length up to three words.
func TestEveryByteAtEveryPlace(t *testing.T) {
	for _, filler := range []string{"a", " ", "~", "!"} { // the ends of what is printable, and the next of each
		for n := range 25 {
			for at := range n {
				for b := range 256 {
					s := strings.Repeat(filler, at) + string([]byte{byte(b)}) + strings.Repeat(filler, n-at-1)
					if got, want := ascii.Printable(s), printable(s); got != want {
						t.Fatalf("Printable(%q) = %v", s, got)
					}
					if got, want := ascii.Quotable(s), quotable(s); got != want {
						t.Fatalf("Quotable(%q) = %v", s, got)
					}
				}
			}
		}
	}
}

func FuzzTexts(f *testing.F) {
	f.Add("arn:aws:kms:us-east-1:123456789012:key/1")
	f.Add("quoted \" text")
	f.Add("caf\u00e9 and more")
	f.Fuzz(func(t *testing.T, s string) {
		if ascii.Printable(s) != printable(s) || ascii.Quotable(s) != quotable(s) {
			t.Fatalf("%q: %v, %v", s, ascii.Printable(s), ascii.Quotable(s))
		}
	})
}

func BenchmarkQuotable(b *testing.B) {
	s := strings.Repeat("arn:aws:kms", 5)
	for b.Loop() {
		if !ascii.Quotable(s) {
			b.Fatal()
		}
	}
}
