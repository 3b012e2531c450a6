package partition

import (
	"fmt"
	"strings"
	"time"
)

// A Kind says what an operation does.
type Kind int

// Operations of the history. A use is a request by a user who may only if a grant, or the policy, says so.
const (
	Enable Kind = iota
	Disable
	ReadState
	PutPolicy
	ReadPolicy
	UsePolicy
	CreateGrant
	RevokeGrant
	ListGrants
	UseGrant
)

var kindNames = []string{"Enable", "Disable", "ReadState", "PutPolicy", "ReadPolicy", "UsePolicy", "CreateGrant", "RevokeGrant", "ListGrants", "UseGrant"}

// String is the name.
func (k Kind) String() string { return kindNames[k] }

// Writes reports whether the operation changes something.
func (k Kind) Writes() bool {
	switch k {
	case Enable, Disable, PutPolicy, CreateGrant, RevokeGrant:
		return true
	}
	return false
}

// An Outcome is what became of an operation.
type Outcome int

const (
	// Done has been done, or answered.
	Done Outcome = iota
	// Denied: the user may not.
	Denied
	// Disabled: the key's state forbids it.
	Disabled
	// NotFound: there is no such grant.
	NotFound
	// Unknown: there was no answer, or one that leaves open what happened.
	Unknown
)

var outcomeNames = []string{"done", "denied", "disabled", "not found", "unknown"}

// String is the name.
func (o Outcome) String() string { return outcomeNames[o] }

// An Op is an operation on a key as its client saw it.
type Op struct {
	Client, Node int
	Key          string
	Kind         Kind
	// Grant is the name of the grant that is made or revoked, User whose it is or who uses the key.
	Grant, User string
	// Policy is the text that is written or was read: a version, and behind it "+" if it lets
	// the policy's user use the key.
	Policy  string
	Enabled bool     // what was read
	Grants  []string // what was read: names
	Call    time.Duration
	Return  time.Duration // forever if Unknown
	Outcome Outcome
}

// String tells the operation in a line.
func (o Op) String() string {
	what := strings.TrimSpace(strings.Join([]string{o.Grant, o.User, o.Policy}, " "))
	if o.Kind == ReadState {
		what = fmt.Sprint("enabled=", o.Enabled)
	}
	if o.Kind == ListGrants {
		what = strings.Join(o.Grants, ",")
	}
	until := o.Return.String()
	if o.Return == forever {
		until = "?"
	}
	return fmt.Sprintf("client %d at node %d, %s to %s: %s %s: %s (key %s)", o.Client, o.Node, o.Call, until, o.Kind, what, o.Outcome, o.Key)
}

// forever is later than everything.
const forever = time.Duration(1<<63 - 1)

// lets reports whether a policy lets its user in.
func lets(policy string) bool { return strings.HasSuffix(policy, "+") }

// first is what a key begins with: enabled, with a policy that lets nobody in, without grants.
const firstPolicy = "first"

// byKey splits a history.
func byKey(ops []Op) map[string][]Op {
	out := map[string][]Op{}
	for _, o := range ops {
		out[o.Key] = append(out[o.Key], o)
	}
	return out
}
