package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/sigv4"
)

// raw sends bytes as they are and returns the answer's status and body.
func raw(t *testing.T, w *world, request string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

const describeBody = `{"KeyId":"k"}`

// signedLines are the header lines of a signed DescribeKey for a host.
func signedLines(host, target string) []string {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Host = host
	r.Header = http.Header{"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-1.1"}}
	sigv4.Sign(r, []byte(describeBody), credentials(), "eu-west-1", "kms", time.Now())
	lines := []string{"Host: " + host}
	for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization"} {
		lines = append(lines, name+": "+r.Header.Get(name))
	}
	return lines
}

// What two readers of a request could understand in two ways is served in the one way that was
// signed, or not at all.
func TestHostileHeaders(t *testing.T) {
	const target, length = "TrentService.DescribeKey", "Content-Length: 13"
	plain := func(host string) []string { return append(signedLines(host, target), length) }
	for _, tt := range []struct {
		name   string
		line   string // request line
		lines  []string
		body   string
		status int
		want   string
	}{
		{"plain", "POST / HTTP/1.1", plain("localhost"), describeBody, 200, `"KeyId":"k"`},
		{"mixed case", "POST / HTTP/1.1", mixCase(plain("localhost")), describeBody, 200, `"KeyId":"k"`},
		{"host with a port", "POST / HTTP/1.1", plain("localhost:4566"), describeBody, 200, `"KeyId":"k"`},
		{"host in IPv6", "POST / HTTP/1.1", plain("[::1]:4566"), describeBody, 200, `"KeyId":"k"`},
		{"absolute target", "POST http://localhost/ HTTP/1.1", append(plain("localhost")[1:], "Host: other"), describeBody, 200, `"KeyId":"k"`},
		{"absolute target for another host", "POST http://other/ HTTP/1.1", plain("localhost"), describeBody, 400, "InvalidSignatureException"},
		{"chunks", "POST / HTTP/1.1", append(signedLines("localhost", target), "Transfer-Encoding: chunked"), "6\r\n" + describeBody[:6] + "\r\n7\r\n" + describeBody[6:] + "\r\n0\r\n\r\n", 200, `"KeyId":"k"`},
		{"trailer", "POST / HTTP/1.1", append(signedLines("localhost", target), "Transfer-Encoding: chunked", "Trailer: X-Amz-Extra"), "d\r\n" + describeBody + "\r\n0\r\nX-Amz-Extra: 1\r\n\r\n", 200, `"KeyId":"k"`},
		{"length and chunks", "POST / HTTP/1.1", append(plain("localhost"), "Transfer-Encoding: chunked"), "d\r\n" + describeBody + "\r\n0\r\n\r\n", 200, `"KeyId":"k"`},
		{"two lengths", "POST / HTTP/1.1", append(plain("localhost"), "Content-Length: 12"), describeBody, 400, ""},
		{"two hosts", "POST / HTTP/1.1", append(plain("localhost"), "Host: localhost"), describeBody, 400, ""},
		{"two targets", "POST / HTTP/1.1", append(plain("localhost"), "X-Amz-Target: TrentService.EnableKey"), describeBody, 400, "SerializationException"},
		{"a target that is two", "POST / HTTP/1.1", append(signedLines("localhost", target+",TrentService.EnableKey"), length), describeBody, 400, "UnknownOperationException"},
		{"two content types", "POST / HTTP/1.1", append(plain("localhost"), "Content-Type: application/x-www-form-urlencoded"), describeBody, 400, "SerializationException"},
		{"two dates", "POST / HTTP/1.1", append(plain("localhost"), "X-Amz-Date: 20260101T000000Z"), describeBody, 400, "IncompleteSignatureException"},
		{"two signatures", "POST / HTTP/1.1", append(plain("localhost"), "Authorization: AWS4-HMAC-SHA256 x"), describeBody, 400, "IncompleteSignatureException"},
		{"folded header", "POST / HTTP/1.1", append(plain("localhost"), "X-Amz-Extra: a\r\n b"), describeBody, 400, ""},
		{"space before the colon", "POST / HTTP/1.1", append(plain("localhost"), "X-Amz-Target : TrentService.EnableKey"), describeBody, 400, ""},
		{"amz header that is not signed", "POST / HTTP/1.1", append(plain("localhost"), "x-AMZ-extra: 1"), describeBody, 400, "InvalidSignatureException"},
		{"dots in the path", "POST /./ HTTP/1.1", plain("localhost"), describeBody, 404, "UnknownOperationException"},
		{"slashes in the path", "POST // HTTP/1.1", plain("localhost"), describeBody, 200, `"KeyId":"k"`},
		{"escaped slash in the path", "POST /%2F HTTP/1.1", plain("localhost"), describeBody, 404, "UnknownOperationException"},
		{"query that was not signed", "POST /?Action=CreateGrant HTTP/1.1", plain("localhost"), describeBody, 400, "InvalidSignatureException"},
		{"body cut", "POST / HTTP/1.1", append(signedLines("localhost", target), "Content-Length: 12"), describeBody[:12], 400, "InvalidSignatureException"},
		{"other encoding", "POST / HTTP/1.1", append(plain("localhost"), "Content-Encoding: gzip"), describeBody, 200, `"KeyId":"k"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			status, body := raw(t, w, tt.line+"\r\n"+strings.Join(tt.lines, "\r\n")+"\r\n\r\n"+tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s", status, body)
			}
			if (w.invoked == 1) != (status == 200) {
				t.Errorf("%d calls were served", w.invoked)
			}
		})
	}
}

// mixCase spells the names of headers as nobody would.
func mixCase(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		out[i] = strings.ToLower(name[:1]) + strings.ToUpper(name[1:]) + ":" + value
	}
	return out
}

// A body that ends early, or never, is no request; memory follows what came.
func TestBodiesThatDoNotCome(t *testing.T) {
	w := newWorld(t, nil)
	conn, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.DescribeKey\r\nContent-Length: 1000000\r\n\r\n{")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 400 || !strings.Contains(string(body), "SerializationException") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	_, _ = res.Body.Close(), conn.Close()
	// A body of any length is read whole.
	for _, n := range []int{1, 511, 16 << 10, 16<<10 + 1, 100_000, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			text := []byte(`{"KeyId":"k"` + strings.Repeat(" ", max(0, n-13)) + "}")
			var from io.Reader = bytes.NewReader(text)
			if chunked {
				from = io.MultiReader(from)
			}
			r, err := http.NewRequest(http.MethodPost, w.URL+"/", from)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"X-Amz-Target": {"TrentService.DescribeKey"}, "Content-Type": {"application/x-amz-json-1.1"}}
			sigv4.Sign(r, text, credentials(), "eu-west-1", "kms", time.Now())
			if status, _, answer := send(t, w, r); status != 200 {
				t.Errorf("%d bytes, chunked %t: %d %s", len(text), chunked, status, answer)
			}
		}
	}
}

// A signature is good for the one service that it names, whatever the request asks for.
func TestSignatureOfAnotherService(t *testing.T) {
	w := newWorld(t, nil)
	for _, service := range []string{"iam", "ec2", "kms", "s3", "", "STS", "sts "} {
		r, err := http.NewRequest(http.MethodGet, w.URL+"/?"+whoAmIQuery, nil)
		if err != nil {
			t.Fatal(err)
		}
		sigv4.Sign(r, nil, credentials(), "us-east-1", service, time.Now())
		if status, _, body := send(t, w, r); status != 403 || !strings.Contains(body, "<Code>SignatureDoesNotMatch</Code>") {
			t.Errorf("signed for %q: %d %s", service, status, body)
		}
	}
	if w.invoked != 0 {
		t.Errorf("%d calls were served", w.invoked)
	}
}

// A request that its model refuses is recorded like one that its service refuses.
func TestRefusalByTheModelIsRecorded(t *testing.T) {
	w := newWorld(t, nil)
	r, err := http.NewRequest(http.MethodPost, w.URL+"/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Amz-Target": {"TrentService.DescribeKey"}, "Content-Type": {"application/x-amz-json-1.1"}}
	sigv4.Sign(r, []byte("{}"), credentials(), "eu-west-1", "kms", time.Now())
	if status, _, body := send(t, w, r); status != 400 || !strings.Contains(body, "ValidationException") {
		t.Errorf("%d %s", status, body)
	}
	if w.invoked != 1 || w.last.Operation != "DescribeKey" {
		t.Errorf("%d calls, the last %+v", w.invoked, w.last)
	}
}

// Who can reach the server cannot fill its log.
func TestUnauthenticatedRequestsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.Close() // requests go to the handler: a bubble knows no sockets
		fail := func(n int) {
			for range n {
				r := httptest.NewRequest(http.MethodGet, "/?"+whoAmIQuery, nil)
				rec := httptest.NewRecorder()
				w.handler.ServeHTTP(rec, r)
				if rec.Code != http.StatusForbidden {
					t.Fatalf("got %d", rec.Code)
				}
			}
		}
		lines := func() int { return strings.Count(w.log.String(), "request not authenticated") }
		fail(1000)
		if n := lines(); n != 10 {
			t.Errorf("%d lines", n)
		}
		time.Sleep(time.Minute)
		fail(1)
		if n := lines(); n != 11 || !strings.Contains(w.log.String(), "unlogged=990") {
			t.Errorf("%d lines after a minute: %s", n, w.log.String())
		}
		for _, want := range []string{"service=sts", "operation=GetCallerIdentity", "code=MissingAuthenticationToken", "source=192.0.2.1"} {
			if !strings.Contains(w.log.String(), want) {
				t.Errorf("no %s in %s", want, w.log.String())
			}
		}
	})
}

// A client that sends its body too slowly is answered and gone when the server's time to read is.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, nil)
	srv := httptest.NewUnstartedServer(w.handler)
	srv.Config.ReadHeaderTimeout, srv.Config.ReadTimeout = time.Minute, 50*time.Millisecond // the head may come later than the body has to
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.DescribeKey\r\nContent-Length: 100\r\n\r\n{")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 400 || !strings.Contains(string(body), "SerializationException") {
		t.Errorf("%d %s, %v", res.StatusCode, body, err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the connection is still open: %v", err)
	}
	if w.invoked != 0 {
		t.Error("a call was served")
	}
}
