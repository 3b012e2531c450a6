package app

import (
	"log/slog"
	"net/http"
	"time"
)

// HTTPServer is the HTTP server of a handler, with the bounds that every listener of ours has.
func HTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		WriteTimeout:   2 * time.Minute, // from the end of the header on: a client that reads no answer lets go too
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
