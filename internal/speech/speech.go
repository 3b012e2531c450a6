package speech

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Language is one that the program speaks.
type Language uint8

// Languages.
const (
	English Language = iota
	Japanese
)

// String is the language's tag.
func (l Language) String() string { return [...]string{"en", "ja"}[l] }

// Parse reads a language: a tag, or a locale such as ja_JP.UTF-8.
//
// Source: POSIX, "Environment Variables", 8.2 (C and POSIX are the locale without a language).
func Parse(name string) (_ Language, ok bool) {
	tag := name
	if i := strings.IndexAny(tag, "_-.@"); i >= 0 {
		tag = tag[:i]
	}
	switch strings.ToLower(tag) {
	case "en", "c", "posix":
		return English, true
	case "ja":
		return Japanese, true
	}
	return English, false
}

// Environment is the language of the environment: that of the first of LC_ALL, LC_MESSAGES and LANG
// that is set, and English if it is another or none is.
func Environment(getenv func(string) string) Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			l, _ := Parse(v)
			return l
		}
	}
	return English
}

// A Text is something to say. The zero Text is "".
type Text struct {
	format string
	args   []any
	parts  []Text // instead of a format: said one after the other
	inside bool   // in a sentence: without a capital
}

// Say is a message: its English format, which is also its key in the catalogue, and what goes in.
// Arguments that are texts are said in the same language.
func Say(format string, args ...any) Text { return Text{format: format, args: args} }

// Raw is a text that is the same in every language.
func Raw(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{format: "%s", args: []any{s}}
}

// Join says texts one after the other, as they are.
func Join(parts ...Text) Text { return Text{parts: slices.DeleteFunc(slices.Clone(parts), Text.Empty)} }

// Sentences says sentences one after the other: with a space between them where the language has one.
func Sentences(texts ...Text) Text {
	var parts []Text
	for _, t := range texts {
		if t.Empty() {
			continue
		}
		if len(parts) > 0 {
			parts = append(parts, space)
		}
		parts = append(parts, t)
	}
	return Text{parts: parts}
}

// List says texts with a separator between them.
func List(sep string, texts ...Text) Text {
	var parts []Text
	for i, t := range texts {
		if i > 0 {
			parts = append(parts, Raw(sep))
		}
		parts = append(parts, t)
	}
	return Text{parts: parts}
}

// space separates sentences.
var space = Text{format: " "}

// Empty reports whether there is nothing to say.
func (t Text) Empty() bool { return t.format == "" && len(t.parts) == 0 }

// String is the text in English.
func (t Text) String() string { return t.In(English) }

// Inside is a text in the middle of a sentence: in English without the capital at its start.
func (t Text) Inside() Text { return Text{parts: []Text{t}, inside: true} }

// In is the text in a language. A message that the catalogue lacks is said in English.
func (t Text) In(l Language) string {
	if t.parts != nil {
		var b strings.Builder
		for _, p := range t.parts {
			b.WriteString(p.In(l))
		}
		if s := b.String(); !t.inside || l != English || s == "" {
			return s
		}
		return string(b.String()[0]|0x20) + b.String()[1:]
	}
	format := t.format
	if l == Japanese {
		if own, ok := japanese(format); ok {
			format = own
		}
	}
	if len(t.args) == 0 {
		return strings.ReplaceAll(format, "%%", "%")
	}
	args := make([]any, len(t.args))
	for i, a := range t.args {
		switch inner := a.(type) {
		case Text:
			a = inner.In(l)
		case written:
			a = inner.in(l)
		}
		args[i] = a
	}
	return fmt.Sprintf(format, args...)
}

// Equal reports whether two texts read the same.
func (t Text) Equal(o Text) bool { return t.String() == o.String() }

// MarshalText gives the text in English: programs read one language.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes a text that was written down; see [Written].
func (t *Text) UnmarshalText(text []byte) error {
	*t = Written(string(text))
	return nil
}

// All says each of some texts in a language.
func All(l Language, texts []Text) []string {
	var out []string
	for _, t := range texts {
		out = append(out, t.In(l))
	}
	return out
}

// Has reports whether a list has a text that reads the same.
func Has(list []Text, t Text) bool {
	s := t.String()
	return slices.ContainsFunc(list, func(x Text) bool { return x.String() == s })
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[#+]?\.?\d*([a-zA-Z%])`)

// Verbs are the verbs of a format by the argument that each prints, from 1: two formats with the
// same say the same.
func Verbs(format string) map[int]string {
	out, next := map[int]string{}, 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[2] == "%" {
			continue
		}
		if m[1] != "" {
			next, _ = strconv.Atoi(m[1])
		}
		out[next] = m[2]
		next++
	}
	return out
}

// Formats are the English formats of the catalogue, in order.
func Formats() []string {
	var out []string
	for _, part := range catalogue {
		for _, e := range part {
			out = append(out, e.en)
		}
	}
	slices.Sort(out)
	return out
}

// Translation is the Japanese format of an English one.
func Translation(format string) (string, bool) { return japanese(format) }
