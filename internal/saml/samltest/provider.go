// Package samltest is a SAML 2.0 identity provider for tests.
package samltest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"html"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// EntityID is the provider's name.
const EntityID = "https://idp.example.com/saml"

// A Provider signs responses.
type Provider struct {
	t      testing.TB
	signer crypto.Signer
	cert   []byte
}

// New makes a provider with an RSA key, or with one on P-256. Its certificate ended long ago.
func New(t testing.TB, elliptic256 bool) *Provider {
	t.Helper()
	var (
		signer crypto.Signer
		err    error
	)
	if elliptic256 {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return &Provider{t, signer, cert}
}

// Metadata is the provider's, with the keys of others after its own.
func (p *Provider) Metadata(others ...*Provider) string {
	var keys strings.Builder
	for _, o := range append([]*Provider{p}, others...) {
		fmt.Fprintf(&keys, `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
			base64.StdEncoding.EncodeToString(o.cert))
	}
	// Models want a thousand characters.
	return `<?xml version="1.0"?><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + EntityID + `">` +
		`<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + keys.String() +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/sso"/>` +
		`</md:IDPSSODescriptor><md:Organization><md:OrganizationName xml:lang="en">` + strings.Repeat("example ", 60) + `</md:OrganizationName></md:Organization></md:EntityDescriptor>`
}

// Says is what a response says.
type Says struct {
	Subject    string
	Now        time.Time
	Attributes map[string][]string
	// Change edits the XML before it is signed.
	Change func(string) string
	// Whole signs the response, Both response and assertion, Unsigned nothing; else the assertion is signed.
	Whole, Both, Unsigned bool
}

// Document is a response in XML.
func (p *Provider) Document(s Says) string {
	p.t.Helper()
	var attrs strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		fmt.Fprintf(&attrs, `<saml:Attribute Name="%s">`, html.EscapeString(name))
		for _, v := range s.Attributes[name] {
			fmt.Fprintf(&attrs, `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">%s</saml:AttributeValue>`, html.EscapeString(v))
		}
		attrs.WriteString(`</saml:Attribute>`)
	}
	at := func(d time.Duration) string { return s.Now.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
	text := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r1" Version="2.0" IssueInstant="` + at(0) + `" Destination="https://signin.aws.amazon.com/saml">` +
		`<saml:Issuer>` + EntityID + `</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` +
		`<saml:Assertion ID="_a1" Version="2.0" IssueInstant="` + at(0) + `"><saml:Issuer>` + EntityID + `</saml:Issuer>` +
		`<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">` + html.EscapeString(s.Subject) + `</saml:NameID>` +
		`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="` + at(5*time.Minute) + `" Recipient="https://signin.aws.amazon.com/saml"/></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="` + at(-time.Minute) + `" NotOnOrAfter="` + at(5*time.Minute) + `"><saml:AudienceRestriction><saml:Audience>urn:amazon:webservices</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
		`<saml:AuthnStatement AuthnInstant="` + at(0) + `" SessionNotOnOrAfter="` + at(8*time.Hour) + `"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
		`<saml:AttributeStatement>` + attrs.String() + `</saml:AttributeStatement></saml:Assertion></samlp:Response>`
	if s.Change != nil {
		text = s.Change(text)
	}
	if s.Unsigned {
		return text
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		p.t.Fatal(err)
	}
	root := doc.Root()
	if !s.Whole || s.Both {
		old := root.SelectElement("saml:Assertion")
		alone := old.Copy()
		alone.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
		at := old.Index()
		root.RemoveChildAt(at)
		root.InsertChildAt(at, p.sign(alone))
	}
	if s.Whole || s.Both {
		root = p.sign(root)
	}
	out := etree.NewDocument()
	out.SetRoot(root)
	signed, err := out.WriteToString()
	if err != nil {
		p.t.Fatal(err)
	}
	return signed
}

// sign puts a signature after the issuer of an element.
func (p *Provider) sign(el *etree.Element) *etree.Element {
	p.t.Helper()
	ctx, err := dsig.NewSigningContext(p.signer, [][]byte{p.cert})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if _, ok := p.signer.(*ecdsa.PrivateKey); ok {
		if err := ctx.SetSignatureMethod(dsig.ECDSASHA256SignatureMethod); err != nil {
			p.t.Fatal(err)
		}
	}
	signed, err := ctx.SignEnveloped(el)
	if err != nil {
		p.t.Fatal(err)
	}
	sig := signed.Child[len(signed.Child)-1]
	signed.RemoveChildAt(len(signed.Child) - 1)
	signed.InsertChildAt(1, sig)
	return signed
}

// Response is a response as the HTTP POST binding sends it.
func (p *Provider) Response(s Says) string { return Encode(p.Document(s)) }

// Encode is a document as the HTTP POST binding sends it.
func Encode(document string) string { return base64.StdEncoding.EncodeToString([]byte(document)) }
