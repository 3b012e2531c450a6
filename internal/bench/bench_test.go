// Package bench measures the server beside its limits, in one run: `make bench`. It has no
// assertions about time.
package bench

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

const account = "111122223333"

// bare is a server of the bare handler.
func bare(tb testing.TB) string {
	srv := httptest.NewServer(bareHandler())
	tb.Cleanup(srv.Close)
	return srv.URL
}

func newClient(tb testing.TB, url string) *client.Client {
	tb.Helper()
	c, err := client.New(url, testkit.Region, testkit.Admin(account), kmsapi.Service())
	if err != nil {
		tb.Fatal(err)
	}
	c.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	return c
}

// BenchmarkKMS compares operations over HTTP with SigV4 to the bare handler. The metric
// "x-bare" is how many times the time of the bare handler one operation takes.
func BenchmarkKMS(b *testing.B) {
	srv := testkit.Start(b, testkit.Options{Durable: true, Logger: slog.New(slog.DiscardHandler)})
	c := newClient(b, srv.URL)
	limit := newClient(b, bare(b))
	key := newKey(b, c)
	var data kmsapi.GenerateDataKeyResponse
	if err := c.Do(b.Context(), "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &key, NumberOfBytes: new(int32(32))}, &data); err != nil {
		b.Fatal(err)
	}
	generate := func(ctx context.Context, c *client.Client) error {
		return c.Do(ctx, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &key, NumberOfBytes: new(int32(32))}, &kmsapi.GenerateDataKeyResponse{})
	}
	decrypt := func(ctx context.Context, c *client.Client) error {
		return c.Do(ctx, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: data.CiphertextBlob}, &kmsapi.DecryptResponse{})
	}
	grants := &grantMaker{tb: b, admin: c}
	for _, mode := range []struct {
		name string
		loop func(*testing.B, func() error)
	}{{"serial", serial}, {"parallel", parallel}} {
		b.Run(mode.name, func(b *testing.B) {
			var base float64
			cases := []struct {
				name string
				c    *client.Client
				do   func(context.Context, *client.Client) error
			}{
				{"bare", limit, decrypt}, {"GenerateDataKey", c, generate}, {"Decrypt", c, decrypt}, {"CreateGrant", c, grants.create},
			}
			for _, bc := range cases {
				b.Run(bc.name, func(b *testing.B) {
					ctx := b.Context()
					mode.loop(b, func() error { return bc.do(ctx, bc.c) })
					each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
					if bc.name == "bare" {
						base = each
					} else if base > 0 {
						b.ReportMetric(each/base, "x-bare")
					}
				})
			}
		})
	}
}

func serial(b *testing.B, do func() error) {
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
}

func parallel(b *testing.B, do func() error) {
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func newKey(tb testing.TB, c *client.Client) string {
	tb.Helper()
	var made kmsapi.CreateKeyResponse
	if err := c.Do(context.Background(), "CreateKey", &kmsapi.CreateKeyRequest{}, &made); err != nil {
		tb.Fatal(err)
	}
	return *made.KeyMetadata.Arn
}

// grantMaker makes grants, on a new key when one is full.
type grantMaker struct {
	tb    testing.TB
	admin *client.Client
	mu    sync.Mutex
	key   string // guarded by mu
}

func (g *grantMaker) current(full string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.key == full {
		g.key = newKey(g.tb, g.admin)
	}
	return g.key
}

func (g *grantMaker) create(ctx context.Context, c *client.Client) error {
	key := g.current("")
	for {
		err := c.Do(ctx, "CreateGrant", &kmsapi.CreateGrantRequest{
			KeyId: &key, GranteePrincipal: new(arn.Root("444455556666")), Operations: []string{"Decrypt"},
		}, &kmsapi.CreateGrantResponse{})
		if apierr.Code(err) != "LimitExceededException" {
			return err
		}
		key = g.current(key)
	}
}
