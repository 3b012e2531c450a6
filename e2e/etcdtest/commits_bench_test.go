package etcdtest_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/kagimori/kagimori/e2e/etcdtest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

// BenchmarkCommits compares updates of the store over etcd, of 32 callers, with etcd's own transactions that put
// one key of the same size, of as many callers and on the same member, which waits for its disk; they take turns.
// The metrics: "store/s" and "raw/s" are what each does in a second, "of-raw" the one by the other. The store
// does more: what a change has read is compared in its transaction, and it is numbered.
func BenchmarkCommits(b *testing.B) {
	c, err := etcdtest.StartWith(b.TempDir(), 1, func(cfg *embed.Config) { cfg.UnsafeNoFsync = false })
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := etcd.Open(b.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: "bench/"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	raw, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	var n atomic.Int64
	ctx, value := context.Background(), make([]byte, 400)
	key := func() string { return fmt.Sprintf("%016x", uint64(n.Add(1))*0x9e3779b97f4a7c15) }
	sides := []func() error{
		func() error {
			k := key()
			return s.Update(ctx, func(tx store.Tx) error { return tx.Put("b", k, value) })
		},
		func() error {
			_, err := raw.Txn(ctx).Then(clientv3.OpPut("raw/"+key(), string(value))).Commit()
			return err
		},
	}
	const turn = 1000
	for _, do := range sides {
		together(b, turn, do)
	}
	took := make([]time.Duration, len(sides))
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		for i, do := range sides {
			began := time.Now()
			together(b, min(turn, left), do)
			took[i] += time.Since(began)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took[0].Seconds(), "store/s")
	b.ReportMetric(float64(b.N)/took[1].Seconds(), "raw/s")
	b.ReportMetric(float64(took[1])/float64(took[0]), "of-raw")
}

// together calls n times, from 32 goroutines.
func together(b *testing.B, n int, do func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
