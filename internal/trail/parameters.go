package trail

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/ascii"
	"github.com/kagimori/kagimori/internal/secret"
)

// hidden stands for values that CloudTrail masks.
const hidden = `"HIDDEN_DUE_TO_SECURITY_REASONS"`

// timeFormat is how CloudTrail shows times inside parameters.
const timeFormat = "Jan 2, 2006, 3:04:05 PM"

var (
	secretBytes  = reflect.TypeFor[secret.Bytes]()
	secretString = reflect.TypeFor[secret.String]()
	timeType     = reflect.TypeFor[time.Time]()
)

// Parameters renders a request or response of a generated type as a record shows it: lower-camel
// names, absent members left out. Secrets and blobs are never in it; grant tokens and session
// tokens are masked. It is nil for nil and for values without members to show.
func Parameters(in any) json.RawMessage { return new(Shapes).Parameters(in) }

// Shapes remember the members of types, for who renders many values of each. The zero Shapes is ready.
// Safe for concurrent use.
type Shapes struct{ known sync.Map } // reflect.Type to []shown

// shown is a member that a record may show.
type shown struct {
	index  int
	key    string // `"name":`
	masked bool
}

// Parameters is [Parameters].
func (s *Shapes) Parameters(in any) json.RawMessage {
	if out := s.AppendParameters(make([]byte, 0, 128), in); len(out) > 0 {
		return out
	}
	return nil
}

// AppendParameters appends what [Parameters] gives, or nothing.
func (s *Shapes) AppendParameters(b []byte, in any) []byte {
	if in == nil {
		return b
	}
	n := len(b)
	out, ok := s.value(b, reflect.ValueOf(in))
	if !ok || out[n] != '{' || len(out) == n+len("{}") {
		return out[:n]
	}
	return out
}

// members are the members of a structure.
func (s *Shapes) members(t reflect.Type) []shown {
	if m, ok := s.known.Load(t); ok {
		return m.([]shown)
	}
	var m []shown
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			m = append(m, shown{i, string(appendString(nil, lowerCamel(f.Name))) + ":", masked(f.Name)})
		}
	}
	s.known.Store(t, m)
	return m
}

// value appends a value as JSON; ok is false, and nothing appended, for what must not or need
// not be shown.
func (s *Shapes) value(b []byte, v reflect.Value) (out []byte, ok bool) {
	switch v.Type() {
	case secretBytes, secretString:
		return b, false
	case timeType:
		return appendString(b, v.Interface().(time.Time).UTC().Format(timeFormat)), true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return b, false
		}
		return s.value(b, v.Elem())
	case reflect.Struct:
		return s.structure(b, v), true
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return b, false
		}
		return s.list(b, v), true
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String {
			return b, false
		}
		return s.entries(b, v), true
	case reflect.String:
		return appendString(b, v.String()), true
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(b, f, 'g', -1, 64), true
		}
	}
	return b, false
}

func (s *Shapes) structure(b []byte, v reflect.Value) []byte {
	b = append(b, '{')
	for _, m := range s.members(v.Type()) {
		f := v.Field(m.index)
		if k := f.Kind(); (k == reflect.Pointer || k == reflect.Slice || k == reflect.Map) && f.IsNil() {
			continue
		}
		before := len(b)
		if b[before-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, m.key...)
		value := len(b)
		b, _ = s.value(b, f)
		switch {
		case len(b) == value:
			b = b[:before]
		case m.masked:
			b = append(b[:value], hidden...)
		}
	}
	return append(b, '}')
}

// masked members are credentials, or parts of them, that the models do not call sensitive.
func masked(name string) bool {
	return name == "GrantTokens" || name == "GrantToken" || name == "SessionToken"
}

func (s *Shapes) list(b []byte, v reflect.Value) []byte {
	b = append(b, '[')
	for i := range v.Len() {
		before := len(b)
		if b[before-1] != '[' {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = s.value(b, v.Index(i)); !ok {
			b = b[:before]
		}
	}
	return append(b, ']')
}

func (s *Shapes) entries(b []byte, v reflect.Value) []byte {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	b = append(b, '{')
	for _, k := range keys {
		before := len(b)
		if b[before-1] != '{' {
			b = append(b, ',')
		}
		b = appendString(b, k.String())
		b = append(b, ':')
		var ok bool
		if b, ok = s.value(b, v.MapIndex(k)); !ok {
			b = b[:before]
		}
	}
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	if ascii.Quotable(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	out, _ := jsontext.AppendQuote(b, s) // bad UTF-8 is replaced and reported: replaced is enough
	return out
}

// lowerCamel makes keyId of KeyId and aWSAccountId of AWSAccountId, as CloudTrail does.
func lowerCamel(name string) string { return strings.ToLower(name[:1]) + name[1:] }
