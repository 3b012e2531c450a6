package accessanalyzer

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/lint"
	"github.com/kagimori/kagimori/internal/speech"
)

// A node is a JSON value, or the name of a member, with its place.
type node struct {
	path       []accessanalyzerapi.PathElement
	name       string // of the member whose value it is
	from       int    // byte where its name begins, or it itself
	start, end int    // bytes
	kind       jsontext.Kind
	items      int // of an object or list
	text       string
}

// A document is the text that is judged, as JSON values in their order. What follows a syntax error is
// not there.
type document struct {
	src   []byte
	nodes []node
}

func locate(src []byte) *document {
	d := &document{src: src}
	dec := jsontext.NewDecoder(bytes.NewReader(src), jsontext.AllowDuplicateNames(true))
	for d.value(dec, nil, "", -1) {
	}
	return d
}

// maxDepth bounds how deep values nest.
const maxDepth = 64

// value reads one value and those in it; it reports whether there was one. from is where its name
// begins, or negative if it has none.
func (d *document) value(dec *jsontext.Decoder, path []accessanalyzerapi.PathElement, name string, from int) bool {
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' || len(path) > maxDepth {
		raw, err := dec.ReadValue()
		if err != nil {
			return false
		}
		end := int(dec.InputOffset())
		text := ""
		if kind == '"' {
			b, _ := jsontext.AppendUnquote(nil, raw)
			text = string(b)
		}
		d.add(node{path: path, name: name, from: from, start: end - len(raw), end: end, kind: kind, text: text})
		return true
	}
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	at := len(d.nodes)
	d.add(node{path: path, name: name, from: from, start: int(dec.InputOffset()) - 1, end: len(d.src), kind: kind})
	for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
		element := accessanalyzerapi.PathElement{Index: new(int32(d.nodes[at].items))}
		member, begin := "", -1
		if kind == '{' {
			raw, err := dec.ReadValue()
			if err != nil {
				return false
			}
			begin = int(dec.InputOffset()) - len(raw)
			b, _ := jsontext.AppendUnquote(nil, raw)
			member = string(b)
			element = accessanalyzerapi.PathElement{Value: &member}
		}
		if !d.value(dec, append(path[:len(path):len(path)], element), member, begin) {
			return false
		}
		d.nodes[at].items++
	}
	if _, err := dec.ReadToken(); err != nil && err != io.EOF {
		return false
	}
	d.nodes[at].end = int(dec.InputOffset())
	return true
}

func (d *document) add(n node) {
	if n.from < 0 {
		n.from = n.start
	}
	d.nodes = append(d.nodes, n)
}

// between is the location of a finding: the span of the text, and the path to the smallest value that
// holds it or has it in its name. A single character stands for the value that it begins.
func (d *document) between(r lint.Range) accessanalyzerapi.Location {
	start, end := d.offset(r.Start), d.offset(r.End)
	var best *node
	for i := range d.nodes {
		if n := &d.nodes[i]; n.from <= start && start < n.end && end <= n.end {
			best = n
		}
	}
	if best == nil {
		return d.span(nil, start, end)
	}
	if end == start+1 && best.from == start {
		start, end = best.start, best.end
	}
	return d.span(best.path, start, end)
}

func (d *document) span(path []accessanalyzerapi.PathElement, start, end int) accessanalyzerapi.Location {
	if path == nil {
		path = []accessanalyzerapi.PathElement{}
	}
	return accessanalyzerapi.Location{Path: path, Span: &accessanalyzerapi.Span{Start: d.position(start), End: d.position(end)}}
}

// offset is the byte of a place.
func (d *document) offset(p lint.Point) int {
	at := 0
	for range p.Line - 1 {
		i := bytes.IndexByte(d.src[at:], '\n')
		if i < 0 {
			return len(d.src)
		}
		at += i + 1
	}
	for range p.Column - 1 {
		if at >= len(d.src) {
			break
		}
		_, size := utf8.DecodeRune(d.src[at:])
		at += size
	}
	return at
}

// position is a place as Access Analyzer counts: lines from 1, columns and offsets in characters from 0.
func (d *document) position(at int) *accessanalyzerapi.Position {
	before := d.src[:min(at, len(d.src))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return &accessanalyzerapi.Position{Line: new(int32(line)), Column: new(int32(column)), Offset: new(int32(utf8.RuneCount(before)))}
}

// A remark is a finding about how the document is written.
type remark struct {
	issue    issue
	details  speech.Text
	location accessanalyzerapi.Location
	more     []accessanalyzerapi.Location // what else it is about
}

// written are the checks that need no more than the text: what is empty, and the version.
//
// Source: IAM User Guide, "IAM policy validation check reference": Missing version, Empty Sid value,
// Empty array and Empty object.
func (d *document) written() []remark {
	var out []remark
	add := func(n *node, code, kind, anchor string, details speech.Text) {
		out = append(out, remark{issue: issue{code, kind, anchor}, details: details, location: d.span(n.path, n.start, n.end)})
	}
	version := false
	for i := range d.nodes {
		n := &d.nodes[i]
		what := strings.ToUpper(strings.TrimPrefix(n.name, "Not"))
		switch {
		case n.name == "Version" && len(n.path) == 1:
			version = true
		case n.name == "Sid" && n.kind == '"' && n.text == "":
			add(n, "EMPTY_SID_VALUE", kindSuggestion, "suggestion-empty-sid-value", speech.Say("Add a value to the empty string in the Sid element."))
		case n.kind == '[' && n.items == 0 && (what == "ACTION" || what == "RESOURCE"):
			add(n, "EMPTY_ARRAY_"+what, kindSuggestion, "suggestion-empty-array-"+strings.ToLower(what), speech.Say("The list is empty, so the statement has no effect."))
		case n.kind == '{' && n.items == 0 && n.name == "Condition":
			add(n, "EMPTY_OBJECT_CONDITION", kindSuggestion, "suggestion-empty-object-condition", speech.Say("The condition block is empty and has no effect."))
		}
	}
	if !version && len(d.nodes) > 0 && d.nodes[0].kind == '{' {
		n := &d.nodes[0]
		add(&node{start: n.start, end: n.end}, "MISSING_VERSION", kindWarning, "general-warning-missing-version",
			speech.Say("The document has no Version, so it is read as 2008-10-17. Add the newest version, 2012-10-17."))
	}
	return out
}
