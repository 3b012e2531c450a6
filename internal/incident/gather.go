package incident

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/speech"
)

// An Incident is one thing that failed, as often as it did.
type Incident struct {
	Count       int               `json:"count"`
	First       string            `json:"first"` // time of an event
	Last        string            `json:"last"`
	Principal   string            `json:"principal"`           // ARN of the role or user, or a service
	Session     string            `json:"session,omitempty"`   // of the last
	InvokedBy   string            `json:"invokedBy,omitempty"` // the service that called for the principal
	Instance    string            `json:"instance,omitempty"`  // that asked with its own role, of the last
	Via         string            `json:"via,omitempty"`       // value of kms:ViaService
	Operation   string            `json:"operation"`
	Key         string            `json:"key,omitempty"` // ARN
	Region      string            `json:"region"`
	Context     map[string]string `json:"encryptionContext,omitempty"` // of the last
	Code        string            `json:"errorCode"`
	Message     string            `json:"errorMessage,omitempty"` // of the last
	Events      []string          `json:"events"`                 // ids of the first ones
	given       string
	actions     []string
	last        *Event
	ebs, denied bool
}

// maxEvents is how many ids of events an incident tells.
const maxEvents = 5

// Gather puts events together that differ in time, session and encryption context alone, most
// frequent first.
func Gather(events []Event) []*Incident {
	found := map[string]*Incident{}
	var out []*Incident
	for i := range events {
		e := &events[i]
		invoked, via := e.via()
		_, ebs := e.context()[volumeContext]
		id := strings.Join([]string{e.principal(), via, e.EventName, strings.Join(e.actions(), ","), e.key(), e.given(), e.ErrorCode, strconv.Itoa(int(reasonOf(e.ErrorMessage))), e.AwsRegion}, "\x00")
		n := found[id]
		if n == nil {
			n = &Incident{
				First: e.EventTime, Principal: e.principal(), Via: via, Operation: e.EventName, Key: e.key(), Region: e.AwsRegion,
				Code: e.ErrorCode, given: e.given(), actions: e.actions(), ebs: ebs, denied: e.denied(),
			}
			found[id] = n
			out = append(out, n)
		}
		n.Count++
		n.First = min(n.First, e.EventTime)
		if e.EventID != "" && len(n.Events) < maxEvents {
			n.Events = append(n.Events, e.EventID)
		}
		if n.last == nil || e.EventTime >= n.Last {
			n.last, n.Last, n.Session, n.InvokedBy, n.Context, n.Message = e, e.EventTime, e.session(), invoked, maps.Clone(e.context()), e.ErrorMessage
			if s := e.UserIdentity.InScopeOf; e.infrastructure() {
				if n.Instance = n.Session; s != nil && s.CredentialsIssuedTo != "" {
					n.Instance = s.CredentialsIssuedTo
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Incident) int { return b.Count - a.Count })
	return out
}

// A reason is what the message of a refusal says of it.
type reason uint8

// Reasons.
const (
	unsaid   reason = iota // the message tells none
	resource               // no resource-based policy allows
	identity               // no identity-based policy allows
	boundary               // no permissions boundary allows
	session                // no session policy allows
	scp                    // no service control policy allows
	rcp                    // no resource control policy allows
	endpoint               // no VPC endpoint policy allows
	hidden                 // one of several, of a key of another account
	denyResource
	denyIdentity
	denyBoundary
	denySession
	denySCP
	denyRCP
	denyEndpoint
	denyOther
)

// A phrase is how messages give a reason.
type phrase struct {
	reason
	phrase string
}

// phrases are those of all reasons, the more telling ones first.
//
// Source: IAM User Guide, "Troubleshoot access denied error messages".
func phrases() []phrase {
	return []phrase{
		{hidden, "the resource does not exist in this Region, no resource-based policies allow access"},
		{resource, "no resource-based policy allows"},
		{identity, "no identity-based policy allows"},
		{boundary, "no permissions boundary allows"},
		{session, "no session policy allows"},
		{scp, "no service control policy allows"},
		{rcp, "no resource control policy allows"},
		{endpoint, "no VPC endpoint policy allows"},
		{denyResource, "explicit deny in a resource-based policy"},
		{denyIdentity, "explicit deny in an identity-based policy"},
		{denyBoundary, "explicit deny in a permissions boundary"},
		{denySession, "explicit deny in a session policy"},
		{denySCP, "explicit deny in a service control policy"},
		{denyRCP, "explicit deny in a resource control policy"},
		{denyEndpoint, "explicit deny in a VPC endpoint policy"},
		{denyOther, "explicit deny"},
	}
}

func reasonOf(message string) reason {
	for _, p := range phrases() {
		if strings.Contains(message, p.phrase) {
			return p.reason
		}
	}
	return unsaid
}

// text is the reason in a sentence.
func (r reason) text() speech.Text {
	switch r {
	case hidden:
		return speech.Say("The key is of another account, or does not exist, and the message hides which.")
	case resource:
		return speech.Say("Neither the key policy nor a grant allows it to the caller.")
	case identity:
		return speech.Say("The key policy leaves it to identity policies, and none allows it.")
	case boundary:
		return speech.Say("The permissions boundary does not allow it.")
	case session:
		return speech.Say("The policy of the session does not allow it.")
	case scp:
		return speech.Say("No service control policy of the organization allows it.")
	case rcp:
		return speech.Say("No resource control policy of the organization allows it.")
	case endpoint:
		return speech.Say("The policy of the VPC endpoint does not allow it.")
	case denyResource:
		return speech.Say("A statement of the key policy denies it.")
	case denyIdentity:
		return speech.Say("A statement of an identity policy denies it.")
	case denyBoundary:
		return speech.Say("A statement of the permissions boundary denies it.")
	case denySession:
		return speech.Say("A statement of the session's policy denies it.")
	case denySCP:
		return speech.Say("A service control policy of the organization denies it.")
	case denyRCP:
		return speech.Say("A resource control policy of the organization denies it.")
	case denyEndpoint:
		return speech.Say("The policy of the VPC endpoint denies it.")
	case denyOther:
		return speech.Say("A statement denies it.")
	}
	return speech.Say("The record does not tell which policy refused.")
}

// code names the reason for programs, as rules of scenarios are named.
func (r reason) code() string {
	return [...]string{
		"denied", "no-resource-policy", "no-identity-policy", "boundary-no-allow", "session-no-allow", "no-allow-scp", "no-allow-rcp", "endpoint-no-allow", "denied-hidden",
		"explicit-deny-key-policy", "explicit-deny-identity", "explicit-deny-boundary", "explicit-deny-session", "explicit-deny-scp", "explicit-deny-rcp", "explicit-deny-endpoint", "explicit-deny",
	}[r]
}
