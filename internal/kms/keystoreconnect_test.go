package kms_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/xks"
)

// Source: API Reference, XksProxyUriUnreachableException.
func TestHealthOfKeyManagers(t *testing.T) {
	w, p, root := external(t)
	id := root.newStore("store")
	in := storeRequest("another")
	in.XksProxyUriPath = new("/kms/xks/v1")
	for _, c := range []struct {
		states      []string
		store, code string
	}{
		{[]string{"UNAVAILABLE", "UNAVAILABLE"}, "XksProxyUriUnreachableException", "XKS_PROXY_NOT_REACHABLE"},
		{[]string{"ASLEEP"}, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"},
		{make([]string, 11), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"},
		{nil, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"},
		{[]string{"UNAVAILABLE", "DEGRADED"}, "", ""},
	} {
		p.set(func() {
			p.before = func(w http.ResponseWriter, _ *http.Request) bool {
				fleet := []string{}
				for _, state := range c.states {
					fleet = append(fleet, `{"id":"1","model":"m","healthStatus":"`+state+`"}`)
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"xksProxyFleetSize":1,"xksProxyVendor":"v","xksProxyModel":"m","ekmVendor":"e","ekmFleetDetails":[%s]}`, strings.Join(fleet, ","))
				return true
			}
		})
		root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
		check(t, w.clock.Wait(t.Context()))
		if st := root.store(id); api.Val(st.ConnectionErrorCode) != c.code || (*st.ConnectionState == "FAILED") != (c.code != "") {
			t.Errorf("%v: %s, %s", c.states, *st.ConnectionState, api.Val(st.ConnectionErrorCode))
		}
		root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
		if c.store != "" {
			wantErr(t, root.try(in), c.store, "*")
		}
	}
}

// A store that was being connected when the server ended, or when its disk was full, is connected by
// the next one.
func TestConnectingGoesOnAfterARestart(t *testing.T) {
	w, p, root := external(t)
	id := root.newStore("store")
	arrived, answer := make(chan struct{}), make(chan struct{})
	p.set(func() {
		p.before = func(http.ResponseWriter, *http.Request) bool {
			close(arrived)
			<-answer
			return false
		}
	})
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	<-arrived
	if st := root.store(id); *st.ConnectionState != "CONNECTING" || st.ConnectionErrorCode != nil {
		t.Errorf("the store is %s", *st.ConnectionState)
	}
	for _, in := range []any{&kmsapi.DeleteCustomKeyStoreRequest{CustomKeyStoreId: &id}, &kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id}, externalKey(id, "ext-1")} {
		wantErr(t, root.try(in), "CustomKeyStoreInvalidStateException", "*")
	}
	p.set(func() { p.before = nil })
	w.disk.full.Store(true)
	close(answer)
	check(t, w.clock.Wait(t.Context()))
	w.disk.full.Store(false)
	if st := root.store(id); *st.ConnectionState != "CONNECTING" {
		t.Errorf("the store is %s", *st.ConnectionState)
	}
	w.restart()
	check(t, w.clock.Wait(t.Context()))
	if st := root.store(id); *st.ConnectionState != "CONNECTED" {
		t.Errorf("the store is %s", *st.ConnectionState)
	}
}

// A proxy that answers late does not connect a store that was disconnected meanwhile.
func TestDisconnectingWhileConnecting(t *testing.T) {
	w, p, root := external(t)
	id := root.newStore("store")
	arrived, answer := make(chan struct{}), make(chan struct{})
	p.set(func() {
		p.before = func(http.ResponseWriter, *http.Request) bool {
			close(arrived)
			<-answer
			return false
		}
	})
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	<-arrived
	root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	p.set(func() { p.before = nil })
	close(answer)
	check(t, w.clock.Wait(t.Context()))
	if st := root.store(id); *st.ConnectionState != "DISCONNECTED" {
		t.Errorf("the store is %s", *st.ConnectionState)
	}
}

func TestProxiesThatCannotBeReached(t *testing.T) {
	w, p, root := external(t)
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	encrypt := &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}
	w.run("slow", func(t *testing.T) {
		end := make(chan struct{})
		p.set(func() {
			p.before = func(_ http.ResponseWriter, r *http.Request) bool {
				select {
				case <-end:
				case <-r.Context().Done():
				}
				return true
			}
		})
		w.ekm = p.client(100 * time.Millisecond)
		w.restart()
		wantErr(t, root.try(encrypt), "KMSInvalidStateException",
			"AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator.")
		close(end)
		p.set(func() { p.before = nil })
	})
	w.run("a certificate of nobody", func(t *testing.T) {
		w.ekm = xks.NewClient(xks.ClientConfig{Outbound: outbound.New(outbound.Config{
			Roots: x509.NewCertPool(), Connect: map[string]string{"example.com": p.srv.Listener.Addr().String()},
		}), Patience: 10 * time.Second})
		w.restart()
		wantErr(t, root.try(encrypt), "KMSInvalidStateException",
			"AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate.")
	})
	w.run("nobody listens", func(t *testing.T) {
		w.ekm = p.client(10 * time.Second)
		w.restart()
		p.srv.CloseClientConnections()
		p.srv.Close()
		const text = "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you see this error repeatedly, verify that your external key store proxy is active and is connected to the network, and that its endpoint URI is correct in your external keystore."
		wantErr(t, root.try(encrypt), "KMSInvalidStateException", text)
		in := storeRequest("b")
		in.XksProxyUriPath = new("/kms/xks/v1")
		wantErr(t, root.try(in), "XksProxyUriUnreachableException", text)
	})
}
