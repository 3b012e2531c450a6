package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Patched is the scenario with a patch of its fix applied. The error is a *FormatError if what
// comes of it is no scenario.
func (s *Scenario) Patched(patch []Edit) (*Scenario, error) {
	src := s.source
	if src == nil { // it was made, not read
		var err error
		if src, err = s.Encode(); err != nil {
			return nil, err
		}
	}
	data, err := patched(src, patch)
	if err != nil {
		return nil, err
	}
	return parse(data, true)
}

// patched applies a JSON Patch. Source: RFC 6902.
func patched(src []byte, patch []Edit) ([]byte, error) {
	doc, err := ParseAny(src)
	if err != nil {
		return nil, err
	}
	for i, e := range patch {
		if doc, err = e.apply(doc); err != nil {
			return nil, fmt.Errorf("operation %d, %s %s: %w", i+1, e.Op, e.Path, err)
		}
	}
	return json.MarshalIndent(doc, "", " ")
}

// ParseAny decodes JSON, with its numbers as they are written.
func ParseAny(src []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

func (e *Edit) apply(doc any) (any, error) {
	path, err := pointer(e.Path)
	if err != nil {
		return nil, err
	}
	switch e.Op {
	case "add", "replace", "test":
		if e.Value == nil {
			return nil, fmt.Errorf("it has no value")
		}
		value, err := ParseAny(e.Value)
		if err != nil {
			return nil, err
		}
		switch e.Op {
		case "add":
			return add(doc, path, value)
		case "test":
			if got, err := get(doc, path); err != nil || !reflect.DeepEqual(got, value) {
				return nil, fmt.Errorf("the value is another")
			}
			return doc, nil
		}
		if doc, _, err = remove(doc, path); err != nil {
			return nil, err
		}
		return add(doc, path, value)
	case "remove":
		doc, _, err = remove(doc, path)
		return doc, err
	case "move", "copy":
		from, err := pointer(e.From)
		if err != nil {
			return nil, err
		}
		var value any
		if e.Op == "copy" {
			value, err = get(doc, from)
		} else {
			doc, value, err = remove(doc, from)
		}
		if err != nil {
			return nil, err
		}
		return add(doc, path, deepCopy(value))
	}
	return nil, fmt.Errorf("there is no such operation")
}

func deepCopy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			m[k] = deepCopy(x)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = deepCopy(x)
		}
		return l
	}
	return v
}

// pointer splits a JSON Pointer. Source: RFC 6901.
func pointer(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, fmt.Errorf("%q is not a JSON Pointer", s)
	}
	parts := strings.Split(s[1:], "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(parts[i], "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// index is the place in a list that a part of a pointer means; end allows the place after the last.
func index(part string, n int, end bool) (int, error) {
	if part == "-" && end {
		return n, nil
	}
	i, err := strconv.Atoi(part)
	if err != nil || strconv.Itoa(i) != part || i < 0 || i > n || i == n && !end {
		return 0, fmt.Errorf("there is no item %s in a list of %d", part, n)
	}
	return i, nil
}

func get(v any, path []string) (any, error) {
	for _, part := range path {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[part]
			if !ok {
				return nil, fmt.Errorf("there is no member %s", part)
			}
			v = next
		case []any:
			i, err := index(part, len(x), false)
			if err != nil {
				return nil, err
			}
			v = x[i]
		default:
			return nil, fmt.Errorf("there is nothing below %s", part)
		}
	}
	return v, nil
}

// descend changes the value that holds the last part of the path, and puts the changed one back.
func descend(v any, path []string, change func(parent any, last string) (any, error)) (any, error) {
	if len(path) == 1 {
		return change(v, path[0])
	}
	inner, err := get(v, path[:1])
	if err != nil {
		return nil, err
	}
	if inner, err = descend(inner, path[1:], change); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case map[string]any:
		x[path[0]] = inner
	case []any:
		i, err := index(path[0], len(x), false)
		if err != nil {
			return nil, err
		}
		x[i] = inner
	}
	return v, nil
}

func add(doc any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	return descend(doc, path, func(parent any, last string) (any, error) {
		switch x := parent.(type) {
		case map[string]any:
			x[last] = value
			return x, nil
		case []any:
			i, err := index(last, len(x), true)
			if err != nil {
				return nil, err
			}
			return slices.Insert(x, i, value), nil
		}
		return nil, fmt.Errorf("there is nothing to add %s to", last)
	})
}

func remove(doc any, path []string) (_, removed any, _ error) {
	if len(path) == 0 {
		return nil, doc, nil
	}
	doc, err := descend(doc, path, func(parent any, last string) (any, error) {
		var err error
		if removed, err = get(parent, []string{last}); err != nil {
			return nil, err
		}
		switch x := parent.(type) {
		case map[string]any:
			delete(x, last)
			return x, nil
		case []any:
			i, err := index(last, len(x), false)
			if err != nil {
				return nil, err
			}
			return slices.Delete(x, i, i+1), nil
		}
		return parent, nil
	})
	return doc, removed, err
}
