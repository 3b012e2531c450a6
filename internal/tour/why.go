package tour

import (
	"context"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
)

// explain asks the server for the decisions behind what became of an instance.
func (t *traveller) explain(ctx context.Context, p *party, id string) ([]kagimoriapi.Authorization, error) {
	var out kagimoriapi.ExplainResourceResponse
	err := p.reason.Do(ctx, "ExplainResource", &kagimoriapi.ExplainResourceRequest{ResourceId: &id}, &out)
	return out.Authorizations, err
}

// explainDenial tells which request was refused, why, and what would allow it.
func (t *traveller) explainDenial(ctx context.Context, p *party, instance string) error {
	all, err := t.explain(ctx, p, instance)
	if err != nil {
		return err
	}
	for _, a := range all {
		for _, e := range a.Evaluations {
			if api.Val(e.EvaluatedEffect) == "ALLOW" || !strings.HasPrefix(api.Val(e.Action), "kms:") {
				continue
			}
			t.tell("Why: %s", api.Val(e.Action))
			t.tell("     by %s", api.Val(a.Principal))
			t.tell("     on %s", api.Val(e.Resource))
			for _, line := range e.Explanation {
				t.tell("     %s", line)
			}
			for _, f := range e.Fixes {
				if api.Val(f.Name) != "documented" { // the tour follows the page
					continue
				}
				t.tell("Fix: %s", api.Val(f.Summary))
				t.block(api.Val(f.Document))
				t.block(api.Val(f.Command))
			}
			return nil
		}
	}
	return fmt.Errorf("%w: the server does not say why %s failed", ErrSurprise, instance)
}

// explainLaunch tells which statement or grant allowed each use of the key.
func (t *traveller) explainLaunch(ctx context.Context, p *party, instance string) error {
	all, err := t.explain(ctx, p, instance)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range all {
		for _, e := range a.Evaluations {
			if !strings.HasPrefix(api.Val(e.Action), "kms:") || api.Val(e.EvaluatedEffect) != "ALLOW" {
				continue
			}
			line := fmt.Sprintf("%s by %s: %s", api.Val(e.Action), short(api.Val(a.Principal)), reason(e))
			if !seen[line] {
				seen[line] = true
				t.tell("Allowed: %s", line)
			}
		}
	}
	if len(seen) == 0 {
		return fmt.Errorf("%w: the server does not say why %s could use the key", ErrSurprise, instance)
	}
	return nil
}

// reason names what allowed an evaluation.
func reason(e kagimoriapi.Evaluation) string {
	var by []string
	for _, m := range e.MatchedStatements {
		switch {
		case api.Val(m.GrantId) != "":
			by = append(by, "a grant")
		case api.Val(m.Sid) != "":
			by = append(by, fmt.Sprintf("statement %q", api.Val(m.Sid)))
		}
	}
	switch {
	case len(by) > 0:
		return strings.Join(by, " and ")
	case api.Val(e.DecidedBy) == "GRANT":
		return "a grant on a key of another account"
	}
	return api.Val(e.DecidedBy)
}

// short is an ARN without what comes before its resource.
func short(principal string) string { return principal[strings.LastIndexByte(principal, ':')+1:] }
