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
// grants, beside a server that has 100 such keys; they take turns: with as many keys kept ready as there are without
// a setting, and with all of them. The metrics: "us" and "few-us" are the
// processor time of a request on each, with what it leaves to be done later, "x-few" is the one by the other, "MB" the
// memory of the server of many after, "start-ms" how long it takes to listen when it is started again, with the trail of
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
	many := startKeys(b, dir, n)
	profile := func(of string) string { // each server has one of its own
		if path := os.Getenv(profileVar); path != "" {
			return profileVar + "=" + path + "-" + of
		}
		return profileVar + "="
	}
	few := startKeys(b, filepath.Join(b.TempDir(), "few"), fewKeys, profile("few"))
	b.Run(fmt.Sprint(n), func(b *testing.B) { compareKeys(b, few, many) })
	many.stop()
	kept := startKeys(b, dir, n, cacheVar+"="+fmt.Sprint(n), profile("kept"))
	b.Run(fmt.Sprint(n, "-kept"), func(b *testing.B) { compareKeys(b, few, kept) })
	kept.stop()
	b.Run("start", func(b *testing.B) {
		again := startProcess(b, roleServer, filepath.Join(dir, "data"))
		b.ReportMetric(float64(again.start.Milliseconds()), "start-ms")
		again.stop()
	})
}

// compareKeys compares random keys of many with those of few.
func compareKeys(b *testing.B, few, many *keysSide) {
	sides := []*keysSide{few, many}
	for _, s := range sides {
		s.warm(b)
	}
	var used [2]time.Duration
	for i, s := range sides {
		used[i] = -s.settled(b)
		s.p.profileNow()
	}
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		for _, s := range sides {
			together(b, min(turn, left), s.use(func() int { return rand.IntN(s.keys) }))
		}
	}
	b.StopTimer()
	for i, s := range sides {
		used[i] += s.settled(b)
	}
	b.ReportMetric(float64(used[0].Microseconds())/float64(b.N), "few-us")
	b.ReportMetric(float64(used[1].Microseconds())/float64(b.N), "us")
	b.ReportMetric(float64(used[1])/float64(used[0]), "x-few")
	b.ReportMetric(float64(many.memory())/memoryPerUnit, "MB")
}

// A keysSide is a server with keys.
type keysSide struct {
	side
	keys  int
	isHot bool
}

// startKeys serves a directory with so many keys, which are made if they are not there yet.
func startKeys(b *testing.B, dir string, keys int, env ...string) *keysSide {
	b.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	fill(b, dir, data, keys)
	return &keysSide{side: newSide(b, startProcess(b, roleServer, data, env...)), keys: keys}
}

func (s *keysSide) cpu() time.Duration { return s.p.cpu() }
func (s *keysSide) memory() int        { return s.p.memory() }
func (s *keysSide) stop()              { s.p.stop() }

// settled waits until the server has done what requests leave to be done later, which is nobody's before it is
// theirs: the audit log is packed, and when keys were last used is stored ten seconds after the use. It tells the
// processor time that the server has used then.
func (s *keysSide) settled(b *testing.B) time.Duration {
	b.Helper()
	const (
		quiet = 12 * time.Second
		least = 30 * time.Millisecond // what an idle server takes in that time is less
		most  = 3 * time.Minute
	)
	for began, before := time.Now(), s.cpu(); time.Since(began) < most; {
		time.Sleep(quiet)
		now := s.cpu()
		if now-before < least {
			return now
		}
		before = now
	}
	b.Fatalf("the server of %d keys is not idle", s.keys)
	return 0
}

// use is a request with the key that pick names.
func (s *keysSide) use(pick func() int) func() error {
	return func() error {
		id := keyID(pick())
		var out kmsapi.GenerateDataKeyResponse
		err := s.c.Do(context.Background(), "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &id, NumberOfBytes: new(int32(32))}, &out)
		if err == nil && *out.KeyId != arn.KMSKey(testkit.Region, account, id) {
			return errors.New("another key")
		}
		return err
	}
}

// warm uses each key once, the first time: the pages of its records are read, and its first use noted.
func (s *keysSide) warm(b *testing.B) {
	b.Helper()
	if s.isHot {
		return
	}
	s.isHot = true
	var next atomic.Int64
	together(b, s.keys, s.use(func() int { return int(next.Add(1)-1) % s.keys }))
	together(b, turn, s.use(func() int { return rand.IntN(s.keys) }))
}
