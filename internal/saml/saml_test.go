package saml_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/saml"
	"github.com/kagimori/kagimori/internal/saml/samltest"
)

var now = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func jo(change ...func(*samltest.Says)) samltest.Says {
	s := samltest.Says{Subject: "jo", Now: now, Attributes: map[string][]string{"https://aws.amazon.com/SAML/Attributes/RoleSessionName": {"jo"}}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func verify(t *testing.T, p *samltest.Provider, response string) (*saml.Assertion, error) {
	t.Helper()
	m, err := saml.ReadMetadata(p.Metadata())
	if err != nil || m.EntityID != samltest.EntityID || len(m.Keys) != 1 {
		t.Fatalf("metadata %+v, %v", m, err)
	}
	r, err := saml.Parse(response)
	if err != nil {
		return nil, err
	}
	return r.Verify(m.Keys)
}

func TestSignedAssertionsAreRead(t *testing.T) {
	for name, how := range map[string]func(*samltest.Says){
		"assertion": func(*samltest.Says) {},
		"response":  func(s *samltest.Says) { s.Whole = true },
		"both":      func(s *samltest.Says) { s.Both = true },
	} {
		for _, elliptic := range []bool{false, true} {
			p := samltest.New(t, elliptic)
			a, err := verify(t, p, p.Response(jo(how)))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if a.Subject != "jo" || a.Format != "persistent" || a.Issuer != samltest.EntityID || a.Recipient != "https://signin.aws.amazon.com/saml" ||
				!a.NotOnOrAfter.Equal(now.Add(5*time.Minute)) || !a.SessionEnd.Equal(now.Add(8*time.Hour)) || !a.Issued.Equal(now) ||
				a.Audiences[0] != "urn:amazon:webservices" || a.Attributes["https://aws.amazon.com/SAML/Attributes/RoleSessionName"][0] != "jo" {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// TestWrappedSignatures moves the signed assertion of jo about and has the response say that it is mo.
func TestWrappedSignatures(t *testing.T) {
	p := samltest.New(t, false)
	good := p.Document(jo())
	from, to := strings.Index(good, "<saml:Assertion"), strings.Index(good, "</saml:Assertion>")+len("</saml:Assertion>")
	signed := good[from:to]
	sigFrom, sigTo := strings.Index(signed, "<ds:Signature"), strings.Index(signed, "</ds:Signature>")+len("</ds:Signature>")
	signature := signed[sigFrom:sigTo]
	forged := strings.ReplaceAll(signed[:sigFrom]+signed[sigTo:], ">jo<", ">mo<")
	other := strings.Replace(forged, `ID="_a1"`, `ID="_a2"`, 1)
	with := func(in string) string { return good[:from] + in + good[to:] }
	object := strings.Replace(signature, "</ds:Signature>", "<ds:Object>"+signed+"</ds:Object></ds:Signature>", 1)
	inside := strings.Replace(other, "</saml:Issuer>", "</saml:Issuer>"+object, 1)
	for name, doc := range map[string]string{
		"changed":              strings.ReplaceAll(good, ">jo<", ">mo<"),
		"forged first":         with(other + signed),
		"forged last":          with(signed + other),
		"same ID":              with(forged + signed),
		"in extensions":        strings.Replace(with(other), "<samlp:Status>", "<samlp:Extensions>"+signed+"</samlp:Extensions><samlp:Status>", 1),
		"in the signature":     with(inside),
		"signature of another": with(strings.Replace(other, "</saml:Issuer>", "</saml:Issuer>"+signature, 1)),
		"two signatures":       with(strings.Replace(signed, "</saml:Issuer>", "</saml:Issuer>"+signature, 1)),
		"only the response's":  strings.Replace(with(other), "<samlp:Status>", signature+"<samlp:Status>", 1),
		"none":                 p.Document(jo(func(s *samltest.Says) { s.Unsigned = true })),
		"emptied reference":    strings.Replace(good, `URI="#_a1"`, `URI=""`, 1),
		"foreign key":          samltest.New(t, false).Document(jo()),
		"comment added":        strings.Replace(good, ">jo<", ">jo<!-- -->mo<", 1),
	} {
		if a, err := verify(t, p, samltest.Encode(doc)); err == nil {
			t.Errorf("%s: believed %+v", name, a)
		}
	}
	// A comment in what the provider signed splits no name.
	split := p.Document(jo(func(s *samltest.Says) {
		s.Change = func(x string) string { return strings.Replace(x, ">jo<", ">jo@example.com<!-- -->.evil.example<", 1) }
	}))
	if a, err := verify(t, p, samltest.Encode(split)); err == nil && a.Subject != "jo@example.com.evil.example" {
		t.Errorf("a comment cut the name to %q", a.Subject)
	}
}

func TestDocumentsThatAreNotTaken(t *testing.T) {
	p := samltest.New(t, false)
	good := p.Document(jo())
	expansion := `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>`
	for name, tt := range map[string]struct {
		response string
		want     error
	}{
		"no base64":     {"§", saml.ErrEncoding},
		"empty":         {"", saml.ErrEncoding},
		"no XML":        {samltest.Encode("hello"), saml.ErrMalformed},
		"document type": {samltest.Encode(expansion + good), saml.ErrMalformed},
		"entity":        {samltest.Encode(strings.Replace(good, ">jo<", ">&b;<", 1)), saml.ErrMalformed},
		"external":      {samltest.Encode(`<!DOCTYPE r SYSTEM "file:///etc/passwd">` + good), saml.ErrMalformed},
		"instruction":   {samltest.Encode(`<?xml-stylesheet href="x"?>` + good), saml.ErrMalformed},
		"two roots":     {samltest.Encode(good + good), saml.ErrMalformed},
		"depth":         {samltest.Encode(strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000)), saml.ErrMalformed},
		"another root":  {samltest.Encode(strings.ReplaceAll(good, "samlp:Response", "samlp:ArtifactResponse")), saml.ErrMalformed},
		"failure":       {samltest.Encode(strings.Replace(good, "status:Success", "status:Requester", 1)), saml.ErrStatus},
		"encrypted":     {samltest.Encode(strings.Replace(good, "<saml:Assertion", "<saml:EncryptedAssertion/><saml:Assertion", 1)), saml.ErrEncrypted},
		"no assertion":  {samltest.Encode(good[:strings.Index(good, "<saml:Assertion")] + "</samlp:Response>"), saml.ErrMalformed},
	} {
		if _, err := verify(t, p, tt.response); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for name, change := range map[string][2]string{
		"no recipient's end": {`NotOnOrAfter="2026-05-06T07:13:09.000Z" Recipient`, `Recipient`},
		"bad time":           {`SessionNotOnOrAfter="2026`, `SessionNotOnOrAfter="x2026`},
		"no subject":         {`>jo</saml:NameID>`, `></saml:NameID>`},
		"no confirmation":    {`SubjectConfirmationData`, `Other`},
	} {
		doc := p.Document(jo(func(s *samltest.Says) {
			s.Change = func(x string) string { return strings.Replace(x, change[0], change[1], 1) }
		}))
		if _, err := verify(t, p, samltest.Encode(doc)); !errors.Is(err, saml.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	p, other := samltest.New(t, false), samltest.New(t, true)
	m, err := saml.ReadMetadata(p.Metadata(other))
	if err != nil || len(m.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(m.Keys), err)
	}
	r, err := saml.Parse(other.Response(jo()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(m.Keys); err != nil {
		t.Errorf("the second key: %v", err)
	}
	for _, bad := range []string{"", "<a/>", "<EntityDescriptor/>", strings.Replace(p.Metadata(), `entityID="`, `validUntil="soon" entityID="`, 1), "<!DOCTYPE a>" + p.Metadata()} {
		if _, err := saml.ReadMetadata(bad); err == nil {
			t.Errorf("taken: %.60s", bad)
		}
	}
	m, err = saml.ReadMetadata(strings.Replace(p.Metadata(), `use="signing"`, `use="encryption"`, 1))
	if err != nil || len(m.Keys) != 0 {
		t.Errorf("keys for encryption sign nothing: %d, %v", len(m.Keys), err)
	}
}

// FuzzResponse: nothing that is fed in crashes, and nothing but what the provider signed is believed.
func FuzzResponse(f *testing.F) {
	p := samltest.New(f, true)
	m, err := saml.ReadMetadata(p.Metadata())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(p.Document(jo())))
	f.Add([]byte(p.Document(jo(func(s *samltest.Says) { s.Both = true }))))
	f.Add([]byte(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><samlp:Status/></samlp:Response>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		_, _ = saml.ReadMetadata(string(doc))
		r, err := saml.Parse(base64.StdEncoding.EncodeToString(doc))
		if err != nil {
			return
		}
		if a, err := r.Verify(m.Keys); err == nil && a.Subject != "jo" {
			t.Errorf("believed %+v", a)
		}
	})
}
