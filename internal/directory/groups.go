package directory

import (
	"iter"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/store"
)

// A Group is an IAM group: what hangs on it bears on its users. It is no principal itself.
type Group struct {
	Account  string            `json:"account"`
	Name     string            `json:"name"`
	Path     string            `json:"path"`
	ID       string            `json:"id"` // AGPA...
	Created  time.Time         `json:"created"`
	Inline   map[string]string `json:"inline,omitempty"`   // name to document
	Attached []string          `json:"attached,omitempty"` // policy ARNs, in order of attachment
}

// ARN of the group.
func (g *Group) ARN() string { return arn.Make("iam", "", g.Account, "group"+g.Path+g.Name) }

// groupTable has the key (account, name in lower case).
var groupTable = store.Table[Group]{Bucket: "directory/group", Version: 1}

type groupView struct {
	Group
	inline []*authz.Document
}

func (d *Directory) buildGroup(g Group) (*groupView, error) {
	inline, err := d.buildInline(g.Inline, g.Account, g.ARN())
	return &groupView{g, inline}, err
}

// Group reads a group by name, whatever its case; ok is false if there is none.
func (d *Directory) Group(tx store.Tx, account, name string) (Group, bool, error) {
	return groupTable.Get(tx, account, fold(name))
}

// PutGroup writes a group and its unique id.
func (d *Directory) PutGroup(tx store.Tx, g Group) error {
	if err := d.refer(tx, g.ID, Ref{g.Account, "group", g.Name, g.ARN()}); err != nil {
		return err
	}
	return groupTable.Put(tx, g, g.Account, fold(g.Name))
}

// DeleteGroup removes a group that has no members.
func (d *Directory) DeleteGroup(tx store.Tx, g Group) error {
	if err := idTable.Delete(tx, g.ID); err != nil {
		return err
	}
	return groupTable.Delete(tx, g.Account, fold(g.Name))
}

// RenameGroup gives a group another name or path; its members stay.
func (d *Directory) RenameGroup(tx store.Tx, from, to Group) error {
	if err := d.DeleteGroup(tx, from); err != nil {
		return err
	}
	return d.PutGroup(tx, to)
}

// Groups yields the groups of an account by name, after the given name.
func (d *Directory) Groups(tx store.Tx, account, after string) iter.Seq2[store.Record[Group], error] {
	return groupTable.ScanRange(tx, scan(account, after))
}

// GroupUsers are the users of a group by name.
func (d *Directory) GroupUsers(tx store.Tx, g Group) ([]User, error) {
	var users []User
	for r, err := range d.Users(tx, g.Account, "") { // one read, however many there are
		if err != nil {
			return nil, err
		}
		if slices.Contains(r.Value.Groups, g.ID) {
			users = append(users, r.Value)
		}
	}
	return users, nil
}

// GroupsOf are the groups of a user, in the order of joining.
func (d *Directory) GroupsOf(tx store.Tx, u User) ([]Group, error) {
	var groups []Group
	for _, id := range u.Groups {
		v, err := d.groupByID(tx, id)
		if err != nil {
			return nil, err
		}
		if v != nil {
			groups = append(groups, v.Group)
		}
	}
	return groups, nil
}

// groupByID is a group with its compiled documents; nil if it was deleted.
func (d *Directory) groupByID(tx store.Tx, id string) (*groupView, error) {
	ref, ok, err := d.refs.Shared(tx, id)
	if err != nil || !ok {
		return nil, err
	}
	v, ok, err := d.groups.Shared(tx, ref.Account, fold(ref.Name))
	if err != nil || !ok {
		return nil, err
	}
	return v, nil
}

// GroupDocuments are the policies that a group gives its users.
func (d *Directory) GroupDocuments(tx store.Tx, account, name string) (Documents, error) {
	v, ok, err := d.groups.Shared(tx, account, fold(name))
	if err != nil || !ok {
		return Documents{}, err
	}
	return d.attached(tx, Documents{}, v.inline, v.Attached, "")
}

// ofUser gathers a user's own policies and those of its groups.
func (d *Directory) ofUser(tx store.Tx, docs Documents, u *userView) (Documents, error) {
	inline := u.inline
	for _, id := range u.Groups {
		g, err := d.groupByID(tx, id)
		if err != nil {
			return docs, err
		}
		if g == nil {
			continue
		}
		theirs, err := d.attached(tx, Documents{}, g.inline, g.Attached, "")
		if err != nil {
			return docs, err
		}
		inline = slices.Concat(inline, theirs.Identity)
	}
	return d.attached(tx, docs, inline, u.Attached, u.Boundary)
}
