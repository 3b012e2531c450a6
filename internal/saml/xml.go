package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Namespaces of the documents.
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
)

// Bounds of a document. Canonical forms cost more than the document is long.
const (
	maxDepth    = 40
	maxElements = 20_000
	maxAttrs    = 100 // of an element
)

var errXML = errors.New("saml: not a document that is taken")

// parse reads a document after looking at its tokens: it has one root, no document type (so no
// entities but XML's own five), no processing instruction but its declaration, and no ID twice.
func parse(data []byte) (*etree.Document, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	depth, elements, roots := 0, 0, 0
	ids := map[string]bool{}
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errXML
		}
		switch t := tok.(type) {
		case xml.Directive:
			return nil, errXML
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, errXML
			}
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth, elements = depth+1, elements+1
			if depth > maxDepth || elements > maxElements || roots > 1 || len(t.Attr) > maxAttrs || !distinct(t.Attr, ids) {
				return nil, errXML
			}
		case xml.EndElement:
			depth--
		}
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil || doc.Root() == nil {
		return nil, errXML
	}
	return doc, nil
}

// distinct notes the ID of an element; false if another has it, or an attribute is there twice.
func distinct(attrs []xml.Attr, ids map[string]bool) bool {
	names := map[xml.Name]bool{}
	for _, a := range attrs {
		if names[a.Name] {
			return false
		}
		names[a.Name] = true
		if a.Name.Local != "ID" || a.Name.Space != "" {
			continue
		}
		if ids[a.Value] {
			return false
		}
		ids[a.Value] = true
	}
	return true
}

func is(el *etree.Element, namespace, tag string) bool {
	return el != nil && el.Tag == tag && el.NamespaceURI() == namespace
}

func children(el *etree.Element, namespace, tag string) []*etree.Element {
	var out []*etree.Element
	for _, c := range el.ChildElements() {
		if is(c, namespace, tag) {
			out = append(out, c)
		}
	}
	return out
}

// only is the one child of a name; nil if there is none or more than one.
func only(el *etree.Element, namespace, tag string) *etree.Element {
	if all := children(el, namespace, tag); len(all) == 1 {
		return all[0]
	}
	return nil
}

// content is the text of an element that holds nothing else: no comment can split it.
func content(el *etree.Element) (string, bool) {
	if el == nil {
		return "", false
	}
	var b strings.Builder
	for _, c := range el.Child {
		data, ok := c.(*etree.CharData)
		if !ok {
			return "", false
		}
		b.WriteString(data.Data)
	}
	return strings.TrimSpace(b.String()), true
}

func instant(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil { // without a zone it is UTC: SAML 2.0 Core, 1.3.3
		at, err = time.Parse("2006-01-02T15:04:05.999999999", text)
	}
	return at.UTC(), err
}
