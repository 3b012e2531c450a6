package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
)

// fullKey is how many grants a key gets here; it may have 50,000.
const fullKey = 40_000

// BenchmarkCommits compares CreateGrant over HTTP to what the store itself can commit, of as many callers: "raw"
// are transactions that put one record of 400 bytes, and "same" those that put records as large as a grant, its
// entry in an index and its record for the trail. The sides take turns on one disk. The metrics are what each
// does in a second, "of-raw" and "of-same", which CreateGrant's part of the store's is (limit: 0.7), and the
// processor time of a CreateGrant and of a raw transaction.
func BenchmarkCommits(b *testing.B) {
	s := newSide(b, startProcess(b, roleServer, b.TempDir()))
	grants := newRepeater(b, s.p.url)
	key, made := newKey(b, s.c), 0
	ready := func(n int) { // to make so many
		if made += n; made > fullKey {
			key, made = newKey(b, s.c), n
		}
		grants.sign("CreateGrant", &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(arn.Root("444455556666")), Operations: []string{"Decrypt"}})
	}
	raw, err := bolt.Open(bolt.Config{Path: filepath.Join(b.TempDir(), "raw.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	ctx := context.Background()
	var n atomic.Int64
	record := make([]byte, 2000)
	put := func(sizes ...int) func() error {
		return func() error {
			key := store.Key(fmt.Sprintf("%016x", n.Add(1)*0x5851f42d4c957f2d)) // all over the tree, as ids are
			return raw.Update(ctx, func(tx store.Tx) error {
				for i, size := range sizes {
					if err := tx.Put(fmt.Sprint("bucket", i), key, record[:size]); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	sides := []func() error{put(400), put(600, 100, 1800), grants.do}
	ready(turn)
	for _, do := range sides {
		together(b, turn, do)
	}
	var took [3]time.Duration
	var own time.Duration // processor time of the first side
	cpu := s.p.cpu()
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		ready(turn)
		for i, do := range sides {
			began, before := time.Now(), ownCPU(b)
			together(b, min(turn, left), do)
			took[i] += time.Since(began)
			if i == 0 {
				own += ownCPU(b) - before
			}
		}
	}
	b.StopTimer()
	for i, name := range []string{"raw/s", "same/s", "grants/s"} {
		b.ReportMetric(float64(b.N)/took[i].Seconds(), name)
	}
	b.ReportMetric(took[0].Seconds()/took[2].Seconds(), "of-raw")
	b.ReportMetric(took[1].Seconds()/took[2].Seconds(), "of-same")
	b.ReportMetric(micros(s.p.cpu()-cpu)/float64(b.N), "cpu-us/op")
	b.ReportMetric(micros(own)/float64(b.N), "raw-us/op")
}
