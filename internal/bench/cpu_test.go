package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
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

// A side is a server with a client of it.
type side struct {
	p *process
	c *client.Client
}

func newSide(tb testing.TB, p *process) side { return side{p, newClient(tb, p.url)} }

func (s side) do(r *request) func() error {
	return func() error { return s.c.Do(context.Background(), r.op, r.in, r.out()) }
}

// turn is how many requests one side gets before it is the other's turn.
const turn = 1000

// compare is how much processor time of its server a request takes on each side. The sides take turns, so
// that what else the machine does bears on both.
func compare(b *testing.B, r request, sides ...side) []time.Duration {
	b.Helper()
	for _, s := range sides {
		together(b, turn, s.do(&r)) // connections, caches
	}
	used := make([]time.Duration, len(sides))
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		for i, s := range sides {
			before := s.p.cpu()
			together(b, min(turn, left), s.do(&r))
			used[i] += s.p.cpu() - before
		}
	}
	b.StopTimer()
	for i := range used {
		used[i] /= time.Duration(b.N)
	}
	return used
}

// micros is a time for a metric.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// BenchmarkPerCPU compares operations over HTTP with SigV4, full authorization and the trail to the
// bare handler, with the same requests and answers of the same size. The metric "of-bare" is how many
// requests a second of the server's processor time serves, of those that the bare handler serves behind
// net/http, and "of-lane" of those that it serves behind the server's own way of HTTP (internal/lane).
func BenchmarkPerCPU(b *testing.B) {
	limit, lane := newSide(b, startProcess(b, roleBare, "")), newSide(b, startProcess(b, roleLane, ""))
	for _, role := range []string{roleServer, roleSync} {
		b.Run(role, func(b *testing.B) {
			s := newSide(b, startProcess(b, role, b.TempDir()))
			for _, r := range symmetricRequests(b, s.c) {
				b.Run(r.name, func(b *testing.B) {
					limit.answerLike(b, s, r)
					lane.answerLike(b, s, r)
					used := compare(b, r, limit, lane, s)
					b.ReportMetric(micros(used[2]), "cpu-us/op")
					b.ReportMetric(micros(used[0]), "bare-us/op")
					b.ReportMetric(micros(used[1]), "lane-us/op")
					b.ReportMetric(float64(used[0])/float64(used[2]), "of-bare")
					b.ReportMetric(float64(used[1])/float64(used[2]), "of-lane")
				})
			}
		})
	}
}

// answerLike has the bare handler answer what a server answers.
func (s side) answerLike(b *testing.B, other side, r request) {
	b.Helper()
	out := r.out()
	if err := other.c.Do(b.Context(), r.op, r.in, out); err != nil {
		b.Fatal(err)
	}
	codec, err := awsjson.New(kmsapi.Service())
	if err != nil {
		b.Fatal(err)
	}
	body, err := codec.EncodeResponse(kmsapi.Service().Operations[r.op], out, "")
	if err != nil {
		b.Fatal(err)
	}
	res, err := http.Post(s.p.url+"/answer", awsjson.MediaType, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	_ = res.Body.Close()
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
// a signature, of that of Go's function and of a GenerateDataKey together. The three take turns, each of as many
// callers: what a processor does in a time depends on what the others do.
func BenchmarkSigning(b *testing.B) {
	s := newSide(b, startProcess(b, roleServer, b.TempDir()))
	c := s.c
	digest := sha256.Sum256([]byte("message"))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	other := symmetricRequests(b, c)[0]
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
		sign := request{k.alg, "Sign", &kmsapi.SignRequest{
			KeyId: made.KeyMetadata.KeyId, Message: digest[:], MessageType: new("DIGEST"), SigningAlgorithm: &k.alg,
		}, func() any { return &kmsapi.SignResponse{} }}
		own := func() error {
			_, err := k.key.Sign(rand.Reader, digest[:], k.opts)
			return err
		}
		served := func() time.Duration { return s.p.cpu() }
		self := func() time.Duration { return ownCPU(b) }
		b.Run(k.alg, func(b *testing.B) {
			sides := []struct {
				do    func() error
				clock func() time.Duration
				used  time.Duration
			}{{do: s.do(&sign), clock: served}, {do: s.do(&other), clock: served}, {do: own, clock: self}}
			for i := range sides {
				together(b, signTurn, sides[i].do)
			}
			b.ResetTimer()
			for left := b.N; left > 0; left -= signTurn {
				for i := range sides {
					before := sides[i].clock()
					together(b, min(signTurn, left), sides[i].do)
					sides[i].used += sides[i].clock() - before
				}
			}
			b.StopTimer()
			each, limit := sides[0].used, sides[1].used+sides[2].used
			b.ReportMetric(micros(each)/float64(b.N), "cpu-us/op")
			b.ReportMetric(micros(limit)/float64(b.N), "limit-us/op")
			b.ReportMetric(micros(sides[2].used)/float64(b.N), "go-us/op")
			b.ReportMetric(float64(each)/float64(limit), "of-go")
		})
	}
}

// signTurn is how many signatures one side makes before it is the other's turn.
const signTurn = 250
