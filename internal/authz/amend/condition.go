package amend

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/speech"
)

// correctable are the condition keys whose value in a policy is a mistake if it is not that of the
// request: they follow from where the key and its account are.
var correctable = []string{"kms:viaservice", "kms:calleraccount", "aws:requestedregion", "aws:principalaccount", "aws:sourceaccount"}

// mistaken puts the value of the request into a condition, or takes away one that only services meet
// where a principal asks directly.
func (s *Statement) mistaken(m *authz.Miss) []Amendment {
	key := strings.ToLower(m.Key)
	if !m.Present || m.Got.Multi || m.Got.Unknown || strings.Contains(m.Operator, "Not") {
		return nil
	}
	switch {
	case key == "kms:grantisforawsresource" && m.Got.One == "false":
		edit, ok := s.without(m)
		if !ok {
			return nil
		}
		return []Amendment{{Kind: Loosen, Edits: []Edit{edit}, Summary: speech.Say("Drop the condition %s in %s: nobody but a service meets it.", m.Key, s.Name),
			Opens: []speech.Text{speech.Say("Whoever the statement is for can make grants without a service between, for anybody.")}}}
	case key == "aws:principalarn":
		return s.repathed(m)
	case !slices.Contains(correctable, key):
		return nil
	}
	path, have, ok := s.condition(m.Operator, m.Key)
	if !ok {
		return nil
	}
	text, _ := have.(string)
	switch _, many := have.([]any); {
	case many:
		return []Amendment{s.correction(speech.Say("Add %s to %s in %s.", m.Got.One, m.Key, s.Name), Edit{"add", path + "/-", m.Got.One})}
	case slip(key, text, m.Got.One):
		return []Amendment{s.correction(speech.Say("Write %s for %s in %s.", m.Got.One, m.Key, s.Name), Edit{"replace", path, m.Got.One})}
	}
	return []Amendment{s.correction(speech.Say("Add %s to %s in %s.", m.Got.One, m.Key, s.Name), Edit{"replace", path, []any{have, m.Got.One}})}
}

// slip reports whether a value was meant to be that of the request: the same service elsewhere, where
// nobody can use the key through it, or almost the same number. Another value has its own use.
func slip(key, have, got string) bool {
	if key == "kms:viaservice" {
		service, _, _ := strings.Cut(have, ".")
		return strings.HasPrefix(got, service+".")
	}
	return actions.Distance(have, got, 3) < 3
}

// repathed writes the ARN of a role in the place of one that lacks its path, in a condition.
func (s *Statement) repathed(m *authz.Miss) []Amendment {
	path, have, ok := s.condition(m.Operator, m.Key)
	if !ok {
		return nil
	}
	list, many := have.([]any)
	if !many {
		list = []any{have}
	}
	for i, v := range list {
		if wrong, _ := v.(string); samePerson(wrong, m.Got.One) {
			if many {
				path += "/" + strconv.Itoa(i)
			}
			return []Amendment{s.correction(speech.Say("Write %s in the place of %s in %s.", m.Got.One, wrong, s.Name), Edit{"replace", path, m.Got.One})}
		}
	}
	return nil
}

// condition is the place of a condition, and its value as it is written.
func (s *Statement) condition(operator, key string) (path string, value any, ok bool) {
	all, _ := s.raw["Condition"].(map[string]any)
	keys, _ := all[operator].(map[string]any)
	for k, value := range keys {
		if strings.EqualFold(k, key) {
			return "/Condition/" + escape(operator) + "/" + escape(k), value, true
		}
	}
	return "", nil, false
}

// escape makes a name a part of a JSON Pointer.
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// without takes a condition away, and what is empty without it.
func (s *Statement) without(m *authz.Miss) (_ Edit, ok bool) {
	path, _, ok := s.condition(m.Operator, m.Key)
	if !ok {
		return Edit{}, false
	}
	all := s.raw["Condition"].(map[string]any)
	if keys, _ := all[m.Operator].(map[string]any); len(keys) == 1 {
		path = "/Condition"
		if len(all) > 1 {
			path += "/" + escape(m.Operator)
		}
	}
	return Edit{Op: "remove", Path: path}, true
}

// Loosened takes away the condition that is false. ok is false if that is not why the statement does
// not apply.
func Loosened(s *Statement, m *authz.Miss) (_ Amendment, ok bool) {
	if m.Reason != authz.MissCondition {
		return Amendment{}, false
	}
	edit, ok := s.without(m)
	return Amendment{
		Kind: Loosen, Edits: []Edit{edit}, Summary: speech.Say("Drop the condition %s %s in %s.", m.Operator, m.Key, s.Name),
		Opens: []speech.Text{speech.Say("Every request that the condition keeps out of the statement now.")},
	}, ok
}
