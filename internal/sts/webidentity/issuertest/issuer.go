// Package issuertest is an OpenID Connect issuer for tests.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/outbound"
)

// Host is the name of the issuer, which its certificate is for; every example.com is httptest's.
const Host = "example.com"

// An Issuer publishes keys at https://example.com.
type Issuer struct {
	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	keys   []map[string]any
	fetch  int
	// Down answers nothing but 503.
	down bool
	name string // of itself
}

// New starts an issuer, until the test ends.
func New(t testing.TB) *Issuer {
	i := &Issuer{t: t, name: "https://" + Host}
	i.server = httptest.NewTLSServer(i)
	t.Cleanup(i.server.Close)
	return i
}

// Client reaches the issuer.
func (i *Issuer) Client() *outbound.Client { return outbound.New(i.Config()) }

// Config is that of a client who reaches the issuer.
func (i *Issuer) Config() outbound.Config {
	roots := x509.NewCertPool()
	roots.AddCert(i.server.Certificate())
	return outbound.Config{Roots: roots, Connect: map[string]string{Host: i.server.Listener.Addr().String()}}
}

// Certificate is the issuer's, and Address where it listens.
func (i *Issuer) Certificate() tls.Certificate { return i.server.TLS.Certificates[0] }

// Address is where the issuer listens.
func (i *Issuer) Address() string { return i.server.Listener.Addr().String() }

// Fetches is how often the set of keys was asked for.
func (i *Issuer) Fetches() int { i.mu.Lock(); defer i.mu.Unlock(); return i.fetch }

// Down has the issuer answer nothing useful from now on, or answer again.
func (i *Issuer) Down(down bool) { i.mu.Lock(); defer i.mu.Unlock(); i.down = down }

// Rename has the issuer say that it is another one.
func (i *Issuer) Rename(name string) { i.mu.Lock(); defer i.mu.Unlock(); i.name = name }

// ServeHTTP publishes the keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var v any
	switch {
	case i.down:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/.well-known/openid-configuration":
		v = map[string]string{"issuer": i.name, "jwks_uri": "https://" + Host + "/keys"}
	case r.URL.Path == "/keys":
		i.fetch++
		v = map[string]any{"keys": i.keys}
	default:
		http.NotFound(w, r)
		return
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.t.Error(err)
	}
}

// A Key signs tokens.
type Key struct {
	t       testing.TB
	id, alg string
	private crypto.Signer
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// RSA makes an RS256 key that the issuer publishes.
func (i *Issuer) RSA(id string) *Key {
	i.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.t.Fatal(err)
	}
	i.publish(map[string]any{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": number(private.N), "e": "AQAB"})
	return &Key{i.t, id, "RS256", private}
}

// EC makes an ES256 key that the issuer publishes.
func (i *Issuer) EC(id string) *Key {
	i.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	i.publish(map[string]any{"kty": "EC", "kid": id, "crv": "P-256", "x": enc(point[1:33]), "y": enc(point[33:])})
	return &Key{i.t, id, "ES256", private}
}

func (i *Issuer) publish(jwk map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, jwk)
}

// Withdraw publishes no key any more.
func (i *Issuer) Withdraw() { i.mu.Lock(); defer i.mu.Unlock(); i.keys = nil }

// Sign makes a token of claims.
func (k *Key) Sign(claims map[string]any) string {
	k.t.Helper()
	return k.SignWith(map[string]any{"alg": k.alg, "kid": k.id, "typ": "JWT"}, claims)
}

// SignWith makes a token with a header of the caller's.
func (k *Key) SignWith(header, claims map[string]any) string {
	k.t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			k.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	signed := part(header) + "." + part(claims)
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, private, digest[:])
		if err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
