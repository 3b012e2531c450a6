package policy

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// String is the effect as documents spell it, or "" for the zero value.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	}
	return ""
}

// Print writes the document as compact JSON in one canonical form: elements in the order of the
// documentation, Statement always a list, other lists of one as a bare value, absent and empty
// elements left out. Parsing the result gives the same document but for positions and source.
func (d *Document) Print() []byte {
	w := &printer{}
	w.buf.WriteByte('{')
	w.member("Version", d.Version)
	w.member("Id", d.ID)
	w.name("Statement")
	w.buf.WriteByte('[')
	for i := range d.Statements {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.statement(&d.Statements[i])
	}
	w.buf.WriteString("]}")
	return w.buf.Bytes()
}

type printer struct{ buf bytes.Buffer }

// name writes a member's name, after a comma unless the object has just begun.
func (w *printer) name(s string) {
	if b := w.buf.Bytes(); b[len(b)-1] != '{' {
		w.buf.WriteByte(',')
	}
	w.quote(s)
	w.buf.WriteByte(':')
}

func (w *printer) quote(s string) { w.buf.Write(quoted(s)) }

// quoted is s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func quoted(s string) []byte {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD")) // cannot fail any more
	}
	return b
}

func (w *printer) member(name, value string) {
	if value != "" {
		w.name(name)
		w.quote(value)
	}
}

func (w *printer) statement(s *Statement) {
	w.buf.WriteByte('{')
	w.member("Sid", s.Sid)
	w.member("Effect", s.Effect.String())
	w.principals("Principal", s.Principal)
	w.principals("NotPrincipal", s.NotPrincipal)
	w.list("Action", s.Actions)
	w.list("NotAction", s.NotActions)
	w.list("Resource", s.Resources)
	w.list("NotResource", s.NotResources)
	w.conditions(s.Conditions)
	w.buf.WriteByte('}')
}

func (w *printer) list(name string, values []Text) {
	if len(values) > 0 {
		w.name(name)
		w.values(values)
	}
}

func (w *printer) values(values []Text) {
	if len(values) == 1 {
		w.quote(values[0].Value)
		return
	}
	w.buf.WriteByte('[')
	for i, t := range values {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.quote(t.Value)
	}
	w.buf.WriteByte(']')
}

func (w *printer) principals(name string, p *Principals) {
	if p == nil {
		return
	}
	w.name(name)
	aws := p.AWS
	if p.Any {
		if len(p.AWS)+len(p.Service)+len(p.Federated)+len(p.Canonical) == 0 {
			w.quote("*")
			return
		}
		aws = append([]Text{{Value: "*"}}, aws...)
	}
	w.buf.WriteByte('{')
	w.list(string(PrincipalAWS), aws)
	w.list(string(PrincipalService), p.Service)
	w.list(string(PrincipalFederated), p.Federated)
	w.list(string(PrincipalCanonical), p.Canonical)
	w.buf.WriteByte('}')
}

// conditions writes the block; conditions under one operator share an object, wherever they stand.
func (w *printer) conditions(all []Condition) {
	if len(all) == 0 {
		return
	}
	w.name("Condition")
	w.buf.WriteByte('{')
	done := make(map[string]bool)
	for i := range all {
		op := all[i].Operator
		if done[op] {
			continue
		}
		done[op] = true
		w.name(op)
		w.buf.WriteByte('{')
		for _, c := range all[i:] {
			if c.Operator == op {
				w.name(c.Key)
				w.values(c.Values)
			}
		}
		w.buf.WriteByte('}')
	}
	w.buf.WriteByte('}')
}

// maxPrettyDepth bounds the indentation that a hostile document can ask for; no policy nests
// deeper than six levels.
const maxPrettyDepth = 32

// Pretty lays out JSON text as KMS stores its own policies: one member a line, two spaces a level,
// " : " after names, lists on one line. Scalars keep their text byte for byte. Text that is not
// one JSON value, nests deeper than 32 levels or is longer than [MaxSize] comes back unchanged.
//
// Source: KMS Developer Guide, "Default key policy" (its example's layout).
func Pretty(src []byte) []byte {
	if len(src) > MaxSize {
		return bytes.Clone(src)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(src))
	w := &prettyPrinter{dec: dec}
	if !w.value() {
		return bytes.Clone(src)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return bytes.Clone(src)
	}
	return w.buf.Bytes()
}

type prettyPrinter struct {
	dec    *jsontext.Decoder
	buf    bytes.Buffer
	indent int // depth in objects; lists add none
}

// value writes the next value and reports whether the text is good so far.
func (w *prettyPrinter) value() bool {
	if w.dec.StackDepth() >= maxPrettyDepth {
		return false
	}
	switch w.dec.PeekKind() {
	case '{':
		return w.object()
	case '[':
		return w.array()
	}
	v, err := w.dec.ReadValue()
	w.buf.Write(v)
	return err == nil
}

func (w *prettyPrinter) object() bool {
	if _, err := w.dec.ReadToken(); err != nil {
		return false
	}
	w.buf.WriteByte('{')
	w.indent++
	empty := true
	for ; w.dec.PeekKind() != '}'; empty = false {
		if !empty {
			w.buf.WriteByte(',')
		}
		w.newline()
		name, err := w.dec.ReadValue()
		if err != nil {
			return false
		}
		w.buf.Write(name)
		w.buf.WriteString(" : ")
		if !w.value() {
			return false
		}
	}
	w.indent--
	if empty {
		w.buf.WriteByte(' ')
	} else {
		w.newline()
	}
	w.buf.WriteByte('}')
	_, err := w.dec.ReadToken()
	return err == nil
}

func (w *prettyPrinter) array() bool {
	if _, err := w.dec.ReadToken(); err != nil {
		return false
	}
	w.buf.WriteByte('[')
	for i := 0; w.dec.PeekKind() != ']'; i++ {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.buf.WriteByte(' ')
		if !w.value() {
			return false
		}
	}
	w.buf.WriteString(" ]")
	_, err := w.dec.ReadToken()
	return err == nil
}

func (w *prettyPrinter) newline() {
	w.buf.WriteByte('\n')
	for range w.indent {
		w.buf.WriteString("  ")
	}
}
