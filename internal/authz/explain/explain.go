// Package explain renders decisions as text and finds the smallest change that allows a request.
//
// [Message] is what AWS tells the denied caller. [Text] is the evidence in plain words. [Fixes]
// are changes, each verified by deciding the request again with the change applied.
//
// Evidence belongs to the account that owns the document it comes from. [Visible] and
// [VisibleFixes] leave out what another account may not read.
package explain

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

// Kinds of [Fix].
const (
	KeyPolicy      = "key-policy"
	ResourcePolicy = "resource-policy"
	TrustPolicy    = "trust-policy"
	IdentityPolicy = "identity-policy"
	Grant          = "grant"
	Boundary       = "permissions-boundary"
	SessionPolicy  = "session-policy"
	ServiceControl = "service-control-policy"
	Endpoint       = "endpoint-policy"
	RemoveDeny     = "remove-deny"
	Condition      = "condition"
	Resave         = "save-again" // a statement names a deleted principal of the same ARN
)

// A Fix is one change that would allow a denied part of a request. Fixes of one Part and Set are
// made together; different Sets are alternatives, best first.
type Fix struct {
	Kind     string `json:"kind"`               // "key-policy", "identity-policy", "grant", ...
	Summary  string `json:"summary"`            // one sentence
	Document string `json:"document,omitempty"` // JSON statement to add
	Command  string `json:"command,omitempty"`  // aws command line
	Owner    string `json:"owner,omitempty"`    // account that can make the change
	// Shows is the account whose documents or principals the fix tells of; "" if it tells of none.
	Shows string `json:"shows,omitempty"`
	Part  int    `json:"part"`
	Set   int    `json:"set"` // from 1
}

// resourceAccount is the owner of the resource of a part, or "" if its ARN does not tell.
func resourceAccount(part *authz.PartDecision, caller string) string {
	if a, err := arn.Parse(part.Resource); err == nil && arn.IsAccount(a.Account) {
		return a.Account
	}
	if part.CrossAccount {
		return ""
	}
	return caller
}

// callersSide are the layers whose documents belong to the caller's account.
func callersSide(l authz.Layer) bool {
	switch l {
	case authz.LayerIdentity, authz.LayerBoundary, authz.LayerSession, authz.LayerSCP, authz.LayerEndpoint:
		return true
	}
	return false
}

// owner is the account whose evidence a match is. A document of AWS that hangs on a principal is
// evidence of the principal's account.
func owner(m *authz.Match, caller, resource string) string {
	switch {
	case arn.IsAccount(m.Owner):
		return m.Owner
	case callersSide(m.Layer):
		return caller
	}
	return resource
}

// Visible is what an account may see of a part of a decision: all of its own documents, of others
// only the layer. caller is the account of the principal. ok is false if the part does not
// concern the viewer at all.
func Visible(part authz.PartDecision, caller, viewer string) (seen authz.PartDecision, ok bool) {
	resource := resourceAccount(&part, caller)
	if viewer == "" || viewer != caller && viewer != resource {
		return authz.PartDecision{}, false
	}
	seen = part
	seen.Matched, seen.Missed, seen.Silent = nil, nil, slices.Clone(part.Silent)
	deniedHere := false
	for _, m := range part.Matched {
		switch who := owner(&m, caller, resource); {
		case who == viewer:
			seen.Matched = append(seen.Matched, m)
			if isDeny(&m) && !deniedHere {
				deniedHere, seen.By = true, m.Layer
			}
		case !isDeny(&m):
			seen.Matched = append(seen.Matched, authz.Match{Layer: m.Layer, Owner: who, Effect: m.Effect, Account: m.Account})
		}
	}
	if part.Outcome == authz.ExplicitDeny && !deniedHere { // the deny is another account's
		seen.Outcome = authz.ImplicitDeny
		if !slices.Contains(seen.Silent, part.By) {
			seen.Silent = append(seen.Silent, part.By)
		}
	}
	for _, m := range part.Missed {
		if owner(&m.Match, caller, resource) != viewer {
			continue
		}
		if viewer != caller && strings.HasPrefix(strings.ToLower(m.Key), "aws:") {
			m.Got = authz.Value{Unknown: true} // the caller's own circumstances
		}
		seen.Missed = append(seen.Missed, m)
	}
	if part.CrossAccount {
		seen.Depends = nil
	}
	return seen, true
}

// VisibleFixes are the fixes that tell an account nothing of another's documents.
func VisibleFixes(fixes []Fix, viewer string) []Fix {
	var out []Fix
	for _, f := range fixes {
		if f.Shows == "" || f.Shows == viewer {
			out = append(out, f)
		}
	}
	return out
}
