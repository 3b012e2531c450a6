package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/kagimori/kagimori/internal/trail/sink"
)

// sinkGrace is how long the sinks of a server that ends may take for what is in the log.
const sinkGrace = 3 * time.Second

// openSinks begins to take the audit log to where the configuration says.
func (s *server) openSinks(cfg Config, dir *os.Root) error {
	folder, err := s.folder(dir, sinkDir)
	if err != nil {
		return err
	}
	s.required = cfg.AuditRequired
	s.sinks, err = sink.OpenSet(cfg.Sinks, s.trail, folder, s.sinkMaker(cfg))
	return err
}

func (s *server) sinkMaker(cfg Config) sink.Maker {
	return sink.Maker{Client: s.outbound, Node: s.store.name(), Version: cfg.Version, Logger: cfg.Logger}
}

// CheckSinks looks at what the configuration says of sinks, and makes nothing.
func CheckSinks(cfg Config) error { return sink.Check(cfg.Sinks, sink.Maker{}) }

// closeSinks lets them take what is in the log, if they are quick.
func (s *server) closeSinks() error {
	if s.sinks == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sinkGrace)
	defer cancel()
	return errors.Join(s.trail.Flush(ctx), s.sinks.Close(ctx))
}

// recorded refuses a request while the audit log may not go on without a sink, and one is late.
func (s *server) recorded() error {
	if s.required == 0 {
		return nil
	}
	if name := s.sinks.Overdue(s.required); name != "" {
		return serviceUnavailable()
	}
	return nil
}

// lateSink says of a sink that is behind, in a sentence; "" if none is.
func (s *server) lateSink() string {
	for _, st := range s.sinks.Status() {
		if st.Error != "" && st.Behind > 0 {
			return fmt.Sprintf("the audit sink %s is behind by %d records and %s", st.Name, st.Behind, st.Lag.Truncate(time.Second))
		}
	}
	return ""
}

// A SinkStatus is how a sink of the audit log does.
type SinkStatus struct {
	Name      string        `json:"name"`
	Kind      string        `json:"kind"`
	Delivered uint64        `json:"delivered"`
	Behind    uint64        `json:"behind"`
	Lag       time.Duration `json:"lag"`
	Failures  uint64        `json:"failures"`
	Lost      uint64        `json:"lost"`
	Error     string        `json:"error,omitempty"`
}

func (s *server) sinkStatus() []SinkStatus {
	out := []SinkStatus{}
	for _, st := range s.sinks.Status() {
		out = append(out, SinkStatus(st))
	}
	return out
}

func (a *App) handleSinks(w http.ResponseWriter, _ *http.Request) {
	s := a.current.Load()
	if s == nil {
		unavailable(w)
		return
	}
	answer(w, http.StatusOK, s.sinkStatus())
}

// Sinks are the sinks of the server that serves the directory, as they do now. Without one there are none.
func (o *Sealer) Sinks(ctx context.Context) ([]SinkStatus, error) {
	if o.client == nil {
		return nil, nil
	}
	resp, err := o.send(ctx, http.MethodGet, "/trail/sinks", operatorRequest{})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out []SinkStatus
	return out, json.NewDecoder(resp.Body).Decode(&out)
}
