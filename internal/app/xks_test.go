package app_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/xks"
)

const (
	keeper = "111122223333" // whose keys the proxy offers
	user   = "444455556666" // who has an external key store
)

// A proxy is a kagimori whose keys others use, on a TLS listener of its own.
type proxy struct {
	*testkit.Server
	t     *testing.T
	tls   *httptest.Server
	admin testkit.Clients
	role  string
	keys  []string // listed, and the last one not
}

const proxyTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cks.kms.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{Server: testkit.Start(t, testkit.Options{}), t: t}
	p.tls = httptest.NewTLSServer(p.App.Proxy())
	t.Cleanup(p.tls.Close)
	p.admin = p.As(testkit.Admin(keeper))
	p.role = *testkit.Call[iamapi.CreateRoleResponse](p.admin.IAM, "CreateRole", &iamapi.CreateRoleRequest{
		RoleName: new("aws-kms"), AssumeRolePolicyDocument: new(proxyTrust)}).Role.Arn
	p.allow("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey")
	for range 3 {
		p.keys = append(p.keys, *testkit.Call[kmsapi.CreateKeyResponse](p.admin.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.Arn)
	}
	return p
}

// allow gives the role these permissions and no others.
func (p *proxy) allow(actions ...string) {
	p.t.Helper()
	doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
	testkit.Must(p.admin.IAM, "PutRolePolicy", &iamapi.PutRolePolicyRequest{RoleName: new("aws-kms"), PolicyName: new("p"), PolicyDocument: &doc})
}

func (p *proxy) credential(prefix string) *kagimoriapi.CreateXksCredentialResponse {
	p.t.Helper()
	return testkit.Call[kagimoriapi.CreateXksCredentialResponse](p.admin.Kagimori, "CreateXksCredential", &kagimoriapi.CreateXksCredentialRequest{
		RoleArn: &p.role, KeyArns: p.keys[:len(p.keys)-1], UriPathPrefix: &prefix})
}

func (p *proxy) outbound() outbound.Config {
	roots := x509.NewCertPool()
	roots.AddCert(p.tls.Certificate())
	return outbound.Config{Roots: roots, Connect: map[string]string{"example.com": p.tls.Listener.Addr().String()}}
}

// client is one of the protocol, as KMS is one.
func (p *proxy) client() *xks.Client {
	return xks.NewClient(xks.ClientConfig{Outbound: outbound.New(p.outbound()), Patience: 30 * time.Second})
}

func proxyOf(c *kagimoriapi.CreateXksCredentialResponse) *xks.Proxy {
	return &xks.Proxy{Endpoint: "https://example.com", Path: *c.Credential.UriPath, Region: "eu-north-1",
		AccessKeyID: *c.Credential.AccessKeyId, Secret: *c.RawSecretAccessKey}
}

func keyID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func TestOneKagimoriIsTheExternalKeyStoreOfAnother(t *testing.T) {
	p := newProxy(t)
	cred := p.credential("/acme")
	s := testkit.Start(t, testkit.Options{Configure: func(cfg *app.Config) {
		cfg.Outbound, cfg.XKSPatience = p.outbound(), 30*time.Second
	}})
	c := s.As(testkit.Admin(user)).KMS
	store := testkit.Call[kmsapi.CreateCustomKeyStoreResponse](c, "CreateCustomKeyStore", &kmsapi.CreateCustomKeyStoreRequest{
		CustomKeyStoreName: new("other"), CustomKeyStoreType: new("EXTERNAL_KEY_STORE"), XksProxyConnectivity: new("PUBLIC_ENDPOINT"),
		XksProxyUriEndpoint: new("https://example.com"), XksProxyUriPath: cred.Credential.UriPath,
		XksProxyAuthenticationCredential: &kmsapi.XksProxyAuthenticationCredentialType{
			AccessKeyId: new(secret.String(*cred.Credential.AccessKeyId)), RawSecretAccessKey: cred.RawSecretAccessKey,
		},
	}).CustomKeyStoreId
	testkit.Must(c, "ConnectCustomKeyStore", &kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: store})
	s.Advance(time.Second)
	key := testkit.Call[kmsapi.CreateKeyResponse](c, "CreateKey", &kmsapi.CreateKeyRequest{
		Origin: new("EXTERNAL_KEY_STORE"), CustomKeyStoreId: store, XksKeyId: new(keyID(p.keys[0]))}).KeyMetadata.Arn
	context := map[string]string{"aws:ebs:id": "vol-1"}
	blob := testkit.Call[kmsapi.EncryptResponse](c, "Encrypt", &kmsapi.EncryptRequest{KeyId: key, Plaintext: []byte("secret"), EncryptionContext: context}).CiphertextBlob
	decrypt := &kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: context}
	if out := testkit.Call[kmsapi.DecryptResponse](c, "Decrypt", decrypt); string(out.Plaintext) != "secret" {
		t.Errorf("decrypted %d bytes", len(out.Plaintext))
	}
	big := bytes.Repeat([]byte("x"), 4096)
	blob = testkit.Call[kmsapi.EncryptResponse](c, "Encrypt", &kmsapi.EncryptRequest{KeyId: key, Plaintext: big}).CiphertextBlob
	if out := testkit.Call[kmsapi.DecryptResponse](c, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: blob}); !bytes.Equal(out.Plaintext, big) {
		t.Error("4096 bytes did not come back")
	}
	// The keeper decides, at every request.
	p.allow("kms:Encrypt", "kms:DescribeKey")
	wantCode(t, c.Do(t.Context(), "Decrypt", decrypt, new(kmsapi.DecryptResponse)), "KMSInvalidStateException", "denied access")
	p.allow("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey")
	testkit.Must(p.admin.KMS, "DisableKey", &kmsapi.DisableKeyRequest{KeyId: &p.keys[0]})
	wantCode(t, c.Do(t.Context(), "Decrypt", decrypt, new(kmsapi.DecryptResponse)), "KMSInvalidStateException", "not enabled")
	testkit.Must(p.admin.KMS, "EnableKey", &kmsapi.EnableKeyRequest{KeyId: &p.keys[0]})
	rotated := testkit.Call[kmsapi.RotateKeyOnDemandResponse](p.admin.KMS, "RotateKeyOnDemand", &kmsapi.RotateKeyOnDemandRequest{KeyId: &p.keys[0]})
	if out := testkit.Call[kmsapi.DecryptResponse](c, "Decrypt", decrypt); string(out.Plaintext) != "secret" {
		t.Errorf("after the rotation of %s", *rotated.KeyId)
	}
	testkit.Must(p.admin.Kagimori, "DeleteXksCredential", &kagimoriapi.DeleteXksCredentialRequest{AccessKeyId: cred.Credential.AccessKeyId})
	wantCode(t, c.Do(t.Context(), "Decrypt", decrypt, new(kmsapi.DecryptResponse)), "KMSInvalidStateException", "could not authenticate")
	wantTrail(t, p, user)
	wantNoSecret(t, cred.RawSecretAccessKey.Reveal(), p.Data(), s.Data())
}

func wantCode(t *testing.T, err error, code, contains string) {
	t.Helper()
	if apierr.Code(err) != code || !strings.Contains(fmt.Sprint(err), contains) {
		t.Errorf("got %v, want %s with %q", err, code, contains)
	}
}

// wantTrail checks that the keeper has a record of each use, by the role, that says for whom it was.
func wantTrail(t *testing.T, p *proxy, account string) {
	t.Helper()
	out := testkit.Call[cloudtrailapi.LookupEventsResponse](p.admin.CloudTrail, "LookupEvents", &cloudtrailapi.LookupEventsRequest{})
	seen := map[string]int{}
	for _, e := range out.Events {
		text := *e.CloudTrailEvent
		if strings.Contains(text, "assumed-role/aws-kms/xks-") && strings.Contains(text, "arn:aws:iam::"+account+":user/admin") && strings.Contains(text, "cks.kms.amazonaws.com") {
			seen[*e.EventName]++
		}
	}
	if seen["Encrypt"] < 2 || seen["Decrypt"] < 4 || seen["DescribeKey"] != 1 {
		t.Errorf("records of the proxy: %v", seen)
	}
}

// wantNoSecret looks for a secret in everything that servers wrote.
func wantNoSecret(t *testing.T, text string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s has the secret", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func wantFailure(t *testing.T, err error, f xks.Failure) {
	t.Helper()
	if e, ok := err.(*xks.Error); !ok || e.Failure != f {
		t.Errorf("got %v, want %s", err, f)
	}
}

var asUser = xks.RequestMetadata{Principal: "arn:aws:iam::444455556666:user/u", KeyARN: "arn:aws:kms:eu-north-1:444455556666:key/k", Operation: "BulkDecrypt", RequestID: "r"}

func TestProxyServesTheProtocol(t *testing.T) {
	p := newProxy(t)
	cred := p.credential("")
	c, at, ctx := p.client(), proxyOf(cred), t.Context()
	if len(*cred.Credential.AccessKeyId) < 20 || len(*cred.RawSecretAccessKey) < 43 || *cred.Credential.UriPath != "/kms/xks/v1" {
		t.Errorf("credential = %+v", cred.Credential)
	}
	if h, err := c.Health(ctx, at, asUser); err != nil || h.Fleet[0].Status != "ACTIVE" {
		t.Errorf("%+v, %v", h, err)
	}
	key := keyID(p.keys[0])
	m, err := c.KeyMetadata(ctx, at, key, asUser)
	if err != nil || !m.Usable() || m.Status != xks.Enabled {
		t.Errorf("%+v, %v", m, err)
	}
	for _, n := range []int{1, 44, 4300} {
		for _, aad := range [][]byte{nil, []byte("context"), make([]byte, 8192)} {
			plain := bytes.Repeat([]byte{7}, n)
			s, err := c.Encrypt(ctx, at, key, asUser, plain, aad)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			back, err := c.Decrypt(ctx, at, key, asUser, s, aad)
			if err != nil || !back.Equal(plain) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
	s, err := c.Encrypt(ctx, at, key, asUser, []byte("plaintext"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string][]byte{"ciphertext": s.Ciphertext, "iv": s.IV, "tag": s.Tag, "metadata": s.Metadata} {
		for i := range part {
			part[i] ^= 1
			_, err := c.Decrypt(ctx, at, key, asUser, s, []byte("aad"))
			part[i] ^= 1
			wantFailure(t, err, xks.InvalidCiphertext)
			if t.Failed() {
				t.Fatalf("byte %d of the %s", i, name)
			}
		}
	}
	_, err = c.Decrypt(ctx, at, key, asUser, s, []byte("Aad"))
	wantFailure(t, err, xks.InvalidCiphertext)
	_, err = c.Decrypt(ctx, at, keyID(p.keys[1]), asUser, s, []byte("aad"))
	wantFailure(t, err, xks.InvalidCiphertext)
	s.Metadata = nil
	_, err = c.Decrypt(ctx, at, key, asUser, s, []byte("aad"))
	wantFailure(t, err, xks.InvalidCiphertext)
}

func TestProxyRefuses(t *testing.T) {
	p := newProxy(t)
	cred, other := p.credential("/acme"), p.credential("/other")
	c, ctx, key := p.client(), t.Context(), keyID(p.keys[0])
	encrypt := func(change func(*xks.Proxy), key string) error {
		at := proxyOf(cred)
		change(at)
		_, err := c.Encrypt(ctx, at, key, asUser, []byte("x"), nil)
		return err
	}
	nothing := func(*xks.Proxy) {}
	if err := encrypt(nothing, key); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.Secret += "x" }, key), xks.AuthenticationFailed)
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.Secret = *other.RawSecretAccessKey }, key), xks.AuthenticationFailed)
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.AccessKeyID = "KXKSKXKSKXKSKXKSKXKSKXK" }, key), xks.AuthenticationFailed)
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.AccessKeyID, at.Secret = keeper+"ADMIN", "test" }, key), xks.AuthenticationFailed)
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.Path = *other.Credential.UriPath }, key), xks.InvalidURIPath)
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.Path = "/kms/xks/v1" }, key), xks.InvalidURIPath)
	wantFailure(t, encrypt(func(at *xks.Proxy) { at.Path = "/acme/kms/xks/v2" }, key), xks.InvalidURIPath)
	wantFailure(t, encrypt(nothing, keyID(p.keys[2])), xks.KeyNotFound) // the role may, the credential may not
	wantFailure(t, encrypt(nothing, "nothing"), xks.KeyNotFound)
	wantFailure(t, encrypt(nothing, ".."), xks.KeyNotFound)
	p.allow("kms:Decrypt")
	wantFailure(t, encrypt(nothing, key), xks.AccessDenied)
	p.allow("kms:*")
	testkit.Must(p.admin.KMS, "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &p.keys[1]})
	wantFailure(t, encrypt(nothing, keyID(p.keys[1])), xks.InvalidState)
	for name, tt := range map[string]struct {
		method, path, service string
		body                  string
		status                int
	}{
		"a GET":                {"GET", "/acme/kms/xks/v1/health", xks.SigningName, "", 405},
		"a PUT":                {"PUT", "/acme/kms/xks/v1/keys/" + key + "/encrypt", xks.SigningName, "{}", 405},
		"a query":              {"POST", "/acme/kms/xks/v1/health?x=1", xks.SigningName, "{}", 404},
		"an escaped path":      {"POST", "/acme/kms/xks/v1/keys/" + key + "/%65ncrypt", xks.SigningName, "{}", 404},
		"the kms service":      {"POST", "/acme/kms/xks/v1/health", "kms", `{"requestMetadata":{"kmsRequestId":"r","kmsOperation":"o"}}`, 401},
		"no JSON":              {"POST", "/acme/kms/xks/v1/health", xks.SigningName, "x", 400},
		"no metadata":          {"POST", "/acme/kms/xks/v1/keys/" + key + "/metadata", xks.SigningName, "{}", 400},
		"no plaintext":         {"POST", "/acme/kms/xks/v1/keys/" + key + "/encrypt", xks.SigningName, "{}", 400},
		"too long":             {"POST", "/acme/kms/xks/v1/keys/" + key + "/decrypt", xks.SigningName, strings.Repeat(" ", 70000), 400},
		"the APIs of kagimori": {"POST", "/", xks.SigningName, "{}", 404},
		"the health of serve":  {"GET", "/_kagimori/health", xks.SigningName, "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(tt.method, p.tls.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			sigv4.Sign(r, []byte(tt.body), sigv4.Credentials{AccessKeyID: *cred.Credential.AccessKeyId, Secret: *cred.RawSecretAccessKey}, "eu-north-1", tt.service, time.Now())
			resp, err := p.tls.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || tt.status != 405 && !strings.Contains(string(body), `"errorName":`) {
				t.Errorf("%d %s, %v", resp.StatusCode, body, err)
			}
		})
	}
	resp, err := p.tls.Client().Post(p.tls.URL+"/acme/kms/xks/v1/health", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("unsigned: %d", resp.StatusCode)
	}
}

// What the proxy encrypted is none of KMS's ciphertexts, though both are of the same material.
func TestProxyCiphertextsAreNotThoseOfKMS(t *testing.T) {
	p := newProxy(t)
	c, at := p.client(), proxyOf(p.credential(""))
	blob := testkit.Call[kmsapi.EncryptResponse](p.admin.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: &p.keys[0], Plaintext: []byte("of KMS")}).CiphertextBlob
	raw := blob[len(blob)-41-len("of KMS"):] // version, nonces, ciphertext, tag
	sealed, err := c.Encrypt(t.Context(), at, keyID(p.keys[0]), asUser, []byte("of KMS"), nil)
	if err != nil {
		t.Fatal(err)
	}
	forged := xks.Sealed{Metadata: append(bytes.Clone(sealed.Metadata[:7]), raw[:13]...), IV: raw[13:25], Ciphertext: raw[25 : len(raw)-16], Tag: raw[len(raw)-16:]}
	for _, aad := range [][]byte{nil, blob[:len(blob)-len(raw)]} {
		_, err = c.Decrypt(t.Context(), at, keyID(p.keys[0]), asUser, forged, aad)
		wantFailure(t, err, xks.InvalidCiphertext)
	}
	var body []byte
	for _, part := range [][]byte{blob[:len(blob)-len(raw)], sealed.Metadata[7:], sealed.IV, sealed.Ciphertext, sealed.Tag} {
		body = append(body, part...)
	}
	err = p.admin.KMS.Do(t.Context(), "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: body}, new(kmsapi.DecryptResponse))
	wantCode(t, err, "InvalidCiphertextException", "")
}

func TestCredentialsOfTheProxy(t *testing.T) {
	p := newProxy(t)
	create := func(c *testkit.Client, change func(*kagimoriapi.CreateXksCredentialRequest)) error {
		in := &kagimoriapi.CreateXksCredentialRequest{RoleArn: &p.role, KeyArns: p.keys[:1]}
		change(in)
		return c.Do(t.Context(), "CreateXksCredential", in, new(kagimoriapi.CreateXksCredentialResponse))
	}
	type request = kagimoriapi.CreateXksCredentialRequest
	for name, change := range map[string]func(*request){
		"a role of another account": func(in *request) { in.RoleArn = new("arn:aws:iam::" + user + ":role/r") },
		"a user":                    func(in *request) { in.RoleArn = new("arn:aws:iam::" + keeper + ":user/admin") },
		"an alias":                  func(in *request) { in.KeyArns = []string{"arn:aws:kms:us-east-1:" + keeper + ":alias/a"} },
		"the same key twice":        func(in *request) { in.KeyArns = []string{p.keys[0], p.keys[0]} },
		"no key":                    func(in *request) { in.KeyArns = []string{} },
		"a prefix":                  func(in *request) { in.UriPathPrefix = new("acme") },
		"a long prefix":             func(in *request) { in.UriPathPrefix = new("/" + strings.Repeat("x", 117)) },
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, create(p.admin.Kagimori, change), "ValidationException", "") })
	}
	nothing := func(*request) {}
	some := reviewUser(t, p.Server, keeper, "some", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kagimori:*","Resource":"*"}]}`)
	wantCode(t, create(some.Kagimori, nothing), "AccessDeniedException", "iam:PassRole")
	for i := range 50 {
		if err := create(p.admin.Kagimori, nothing); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	wantCode(t, create(p.admin.Kagimori, nothing), "LimitExceededException", "")
	list := testkit.Call[kagimoriapi.ListXksCredentialsResponse](p.admin.Kagimori, "ListXksCredentials", &kagimoriapi.ListXksCredentialsRequest{}).Credentials
	if len(list) != 50 || *list[0].RoleArn != p.role || len(list[0].KeyArns) != 1 {
		t.Errorf("%d credentials", len(list))
	}
	foreign := p.As(testkit.Admin(user)).Kagimori
	if got := testkit.Call[kagimoriapi.ListXksCredentialsResponse](foreign, "ListXksCredentials", &kagimoriapi.ListXksCredentialsRequest{}).Credentials; len(got) != 0 {
		t.Errorf("another account sees %d", len(got))
	}
	in := &kagimoriapi.DeleteXksCredentialRequest{AccessKeyId: list[0].AccessKeyId}
	wantCode(t, foreign.Do(t.Context(), "DeleteXksCredential", in, nil), "ResourceNotFoundException", "")
	testkit.Must(p.admin.Kagimori, "DeleteXksCredential", in)
	wantCode(t, p.admin.Kagimori.Do(t.Context(), "DeleteXksCredential", in, nil), "ResourceNotFoundException", "")
}

// The role has to trust the proxy, and deleting it ends what was begun with it.
func TestRolesOfTheProxy(t *testing.T) {
	p := newProxy(t)
	c, at, key := p.client(), proxyOf(p.credential("")), keyID(p.keys[0])
	if _, err := c.Encrypt(t.Context(), at, key, asUser, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	testkit.Must(p.admin.IAM, "DeleteRolePolicy", &iamapi.DeleteRolePolicyRequest{RoleName: new("aws-kms"), PolicyName: new("p")})
	testkit.Must(p.admin.IAM, "DeleteRole", &iamapi.DeleteRoleRequest{RoleName: new("aws-kms")})
	_, err := c.Encrypt(t.Context(), at, key, asUser, []byte("x"), nil)
	wantFailure(t, err, xks.AccessDenied)
	distrust := strings.Replace(proxyTrust, "cks.kms", "ec2", 1)
	p.role = *testkit.Call[iamapi.CreateRoleResponse](p.admin.IAM, "CreateRole", &iamapi.CreateRoleRequest{
		RoleName: new("aws-kms"), AssumeRolePolicyDocument: &distrust}).Role.Arn
	p.allow("kms:*")
	_, err = c.Encrypt(t.Context(), proxyOf(p.credential("")), key, asUser, []byte("x"), nil)
	wantFailure(t, err, xks.AccessDenied)
	text, err := base64.StdEncoding.DecodeString(at.Secret.Reveal())
	if err != nil || len(text) != 33 {
		t.Errorf("a secret of %d bytes, %v", len(text), err)
	}
}
