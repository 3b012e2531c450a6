package sigv4_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/sigv4"
)

const (
	credentialPart = "Credential=A/20150830/us-east-1/iam/aws4_request"
	goodHeader     = "AWS4-HMAC-SHA256 " + credentialPart + ", SignedHeaders=host;x-amz-date, Signature=00"
)

func TestParseAuthorization(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		kind         sigv4.Kind
		message      string // beginning
	}{
		{"good", goodHeader, 0, ""},
		{"no spaces", strings.ReplaceAll(goodHeader, ", ", ","), 0, ""},
		{"other order", "AWS4-HMAC-SHA256 Signature=00,SignedHeaders=host;x-amz-date,  " + credentialPart, 0, ""},
		{"empty", "", sigv4.MissingToken, "Missing Authentication Token"},
		{"basic", "Basic dGVzdDp0ZXN0", sigv4.MissingToken, "Missing Authentication Token"},
		{"another algorithm", "AWS4-ECDSA-P256-SHA256 Signature=0", sigv4.Incomplete, "Unsupported AWS 'algorithm'"},
		{"algorithm only", "AWS4-HMAC-SHA256", sigv4.Incomplete, "Authorization header requires 'Credential' parameter. " +
			"Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed with"},
		{"no signature", "AWS4-HMAC-SHA256 " + credentialPart + ", SignedHeaders=host", sigv4.Incomplete,
			"Authorization header requires 'Signature' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization="},
		{"empty signature", "AWS4-HMAC-SHA256 " + credentialPart + ", SignedHeaders=host, Signature=", sigv4.Incomplete,
			"Authorization header requires 'Signature' parameter."},
		{"twice", goodHeader + ", Signature=01", sigv4.Incomplete, "The Authorization header has a parameter twice or one"},
		{"unknown part", goodHeader + ", Extra=1", sigv4.Incomplete, "The Authorization header has a parameter twice or one"},
		{"no equals sign", goodHeader + ", Extra", sigv4.Incomplete, "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with"},
		{"short credential", "AWS4-HMAC-SHA256 Credential=A/20150830/iam/aws4_request, SignedHeaders=host, Signature=0", sigv4.Incomplete,
			"Credential must have exactly 5 slash-delimited elements"},
		{"long credential", "AWS4-HMAC-SHA256 Credential=A/B/20150830/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0", sigv4.Incomplete,
			"Credential must have exactly 5 slash-delimited elements"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			credential, signed, signature, err := sigv4.ParseAuthorization(tt.header)
			wantKind(t, err, tt.kind)
			if tt.kind != 0 {
				if e, _ := errors.AsType[*sigv4.Error](err); !strings.HasPrefix(e.Message, tt.message) {
					t.Errorf("message %q", e.Message)
				}
				return
			}
			if credential != strings.TrimPrefix(credentialPart, "Credential=") || signed != "host;x-amz-date" || signature != "00" {
				t.Errorf("got %s, %s, %s", credential, signed, signature)
			}
		})
	}
}

func FuzzParseAuthorization(f *testing.F) {
	for _, s := range []string{
		goodHeader, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ,,=,", "AWS4-HMAC-SHA256 Credential=////,Signature=a=b,SignedHeaders=;",
		"AWS4-HMAC-SHA256\tCredential=a", "Bearer x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		credential, signed, signature, err := sigv4.ParseAuthorization(header)
		if err != nil {
			if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Kind != sigv4.MissingToken && e.Kind != sigv4.Incomplete {
				t.Fatalf("error %v", err)
			}
			return
		}
		again := "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + signed + ", Signature=" + signature
		c2, h2, s2, err := sigv4.ParseAuthorization(again)
		if err != nil || c2 != credential || h2 != signed || s2 != signature {
			t.Fatalf("%q gives %q, %q, %q, %v", again, c2, h2, s2, err)
		}
		r := kmsRequest(nil)
		r.Header["Authorization"] = []string{header}
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
		if _, err := verifierAt(exampleTime).Verify(r, nil, lookup); err == nil {
			t.Fatal("a made-up signature was taken")
		}
	})
}

func TestCode(t *testing.T) {
	for _, tt := range []struct {
		kind                  sigv4.Kind
		json, query, ec2      string
		queryStatus, ec2Stats int
	}{
		{sigv4.MissingToken, "MissingAuthenticationTokenException", "MissingAuthenticationToken", "MissingAuthenticationToken", 403, 403},
		{sigv4.Incomplete, "IncompleteSignatureException", "IncompleteSignature", "IncompleteSignature", 400, 400},
		{sigv4.UnknownKey, "UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", 403, 401},
		{sigv4.Expired, "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", 403, 400},
		{sigv4.ExpiredToken, "ExpiredTokenException", "ExpiredToken", "RequestExpired", 403, 400},
		{sigv4.InvalidToken, "UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", 403, 401},
		{sigv4.Mismatch, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", 403, 401},
		{sigv4.WrongScope, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", 403, 401},
		{0, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", 403, 401},
		{99, "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", 403, 401},
	} {
		for _, p := range []struct {
			protocol api.Protocol
			service  string
			code     string
			status   int
		}{{api.JSON11, "kms", tt.json, 400}, {api.Query, "iam", tt.query, tt.queryStatus}, {api.EC2, "ec2", tt.ec2, tt.ec2Stats}} {
			if code, status := sigv4.Code(tt.kind, p.protocol, p.service); code != p.code || status != p.status {
				t.Errorf("kind %d of %s is %s, %d", tt.kind, p.service, code, status)
			}
		}
	}
}

func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		kind     sigv4.Kind
		protocol api.Protocol
		want     string
	}{
		{sigv4.Mismatch, api.EC2, "AWS was not able to validate the provided access credentials"},
		{sigv4.Expired, api.EC2, "Request has expired."},
		{sigv4.MissingToken, api.JSON11, "Missing Authentication Token"},
		{sigv4.MissingToken, api.Query, "Request is missing Authentication Token"},
		{sigv4.Mismatch, api.JSON11, "detail"},
		{sigv4.Expired, api.Query, "detail"},
	} {
		if got := sigv4.Message(tt.kind, tt.protocol, "detail"); got != tt.want {
			t.Errorf("kind %d of protocol %d: %s", tt.kind, tt.protocol, got)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(`{"KeyId":"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab","Plaintext":"` + strings.Repeat("A", 200) + `"}`)
	r := kmsRequest(body)
	r.Header.Set("User-Agent", "bench")
	r.Header["Content-Length"] = []string{"300"}
	sigv4.Sign(r, body, example, "eu-west-1", "kms", exampleTime)
	v := verifierAt(exampleTime)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, body, lookup); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	r := kmsRequest(nil)
	b.ReportAllocs()
	for b.Loop() {
		sigv4.Sign(r, nil, example, "eu-west-1", "kms", time.Now())
	}
	if r.Header[http.CanonicalHeaderKey("authorization")] == nil {
		b.Fatal("nothing was signed")
	}
}
