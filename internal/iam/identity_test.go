package iam_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/csv"
	"encoding/pem"
	"fmt"
	"image/png"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/totp"
)

func TestOpenIDConnectProvider(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	made := get[iamapi.CreateOpenIDConnectProviderResponse](a, &iamapi.CreateOpenIDConnectProviderRequest{
		Url: new("https://token.actions.example.com/x/"), ClientIDList: []string{"a", "a", "b"}, Tags: []iamapi.Tag{{Key: new("k"), Value: new("v")}},
	})
	provider := *made.OpenIDConnectProviderArn
	if provider != "arn:aws:iam::111122223333:oidc-provider/token.actions.example.com/x" {
		t.Errorf("ARN %s", provider)
	}
	a.must(&iamapi.AddClientIDToOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider, ClientID: new("c")})
	a.must(&iamapi.AddClientIDToOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider, ClientID: new("c")})
	a.must(&iamapi.RemoveClientIDFromOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider, ClientID: new("b")})
	a.must(&iamapi.UpdateOpenIDConnectProviderThumbprintRequest{OpenIDConnectProviderArn: &provider, ThumbprintList: []string{strings.Repeat("a", 40)}})
	seen := get[iamapi.GetOpenIDConnectProviderResponse](a, &iamapi.GetOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider})
	if *seen.Url != "token.actions.example.com/x" || !slices.Equal(seen.ClientIDList, []string{"a", "c"}) || len(seen.ThumbprintList) != 1 || len(seen.Tags) != 1 || seen.CreateDate == nil {
		t.Errorf("%+v", seen)
	}
	a.refused(&iamapi.CreateOpenIDConnectProviderRequest{Url: new("https://token.actions.example.com/x")}, 409, "EntityAlreadyExists", "Provider with url https://token.actions.example.com/x already exists.")
	for _, url := range []string{"http://x.example", "x", "https://", "https://u@x.example", "https://x.example?q"} {
		a.refused(&iamapi.CreateOpenIDConnectProviderRequest{Url: &url}, 400, "ValidationError", "Invalid Open ID Connect Provider URL")
	}
	six := slices.Repeat([]string{""}, 6)
	for i := range six {
		six[i] = strings.Repeat(string(rune('a'+i)), 40)
	}
	a.refused(&iamapi.UpdateOpenIDConnectProviderThumbprintRequest{OpenIDConnectProviderArn: &provider, ThumbprintList: six}, 400, "InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
	a.refused(&iamapi.GetOpenIDConnectProviderRequest{OpenIDConnectProviderArn: new("arn:aws:iam::111122223333:role/x")}, 400, "InvalidInput", "Invalid ARN")
	w.login("444455556666ADMIN").refused(&iamapi.GetOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider}, 403, "AccessDenied", "iam:GetOpenIDConnectProvider")
	for range 2 { // the second time it is not there, which is no error
		a.must(&iamapi.DeleteOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider})
	}
	a.refused(&iamapi.GetOpenIDConnectProviderRequest{OpenIDConnectProviderArn: &provider}, 404, "NoSuchEntity", "OpenIDConnect Provider not found for arn "+provider)
}

func TestSAMLProvider(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	doc := `<?xml version="1.0"?><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp" validUntil="2031-01-02T03:04:05Z">` +
		strings.Repeat(" ", 1000) + `</md:EntityDescriptor>`
	provider := get[iamapi.CreateSAMLProviderResponse](a, &iamapi.CreateSAMLProviderRequest{Name: new("idp"), SAMLMetadataDocument: &doc}).SAMLProviderArn
	seen := get[iamapi.GetSAMLProviderResponse](a, &iamapi.GetSAMLProviderRequest{SAMLProviderArn: provider})
	if *seen.SAMLMetadataDocument != doc || !seen.ValidUntil.Equal(time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("until %v", seen.ValidUntil)
	}
	if l := get[iamapi.ListSAMLProvidersResponse](a, &iamapi.ListSAMLProvidersRequest{}).SAMLProviderList; len(l) != 1 || *l[0].Arn != *provider {
		t.Errorf("%+v", l)
	}
	bad := strings.Repeat("x", 1000)
	a.refused(&iamapi.CreateSAMLProviderRequest{Name: new("other"), SAMLMetadataDocument: &bad}, 400, "InvalidInput", "Could not parse metadata")
	a.refused(&iamapi.CreateSAMLProviderRequest{Name: new("idp"), SAMLMetadataDocument: &doc}, 409, "EntityAlreadyExists", "idp")
	a.must(&iamapi.DeleteSAMLProviderRequest{SAMLProviderArn: provider})
	a.refused(&iamapi.GetSAMLProviderRequest{SAMLProviderArn: provider}, 404, "NoSuchEntity", "Manifest not found for arn "+*provider)
}

func TestPassword(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := w.user("bob", allow(`"iam:ChangePassword"`))
	secretOf := func(s string) *secret.String { return new(secret.String(s)) }
	a.refused(&iamapi.GetLoginProfileRequest{UserName: new("bob")}, 404, "NoSuchEntity", "Login Profile for User bob cannot be found.")
	a.refused(&iamapi.CreateLoginProfileRequest{UserName: new("bob"), Password: secretOf("short")}, 400, "PasswordPolicyViolation", "minimum length of 8")
	a.must(&iamapi.CreateLoginProfileRequest{UserName: new("bob"), Password: secretOf("First-Password-1"), PasswordResetRequired: new(true)})
	a.refused(&iamapi.CreateLoginProfileRequest{UserName: new("bob"), Password: secretOf("First-Password-1")}, 409, "EntityAlreadyExists", "Login Profile for user bob already exists.")
	bob.refused(&iamapi.ChangePasswordRequest{OldPassword: secretOf("wrong"), NewPassword: secretOf("Second-Password-2")}, 403, "AccessDenied", "The old password was incorrect.")
	bob.must(&iamapi.ChangePasswordRequest{OldPassword: secretOf("First-Password-1"), NewPassword: secretOf("Second-Password-2")})
	bob.refused(&iamapi.ChangePasswordRequest{OldPassword: secretOf("First-Password-1"), NewPassword: secretOf("Third-Password-3")}, 403, "AccessDenied", "The old password was incorrect.")
	if p := get[iamapi.GetLoginProfileResponse](a, &iamapi.GetLoginProfileRequest{UserName: new("bob")}).LoginProfile; *p.PasswordResetRequired {
		t.Error("the user changed the password and must still change it")
	}
	w.root().refused(&iamapi.ChangePasswordRequest{OldPassword: secretOf("a"), NewPassword: secretOf("b")}, 400, "InvalidUserType", "")
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{MinimumPasswordLength: new(int32(6)), RequireSymbols: new(true)})
	a.refused(&iamapi.UpdateLoginProfileRequest{UserName: new("bob"), Password: secretOf("abcdefgh")}, 400, "PasswordPolicyViolation", "at least one symbol")
	for _, k := range get[iamapi.ListAccessKeysResponse](a, &iamapi.ListAccessKeysRequest{UserName: new("bob")}).AccessKeyMetadata {
		a.must(&iamapi.DeleteAccessKeyRequest{UserName: new("bob"), AccessKeyId: k.AccessKeyId})
	}
	a.must(&iamapi.DeleteUserPolicyRequest{UserName: new("bob"), PolicyName: new("p")})
	a.refused(&iamapi.DeleteUserRequest{UserName: new("bob")}, 409, "DeleteConflict", "must delete login profile first")
	a.must(&iamapi.DeleteLoginProfileRequest{UserName: new("bob")})
	a.must(&iamapi.DeleteUserRequest{UserName: new("bob")})
}

func TestMFADevice(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	d := get[iamapi.CreateVirtualMFADeviceResponse](a, &iamapi.CreateVirtualMFADeviceRequest{VirtualMFADeviceName: new("phone"), Path: new("/p/")}).VirtualMFADevice
	if *d.SerialNumber != "arn:aws:iam::111122223333:mfa/p/phone" {
		t.Errorf("serial %s", *d.SerialNumber)
	}
	for _, long := range []int{227, 3000} { // a device is named by its ARN later, in 256 characters
		a.refused(&iamapi.CreateVirtualMFADeviceRequest{VirtualMFADeviceName: new(strings.Repeat("x", long))}, 400, "ValidationError", "less than or equal to 226")
	}
	longest := get[iamapi.CreateVirtualMFADeviceResponse](a, &iamapi.CreateVirtualMFADeviceRequest{VirtualMFADeviceName: new(strings.Repeat("x", 226))}).VirtualMFADevice
	a.must(&iamapi.DeleteVirtualMFADeviceRequest{SerialNumber: longest.SerialNumber})
	if _, err := png.Decode(bytes.NewReader(d.QRCodePNG)); err != nil {
		t.Errorf("QR code: %v", err)
	}
	seed, err := base32.StdEncoding.DecodeString(string(d.Base32StringSeed))
	check(t, err)
	step := totp.At(time.Now())
	enable := &iamapi.EnableMFADeviceRequest{UserName: new("bob"), SerialNumber: d.SerialNumber, AuthenticationCode1: new("000000"), AuthenticationCode2: new("000000")}
	a.refused(enable, 403, "InvalidAuthenticationCode", "Authentication code for device is not valid.")
	enable.AuthenticationCode1, enable.AuthenticationCode2 = new(totp.Code(seed, step-1)), new(totp.Code(seed, step))
	a.must(enable)
	a.refused(enable, 409, "EntityAlreadyExists", "MFA Device is already in use.")
	a.refused(&iamapi.DeleteVirtualMFADeviceRequest{SerialNumber: d.SerialNumber}, 409, "DeleteConflict", "must deactivate MFA device first")
	if l := get[iamapi.ListMFADevicesResponse](a, &iamapi.ListMFADevicesRequest{UserName: new("bob")}).MFADevices; len(l) != 1 || *l[0].SerialNumber != *d.SerialNumber {
		t.Errorf("devices of bob: %+v", l)
	}
	for _, name := range []*string{new("bob"), nil} { // without a name it is whoever has the device
		if g := get[iamapi.GetMFADeviceResponse](a, &iamapi.GetMFADeviceRequest{UserName: name, SerialNumber: d.SerialNumber}); g.UserName == nil || *g.UserName != "bob" || g.EnableDate == nil {
			t.Errorf("device: %+v", g)
		}
	}
	w.user("other").refused(&iamapi.GetMFADeviceRequest{SerialNumber: d.SerialNumber}, 403, "AccessDenied", "iam:GetMFADevice on resource: arn:aws:iam::111122223333:user/bob")
	a.refused(&iamapi.GetMFADeviceRequest{SerialNumber: longest.SerialNumber}, 404, "NoSuchEntity", "doesn't exist")
	for status, want := range map[string]int{"Any": 1, "Assigned": 1, "Unassigned": 0} {
		l := get[iamapi.ListVirtualMFADevicesResponse](a, &iamapi.ListVirtualMFADevicesRequest{AssignmentStatus: &status}).VirtualMFADevices
		if len(l) != want || want > 0 && (*l[0].User.UserName != "bob" || l[0].Base32StringSeed != nil) {
			t.Errorf("%s: %+v", status, l)
		}
	}

	// A code is good once, for the user who has the device, and not before.
	id := w.user("eve")
	who := id.caller.Principal
	if known, ok, err := w.iam.CheckMFA(t.Context(), who, *d.SerialNumber, totp.Code(seed, step+1)); known || ok || err != nil {
		t.Errorf("another user's code was taken: %v", err)
	}
	owner := w.login(*get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: new("bob")}).AccessKey.AccessKeyId).caller
	for rule, tt := range map[string]struct {
		code string
		want bool
	}{"used to enable": {totp.Code(seed, step), false}, "wrong": {"12345", false}} {
		if known, ok, err := w.iam.CheckMFA(t.Context(), owner.Principal, *d.SerialNumber, tt.code); !known || ok != tt.want || err != nil {
			t.Errorf("%s: %v, %v", rule, ok, err)
		}
	}
	for i, want := range []bool{true, false} {
		if _, ok, err := w.iam.CheckMFA(t.Context(), owner.Principal, *d.SerialNumber, totp.Code(seed, step+1)); ok != want || err != nil {
			t.Errorf("use %d of a code: %v, %v", i+1, ok, err)
		}
	}
	if m := get[iamapi.GetAccountSummaryResponse](a, &iamapi.GetAccountSummaryRequest{}).SummaryMap; m["MFADevices"] != 1 || m["MFADevicesInUse"] != 1 {
		t.Errorf("summary: %d devices, %d in use", m["MFADevices"], m["MFADevicesInUse"])
	}
	a.must(&iamapi.DeactivateMFADeviceRequest{UserName: new("bob"), SerialNumber: d.SerialNumber})
	a.refused(&iamapi.DeactivateMFADeviceRequest{UserName: new("bob"), SerialNumber: d.SerialNumber}, 404, "NoSuchEntity", "doesn't exist")
	a.must(&iamapi.DeleteVirtualMFADeviceRequest{SerialNumber: d.SerialNumber})
}

func TestKeysAndCertificatesOfUsers(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	user := new("bob")
	certificate, private, other, public := pems(t)

	up := get[iamapi.UploadSSHPublicKeyResponse](a, &iamapi.UploadSSHPublicKeyRequest{UserName: user, SSHPublicKeyBody: &public}).SSHPublicKey
	if len(*up.Fingerprint) != 47 || !strings.HasPrefix(*up.SSHPublicKeyBody, "ssh-rsa ") {
		t.Errorf("%+v", up)
	}
	back := get[iamapi.GetSSHPublicKeyResponse](a, &iamapi.GetSSHPublicKeyRequest{UserName: user, SSHPublicKeyId: up.SSHPublicKeyId, Encoding: new("PEM")}).SSHPublicKey
	if *back.SSHPublicKeyBody != public {
		t.Errorf("PEM differs:\n%s\n%s", *back.SSHPublicKeyBody, public)
	}
	a.refused(&iamapi.UploadSSHPublicKeyRequest{UserName: user, SSHPublicKeyBody: up.SSHPublicKeyBody}, 400, "DuplicateSSHPublicKey", "")
	a.refused(&iamapi.UploadSSHPublicKeyRequest{UserName: user, SSHPublicKeyBody: new("ssh-rsa AAAA")}, 400, "InvalidPublicKey", "")
	a.refused(&iamapi.UploadSSHPublicKeyRequest{UserName: user, SSHPublicKeyBody: new("ssh-rsa AAAAB3NzaC1yc2H/////")}, 400, "InvalidPublicKey", "")

	x := get[iamapi.UploadSigningCertificateResponse](a, &iamapi.UploadSigningCertificateRequest{UserName: user, CertificateBody: &certificate}).Certificate
	a.refused(&iamapi.UploadSigningCertificateRequest{UserName: user, CertificateBody: &certificate}, 409, "DuplicateCertificate", "")
	a.refused(&iamapi.UploadSigningCertificateRequest{UserName: user, CertificateBody: new("x")}, 400, "MalformedCertificate", "")
	a.must(&iamapi.UpdateSigningCertificateRequest{UserName: user, CertificateId: x.CertificateId, Status: new("Inactive")})
	if l := get[iamapi.ListSigningCertificatesResponse](a, &iamapi.ListSigningCertificatesRequest{UserName: user}).Certificates; *l[0].Status != "Inactive" {
		t.Errorf("%+v", l)
	}

	web := &iamapi.UploadServerCertificateRequest{ServerCertificateName: new("web"), CertificateBody: &certificate, PrivateKey: new(secret.String(other))}
	a.refused(web, 400, "KeyPairMismatch", "")
	web.PrivateKey = new(secret.String("x"))
	a.refused(web, 400, "MalformedCertificate", "")
	web.PrivateKey = new(secret.String(private))
	m := get[iamapi.UploadServerCertificateResponse](a, web).ServerCertificateMetadata
	if *m.Arn != "arn:aws:iam::111122223333:server-certificate/web" || m.Expiration == nil {
		t.Errorf("%+v", m)
	}
	a.refused(web, 409, "EntityAlreadyExists", "The Server Certificate with name web already exists.")
	a.must(&iamapi.UpdateServerCertificateRequest{ServerCertificateName: new("web"), NewServerCertificateName: new("www")})
	a.refused(&iamapi.GetServerCertificateRequest{ServerCertificateName: new("web")}, 404, "NoSuchEntity", "The Server Certificate with name web cannot be found.")

	v := get[iamapi.CreateServiceSpecificCredentialResponse](a, &iamapi.CreateServiceSpecificCredentialRequest{UserName: user, ServiceName: new("codecommit.amazonaws.com")}).ServiceSpecificCredential
	again := get[iamapi.ResetServiceSpecificCredentialResponse](a, &iamapi.ResetServiceSpecificCredentialRequest{UserName: user, ServiceSpecificCredentialId: v.ServiceSpecificCredentialId}).ServiceSpecificCredential
	if *v.ServiceUserName != "bob-at-111122223333" || v.ServicePassword.Reveal() == again.ServicePassword.Reveal() {
		t.Errorf("%+v, %+v", v, again)
	}
	a.refused(&iamapi.CreateServiceSpecificCredentialRequest{UserName: user, ServiceName: new("s3.amazonaws.com")}, 404, "NotSupportedService", "No such service s3.amazonaws.com is supported")
	a.refused(&iamapi.DeleteUserRequest{UserName: user}, 409, "DeleteConflict", "delete certificates")
}

// pems are a certificate with its private key, another private key and a public RSA key.
func pems(t *testing.T) (certificate, private, other, public string) {
	t.Helper()
	enc := func(kind string, der []byte, err error) string {
		check(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		keys[i] = k
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "c"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &keys[0].PublicKey, keys[0])
	certificate = enc("CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(keys[0])
	private = enc("PRIVATE KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(keys[1])
	other = enc("PRIVATE KEY", der, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	der, err = x509.MarshalPKIXPublicKey(&r.PublicKey)
	return certificate, private, other, enc("PUBLIC KEY", der, err)
}

func TestCredentialReport(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	w.user("bob")
	a.refused(&iamapi.GetCredentialReportRequest{}, 410, "ReportNotPresent", "")
	for i, want := range []string{"STARTED", "COMPLETE"} {
		if s := *get[iamapi.GenerateCredentialReportResponse](a, &iamapi.GenerateCredentialReportRequest{}).State; s != want {
			t.Errorf("call %d: %s, want %s", i+1, s, want)
		}
	}
	r := get[iamapi.GetCredentialReportResponse](a, &iamapi.GetCredentialReportRequest{})
	rows, err := csv.NewReader(bytes.NewReader(r.Content)).ReadAll()
	check(t, err)
	if len(rows) != 4 || rows[1][0] != "<root_account>" || rows[3][0] != "bob" || rows[3][8] != "true" || rows[3][10] != "N/A" || *r.ReportFormat != "text/csv" {
		t.Errorf("%q", rows)
	}
	if made, err := time.Parse(time.RFC3339, rows[1][2]); err != nil || made.Year() < 2000 {
		t.Errorf("the root user was made at %s", rows[1][2])
	}
	if rows[3][6] != "N/A" {
		t.Errorf("a password that does not exist has to be changed at %s", rows[3][6])
	}
}

// A password that ends is to be changed when the account's policy says.
func TestCredentialReportOfPasswords(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	w.user("bob")
	a.must(&iamapi.CreateLoginProfileRequest{UserName: new("bob"), Password: new(secret.String("Correct-1-horse"))})
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{MaxPasswordAge: new(int32(90))})
	a.must(&iamapi.UpdateLoginProfileRequest{UserName: new("bob"), Password: new(secret.String("Another-1-horse"))})
	a.must(&iamapi.GenerateCredentialReportRequest{})
	rows, err := csv.NewReader(bytes.NewReader(get[iamapi.GetCredentialReportResponse](a, &iamapi.GetCredentialReportRequest{}).Content)).ReadAll()
	check(t, err)
	changed, err := time.Parse(time.RFC3339, rows[3][5])
	check(t, err)
	next, err := time.Parse(time.RFC3339, rows[3][6])
	if err != nil || next.Sub(changed) != 90*24*time.Hour || rows[3][3] != "true" {
		t.Errorf("%q", rows[3])
	}
}

func TestLastUseOfAnAccessKey(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := w.user("bob")
	id := bob.caller.AccessKeyID
	if u := get[iamapi.GetAccessKeyLastUsedResponse](a, &iamapi.GetAccessKeyLastUsedRequest{AccessKeyId: &id}); *u.UserName != "bob" || *u.AccessKeyLastUsed.Region != "N/A" || u.AccessKeyLastUsed.LastUsedDate != nil {
		t.Errorf("unused: %+v", u.AccessKeyLastUsed)
	}
	check(t, w.dir.Used(t.Context(), bob.caller.Identity, "kms", "eu-west-1"))
	u := get[iamapi.GetAccessKeyLastUsedResponse](a, &iamapi.GetAccessKeyLastUsedRequest{AccessKeyId: &id}).AccessKeyLastUsed
	if *u.ServiceName != "kms" || *u.Region != "eu-west-1" || u.LastUsedDate == nil {
		t.Errorf("used: %+v", u)
	}
	w.login("444455556666ADMIN").refused(&iamapi.GetAccessKeyLastUsedRequest{AccessKeyId: &id}, 404, "NoSuchEntity", "cannot be found")
}

func TestPoliciesGrantingServiceAccess(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	w.user("bob", allow(`"s3:GetObject"`))
	a.must(&iamapi.CreateGroupRequest{GroupName: new("g")})
	a.must(&iamapi.PutGroupPolicyRequest{GroupName: new("g"), PolicyName: new("all"), PolicyDocument: new(document(allow(`"*"`)))})
	a.must(&iamapi.AddUserToGroupRequest{GroupName: new("g"), UserName: new("bob")})
	out := get[iamapi.ListPoliciesGrantingServiceAccessResponse](a, &iamapi.ListPoliciesGrantingServiceAccessRequest{
		Arn: new("arn:aws:iam::111122223333:user/bob"), ServiceNamespaces: []string{"s3", "kms"},
	}).PoliciesGrantingServiceAccess
	if len(out[0].Policies) != 2 || len(out[1].Policies) != 1 || *out[1].Policies[0].EntityType != "GROUP" || *out[1].Policies[0].EntityName != "g" {
		t.Errorf("%+v", out)
	}

	ask := &iamapi.ListPoliciesGrantingServiceAccessRequest{Arn: new("arn:aws:iam::111122223333:user/bob")}
	for i := range 150 {
		ask.ServiceNamespaces = append(ask.ServiceNamespaces, fmt.Sprintf("n%d", i))
	}
	first := get[iamapi.ListPoliciesGrantingServiceAccessResponse](a, ask)
	ask.Marker = first.Marker
	second := get[iamapi.ListPoliciesGrantingServiceAccessResponse](a, ask)
	if len(first.PoliciesGrantingServiceAccess) != 100 || !*first.IsTruncated || len(second.PoliciesGrantingServiceAccess) != 50 || *second.IsTruncated ||
		*second.PoliciesGrantingServiceAccess[0].ServiceNamespace != "n100" {
		t.Errorf("pages of %d and %d", len(first.PoliciesGrantingServiceAccess), len(second.PoliciesGrantingServiceAccess))
	}
	ask.ServiceNamespaces = ask.ServiceNamespaces[1:]
	a.refused(ask, 400, "ValidationError", "Invalid Marker.")
}
