package sts

import (
	"context"
	"crypto/sha1" //nolint:gosec // AWS names federated users so; nothing rests on it
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/saml"
	"github.com/kagimori/kagimori/internal/store"
)

// A SAMLProvider is a SAML provider of an account.
type SAMLProvider struct {
	ARN      string
	Metadata saml.Metadata
	Until    time.Time // the end of the metadata
}

// redeem is how old a response may be. Source: IAM User Guide, "Configure SAML assertions for the
// authentication response"; the error's text is AWS's.
const redeem = 5 * time.Minute

// AssumeRoleWithSAML gives temporary credentials of a role to whom a SAML provider of the role's
// account vouches for. Nobody signs the request: the assertion proves who asks.
// Source: STS API Reference, AssumeRoleWithSAML.
func (s *Service) AssumeRoleWithSAML(ctx context.Context, c *guard.Call, in *stsapi.AssumeRoleWithSAMLRequest) (*stsapi.AssumeRoleWithSAMLResponse, error) {
	account, _, err := roleName(api.Val(in.RoleArn))
	if err != nil {
		return nil, err
	}
	provider, err := arn.Parse(api.Val(in.PrincipalArn))
	if err != nil || provider.Partition != arn.Partition || provider.Service != "iam" || provider.Type() != "saml-provider" || !arn.IsAccount(provider.Account) {
		return nil, apierr.Newf("ValidationError", "%s is invalid", api.Val(in.PrincipalArn))
	}
	response, err := saml.Parse(in.SAMLAssertion.Reveal())
	if err != nil {
		return nil, samlError(err)
	}
	known, err := s.samlProviderOf(ctx, c, api.Val(in.PrincipalArn))
	if err != nil {
		return nil, err
	}
	a, err := s.proveAssertion(response, known)
	if err != nil {
		return nil, err
	}
	hash := sha1.Sum([]byte(a.Issuer + provider.Account + "/" + provider.ID()))
	qualifier := base64.StdEncoding.EncodeToString(hash[:])
	c.Caller.Federated = &guard.Federated{Type: "SAMLUser", PrincipalID: qualifier + ":" + a.Subject, UserName: a.Subject, Provider: qualifier}
	c.Touch(api.Val(in.RoleArn), account, "AWS::IAM::Role")
	if account != provider.Account || !names(a, api.Val(in.RoleArn), known.ARN) {
		return nil, denied("Not authorized to perform sts:AssumeRoleWithSAML")
	}
	as := &stsapi.AssumeRoleRequest{RoleArn: in.RoleArn, DurationSeconds: in.DurationSeconds, Policy: in.Policy, PolicyArns: in.PolicyArns}
	f := federation{action: "sts:AssumeRoleWithSAML", provider: known.ARN}
	if err := s.readAttributes(a, as, &f); err != nil {
		return nil, err
	}
	f.claims.Set("saml:namequalifier", qualifier)
	f.claims.Set("saml:sub", a.Subject)
	f.claims.Set("saml:sub_type", a.Format)
	f.more.Set("saml:iss", a.Issuer)
	f.more.Set("saml:aud", a.Recipient)
	f.more.Set("saml:doc", provider.Account+"/"+provider.ID())
	for name, values := range a.Attributes {
		for _, key := range samlKeys[strings.TrimPrefix(name, "urn:oid:")] {
			f.more.SetList("saml:"+strings.ToLower(key), values)
		}
	}
	if !a.SessionEnd.IsZero() {
		f.until = a.SessionEnd
	}
	got, err := s.federate(ctx, c, as, f)
	if err != nil {
		return nil, err
	}
	out := &stsapi.AssumeRoleWithSAMLResponse{
		Credentials: got.credentials, AssumedRoleUser: got.user, PackedPolicySize: got.packed, SourceIdentity: as.SourceIdentity,
		Subject: &a.Subject, SubjectType: &a.Format, Issuer: &a.Issuer, Audience: &a.Recipient, NameQualifier: &qualifier,
	}
	c.Respond(out)
	return out, nil
}

// samlError is what a response that cannot be taken is answered with.
// Source of texts: IAM User Guide, "Troubleshoot SAML federation with IAM".
func samlError(err error) error {
	switch {
	case errors.Is(err, saml.ErrEncoding):
		return invalidToken("Invalid base64 SAMLResponse")
	case errors.Is(err, saml.ErrStatus):
		return apierr.New("IDPRejectedClaim", "The identity provider reported that authentication failed.").WithStatus(403)
	case errors.Is(err, saml.ErrEncrypted):
		return invalidToken("The SAML provider has no private key to decrypt the assertion with.")
	case errors.Is(err, saml.ErrSignature):
		return invalidToken("Response signature invalid")
	}
	return invalidToken("Your request included an invalid SAML response.")
}

func (s *Service) samlProviderOf(ctx context.Context, c *guard.Call, providerARN string) (SAMLProvider, error) {
	var p SAMLProvider
	known := false
	if s.saml != nil {
		err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
			p, known, err = s.saml(tx, providerARN)
			return err
		})
		if err != nil {
			return p, err
		}
	}
	if !known {
		return p, invalidToken("Specified provider doesn't exist")
	}
	return p, nil
}

// proveAssertion wants the provider to have made the response, for AWS, and the response to be good now.
func (s *Service) proveAssertion(r *saml.Response, p SAMLProvider) (*saml.Assertion, error) {
	now := s.wall()
	if r.Issuer() != p.Metadata.EntityID {
		return nil, invalidToken("Issuer not present in specified provider")
	}
	if !now.Before(p.Until) {
		return nil, invalidToken("The metadata of the SAML provider has expired.")
	}
	a, err := r.Verify(p.Metadata.Keys)
	switch {
	case err != nil:
		return nil, samlError(err)
	case a.Issuer != p.Metadata.EntityID:
		return nil, invalidToken("Issuer not present in specified provider")
	case !signIn.MatchString(a.Recipient):
		return nil, invalidToken("Response does not contain the required recipient.")
	case len(a.Audiences) > 0 && !forAWS(a.Audiences):
		return nil, invalidToken("Response does not contain the required audience.")
	case now.Add(leeway).Before(a.NotBefore), now.Add(leeway).Before(a.Issued):
		return nil, invalidToken("Response is not valid yet.")
	case !now.Before(a.NotOnOrAfter), !a.SessionEnd.IsZero() && !now.Before(a.SessionEnd):
		return nil, apierr.New("ExpiredTokenException", "Response has expired")
	case now.After(a.Issued.Add(redeem)):
		return nil, apierr.New("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
	}
	return a, nil
}

// signIn are AWS's endpoints for responses. Source: AWS General Reference, "AWS Sign-In endpoints".
var signIn = regexp.MustCompile(`^https://([a-z]{2}(-[a-z]+)+-\d\.)?signin\.aws\.amazon\.com/saml(/acs/[A-Za-z0-9]+)?$`)

// forAWS says whether an audience is AWS. Source: IAM User Guide, "Configure SAML assertions for the
// authentication response", AudienceRestriction and Audience.
func forAWS(audiences []string) bool {
	for _, a := range audiences {
		if a == "urn:amazon:webservices" || signIn.MatchString(a) {
			return true
		}
	}
	return false
}

// attributes is the prefix of the attributes that AWS reads. Source: as forAWS.
const attributes = "https://aws.amazon.com/SAML/Attributes/"

// names says whether the assertion has the role with the provider among its pairs, in either order.
func names(a *saml.Assertion, role, provider string) bool {
	for _, pair := range a.Attributes[attributes+"Role"] {
		one, other, ok := strings.Cut(pair, ",")
		one, other = strings.TrimSpace(one), strings.TrimSpace(other)
		if ok && (one == role && other == provider || one == provider && other == role) {
			return true
		}
	}
	return false
}

var sessionNames = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// readAttributes takes the session's name, source identity and tags from the assertion.
func (s *Service) readAttributes(a *saml.Assertion, as *stsapi.AssumeRoleRequest, f *federation) error {
	name := a.Attributes[attributes+"RoleSessionName"]
	switch {
	case len(name) == 0:
		return invalidToken("RoleSessionName is required in AuthnResponse")
	case len(name) > 1 || !sessionNames.MatchString(name[0]):
		return invalidToken("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
	}
	as.RoleSessionName = &name[0]
	if source := a.Attributes[attributes+"SourceIdentity"]; len(source) > 0 {
		if len(source) > 1 || !sessionNames.MatchString(source[0]) || strings.HasPrefix(source[0], "aws:") {
			return invalidToken(`Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"`)
		}
		as.SourceIdentity = &source[0]
	}
	if d := a.Attributes[attributes+"SessionDuration"]; len(d) > 0 {
		if n, err := strconv.Atoi(d[0]); len(d) > 1 || err != nil || n < 900 || n > 43200 {
			return invalidToken("SessionDuration in AuthnResponse must be an integer from 900 to 43200")
		}
	}
	for attribute, values := range a.Attributes {
		key, ok := strings.CutPrefix(attribute, attributes+"PrincipalTag:")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return invalidToken("The session tags of the assertion are not valid.")
		}
		if f.tags == nil {
			f.tags = map[string]string{}
		}
		f.tags[key] = values[0]
	}
	f.transitive = a.Attributes[attributes+"TransitiveTagKeys"]
	return nil
}

// samlKeys are the condition keys that attributes give, by OID or name. Source: IAM User Guide,
// "Configure SAML assertions for the authentication response", Mapping SAML attributes to AWS trust
// policy context keys.
var samlKeys = map[string][]string{
	"1.3.6.1.4.1.5923.1.1.1.1":   {"eduPersonAffiliation"},
	"1.3.6.1.4.1.5923.1.1.1.2":   {"eduPersonNickname"},
	"1.3.6.1.4.1.5923.1.1.1.3":   {"eduPersonOrgDN"},
	"1.3.6.1.4.1.5923.1.1.1.4":   {"eduPersonOrgUnitDN"},
	"1.3.6.1.4.1.5923.1.1.1.5":   {"eduPersonPrimaryAffiliation"},
	"1.3.6.1.4.1.5923.1.1.1.6":   {"eduPersonPrincipalName"},
	"1.3.6.1.4.1.5923.1.1.1.7":   {"eduPersonEntitlement"},
	"1.3.6.1.4.1.5923.1.1.1.8":   {"eduPersonPrimaryOrgUnitDN"},
	"1.3.6.1.4.1.5923.1.1.1.9":   {"eduPersonScopedAffiliation"},
	"1.3.6.1.4.1.5923.1.1.1.10":  {"eduPersonTargetedID"},
	"1.3.6.1.4.1.5923.1.1.1.11":  {"eduPersonAssurance"},
	"1.3.6.1.4.1.5923.1.2.1.2":   {"eduOrgHomePageURI"},
	"1.3.6.1.4.1.5923.1.2.1.3":   {"eduOrgIdentityAuthNPolicyURI"},
	"1.3.6.1.4.1.5923.1.2.1.4":   {"eduOrgLegalName"},
	"1.3.6.1.4.1.5923.1.2.1.5":   {"eduOrgSuperiorURI"},
	"1.3.6.1.4.1.5923.1.2.1.6":   {"eduOrgWhitePagesURI"},
	"2.5.4.3":                    {"cn", "commonName"},
	"2.5.4.4":                    {"surname"},
	"2.5.4.42":                   {"givenName"},
	"2.5.4.45":                   {"x500UniqueIdentifier"},
	"0.9.2342.19200300.100.1.1":  {"uid"},
	"0.9.2342.19200300.100.1.3":  {"mail"},
	"0.9.2342.19200300.100.1.45": {"organizationStatus"},

	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":              {"name"},
	"http://schemas.xmlsoap.org/claims/CommonName":                            {"commonName"},
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname":         {"givenName"},
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname":           {"surname"},
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress":      {"mail"},
	"http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid": {"primaryGroupSID"},
}
