package explain

import (
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// launchOperations are those that Auto Scaling's role needs, and launchActions the same in a key
// policy. Source: Amazon EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with
// encrypted volumes".
var (
	launchOperations = grantOperations[:8]
	launchActions    = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}
)

// documented is what AWS's page gives for a launch on encrypted volumes, as far as it is not there
// yet: two statements for the role, or two for its account and a grant.
func (s *search) documented() []alternative {
	if !s.isKMS() || !slices.Contains(launchOperations, s.operation()) {
		return nil
	}
	s.page = true
	defer func() { s.page = false }()
	if !s.cross {
		return []alternative{{Documented, s.resource()}}
	}
	grant := s.grant()
	if len(grant) == 0 {
		return nil
	}
	var out []change
	what, who := speech.Say("key policy of %s", s.part.Resource.ARN), arn.Root(s.p.Account)
	for _, st := range []statement{
		{Sid: "Allow external account " + s.p.Account + " use of the customer managed key", Action: launchActions},
		{Sid: "Allow attachment of persistent resources in external account " + s.p.Account, Action: []string{"kms:CreateGrant"}},
	} {
		st.Effect, st.Principal, st.Resource = "Allow", map[string][]string{"AWS": {who}}, "*"
		if !s.lets(st.Action) {
			out = append(out, s.addStatement(KeyPolicy, policy.Key, what, who, st))
		}
	}
	grant[0].fix.Run = speech.Say("An administrator of account %s with kms:CreateGrant on the key in an identity policy, in the key's Region.", s.p.Account)
	return []alternative{{Documented, append(out, grant...)}}
}

// lets reports whether statements of the key policy let the caller's account hand actions to its
// users. What denies does not count: the statements of the page would be no more use then.
func (s *search) lets(actions []string) bool {
	anything, ok := extend(nil, policy.Identity, statement{Effect: "Allow", Action: []string{"kms:*"}, Resource: "*"})
	if !ok {
		return false
	}
	req := authz.Request{
		Principal: authz.Principal{
			Type: authz.User, Account: s.p.Account, ARN: "arn:" + arn.Partition + ":iam::" + s.p.Account + ":user/administrator", Username: "administrator",
		},
		Identity: []*authz.Document{anything},
	}
	keyPolicy := s.part.Policy
	if keyPolicy != nil && keyPolicy.Source != nil {
		keyPolicy = rebuild(keyPolicy, policy.Key, slices.DeleteFunc(slices.Clone(keyPolicy.Source.Statements), func(st policy.Statement) bool {
			return st.Effect == policy.Deny
		}))
	}
	for _, op := range launchOperations {
		if !slices.ContainsFunc(actions, func(a string) bool { return matches(a, "kms:"+op) }) {
			continue
		}
		req.Parts = []authz.Part{{
			Action: "kms:" + op, Resource: s.part.Resource, Policy: keyPolicy, Authoritative: true,
		}}
		if !allowed(&req) {
			return false
		}
	}
	return true
}

// matches accepts an action by a pattern that may end with a star.
func matches(pattern, action string) bool {
	if n := len(pattern) - 1; pattern[n] == '*' {
		return len(action) >= n && action[:n] == pattern[:n]
	}
	return pattern == action
}

// launchStatement makes the statement one of the two that the page gives for the role of the key's
// own account.
func (s *search) launchStatement(st *statement) {
	if s.operation() != "CreateGrant" {
		st.Sid, st.Action = "Allow service-linked role use of the customer managed key", launchActions
		return
	}
	st.Sid = "Allow attachment of persistent resources"
	if v, ok := lookup(s.part.Context, "kms:grantisforawsresource"); ok && v == "true" {
		st.Condition = map[string]map[string]any{"Bool": {"kms:GrantIsForAWSResource": true}}
	}
}
