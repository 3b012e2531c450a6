package soft_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// board is a shared place in memory.
type board struct {
	mu   sync.Mutex
	data []byte
}

func (b *board) Load() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.data), nil
}

func (b *board) Swap(old, fresh []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !bytes.Equal(old, b.data) {
		return soft.ErrSealChanged
	}
	b.data = bytes.Clone(fresh)
	return nil
}

func (b *board) Name() string { return "the board" }

// Two nodes share a seal: an epoch that one begins and ends the other adopts.
func TestSharedSeal(t *testing.T) {
	ctx := t.Context()
	place := &board{}
	s := soft.Seal{Shared: place}
	lock := soft.PlainLock{}
	if _, err := soft.Unseal(ctx, s, lock); !errors.Is(err, soft.ErrNoSeal) {
		t.Fatalf("without a seal: %v", err)
	}
	a, err := soft.Create(ctx, s, lock)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := soft.Create(ctx, s, lock); !errors.Is(err, soft.ErrSealExists) {
		t.Fatalf("a second one: %v", err)
	}
	b, err := soft.Unseal(ctx, s, lock)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := a.BeginEpoch(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.BeginEpoch(ctx); !errors.Is(err, soft.ErrSealChanged) {
		t.Fatalf("an epoch on top of an old seal: %v", err)
	}
	adopt := func(locks ...soft.Lock) error { return b.Adopt(ctx, place.data, locks...) }
	if err := adopt(); err != nil {
		t.Fatal(err)
	}
	if got := b.Epochs(); len(got) != 2 || b.Generation() != a.Generation() {
		t.Errorf("adopted: epochs %v, generation %d", got, b.Generation())
	}
	if err := errors.Join(a.EndEpochs(ctx), adopt(), b.Forget(), a.Forget()); err != nil {
		t.Fatal(err)
	}
	if got := b.Epochs(); len(got) != 1 || got[0] != 2 {
		t.Errorf("after the end of the first: %v", got)
	}
	if err := errors.Join(a.RenewSessions(ctx, time.Now(), false), adopt()); err != nil {
		t.Fatal(err)
	}
	if got := b.SessionKeys(); !slices.Equal(got, a.SessionKeys()) || len(got) != 2 {
		t.Errorf("session keys %v; want %v", got, a.SessionKeys())
	}
	if err := a.Reseal(ctx, lock); err != nil {
		t.Fatal(err)
	}
	if err := adopt(); !errors.Is(err, soft.ErrOtherLocks) {
		t.Errorf("a seal made anew, without a lock: %v", err)
	}
	if err := adopt(lock); err != nil {
		t.Errorf("a seal made anew, with its lock: %v", err)
	}
	if err := b.AddLock(ctx, lock); err != nil {
		t.Errorf("the second node changes it then: %v", err)
	}
}
