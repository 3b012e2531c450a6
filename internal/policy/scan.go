package policy

import (
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// open reads the start of an object. What names it in the error.
func (p *parser) open(what string) (Pos, error) {
	if k := p.dec.PeekKind(); k != '{' {
		_, pos, err := p.raw()
		if err != nil {
			return Pos{}, err
		}
		return Pos{}, p.fail(pos, RuleShape, what+" must be an object")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return Pos{}, p.notJSON(err)
	}
	end := int(p.dec.InputOffset())
	return p.loc.at(end-1, end), nil
}

// name reads the name of an object member.
func (p *parser) name() (string, Pos, error) {
	raw, pos, err := p.raw()
	if err != nil {
		return "", Pos{}, err
	}
	t := p.unquote(raw, pos)
	return t.Value, pos, nil
}

// raw reads the next value whole. The value is only valid until the next read.
func (p *parser) raw() (jsontext.Value, Pos, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, Pos{}, p.notJSON(err)
	}
	end := int(p.dec.InputOffset())
	return v, p.loc.at(end-len(v), end), nil
}

// text reads a string. What names it in the error.
func (p *parser) text(what string) (Text, error) {
	raw, pos, err := p.raw()
	if err != nil {
		return Text{}, err
	}
	if raw.Kind() != '"' {
		return Text{}, p.fail(pos, RuleShape, what+" must be a string")
	}
	return p.unquote(raw, pos), nil
}

func (p *parser) str(what string) (string, error) {
	t, err := p.text(what)
	return t.Value, err
}

// list reads a string or a list of strings. Lists of resources may hold nulls, which are dropped.
func (p *parser) list(element string) ([]Text, error) {
	return p.values(element, false, element == "Resource" || element == "NotResource")
}

// values reads a scalar or a list of scalars: strings, and true, false and numbers if literals is
// set. An empty list is nil.
func (p *parser) values(what string, literals, nulls bool) ([]Text, error) {
	read := func() (Text, bool, error) {
		raw, pos, err := p.raw()
		if err != nil {
			return Text{}, false, err
		}
		switch k := raw.Kind(); {
		case k == '"':
			return p.unquote(raw, pos), true, nil
		case literals && (k == 't' || k == 'f' || k == '0'):
			return Text{Value: string(raw), Pos: pos}, true, nil
		case nulls && k == 'n':
			return Text{}, false, nil
		}
		return Text{}, false, p.fail(pos, RuleShape, what+" must be a string or a list of strings")
	}
	if p.dec.PeekKind() != '[' {
		nulls = false
		t, _, err := read()
		if err != nil {
			return nil, err
		}
		return []Text{t}, nil
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, p.notJSON(err)
	}
	var all []Text
	for p.dec.PeekKind() != ']' {
		t, ok, err := read()
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, t)
		}
	}
	_, err := p.dec.ReadToken()
	return all, p.notJSON(err)
}

// unquote decodes a string that the decoder has already found good.
func (p *parser) unquote(raw jsontext.Value, pos Pos) Text {
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		p.note(pos, RuleCharacter, "string cannot be decoded")
	}
	s := string(b)
	if strings.ContainsFunc(s, isControl) {
		p.note(pos, RuleCharacter, "control character in a string")
	}
	return Text{Value: s, Pos: pos}
}

func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }

// fail makes the error for the value that was just read.
func (p *parser) fail(pos Pos, rule Rule, reason string) error { return p.breach(pos, rule, reason) }

// note records a breach that counts only if nothing worse is found. The first of each rule is
// enough, and keeps a hostile document from filling memory with pointers.
func (p *parser) note(pos Pos, rule Rule, reason string) {
	for _, e := range p.later {
		if e.Rule == rule {
			return
		}
	}
	p.later = append(p.later, p.breach(pos, rule, reason))
}

func (p *parser) breach(pos Pos, rule Rule, reason string) *SyntaxError {
	return &SyntaxError{
		Offset: pos.Start, Line: pos.Line, Column: pos.Column,
		Pointer: string(p.dec.StackPointer()),
		Reason:  reason, Rule: rule,
	}
}

// notJSON turns an error of the decoder into ours; nil stays nil.
func (p *parser) notJSON(err error) error {
	if err == nil {
		return nil
	}
	e := &SyntaxError{Rule: RuleJSON, Reason: "document is cut short", Offset: len(p.loc.src)}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		e.Offset, e.Pointer = int(s.ByteOffset), string(s.JSONPointer)
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			e.Rule, e.Reason = RuleDuplicate, "the same name twice in an object"
		case !errors.Is(err, io.ErrUnexpectedEOF):
			e.Reason = "not JSON: " + strings.TrimPrefix(s.Err.Error(), "jsontext: ")
		}
	}
	at := p.loc.at(e.Offset, e.Offset)
	e.Offset, e.Line, e.Column = at.Start, at.Line, at.Column
	return e
}
