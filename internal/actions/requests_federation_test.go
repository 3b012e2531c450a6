package actions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/saml/samltest"
	"github.com/kagimori/kagimori/internal/sts/webidentity/issuertest"
	"github.com/kagimori/kagimori/internal/testkit"
)

// driveFederation: what an organization's managing account and identity providers can do with others.
func driveFederation(t *testing.T, s *testkit.Server, issuer *issuertest.Issuer) {
	m := newCaller(t, s, testkit.Admin(management))
	m.do("iam:EnableOrganizationsRootSessions", in{})
	m.do("iam:EnableOrganizationsRootCredentialsManagement", in{})
	m.do("iam:ListOrganizationsFeatures", in{})
	m.do("sts:AssumeRoot", in{"TargetPrincipal": home, "TaskPolicyArn": in{"Arn": "arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials"}})
	m.do("iam:DisableOrganizationsRootSessions", in{})
	m.do("iam:DisableOrganizationsRootCredentialsManagement", in{})
	m.do("iam:SetSecurityTokenServicePreferences", in{"GlobalEndpointTokenVersion": "v2Token"})
	o := m.do("organizations:DescribeOrganization", in{}).str("Organization.Id")
	root := m.do("organizations:ListRoots", in{}).str("Roots.0.Id")
	job := m.do("iam:GenerateOrganizationsAccessReport", in{"EntityPath": o + "/" + root, "OrganizationsPolicyId": "p-FullAWSAccess"}).str("JobId")
	m.do("iam:GetOrganizationsAccessReport", in{"JobId": job})
	driveHandshakes(t, s, m)

	c := newCaller(t, s, testkit.Admin(home))
	c.do("iam:CreateOpenIDConnectProvider", in{"Url": "https://" + issuertest.Host, "ClientIDList": "app"})
	c.do("iam:CreateRole", in{
		"RoleName": "web", "Tags": []in{{"Key": "team", "Value": "red"}},
		"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + home + `:oidc-provider/` + issuertest.Host +
			`"},"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession","sts:SetSourceIdentity"]}}`,
	})
	now := time.Now().Unix()
	token := issuer.RSA("k").Sign(map[string]any{
		"iss": "https://" + issuertest.Host, "sub": "jo", "aud": "app", "iat": now, "exp": now + 600,
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"team": "red"}, "transitive_tag_keys": []string{"team"}},
		"https://aws.amazon.com/source_identity": "jo",
	})
	c.do("sts:AssumeRoleWithWebIdentity", in{"RoleArn": "arn:aws:iam::" + home + ":role/web", "RoleSessionName": "one", "WebIdentityToken": token})
	driveSAML(t, c)
	c.do("iam:EnableOutboundWebIdentityFederation", in{})
	c.do("iam:GetOutboundWebIdentityFederationInfo", in{})
	c.do("sts:GetWebIdentityToken", in{"Audience": []string{"a"}, "SigningAlgorithm": "ES384", "Tags": []in{{"Key": "team", "Value": "red"}}})
	c.do("iam:DisableOutboundWebIdentityFederation", in{})
	c.refused("sts:GetDelegatedAccessToken", "ExpiredTradeInTokenException", in{"TradeInToken": "token"})
	driveDelegation(c)
}

// driveHandshakes has an account leave the organization, come back and administer a service.
func driveHandshakes(t *testing.T, s *testkit.Server, m caller) {
	const account, service = "210000000099", "guardduty.amazonaws.com"
	them := newCaller(t, s, testkit.Admin(account))
	them.do("organizations:LeaveOrganization", in{})
	invite := func() in {
		return in{"HandshakeId": m.do("organizations:InviteAccountToOrganization", in{
			"Target": in{"Type": "ACCOUNT", "Id": account}, "Tags": []in{{"Key": "team", "Value": "red"}},
		}).str("Handshake.Id")}
	}
	m.do("organizations:CancelHandshake", invite())
	them.do("organizations:DeclineHandshake", invite())
	h := invite()
	them.do("organizations:DescribeHandshake", h)
	them.do("organizations:ListHandshakesForAccount", in{})
	m.do("organizations:ListHandshakesForOrganization", in{})
	them.do("organizations:AcceptHandshake", h)
	// Who is a member has an organization.
	them.do("organizations:DescribeHandshake", h)
	them.do("organizations:ListHandshakesForAccount", in{})
	them.refused("organizations:AcceptHandshake", "HandshakeAlreadyInStateException", h)
	them.refused("organizations:DeclineHandshake", "InvalidHandshakeTransitionException", h)
	m.refused("organizations:EnableAllFeatures", "HandshakeConstraintViolationException", in{})
	m.do("organizations:EnableAWSServiceAccess", in{"ServicePrincipal": service})
	m.do("organizations:ListAWSServiceAccessForOrganization", in{})
	m.do("organizations:RegisterDelegatedAdministrator", in{"AccountId": account, "ServicePrincipal": service})
	m.do("organizations:ListDelegatedAdministrators", in{"ServicePrincipal": service})
	m.do("organizations:ListDelegatedServicesForAccount", in{"AccountId": account})
	m.do("organizations:DeregisterDelegatedAdministrator", in{"AccountId": account, "ServicePrincipal": service})
	m.do("organizations:DisableAWSServiceAccess", in{"ServicePrincipal": service})
	m.refused("organizations:DescribeEffectivePolicy", "EffectivePolicyNotFoundException", in{"PolicyType": "TAG_POLICY", "TargetId": account})
	m.refused("organizations:ListAccountsWithInvalidEffectivePolicy", "EffectivePolicyNotFoundException", in{"PolicyType": "TAG_POLICY"})
	m.refused("organizations:ListEffectivePolicyValidationErrors", "EffectivePolicyNotFoundException", in{"PolicyType": "TAG_POLICY", "AccountId": account})
	m.refused("organizations:CreateGovCloudAccount", "AccessDeniedException", in{"AccountName": "gov", "Email": "gov@example.com", "Tags": []in{{"Key": "team", "Value": "red"}}})
	m.do("organizations:RemoveAccountFromOrganization", in{"AccountId": account})
}

// driveDelegation asks for delegation requests, of which there are none.
func driveDelegation(c caller) {
	id := in{"DelegationRequestId": "0123456789abcdef"}
	for op := range strings.FieldsSeq("AssociateDelegationRequest GetDelegationRequest AcceptDelegationRequest RejectDelegationRequest UpdateDelegationRequest SendDelegationToken") {
		c.refused("iam:"+op, "NoSuchEntity", id)
	}
	c.refused("iam:GetHumanReadableSummary", "NoSuchEntity", in{"EntityArn": "arn:aws:iam::" + home + ":delegation-request/0123456789abcdef"})
	c.do("iam:ListDelegationRequests", in{"OwnerId": "arn:aws:iam::" + home + ":user/admin"})
	c.refused("iam:CreateDelegationRequest", "InvalidInput", in{
		"Description": "d", "Permissions": in{"PolicyTemplateArn": "arn:aws:iam:::delegation-template/acme/x"}, "RequestorWorkflowId": "workflow",
		"NotificationChannel": "arn:aws:sns:us-east-1:111122223333:t", "SessionDuration": 3600,
	})
}

// driveSAML has a SAML provider vouch for a user with every attribute that gives a key.
func driveSAML(t *testing.T, c caller) {
	idp := samltest.New(t, true)
	c.do("iam:CreateSAMLProvider", in{"Name": "sso", "SAMLMetadataDocument": idp.Metadata()})
	provider, role := "arn:aws:iam::"+home+":saml-provider/sso", "arn:aws:iam::"+home+":role/sso"
	c.do("iam:CreateRole", in{
		"RoleName": "sso", "Tags": []in{{"Key": "team", "Value": "red"}},
		"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + provider +
			`"},"Action":["sts:AssumeRoleWithSAML","sts:TagSession","sts:SetSourceIdentity"]}}`,
	})
	const aws, claims = "https://aws.amazon.com/SAML/Attributes/", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	attributes := map[string][]string{
		aws + "Role": {role + "," + provider}, aws + "RoleSessionName": {"jo"}, aws + "SourceIdentity": {"jo"},
		aws + "PrincipalTag:team": {"red"}, aws + "TransitiveTagKeys": {"team"},
		claims + "name": {"jo"}, claims + "surname": {"x"}, claims + "givenname": {"jo"}, claims + "emailaddress": {"jo@example.com"},
		"http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid": {"S-1"},
	}
	for i := range 11 {
		attributes[fmt.Sprintf("urn:oid:1.3.6.1.4.1.5923.1.1.1.%d", i+1)] = []string{"x"}
	}
	for i := range 5 {
		attributes[fmt.Sprintf("urn:oid:1.3.6.1.4.1.5923.1.2.1.%d", i+2)] = []string{"x"}
	}
	for _, oid := range []string{"2.5.4.3", "2.5.4.45", "0.9.2342.19200300.100.1.1", "0.9.2342.19200300.100.1.45"} {
		attributes["urn:oid:"+oid] = []string{"x"}
	}
	response := idp.Response(samltest.Says{Subject: "jo", Now: time.Now(), Attributes: attributes})
	c.do("sts:AssumeRoleWithSAML", in{"RoleArn": role, "PrincipalArn": provider, "SAMLAssertion": response})
}

// issuerGaps are the keys of issuers with names of their own: the test's has another name.
func issuerGaps() []gap {
	const reason = "the issuer of this test is another"
	build := "build_branch cluster_id cluster_name organization_id organization_slug pipeline_id pipeline_slug"
	actor := "actor actor_id enterprise_id environment job_workflow_ref ref repository repository_id repository_owner_id workflow"
	var out []gap
	for issuer, claims := range map[string]string{
		"accounts.google.com":                                  "aud google/organization_number oaud sub",
		"cognito-identity.amazonaws.com":                       "amr aud sub",
		"graph.facebook.com":                                   "app_id id",
		"www.amazon.com":                                       "app_id user_id",
		"agent.${Domain}.buildkite.dev":                        build,
		"agent.${Domain}.buildkite.site":                       build,
		"agent.buildkite.com":                                  build,
		"github.com/enterprises/${EnterpriseName}":             actor,
		"token.actions.${Domain}.ghe.com":                      actor,
		"token.actions.githubusercontent.com/${SubPath}":       actor,
		"token.actions.githubusercontent.com":                  actor,
		"gitlab.com":                                           "namespace_id pipeline_source project_id ref_protected runner_environment user_access_level user_email user_id user_login",
		"idcs-${OciUniqueIdentifier}.identity.oraclecloud.com": "rpst_id",
		"oidc.circleci.com/org/${OrgId}":                       "oidc.circleci.com/project-id",
	} {
		for claim := range strings.FieldsSeq(claims) {
			out = append(out, gap{reason, issuer + ":" + claim, "sts:AssumeRoleWithWebIdentity/role"})
		}
	}
	for _, key := range []string{"aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:username"} {
		out = append(out, gap{"nobody signs the request", key, "sts:AssumeRoleWithWebIdentity/role sts:AssumeRoleWithSAML/role"})
	}
	return append(out, gap{"only the provider's side knows it", "sts:RoleAuthorizedByIdp", "sts:AssumeRoleWithWebIdentity/role"})
}
