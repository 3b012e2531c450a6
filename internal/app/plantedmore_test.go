package app_test

import (
	"bytes"
	"encoding/base32"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A mirror is the proxy of a server as that server itself reaches it, by TLS as example.com.
type mirror struct {
	*httptest.Server
	handler atomic.Pointer[http.Handler]
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	m := &mirror{}
	m.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*m.handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(m.Close)
	return m
}

// configure has the server find the mirror.
func (m *mirror) configure(cfg *app.Config) {
	p := proxy{tls: m.Server}
	cfg.Outbound, cfg.XKSPatience = p.outbound(), 30*time.Second
}

// plantXKS has the server use itself as an external key store: the credential, and what goes either
// way, are secrets.
func plantXKS(t *testing.T, s *testkit.Server, c testkit.Clients, m *mirror, p planted, note func(any)) {
	t.Helper()
	m.handler.Store(new(s.App.Proxy()))
	role := testkit.Call[iamapi.CreateRoleResponse](c.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("aws-kms"), AssumeRolePolicyDocument: new(proxyTrust)}).Role.Arn
	testkit.Must(c.IAM, "PutRolePolicy", &iamapi.PutRolePolicyRequest{RoleName: new("aws-kms"), PolicyName: new("p"),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`)})
	inner := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	cred := testkit.Call[kagimoriapi.CreateXksCredentialResponse](c.Kagimori, "CreateXksCredential", &kagimoriapi.CreateXksCredentialRequest{
		RoleArn: role, KeyArns: []string{*inner.Arn}, UriPathPrefix: new("/acme")})
	p["secret of an XKS credential"] = []byte(cred.RawSecretAccessKey.Reveal())
	note(cred.Credential)
	create := &kmsapi.CreateCustomKeyStoreRequest{
		CustomKeyStoreName: new("self"), CustomKeyStoreType: new("EXTERNAL_KEY_STORE"), XksProxyConnectivity: new("PUBLIC_ENDPOINT"),
		XksProxyUriEndpoint: new("https://example.com"), XksProxyUriPath: cred.Credential.UriPath,
		XksProxyAuthenticationCredential: &kmsapi.XksProxyAuthenticationCredentialType{
			AccessKeyId: new(secret.String(*cred.Credential.AccessKeyId)), RawSecretAccessKey: cred.RawSecretAccessKey,
		},
	}
	store := testkit.Call[kmsapi.CreateCustomKeyStoreResponse](c.KMS, "CreateCustomKeyStore", create).CustomKeyStoreId
	note(testkit.Refused(c.KMS, "CreateCustomKeyStore", create)) // the same once more
	wrong := *create
	wrong.CustomKeyStoreName = new("other")
	p["wrong secret of a proxy"] = []byte("d3JvbmcgYnV0IHNlY3JldCBhbGwgdGhlIHNhbWUgYW5kIGxvbmc=")
	wrong.XksProxyAuthenticationCredential = &kmsapi.XksProxyAuthenticationCredentialType{
		AccessKeyId: create.XksProxyAuthenticationCredential.AccessKeyId, RawSecretAccessKey: new(secret.String(p["wrong secret of a proxy"])),
	}
	note(testkit.Refused(c.KMS, "CreateCustomKeyStore", &wrong))
	testkit.Must(c.KMS, "ConnectCustomKeyStore", &kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: store})
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		out := testkit.Call[kmsapi.DescribeCustomKeyStoresResponse](c.KMS, "DescribeCustomKeyStores", &kmsapi.DescribeCustomKeyStoresRequest{CustomKeyStoreId: store})
		if note(out); *out.CustomKeyStores[0].ConnectionState == "CONNECTED" {
			break
		}
	}
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{
		Origin: new("EXTERNAL_KEY_STORE"), CustomKeyStoreId: store, XksKeyId: inner.KeyId}).KeyMetadata
	dk := testkit.Call[kmsapi.GenerateDataKeyResponse](c.KMS, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: key.Arn, KeySpec: new("AES_256")})
	p["data key of an external key store"] = dk.Plaintext
	testkit.Call[kmsapi.DecryptResponse](c.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: dk.CiphertextBlob})
	note(testkit.Refused(c.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: dk.CiphertextBlob, EncryptionContext: map[string]string{"a": "b"}}))
}

// plantMore makes the secrets of other operations.
func plantMore(t *testing.T, c testkit.Clients, p planted, note func(any)) {
	t.Helper()
	key := func(spec, usage string) *string {
		return testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{KeySpec: &spec, KeyUsage: &usage}).KeyMetadata.Arn
	}
	agree, kem, mac, sign := key("ECC_NIST_P256", "KEY_AGREEMENT"), key("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"), key("HMAC_256", "GENERATE_VERIFY_MAC"), key("RSA_2048", "SIGN_VERIFY")
	public := testkit.Call[kmsapi.GetPublicKeyResponse](c.KMS, "GetPublicKey", &kmsapi.GetPublicKeyRequest{KeyId: agree}).PublicKey
	p["agreed secret"] = testkit.Call[kmsapi.DeriveSharedSecretResponse](c.KMS, "DeriveSharedSecret", &kmsapi.DeriveSharedSecretRequest{
		KeyId: agree, PublicKey: public, KeyAgreementAlgorithm: new("ECDH")}).SharedSecret
	p["encapsulated secret"] = testkit.Call[kmsapi.EncapsulateResponse](c.KMS, "Encapsulate", &kmsapi.EncapsulateRequest{KeyId: kem, EncapsulationAlgorithm: new("ML_KEM")}).SharedSecret
	p["message"] = []byte("a message that is nobody's business")
	testkit.Call[kmsapi.GenerateMacResponse](c.KMS, "GenerateMac", &kmsapi.GenerateMacRequest{KeyId: mac, Message: p["message"], MacAlgorithm: new("HMAC_SHA_256")})
	testkit.Call[kmsapi.SignResponse](c.KMS, "Sign", &kmsapi.SignRequest{KeyId: sign, Message: p["message"], SigningAlgorithm: new("RSASSA_PSS_SHA_256")})
	note(testkit.Refused(c.KMS, "Verify", &kmsapi.VerifyRequest{KeyId: sign, Message: p["message"], Signature: []byte("s"), SigningAlgorithm: new("RSASSA_PSS_SHA_256")}))
	note(testkit.Refused(c.KMS, "Sign", &kmsapi.SignRequest{KeyId: sign, Message: bytes.Repeat(p["message"], 200), SigningAlgorithm: new("RSASSA_PSS_SHA_256")}))

	user := new("someone")
	p["password"] = []byte("Correct-Horse-Battery-1")
	testkit.Must(c.IAM, "CreateLoginProfile", &iamapi.CreateLoginProfileRequest{UserName: user, Password: new(secret.String(p["password"]))})
	note(testkit.Refused(c.IAM, "CreateLoginProfile", &iamapi.CreateLoginProfileRequest{UserName: user, Password: new(secret.String(p["password"]))}))
	device := testkit.Call[iamapi.CreateVirtualMFADeviceResponse](c.IAM, "CreateVirtualMFADevice", &iamapi.CreateVirtualMFADeviceRequest{VirtualMFADeviceName: new("phone")}).VirtualMFADevice
	p["seed of an MFA device, base32"] = bytes.TrimRight(device.Base32StringSeed, "=")
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(p["seed of an MFA device, base32"]))
	if err != nil {
		t.Fatal(err)
	}
	p["seed of an MFA device"] = seed
	special := testkit.Call[iamapi.CreateServiceSpecificCredentialResponse](c.IAM, "CreateServiceSpecificCredential", &iamapi.CreateServiceSpecificCredentialRequest{
		UserName: user, ServiceName: new("codecommit.amazonaws.com")}).ServiceSpecificCredential
	p["password of a service"] = []byte(special.ServicePassword.Reveal())
	pair := testkit.Call[ec2api.KeyPair](c.EC2, "CreateKeyPair", &ec2api.CreateKeyPairRequest{KeyName: new("k"), KeyType: new("ed25519")})
	p["private key of a key pair"] = []byte(pair.KeyMaterial.Reveal())[60:160]
}
