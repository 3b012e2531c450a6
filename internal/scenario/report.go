package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// ErrSurprise says that a scenario expects something else than what the server did.
var ErrSurprise = errors.New("scenario: not what the scenario expects")

// Report tells what came of the setup and of each attempt and, of a launch that failed, why. It
// fails with [ErrSurprise] if the scenario expects that it launches and it did not, or the other
// way round.
func (w *World) Report(ctx context.Context, attempts []Attempt) error {
	launched := w.SetUp()
	for _, a := range attempts {
		launched = launched && a.Launched
		if err := w.report(ctx, a); err != nil {
			return err
		}
	}
	e := w.Scenario.Expected
	switch {
	case e == nil:
		w.s.tell("The scenario does not say what must happen.")
		return nil
	case e.Launches != launched && e.Launches:
		return fmt.Errorf("%w: %s is to launch", ErrSurprise, w.Scenario.ID)
	case e.Launches != launched:
		return fmt.Errorf("%w: %s is not to launch", ErrSurprise, w.Scenario.ID)
	case launched:
		w.s.tell("It launches, as the scenario expects.")
	default:
		w.s.tell("It does not launch, as the scenario expects. %s", w.fixes())
	}
	return nil
}

func (w *World) fixes() string {
	f := w.Scenario.Expected.Fix
	all := []string{f.Summary}
	for _, a := range f.Alternatives {
		all = append(all, a.Summary)
	}
	return "Its fix: " + strings.Join(all, "; or: ") + "."
}

func (w *World) report(ctx context.Context, a Attempt) error {
	name := a.Template
	if a.Group != "" {
		name = a.Group
	} else if name == "" {
		name = a.Instance
	}
	switch {
	case a.Refused != nil:
		w.s.tell("%s: %s is refused: %s: %s", name, a.Refused.Operation, a.Refused.Code, a.Refused.Message)
	case a.Launched:
		w.s.tell("%s: launched", name)
		for _, v := range a.Volumes {
			key := v.Key
			if !v.Encrypted {
				key = "no key"
			}
			w.s.tell("    %s on %s under %s", v.ID, v.Device, key)
		}
		return nil
	case a.StatusCode != "":
		w.s.tell("%s: %s: %s", name, a.StatusCode, a.StatusMessage)
	default:
		w.s.tell("%s: %s: %s", name, a.State, a.Reason)
	}
	id := a.Instance
	if a.Refused != nil {
		id = ""
		if a.Refused.Operation == attachVolume {
			id = w.Real(w.Scenario.Launch.ExistingVolumes[0].ID)
		}
	}
	if id == "" {
		return nil
	}
	return w.why(ctx, id)
}

// why tells which request to KMS was refused on the way to a failed instance or attachment.
func (w *World) why(ctx context.Context, id string) error {
	var out kagimoriapi.ExplainResourceResponse
	err := w.s.ask(ctx, w.owner(), "kagimori", "ExplainResource", &kagimoriapi.ExplainResourceRequest{ResourceId: &id}, &out)
	switch apierr.Code(err) {
	case "":
	case "AccessDeniedException", "ResourceNotFoundException":
		w.s.tell("    Nobody says why: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, auth := range out.Authorizations {
		if api.Val(auth.ErrorCode) == "" || api.Val(auth.EventSource) != "kms.amazonaws.com" {
			continue
		}
		w.s.tell("    Refused: %s: %s", api.Val(auth.EventName), api.Val(auth.ErrorCode))
		for _, e := range auth.Evaluations {
			for _, line := range e.Explanation {
				w.s.tell("    %s", line)
			}
			for _, f := range e.Fixes {
				w.s.tell("    Fix: %s", api.Val(f.Summary))
			}
		}
		return nil
	}
	return nil
}
