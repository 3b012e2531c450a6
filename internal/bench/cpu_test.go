package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// connections are how many callers there are at once.
const connections = 32

// A request is what a benchmark repeats.
type request struct {
	name string
	op   string
	in   any
	out  func() any
}

// together makes n requests over the connections.
func together(b *testing.B, n int, do func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// perCPU is how much processor time of the server a request takes.
func perCPU(b *testing.B, p *process, c *client.Client, r request) time.Duration {
	b.Helper()
	do := func() error { return c.Do(context.Background(), r.op, r.in, r.out()) }
	together(b, 500, do) // connections, caches
	before := p.cpu()
	b.ResetTimer()
	together(b, b.N, do)
	b.StopTimer()
	return (p.cpu() - before) / time.Duration(b.N)
}

// BenchmarkPerCPU compares operations over HTTP with SigV4, full authorization and the trail to the
// bare handler, with the same requests. The metric "of-bare" is how many requests a second of the
// server's processor time serves, of those that the bare handler serves.
func BenchmarkPerCPU(b *testing.B) {
	limit := startProcess(b, roleBare, "")
	for _, role := range []string{roleServer, roleSync} {
		b.Run(role, func(b *testing.B) {
			p := startProcess(b, role, b.TempDir())
			c, base := newClient(b, p.url), newClient(b, limit.url)
			for _, r := range symmetricRequests(b, c) {
				var bare time.Duration
				b.Run(r.name+"/bare", func(b *testing.B) { bare = perCPU(b, limit, base, r) })
				b.Run(r.name, func(b *testing.B) {
					each := perCPU(b, p, c, r)
					b.ReportMetric(float64(each.Microseconds()), "cpu-us/op")
					b.ReportMetric(float64(bare)/float64(each), "of-bare")
				})
			}
		})
	}
}

func symmetricRequests(tb testing.TB, c *client.Client) []request {
	tb.Helper()
	key := newKey(tb, c)
	var data kmsapi.GenerateDataKeyResponse
	if err := c.Do(context.Background(), "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &key, NumberOfBytes: new(int32(32))}, &data); err != nil {
		tb.Fatal(err)
	}
	return []request{
		{"GenerateDataKey", "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &key, NumberOfBytes: new(int32(32))}, func() any { return &kmsapi.GenerateDataKeyResponse{} }},
		{"Encrypt4KB", "Encrypt", &kmsapi.EncryptRequest{KeyId: &key, Plaintext: make([]byte, 4096)}, func() any { return &kmsapi.EncryptResponse{} }},
		{"Decrypt", "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: data.CiphertextBlob}, func() any { return &kmsapi.DecryptResponse{} }},
	}
}

// BenchmarkSigning compares signing to Go's own functions. The metric "of-go" is the processor time of
// a signature, of that of Go's function and of a GenerateDataKey together.
func BenchmarkSigning(b *testing.B) {
	p := startProcess(b, roleServer, b.TempDir())
	c := newClient(b, p.url)
	digest := sha256.Sum256([]byte("message"))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	var overhead time.Duration
	b.Run("GenerateDataKey", func(b *testing.B) { overhead = perCPU(b, p, c, symmetricRequests(b, c)[0]) })
	for _, k := range []struct {
		spec, alg string
		key       crypto.Signer
		opts      crypto.SignerOpts
	}{
		{"RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", rsaKey, crypto.SHA256},
		{"RSA_2048", "RSASSA_PSS_SHA_256", rsaKey, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
		{"ECC_NIST_P256", "ECDSA_SHA_256", ecKey, crypto.SHA256},
	} {
		var made kmsapi.CreateKeyResponse
		if err := c.Do(b.Context(), "CreateKey", &kmsapi.CreateKeyRequest{KeySpec: &k.spec, KeyUsage: new("SIGN_VERIFY")}, &made); err != nil {
			b.Fatal(err)
		}
		var own time.Duration
		b.Run(k.alg+"/go", func(b *testing.B) {
			for b.Loop() {
				if _, err := k.key.Sign(rand.Reader, digest[:], k.opts); err != nil {
					b.Fatal(err)
				}
			}
			own = b.Elapsed() / time.Duration(b.N)
		})
		b.Run(k.alg, func(b *testing.B) {
			each := perCPU(b, p, c, request{k.alg, "Sign", &kmsapi.SignRequest{
				KeyId: made.KeyMetadata.KeyId, Message: digest[:], MessageType: new("DIGEST"), SigningAlgorithm: &k.alg,
			}, func() any { return &kmsapi.SignResponse{} }})
			b.ReportMetric(float64(each.Microseconds()), "cpu-us/op")
			b.ReportMetric(float64(each)/float64(own+overhead), "of-go")
		})
	}
}
