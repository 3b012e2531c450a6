package saml_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/saml"
	"github.com/kagimori/kagimori/internal/saml/samltest"
)

// Entities of a document's own, depth, width and the same ID twice are refused before a tree is made of it.
func TestBombs(t *testing.T) {
	for name, text := range map[string]string{
		"entities":          `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="&b;"/>`,
		"an outer entity":   `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="&a;"/>`,
		"an unknown entity": `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="&b;"/>`,
		"depth":             strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000),
		"elements":          "<a>" + strings.Repeat("<b/>", 100_000) + "</a>",
		"attributes":        "<a " + strings.Repeat(`b="c" `, 100_000) + "/>",
		"an instruction":    `<?xml-stylesheet href="x"?><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>`,
		"two roots":         `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/><EntityDescriptor/>`,
	} {
		if m, err := saml.ReadMetadata(text); err == nil {
			t.Errorf("%s: taken: %+v", name, m)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	good := samltest.New(f, false).Metadata()
	for _, seed := range []string{good, "", "<a/>", "<!DOCTYPE a>" + good, strings.Replace(good, "entityID", "validUntil=\"2030-01-01T00:00:00Z\" entityID", 1), strings.Replace(good, "<", "<!-- -->\n<", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := saml.ReadMetadata(text)
		if err == nil && (m.EntityID == "" || len(m.Keys) > 10) {
			t.Fatalf("%+v", m)
		}
	})
}
