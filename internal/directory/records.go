// Package directory knows the principals: accounts, users, roles, managed policies, access keys
// and sessions. iam, sts and org write through it; guard reads the documents that bear on a
// decision. Documents are compiled once per revision of their record.
package directory

import (
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/store"
)

// A User is an IAM user.
type User struct {
	Account  string            `json:"account"`
	Name     string            `json:"name"`
	Path     string            `json:"path"`
	ID       string            `json:"id"` // AIDA...
	Created  time.Time         `json:"created"`
	Tags     []Tag             `json:"tags,omitempty"`
	Boundary string            `json:"boundary,omitempty"` // policy ARN
	Inline   map[string]string `json:"inline,omitempty"`   // name to document
	Attached []string          `json:"attached,omitempty"` // policy ARNs, in order of attachment
	Groups   []string          `json:"groups,omitempty"`   // unique ids, in order of joining
}

// ARN of the user.
func (u *User) ARN() string { return arn.User(u.Account, u.Path, u.Name) }

// A Role is an IAM role.
type Role struct {
	Account     string            `json:"account"`
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	ID          string            `json:"id"` // AROA...
	Created     time.Time         `json:"created"`
	Description string            `json:"description,omitempty"`
	MaxSession  int32             `json:"maxSession"` // seconds
	Trust       string            `json:"trust"`
	TrustIDs    map[string]string `json:"trustIds,omitempty"` // principal ARN to unique id when saved
	Tags        []Tag             `json:"tags,omitempty"`
	Boundary    string            `json:"boundary,omitempty"`
	Inline      map[string]string `json:"inline,omitempty"`
	Attached    []string          `json:"attached,omitempty"`
	// Service is the service principal of a service-linked role, or "".
	Service  string    `json:"service,omitempty"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
	// LastUsedRegion goes with LastUsed.
	LastUsedRegion string `json:"lastUsedRegion,omitempty"`
}

// ARN of the role.
func (r *Role) ARN() string { return arn.Role(r.Account, r.Path, r.Name) }

// A ManagedPolicy is a customer managed policy; those of AWS are in package managed.
type ManagedPolicy struct {
	Account     string          `json:"account"`
	Name        string          `json:"name"`
	Path        string          `json:"path"`
	ID          string          `json:"id"` // ANPA...
	Description string          `json:"description,omitempty"`
	Created     time.Time       `json:"created"`
	Updated     time.Time       `json:"updated"`
	Default     string          `json:"default"` // version id
	Versions    []PolicyVersion `json:"versions"`
	NextVersion int             `json:"nextVersion"`
	Attachments int             `json:"attachments"` // users and roles it is attached to
	Boundaries  int             `json:"boundaries"`  // users and roles it bounds
	Tags        []Tag           `json:"tags,omitempty"`
}

// ARN of the policy.
func (p *ManagedPolicy) ARN() string {
	return arn.Make("iam", "", p.Account, "policy"+p.Path+p.Name)
}

// DefaultDocument is the document of the default version.
func (p *ManagedPolicy) DefaultDocument() string {
	for _, v := range p.Versions {
		if v.ID == p.Default {
			return v.Document
		}
	}
	return ""
}

// A PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	ID       string    `json:"id"` // v1, v2, ...
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// A Tag of a principal or policy.
type Tag = authz.Tag

// An AccessKey is a long-term credential of a user or of an account's root user.
type AccessKey struct {
	ID       string    `json:"id"` // AKIA...
	Account  string    `json:"account"`
	User     string    `json:"user,omitempty"` // user name; "" for root
	UserID   string    `json:"userId,omitempty"`
	Sealed   []byte    `json:"sealed"` // the secret, sealed for the key id
	Inactive bool      `json:"inactive,omitempty"`
	Created  time.Time `json:"created"`
}

// An Account known to the directory.
type Account struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
}

// Ref is what the index of unique ids says of an id.
type Ref struct {
	Account string `json:"account"`
	Kind    string `json:"kind"` // "user", "role" or "group"
	Name    string `json:"name"`
	ARN     string `json:"arn"`
}

// Tables. Keys of users, roles and policies are (account, name in lower case): IAM compares names
// without case.
var (
	Accounts   = store.Table[Account]{Bucket: "directory/account", Version: 1}
	AccessKeys = store.Table[AccessKey]{Bucket: "directory/accesskey", Version: 1}
	userTable  = store.Table[User]{Bucket: "directory/user", Version: 1}
	roleTable  = store.Table[Role]{Bucket: "directory/role", Version: 1}
	polTable   = store.Table[ManagedPolicy]{Bucket: "directory/policy", Version: 1}
	idTable    = store.Table[Ref]{Bucket: "directory/id", Version: 1}
	userKeys   = store.Table[string]{Bucket: "directory/userkey", Version: 1} // (account, user, key id)
)

// fold is the form in which names are compared.
func fold(name string) string { return strings.ToLower(name) }
