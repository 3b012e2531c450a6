package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A site is a statement with its place in the scenario.
type site struct {
	path  string      // of the statement
	name  speech.Text // in sentences
	kind  string      // of a change there
	st    *policy.Statement
	raw   map[string]any // as written
	alone bool           // the document has no other
	match authz.Match
}

// siteOf finds the statement of a match. ok is false for documents that are not the scenario's.
func (o *outcome) siteOf(a *answer, m authz.Match) (_ site, ok bool) {
	w := o.world
	part := &a.request.Parts[a.part]
	try := func(path, kind string, name speech.Text, doc *authz.Document, src format.Document) (site, bool) {
		if doc == nil || doc.Source == nil || doc.Name != m.Document {
			return site{}, false
		}
		parsed, _ := format.ParseAny(src)
		top, _ := parsed.(map[string]any)
		for i := range doc.Source.Statements {
			st := &doc.Source.Statements[i]
			if st.Pos != m.Pos {
				continue
			}
			s := site{path: path + "/Statement", kind: kind, st: st, match: m, alone: true, name: speech.Say("statement %q of %s", m.Sid, name)}
			if all, list := top["Statement"].([]any); list {
				s.path += "/" + itoa(i)
				s.alone = len(all) == 1
				s.raw, _ = all[i].(map[string]any)
			} else {
				s.raw, _ = top["Statement"].(map[string]any)
			}
			return s, s.raw != nil
		}
		return site{}, false
	}
	org := func(a *account, kind string, levels [][]*authz.Document, policies []format.OrgPolicy) (site, bool) {
		for _, level := range levels {
			for j, doc := range level {
				if j < len(policies) {
					path := fmt.Sprintf("/accounts/%d/%s/%d/policy", a.at, strings.TrimPrefix(kind, "edit-")+"s", j)
					if s, ok := try(path, kind, speech.Say("the organization's policy %s", policies[j].Name), doc, policies[j].Policy); ok {
						return s, true
					}
				}
			}
		}
		return site{}, false
	}
	switch m.Layer {
	case authz.LayerResource:
		if a.key != nil && a.key.at >= 0 {
			path, src := w.policyOf(a.key)
			return try(path, "edit-key-policy", speech.Say("the key policy of %s", a.key.ARN()), part.Policy, src)
		}
	case authz.LayerIdentity, authz.LayerBoundary:
		i, ok := w.principals[a.who.name]
		if !ok {
			return site{}, false
		}
		p := &w.sc.Principals[i]
		if m.Layer == authz.LayerBoundary {
			return try(fmt.Sprintf("/principals/%d/boundary", i), "edit-boundary", speech.Say("the permissions boundary of %s", p.ARN), a.request.Boundary, p.Boundary)
		}
		for j, doc := range a.request.Identity {
			if j < len(p.Policies) {
				if s, ok := try(fmt.Sprintf("/principals/%d/policies/%d/policy", i, j), "edit-identity-policy", speech.Say("policy %s of %s", p.Policies[j].Name, p.ARN), doc, p.Policies[j].Policy); ok {
					return s, true
				}
			}
		}
	case authz.LayerSCP:
		if acc := w.accounts[a.who.principal.Account]; acc != nil {
			return org(acc, "edit-scp", acc.scps, acc.SCPs)
		}
	case authz.LayerRCP:
		if acc := w.accounts[part.Resource.Account]; acc != nil {
			return org(acc, "edit-rcp", acc.rcps, acc.RCPs)
		}
	}
	return site{}, false
}

// corrections are changes of what is there already: a mistake put right, a deny narrowed.
func (o *outcome) corrections(f *failing) []change {
	a := f.answer
	part := a.refused()
	var out []change
	if part.Outcome == authz.ExplicitDeny {
		for _, m := range part.Matched {
			if s, ok := o.siteOf(a, m); ok && m.Effect == policy.Deny {
				out = append(out, o.narrowed(a, &s)...)
			}
		}
		return out
	}
	for _, m := range part.Missed {
		s, ok := o.siteOf(a, m.Match)
		if !ok || m.Effect != policy.Allow {
			continue
		}
		switch m.Reason {
		case authz.MissAction:
			out = append(out, misspelt(&s, part.Action)...)
		case authz.MissCondition:
			out = append(out, corrected(&s, &m)...)
		case authz.MissPrincipal, authz.MissDeadPrincipal:
			out = append(out, renamed(&s, a)...)
		}
	}
	return out
}

// misspelt corrects an action that matches none and was meant to match the refused one.
func misspelt(s *site, action string) []change {
	var out []change
	for i, t := range s.st.Actions {
		if matchesAny(t.Value) {
			continue
		}
		meant := ""
		switch {
		case matches(t.Value+"*", action):
			meant = t.Value + "*"
		case lint.Distance(strings.ToLower(t.Value), strings.ToLower(action), 3) < 3:
			meant = action
		default:
			continue
		}
		path := s.path + "/Action"
		if _, many := s.raw["Action"].([]any); many {
			path += "/" + itoa(i)
		}
		out = append(out, change{kind: s.kind, family: "correct", summary: speech.Say("Write %s in the place of %s, which matches no action, in %s.", meant, t.Value, s.name),
			edits: []format.Edit{edit("replace", path, meant)}})
	}
	return out
}

// matchesAny reports whether a pattern matches an action. Of services that are not in the table
// nothing is known, so anything does.
func matchesAny(pattern string) bool {
	prefix, name, ok := strings.Cut(pattern, ":")
	service, known := actions.Load().Service(prefix)
	if !ok || !known {
		return true
	}
	if !strings.ContainsAny(name, "*?") {
		_, known := service.Action(name)
		return known
	}
	for _, a := range service.Actions() {
		if matches(name, a.Name) {
			return true
		}
	}
	return false
}

// matches compares with a pattern of stars and question marks, without regard to case.
func matches(pattern, text string) bool { return glob(strings.ToLower(pattern), strings.ToLower(text)) }

func glob(p, t string) bool {
	for p != "" {
		switch p[0] {
		case '*':
			for i := 0; i <= len(t); i++ {
				if glob(p[1:], t[i:]) {
					return true
				}
			}
			return false
		case '?':
			if t == "" {
				return false
			}
		default:
			if t == "" || t[0] != p[0] {
				return false
			}
		}
		p, t = p[1:], t[1:]
	}
	return t == ""
}

// correctable are the condition keys whose value in a policy is a mistake if it is not that of the
// launch: they follow from where the key and its account are.
var correctable = []string{"kms:viaservice", "kms:calleraccount", "aws:requestedregion", "aws:principalaccount", "aws:sourceaccount"}

// corrected puts the value of the request into a condition, or takes away one that only services
// meet where a principal asks directly.
func corrected(s *site, m *authz.Miss) []change {
	key := strings.ToLower(m.Key)
	switch {
	case key == "kms:grantisforawsresource" && m.Present && !m.Got.Multi && m.Got.One == "false":
		c := withoutCondition(s, m, "correct", speech.Say("Drop the condition %s in %s: nobody but a service meets it.", m.Key, s.name))
		c.opens = []speech.Text{speech.Say("Whoever the statement is for can make grants without a service between, for anybody.")}
		return []change{c}
	case key == "aws:principalarn" && m.Present && !m.Got.Multi && !m.Got.Unknown && !strings.Contains(m.Operator, "Not"):
		return repathed(s, m)
	case !slices.Contains(correctable, key) || !m.Present || m.Got.Multi || m.Got.Unknown || strings.Contains(m.Operator, "Not"):
		return nil
	}
	path, value, ok := conditionAt(s, m.Operator, m.Key)
	if !ok {
		return nil
	}
	c := change{kind: s.kind, family: "correct", summary: speech.Say("Write %s for %s in %s.", m.Got.One, m.Key, s.name)}
	if _, many := value.([]any); many {
		c.edits = []format.Edit{edit("add", path+"/-", m.Got.One)}
		c.summary = speech.Say("Add %s to %s in %s.", m.Got.One, m.Key, s.name)
	} else {
		c.edits = []format.Edit{edit("replace", path, m.Got.One)}
	}
	return []change{c}
}

// repathed writes the ARN of a role in the place of one that lacks its path, in a condition.
func repathed(s *site, m *authz.Miss) []change {
	path, have, ok := conditionAt(s, m.Operator, m.Key)
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
				path += "/" + itoa(i)
			}
			return []change{{kind: s.kind, family: "correct", summary: speech.Say("Write %s in the place of %s in %s.", m.Got.One, wrong, s.name),
				edits: []format.Edit{edit("replace", path, m.Got.One)}}}
		}
	}
	return nil
}

// samePerson reports whether an ARN is that of a role but for its path or partition.
func samePerson(wrong, role string) bool {
	a, err := arn.Parse(role)
	if err != nil || a.Type() != "role" || wrong == role || strings.ContainsAny(wrong, "*?$") {
		return false
	}
	_, rest, _ := strings.Cut(wrong, ":iam::"+a.Account+":role/")
	return rest != "" && rest[strings.LastIndexByte(rest, '/')+1:] == role[strings.LastIndexByte(role, '/')+1:]
}

// conditionAt is the place of a condition as it is written.
func conditionAt(s *site, operator, key string) (path string, value any, ok bool) {
	all, _ := s.raw["Condition"].(map[string]any)
	for op, v := range all {
		keys, _ := v.(map[string]any)
		for k, value := range keys {
			if op == operator && strings.EqualFold(k, key) {
				return s.path + "/Condition/" + escape(op) + "/" + escape(k), value, true
			}
		}
	}
	return "", nil, false
}

// withoutCondition takes a condition away.
func withoutCondition(s *site, m *authz.Miss, family string, summary speech.Text) change {
	path, _, ok := conditionAt(s, m.Operator, m.Key)
	if !ok {
		return change{}
	}
	all := s.raw["Condition"].(map[string]any)
	if keys, _ := all[m.Operator].(map[string]any); len(keys) == 1 {
		path = s.path + "/Condition"
		if len(all) > 1 {
			path += "/" + escape(m.Operator)
		}
	}
	return change{kind: s.kind, family: family, summary: summary, edits: []format.Edit{edit("remove", path, nil)}}
}

// loosened are the last resort: a condition that is false is taken away.
func (o *outcome) loosened(f *failing) []change {
	part := f.answer.refused()
	if part.Outcome == authz.ExplicitDeny {
		return nil
	}
	var out []change
	for _, m := range part.Missed {
		s, ok := o.siteOf(f.answer, m.Match)
		if !ok || m.Effect != policy.Allow || m.Reason != authz.MissCondition {
			continue
		}
		c := withoutCondition(&s, &m, "loosen", speech.Say("Drop the condition %s %s in %s.", m.Operator, m.Key, s.name))
		c.opens = []speech.Text{speech.Say("Every request that the condition keeps out of the statement now.")}
		if len(c.edits) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// renamed writes the role in the place of the service that it belongs to, or of a unique id that
// nobody has any more.
func renamed(s *site, a *answer) []change {
	role := a.who.name
	if s.st.Principal == nil {
		return nil
	}
	for _, t := range s.st.Principal.Service {
		if linked(role) && strings.Contains(role, ":role"+arn.ServiceLinkedPath(t.Value)) {
			return []change{{kind: s.kind, family: "correct",
				summary: speech.Say("Name the role %s in the place of the service %s in %s.", role, t.Value, s.name),
				edits:   []format.Edit{edit("replace", s.path+"/Principal", map[string]any{"AWS": role})}}}
		}
	}
	var out []change
	for _, t := range s.st.Principal.AWS {
		if samePerson(t.Value, role) {
			for _, e := range replaceStrings(s.path+"/Principal", format.Document(encode(s.raw["Principal"])), t.Value, role) {
				out = append(out, change{kind: s.kind, family: "correct", summary: speech.Say("Write %s in the place of %s in %s.", role, t.Value, s.name), edits: []format.Edit{e}})
			}
		}
		if policy.IsUniqueID(t.Value) && a.who.principal.Type != authz.Root {
			for _, e := range replaceStrings(s.path, format.Document(encode(s.raw)), t.Value, role) {
				out = append(out, change{kind: s.kind, family: "correct",
					summary: speech.Say("Name %s in the place of %s, the unique id of a principal that was deleted, in %s.", role, t.Value, s.name), edits: []format.Edit{e}})
			}
		}
	}
	return out
}

// narrowed are ways to except the request from a deny, the narrowest first.
func (o *outcome) narrowed(a *answer, s *site) []change {
	part := &a.request.Parts[a.part]
	out := s.listed(part.Context)
	add := func(summary speech.Text, operator, key, value string) {
		if edits := s.condition(operator, key, value); len(edits) > 0 {
			out = append(out, change{kind: s.kind, family: "narrow", summary: speech.Say("%s in %s.", summary, s.name), edits: edits})
		}
	}
	// Of what is no grant the key is not in the request: IfExists leaves that denied.
	grants := func() {
		if value(part.Context, "kms:grantisforawsresource") == "true" {
			operator := "Bool"
			if !s.only(grantActions) {
				operator = "BoolIfExists"
			}
			add(speech.Say("Except grants that are made for AWS services"), operator, "kms:GrantIsForAWSResource", "false")
		}
	}
	via := func() {
		if value(part.Context, "aws:viaawsservice") == "true" {
			add(speech.Say("Except calls that AWS services make"), "BoolIfExists", "aws:ViaAWSService", "false")
		}
	}
	who := func() {
		switch {
		case a.who.principal.Type == authz.Service:
			add(speech.Say("Except what AWS services do by themselves"), "BoolIfExists", "aws:PrincipalIsAWSService", "false")
		case a.who.name == arn.InfrastructureRole(a.who.principal.Account):
			add(speech.Say("Except the role with which instances open their volumes"), "ArnNotLike", "aws:PrincipalArn", infrastructure)
		default:
			add(speech.Say("Except %s", a.who.name), "ArnNotLike", "aws:PrincipalArn", a.who.name)
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
	for i, t := range s.st.Actions {
		if all, many := s.raw["Action"].([]any); many && len(all) > 1 && strings.EqualFold(t.Value, part.Action) {
			out = append(out, change{kind: s.kind, family: "narrow", summary: speech.Say("Leave %s out of %s.", t.Value, s.name),
				edits: []format.Edit{edit("remove", s.path+"/Action/"+itoa(i), nil)}})
		}
	}
	if !s.alone {
		out = append(out, change{kind: s.kind, family: "narrow", summary: speech.Say("Remove %s.", s.name), edits: []format.Edit{edit("remove", s.path, nil)},
			opens: []speech.Text{speech.Say("All else that the statement denies, to whomever other statements allow it.")}})
	}
	return out
}

// grantActions are those whose requests have kms:GrantIsForAWSResource.
var grantActions = []string{"kms:creategrant", "kms:listgrants", "kms:revokegrant"}

// only reports whether a statement is about some actions alone.
func (s *site) only(names []string) bool {
	return len(s.st.Actions) > 0 && !slices.ContainsFunc(s.st.Actions, func(t policy.Text) bool { return !slices.Contains(names, strings.ToLower(t.Value)) })
}

// covers reports whether a statement is about an action.
func (s *site) covers(action string) bool {
	is := func(t policy.Text) bool { return matches(t.Value, action) }
	if len(s.st.NotActions) > 0 {
		return !slices.ContainsFunc(s.st.NotActions, is)
	}
	return slices.ContainsFunc(s.st.Actions, is)
}

// asks reports whether a statement has a condition on a key.
func (s *site) asks(key string) bool {
	all, _ := s.raw["Condition"].(map[string]any)
	for _, v := range all {
		keys, _ := v.(map[string]any)
		for k := range keys {
			if strings.EqualFold(k, key) {
				return true
			}
		}
	}
	return false
}

// listed puts the service or Region of the launch among those that a deny leaves out.
func (s *site) listed(c authz.Context) []change {
	var out []change
	all, _ := s.raw["Condition"].(map[string]any)
	for _, operator := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(operator, "StringNot") {
			continue
		}
		keys, _ := all[operator].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			got := value(c, key)
			if got == "" || !slices.Contains(correctable, strings.ToLower(key)) {
				continue
			}
			if edits := s.condition(operator, key, got); len(edits) > 0 {
				out = append(out, change{kind: s.kind, family: "correct", summary: speech.Say("Add %s to %s in %s.", got, key, s.name), edits: edits})
			}
		}
	}
	return out
}

func value(c authz.Context, key string) string {
	out := ""
	for _, e := range c {
		if strings.EqualFold(e.Key, key) && !e.Multi && !e.Unknown {
			out = e.One
		}
	}
	return out
}

// condition adds a condition to the statement. One on the same key of an operator that excludes gets
// one more value.
func (s *site) condition(operator, key, text string) []format.Edit {
	all, ok := s.raw["Condition"].(map[string]any)
	if !ok {
		return []format.Edit{edit("add", s.path+"/Condition", map[string]any{operator: map[string]any{key: text}})}
	}
	if _, ok := all[operator].(map[string]any); !ok {
		return []format.Edit{edit("add", s.path+"/Condition/"+operator, map[string]any{key: text})}
	}
	path, have, ok := conditionAt(s, operator, key)
	switch {
	case !ok:
		return []format.Edit{edit("add", s.path+"/Condition/"+operator+"/"+escape(key), text)}
	case !strings.Contains(operator, "Not"):
		return nil
	}
	if _, many := have.([]any); many {
		return []format.Edit{edit("add", path+"/-", text)}
	}
	return []format.Edit{edit("replace", path, []any{have, text})}
}
