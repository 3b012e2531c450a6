package xks

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// Patience is how long KMS waits for the answer to one request. Source: "Performance and
// availability" of the specification.
const Patience = 250 * time.Millisecond

// ClientConfig of a [Client].
type ClientConfig struct {
	// Outbound makes the connections; nil is one that reaches the public internet only.
	Outbound *outbound.Client
	// Patience is how long an answer may take; 0 is [Patience].
	Patience time.Duration
	// Now is wall time; nil is time.Now.
	Now func() time.Time
}

// A Client asks proxies as KMS does. Safe for concurrent use.
type Client struct {
	cfg ClientConfig
}

// NewClient makes a Client.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Outbound == nil {
		cfg.Outbound = outbound.New(outbound.Config{})
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Patience = cmp.Or(cfg.Patience, Patience)
	return &Client{cfg}
}

// A Proxy is where a proxy is and how KMS proves to be KMS.
type Proxy struct {
	Endpoint    string // https://host
	Path        string // [/prefix]/kms/xks/v1
	Region      string // of the key store
	AccessKeyID string
	Secret      secret.String
}

// Health asks how the proxy and its key managers are; it fails if none of these can be used. The
// error is an *[Error], as with the other methods.
func (c *Client) Health(ctx context.Context, p *Proxy, m RequestMetadata) (h Health, err error) {
	if err := c.call(ctx, p, "/health", HealthRequest{m}, &h); err != nil {
		return h, err
	}
	if !h.wellFormed() {
		return h, Fail(Malformed, "a health status that is not one of the protocol")
	}
	usable := func(f Fleet) bool { return f.Status != "UNAVAILABLE" }
	if !slices.ContainsFunc(h.Fleet, usable) {
		return h, Fail(Unavailable, "")
	}
	return h, nil
}

// KeyMetadata asks what a key is.
func (c *Client) KeyMetadata(ctx context.Context, p *Proxy, key string, m RequestMetadata) (k KeyMetadata, err error) {
	if err := c.call(ctx, p, "/keys/"+key+"/metadata", MetadataRequest{m}, &k); err != nil {
		return k, err
	}
	if k.Spec == "" || len(k.Usage) == 0 || k.Status != Enabled && k.Status != Disabled {
		return k, Fail(Malformed, "incomplete key metadata")
	}
	return k, nil
}

// Usable reports whether KMS can use the key for encryption and decryption, its status aside.
func (k *KeyMetadata) Usable() bool {
	return k.Spec == AES256 && slices.Contains(k.Usage, UsageEncrypt) && slices.Contains(k.Usage, UsageDecrypt)
}

// Encrypt encrypts under a key. What comes back has been checked against its integrity value.
func (c *Client) Encrypt(ctx context.Context, p *Proxy, key string, m RequestMetadata, plaintext secret.Bytes, aad []byte) (Sealed, error) {
	var out EncryptResponse
	in := EncryptRequest{Metadata: m, AAD: aad, Plaintext: plaintext, Algorithm: AESGCM, Integrity: SHA256}
	if err := c.call(ctx, p, "/keys/"+key+"/encrypt", in, &out); err != nil {
		return Sealed{}, err
	}
	s := Sealed{Ciphertext: out.Ciphertext, IV: out.IV, Tag: out.Tag, Metadata: out.Metadata}
	if !s.wellFormed(len(plaintext)) {
		return Sealed{}, Fail(Malformed, "parts of a ciphertext of the wrong length")
	}
	if !s.intact(aad, out.Integrity) {
		return Sealed{}, Fail(Malformed, "the ciphertext does not agree with its integrity value")
	}
	return s, nil
}

// Decrypt undoes Encrypt.
func (c *Client) Decrypt(ctx context.Context, p *Proxy, key string, m RequestMetadata, s Sealed, aad []byte) (secret.Bytes, error) {
	var out DecryptResponse
	in := DecryptRequest{
		Metadata: m, AAD: aad, Algorithm: AESGCM, Tag: s.Tag, Ciphertext: s.Ciphertext, CiphertextMetadata: s.Metadata, IV: s.IV,
	}
	if err := c.call(ctx, p, "/keys/"+key+"/decrypt", in, &out); err != nil {
		return nil, err
	}
	if len(out.Plaintext) != len(s.Ciphertext) {
		return nil, Fail(Malformed, "a plaintext of the wrong length")
	}
	return out.Plaintext, nil
}

// call signs a request, sends it, and reads the answer into out.
func (c *Client) call(ctx context.Context, p *Proxy, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	u, err := url.Parse(p.Endpoint + p.Path + path)
	if err != nil || len(u.Host)+len(u.Path) > MaxURI {
		return Fail(InvalidURIPath, "the URI is too long")
	}
	r := &http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{"Content-Type": {"application/json"}},
		Body: http.NoBody, ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	r.GetBody, r.Body = bodyOf(body)
	sigv4.Sign(r, body, sigv4.Credentials{AccessKeyID: p.AccessKeyID, Secret: p.Secret}, p.Region, SigningName, c.cfg.Now())
	// No harm comes of doing it twice, which the transport does where a connection had been closed by
	// the proxy; so says this header, which is not sent.
	r.Header["Idempotency-Key"] = []string{}
	a, err := c.cfg.Outbound.Do(ctx, r, outbound.Limits{Time: c.cfg.Patience, Body: MaxBody})
	if err != nil {
		return outboundFailure(err)
	}
	if a.Status != http.StatusOK {
		return failure(a.Status, a.Body)
	}
	if kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";"); kind != "" && !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return Fail(Malformed, "an answer that is not JSON")
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return &Error{Failure: Malformed, cause: err}
	}
	return nil
}

func outboundFailure(err error) error {
	f := Unreachable
	switch {
	case errors.Is(err, outbound.ErrTimeout):
		f = Late
	case errors.Is(err, outbound.ErrTLS):
		f = NoTLS
	case errors.Is(err, outbound.ErrTooLarge), errors.Is(err, outbound.ErrBroken):
		f = Malformed
	}
	return &Error{Failure: f, cause: err}
}
