package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
)

// `make bench-million` says by these how many keys there are to be, and where they stay for the next
// time.
const (
	keysVar = "KAGIMORI_BENCH_KEYS"
	keepVar = "KAGIMORI_BENCH_KEEP"
)

const (
	fewKeys       = 100 // what many keys are compared to
	grantsPerKey  = 5
	defaultKeys   = 1000
	memoryPerUnit = 1 << 20
)

// keyID is that of the nth key.
func keyID(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

// BenchmarkKeys measures GenerateDataKey on random ones of many keys, each with an alias and five
// grants, beside 100 keys. The metrics: "x-few" is the processor time of that of 100 keys, "MB" the memory
// of the server after, "start-ms" how long it takes to listen when it is started again, with the trail of
// all that.
func BenchmarkKeys(b *testing.B) {
	n := defaultKeys
	if v := os.Getenv(keysVar); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < fewKeys {
			b.Fatalf("%s is %q", keysVar, v)
		}
	}
	dir := os.Getenv(keepVar)
	if dir == "" {
		dir = b.TempDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	fill(b, dir, data, n)
	p := startProcess(b, roleServer, data)
	c := newClient(b, p.url)
	use := func(pick func() int) func() error {
		return func() error {
			id := keyID(pick())
			var out kmsapi.GenerateDataKeyResponse
			err := c.Do(context.Background(), "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &id, NumberOfBytes: new(int32(32))}, &out)
			if err == nil && *out.KeyId != arn.KMSKey(testkit.Region, account, id) {
				return errors.New("another key")
			}
			return err
		}
	}
	warm := 0 // how many keys were used
	each := func(b *testing.B, keys int) time.Duration {
		do := use(func() int { return rand.IntN(keys) })
		if keys != warm { // each key once: the pages of its records, and the note of its first use
			warm = keys
			var next atomic.Int64
			together(b, keys, use(func() int { return int(next.Add(1)-1) % keys }))
			together(b, fewKeys, do)
		}
		before := p.cpu()
		b.ResetTimer()
		together(b, b.N, do)
		b.StopTimer()
		return (p.cpu() - before) / time.Duration(b.N)
	}
	var few time.Duration
	b.Run(fmt.Sprint(fewKeys), func(b *testing.B) { few = each(b, fewKeys) })
	b.Run(fmt.Sprint(n), func(b *testing.B) {
		many := each(b, n)
		b.ReportMetric(float64(many)/float64(few), "x-few")
		b.ReportMetric(float64(p.memory())/memoryPerUnit, "MB")
	})
	p.stop()
	b.Run("start", func(b *testing.B) {
		again := startProcess(b, roleServer, data)
		b.ReportMetric(float64(again.start.Milliseconds()), "start-ms")
		again.stop()
	})
}
