package idiom

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// Fields are what a kind of resource can be filtered by: names as AWS documents them, with the
// values that an item has. tag:KEY, tag-key and tag-value need no entry.
type Fields[T any] map[string]func(T) []string

// maxFilterValues is the most values that all filters of a request may have. Source: EC2 User
// Guide, "Find your Amazon EC2 resources".
const maxFilterValues = 200

// Filter compiles the filters of a request: an item passes if it matches one value of each.
// Names are taken with and without dashes, as AWS takes both isDefault and is-default. Values
// match case-sensitively, with * for any text, ? for one character and \ before what is literal.
// Source: EC2 API Reference, "Filter"; EC2 User Guide, "Find your Amazon EC2 resources".
func (f Fields[T]) Filter(in []ec2api.Filter) (func(item T, tags map[string]string) bool, error) {
	known := make(map[string]func(T) []string, len(f))
	for name, values := range f {
		known[plainName(name)] = values
	}
	var tests []func(T, map[string]string) bool
	total := 0
	for _, one := range in {
		name, patterns := api.Val(one.Name), one.Values
		if total += len(patterns); total > maxFilterValues {
			return nil, apierr.Newf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
		if name == "" {
			return nil, InvalidValue("The filter 'null' is invalid")
		}
		test, ok := tagFilter[T](name, patterns)
		if !ok {
			values, ok := known[plainName(name)]
			if !ok {
				return nil, InvalidValue("The filter '%s' is invalid", name)
			}
			test = func(item T, _ map[string]string) bool { return matchAny(patterns, values(item)...) }
		}
		tests = append(tests, test)
	}
	return func(item T, tags map[string]string) bool {
		for _, test := range tests {
			if !test(item, tags) {
				return false
			}
		}
		return true
	}, nil
}

func tagFilter[T any](name string, patterns []string) (func(T, map[string]string) bool, bool) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		return func(_ T, tags map[string]string) bool {
			value, ok := tags[key]
			return ok && matchAny(patterns, value)
		}, true
	}
	switch name {
	case "tag-key":
		return func(_ T, tags map[string]string) bool {
			for key := range tags {
				if matchAny(patterns, key) {
					return true
				}
			}
			return false
		}, true
	case "tag-value":
		return func(_ T, tags map[string]string) bool {
			for _, value := range tags {
				if matchAny(patterns, value) {
					return true
				}
			}
			return false
		}, true
	}
	return nil, false
}

// plainName makes is-default and isDefault the same.
func plainName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "")) }

func matchAny(patterns []string, values ...string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return Wildcard(p, v) })
	})
}

// Wildcard matches a text against a pattern of a filter, in time proportional to the product of
// their lengths.
func Wildcard(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(t) {
		if i < len(p) && p[i] == '*' {
			star, mark = i, j
			i++
			continue
		}
		if n, ok := step(p, i, t[j]); ok {
			i += n
			j++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		i, j = star+1, mark
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// step matches one character and says how long its pattern is.
func step(p []rune, i int, c rune) (int, bool) {
	switch {
	case i >= len(p):
		return 0, false
	case p[i] == '?':
		return 1, true
	case p[i] == '\\' && i+1 < len(p):
		return 2, p[i+1] == c
	}
	return 1, p[i] == c
}

// One is the value of a field that may be empty, which is no value then.
func One(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// Bool is the value of a field that is true or false.
func Bool(v bool) []string { return []string{strconv.FormatBool(v)} }

// Int is the value of a field that is a number.
func Int[N int | int32 | int64](v N) []string { return []string{strconv.FormatInt(int64(v), 10)} }

// Fixed are values that all items have.
func Fixed[T any](values ...string) func(T) []string { return func(T) []string { return values } }

// Each are the texts that items have.
func Each[T any](items []T, text func(T) *string) (out []string) {
	for _, item := range items {
		if v := text(item); v != nil {
			out = append(out, *v)
		}
	}
	return out
}

// Optional are the values of a filter on a member that may be absent.
func Optional[T any](p *T, values func(T) []string) []string {
	if p == nil {
		return nil
	}
	return values(*p)
}

// Keep keeps the items, which have no tags, that pass the filters.
func Keep[T any](f Fields[T], in []ec2api.Filter, items []T) ([]T, error) {
	passes, err := f.Filter(in)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(items, func(item T) bool { return !passes(item, nil) }), nil
}
