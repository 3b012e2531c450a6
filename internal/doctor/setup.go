package doctor

import (
	"errors"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A setupStep is what becomes of a direct call to KMS before the launch.
type setupStep struct {
	call    string
	fail    *failing // nil if it goes well
	depends []string
}

// setUp performs the setup up to the first step that fails, each step on what those before it left.
func (w *world) setUp() []setupStep {
	var out []setupStep
	for i := range w.sc.Setup {
		st := &w.sc.Setup[i]
		if st.Call != format.CallCreateKey && w.keys[st.Params.Key] == nil {
			continue // Parse refuses that
		}
		s := w.perform(st)
		if s.fail != nil {
			s.fail.setup = i + 1
		}
		out = append(out, s)
		if s.fail != nil {
			break
		}
	}
	return out
}

// directly decides a part of a direct call.
func (w *world) directly(st *format.Step, p authz.Part) answer {
	who := w.subject(st.As)
	k := w.keys[st.Params.Key]
	if k == nil {
		return w.decide(who, []authz.Part{p}, true, nil)
	}
	p.Context.Set("aws:requestedregion", k.Region)
	p.Context.SetBool("aws:securetransport", true)
	p.Context.SetBool("aws:viaawsservice", false)
	p.Context.Set("kms:calleraccount", who.principal.Account)
	return w.decide(who, []authz.Part{p}, true, nil)
}

func keyPart(action string, k *key) authz.Part {
	return authz.Part{Action: action, Resource: authz.Resource{ARN: k.ARN(), Account: k.Account}, Authoritative: true}
}

// perform is one step: what KMS checks, in its order.
func (w *world) perform(st *format.Step) setupStep {
	s := setupStep{call: st.Call}
	k := w.keys[st.Params.Key]
	var err error
	switch st.Call {
	case format.CallCreateGrant:
		err = w.createGrant(&s, st, k)
	default:
		err = w.setPolicy(&s, st, k)
	}
	switch {
	case err == nil:
	default:
		s.fail = w.setupFailure(st, k, err)
	}
	return s
}

// refusedCall is a call of the setup that its caller may not make.
type refusedCall struct{ answer answer }

func (r *refusedCall) Error() string { return "AccessDeniedException" }

// allowCall decides whether the caller of a step may make it.
func (w *world) allowCall(s *setupStep, st *format.Step, p authz.Part) error {
	a := w.directly(st, p)
	s.depends = append(s.depends, a.depends...)
	if !a.ok() {
		return &refusedCall{a}
	}
	return nil
}

// unless takes an error away that says that something is not known: the step may go well.
func (s *setupStep) unless(err error) error {
	if errors.Is(err, errUnknown) {
		s.depends = append(s.depends, strings.TrimPrefix(err.Error(), errUnknown.Error()+": "))
		return nil
	}
	return err
}

// createGrant is kms:CreateGrant.
func (w *world) createGrant(s *setupStep, st *format.Step, k *key) error {
	g := keyrule.Grant{
		Grantee: st.Params.GranteePrincipal, Operations: keyrule.InGrantOrder(st.Params.Operations), Issuer: w.subject(st.As).principal.Account,
	}
	if c := st.Params.Constraints; c != nil {
		if len(c.EncryptionContextEquals) > 0 {
			g.Equals = c.EncryptionContextEquals
		}
		if len(c.EncryptionContextSubset) > 0 {
			g.Subset = c.EncryptionContextSubset
		}
	}
	if err := g.CheckTerms(); err != nil {
		return err
	}
	p := keyPart("kms:CreateGrant", k)
	g.Describe(&p, false)
	p.NewGrant = new(g.Authz())
	if err := w.allowCall(s, st, p); err != nil {
		return err
	}
	id, err := keyrule.Principal(g.Grantee, w.find)
	err = s.unless(err)
	if err == nil {
		err = g.CheckOn(&k.Key)
	}
	if err == nil {
		err = keyrule.CreateGrant.Check(&k.Key)
	}
	if err != nil {
		return err
	}
	made := g.Authz()
	made.ID, made.GranteeID = "made by the setup", id
	k.grants = append(k.grants[:len(k.grants):len(k.grants)], made)
	return nil
}

// setPolicy is kms:CreateKey or kms:PutKeyPolicy.
func (w *world) setPolicy(s *setupStep, st *format.Step, k *key) error {
	var bypass *bool
	if st.Params.Bypass {
		bypass = new(true)
	}
	if st.Call == format.CallCreateKey {
		if err := w.allowCall(s, st, k.CreatePart(bypass)); err != nil {
			return err
		}
	} else {
		p := keyPart("kms:PutKeyPolicy", k)
		keyrule.Bypass(&p.Context, bypass)
		if err := w.allowCall(s, st, p); err != nil {
			return err
		}
	}
	doc, err := policy.CheckKey([]byte(st.Params.Policy.Compact()))
	if err != nil {
		return err
	}
	ids, err := keyrule.PolicyPrincipals(doc.PrincipalARNs(), w.find)
	if err := s.unless(err); err != nil {
		return err
	}
	fresh := authz.Compile(doc, policy.Key)
	fresh.Name, fresh.Owner, fresh.Attached = k.ARN(), k.Account, k.ARN()
	fresh.SetPrincipalIDs(ids)
	k.policy = fresh
	if st.Params.Bypass {
		return nil
	}
	again := w.directly(st, keyPart("kms:PutKeyPolicy", k))
	s.depends = append(s.depends, again.depends...)
	if !again.ok() {
		return keyrule.LockedOut()
	}
	return nil
}

// setupFailure describes the refusal of a step.
func (w *world) setupFailure(st *format.Step, k *key, err error) *failing {
	f := &failing{step: "setup", principal: st.As, action: st.Call, key: st.Params.Key, err: err}
	if r, ok := errors.AsType[*refusedCall](err); ok {
		f.answer = &r.answer
		f.err = apierr.New("AccessDeniedException", "")
		f.rule, f.where = w.rule(f.answer)
		return f
	}
	f.text = err.Error()
	switch {
	case code(err) == "InvalidArnException" && st.Call == format.CallCreateGrant:
		f.rule = "grantee-not-found"
	case errors.Is(err, keyrule.LockedOut()) || strings.Contains(f.text, "update the key policy in the future"):
		f.rule = "lockout-safety-check"
	case strings.Contains(f.text, "invalid principals"):
		f.rule = "invalid-principal"
	case strings.HasPrefix(st.Call, "kms:") && (code(err) == "DisabledException" || code(err) == "KMSInvalidStateException"):
		f.rule = stateRule(err, k)
	case st.Call == format.CallCreateGrant:
		f.rule = "grant-not-possible"
	default:
		f.rule = "malformed-policy"
	}
	return f
}

// missing are the principals that a step of the setup names and that do not exist.
func (w *world) missing(st *format.Step) []string {
	var names, out []string
	if st.Call == format.CallCreateGrant {
		names = []string{st.Params.GranteePrincipal}
	} else if doc, err := policy.Parse([]byte(st.Params.Policy.Compact()), policy.Key); err == nil {
		names = doc.PrincipalARNs()
	}
	for _, name := range names {
		if _, known, err := w.find(name); err == nil && !known {
			out = append(out, name)
		}
	}
	return out
}

// linked reports whether an ARN is that of a service-linked role.
func linked(name string) bool { return arn.IsServiceLinkedRole(name) }
