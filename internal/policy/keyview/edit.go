package keyview

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
)

// AddUser makes a user or role, or with an account's id or root ARN another account, a key user.
// The usage decides what a new statement says; one that is there stays as it is.
func (p *Policy) AddUser(name string, of Usage) (*Policy, error) {
	wants, ok := of.wants()
	if !ok {
		return nil, fmt.Errorf("keyview: %q is no usage of a key", of)
	}
	name, err := principal(name)
	if err != nil {
		return nil, err
	}
	return p.grant(name, listedIn, wants...)
}

// RemoveUser takes the rights of a key user, or of another account, that AddUser gives.
func (p *Policy) RemoveUser(name string) (*Policy, error) { return p.revoke(name, use, attachment) }

// AddAccount lets another account use the key, as the console does: it is AddUser of the account.
func (p *Policy) AddAccount(account string, of Usage) (*Policy, error) {
	if !arn.IsAccount(account) {
		return nil, fmt.Errorf("keyview: %q is not an account id of 12 digits", account)
	}
	return p.AddUser(account, of)
}

// RemoveAccount undoes AddAccount.
func (p *Policy) RemoveAccount(account string) (*Policy, error) { return p.RemoveUser(account) }

// AddAdministrator makes a user or role a key administrator. The first may delete the key, as is
// the console's default; later ones may do what the others do.
func (p *Policy) AddAdministrator(name string) (*Policy, error) {
	name, err := principal(name)
	if err != nil {
		return nil, err
	}
	return p.grant(name, listedIn, wanted{administration, slices.Concat(administration.core, tagging, deletion, rotation)})
}

// RemoveAdministrator takes the rights that AddAdministrator gives.
func (p *Policy) RemoveAdministrator(name string) (*Policy, error) {
	return p.revoke(name, administration)
}

// AllowDelete says whether key administrators may delete the key. The error is
// [ErrNoAdministrators] if there are none.
func (p *Policy) AllowDelete(may bool) (*Policy, error) {
	all := p.all(administration)
	if len(all) == 0 {
		return nil, ErrNoAdministrators
	}
	for _, i := range all {
		for _, action := range deletion {
			list := p.doc.Statements[i].Actions
			has := slices.IndexFunc(list, func(t policy.Text) bool { return strings.EqualFold(t.Value, action) })
			if (has >= 0) == may {
				continue
			}
			var src []byte
			if may {
				src, _ = p.doc.InsertValue(list, action)
			} else {
				src, _ = p.doc.DeleteValue(list, has) // one of more than ten
			}
			next, err := p.with(src)
			if err != nil {
				return nil, err
			}
			p = next
		}
	}
	return p, nil
}

// AddLinkedRole lets a service-linked role of the key's account launch on volumes under the key, by
// the two statements of the page's first example; nothing is added for a key user.
func (p *Policy) AddLinkedRole(role string) (*Policy, error) {
	role, err := linkedRole(role)
	if err != nil {
		return nil, err
	}
	return p.grant(role, allowedBy, wanted{roleUse, roleUse.core}, wanted{roleAttachment, roleAttachment.core})
}

// AddLinkedRoleLeast is AddLinkedRole with no action that a launch does not ask for.
func (p *Policy) AddLinkedRoleLeast(role string) (*Policy, error) {
	role, err := linkedRole(role)
	if err != nil {
		return nil, err
	}
	return p.AddLauncherLeast(role)
}

// AddLauncherLeast lets a user or role of the key's account launch on volumes under the key, start
// such instances and attach such volumes, with no action that those do not ask for. It needs an IAM
// policy that lets it call EC2, and none for the key.
func (p *Policy) AddLauncherLeast(name string) (*Policy, error) {
	name, err := principal(name)
	if err != nil {
		return nil, err
	}
	return p.grant(name, allowedBy, wanted{leastUse, leastUse.core}, wanted{roleAttachment, roleAttachment.core})
}

// RemoveLinkedRole undoes AddLinkedRole and AddLinkedRoleLeast.
func (p *Policy) RemoveLinkedRole(role string) (*Policy, error) {
	return p.revoke(role, roleUse, leastUse, roleAttachment)
}

func linkedRole(role string) (string, error) {
	if a, err := arn.Parse(role); err != nil || !arn.IsServiceLinkedRole(role) || !arn.IsAccount(a.Account) {
		return "", fmt.Errorf("keyview: %q is not the ARN of a service-linked role", role)
	}
	return role, nil
}

// ShareWithAccount lets another account use the key and make grants on it, by the two statements
// of the page's second example. Roles that are linked to services there also need a grant.
func (p *Policy) ShareWithAccount(account string) (*Policy, error) {
	if !arn.IsAccount(account) {
		return nil, fmt.Errorf("keyview: %q is not an account id of 12 digits", account)
	}
	return p.grant(arn.Root(account), allowedBy, wanted{accountUse.of(account), accountUse.core}, wanted{accountGrants.of(account), accountGrants.core})
}

// UnshareWithAccount undoes ShareWithAccount.
func (p *Policy) UnshareWithAccount(account string) (*Policy, error) {
	return p.revoke(arn.Root(account), accountUse.of(account), accountGrants.of(account))
}

// of is the form for an account.
func (f *form) of(account string) *form {
	g := *f
	g.sids = []string{strings.ReplaceAll(f.sids[0], "{account}", account)}
	return &g
}

// grant sees to it that a principal has what each form says: in a statement that is there or, if
// there is none, in a new one at the end.
func (p *Policy) grant(name string, has func(*Policy, string, *form) bool, wants ...wanted) (*Policy, error) {
	for _, f := range wants {
		if has(p, name, f.form) {
			continue
		}
		var src []byte
		var ok bool
		sid := f.sids[0]
		all := p.all(f.form)
		if len(all) > 0 {
			src, ok = p.doc.InsertValue(p.doc.Statements[all[0]].Principal.AWS, name)
		} else {
			sid = p.free(sid)
			src, ok = policy.AppendStatements(p.doc.Source, f.statement(sid, name, f.actions))
		}
		if !ok {
			return nil, fmt.Errorf("keyview: the policy cannot be extended")
		}
		next, err := p.with(src)
		if err != nil {
			return nil, err
		}
		if p = next; sid != f.sids[0] {
			p.notes = append(p.notes, fmt.Sprintf("Another statement has the Sid %q: the new one is called %q.", f.sids[0], sid))
		}
	}
	return p, nil
}

// listedIn reports whether a principal is in a statement of a form, as the console shows it.
func listedIn(p *Policy, name string, f *form) bool {
	return slices.ContainsFunc(p.all(f), func(i int) bool { return at(&p.doc.Statements[i], name) >= 0 })
}

// allowedBy reports whether some statement, whatever it is called, gives a principal at least what
// a form does, on the same condition or none.
func allowedBy(p *Policy, name string, f *form) bool {
	return slices.ContainsFunc(p.doc.Statements, func(st policy.Statement) bool {
		return at(&st, name) >= 0 && st.Effect == policy.Allow && (len(st.Conditions) == 0 || f.forAWS && isForAWS(st.Conditions)) &&
			len(st.Resources) == 1 && st.Resources[0].Value == "*" && covers(st.Actions, f.core)
	})
}

// free is a Sid that no statement has: the given one, or that with a number.
func (p *Policy) free(sid string) string {
	taken := func(s string) bool {
		return slices.ContainsFunc(p.doc.Statements, func(st policy.Statement) bool { return st.Sid == s })
	}
	name := sid
	for n := 2; taken(name); n++ {
		name = sid + " " + strconv.Itoa(n)
	}
	return name
}

// revoke takes a principal out of all statements of the forms; a statement whose only principal
// it is goes.
func (p *Policy) revoke(name string, forms ...*form) (*Policy, error) {
	for i := 0; i < len(p.doc.Statements); {
		st := &p.doc.Statements[i]
		who := at(st, name)
		if who < 0 || !slices.ContainsFunc(forms, func(f *form) bool { return f.is(st) }) {
			i++
			continue
		}
		src, ok := p.doc.DeleteValue(st.Principal.AWS, who)
		if !ok {
			if src, ok = p.doc.DeleteStatement(i); !ok {
				return nil, ErrLastStatement
			}
		}
		next, err := p.with(src)
		if err != nil {
			return nil, err
		}
		p = next
	}
	return p, nil
}

// with is the policy with another text.
func (p *Policy) with(src []byte) (*Policy, error) {
	next, err := Parse(src)
	if err != nil {
		return nil, fmt.Errorf("keyview: %w", err)
	}
	next.notes = p.Notes()
	return next, nil
}
