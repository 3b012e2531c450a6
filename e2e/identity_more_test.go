package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// keyPair is a self-signed certificate, its private key and a public key, in PEM.
func keyPair(t *testing.T) (certificate, private, public string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "c"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	enc := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return enc("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key))(t)),
		enc("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))(t)), enc("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&key.PublicKey))(t))
}

// code is that of a TOTP device at a step of 30 seconds. Source: RFC 6238.
func code(seed []byte, step int64) *string {
	mac := hmac.New(sha1.New, seed)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return new(fmt.Sprintf("%06d", n%1_000_000))
}

func testProviders(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000006"), t.Context()
	arn := must(c.iam.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: new("https://idp.example"), ClientIDList: []string{"a"}, Tags: iamTags("a", "b")}))(t).OpenIDConnectProviderArn
	must(c.iam.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: new("b")}))(t)
	must(c.iam.RemoveClientIDFromOpenIDConnectProvider(ctx, &iam.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: new("a")}))(t)
	must(c.iam.UpdateOpenIDConnectProviderThumbprint(ctx, &iam.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: arn, ThumbprintList: []string{strings.Repeat("0", 40)}}))(t)
	must(c.iam.TagOpenIDConnectProvider(ctx, &iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagOpenIDConnectProvider(ctx, &iam.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListOpenIDConnectProviderTags(ctx, &iam.ListOpenIDConnectProviderTagsInput{OpenIDConnectProviderArn: arn}))(t).Tags, "a", "b")
	if p := must(c.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}))(t); *p.Url != "idp.example" || len(p.ClientIDList) != 1 || p.ClientIDList[0] != "b" {
		t.Errorf("provider %+v", p)
	}
	if l := must(c.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{}))(t).OpenIDConnectProviderList; len(l) != 1 {
		t.Errorf("providers %+v", l)
	}
	must(c.iam.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}))(t)
	refused(c.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}))(t, "NoSuchEntity")

	metadata := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example">` + strings.Repeat(" ", 1000) + `</EntityDescriptor>`
	arn = must(c.iam.CreateSAMLProvider(ctx, &iam.CreateSAMLProviderInput{Name: new("idp"), SAMLMetadataDocument: &metadata, Tags: iamTags("a", "b")}))(t).SAMLProviderArn
	must(c.iam.UpdateSAMLProvider(ctx, &iam.UpdateSAMLProviderInput{SAMLProviderArn: arn, SAMLMetadataDocument: &metadata}))(t)
	must(c.iam.TagSAMLProvider(ctx, &iam.TagSAMLProviderInput{SAMLProviderArn: arn, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagSAMLProvider(ctx, &iam.UntagSAMLProviderInput{SAMLProviderArn: arn, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListSAMLProviderTags(ctx, &iam.ListSAMLProviderTagsInput{SAMLProviderArn: arn}))(t).Tags, "a", "b")
	if p := must(c.iam.GetSAMLProvider(ctx, &iam.GetSAMLProviderInput{SAMLProviderArn: arn}))(t); *p.SAMLMetadataDocument != metadata {
		t.Errorf("metadata %s", *p.SAMLMetadataDocument)
	}
	if l := must(c.iam.ListSAMLProviders(ctx, &iam.ListSAMLProvidersInput{}))(t).SAMLProviderList; len(l) != 1 {
		t.Errorf("providers %+v", l)
	}
	must(c.iam.DeleteSAMLProvider(ctx, &iam.DeleteSAMLProviderInput{SAMLProviderArn: arn}))(t)

	certificate, private, _ := keyPair(t)
	name := new("web")
	must(c.iam.UploadServerCertificate(ctx, &iam.UploadServerCertificateInput{ServerCertificateName: name, CertificateBody: &certificate, PrivateKey: &private, Tags: iamTags("a", "b")}))(t)
	must(c.iam.UpdateServerCertificate(ctx, &iam.UpdateServerCertificateInput{ServerCertificateName: name, NewPath: new("/p/")}))(t)
	must(c.iam.TagServerCertificate(ctx, &iam.TagServerCertificateInput{ServerCertificateName: name, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagServerCertificate(ctx, &iam.UntagServerCertificateInput{ServerCertificateName: name, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListServerCertificateTags(ctx, &iam.ListServerCertificateTagsInput{ServerCertificateName: name}))(t).Tags, "a", "b")
	if p := must(c.iam.GetServerCertificate(ctx, &iam.GetServerCertificateInput{ServerCertificateName: name}))(t).ServerCertificate; *p.ServerCertificateMetadata.Path != "/p/" {
		t.Errorf("certificate %+v", p.ServerCertificateMetadata)
	}
	if l := must(c.iam.ListServerCertificates(ctx, &iam.ListServerCertificatesInput{}))(t).ServerCertificateMetadataList; len(l) != 1 {
		t.Errorf("certificates %+v", l)
	}
	must(c.iam.DeleteServerCertificate(ctx, &iam.DeleteServerCertificateInput{ServerCertificateName: name}))(t)
	refused(c.iam.GetServerCertificate(ctx, &iam.GetServerCertificateInput{ServerCertificateName: name}))(t, "NoSuchEntity")
}

func testBelongings(t *testing.T, r *recorder, url string) {
	c, ctx, name := r.admin(url, "210000000007"), t.Context(), new("ana")
	must(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: name}))(t)
	must(c.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: new("p"), PolicyDocument: new(seed.Identity("*", "*"))}))(t)
	must(c.iam.CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{UserName: name, Password: new("Correct-Horse-7")}))(t)
	must(c.iam.UpdateLoginProfile(ctx, &iam.UpdateLoginProfileInput{UserName: name, PasswordResetRequired: new(true)}))(t)
	if p := must(c.iam.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: name}))(t).LoginProfile; !p.PasswordResetRequired {
		t.Errorf("profile %+v", p)
	}
	key := must(c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name}))(t).AccessKey
	ana := r.client(url, c.account, aws.Credentials{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey})
	must(ana.iam.ChangePassword(ctx, &iam.ChangePasswordInput{OldPassword: new("Correct-Horse-7"), NewPassword: new("Correct-Horse-8")}))(t)
	must(c.iam.DeleteLoginProfile(ctx, &iam.DeleteLoginProfileInput{UserName: name}))(t)

	d := must(c.iam.CreateVirtualMFADevice(ctx, &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new("phone"), Tags: iamTags("a", "b")}))(t).VirtualMFADevice
	secret := must(base32.StdEncoding.DecodeString(string(d.Base32StringSeed)))(t)
	step := time.Now().Unix() / 30
	must(c.iam.EnableMFADevice(ctx, &iam.EnableMFADeviceInput{UserName: name, SerialNumber: d.SerialNumber, AuthenticationCode1: code(secret, step-1), AuthenticationCode2: code(secret, step)}))(t)
	step = time.Now().Unix() / 30
	must(c.iam.ResyncMFADevice(ctx, &iam.ResyncMFADeviceInput{UserName: name, SerialNumber: d.SerialNumber, AuthenticationCode1: code(secret, step-1), AuthenticationCode2: code(secret, step)}))(t)
	if m := must(c.iam.GetMFADevice(ctx, &iam.GetMFADeviceInput{UserName: name, SerialNumber: d.SerialNumber}))(t); *m.UserName != "ana" {
		t.Errorf("device %+v", m)
	}
	if l := must(c.iam.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: name}))(t).MFADevices; len(l) != 1 {
		t.Errorf("devices %+v", l)
	}
	must(c.iam.TagMFADevice(ctx, &iam.TagMFADeviceInput{SerialNumber: d.SerialNumber, Tags: iamTags("x", "y")}))(t)
	must(c.iam.UntagMFADevice(ctx, &iam.UntagMFADeviceInput{SerialNumber: d.SerialNumber, TagKeys: []string{"x"}}))(t)
	tagged(t, must(c.iam.ListMFADeviceTags(ctx, &iam.ListMFADeviceTagsInput{SerialNumber: d.SerialNumber}))(t).Tags, "a", "b")
	must(c.iam.DeactivateMFADevice(ctx, &iam.DeactivateMFADeviceInput{UserName: name, SerialNumber: d.SerialNumber}))(t)
	if l := must(c.iam.ListVirtualMFADevices(ctx, &iam.ListVirtualMFADevicesInput{}))(t).VirtualMFADevices; len(l) != 1 {
		t.Errorf("virtual devices %+v", l)
	}
	must(c.iam.DeleteVirtualMFADevice(ctx, &iam.DeleteVirtualMFADeviceInput{SerialNumber: d.SerialNumber}))(t)

	certificate, _, public := keyPair(t)
	ssh, err := c.iam.UploadSSHPublicKey(ctx, &iam.UploadSSHPublicKeyInput{UserName: name, SSHPublicKeyBody: new(rsaPublic(t))})
	id := must(ssh, err)(t).SSHPublicKey.SSHPublicKeyId
	refused(c.iam.UploadSSHPublicKey(ctx, &iam.UploadSSHPublicKeyInput{UserName: name, SSHPublicKeyBody: &public}))(t, "InvalidPublicKey")
	must(c.iam.UpdateSSHPublicKey(ctx, &iam.UpdateSSHPublicKeyInput{UserName: name, SSHPublicKeyId: id, Status: iamtypes.StatusTypeInactive}))(t)
	if k := must(c.iam.GetSSHPublicKey(ctx, &iam.GetSSHPublicKeyInput{UserName: name, SSHPublicKeyId: id, Encoding: iamtypes.EncodingTypeSsh}))(t).SSHPublicKey; k.Status != iamtypes.StatusTypeInactive || !strings.HasPrefix(*k.SSHPublicKeyBody, "ssh-rsa ") {
		t.Errorf("key %+v", k)
	}
	if l := must(c.iam.ListSSHPublicKeys(ctx, &iam.ListSSHPublicKeysInput{UserName: name}))(t).SSHPublicKeys; len(l) != 1 {
		t.Errorf("keys %+v", l)
	}
	must(c.iam.DeleteSSHPublicKey(ctx, &iam.DeleteSSHPublicKeyInput{UserName: name, SSHPublicKeyId: id}))(t)

	id = must(c.iam.UploadSigningCertificate(ctx, &iam.UploadSigningCertificateInput{UserName: name, CertificateBody: &certificate}))(t).Certificate.CertificateId
	must(c.iam.UpdateSigningCertificate(ctx, &iam.UpdateSigningCertificateInput{UserName: name, CertificateId: id, Status: iamtypes.StatusTypeInactive}))(t)
	if l := must(c.iam.ListSigningCertificates(ctx, &iam.ListSigningCertificatesInput{UserName: name}))(t).Certificates; len(l) != 1 || l[0].Status != iamtypes.StatusTypeInactive {
		t.Errorf("certificates %+v", l)
	}
	must(c.iam.DeleteSigningCertificate(ctx, &iam.DeleteSigningCertificateInput{UserName: name, CertificateId: id}))(t)

	v := must(c.iam.CreateServiceSpecificCredential(ctx, &iam.CreateServiceSpecificCredentialInput{UserName: name, ServiceName: new("codecommit.amazonaws.com")}))(t).ServiceSpecificCredential
	must(c.iam.UpdateServiceSpecificCredential(ctx, &iam.UpdateServiceSpecificCredentialInput{UserName: name, ServiceSpecificCredentialId: v.ServiceSpecificCredentialId, Status: iamtypes.StatusTypeInactive}))(t)
	if w := must(c.iam.ResetServiceSpecificCredential(ctx, &iam.ResetServiceSpecificCredentialInput{UserName: name, ServiceSpecificCredentialId: v.ServiceSpecificCredentialId}))(t).ServiceSpecificCredential; *w.ServicePassword == *v.ServicePassword {
		t.Error("the password is the same")
	}
	if l := must(c.iam.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: name}))(t).ServiceSpecificCredentials; len(l) != 1 {
		t.Errorf("credentials %+v", l)
	}
	must(c.iam.DeleteServiceSpecificCredential(ctx, &iam.DeleteServiceSpecificCredentialInput{UserName: name, ServiceSpecificCredentialId: v.ServiceSpecificCredentialId}))(t)
}

func testAccount(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000008"), t.Context()
	must(c.iam.CreateAccountAlias(ctx, &iam.CreateAccountAliasInput{AccountAlias: new("red-team-8")}))(t)
	if l := must(c.iam.ListAccountAliases(ctx, &iam.ListAccountAliasesInput{}))(t).AccountAliases; len(l) != 1 || l[0] != "red-team-8" {
		t.Errorf("aliases %v", l)
	}
	must(c.iam.DeleteAccountAlias(ctx, &iam.DeleteAccountAliasInput{AccountAlias: new("red-team-8")}))(t)
	must(c.iam.UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{MinimumPasswordLength: new(int32(12))}))(t)
	if p := must(c.iam.GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{}))(t).PasswordPolicy; *p.MinimumPasswordLength != 12 {
		t.Errorf("policy %+v", p)
	}
	must(c.iam.DeleteAccountPasswordPolicy(ctx, &iam.DeleteAccountPasswordPolicyInput{}))(t)
	refused(c.iam.GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{}))(t, "NoSuchEntity")
	must(c.iam.SetSecurityTokenServicePreferences(ctx, &iam.SetSecurityTokenServicePreferencesInput{GlobalEndpointTokenVersion: iamtypes.GlobalEndpointTokenVersionV2Token}))(t)
	if m := must(c.iam.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{}))(t).SummaryMap; m["Users"] != 1 || m["GlobalEndpointTokenVersion"] != 2 {
		t.Errorf("summary %v", m)
	}
	if d := must(c.iam.GetAccountAuthorizationDetails(ctx, &iam.GetAccountAuthorizationDetailsInput{}))(t).UserDetailList; len(d) != 1 || *d[0].UserName != "admin" {
		t.Errorf("details %+v", d)
	}
}

func testSimulation(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000009"), t.Context()
	must(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: new("ana")}))(t)
	arn := new("arn:aws:iam::210000000009:user/ana")
	if e := must(c.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: arn, ActionNames: []string{"kms:ListKeys"}}))(t).EvaluationResults; e[0].EvalDecision != iamtypes.PolicyEvaluationDecisionTypeImplicitDeny {
		t.Errorf("result %+v", e)
	}
	if e := must(c.iam.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{PolicyInputList: []string{listKeys}, ActionNames: []string{"kms:ListKeys"}}))(t).EvaluationResults; e[0].EvalDecision != iamtypes.PolicyEvaluationDecisionTypeAllowed {
		t.Errorf("result %+v", e)
	}
	doc := seed.Policy(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}}`)
	if k := must(c.iam.GetContextKeysForCustomPolicy(ctx, &iam.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{doc}}))(t).ContextKeyNames; len(k) != 1 {
		t.Errorf("keys %v", k)
	}
	if k := must(c.iam.GetContextKeysForPrincipalPolicy(ctx, &iam.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: arn, PolicyInputList: []string{doc}}))(t).ContextKeyNames; len(k) != 1 {
		t.Errorf("keys %v", k)
	}
}

func testReports(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000010"), t.Context()
	must(c.iam.GenerateCredentialReport(ctx, &iam.GenerateCredentialReportInput{}))(t)
	if b := must(c.iam.GetCredentialReport(ctx, &iam.GetCredentialReportInput{}))(t).Content; !strings.Contains(string(b), "arn:aws:iam::210000000010:user/admin") {
		t.Errorf("report %s", b)
	}
	job := must(c.iam.GenerateServiceLastAccessedDetails(ctx, &iam.GenerateServiceLastAccessedDetailsInput{Arn: new("arn:aws:iam::210000000010:user/admin")}))(t).JobId
	used := func(l []iamtypes.ServiceLastAccessed, ns string) bool {
		for _, s := range l {
			if *s.ServiceNamespace == ns {
				return s.LastAuthenticated != nil
			}
		}
		t.Errorf("%s is not in the report", ns)
		return false
	}
	l := must(c.iam.GetServiceLastAccessedDetails(ctx, &iam.GetServiceLastAccessedDetailsInput{JobId: job, MaxItems: new(int32(1000))}))(t).ServicesLastAccessed
	if !used(l, "iam") || used(l, "kms") {
		t.Error("IAM was used, KMS was not")
	}
	if e := must(c.iam.GetServiceLastAccessedDetailsWithEntities(ctx, &iam.GetServiceLastAccessedDetailsWithEntitiesInput{JobId: job, ServiceNamespace: new("iam")}))(t).EntityDetailsList; len(e) != 1 || e[0].LastAuthenticated == nil {
		t.Errorf("entities %+v", e)
	}
	m := r.admin(url, management)
	job = must(m.iam.GenerateOrganizationsAccessReport(ctx, &iam.GenerateOrganizationsAccessReportInput{EntityPath: new("o-kagimori00/r-kgmr")}))(t).JobId
	o := must(m.iam.GetOrganizationsAccessReport(ctx, &iam.GetOrganizationsAccessReportInput{JobId: job, SortKey: iamtypes.SortKeyTypeLastAuthenticatedTimeDescending}))(t)
	if o.JobStatus != iamtypes.JobStatusTypeCompleted || o.AccessDetails[0].LastAuthenticatedTime == nil {
		t.Errorf("report %+v", o)
	}
}

func testSessions(t *testing.T, r *recorder, url string) {
	c, ctx := r.admin(url, "210000000011"), t.Context()
	if w := must(c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))(t); *w.Arn != "arn:aws:iam::210000000011:user/admin" {
		t.Errorf("caller %+v", w)
	}
	k := must(c.sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{}))(t).Credentials
	refused(r.client(url, c.account, aws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: *k.SessionToken}).iam.ListUsers(ctx, &iam.ListUsersInput{}))(t, "InvalidClientTokenId")
	if f := must(c.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: new("bob")}))(t).FederatedUser; *f.Arn != "arn:aws:sts::210000000011:federated-user/bob" {
		t.Errorf("federated %+v", f)
	}
	key := must(c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: new("admin")}))(t).AccessKey
	if a := must(c.sts.GetAccessKeyInfo(ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: key.AccessKeyId}))(t).Account; *a != c.account {
		t.Errorf("account %s", *a)
	}
	must(c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: new("ana")}))(t)
	ana := must(c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: new("ana")}))(t).AccessKey
	nobody := r.client(url, c.account, aws.Credentials{AccessKeyID: *ana.AccessKeyId, SecretAccessKey: *ana.SecretAccessKey})
	e := refused(nobody.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new("eu-west-1a"), Size: new(int32(1))}))(t, "UnauthorizedOperation")
	_, message, _ := strings.Cut(e.ErrorMessage(), "Encoded authorization failure message: ")
	if d := must(c.sts.DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: &message}))(t).DecodedMessage; !strings.Contains(*d, `"allowed":false`) {
		t.Errorf("message %s", *d)
	}

	// Sessions that are older than a date are cut off by a policy, as the console does it.
	trust := seed.Policy(`{"Effect":"Allow","Principal":{"AWS":"210000000011"},"Action":"sts:AssumeRole"}`)
	must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: new("app"), AssumeRolePolicyDocument: &trust}))(t)
	must(c.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: new("app"), PolicyName: new("p"), PolicyDocument: new(seed.Identity("iam:ListUsers", "*"))}))(t)
	role := must(c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: new("arn:aws:iam::210000000011:role/app"), RoleSessionName: new("one")}))(t).Credentials
	session := r.client(url, c.account, aws.Credentials{AccessKeyID: *role.AccessKeyId, SecretAccessKey: *role.SecretAccessKey, SessionToken: *role.SessionToken})
	must(session.iam.ListUsers(ctx, &iam.ListUsersInput{}))(t)
	for _, tt := range []struct {
		before time.Time
		cut    bool
	}{{time.Now().Add(-time.Hour), false}, {time.Now().Add(time.Minute), true}} {
		must(c.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: new("app"), PolicyName: new("AWSRevokeOlderSessions"), PolicyDocument: new(seed.Policy(
			`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"` + tt.before.UTC().Format(time.RFC3339) + `"}}}`))}))(t)
		if tt.cut {
			refused(session.iam.ListUsers(ctx, &iam.ListUsersInput{}))(t, "AccessDenied", "explicit deny in an identity-based policy")
		} else {
			must(session.iam.ListUsers(ctx, &iam.ListUsersInput{}))(t)
		}
	}
	must(c.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: new("app"), PolicyName: new("AWSRevokeOlderSessions")}))(t)
	must(c.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: new("app"), PolicyName: new("p")}))(t)
	must(c.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: new("app")}))(t)
	must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: new("app"), AssumeRolePolicyDocument: &trust}))(t)
	refused(session.iam.ListUsers(ctx, &iam.ListUsersInput{}))(t, "InvalidClientTokenId") // of the earlier role of the name
}
