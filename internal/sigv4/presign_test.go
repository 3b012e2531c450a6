package sigv4_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/sigv4"
)

// The known answer is that of AWS's documented example of a presigned URL. It is of S3, the one
// service that lets the body go unsigned, so it is checked below Verify.
// Source: Amazon S3 API Reference, "Authenticating requests: using query parameters".
func TestKnownPresignedURL(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"+
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"+
		"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=any", nil)
	canonical, ok := sigv4.Canonical(r, "host", "UNSIGNED-PAYLOAD")
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	got := sigv4.SignCanonical(canonical, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", at, "us-east-1", "s3")
	if !ok || got != "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404" {
		t.Errorf("signature %s of\n%s", got, canonical)
	}
}

const whoAmI = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"

// presigned is a presigned request as a server receives it.
func presigned(cred sigv4.Credentials, service string, expires time.Duration) *http.Request {
	r := httptest.NewRequest(http.MethodGet, whoAmI, nil)
	sigv4.Presign(r, nil, cred, "eu-west-1", service, exampleTime, expires)
	return r
}

func TestPresign(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		body         []byte
		header       http.Header
		cred         sigv4.Credentials
	}{
		{"get", http.MethodGet, nil, nil, example},
		{"post with a body", http.MethodPost, []byte("a=b"), nil, example},
		{"session", http.MethodGet, nil, nil, session},
		{"header of a cluster", http.MethodGet, nil, http.Header{"X-K8s-Aws-Id": {"my-cluster"}}, session},
		{"amz header", http.MethodPost, []byte("{}"), http.Header{"X-Amz-Target": {"TrentService.ListKeys"}}, example},
		{"signed before in its header", http.MethodGet, nil, http.Header{
			"Authorization": {"AWS4-HMAC-SHA256 Credential=x"}, "X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Security-Token": {"old"},
		}, session},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, whoAmI, bytes.NewReader(tt.body))
			if tt.header != nil {
				r.Header = tt.header
			}
			for range 2 { // again replaces the first signature
				sigv4.Presign(r, tt.body, tt.cred, "eu-west-1", "kms", exampleTime, time.Hour)
			}
			got, err := verifierAt(exampleTime.Add(time.Hour)).Verify(r, tt.body, lookup)
			if err != nil {
				t.Fatal(err)
			}
			got.SignedHeaders = nil
			want := sigv4.Result{
				AccessKeyID: tt.cred.AccessKeyID, SessionToken: tt.cred.SessionToken, Region: "eu-west-1", Service: "kms", Date: exampleTime,
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if q := sigv4.OperationQuery(r.URL.RawQuery); q != "Action=GetCallerIdentity&Version=2011-06-15" {
				t.Errorf("the operation's parameters are %s", q)
			}
		})
	}
}

func TestChangesToAPresignedURLAreSeen(t *testing.T) {
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			if !strings.Contains(r.URL.RawQuery, old) {
				panic("not in the query string: " + old)
			}
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1)
		}
	}
	add := func(s string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery += "&" + s } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		body   string
		kind   sigv4.Kind
	}{
		{"nothing", func(*http.Request) {}, "", 0},
		{"another order", func(r *http.Request) {
			q := strings.Split(r.URL.RawQuery, "&")
			r.URL.RawQuery = strings.Join(append(q[3:], q[:3]...), "&&")
		}, "", 0},
		{"another escaping", replace("X-Amz-Date", "%58-amz-Date"), "", sigv4.Incomplete},
		{"the same escaped", replace("X-Amz-Date", "%58-Amz-Date"), "", 0},
		{"action", replace("GetCallerIdentity", "AssumeRole"), "", sigv4.Mismatch},
		{"parameter put in", add("RoleArn=x"), "", sigv4.Mismatch},
		{"signature parameter put in", add("X-Amz-Extra=x"), "", sigv4.Mismatch},
		{"method", func(r *http.Request) { r.Method = http.MethodPost }, "", sigv4.Mismatch},
		{"body", func(*http.Request) {}, "Action=AssumeRole", sigv4.Mismatch},
		{"host", func(r *http.Request) { r.Host = "evil.example" }, "", sigv4.Mismatch},
		{"longer life", replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"), "", sigv4.Mismatch},
		{"no life", replace("&X-Amz-Expires=3600", ""), "", sigv4.Mismatch},
		{"token put in", add("X-Amz-Security-Token=x"), "", sigv4.UnknownKey},
		{"token in a header", header("X-Amz-Security-Token", "x"), "", sigv4.Mismatch},
		{"amz header that is not signed", header("X-Amz-Target", "TrentService.Decrypt"), "", sigv4.Mismatch},
		{"other header", header("User-Agent", "x"), "", 0},
		{"region", replace("eu-west-1%2F", "eu-west-2%2F"), "", sigv4.Mismatch},
		{"day", replace("20150830%2F", "20150829%2F"), "", sigv4.WrongScope},
		{"date", replace("20150830T123600Z", "20150830T123601Z"), "", sigv4.Mismatch},
		{"terminator", replace("aws4_request", "aws4_reply"), "", sigv4.WrongScope},
		{"host not signed", replace("SignedHeaders=host", "SignedHeaders=accept"), "", sigv4.Mismatch},
		{"more signed", replace("SignedHeaders=host", "SignedHeaders=accept%3Bhost"), "", sigv4.Mismatch},
		{"longer signature", func(r *http.Request) { r.URL.RawQuery += "0" }, "", sigv4.Mismatch},
		{"header too", header("Authorization", "AWS4-HMAC-SHA256 Credential=x"), "", sigv4.Incomplete},
		{"bearer too", header("Authorization", "Bearer x"), "", sigv4.Incomplete},
		{"bad escaping", add("a=%"), "", sigv4.Mismatch},

		{"another algorithm", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "", sigv4.Incomplete},
		{"no algorithm", replace("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), "", sigv4.Incomplete},
		{"no date", replace("X-Amz-Date=20150830T123600Z&", ""), "", sigv4.Incomplete},
		{"no signature", replace("X-Amz-Signature", "Signature"), "", sigv4.Incomplete},
		{"nothing signed", replace("SignedHeaders=host", "SignedHeaders="), "", sigv4.Incomplete},
		{"signature twice", add("X-Amz-Signature=0"), "", sigv4.Incomplete},
		{"date twice", add("X-Amz-Date=20150830T123600Z"), "", sigv4.Incomplete},
		{"bad date", replace("20150830T123600Z", "today"), "", sigv4.Incomplete},
		{"bad escaping of the date", replace("20150830T123600Z", "%zz"), "", sigv4.Incomplete},
		{"short credential", replace("%2Fsts%2F", "%2F"), "", sigv4.Incomplete},
		{"upper case", replace("SignedHeaders=host", "SignedHeaders=Host"), "", sigv4.Incomplete},
		{"line end in a name", replace("SignedHeaders=host", "SignedHeaders=host%0Aa"), "", sigv4.Incomplete},
		{"empty name", replace("SignedHeaders=host", "SignedHeaders=host%3B%3Ba"), "", sigv4.Incomplete},
		{"expires is no number", replace("X-Amz-Expires=3600", "X-Amz-Expires=1h"), "", sigv4.Incomplete},
		{"expires is nothing", replace("X-Amz-Expires=3600", "X-Amz-Expires="), "", sigv4.Incomplete},
		{"expires at once", replace("X-Amz-Expires=3600", "X-Amz-Expires=0"), "", sigv4.Incomplete},
		{"expired before", replace("X-Amz-Expires=3600", "X-Amz-Expires=-1"), "", sigv4.Incomplete},
		{"more than a week", replace("X-Amz-Expires=3600", "X-Amz-Expires=604801"), "", sigv4.Incomplete},
		{"more than fits", replace("X-Amz-Expires=3600", "X-Amz-Expires=18446744073709551617"), "", sigv4.Incomplete},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := presigned(example, "sts", time.Hour)
			tt.change(r)
			_, err := verifierAt(exampleTime).Verify(r, []byte(tt.body), lookup)
			wantKind(t, err, tt.kind)
		})
	}
}

func TestPresignedSessionToken(t *testing.T) {
	r := presigned(session, "sts", 0)
	for _, change := range []func(){
		func() { r.Header.Set("X-Amz-Security-Token", session.SessionToken) },                        // a second one
		func() { r.Header.Add("X-Amz-Security-Token", session.SessionToken) },                        // a third one
		func() { r.Header.Del("X-Amz-Security-Token"); r.URL.RawQuery += "&X-Amz-Security-Token=b" }, // twice in the URL
	} {
		change()
		if _, err := verifierAt(exampleTime).Verify(r, nil, lookup); err == nil {
			t.Error("accepted")
		}
	}
	// One in a header that is signed is as good as one in the URL.
	r = httptest.NewRequest(http.MethodGet, whoAmI, nil)
	sigv4.Presign(r, nil, example, "eu-west-1", "sts", exampleTime, 0)
	q, _ := url.ParseQuery(r.URL.RawQuery)
	q.Set("X-Amz-Credential", strings.Replace(q.Get("X-Amz-Credential"), exampleKey, session.AccessKeyID, 1))
	q.Set("X-Amz-SignedHeaders", "host;x-amz-security-token")
	q.Del("X-Amz-Signature")
	r.URL.RawQuery = q.Encode()
	r.Header.Set("X-Amz-Security-Token", session.SessionToken)
	canonical, _ := sigv4.Canonical(r, "host;x-amz-security-token", emptyHash)
	r.URL.RawQuery += "&X-Amz-Signature=" + sigv4.SignCanonical(canonical, exampleSecret, exampleTime, "eu-west-1", "sts")
	got, err := verifierAt(exampleTime).Verify(r, nil, lookup)
	if err != nil || got.SessionToken != session.SessionToken {
		t.Errorf("%q, %v", got.SessionToken, err)
	}
}

func TestExpiry(t *testing.T) {
	for _, tt := range []struct {
		name, service string
		expires, age  time.Duration
		message       string
	}{
		{"at the last second", "ec2", time.Minute, time.Minute, ""},
		{"a second later", "ec2", time.Minute, time.Minute + time.Second,
			"Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T123701Z - 1 min.)"},
		{"a second is enough", "ec2", time.Second, time.Second, ""},
		{"and no more", "ec2", time.Second, 2 * time.Second,
			"Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T123602Z - 1s.)"},
		{"a week", "ec2", sigv4.MaxExpires, sigv4.MaxExpires, ""},
		{"a quarter of an hour if it does not say", "ec2", 0, 15 * time.Minute, ""},
		{"not more", "ec2", 0, 15*time.Minute + time.Second,
			"Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"},
		{"a token of Kubernetes", "sts", time.Minute, 14 * time.Minute, ""},
		{"STS takes no longer life", "sts", time.Hour, 16 * time.Minute,
			"Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T125200Z - 15 min.)"},
		{"clocks differ", "ec2", time.Second, -5 * time.Minute, ""},
		{"signed in the future", "ec2", time.Hour, -6 * time.Minute,
			"Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T123000Z + 5 min.)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := presigned(example, tt.service, tt.expires)
			_, err := verifierAt(exampleTime.Add(tt.age)).Verify(r, nil, lookup)
			e, _ := errors.AsType[*sigv4.Error](err)
			if tt.message == "" && err != nil || tt.message != "" && (e == nil || e.Kind != sigv4.Expired || e.Message != tt.message) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What is needed to check a signature must not be unbounded: nobody is known yet.
func TestSignedHeadersAreBounded(t *testing.T) {
	names := func(n int) string { return "host" + strings.Repeat(";x-amz-date", n-1) }
	for _, tt := range []struct {
		n    int
		kind sigv4.Kind
	}{{100, sigv4.Mismatch}, {101, sigv4.Incomplete}} {
		r := kmsRequest(nil)
		r.Header.Del("X-Amz-Target")
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+exampleKey+"/20150830/eu-west-1/kms/aws4_request, SignedHeaders="+
			names(tt.n)+", Signature=00")
		_, err := verifierAt(exampleTime).Verify(r, nil, lookup)
		wantKind(t, err, tt.kind)
	}
}

func TestOperationQuery(t *testing.T) {
	for _, tt := range [][2]string{
		{"", ""}, {"a=1&b", "a=1&b"}, {"X-Amz-Date=1", ""}, {"a&x-amz-foo=1&b=X-Amz-Date", "a&b=X-Amz-Date"},
		{"%58-Amz-Date=1&a", "a"}, {"&&a=%", "&&a=%"}, {"&X-AMZ-&a=%", "a=%"}, {"X-Am=1", "X-Am=1"},
	} {
		if got := sigv4.OperationQuery(tt[0]); got != tt[1] {
			t.Errorf("%q gives %q, want %q", tt[0], got, tt[1])
		}
	}
}

// Whatever a query string holds, it is read without harm, what it says is what is signed, and no
// made-up signature passes.
func FuzzPresigned(f *testing.F) {
	f.Add(presigned(session, "sts", time.Hour).URL.RawQuery)
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256")
	f.Add("X-Amz-Signature=%&X-Amz-Credential=a/b/c/d/e&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host%0a")
	f.Add("a=b&&=&%58-amz-date=;")
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = raw
		_, err := verifierAt(exampleTime).Verify(r, nil, lookup)
		e, ok := errors.AsType[*sigv4.Error](err)
		if !ok || e.Kind == 0 {
			t.Fatalf("error %v", err)
		}
		rest := sigv4.OperationQuery(raw)
		if again := sigv4.OperationQuery(rest); again != rest {
			t.Fatalf("%q leaves %q, then %q", raw, rest, again)
		}
		// Signed by one who has the key, it passes if it can be decoded at all.
		sigv4.Presign(r, nil, example, "eu-west-1", "kms", exampleTime, time.Hour)
		_, decodes := sigv4.Canonical(r, "host", emptyHash)
		if _, err := verifierAt(exampleTime).Verify(r, nil, lookup); (err == nil) != decodes {
			t.Fatalf("%q: %v", r.URL.RawQuery, err)
		}
	})
}
