package idiom_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/ec2/idiom"
)

func TestFilterWildcards(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"abc", "abc", true},
		{"abc", "ABC", false},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"*b*", "abc", true},
		{"a*c*", "abcd", true},
		{"a*d", "abc", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"??", "日本", true},
		{"*", "", true},
		{"?", "", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`a\?c`, "abc", false},
		{`a\\`, `a\`, true},
		{`a\`, `a\`, true},
		{"*aab", "aaaaab", true},
		{"a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	}
	for _, tt := range tests {
		if got := idiom.Wildcard(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q on %q: %v", tt.pattern, tt.text, got)
		}
	}
}
