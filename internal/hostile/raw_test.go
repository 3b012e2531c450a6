package hostile_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// signedText is a signed request as it goes over the wire, with further header lines.
func signedText(method, target, body, service string, creds sigv4.Credentials, lines ...string) string {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost"
	r.Header = http.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		r.Header.Set(name, value)
	}
	sigv4.Sign(r, []byte(body), creds, testkit.Region, service, time.Now())
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n", method, target, len(body))
	for name, values := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
	}
	return b.String() + "\r\n" + body
}

// FuzzRaw gives a whole server requests as they come: none of them ends it, is the server's fault, or is
// served without having been signed.
func FuzzRaw(f *testing.F) {
	jsonLines := []string{"X-Amz-Target: TrentService.ListKeys", "Content-Type: application/x-amz-json-1.1"}
	form := "Content-Type: application/x-www-form-urlencoded"
	admin := testkit.Admin(account)
	session := sigv4.Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", Secret: "x", SessionToken: "AAAAAAAAAAAAAAAA"}
	for _, seed := range []string{
		signedText("POST", "/", "{}", "kms", admin, jsonLines...),
		signedText("POST", "/", "Action=ListUsers&Version=2010-05-08", "iam", admin, form),
		signedText("POST", "/", "Action=DescribeVolumes&Version=2016-11-15&Filter.1.Name=x&Filter.1.Value.1=*", "ec2", admin, form),
		signedText("GET", "/snapshots/snap-0123456789abcdef0/blocks?maxResults=100", "", "ebs", admin),
		signedText("POST", "/", "{}", "kms", session, jsonLines...),
		post + "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n",
		post + "Kagimori-Forwarded: AAAA\r\nContent-Length: 2\r\n\r\n{}",
		"GET /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /_kagimori/health HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /_kagimori/console/../../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET http://localhost/ HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	s := testkit.Start(f, testkit.Options{})
	h := s.App.Handler()
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		if r.URL.Path == "/_kagimori/reset" || r.URL.Path == "/_kagimori/clock" {
			return // whoever may reach a development server may do this
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if at := leaky.FindString(w.Body.String()); at != "" && w.Code >= 400 && !bytes.Contains(text, []byte(at)) {
			t.Errorf("%d tells %q: %s", w.Code, at, w.Body)
		}
	})
}
