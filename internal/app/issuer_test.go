package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

// TestIssuersPublishTheirKeys: by name and by path, as long as they are enabled.
func TestIssuersPublishTheirKeys(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	c := s.As(testkit.Admin("111122223333")).IAM
	issuer := *testkit.Call[iamapi.EnableOutboundWebIdentityFederationResponse](c, "EnableOutboundWebIdentityFederation", &iamapi.EnableOutboundWebIdentityFederationRequest{}).IssuerIdentifier
	host := strings.TrimPrefix(issuer, "https://")
	id, _, _ := strings.Cut(host, ".")
	fetch := func(method, host, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	status, body := fetch("GET", host, "/.well-known/openid-configuration")
	var discovery map[string]any
	if err := json.Unmarshal([]byte(body), &discovery); status != 200 || err != nil || discovery["issuer"] != issuer || discovery["jwks_uri"] != issuer+"/.well-known/jwks.json" {
		t.Errorf("%d %s", status, body)
	}
	status, keys := fetch("GET", host, "/.well-known/jwks.json")
	if status != 200 || !strings.Contains(keys, `"alg":"ES384"`) || !strings.Contains(keys, `"alg":"RS256"`) || strings.Contains(keys, `"d"`) {
		t.Errorf("%d %s", status, keys)
	}
	if status, same := fetch("GET", "", "/_kagimori/issuers/"+id+"/.well-known/jwks.json"); status != 200 || same != keys {
		t.Errorf("by path %d %s", status, same)
	}
	for _, tt := range []struct {
		method, host, path string
		status             int
	}{
		{"GET", host, "/", 404}, {"GET", host, "/.well-known/other", 404}, {"POST", host, "/.well-known/jwks.json", 405},
		{"GET", "other.tokens.sts.global.api.aws", "/.well-known/jwks.json", 404}, {"GET", "", "/_kagimori/issuers/other/.well-known/jwks.json", 404},
	} {
		if status, _ := fetch(tt.method, tt.host, tt.path); status != tt.status {
			t.Errorf("%s %s %s: %d", tt.method, tt.host, tt.path, status)
		}
	}
	testkit.Must(c, "DisableOutboundWebIdentityFederation", &iamapi.DisableOutboundWebIdentityFederationRequest{})
	if status, _ := fetch("GET", host, "/.well-known/jwks.json"); status != 404 {
		t.Errorf("disabled, and still %d", status)
	}
}
