package e2e_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// rsaPublic is a public RSA key in PEM.
func rsaPublic(t *testing.T) string {
	t.Helper()
	key := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&key.PublicKey))(t)}))
}

// An issuer is an OpenID Connect provider at https://example.com.
type issuer struct {
	address, ca string // where it listens, and a file with its certificate
	key         *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{key: must(rsa.GenerateKey(rand.Reader, 2048))(t), ca: filepath.Join(t.TempDir(), "ca.pem")}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := any(map[string]string{"issuer": "https://example.com", "jwks_uri": "https://example.com/keys"})
		if r.URL.Path == "/keys" {
			v = map[string]any{"keys": []any{map[string]string{
				"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": b64(i.key.N.Bytes()), "e": b64(big.NewInt(int64(i.key.E)).Bytes()),
			}}}
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	i.address = s.Listener.Addr().String()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(i.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token makes a token for jo and app with some claims changed.
func (i *issuer) token(t *testing.T, change map[string]any) *string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{"iss": "https://example.com", "sub": "jo", "aud": "app", "iat": now, "exp": now + 600}
	maps.Copy(claims, change)
	signed := b64([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + b64(must(json.Marshal(claims))(t))
	digest := sha256.Sum256([]byte(signed))
	return new(signed + "." + b64(must(rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, digest[:]))(t)))
}

func testWebIdentity(t *testing.T, r *recorder, url string, i *issuer) {
	c, ctx := r.admin(url, "210000000012"), t.Context()
	provider := must(c.iam.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: new("https://example.com"), ClientIDList: []string{"app"}}))(t).OpenIDConnectProviderArn
	trust := seed.Policy(`{"Effect":"Allow","Principal":{"Federated":"` + *provider + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"example.com:sub":"jo"}}}`)
	role := must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: new("web"), AssumeRolePolicyDocument: &trust}))(t).Role.Arn
	nobody := r.client(url, c.account, aws.Credentials{})
	ask := func(change map[string]any) *sts.AssumeRoleWithWebIdentityInput {
		return &sts.AssumeRoleWithWebIdentityInput{RoleArn: role, RoleSessionName: new("one"), WebIdentityToken: i.token(t, change)}
	}
	out := must(nobody.sts.AssumeRoleWithWebIdentity(ctx, ask(nil)))(t)
	if *out.SubjectFromWebIdentityToken != "jo" || *out.Audience != "app" || *out.Provider != *provider {
		t.Errorf("answer %+v", out)
	}
	k := out.Credentials
	s := r.client(url, c.account, aws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: *k.SessionToken})
	if id := must(s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))(t); *id.Arn != "arn:aws:sts::210000000012:assumed-role/web/one" {
		t.Errorf("session %s", *id.Arn)
	}
	refused(nobody.sts.AssumeRoleWithWebIdentity(ctx, ask(map[string]any{"sub": "mo"})))(t, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	refused(nobody.sts.AssumeRoleWithWebIdentity(ctx, ask(map[string]any{"aud": "other"})))(t, "InvalidIdentityToken", "Incorrect token audience")
	refused(nobody.sts.AssumeRoleWithWebIdentity(ctx, ask(map[string]any{"exp": time.Now().Unix() - 1})))(t, "ExpiredTokenException")
	bad := ask(nil)
	*bad.WebIdentityToken += "x"
	refused(nobody.sts.AssumeRoleWithWebIdentity(ctx, bad))(t, "InvalidIdentityToken")
}
