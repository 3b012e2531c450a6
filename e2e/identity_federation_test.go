package e2e_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// A samlIssuer signs assertions that it writes in canonical form, so that it needs no library.
type samlIssuer struct {
	key         *rsa.PrivateKey
	certificate []byte
}

func newSAMLIssuer(t *testing.T) *samlIssuer {
	key := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	return &samlIssuer{key, must(x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key))(t)}
}

func (i *samlIssuer) metadata() *string {
	return new(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` + base64.StdEncoding.EncodeToString(i.certificate) +
		`</X509Certificate></X509Data></KeyInfo></KeyDescriptor></IDPSSODescriptor></EntityDescriptor>` + strings.Repeat(" ", 1000))
}

// response vouches for a user by exclusive canonicalization, SHA-256 and RSA.
func (i *samlIssuer) response(t *testing.T, subject, role, provider string) *string {
	t.Helper()
	now := time.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	attribute := func(name, value string) string {
		return `<saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/` + name + `"><saml:AttributeValue>` + value + `</saml:AttributeValue></saml:Attribute>`
	}
	head := `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a" IssueInstant="` + at(0) + `" Version="2.0"><saml:Issuer>https://idp.example</saml:Issuer>`
	tail := `<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">` + subject + `</saml:NameID>` +
		`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="` + at(5*time.Minute) + `" Recipient="https://eu-west-1.signin.aws.amazon.com/saml"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="` + at(-time.Minute) + `" NotOnOrAfter="` + at(5*time.Minute) + `"><saml:AudienceRestriction><saml:Audience>https://signin.aws.amazon.com/saml</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
		`<saml:AttributeStatement>` + attribute("Role", role+","+provider) + attribute("RoleSessionName", subject) + `</saml:AttributeStatement></saml:Assertion>`
	digest := sha256.Sum256([]byte(head + tail))
	const ns = ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`
	info := `><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod><ds:Reference URI="#_a"><ds:Transforms>` +
		`<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>` + base64.StdEncoding.EncodeToString(digest[:]) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	sum := sha256.Sum256([]byte(`<ds:SignedInfo` + ns + info))
	signature := base64.StdEncoding.EncodeToString(must(rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:]))(t))
	doc := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r" Version="2.0" IssueInstant="` + at(0) + `"><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` +
		head + `<ds:Signature` + ns + `><ds:SignedInfo` + info + `<ds:SignatureValue>` + signature + `</ds:SignatureValue></ds:Signature>` + tail + `</samlp:Response>`
	return new(base64.StdEncoding.EncodeToString([]byte(doc)))
}

func testSAML(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000013"), t.Context()
	i := newSAMLIssuer(t)
	provider := must(c.iam.CreateSAMLProvider(ctx, &iam.CreateSAMLProviderInput{Name: new("idp"), SAMLMetadataDocument: i.metadata()}))(t).SAMLProviderArn
	trust := seed.Policy(`{"Effect":"Allow","Principal":{"Federated":"` + *provider + `"},"Action":"sts:AssumeRoleWithSAML","Condition":{"StringEquals":{"SAML:sub":"jo","SAML:iss":"https://idp.example"}}}`)
	role := must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: new("sso"), AssumeRolePolicyDocument: &trust}))(t).Role.Arn
	nobody := r.client(url, c.account, aws.Credentials{})
	ask := func(subject string) *sts.AssumeRoleWithSAMLInput {
		return &sts.AssumeRoleWithSAMLInput{RoleArn: role, PrincipalArn: provider, SAMLAssertion: i.response(t, subject, *role, *provider)}
	}
	out := must(nobody.sts.AssumeRoleWithSAML(ctx, ask("jo")))(t)
	if *out.Subject != "jo" || *out.SubjectType != "transient" || *out.Issuer != "https://idp.example" || *out.Audience != "https://eu-west-1.signin.aws.amazon.com/saml" || *out.NameQualifier == "" {
		t.Errorf("answer %+v", out)
	}
	k := out.Credentials
	s := r.client(url, c.account, aws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: *k.SessionToken})
	if id := must(s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))(t); *id.Arn != "arn:aws:sts::210000000013:assumed-role/sso/jo" {
		t.Errorf("session %s", *id.Arn)
	}
	refused(nobody.sts.AssumeRoleWithSAML(ctx, ask("mo")))(t, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
	forged := ask("jo")
	raw := string(must(base64.StdEncoding.DecodeString(*forged.SAMLAssertion))(t))
	forged.SAMLAssertion = new(base64.StdEncoding.EncodeToString([]byte(strings.Replace(raw, ">jo<", ">mo<", 1))))
	refused(nobody.sts.AssumeRoleWithSAML(ctx, forged))(t, "InvalidIdentityToken", "Response signature invalid")
}

func testOutbound(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000014"), t.Context()
	ask := &sts.GetWebIdentityTokenInput{Audience: []string{"https://api.example.com"}, SigningAlgorithm: new("ES384"), DurationSeconds: new(int32(60)), Tags: []ststypes.Tag{{Key: new("job"), Value: new("1")}}}
	refused(c.sts.GetWebIdentityToken(ctx, ask))(t, "OutboundWebIdentityFederationDisabledException")
	refused(c.iam.GetOutboundWebIdentityFederationInfo(ctx, &iam.GetOutboundWebIdentityFederationInfoInput{}))(t, "FeatureDisabled")
	issuer := must(c.iam.EnableOutboundWebIdentityFederation(ctx, &iam.EnableOutboundWebIdentityFederationInput{}))(t).IssuerIdentifier
	if info := must(c.iam.GetOutboundWebIdentityFederationInfo(ctx, &iam.GetOutboundWebIdentityFederationInfoInput{}))(t); *info.IssuerIdentifier != *issuer || !info.JwtVendingEnabled {
		t.Errorf("info %+v", info)
	}
	token := *must(c.sts.GetWebIdentityToken(ctx, ask))(t).WebIdentityToken
	// Verified as anybody would, by what the issuer publishes.
	id, _, _ := strings.Cut(strings.TrimPrefix(*issuer, "https://"), ".")
	resp := must(http.Get(url + "/_kagimori/issuers/" + id + "/.well-known/jwks.json"))(t)
	defer resp.Body.Close()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(must(io.ReadAll(resp.Body))(t), &set); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	decode := base64.RawURLEncoding.DecodeString
	var header, claims map[string]any
	for i, v := range []*map[string]any{&header, &claims} {
		if err := json.Unmarshal(must(decode(parts[i]))(t), v); err != nil {
			t.Fatal(err)
		}
	}
	signature, sum, good := must(decode(parts[2]))(t), sha512.Sum384([]byte(parts[0]+"."+parts[1])), false
	for _, k := range set.Keys {
		if k["kid"] == header["kid"] && k["crv"] == "P-384" {
			public := &ecdsa.PublicKey{Curve: elliptic.P384(), X: new(big.Int).SetBytes(must(decode(k["x"]))(t)), Y: new(big.Int).SetBytes(must(decode(k["y"]))(t))}
			good = ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:]))
		}
	}
	if !good || claims["iss"] != *issuer || claims["sub"] != "arn:aws:iam::210000000014:user/admin" || claims["aud"] != "https://api.example.com" {
		t.Errorf("verified %v, claims %v", good, claims)
	}
	must(c.iam.DisableOutboundWebIdentityFederation(ctx, &iam.DisableOutboundWebIdentityFederationInput{}))(t)
	refused(c.sts.GetDelegatedAccessToken(ctx, &sts.GetDelegatedAccessTokenInput{TradeInToken: new("token")}))(t, "ExpiredTradeInTokenException")
}

// testDelegation: no partner of AWS makes delegation requests here, so there are none.
func testDelegation(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000015"), t.Context()
	id := new("0123456789abcdef")
	if l := must(c.iam.ListDelegationRequests(ctx, &iam.ListDelegationRequestsInput{}))(t); len(l.DelegationRequests) > 0 || l.IsTruncated {
		t.Errorf("requests %+v", l)
	}
	refused(c.iam.CreateDelegationRequest(ctx, &iam.CreateDelegationRequestInput{
		Description: new("d"), Permissions: &iamtypes.DelegationPermission{PolicyTemplateArn: new("arn:aws:iam:::delegation-template/acme/x")}, RequestorWorkflowId: new("workflow"),
		NotificationChannel: new("arn:aws:sns:us-east-1:210000000015:t"), SessionDuration: new(int32(3600)),
	}))(t, "InvalidInput")
	refused(c.iam.GetDelegationRequest(ctx, &iam.GetDelegationRequestInput{DelegationRequestId: id}))(t, "NoSuchEntity")
	refused(c.iam.AssociateDelegationRequest(ctx, &iam.AssociateDelegationRequestInput{DelegationRequestId: id}))(t, "NoSuchEntity")
	refused(c.iam.AcceptDelegationRequest(ctx, &iam.AcceptDelegationRequestInput{DelegationRequestId: id}))(t, "NoSuchEntity")
	refused(c.iam.RejectDelegationRequest(ctx, &iam.RejectDelegationRequestInput{DelegationRequestId: id}))(t, "NoSuchEntity")
	refused(c.iam.UpdateDelegationRequest(ctx, &iam.UpdateDelegationRequestInput{DelegationRequestId: id}))(t, "NoSuchEntity")
	refused(c.iam.SendDelegationToken(ctx, &iam.SendDelegationTokenInput{DelegationRequestId: id}))(t, "NoSuchEntity")
	refused(c.iam.GetHumanReadableSummary(ctx, &iam.GetHumanReadableSummaryInput{EntityArn: new("arn:aws:iam::210000000015:delegation-request/" + *id)}))(t, "NoSuchEntity")
}
