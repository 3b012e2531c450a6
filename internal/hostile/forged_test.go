package hostile_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/telemetry"
	"github.com/kagimori/kagimori/internal/testkit"
)

// pretences are headers that somebody may believe: where a request came from, through what, and for whom.
var pretences = map[string]string{
	"X-Forwarded-For": "192.0.2.1", "X-Real-Ip": "192.0.2.1", "Forwarded": "for=192.0.2.1;proto=https", "True-Client-Ip": "192.0.2.1", "X-Forwarded-Proto": "https",
	"X-Forwarded-Host": "localhost", "Via": "1.1 ec2.amazonaws.com", "X-Amz-Source-Arn": "arn:aws:ec2:us-east-1:" + account + ":instance/i-1", "X-Amz-Source-Account": account,
	"X-Amz-Source-Ip": "192.0.2.1", "X-Amzn-Vpce-Id": "vpce-1", "X-Amz-Via-Aws-Service": "true", "Aws-Viaawsservice": "true", "X-Amz-Calledvia": "ec2.amazonaws.com",
	"X-Amz-Invoked-By": "ec2.amazonaws.com", "X-Amz-Principal": "arn:aws:iam::" + account + ":root", "Kagimori-Forwarded": "eyJmcm9tIjoiMTkyLjAuMi4xOjEiLCJzZWN1cmUiOnRydWV9",
	"X-Http-Method-Override": "GET", "X-Original-Url": "/", "X-Amz-Mfa": "123456",
}

// pretended are conditions that these headers would meet.
var pretended = map[string]string{
	"an address":    `{"IpAddress":{"aws:SourceIp":"192.0.2.1/32"}}`,
	"TLS":           `{"Bool":{"aws:SecureTransport":"true"}}`,
	"a service":     `{"Bool":{"aws:ViaAWSService":"true"}}`,
	"a chain":       `{"ForAnyValue:StringEquals":{"aws:CalledVia":"ec2.amazonaws.com"}}`,
	"a resource":    `{"ArnLike":{"aws:SourceArn":"arn:aws:ec2:*:*:*"}}`,
	"an account":    `{"StringEquals":{"aws:SourceAccount":"` + account + `"}}`,
	"an endpoint":   `{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`,
	"a principal":   `{"Bool":{"aws:PrincipalIsAWSService":"true"}}`,
	"EC2":           `{"StringEquals":{"kms:ViaService":"ec2.us-east-1.amazonaws.com"}}`,
	"a second word": `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`,
	"a referrer":    `{"StringEquals":{"aws:PrincipalTag/x":"y"}}`,
}

// Who asks, from where and through what is never what a header or a parameter says.
func TestHeadersProveNothing(t *testing.T) {
	w := newWorld(t)
	for name, condition := range pretended {
		c := w.user(t, strings.ReplaceAll(name, " ", "-"), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*","Condition":`+condition+`}]}`)
		pretending := *c.KMS.Client
		pretending.HTTP = &http.Client{Transport: before{c.KMS.HTTP.Transport}}
		err := pretending.Do(t.Context(), "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{})
		// What is sent under X-Amz- was not signed, which is refused; the rest counts for nothing.
		if e, ok := refusal(t, name, err); ok && e.Code != "AccessDeniedException" {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// before adds pretences that need no signature.
type before struct{ next http.RoundTripper }

// RoundTrip sends a request with more headers.
func (b before) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range pretences {
		if !strings.HasPrefix(name, "X-Amz-") {
			r.Header.Set(name, value)
		}
	}
	return b.next.RoundTrip(r)
}

// The same with the X-Amz- headers, signed by the caller.
func TestSignedHeadersProveNothing(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	lines := []string{"X-Amz-Target: TrentService.ListKeys", "Content-Type: application/x-amz-json-1.1"}
	for name, value := range pretences {
		lines = append(lines, name+": "+value)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	r.Host = "localhost"
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		r.Header.Set(name, value)
	}
	sigv4.Sign(r, []byte("{}"), testkit.Admin(account), testkit.Region, "kms", time.Now())
	w := httptest.NewRecorder()
	s.App.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	rec, ok := (&world{Server: s}).record(t, newest)
	if !ok || rec.SourceIPAddress != "192.0.2.1" || rec.UserIdentity.InvokedBy != "" { // httptest's own address, which RemoteAddr has
		t.Errorf("%+v", rec)
	}
}

// What a browser sends for a page of another origin, or to a name that a page made its own, is refused on
// every route, and so is what reaches the private port.
func TestForgedBrowserRequests(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	simple := map[string]string{"Content-Type": "text/plain", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
	for name, tt := range map[string]struct {
		method, host string
		header       map[string]string
	}{
		"a simple POST":          {"POST", "localhost", simple},
		"a form":                 {"POST", "localhost", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}},
		"an image":               {"GET", "localhost", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}},
		"a sandboxed page":       {"POST", "localhost", map[string]string{"Origin": "null"}},
		"a preflight":            {"OPTIONS", "localhost", map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}},
		"a page of another port": {"POST", "localhost:4566", map[string]string{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}},
		"a rebound name":         {"POST", "evil.example", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}},
		"a rebound name, read":   {"GET", "evil.example:4566", nil},
		"a name with our name":   {"GET", "localhost.evil.example", nil},
		"an address of another":  {"GET", "192.0.2.1", nil},
		"no host":                {"GET", "", nil},
	} {
		for _, handler := range []struct {
			h     http.Handler
			paths []string
		}{
			{s.App.Handler(), []string{"/", "/_kagimori/health", "/_kagimori/reset", "/_kagimori/clock", "/snapshots/x/blocks", "/policy/validation"}},
			{s.App.Private(telemetry.NewMetrics("v"), true), []string{"/live", "/ready", "/metrics", "/debug/pprof/", "/debug/pprof/profile"}},
		} {
			for _, path := range handler.paths {
				r := httptest.NewRequest(tt.method, path, strings.NewReader(`{"advance":"1h"}`))
				r.Host = tt.host
				for k, v := range tt.header {
					r.Header.Set(k, v)
				}
				w := httptest.NewRecorder()
				handler.h.ServeHTTP(w, r)
				if w.Code != http.StatusForbidden {
					t.Errorf("%s on %s: %d %.80s", name, path, w.Code, w.Body)
				}
				for header := range w.Header() {
					if strings.HasPrefix(header, "Access-Control-") {
						t.Errorf("%s on %s: %s", name, path, header)
					}
				}
			}
		}
	}
}
