package iam_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/secret"
)

func passwordOf(s string) *secret.String { return new(secret.String(s)) }

// Each rule that a password breaks is told in AWS's words.
func TestPasswordViolations(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := new("bob")
	a.must(&iamapi.CreateUserRequest{UserName: bob})
	for _, tt := range []struct{ password, want string }{
		{"Sh0rt!", "Password should have a minimum length of 8"},
		{"lower1234567", "Password should meet 1 more of the following requirements: Password should have at least one uppercase letter, Password should have at least one symbol"},
		{"onlylower", "Password should meet 2 more of the following requirements: Password should have at least one uppercase letter, Password should have at least one number, Password should have at least one symbol"},
	} {
		a.refused(&iamapi.CreateLoginProfileRequest{UserName: bob, Password: passwordOf(tt.password)}, 400, "PasswordPolicyViolation", tt.want)
	}
	a.must(&iamapi.CreateLoginProfileRequest{UserName: bob, Password: passwordOf("lower1234567!")})
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{MinimumPasswordLength: new(int32(10)), RequireNumbers: new(true), RequireUppercaseCharacters: new(true)})
	for _, tt := range []struct{ password, want string }{
		{"N0tLong", "Password should have a minimum length of 10"},
		{"onlylowercase", "Password should have at least one uppercase letter, Password should have at least one number"},
	} {
		a.refused(&iamapi.UpdateLoginProfileRequest{UserName: bob, Password: passwordOf(tt.password)}, 400, "PasswordPolicyViolation", tt.want)
	}
}

// PasswordReusePrevention forbids the last passwords, the present one among them.
func TestPasswordReuse(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := new("bob")
	a.must(&iamapi.CreateUserRequest{UserName: bob})
	a.must(&iamapi.CreateLoginProfileRequest{UserName: bob, Password: passwordOf("Password-1")})
	a.must(&iamapi.UpdateLoginProfileRequest{UserName: bob, Password: passwordOf("Password-1")})
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{PasswordReusePrevention: new(int32(2))})
	change := func(p string) *iamapi.UpdateLoginProfileRequest {
		return &iamapi.UpdateLoginProfileRequest{UserName: bob, Password: passwordOf(p)}
	}
	a.refused(change("Password-1"), 400, "PasswordPolicyViolation", "one of the last 2 passwords")
	a.must(change("Password-2"))
	a.refused(change("Password-1"), 400, "PasswordPolicyViolation", "one of the last 2 passwords")
	a.must(change("Password-3"))
	a.must(change("Password-1"))
	for range 30 { // what is kept does not grow for ever
		a.must(change("Password-4"))
		a.must(change("Password-5"))
		a.must(change("Password-6"))
	}
	a.refused(change("Password-5"), 400, "PasswordPolicyViolation", "")
}

// AllowUsersToChangePassword is a permission of every user of the account, which nothing else gives, and which a denial takes.
func TestUsersChangePasswords(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := w.user("bob")
	eve := w.user("eve", `{"Effect":"Deny","Action":"iam:ChangePassword","Resource":"*"}`)
	for _, name := range []string{"bob", "eve"} {
		a.must(&iamapi.CreateLoginProfileRequest{UserName: &name, Password: passwordOf("Password-1")})
	}
	change := &iamapi.ChangePasswordRequest{OldPassword: passwordOf("Password-1"), NewPassword: passwordOf("Password-2")}
	show := &iamapi.GetAccountPasswordPolicyRequest{}
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{MinimumPasswordLength: new(int32(8))})
	bob.refused(change, 403, "AccessDenied", "iam:ChangePassword")
	bob.refused(show, 403, "AccessDenied", "iam:GetAccountPasswordPolicy")
	a.must(&iamapi.UpdateAccountPasswordPolicyRequest{MinimumPasswordLength: new(int32(8)), AllowUsersToChangePassword: new(true)})
	bob.must(show)
	bob.must(change)
	bob.refused(&iamapi.GetLoginProfileRequest{}, 403, "AccessDenied", "iam:GetLoginProfile")
	bob.refused(&iamapi.UpdateLoginProfileRequest{UserName: new("eve"), Password: passwordOf("Password-2")}, 403, "AccessDenied", "iam:UpdateLoginProfile")
	eve.refused(change, 403, "AccessDenied", "explicit deny")
	w.login("444455556666ADMIN").refused(show, 404, "NoSuchEntity", "")
}

// What a user has beside policies is named as AWS names it.
func TestDeleteConflictsOfUsers(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bob := new("bob")
	a.must(&iamapi.CreateUserRequest{UserName: bob})
	refuse := func(want string) {
		t.Helper()
		a.refused(&iamapi.DeleteUserRequest{UserName: bob}, 409, "DeleteConflict", "Cannot delete entity, must "+want+" first.")
	}
	certificate, _, _, public := pems(t)
	key := get[iamapi.UploadSSHPublicKeyResponse](a, &iamapi.UploadSSHPublicKeyRequest{UserName: bob, SSHPublicKeyBody: &public}).SSHPublicKey
	cert := get[iamapi.UploadSigningCertificateResponse](a, &iamapi.UploadSigningCertificateRequest{UserName: bob, CertificateBody: &certificate}).Certificate
	cred := get[iamapi.CreateServiceSpecificCredentialResponse](a, &iamapi.CreateServiceSpecificCredentialRequest{
		UserName: bob, ServiceName: new("codecommit.amazonaws.com"),
	}).ServiceSpecificCredential
	refuse("delete certificates")
	a.must(&iamapi.DeleteSigningCertificateRequest{UserName: bob, CertificateId: cert.CertificateId})
	refuse("remove referenced objects")
	a.must(&iamapi.DeleteSSHPublicKeyRequest{UserName: bob, SSHPublicKeyId: key.SSHPublicKeyId})
	refuse("remove referenced objects")
	a.must(&iamapi.DeleteServiceSpecificCredentialRequest{UserName: bob, ServiceSpecificCredentialId: cred.ServiceSpecificCredentialId})
	a.must(&iamapi.DeleteUserRequest{UserName: bob})
}

// A policy of a service-linked role bounds nobody.
func TestServicePoliciesAreNoBoundaries(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	linked := new("arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy")
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	a.createRole("r")
	a.refused(&iamapi.PutUserPermissionsBoundaryRequest{UserName: new("bob"), PermissionsBoundary: linked}, 400, "PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")
	a.refused(&iamapi.PutRolePermissionsBoundaryRequest{RoleName: new("r"), PermissionsBoundary: linked}, 400, "PolicyNotAttachable", "")
	a.refused(&iamapi.CreateUserRequest{UserName: new("eve"), PermissionsBoundary: linked}, 400, "PolicyNotAttachable", "")
	a.refused(&iamapi.CreateRoleRequest{RoleName: new("q"), AssumeRolePolicyDocument: &ec2Trust, PermissionsBoundary: linked}, 400, "PolicyNotAttachable", "")
}

// A chain goes from the certificate's issuer on, without gaps; each certificate of it has an index.
func TestCertificateChains(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	var certs [3]*x509.Certificate // each signed by the next
	var texts [3]string
	var keys [3]*ecdsa.PrivateKey
	for i := 2; i >= 0; i-- {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		x := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: string(rune('a' + i))}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		keys[i] = k
		by, byKey := x, k
		if i < 2 {
			by, byKey = certs[i+1], keys[i+1]
		}
		der, err := x509.CreateCertificate(rand.Reader, x, by, &k.PublicKey, byKey)
		check(t, err)
		certs[i], err = x509.ParseCertificate(der)
		check(t, err)
		texts[i] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	der, err := x509.MarshalPKCS8PrivateKey(keys[0])
	check(t, err)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, tt := range []struct{ name, chain, want string }{
		{"root", texts[2], "The index within the chain of the invalid certificate is: -1"},
		{"order", texts[1] + texts[0], "The index within the chain of the invalid certificate is: 0"},
		{"junk", texts[1] + "junk", "Unable to parse certificate."},
		{"one", texts[1], ""},
		{"both", texts[1] + "\n" + texts[2], ""},
	} {
		in := &iamapi.UploadServerCertificateRequest{ServerCertificateName: &tt.name, CertificateBody: &texts[0], PrivateKey: passwordOf(private), CertificateChain: &tt.chain}
		if tt.want == "" {
			a.must(in)
			continue
		}
		a.refused(in, 400, "MalformedCertificate", tt.want)
	}
}

// An account has 100 providers of each kind.
func TestQuotaOfProviders(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	doc := `<?xml version="1.0"?><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp">` +
		strings.Repeat(" ", 1000) + `</md:EntityDescriptor>`
	saml := func(i int) *iamapi.CreateSAMLProviderRequest {
		return &iamapi.CreateSAMLProviderRequest{Name: new(fmt.Sprintf("idp%d", i)), SAMLMetadataDocument: &doc}
	}
	oidc := func(i int) *iamapi.CreateOpenIDConnectProviderRequest {
		return &iamapi.CreateOpenIDConnectProviderRequest{Url: new(fmt.Sprintf("https://idp%d.example.com", i))}
	}
	for i := range 100 {
		a.must(saml(i))
		a.must(oidc(i))
	}
	a.refused(saml(100), 409, "LimitExceeded", "Cannot exceed quota for SAMLProvidersPerAccount: 100")
	a.refused(oidc(100), 409, "LimitExceeded", "Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100")
}
