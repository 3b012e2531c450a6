package store

import "strings"

// Key parts end with sep. A part that contains sep or esc itself is written with esc and a second
// byte, chosen so that the order of the parts is kept.
const (
	sep = 0x00
	esc = 0x01
)

// Key joins key parts so that tuples sort by parts, no joined key is a prefix of another with
// different leading parts, and [SplitKey] gives the same parts back. Every string is a valid part.
func Key(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p) + 1
	}
	var b strings.Builder
	b.Grow(n)
	for _, p := range parts {
		if plain(p) {
			b.WriteString(p)
		} else {
			escape(&b, p)
		}
		b.WriteByte(sep)
	}
	return b.String()
}

func plain(p string) bool {
	for i := range len(p) {
		if p[i] <= esc {
			return false
		}
	}
	return true
}

// escape writes 00 as 01 01 and 01 as 01 02: both stay above the end of a part (00) and below
// every other byte, in their order.
func escape(b *strings.Builder, p string) {
	for i := range len(p) {
		if p[i] <= esc {
			b.WriteByte(esc)
			b.WriteByte(p[i] + 1)
		} else {
			b.WriteByte(p[i])
		}
	}
}

// SplitKey undoes [Key]. A string that Key did not make gives some parts, never a panic.
func SplitKey(key string) []string {
	if key == "" {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(key, string(rune(sep))), string(rune(sep)))
	for i, p := range parts {
		if !plain(p) {
			parts[i] = unescape(p)
		}
	}
	return parts
}

func unescape(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] == esc && i+1 < len(p) {
			i++
			b.WriteByte(p[i] - 1)
		} else {
			b.WriteByte(p[i])
		}
	}
	return b.String()
}

// A Range of keys: those that start with Prefix and, if After is not "", come after it in the
// direction of the scan (exclusive: larger ones, or smaller ones if Reverse). Limit bounds their
// number unless 0. Reverse goes from the last key to the first.
type Range struct {
	Prefix, After string
	Limit         int
	Reverse       bool
	// KeysOnly says that keys and revisions are all that is wanted: the data may be missing.
	KeysOnly bool
}

// Bounds are the keys of the range as an interval: from lo, up to but without hi. An empty hi is
// no bound. Limit and direction are not part of it.
func (r Range) Bounds() (lo, hi string) {
	lo, hi = r.Prefix, prefixEnd(r.Prefix)
	switch {
	case r.After == "":
	case r.Reverse && (hi == "" || r.After < hi):
		hi = r.After
	case !r.Reverse && r.After >= lo:
		lo = r.After + "\x00" // the next possible key
	}
	return lo, hi
}

// prefixEnd is the smallest string above all that start with prefix, or "" if there is none.
func prefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}
