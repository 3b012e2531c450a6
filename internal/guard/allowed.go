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

// appendAllowed writes the record of a decision that allows as encoding/json writes a [Recorded], in a
// fraction of the time: nearly every request has one. ok is false, and what was appended of no use, for
// decisions with more to tell.
func appendAllowed(b []byte, principal *authz.Principal, d *authz.Decision) (out []byte, ok bool) {
	if d.Outcome != authz.Allowed {
		return b, false
	}
	b = appendText(append(b, `{"principal":`...), principal.ARN)
	b = some(b, `,"account":`, principal.Account)
	b = append(b, `,"outcome":"allowed","parts":[`...)
	for i := range d.Parts {
		p := &d.Parts[i]
		if p.Outcome != authz.Allowed || len(p.Missed)+len(p.Silent)+len(p.Depends) > 0 {
			return b, false
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPart(b, p)
	}
	return append(b, `]}`...), true
}

func appendPart(b []byte, p *authz.PartDecision) []byte {
	b = appendText(append(b, `{"action":`...), p.Action)
	b = appendText(append(b, `,"resource":`...), p.Resource)
	b = append(b, `,"outcome":"allowed"`...)
	b = some(b, `,"by":`, name(layers, p.By))
	b = some(b, `,"also":`, name(layers, p.Also))
	for i := range p.Matched {
		if i == 0 {
			b = append(b, `,"matched":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendMatch(b, &p.Matched[i])
	}
	if len(p.Matched) > 0 {
		b = append(b, ']')
	}
	b = flag(b, `,"crossAccount":true`, p.CrossAccount)
	b = flag(b, `,"delegated":true`, p.Delegated)
	b = flag(b, `,"homeOnly":true`, p.HomeOnly)
	return append(b, '}')
}

func appendMatch(b []byte, m *authz.Match) []byte {
	b = appendText(append(b, `{"layer":`...), name(layers, m.Layer))
	b = some(b, `,"document":`, m.Document)
	b = some(b, `,"owner":`, m.Owner)
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
