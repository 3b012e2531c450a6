package directory

import (
	"fmt"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/store"
)

// Documents are the policies on the caller's side of a decision.
type Documents struct {
	Identity []*authz.Document
	Boundary *authz.Document
	Session  []*authz.Document // nil if no session policy was passed
	// Place is that of the principal's account in its organization.
	Place *Place
	SCPs  [][]*authz.Document // Place's
}

// Documents gathers the policies that bear on an identity. Root users, service principals and
// EC2's infrastructure role have none but those of their account's organization; nor has a user
// or role that was deleted, even if its name was given to another since. It fails if a policy
// that the principal refers to is gone.
func (d *Directory) Documents(tx store.Tx, id *Identity) (Documents, error) {
	tx = store.Settled(tx)
	p := &id.Principal
	name := p.Username
	switch p.Type {
	case authz.Root, authz.User:
	case authz.RoleSession:
		if id.Session == nil {
			return d.documents(tx, id)
		}
		name = id.Session.RoleName
	default:
		return d.documents(tx, id)
	}
	known, err := d.documentsOf.Get(tx, func() (*Documents, error) {
		docs, err := d.documents(tx, id)
		return &docs, err
	}, p.Account, p.UniqueID, name, p.RoleARN)
	if err != nil {
		return Documents{}, err
	}
	docs := *known
	docs.Session = nil
	if id.Session != nil {
		docs.Session = id.Session.Policies
	}
	return docs, nil
}

// documents reads what Documents gathers.
func (d *Directory) documents(tx store.Tx, id *Identity) (docs Documents, err error) {
	if docs.Place, err = d.Place(tx, id.Principal.Account); err != nil {
		return docs, err
	}
	docs.SCPs = docs.Place.SCPs
	if id.Session != nil {
		docs.Session = id.Session.Policies
	}
	p := &id.Principal
	switch p.Type {
	case authz.User:
		u, ok, err := d.users.Shared(tx, p.Account, fold(p.Username))
		if err != nil || !ok || u.ID != p.UniqueID {
			return docs, err
		}
		return d.ofUser(tx, docs, u)
	case authz.FederatedUser:
		return d.federated(tx, docs, id)
	case authz.RoleSession:
		if p.RoleARN == arn.InfrastructureRole(p.Account) || id.Session == nil {
			return docs, nil
		}
		r, ok, err := d.roles.Shared(tx, p.Account, fold(id.Session.RoleName))
		if err != nil || !ok || r.ID != p.UniqueID {
			return docs, err
		}
		return d.attached(tx, docs, r.inline, r.Attached, r.Boundary)
	}
	return docs, nil
}

func (d *Directory) attached(tx store.Tx, docs Documents, inline []*authz.Document, arns []string, boundary string) (Documents, error) {
	docs.Identity = inline
	if len(arns) > 0 {
		docs.Identity = append(make([]*authz.Document, 0, len(inline)+len(arns)), inline...)
	}
	for _, a := range arns {
		doc, err := d.managedDocument(tx, a)
		if err != nil {
			return docs, err
		}
		if doc == nil { // it might deny: IAM deletes no policy that is attached
			return docs, fmt.Errorf("directory: attached policy %s does not exist", a)
		}
		docs.Identity = append(docs.Identity, doc)
	}
	if boundary == "" {
		return docs, nil
	}
	doc, err := d.managedDocument(tx, boundary)
	if err != nil {
		return docs, err
	}
	if doc == nil {
		return docs, fmt.Errorf("directory: permissions boundary %s does not exist", boundary)
	}
	docs.Boundary = doc
	return docs, nil
}
