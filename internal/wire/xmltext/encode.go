// Package xmltext writes and reads the XML of the query protocols' answers.
package xmltext

import (
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/wire"
)

// Open appends a start tag.
func Open(dst []byte, name string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	return append(dst, '>')
}

// Close appends an end tag.
func Close(dst []byte, name string) []byte {
	dst = append(dst, "</"...)
	dst = append(dst, name...)
	return append(dst, '>')
}

// Leaf appends an element with text.
func Leaf(dst []byte, name, text string) []byte {
	dst = Open(dst, name)
	dst = Escape(dst, text)
	return Close(dst, name)
}

// Escape appends text so that it reads back the same. Characters that XML cannot carry at all
// become U+FFFD.
func Escape(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '&':
				dst = append(dst, "&amp;"...)
			case c == '<':
				dst = append(dst, "&lt;"...)
			case c == '>':
				dst = append(dst, "&gt;"...)
			case c == '"':
				dst = append(dst, "&quot;"...)
			case c == '\r': // a bare one would be read as a newline
				dst = append(dst, "&#xD;"...)
			case c >= ' ' || c == '\n' || c == '\t':
				dst = append(dst, c)
			default:
				dst = append(dst, "\uFFFD"...)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0xFFFE || r == 0xFFFF {
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

// A Style is how a protocol's answers look.
type Style struct {
	Millis bool // times always have three decimals
}

// Structure appends the members of a structure in the order of the model. Absent members are
// left out; an empty list is an empty element.
func (st Style) Structure(dst []byte, s *wire.Struct, v reflect.Value) []byte {
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.Field(f.Index)
		if f.Absent(fv) {
			continue
		}
		switch f.Kind {
		case wire.List:
			dst = st.list(dst, f, fv)
		case wire.Map:
			dst = st.entries(dst, f, fv)
		default:
			dst = st.element(dst, f.XML, f, f.Node, fv)
		}
	}
	return dst
}

func (st Style) element(dst []byte, name string, f *wire.Field, n *wire.Node, v reflect.Value) []byte {
	v = n.Get(v)
	dst = Open(dst, name)
	switch n.Kind {
	case wire.Structure:
		dst = st.Structure(dst, n.Struct, v)
	case wire.String:
		dst = Escape(dst, v.String())
	default:
		dst = f.Format(dst, n, v, st.Millis)
	}
	return Close(dst, name)
}

func (st Style) list(dst []byte, f *wire.Field, v reflect.Value) []byte {
	item := f.Item
	if f.Flat {
		item = f.XML
	} else {
		if v.Len() == 0 {
			return append(append(append(dst, '<'), f.XML...), "/>"...)
		}
		dst = Open(dst, f.XML)
	}
	for i := range v.Len() {
		dst = st.element(dst, item, f, f.Elem, v.Index(i))
	}
	if f.Flat {
		return dst
	}
	return Close(dst, f.XML)
}

func (st Style) entries(dst []byte, f *wire.Field, v reflect.Value) []byte {
	entry := "entry"
	if f.Flat {
		entry = f.XML
	} else {
		dst = Open(dst, f.XML)
	}
	values := make(map[string]reflect.Value, v.Len())
	for it := v.MapRange(); it.Next(); {
		values[it.Key().String()] = it.Value()
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		dst = Open(dst, entry)
		dst = Leaf(dst, f.Key, k)
		dst = st.element(dst, f.Val, f, f.Elem, values[k])
		dst = Close(dst, entry)
	}
	if f.Flat {
		return dst
	}
	return Close(dst, f.XML)
}
