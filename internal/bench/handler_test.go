package bench

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
)

// A sink is a response that goes nowhere.
type sink struct {
	header http.Header
	status int
	size   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.size += len(b); return len(b), nil }

// BenchmarkHandler is what a request costs without HTTP, and how much it allocates: the handler alone,
// one request at a time, beside the bare one.
func BenchmarkHandler(b *testing.B) {
	srv := testkit.Start(b, testkit.Options{Logger: slog.New(slog.DiscardHandler)})
	codec, err := awsjson.New(kmsapi.Service())
	if err != nil {
		b.Fatal(err)
	}
	limit := bareHandler()
	for _, r := range symmetricRequests(b, newClient(b, srv.URL)) {
		body, header, err := codec.EncodeRequest(kmsapi.Service().Operations[r.op], r.in)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range []struct {
			name string
			h    http.Handler
		}{{"bare", limit}, {"server", srv.App.Handler()}} {
			b.Run(r.name+"/"+s.name, func(b *testing.B) {
				first, err := http.NewRequest(http.MethodPost, srv.URL+"/", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				first.Header = header.Clone()
				first.RemoteAddr = "127.0.0.1:1"
				sigv4.Sign(first, body, testkit.Admin(account), testkit.Region, "kms", time.Now())
				b.ReportAllocs()
				for b.Loop() {
					again, w := *first, sink{header: http.Header{}}
					again.Body = io.NopCloser(bytes.NewReader(body))
					s.h.ServeHTTP(&w, &again)
					if w.status > http.StatusOK {
						b.Fatal(w.status)
					}
				}
			})
		}
	}
}
