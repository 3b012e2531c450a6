package app

import (
	"log/slog"
	"net/http"
	"time"
)

// writeTimeout is how long an answer may take from the end of the header on: a client that reads none lets go too.
const writeTimeout = 2 * time.Minute

// HTTPServer is the HTTP server of a handler, with the bounds that every listener of ours has.
func HTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: oneReading(h), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		WriteTimeout:   writeTimeout,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// oneReading ends a connection after a request whose end a proxy could see elsewhere than we do, and so take
// part of its body for the next request: one whose body came in chunks, since it may have had a length too,
// and one of HTTP/1.0, since it may have spoken of chunks; net/http drops either header.
// Source: RFC 9112, section 6.1.
func oneReading(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
