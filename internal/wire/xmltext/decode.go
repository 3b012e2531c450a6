package xmltext

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/kagimori/kagimori/internal/wire"
)

const (
	maxDepth    = 64
	maxElements = 1_000_000
)

// An Element is a parsed element: its text, or its children in order.
type Element struct {
	Name     string
	Text     string
	Children []*Element
}

// Child is the first child of a name, or nil. It is nil for a nil element.
func (e *Element) Child(name string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// ChildText is the text of the child of a name, or "".
func (e *Element) ChildText(name string) string {
	if c := e.Child(name); c != nil {
		return c.Text
	}
	return ""
}

// Parse reads a document. Attributes, comments and namespaces are dropped.
func Parse(doc []byte) (*Element, error) {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var stack []*Element
	var root *Element
	for count := 0; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("xmltext: %w", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if count++; count > maxElements || len(stack) >= maxDepth {
				return nil, errors.New("xmltext: the document is too large")
			}
			e := &Element{Name: tok.Name.Local}
			switch {
			case len(stack) > 0:
				p := stack[len(stack)-1]
				p.Children = append(p.Children, e)
			case root == nil:
				root = e
			default:
				return nil, errors.New("xmltext: more than one root element")
			}
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].Text += string(tok)
			}
		}
	}
	if root == nil {
		return nil, errors.New("xmltext: no element")
	}
	return root, nil
}

// Decode reads an element's children into a structure. Elements without a member are ignored:
// a newer server may know more members.
func Decode(e *Element, s *wire.Struct, v reflect.Value) error {
	for i := range s.Fields {
		f := &s.Fields[i]
		if err := member(e, f, v.Field(f.Index)); err != nil {
			return err
		}
	}
	return nil
}

func member(e *Element, f *wire.Field, v reflect.Value) error {
	child := e.Child(f.XML)
	if child == nil {
		return nil
	}
	if f.Kind != wire.List && f.Kind != wire.Map {
		return value(child, f, f.Node, v)
	}
	items, name := child.Children, f.Item
	if f.Kind == wire.Map {
		name = "entry"
	}
	if f.Flat {
		items, name = e.Children, f.XML
	}
	if f.Kind == wire.Map {
		return entries(items, name, f, v)
	}
	list := reflect.MakeSlice(f.Type, 0, len(items))
	for _, it := range items {
		if it.Name != name {
			continue
		}
		elem := reflect.New(f.Type.Elem()).Elem()
		if err := value(it, f, f.Elem, elem); err != nil {
			return err
		}
		list = reflect.Append(list, elem)
	}
	v.Set(list)
	return nil
}

func entries(items []*Element, name string, f *wire.Field, v reflect.Value) error {
	m := reflect.MakeMap(f.Type)
	for _, it := range items {
		key, val := it.Child(f.Key), it.Child(f.Val)
		if it.Name != name || key == nil || val == nil {
			continue
		}
		elem := reflect.New(f.Type.Elem()).Elem()
		if err := value(val, f, f.Elem, elem); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(key.Text).Convert(f.Type.Key()), elem)
	}
	v.Set(m)
	return nil
}

func value(e *Element, f *wire.Field, n *wire.Node, v reflect.Value) error {
	if n.Kind == wire.Structure {
		return Decode(e, n.Struct, n.Make(v))
	}
	text := e.Text
	if n.Kind != wire.String {
		text = strings.TrimSpace(text)
	}
	if err := f.Parse(n, n.Make(v), text); err != nil {
		return fmt.Errorf("xmltext: element %s: %w", e.Name, err)
	}
	return nil
}
