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
	"github.com/kagimori/kagimori/internal/wire/client"
)

// `make bench-million` says by these how many keys there are to be, and where they stay for the next
// time: making a million of them, through the API, takes an hour.
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

// makeKeys makes keys with an alias and grants each, as far as an earlier run did not.
func makeKeys(b *testing.B, c *client.Client, dir string, n int) {
	b.Helper()
	mark := filepath.Join(dir, "made")
	done := 0
	if data, err := os.ReadFile(mark); err == nil {
		done, _ = strconv.Atoi(string(data)) // a mark that cannot be read is no mark
	}
	if done >= n {
		return
	}
	var next atomic.Int64
	next.Store(int64(done))
	ctx := context.Background()
	together(b, n-done, func() error {
		i := int(next.Add(1) - 1)
		id := keyID(i)
		if err := c.Do(ctx, "CreateKey", &kmsapi.CreateKeyRequest{Tags: []kmsapi.Tag{{TagKey: new("_custom_id_"), TagValue: &id}}}, &kmsapi.CreateKeyResponse{}); err != nil {
			return err
		}
		if err := c.Do(ctx, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/" + id), TargetKeyId: &id}, nil); err != nil {
			return err
		}
		for range grantsPerKey {
			err := c.Do(ctx, "CreateGrant", &kmsapi.CreateGrantRequest{
				KeyId: &id, GranteePrincipal: new(arn.Root("444455556666")), Operations: []string{"Decrypt"},
			}, &kmsapi.CreateGrantResponse{})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if !b.Failed() {
		if err := os.WriteFile(mark, []byte(strconv.Itoa(n)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeys measures GenerateDataKey on random ones of many keys, each with an alias and five
// grants, beside 100 keys. The metrics: "x-few" is the processor time of that of 100 keys, "start-ms"
// how long the server took to listen, "MB" its memory after.
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
	maker := startProcess(b, roleServer, data)
	makeKeys(b, newClient(b, maker.url), dir, n)
	maker.stop()
	p := startProcess(b, roleServer, data)
	c := newClient(b, p.url)
	random := func(keys int) func() error {
		return func() error {
			id := keyID(rand.IntN(keys))
			var out kmsapi.GenerateDataKeyResponse
			err := c.Do(context.Background(), "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &id, NumberOfBytes: new(int32(32))}, &out)
			if err == nil && *out.KeyId != arn.KMSKey(testkit.Region, account, id) {
				return errors.New("another key")
			}
			return err
		}
	}
	each := func(b *testing.B, keys int) time.Duration {
		do := random(keys)
		together(b, 2*keys, do) // warm
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
		b.ReportMetric(float64(p.start.Milliseconds()), "start-ms")
		b.ReportMetric(float64(p.memory())/memoryPerUnit, "MB")
	})
}
