package lint

import (
	"sort"
	"unicode/utf8"
)

// lines finds lines and columns.
type lines struct {
	src    []byte
	starts []int // offsets of the first bytes of lines
}

func newLines(src []byte) *lines {
	l := &lines{src: src, starts: []int{0}}
	for i, b := range src {
		if b == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

func (l *lines) point(offset int) Point {
	offset = min(max(offset, 0), len(l.src))
	n := sort.SearchInts(l.starts, offset+1) - 1
	return Point{Line: n + 1, Column: utf8.RuneCount(l.src[l.starts[n]:offset]) + 1}
}
