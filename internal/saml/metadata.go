package saml

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// ErrMetadata: the document does not describe an identity provider.
var ErrMetadata = errors.New("saml: not the metadata of an entity")

// maxKeys is how many certificates of a provider are tried.
const maxKeys = 10

// Metadata is what a provider says of itself.
type Metadata struct {
	EntityID string
	// Until is the document's validUntil; zero if it names no end.
	Until time.Time
	// Keys are the certificates of signing keys. Only their keys count: that a certificate ended means
	// nothing. Source: IAM User Guide, "Create a SAML identity provider in IAM".
	Keys []*x509.Certificate
}

// ReadMetadata reads a metadata document. Certificates that cannot be read are left out.
func ReadMetadata(text string) (Metadata, error) {
	doc, err := parse([]byte(text))
	if err != nil || !is(doc.Root(), nsMetadata, "EntityDescriptor") {
		return Metadata{}, ErrMetadata
	}
	root := doc.Root()
	m := Metadata{EntityID: root.SelectAttrValue("entityID", "")}
	if m.EntityID == "" {
		return Metadata{}, ErrMetadata
	}
	if until := root.SelectAttr("validUntil"); until != nil {
		if m.Until, err = instant(until.Value); err != nil {
			return Metadata{}, ErrMetadata
		}
	}
	for _, role := range children(root, nsMetadata, "IDPSSODescriptor") {
		for _, key := range children(role, nsMetadata, "KeyDescriptor") {
			if use := key.SelectAttrValue("use", "signing"); use == "signing" {
				m.Keys = append(m.Keys, certificates(key)...)
			}
		}
	}
	m.Keys = m.Keys[:min(len(m.Keys), maxKeys)]
	return m, nil
}

// certificates are those of a KeyDescriptor.
func certificates(key *etree.Element) []*x509.Certificate {
	var out []*x509.Certificate
	for _, info := range children(key, nsSignature, "KeyInfo") {
		for _, data := range children(info, nsSignature, "X509Data") {
			for _, el := range children(data, nsSignature, "X509Certificate") {
				raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(el.Text()), ""))
				if err != nil {
					continue
				}
				if cert, err := x509.ParseCertificate(raw); err == nil {
					out = append(out, cert)
				}
			}
		}
	}
	return out
}
