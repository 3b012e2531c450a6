package cfn

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

var (
	yamlTemplate = regexp.MustCompile(`(?m)^["']?(AWSTemplateFormatVersion|Resources)["']?[ \t]*:`)
	jsonTemplate = regexp.MustCompile(`"AWSTemplateFormatVersion"\s*:|"Resources"\s*:\s*\{\s*"[A-Za-z0-9]+"\s*:\s*\{`)
)

// Is reports whether data looks like a template, even if it is damaged.
func Is(data []byte) bool {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if isJSON(data) {
		switch names, err := topLevel(data); {
		case slices.Contains(names, "AWSTemplateFormatVersion"):
			return true
		case err == nil:
			return slices.Contains(names, "Resources")
		}
		return jsonTemplate.Match(data)
	}
	return yamlTemplate.Match(data)
}

func isJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// topLevel are the names of the members of a JSON object.
func topLevel(data []byte) (names []string, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return names, err
		}
		names = append(names, name.String())
		if err := dec.SkipValue(); err != nil {
			return names, err
		}
	}
	return names, nil
}

// parse reads a file in YAML or JSON.
func parse(file string, data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if isJSON(data) {
		n, err := parseJSON(file, data)
		if err == nil || bytes.TrimLeft(data, " \t\r\n")[0] != '{' {
			return n, err
		}
		// YAML may begin with a brace too, and has comments and the like.
		if y, yamlErr := parseYAML(file, data); yamlErr == nil && bytes.ContainsAny(data, "#'!") {
			return y, nil
		}
		return nil, err
	}
	return parseYAML(file, data)
}

// A jsonReader reads JSON with places.
type jsonReader struct {
	file  string
	data  []byte
	dec   *jsontext.Decoder
	lines []int // where each line begins
	count int
}

func parseJSON(file string, data []byte) (*node, error) {
	r := &jsonReader{file: file, data: data, dec: jsontext.NewDecoder(bytes.NewReader(data)), lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	n, err := r.value(0)
	if err == nil {
		if _, err = r.dec.ReadToken(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err == nil {
			err = r.fail(int(r.dec.InputOffset()), "there is text after the template")
		}
	}
	return nil, r.wrap(err)
}

func (r *jsonReader) pos(offset int) pos {
	line, found := slices.BinarySearch(r.lines, offset)
	if !found {
		line--
	}
	return pos{line + 1, len([]rune(string(r.data[r.lines[line]:min(offset, len(r.data))]))) + 1}
}

func (r *jsonReader) fail(offset int, what string) *Error {
	at := r.pos(offset)
	return &Error{r.file, at.line, at.column, what}
}

// wrap gives a place to the errors of the decoder.
func (r *jsonReader) wrap(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok && !errors.Is(err, io.ErrUnexpectedEOF) {
		what := "this is not JSON"
		if bad.Err != nil {
			what = bad.Err.Error()
		}
		return r.fail(int(bad.ByteOffset), what)
	}
	return r.fail(len(r.data), "the file ends too early")
}

func (r *jsonReader) value(depth int) (*node, error) {
	k := r.dec.PeekKind()
	offset := r.next()
	n := &node{at: r.pos(offset)}
	if r.count++; r.count > maxNodes || depth > maxDepth {
		return nil, r.fail(offset, "the template is too large")
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch k {
	case 'n':
	case 't', 'f':
		n.kind, n.s = truth, tok.String()
	case '0':
		n.kind, n.s = number, tok.String()
	case '"':
		n.kind, n.s = text, tok.String()
	default:
		n.kind = list
		if k == '{' {
			n.kind = object
		}
		for r.dec.PeekKind() != k+2 { // '}' and ']' follow their beginnings by two
			var m member
			if k == '{' {
				m.at = r.pos(r.next())
				name, err := r.dec.ReadToken()
				if err != nil {
					return nil, err
				}
				m.name = name.String()
			}
			if m.value, err = r.value(depth + 1); err != nil {
				return nil, err
			}
			if k == '{' {
				n.members = append(n.members, m)
			} else {
				n.items = append(n.items, m.value)
			}
		}
		_, err = r.dec.ReadToken()
	}
	return n, err
}

// next is where the next token begins.
func (r *jsonReader) next() int {
	offset := int(r.dec.InputOffset())
	for offset < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[offset]) >= 0 {
		offset++
	}
	return offset
}

// A yamlReader turns nodes of YAML into ours.
type yamlReader struct {
	file  string
	count int
	open  map[*yaml.Node]bool // anchors whose values are being read
}

func parseYAML(file string, data []byte) (*node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		out := &Error{File: file, Text: strings.TrimPrefix(err.Error(), "yaml: ")}
		if load, ok := errors.AsType[*yaml.LoadError](err); ok {
			out.Line, out.Column, out.Text = max(load.Mark.Line, 1), max(load.Mark.Column, 1), load.Message
			if load.ContextMsg != "" {
				out.Text = load.ContextMsg + ": " + load.Message
			}
		}
		return nil, out
	}
	if len(doc.Content) == 0 {
		return nil, &Error{file, 1, 1, "the file is empty"}
	}
	r := &yamlReader{file: file, open: map[*yaml.Node]bool{}}
	return r.value(doc.Content[0], 0)
}

func (r *yamlReader) fail(y *yaml.Node, what string) error {
	return &Error{r.file, max(y.Line, 1), max(y.Column, 1), what}
}

func (r *yamlReader) value(y *yaml.Node, depth int) (*node, error) {
	if r.count++; r.count > maxNodes || depth > maxDepth {
		return nil, r.fail(y, "the template is too large")
	}
	n := &node{at: pos{y.Line, y.Column}}
	switch y.Kind {
	case yaml.AliasNode:
		if y.Alias == nil || r.open[y.Alias] {
			return nil, r.fail(y, "the alias *"+y.Value+" contains itself")
		}
		r.open[y.Alias] = true
		defer delete(r.open, y.Alias)
		return r.value(y.Alias, depth+1)
	case yaml.ScalarNode:
		n.s = y.Value
		switch y.ShortTag() {
		case "!!null":
		case "!!bool":
			n.kind = truth
		case "!!int", "!!float":
			n.kind = number
		default:
			n.kind = text
		}
	case yaml.SequenceNode:
		n.kind = list
		for _, c := range y.Content {
			item, err := r.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case yaml.MappingNode:
		n.kind = object
		if err := r.members(y, n, depth); err != nil {
			return nil, err
		}
	default:
		return nil, r.fail(y, "this is no value")
	}
	return r.short(y, n)
}

// members reads a mapping. Those of "<<" are behind its own, which count more.
func (r *yamlReader) members(y *yaml.Node, n *node, depth int) error {
	var merged []member
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return r.fail(y.Content[i], "a name must be a text")
		}
		v, err := r.value(y.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if key.ShortTag() == "!!merge" {
			for _, from := range v.list() {
				merged = append(merged, from.members...)
			}
			continue
		}
		if n.get(key.Value) != nil {
			return r.fail(key, "the name "+key.Value+" is there twice")
		}
		n.members = append(n.members, member{key.Value, pos{key.Line, key.Column}, v})
	}
	for _, m := range merged {
		if n.get(m.name) == nil {
			n.members = append(n.members, m)
		}
	}
	return nil
}

// short writes the short form of a function, !Sub and the like, in full.
func (r *yamlReader) short(y *yaml.Node, n *node) (*node, error) {
	tag := y.Tag
	if strings.HasPrefix(tag, "!!") || !strings.HasPrefix(tag, "!") || tag == "!" {
		return n, nil
	}
	if y.Kind == yaml.ScalarNode {
		n.kind = text
	}
	name := "Fn::" + tag[1:]
	switch tag {
	case "!Ref", "!Condition":
		name = tag[1:]
	case "!GetAtt":
		if resource, attr, ok := strings.Cut(n.s, "."); n.kind == text && ok {
			n = &node{kind: list, at: n.at, items: []*node{{kind: text, s: resource, at: n.at}, {kind: text, s: attr, at: n.at}}}
		}
	}
	if name != "Ref" && name != "Condition" && !slices.Contains(functions, name) {
		return nil, r.fail(y, "no function is called "+tag)
	}
	return &node{kind: object, at: n.at, members: []member{{name, n.at, n}}}, nil
}
