// Package amend changes statements that are there already: it puts right the mistake that keeps a
// request out of a statement, narrows a statement that denies, and takes a condition away.
//
// It does not decide. Whoever uses an amendment decides the request again with it made.
package amend

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Kind says what an amendment does.
type Kind uint8

// Kinds.
const (
	Correct Kind = iota + 1 // puts a mistake right
	Narrow                  // excepts the request from a deny
	Loosen                  // takes a condition away
)

// An Amendment is a change of one statement.
type Amendment struct {
	Kind    Kind
	Summary speech.Text
	Edits   []Edit
	// Opens is what it allows beside the request.
	Opens []speech.Text
}

// An Edit is one operation of a JSON Patch ("add", "remove" or "replace"). Path is a JSON Pointer
// within the statement, "" for the statement itself. Source: RFC 6902.
type Edit struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// A Statement is one of a document.
type Statement struct {
	Path  string      // its JSON Pointer in the document
	Name  speech.Text // in sentences
	Alone bool        // the document has no other

	layer  authz.Layer
	parsed *policy.Statement
	raw    map[string]any // as written
}

// Find is the statement of a match in a document. ok is false if it is another document, or one
// without text.
func Find(doc *authz.Document, m *authz.Match, name speech.Text) (_ *Statement, ok bool) {
	if doc == nil || doc.Source == nil || doc.Source.Source == nil || doc.Name != m.Document {
		return nil, false
	}
	i := slices.IndexFunc(doc.Source.Statements, func(st policy.Statement) bool { return st.Pos == m.Pos })
	if i < 0 {
		return nil, false
	}
	s := &Statement{Path: "/Statement", Name: name, Alone: len(doc.Source.Statements) == 1, layer: m.Layer, parsed: &doc.Source.Statements[i]}
	var top struct{ Statement json.RawMessage }
	if json.Unmarshal(doc.Source.Source, &top) != nil {
		return nil, false
	}
	raw := top.Statement
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "[") {
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) != nil || i >= len(all) {
			return nil, false
		}
		raw, s.Path = all[i], s.Path+"/"+strconv.Itoa(i)
	}
	return s, json.Unmarshal(raw, &s.raw) == nil
}

// name is the caller as policies name it for good: the role of a session.
func name(p *authz.Principal) string {
	if p.Type == authz.RoleSession {
		return p.RoleARN
	}
	return p.ARN
}

// Corrections put right what keeps a request out of a statement that allows.
func Corrections(s *Statement, m *authz.Miss, part *authz.Part, p *authz.Principal) []Amendment {
	switch m.Reason {
	case authz.MissAction:
		return s.misspelt(part.Action)
	case authz.MissResource:
		return s.aliased(part)
	case authz.MissCondition:
		return s.mistaken(m)
	case authz.MissPrincipal, authz.MissDeadPrincipal:
		return s.renamed(p)
	}
	return nil
}

// correction is one that writes a text in the place of another.
func (s *Statement) correction(summary speech.Text, edits ...Edit) Amendment {
	return Amendment{Kind: Correct, Summary: summary, Edits: edits}
}

// misspelt corrects an action that matches none and was meant to match the refused one.
func (s *Statement) misspelt(action string) []Amendment {
	var out []Amendment
	for i, t := range s.parsed.Actions {
		if meant, ok := actions.Load().Meant(t.Value, action); ok {
			out = append(out, s.correction(speech.Say("Write %s in the place of %s, which matches no action, in %s.", meant, t.Value, s.Name),
				Edit{"replace", s.item("Action", i), meant}))
		}
	}
	return out
}

// item is the place of a value of an element, which may be written as a list or alone.
func (s *Statement) item(element string, i int) string {
	if _, many := s.raw[element].([]any); many {
		return "/" + element + "/" + strconv.Itoa(i)
	}
	return "/" + element
}

// aliased writes the key's ARN in the place of that of an alias of it, which is no resource of the
// operations that use keys. Source: KMS Developer Guide, "Using aliases in IAM policies".
func (s *Statement) aliased(part *authz.Part) []Amendment {
	key, err := arn.Parse(part.Resource.ARN)
	if err != nil || key.Service != "kms" {
		return nil
	}
	for i, t := range s.parsed.Resources {
		a, err := arn.Parse(t.Value)
		if err != nil || a.Service != "kms" || a.Account != key.Account || a.Region != key.Region || !has(part.Context, "kms:resourcealiases", a.Resource) {
			continue
		}
		return []Amendment{s.correction(speech.Say("Write %s in the place of %s in %s: the resource of a request is the key, never an alias.", part.Resource.ARN, t.Value, s.Name),
			Edit{"replace", s.item("Resource", i), part.Resource.ARN})}
	}
	return nil
}

// has reports whether a multivalued key of the request has a value.
func has(c authz.Context, key, value string) bool {
	return slices.ContainsFunc(c, func(e authz.Entry) bool {
		return strings.EqualFold(e.Key, key) && !e.Unknown && slices.Contains(e.List, value)
	})
}

// One is the value of a key of the request that has one value and is known, or "".
func One(c authz.Context, key string) string {
	out := ""
	for _, e := range c {
		if strings.EqualFold(e.Key, key) && !e.Multi && !e.Unknown {
			out = e.One
		}
	}
	return out
}

// renamed writes the caller's role in the place of the service that it belongs to, of an ARN that
// lacks its path, or of a unique id that nobody has any more.
func (s *Statement) renamed(p *authz.Principal) []Amendment {
	who := name(p)
	if s.parsed.Principal == nil {
		return nil
	}
	for _, t := range s.parsed.Principal.Service {
		if p.IsServiceLinked() && strings.Contains(who, ":role"+arn.ServiceLinkedPath(t.Value)) {
			return []Amendment{s.correction(speech.Say("Name the role %s in the place of the service %s in %s.", who, t.Value, s.Name),
				Edit{"replace", "/Principal", map[string]any{"AWS": who}})}
		}
	}
	var out []Amendment
	for _, t := range s.parsed.Principal.AWS {
		path, ok := s.principal(t.Value)
		switch {
		case !ok:
		case samePerson(t.Value, who):
			out = append(out, s.correction(speech.Say("Write %s in the place of %s in %s.", who, t.Value, s.Name), Edit{"replace", path, who}))
		case lost(t.Value, p):
			out = append(out, s.correction(speech.Say("Name %s in the place of %s, the unique id of a principal that was deleted, in %s.", who, t.Value, s.Name),
				Edit{"replace", path, who}))
		}
	}
	return out
}

// principal is the place of a principal.
func (s *Statement) principal(value string) (path string, ok bool) {
	element, _ := s.raw["Principal"].(map[string]any)
	switch v := element["AWS"].(type) {
	case string:
		return "/Principal/AWS", v == value
	case []any:
		i := slices.Index(v, any(value))
		return "/Principal/AWS/" + strconv.Itoa(i), i >= 0
	}
	return "", false
}

// lost reports whether a unique id is one that a principal of the caller's kind had.
// Source: IAM User Guide, "IAM identifiers", unique identifiers.
func lost(id string, p *authz.Principal) bool {
	switch {
	case !policy.IsUniqueID(id) || id == p.UniqueID:
		return false
	case p.Type == authz.User:
		return strings.HasPrefix(id, "AIDA")
	}
	return p.Type == authz.RoleSession && strings.HasPrefix(id, "AROA")
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
