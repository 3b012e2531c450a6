package webidentity_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/sts/webidentity"
	"github.com/kagimori/kagimori/internal/sts/webidentity/issuertest"
)

func claims(change map[string]any) map[string]any {
	c := map[string]any{"iss": "https://" + issuertest.Host, "sub": "jo", "aud": "app", "exp": 1900000000, "iat": 1800000000}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// A checker verifies tokens by a clock of its own.
type checker struct {
	t   *testing.T
	v   *webidentity.Verifier
	now time.Time
}

func newChecker(t *testing.T, i *issuertest.Issuer) *checker {
	c := &checker{t: t, now: time.Unix(1800000000, 0)}
	c.v = webidentity.New(webidentity.Config{Outbound: i.Client(), Wall: func() time.Time { return c.now }})
	return c
}

func (c *checker) check(text string, want error) {
	c.t.Helper()
	token, err := webidentity.Parse(text)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.v.Verify(c.t.Context(), token); !errors.Is(err, want) {
		c.t.Errorf("verified with %v, want %v", err, want)
	}
}

func TestVerifyTakesWhatTheIssuerSigned(t *testing.T) {
	i := issuertest.New(t)
	rsa, ec := i.RSA("r"), i.EC("e")
	c := newChecker(t, i)
	c.check(rsa.Sign(claims(nil)), nil)
	c.check(ec.Sign(claims(nil)), nil)
	c.check(rsa.SignWith(map[string]any{"alg": "RS256"}, claims(nil)), nil) // no kid: any key will do
	c.check(rsa.SignWith(map[string]any{"alg": "RS256", "kid": "e"}, claims(nil)), webidentity.ErrSignature)
	c.check(rsa.SignWith(map[string]any{"alg": "none"}, claims(nil)), webidentity.ErrSignature)
	c.check(rsa.SignWith(map[string]any{"alg": "HS256", "kid": "r"}, claims(nil)), webidentity.ErrSignature)
	c.check(rsa.SignWith(map[string]any{"alg": "RS512", "kid": "r"}, claims(nil)), webidentity.ErrSignature)
	good := rsa.Sign(claims(nil))
	other := rsa.Sign(claims(map[string]any{"sub": "somebody else"}))
	a, b := strings.Split(good, "."), strings.Split(other, ".")
	c.check(a[0]+"."+b[1]+"."+a[2], webidentity.ErrSignature)
	if n := i.Fetches(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestKeysRotate(t *testing.T) {
	i := issuertest.New(t)
	old := i.RSA("old")
	c := newChecker(t, i)
	c.check(old.Sign(claims(nil)), nil)
	fresh := i.EC("new")
	c.check(fresh.Sign(claims(nil)), webidentity.ErrSignature) // not so soon
	c.now = c.now.Add(11 * time.Second)
	c.check(fresh.Sign(claims(nil)), nil)
	if n := i.Fetches(); n != 2 {
		t.Errorf("the keys were fetched %d times, want 2", n)
	}
	i.Withdraw()
	c.check(old.Sign(claims(nil)), nil)
	c.now = c.now.Add(time.Hour)
	c.check(old.Sign(claims(nil)), webidentity.ErrKeys)
}

func TestIssuersThatDoNotWork(t *testing.T) {
	i := issuertest.New(t)
	k := i.RSA("r")
	c := newChecker(t, i)
	i.Rename("https://another.example")
	c.check(k.Sign(claims(nil)), webidentity.ErrKeys)
	i.Rename("https://" + issuertest.Host)
	c.check(k.Sign(claims(nil)), webidentity.ErrKeys) // it is not asked again at once
	c.now = c.now.Add(time.Minute)
	c.check(k.Sign(claims(nil)), nil)
	i.Down(true)
	c.now = c.now.Add(2 * time.Hour)
	c.check(k.Sign(claims(nil)), webidentity.ErrKeys)
	c.check(k.Sign(claims(map[string]any{"iss": "https://127.0.0.1"})), webidentity.ErrUnreachable)
}

func TestParseWantsTheClaimsOfAnIdentityToken(t *testing.T) {
	k := issuertest.New(t).RSA("r")
	for _, missing := range []string{"iss", "sub", "aud", "exp", "iat"} {
		if _, err := webidentity.Parse(k.Sign(claims(map[string]any{missing: nil}))); !errors.Is(err, webidentity.ErrClaim) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no token": "abc", "four parts": "a.b.c.d", "not base64": "!.!.!", "not JSON": "YQ.YQ.YQ",
		"twice": "eyJhbGciOiJSUzI1NiIsImFsZyI6Im5vbmUifQ.e30.YQ", "extension": k.SignWith(map[string]any{"alg": "RS256", "crit": []string{"b64"}}, claims(nil)),
	} {
		if _, err := webidentity.Parse(text); !errors.Is(err, webidentity.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClaims(t *testing.T) {
	k := issuertest.New(t).RSA("r")
	token, err := webidentity.Parse(k.Sign(claims(map[string]any{
		"aud": []string{"a", "b"}, "azp": "b", "amr": []string{"pwd", "mfa"}, "n": 7, "ok": true,
		"https://aws.amazon.com/tags":                        map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}, "transitive_tag_keys": []string{"team"}},
		"https://aws.amazon.com/tags/principal_tags/project": "x",
		"https://aws.amazon.com/source_identity":             "jo",
	})))
	if err != nil {
		t.Fatal(err)
	}
	tags, transitive := token.Tags()
	if !maps.Equal(tags, map[string]string{"team": "red", "project": "x"}) || !slices.Equal(transitive, []string{"team"}) {
		t.Errorf("tags %v, transitive %v", tags, transitive)
	}
	if token.Client() != "b" || token.SourceIdentity() != "jo" || !slices.Equal(token.List("amr"), []string{"pwd", "mfa"}) ||
		token.Text("n") != "7" || token.Text("ok") != "true" || token.Text("amr") != "" {
		t.Errorf("client %q, source %q", token.Client(), token.SourceIdentity())
	}
}

func FuzzParse(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIiwic3ViIjoiYiIsImF1ZCI6ImMiLCJleHAiOjEsImlhdCI6MX0.YQ")
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := webidentity.Parse(text)
		if err == nil && (token.Issuer == "" || token.Subject() == "" || len(token.Audiences()) == 0) {
			t.Errorf("%q was taken without its claims", text)
		}
	})
}
