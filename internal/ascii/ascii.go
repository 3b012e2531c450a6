// Package ascii looks at texts eight bytes at once.
package ascii

import "encoding/binary"

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// outside has the highest bit of bytes of w that are not printable ASCII, if there are such: it is there already, or comes from
// taking more from a byte than there was, which may set that of a byte above it too.
func outside(w uint64) uint64 {
	del := w ^ ones*0x7f
	return w | (w - ones*' ') | (del-ones)&^del
}

// Printable reports whether a text is of printable ASCII, spaces included.
func Printable(s string) bool {
	b := []byte(s) // not copied
	for ; len(b) >= 8; b = b[8:] {
		if outside(binary.LittleEndian.Uint64(b))&tops != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Quotable reports whether a text means itself between the quotation marks of JSON: whether it is of printable ASCII without those
// marks and backslashes.
func Quotable(s string) bool {
	b := []byte(s) // not copied
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		quote, slash := w^ones*'"', w^ones*'\\'
		if (outside(w)|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
