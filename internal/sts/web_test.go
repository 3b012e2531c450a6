package sts_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts"
	"github.com/kagimori/kagimori/internal/sts/webidentity/issuertest"
)

const (
	provider  = "arn:aws:iam::111122223333:oidc-provider/" + issuertest.Host
	federated = `"Federated":"` + provider + `"`
	webOnly   = `"sts:AssumeRoleWithWebIdentity"`
)

// A web is a world with an issuer whom the account knows.
type web struct {
	*world
	issuer *issuertest.Issuer
	key    *issuertest.Key
	role   string
}

// newWeb makes a web with a role of the given trust policy.
func newWeb(t *testing.T, trust ...string) *web {
	w := &web{issuer: issuertest.New(t)}
	w.key = w.issuer.RSA("k1")
	w.world = newWorld(t, func(cfg *sts.Config) {
		cfg.Tokens = tokens(w.issuer, func() time.Time { return w.wall })
		cfg.Issuer = func(tx store.Tx, account, issuer string) (sts.Issuer, bool, error) {
			i, ok, err := w.people.FindIssuer(tx, account, issuer)
			return sts.Issuer(i), ok, err
		}
	})
	w.admin(account).must(&iamapi.CreateOpenIDConnectProviderRequest{Url: new("https://" + issuertest.Host), ClientIDList: []string{"app"}})
	w.role = w.world.role(account, "web", trust...)
	return w
}

func (w *web) token(change map[string]any) string {
	c := map[string]any{"iss": "https://" + issuertest.Host, "sub": "jo", "aud": "app", "iat": w.wall.Unix(), "exp": w.wall.Add(time.Hour).Unix()}
	maps.Copy(c, change)
	return w.key.Sign(c)
}

func (w *web) asking(token string, change ...func(*stsapi.AssumeRoleWithWebIdentityRequest)) *stsapi.AssumeRoleWithWebIdentityRequest {
	in := &stsapi.AssumeRoleWithWebIdentityRequest{RoleArn: &w.role, RoleSessionName: new("app"), WebIdentityToken: new(secret.String(token))}
	for _, f := range change {
		f(in)
	}
	return in
}

func (w *web) nobody() *who { return w.as(directory.Identity{}) }

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	w := newWeb(t, trustWhen(federated, webOnly, `{"StringEquals":{"example.com:sub":"jo","example.com:aud":"app"},"ForAnyValue:StringEquals":{"example.com:amr":"mfa"}}`))
	out := get[stsapi.AssumeRoleWithWebIdentityResponse](w.nobody(), w.asking(w.token(map[string]any{"amr": []string{"pwd", "mfa"}})))
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111122223333:assumed-role/web/app" || *out.SubjectFromWebIdentityToken != "jo" ||
		*out.Audience != "app" || *out.Provider != provider {
		t.Errorf("answer %+v", out)
	}
	session := w.login(*out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
	if id := get[stsapi.GetCallerIdentityResponse](session, &stsapi.GetCallerIdentityRequest{}); *id.Arn != *out.AssumedRoleUser.Arn {
		t.Errorf("the session is %s", *id.Arn)
	}
	for name, change := range map[string]map[string]any{"another subject": {"sub": "mo", "amr": "mfa"}, "no amr": {}} {
		t.Run(name, func(t *testing.T) {
			w.nobody().refused(w.asking(w.token(change)), 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		})
	}
	var found bool
	for _, r := range w.records() {
		if r.EventName == "AssumeRoleWithWebIdentity" && r.ErrorCode == "" {
			found = true
			if u := r.UserIdentity; u.Type != "WebIdentityUser" || u.UserName != "jo" || u.IdentityProvider != provider || r.RecipientAccountID != account {
				t.Errorf("recorded as %+v", r)
			}
			if strings.Contains(string(r.RequestParameters), "webIdentityToken\":\"ey") {
				t.Error("the token is in the record")
			}
		}
	}
	if !found {
		t.Error("no record")
	}
}

func TestWebIdentityTokensThatProveNothing(t *testing.T) {
	w := newWeb(t, trust(federated, webOnly))
	other := issuertest.New(t).RSA("k1")
	now := w.wall
	for name, tt := range map[string]struct {
		token         string
		change        func(*stsapi.AssumeRoleWithWebIdentityRequest)
		code, message string
	}{
		"not a token":      {"abcd", nil, "InvalidIdentityToken", "not a valid JWT"},
		"no subject":       {w.token(map[string]any{"sub": ""}), nil, "InvalidIdentityToken", "Missing a required claim"},
		"unknown issuer":   {w.token(map[string]any{"iss": "https://idp.example"}), nil, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://idp.example"},
		"plain issuer":     {w.token(map[string]any{"iss": "http://example.com"}), nil, "InvalidIdentityToken", "No OpenIDConnect provider found"},
		"signed by other":  {other.Sign(map[string]any{"iss": "https://example.com", "sub": "jo", "aud": "app", "iat": now.Unix(), "exp": now.Unix() + 60}), nil, "InvalidIdentityToken", "signature"},
		"expired":          {w.token(map[string]any{"exp": now.Unix()}), nil, "ExpiredTokenException", "Token expired: current date/time"},
		"not yet":          {w.token(map[string]any{"nbf": now.Unix() + 3600}), nil, "InvalidIdentityToken", "not valid yet"},
		"audience":         {w.token(map[string]any{"aud": "other"}), nil, "InvalidIdentityToken", "Incorrect token audience"},
		"authorized party": {w.token(map[string]any{"aud": "app", "azp": "other"}), nil, "InvalidIdentityToken", "Incorrect token audience"},
		"provider id":      {w.token(nil), func(in *stsapi.AssumeRoleWithWebIdentityRequest) { in.ProviderId = new("www.amazon.com") }, "ValidationError", "ProviderId"},
		"foreign account": {w.token(nil), func(in *stsapi.AssumeRoleWithWebIdentityRequest) {
			in.RoleArn = new("arn:aws:iam::444455556666:role/web")
		}, "InvalidIdentityToken", "No OpenIDConnect provider found"},
		"too long": {w.token(nil), func(in *stsapi.AssumeRoleWithWebIdentityRequest) { in.DurationSeconds = new(int32(7200)) }, "ValidationError", "MaxSessionDuration"},
	} {
		t.Run(name, func(t *testing.T) {
			in := w.asking(tt.token)
			if tt.change != nil {
				tt.change(in)
			}
			w.nobody().refused(in, 400, tt.code, tt.message)
		})
	}
	before := len(w.records())
	w.nobody().refused(w.asking("abcd"), 400, "InvalidIdentityToken", "JWT")
	if after := len(w.records()); after != before {
		t.Error("what proved nothing was recorded")
	}
	w.nobody().refused(w.asking(w.token(nil), func(in *stsapi.AssumeRoleWithWebIdentityRequest) {
		in.RoleArn = new("arn:aws:iam::111122223333:role/nothing")
	}), 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	w.issuer.Down(true)
	w.wall = w.wall.Add(2 * time.Hour)
	w.nobody().refused(w.asking(w.token(nil)), 400, "InvalidIdentityToken", "Couldn't retrieve verification key")
}

func TestWebIdentitySetsTagsAndSourceIdentity(t *testing.T) {
	change := map[string]any{
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}, "transitive_tag_keys": []string{"team"}},
		"https://aws.amazon.com/source_identity": "jo",
	}
	w := newWeb(t, trust(federated, webOnly))
	w.nobody().refused(w.asking(w.token(change)), 403, "AccessDenied", "Not authorized to perform sts:TagSession")
	w.role = w.world.role(account, "tagged", trust(federated, `["sts:AssumeRoleWithWebIdentity","sts:TagSession","sts:SetSourceIdentity"]`))
	out := get[stsapi.AssumeRoleWithWebIdentityResponse](w.nobody(), w.asking(w.token(change)))
	if out.SourceIdentity == nil || *out.SourceIdentity != "jo" {
		t.Errorf("source identity %v", out.SourceIdentity)
	}
	session := w.login(*out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
	id := session.caller.Identity
	if id.Principal.Tags["team"] != "red" || id.Session.Transitive["team"] != "red" || id.Session.SourceIdentity != "jo" || id.Session.Provider != provider {
		t.Errorf("session %+v of %+v", id.Session, id.Principal)
	}
	// What the provider says stays with the session as condition keys.
	admin := w.admin(account)
	admin.must(&iamapi.PutRolePolicyRequest{RoleName: new("tagged"), PolicyName: new("p"), PolicyDocument: new(document(
		`{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"StringEquals":{"example.com:sub":"jo","aws:FederatedProvider":"`+provider+`"}}}`,
		`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"StringEquals":{"example.com:sub":"mo"}}}`,
	))})
	session.must(&iamapi.ListRolesRequest{})
	session.refused(&iamapi.ListUsersRequest{}, 403, "AccessDenied", "not authorized to perform: iam:ListUsers")
}
