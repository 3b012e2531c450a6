package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/kagimori/kagimori/internal/trail"
)

// trailEnd is what the operator's socket answers of the audit log.
type trailEnd struct {
	End string `json:"end"`
}

// verify checks the audit log and returns its end. since, unless empty, is an end that it had.
func (s *server) verify(ctx context.Context, since string) (end string, err error) {
	var head trail.Head
	if since != "" {
		if head, err = trail.ParseHead(since); err != nil {
			return "", err
		}
	}
	now := s.trail.Head() // before: what is appended meanwhile is not vouched for
	if err := s.trail.VerifySince(ctx, head); err != nil {
		return "", err
	}
	return now.String(), nil
}

func (a *App) handleVerify(w http.ResponseWriter, r *http.Request) {
	s := a.current.Load()
	if s == nil {
		unavailable(w)
		return
	}
	end, err := s.verify(r.Context(), r.URL.Query().Get("since"))
	if err != nil {
		problem(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, http.StatusOK, trailEnd{end})
}

func (a *App) handleSigned(w http.ResponseWriter, r *http.Request) {
	s := a.current.Load()
	if s == nil {
		unavailable(w)
		return
	}
	var in operatorRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCheckpoints)).Decode(&in); err != nil {
		problem(w, http.StatusBadRequest, "that is no list of checkpoints")
		return
	}
	if err := s.trail.Signed(in.Checkpoints); err != nil {
		problem(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, http.StatusOK, trailEnd{})
}

// maxCheckpoints bounds a list of checkpoints, in bytes.
const maxCheckpoints = 16 << 20

// CheckSigned checks that checkpoints of a copy of the audit log are signed by the server.
func (o *Sealer) CheckSigned(ctx context.Context, checkpoints []json.RawMessage) error {
	if o.client == nil {
		return o.s.trail.Signed(checkpoints)
	}
	for part := range slices.Chunk(checkpoints, 1000) {
		resp, err := o.send(ctx, http.MethodPost, "/trail/signed", operatorRequest{Checkpoints: part})
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}

// VerifyTrail checks the audit log and returns its end, to be noted elsewhere. since, unless empty, is an
// end that was noted: the log has to have it still.
func (o *Sealer) VerifyTrail(ctx context.Context, since string) (end string, err error) {
	if o.client == nil {
		return o.s.verify(ctx, since)
	}
	resp, err := o.send(ctx, http.MethodPost, "/trail/verify?since="+url.QueryEscape(since), operatorRequest{})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var out trailEnd
	return out.End, json.NewDecoder(resp.Body).Decode(&out)
}
