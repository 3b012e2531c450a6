package trail

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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
func Parameters(in any) json.RawMessage {
	if in == nil {
		return nil
	}
	out, ok := appendValue(nil, reflect.ValueOf(in))
	if !ok || out[0] != '{' || len(out) == len("{}") {
		return nil
	}
	return out
}

// appendValue appends a value as JSON; ok is false, and nothing appended, for what must not or need
// not be shown.
func appendValue(b []byte, v reflect.Value) (out []byte, ok bool) {
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
		return appendValue(b, v.Elem())
	case reflect.Struct:
		return appendStruct(b, v), true
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return b, false
		}
		return appendList(b, v), true
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String {
			return b, false
		}
		return appendMap(b, v), true
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

func appendStruct(b []byte, v reflect.Value) []byte {
	t := v.Type()
	b = append(b, '{')
	for i := range t.NumField() {
		f := v.Field(i)
		if k := f.Kind(); (k == reflect.Pointer || k == reflect.Slice || k == reflect.Map) && f.IsNil() {
			continue // most are: asking for their names would cost more than all else
		}
		field := t.Field(i)
		if !field.IsExported() {
			continue
		}
		before := len(b)
		if b[before-1] != '{' {
			b = append(b, ',')
		}
		b = appendString(b, lowerCamel(field.Name))
		b = append(b, ':')
		value := len(b)
		b, _ = appendValue(b, f)
		switch {
		case len(b) == value:
			b = b[:before]
		case masked(field.Name):
			b = append(b[:value], hidden...)
		}
	}
	return append(b, '}')
}

// masked members are credentials, or parts of them, that the models do not call sensitive.
func masked(name string) bool {
	return name == "GrantTokens" || name == "GrantToken" || name == "SessionToken"
}

func appendList(b []byte, v reflect.Value) []byte {
	b = append(b, '[')
	for i := range v.Len() {
		before := len(b)
		if b[before-1] != '[' {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = appendValue(b, v.Index(i)); !ok {
			b = b[:before]
		}
	}
	return append(b, ']')
}

func appendMap(b []byte, v reflect.Value) []byte {
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
		if b, ok = appendValue(b, v.MapIndex(k)); !ok {
			b = b[:before]
		}
	}
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	out, _ := jsontext.AppendQuote(b, s) // bad UTF-8 is replaced and reported: replaced is enough
	return out
}

// lowerCamel makes keyId of KeyId and aWSAccountId of AWSAccountId, as CloudTrail does.
func lowerCamel(name string) string { return strings.ToLower(name[:1]) + name[1:] }
