package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A plan of additions, one for each set of fixes that the engine names alike.
type additions struct {
	family string // kinds of change, or "documented"
	name   string // of the set, as the engine has it
	items  []addition
	opens  []speech.Text
	run    []speech.Text
}

// An addition is a statement for a document, or a grant on a key.
type addition struct {
	kind      string // of explain
	target    string // ARN of the key or principal, or the account
	statement map[string]any
	grant     *authz.Grant
}

// permissions add what the engine says would allow the request, and with it all that the launch
// would be refused to the same principal.
func (o *outcome) permissions(f *failing) []change {
	var sets []*additions
	for i, a := range o.refusalsTo(f) {
		fixes, _ := explain.Advise(&a.request, a.decision)
		for _, group := range bySet(fixes) {
			family := familyOf(group)
			at := slices.IndexFunc(sets, func(s *additions) bool { return s.family == family })
			if at < 0 {
				if i > 0 {
					continue // it would not help against the first
				}
				at = len(sets)
				sets = append(sets, &additions{family: family, name: group[0].Name})
			}
			for j := range group {
				sets[at].add(&a, &group[j])
			}
		}
	}
	var out []change
	for _, s := range sets {
		if c, ok := o.changeOf(s); ok {
			out = append(out, c)
		}
	}
	return out
}

// refusalsTo are the refused request and all others that the launch would meet as the same
// principal.
func (o *outcome) refusalsTo(f *failing) []answer {
	out := []answer{*f.answer}
	for i := range o.courses {
		for _, a := range o.courses[i].refusals {
			if a.err == nil && a.who.name == f.answer.who.name {
				out = append(out, a)
			}
		}
	}
	return out
}

// bySet splits fixes into those that are made together.
func bySet(fixes []explain.Fix) [][]explain.Fix {
	var out [][]explain.Fix
	for i, f := range fixes {
		if i == 0 || f.Set != fixes[i-1].Set || f.Part != fixes[i-1].Part {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], f)
	}
	return out
}

// familyOf names a set: as the engine does, or by what it changes.
func familyOf(set []explain.Fix) string {
	if set[0].Name == explain.Documented {
		return set[0].Name
	}
	var kinds []string
	for _, f := range set {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return strings.Join(kinds, "+")
}

// add takes a fix over. Statements that differ in their actions alone become one.
func (s *additions) add(a *answer, f *explain.Fix) {
	for _, text := range f.Opens {
		if !speech.Has(s.opens, text) && !strings.HasPrefix(text.String(), "Also ") {
			s.opens = append(s.opens, text)
		}
	}
	if !speech.Has(s.run, f.Run) {
		s.run = append(s.run, f.Run)
	}
	n := addition{kind: f.Kind, grant: f.Grant}
	switch f.Kind {
	case explain.KeyPolicy, explain.Grant:
		n.target = a.decision.Parts[f.Part].Resource
	case explain.IdentityPolicy, explain.Boundary:
		n.target = a.who.name
	case explain.ServiceControl:
		n.target = a.who.principal.Account
	}
	if n.grant != nil {
		s.addGrant(n)
		return
	}
	if f.Document == "" || json.Unmarshal([]byte(f.Document), &n.statement) != nil {
		s.items = append(s.items, n) // a kind of change that no statement is
		return
	}
	if a.request.Parts[f.Part].Resource.AWSManaged && n.statement["Resource"] == a.decision.Parts[f.Part].Resource {
		n.statement["Resource"] = "*" // the key may have to be made first, and then has another id
	}
	for i := range s.items {
		if m := &s.items[i]; m.kind == n.kind && m.target == n.target && m.statement != nil && sameButActions(m.statement, n.statement) {
			m.statement["Action"] = union(list(m.statement["Action"]), list(n.statement["Action"]))
			return
		}
	}
	s.items = append(s.items, n)
}

func (s *additions) addGrant(n addition) {
	g := *n.grant
	for i := range s.items {
		if m := s.items[i].grant; m != nil && s.items[i].target == n.target && m.Grantee == g.Grantee {
			m.Operations = keyrule.InGrantOrder(slices.Concat(m.Operations, g.Operations))
			return
		}
	}
	g.Operations = keyrule.InGrantOrder(g.Operations)
	n.grant = &g
	s.items = append(s.items, n)
}

func sameButActions(a, b map[string]any) bool {
	strip := func(m map[string]any) string {
		c := map[string]any{}
		for k, v := range m {
			if k != "Action" {
				c[k] = v
			}
		}
		return string(encode(c))
	}
	return strip(a) == strip(b)
}

func list(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// changeOf is a set of additions as a change of the scenario. ok is false if a part of it cannot
// be written there.
func (o *outcome) changeOf(s *additions) (_ change, ok bool) {
	c := change{family: s.family, opens: s.opens, run: s.run}
	if s.name != "" {
		c.family = s.name
	}
	var kinds []string
	var places []speech.Text
	allowed := map[string][]string{} // by place
	told := map[string]bool{}        // principals whose new policy is written: it has all their statements
	for _, item := range s.items {
		own := []any{item.statement}
		if item.kind == explain.IdentityPolicy {
			own = s.statements(item.target)
		}
		kind, place, edits := o.write(item, own, &c, told)
		if len(edits) == 0 && !(item.kind == explain.IdentityPolicy && told[item.target]) {
			return c, false
		}
		c.edits = append(c.edits, edits...)
		if kinds = union(kinds, []string{kind}); !speech.Has(places, place) {
			places = append(places, place)
		}
		allowed[place.String()] = union(allowed[place.String()], list(item.statement["Action"]))
	}
	c.kind = strings.Join(kinds, "+")
	for i, place := range places {
		if names := allowed[place.String()]; len(names) > 0 {
			places[i] = speech.Say("Allow %s %s", strings.Join(names, ", "), place)
		}
	}
	c.summary = speech.Sentences(places...)
	return c, len(c.edits) > 0
}

// statements are those of the identity policies of a principal.
func (s *additions) statements(principal string) []any {
	var out []any
	for _, n := range s.items {
		if n.kind == explain.IdentityPolicy && n.target == principal && n.statement != nil {
			out = append(out, n.statement)
		}
	}
	return out
}

// write is an addition as edits of the scenario, with the end of the sentence that tells of it. own are
// the statements that go into one document with it.
func (o *outcome) write(n addition, own []any, c *change, told map[string]bool) (kind string, place speech.Text, edits []format.Edit) {
	w := o.world
	who, _ := n.statement["Principal"].(map[string]any)
	switch n.kind {
	case explain.KeyPolicy:
		k := w.keys[n.target]
		if k == nil || k.at < 0 {
			return "", speech.Text{}, nil
		}
		path, doc := w.policyOf(k)
		c.commands = union(c.commands, []string{fmt.Sprintf("aws kms put-key-policy --region %s --key-id %s --policy-name default --policy file://policy.json", k.Region, n.target)})
		return "edit-key-policy", speech.Say("to %s in the key policy of %s.", strings.Join(list(who["AWS"]), ", "), n.target),
			addStatement(path, doc, n.statement)
	case explain.Grant:
		k := w.keys[n.target]
		if k == nil || k.at < 0 {
			return "", speech.Text{}, nil
		}
		return "add-grant", speech.Say("Create a grant on %s for %s.", n.target, n.grant.Grantee), []format.Edit{o.newGrant(k, n.grant, c)}
	case explain.IdentityPolicy:
		i, ok := w.principals[n.target]
		if !ok {
			return "", speech.Text{}, nil
		}
		kind, place = "edit-identity-policy", speech.Say("on %v in an identity policy of %s.", n.statement["Resource"], n.target)
		if told[n.target] {
			return kind, place, nil
		}
		told[n.target] = true
		doc := map[string]any{"Version": "2012-10-17", "Statement": own}
		name := freshName(w.sc.Principals[i].Policies)
		c.commands = append(c.commands, identityCommand(n.target, w.sc.Principals[i].Kind, name, doc))
		return kind, place, []format.Edit{edit("add", fmt.Sprintf("/principals/%d/policies/-", i), map[string]any{"name": name, "policy": doc})}
	case explain.Boundary:
		i, ok := w.principals[n.target]
		if !ok {
			return "", speech.Text{}, nil
		}
		return "edit-boundary", speech.Say("in the permissions boundary of %s.", n.target),
			addStatement(fmt.Sprintf("/principals/%d/boundary", i), w.sc.Principals[i].Boundary, n.statement)
	case explain.ServiceControl:
		a := w.accounts[n.target]
		if a == nil {
			return "", speech.Text{}, nil
		}
		for j, p := range a.SCPs {
			if p.AllowList {
				return "edit-scp", speech.Say("in the service control policy %s of account %s.", p.Name, n.target),
					addStatement(fmt.Sprintf("/accounts/%d/scps/%d/policy", a.at, j), p.Policy, n.statement)
			}
		}
	}
	return "", speech.Text{}, nil
}

// freshName names a new inline policy.
func freshName(have []format.InlinePolicy) string {
	name := "allow-launch-keys"
	for i := 2; slices.ContainsFunc(have, func(p format.InlinePolicy) bool { return p.Name == name }); i++ {
		name = fmt.Sprintf("allow-launch-keys-%d", i)
	}
	return name
}

func identityCommand(principal, kind, name string, doc any) string {
	short := principal[strings.LastIndexByte(principal, '/')+1:]
	what := "put-role-policy --role-name " + short
	if kind == format.KindUser {
		what = "put-user-policy --user-name " + short
	}
	return "aws iam " + what + " --policy-name " + name + " --policy-document " + quote(string(encode(doc)))
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// newGrant adds a grant to a key.
func (o *outcome) newGrant(k *key, g *authz.Grant, c *change) format.Edit {
	id := "new"
	for i := 2; slices.ContainsFunc(o.world.sc.Keys[k.at].Grants, func(h format.Grant) bool { return h.ID == id }); i++ {
		id = fmt.Sprintf("new-%d", i)
	}
	value := map[string]any{"id": id, "granteePrincipal": g.Grantee, "operations": g.Operations, "constraints": nil, "status": format.GrantActive}
	command := fmt.Sprintf("aws kms create-grant --region %s --key-id %s --grantee-principal %s --operations %s", k.Region, k.ARN(), g.Grantee, strings.Join(g.Operations, " "))
	if len(g.ContextSubset) > 0 {
		constraints := map[string]any{"EncryptionContextSubset": g.ContextSubset}
		value["constraints"] = map[string]any{"encryptionContextSubset": g.ContextSubset}
		command += " --constraints " + quote(string(encode(constraints)))
	}
	c.commands = append(c.commands, command)
	return edit("add", fmt.Sprintf("/keys/%d/grants/-", k.at), value)
}

// policyOf is where the policy of a key is written that is in force at the launch.
func (w *world) policyOf(k *key) (path string, doc format.Document) {
	path, doc = fmt.Sprintf("/keys/%d/policy", k.at), w.sc.Keys[k.at].Policy
	for i, st := range w.sc.Setup {
		if st.Call != format.CallCreateGrant && st.Params.Key == k.ARN() && k.policy != nil && k.policy.Source != nil &&
			string(k.policy.Source.Source) == st.Params.Policy.Compact() {
			path, doc = fmt.Sprintf("/setup/%d/params/policy", i), st.Params.Policy
		}
	}
	return path, doc
}

// addStatement adds a statement to a document at a place.
func addStatement(path string, doc format.Document, statement map[string]any) []format.Edit {
	parsed, _ := format.ParseAny(doc)
	m, _ := parsed.(map[string]any)
	switch m["Statement"].(type) {
	case []any:
		return []format.Edit{edit("add", path+"/Statement/-", statement)}
	case map[string]any:
		return []format.Edit{edit("replace", path+"/Statement", []any{m["Statement"], statement})}
	}
	return []format.Edit{edit("add", path+"/Statement", []any{statement})}
}

// replaceStrings writes a text in the place of another wherever a principal of a policy is it.
func replaceStrings(path string, doc format.Document, old, text string) []format.Edit {
	parsed, err := format.ParseAny(doc)
	if err != nil {
		return nil
	}
	var out []format.Edit
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range sortedNames(v) {
				walk(v[name], at+"/"+escape(name))
			}
		case []any:
			for i, x := range v {
				walk(x, at+"/"+itoa(i))
			}
		case string:
			if v == old && strings.Contains(at, "Principal/") {
				out = append(out, edit("replace", at, text))
			}
		}
	}
	walk(parsed, path)
	return out
}

func sortedNames(m map[string]any) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
