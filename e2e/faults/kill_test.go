//go:build linux

package faults_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// TestKills kills a server at random moments, under clients that change everything that there is to change. After each
// kill everything that was acknowledged is there, and nothing in part.
func TestKills(t *testing.T) {
	w := newWorld(t)
	must(t, w.start())
	defer func() { w.srv.Kill() }()
	must(t, w.furnish(t.Context()))
	kills := times(3, 300)
	seen := 0
	for round := range kills {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.storm(ctx, false) }()
		w.writing()
		time.Sleep(time.Duration(rand.IntN(1200)) * time.Millisecond) // a random moment is the test
		w.srv.Kill()
		cancel()
		err := <-done
		must(t, err)
		must(t, w.trouble())
		must(t, w.start())
		since := seen
		seen = len(w.ledger.all())
		must(t, w.promised(end, since, 30))
		must(t, w.disks(end))
		must(t, w.consistent())
		if round%10 == 9 || round == kills-1 {
			must(t, w.settled())
			w.srv.Kill()
			must(t, w.offline())
			must(t, w.start())
		}
		if t.Failed() {
			t.Fatalf("after %d kills; the end of the server's log:\n%s", round+1, w.srv.Tail(3000))
		}
	}
	must(t, w.promised(end, 0, 0))
	must(t, w.settled())
	w.srv.Stop()
	must(t, w.trouble())
	must(t, w.offline())
	must(t, w.start()) // for the end
	t.Logf("%d kills; %d registers, %d keys, %d sector writes flushed: all there", kills, seen, w.things.creates.Load(), w.sectors.acknowledged(end))
	if seen == 0 || w.sectors.acknowledged(end) == 0 {
		t.Error("nothing was acknowledged")
	}
}

// writing waits until sectors and something else were acknowledged that were not before.
func (w *world) writing() {
	sectors, others := w.sectors.acknowledged(end), w.ledger.acknowledged(end)
	for range 3000 {
		if w.sectors.acknowledged(end) > sectors && w.ledger.acknowledged(end) > others {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
