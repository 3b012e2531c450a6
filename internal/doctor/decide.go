package doctor

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/launch"
)

// An answer is what KMS would say to one request.
type answer struct {
	who      *subject
	request  authz.Request
	decision authz.Decision
	err      error // what KMS says to a request that is allowed, or nil
	part     int   // the part that is refused
	key      *key  // of that part; nil if the world has none
	// depends are the facts that would settle it; nil if it is settled.
	depends []string
}

func (a *answer) ok() bool {
	return len(a.depends) > 0 || a.decision.Outcome == authz.Allowed && a.err == nil
}

// refused is the part that is refused. It is only meant if not ok.
func (a *answer) refused() *authz.PartDecision { return &a.decision.Parts[a.part] }

// decide decides the parts of a request, each with what belongs to its key; extra are grants by the
// key's ARN that the launch itself made.
func (w *world) decide(who *subject, parts []authz.Part, direct bool, extra map[string][]authz.Grant) answer {
	a := answer{who: who, request: authz.Request{
		Principal: who.principal, Identity: who.identity, Boundary: who.boundary, SCPs: who.scps,
	}}
	w.circumstances(&a.request.Context, who, direct)
	for _, p := range parts {
		a.request.Parts = append(a.request.Parts, w.complete(p, extra))
	}
	// What is the same for all parts belongs to the request, where the engine's advice looks for it.
	for _, e := range parts[0].Context {
		if e.Key == "kms:viaservice" || e.Key == "kms:calleraccount" || e.Key == "aws:viaawsservice" {
			a.request.Context = append(a.request.Context, e)
		}
	}
	a.decision = authz.Explain(&a.request)
	for i, p := range a.decision.Parts {
		a.part, a.key = i, w.keys[p.Resource]
		switch p.Outcome {
		case authz.Allowed:
			continue
		case authz.Undetermined:
			a.depends = append(a.depends, facts(p.Depends)...)
			continue
		}
		if why, open := w.grantMayHelp(&a, i); open {
			a.depends = append(a.depends, why)
			continue
		}
		a.depends = nil // it is refused whatever the rest is
		return a
	}
	a.part, a.key = 0, w.keys[a.decision.Parts[0].Resource]
	return a
}

// complete gives a part what belongs to its key.
func (w *world) complete(p authz.Part, extra map[string][]authz.Grant) authz.Part {
	owner := w.accounts[p.Resource.Account]
	if owner != nil {
		p.RCPs = owner.rcps
	}
	if k, ok := w.keys[p.Resource.ARN]; ok {
		p.Resource, p.Policy = k.Resource(), k.policy
		p.Context = append(k.Context(), p.Context...)
		p.Grants = slices.Concat(k.grants, extra[k.ARN()])
		if k.unknownTags {
			for _, name := range w.tagKeys {
				p.Context.SetUnknown(name)
			}
		}
	} else if owner == nil && p.Resource.ARN != "*" && arn.IsAccount(p.Resource.Account) {
		p.Policy = &authz.Document{Name: "the policy of key " + p.Resource.ARN + ", for account " + p.Resource.Account + " is not described",
			Owner: p.Resource.Account, Attached: p.Resource.ARN, Unknown: true}
	}
	if owner != nil {
		p.Resource.AccountRole, p.Resource.OrgID = owner.place, owner.Org
	}
	return p
}

// circumstances sets the condition keys that are not known. direct requests come from somewhere,
// forwarded ones from the service.
func (w *world) circumstances(c *authz.Context, who *subject, direct bool) {
	for _, name := range w.unsettled {
		switch {
		case strings.HasPrefix(name, "aws:sourceip"), strings.HasPrefix(name, "aws:sourcevpc"), strings.HasPrefix(name, "aws:vpcsourceip"),
			name == "aws:useragent", name == "aws:referer":
			if direct {
				c.SetUnknown(name)
			}
		case strings.HasPrefix(name, "aws:multifactorauth"), name == "aws:tokenissuetime", name == "aws:sourceidentity", strings.HasPrefix(name, "aws:principaltag/"):
			if t := who.principal.Type; (t == authz.User || t == authz.RoleSession) && !who.principal.IsServiceLinked() && who.name != arn.InfrastructureRole(who.principal.Account) {
				c.SetUnknown(name)
			}
		case strings.HasPrefix(name, "aws:principalorg"):
			if who.principal.Account != "" && who.principal.OrgID == "" || name != "aws:principalorgid" {
				c.SetUnknown(name)
			}
		default:
			c.SetUnknown(name)
		}
	}
}

// facts puts what an undetermined decision depends on into words.
func facts(depends []string) []string {
	out := make([]string, len(depends))
	for i, d := range depends {
		if name, ok := strings.CutPrefix(d, "key "); ok {
			d = "the value of the condition key " + name
		}
		out[i] = strings.TrimPrefix(d, "document ")
	}
	return out
}

// grantMayHelp reports whether a grant that nobody could read may allow a part that is refused.
func (w *world) grantMayHelp(a *answer, i int) (why string, ok bool) {
	p := a.request.Parts[i]
	k, known := w.keys[p.Resource.ARN]
	switch {
	case known && k.unknownGrants != "":
		why = "the grants of key " + p.Resource.ARN + " (" + k.unknownGrants + ")"
	case known || w.accounts[p.Resource.Account] != nil || !arn.IsAccount(p.Resource.Account):
		return "", false
	default:
		why = "the grants of key " + p.Resource.ARN + ", for account " + p.Resource.Account + " is not described"
	}
	r := a.request
	p.Grants = append(slices.Clone(p.Grants), authz.Grant{
		ID: "unknown", Grantee: grantee(&a.request.Principal), IssuingAccount: p.Resource.Account, Operations: keyrule.GrantOperations("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
	})
	p.Grants[len(p.Grants)-1].Operations = append(slices.Clone(p.Grants[len(p.Grants)-1].Operations), "CreateGrant", "DescribeKey")
	r.Parts = []authz.Part{p}
	d := authz.Decide(&r)
	return why, d.Outcome == authz.Allowed || d.Outcome == authz.Undetermined
}

// grantee is a principal as a grant names it.
func grantee(p *authz.Principal) string {
	if p.RoleARN != "" {
		return p.RoleARN
	}
	return p.ARN
}

// ask decides a request of a launch, and checks what KMS checks after the decision.
func (w *world) ask(r launch.Request, caller *subject, extra map[string][]authz.Grant) answer {
	who := caller
	if r.As != launch.Caller {
		who = w.actor(r)
	}
	a := w.decide(who, r.Parts(), false, extra)
	if a.decision.Outcome != authz.Allowed && len(a.depends) == 0 {
		return a
	}
	for i, p := range a.request.Parts {
		k := w.keys[p.Resource.ARN]
		if k == nil {
			continue
		}
		err := impact.Afterwards(r, p.Action, &k.Key)
		switch {
		case k.unknownState != "" && k.matters(r, p.Action):
			a.depends = append(a.depends, k.unknownState)
		case err != nil: // it is refused, permission or not
			a.depends, a.err, a.part, a.key = nil, err, i, k
			return a
		}
	}
	return a
}

// matters reports whether what KMS says to a request that is allowed is another in another state of
// the key, or for a key that is no symmetric one.
func (k *key) matters(r launch.Request, action string) bool {
	good, bad, other := *k, *k, *k
	good.State, good.Spec, good.Usage = "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"
	bad.State, other.Spec = "Disabled", "RSA_2048"
	sane := impact.Afterwards(r, action, &good.Key) == nil
	return sane != (impact.Afterwards(r, action, &bad.Key) == nil) || sane != (impact.Afterwards(r, action, &other.Key) == nil)
}

// resolve finds the key that an identifier of the launch's account names. Server and doctor alike
// take the ARN of another account's key for granted. depends tells what may make it another.
func (w *world) resolve(given string) (keyARN string, depends []string, _ error) {
	account := w.sc.Launch.Account
	name, err := keyrule.Identify(given, w.sc.Region, account)
	if err != nil {
		return "", nil, err
	}
	if name.Alias == "" {
		keyARN = arn.KMSKey(w.sc.Region, name.Account, name.ID)
		if _, ok := w.keys[keyARN]; !ok && name.Account == account {
			return "", w.unlisted(), keyrule.NoKey(keyARN)
		}
		return keyARN, nil, nil
	}
	for _, k := range w.keys {
		if k.Region == w.sc.Region && k.Account == name.Account && slices.Contains(k.Aliases, name.Alias) {
			return k.ARN(), nil, nil
		}
	}
	if name.Alias == launch.AWSManagedAlias && name.Account == account {
		return w.managed(), nil, nil
	}
	aliasARN := arn.KMSAlias(w.sc.Region, name.Account, name.Alias)
	if w.accounts[name.Account] == nil {
		return "", []string{"which key " + aliasARN + " is, for account " + name.Account + " is not described"}, keyrule.NoAlias(aliasARN)
	}
	return "", w.unlisted(), keyrule.NoAlias(aliasARN)
}

// unlisted tells why there may be more keys than the scenario lists.
func (w *world) unlisted() []string {
	if why, ok := w.unknown("/keys"); ok {
		return []string{"which other keys there are (" + why + ")"}
	}
	for i := range w.sc.Keys {
		if why, ok := w.unknown("/keys/" + itoa(i) + "/aliases"); ok {
			return []string{"the aliases of " + w.sc.Keys[i].ARN + " (" + why + ")"}
		}
	}
	return nil
}

// code is the code of an error of KMS or EC2.
func code(err error) string { return apierr.Code(err) }
