package org

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// cachedPolicies is how many resource policies are kept compiled.
const cachedPolicies = 64

// delegable are the changes that the resource policy can let a member make: those of policies, in small letters.
// Source: AWS Organizations User Guide, "Delegated administrator for AWS Organizations" and "Resource-based policy
// examples for AWS Organizations".
var delegable = []string{
	"createpolicy", "updatepolicy", "deletepolicy", "attachpolicy", "detachpolicy", "enablepolicytype", "disablepolicytype", "tagresource", "untagresource",
}

// reads reports whether an operation, in small letters, tells only.
func reads(operation string) bool {
	return strings.HasPrefix(operation, "describe") || strings.HasPrefix(operation, "list")
}

// delegates reports whether the resource policy can let a member do what is asked. Tags can be delegated of policies only.
// Source: AWS Organizations User Guide, "Resource-based policy examples for AWS Organizations", "Tag and untag policies".
func delegates(operation string, q question) bool {
	if strings.HasSuffix(operation, "tagresource") && !isPolicy(q.ids[0]) {
		return false
	}
	return reads(operation) || slices.Contains(delegable, operation)
}

// ours reports whether a pattern of ARNs can be about things of Organizations.
func ours(pattern string) bool {
	parts := strings.SplitN(pattern, ":", 4)
	return strings.ContainsAny(strings.Join(parts[:min(3, len(parts))], ":"), "*?") || len(parts) == 4 && parts[2] == "organizations"
}

// checkDelegation checks the text of a resource policy: principals are accounts and identities of accounts, resources are
// the organization's. A statement that allows has to name what can be delegated; of a
// name with wildcards that part is.
// Source: AWS Organizations API Reference, InvalidInputException, INVALID_PRINCIPAL, UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY
// and UNSUPPORTED_ACTION_IN_RESOURCE_POLICY.
func checkDelegation(src string) error {
	doc, err := policy.Parse([]byte(src), policy.Resource)
	if err != nil {
		return because(codeInput, "INVALID_RESOURCE_POLICY_JSON", "You provided an invalid resource policy.").Because(err)
	}
	for _, who := range doc.PrincipalARNs() {
		if a, err := arn.Parse(who); err != nil || a.Service != "iam" && a.Service != "sts" || !arn.IsAccount(a.Account) {
			return errPrincipal
		}
	}
	for _, st := range doc.Statements {
		for _, r := range slices.Concat(st.Resources, st.NotResources) {
			if !ours(r.Value) {
				return errPolicyResource
			}
		}
		if st.Effect != policy.Allow {
			continue
		}
		for _, a := range st.Actions {
			if strings.ContainsAny(a.Value, "*?") {
				continue
			}
			operation, of := strings.CutPrefix(strings.ToLower(a.Value), "organizations:")
			if !of || !reads(operation) && !slices.Contains(delegable, operation) {
				return because(codeInput, "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY", "The resource policy cannot delegate the action "+a.Value+".")
			}
		}
	}
	return nil
}

// delegation tells whether a member of an organization may ask what its managing account may. A delegated administrator
// of any service may have everything told ("You can only call this operation from the management account or a member
// account that is a delegated administrator"); by is nil then. For others the resource policy decides: by.
// Source: AWS Organizations API Reference, ListAccounts; AWS Organizations User Guide, "Delegated administrator for AWS
// Organizations".
func (s *Service) delegation(tx store.Tx, c *guard.Call, q question, o directory.Organization) (by *authz.Document, may bool, err error) {
	operation := strings.ToLower(c.Operation)
	if reads(operation) {
		if _, registered, err := delegateTable.Get(tx, o.ID, c.Account()); err != nil || registered {
			return nil, registered, err
		}
	}
	if o.Resource == nil || !delegates(operation, q) {
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
