package sts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/saml/samltest"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts"
)

const (
	samlARN    = "arn:aws:iam::111122223333:saml-provider/idp"
	samlPerson = `"Federated":"` + samlARN + `"`
	samlOnly   = `"sts:AssumeRoleWithSAML"`
	awsSAML    = "https://aws.amazon.com/SAML/Attributes/"
)

// A samlWorld is a world with a SAML provider whom the account knows.
type samlWorld struct {
	*web
	idp *samltest.Provider
}

func newSAML(t *testing.T, trust ...string) *samlWorld {
	w := &samlWorld{web: &web{}, idp: samltest.New(t, false)}
	w.world = newWorld(t, func(cfg *sts.Config) {
		cfg.SAML = func(tx store.Tx, providerARN string) (sts.SAMLProvider, bool, error) {
			p, ok, err := w.people.FindSAMLIssuer(tx, providerARN)
			return sts.SAMLProvider(p), ok, err
		}
	})
	w.admin(account).must(&iamapi.CreateSAMLProviderRequest{Name: new("idp"), SAMLMetadataDocument: new(w.idp.Metadata())})
	w.role = w.world.role(account, "sso", trust...)
	return w
}

// says is a good response for jo and the world's role.
func (w *samlWorld) says(change ...func(*samltest.Says)) samltest.Says {
	s := samltest.Says{Subject: "jo", Now: w.wall, Attributes: map[string][]string{
		awsSAML + "Role": {samlARN + "," + w.role, "arn:aws:iam::111122223333:role/other," + samlARN}, awsSAML + "RoleSessionName": {"jo@example.com"},
	}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func (w *samlWorld) ask(s samltest.Says, change ...func(*stsapi.AssumeRoleWithSAMLRequest)) *stsapi.AssumeRoleWithSAMLRequest {
	in := &stsapi.AssumeRoleWithSAMLRequest{RoleArn: &w.role, PrincipalArn: new(samlARN), SAMLAssertion: new(secret.String(w.idp.Response(s)))}
	for _, f := range change {
		f(in)
	}
	return in
}

func TestAssumeRoleWithSAML(t *testing.T) {
	w := newSAML(t, trustWhen(samlPerson, samlOnly, `{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml","SAML:iss":"`+samltest.EntityID+`","SAML:sub_type":"persistent",
		"saml:doc":"111122223333/idp","sts:RoleSessionName":"jo@example.com"},"ForAnyValue:StringEquals":{"saml:eduPersonAffiliation":"staff","saml:cn":"Jo"}}`))
	affiliated := w.says(func(s *samltest.Says) {
		s.Attributes["urn:oid:1.3.6.1.4.1.5923.1.1.1.1"], s.Attributes["urn:oid:2.5.4.3"] = []string{"member", "staff"}, []string{"Jo"}
	})
	out := get[stsapi.AssumeRoleWithSAMLResponse](w.nobody(), w.ask(affiliated))
	// The pseudocode of the API Reference: BASE64(SHA1(issuer + account + "/" + name)).
	const qualifier = "w9623T/DM68QqX6yODhgW5uvh0U="
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111122223333:assumed-role/sso/jo@example.com" || *out.Subject != "jo" || *out.SubjectType != "persistent" ||
		*out.Issuer != samltest.EntityID || *out.Audience != "https://signin.aws.amazon.com/saml" || *out.NameQualifier != qualifier ||
		!out.Credentials.Expiration.Equal(w.wall.Add(time.Hour).Truncate(time.Second)) {
		t.Errorf("answer %+v, qualifier %s", out, *out.NameQualifier)
	}
	w.nobody().refused(w.ask(w.says()), 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
	// The session keeps who the user is.
	session := w.login(*out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
	w.admin(account).must(&iamapi.PutRolePolicyRequest{RoleName: new("sso"), PolicyName: new("p"), PolicyDocument: new(document(
		`{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"StringEquals":{"saml:sub":"jo","saml:namequalifier":"`+qualifier+`","saml:sub_type":"persistent","aws:FederatedProvider":"`+samlARN+`"}}}`,
		`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"StringEquals":{"saml:sub":"mo"}}}`,
	))})
	session.must(&iamapi.ListRolesRequest{})
	session.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "not authorized to perform: iam:ListUsers")
	var found bool
	for _, r := range w.records() {
		if r.EventName == "AssumeRoleWithSAML" && r.ErrorCode == "" {
			found = true
			if u := r.UserIdentity; u.Type != "SAMLUser" || u.UserName != "jo" || u.IdentityProvider != qualifier || u.PrincipalID != qualifier+":jo" {
				t.Errorf("recorded as %+v", r)
			}
			if strings.Contains(string(r.RequestParameters), "PHNhbWxw") {
				t.Error("the assertion is in the record")
			}
		}
	}
	if !found {
		t.Error("no record")
	}
}

func TestSAMLResponsesThatProveNothing(t *testing.T) {
	w := newSAML(t, trust(samlPerson, samlOnly))
	edit := func(from, to string) samltest.Says {
		return w.says(func(s *samltest.Says) {
			s.Change = func(x string) string {
				if !strings.Contains(x, from) {
					t.Errorf("no %q to change", from)
				}
				return strings.Replace(x, from, to, 1)
			}
		})
	}
	attribute := func(name string, values ...string) samltest.Says {
		return w.says(func(s *samltest.Says) { s.Attributes[awsSAML+name] = values })
	}
	at := func(d time.Duration) samltest.Says { return w.says(func(s *samltest.Says) { s.Now = w.wall.Add(d) }) }
	const recipient = `Recipient="https://signin.aws.amazon.com/saml"`
	for name, tt := range map[string]struct {
		says          samltest.Says
		code, message string
	}{
		"unsigned": {w.says(func(s *samltest.Says) { s.Unsigned = true }), "InvalidIdentityToken", "Response signature invalid"},
		"failure":  {edit("status:Success", "status:AuthnFailed"), "IDPRejectedClaim", "authentication failed"},
		"issuer": {w.says(func(s *samltest.Says) {
			s.Change = func(x string) string { return strings.ReplaceAll(x, "idp.example.com", "other.example") }
		}), "InvalidIdentityToken", "Issuer not present in specified provider"},
		"recipient":       {edit(recipient, `Recipient="https://signin.example.com/saml"`), "InvalidIdentityToken", "recipient"},
		"recipient's end": {edit(recipient, `Recipient="https://signin.aws.amazon.com/saml.example"`), "InvalidIdentityToken", "recipient"},
		"audience":        {edit("urn:amazon:webservices", "urn:other"), "InvalidIdentityToken", "required audience"},
		"too early":       {at(time.Hour), "InvalidIdentityToken", "not valid yet"},
		"too late":        {at(-6 * time.Minute), "ExpiredTokenException", "expired"},
		"redeemed late": {w.says(func(s *samltest.Says) {
			s.Now = w.wall.Add(-6 * time.Minute)
			s.Change = func(x string) string {
				return strings.ReplaceAll(x, s.Now.Add(5*time.Minute).Format("2006-01-02T15:04:05"), "2027-01-01T00:00:00")
			}
		}), "ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance"},
		"session over":      {edit(`SessionNotOnOrAfter="2026`, `SessionNotOnOrAfter="2025`), "ExpiredTokenException", "expired"},
		"no session name":   {attribute("RoleSessionName"), "InvalidIdentityToken", "RoleSessionName is required in AuthnResponse"},
		"bad session name":  {attribute("RoleSessionName", "a b"), "InvalidIdentityToken", "must match [a-zA-Z_0-9+=,.@-]{2,64}"},
		"bad source":        {attribute("SourceIdentity", "aws:jo"), "InvalidIdentityToken", "Source Identity must match"},
		"bad duration":      {attribute("SessionDuration", "10"), "InvalidIdentityToken", "SessionDuration"},
		"two values of tag": {attribute("PrincipalTag:team", "a", "b"), "InvalidIdentityToken", "session tags"},
		"no role":           {attribute("Role"), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
		"another role":      {attribute("Role", "arn:aws:iam::111122223333:role/other,"+samlARN), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
		"another provider":  {attribute("Role", w.role+",arn:aws:iam::111122223333:saml-provider/other"), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
	} {
		t.Run(name, func(t *testing.T) {
			status := 400
			if tt.code == "AccessDenied" || tt.code == "IDPRejectedClaim" {
				status = 403
			}
			w.nobody().refused(w.ask(tt.says), status, tt.code, tt.message)
		})
	}
	for name, tt := range map[string]struct {
		change        func(*stsapi.AssumeRoleWithSAMLRequest)
		status        int
		code, message string
	}{
		"no base64": {func(in *stsapi.AssumeRoleWithSAMLRequest) { in.SAMLAssertion = new(secret.String("????")) }, 400, "InvalidIdentityToken", "Invalid base64 SAMLResponse"},
		"no XML":    {func(in *stsapi.AssumeRoleWithSAMLRequest) { in.SAMLAssertion = new(secret.String("aGVsbG8=")) }, 400, "InvalidIdentityToken", "invalid SAML response"},
		"no provider": {func(in *stsapi.AssumeRoleWithSAMLRequest) {
			in.PrincipalArn = new("arn:aws:iam::111122223333:saml-provider/none")
		}, 400, "InvalidIdentityToken", "Specified provider doesn't exist"},
		"no such ARN": {func(in *stsapi.AssumeRoleWithSAMLRequest) {
			in.PrincipalArn = new("arn:aws:iam::111122223333:role/none")
		}, 400, "ValidationError", "is invalid"},
		"too long":     {func(in *stsapi.AssumeRoleWithSAMLRequest) { in.DurationSeconds = new(int32(7200)) }, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"foreign role": {func(in *stsapi.AssumeRoleWithSAMLRequest) { in.RoleArn = new("arn:aws:iam::444455556666:role/sso") }, 403, "AccessDenied", "Not authorized"},
	} {
		t.Run(name, func(t *testing.T) { w.nobody().refused(w.ask(w.says(), tt.change), tt.status, tt.code, tt.message) })
	}
	// Other metadata: its keys count, and its end.
	a := w.admin(account)
	a.must(&iamapi.UpdateSAMLProviderRequest{SAMLProviderArn: new(samlARN), SAMLMetadataDocument: new(samltest.New(t, true).Metadata())})
	w.nobody().refused(w.ask(w.says()), 400, "InvalidIdentityToken", "Response signature invalid")
	over := strings.Replace(w.idp.Metadata(), "entityID=", `validUntil="2026-05-06T07:08:09Z" entityID=`, 1)
	a.must(&iamapi.UpdateSAMLProviderRequest{SAMLProviderArn: new(samlARN), SAMLMetadataDocument: &over})
	w.nobody().refused(w.ask(w.says()), 400, "InvalidIdentityToken", "metadata of the SAML provider has expired")
	a.must(&iamapi.UpdateSAMLProviderRequest{SAMLProviderArn: new(samlARN), SAMLMetadataDocument: new(w.idp.Metadata())})
	w.nobody().must(w.ask(w.says()))
}

func TestSAMLSetsTagsSourceIdentityAndTheSessionsEnd(t *testing.T) {
	w := newSAML(t, trust(samlPerson, samlOnly))
	tagged := w.says(func(s *samltest.Says) {
		s.Attributes[awsSAML+"PrincipalTag:team"], s.Attributes[awsSAML+"TransitiveTagKeys"] = []string{"red"}, []string{"team"}
		s.Attributes[awsSAML+"SourceIdentity"] = []string{"jo"}
		s.Change = func(x string) string {
			return strings.Replace(x, `SessionNotOnOrAfter="`+w.wall.Add(8*time.Hour).Format("2006-01-02T15:04:05.000Z"), `SessionNotOnOrAfter="`+w.wall.Add(20*time.Minute).Format("2006-01-02T15:04:05.000Z"), 1)
		}
	})
	w.nobody().refused(w.ask(tagged), 403, "AccessDenied", "Not authorized to perform sts:TagSession")
	w.role = w.world.role(account, "tagged", trust(samlPerson, `["sts:AssumeRoleWithSAML","sts:TagSession","sts:SetSourceIdentity"]`))
	tagged.Attributes[awsSAML+"Role"] = []string{w.role + "," + samlARN}
	out := get[stsapi.AssumeRoleWithSAMLResponse](w.nobody(), w.ask(tagged))
	if *out.SourceIdentity != "jo" || out.Credentials.Expiration.After(w.wall.Add(20*time.Minute)) || out.Credentials.Expiration.Before(w.wall.Add(19*time.Minute)) {
		t.Errorf("source identity %v, until %v", out.SourceIdentity, out.Credentials.Expiration)
	}
	id := w.login(*out.Credentials.AccessKeyId, *out.Credentials.SessionToken).caller.Identity
	if id.Principal.Tags["team"] != "red" || id.Session.Transitive["team"] != "red" || id.Session.SourceIdentity != "jo" || id.Session.Provider != samlARN {
		t.Errorf("session %+v of %+v", id.Session, id.Principal)
	}
}
