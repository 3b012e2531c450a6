package bench

import (
	"log/slog"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/testkit"
)

// BenchmarkManyGrants is what grants cost a caller whom policies allow: "x-without" is how many
// times as long GenerateDataKey takes on a key on which the caller holds 500 grants, as on one
// without any. Limit: 1.2.
func BenchmarkManyGrants(b *testing.B) {
	srv := testkit.Start(b, testkit.Options{Logger: slog.New(slog.DiscardHandler)})
	c := newClient(b, srv.URL)
	without, with := newKey(b, c), newKey(b, c)
	for range 500 {
		err := c.Do(b.Context(), "CreateGrant", &kmsapi.CreateGrantRequest{
			KeyId: &with, GranteePrincipal: new(arn.User(account, "/", "admin")), Operations: []string{"GenerateDataKey"},
		}, &kmsapi.CreateGrantResponse{})
		if err != nil {
			b.Fatal(err)
		}
	}
	var base float64
	for _, bc := range []struct{ name, key string }{{"without", without}, {"with", with}} {
		b.Run(bc.name, func(b *testing.B) {
			serial(b, func() error {
				in := &kmsapi.GenerateDataKeyRequest{KeyId: &bc.key, NumberOfBytes: new(int32(32))}
				return c.Do(b.Context(), "GenerateDataKey", in, &kmsapi.GenerateDataKeyResponse{})
			})
			each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if bc.name == "without" {
				base = each
			} else if base > 0 {
				b.ReportMetric(each/base, "x-without")
			}
		})
	}
}
