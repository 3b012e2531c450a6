//go:build linux

package soak_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// A caller asks KMS, with little work of its own.
type caller struct {
	url   string
	creds aws.Credentials
	http  *http.Client
}

func newCaller(url, account string, connections int) *caller {
	return &caller{url: url, creds: aws.Credentials{AccessKeyID: account + "ADMIN", SecretAccessKey: "test"},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}, Timeout: time.Minute}}
}

// ask makes a request. status is 0 if there was no answer; code is that of an error.
func (c *caller) ask(op string, in, out any) (status int, code string, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService."+op)
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(context.Background(), c.creds, req, hex.EncodeToString(sum[:]), "kms", seed.Region, time.Now()); err != nil {
		return 0, "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	if res.StatusCode != http.StatusOK {
		var e struct {
			Type string `json:"__type"`
		}
		_ = json.Unmarshal(answer, &e) // the code stays empty
		return res.StatusCode, e.Type, nil
	}
	if out == nil {
		return res.StatusCode, "", nil
	}
	return res.StatusCode, "", json.Unmarshal(answer, out)
}

// must asks for what has to succeed.
func (c *caller) must(op string, in, out any) error {
	status, code, err := c.ask(op, in, out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", op, status, code)
	}
	return err
}

type object map[string]any

// counts are what a load measured since they were taken last.
type counts struct {
	requests atomic.Int64
	mu       sync.Mutex
	times    []time.Duration // of some requests; guarded by mu
	failed   error           // the first; guarded by mu
}

func (n *counts) done(d time.Duration, err error) {
	k := n.requests.Add(1)
	if k%16 != 0 && err == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.times = append(n.times, d)
	if n.failed == nil {
		n.failed = err
	}
}

// take is what was measured, and begins anew.
func (n *counts) take() (requests int64, p50, p99 time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	requests, err = n.requests.Swap(0), n.failed
	slices.Sort(n.times)
	if k := len(n.times); k > 0 {
		p50, p99 = n.times[k/2], n.times[k*99/100]
	}
	n.times = n.times[:0]
	return requests, p50, p99, err
}

// load is what each connection does over and over: it leaves the server as it was, but for the audit log.
func (c *caller) load(ctx context.Context, key string, n *counts) {
	var enc struct{ CiphertextBlob []byte }
	timed := func(op string, in, out any) {
		begun := time.Now()
		err := c.must(op, in, out)
		n.done(time.Since(begun), err)
	}
	for i := 0; ctx.Err() == nil; i++ {
		timed("Encrypt", object{"KeyId": key, "Plaintext": []byte("soak")}, &enc)
		timed("Decrypt", object{"CiphertextBlob": enc.CiphertextBlob}, nil)
		timed("GenerateDataKey", object{"KeyId": key, "KeySpec": "AES_256"}, nil)
		timed("DescribeKey", object{"KeyId": key}, nil)
		if i%8 == 0 {
			var g struct{ GrantId string }
			timed("CreateGrant", object{"KeyId": key, "GranteePrincipal": seed.Root("111122223333"), "Operations": []string{"Decrypt"}}, &g)
			timed("RevokeGrant", object{"KeyId": key, "GrantId": g.GrantId}, nil)
		}
	}
}
