package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// query sends a form to a service, signed as the caller: what the SDK's types have no place for.
func (c *client) query(t *testing.T, service, form string) (status int, body string) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/", strings.NewReader(form)))(t)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sum := sha256.Sum256([]byte(form))
	if err := v4.NewSigner().SignHTTP(t.Context(), c.creds, req, hex.EncodeToString(sum[:]), service, c.region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return read(t, req)
}

// read sends a request and gives the whole answer.
func read(t *testing.T, req *http.Request) (status int, body string) {
	t.Helper()
	res := must(http.DefaultClient.Do(req))(t)
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body))(t))
}
