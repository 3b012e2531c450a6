package scenario

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/kagimori/kagimori/internal/secret"
)

// command is the aws command line for an operation.
func command(service, op, region string, in any) string {
	line := []string{"aws", service, kebab(op), "--region", region}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		value, ok := plain(v.Field(i))
		if !ok {
			continue
		}
		option := "--" + kebab(v.Type().Field(i).Name)
		switch value := value.(type) {
		case bool:
			if !value {
				option = "--no-" + option[2:]
			}
			line = append(line, option)
		case string:
			line = append(line, option, quote(value))
		case []any:
			line = append(line, option)
			for _, item := range value {
				line = append(line, quote(text(item)))
			}
		default:
			line = append(line, option, quote(text(value)))
		}
	}
	return strings.Join(line, " ")
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?" // nothing that plain makes
	}
	return string(b)
}

// plain is a member as JSON has it; ok is false if it is absent.
func plain(v reflect.Value) (_ any, ok bool) {
	switch x := v.Interface().(type) {
	case secret.String, *secret.String, secret.Bytes:
		return nil, false
	case *time.Time:
		if x == nil {
			return nil, false
		}
		return x.UTC().Format(time.RFC3339), true
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		return plain(v.Elem())
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			if x, ok := plain(v.Field(i)); ok {
				m[v.Type().Field(i).Name] = x
			}
		}
		return m, true
	case reflect.Slice:
		if v.IsNil() {
			return nil, false
		}
		list := []any{}
		for i := range v.Len() {
			if x, ok := plain(v.Index(i)); ok {
				list = append(list, x)
			}
		}
		return list, true
	case reflect.Map:
		return v.Interface(), !v.IsNil()
	}
	return v.Interface(), true
}

// kebab is how the command line writes the name of an operation or a member: a word begins at a
// capital before a small letter, and at the first capital after something else.
func kebab(name string) string {
	r := []rune(name)
	var out strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1]) && string(r[i+1:]) != "s") {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}

// quote is a word of a command line, for a shell.
func quote(s string) string {
	safe := func(c rune) bool {
		return c < 0x80 && (unicode.IsLetter(c) || unicode.IsDigit(c)) || strings.ContainsRune("-_./:=,@+", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !safe(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
