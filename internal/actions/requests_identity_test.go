package actions_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/totp"
)

// pair is a certificate with its private key, and a public RSA key, all in PEM form.
func pair(t *testing.T) (certificate, private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "c"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	spki, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	must(t, err)
	enc := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return enc("CERTIFICATE", der), enc("PRIVATE KEY", pkcs8), enc("PUBLIC KEY", spki)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// driveProviders: identity providers and server certificates, which have tags.
func driveProviders(c caller, tags []in) {
	p := in{"OpenIDConnectProviderArn": c.do("iam:CreateOpenIDConnectProvider", in{"Url": "https://issuer.example/x", "ClientIDList": "a", "Tags": tags}).str("OpenIDConnectProviderArn")}
	with := func(base in, more in) in {
		all := in{}
		for _, m := range []in{base, more} {
			maps.Copy(all, m)
		}
		return all
	}
	c.do("iam:AddClientIDToOpenIDConnectProvider", with(p, in{"ClientID": "b"}))
	c.do("iam:RemoveClientIDFromOpenIDConnectProvider", with(p, in{"ClientID": "b"}))
	c.do("iam:UpdateOpenIDConnectProviderThumbprint", with(p, in{"ThumbprintList": strings.Repeat("0", 40)}))
	c.do("iam:TagOpenIDConnectProvider", with(p, in{"Tags": tags}))
	c.do("iam:ListOpenIDConnectProviderTags", p)
	c.do("iam:GetOpenIDConnectProvider", p)
	c.do("iam:ListOpenIDConnectProviders", in{})
	c.do("iam:UntagOpenIDConnectProvider", with(p, in{"TagKeys": "none"}))
	c.do("iam:DeleteOpenIDConnectProvider", p)

	metadata := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example">` + strings.Repeat(" ", 1000) + `</EntityDescriptor>`
	p = in{"SAMLProviderArn": c.do("iam:CreateSAMLProvider", in{"Name": "idp", "SAMLMetadataDocument": metadata, "Tags": tags}).str("SAMLProviderArn")}
	c.do("iam:UpdateSAMLProvider", with(p, in{"SAMLMetadataDocument": metadata}))
	c.do("iam:TagSAMLProvider", with(p, in{"Tags": tags}))
	c.do("iam:ListSAMLProviderTags", p)
	c.do("iam:GetSAMLProvider", p)
	c.do("iam:ListSAMLProviders", in{})
	c.do("iam:UntagSAMLProvider", with(p, in{"TagKeys": "none"}))
	c.do("iam:DeleteSAMLProvider", p)

	certificate, private, _ := pair(c.t)
	p = in{"ServerCertificateName": "web"}
	c.do("iam:UploadServerCertificate", with(p, in{"CertificateBody": certificate, "PrivateKey": private, "Tags": tags}))
	c.do("iam:UpdateServerCertificate", with(p, in{"NewPath": "/p/"}))
	c.do("iam:TagServerCertificate", with(p, in{"Tags": tags}))
	c.do("iam:ListServerCertificateTags", p)
	c.do("iam:GetServerCertificate", p)
	c.do("iam:ListServerCertificates", in{})
	c.do("iam:UntagServerCertificate", with(p, in{"TagKeys": "none"}))
	c.do("iam:DeleteServerCertificate", p)
}

// driveBelongings: what a user has beside access keys.
func driveBelongings(c caller, tags []in) {
	user := in{"UserName": "ana"}
	certificate, _, public := pair(c.t)
	c.do("iam:CreateLoginProfile", in{"UserName": "ana", "Password": "Correct-Horse-7"})
	c.do("iam:GetLoginProfile", user)
	c.do("iam:UpdateLoginProfile", in{"UserName": "ana", "PasswordResetRequired": true})
	c.do("iam:DeleteLoginProfile", user)
	c.do("iam:TagUser", in{"UserName": "admin", "Tags": tags})
	c.refused("iam:ChangePassword", "NoSuchEntity", in{"OldPassword": "a", "NewPassword": "b"})

	d := c.do("iam:CreateVirtualMFADevice", in{"VirtualMFADeviceName": "phone", "Tags": tags})
	seed, err := base32.StdEncoding.DecodeString(string(d.bytes("VirtualMFADevice.Base32StringSeed")))
	must(c.t, err)
	serial := d.str("VirtualMFADevice.SerialNumber")
	codes := func() in {
		step := totp.At(time.Now())
		return in{"UserName": "ana", "SerialNumber": serial, "AuthenticationCode1": totp.Code(seed, step-1), "AuthenticationCode2": totp.Code(seed, step)}
	}
	c.do("iam:TagMFADevice", in{"SerialNumber": serial, "Tags": tags})
	c.do("iam:ListMFADeviceTags", in{"SerialNumber": serial})
	c.do("iam:EnableMFADevice", codes())
	c.do("iam:ResyncMFADevice", codes())
	c.do("iam:GetMFADevice", in{"UserName": "ana", "SerialNumber": serial})
	c.do("iam:ListMFADevices", user)
	c.do("iam:DeactivateMFADevice", in{"UserName": "ana", "SerialNumber": serial})
	c.do("iam:UntagMFADevice", in{"SerialNumber": serial, "TagKeys": "none"})
	c.do("iam:DeleteVirtualMFADevice", in{"SerialNumber": serial})

	id := c.do("iam:UploadSSHPublicKey", in{"UserName": "ana", "SSHPublicKeyBody": public}).str("SSHPublicKey.SSHPublicKeyId")
	c.do("iam:GetSSHPublicKey", in{"UserName": "ana", "SSHPublicKeyId": id, "Encoding": "PEM"})
	c.do("iam:ListSSHPublicKeys", user)
	c.do("iam:UpdateSSHPublicKey", in{"UserName": "ana", "SSHPublicKeyId": id, "Status": "Inactive"})
	c.do("iam:DeleteSSHPublicKey", in{"UserName": "ana", "SSHPublicKeyId": id})

	id = c.do("iam:UploadSigningCertificate", in{"UserName": "ana", "CertificateBody": certificate}).str("Certificate.CertificateId")
	c.do("iam:ListSigningCertificates", user)
	c.do("iam:UpdateSigningCertificate", in{"UserName": "ana", "CertificateId": id, "Status": "Inactive"})
	c.do("iam:DeleteSigningCertificate", in{"UserName": "ana", "CertificateId": id})

	id = c.do("iam:CreateServiceSpecificCredential", in{"UserName": "ana", "ServiceName": "bedrock.amazonaws.com", "CredentialAgeDays": "7"}).
		str("ServiceSpecificCredential.ServiceSpecificCredentialId")
	c.do("iam:ListServiceSpecificCredentials", user)
	c.do("iam:UpdateServiceSpecificCredential", in{"UserName": "ana", "ServiceSpecificCredentialId": id, "Status": "Inactive"})
	c.do("iam:ResetServiceSpecificCredential", in{"UserName": "ana", "ServiceSpecificCredentialId": id})
	c.do("iam:DeleteServiceSpecificCredential", in{"UserName": "ana", "ServiceSpecificCredentialId": id})
}
