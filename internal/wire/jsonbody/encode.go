package jsonbody

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/ascii"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/b64"
)

// Append writes a structure: an object with the members of the body that are present, in the order
// of the model.
func Append(dst []byte, s *wire.Struct, v reflect.Value) []byte {
	dst = append(dst, '{')
	first := true
	for i := range s.Fields {
		f := &s.Fields[i]
		fv := v.Field(f.Index)
		if f.Place != wire.Body || f.Absent(fv) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.JSON...)
		dst = appendValue(dst, f, f.Node, fv)
	}
	return append(dst, '}')
}

func appendValue(dst []byte, f *wire.Field, n *wire.Node, v reflect.Value) []byte {
	v = n.Get(v)
	switch n.Kind {
	case wire.Structure:
		return Append(dst, n.Struct, v)
	case wire.String:
		return AppendString(dst, v.String())
	case wire.Blob:
		dst = append(dst, '"')
		dst = b64.AppendEncode(dst, v.Bytes())
		return append(dst, '"')
	case wire.List:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, f, n.Elem, v.Index(i))
		}
		return append(dst, ']')
	case wire.Map:
		return appendMap(dst, f, n, v)
	case wire.Time:
		if !f.Epoch {
			dst = append(dst, '"')
			dst = f.Format(dst, n, v, false)
			return append(dst, '"')
		}
	case wire.Float:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			dst = append(dst, '"')
			dst = wire.AppendFloat(dst, x)
			return append(dst, '"')
		}
	}
	return f.Format(dst, n, v, false)
}

func appendMap(dst []byte, f *wire.Field, n *wire.Node, v reflect.Value) []byte {
	values := make(map[string]reflect.Value, v.Len())
	for it := v.MapRange(); it.Next(); {
		values[it.Key().String()] = it.Value()
	}
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, k)
		dst = append(dst, ':')
		dst = appendValue(dst, f, n.Elem, values[k])
	}
	return append(dst, '}')
}

// AppendString quotes a string; bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	if ascii.Quotable(s) {
		return append(append(append(dst, '"'), s...), '"')
	}
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		out, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}
