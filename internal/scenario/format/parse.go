package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxSize is the size of the longest file that is read, in bytes.
const maxSize = 16 << 20

// A Problem is one way in which a file is not in the format.
type Problem struct {
	Line, Column int    // from 1, in characters
	Path         string // "keys[0].grants", or "" for the whole file
	Text         string
}

// String is the problem in one line.
func (p Problem) String() string {
	path := p.Path
	if path != "" {
		path += ": "
	}
	return fmt.Sprintf("%d:%d: %s%s", p.Line, p.Column, path, p.Text)
}

// A FormatError tells everything that is wrong with a file, in its order.
type FormatError struct{ Problems []Problem }

// Error is the problems, one a line.
func (e *FormatError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a scenario. The error is a *FormatError if data is not one.
func Parse(data []byte) (*Scenario, error) { return parse(data, false) }

// parse reads a scenario to which a patch of its fix may have been applied already.
func parse(data []byte, fixed bool) (*Scenario, error) {
	p := &parser{src: data, at: map[string]int{}, fixed: fixed}
	s := &Scenario{source: bytes.Clone(data)}
	if len(data) > maxSize {
		p.problem(0, "", "the file is longer than %d bytes", maxSize)
	} else if root, ok := p.tree(); ok {
		p.decode(root, reflect.ValueOf(s).Elem(), "")
		if len(p.problems) == 0 {
			p.check(s)
		}
	}
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, &FormatError{p.problems}
	}
	return s, nil
}

// A node is a JSON value with its place.
type node struct {
	kind    jsontext.Kind // 'n', 't', 'f', '"', '0', '{' or '['
	start   int
	raw     []byte // of all of the value
	text    string // of a string
	members []member
	items   []node
}

type member struct {
	name  string
	start int
	value node
}

type parser struct {
	src      []byte
	dec      *jsontext.Decoder
	at       map[string]int // where the value of a path begins
	fixed    bool           // its fix was applied
	problems []Problem
}

func (p *parser) problem(offset int, path, format string, args ...any) {
	before := p.src[:min(offset, len(p.src))]
	line := bytes.Count(before, []byte("\n"))
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	p.problems = append(p.problems, Problem{line + 1, column + 1, path, fmt.Sprintf(format, args...)})
}

// wrong is a problem of the value at a path that was decoded.
func (p *parser) wrong(path, format string, args ...any) {
	p.problem(p.at[path], path, format, args...)
}

// tooEarly is what is said of a file that is cut off.
const tooEarly = "the file ends too early"

// tree reads the whole file.
func (p *parser) tree() (node, bool) {
	p.dec = jsontext.NewDecoder(bytes.NewReader(p.src))
	n, err := p.value()
	if err == nil {
		if _, err = p.dec.ReadToken(); errors.Is(err, io.EOF) {
			return n, true
		} else if err == nil {
			err = errors.New("there is text after the scenario")
		}
	}
	offset := int(p.dec.InputOffset())
	text := err.Error()
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset = int(e.ByteOffset)
		text = "this is not JSON: " + e.Err.Error()
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			text = "a member of this name is there already"
		case errors.Is(err, io.ErrUnexpectedEOF):
			text = tooEarly
		}
	} else if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		text = tooEarly
	}
	p.problem(offset, "", "%s", text)
	return node{}, false
}

func (p *parser) value() (node, error) {
	kind := p.dec.PeekKind()
	if kind != '{' && kind != '[' {
		raw, err := p.dec.ReadValue()
		if err != nil {
			return node{}, err
		}
		n := node{kind: kind, raw: bytes.Clone(raw), start: int(p.dec.InputOffset()) - len(raw)}
		if kind == '"' {
			text, err := jsontext.AppendUnquote(nil, raw)
			n.text = string(text)
			return n, err
		}
		return n, nil
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return node{}, err
	}
	n := node{kind: kind, start: int(p.dec.InputOffset()) - 1}
	end := jsontext.Kind(kind + 2) // '}' and ']' follow their beginnings by two
	for p.dec.PeekKind() != end {
		var m member
		if kind == '{' {
			name, err := p.value()
			if err != nil {
				return n, err
			}
			m.name, m.start = name.text, name.start
		}
		v, err := p.value()
		if err != nil {
			return n, err
		}
		if m.value = v; kind == '{' {
			n.members = append(n.members, m)
		} else {
			n.items = append(n.items, v)
		}
	}
	_, err := p.dec.ReadToken()
	n.raw = p.src[n.start:p.dec.InputOffset()]
	return n, err
}

// kindName names a JSON type.
func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	}
	return "an array"
}

// decode puts a node into a value of the format's types.
func (p *parser) decode(n node, to reflect.Value, path string) {
	p.at[path] = n.start
	want := func(kind jsontext.Kind) bool {
		if n.kind == kind || kind == 't' && n.kind == 'f' {
			return true
		}
		p.problem(n.start, path, "this is %s, but must be %s", kindName(n.kind), kindName(kind))
		return false
	}
	switch v := to.Addr().Interface().(type) {
	case *Document:
		if want('{') {
			*v = Document(bytes.Clone(n.raw))
		}
		return
	case *Value:
		*v = Value(bytes.Clone(n.raw))
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		if n.kind != 'n' {
			to.Set(reflect.New(to.Type().Elem()))
			p.decode(n, to.Elem(), path)
		}
	case reflect.Struct:
		if want('{') {
			p.object(n, to, path)
		}
	case reflect.Slice:
		if want('[') {
			to.Set(reflect.MakeSlice(to.Type(), len(n.items), len(n.items)))
			for i, item := range n.items {
				p.decode(item, to.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	case reflect.Map:
		if want('{') {
			to.Set(reflect.MakeMap(to.Type()))
			for _, m := range n.members {
				v := reflect.New(to.Type().Elem()).Elem()
				p.decode(m.value, v, join(path, m.name))
				to.SetMapIndex(reflect.ValueOf(m.name), v)
			}
		}
	case reflect.String:
		if want('"') {
			to.SetString(n.text)
		}
	case reflect.Bool:
		if want('t') {
			to.SetBool(n.kind == 't')
		}
	default: // int32
		if want('0') {
			i, err := strconv.ParseInt(string(n.raw), 10, 32)
			if err != nil {
				p.problem(n.start, path, "this must be a whole number")
			}
			to.SetInt(i)
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// object decodes the members of a struct.
func (p *parser) object(n node, to reflect.Value, path string) {
	fields := map[string]int{}
	for i := range to.NumField() {
		if name, _, _ := strings.Cut(to.Type().Field(i).Tag.Get("json"), ","); name != "" {
			fields[name] = i
		}
	}
	seen := map[int]bool{}
	for _, m := range n.members {
		i, ok := fields[m.name]
		if !ok {
			p.problem(m.start, path, "the format has no member %q here", m.name)
			continue
		}
		seen[i] = true
		p.decode(m.value, to.Field(i), join(path, m.name))
	}
	for i := range to.NumField() {
		f := to.Type().Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !seen[i] && f.Tag.Get("format") != "opt" {
			p.problem(n.start, path, "the member %q is missing", name)
		}
	}
}
