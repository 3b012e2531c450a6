package guard

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/trail"
)

// A Caller is an authenticated identity and the way its request came.
type Caller struct {
	directory.Identity
	SourceIP  string // address of the client; of no meaning when Chain is not empty
	UserAgent string
	Secure    bool // the request came over TLS
	// Chain are the services that forwarded the request, first to last: aws:CalledVia.
	Chain []string
	// InvokedBy is the service that acts with this identity, for the trail: a service that
	// forwards its caller's request, or one that holds a role's session.
	InvokedBy string
	// SourceARN and SourceAccount say for what resource, of whose account, a service principal
	// asks: aws:SourceArn and aws:SourceAccount.
	SourceARN, SourceAccount string
	// Federated is the user of an identity provider that an unsigned request comes from, for the trail;
	// the request proved it.
	Federated *Federated
	// Endpoint is the VPC endpoint that the request came through, or nil.
	Endpoint *Endpoint
}

// A Federated is a user of an identity provider. Source: CloudTrail User Guide, "CloudTrail
// userIdentity element".
type Federated struct {
	Type        string // WebIdentityUser or SAMLUser
	PrincipalID string
	UserName    string
	Provider    string
}

// An Endpoint is a VPC endpoint as it bears on the requests that come through it.
type Endpoint struct {
	ID, VPC string          // aws:SourceVpce and aws:SourceVpc
	IP      string          // aws:VpcSourceIp: the address of the client inside the VPC
	Policy  *authz.Document // nil allows everything
}

// endpoint is the one that the request itself came through: what a service asks for its caller
// comes from the service. Source: IAM User Guide, "Forward access sessions".
func (c Caller) endpoint() *Endpoint {
	if c.Forwarded() {
		return nil
	}
	return c.Endpoint
}

// Via is the caller as a service forwards it: same identity and permissions, with
// aws:CalledVia and kms:ViaService set. Source: IAM User Guide, "Forward access sessions".
func (c Caller) Via(service string) Caller {
	c.Chain = append(c.Chain[:len(c.Chain):len(c.Chain)], service)
	c.InvokedBy = service
	return c
}

// Forwarded reports whether a service makes the request for the caller.
func (c Caller) Forwarded() bool { return len(c.Chain) > 0 }

// viaService is the value of kms:ViaService in a region, or "".
func (c Caller) viaService(region string) string {
	if len(c.Chain) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(c.Chain[len(c.Chain)-1], ".")
	return name + "." + region + ".amazonaws.com"
}

// A Call is one operation that somebody asked for, on its way through the server. It is used by
// one goroutine, and by nobody after the operation has its answer: the next request has it then.
type Call struct {
	ID        string // request id
	Service   string // "kms"
	Operation string // "CreateKey"
	Region    string
	Caller    Caller
	Time      time.Time // service time at which it began
	ReadOnly  bool
	// Input is the request as decoded, for the trail.
	Input any

	evidence evidence
}

// Account is the caller's account.
func (c *Call) Account() string { return c.Caller.Principal.Account }

// Decided reports whether policies were asked for the call.
func (c *Call) Decided() bool { return c.evidence.decided || len(c.evidence.decisions) > 0 }

// Child is a call that a service makes while it serves c, as the given caller.
func (c *Call) Child(caller Caller, service, operation string, in any, readOnly bool) *Call {
	return &Call{
		ID: c.ID, Service: service, Operation: operation, Region: c.Region, Caller: caller,
		Time: c.Time, ReadOnly: readOnly, Input: in,
	}
}

// A Handler serves one operation. in is what the operation's NewInput made; out is nil for an
// operation without output.
type Handler func(ctx context.Context, c *Call, in any) (out any, err error)

// Handle adapts a method with output.
func Handle[In, Out any](fn func(context.Context, *Call, *In) (*Out, error)) Handler {
	return func(ctx context.Context, c *Call, in any) (any, error) {
		out, err := fn(ctx, c, in.(*In))
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// HandleVoid adapts a method without output.
func HandleVoid[In any](fn func(context.Context, *Call, *In) error) Handler {
	return func(ctx context.Context, c *Call, in any) (any, error) {
		return nil, fn(ctx, c, in.(*In))
	}
}

// EventID is the id of the record that the call will have in the trail of an account: the caller's,
// or that of a resource that the call is about. It is for calls without Update.
func (c *Call) EventID(account string) string {
	c.evidence.reserved = cmp.Or(c.evidence.reserved, NewRequestID())
	if cmp.Or(c.Caller.Principal.Account, c.Caller.SourceAccount, account) == account {
		return c.evidence.reserved
	}
	return trail.CopyID(c.evidence.reserved, account)
}
