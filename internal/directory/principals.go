package directory

import (
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
)

// Principal is the identity of the root user, a user or a role of an account by ARN; a role as a
// session of that name without policies and tags of its own. ok is false if there is none.
func (d *Directory) Principal(tx store.Tx, principalARN, session string) (id Identity, ok bool, err error) {
	a, perr := arn.Parse(principalARN)
	if perr != nil || a.Partition != arn.Partition || a.Service != "iam" || a.Region != "" || !arn.IsAccount(a.Account) {
		return Identity{}, false, nil
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	switch a.Type() {
	case "user":
		u, ok, err := d.User(tx, a.Account, name)
		if err != nil || !ok || u.ARN() != principalARN {
			return Identity{}, false, err
		}
		id, err = d.userIdentity(tx, a.Account, name, u.ID)
		return id, err == nil, err
	case "role":
		r, ok, err := d.Role(tx, a.Account, name)
		if err != nil || !ok || r.ARN() != principalARN {
			return Identity{}, false, err
		}
		id, err = d.RolePrincipal(tx, &r, session)
		return id, err == nil, err
	}
	if a.Resource != "root" {
		return Identity{}, false, nil
	}
	return d.rootIdentity(a.Account), true, nil
}

// RolePrincipal is the identity of a session of a role, without policies and tags of its own.
func (d *Directory) RolePrincipal(tx store.Tx, r *Role, session string) (Identity, error) {
	return d.SessionIdentity(tx, SessionGrant{
		Account: r.Account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: session, IssuedAt: time.Time{},
	})
}
