// Package permittest makes permits for tests of packages that spend them. Only tests import it.
package permittest

import (
	"github.com/kagimori/kagimori/internal/guard/internal/mint"
	"github.com/kagimori/kagimori/internal/guard/permit"
)

// New makes a permit for one action on one resource.
func New(action, resource string) permit.Permit {
	return permit.New(mint.New(), action, resource, "test", false)
}

// DryRun makes a permit that refuses to be spent.
func DryRun(action, resource string) permit.Permit {
	return permit.New(mint.New(), action, resource, "test", true)
}
