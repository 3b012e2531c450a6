package policy

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxSize is the longest document, in bytes, that is parsed: the longest that any AWS API takes.
const MaxSize = 262144

// Parse reads a document strictly: element names in their exact case, no unknown elements, no
// name twice in an object, no text after the document. One value stands for a list of one in
// Statement, Action, Resource, principals and condition values; true, false and numbers as
// condition values keep their literal text.
//
// It checks syntax only, so that stored documents of any age parse: Version, Action, Resource and
// Principal may be absent. The kind decides which elements are prohibited: principals in
// identity, session and service control policies, resources in trust policies, NotPrincipal in
// trust and resource control policies; a kind that is not listed prohibits nothing. What AWS demands of a new document is checked by
// [CheckIdentity], [CheckSession], [CheckTrust] and [CheckKey].
//
// Positions cover the JSON value, quotes included; that of a [Condition] runs from its key to the
// end of its values. A null in a list of resources is dropped, as in IAM.
//
// The document keeps a copy of src. Every error is a [*SyntaxError].
//
// Source: IAM User Guide, "Grammar of the IAM JSON policy language".
func Parse(src []byte, kind Kind) (*Document, error) {
	d, later, err := parse(src, kind)
	if err != nil {
		return nil, err
	}
	if len(later) > 0 {
		return nil, later[0]
	}
	return d, nil
}

// parse is Parse, but returns breaches of the later rules next to the document, in their order.
func parse(src []byte, kind Kind) (*Document, []*SyntaxError, error) {
	if len(src) > MaxSize {
		return nil, nil, &SyntaxError{
			Line: 1, Column: 1, Rule: RuleSize,
			Reason: "document is longer than " + strconv.Itoa(MaxSize) + " bytes",
		}
	}
	src = bytes.Clone(src)
	p := &parser{
		dec:  jsontext.NewDecoder(bytes.NewReader(src)),
		loc:  locator{src: src},
		kind: kind,
		doc:  &Document{Source: src},
	}
	if err := p.document(); err != nil {
		return nil, nil, err
	}
	return p.doc, p.later, nil
}

// A parser reads one document. Its depth is that of the grammar: it never recurses into values
// that the grammar does not have.
type parser struct {
	dec   *jsontext.Decoder
	loc   locator
	kind  Kind
	doc   *Document
	later []*SyntaxError
}

// document reads all of the source. Text that is not JSON is reported as such even where an
// earlier element is wrong too.
func (p *parser) document() error {
	err := p.top()
	if e, ok := errors.AsType[*SyntaxError](err); ok && (e.Rule == RuleJSON || e.Rule == RuleDuplicate) {
		return err
	}
	for p.dec.StackDepth() > 0 {
		if _, rest := p.dec.ReadToken(); rest != nil {
			return p.notJSON(rest)
		}
	}
	v, rest := p.dec.ReadValue()
	switch {
	case errors.Is(rest, io.EOF):
		return err
	case rest != nil:
		return p.notJSON(rest)
	}
	end := int(p.dec.InputOffset())
	return p.fail(p.loc.at(end-len(v), end), RuleJSON, "text after the document")
}

func (p *parser) top() error {
	start, err := p.open("a policy")
	if err != nil {
		return err
	}
	for p.dec.PeekKind() != '}' {
		name, pos, err := p.name()
		if err != nil {
			return err
		}
		switch name {
		case "Version":
			err = p.version()
		case "Id":
			p.doc.ID, err = p.str("Id")
		case "Statement":
			err = p.statements()
		default:
			err = p.fail(pos, RuleUnknown, "unknown element "+quote(name))
		}
		if err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return p.notJSON(err)
	}
	if len(p.doc.Statements) == 0 {
		return p.fail(start, RuleNoStatement, "no statement")
	}
	return nil
}

func (p *parser) version() error {
	t, err := p.text("Version")
	if err != nil {
		return err
	}
	if t.Value != Version2008 && t.Value != Version2012 {
		return p.fail(t.Pos, RuleVersion, "unknown version "+quote(t.Value))
	}
	p.doc.Version = t.Value
	return nil
}

func (p *parser) statements() error {
	if p.dec.PeekKind() != '[' {
		return p.statement()
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return p.notJSON(err)
	}
	for p.dec.PeekKind() != ']' {
		if err := p.statement(); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return p.notJSON(err)
}

// pairs are the elements that exclude each other.
var pairs = map[string]string{
	"Action": "NotAction", "NotAction": "Action",
	"Resource": "NotResource", "NotResource": "Resource",
	"Principal": "NotPrincipal", "NotPrincipal": "Principal",
}

func (p *parser) statement() error {
	pos, err := p.open("a statement")
	if err != nil {
		return err
	}
	s := Statement{Index: len(p.doc.Statements), Pos: pos}
	seen := make(map[string]bool, 8)
	for p.dec.PeekKind() != '}' {
		name, at, err := p.name()
		if err != nil {
			return err
		}
		if other := pairs[name]; seen[other] {
			return p.fail(at, RulePair, "both "+other+" and "+name)
		}
		if prohibited(p.kind, name) {
			p.note(at, RuleProhibited, name+" is not allowed in this kind of policy")
		}
		seen[name] = true
		if err := p.element(&s, name, at); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return p.notJSON(err)
	}
	s.Pos.End = int(p.dec.InputOffset())
	if s.Effect == 0 {
		return p.fail(s.Pos, RuleEffect, "statement has no Effect")
	}
	p.doc.Statements = append(p.doc.Statements, s)
	return nil
}

// element reads the value of one element of a statement.
func (p *parser) element(s *Statement, name string, at Pos) (err error) {
	switch name {
	case "Sid":
		s.Sid, err = p.str(name)
	case "Effect":
		s.Effect, err = p.effect()
	case "Principal":
		s.Principal, err = p.principals(name)
	case "NotPrincipal":
		s.NotPrincipal, err = p.principals(name)
	case "Action":
		s.Actions, err = p.list(name)
	case "NotAction":
		s.NotActions, err = p.list(name)
	case "Resource":
		s.Resources, err = p.list(name)
	case "NotResource":
		s.NotResources, err = p.list(name)
	case "Condition":
		s.Conditions, err = p.conditions()
	default:
		err = p.fail(at, RuleUnknown, "unknown element "+quote(name))
	}
	return err
}

// prohibited reports whether documents of the kind may not have the element.
func prohibited(kind Kind, element string) bool {
	switch element {
	case "Principal":
		return kind == Identity || kind == Session || kind == SCP
	case "NotPrincipal":
		return kind == Identity || kind == Session || kind == SCP || kind == Trust || kind == RCP
	case "Resource", "NotResource":
		return kind == Trust
	}
	return false
}

func (p *parser) effect() (Effect, error) {
	t, err := p.text("Effect")
	if err != nil {
		return 0, err
	}
	var e Effect
	switch {
	case strings.EqualFold(t.Value, "Allow"):
		e = Allow
	case strings.EqualFold(t.Value, "Deny"):
		e = Deny
	default:
		return 0, p.fail(t.Pos, RuleEffect, "Effect must be Allow or Deny, not "+quote(t.Value))
	}
	if t.Value != e.String() {
		p.note(t.Pos, RuleEffectCase, "Effect must be spelled "+e.String())
	}
	return e, nil
}

func (p *parser) principals(element string) (*Principals, error) {
	if p.dec.PeekKind() == '"' {
		t, err := p.text(element)
		if err != nil {
			return nil, err
		}
		if t.Value != "*" {
			return nil, p.fail(t.Pos, RulePrincipal, `a principal without its type can only be "*"`)
		}
		return &Principals{Any: true, Pos: t.Pos}, nil
	}
	pos, err := p.open(element)
	if err != nil {
		return nil, err
	}
	ps := &Principals{Pos: pos}
	for p.dec.PeekKind() != '}' {
		name, at, err := p.name()
		if err != nil {
			return nil, err
		}
		field := ps.field(PrincipalKind(name))
		if field == nil {
			return nil, p.fail(at, RuleUnknown, "unknown principal type "+quote(name))
		}
		values, err := p.list(name)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			if v.Value == "*" && field == &ps.AWS {
				ps.Any = true
			} else {
				*field = append(*field, v)
			}
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, p.notJSON(err)
	}
	ps.Pos.End = int(p.dec.InputOffset())
	return ps, nil
}

func (p *parser) conditions() ([]Condition, error) {
	if _, err := p.open("Condition"); err != nil {
		return nil, err
	}
	var all []Condition
	for p.dec.PeekKind() != '}' {
		op, at, err := p.name()
		if err != nil {
			return nil, err
		}
		if _, err := p.open(op); err != nil {
			return nil, err
		}
		for p.dec.PeekKind() != '}' {
			if _, ok := ParseOperator(op); !ok && p.dec.PeekKind() != 0 {
				return nil, p.fail(at, RuleOperator, "unknown condition operator "+quote(op))
			}
			key, pos, err := p.name()
			if err != nil {
				return nil, err
			}
			c := Condition{Operator: op, Key: key, Pos: pos}
			if c.Values, err = p.values("condition value", true, false); err != nil {
				return nil, err
			}
			c.Pos.End = int(p.dec.InputOffset())
			all = append(all, c)
		}
		if _, err := p.dec.ReadToken(); err != nil {
			return nil, p.notJSON(err)
		}
	}
	_, err := p.dec.ReadToken()
	return all, p.notJSON(err)
}
