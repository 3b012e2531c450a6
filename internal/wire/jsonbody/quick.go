package jsonbody

import (
	"bytes"
	"reflect"

	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/b64"
)

const (
	quickText    = 2 << 10 // the longest text
	quickEntries = 16      // the most entries of a map
)

// A quick reads the bodies that nearly all requests have: an object with members that the structure has, each
// once, which are texts in plain ASCII without escapes, blobs, small numbers, flags and maps of texts. Of
// everything else, right or wrong, it says only that it is not this, and the decoder reads it from the
// beginning. What it reads, the decoder reads too, and the same.
type quick struct {
	rest []byte
}

// object reads the whole body into a structure. If it cannot, no member of the body is set.
func (q *quick) object(s *wire.Struct, v reflect.Value) bool {
	var seen uint64
	if q.members(s, v, &seen) {
		return true
	}
	for i := range s.Type.NumField() {
		if seen&(1<<i) != 0 {
			v.Field(i).SetZero()
		}
	}
	return false
}

// members reads the members, and notes which fields it tried.
func (q *quick) members(s *wire.Struct, v reflect.Value, seen *uint64) bool {
	for first := true; ; first = false {
		name, ok := q.name(first)
		if !ok {
			return false
		}
		f := s.Named(name)
		if f == nil || f.Index >= 64 || *seen&(1<<f.Index) != 0 {
			return false
		}
		*seen |= 1 << f.Index
		if !q.value(f, v.Field(f.Index)) {
			return false
		}
		if q.take('}') {
			return len(q.rest) == 0
		}
	}
}

// name reads what leads to the value of a member: a brace or a comma, the name and the colon.
func (q *quick) name(first bool) (name []byte, ok bool) {
	if first && !q.take('{') || !first && !q.take(',') {
		return nil, false
	}
	q.space()
	if name, ok = q.text(); !ok || !q.take(':') {
		return nil, false
	}
	q.space()
	return name, true
}

// take takes a character, if it is the next one.
func (q *quick) take(c byte) bool {
	if len(q.rest) == 0 || q.rest[0] != c {
		return false
	}
	q.rest = q.rest[1:]
	return true
}

// space takes a space, which some clients write after commas and colons.
func (q *quick) space() { q.take(' ') }

// quoted takes what is between two quotation marks, whatever it is.
func (q *quick) quoted() ([]byte, bool) {
	if !q.take('"') {
		return nil, false
	}
	end := bytes.IndexByte(q.rest, '"')
	if end < 0 {
		return nil, false
	}
	text := q.rest[:end]
	q.rest = q.rest[end+1:]
	return text, true
}

// text takes a text that means itself.
func (q *quick) text() ([]byte, bool) {
	text, ok := q.quoted()
	if !ok || len(text) > quickText {
		return nil, false
	}
	for _, c := range text {
		if c < ' ' || c > '~' || c == '\\' {
			return nil, false
		}
	}
	return text, true
}

func (q *quick) value(f *wire.Field, v reflect.Value) bool {
	switch n := f.Node; n.Kind {
	case wire.String:
		text, ok := q.text()
		if ok {
			n.Make(v).SetString(string(text))
		}
		return ok
	case wire.Blob:
		return q.blob(n.Make(v))
	case wire.Int:
		i, ok := q.number()
		if !ok || n.Type.Bits() < 32 {
			return false
		}
		n.Make(v).SetInt(i)
		return true
	case wire.Bool:
		if t := bytes.HasPrefix(q.rest, []byte("true")); t || bytes.HasPrefix(q.rest, []byte("false")) {
			q.rest = q.rest[len("true"):]
			n.Make(v).SetBool(t)
			return t || q.take('e')
		}
	case wire.Map:
		return q.entries(n, v)
	}
	return false
}

// blob takes base64 without line ends, of which the decoder says that they are no JSON.
func (q *quick) blob(v reflect.Value) bool {
	text, ok := q.quoted()
	if !ok || len(text)%4 != 0 {
		return false
	}
	size := len(text) / 4 * 3
	b := make([]byte, size)
	n, err := b64.Decode(b, text)
	if err != nil || n != size-len(text)+len(bytes.TrimRight(text, "=")) {
		clear(b)
		return false
	}
	v.SetBytes(b[:n:n])
	return true
}

// number takes a number of at most nine digits.
func (q *quick) number() (i int64, ok bool) {
	n := 0
	for n < len(q.rest) && '0' <= q.rest[n] && q.rest[n] <= '9' {
		i = 10*i + int64(q.rest[n]-'0')
		n++
	}
	if n == 0 || n > 9 || n > 1 && q.rest[0] == '0' || n == len(q.rest) || q.rest[n] != ',' && q.rest[n] != '}' {
		return 0, false
	}
	q.rest = q.rest[n:]
	return i, true
}

func (q *quick) entries(n *wire.Node, v reflect.Value) bool {
	if n.Type != reflect.TypeFor[map[string]string]() {
		return false
	}
	m := make(map[string]string)
	for first := true; ; first = false {
		name, ok := q.name(first)
		if !ok || len(m) == quickEntries {
			return false
		}
		if _, twice := m[string(name)]; twice {
			return false
		}
		value, ok := q.text()
		if !ok {
			return false
		}
		m[string(name)] = string(value)
		if q.take('}') {
			v.Set(reflect.ValueOf(m))
			return true
		}
	}
}
