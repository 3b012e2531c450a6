// Package policy is the IAM policy language: documents with positions, a strict parser, a
// printer and the checks that AWS makes when a document is written. It does not evaluate.
//
// Sources: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy
// elements reference"; KMS Developer Guide, "Key policies".
package policy

// Effect is the effect of a statement. The zero value is invalid.
type Effect uint8

// Effects.
const (
	Allow Effect = iota + 1
	Deny
)

// Versions of the policy language.
const (
	Version2008 = "2008-10-17"
	Version2012 = "2012-10-17"
)

// Kind says what a document is attached to; the checks differ by kind.
type Kind uint8

// Kinds of document.
const (
	Identity Kind = iota + 1 // identity-based policies and permissions boundaries
	Key                      // KMS key policies
	Trust                    // role trust policies
	Session                  // session policies
	SCP                      // service control policies
	RCP                      // resource control policies
	Endpoint                 // VPC endpoint policies
	Resource                 // other resource-based policies
)

// Pos is a byte range in the document's source; Line and Column are 1-based, Column in
// characters.
type Pos struct {
	Start, End   int
	Line, Column int
}

// A Document is one policy. It is immutable after Parse.
type Document struct {
	Version    string // as written, or "" (means [Version2008])
	ID         string
	Statements []Statement
	Source     []byte // the text it was parsed from
}

// Variables reports whether ${...} in the document are policy variables.
func (d *Document) Variables() bool { return d.Version == Version2012 }

// A Statement as written. Absent elements are empty; exactly one of Actions and NotActions, and
// at most one of the other pairs, is set.
type Statement struct {
	Sid          string
	Effect       Effect
	Principal    *Principals // nil if absent
	NotPrincipal *Principals
	Actions      []Text
	NotActions   []Text
	Resources    []Text
	NotResources []Text
	Conditions   []Condition
	Pos          Pos
	Index        int // 0-based place in the document
}

// Text is a string of the document with its place.
type Text struct {
	Value string
	Pos   Pos
}

// Principals is a Principal or NotPrincipal element. Any is the bare "*" (also {"AWS":"*"}).
type Principals struct {
	Any       bool
	AWS       []Text // ARNs or 12-digit account ids, without "*"
	Service   []Text
	Federated []Text
	Canonical []Text
	Pos       Pos
}

// A Condition is one (operator, key) pair with its values; several keys under one operator are
// several Conditions. Values keep their literal text: true and 5 become "true" and "5".
type Condition struct {
	Operator string // as written, with set prefix and IfExists
	Key      string
	Values   []Text
	Pos      Pos
}
