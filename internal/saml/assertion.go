package saml

import (
	"strings"
	"time"

	"github.com/beevik/etree"
)

// An Assertion is what a provider vouches for. Times that it does not name are zero.
type Assertion struct {
	Issuer string
	// Subject is the user's NameID, and Format what kind of name it is, without the prefix of SAML's own.
	Subject, Format string
	Recipient       string // whom it is for, by the one confirmation of the subject
	Audiences       []string
	Issued          time.Time
	NotBefore       time.Time // the latest of the conditions' and the confirmation's
	NotOnOrAfter    time.Time // the earliest of the conditions' and the confirmation's
	SessionEnd      time.Time // SessionNotOnOrAfter
	Attributes      map[string][]string
}

// formats is the prefix of SAML's own formats of names.
const formats = "urn:oasis:names:tc:SAML:2.0:nameid-format:"

// readAssertion reads an assertion that was verified.
func readAssertion(el *etree.Element) (*Assertion, error) {
	a := &Assertion{Attributes: map[string][]string{}}
	var ok bool
	if a.Issuer, ok = content(only(el, nsAssertion, "Issuer")); !ok || a.Issuer == "" {
		return nil, ErrMalformed
	}
	var err error
	if a.Issued, err = instant(el.SelectAttrValue("IssueInstant", "")); err != nil {
		return nil, ErrMalformed
	}
	if err := a.readSubject(only(el, nsAssertion, "Subject")); err != nil {
		return nil, err
	}
	if err := a.readConditions(el); err != nil {
		return nil, err
	}
	for _, st := range children(el, nsAssertion, "AuthnStatement") {
		end, err := optional(st, "SessionNotOnOrAfter")
		if err != nil {
			return nil, err
		}
		a.SessionEnd = earlier(a.SessionEnd, end)
	}
	for _, st := range children(el, nsAssertion, "AttributeStatement") {
		for _, attr := range children(st, nsAssertion, "Attribute") {
			name := attr.SelectAttrValue("Name", "")
			for _, v := range children(attr, nsAssertion, "AttributeValue") {
				if text, ok := content(v); ok {
					a.Attributes[name] = append(a.Attributes[name], text)
				}
			}
		}
	}
	return a, nil
}

// readSubject wants a name and exactly one confirmation, with a recipient and an end.
func (a *Assertion) readSubject(subject *etree.Element) error {
	if subject == nil {
		return ErrMalformed
	}
	name := only(subject, nsAssertion, "NameID")
	var ok bool
	if a.Subject, ok = content(name); !ok || a.Subject == "" {
		return ErrMalformed
	}
	a.Format = strings.TrimPrefix(name.SelectAttrValue("Format", ""), formats)
	confirmation := only(subject, nsAssertion, "SubjectConfirmation")
	if confirmation == nil {
		return ErrMalformed
	}
	data := only(confirmation, nsAssertion, "SubjectConfirmationData")
	if data == nil {
		return ErrMalformed
	}
	a.Recipient = data.SelectAttrValue("Recipient", "")
	return a.bound(data, true)
}

func (a *Assertion) readConditions(el *etree.Element) error {
	all := children(el, nsAssertion, "Conditions")
	if len(all) > 1 {
		return ErrMalformed
	}
	for _, c := range all {
		if err := a.bound(c, false); err != nil {
			return err
		}
		restrictions := children(c, nsAssertion, "AudienceRestriction")
		if len(restrictions) > 1 { // each would have to hold
			return ErrMalformed
		}
		for _, r := range restrictions {
			for _, audience := range children(r, nsAssertion, "Audience") {
				if text, ok := content(audience); ok {
					a.Audiences = append(a.Audiences, text)
				}
			}
		}
	}
	return nil
}

// bound narrows the time in which the assertion is good.
func (a *Assertion) bound(el *etree.Element, ends bool) error {
	from, err := optional(el, "NotBefore")
	if err != nil {
		return err
	}
	to, err := optional(el, "NotOnOrAfter")
	if err != nil || ends && to.IsZero() {
		return ErrMalformed
	}
	if from.After(a.NotBefore) {
		a.NotBefore = from
	}
	a.NotOnOrAfter = earlier(a.NotOnOrAfter, to)
	return nil
}

func optional(el *etree.Element, name string) (time.Time, error) {
	attr := el.SelectAttr(name)
	if attr == nil {
		return time.Time{}, nil
	}
	at, err := instant(attr.Value)
	if err != nil {
		return at, ErrMalformed
	}
	return at, nil
}

// earlier is the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
