package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
)

const whoAmIQuery = "Action=GetCallerIdentity&Version=2011-06-15"

// presign makes a presigned request of a world.
func presign(t *testing.T, w *world, method, query, body string, header http.Header, cred sigv4.Credentials, service string, age time.Duration) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, w.URL+"/?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	sigv4.Presign(r, []byte(body), cred, "eu-west-1", service, time.Now().Add(-age), time.Minute)
	return r
}

func TestPresignedRequests(t *testing.T) {
	w := newWorld(t, nil)
	session := sigv4.Credentials{AccessKeyID: "ASIATOKEN", Secret: keySecret, SessionToken: "good"}
	const volumes = "Action=DescribeVolumes&Version=2016-11-15"
	form := http.Header{"Content-Type": {form}}
	json11 := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService.DescribeKey"}}
	for _, tt := range []struct {
		name, method, query, body string
		header                    http.Header
		cred                      sigv4.Credentials
		service                   string
		age                       time.Duration
		status                    int
		want                      string
	}{
		{"identity", "GET", whoAmIQuery, "", nil, credentials(), "sts", 0, 200, "<UserId>" + accessKey + "</UserId>"},
		{"a session", "GET", whoAmIQuery, "", nil, session, "sts", 0, 200, "<UserId>ASIATOKEN</UserId>"},
		{"a token of Kubernetes", "GET", whoAmIQuery, "", http.Header{"X-K8s-Aws-Id": {"cluster"}}, session, "sts", 14 * time.Minute, 200, "<UserId>ASIATOKEN</UserId>"},
		{"an expired one", "GET", whoAmIQuery, "", nil, session, "sts", 16 * time.Minute, 403, "<Code>SignatureDoesNotMatch</Code><Message>Signature expired: "},
		{"by post", "POST", "", whoAmIQuery, form, credentials(), "sts", 0, 200, "<UserId>" + accessKey + "</UserId>"},
		{"by post without a body", "POST", whoAmIQuery, "", nil, credentials(), "sts", 0, 200, "<UserId>" + accessKey + "</UserId>"},
		{"the body only looks presigned", "POST", "", whoAmIQuery + "&X-Amz-Signature=1", form, credentials(), "sts", 0, 200, accessKey},
		{"action twice", "POST", whoAmIQuery, whoAmIQuery, form, credentials(), "sts", 0, 400, "<Code>MalformedQueryString</Code>"},
		{"without a version", "GET", "Action=GetCallerIdentity", "", nil, credentials(), "sts", 0, 200, "<UserId>"},
		{"of another service", "GET", whoAmIQuery, "", nil, credentials(), "iam", 0, 403, "Credential should be scoped to correct service: 'sts'."},
		{"wrong secret", "GET", whoAmIQuery, "", nil, sigv4.Credentials{AccessKeyID: accessKey, Secret: "x"}, "sts", 0, 403, "<Code>SignatureDoesNotMatch</Code>"},
		{"bad token", "GET", whoAmIQuery, "", nil, sigv4.Credentials{AccessKeyID: "ASIATOKEN", Secret: keySecret, SessionToken: "bad"}, "sts", 0, 403, "<Code>InvalidClientTokenId</Code>"},
		{"session that ended", "GET", whoAmIQuery, "", nil, sigv4.Credentials{AccessKeyID: "ASIAEXPIRED", Secret: "x", SessionToken: "t"}, "sts", 0, 403, "<Code>ExpiredToken</Code>"},
		{"ec2", "GET", volumes, "", nil, credentials(), "ec2", 0, 200, "<volumeSet"},
		{"ec2 is strict, but not of signatures", "GET", volumes + "&Extra=1", "", nil, credentials(), "ec2", 0, 400, "Extra"},
		{"ec2 expired", "GET", volumes, "", nil, credentials(), "ec2", 2 * time.Minute, 400, "<Code>RequestExpired</Code><Message>Request has expired.</Message>"},
		{"ec2 wrong secret", "GET", volumes, "", nil, sigv4.Credentials{AccessKeyID: accessKey, Secret: "x"}, "ec2", 0, 401, "<Code>AuthFailure</Code><Message>AWS was not able to validate the provided access credentials</Message>"},
		{"ec2 without an action", "GET", "Version=2016-11-15", "", nil, credentials(), "ec2", 0, 400, "<Response><Errors><Error><Code>MissingAction</Code>"},
		{"json", "POST", "", `{"KeyId":"k"}`, json11, credentials(), "kms", 0, 200, `"KeyId":"k"`},
		{"json expired", "POST", "", `{"KeyId":"k"}`, json11, credentials(), "kms", 2 * time.Minute, 400, `"__type":"InvalidSignatureException","message":"Signature expired: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := presign(t, w, tt.method, tt.query, tt.body, tt.header.Clone(), tt.cred, tt.service, tt.age)
			if status, _, body := send(t, w, r); status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	if strings.Contains(w.log.String(), "X-Amz-Signature") || strings.Contains(w.log.String(), keySecret) {
		t.Error("the log holds a signature or a secret")
	}
}

// What lies in a presigned URL that was changed or cut is not served.
func TestPresignedURLsThatAreBroken(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct {
		name, old, new string
		header         string
		want           string
	}{
		{"put into the query", "Action=", "Extra=1&Action=", "", "<Code>SignatureDoesNotMatch</Code>"},
		{"no date", "X-Amz-Date", "Date", "", "<Code>IncompleteSignature</Code><Message>The query string requires 'X-Amz-Date' parameter.</Message>"},
		{"expires never", "X-Amz-Expires=60", "X-Amz-Expires=0", "", "<Code>IncompleteSignature</Code>"},
		{"signed twice", "Action=", "Action=", "AWS4-HMAC-SHA256 Credential=x", "<Code>IncompleteSignature</Code>"},
		{"of version 2", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential", "SignatureVersion=2&AWSAccessKeyId", "", "<Code>IncompleteSignature</Code>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := presign(t, w, "GET", whoAmIQuery, "", nil, credentials(), "sts", 0)
			if !strings.Contains(r.URL.RawQuery, tt.old) {
				t.Fatalf("%s is not in %s", tt.old, r.URL.RawQuery)
			}
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, tt.old, tt.new, 1)
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			if status, _, body := send(t, w, r); status == 200 || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	if w.invoked != 0 {
		t.Errorf("%d calls were served", w.invoked)
	}
}

// A service that authenticates its clients by their AWS identity replays a request that they
// signed, with a header of its own among the signed ones.
func TestReplayedIdentity(t *testing.T) {
	w := newWorld(t, nil)
	body := []byte(whoAmIQuery)
	r, err := http.NewRequest(http.MethodPost, w.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {form}, "X-Vault-Aws-Iam-Server-Id": {"vault.example"}}
	sigv4.Sign(r, body, sigv4.Credentials{AccessKeyID: "ASIATOKEN", Secret: secret.String(keySecret), SessionToken: "good"}, "us-east-1", "sts", time.Now())
	for range 2 { // within the skew, as often as one likes
		again := r.Clone(t.Context())
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if status, _, answer := send(t, w, again); status != 200 || !strings.Contains(answer, "<UserId>ASIATOKEN</UserId>") {
			t.Errorf("%d %s", status, answer)
		}
	}
	r.Header.Set("X-Vault-Aws-Iam-Server-Id", "another.example")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if status, _, answer := send(t, w, r); status != 403 || !strings.Contains(answer, "SignatureDoesNotMatch") {
		t.Errorf("meant for another server: %d %s", status, answer)
	}
}
