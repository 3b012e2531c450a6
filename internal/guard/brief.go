package guard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/trail"
)

// Decisions are those of a record. What they leave out is where the record has it already: a decision without a principal is
// of the caller, and without an account of the caller's too; a part without an action is what was called, without a resource
// it is about the first one of the record, and without an outcome it has the decision's; a match without a layer is of the one
// that allowed, the first of "by" and others of "also"; one without a document is of the resource's own policy or grant; and
// AWS's policies are AWS's.
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
		r.Principal, r.Account = around.UserIdentity.ARN, cmp.Or(r.Account, around.UserIdentity.AccountID)
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		p.Outcome = cmp.Or(p.Outcome, r.Outcome)
		if p.Action == "" {
			p.Action = strings.TrimSuffix(around.EventSource, eventDomain) + ":" + around.EventName
		}
		if p.Resource == "" && len(around.Resources) > 0 {
			p.Resource = around.Resources[0].ARN
		}
		for j := range p.Matched {
			m := &p.Matched[j]
			if m.Layer == "" {
				m.Layer = allowing(j, p.By, p.Also)
			}
			if m.Owner == "" && strings.HasPrefix(m.Document, managedByAWS) {
				m.Owner = ownerAWS
			}
			if m.Document == "" && m.Owner == "" && ownLayer(value[authz.Layer](layers, m.Layer)) {
				if owner := arn.Owner(p.Resource); owner != "" {
					m.Document, m.Owner = p.Resource, owner
				}
			}
		}
	}
}

// ownerAWS is the owner of AWS's own policies, managedByAWS how the ARNs of those of IAM begin.
const (
	ownerAWS     = "aws"
	managedByAWS = "arn:aws:iam::aws:policy/"
)

// allowing is the layer that match i of a part is of, if it does not say: the one that allowed, or the other one that
// had to.
func allowing[L any](i int, by, also L) L {
	if i == 0 {
		return by
	}
	return also
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
