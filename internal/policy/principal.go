package policy

import (
	"iter"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// PrincipalKind is the name of a list in a Principal element.
type PrincipalKind string

// Kinds of principal.
const (
	PrincipalAWS       PrincipalKind = "AWS"
	PrincipalService   PrincipalKind = "Service"
	PrincipalFederated PrincipalKind = "Federated"
	PrincipalCanonical PrincipalKind = "CanonicalUser"
)

// field is the list of a kind, or nil for a kind that does not exist.
func (p *Principals) field(kind PrincipalKind) *[]Text {
	switch kind {
	case PrincipalAWS:
		return &p.AWS
	case PrincipalService:
		return &p.Service
	case PrincipalFederated:
		return &p.Federated
	case PrincipalCanonical:
		return &p.Canonical
	}
	return nil
}

// All yields every principal with its kind: AWS, Service, Federated, CanonicalUser, each in the
// order of the document. The Any wildcard is not among them. A nil p yields nothing.
func (p *Principals) All() iter.Seq2[PrincipalKind, Text] {
	return func(yield func(PrincipalKind, Text) bool) {
		if p == nil {
			return
		}
		for _, kind := range []PrincipalKind{PrincipalAWS, PrincipalService, PrincipalFederated, PrincipalCanonical} {
			for _, t := range *p.field(kind) {
				if !yield(kind, t) {
					return
				}
			}
		}
	}
}

// Empty reports whether nobody is named. A nil p is empty.
func (p *Principals) Empty() bool {
	return p == nil || !p.Any && len(p.AWS)+len(p.Service)+len(p.Federated)+len(p.Canonical) == 0
}

// IsAccountPrincipal reports whether s names a whole account, as its 12-digit id or the ARN of
// its root user, and returns the id.
func IsAccountPrincipal(s string) (account string, ok bool) {
	if arn.IsAccount(s) {
		return s, true
	}
	a, err := arn.Parse(s)
	if err != nil || !arn.IsAccount(a.Account) || s != arn.Root(a.Account) {
		return "", false
	}
	return a.Account, true
}

// IsUniqueID reports whether s has the form of the unique id of a user or role (AIDA..., AROA...),
// which stands in a stored document for a principal that was deleted.
//
// Source: IAM User Guide, "IAM identifiers", Understanding unique ID prefixes.
func IsUniqueID(s string) bool {
	if !strings.HasPrefix(s, "AIDA") && !strings.HasPrefix(s, "AROA") || len(s) < 16 || len(s) > 128 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// PrincipalARNs lists what a service must resolve when it stores the document: each AWS principal
// but accounts and "*", once, in the order of the document, from Principal and NotPrincipal. Those
// are ARNs of users, roles and sessions; a stored document may also hold unique ids of deleted
// ones (see [IsUniqueID]).
func (d *Document) PrincipalARNs() []string {
	var all []string
	seen := make(map[string]bool)
	for t := range d.awsPrincipals() {
		if _, account := IsAccountPrincipal(t.Value); !account && !seen[t.Value] {
			seen[t.Value] = true
			all = append(all, t.Value)
		}
	}
	return all
}

// awsPrincipals yields the AWS principals of all statements in the order of the document.
func (d *Document) awsPrincipals() iter.Seq[Text] {
	return func(yield func(Text) bool) {
		for i := range d.Statements {
			for _, p := range []*Principals{d.Statements[i].Principal, d.Statements[i].NotPrincipal} {
				if p == nil {
					continue
				}
				for _, t := range p.AWS {
					if !yield(t) {
						return
					}
				}
			}
		}
	}
}

// principalShape is what the text of an AWS principal looks like.
type principalShape uint8

const (
	shapeGarbage  principalShape = iota // neither an ARN, an account nor a unique id
	shapeGood                           // may name a principal
	shapeBadARN                         // an ARN, but not one of a principal
	shapeWildcard                       // an ARN with a wildcard
)

// shapeOf classifies an AWS principal other than "*". Whether a good one exists is not checked.
//
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func shapeOf(s string) principalShape {
	if arn.IsAccount(s) || IsUniqueID(s) {
		return shapeGood
	}
	if !strings.HasPrefix(s, "arn:") {
		return shapeGarbage
	}
	if strings.ContainsAny(s, "*?") {
		return shapeWildcard
	}
	a, err := arn.Parse(s)
	if err != nil || a.Partition != arn.Partition || a.Region != "" || !arn.IsAccount(a.Account) {
		return shapeBadARN
	}
	rest := strings.Split(a.Resource, "/")
	if slices.Contains(rest, "") {
		return shapeBadARN
	}
	switch {
	case a.Service == "iam" && a.Resource == "root",
		a.Service == "iam" && (rest[0] == "user" || rest[0] == "role") && len(rest) >= 2,
		a.Service == "sts" && rest[0] == "assumed-role" && len(rest) == 3,
		a.Service == "sts" && rest[0] == "federated-user" && len(rest) == 2:
		return shapeGood
	}
	return shapeBadARN
}
