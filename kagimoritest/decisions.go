package kagimoritest

import (
	"fmt"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/trail"
)

// A Decision is one evaluation that the server made: whether a principal may perform an action on
// a resource.
type Decision struct {
	Time      time.Time // service time
	RequestID string    // as the client saw it, or of the request that led to this one
	Operation string    // the API operation that was decided, "CreateVolume"
	Principal string    // ARN, or the name of a service
	Action    string    // "kms:CreateGrant"
	Resource  string    // ARN, or "*"
	Allowed   bool
	// By are the statements (their Sids, or "#2" for the second without one) and grants ("grant" and
	// the id) that decided.
	By []string
	// Why says it in plain words, with the conditions that were false and what is missing.
	Why []string
	// Fixes are the smallest changes that would allow a refused request.
	Fixes []string
}

// String is the decision in one line.
func (d Decision) String() string {
	verdict := "denied"
	if d.Allowed {
		verdict = "allowed"
	}
	return fmt.Sprintf("%s %s %s on %s %v", verdict, d.Principal, d.Action, d.Resource, d.By)
}

// Decisions are all decisions since the server started or was reset, oldest first.
func (s *Server) Decisions() []Decision {
	s.t.Helper()
	recs, err := s.app.Records(s.t.Context(), trail.Filter{})
	if err != nil {
		s.t.Fatalf("kagimoritest: %v", err)
	}
	slices.Reverse(recs)
	var out []Decision
	for i := range recs {
		made, err := guard.Decisions(&recs[i])
		if err != nil {
			s.t.Fatalf("kagimoritest: %v", err)
		}
		for j := range made {
			if made[j].Only == "" { // else what one account is told of a decision that is there too
				out = append(out, decisions(&recs[i], &made[j])...)
			}
		}
	}
	return out
}

// Denials are the decisions that refused something, oldest first.
func (s *Server) Denials() []Decision {
	s.t.Helper()
	return slices.DeleteFunc(s.Decisions(), func(d Decision) bool { return d.Allowed })
}

func decisions(r *trail.Record, d *guard.Recorded) []Decision {
	var out []Decision
	for i, part := range d.Decision().Parts {
		dec := Decision{
			Time: r.EventTime, RequestID: r.RequestID, Operation: r.EventName, Principal: d.Principal,
			Action: part.Action, Resource: part.Resource, Allowed: part.Outcome == authz.Allowed,
			Why: explain.Text(part, d.Principal),
		}
		for _, m := range explain.Deciding(part) {
			if m.GrantID != "" {
				dec.By = append(dec.By, "grant "+m.GrantID)
			} else {
				dec.By = append(dec.By, m.Sid)
			}
		}
		for _, f := range d.Fixes {
			if f.Part == i {
				dec.Fixes = append(dec.Fixes, f.Summary.String())
			}
		}
		out = append(out, dec)
	}
	return out
}
