package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// The credentials and the time of AWS's documented example.
const (
	exampleKey    = "AKIDEXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	emptyHash     = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var (
	exampleTime = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	example     = sigv4.Credentials{AccessKeyID: exampleKey, Secret: exampleSecret}
	session     = sigv4.Credentials{AccessKeyID: "ASIAEXAMPLE", Secret: exampleSecret, SessionToken: "a/token+=="}
	errLookup   = errors.New("the store is down")
)

func lookup(_ context.Context, id, token string) (secret.String, error) {
	switch {
	case id == exampleKey && token == "", id == "ASIAEXAMPLE" && token == session.SessionToken:
		return exampleSecret, nil
	case id == "EMPTY":
		return "", nil
	case id == "BROKEN":
		return "", errLookup
	}
	return "", &sigv4.Error{Kind: sigv4.UnknownKey, Message: "no such key"}
}

func verifierAt(t time.Time) *sigv4.Verifier {
	return sigv4.NewVerifier(sigv4.Config{Now: func() time.Time { return t }})
}

// listUsers is the request of AWS's documented example.
func listUsers() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

// The known answers are those that AWS published with this example of Signature Version 4.
func TestKnownAnswer(t *testing.T) {
	r := listUsers()
	sigv4.Sign(r, nil, example, "us-east-1", "iam", exampleTime)
	want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
	if got := r.Header.Get("Authorization"); got != want {
		t.Errorf("Authorization is\n%s\nwant\n%s", got, want)
	}
	canonical, ok := sigv4.Canonical(r, "content-type;host;x-amz-date", emptyHash)
	sum := sha256.Sum256([]byte(canonical))
	if hash := hex.EncodeToString(sum[:]); !ok || hash != "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59" {
		t.Errorf("canonical request has hash %s:\n%s", hash, canonical)
	}
	if k := sigv4.SigningKey(exampleSecret, "20150830", "us-east-1", "iam"); k != "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9" {
		t.Errorf("signing key %s", k)
	}
	got, err := verifierAt(exampleTime).Verify(r, nil, lookup)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sigv4.Result{
		AccessKeyID: exampleKey, Region: "us-east-1", Service: "iam", Date: exampleTime,
		SignedHeaders: []string{"content-type", "host", "x-amz-date"},
	}, got); d != "" {
		t.Error(d)
	}
}

// The key of AWS's page on deriving one, for another service and day.
func TestSigningKeyOfAnotherDay(t *testing.T) {
	if k := sigv4.SigningKey(exampleSecret, "20120215", "us-east-1", "iam"); k != "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d" {
		t.Errorf("signing key %s", k)
	}
}

func TestCanonicalRequest(t *testing.T) {
	for _, tt := range []struct {
		name, target string
		header       http.Header
		signed       string
		path, query  string
		headers      string
	}{
		{"nothing", "/", nil, "host", "/", "", "host:example.com\n"},
		{"empty value", "/?b&a=", nil, "host", "/", "a=&b=", "host:example.com\n"},
		{"sorted by name, then value", "/?b=2&a=z&b=1&a=", nil, "host", "/", "a=&a=z&b=1&b=2", "host:example.com\n"},
		{"sorted after escaping", "/?a%5B=1&aA=2", nil, "host", "/", "a%5B=1&aA=2", "host:example.com\n"},
		{"one escaping", "/?a=%7e+b%2a*", nil, "host", "/", "a=~%20b%2A%2A", "host:example.com\n"},
		{"equals sign in a value", "/?a=b=c", nil, "host", "/", "a=b%3Dc", "host:example.com\n"},
		{"empty pairs", "/?&a=1&", nil, "host", "/", "a=1", "host:example.com\n"},
		{"path is escaped twice", "/a%20b/%E3%81%8B", nil, "host", "/a%2520b/%25E3%2581%258B", "", "host:example.com\n"},
		{"path is normalized", "/a/./b/../c//d/", nil, "host", "/a/c/d/", "", "host:example.com\n"},
		{"values are joined", "/", http.Header{"My-Header": {"b", "a"}}, "host;my-header", "/", "", "host:example.com\nmy-header:b,a\n"},
		{"spaces collapse", "/", http.Header{"My-Header": {"  a   b  c "}}, "my-header", "/", "", "my-header:a b c\n"},
		{"a header that is not there", "/", nil, "x-none", "/", "", "x-none:\n"},
		{"a long name", "/", http.Header{"X-A" + strings.Repeat("a", 99): {"v"}}, "x-" + strings.Repeat("a", 100), "/", "",
			"x-" + strings.Repeat("a", 100) + ":v\n"},
		{"length that net/http took out", "/", nil, "content-length", "/", "", "content-length:0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, tt.target, nil)
			maps.Copy(r.Header, tt.header)
			got, ok := sigv4.Canonical(r, tt.signed, "hash")
			want := "GET\n" + tt.path + "\n" + tt.query + "\n" + tt.headers + "\n" + tt.signed + "\nhash"
			if !ok || got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	for _, query := range []string{"a=%", "a=%4", "a=%zz", "%g0=1"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		if got, ok := sigv4.Canonical(r, "host", ""); ok {
			t.Errorf("query %q was taken: %s", query, got)
		}
	}
}

func TestChangesAreSeen(t *testing.T) {
	body := []byte(`{"KeyId":"k"}`)
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	for _, tt := range []struct {
		name   string
		change func(r *http.Request)
		body   []byte
		kind   sigv4.Kind
	}{
		{"nothing", func(*http.Request) {}, body, 0},
		{"method", func(r *http.Request) { r.Method = "GET" }, body, sigv4.Mismatch},
		{"path", func(r *http.Request) { r.URL.Path = "/x" }, body, sigv4.Mismatch},
		{"query", func(r *http.Request) { r.URL.RawQuery = "a" }, body, sigv4.Mismatch},
		{"bad query", func(r *http.Request) { r.URL.RawQuery = "%" }, body, sigv4.Mismatch},
		{"host", func(r *http.Request) { r.Host = "evil.example" }, body, sigv4.Mismatch},
		{"body", func(*http.Request) {}, []byte(`{"KeyId":"l"}`), sigv4.Mismatch},
		{"no body", func(*http.Request) {}, nil, sigv4.Mismatch},
		{"target", func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.Decrypt") }, body, sigv4.Mismatch},
		{"second target", func(r *http.Request) { r.Header.Add("X-Amz-Target", "TrentService.Decrypt") }, body, sigv4.Mismatch},
		{"header that is not signed", func(r *http.Request) { r.Header.Set("User-Agent", "x") }, body, 0},
		{"amz header that is not signed", func(r *http.Request) { r.Header.Set("X-Amz-Extra", "x") }, body, sigv4.Mismatch},
		{"token that is not signed", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", session.SessionToken) }, body, sigv4.Mismatch},
		{"access key", replace(exampleKey, "ASIAEXAMPLE"), body, sigv4.UnknownKey},
		{"region", replace("eu-west-1", "eu-west-2"), body, sigv4.Mismatch},
		{"service", replace("/kms/", "/iam/"), body, sigv4.Mismatch},
		{"day", replace("20150830", "20150831"), body, sigv4.WrongScope},
		{"terminator", replace("aws4_request", "aws5_request"), body, sigv4.WrongScope},
		{"shorter signature", func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-1])
		}, body, sigv4.Mismatch},
		{"longer signature", func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")+"0")
		}, body, sigv4.Mismatch},
		{"host not signed", replace(";host", ""), body, sigv4.Mismatch},
		{"date not signed", replace(";x-amz-date", ""), body, sigv4.Mismatch},
		{"target not signed", replace(";x-amz-target", ""), body, sigv4.Mismatch},
		{"upper case", replace("host", "Host"), body, sigv4.Incomplete},
		{"two authorizations", func(r *http.Request) { r.Header.Add("Authorization", "x") }, body, sigv4.Incomplete},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Amz-Date", "x") }, body, sigv4.Incomplete},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, body, sigv4.Incomplete},
		{"bad date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "2015-08-30T12:36:00Z") }, body, sigv4.Incomplete},
		{"no authorization", func(r *http.Request) { r.Header.Del("Authorization") }, body, sigv4.MissingToken},
		{"bearer", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, body, sigv4.MissingToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := kmsRequest(body)
			sigv4.Sign(r, body, example, "eu-west-1", "kms", exampleTime)
			tt.change(r)
			_, err := verifierAt(exampleTime).Verify(r, tt.body, lookup)
			wantKind(t, err, tt.kind)
		})
	}
}

func kmsRequest(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "TrentService.DescribeKey")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	return r
}

func wantKind(t *testing.T, err error, kind sigv4.Kind) {
	t.Helper()
	if kind == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok || e.Kind != kind || e.Message == "" {
		t.Errorf("got %v, want kind %d", err, kind)
	}
	for _, hidden := range []string{exampleSecret, session.SessionToken, "Signature=5", "Signature=a"} {
		if ok && strings.Contains(e.Error(), hidden) {
			t.Errorf("the error shows %q", hidden)
		}
	}
}

func TestSessions(t *testing.T) {
	body := []byte("{}")
	v := verifierAt(exampleTime)
	r := kmsRequest(body)
	sigv4.Sign(r, body, session, "eu-west-1", "kms", exampleTime)
	got, err := v.Verify(r, body, lookup)
	if err != nil || got.SessionToken != session.SessionToken || got.AccessKeyID != session.AccessKeyID {
		t.Errorf("got %q, %v", got.AccessKeyID, err)
	}
	r.Header.Add("X-Amz-Security-Token", "x")
	_, err = v.Verify(r, body, lookup)
	wantKind(t, err, sigv4.InvalidToken)

	// Signing again with other credentials leaves nothing of the first.
	sigv4.Sign(r, body, example, "eu-west-1", "kms", exampleTime)
	_, err = v.Verify(r, body, lookup)
	wantKind(t, err, 0)
}

func TestLookups(t *testing.T) {
	for _, tt := range []struct {
		id   string
		kind sigv4.Kind
	}{
		{"NOBODY", sigv4.UnknownKey}, {"EMPTY", sigv4.UnknownKey}, {"a b", sigv4.UnknownKey}, {"a\x00", sigv4.UnknownKey},
		{strings.Repeat("A", 129), sigv4.UnknownKey},
	} {
		r := kmsRequest(nil)
		sigv4.Sign(r, nil, sigv4.Credentials{AccessKeyID: tt.id}, "eu-west-1", "kms", exampleTime)
		_, err := verifierAt(exampleTime).Verify(r, nil, func(ctx context.Context, id, token string) (secret.String, error) {
			if strings.ContainsAny(id, " \x00") || len(id) > 128 {
				t.Errorf("lookup was asked for %q", id)
			}
			return lookup(ctx, id, token)
		})
		wantKind(t, err, tt.kind)
	}
	r := kmsRequest(nil)
	sigv4.Sign(r, nil, sigv4.Credentials{AccessKeyID: "BROKEN", Secret: "x"}, "eu-west-1", "kms", exampleTime)
	if _, err := verifierAt(exampleTime).Verify(r, nil, lookup); !errors.Is(err, errLookup) {
		t.Errorf("got %v, want the lookup's error", err)
	}
}

func TestSkew(t *testing.T) {
	signed := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		now     time.Time
		skew    time.Duration
		message string
	}{
		{signed, 0, ""},
		{signed.Add(5 * time.Minute), 0, ""},
		{signed.Add(-5 * time.Minute), 0, ""},
		{signed.Add(10 * time.Minute), 0,
			"Signature expired: 20261124T000000Z is now earlier than 20261124T000500Z (20261124T001000Z - 5 min.)"},
		{signed.Add(-6 * time.Minute), 0,
			"Signature not yet current: 20261124T000000Z is still later than 20261123T235900Z (20261123T235400Z + 5 min.)"},
		{signed.Add(10 * time.Minute), 15 * time.Minute, ""},
		{signed.Add(time.Minute), 30 * time.Second,
			"Signature expired: 20261124T000000Z is now earlier than 20261124T000030Z (20261124T000100Z - 30s.)"},
	} {
		r := kmsRequest(nil)
		sigv4.Sign(r, nil, example, "eu-west-1", "kms", signed)
		v := sigv4.NewVerifier(sigv4.Config{Now: func() time.Time { return tt.now }, MaxSkew: tt.skew})
		_, err := v.Verify(r, nil, lookup)
		e, _ := errors.AsType[*sigv4.Error](err)
		if tt.message == "" && err != nil || tt.message != "" && (e == nil || e.Kind != sigv4.Expired || e.Message != tt.message) {
			t.Errorf("at %s: %v", tt.now, err)
		}
	}
}

// resign signs r as some other client would: over the given headers, with the headers it has.
func resign(r *http.Request, signed, hash string) {
	canonical, _ := sigv4.Canonical(r, signed, hash)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+exampleKey+"/20150830/eu-west-1/kms/aws4_request,SignedHeaders="+signed+
		",Signature="+sigv4.SignCanonical(canonical, exampleSecret, exampleTime, "eu-west-1", "kms"))
}

func TestOtherClients(t *testing.T) {
	body := []byte("{}")
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	for _, tt := range []struct {
		name         string
		header       http.Header
		signed, hash string
		kind         sigv4.Kind
	}{
		{"no spaces after commas", http.Header{"X-Amz-Date": {"20150830T123600Z"}}, "host;x-amz-date", hash, 0},
		{"Date", http.Header{"Date": {"Sun, 30 Aug 2015 12:36:00 GMT"}}, "date;host", hash, 0},
		{"Date in ISO form", http.Header{"Date": {"20150830T123600Z"}}, "date;host", hash, 0},
		{"Date not signed", http.Header{"Date": {"20150830T123600Z"}}, "host", hash, sigv4.Mismatch},
		{"bad Date", http.Header{"Date": {"today"}}, "date;host", hash, sigv4.Incomplete},
		{"payload hash", http.Header{"X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Content-Sha256": {hash}}, "host;x-amz-content-sha256;x-amz-date", hash, 0},
		{"wrong payload hash", http.Header{"X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Content-Sha256": {emptyHash}},
			"host;x-amz-content-sha256;x-amz-date", emptyHash, sigv4.Mismatch},
		{"unsigned payload", http.Header{"X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}},
			"host;x-amz-content-sha256;x-amz-date", "UNSIGNED-PAYLOAD", sigv4.Mismatch},
		{"chunks", http.Header{"X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Content-Sha256": {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}},
			"host;x-amz-content-sha256;x-amz-date", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", sigv4.Mismatch},
		{"length", http.Header{"X-Amz-Date": {"20150830T123600Z"}}, "content-length;host;x-amz-date", hash, 0},
		{"chunked body", http.Header{"X-Amz-Date": {"20150830T123600Z"}}, "host;transfer-encoding;x-amz-date", hash, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			r.Header = tt.header
			resign(r, tt.signed, tt.hash)
			_, err := verifierAt(exampleTime).Verify(r, body, lookup)
			wantKind(t, err, tt.kind)
		})
	}
}

// Over a real connection: what net/http does to headers must not matter.
func TestOverHTTP(t *testing.T) {
	var v sigv4.Verifier
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = v.Verify(r, body, lookup)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	defer srv.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string { // printable, with what needs escaping
		b := make([]byte, rng.IntN(12))
		for i := range b {
			b[i] = byte(' ' + rng.IntN(95))
		}
		return string(b)
	}
	for i := range 200 {
		q := url.Values{}
		for range rng.IntN(5) {
			q.Add(text(), text()+"é")
		}
		body := []byte(text())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/"+url.PathEscape(text())+"?"+q.Encode(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for j := range rng.IntN(4) {
			r.Header.Add(fmt.Sprintf("X-Amz-Meta-%d", j/2), text())
		}
		cred := example
		if i%2 == 0 {
			cred = session
		}
		sigv4.Sign(r, body, cred, "eu-west-1", "kms", time.Now())
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s %v: %s", r.URL, r.Header, answer)
		}
	}
	if n := v.Cached(); n != 2 && n != 4 { // 4 if the day ended meanwhile
		t.Errorf("%d signing keys are kept", n)
	}
}

func TestKeyCacheIsBounded(t *testing.T) {
	for _, tt := range []struct{ size, limit int }{{4, 8}, {-1, 0}} {
		v := sigv4.NewVerifier(sigv4.Config{Now: func() time.Time { return exampleTime }, KeyCache: tt.size})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				r := kmsRequest(nil)
				sigv4.Sign(r, nil, example, fmt.Sprintf("eu-west-%d", i), "kms", exampleTime)
				for range 3 {
					if _, err := v.Verify(r, nil, lookup); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := v.Cached(); n > tt.limit {
			t.Errorf("%d keys are kept, more than %d", n, tt.limit)
		}
	}
	// What verifies nothing is not kept.
	v := verifierAt(exampleTime)
	r := kmsRequest(nil)
	sigv4.Sign(r, nil, sigv4.Credentials{AccessKeyID: exampleKey, Secret: "wrong"}, "eu-west-1", "kms", exampleTime)
	_, err := v.Verify(r, nil, lookup)
	wantKind(t, err, sigv4.Mismatch)
	if n := v.Cached(); n != 0 {
		t.Errorf("%d keys are kept after a mismatch", n)
	}
}

// A secret that was replaced is not taken from the cache.
func TestChangedSecret(t *testing.T) {
	v := verifierAt(exampleTime)
	r := kmsRequest(nil)
	sigv4.Sign(r, nil, example, "eu-west-1", "kms", exampleTime)
	_, err := v.Verify(r, nil, lookup)
	wantKind(t, err, 0)
	_, err = v.Verify(r, nil, func(context.Context, string, string) (secret.String, error) { return "another", nil })
	wantKind(t, err, sigv4.Mismatch)
}
