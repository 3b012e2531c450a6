// Package explain renders decisions as text and finds the smallest change that allows a request.
//
// [Message] is what AWS tells the denied caller. [Text] is the evidence in plain words. [Advise]
// finds changes, each verified by deciding the request again with the change applied, and says
// where none can help.
//
// Evidence belongs to the account that owns the document it comes from. [Visible], [VisibleFixes]
// and [VisibleNotes] leave out what another account may not read.
package explain

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/speech"
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
	Correction     = "correction" // a mistake in a statement is put right
	NarrowDeny     = "narrow-deny"
)

// Names of sets of fixes.
const (
	// Least opens the least: the statements or the grant that this request needs or, if the request
	// is part of a launch, the launch.
	Least = "least"
	// Documented is what AWS's page gives for a launch by a service-linked role: "Required AWS KMS
	// key policy for use with encrypted volumes", Amazon EC2 Auto Scaling User Guide.
	Documented = "documented"
	// Corrected puts a mistake right in a statement that is there.
	Corrected = "correct"
	// Narrowed excepts the request from what denies it.
	Narrowed = "narrow"
)

// A Fix is one change that would allow a denied part of a request. Fixes of one Part and Set are
// made together; different Sets are alternatives, best first. Only a [RemoveDeny], a [Condition], a
// [Correction] and a [NarrowDeny] change a statement that is there already.
type Fix struct {
	Kind    string      `json:"kind"`    // "key-policy", "identity-policy", "grant", ...
	Summary speech.Text `json:"summary"` // one sentence
	// Document is the JSON statement to add or, if there are Edits, how the statement reads with them.
	Document string `json:"document,omitempty"`
	// Edits are what a [Correction] or [NarrowDeny] changes in the text of the Target.
	Edits   []Edit `json:"edits,omitempty"`
	Command string `json:"command,omitempty"` // aws command line
	// Grant is what the Command makes, if that is a grant.
	Grant *authz.Grant `json:"-"`
	Owner string       `json:"owner,omitempty"` // account that can make the change
	// Name of the set, [Least], [Documented], [Corrected] or [Narrowed]; "" for other alternatives.
	Name string `json:"name,omitempty"`
	// Opens is what the change allows beside the request, a sentence each.
	Opens []speech.Text `json:"opens,omitempty"`
	// Run says who must make the change, and where.
	Run speech.Text `json:"run,omitzero"`
	// Target is the name of the document that a statement is added to, and Digest the SHA-256 of
	// its text at the time, in hex; "" for a new document.
	Target string `json:"target,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Shows is the account whose documents or principals the fix tells of; "" if it tells of none.
	Shows string `json:"shows,omitempty"`
	Part  int    `json:"part"`
	Set   int    `json:"set"` // from 1
}

// An Edit is one operation of a JSON Patch on a document. Source: RFC 6902.
type Edit struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// A Note says of a denied part what no fix can say: that only changing a Deny can help, or nothing.
type Note struct {
	Part int         `json:"part"`
	Text speech.Text `json:"text"`
	// Shows is the account whose documents the note tells of; "" if it tells of none.
	Shows string `json:"shows,omitempty"`
}

// same reports whether two notes read the same.
func (n *Note) same(o Note) bool {
	return n.Part == o.Part && n.Shows == o.Shows && n.Text.String() == o.Text.String()
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

// told reports whether the refusal itself tells the caller's account of a deny in a layer, though
// the document is another's: AWS's message names a service control policy, and on a resource of the
// account's own a resource control policy too. Source: IAM User Guide, "Troubleshoot access denied
// error messages".
func told(l authz.Layer, caller, resource, viewer string) bool {
	return viewer == caller && (callersSide(l) || l == authz.LayerRCP && resource == caller)
}

// Visible is what an account may see of a part of a decision: all of its own documents, of others
// only the layer, and of a deny in them only what the message tells. caller is the account of the
// principal. ok is false if the part does not concern the viewer at all.
func Visible(part authz.PartDecision, caller, viewer string) (seen authz.PartDecision, ok bool) {
	resource := resourceAccount(&part, caller)
	if viewer == "" || viewer != caller && viewer != resource {
		return authz.PartDecision{}, false
	}
	seen = part
	seen.Matched, seen.Missed, seen.Silent, seen.Lacking = nil, nil, slices.Clone(part.Silent), nil
	for _, l := range part.Lacking {
		if viewer == caller && l.Layer == authz.LayerSCP || viewer == resource && l.Layer == authz.LayerRCP {
			seen.Lacking = append(seen.Lacking, l)
		}
	}
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
		case m.Layer == part.By && told(m.Layer, caller, resource, viewer):
			deniedHere, seen.By = true, m.Layer
			// Which level of the organization it was tells the account of its own place.
			if known := (authz.Match{Layer: m.Layer, Owner: who, Effect: m.Effect, Target: m.Target}); !slices.Contains(seen.Matched, known) {
				seen.Matched = append(seen.Matched, known)
			}
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
		seen.Missed = append(seen.Missed, hide(m, caller, resource, viewer))
	}
	if part.CrossAccount {
		seen.Depends = nil
	}
	return seen, true
}

// hide leaves out of a condition that was not met what the request had, where that tells of the
// other account: its caller's circumstances, or the attributes of its resource.
func hide(m authz.Miss, caller, resource, viewer string) authz.Miss {
	key := strings.ToLower(m.Key)
	switch {
	case viewer != resource && OfResource(key):
		m.Got, m.Present = authz.Value{Unknown: true}, false
	case viewer != caller && strings.HasPrefix(key, "aws:") && !OfResource(key):
		m.Got = authz.Value{Unknown: true}
	}
	return m
}

// OfResource reports whether a condition key, in lower case, tells of the resource and not of the
// request. Source: KMS Developer Guide, "AWS KMS condition keys"; IAM User Guide, "AWS global
// condition context keys".
func OfResource(key string) bool {
	switch key {
	case "kms:resourcealiases", "kms:keyspec", "kms:keyusage", "kms:keyorigin", "kms:multiregion", "kms:multiregionkeytype",
		"kms:customermasterkeyspec", "kms:customermasterkeyusage":
		return true
	case "aws:resourceaccount": // its ARN says it
		return false
	}
	return strings.HasPrefix(key, "aws:resource") || strings.Contains(key, ":resourcetag/") // iam: of roles
}

// VisibleFixes are the fixes that tell an account nothing of another's documents. Those of one set
// are numbered.
func VisibleFixes(fixes []Fix, viewer string) []Fix {
	type set struct{ part, set int }
	var out []Fix
	size := map[set]int{}
	for _, f := range fixes {
		if f.Shows == "" || f.Shows == viewer {
			if f.Owner != viewer { // the text is another's, and whether there is one
				f.Digest = ""
			}
			size[set{f.Part, f.Set}]++
			out = append(out, f)
		}
	}
	step := map[set]int{}
	for i := range out {
		s := set{out[i].Part, out[i].Set}
		if step[s]++; size[s] > 1 {
			out[i].Summary = speech.Say("Step %s of %s: %s", strconv.Itoa(step[s]), strconv.Itoa(size[s]), out[i].Summary)
		}
	}
	return out
}

// VisibleNotes are the notes that tell an account nothing of another's documents.
func VisibleNotes(notes []Note, viewer string) []Note {
	var out []Note
	for _, n := range notes {
		if n.Shows == "" || n.Shows == viewer {
			out = append(out, n)
		}
	}
	return out
}
