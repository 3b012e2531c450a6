package app

import (
	"time"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/late"
)

// identities are the buckets of what IAM says of principals: what AWS's Regions learn late.
var identities = []string{
	"directory/user", "directory/role", "directory/policy", "directory/group", "directory/accesskey",
	"iam/profile", "iam/roleprofile", "iam/oidc", "iam/saml",
}

// consistent is the store as requests see it: with a lag of service time, changes of identities come late.
// Source: IAM User Guide, "Changes that I make are not always immediately visible".
func (c *Config) consistent(st store.Store, now func() time.Time) store.Store {
	if c.Lag == 0 {
		return st
	}
	return late.New(late.Config{Store: st, Buckets: identities, Delay: c.Lag, Now: now})
}
