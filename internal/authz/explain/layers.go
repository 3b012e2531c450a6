package explain

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/speech"
)

// A State is what a layer says of a request.
type State string

// States of a layer.
const (
	Allows    State = "allows"
	Delegates State = "delegates" // names the account, which leaves the decision to identity policies
	Denies    State = "denies"
	Needed    State = "needed" // has no allow, and the request needs one there
	Silent    State = "silent" // has no allow; the request does not need one there, or has one elsewhere
)

// A LayerView is one layer of a decision with all statements and grants of it that were looked at.
type LayerView struct {
	Layer authz.Layer
	Name  speech.Text // in the words of the action's service: "key policy"
	State State
	// Change is what would have to be different for the layer to let the request through; empty if
	// nothing.
	Change     speech.Text
	Statements []StatementView
}

// A StatementView is a statement or grant that applies, or one that does not and why.
type StatementView struct {
	authz.Match
	Applies bool
	Text    speech.Text // one sentence
	// Miss is nil if it applies.
	Miss *authz.Miss
	// Nearly reports that nothing but a condition or a constraint kept an allow from applying.
	Nearly bool
}

// order is that in which layers are shown: limits first, then what grants.
var order = []authz.Layer{
	authz.LayerSCP, authz.LayerRCP, authz.LayerEndpoint, authz.LayerBoundary, authz.LayerSession,
	authz.LayerIdentity, authz.LayerResource, authz.LayerTrust, authz.LayerGrant, authz.LayerRoot,
}

// Layers are the layers that had a say in a part. who is the principal; pass the part through
// [Visible] first if the reader is not the owner of everything in it.
func Layers(part authz.PartDecision, who string) []LayerView {
	needed := missing(&part)
	if part.Outcome != authz.ImplicitDeny {
		needed = nil
	}
	var out []LayerView
	for _, l := range order {
		v := LayerView{Layer: l, Name: place(&part, l), State: Silent}
		for _, m := range part.Matched {
			if m.Layer == l {
				v.add(&part, &m)
			}
		}
		for _, m := range part.Missed {
			if m.Layer == l {
				v.Statements = append(v.Statements, StatementView{
					Match: m.Match, Text: missLine(&part, &m), Miss: &m, Nearly: !isDeny(&m.Match) && interest(m.Reason) == 0,
				})
			}
		}
		if v.State == Silent && slices.Contains(needed, l) {
			v.State = Needed
		}
		if len(v.Statements) > 0 || v.State == Needed {
			v.Change = v.change(&part, who)
			out = append(out, v)
		}
	}
	return out
}

// add takes a statement that applies: a deny outweighs all, an allow a delegation.
func (v *LayerView) add(part *authz.PartDecision, m *authz.Match) {
	v.Statements = append(v.Statements, StatementView{
		Match: *m, Applies: true, Text: matched(part, m, part.Outcome != authz.Allowed && part.Outcome != authz.Undetermined),
	})
	switch {
	case isDeny(m):
		v.State = Denies
	case v.State == Denies:
	case !m.Account:
		v.State = Allows
	case v.State == Silent:
		v.State = Delegates
	}
}

// change says what a layer lacks.
func (v *LayerView) change(part *authz.PartDecision, who string) speech.Text {
	switch v.State {
	case Denies:
		return speech.Say("The statement that denies has to be changed or removed; no allow outweighs it.")
	case Needed:
	default:
		return speech.Text{}
	}
	s := speech.Say("An allow is needed here")
	if levels, ok := lacking(part, v.Layer); ok {
		s = speech.Say("An allow is needed on %s", levels)
	}
	switch linked := isServiceLinked(who); {
	case linked && v.Layer == authz.LayerIdentity && part.CrossAccount:
		return speech.Say("Nothing can be changed here: the policies of a service-linked role are AWS's. On a key of another account only a grant can help.")
	case linked && v.Layer == authz.LayerIdentity:
		return speech.Say("Nothing can be changed here: the policies of a service-linked role are AWS's.")
	case linked && v.Layer == authz.LayerResource && part.CrossAccount:
		return speech.Say("An allow here lets the account make a grant; the role itself needs the grant.")
	}
	var near []speech.Text
	for _, st := range v.Statements {
		if st.Nearly && st.Miss.Key != "" {
			near = append(near, speech.Say("%s with %s", strings.TrimSpace(st.Miss.Operator+" "+st.Miss.Key), list(st.Miss.Want)))
		}
	}
	if len(near) > 0 {
		s = speech.Say("%s, or a request that has %s", s, either(near))
	}
	return speech.Say("%s.", s)
}

// either says one of some things.
func either(list []speech.Text) speech.Text {
	out := list[0]
	for _, t := range list[1:] {
		out = speech.Join(out, speech.Say("; or "), t)
	}
	return out
}

// A Node is a line of a tree and what is below it.
type Node struct {
	Text     string
	Children []Node
}

// Tree is a part of a decision as a tree: layers, their statements, conditions.
func Tree(part authz.PartDecision, who string, in speech.Language) Node {
	node := func(t speech.Text) Node { return Node{Text: t.In(in)} }
	root := node(speech.Say("%s: %s", speech.Say("%s on %s", part.Action, part.Resource), Outcome(part.Outcome)))
	for _, l := range Layers(part, who) {
		n := node(speech.Say("%s: %s", l.Name, l.State.Words()))
		for _, st := range l.Statements {
			n.Children = append(n.Children, node(st.Text))
		}
		if !l.Change.Empty() {
			n.Children = append(n.Children, node(speech.Say("to change: %s", l.Change)))
		}
		root.Children = append(root.Children, n)
	}
	for _, d := range part.Depends {
		root.Children = append(root.Children, node(speech.Say("depends on %s", d)))
	}
	return root
}

// Words say what a layer has to do with a decision.
func (s State) Words() speech.Text {
	switch s {
	case Allows:
		return speech.Say("allows")
	case Denies:
		return speech.Say("denies")
	case Delegates:
		return speech.Say("leaves it to the account's identity policies")
	case Needed:
		return speech.Say("no allow, and one is needed")
	}
	return speech.Say("no allow")
}

// Lines draws a tree. Texts of several lines keep their place.
func (n Node) Lines() []string {
	out := strings.Split(n.Text, "\n")
	for i, c := range n.Children {
		first, rest := "├─ ", "│  "
		if i == len(n.Children)-1 {
			first, rest = "└─ ", "   "
		}
		for j, line := range c.Lines() {
			if j > 0 {
				first = rest
			}
			out = append(out, first+line)
		}
	}
	return out
}
