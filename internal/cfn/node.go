package cfn

import (
	"fmt"
	"slices"
	"strings"
)

// maxNodes is how many values a template may have, with those of aliases.
const maxNodes = 1_000_000

// maxDepth is how deep values may be within one another.
const maxDepth = 400

// An Error says what is wrong with a file, and where.
type Error struct {
	File         string
	Line, Column int // from 1; 0 for the whole file
	Text         string
}

// Error is the error in one line, as compilers write it.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// A pos is a place in a file, from 1.
type pos struct{ line, column int }

// A kind is what a node is.
type kind uint8

const (
	null kind = iota
	text
	number
	truth
	list
	object
	unknown // only after evaluation
)

// A node is a value of a template, as it is written or as far as it is known.
type node struct {
	kind    kind
	s       string // a scalar as it is written; why it is unknown
	items   []*node
	members []member
	at      pos
	// stands is, of a text that only stands for one, what it stands for.
	stands string
	// public is the public parameter of AWS that an unknown value is in.
	public string
}

// A member of an object.
type member struct {
	name  string
	at    pos
	value *node
}

func textNode(s string) *node { return &node{kind: text, s: s} }

func unknownNode(format string, args ...any) *node {
	return &node{kind: unknown, s: fmt.Sprintf(format, args...)}
}

// get is a member, or nil.
func (n *node) get(names ...string) *node {
	for _, name := range names {
		if n == nil || n.kind != object {
			return nil
		}
		i := slices.IndexFunc(n.members, func(m member) bool { return m.name == name })
		if i < 0 {
			return nil
		}
		n = n.members[i].value
	}
	return n
}

// is reports whether n is of a kind.
func (n *node) is(k kind) bool { return n != nil && n.kind == k }

// scalar is the text of a scalar.
func (n *node) scalar() (string, bool) {
	if n == nil {
		return "", false
	}
	switch n.kind {
	case text, number, truth:
		return n.s, true
	}
	return "", false
}

// list is the items of a list; anything else is a list of itself.
func (n *node) list() []*node {
	switch {
	case n == nil || n.kind == null:
		return nil
	case n.kind == list:
		return n.items
	}
	return []*node{n}
}

// isTrue reports whether a scalar says true, as YAML 1.1 and CloudFormation have it.
func (n *node) isTrue() bool {
	s, _ := n.scalar()
	return slices.Contains([]string{"true", "yes", "on", "y", "1"}, strings.ToLower(s))
}

// why tells why a value is not known, "" if all of it is. Texts that stand for something are known.
func (n *node) why() string {
	if n == nil {
		return ""
	}
	switch n.kind {
	case unknown:
		return n.s
	case list:
		for _, item := range n.items {
			if why := item.why(); why != "" {
				return why
			}
		}
	case object:
		for _, m := range n.members {
			if why := m.value.why(); why != "" {
				return why
			}
		}
	}
	return ""
}

// same reports whether two values are the same. known is false if that cannot be told.
func same(a, b *node) (equal, known bool) {
	switch {
	case a == nil || b == nil:
		return a == b, true
	case a.kind == unknown || b.kind == unknown:
		return false, false
	}
	x, isA := a.scalar()
	y, isB := b.scalar()
	if isA && isB {
		return x == y, x == y || a.stands == "" && b.stands == ""
	}
	if a.kind != b.kind || len(a.items) != len(b.items) || len(a.members) != len(b.members) {
		return false, true
	}
	known = true
	each := func(v, w *node) bool {
		eq, ok := same(v, w)
		known = known && ok
		return eq || !ok
	}
	for i := range a.items {
		if !each(a.items[i], b.items[i]) {
			return false, true
		}
	}
	for _, m := range a.members {
		if other := b.get(m.name); other == nil || !each(m.value, other) {
			return false, true
		}
	}
	return known, known
}
