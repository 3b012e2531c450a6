package kms_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/xks"
)

const (
	proxyHost   = "https://example.com" // a name in the certificate of httptest
	proxyPath   = "/acme/kms/xks/v1"
	proxyKeyID  = "AAAABBBBCCCCDDDDEEEE"
	proxySecret = "c2VjcmV0LW9mLXRoZS1leHRlcm5hbC1rZXktc3RvcmUtcHJveHk="
)

// An ekm is an external key store proxy with its keys, written from the specification alone.
type ekm struct {
	t   *testing.T
	srv *httptest.Server

	mu     sync.Mutex
	keys   map[string]cipher.AEAD
	fail   string                                            // "", or the error name that everything answers
	status int                                               // of fail
	answer func(op string, out map[string]any)               // changes an answer
	before func(w http.ResponseWriter, r *http.Request) bool // true: it answered
	seen   []map[string]any                                  // requests
}

func newEKM(t *testing.T, ids ...string) *ekm {
	t.Helper()
	p := &ekm{t: t, keys: map[string]cipher.AEAD{}}
	for _, id := range ids {
		key := make([]byte, 32)
		rand.Read(key)
		block, err := aes.NewCipher(key)
		check(t, err)
		p.keys[id], err = cipher.NewGCM(block)
		check(t, err)
	}
	p.srv = httptest.NewTLSServer(p)
	t.Cleanup(p.srv.Close)
	return p
}

// client asks the proxy under the name example.com.
func (p *ekm) client(patience time.Duration) *xks.Client {
	roots := x509.NewCertPool()
	roots.AddCert(p.srv.Certificate())
	return xks.NewClient(xks.ClientConfig{
		Outbound: outbound.New(outbound.Config{Roots: roots, Connect: map[string]string{"example.com": p.srv.Listener.Addr().String(), "a.example.com": p.srv.Listener.Addr().String()}}),
		Patience: patience,
	})
}

func (p *ekm) set(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func (p *ekm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	before := p.before
	p.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status, out := p.serve(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(out)
}

func (p *ekm) serve(r *http.Request) (int, map[string]any) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 500, map[string]any{"errorName": "InternalException"}
	}
	got, err := sigv4.NewVerifier(sigv4.Config{}).Verify(r, body, func(_ context.Context, id, _ string) (secret.String, error) {
		if id != proxyKeyID {
			return "", &sigv4.Error{Kind: sigv4.UnknownKey}
		}
		return proxySecret, nil
	})
	if err != nil || got.Service != "kms-xks-proxy" || got.Region != region {
		return 401, map[string]any{"errorName": "AuthenticationFailedException"}
	}
	if p.fail != "" {
		return p.status, map[string]any{"errorName": p.fail, "errorMessage": "words of the proxy"}
	}
	rest, ok := strings.CutPrefix(r.URL.Path, proxyPath)
	if !ok || r.Method != http.MethodPost {
		return 404, map[string]any{"errorName": "InvalidUriPathException"}
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		return 400, map[string]any{"errorName": "ValidationException"}
	}
	p.seen = append(p.seen, in)
	var out map[string]any
	status, op := 200, ""
	if rest == "/health" {
		op = "health"
		out = map[string]any{"xksProxyFleetSize": 1, "xksProxyVendor": "Acme", "xksProxyModel": "M", "ekmVendor": "Acme",
			"ekmFleetDetails": []map[string]any{{"id": "1", "model": "M", "healthStatus": "ACTIVE"}}}
	} else {
		parts := strings.Split(rest, "/") // "", keys, id, op
		op = parts[3]
		key := p.keys[parts[2]]
		if key == nil {
			return 404, map[string]any{"errorName": "KeyNotFoundException"}
		}
		status, out = use(key, op, in)
	}
	if p.answer != nil {
		p.answer(op, out)
	}
	return status, out
}

func use(key cipher.AEAD, op string, in map[string]any) (int, map[string]any) {
	bytes := func(name string) []byte {
		s, _ := in[name].(string)
		b, _ := base64.StdEncoding.DecodeString(s)
		return b
	}
	text := base64.StdEncoding.EncodeToString
	metadata := []byte("key_version=1")
	aad := bytes("additionalAuthenticatedData")
	bound := append(append([]byte{byte(len(aad) >> 8), byte(len(aad))}, aad...), byte(len(metadata)))
	bound = append(bound, metadata...)
	switch op {
	case "metadata":
		return 200, map[string]any{"keySpec": "AES_256", "keyUsage": []string{"ENCRYPT", "DECRYPT"}, "keyStatus": "ENABLED"}
	case "encrypt":
		iv := make([]byte, 12)
		rand.Read(iv)
		sealed := key.Seal(nil, iv, bytes("plaintext"), bound)
		ct, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
		h := sha256.New()
		for _, b := range [][]byte{aad, metadata, iv, ct, tag} {
			h.Write(b)
		}
		return 200, map[string]any{"ciphertext": text(ct), "authenticationTag": text(tag), "initializationVector": text(iv),
			"ciphertextMetadata": text(metadata), "ciphertextDataIntegrityValue": text(h.Sum(nil))}
	}
	plain, err := key.Open(nil, bytes("initializationVector"), append(bytes("ciphertext"), bytes("authenticationTag")...), bound)
	if err != nil || string(bytes("ciphertextMetadata")) != string(metadata) {
		return 400, map[string]any{"errorName": "InvalidCiphertextException"}
	}
	return 200, map[string]any{"plaintext": text(plain)}
}

// last is the newest request of the proxy.
func (p *ekm) last() map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) == 0 {
		p.t.Fatal("the proxy saw no request")
	}
	return p.seen[len(p.seen)-1]
}

// external is a world with a proxy and an administrator.
func external(t *testing.T) (*world, *ekm, *who) {
	t.Helper()
	p := newEKM(t, "ext-1", "ext-2", "ext-3")
	w := newWorld(t)
	w.ekm = p.client(10 * time.Second)
	w.restart()
	return w, p, w.root(owner)
}

func storeRequest(name string) *kmsapi.CreateCustomKeyStoreRequest {
	return &kmsapi.CreateCustomKeyStoreRequest{
		CustomKeyStoreName: &name, CustomKeyStoreType: new("EXTERNAL_KEY_STORE"), XksProxyConnectivity: new("PUBLIC_ENDPOINT"),
		XksProxyUriEndpoint: new(proxyHost), XksProxyUriPath: new(proxyPath),
		XksProxyAuthenticationCredential: &kmsapi.XksProxyAuthenticationCredentialType{
			AccessKeyId: new(secret.String(proxyKeyID)), RawSecretAccessKey: new(secret.String(proxySecret)),
		},
	}
}

func (c *who) newStore(name string) string {
	c.w.t.Helper()
	return *get[kmsapi.CreateCustomKeyStoreResponse](c, storeRequest(name)).CustomKeyStoreId
}

// connected is a new store that is connected.
func (c *who) connected(name string) string {
	c.w.t.Helper()
	id := c.newStore(name)
	c.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	check(c.w.t, c.w.clock.Wait(c.w.t.Context()))
	if st := c.store(id); *st.ConnectionState != "CONNECTED" {
		c.w.t.Fatalf("the store is %s, %v", *st.ConnectionState, st.ConnectionErrorCode)
	}
	return id
}

func (c *who) store(id string) *kmsapi.CustomKeyStoresListEntry {
	c.w.t.Helper()
	out := get[kmsapi.DescribeCustomKeyStoresResponse](c, &kmsapi.DescribeCustomKeyStoresRequest{CustomKeyStoreId: &id})
	if len(out.CustomKeyStores) != 1 {
		c.w.t.Fatalf("%d stores", len(out.CustomKeyStores))
	}
	return &out.CustomKeyStores[0]
}

func externalKey(store, key string) *kmsapi.CreateKeyRequest {
	return &kmsapi.CreateKeyRequest{Origin: new("EXTERNAL_KEY_STORE"), CustomKeyStoreId: &store, XksKeyId: &key}
}
