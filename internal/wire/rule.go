package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"regexp/syntax"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/api"
)

// A Rule is a compiled constraint of the model.
type Rule struct {
	min, max  *int64
	pattern   string
	match     func(string) bool // nil without a pattern
	values    []string
	enum      map[string]bool
	sensitive bool
}

func newRule(c *api.Constraint) (*Rule, error) {
	r := &Rule{min: c.Min, max: c.Max, pattern: c.Pattern, values: c.Enum, sensitive: c.Sensitive}
	if len(c.Enum) > 0 {
		r.enum = make(map[string]bool, len(c.Enum))
		for _, v := range c.Enum {
			r.enum[v] = true
		}
	}
	if c.Pattern != "" {
		var err error
		if r.match, err = CompilePattern(c.Pattern); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// A failure is a set of ways in which a value breaks a rule.
type failure uint8

const (
	tooLong failure = 1 << iota
	tooShort
	tooBig
	tooSmall
	noMatch
	notInEnum
)

// check finds what is wrong with a value that is present; v is behind the pointer.
func (r *Rule) check(kind Kind, v reflect.Value) failure {
	var size int64
	switch kind {
	case String:
		return r.checkString(v.String())
	case Int:
		n := v.Int()
		return r.bounds(n, tooSmall, tooBig)
	case Float:
		f := v.Float()
		switch {
		case r.min != nil && !(f >= float64(*r.min)):
			return tooSmall
		case r.max != nil && !(f <= float64(*r.max)):
			return tooBig
		}
		return 0
	case List, Map, Blob:
		size = int64(v.Len())
	default:
		return 0
	}
	return r.bounds(size, tooShort, tooLong)
}

func (r *Rule) checkString(s string) failure {
	if r.enum != nil && !r.enum[s] {
		return notInEnum
	}
	var f failure
	if r.min != nil || r.max != nil {
		f = r.bounds(int64(utf8.RuneCountInString(s)), tooShort, tooLong)
	}
	// A text that is too long is refused as it is: matching it would be work for nothing.
	if r.match != nil && f&tooLong == 0 && !r.match(s) {
		f |= noMatch
	}
	return f
}

func (r *Rule) bounds(n int64, low, high failure) failure {
	switch {
	case r.min != nil && n < *r.min:
		return low
	case r.max != nil && n > *r.max:
		return high
	}
	return 0
}

// tails are AWS's texts for the failures in f.
func (r *Rule) tails(f failure) []string {
	var out []string
	for _, x := range []struct {
		bit  failure
		text func() string
	}{
		{tooLong, func() string { return "Member must have length less than or equal to " + itoa(r.max) }},
		{tooShort, func() string { return "Member must have length greater than or equal to " + itoa(r.min) }},
		{tooBig, func() string { return "Member must have value less than or equal to " + itoa(r.max) }},
		{tooSmall, func() string { return "Member must have value greater than or equal to " + itoa(r.min) }},
		{noMatch, func() string { return "Member must satisfy regular expression pattern: " + r.pattern }},
		{notInEnum, func() string { return "Member must satisfy enum value set: [" + strings.Join(r.values, ", ") + "]" }},
	} {
		if f&x.bit != 0 {
			out = append(out, x.text())
		}
	}
	return out
}

// all is every constraint of the rule: for an element of a list AWS names them all, whichever
// of them failed.
func (r *Rule) all(kind Kind) string {
	var f failure
	low, high := tooShort, tooLong
	if kind == Int || kind == Float {
		low, high = tooSmall, tooBig
	}
	if r.max != nil {
		f |= high
	}
	if r.min != nil {
		f |= low
	}
	if r.match != nil {
		f |= noMatch
	}
	if r.enum != nil {
		f |= notInEnum
	}
	return "Member must satisfy constraint: [" + strings.Join(r.tails(f), ", ") + "]"
}

func itoa(n *int64) string { return strconv.FormatInt(*n, 10) }

// CompilePattern translates a pattern of the models, a Java regular expression, into a matcher
// of whole strings. Most patterns are one repeated character class and need no automaton.
func CompilePattern(pattern string) (func(string) bool, error) {
	expr, err := fromJava(pattern)
	if err != nil {
		return nil, err
	}
	expr = `\A(?:` + expr + `)\z`
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	if m := classMatcher(expr); m != nil {
		return m, nil
	}
	return re.MatchString, nil
}

// fromJava rewrites \uXXXX escapes. As in Java, \u takes exactly four digits (\u10000 is U+1000
// and a zero) and a surrogate pair is one character.
func fromJava(p string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(p); {
		if p[i] != '\\' {
			b.WriteByte(p[i])
			i++
			continue
		}
		if i+1 >= len(p) {
			return "", fmt.Errorf("pattern %q ends in a backslash", p)
		}
		if p[i+1] != 'u' {
			b.WriteString(p[i : i+2])
			i += 2
			continue
		}
		hi, err := unit(p, i)
		if err != nil {
			return "", err
		}
		i += 6
		switch {
		case hi >= 0xD800 && hi < 0xDC00:
			lo, err := unit(p, i)
			if err != nil || lo < 0xDC00 || lo > 0xDFFF {
				return "", fmt.Errorf("pattern %q has half a surrogate pair", p)
			}
			i += 6
			hi = 0x10000 + (hi-0xD800)<<10 + (lo - 0xDC00)
		case hi >= 0xDC00 && hi < 0xE000:
			return "", fmt.Errorf("pattern %q has half a surrogate pair", p)
		}
		fmt.Fprintf(&b, `\x{%X}`, hi)
	}
	return b.String(), nil
}

func unit(p string, i int) (uint64, error) {
	if i+6 > len(p) || p[i] != '\\' || p[i+1] != 'u' {
		return 0, fmt.Errorf("pattern %q: no \\uXXXX at %d", p, i)
	}
	return strconv.ParseUint(p[i+2:i+6], 16, 32)
}

// classMatcher is a matcher for \A[class]*\z and \A[class]+\z, or nil for other patterns.
func classMatcher(expr string) func(string) bool {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat {
		return nil
	}
	var body *syntax.Regexp
	for _, sub := range re.Sub {
		switch {
		case sub.Op == syntax.OpBeginText || sub.Op == syntax.OpEndText:
		case (sub.Op == syntax.OpStar || sub.Op == syntax.OpPlus) && sub.Sub[0].Op == syntax.OpCharClass && body == nil:
			body = sub
		default:
			return nil
		}
	}
	if body == nil {
		return nil
	}
	ranges := body.Sub[0].Rune
	var ascii [utf8.RuneSelf]bool
	for r := range ascii {
		ascii[r] = inRanges(ranges, rune(r))
	}
	needOne := body.Op == syntax.OpPlus
	return func(s string) bool {
		for i := 0; i < len(s); i++ {
			if s[i] >= utf8.RuneSelf {
				return inAll(ranges, s[i:])
			}
			if !ascii[s[i]] {
				return false
			}
		}
		return s != "" || !needOne
	}
}

func inAll(ranges []rune, s string) bool {
	for _, r := range s {
		if !inRanges(ranges, r) {
			return false
		}
	}
	return true
}

// inRanges looks r up in sorted pairs of bounds.
func inRanges(ranges []rune, r rune) bool {
	i := sort.Search(len(ranges)/2, func(i int) bool { return ranges[2*i+1] >= r })
	return 2*i < len(ranges) && ranges[2*i] <= r
}
