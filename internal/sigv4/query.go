package sigv4

import (
	"iter"
	"strings"
)

// A pair is a parameter of a query string as it stands there: name=value, both escaped.
type pair string

// pairs are the parameters of a query string but for empty ones.
func pairs(raw string) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		for p := range strings.SplitSeq(raw, "&") {
			if p != "" && !yield(pair(p)) {
				return
			}
		}
	}
}

// name is decoded; ok is false and the name empty if it cannot be.
func (p pair) name() (name string, ok bool) {
	escaped, _, _ := strings.Cut(string(p), "=")
	return unescape(escaped)
}

// value is decoded; ok is false and the value empty if it cannot be.
func (p pair) value() (value string, ok bool) {
	_, escaped, _ := strings.Cut(string(p), "=")
	return unescape(escaped)
}
