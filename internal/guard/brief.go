package guard

import (
	"encoding/json"
	"fmt"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/trail"
)

// Decisions are those of a record. What they leave out is where the record has it already: a decision without a principal is
// of the caller, a part without a resource is about the first one of the record, and a match without a document is of
// that resource's own policy or grant.
func Decisions(r *trail.Record) ([]Recorded, error) {
	out := make([]Recorded, len(r.Kagimori.Decisions))
	for i, raw := range r.Kagimori.Decisions {
		if err := json.Unmarshal(raw, &out[i]); err != nil {
			return nil, fmt.Errorf("guard: a decision in the trail cannot be read: %w", err)
		}
		out[i].complete(r)
	}
	return out, nil
}

// complete puts back what appendAllowed left out.
func (r *Recorded) complete(around *trail.Record) {
	if r.Principal == "" {
		r.Principal = around.UserIdentity.ARN
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.Resource == "" && len(around.Resources) > 0 {
			p.Resource = around.Resources[0].ARN
		}
		for j := range p.Matched {
			m := &p.Matched[j]
			if m.Document == "" && m.Owner == "" && ownLayer(value[authz.Layer](layers, m.Layer)) {
				if owner := arn.Owner(p.Resource); owner != "" {
					m.Document, m.Owner = p.Resource, owner
				}
			}
		}
	}
}

// ofResource reports whether a match is of a resource's own policy or grant, so that the resource tells its
// document and owner.
func ofResource(m *authz.Match, resource string) bool {
	return ownLayer(m.Layer) && m.Document == resource && m.Owner != "" && m.Owner == arn.Owner(resource)
}

// ownLayer reports whether a layer is what a resource has itself.
func ownLayer(l authz.Layer) bool {
	return l == authz.LayerResource || l == authz.LayerTrust || l == authz.LayerGrant
}
