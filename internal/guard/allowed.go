package guard

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/trail"
)

// usualDecision is the room that the record of a decision usually takes.
const usualDecision = 768

// A frame is what the record around a decision says already: the ARNs of who called and of the first resource,
// "" if it does not.
type frame struct{ caller, resource string }

// frame is that of the call's record, as it is known at a decision.
func (c *Call) frame(principal *authz.Principal) (f frame) {
	switch principal.Type {
	case authz.Root, authz.User, authz.RoleSession, authz.FederatedUser: // see identity
		f.caller = c.Caller.Principal.ARN
	}
	if len(c.evidence.resources) > 0 {
		f.resource = c.evidence.resources[0].ARN
	}
	return f
}

// appendAllowed writes the record of a decision that allows as encoding/json writes a [Recorded], in a
// fraction of the time: nearly every request has one, and so it leaves out what [Decisions] knows from the rest of
// the record. ok is false, and what was appended of no use, for decisions with more to tell.
func appendAllowed(b []byte, around frame, principal *authz.Principal, d *authz.Decision) (out []byte, ok bool) {
	if d.Outcome != authz.Allowed {
		return b, false
	}
	b = append(b, '{')
	if principal.ARN != around.caller || principal.ARN == "" {
		b = append(appendText(append(b, `"principal":`...), principal.ARN), ',')
	}
	if principal.Account != "" {
		b = append(appendText(append(b, `"account":`...), principal.Account), ',')
	}
	b = append(b, `"outcome":"allowed","parts":[`...)
	for i := range d.Parts {
		p := &d.Parts[i]
		if p.Outcome != authz.Allowed || len(p.Missed)+len(p.Silent)+len(p.Depends) > 0 {
			return b, false
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPart(b, around, p)
	}
	return append(b, `]}`...), true
}

func appendPart(b []byte, around frame, p *authz.PartDecision) []byte {
	b = appendText(append(b, `{"action":`...), p.Action)
	if p.Resource != around.resource || p.Resource == "" {
		b = appendText(append(b, `,"resource":`...), p.Resource)
	}
	b = append(b, `,"outcome":"allowed"`...)
	b = some(b, `,"by":`, name(layers, p.By))
	b = some(b, `,"also":`, name(layers, p.Also))
	for i := range p.Matched {
		if i == 0 {
			b = append(b, `,"matched":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendMatch(b, p.Resource, &p.Matched[i])
	}
	if len(p.Matched) > 0 {
		b = append(b, ']')
	}
	b = flag(b, `,"crossAccount":true`, p.CrossAccount)
	b = flag(b, `,"delegated":true`, p.Delegated)
	b = flag(b, `,"homeOnly":true`, p.HomeOnly)
	return append(b, '}')
}

func appendMatch(b []byte, resource string, m *authz.Match) []byte {
	b = appendText(append(b, `{"layer":`...), name(layers, m.Layer))
	if !ofResource(m, resource) {
		b = some(b, `,"document":`, m.Document)
		b = some(b, `,"owner":`, m.Owner)
	}
	b = some(b, `,"sid":`, m.Sid)
	b = flag(b, `,"deny":true`, m.Effect == policy.Deny)
	b = some(b, `,"grantId":`, m.GrantID)
	b = flag(b, `,"delegates":true`, m.Account)
	b = number(b, `,"line":`, m.Pos.Line)
	b = number(b, `,"column":`, m.Pos.Column)
	return append(b, '}')
}

// some is a member with omitempty.
func some(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, key...), value)
}

func number(b []byte, key string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, key...), int64(n), 10)
}

func flag(b []byte, member string, v bool) []byte {
	if v {
		b = append(b, member...)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	n := len(b)
	b = append(b, s...)
	if text := b[n:]; !trail.Plain(text) || bytes.IndexByte(text, '<') >= 0 || bytes.IndexByte(text, '>') >= 0 || bytes.IndexByte(text, '&') >= 0 {
		quoted, _ := json.Marshal(s) // a string always encodes
		return append(b[:n-1], quoted...)
	}
	return append(b, '"')
}
