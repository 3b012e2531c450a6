package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// keyRules looks at what only key policies have.
func (l *linter) keyRules(statements []*statement) {
	key, known := l.opts.Known.key(l.opts.Resource)
	for _, s := range statements {
		if s.Effect != policy.Allow {
			continue
		}
		l.servicePrincipal(s)
		l.external(s, key)
		l.createGrant(s)
		l.administration(s)
		l.abroad(s)
	}
	l.launchRules(statements)
	if !known || !key.AWSManaged {
		l.lockedOut(statements)
	}
}

// launchers are the services whose service-linked roles launch instances for their customers. They
// use keys as these roles, through EC2; never as service principals.
//
// Source: EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with encrypted
// volumes"; EC2 User Guide, "Service-linked role for Spot Instance requests" and "EC2 Fleet
// prerequisites".
var launchers = []string{"autoscaling.amazonaws.com", "spot.amazonaws.com", "ec2fleet.amazonaws.com", "spotfleet.amazonaws.com"}

// servicePrincipal finds services that never come to KMS as themselves, and services that may for
// whoever's resources.
func (l *linter) servicePrincipal(s *statement) {
	if s.Principal == nil {
		return
	}
	for _, t := range s.Principal.Service {
		switch {
		case slices.Contains(launchers, t.Value):
			l.add("service-principal", s.Statement, t.Pos,
				speech.Say("%s never uses a key as itself: it launches instances as its service-linked role, so the statement gives it nothing.", t.Value),
				speech.Say(`Name the role in "AWS": %s.`, quote(l.launcherRole(t.Value))))
		case t.Value == "ec2.amazonaws.com":
			l.add("service-principal", s.Statement, t.Pos,
				speech.Say("EC2 never uses a key as ec2.amazonaws.com: it asks with the identity of its caller, so the statement gives it nothing."),
				speech.Say("Name who launches the instances, with a condition on kms:ViaService."))
		case !onlyReads(s):
			l.confusedDeputy(s, t, speech.Say("%s may use the key for the resources of any account that asks it.", t.Value))
		}
	}
}

// onlyReads reports whether a statement of a key policy is about what a key is, not its use.
func onlyReads(s *statement) bool {
	return len(s.NotActions) == 0 && !slices.ContainsFunc(s.entries, func(e entry) bool { return !e.reads() })
}

// reads reports whether an entry is about what resources are, not their use.
func (e entry) reads() bool {
	return !e.open && !slices.ContainsFunc(e.matches, func(a *actions.Action) bool {
		return !slices.Contains(a.Level, "Read") && !slices.Contains(a.Level, "List")
	})
}

// confusedDeputy finds a service that is allowed for whoever's resources.
//
// Source: IAM User Guide, "The confused deputy problem".
func (l *linter) confusedDeputy(s *statement, service policy.Text, reason speech.Text) {
	if slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
		k := strings.ToLower(c.Key)
		return strings.HasPrefix(k, "aws:source") || strings.HasPrefix(k, "kms:encryptioncontext")
	}) {
		return
	}
	l.add("confused-deputy", s.Statement, service.Pos, reason, speech.Say("Add a condition on aws:SourceAccount or aws:SourceArn."))
}

func (l *linter) launcherRole(service string) string {
	account := l.opts.Account
	if account == "" {
		account = "ACCOUNT"
	}
	name := map[string]string{
		"autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling", "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
		"ec2fleet.amazonaws.com": "AWSServiceRoleForEC2Fleet", "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
	}[service]
	return arn.Role(account, arn.ServiceLinkedPath(service), name)
}

// owner is the account of the key, or "": given, or the only one that the policy gives everything.
func (l *linter) owner() string {
	if l.opts.Account != "" {
		return l.opts.Account
	}
	owner := ""
	for i := range l.doc.Statements {
		s := &l.doc.Statements[i]
		if s.Effect != policy.Allow || s.Principal == nil || !slices.ContainsFunc(s.Actions, func(t policy.Text) bool { return t.Value == "kms:*" || t.Value == "*" }) {
			continue
		}
		for _, t := range s.Principal.AWS {
			if a, ok := policy.IsAccountPrincipal(t.Value); ok && owner != "" && owner != a {
				return ""
			} else if ok {
				owner = a
			}
		}
	}
	return owner
}

// usesKey reports whether a statement gives what a launch needs.
func usesKey(s *statement) bool {
	return s.covers("kms:GenerateDataKeyWithoutPlaintext") || s.covers("kms:CreateGrant")
}

// external looks at principals of other accounts.
//
// Source: EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with encrypted
// volumes", Example 2; KMS Developer Guide, "Allowing users in other accounts to use a KMS key".
func (l *linter) external(s *statement, key Key) {
	owner := l.owner()
	if owner == "" || s.Principal == nil || !usesKey(s) {
		return
	}
	for _, t := range s.Principal.AWS {
		account := accountOf(t.Value)
		if account == "" || account == owner {
			continue
		}
		if strings.Contains(t.Value, ":role/aws-service-role/") {
			l.add("external-linked-role", s.Statement, t.Pos,
				speech.Say("The role is of account %s, the key of account %s. Across accounts an identity-based policy must allow too, and a service-linked role cannot have one for keys.", account, owner),
				speech.Say("Allow the account %s to use the key and to create grants, and have somebody there create a grant for the role.", quote(arn.Root(account))))
			continue
		}
		if _, root := policy.IsAccountPrincipal(t.Value); root {
			l.externalAccount(s, t, account, key)
		}
	}
}

// externalAccount says that the service-linked roles of another account need a grant: once for an
// account, at the statement that lets it make one.
func (l *linter) externalAccount(s *statement, t policy.Text, account string, key Key) {
	if !s.covers("kms:CreateGrant") {
		return
	}
	if c, ok := l.demandsAWSResource(s); ok {
		l.add("grant-condition-external", s.Statement, c.Pos,
			speech.Say("With this condition nobody of account %s can create the grant that the service-linked role there needs: kms:GrantIsForAWSResource is false in calls that people make.", account),
			speech.Say("Remove the condition from the statement for the other account."))
	}
	fix := speech.Say("In account %s create a grant on the key: the grantee is its service-linked role (%s), the operations include CreateGrant, Decrypt, GenerateDataKeyWithoutPlaintext, ReEncryptFrom and ReEncryptTo.", account, arn.Role(account, arn.ServiceLinkedPath(launchers[0]), "AWSServiceRoleForAutoScaling"))
	if key.Grants == nil {
		l.addAs(Note, "external-account-grant", s.Statement, t.Pos,
			speech.Say("This lets identities of account %s use the key as far as their own policies allow. Launches by Auto Scaling there also depend on a grant to its service-linked role; say what grants there are with --known to have that checked.", account), fix)
		return
	}
	reason := speech.Say("Launches by Auto Scaling in account %s need a grant to its service-linked role; there is none.", account)
	for _, g := range key.Grants {
		if !g.linkedGrantee(account) {
			continue
		}
		ok, why := g.launching()
		if ok {
			return
		}
		reason = speech.Say("Launches by Auto Scaling in account %s need a grant to its service-linked role; of the one there is, %s.", account, why)
	}
	l.add("external-account-grant", s.Statement, t.Pos, reason, fix)
}

// demandsAWSResource finds the condition that binds kms:CreateGrant to AWS services.
func (l *linter) demandsAWSResource(s *statement) (policy.Condition, bool) {
	for _, c := range s.Conditions {
		k := l.cond(c)
		if strings.EqualFold(c.Key, "kms:GrantIsForAWSResource") &&
			!l.holdsText(k, "false") && l.holdsText(k, "true") {
			return c, true
		}
	}
	return policy.Condition{}, false
}

func (l *linter) holdsText(c cond, text string) bool {
	return l.holds([]cond{c}, condition.Value{One: text})
}

// createGrant finds service-linked roles that may create grants for anybody.
func (l *linter) createGrant(s *statement) {
	if s.Principal == nil || !s.covers("kms:CreateGrant") {
		return
	}
	limited := slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
		k := strings.ToLower(c.Key)
		return k == "kms:grantisforawsresource" || k == "kms:viaservice" || k == "aws:viaawsservice" || strings.HasPrefix(k, "kms:grant") || strings.HasPrefix(k, "aws:calledvia")
	})
	for _, t := range s.Principal.AWS {
		if !limited && strings.Contains(t.Value, ":role/aws-service-role/") {
			l.add("grant-condition-missing", s.Statement, t.Pos,
				speech.Say("The role needs kms:CreateGrant only for the services that attach volumes; without a condition it may pass the key to anybody."),
				speech.Say(`Move kms:CreateGrant to a statement of its own with "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}.`))
		}
	}
}

// administration finds statements that give more than use of the key to others than the account.
func (l *linter) administration(s *statement) {
	if s.Principal == nil || !s.covers("kms:PutKeyPolicy") {
		return
	}
	owner := l.owner()
	for kind, t := range s.Principal.All() {
		account := accountOf(t.Value)
		switch {
		case kind == policy.PrincipalService, strings.Contains(t.Value, ":role/aws-service-role/"):
			l.add("key-administration", s.Statement, t.Pos, speech.Say("A service may change the key policy, so it may let itself and others do anything with the key."),
				speech.Say("List the operations that it uses."))
		case owner != "" && account != "" && account != owner:
			l.add("key-administration", s.Statement, t.Pos, speech.Say("kms:PutKeyPolicy and what else changes a key do not work from account %s; the rest is more than use of the key.", account),
				speech.Say("List the operations that the other account uses."))
		}
	}
}

// abroad finds actions that principals of other accounts are given but that do not work on a key
// of another account.
//
// Source: KMS API Reference, "Cross-account use" of each operation.
func (l *linter) abroad(s *statement) {
	accounts, ok := principalAccounts(s.Principal)
	owner := l.owner()
	if !ok || owner == "" || slices.Contains(accounts, owner) {
		return
	}
	for _, e := range s.entries {
		if !e.open && len(e.matches) > 0 && !slices.ContainsFunc(e.matches, func(a *actions.Action) bool { return a.CrossAccount }) {
			l.add("not-abroad", s.Statement, e.Pos, speech.Say("%s does not work on a key of another account, so the statement gives account %s nothing by it.", quote(e.Value), listed(accounts)),
				speech.Say("Remove the entry, or let the other account assume a role in %s.", owner))
		}
	}
}

// lockedOut finds policies that nobody can change, and those that hang on single principals.
//
// Source: KMS Developer Guide, "Default key policy": the account's statement reduces the risk of
// the key becoming unmanageable.
func (l *linter) lockedOut(statements []*statement) {
	all := policy.Pos{End: len(l.doc.Source), Line: 1, Column: 1}
	managed, account := false, false
	for _, s := range statements {
		if s.Effect != policy.Allow || s.Principal.Empty() || !s.covers("kms:PutKeyPolicy") {
			continue
		}
		managed = true
		for _, t := range s.Principal.AWS {
			_, root := policy.IsAccountPrincipal(t.Value)
			account = account || root
		}
		account = account || s.Principal.Any
	}
	switch {
	case !managed:
		l.add("locked-out", nil, all, speech.Say("No statement allows kms:PutKeyPolicy, so nobody could ever change the policy; KMS refuses it unless the check is bypassed."),
			speech.Say("Allow the account (its root ARN) kms:*, or an administrator kms:Put*."))
	case !account:
		l.add("no-account-statement", nil, all,
			speech.Say("Only single principals may change the policy. If they are deleted nobody can, and no identity-based policy of the account opens the key. Whoever stores this must be one of them."),
			speech.Say(`Add the statement of the default key policy: the account (its root ARN) is allowed kms:* on "*".`))
	}
}
