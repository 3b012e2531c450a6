package org

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/directory"
)

// Types of management policies that have a rule of their own.
const (
	aiOptOut directory.PolicyType = "AISERVICES_OPT_OUT_POLICY"
	chatbot  directory.PolicyType = "CHATBOT_POLICY"
)

// Operators of management policies. Source: AWS Organizations User Guide, "Inheritance operators".
const (
	opAssign   = "@@assign"
	opAppend   = "@@append"
	opRemove   = "@@remove"
	opChildren = "@@operators_allowed_for_child_policies"
)

// outermost is the only member that a document of a type may have, "" where that is not known.
func outermost(t directory.PolicyType) string {
	switch t {
	case "TAG_POLICY":
		return "tags"
	case "BACKUP_POLICY":
		return "plans"
	case aiOptOut:
		return "services"
	case chatbot:
		return "chatbot"
	case "DECLARATIVE_POLICY_EC2":
		return "ec2_attributes"
	case securityHub:
		return "securityhub"
	}
	return ""
}

// parseManagement reads a management policy: objects in objects, with values below operators only.
func parseManagement(t directory.PolicyType, src string) (map[string]any, error) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(src), &doc); err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, fmt.Errorf("null is not a policy")
	}
	if only := outermost(t); only != "" {
		for k := range doc {
			if k != only && !strings.HasPrefix(k, "@@") {
				return nil, fmt.Errorf("policies of the type %s have no member %q", t, k)
			}
		}
	}
	return doc, checkSettings(doc, 0)
}

// maxSettings bounds how deep objects are in each other.
const maxSettings = 32

func checkSettings(o map[string]any, depth int) error {
	if depth > maxSettings {
		return fmt.Errorf("the policy is nested too deeply")
	}
	for k, v := range o {
		switch k {
		case opAssign:
			if _, ok := v.(map[string]any); ok {
				return fmt.Errorf("%s takes a value or a list of values", k)
			}
		case opAppend, opRemove:
			if slices.ContainsFunc(values(v), func(x any) bool { _, ok := x.(string); return !ok }) {
				return fmt.Errorf("%s takes texts", k)
			}
		case opChildren:
			for _, x := range values(v) {
				if s, _ := x.(string); !slices.Contains([]string{"@@all", "@@none", opAssign, opAppend, opRemove}, s) {
					return fmt.Errorf("%s does not take %v", k, x)
				}
			}
		default:
			inner, ok := v.(map[string]any)
			if !ok || strings.HasPrefix(k, "@@") {
				return fmt.Errorf("%q is neither an operator nor an object", k)
			}
			if err := checkSettings(inner, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// values are those of a list, or a single one.
func values(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// A setting is a node of an effective policy that is being put together from the root down.
type setting struct {
	inner map[string]*setting
	value any // nil: none
	// may is what policies further down may do here and below, as one said; nil: what may be done above.
	may []string
}

// inherit puts the policies of one level, in order of attachment, over those above. What a level forbids
// is forbidden to the levels below it.
// Source: AWS Organizations User Guide, "Understanding management policy inheritance".
func (s *setting) inherit(level []map[string]any) {
	for _, doc := range level {
		s.apply(doc, nil)
	}
	for _, doc := range level {
		s.forbid(doc)
	}
}

func (s *setting) apply(o map[string]any, may []string) {
	if s.may != nil {
		may = s.may
	}
	allowed := func(op string) bool {
		return may == nil || slices.Contains(may, "@@all") || slices.Contains(may, op)
	}
	if v, ok := o[opAssign]; ok && allowed(opAssign) {
		s.value = v
	}
	if v, ok := o[opAppend]; ok && allowed(opAppend) {
		var list []any
		if s.value != nil {
			list = slices.Clone(values(s.value))
		}
		for _, x := range values(v) {
			if !slices.Contains(list, x) {
				list = append(list, x)
			}
		}
		s.value = list
	}
	if v, ok := o[opRemove]; ok && allowed(opRemove) && s.value != nil {
		gone := values(v)
		s.value = slices.DeleteFunc(slices.Clone(values(s.value)), func(x any) bool { return slices.Contains(gone, x) })
	}
	for k, v := range o {
		if inner, ok := v.(map[string]any); ok {
			s.at(k).apply(inner, may)
		}
	}
}

func (s *setting) at(k string) *setting {
	if s.inner == nil {
		s.inner = map[string]*setting{}
	}
	if s.inner[k] == nil {
		s.inner[k] = &setting{}
	}
	return s.inner[k]
}

// forbid notes what the levels below may do. Only the first to say so is heard.
func (s *setting) forbid(o map[string]any) {
	if v, ok := o[opChildren]; ok && s.may == nil {
		s.may = []string{}
		for _, x := range values(v) {
			op, _ := x.(string)
			s.may = append(s.may, op)
		}
	}
	for k, v := range o {
		if inner, ok := v.(map[string]any); ok {
			s.at(k).forbid(inner)
		}
	}
}

// effective is the document without operators; nil if nothing is set.
func (s *setting) effective() any {
	if s.value != nil {
		return s.value
	}
	out := map[string]any{}
	for k, inner := range s.inner {
		if v := inner.effective(); v != nil {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
