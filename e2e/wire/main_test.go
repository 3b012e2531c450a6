package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

var shared *server.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kagimori-wire-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	defer server.Clean()
	if shared, err = server.Run(dir + "/data"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	shared.Stop()
	for _, line := range shared.Trouble() {
		fmt.Fprintln(os.Stderr, "server:", line)
		code = 1
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "end of the server's log:\n"+shared.Tail(6000))
	}
	return code
}

// kmsRequest is a request to KMS by the administrator of a fresh account.
func kmsRequest(operation, body string) request {
	return request{
		Service: "kms", Region: seed.Region, Key: seed.NewAccount() + "ADMIN", Secret: "test", Body: []byte(body),
		Header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService." + operation},
	}
}

var versions = map[string]string{"ec2": "2016-11-15", "iam": "2010-05-08", "sts": "2011-06-15", "autoscaling": "2011-01-01"}

// queryRequest is a request to a service of the query protocols.
func queryRequest(service, action string, params url.Values) request {
	if params == nil {
		params = url.Values{}
	}
	params.Set("Action", action)
	params.Set("Version", versions[service])
	return request{
		Service: service, Region: seed.Region, Key: seed.NewAccount() + "ADMIN", Secret: "test", Body: []byte(params.Encode()),
		Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
	}
}

// send sends a request to the shared server.
func send(t *testing.T, q request) answer {
	t.Helper()
	a, err := q.send(t.Context(), shared.URL)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// refusal sends a request and checks that it is refused by the client's own fault, with a code
// and a text, in the protocol's form.
func refusal(t *testing.T, q request, status int, code string, texts ...string) answer {
	t.Helper()
	a := send(t, q)
	if a.Status != status {
		t.Errorf("status is %d, want %d: %s", a.Status, status, a.Body)
	}
	if got := a.code(t); got != code {
		t.Errorf("code is %q, want %q: %s", got, code, a.Body)
	}
	for _, text := range texts {
		if !strings.Contains(a.Body, text) {
			t.Errorf("the answer does not contain %q: %s", text, a.Body)
		}
	}
	if strings.Contains(strings.ToLower(a.Body), "<html") {
		t.Errorf("the answer is a web page: %s", a.Body)
	}
	if a.Header.Get("X-Amzn-Requestid") == "" {
		t.Error("the answer has no request id")
	}
	return a
}

// code is the error code of an answer.
func (a answer) code(t *testing.T) string {
	t.Helper()
	if strings.HasPrefix(a.Body, "{") {
		var e struct {
			Type string `json:"__type"`
		}
		if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
			t.Fatalf("the answer is no JSON: %v: %s", err, a.Body)
		}
		_, name, found := strings.Cut(e.Type, "#")
		if !found {
			name = e.Type
		}
		return name
	}
	_, rest, _ := strings.Cut(a.Body, "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	return code
}

// newKey makes a key and gives a way to make requests as its owner.
func newKey(t *testing.T) (arn string, as func(operation, body string) request) {
	t.Helper()
	q := kmsRequest("CreateKey", "{}")
	a := send(t, q)
	if a.Status != 200 {
		t.Fatalf("CreateKey: %d %s", a.Status, a.Body)
	}
	var out struct{ KeyMetadata struct{ Arn string } }
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.Arn, func(operation, body string) request {
		r := kmsRequest(operation, body)
		r.Key = q.Key
		return r
	}
}

// quote is a JSON string.
func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(data)
}

func base(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
