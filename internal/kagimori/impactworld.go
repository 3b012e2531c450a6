package kagimori

import (
	"cmp"
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A launcher asks EC2 for something.
type launcher struct{ guard.Caller }

// ARN names the launcher.
func (l launcher) ARN() string { return l.Principal.ARN }

// A person is a principal that is asked what it can do.
type person struct{ ask.Candidate }

// newPerson is a candidate that is asked several questions.
func newPerson(who ask.Candidate) person {
	who.Sorting = &ask.Sorting{}
	return person{who}
}

// ARN names the person: a role, not a session of it.
func (p person) ARN() string { return cmp.Or(p.Principal.RoleARN, p.Principal.ARN) }

func (p person) infrastructure() bool {
	return p.Principal.Account != "" && p.Principal.RoleARN == arn.InfrastructureRole(p.Principal.Account)
}

// facts are what the store knows of keys; each is read once.
type facts struct {
	s      *Service
	tx     store.Tx
	region string
	known  map[string]*knownKey
}

// A knownKey is a key with everything that decisions about it take. One that does not exist has a
// part without a policy.
type knownKey struct {
	part   authz.Part
	rule   keyrule.Key
	grants []authz.Grant
	index  *authz.GrantIndex
	exists bool
}

func (f *facts) key(keyARN string) (*knownKey, error) {
	if k, ok := f.known[keyARN]; ok {
		return k, nil
	}
	k := &knownKey{}
	f.known[keyARN] = k
	var err error
	if k.part, k.exists, err = f.s.keys.Key(f.tx, keyARN); err != nil {
		return nil, err
	}
	if !k.exists {
		k.part.Resource, k.part.Authoritative, k.index = authz.Resource{ARN: keyARN, Account: accountOf(keyARN)}, true, authz.IndexGrants(nil)
		return k, nil
	}
	if k.rule, _, err = f.s.keys.Rule(f.tx, keyARN); err != nil {
		return nil, err
	}
	for g, err := range f.s.keys.Grants(f.tx, keyARN) {
		if err != nil {
			return nil, err
		}
		k.grants = append(k.grants, g)
	}
	k.index = authz.IndexGrants(k.grants)
	return k, nil
}

// A world answers as the server would: now, or after a change.
type world struct {
	*facts
	change  *impact.Change // nil: now
	changed map[string]*knownKey
}

// key is a key as it is in the world.
func (w *world) key(keyARN string) (*knownKey, error) {
	k, err := w.facts.key(keyARN)
	if err != nil || w.change == nil || w.change.KeyARN != keyARN || !k.exists {
		return k, err
	}
	if k, ok := w.changed[keyARN]; ok {
		return k, nil
	}
	next := new(*k)
	w.change.Key(&next.rule)
	if next.part.Policy, err = w.change.KeyPolicy(keyARN, k.part.Policy); err != nil {
		return nil, err
	}
	if w.change.Grant != "" {
		next.grants = w.change.Grants(keyARN, k.grants)
		next.index = authz.IndexGrants(next.grants)
	}
	w.changed[keyARN] = next
	return next, nil
}

// Resolve finds the key that an identifier names. That of AWS which is made when it is needed lets
// everybody of the account in, and no change is about it.
func (w *world) Resolve(account, id string) (keyARN string, depends []string, err error) {
	keyARN, made, err := w.s.keys.Resolve(w.tx, w.region, account, id)
	if err == nil && keyARN == "" && !made {
		return "", []string{"the key " + id + ", which is made when it is needed"}, nil
	}
	return keyARN, nil, err
}

// caller is who makes a request of a plan, as EC2 makes it.
func (w *world) caller(of impact.Caller, r launch.Request) guard.Caller {
	region := regionOf(r.KeyARN)
	switch r.As {
	case launch.Caller:
		as := of.(launcher).Via("ec2.amazonaws.com")
		as.Secure, as.UserAgent, as.SourceIP = true, "", ""
		return as
	case launch.Infrastructure:
		return guard.Caller{Identity: w.s.g.Directory().InfrastructureIdentity(r.Account, region, r.Instance), Secure: true}
	}
	p, _ := r.Principal()
	return guard.Caller{Identity: directory.ServiceIdentity(p.ARN), Secure: true, InvokedBy: p.ARN, SourceARN: r.TargetARN, SourceAccount: r.Account}
}

func regionOf(keyARN string) string {
	a, _ := arn.Parse(keyARN) // of a plan, which is checked
	return a.Region
}

// Ask decides a request of a plan on what the guard would decide it on.
func (w *world) Ask(of impact.Caller, r launch.Request, made map[string][]authz.Grant, explain bool) (impact.Ruling, error) {
	as := w.caller(of, r)
	c := &guard.Call{Service: "kms", Operation: string(r.Call), Region: regionOf(r.KeyARN), Caller: as, Time: w.s.g.Now()}
	parts := r.Parts()
	keys := make([]*knownKey, len(parts))
	for i := range parts {
		p := &parts[i]
		k, err := w.key(p.Resource.ARN)
		if err != nil {
			return impact.Ruling{}, err
		}
		p.Resource, p.Policy, p.GrantIndex, p.Grants = k.part.Resource, k.part.Policy, k.index, made[p.Resource.ARN]
		p.Context = slices.Concat(k.part.Context, p.Context)
		keys[i] = k
	}
	req, err := w.s.g.Consider(w.tx, c, parts)
	if err != nil {
		return impact.Ruling{}, err
	}
	if w.change != nil {
		req.Identity = w.change.Identity(cmp.Or(req.Principal.RoleARN, req.Principal.ARN), req.Identity)
	}
	out := impact.Ruling{Who: req.Principal.ARN}
	if explain {
		out.Decision = authz.Explain(&req)
	} else {
		out.Decision = authz.Decide(&req)
	}
	if out.Decision.Outcome != authz.Allowed {
		out.Part = max(0, out.Decision.Part)
		return out, nil
	}
	for i := range parts {
		if out.Err = impact.Afterwards(r, parts[i].Action, &keys[i].rule); out.Err != nil {
			out.Part = i
			return out, nil
		}
	}
	return out, nil
}

// Access answers what a principal can do with a key, whatever the request.
func (w *world) Access(of impact.Caller, keyARN, action string) (impact.Access, error) {
	k, err := w.key(keyARN)
	if err != nil || !k.exists {
		return impact.Access{}, err
	}
	part := k.part
	part.GrantIndex, part.Action = k.index, action
	place, err := w.s.g.Directory().Place(w.tx, part.Resource.Account)
	if err != nil {
		return impact.Access{}, err
	}
	part.RCPs = place.RCPs
	part.Resource.AccountRole, part.Resource.OrgID, part.Resource.OrgPaths = place.Role, place.Organization, place.Paths
	part = grantWanted(part)
	who := of.(person).Candidate
	if w.change != nil {
		who.Identity = w.change.Identity(of.ARN(), who.Identity)
	}
	a, ok := ask.Ask(&who, part)
	out := impact.Access{Can: ok, Always: a.Outcome == authz.Allowed, More: a.More, Err: impact.AfterAccess(action, &k.rule)}
	if out.Decision = &a.Part; !ok {
		out.Decision = new(ask.Refusal(&who, part))
	}
	return out, nil
}
