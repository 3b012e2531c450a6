package directory

import (
	"errors"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/store"
)

// SessionKind is what temporary credentials stand for.
type SessionKind string

// Kinds of sessions.
const (
	OfRole      SessionKind = ""          // AssumeRole
	OfUser      SessionKind = "user"      // GetSessionToken: the user itself
	OfRoot      SessionKind = "root"      // AssumeRoot: a member's root user, for one task
	OfFederated SessionKind = "federated" // GetFederationToken: somebody whom the user vouches for
)

// administrator is what a root user hands on to whom it vouches for.
const administrator = "arn:" + arn.Partition + ":iam::aws:policy/AdministratorAccess"

// userSession is the identity of a session that a user or the root user asked for.
func (d *Directory) userSession(tx store.Tx, g SessionGrant) (Identity, error) {
	id := d.rootIdentity(g.Account)
	if g.User != "" {
		var err error
		id, err = d.userIdentity(tx, g.Account, g.User, g.UserID)
		if errors.Is(err, ErrUnknownAccessKey) {
			return Identity{}, ErrInvalidToken
		}
		if err != nil {
			return Identity{}, err
		}
	}
	id.Session = &Session{Kind: g.Kind, Name: g.Name, IssuedAt: g.IssuedAt, ExpiresAt: g.ExpiresAt, MFA: g.MFA, SourceIdentity: g.SourceIdentity}
	if g.Kind == OfFederated {
		p := &id.Principal
		id.Session.User = p.Username
		id.Principal = authz.Principal{
			Type: authz.FederatedUser, ARN: arn.Make("sts", "", g.Account, "federated-user/"+g.Name), ParentARN: p.ARN,
			Account: g.Account, UserID: g.Account + ":" + g.Name, UniqueID: p.UniqueID, Tags: g.Tags,
		}
	}
	return id, nil
}

// federated gathers the policies that limit a federated user: those of the user who vouches.
func (d *Directory) federated(tx store.Tx, docs Documents, id *Identity) (Documents, error) {
	p := &id.Principal
	if p.ParentARN == arn.Root(p.Account) {
		doc, err := d.awsDocument(administrator)
		docs.Identity = []*authz.Document{doc}
		return docs, err
	}
	if id.Session == nil {
		return docs, nil
	}
	u, ok, err := d.users.Shared(tx, p.Account, fold(id.Session.User))
	if err != nil || !ok || u.ID != p.UniqueID {
		return docs, err
	}
	return d.ofUser(tx, docs, u)
}
