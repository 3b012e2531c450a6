package directory

import (
	"time"

	"github.com/kagimori/kagimori/internal/authz"
)

// An Identity is an authenticated principal. What its organization says of it is left out: that
// is read when something is decided (see [Documents]).
type Identity struct {
	Principal   authz.Principal
	AccessKeyID string
	// Session is set for temporary credentials and for sessions that services hold.
	Session *Session
	// Open is set by Find: the account is not closed, so that Admit, which unsets it, need not look again.
	Open bool
}

// A Session is what temporary credentials carry beside the principal.
type Session struct {
	Kind           SessionKind
	Name           string // role session name, or the federated user's
	IssuedAt       time.Time
	ExpiresAt      time.Time
	SourceIdentity string
	MFA            bool
	// Transitive are the session tags that a role assumed from this session gets too.
	Transitive map[string]string
	// Policies are the session policies; nil if none were passed.
	Policies []*authz.Document
	// User is the name of the user who vouches for a federated user; "" for root.
	User string
	// Provider is the identity provider of a session of a federated user, and Claims are the
	// condition keys that it gives of the user.
	Provider string
	Claims   authz.Context
	// RoleName, RolePath and RoleID identify the role.
	RoleName, RolePath, RoleID string
	// Instance is the ARN of the EC2 instance that holds the session, or "".
	Instance string
}
