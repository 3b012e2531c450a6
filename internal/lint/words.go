package lint

import (
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/speech"
)

func quote(s string) string { return `"` + s + `"` }

func itoa(n int) string { return strconv.Itoa(n) }

// listed writes names as a list in a sentence, at most four of them.
func listed(names []string) speech.Text {
	const most = 4
	switch n := len(names); {
	case n == 0:
		return speech.Text{}
	case n == 1:
		return speech.Raw(names[0])
	case n > most:
		return speech.Say("%s and %d more", strings.Join(names[:most], ", "), n-most)
	default:
		return speech.Say("%s and %s", strings.Join(names[:n-1], ", "), names[n-1])
	}
}

// nearest is the candidate that differs least from a name, if it differs by little; case does not
// count unless that is all that differs.
func nearest(name string, candidates []string) string {
	best, at := "", max(2, len(name)/5)+1
	for _, c := range candidates {
		if c == name {
			continue
		}
		if d := actions.Distance(strings.ToLower(name), strings.ToLower(c), at); d < at {
			best, at = c, d
		}
	}
	return best
}
