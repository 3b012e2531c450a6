package glob_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/glob"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"?", "", false}, {"Get*", "GetKey", true}, {"*Key", "GetKeyPolicy", false},
		{"*Key*", "GetKeyPolicy", true}, {"*?*", "a", true}, {"a*b*c", "aXbXbc", true}, {"a*b*c", "aXcXb", false}, {"??", "abc", false}, {"ab**", "ab", true},
		{strings.Repeat("a*", 60) + "b", strings.Repeat("a", 200), false}, // does not take as long as the universe
	} {
		if got := glob.Match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q, %q: %v", tt.pattern, tt.name, got)
		}
	}
}
