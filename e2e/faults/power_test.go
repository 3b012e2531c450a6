//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/disk"
)

// stormOn has a new world's server write on a disk of the test for a while.
func stormOn(t *testing.T, d time.Duration, rule disk.Rule) *world {
	t.Helper()
	w := newWorld(t)
	if err := w.startOn(rule); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.srv.Kill() })
	if err := w.furnish(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, w.srv.Tail(2000))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- w.storm(ctx, false) }()
	w.writing()
	time.Sleep(d)
	w.srv.Kill() // while the writers write
	cancel()
	must(t, <-over)
	w.disk.Wait()
	must(t, w.trouble())
	for _, odd := range w.disk.Odd() {
		t.Errorf("the disk did not understand: %s", odd)
	}
	return w
}

// after starts a server on what a power cut may have left, and checks it.
func (w *world) after(t *testing.T, cut int, loss disk.Loss, rnd *rand.Rand) error {
	t.Helper()
	folder, err := os.MkdirTemp(t.TempDir(), "cut")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := w.disk.Cut(cut, loss, rnd).Write(folder); err != nil {
		return err
	}
	v := w.at(filepath.Join(folder, "data"))
	if err := v.start(); err != nil {
		return err
	}
	defer func() { v.srv.Kill() }()
	if err := v.promised(cut, 0, 0); err != nil {
		return err
	}
	if cut >= w.things.ready {
		if err := v.disks(cut); err != nil {
			return err
		}
	}
	if err := v.consistent(); err != nil {
		return err
	}
	if err := v.trouble(); err != nil {
		return err
	}
	v.srv.Stop()
	v.things = &things{}
	return v.offline()
}

// TestPowerCuts has a server write, and then looks at what the disk may hold had the power failed at some moment: what
// was synced, and of the rest nothing, all, some, or pieces. The server starts on each, with all that was acknowledged.
func TestPowerCuts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	worlds, cuts := times(1, 6), times(6, 60)
	for n := range worlds {
		w := stormOn(t, time.Duration(times(1, 3))*time.Second, nil)
		last, losses := w.disk.Len(), map[disk.Loss]int{}
		for range cuts {
			cut, loss := w.things.ready+rnd.IntN(last-w.things.ready+1), disk.Losses()[rnd.IntN(len(disk.Losses()))]
			if rnd.IntN(6) == 0 {
				cut = rnd.IntN(w.things.ready)
			}
			losses[loss]++
			if err := w.after(t, cut, loss, rnd); err != nil {
				t.Errorf("world %d: a cut after step %d of %d (ready at %d), %s of the rest lost: %v", n, cut, last, w.things.ready, loss, err)
			}
			if t.Failed() {
				if name := os.Getenv("KAGIMORI_FAULTS_STEPS"); name != "" {
					must(t, os.WriteFile(name, []byte(w.disk.Tell(cut)), 0o600))
				}
				break
			}
		}
		t.Logf("world %d: %d steps, %d registers, %d changes and %d sectors acknowledged; cuts: %s", n, last, len(w.ledger.all()),
			w.ledger.acknowledged(end), w.sectors.acknowledged(end), fmt.Sprint(losses))
	}
}

// A disk that says yes to fsync and does nothing loses what was acknowledged: the test sees that.
func TestPowerCutsAreSeen(t *testing.T) {
	w := stormOn(t, time.Second, func(s disk.Step, _ int) disk.Answer {
		return disk.Answer{Forget: s.Kind == disk.Sync || s.Kind == disk.SyncDir}
	})
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, loss := range []disk.Loss{disk.All, disk.Some} {
		if err := w.after(t, w.disk.Len(), loss, rnd); err == nil {
			t.Errorf("nothing was synced and %s was lost, and all is there", loss)
		}
	}
}
