package accessanalyzer

import (
	"strings"
)

// token stands for what a wildcard matches. No document names it, so a statement about single names
// does not match it, and one about all does.
const token = "kagimoriwitness"

// meet is a text that two patterns both match, in lower case if fold is set; ok is false if there is
// none. Where both have a star, it has the token.
func meet(a, b string, fold bool) (_ string, ok bool) {
	if fold {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	m := meeting{a: a, b: b, dead: map[[2]int]bool{}}
	out, ok := m.from(0, 0, nil)
	return string(out), ok
}

// maxPattern bounds the patterns that are compared: the longest ARN.
const maxPattern = 2048

type meeting struct {
	a, b string
	dead map[[2]int]bool // places from which there is no way to the end
}

// from continues a common text from a place in each pattern.
func (m *meeting) from(i, j int, text []byte) ([]byte, bool) {
	if len(m.a) > maxPattern || len(m.b) > maxPattern || m.dead[[2]int{i, j}] {
		return nil, false
	}
	a, b := at(m.a, i), at(m.b, j)
	if a == 0 && b == 0 {
		return text, true
	}
	var out []byte
	ok := false
	switch {
	case a == '*' && b == '*':
		text = append(text, token...)
		if out, ok = m.from(i+1, j, text); !ok {
			out, ok = m.from(i, j+1, text)
		}
	case a == '*':
		if out, ok = m.from(i+1, j, text); !ok && b != 0 {
			out, ok = m.from(i, j+1, append(text, letter(b)))
		}
	case b == '*':
		if out, ok = m.from(i, j+1, text); !ok && a != 0 {
			out, ok = m.from(i+1, j, append(text, letter(a)))
		}
	case a == 0 || b == 0:
	case a == '?':
		out, ok = m.from(i+1, j+1, append(text, letter(b)))
	case b == '?' || a == b:
		out, ok = m.from(i+1, j+1, append(text, letter(a)))
	}
	if !ok {
		m.dead[[2]int{i, j}] = true
	}
	return out, ok
}

func at(s string, i int) byte {
	if i >= len(s) {
		return 0
	}
	return s[i]
}

// letter is what a character of a pattern matches.
func letter(c byte) byte {
	if c == '?' {
		return 'x'
	}
	return c
}
