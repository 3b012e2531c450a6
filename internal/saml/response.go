package saml

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

var (
	// ErrEncoding: it is no base64.
	ErrEncoding = errors.New("saml: not base64")
	// ErrMalformed: it is no response with one assertion in the open.
	ErrMalformed = errors.New("saml: not a response with one assertion")
	// ErrEncrypted: the assertion is encrypted.
	ErrEncrypted = errors.New("saml: the assertion is encrypted")
	// ErrStatus: the provider says that it did not authenticate the user.
	ErrStatus = errors.New("saml: the provider reports a failure")
	// ErrSignature: no signature of the provider's covers the assertion, or one that is there is wrong.
	ErrSignature = errors.New("saml: not signed by the provider")
)

const success = "urn:oasis:names:tc:SAML:2.0:status:Success"

// A Response is what a provider answered; nothing of it is proved.
type Response struct {
	root, assertion *etree.Element
}

// Parse reads a response as the HTTP POST binding sends it.
func Parse(encoded string) (*Response, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil || len(raw) == 0 {
		return nil, ErrEncoding
	}
	doc, err := parse(raw)
	if err != nil {
		return nil, ErrMalformed
	}
	r := &Response{root: doc.Root()}
	if !is(r.root, nsProtocol, "Response") {
		return nil, ErrMalformed
	}
	status := only(r.root, nsProtocol, "Status")
	if status == nil {
		return nil, ErrMalformed
	}
	if code := only(status, nsProtocol, "StatusCode"); code == nil || code.SelectAttrValue("Value", "") != success {
		return nil, ErrStatus
	}
	if len(children(r.root, nsAssertion, "EncryptedAssertion")) > 0 {
		return nil, ErrEncrypted
	}
	if r.assertion = only(r.root, nsAssertion, "Assertion"); r.assertion == nil || count(r.root) != 1 {
		return nil, ErrMalformed
	}
	for _, el := range []*etree.Element{r.root, r.assertion} {
		if len(children(el, nsSignature, "Signature")) > 1 {
			return nil, ErrMalformed
		}
	}
	return r, nil
}

// count is how many assertions there are, wherever they are.
func count(el *etree.Element) int {
	n := 0
	if el.Tag == "Assertion" {
		n++
	}
	for _, c := range el.ChildElements() {
		n += count(c)
	}
	return n
}

// Issuer is who the assertion says made it: it decides whose keys are asked for.
func (r *Response) Issuer() string {
	issuer, _ := content(only(r.assertion, nsAssertion, "Issuer"))
	return issuer
}

// Verify wants each signature of the response and the assertion to be of one of the keys, and one of
// them to be there; it reads the assertion from what the signature covers.
func (r *Response) Verify(keys []*x509.Certificate) (*Assertion, error) {
	assertion, signed := r.assertion, false
	if signature(r.root) != nil {
		root, err := verified(r.root, keys)
		if err != nil {
			return nil, err
		}
		if !is(root, nsProtocol, "Response") || count(root) != 1 {
			return nil, ErrSignature
		}
		if assertion = only(root, nsAssertion, "Assertion"); assertion == nil {
			return nil, ErrSignature
		}
		signed = true
	}
	if signature(assertion) != nil {
		var err error
		if assertion, err = verified(assertion, keys); err != nil {
			return nil, err
		}
		if !is(assertion, nsAssertion, "Assertion") || count(assertion) != 1 {
			return nil, ErrSignature
		}
		signed = true
	}
	if !signed {
		return nil, ErrSignature
	}
	return readAssertion(assertion)
}

func signature(el *etree.Element) *etree.Element { return only(el, nsSignature, "Signature") }

// verified is an element as a key signed it: read anew from the bytes that were digested.
func verified(el *etree.Element, keys []*x509.Certificate) (*etree.Element, error) {
	around, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, ErrSignature
	}
	alone, err := etreeutils.NSDetatch(around, el)
	if err != nil || !refers(alone) {
		return nil, ErrSignature
	}
	// Which key it was, is not believed: each is tried. The signature covers no KeyInfo.
	sig := signature(alone)
	if sig == nil {
		return nil, ErrSignature
	}
	for _, info := range children(sig, nsSignature, "KeyInfo") {
		sig.RemoveChild(info)
	}
	for _, key := range keys {
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{key}})
		ctx.Clock = dsig.NewFakeClockAt(key.NotBefore) // the end of a certificate is not looked at
		if out, err := ctx.Validate(alone); err == nil && out != nil {
			return out, nil
		}
	}
	return nil, ErrSignature
}

// refers wants the element's own signature to have one reference, to the element by its ID, and no
// other signature inside to be of that ID: SAML 2.0 Core, 5.4.2.
func refers(el *etree.Element) bool {
	id := el.SelectAttrValue("ID", "")
	info := only(signature(el), nsSignature, "SignedInfo")
	if id == "" || info == nil {
		return false
	}
	ref := only(info, nsSignature, "Reference")
	if ref == nil || ref.SelectAttrValue("URI", "") != "#"+id {
		return false
	}
	return references(el, "#"+id) == 1
}

// references is how many references to a URI, or to the whole, are below an element.
func references(el *etree.Element, uri string) int {
	n := 0
	if el.Tag == "Reference" {
		if u := el.SelectAttrValue("URI", ""); u == uri || len(u) < 2 {
			n++
		}
	}
	for _, c := range el.ChildElements() {
		n += references(c, uri)
	}
	return n
}
