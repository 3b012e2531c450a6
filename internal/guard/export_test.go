package guard

import (
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/trail"
)

// AllowedForms are the two forms of the record of a decision that r is around: the hand-written one, nil if it does not
// write such a decision, and the whole one.
func AllowedForms(r *trail.Record, p *authz.Principal, d *authz.Decision) (brief []byte, whole Recorded) {
	f := frame{caller: r.UserIdentity.ARN, account: r.UserIdentity.AccountID, operation: r.EventName}
	f.service = strings.TrimSuffix(r.EventSource, eventDomain)
	if len(r.Resources) > 0 {
		f.resource = r.Resources[0].ARN
	}
	brief, ok := appendAllowed(nil, f, p, d)
	if !ok {
		brief = nil
	}
	whole = Recorded{Principal: p.ARN, Account: p.Account, Outcome: name(outcomes, d.Outcome), Parts: make([]RecordedPart, len(d.Parts))}
	for i := range d.Parts {
		whole.Omitted += whole.Parts[i].fill(&d.Parts[i], 0)
	}
	return brief, whole
}
