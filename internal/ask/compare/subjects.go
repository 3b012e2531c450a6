package compare

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A subject is somebody whom the policies are asked about.
type subject struct {
	name      string
	candidate ask.Candidate
}

// elsewhere stands for an account that no policy knows of.
const elsewhere = "000000000000"

// subjects are all whom the policies name, and those whom they mean without a name: other users and
// roles of the accounts, everybody, and whom a condition names.
func subjects(key Key, docs ...*policy.Document) []subject {
	var out []subject
	add := func(s subject) {
		if !slices.ContainsFunc(out, func(o subject) bool { return o.name == s.name }) {
			out = append(out, s)
		}
	}
	var accounts []string
	everybody := false
	for _, d := range docs {
		for i := range d.Statements {
			st := &d.Statements[i]
			everybody = everybody || st.NotPrincipal != nil || st.Principal != nil && st.Principal.Any
			for _, p := range []*policy.Principals{st.Principal, st.NotPrincipal} {
				for kind, t := range p.All() {
					if account, ok := policy.IsAccountPrincipal(t.Value); ok {
						accounts = append(accounts, account)
					} else if s, ok := named(kind, t.Value); ok {
						add(s)
					}
				}
			}
			for _, s := range ofConditions(st) {
				if account, ok := policy.IsAccountPrincipal(s); ok {
					accounts = append(accounts, account)
				} else if n, ok := named(policy.PrincipalAWS, instance(s)); ok {
					if n.name != s {
						n.name = "whoever matches " + s
					}
					add(n)
				} else if strings.HasPrefix(s, "o-") {
					n := anybody("anybody in organization "+s, elsewhere)
					n.candidate.Principal.OrgID = s
					add(n)
				}
			}
		}
	}
	if everybody {
		accounts = append(accounts, key.Account)
	}
	for _, account := range accounts {
		add(anybody("anybody else in account "+account, account))
	}
	if everybody {
		add(anybody("anybody in other accounts", elsewhere))
	}
	return out
}

// ofConditions are the principals, accounts and organizations that a statement's conditions name.
func ofConditions(st *policy.Statement) []string {
	var out []string
	for _, c := range st.Conditions {
		switch strings.ToLower(c.Key) {
		case "aws:principalarn", "aws:principalaccount", "kms:calleraccount", "aws:principalorgid":
			for _, v := range c.Values {
				if !strings.ContainsAny(v.Value, "$") {
					out = append(out, v.Value)
				}
			}
		}
	}
	return out
}

// instance is somebody whom a pattern of ARNs matches; a name without stars and question marks is its
// own.
func instance(pattern string) string {
	fields := strings.SplitN(pattern, ":", 6)
	if len(fields) == 6 && strings.ContainsAny(fields[4], "*?") {
		fields[4] = elsewhere
	}
	return strings.NewReplacer("*", "any", "?", "x").Replace(strings.Join(fields, ":"))
}

// identity are identity policies that nobody has said anything of.
func identity() []*authz.Document {
	d := authz.Compile(nil, policy.Identity)
	d.Name = "identity policies"
	return []*authz.Document{d}
}

func anybody(name, account string) subject {
	return subject{name, ask.Candidate{
		Principal: authz.Principal{Type: authz.User, ARN: arn.User(account, "/", "somebody"), Account: account, Username: "somebody"},
		Identity:  identity(),
	}}
}

// named is somebody with a name: a user, a role, a session or a service. Roles that are linked to
// services have no identity policies that are about keys.
func named(kind policy.PrincipalKind, name string) (subject, bool) {
	s := subject{name: name}
	p := &s.candidate.Principal
	if kind == policy.PrincipalService {
		p.Type, p.ARN = authz.Service, name
		return s, true
	}
	a, err := arn.Parse(name)
	if kind != policy.PrincipalAWS || err != nil || a.ID() == "" {
		return s, false // deleted, or of a kind that cannot use keys
	}
	last := a.ID()[strings.LastIndexByte(a.ID(), '/')+1:]
	p.ARN, p.Account = name, a.Account
	switch a.Type() {
	case "user":
		p.Type, p.Username = authz.User, last
	case "role":
		p.Type, p.RoleARN, p.ARN = authz.RoleSession, name, arn.Session(a.Account, last, "session")
	case "assumed-role":
		role, _, _ := strings.Cut(a.ID(), "/")
		p.Type, p.RoleARN = authz.RoleSession, arn.Role(a.Account, "/", role)
	default:
		return s, false
	}
	if !arn.IsServiceLinkedRole(name) {
		s.candidate.Identity = identity()
	}
	return s, true
}
