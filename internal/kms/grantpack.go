package kms

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A decision by grants reads all that its caller holds, and a question about a key all that the key has, which
// may be 50,000: grants are packed as keys are.

// Fields of a grant. A number is never used for something else again.
const (
	grantFieldID protowire.Number = iota + 1
	grantFieldRegion
	grantFieldAccount
	grantFieldKeyID
	grantFieldName
	grantFieldGrantee
	grantFieldGranteeID
	grantFieldRetiring
	grantFieldRetiringID
	grantFieldServices
	grantFieldIssuer
	grantFieldOperation
	grantFieldEquals
	grantFieldSubset
	grantFieldSourceARN
	grantFieldCreated
)

// Bits of grantFieldServices: which principals are services.
const (
	granteeIsService = 1 << iota
	retiringIsService
)

func appendGrant(dst []byte, g *grantRecord) ([]byte, error) {
	p := &packer{out: dst}
	for n := grantFieldID; n <= grantFieldSourceARN; n++ {
		if from := g.text(n); from != nil {
			p.text(n, *from)
		}
	}
	services := int64(0)
	if g.GranteeService {
		services |= granteeIsService
	}
	if g.RetiringSvc {
		services |= retiringIsService
	}
	p.out = appendNumber(p.out, grantFieldServices, services)
	for _, op := range g.Operations {
		p.out = appendBytes(p.out, grantFieldOperation, []byte(op))
	}
	p.pairs(grantFieldEquals, g.Equals)
	p.pairs(grantFieldSubset, g.Subset)
	p.time(grantFieldCreated, g.Created)
	return p.out, p.err
}

func parseGrant(data []byte, g *grantRecord) error {
	*g = grantRecord{}
	// All texts are parts of one.
	if err := fields(string(data), func(f field) error { return g.set(f) }); err != nil {
		return err
	}
	if g.ID == "" || g.Region == "" || g.Account == "" || g.KeyID == "" {
		return fmt.Errorf("%w: a grant without a name", errPacked)
	}
	return nil
}

// text is the field of the record that is a text of this number, or nil.
func (g *grantRecord) text(n protowire.Number) *string {
	switch n {
	case grantFieldID:
		return &g.ID
	case grantFieldRegion:
		return &g.Region
	case grantFieldAccount:
		return &g.Account
	case grantFieldKeyID:
		return &g.KeyID
	case grantFieldName:
		return &g.Name
	case grantFieldGrantee:
		return &g.Grantee
	case grantFieldGranteeID:
		return &g.GranteeID
	case grantFieldRetiring:
		return &g.Retiring
	case grantFieldRetiringID:
		return &g.RetiringID
	case grantFieldIssuer:
		return &g.Issuer
	case grantFieldSourceARN:
		return &g.SourceARN
	}
	return nil
}

// set takes one field of a record.
func (g *grantRecord) set(f field) error {
	if f.kind == protowire.VarintType {
		if f.n != grantFieldServices || f.num < 0 || f.num > granteeIsService|retiringIsService {
			return errPacked
		}
		g.GranteeService, g.RetiringSvc = f.num&granteeIsService != 0, f.num&retiringIsService != 0
		return nil
	}
	if to := g.text(f.n); to != nil {
		*to = f.text
		return nil
	}
	switch f.n {
	case grantFieldOperation:
		g.Operations = append(g.Operations, f.text)
		return nil
	case grantFieldEquals:
		return f.pair(&g.Equals)
	case grantFieldSubset:
		return f.pair(&g.Subset)
	case grantFieldCreated:
		return f.time(&g.Created)
	}
	return errPacked
}
