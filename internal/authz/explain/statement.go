package explain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// statement is a policy statement to add.
type statement struct {
	Sid       string                    `json:"Sid,omitempty"`
	Effect    string                    `json:"Effect"`
	Principal map[string][]string       `json:"Principal,omitempty"`
	Action    []string                  `json:"Action"`
	Resource  string                    `json:"Resource,omitempty"`
	Condition map[string]map[string]any `json:"Condition,omitempty"`
}

// text is the statement laid out for people.
func (s *statement) text() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(s) // strings, maps of strings and bools always encode
	return strings.TrimSpace(b.String())
}

// document is a policy of the statement alone, on one line.
func (s *statement) document() string {
	var b bytes.Buffer
	_ = json.Compact(&b, []byte(`{"Version":"2012-10-17","Statement":[`+s.text()+`]}`)) // is JSON
	return b.String()
}

// extend is a document with a statement added; old may be nil. It has no text: how the statement is
// written into that of old is for whoever writes it.
func extend(old *authz.Document, kind policy.Kind, st statement) (*authz.Document, bool) {
	if old != nil && old.Source == nil {
		return nil, false
	}
	added, err := policy.Parse([]byte(st.document()), kind)
	if err != nil {
		return nil, false
	}
	if old == nil {
		return authz.Compile(added, kind), true
	}
	return rebuild(old, kind, slices.Concat(old.Source.Statements, added.Statements)), true
}

// inPlaceOf gives a document the name and place of another.
func inPlaceOf(old, doc *authz.Document) *authz.Document {
	doc.Name, doc.Owner, doc.Attached = old.Name, old.Owner, old.Attached
	doc.SetPrincipalIDs(old.PrincipalIDs())
	return doc
}

// digest is the SHA-256 of a document's text; "" if it has none.
func digest(d *authz.Document) string {
	if d == nil || d.Source == nil || d.Source.Source == nil {
		return ""
	}
	sum := sha256.Sum256(d.Source.Source)
	return hex.EncodeToString(sum[:])
}

// taken reports whether a document has a statement of that Sid.
func taken(d *authz.Document, sid string) bool {
	return d != nil && d.Source != nil && slices.ContainsFunc(d.Source.Statements, func(st policy.Statement) bool { return st.Sid == sid })
}

// rebuild is a document with other statements and no text. They keep their positions, which name
// them.
func rebuild(old *authz.Document, kind policy.Kind, statements []policy.Statement) *authz.Document {
	return inPlaceOf(old, authz.Compile(&policy.Document{Version: old.Source.Version, ID: old.Source.ID, Statements: statements}, kind))
}

// with is a map with one more entry.
func with(ids map[string]string, who, id string) map[string]string {
	out := map[string]string{who: id}
	for k, v := range ids {
		if k != who {
			out[k] = v
		}
	}
	return out
}

// shell quotes an argument for a shell, if it needs that.
func shell(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:=@,+", r)
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// constraints is the argument of aws kms create-grant --constraints.
func constraints(subset map[string]string) string {
	out, _ := json.Marshal(map[string]any{"EncryptionContextSubset": subset}) // maps of strings always encode
	return string(out)
}
