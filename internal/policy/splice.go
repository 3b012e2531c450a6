package policy

import (
	"bytes"
	"slices"
	"strings"
)

// InsertValue returns the document's text with a value added after the last of one of its lists,
// such as Statement.Actions. Every other byte stays; a value that is no list gets brackets around
// it, and the new one is laid out like the last. ok is false if the list is empty.
func (d *Document) InsertValue(list []Text, value string) (_ []byte, ok bool) {
	if len(list) == 0 {
		return nil, false
	}
	first, last := list[0].Pos, list[len(list)-1].Pos
	added := separator(d.Source, list) + string(quoted(value))
	out := slices.Clone(d.Source)
	if !inList(d.Source, first.Start) {
		added += "]"
		out = slices.Insert(out, first.Start, '[')
		last.End++
	}
	return slices.Insert(out, last.End, []byte(added)...), true
}

// DeleteValue returns the document's text without a value of one of its lists, which must be all
// that is in brackets there. Every other byte stays. ok is false if it is the only one.
func (d *Document) DeleteValue(list []Text, i int) (_ []byte, ok bool) {
	spans := make([]Pos, len(list))
	for j := range list {
		spans[j] = list[j].Pos
	}
	return d.cut(spans, i)
}

// DeleteStatement returns the document's text without a statement. Every other byte stays. ok is
// false if it is the only one.
func (d *Document) DeleteStatement(i int) (_ []byte, ok bool) {
	spans := make([]Pos, len(d.Statements))
	for j := range d.Statements {
		spans[j] = d.Statements[j].Pos
	}
	return d.cut(spans, i)
}

// cut takes one of several values of a list away, with the comma and the space on one of its sides.
func (d *Document) cut(spans []Pos, i int) ([]byte, bool) {
	switch {
	case len(spans) < 2:
		return nil, false
	case i == 0:
		return slices.Delete(slices.Clone(d.Source), spans[0].Start, spans[1].Start), true
	}
	return slices.Delete(slices.Clone(d.Source), spans[i-1].End, spans[i].End), true
}

// inList reports whether the value that begins at a place is in a list.
func inList(src []byte, at int) bool {
	before := bytes.TrimRight(src[:at], " \t\r\n")
	return len(before) > 0 && (before[len(before)-1] == '[' || before[len(before)-1] == ',')
}

// separator is what stands between the values of a list, or would.
func separator(src []byte, list []Text) string {
	last := list[len(list)-1].Pos
	if len(list) > 1 {
		between := string(src[list[len(list)-2].Pos.End:last.Start])
		if strings.Trim(between, " \t\r\n") == "," {
			return between
		}
	}
	if indent, ok := indentation(src, last.Start); ok && inList(src, last.Start) {
		return "," + newline(src) + indent
	}
	return ", "
}
