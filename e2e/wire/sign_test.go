// Package wire_test checks over raw HTTP, without an SDK, what a server answers to requests that no
// well-behaved client sends.
package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// A request is one request to a server.
type request struct {
	Service string // of the credential scope
	Region  string
	Key     string // access key id
	Secret  string
	Token   string
	Time    time.Time // of the signature; zero is now
	Method  string    // "" is POST
	Path    string    // "" is "/"
	Header  map[string]string
	Host    string // of the Host header; "" is that of the URL
	Body    []byte
	// Unsigned leaves the signature out; Tamper changes the request after it was signed.
	Unsigned bool
	Tamper   func(*http.Request)
}

// An answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// send signs a request with the SDK's own signer and sends it.
func (q request) send(ctx context.Context, url string) (answer, error) {
	if q.Method == "" {
		q.Method = http.MethodPost
	}
	if q.Path == "" {
		q.Path = "/"
	}
	if q.Time.IsZero() {
		q.Time = time.Now()
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, url+q.Path, bytes.NewReader(q.Body))
	if err != nil {
		return answer{}, err
	}
	for k, v := range q.Header {
		req.Header.Set(k, v)
	}
	if q.Host != "" {
		req.Host = q.Host
	}
	if !q.Unsigned {
		sum := sha256.Sum256(q.Body)
		creds := aws.Credentials{AccessKeyID: q.Key, SecretAccessKey: q.Secret, SessionToken: q.Token}
		if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), q.Service, q.Region, q.Time); err != nil {
			return answer{}, err
		}
	}
	if q.Tamper != nil {
		q.Tamper(req)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}
