package bolt_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

var payload = make([]byte, 200)

func key(i uint64) string {
	return string(binary.BigEndian.AppendUint64(nil, i*0x9e3779b97f4a7c15)) // spread over the pages
}

// rawCommit is the time of a bbolt commit of one value, one after another.
func rawCommit(b *testing.B) time.Duration {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const n = 500
	start := time.Now()
	for i := range n {
		err := db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return bucket.Put([]byte(key(uint64(i))), payload)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / n
}

// BenchmarkUpdate shows durable updates; x-raw is how many of them take place in the time of one
// bare bbolt commit, measured in the same run.
func BenchmarkUpdate(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", workers), func(b *testing.B) {
			raw := rawCommit(b)
			s := open(b, bolt.Config{})
			var next atomic.Uint64
			var all sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range workers {
				all.Go(func() {
					for {
						i := next.Add(1)
						if i > uint64(b.N) {
							return
						}
						err := s.Update(b.Context(), func(tx store.Tx) error { return tx.Put("b", key(i), payload) })
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			each := b.Elapsed() / time.Duration(b.N)
			st := s.Stats()
			b.ReportMetric(float64(raw.Nanoseconds()), "raw-ns/commit")
			b.ReportMetric(float64(raw)/float64(max(each, 1)), "x-raw")
			b.ReportMetric(float64(st.Updates)/float64(st.Commits), "updates/commit")
		})
	}
}

// filled is a store with n values.
func filled(b *testing.B, n uint64) *bolt.Store {
	b.Helper()
	s := open(b, bolt.Config{NoSync: true})
	for i := uint64(0); i < n; {
		err := s.Update(b.Context(), func(tx store.Tx) error {
			for range store.MaxOps {
				if err := tx.Put("b", key(i), payload); err != nil {
					return err
				}
				i++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkViewGet(b *testing.B) {
	const n = 10_000
	s := filled(b, n)
	one := func(i uint64) {
		err := s.View(b.Context(), func(tx store.Tx) error {
			_, ok, err := tx.Get("b", key(i%n))
			if !ok {
				b.Error("lost")
			}
			return err
		})
		if err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		i := uint64(0)
		for b.Loop() {
			i++
			one(i)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var i atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one(i.Add(1))
			}
		})
	})
}

// BenchmarkViewGet10 shows what a Get costs once the View is there.
func BenchmarkViewGet10(b *testing.B) {
	const n = 10_000
	s := filled(b, n)
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		err := s.View(b.Context(), func(tx store.Tx) error {
			for range 10 {
				i++
				if _, _, err := tx.Get("b", key(i%n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan100(b *testing.B) {
	s := filled(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		err := s.View(b.Context(), func(tx store.Tx) error {
			for _, err := range tx.Scan("b", store.Range{Limit: 100}) {
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
