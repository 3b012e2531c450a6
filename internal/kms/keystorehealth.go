package kms

import (
	"context"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

const (
	// healthEvery is how often proxies of connected stores are asked for their health.
	// Source: XKS Proxy API Specification, "GetHealthStatus": every few minutes.
	healthEvery = 5 * time.Minute
	// healthPause is the least wall time between two rounds: service time that is moved by days asks
	// nobody thousands of times.
	healthPause = time.Second
)

// health is how the proxies of connected stores were when they were asked last.
type health struct {
	mu     sync.Mutex // guards the rest
	timer  bool
	last   time.Time       // wall time of the last round
	failed map[string]bool // by store
}

// watchHealth has the proxies of connected stores asked from now on. Like AWS's, the checks leave the
// connection state as it is: they are there to be seen, in the log.
func (s *Service) watchHealth() {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if !s.health.timer {
		s.health.timer = true
		s.clock.AfterFunc(healthEvery, s.checkHealth)
	}
}

// checkHealth asks the proxies of all connected stores, and comes again while there are any.
func (s *Service) checkHealth() {
	ctx := context.Background()
	connected, err := s.storesThat(ctx, kmsapi.ConnectionStateTypeCONNECTED)
	store.Report(ctx, s.log, "the health of external key stores was not checked", err)
	now := s.wall()
	s.health.mu.Lock()
	s.health.timer = false
	due := now.Sub(s.health.last) >= healthPause
	if due {
		s.health.last = now
	}
	s.health.mu.Unlock()
	if err != nil || len(connected) > 0 {
		s.watchHealth()
	}
	if !due {
		return
	}
	for i := range connected {
		st := &connected[i]
		p, err := s.proxyOf(st)
		if err == nil {
			_, err = s.ekm.Health(ctx, p, xks.RequestMetadata{Operation: "KmsHealthCheck", RequestID: guard.NewRequestID()})
		}
		s.noteHealth(st, err)
	}
}

// noteHealth logs a change.
func (s *Service) noteHealth(st *storeRecord, err error) {
	s.health.mu.Lock()
	before := s.health.failed[st.ID]
	if err != nil {
		s.health.failed[st.ID] = true
	} else {
		delete(s.health.failed, st.ID)
	}
	s.health.mu.Unlock()
	switch {
	case err != nil && !before:
		s.log.Warn("the proxy of an external key store is not healthy", "store", st.ID, "error", err)
	case err == nil && before:
		s.log.Info("the proxy of an external key store is healthy again", "store", st.ID)
	}
}

// storesThat are the stores in one of the states.
func (s *Service) storesThat(ctx context.Context, states ...string) (found []storeRecord, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) error {
		found = nil
		for r, err := range storeTable.Scan(tx) {
			if err != nil {
				return err
			}
			for _, state := range states {
				if r.Value.State == state {
					found = append(found, r.Value)
				}
			}
		}
		return nil
	})
	return found, err
}
