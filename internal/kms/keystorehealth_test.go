package kms_test

import (
	"bytes"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// logged collects what the service logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.b.Bytes(), []byte(text))
}

// healthChecks counts the periodic checks that a proxy saw.
func (p *ekm) healthChecks() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range p.seen {
		m, _ := in["requestMetadata"].(map[string]any)
		if m["kmsOperation"] == "KmsHealthCheck" {
			n++
		}
		if m["kmsOperation"] == "KmsHealthCheck" && (m["kmsRequestId"] == "" || m["awsPrincipalArn"] != nil || m["kmsKeyArn"] != nil) {
			p.t.Errorf("a health check told of %v", m)
		}
	}
	return n
}

// Source: XKS Proxy API Specification, "GetHealthStatus": KMS asks every few minutes, whatever comes
// of it.
func TestProxiesAreAskedForTheirHealth(t *testing.T) {
	w, p, root := external(t)
	var wall atomic.Int64
	log := &logged{}
	w.wall, w.log = func() time.Time { return time.Unix(wall.Load(), 0) }, log
	wall.Store(1e9)
	w.restart()
	pass := func() {
		t.Helper()
		wall.Add(300)
		check(t, w.clock.Advance(t.Context(), 5*time.Minute))
	}
	root.newStore("never connected")
	pass()
	if n := p.healthChecks(); n != 0 {
		t.Errorf("%d health checks without a connected store", n)
	}
	in := storeRequest("store")
	in.XksProxyUriEndpoint = new("https://a.example.com")
	id := *get[kmsapi.CreateCustomKeyStoreResponse](root, in).CustomKeyStoreId
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	check(t, w.clock.Wait(t.Context()))
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	pass()
	pass()
	if n := p.healthChecks(); n != 2 {
		t.Errorf("%d health checks in ten minutes, want 2", n)
	}
	p.set(func() { p.fail, p.status = "InternalException", http.StatusInternalServerError })
	pass()
	pass()
	if st := root.store(id); *st.ConnectionState != "CONNECTED" || st.ConnectionErrorCode != nil {
		t.Errorf("a failed check made the store %s", *st.ConnectionState)
	}
	p.set(func() { p.fail = "" })
	root.encrypt(key, "x", nil) // it was never disconnected
	pass()
	pass()
	if bad, good := log.count("is not healthy"), log.count("healthy again"); bad != 1 || good != 1 {
		t.Errorf("logged %d times that it failed and %d that it recovered", bad, good)
	}
	before := p.healthChecks()
	check(t, w.clock.Advance(t.Context(), 24*time.Hour)) // no wall time passes
	if n := p.healthChecks() - before; n > 1 {
		t.Errorf("a day of service time at once asked %d times", n)
	}
	w.restart() // and goes on after a restart
	before = p.healthChecks()
	pass()
	if n := p.healthChecks() - before; n < 1 {
		t.Error("no health check after a restart")
	}
	root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	before = p.healthChecks()
	pass()
	pass()
	if n := p.healthChecks() - before; n != 0 {
		t.Errorf("%d health checks of a store that is disconnected", n)
	}
}

// Source: KMS Developer Guide, "Connect and disconnect external key stores".
func TestDisconnectingWaitsForRequests(t *testing.T) {
	w, p, root := external(t)
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	arrived, answer := make(chan struct{}), make(chan struct{})
	p.set(func() {
		p.before = func(http.ResponseWriter, *http.Request) bool {
			close(arrived)
			<-answer
			return false
		}
	})
	done := make(chan error, 1)
	go func() { done <- root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}) }()
	<-arrived
	root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	if st := root.store(id); *st.ConnectionState != "DISCONNECTING" {
		t.Errorf("the store is %s while a request is under way", *st.ConnectionState)
	}
	if m := root.describe(key); *m.KeyState != "Unavailable" {
		t.Errorf("the key is %s", *m.KeyState)
	}
	wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), "KMSInvalidStateException", notConnected)
	for _, in := range []any{
		&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id}, &kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id},
		&kmsapi.DeleteCustomKeyStoreRequest{CustomKeyStoreId: &id}, externalKey(id, "ext-2"),
		&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, NewCustomKeyStoreName: new("other")},
	} {
		wantErr(t, root.try(in), "CustomKeyStoreInvalidStateException", "*")
	}
	p.set(func() { p.before = nil })
	close(answer)
	if err := <-done; err != nil {
		t.Errorf("a request that was under way: %v", err)
	}
	check(t, w.clock.Wait(t.Context()))
	if st := root.store(id); *st.ConnectionState != "DISCONNECTED" {
		t.Errorf("the store is %s", *st.ConnectionState)
	}
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	check(t, w.clock.Wait(t.Context()))
	root.encrypt(key, "x", nil)
}

// A store that was disconnecting when its state could not be saved is disconnected by the next start.
func TestDisconnectingGoesOnAfterARestart(t *testing.T) {
	w, p, root := external(t)
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	arrived, answer := make(chan struct{}), make(chan struct{})
	p.set(func() {
		p.before = func(http.ResponseWriter, *http.Request) bool {
			close(arrived)
			<-answer
			return false
		}
	})
	done := make(chan error, 1)
	go func() { done <- root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}) }()
	<-arrived
	root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	w.disk.full.Store(true)
	close(answer)
	<-done
	check(t, w.clock.Wait(t.Context()))
	w.disk.full.Store(false)
	if st := root.store(id); *st.ConnectionState != "DISCONNECTING" {
		t.Errorf("the store is %s", *st.ConnectionState)
	}
	w.restart()
	check(t, w.clock.Wait(t.Context()))
	if st := root.store(id); *st.ConnectionState != "DISCONNECTED" {
		t.Errorf("the store is %s after a restart", *st.ConnectionState)
	}
}

// Source: KMS Developer Guide, "Request quotas", custom key store request quotas.
func TestRequestsOfAKeyStoreAreLimited(t *testing.T) {
	w, p, root := external(t)
	var wall atomic.Int64
	wall.Store(1e9)
	w.wall = func() time.Time { return time.Unix(0, wall.Load()) }
	w.restart()
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	p.set(func() { p.keys["ext-1"] = nil }) // answers fast, and counts all the same
	in := &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}
	for range 1800 {
		wantErr(t, root.try(in), "KMSInvalidStateException", "*")
	}
	wantErr(t, root.try(in), "ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
	wall.Add(int64(time.Second / 1800 * 2))
	wantErr(t, root.try(in), "KMSInvalidStateException", "*")
	wantErr(t, root.try(in), "ThrottlingException", "*")
	root.must(&kmsapi.EncryptRequest{KeyId: new(root.newKey()), Plaintext: []byte("x")}) // others are not concerned
}
