package guard

import (
	"slices"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/store"
)

// A GrantSource reads the grants on the key of a part that may concern the call's caller.
type GrantSource func(store.Tx) ([]authz.Grant, error)

// decide decides a request and gives the evidence of it: all of a refusal, and of a request that
// is allowed what applies. Grants can only add to what policies allow, so they are read for the
// parts that policies do not allow, and for no others. That a request is allowed is in room, if there is one.
func (c *Check) decide(tx store.Tx, req *authz.Request, room *authz.Room) (authz.Decision, error) {
	d := authz.Cite(req, room)
	if d.Outcome == authz.Allowed {
		return d, nil
	}
	found, parts := false, slices.Clone(req.Parts) // the caller's may be decided again
	for i, read := range c.Grants[:min(len(c.Grants), len(req.Parts))] {
		if read == nil || d.Parts[i].Outcome == authz.Allowed {
			continue
		}
		grants, err := read(tx)
		if err != nil {
			return authz.Decision{}, err
		}
		parts[i].Grants = slices.Concat(parts[i].Grants, grants)
		found = found || len(grants) > 0
	}
	if found {
		req.Parts = parts
		if d = authz.Cite(req, room); d.Outcome == authz.Allowed {
			return d, nil
		}
	}
	return authz.Explain(req), nil
}
