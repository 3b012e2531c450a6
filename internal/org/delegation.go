package org

import (
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// cachedPolicies is how many resource policies are kept compiled.
const cachedPolicies = 64

// delegable are the changes that the resource policy can let a member make: those of policies.
// Source: AWS Organizations User Guide, "Delegated administrator for AWS Organizations" and "Resource-based policy
// examples for AWS Organizations".
var delegable = map[string]bool{
	"CreatePolicy": true, "UpdatePolicy": true, "DeletePolicy": true, "AttachPolicy": true, "DetachPolicy": true,
	"EnablePolicyType": true, "DisablePolicyType": true, "TagResource": true, "UntagResource": true,
}

// reads reports whether an operation tells only.
func reads(operation string) bool {
	return strings.HasPrefix(operation, "Describe") || strings.HasPrefix(operation, "List")
}

// delegation tells whether a member of an organization may ask what its managing account may. A delegated administrator
// of any service may have everything told ("You can only call this operation from the management account or a member
// account that is a delegated administrator"); by is nil then. For others the resource policy decides: by.
// Source: AWS Organizations API Reference, ListAccounts; AWS Organizations User Guide, "Delegated administrator for AWS
// Organizations".
func (s *Service) delegation(tx store.Tx, c *guard.Call, o directory.Organization) (by *authz.Document, may bool, err error) {
	if reads(c.Operation) {
		if _, registered, err := delegateTable.Get(tx, o.ID, c.Account()); err != nil || registered {
			return nil, registered, err
		}
	}
	if o.Resource == nil || !reads(c.Operation) && !delegable[c.Operation] {
		return nil, false, nil
	}
	by, err = s.docs.Document(o.Resource.Document, policy.Resource)
	if err != nil {
		return nil, false, err
	}
	of := o.TargetARN(o.Resource.ID)
	by.Name, by.Owner, by.Attached = of, o.Management, of
	return by, true, nil
}
