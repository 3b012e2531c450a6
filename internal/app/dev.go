package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// healthAnswer is GET /_kagimori/health. In production it says no more than that the server
// serves: nobody has to sign in to ask.
type healthAnswer struct {
	Status  string    `json:"status"`
	Note    string    `json:"note,omitempty"` // on the private port
	Version string    `json:"version,omitempty"`
	Dev     bool      `json:"dev,omitempty"`
	Time    time.Time `json:"time,omitzero"` // service time
}

// clockRequest is POST /_kagimori/clock: how far service time moves, or to when.
type clockRequest struct {
	Advance string    `json:"advance"` // a Go duration, "1h30m"
	Set     time.Time `json:"set"`
}

// only serves one method, and HEAD where it is GET.
func (a *App) only(method string, h http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
	if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", method)
		problem(w, http.StatusMethodNotAllowed, "use "+method)
		return
	}
	h(w, r)
}

func (a *App) health(w http.ResponseWriter, r *http.Request) { a.answerHealth(w, r, false) }

// answerHealth answers clients, or on the private port the operator, who is told of what may stop the server soon.
func (a *App) answerHealth(w http.ResponseWriter, r *http.Request, private bool) {
	s := a.current.Load()
	switch {
	case s == nil:
		unavailable(w)
	case a.draining.Load():
		problem(w, http.StatusServiceUnavailable, "the server is about to end")
	case s.stopped() != nil:
		problem(w, http.StatusServiceUnavailable, errStopped.Error())
	case s.ready(r.Context()) != nil:
		problem(w, http.StatusServiceUnavailable, "the store cannot be reached, or this node cannot open the seal; see the log")
	case s.recorded() != nil:
		problem(w, http.StatusServiceUnavailable, "the audit log is not taken by a sink")
	default:
		out := healthAnswer{Status: "ok"}
		if a.cfg.Dev {
			out.Version, out.Dev, out.Time = a.cfg.Version, true, s.clock.Now()
		}
		if private {
			out.Note = s.lateSink()
		}
		answer(w, http.StatusOK, out)
	}
}

func (a *App) handleReset(w http.ResponseWriter, r *http.Request) {
	defer unhurried(w)()
	if err := a.Reset(r.Context()); err != nil {
		a.cfg.Logger.Error("reset failed", "error", err)
		problem(w, http.StatusInternalServerError, "reset failed; see the server's log")
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// unhurried takes the server's deadline from an answer that may take longer to make; what it gives sets it anew.
func unhurried(w http.ResponseWriter) (sent func()) {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{}) // a writer without deadlines needs nothing
	return func() { _ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) }
}

func (a *App) handleClock(w http.ResponseWriter, r *http.Request) {
	var req clockRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		problem(w, http.StatusBadRequest, `send {"advance":"1h"} or {"set":"2030-01-01T00:00:00Z"}`)
		return
	}
	var d time.Duration
	switch {
	case req.Advance != "" && req.Set.IsZero():
		var err error
		if d, err = time.ParseDuration(req.Advance); err != nil {
			problem(w, http.StatusBadRequest, "advance is a duration such as 90s or 1h30m")
			return
		}
	case !req.Set.IsZero() && req.Advance == "":
		d = req.Set.Sub(a.Now())
	default:
		problem(w, http.StatusBadRequest, "send either advance or set")
		return
	}
	defer unhurried(w)()
	err := a.Advance(r.Context(), d)
	if refusal, ok := errors.AsType[errTime](err); ok {
		problem(w, http.StatusBadRequest, refusal.Error())
		return
	}
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"time": a.Now()})
}

func unavailable(w http.ResponseWriter) {
	problem(w, http.StatusServiceUnavailable, "the server is closed, or its last reset failed; see its log")
}

func problem(w http.ResponseWriter, status int, sentence string) {
	answer(w, status, map[string]string{"error": sentence})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no error of ours
}
