package sts_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts"
)

func newIssuing(t *testing.T) *world {
	var w *world
	w = newWorld(t, func(cfg *sts.Config) {
		cfg.Outbound = sts.Outbound{Keys: hsmtest.New(t).Box("web"), Issuer: func(tx store.Tx, account string) (string, error) { return w.people.OutboundIssuer(tx, account) }}
	})
	return w
}

func claimsOf(t *testing.T, token *secret.String) (header, claims map[string]any) {
	t.Helper()
	for i, v := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[i])
		check(t, err)
		check(t, json.Unmarshal(raw, v))
	}
	return header, claims
}

func TestGetWebIdentityToken(t *testing.T) {
	w := newIssuing(t)
	admin := w.admin(account)
	ask := func(change ...func(*stsapi.GetWebIdentityTokenRequest)) *stsapi.GetWebIdentityTokenRequest {
		in := &stsapi.GetWebIdentityTokenRequest{Audience: []string{"https://api.example.com"}, SigningAlgorithm: new("ES384")}
		for _, f := range change {
			f(in)
		}
		return in
	}
	admin.refused(ask(), 403, "OutboundWebIdentityFederationDisabledException", "not enabled for this account")
	issuer := *get[iamapi.EnableOutboundWebIdentityFederationResponse](admin, &iamapi.EnableOutboundWebIdentityFederationRequest{}).IssuerIdentifier
	if !strings.HasPrefix(issuer, "https://") || !strings.HasSuffix(issuer, ".tokens.sts.global.api.aws") {
		t.Errorf("issuer %s", issuer)
	}
	now := w.wall.Truncate(time.Second)
	out := get[stsapi.GetWebIdentityTokenResponse](admin, ask())
	header, claims := claimsOf(t, out.WebIdentityToken)
	if header["alg"] != "ES384" || !out.Expiration.Equal(now.Add(5*time.Minute)) {
		t.Errorf("header %v, until %v", header, out.Expiration)
	}
	if claims["jti"] == "" {
		t.Error("no jti")
	}
	delete(claims, "jti")
	me := "arn:aws:iam::" + account + ":user/admin"
	want := map[string]any{
		"iss": issuer, "sub": me, "aud": "https://api.example.com", "iat": float64(now.Unix()), "exp": float64(now.Unix() + 300),
		"https://sts.amazonaws.com/": map[string]any{
			"aws_account": account, "source_region": "eu-west-1", "principal_id": me,
			"org_id": "o-kagimori00", "ou_path": claims["https://sts.amazonaws.com/"].(map[string]any)["ou_path"],
		},
	}
	if d := cmp.Diff(want, claims); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		change        func(*stsapi.GetWebIdentityTokenRequest)
		code, message string
	}{
		"algorithm":   {func(in *stsapi.GetWebIdentityTokenRequest) { in.SigningAlgorithm = new("ES256") }, "ValidationError", "signing algorithm"},
		"too long":    {func(in *stsapi.GetWebIdentityTokenRequest) { in.DurationSeconds = new(int32(3601)) }, "ValidationError", "3600"},
		"too short":   {func(in *stsapi.GetWebIdentityTokenRequest) { in.DurationSeconds = new(int32(59)) }, "ValidationError", "60"},
		"no audience": {func(in *stsapi.GetWebIdentityTokenRequest) { in.Audience = []string{} }, "ValidationError", "audience"},
		"duplicate tags": {func(in *stsapi.GetWebIdentityTokenRequest) {
			in.Tags = []stsapi.Tag{{Key: new("a"), Value: new("1")}, {Key: new("A"), Value: new("2")}}
		}, "ValidationError", "Duplicate tag keys"},
		"too many tags": {func(in *stsapi.GetWebIdentityTokenRequest) { in.Tags = make([]stsapi.Tag, 51) }, "ValidationError", "50"},
	} {
		t.Run(name, func(t *testing.T) { admin.refused(ask(tt.change), 400, tt.code, tt.message) })
	}
	admin.must(&iamapi.DisableOutboundWebIdentityFederationRequest{})
	admin.refused(ask(), 403, "OutboundWebIdentityFederationDisabledException", "not enabled")
	if again := *get[iamapi.EnableOutboundWebIdentityFederationResponse](admin, &iamapi.EnableOutboundWebIdentityFederationRequest{}).IssuerIdentifier; again != issuer {
		t.Errorf("another issuer: %s", again)
	}
}

func TestWebTokensOfSessions(t *testing.T) {
	w := newIssuing(t)
	admin := w.admin(account)
	admin.must(&iamapi.EnableOutboundWebIdentityFederationRequest{})
	role := w.role(account, "app", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:root"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}`)
	admin.must(&iamapi.PutRolePolicyRequest{RoleName: new("app"), PolicyName: new("p"), PolicyDocument: new(document(
		`{"Effect":"Allow","Action":"sts:GetWebIdentityToken","Resource":"*","Condition":{"ForAllValues:StringEquals":{"sts:IdentityTokenAudience":["a","b"]},
			"StringEquals":{"sts:SigningAlgorithm":"RS256"},"NumericLessThanEquals":{"sts:DurationSeconds":"900"}}}`,
		`{"Effect":"Allow","Action":"sts:TagGetWebIdentityToken","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/job":"1"}}}`,
	))})
	c := get[stsapi.AssumeRoleResponse](admin, &stsapi.AssumeRoleRequest{
		RoleArn: &role, RoleSessionName: new("ss"), DurationSeconds: new(int32(900)), Tags: []stsapi.Tag{{Key: new("team"), Value: new("red")}}, SourceIdentity: new("jo"),
	}).Credentials
	session := w.login(*c.AccessKeyId, *c.SessionToken)
	ask := func(change ...func(*stsapi.GetWebIdentityTokenRequest)) *stsapi.GetWebIdentityTokenRequest {
		in := &stsapi.GetWebIdentityTokenRequest{
			Audience: []string{"a", "b"}, SigningAlgorithm: new("RS256"), DurationSeconds: new(int32(600)), Tags: []stsapi.Tag{{Key: new("job"), Value: new("1")}},
		}
		for _, f := range change {
			f(in)
		}
		return in
	}
	_, claims := claimsOf(t, get[stsapi.GetWebIdentityTokenResponse](session, ask()).WebIdentityToken)
	aws := claims["https://sts.amazonaws.com/"].(map[string]any)
	if claims["sub"] != role || !cmp.Equal(claims["aud"], []any{"a", "b"}) || aws["source_identity"] != "jo" ||
		aws["principal_id"] != "arn:aws:sts::"+account+":assumed-role/app/ss" || !cmp.Equal(aws["principal_tags"], map[string]any{"team": "red"}) ||
		!cmp.Equal(aws["request_tags"], map[string]any{"job": "1"}) || aws["original_session_exp"] != c.Expiration.UTC().Format(time.RFC3339) {
		t.Errorf("claims %v", claims)
	}
	for name, change := range map[string]func(*stsapi.GetWebIdentityTokenRequest){
		"audience":  func(in *stsapi.GetWebIdentityTokenRequest) { in.Audience = []string{"a", "c"} },
		"algorithm": func(in *stsapi.GetWebIdentityTokenRequest) { in.SigningAlgorithm = new("ES384") },
		"duration":  func(in *stsapi.GetWebIdentityTokenRequest) { in.DurationSeconds = new(int32(901)) },
	} {
		t.Run(name, func(t *testing.T) { session.refused(ask(change), 403, "AccessDenied", "sts:GetWebIdentityToken") })
	}
	session.refused(ask(func(in *stsapi.GetWebIdentityTokenRequest) { in.Tags[0].Value = new("2") }), 403, "AccessDenied", "sts:TagGetWebIdentityToken")
	w.wall = w.wall.Add(10 * time.Minute)
	session.refused(ask(), 403, "SessionDurationEscalationException", "beyond its original expiration time")
	session.must(ask(func(in *stsapi.GetWebIdentityTokenRequest) { in.DurationSeconds = new(int32(60)) }))
}

func TestNoDelegatedAccess(t *testing.T) {
	w := newWorld(t)
	in := &stsapi.GetDelegatedAccessTokenRequest{TradeInToken: new(secret.String("token"))}
	w.admin(account).refused(in, 400, "ExpiredTradeInTokenException", "trade-in token")
	w.user(account, "nobody").refused(in, 403, "AccessDenied", "sts:GetDelegatedAccessToken")
}
