package incident

import (
	"maps"
	"slices"
	"strings"
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
		id := strings.Join([]string{e.principal(), via, e.EventName, strings.Join(e.actions(), ","), e.key(), e.given(), e.ErrorCode, reasonOf(e.ErrorMessage).String(), e.AwsRegion}, "\x00")
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

// phrases are how messages give reasons, with what stands for that in the explanation.
//
// Source: IAM User Guide, "Troubleshoot access denied error messages".
func phrases() []struct {
	reason
	phrase, name string
} {
	return []struct {
		reason
		phrase, name string
	}{
		{hidden, "the resource does not exist in this Region, no resource-based policies allow access", "the key is of another account, or does not exist"},
		{resource, "no resource-based policy allows", "the key policy allows it to nobody whom the caller is, and no grant does"},
		{identity, "no identity-based policy allows", "the key policy leaves it to identity policies, and none allows it"},
		{boundary, "no permissions boundary allows", "the permissions boundary does not allow it"},
		{session, "no session policy allows", "the session's policy does not allow it"},
		{scp, "no service control policy allows", "no service control policy of the organization allows it"},
		{rcp, "no resource control policy allows", "no resource control policy of the organization allows it"},
		{endpoint, "no VPC endpoint policy allows", "the policy of the VPC endpoint does not allow it"},
		{denyResource, "explicit deny in a resource-based policy", "a statement of the key policy denies it"},
		{denyIdentity, "explicit deny in an identity-based policy", "a statement of an identity policy denies it"},
		{denyBoundary, "explicit deny in a permissions boundary", "a statement of the permissions boundary denies it"},
		{denySession, "explicit deny in a session policy", "a statement of the session's policy denies it"},
		{denySCP, "explicit deny in a service control policy", "a service control policy of the organization denies it"},
		{denyRCP, "explicit deny in a resource control policy", "a resource control policy of the organization denies it"},
		{denyEndpoint, "explicit deny in a VPC endpoint policy", "the policy of the VPC endpoint denies it"},
		{denyOther, "explicit deny", "a statement denies it"},
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

// String is the reason in a sentence.
func (r reason) String() string {
	for _, p := range phrases() {
		if p.reason == r {
			return p.name
		}
	}
	return "the record does not tell why"
}
