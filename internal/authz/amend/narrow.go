package amend

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// infrastructure is the instances' own role, in any account.
var infrastructure = strings.Replace(arn.InfrastructureRole("123456789012"), "123456789012", "*", 1)

// grantActions are those whose requests have kms:GrantIsForAWSResource.
var grantActions = []string{"kms:creategrant", "kms:listgrants", "kms:revokegrant"}

// Narrowings are ways to except a request from a statement that denies it, the narrowest first.
func Narrowings(s *Statement, part *authz.Part, p *authz.Principal) []Amendment {
	out := s.listed(part.Context)
	add := func(summary speech.Text, operator, key, value string) {
		if edit, ok := s.except(operator, key, value); ok {
			out = append(out, Amendment{Kind: Narrow, Summary: speech.Say("%s in %s.", summary, s.Name), Edits: []Edit{edit}})
		}
	}
	// Of what is no grant the key is not in the request: IfExists leaves that denied.
	grants := func() {
		if One(part.Context, "kms:grantisforawsresource") == "true" {
			operator := "Bool"
			if !s.only(grantActions) {
				operator = "BoolIfExists"
			}
			add(speech.Say("Except grants that are made for AWS services"), operator, "kms:GrantIsForAWSResource", "false")
		}
	}
	via := func() {
		if One(part.Context, "aws:viaawsservice") == "true" {
			add(speech.Say("Except calls that AWS services make"), "BoolIfExists", "aws:ViaAWSService", "false")
		}
	}
	who := func() {
		switch {
		case s.layer == authz.LayerIdentity, s.layer == authz.LayerBoundary, s.layer == authz.LayerSession: // it is about nobody else
		case p.Type == authz.Service:
			add(speech.Say("Except what AWS services do by themselves"), "BoolIfExists", "aws:PrincipalIsAWSService", "false")
		case name(p) == arn.InfrastructureRole(p.Account):
			add(speech.Say("Except the role with which instances open their volumes"), "ArnNotLike", "aws:PrincipalArn", infrastructure)
		case name(p) != "":
			add(speech.Say("Except %s", name(p)), "ArnNotLike", "aws:PrincipalArn", name(p))
		}
	}
	ways := []func(){grants, via, who}
	switch {
	case s.asks("aws:principalarn"): // it says whom it is not for
		ways = []func(){who, grants, via}
	case s.covers("kms:GenerateDataKeyWithoutPlaintext") || s.covers("kms:Decrypt"): // grants alone would not do
		ways = []func(){via, who, grants}
	}
	for _, way := range ways {
		way()
	}
	return append(out, s.smaller(part.Action)...)
}

// smaller takes an action out of the statement, or the statement out of the document.
func (s *Statement) smaller(action string) []Amendment {
	var out []Amendment
	for i, t := range s.parsed.Actions {
		if all, many := s.raw["Action"].([]any); many && len(all) > 1 && strings.EqualFold(t.Value, action) {
			out = append(out, Amendment{Kind: Narrow, Summary: speech.Say("Leave %s out of %s.", t.Value, s.Name),
				Edits: []Edit{{Op: "remove", Path: "/Action/" + strconv.Itoa(i)}}})
		}
	}
	if !s.Alone {
		out = append(out, Amendment{Kind: Narrow, Summary: speech.Say("Remove %s.", s.Name), Edits: []Edit{{Op: "remove"}},
			Opens: []speech.Text{speech.Say("All else that the statement denies, to whomever other statements allow it.")}})
	}
	return out
}

// only reports whether a statement is about some actions alone.
func (s *Statement) only(names []string) bool {
	return len(s.parsed.Actions) > 0 &&
		!slices.ContainsFunc(s.parsed.Actions, func(t policy.Text) bool { return !slices.Contains(names, strings.ToLower(t.Value)) })
}

// covers reports whether a statement is about an action.
func (s *Statement) covers(action string) bool {
	is := func(t policy.Text) bool { return actions.Match(t.Value, action) }
	if len(s.parsed.NotActions) > 0 {
		return !slices.ContainsFunc(s.parsed.NotActions, is)
	}
	return slices.ContainsFunc(s.parsed.Actions, is)
}

// asks reports whether a statement has a condition on a key.
func (s *Statement) asks(key string) bool {
	return slices.ContainsFunc(s.parsed.Conditions, func(c policy.Condition) bool { return strings.EqualFold(c.Key, key) })
}

// listed puts the service or Region of the request among those that a deny leaves out.
func (s *Statement) listed(c authz.Context) []Amendment {
	var out []Amendment
	all, _ := s.raw["Condition"].(map[string]any)
	for _, operator := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(operator, "StringNot") {
			continue
		}
		keys, _ := all[operator].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			got := One(c, key)
			if got == "" || !slices.Contains(correctable, strings.ToLower(key)) {
				continue
			}
			if edit, ok := s.except(operator, key, got); ok {
				out = append(out, s.correction(speech.Say("Add %s to %s in %s.", got, key, s.Name), edit))
			}
		}
	}
	return out
}

// except adds a condition to the statement. One on the same key of an operator that excludes gets one
// more value. ok is false if there is another one already.
func (s *Statement) except(operator, key, text string) (_ Edit, ok bool) {
	all, ok := s.raw["Condition"].(map[string]any)
	if !ok {
		return Edit{"add", "/Condition", map[string]any{operator: map[string]any{key: text}}}, true
	}
	if _, ok := all[operator].(map[string]any); !ok {
		return Edit{"add", "/Condition/" + escape(operator), map[string]any{key: text}}, true
	}
	path, have, ok := s.condition(operator, key)
	switch {
	case !ok:
		return Edit{"add", "/Condition/" + escape(operator) + "/" + escape(key), text}, true
	case !strings.Contains(operator, "Not"):
		return Edit{}, false
	}
	if _, many := have.([]any); many {
		return Edit{"add", path + "/-", text}, true
	}
	return Edit{"replace", path, []any{have, text}}, true
}
