package guard

import (
	"encoding/json"

	"github.com/kagimori/kagimori/internal/authz"
)

// AllowedForms are the two forms of the record of a decision: the hand-written one, nil if it does not
// write such a decision, and encoding/json's.
func AllowedForms(p *authz.Principal, d *authz.Decision) (fast, slow []byte, err error) {
	fast, ok := appendAllowed(nil, p, d)
	if !ok {
		fast = nil
	}
	rec := Recorded{Principal: p.ARN, Account: p.Account, Outcome: name(outcomes, d.Outcome), Parts: make([]RecordedPart, len(d.Parts))}
	for i := range d.Parts {
		rec.Omitted += rec.Parts[i].fill(&d.Parts[i], 0)
	}
	slow, err = json.Marshal(rec)
	return fast, slow, err
}
