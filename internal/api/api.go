// Package api describes generated service interfaces: what the codecs need to know of an
// operation. The packages below it are generated from AWS's public service models.
//
// Request and response types are plain structs. Scalars are pointers (nil is absent), blobs are
// []byte, sensitive members are secret.Bytes or *secret.String, lists and maps are slices and
// maps (nil is absent), timestamps are *time.Time. Everything else the codecs need stands in the
// struct tag `aws:"..."`, a comma-separated list:
//
//	Name          wire name in JSON, query and query XML output (locationName or member name)
//	q=Name        name in ec2Query requests
//	x=Name        name in XML output, if it differs from Name
//	item=Name     element name of list members in XML and query (default "member"; "item" in ec2)
//	flat          flattened list
//	key=, val=    element names of map entries
//	req           required
//	tok           idempotency token
//	c=Shape       constraints, by shape name in the service's Constraints
//	e=Shape       constraints of list elements; k=, v= of map keys and values
//	ts=iso8601    timestamp format, if it is not the protocol's
//	loc=Place     uri, querystring, header or payload: where a REST protocol has it, if not in the body
package api

// A Service is one generated service.
type Service struct {
	Name         string // "kms": signing name, arn service and action prefix; "access-analyzer"
	Protocol     Protocol
	Version      string // API version, "2014-11-01"
	TargetPrefix string // awsJson: "TrentService"
	Namespace    string // XML namespace of answers
	Operations   map[string]*Operation
	Constraints  map[string]*Constraint
	// Errors maps error codes to what the model says of them.
	Errors map[string]ErrorInfo
	// Known are the operations that AWS has and kagimori lacks.
	Known map[string]bool
}

// A Protocol is one of AWS's.
type Protocol uint8

// Protocols.
const (
	JSON11   Protocol = iota + 1 // awsJson1_1
	Query                        // awsQuery
	EC2                          // ec2Query
	RESTJSON                     // restJson1
)

// An Operation of a service.
type Operation struct {
	Name string
	// NewInput makes an empty request, *XxxRequest; never nil.
	NewInput func() any
	// NewOutput makes an empty answer; it is nil for operations that answer with an empty body.
	NewOutput func() any
	// ResultWrapper is the element around the result in awsQuery, or "".
	ResultWrapper string
	ReadOnly      bool // by name: Get, List, Describe, ...
	// Unsigned says that the operation is not signed: what it carries proves who asks.
	Unsigned bool
	Pager    *Pager
	HTTP     *HTTP // of REST protocols; nil for others
}

// HTTP is where a REST protocol has an operation.
type HTTP struct {
	Method string
	URI    string // "/snapshots/{snapshotId}/blocks"
	Status int    // of an answer that is no error; 0 is 200
	// UnsignedPayload says that the signature need not cover the body.
	UnsignedPayload bool
}

// JSON reports whether bodies of the protocol are JSON.
func (p Protocol) JSON() bool { return p == JSON11 || p == RESTJSON }

// A Pager names the members of a paginated operation.
type Pager struct {
	Input, Output, Limit, More string
	Results                    []string
}

// ErrorInfo is a modelled error.
type ErrorInfo struct {
	Code   string // code on the wire, if it differs from the shape's name
	Status int    // 0 if the model gives none
	Server bool
	Text   string // member with the message, in REST protocols
}

// A Constraint of a shape. Nil bounds are absent.
type Constraint struct {
	Min, Max  *int64
	Pattern   string
	Enum      []string
	Sensitive bool
}

// Val is the value behind an optional member, or the zero value if it is absent.
func Val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Opt is the member for a value, absent if it is the zero value.
func Opt[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
