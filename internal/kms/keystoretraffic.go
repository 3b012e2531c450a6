package kms

import (
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
)

// storeRate is how many requests a second the keys of one custom key store take.
// Source: KMS Developer Guide, "Request quotas", custom key store request quotas.
const storeRate = 1800

// errStoreRate is the answer to requests beyond that. Source: KMS Developer Guide, "Throttling AWS
// KMS requests".
var errStoreRate = apierr.New("ThrottlingException",
	"You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")

// traffic is what goes to the proxies of key stores. Safe for concurrent use.
type traffic struct {
	wall func() time.Time

	mu     sync.Mutex // guards the rest
	stores map[string]*flow
}

// A flow is the traffic of one store.
type flow struct {
	under   int           // requests under way
	idle    chan struct{} // closed when under is 0; nil while nobody waits
	allowed float64       // requests that may begin at at
	at      time.Time
}

func newTraffic(wall func() time.Time) *traffic {
	return &traffic{wall: wall, stores: map[string]*flow{}}
}

// flow is that of a store. The caller holds mu.
func (t *traffic) flow(id string) *flow {
	f := t.stores[id]
	if f == nil {
		f = &flow{allowed: storeRate, at: t.wall()}
		t.stores[id] = f
	}
	return f
}

// begin counts a request for a store, which lasts until end is called.
func (t *traffic) begin(id string) (end func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, now := t.flow(id), t.wall()
	if d := now.Sub(f.at); d > 0 {
		f.allowed, f.at = min(storeRate, f.allowed+d.Seconds()*storeRate), now
	}
	if f.allowed < 1 {
		return nil, errStoreRate
	}
	f.allowed--
	f.under++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if f.under--; f.under == 0 && f.idle != nil {
			close(f.idle)
			f.idle = nil
		}
	}, nil
}

// idle is closed once no request for a store is under way; nil if there is none.
func (t *traffic) idle(id string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.stores[id]
	if f == nil || f.under == 0 {
		return nil
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	return f.idle
}

// forget drops what is known of a store that was deleted.
func (t *traffic) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stores, id)
}
