package lint

import (
	"slices"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// accountRules looks at the accounts that a statement names, where the document's own is known.
func (l *linter) accountRules(s *statement) {
	own := l.opts.Account
	if l.opts.Kind == policy.Key {
		own = l.owner()
	}
	if own == "" {
		return
	}
	for _, p := range []*policy.Principals{s.Principal, s.NotPrincipal} {
		for _, t := range p.All() {
			l.typo(s, t, accountOf(t.Value), own)
		}
	}
	for _, r := range slices.Concat(s.Resources, s.NotResources) {
		f, ok := fields(r.Value)
		if !ok || !arn.IsAccount(f[4]) || f[4] == own {
			continue
		}
		if l.opts.Kind == policy.Identity || l.opts.Kind == policy.Session {
			l.foreign(s, r, f[4], own)
		}
		l.typo(s, r, f[4], own)
	}
}

// typo finds accounts that differ from the own by one digit, or by two neighbours in the wrong
// order.
func (l *linter) typo(s *statement, t policy.Text, account, own string) {
	if len(account) != len(own) || account == own {
		return
	}
	var differ []int
	for i := range len(own) {
		if account[i] != own[i] {
			differ = append(differ, i)
		}
	}
	swapped := len(differ) == 2 && differ[1] == differ[0]+1 && account[differ[0]] == own[differ[1]] && account[differ[1]] == own[differ[0]]
	if len(differ) == 1 || swapped {
		l.add("account-typo", s.Statement, t.Pos, speech.Say("The account %s looks like %s, to which the document belongs.", account, own), speech.Say("Write %s if that is meant.", own))
	}
}

// foreign finds actions that an identity-based policy allows on a resource of another account, of
// which none works there: those of IAM and EC2 Auto Scaling, and of KMS most that are not use of a
// key.
//
// Source: IAM User Guide, "Cross account resource access in IAM"; KMS API Reference, "Cross-account
// use".
func (l *linter) foreign(s *statement, r policy.Text, account, own string) {
	if s.Effect != policy.Allow || s.open || len(s.NotActions) > 0 {
		return
	}
	var acting []*actions.Action
	for _, a := range matches(s) {
		if l.actsOn(a, r.Value, nil) {
			acting = append(acting, a)
		}
	}
	if len(acting) == 0 || slices.ContainsFunc(acting, worksAbroad) {
		return
	}
	l.add("other-account", s.Statement, r.Pos,
		speech.Say("The resource is of account %s. %s works on resources of the caller's own account only, which is %s.", account, quote(acting[0].Full()), own),
		speech.Say("Write account %s, or allow sts:AssumeRole on a role in %s.", own, account))
}

func worksAbroad(a *actions.Action) bool {
	switch a.Service.Prefix {
	case "kms":
		return a.CrossAccount
	case "iam", "autoscaling":
		return false
	}
	return true
}
