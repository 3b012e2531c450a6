package guard

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/ascii"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// usualDecision is the room that the record of a decision usually takes.
const usualDecision = 768

// A frame is what the record around a decision says already: who called, in which account, the ARN of the first
// resource, and what was called. What it does not say is "".
type frame struct{ caller, account, resource, service, operation string }

// frame is that of the call's record, as it is known at a decision.
func (c *Call) frame(principal *authz.Principal) frame {
	f := frame{service: c.Service, operation: c.Operation}
	switch principal.Type {
	case authz.Root, authz.User, authz.RoleSession, authz.FederatedUser: // see identity
		f.caller, f.account = c.Caller.Principal.ARN, c.Caller.Principal.Account
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
	named := principal.ARN != around.caller || principal.ARN == "" || principal.Account == "" && around.account != ""
	if named {
		b = append(appendText(append(b, `"principal":`...), principal.ARN), ',')
	}
	if principal.Account != "" && (named || principal.Account != around.account) {
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
	b = append(b, '{')
	if service, operation, ok := strings.Cut(p.Action, ":"); !ok || service != around.service || operation != around.operation {
		b = append(appendText(append(b, `"action":`...), p.Action), ',')
	}
	if p.Resource != around.resource || p.Resource == "" {
		b = append(appendText(append(b, `"resource":`...), p.Resource), ',')
	}
	b = some(b, `"by":`, name(layers, p.By))
	b = some(b, `"also":`, name(layers, p.Also))
	for i := range p.Matched {
		if i == 0 {
			b = append(b, `"matched":[`...)
		}
		b = append(appendMatch(b, p, i), ',')
	}
	if len(p.Matched) > 0 {
		b = append(b[:len(b)-1], `],`...)
	}
	b = flag(b, `"crossAccount":true,`, p.CrossAccount)
	b = flag(b, `"delegated":true,`, p.Delegated)
	b = flag(b, `"homeOnly":true,`, p.HomeOnly)
	return closed(b)
}

func appendMatch(b []byte, p *authz.PartDecision, i int) []byte {
	m := &p.Matched[i]
	b = append(b, '{')
	if m.Layer != allowing(i, p.By, p.Also) {
		b = append(appendText(append(b, `"layer":`...), name(layers, m.Layer)), ',')
	}
	if !ofResource(m, p.Resource) {
		b = some(b, `"document":`, m.Document)
		if m.Owner != ownerAWS || !strings.HasPrefix(m.Document, managedByAWS) {
			b = some(b, `"owner":`, m.Owner)
		}
	}
	b = some(b, `"sid":`, m.Sid)
	b = flag(b, `"deny":true,`, m.Effect == policy.Deny)
	b = some(b, `"grantId":`, m.GrantID)
	b = flag(b, `"delegates":true,`, m.Account)
	b = number(b, `"line":`, m.Pos.Line)
	b = number(b, `"column":`, m.Pos.Column)
	return closed(b)
}

// closed ends an object whose members each have a comma behind them.
func closed(b []byte) []byte {
	if n := len(b) - 1; b[n] == ',' {
		b = b[:n]
	}
	return append(b, '}')
}

// some is a member with omitempty, and a comma.
func some(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return append(appendText(append(b, key...), value), ',')
}

func number(b []byte, key string, n int) []byte {
	if n == 0 {
		return b
	}
	return append(strconv.AppendInt(append(b, key...), int64(n), 10), ',')
}

func flag(b []byte, member string, v bool) []byte {
	if v {
		b = append(b, member...)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	if !ascii.Quotable(s) || strings.IndexByte(s, '<') >= 0 || strings.IndexByte(s, '>') >= 0 || strings.IndexByte(s, '&') >= 0 {
		quoted, _ := json.Marshal(s) // a string always encodes
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), s...), '"')
}
