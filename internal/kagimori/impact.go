package kagimori

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// Uses tells of what needs keys.
type Uses interface {
	// Uses yields what an account has in a Region, with when it needs its keys and the role of another
	// service that asks for it; Caller is left out.
	Uses(tx store.Tx, region, account string) iter.Seq2[KeyUse, error]
}

// A KeyUse is something that needs keys. Role and Session are the role that asks for it, "" if that is
// whoever uses it.
type KeyUse struct {
	impact.Use
	Role, Session string
}

// maxEffects bounds the effects of one answer; its totals count all.
const maxEffects = 1000

// PredictImpact tells what stops working, and when, if a change is made. Nothing is changed. The owner
// of a key learns of everything in its account that uses it, of the principals that its policy and
// grants let in, and of the instances of other accounts that grants are for. Another account, which
// can end grants of its own and nothing else about the key, learns of what it has itself.
func (s *Service) PredictImpact(ctx context.Context, c *guard.Call, in *kagimoriapi.PredictImpactRequest) (*kagimoriapi.PredictImpactResponse, error) {
	var report *impact.Report
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allow(tx, c); err != nil {
			return err
		}
		change, err := s.change(tx, c, in.Change)
		if err != nil {
			return err
		}
		who, err := s.user(tx, c, cmp.Or(api.Val(in.As), change.Principal))
		if err != nil {
			return err
		}
		k, err := s.impactCase(tx, c, change, who)
		if err != nil {
			return err
		}
		report, err = impact.Of(ctx, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ImpactAnswer(report, language(in.Language)), nil
}

// change reads a change, and refuses one that cannot be made.
func (s *Service) change(tx store.Tx, c *guard.Call, in *kagimoriapi.ImpactChange) (*impact.Change, error) {
	ch := &impact.Change{
		Kind: api.Val(in.Type), KeyARN: api.Val(in.KeyId), Grant: api.Val(in.GrantId), Statement: api.Val(in.Statement), Policy: []byte(api.Val(in.Policy)),
		Principal: api.Val(in.Principal), Document: api.Val(in.PolicyName),
	}
	if err := ch.Check(); err != nil {
		return nil, apierr.Validation("%s.", capital(err.Error()))
	}
	if ch.Kind == impact.DetachPolicy {
		return ch, s.attachedTo(tx, c, ch)
	}
	if ch.KeyARN == "" {
		var err error
		if ch.KeyARN, err = s.keyOf(tx, c, ch.Grant); err != nil {
			return nil, err
		}
	}
	var err error
	if ch.KeyARN, err = s.resolve(tx, c, ch.KeyARN); err != nil {
		return nil, err
	}
	owner, err := keyOwner(ch.KeyARN)
	if err != nil {
		return nil, err
	}
	if owner == c.Account() {
		c.Touch(ch.KeyARN, owner, "AWS::KMS::Key")
	}
	return ch, s.possible(tx, c, ch, owner)
}

// keyOf finds the key of the account that a grant is on.
func (s *Service) keyOf(tx store.Tx, c *guard.Call, grant string) (string, error) {
	for keyARN, err := range s.keys.Keys(tx, c.Region, c.Account()) {
		if err != nil {
			return "", err
		}
		switch _, ok, err := s.keys.Grant(tx, keyARN, grant); {
		case err != nil:
			return "", err
		case ok:
			return keyARN, nil
		}
	}
	return "", apierr.Newf("ResourceNotFoundException", "No key of account %s in this Region has a grant %s", c.Account(), grant)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// possible refuses a change of what is not there, or of what the caller's account may not know of.
func (s *Service) possible(tx store.Tx, c *guard.Call, ch *impact.Change, owner string) error {
	part, ok, err := s.keys.Key(tx, ch.KeyARN)
	if err != nil {
		return err
	}
	own := owner == c.Account()
	switch ch.Kind {
	case impact.RevokeGrant, impact.RetireGrant:
		if ok {
			g, ok, err := s.keys.Grant(tx, ch.KeyARN, ch.Grant)
			if err != nil || ok && (own || g.IssuingAccount == c.Account() || accountOf(g.Grantee) == c.Account() || accountOf(g.Retiring) == c.Account()) {
				return err
			}
		}
		return apierr.Newf("ResourceNotFoundException", "Grant ID %s not found on key %s", ch.Grant, ch.KeyARN)
	case impact.RemoveStatement, impact.ReplacePolicy:
		if !own || !ok {
			return apierr.Newf("ResourceNotFoundException", "Key '%s' is no key of account %s: only that account can change its policy.", ch.KeyARN, c.Account())
		}
		_, err := ch.KeyPolicy(ch.KeyARN, part.Policy)
		switch {
		case errors.Is(err, impact.ErrNoStatement):
			return apierr.Newf("ResourceNotFoundException", "The policy of key %s has no statement %s", ch.KeyARN, ch.Statement)
		case errors.Is(err, impact.ErrLastStatement):
			return apierr.Validation("The statement %s is the only one of the policy of key %s, and a key policy must have one.", ch.Statement, ch.KeyARN)
		case errors.Is(err, impact.ErrSameSid):
			return apierr.Validation("The policy of key %s has several statements %s. Name one by its number.", ch.KeyARN, ch.Statement)
		}
		if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
			return apierr.New("MalformedPolicyDocumentException", e.Reason).With("Line", e.Line).With("Column", e.Column)
		}
		return err
	}
	return nil
}

func accountOf(principal string) string {
	a, _ := arn.Parse(principal) // of a service there is none
	return a.Account
}

// attachedTo checks that a policy hangs on a principal of the caller's account.
func (s *Service) attachedTo(tx store.Tx, c *guard.Call, ch *impact.Change) error {
	a, _ := arn.Parse(ch.Principal) // Check read it
	d, name := s.g.Directory(), a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	has := func(attached []string, inline map[string]string) bool {
		_, ok := inline[ch.Document]
		return ok || slices.Contains(attached, ch.Document)
	}
	found := false
	if a.Account == c.Account() && a.Type() == "user" {
		u, ok, err := d.User(tx, a.Account, name)
		if err != nil {
			return err
		}
		found = ok && u.ARN() == ch.Principal && has(u.Attached, u.Inline)
	}
	if a.Account == c.Account() && a.Type() == "role" {
		r, ok, err := d.Role(tx, a.Account, name)
		if err != nil {
			return err
		}
		found = ok && r.ARN() == ch.Principal && has(r.Attached, r.Inline)
	}
	if !found {
		return apierr.Newf("ResourceNotFoundException", "The policy %s is not attached to %s of account %s.", ch.Document, ch.Principal, c.Account())
	}
	return nil
}

// user is who starts and launches things: a principal of the caller's account, or the caller.
func (s *Service) user(tx store.Tx, c *guard.Call, principal string) (launcher, error) {
	if principal == "" {
		return launcher{c.Caller}, nil
	}
	id, ok, err := s.g.Directory().Principal(tx, principal, cmp.Or(launch.SessionOf(principal), anySession))
	if err == nil && (!ok || id.Principal.Account != c.Account()) {
		err = apierr.Newf("ResourceNotFoundException", "The principal %s is no user or role of account %s.", principal, c.Account())
	}
	return launcher{guard.Caller{Identity: id, Secure: true}}, err
}

// impactCase is a change with everything that it may concern.
func (s *Service) impactCase(tx store.Tx, c *guard.Call, ch *impact.Change, who launcher) (*impact.Case, error) {
	f := &facts{s: s, tx: tx, region: c.Region, known: map[string]*knownKey{}}
	out := &impact.Case{
		Before: &world{facts: f}, After: &world{facts: f, change: ch, changed: map[string]*knownKey{}},
		Key: ch.KeyARN, Viewer: c.Account(), MaxEffects: maxEffects, Uses: s.uses(tx, c, f, ch, who),
	}
	var err error
	out.Keys, err = s.questioned(tx, c, f, ch, &who)
	if err != nil {
		return nil, err
	}
	out.Principals = s.concerned(tx, c, f, ch)
	return out, nil
}

// uses are those of the caller's account and, of a key of that account, those of instances of other
// accounts that its grants are for.
func (s *Service) uses(tx store.Tx, c *guard.Call, f *facts, ch *impact.Change, who launcher) iter.Seq2[impact.Use, error] {
	roles := map[string]launcher{}
	return func(yield func(impact.Use, error) bool) {
		for u, err := range s.launches.Uses(tx, c.Region, c.Account()) {
			if err != nil {
				yield(impact.Use{}, err)
				return
			}
			as, ok := who, true
			if u.Role != "" {
				if as, ok = roles[u.Role+u.Session]; !ok {
					id, found, err := s.g.Directory().Principal(tx, u.Role, u.Session)
					if err != nil {
						yield(impact.Use{}, err)
						return
					}
					if !found {
						continue // the role is made at the next launch
					}
					as = launcher{guard.Caller{Identity: id, Secure: true}}
					roles[u.Role+u.Session] = as
				}
			}
			u.Caller = as
			if !yield(u.Use, nil) {
				return
			}
		}
		if owner, err := keyOwner(ch.KeyARN); err != nil || owner != c.Account() {
			return
		}
		k, err := f.key(ch.KeyARN)
		if err != nil {
			yield(impact.Use{}, err)
			return
		}
		for i := range k.grants {
			if u, ok := impact.Held(&k.grants[i], c.Region, ch.KeyARN); ok && u.Spec.Account != c.Account() && !yield(u, nil) {
				return
			}
		}
	}
}

// questioned are the keys that principals are asked about, with the actions that their kind has.
func (s *Service) questioned(tx store.Tx, c *guard.Call, f *facts, ch *impact.Change, who *launcher) ([]impact.Questioned, error) {
	keys := []string{ch.KeyARN}
	if ch.Kind == impact.DetachPolicy {
		candidate, err := s.withPolicies(tx, &who.Identity)
		if err != nil {
			return nil, err
		}
		if keys, err = s.keysFor(tx, c, &candidate); err != nil {
			return nil, err
		}
	}
	var out []impact.Questioned
	for _, keyARN := range keys[:min(len(keys), maxAnswers)] {
		k, err := f.key(keyARN)
		if err != nil {
			return nil, err
		}
		q := impact.Questioned{KeyARN: keyARN}
		for _, op := range append(keyrule.GrantOperations(k.rule.Spec, k.rule.Usage), "DescribeKey", "CreateGrant") {
			q.Actions = append(q.Actions, "kms:"+op)
		}
		out = append(out, q)
	}
	return out, nil
}

// concerned yields the principals that may lose something: of a grant its grantee, of a policy that is
// detached whom it was attached to, of a key those of the account and whom its policy or grants name.
// What the roles lose that open volumes, volumes lose.
func (s *Service) concerned(tx store.Tx, c *guard.Call, f *facts, ch *impact.Change) iter.Seq2[impact.Caller, error] {
	return func(yield func(impact.Caller, error) bool) {
		k, err := f.key(ch.KeyARN)
		if err != nil {
			yield(nil, err)
			return
		}
		only := ""
		switch ch.Kind {
		case impact.DetachPolicy:
			only = ch.Principal
		case impact.RevokeGrant, impact.RetireGrant:
			if i := slices.IndexFunc(k.grants, func(g authz.Grant) bool { return g.ID == ch.Grant }); i >= 0 {
				only = k.grants[i].Grantee
			}
		}
		own := k.part.Resource.Account == c.Account() || ch.Kind == impact.DetachPolicy
		asked := 0
		for who, err := range s.principals(tx, c.Account()) {
			if err != nil {
				yield(nil, err)
				return
			}
			p := newPerson(who)
			if only != "" && only != p.ARN() && only != who.Principal.ARN && only != arn.Root(c.Account()) && only != c.Account() {
				continue
			}
			if asked++; asked > maxAnswers || !yield(p, nil) {
				return
			}
		}
		if !own || ch.Kind == impact.DetachPolicy {
			return
		}
		part := k.part
		part.GrantIndex = k.index
		for _, who := range outsiders(&part) {
			p := newPerson(who)
			if p.infrastructure() || only != "" && only != p.ARN() && only != who.Principal.ARN {
				continue
			}
			if asked++; asked > maxAnswers || !yield(p, nil) {
				return
			}
		}
	}
}
