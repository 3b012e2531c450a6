// Package keyview reads and edits key policies as the default view of AWS's console does: as
// lists of key administrators, key users and other accounts, each standing for a statement that the
// console writes. It also knows the statements of the page on keys for encrypted volumes.
//
// A statement is recognized if it has the console's Sid and says what the console makes it say, for
// whatever principals. Everything else is somebody's own: it is told, and no edit touches a byte of
// it. An edit that has nothing to do gives the text back as it is.
//
// Sources: KMS Developer Guide, "Default key policy", "Change a key policy", "Control access to key
// deletion" and "Controlling access to HMAC KMS keys"; Amazon EC2 Auto Scaling User Guide, "Required
// AWS KMS key policy for use with encrypted volumes".
package keyview

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
)

// ErrLastStatement is the error of an edit that would leave a policy without statements.
var ErrLastStatement = errors.New("keyview: the policy would have no statement left")

// ErrNoAdministrators is the error of an edit of what administrators may do where there are none.
var ErrNoAdministrators = errors.New("keyview: the policy has no statement for key administrators")

// A Policy is the text of a key policy. It is immutable: edits make new ones.
type Policy struct {
	doc   *policy.Document
	notes []string
}

// Parse reads a key policy. The error is a [*policy.SyntaxError].
func Parse(src []byte) (*Policy, error) {
	doc, err := policy.Parse(src, policy.Key)
	if err != nil {
		return nil, err
	}
	return &Policy{doc: doc}, nil
}

// Bytes is the text.
func (p *Policy) Bytes() []byte { return bytes.Clone(p.doc.Source) }

// Notes are what the edits that led here had to do otherwise than the console.
func (p *Policy) Notes() []string { return slices.Clone(p.notes) }

// A View is what a policy looks like in the console. The lists are in the order of the text,
// without repetitions; of the account principals of key users, Users has none and Accounts all.
type View struct {
	// Root reports whether the account can give access by IAM policies.
	Root           bool     `json:"root"`
	Administrators []string `json:"administrators"`
	// MayDelete reports whether all key administrators may delete the key.
	MayDelete bool     `json:"administratorsMayDelete"`
	Users     []string `json:"users"`
	Accounts  []string `json:"accounts"` // 12-digit ids
	// UseOnly and GrantsOnly are the key users, and other accounts, that only one of the two statements
	// for key users names: the one to use the key, or the one to let services of AWS use it.
	UseOnly    []string `json:"useOnly,omitempty"`
	GrantsOnly []string `json:"grantsOnly,omitempty"`
	// Other are the places of the statements that are not recognized. The console has a default view
	// only of a policy without any.
	Other []int `json:"other"`
}

// View reads a policy as the console shows it.
func (p *Policy) View() View {
	v := View{Administrators: []string{}, Users: []string{}, Accounts: []string{}, Other: []int{}}
	deleters := 0
	administrators := p.all(administration)
	var users, granters []string
	for i := range p.doc.Statements {
		st := &p.doc.Statements[i]
		switch {
		case root.is(st):
			v.Root = true
		case administration.is(st):
			add(&v.Administrators, names(st)...)
			if contains(st.Actions, deletion...) {
				deleters++
			}
		case use.is(st), attachment.is(st):
			for _, name := range names(st) {
				account, ok := policy.IsAccountPrincipal(name)
				if ok {
					name = account
					add(&v.Accounts, name)
				} else {
					add(&v.Users, name)
				}
				if use.is(st) {
					add(&users, name)
				}
				if attachment.is(st) || contains(st.Actions, mac...) { // no service uses a key for MACs
					add(&granters, name)
				}
			}
		default:
			v.Other = append(v.Other, i)
		}
	}
	v.MayDelete = deleters > 0 && deleters == len(administrators)
	v.UseOnly, v.GrantsOnly = without(users, granters), without(granters, users)
	return v
}

// all are the places of the statements of a form.
func (p *Policy) all(f *form) []int {
	var out []int
	for i := range p.doc.Statements {
		if f.is(&p.doc.Statements[i]) {
			out = append(out, i)
		}
	}
	return out
}

func add(list *[]string, more ...string) {
	for _, s := range more {
		if !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
}

// without are the names of a list that another one does not have.
func without(list, other []string) []string {
	var out []string
	for _, name := range list {
		if !slices.Contains(other, name) {
			out = append(out, name)
		}
	}
	return out
}

// Sid is that of the statement at a place, from 0; "" if it has none.
func (p *Policy) Sid(i int) string { return p.doc.Statements[i].Sid }

// names are the AWS principals of a statement.
func names(st *policy.Statement) []string {
	if st.Principal == nil {
		return nil
	}
	out := make([]string, len(st.Principal.AWS))
	for i, t := range st.Principal.AWS {
		out[i] = t.Value
	}
	return out
}

// same reports whether two principals are the same: an account is its id or the ARN of its root
// user.
func same(a, b string) bool {
	x, isAccount := policy.IsAccountPrincipal(a)
	y, too := policy.IsAccountPrincipal(b)
	return a == b || isAccount && too && x == y
}

// at is the place of a principal in a statement, or -1.
func at(st *policy.Statement, principal string) int {
	if st.Principal == nil {
		return -1
	}
	return slices.IndexFunc(st.Principal.AWS, func(t policy.Text) bool { return same(t.Value, principal) })
}

// principal checks who a statement can be for, and writes it as the console does.
func principal(name string) (string, error) {
	if account, ok := policy.IsAccountPrincipal(name); ok {
		return arn.Root(account), nil
	}
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || a.Region != "" || !arn.IsAccount(a.Account) || a.Type() != "user" && a.Type() != "role" || a.ID() == "" {
		return "", fmt.Errorf("keyview: %q is not the ARN of a user or role, nor an account", name)
	}
	return name, nil
}
