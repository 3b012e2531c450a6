package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// AppendStatements returns the text of a policy with statements, each a JSON object, added after
// its last one. Every byte of the text stays, in order; a single statement that is no list gets
// brackets around it. The new ones are laid out like the last: indented if that begins a line, on
// one line otherwise. ok is false if the text is no policy with statements or a new one is no JSON.
func AppendStatements(src []byte, statements ...[]byte) (_ []byte, ok bool) {
	d, _, err := parse(src, Resource)
	if err != nil || len(d.Statements) == 0 {
		return nil, false
	}
	first, last := d.Statements[0].Pos, d.Statements[len(d.Statements)-1].Pos
	indent, lines := indentation(src, last.Start)
	var added []byte
	for _, st := range statements {
		var b bytes.Buffer
		if lines {
			var text bytes.Buffer
			err = json.Indent(&text, bytes.TrimSpace(st), indent, "  ")
			b.WriteString("," + newline(src) + indent)
			b.Write(bytes.ReplaceAll(text.Bytes(), []byte("\n"), []byte(newline(src))))
		} else {
			b.WriteString(", ")
			err = json.Compact(&b, st)
		}
		if err != nil {
			return nil, false
		}
		added = append(added, b.Bytes()...)
	}
	out := slices.Clone(src)
	if isList := strings.HasPrefix(strings.TrimLeft(string(src[last.End:]), " \t\r\n"), "]"); !isList {
		out = slices.Insert(out, first.Start, '[')
		last.End++
		added = append(added, ']')
	}
	return slices.Insert(out, last.End, added...), true
}

// indentation is the white space before a place, if nothing else is before it on its line.
func indentation(src []byte, at int) (indent string, ok bool) {
	line := src[bytes.LastIndexByte(src[:at], '\n')+1 : at]
	return string(line), len(line) < at && len(bytes.TrimLeft(line, " \t")) == 0
}

// newline is how the text ends its lines.
func newline(src []byte) string {
	if bytes.Contains(src, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}
