package wire_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// identities are a harmless request in each protocol.
func identities() map[string]func() request {
	return map[string]func() request{
		"kms": func() request { return kmsRequest("ListKeys", "{}") },
		"sts": func() request { return queryRequest("sts", "GetCallerIdentity", nil) },
		"ec2": func() request { return queryRequest("ec2", "DescribeVolumes", nil) },
	}
}

func TestRequestsThatAreNotAuthenticatedAreRefusedInTheirProtocol(t *testing.T) {
	type want struct {
		status int
		code   string
	}
	for name, c := range map[string]struct {
		change func(*request)
		want   map[string]want
	}{
		"unsigned": {
			func(q *request) { q.Unsigned = true },
			map[string]want{
				"kms": {400, "MissingAuthenticationTokenException"}, "sts": {403, "MissingAuthenticationToken"},
				"ec2": {403, "MissingAuthenticationToken"},
			},
		},
		"wrong secret": {
			func(q *request) { q.Secret = "wrong" },
			map[string]want{"kms": {400, "InvalidSignatureException"}, "sts": {403, "SignatureDoesNotMatch"}, "ec2": {401, "AuthFailure"}},
		},
		"unknown access key": {
			func(q *request) { q.Key = "AKIAIOSFODNN7EXAMPLE" },
			map[string]want{"kms": {400, "UnrecognizedClientException"}, "sts": {403, "InvalidClientTokenId"}, "ec2": {401, "AuthFailure"}},
		},
		"11 digits are no account": {
			func(q *request) { q.Key = "12345678901" },
			map[string]want{"kms": {400, "UnrecognizedClientException"}, "sts": {403, "InvalidClientTokenId"}, "ec2": {401, "AuthFailure"}},
		},
		"expired": {
			func(q *request) { q.Time = time.Now().Add(-6 * time.Minute) },
			map[string]want{"kms": {400, "InvalidSignatureException"}, "sts": {403, "SignatureDoesNotMatch"}, "ec2": {400, "RequestExpired"}},
		},
		"from the future": {
			func(q *request) { q.Time = time.Now().Add(6 * time.Minute) },
			map[string]want{"kms": {400, "InvalidSignatureException"}, "sts": {403, "SignatureDoesNotMatch"}, "ec2": {400, "RequestExpired"}},
		},
		"forged session token": {
			func(q *request) { q.Token = base("not one of ours") },
			map[string]want{"kms": {400, "UnrecognizedClientException"}, "sts": {403, "InvalidClientTokenId"}, "ec2": {401, "AuthFailure"}},
		},
		"signed for another service": {
			func(q *request) { q.Service = "s3" },
			map[string]want{"kms": {400, "InvalidSignatureException"}, "sts": {403, "SignatureDoesNotMatch"}, "ec2": {401, "AuthFailure"}},
		},
		"region that is none": {
			func(q *request) { q.Region = "moon/../base" },
			map[string]want{"kms": {400, "IncompleteSignatureException"}, "sts": {400, "IncompleteSignature"}, "ec2": {400, "IncompleteSignature"}},
		},
		"query added on the way": {
			func(q *request) { q.Tamper = func(r *http.Request) { r.URL.RawQuery = "Marker=x" } },
			map[string]want{"kms": {400, "InvalidSignatureException"}, "sts": {403, "SignatureDoesNotMatch"}, "ec2": {401, "AuthFailure"}},
		},
		"another signature version": {
			func(q *request) {
				q.Tamper = func(r *http.Request) { r.Header.Set("Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo") }
			},
			map[string]want{
				"kms": {400, "MissingAuthenticationTokenException"}, "sts": {403, "MissingAuthenticationToken"},
				"ec2": {403, "MissingAuthenticationToken"},
			},
		},
	} {
		for protocol, make := range identities() {
			w := c.want[protocol]
			t.Run(name+"/"+protocol, func(t *testing.T) {
				q := make()
				c.change(&q)
				refusal(t, q, w.status, w.code)
			})
		}
	}
}

func TestABodyThatIsNotTheSignedOneIsRefused(t *testing.T) {
	q := kmsRequest("CreateKey", `{"Description":"mine"}`)
	q.Tamper = func(r *http.Request) {
		body := `{"Description":"evil"}`
		r.Body = readCloser(body)
		r.ContentLength = int64(len(body))
	}
	refusal(t, q, 400, "InvalidSignatureException")
	list := kmsRequest("ListKeys", "{}")
	list.Key = q.Key
	if a := send(t, list); a.Status != 200 || strings.Contains(a.Body, "KeyArn") {
		t.Errorf("after the refusal: %d %s", a.Status, a.Body)
	}
}

func TestAnExpiredSignatureSaysWhen(t *testing.T) {
	q := kmsRequest("ListKeys", "{}")
	q.Time = time.Now().Add(-time.Hour)
	refusal(t, q, 400, "InvalidSignatureException", "Signature expired: ", " is now earlier than ")
}

func TestSignaturesFollowTheWallClockNotTheServiceClock(t *testing.T) {
	s := newServer(t)
	s.Advance(t, 48*time.Hour)
	a, err := kmsRequest("ListKeys", "{}").send(t.Context(), s.URL)
	if err != nil || a.Status != 200 {
		t.Errorf("after service time moved: %d %s %v", a.Status, a.Body, err)
	}
}

func TestAKeyOfAnotherRegionIsNotFound(t *testing.T) {
	arn, as := newKey(t)
	q := as("DescribeKey", `{"KeyId":`+quote(arn)+`}`)
	q.Region = "eu-west-1"
	refusal(t, q, 400, "NotFoundException")
	id := arn[strings.LastIndexByte(arn, '/')+1:]
	q = as("DescribeKey", `{"KeyId":`+quote(id)+`}`)
	q.Region = "eu-west-1"
	refusal(t, q, 400, "NotFoundException", "Key 'arn:aws:kms:eu-west-1:")
	if a := send(t, as("DescribeKey", `{"KeyId":`+quote(id)+`}`)); a.Status != 200 {
		t.Errorf("in its own region: %d %s", a.Status, a.Body)
	}
}

// A page that a browser shows must not use the development server's well-known credentials.
func TestForgedBrowserRequestsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*request){
		"page of another origin": func(q *request) { q.Header["Origin"] = "https://evil.example" },
		"opaque origin":          func(q *request) { q.Header["Origin"] = "null" },
		"cross-site fetch":       func(q *request) { q.Header["Sec-Fetch-Site"] = "cross-site" },
		"same-site fetch":        func(q *request) { q.Header["Sec-Fetch-Site"] = "same-site" },
		"rebound name":           func(q *request) { q.Host = "evil.example" },
		"rebound name with port": func(q *request) { q.Host = "evil.example:4566" },
	} {
		for protocol, make := range identities() {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				q := make()
				change(&q)
				a := send(t, q)
				if a.Status != http.StatusForbidden {
					t.Errorf("status is %d: %s", a.Status, a.Body)
				}
				if a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Error("the answer lets pages read it")
				}
			})
		}
		t.Run(name+"/control", func(t *testing.T) {
			q := request{
				Unsigned: true, Path: "/_kagimori/reset", Header: map[string]string{"Content-Type": "text/plain"},
			}
			change(&q)
			if a := send(t, q); a.Status != http.StatusForbidden {
				t.Errorf("reset answers %d %s", a.Status, a.Body)
			}
		})
	}
	// The same without a browser's marks works.
	if a := send(t, queryRequest("sts", "GetCallerIdentity", nil)); a.Status != 200 || !strings.Contains(a.Body, ":user/admin") {
		t.Errorf("GetCallerIdentity: %d %s", a.Status, a.Body)
	}
	q := queryRequest("sts", "GetCallerIdentity", nil)
	q.Host = "localhost:4566"
	if a := send(t, q); a.Status != 200 {
		t.Errorf("for localhost: %d %s", a.Status, a.Body)
	}
}

func TestTheRootUserOfAnAccountIsItsNumber(t *testing.T) {
	q := queryRequest("sts", "GetCallerIdentity", nil)
	q.Key = seed.GroupAccount
	if a := send(t, q); a.Status != 200 || !strings.Contains(a.Body, "<Arn>"+seed.Root(seed.GroupAccount)+"</Arn>") {
		t.Errorf("GetCallerIdentity: %d %s", a.Status, a.Body)
	}
}
