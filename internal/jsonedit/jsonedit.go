// Package jsonedit changes JSON text at a place and leaves every other byte as it is: order of
// members, spaces, line ends. What it adds is laid out like what stands beside it.
//
// Source: RFC 6902, "JavaScript Object Notation (JSON) Patch"; RFC 6901 for the places.
package jsonedit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A span is a part of a text.
type span struct{ start, end int }

// A node is a value of a text.
type node struct {
	span
	kind  jsontext.Kind
	names []string // of the members of an object
	keys  []span   // of the members' names
	items []node   // of an object or array
}

// parse reads one value with what is in it.
func parse(src []byte) (node, error) {
	d := jsontext.NewDecoder(bytes.NewReader(src))
	n, err := read(d, src)
	if err != nil {
		return node{}, err
	}
	if rest := bytes.TrimSpace(src[n.end:]); len(rest) > 0 {
		return node{}, errors.New("there is something after the value")
	}
	return n, nil
}

func read(d *jsontext.Decoder, src []byte) (node, error) {
	var n node
	tok, err := d.ReadToken()
	if err != nil {
		return n, err
	}
	n.kind, n.end = tok.Kind(), int(d.InputOffset())
	switch n.kind {
	case '{', '[':
		n.start = n.end - 1
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			if n.kind == '{' {
				name, err := d.ReadToken()
				if err != nil {
					return n, err
				}
				n.names = append(n.names, name.String())
				end := int(d.InputOffset())
				n.keys = append(n.keys, span{start(src, end), end})
			}
			item, err := read(d, src)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		if _, err := d.ReadToken(); err != nil {
			return n, err
		}
		n.end = int(d.InputOffset())
	case '"':
		n.start = start(src, n.end)
	default:
		n.start = n.end
		for n.start > 0 && !strings.ContainsRune(" \t\r\n:,[", rune(src[n.start-1])) {
			n.start--
		}
	}
	return n, nil
}

// start is where the string begins that ends at a place.
func start(src []byte, end int) int {
	for i := end - 2; i >= 0; i-- {
		if src[i] != '"' {
			continue
		}
		slashes := 0
		for j := i - 1; j >= 0 && src[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return 0
}

// Line is the line, from 1, of the value at a JSON Pointer, or of the innermost value around it that
// is there; 0 if the text is no JSON.
func Line(src []byte, pointer string) int {
	n, err := parse(src)
	if err != nil {
		return 0
	}
	path, _ := split(pointer)
	at := n.start
	for _, part := range path {
		i, ok := n.child(part)
		if !ok {
			break
		}
		n = n.items[i]
		at = n.start
	}
	return 1 + bytes.Count(src[:at], []byte("\n"))
}

// Value is the text of the value at a JSON Pointer.
func Value(src []byte, pointer string) ([]byte, error) {
	n, err := parse(src)
	if err != nil {
		return nil, err
	}
	path, err := split(pointer)
	if err != nil {
		return nil, err
	}
	for _, part := range path {
		i, ok := n.child(part)
		if !ok {
			return nil, fmt.Errorf("there is nothing at %s", pointer)
		}
		n = n.items[i]
	}
	return src[n.start:n.end], nil
}

func (n *node) child(part string) (int, bool) {
	if n.kind == '{' {
		i := slices.Index(n.names, part)
		return i, i >= 0
	}
	i, err := strconv.Atoi(part)
	return i, err == nil && n.kind == '[' && i >= 0 && i < len(n.items) && strconv.Itoa(i) == part
}

func split(pointer string) ([]string, error) {
	if pointer == "" {
		return nil, nil
	}
	if pointer[0] != '/' {
		return nil, fmt.Errorf("%q is not a JSON Pointer", pointer)
	}
	parts := strings.Split(pointer[1:], "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(parts[i], "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// Apply does one operation of a JSON Patch: add, replace or remove.
func Apply(src []byte, op, pointer string, value []byte) ([]byte, error) {
	root, err := parse(src)
	if err != nil {
		return nil, err
	}
	path, err := split(pointer)
	switch {
	case err != nil:
		return nil, err
	case len(path) == 0:
		return nil, errors.New("the whole text is not a part of it")
	case op != "remove" && !json.Valid(value):
		return nil, errors.New("the value is not JSON")
	}
	parent := root
	for _, part := range path[:len(path)-1] {
		i, ok := parent.child(part)
		if !ok {
			return nil, fmt.Errorf("there is nothing at %s", pointer)
		}
		parent = parent.items[i]
	}
	last := path[len(path)-1]
	i, there := parent.child(last)
	switch {
	case op == "replace" && there, op == "add" && there && parent.kind == '{':
		at := parent.items[i]
		return splice(src, at.span, laidOut(src, value, indentAt(src, at.start), multiline(src, at))), nil
	case op == "remove" && there:
		return remove(src, parent, i), nil
	case op == "add" && parent.kind == '{':
		name, _ := json.Marshal(last) // strings always encode
		return insert(src, parent, len(parent.items), append(name, ": "...), value), nil
	case op == "add" && parent.kind == '[' && (there || last == "-" || last == strconv.Itoa(len(parent.items))):
		if !there {
			i = len(parent.items)
		}
		return insert(src, parent, i, nil, value), nil
	}
	return nil, fmt.Errorf("cannot %s at %s", op, pointer)
}

func splice(src []byte, at span, text []byte) []byte {
	return slices.Concat(src[:at.start], text, src[at.end:])
}

// multiline reports whether the items of a value stand on lines of their own; of a value without
// items, whether the text has lines at all.
func multiline(src []byte, n node) bool {
	if len(n.items) == 0 {
		return bytes.IndexByte(bytes.TrimSpace(src), '\n') >= 0
	}
	return bytes.IndexByte(src[n.start:n.first(0)], '\n') >= 0
}

// first is where an item begins, with its name.
func (n *node) first(i int) int {
	if n.kind == '{' {
		return n.keys[i].start
	}
	return n.items[i].start
}

// indentAt is the white space at the start of the line of a place.
func indentAt(src []byte, at int) string {
	line := src[bytes.LastIndexByte(src[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// unit is one step of indentation: that of the first indented line.
func unit(src []byte) string {
	for line := range bytes.Lines(src) {
		if rest := bytes.TrimLeft(line, " \t"); len(rest) < len(line) && len(bytes.TrimSpace(rest)) > 0 {
			return string(line[:len(line)-len(rest)])
		}
	}
	return "  "
}

// newline is how lines end.
func newline(src []byte) string {
	if bytes.Contains(src, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// laidOut is a value as it is to stand at an indentation.
func laidOut(src, value []byte, indent string, lines bool) []byte {
	var b bytes.Buffer
	if lines {
		_ = json.Indent(&b, value, indent, unit(src)) // it is valid
		return bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte(newline(src)))
	}
	_ = json.Compact(&b, value)
	return b.Bytes()
}

// insert puts a value before the item i, or after all.
func insert(src []byte, parent node, i int, name, value []byte) []byte {
	lines := multiline(src, parent)
	indent := indentAt(src, parent.start) + unit(src)
	if len(parent.items) > 0 && lines {
		indent = indentAt(src, parent.first(0))
	}
	text := slices.Concat(name, laidOut(src, value, indent, lines && value[0] != '"'))
	gap := " "
	if lines {
		gap = newline(src) + indent
	}
	switch {
	case len(parent.items) == 0:
		if lines {
			return splice(src, span{parent.start + 1, parent.end - 1}, slices.Concat([]byte(gap), text, []byte(newline(src)+indentAt(src, parent.start))))
		}
		return splice(src, span{parent.start + 1, parent.end - 1}, text)
	case i == len(parent.items):
		at := parent.items[i-1].end
		return splice(src, span{at, at}, slices.Concat([]byte(","+gap), text))
	}
	at := parent.first(i)
	return splice(src, span{at, at}, slices.Concat(text, []byte(","+gap)))
}

// remove takes an item away, with the comma after it or, of the last, before it.
func remove(src []byte, parent node, i int) []byte {
	switch {
	case len(parent.items) == 1:
		return splice(src, span{parent.start + 1, parent.end - 1}, nil)
	case i == len(parent.items)-1:
		return splice(src, span{parent.items[i-1].end, parent.items[i].end}, nil)
	}
	return splice(src, span{parent.first(i), parent.first(i + 1)}, nil)
}
