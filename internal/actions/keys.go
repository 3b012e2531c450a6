package actions

import (
	"maps"
	"slices"
	"strings"
)

// A Type is the type of a condition key's values.
type Type string

// Types.
const (
	String  Type = "String"
	Bool    Type = "Bool"
	Numeric Type = "Numeric"
	Date    Type = "Date"
	IP      Type = "IPAddress"
	ARN     Type = "ARN"
	// DateOrNumeric is that of aws:EpochTime alone.
	DateOrNumeric Type = "Date|Numeric"
)

// A Key is a condition key.
type Key struct {
	// Template is the key's name; what a policy fills in stands as a placeholder: aws:RequestTag/${TagKey}.
	Template string
	Type     Type
	// Multi reports that it may have several values, so that conditions on it need a set operator.
	Multi bool
	// Global reports that it is not a key of one service.
	Global bool
}

// A keySet finds keys by name.
type keySet struct {
	exact    map[string]Key // by name in lower case
	patterns []Key          // those with placeholders
}

func newKeySet(types map[string]string, global bool) *keySet {
	s := &keySet{exact: map[string]Key{}}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		k := Key{Template: name, Type: Type(types[name]), Global: global}
		if rest, ok := strings.CutPrefix(types[name], "ArrayOf"); ok {
			k.Type, k.Multi = Type(rest), true
		}
		if strings.Contains(name, "${") {
			s.patterns = append(s.patterns, k)
		} else {
			s.exact[strings.ToLower(name)] = k
		}
	}
	return s
}

func (s *keySet) find(name string) (Key, bool) {
	if k, ok := s.exact[strings.ToLower(name)]; ok {
		return k, true
	}
	for _, k := range s.patterns {
		if Fits(k.Template, name) {
			return k, true
		}
	}
	return Key{}, false
}

func (s *keySet) templates() []string {
	var out []string
	for _, k := range s.exact {
		out = append(out, k.Template)
	}
	for _, k := range s.patterns {
		out = append(out, k.Template)
	}
	slices.Sort(out)
	return out
}

// Key finds a condition key by the name that a policy gives it, in any case: a global one or one
// of a service in the table.
func (t *Table) Key(name string) (Key, bool) {
	if k, ok := t.global.find(name); ok {
		return k, true
	}
	if prefix, _, ok := strings.Cut(name, ":"); ok {
		if s, ok := t.services[strings.ToLower(prefix)]; ok {
			if k, ok := s.keys.find(name); ok {
				return k, true
			}
		}
	}
	for _, s := range []string{"sts", "iam"} { // keys of identity providers have no prefix of a service
		if k, ok := t.services[s].keys.find(name); ok {
			return k, true
		}
	}
	return Key{}, false
}

// GlobalKeys are the templates of the global condition keys, sorted.
func (t *Table) GlobalKeys() []string { return t.global.templates() }

// Global reports whether any request may carry a key, whatever the action. Keys of tags are global
// by name but depend on the action.
func (t *Table) Global(name string) bool {
	k, ok := t.global.find(name)
	return ok && !ofTags(k.Template)
}

func ofTags(template string) bool {
	switch template {
	case "aws:RequestTag/${TagKey}", "aws:ResourceTag/${TagKey}", "aws:TagKeys":
		return true
	}
	return false
}

// Fits reports whether a condition key is one that a template stands for. Names compare without
// regard to case.
func Fits(template, name string) bool {
	before, rest, ok := strings.Cut(template, "${")
	if !ok {
		return strings.EqualFold(template, name)
	}
	_, after, _ := strings.Cut(rest, "}")
	if len(name) < len(before) || !strings.EqualFold(name[:len(before)], before) {
		return false
	}
	name = name[len(before):]
	if after == "" {
		return name != ""
	}
	for i := 1; i < len(name); i++ { // a placeholder stands for at least one character
		if Fits(after, name[i:]) {
			return true
		}
	}
	return false
}
