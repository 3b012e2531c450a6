// Package glob compares texts with patterns of stars and question marks, as policies have them in actions.
package glob

import "strings"

// Match reports whether a pattern, in which * stands for anything and ? for one byte, is all of a text. It goes back to
// the latest star alone: what earlier ones took need never be more. So its time is bounded by the product of the
// lengths, whatever the pattern.
func Match(p, t string) bool {
	i, j := 0, 0
	star, taken := -1, 0 // the latest star, and where what it takes ends
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, taken = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i, j = i+1, j+1
		case star >= 0:
			taken++
			i, j = star+1, taken
		default:
			return false
		}
	}
	return strings.Trim(p[i:], "*") == ""
}
