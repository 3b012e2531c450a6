package tfplan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
)

// A document is a policy as far as it is known. Without raw and why there is none.
type document struct {
	raw     []byte
	why     string
	at      string // address of the resource that has it
	assumed string // what was taken for granted to know it
}

// document is the policy in an attribute.
func (m *model) document(r *resource, path ...any) document {
	d := document{at: r.addr}
	x := r.attr(path...)
	e, told := m.expr(r, path...)
	var f found
	if e != nil {
		m.follow(e, m.scope(r), wantDocument, 0, &f)
	}
	if len(f.targets) == 1 && f.targets[0].r != r {
		d.at = f.targets[0].r.addr // where it is written
	}
	switch s := x.string(); {
	case x.isSensitive():
		d.why = place(r, path) + x.why()
	case !x.isUnknown() && s == "", x.isUnknown() && told && e == nil:
	case !x.isUnknown() && (s[0] != '{' || !json.Valid([]byte(s))):
		d.why = place(r, path) + " is not a policy document"
	case !x.isUnknown():
		d.raw = []byte(s)
	case !told:
		d.why = place(r, path) + x.why()
	default:
		at := d.at
		d = m.unknownDocument(r, e, path)
		d.at = at
	}
	if d.why != "" && x.isUnknown() {
		if w, ok := m.written(r, path, false); ok {
			return w
		}
	}
	return d
}

// wantDocument wants what has a policy document.
var wantDocument = kinds(documentKind, "aws_iam_policy", "aws_kms_key_policy", "aws_kms_key")

const documentKind = "data.aws_iam_policy_document"

// unknownDocument is the document that an expression refers to.
func (m *model) unknownDocument(r *resource, e any, path []any) document {
	t, doubt, why := m.pick(r, e, wantDocument)
	var all found
	m.follow(e, m.scope(r), wantAny, 0, &all)
	open := slices.DeleteFunc(all.targets, func(t target) bool { return !t.r.attr(t.attr).isUnknown() || wantDocument(t.r.kind()) })
	var d document
	switch {
	case len(open) > 0:
		return document{why: fmt.Sprintf("%s is made of %s, in an expression that plans do not tell", place(r, path), open[0].r.addr)}
	case why != "":
		return document{why: place(r, path) + ": " + why}
	case t.r == nil:
		return document{} // none is written
	case t.r == r:
		return document{why: place(r, path) + " is not known before apply"}
	case t.r.kind() == documentKind:
		d = m.build(t.r)
	default:
		d = m.document(t.r, "policy")
	}
	if doubt != "" {
		d.assumed = place(r, path) + " is of " + t.r.addr + ": " + doubt
	}
	return d
}

// A statement is one of a document under construction.
type statement struct {
	Sid          string                    `json:",omitempty"`
	Effect       string                    `json:",omitempty"`
	Principal    any                       `json:",omitempty"`
	NotPrincipal any                       `json:",omitempty"`
	Action       any                       `json:",omitempty"`
	NotAction    any                       `json:",omitempty"`
	Resource     any                       `json:",omitempty"`
	NotResource  any                       `json:",omitempty"`
	Condition    map[string]map[string]any `json:",omitempty"`
}

// build puts a policy document together as its data source would after apply.
func (m *model) build(r *resource) document {
	if d, ok := m.documents[r]; ok {
		return d
	}
	m.documents[r] = document{why: r.addr + " refers to itself", at: r.addr}
	d := document{at: r.addr}
	if s := r.known("json"); s != "" {
		d.raw = []byte(s)
	} else {
		d.raw, d.why = m.assemble(r)
		d.assumed = strings.Join(r.assumed, "; ")
	}
	m.documents[r] = d
	return d
}

// assemble follows the provider: documents of source_policy_documents first, then the statements,
// then override_policy_documents; a statement takes the place of an earlier one of its Sid.
func (m *model) assemble(r *resource) ([]byte, string) {
	doc := struct {
		Version   string `json:",omitempty"`
		Id        string `json:",omitempty"`
		Statement []any
	}{Version: r.known("version"), Id: r.known("policy_id")}
	if doc.Version == "" {
		doc.Version = "2012-10-17"
	}
	put := func(sid string, st any) {
		if i := slices.IndexFunc(doc.Statement, func(old any) bool { return sid != "" && sidOf(old) == sid }); i >= 0 {
			doc.Statement[i] = st
			return
		}
		doc.Statement = append(doc.Statement, st)
	}
	merge := func(attr string) string {
		parts, why := m.parts(r, attr)
		for _, raw := range parts {
			var in struct{ Statement any }
			if err := json.Unmarshal(raw, &in); err != nil {
				return fmt.Sprintf("%s.%s is not a policy document", r.addr, attr)
			}
			list, ok := in.Statement.([]any)
			if !ok {
				list = []any{in.Statement}
			}
			for _, st := range list {
				put(sidOf(st), st)
			}
		}
		return why
	}
	for _, attr := range []string{"source_json", "source_policy_documents"} {
		if why := merge(attr); why != "" {
			return nil, why
		}
	}
	n, ok := r.attr("statement").length()
	if !ok {
		return nil, r.addr + ".statement is not known before apply"
	}
	for i := range n {
		st, why := m.statement(r, i)
		if why != "" {
			return nil, why
		}
		put(st.Sid, st)
	}
	for _, attr := range []string{"override_policy_documents", "override_json"} {
		if why := merge(attr); why != "" {
			return nil, why
		}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err.Error()
	}
	return raw, ""
}

func sidOf(st any) string {
	switch st := st.(type) {
	case *statement:
		return st.Sid
	case map[string]any:
		sid, _ := st["Sid"].(string)
		return sid
	}
	return ""
}

// parts are the documents that a document is made of.
func (m *model) parts(r *resource, attr string) (out [][]byte, why string) {
	x := r.attr(attr)
	if s, ok := x.v.(string); ok && s != "" {
		return [][]byte{[]byte(s)}, ""
	}
	n, ok := x.length()
	if !ok {
		if e, ok := m.expr(r, attr); ok && e == nil {
			return nil, ""
		}
		return nil, fmt.Sprintf("%s.%s is not known before apply", r.addr, attr)
	}
	var f found
	if e, ok := m.expr(r, attr); ok && e != nil {
		m.follow(e, m.scope(r), kinds(documentKind), 0, &f)
	}
	var open []*resource // the documents that are not known yet, in the order of the expression
	for _, t := range f.targets {
		if t.r.known("json") == "" {
			open = append(open, t.r)
		}
	}
	for i := range n {
		if s := r.known(attr, i); s != "" {
			out = append(out, []byte(s))
		} else if len(open) == 0 {
			return nil, fmt.Sprintf("%s.%s[%d] is not known before apply", r.addr, attr, i)
		} else {
			d := m.build(open[0])
			if open = open[1:]; d.why != "" {
				return nil, d.why
			}
			out = append(out, d.raw)
		}
	}
	if len(open) > 0 {
		return nil, fmt.Sprintf("%s.%s: it cannot be told which documents it is made of", r.addr, attr)
	}
	return out, ""
}

// statement puts one together.
func (m *model) statement(r *resource, i int) (*statement, string) {
	st := &statement{Sid: r.known("statement", i, "sid"), Effect: r.known("statement", i, "effect")}
	if r.attr("statement", i, "sid").isUnknown() || r.attr("statement", i, "effect").isUnknown() {
		return nil, fmt.Sprintf("%s.statement[%d] is not known before apply", r.addr, i)
	}
	if st.Effect == "" {
		st.Effect = "Allow"
	}
	var why string
	list := func(variables bool, path ...any) any {
		values, w := m.list(r, path...)
		if w != "" && why == "" {
			why = w
		}
		if variables { // the provider's way to write a policy variable
			for j := range values {
				values[j] = strings.ReplaceAll(values[j], "&{", "${")
			}
		}
		switch len(values) {
		case 0:
			return nil
		case 1:
			return values[0]
		}
		return values
	}
	st.Action, st.NotAction = list(false, "statement", i, "actions"), list(false, "statement", i, "not_actions")
	st.Resource, st.NotResource = list(true, "statement", i, "resources"), list(true, "statement", i, "not_resources")
	principals := func(attr string) any {
		n, ok := r.attr("statement", i, attr).length()
		if !ok {
			why = fmt.Sprintf("%s.statement[%d].%s is not known before apply", r.addr, i, attr)
		}
		var out map[string][]string
		for j := range n {
			typ := r.known("statement", i, attr, j, "type")
			values, w := m.list(r, "statement", i, attr, j, "identifiers")
			if w != "" && why == "" {
				why = w
			}
			if typ == "*" {
				return "*"
			}
			if out == nil {
				out = map[string][]string{}
			}
			out[typ] = append(out[typ], values...)
		}
		if out == nil {
			return nil
		}
		return out
	}
	st.Principal, st.NotPrincipal = principals("principals"), principals("not_principals")
	n, ok := r.attr("statement", i, "condition").length()
	if !ok && why == "" {
		why = fmt.Sprintf("%s.statement[%d].condition is not known before apply", r.addr, i)
	}
	for j := range n {
		test, variable := r.known("statement", i, "condition", j, "test"), r.known("statement", i, "condition", j, "variable")
		values := list(true, "statement", i, "condition", j, "values")
		if st.Condition == nil {
			st.Condition = map[string]map[string]any{}
		}
		if st.Condition[test] == nil {
			st.Condition[test] = map[string]any{}
		}
		if test == "" || variable == "" || st.Condition[test][variable] != nil {
			why = fmt.Sprintf("%s.statement[%d].condition[%d] is not known before apply", r.addr, i, j)
		}
		st.Condition[test][variable] = values
	}
	return st, why
}

// list is a list of texts. Its unknown items are the resources that the expression refers to and
// that are not known, if there are as many. Only what identifies a resource as a whole counts: who
// knows what is made of another attribute.
func (m *model) list(r *resource, path ...any) ([]string, string) {
	x := r.attr(path...)
	n, ok := x.length()
	if !ok {
		e, ok := m.expr(r, path...)
		if ok && e == nil {
			return nil, ""
		}
		if said, ok := m.listInFile(r, e, path); ok {
			return said, ""
		}
		return nil, place(r, path) + x.why()
	}
	var out []string
	missing := 0
	for i := range n {
		switch item := x.at(i); {
		case item.isSensitive():
			return nil, place(r, path) + " is marked as sensitive"
		case item.isUnknown() && r.given:
			return nil, place(r, append(slices.Clone(path), i)) + item.why()
		case item.isUnknown():
			missing++
		default:
			out = append(out, item.string())
		}
	}
	if missing == 0 {
		return out, ""
	}
	e, ok := m.expr(r, path...)
	if said, ok := m.listInFile(r, e, path); ok && len(said) == n {
		return said, ""
	}
	if !ok {
		return nil, place(r, path) + " is not known before apply, and the plan does not tell its expression: the block is dynamic"
	}
	var f found
	m.follow(e, m.scope(r), wantAny, 0, &f)
	var fill []string
	for _, t := range f.targets {
		if t.attr != "" && t.r.attr(t.attr).v != nil {
			continue
		}
		s := m.identity(t.r, t.attr)
		if t.attr != "arn" && !strings.HasPrefix(s.s, "arn:") || s.why != "" {
			return nil, fmt.Sprintf("%s: %s.%s is not known before apply", place(r, path), t.r.addr, t.attr)
		}
		if !slices.Contains(fill, s.s) {
			fill = append(fill, s.s)
		}
	}
	if len(fill) != missing {
		return nil, fmt.Sprintf("%s: it cannot be told what its %d unknown items are", place(r, path), missing)
	}
	return append(out, fill...), ""
}

// administrator is the account whose root the policy of a key leaves the key's administration to;
// "" if there is none, or more than one. A document that is put together after apply tells it by the
// statements that are known.
func (m *model) administrator(r *resource) string {
	if r.mode == "data" || r.typ != "aws_kms_key_policy" && !slices.Contains(keyKinds, r.typ) {
		return ""
	}
	var said []string
	add := func(principal string) {
		account := principal
		if a, err := arn.Parse(principal); err == nil && principal == arn.Root(a.Account) {
			account = a.Account
		}
		if arn.IsAccount(account) && !slices.Contains(said, account) {
			said = append(said, account)
		}
	}
	if doc, err := policy.Parse([]byte(r.known("policy")), policy.Key); err == nil {
		administrating(doc, add)
	} else if d, ok := m.written(r, []any{"policy"}, true); ok && r.attr("policy").isUnknown() {
		if doc, err := policy.Parse(d.raw, policy.Key); err == nil {
			administrating(doc, add)
		}
	} else if e, told := m.expr(r, "policy"); told && e != nil {
		var f found
		m.follow(e, m.scope(r), kinds(documentKind), 0, &f)
		for _, t := range f.targets {
			t.r.administrators(add)
		}
	}
	if len(said) != 1 {
		return ""
	}
	return said[0]
}

// administrating adds the principals that the statements of a policy give kms:* to.
func administrating(doc *policy.Document, add func(principal string)) {
	for _, st := range doc.Statements {
		if st.Effect != policy.Allow || st.Principal == nil || !slices.ContainsFunc(st.Actions, func(a policy.Text) bool { return a.Value == "kms:*" }) {
			continue
		}
		for _, p := range st.Principal.AWS {
			add(p.Value)
		}
	}
}

// administrators are the principals that a document's statements surely give kms:* to.
func (r *resource) administrators(add func(principal string)) {
	n, _ := r.attr("statement").length()
	for i := range n {
		if effect := r.known("statement", i, "effect"); effect != "" && effect != "Allow" {
			continue
		}
		texts := func(path ...any) (out []string) {
			path = append([]any{"statement", i}, path...)
			n, _ := r.attr(path...).length()
			for j := range n {
				out = append(out, r.known(append(slices.Clone(path), j)...))
			}
			return out
		}
		if !slices.Contains(texts("actions"), "kms:*") {
			continue
		}
		principals, _ := r.attr("statement", i, "principals").length()
		for j := range principals {
			if r.known("statement", i, "principals", j, "type") == "AWS" {
				for _, name := range texts("principals", j, "identifiers") {
					add(name)
				}
			}
		}
	}
}
