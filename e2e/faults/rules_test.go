//go:build linux

package faults_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/disk"
)

// onDisk is a furnished world on a disk of the test, whose server may complain: faults are what it complains of.
func onDisk(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if err := w.startOn(nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.srv.Kill() })
	if err := w.furnish(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, w.srv.Tail(2000))
	}
	return w
}

// write has the writers write for a while. Refusals of the service are no reason to stop.
func (w *world) write(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.storm(ctx, true) }()
	time.Sleep(d)
	cancel()
	must(t, <-over)
}

// again ends the server and starts it on the real disk, and has everything checked.
func (w *world) again(t *testing.T) {
	t.Helper()
	w.srv.Kill()
	w.disk.Wait()
	for _, odd := range w.disk.Odd() {
		t.Errorf("the disk did not understand: %s", odd)
	}
	if panicked(w.srv.Log()) {
		t.Errorf("the server panicked:\n%s", w.srv.Tail(3000))
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	must(t, w.promised(end, 0, 0))
	must(t, w.disks(end))
	must(t, w.consistent())
	must(t, w.settled())
	must(t, w.trouble())
	w.srv.Stop()
	must(t, w.offline())
	must(t, w.start())
}

func panicked(log string) bool {
	return strings.Contains(log, "goroutine ") || strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE")
}

// TestFullDisk fills the disk under writers, gives room, and fills it again: what has no room is refused with an
// error of the service, and works again as soon as there is room; nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	w := onDisk(t)
	w.refuses = true
	var room atomic.Int64
	var refusals atomic.Int64
	w.disk.Obey(func(s disk.Step, pages int) disk.Answer {
		if pages > 0 && room.Add(-int64(pages)) < 0 {
			refusals.Add(1)
			return disk.Answer{Err: syscall.ENOSPC}
		}
		return disk.Answer{}
	})
	for round := range times(2, 30) {
		room.Store(int64(20 + 40*round))
		w.write(t, 500*time.Millisecond)
		before := refusals.Load()
		room.Store(0)
		w.write(t, time.Second)
		if refusals.Load() == before {
			t.Error("the disk was never full")
		}
		deny := w.full(t)
		room.Store(1 << 30)
		w.recovers(t)
		if t.Failed() {
			t.Fatalf("round %d (refused: %v); the server's log:\n%s", round, deny, w.srv.Tail(4000))
		}
		must(t, w.promised(end, 0, 0))
	}
	w.again(t)
	t.Logf("%d refusals of the disk, %d registers", refusals.Load(), len(w.ledger.all()))
}

// full asks for changes until one is refused, which has to come soon on a disk without room.
func (w *world) full(t *testing.T) error {
	t.Helper()
	for range 2000 {
		_, err := w.kms.CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err == nil {
			w.things.creates.Add(1)
			continue
		}
		var status interface{ HTTPStatusCode() int }
		if c := code(err); c != "KMSInternalException" && c != "InternalFailure" || !errors.As(err, &status) || status.HTTPStatusCode() != 500 {
			t.Errorf("a change that has no room: %v", err)
		}
		return err
	}
	t.Error("2000 keys were made on a full disk")
	return nil
}

// recovers waits for the server to make changes again.
func (w *world) recovers(t *testing.T) {
	t.Helper()
	var err error
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if _, err = w.kms.CreateKey(t.Context(), &kms.CreateKeyInput{}); err == nil {
			w.things.creates.Add(1)
			return
		}
	}
	t.Errorf("there is room again, and still: %v", err)
}

// of reports whether a step is of a file of the data directory.
func (w *world) of(s disk.Step, part string) bool {
	return strings.Contains(w.disk.Name(s.File), part)
}

// TestFsyncThatFails has one fsync fail, of the store, the log, or a volume, and the next ones succeed: the system
// may have forgotten by then what it did not write, so nobody may be told that it is there.
func TestFsyncThatFails(t *testing.T) {
	for _, part := range []string{"store.db", "trail/", "volumes/", "snapshots/"} {
		for n := range times(1, 12) {
			t.Run(strings.TrimSuffix(part, "/"), func(t *testing.T) { fsyncFails(t, part, n) })
		}
	}
}

func fsyncFails(t *testing.T, part string, n int) {
	w := onDisk(t)
	w.refuses = true
	var failed, passed atomic.Int64
	w.disk.Obey(func(s disk.Step, _ int) disk.Answer {
		mine := s.Kind == disk.Sync && w.of(s, part) || s.Kind == disk.SyncDir && strings.Contains(s.Name+"/", part)
		if mine && failed.Load() == 0 && passed.Add(1) > int64(n*3) {
			failed.Add(1)
			return disk.Answer{Err: syscall.EIO}
		}
		return disk.Answer{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- w.storm(ctx, true) }()
	select {
	case <-w.srv.Ended(): // to stop is right
		cancel()
		<-over // the writers saw it end
	case err := <-over:
		must(t, err)
	}
	if part == "trail/" { // it says that it needs another start, and refuses what it cannot record
		if res, err := http.Get(w.srv.URL + "/_kagimori/health"); err != nil || res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("health after an fsync of the log failed: %v, %v", res, err)
		}
		if _, err := w.kms.ListKeys(t.Context(), &kms.ListKeysInput{}); code(err) != "InternalFailure" {
			t.Errorf("a request that cannot be recorded: %v", err)
		}
	}
	if failed.Load() == 0 {
		t.Fatalf("no fsync of %s was made", part)
	}
	w.srv.Kill()
	w.disk.Wait()
	if panicked(w.srv.Log()) {
		t.Errorf("the server panicked:\n%s", w.srv.Tail(3000))
	}
	// What was written before the failed fsync never reached the disk, whatever a later one said.
	folder := t.TempDir()
	if err := w.disk.Cut(w.disk.Len(), disk.All, nil).Write(folder); err != nil {
		t.Fatal(err)
	}
	v := w.at(folder + "/data")
	if err := v.start(); err != nil {
		t.Fatal(err)
	}
	defer func() { v.srv.Kill() }()
	must(t, v.promised(end, 0, 0))
	must(t, v.disks(end))
	must(t, v.consistent())
	if t.Failed() {
		t.Logf("the server's log:\n%s", w.srv.Tail(3000))
	}
}

// TestSlowDisk has each fsync and some writes take long: requests wait and succeed, reads go on, and nothing is
// reordered.
func TestSlowDisk(t *testing.T) {
	w := onDisk(t)
	var slow atomic.Int64
	w.disk.Obey(func(s disk.Step, _ int) disk.Answer {
		if s.Kind == disk.Sync {
			slow.Add(1)
			return disk.Answer{Wait: 150 * time.Millisecond}
		}
		return disk.Answer{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.storm(ctx, false) }()
	var longest time.Duration
	for until := time.Now().Add(time.Duration(times(2, 30)) * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		begun := time.Now()
		_, err := w.kms.ListAliases(t.Context(), &kms.ListAliasesInput{Limit: aws.Int32(1)})
		must(t, err)
		longest = max(longest, time.Since(begun))
	}
	w.srv.Kill()
	cancel()
	must(t, <-over)
	must(t, w.trouble())
	if slow.Load() == 0 {
		t.Error("no fsync was slow")
	}
	n := w.ledger.acknowledged(end)
	w.again(t)
	t.Logf("%d slow fsyncs, %d changes acknowledged; the longest read took %s", slow.Load(), n, longest.Round(time.Millisecond))
}
