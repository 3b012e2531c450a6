package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/store"
)

// together runs fn in n goroutines at a time.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

var errStay = errors.New("the other one has gone")

// writeSkew has two doctors who may leave only if the other one stays.
func writeSkew(t *testing.T, s store.Store) {
	for round := range 50 {
		bucket := fmt.Sprint("round", round)
		update(t, s, func(tx store.Tx) error {
			return errors.Join(tx.Put(bucket, "0", []byte("here")), tx.Put(bucket, "1", []byte("here")))
		})
		var errs [2]error
		together(2, func(i int) {
			errs[i] = s.Update(t.Context(), func(tx store.Tx) error {
				other, _, err := tx.Get(bucket, strconv.Itoa(1-i))
				if err != nil {
					return err
				}
				if string(other.Data) != "here" {
					return errStay
				}
				return tx.Put(bucket, strconv.Itoa(i), []byte("gone"))
			})
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("round %d: %v and %v; want that exactly one leaves", round, errs[0], errs[1])
		}
	}
}

var errFull = errors.New("full")

// phantom has many who put a key of their own if there are fewer than three.
func phantom(t *testing.T, s store.Store) {
	for round := range 20 {
		prefix := fmt.Sprint(round, "/")
		var mu sync.Mutex
		entered := 0
		together(8, func(i int) {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				there, err := scan(tx, "b", store.Range{Prefix: prefix})
				if err != nil {
					return err
				}
				if len(there) >= 3 {
					return errFull
				}
				return tx.Put("b", prefix+strconv.Itoa(i), nil)
			})
			switch {
			case err == nil:
				mu.Lock()
				entered++
				mu.Unlock()
			case !errors.Is(err, errFull):
				t.Error(err)
			}
		})
		view(t, s, func(tx store.Tx) error {
			there, err := scan(tx, "b", store.Range{Prefix: prefix})
			if len(there) != 3 || entered != 3 {
				t.Fatalf("round %d: %d entered, %d are there; want 3", round, entered, len(there))
			}
			return err
		})
	}
}

// number reads a counter, 0 if there is none.
func number(tx store.Tx, key string) (int, error) {
	v, ok, err := tx.Get("b", key)
	if err != nil || !ok {
		return 0, err
	}
	return strconv.Atoi(string(v.Data))
}

func putNumber(tx store.Tx, key string, n int) error {
	return tx.Put("b", key, []byte(strconv.Itoa(n)))
}

// counter loses no increment, and an update that failed counts nothing.
func counter(t *testing.T, s store.Store) {
	const workers, each = 8, 30
	together(workers, func(int) {
		for i := range each {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				n, err := number(tx, "n")
				if err = errors.Join(err, putNumber(tx, "n", n+1)); err != nil {
					return err
				}
				if i%3 == 0 {
					return errOwn
				}
				return nil
			})
			if (i%3 == 0) != (err == errOwn) {
				t.Errorf("increment %d: %v", i, err)
			}
		}
	})
	want := strconv.Itoa(workers * each * 2 / 3)
	if got, _ := get(t, s, "b", "n"); got != want {
		t.Errorf("counter is %s; want %s", got, want)
	}
}

// transfer moves money about while others look at all of it.
func transfer(t *testing.T, s store.Store) {
	const accounts, each = 6, 100
	update(t, s, func(tx store.Tx) error {
		for i := range accounts {
			if err := putNumber(tx, strconv.Itoa(i), each); err != nil {
				return err
			}
		}
		return nil
	})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				err := s.View(t.Context(), func(tx store.Tx) error {
					total := 0
					for p, err := range tx.Scan("b", store.Range{}) {
						n, convErr := strconv.Atoi(string(p.Data))
						if err = errors.Join(err, convErr); err != nil {
							return err
						}
						total += n
					}
					if total != accounts*each {
						return fmt.Errorf("a snapshot shows %d in all; want %d", total, accounts*each)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	together(6, func(w int) {
		for i := range 30 {
			from, to := strconv.Itoa((w+i)%accounts), strconv.Itoa((w*2+i*3+1)%accounts)
			if from == to {
				continue
			}
			err := s.Update(t.Context(), func(tx store.Tx) error {
				a, errA := number(tx, from)
				b, errB := number(tx, to)
				return errors.Join(errA, errB, putNumber(tx, from, a-1), putNumber(tx, to, b+1))
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	close(done)
	readers.Wait()
}
