package doctor

import (
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/speech"
)

// explanation says in plain words why something is refused.
func (f *failing) explanation() []speech.Text {
	switch {
	case f.answer != nil && f.answer.err == nil:
		out := explain.Lines(*f.answer.refused(), f.principal)
		if f.rule == "cross-account-needs-grant" {
			out = append(out, speech.Say("A service-linked role cannot be given an IAM policy: only a grant on the key can allow this."))
		}
		return out
	case f.text != "":
		return []speech.Text{speech.Raw(f.text)}
	case f.err != nil:
		return []speech.Text{speech.Raw(f.err.Error())}
	}
	return nil
}

// deciding names the statements and grants that allowed a part.
func deciding(p *authz.PartDecision) []speech.Text {
	var out []speech.Text
	for _, m := range explain.Deciding(*p) {
		if m.GrantID != "" {
			out = append(out, speech.Say("the grant %s", m.GrantID))
		} else {
			out = append(out, speech.Say("statement %q of %s", m.Sid, m.Document))
		}
	}
	if len(out) == 0 {
		out = append(out, speech.Say("the %s", layer(p.By)))
	}
	return out
}

// layer names what decided where no statement did.
func layer(l authz.Layer) speech.Text {
	switch l {
	case authz.LayerRoot:
		return speech.Say("account's root user")
	case authz.LayerIdentity:
		return speech.Say("identity policy")
	case authz.LayerResource:
		return speech.Say("key policy")
	}
	return speech.Raw(l.String())
}

// nameOf names the document that a place is in; rest is the place in it.
func (w *world) nameOf(path string) (doc speech.Text, rest string) {
	for i, st := range w.sc.Setup {
		at := fmt.Sprintf("/setup/%d/params/policy", i)
		if strings.HasPrefix(path, at+"/") {
			return speech.Say("the policy of setup step %d for %s", i+1, st.Params.Key), path[len(at):]
		}
	}
	for _, d := range w.written() {
		if strings.HasPrefix(path, d.path+"/") {
			return d.name, path[len(d.path):]
		}
	}
	return speech.Text{}, ""
}
