package etcdtest_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

func put(t *testing.T, s store.Store, key, data string) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", key, []byte(data)) }); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s store.Store, key string) (data string, err error) {
	t.Helper()
	err = s.View(t.Context(), func(tx store.Tx) error {
		v, ok, err := tx.Get("b", key)
		if data = string(v.Data); !ok {
			data = "-"
		}
		return err
	})
	return data, err
}

func get(t *testing.T, s store.Store, key string) string {
	t.Helper()
	data, err := read(t, s, key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// eventually waits for what other nodes do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("did not come about: %s", what)
}

// What one node wrote another one shows within the bound, and at once if reads are linearizable.
func TestVisible(t *testing.T) {
	cfg := etcd.Config{Prefix: place()}
	a := open(t, cfg)
	cfg.Staleness = time.Second
	b := open(t, cfg)
	cfg.Linearizable, cfg.Staleness = true, 0
	c := open(t, cfg)
	worst := time.Duration(0)
	for i := range 50 {
		put(t, a, "k", strconv.Itoa(i))
		began := time.Now()
		if got := get(t, c, "k"); got != strconv.Itoa(i) {
			t.Fatalf("a linearizable read shows %s; want %d", got, i)
		}
		eventually(t, fmt.Sprintf("change %d", i), func() bool {
			asked := time.Now()
			got, err := read(t, b, "k")
			if err == nil && got != strconv.Itoa(i) && asked.Sub(began) > time.Second {
				t.Fatalf("%s is told %s after change %d", got, asked.Sub(began), i)
			}
			if err != nil && !errors.Is(err, store.ErrUnavailable) { // it does not know, and says so
				t.Fatal(err)
			}
			return err == nil && got == strconv.Itoa(i)
		})
		worst = max(worst, time.Since(began))
	}
	t.Logf("seen after at most %s", worst)
}

// Increments on several nodes lose nothing, and an update whose read was of the past runs again even if
// it writes nothing or fails.
func TestNodesSerializable(t *testing.T) {
	cfg := etcd.Config{Prefix: place()}
	nodes := []*etcd.Store{open(t, cfg), open(t, cfg), open(t, cfg)}
	var wg sync.WaitGroup
	for _, n := range nodes {
		for range 3 {
			wg.Go(func() {
				for range 20 {
					err := n.Update(t.Context(), func(tx store.Tx) error {
						v, _, err := tx.Get("b", "n")
						i, _ := strconv.Atoi(string(v.Data))
						return errors.Join(err, tx.Put("b", "n", []byte(strconv.Itoa(i+1))))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	err := nodes[0].Update(t.Context(), func(tx store.Tx) error {
		v, _, err := tx.Get("b", "n")
		if string(v.Data) != "180" {
			return fmt.Errorf("a counter of 180 steps is %s", v.Data)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// during runs an update on one node, and what happens on another while its closure runs first.
func during(t *testing.T, on store.Store, first func(), fn func(tx store.Tx) error) (runs int, err error) {
	t.Helper()
	err = on.Update(t.Context(), func(tx store.Tx) error {
		err := fn(tx)
		if runs++; runs == 1 {
			first()
		}
		return err
	})
	return runs, err
}

// A range that was read notices what comes, changes and goes in it, and nothing beside it.
func TestRanges(t *testing.T) {
	cfg := etcd.Config{Prefix: place()}
	a, b := open(t, cfg), open(t, cfg)
	scan := func(r store.Range, most int) func(store.Tx) error {
		return func(tx store.Tx) error {
			n := 0
			for _, err := range tx.Scan("b", r) {
				if err != nil {
					return err
				}
				if n++; n == most {
					break
				}
			}
			return tx.Put("b", "result", []byte(strconv.Itoa(n)))
		}
	}
	del := func(key string) func() {
		return func() {
			if err := b.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("b", key) }); err != nil {
				t.Error(err)
			}
		}
	}
	set := func(key string) func() { return func() { put(t, b, key, "x") } }
	for _, tt := range []struct {
		name string
		r    store.Range
		most int
		do   func()
		runs int
		want string
	}{
		{"insert", store.Range{Prefix: "k"}, 0, set("k5"), 2, "5"},
		{"change", store.Range{Prefix: "k"}, 0, set("k1"), 2, "4"},
		{"delete", store.Range{Prefix: "k"}, 0, del("k1"), 2, "3"},
		{"delete of nothing there", store.Range{Prefix: "m"}, 0, del("m"), 2, "0"},
		{"beside", store.Range{Prefix: "k"}, 0, set("l"), 1, "4"},
		{"beyond the limit", store.Range{Prefix: "k", Limit: 2}, 0, set("k5"), 1, "2"},
		{"within the limit", store.Range{Prefix: "k", Limit: 2}, 0, set("k15"), 2, "2"},
		{"beyond where the loop ended", store.Range{Prefix: "k"}, 2, set("k5"), 1, "2"},
		{"before where it ended", store.Range{Prefix: "k"}, 2, set("k0"), 2, "2"},
		{"beyond, in reverse", store.Range{Prefix: "k", Reverse: true}, 2, set("k1"), 1, "2"},
		{"before, in reverse", store.Range{Prefix: "k", Reverse: true}, 2, set("k5"), 2, "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, k := range []string{"k0", "k15", "k5"} {
				del(k)()
			}
			for i := range 4 {
				put(t, a, fmt.Sprint("k", i+1), "v")
			}
			eventually(t, "both see the same", func() bool { return get(t, b, "k4") == "v" })
			runs, err := during(t, a, tt.do, scan(tt.r, tt.most))
			if err != nil || runs != tt.runs {
				t.Errorf("%d runs, %v; want %d", runs, err, tt.runs)
			}
			if got := get(t, a, "result"); got != tt.want {
				t.Errorf("%s were there; want %s", got, tt.want)
			}
		})
	}
}

// A refusal is not founded on the past either.
func TestFailureIsChecked(t *testing.T) {
	cfg := etcd.Config{Prefix: place()}
	a, b := open(t, cfg), open(t, cfg)
	exists := errors.New("exists")
	put(t, a, "k", "v")
	runs, err := during(t, a, func() {
		if err := b.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("b", "k") }); err != nil {
			t.Error(err)
		}
	}, func(tx store.Tx) error {
		if _, ok, err := tx.Get("b", "k"); ok || err != nil {
			return errors.Join(exists, err)
		}
		return tx.Put("b", "k", []byte("mine"))
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v; want 2 and no error", runs, err)
	}
}

// Tombstones go, and whoever reads ranges meanwhile misses no deletion: two rows are deleted together.
func TestTombstones(t *testing.T) {
	cfg := etcd.Config{Prefix: place(), Grave: 30 * time.Millisecond}
	a, b := open(t, cfg), open(t, cfg)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				err := b.Update(t.Context(), func(tx store.Tx) error {
					x, y := fmt.Sprintf("x%d-%d", w, i%31), fmt.Sprintf("y%d-%d", w, i%31)
					_, there, err := tx.Get("b", x)
					if there {
						return errors.Join(err, tx.Delete("b", x), tx.Delete("b", y))
					}
					return errors.Join(err, tx.Put("b", x, nil), tx.Put("b", y, nil))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		err := a.Update(t.Context(), func(tx store.Tx) error {
			counts := map[byte]int{}
			for p, err := range tx.Scan("b", store.Range{}) {
				if err != nil {
					return err
				}
				counts[p.Key[0]]++
			}
			if counts['x'] != counts['y'] {
				return fmt.Errorf("%d and %d", counts['x'], counts['y'])
			}
			return tx.Put("c", "n", []byte(strconv.Itoa(counts['x'])))
		})
		if err != nil && !errors.Is(err, store.ErrUnavailable) { // too many others change the same
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	for _, half := range []string{"x", "y"} { // a transaction has so many changes at most
		if err := a.Update(t.Context(), func(tx store.Tx) error {
			for p, err := range tx.Scan("b", store.Range{Prefix: half}) {
				if err != nil {
					return err
				}
				if err := tx.Delete("b", p.Key); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "only the other bucket's pair is left", func() bool { return a.Stats().Pairs <= 1 && b.Stats().Pairs <= 1 })
	c := open(t, cfg)
	if n := c.Stats().Pairs; n > 1 {
		t.Errorf("a new node reads %d pairs; want 1 at most", n)
	}
}

func TestLease(t *testing.T) {
	cfg := etcd.Config{Prefix: place(), Lease: 5 * time.Second}
	a, b := open(t, cfg), open(t, cfg)
	la, err := a.Acquire(t.Context(), "work", "a")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *etcd.Lease)
	go func() {
		l, err := b.Acquire(t.Context(), "work", "b")
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	fenced := store.WithFence(t.Context(), la.Fence())
	write := func(tx store.Tx) error { return tx.Put("b", "k", nil) }
	if err := a.Update(fenced, write); err != nil {
		t.Errorf("the holder's update: %v", err)
	}
	select {
	case <-got:
		t.Fatal("two hold the lease")
	case <-time.After(6 * time.Second): // it is kept alive
	}
	la.Release(context.Background())
	lb := <-got
	<-la.Done()
	if err := a.Update(fenced, write); !errors.Is(err, store.ErrFenced) {
		t.Errorf("an update under a lease that is over: %v; want ErrFenced", err)
	}
	if err := a.Update(t.Context(), write); err != nil {
		t.Errorf("an update without a fence: %v", err)
	}
	if err := b.Update(store.WithFence(t.Context(), lb.Fence()), write); err != nil {
		t.Errorf("the new holder's update: %v", err)
	}
	if lb.Fence().Token <= la.Fence().Token {
		t.Errorf("tokens %d, then %d; want a greater one", la.Fence().Token, lb.Fence().Token)
	}
	if _, err := b.Acquire(canceled(t), "work", "b"); err == nil {
		t.Error("a lease was given to somebody who had gone")
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
