package kagimori

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/store"
)

// Bounds of one question.
const (
	maxAnswers   = 1000
	maxDecisions = 20000
	maxGrants    = 50000 // as many as a key can have
)

// A question gathers answers until there are enough.
type question struct {
	viewer    string // account that asks
	language  speech.Language
	answers   []kagimoriapi.Answer
	decisions int
	truncated bool
}

// put asks about one candidate; false if there are enough answers.
func (q *question) put(c *ask.Candidate, part authz.Part) bool {
	if len(q.answers) >= maxAnswers || q.decisions >= maxDecisions {
		q.truncated = true
		return false
	}
	q.decisions++
	if a, ok := ask.Ask(c, part); ok {
		q.answers = append(q.answers, q.answer(c, &part, &a))
	}
	return true
}

// answer cites what the account that asks may see.
func (q *question) answer(c *ask.Candidate, part *authz.Part, a *ask.Answer) kagimoriapi.Answer {
	who := c.Principal.ARN
	if c.Principal.Type == authz.RoleSession && c.Principal.RoleARN != arn.InfrastructureRole(c.Principal.Account) {
		who = cmp.Or(c.Principal.RoleARN, who)
	}
	out := kagimoriapi.Answer{
		Principal: &who, Action: &part.Action, Resource: &part.Resource.ARN, EvaluatedEffect: new(effect(a.Outcome)),
		DecidedBy: api.Opt(policyType(a.Part.By)), CrossAccount: &a.Part.CrossAccount,
	}
	caller := c.Principal.Account
	if caller == "" { // a service, which the policy of the key lets in
		caller = part.Resource.Account
	}
	seen, ok := explain.Visible(a.Part, caller, q.viewer)
	if !ok {
		return out
	}
	out.DependsOn = seen.Depends
	if q.viewer == part.Resource.Account {
		out.DependsOn, out.MoreGrants = a.Part.Depends, more(a.More)
	}
	out.DependsOn = speech.All(q.language, speech.AllWritten(out.DependsOn))
	for _, m := range explain.Deciding(seen) {
		if !m.Account || a.Outcome == authz.Allowed || delegates(&a.Part) {
			out.Statements = append(out.Statements, statement(&m))
		}
	}
	for _, m := range seen.Missed {
		s := statement(&m.Match)
		out.Conditions = append(out.Conditions, kagimoriapi.RemainingCondition{
			Operator: api.Opt(m.Operator), Key: &m.Key, Values: m.Want, PolicyType: s.PolicyType, Policy: s.Policy, Sid: s.Sid, GrantId: s.GrantId,
			EvaluatedEffect: s.EvaluatedEffect,
		})
	}
	return out
}

// delegates reports whether an identity policy allows, or may allow: only then a statement counts
// that leaves the decision to them.
func delegates(p *authz.PartDecision) bool {
	identity := func(m *authz.Match) bool { return m.Layer == authz.LayerIdentity && m.Effect == policy.Allow }
	return slices.ContainsFunc(p.Matched, func(m authz.Match) bool { return identity(&m) }) ||
		slices.ContainsFunc(p.Missed, func(m authz.Miss) bool { return identity(&m.Match) }) ||
		slices.ContainsFunc(p.Depends, func(d string) bool { return strings.HasPrefix(d, "document ") })
}

// WhoCan tells which principals can do something with a key, and on which conditions that depends. The key is named by its
// ARN or, if it is the account's own in the Region, also by its id or an alias.
// The owner of the key learns of principals of its account and of whom its policy or a grant names;
// another account learns of its own principals.
func (s *Service) WhoCan(ctx context.Context, c *guard.Call, in *kagimoriapi.WhoCanRequest) (*kagimoriapi.WhoCanResponse, error) {
	if err := checkActions(api.Val(in.Action)); err != nil {
		return nil, err
	}
	var q question
	var keyARN string
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		q = question{viewer: c.Account(), language: language(in.Language)}
		if err := s.allow(tx, c); err != nil {
			return err
		}
		if keyARN, err = s.keyNamed(tx, c, api.Val(in.KeyArn)); err != nil {
			return err
		}
		owner, err := keyOwner(keyARN)
		if err != nil {
			return err
		}
		if owner == c.Account() { // else anybody could write into everybody's trail
			c.Touch(keyARN, owner, "AWS::KMS::Key")
		}
		part, ok, err := s.keyPart(tx, keyARN, api.Val(in.Action))
		switch {
		case err != nil:
			return err
		case !ok && owner == c.Account():
			return apierr.Newf("ResourceNotFoundException", "Key '%s' does not exist", keyARN)
		case !ok:
			return nil // like one that lets nobody in
		}
		for who, err := range s.principals(tx, c.Account()) {
			if err != nil {
				return err
			}
			if !q.put(&who, part) {
				return nil
			}
		}
		if owner != c.Account() {
			return nil
		}
		for _, who := range outsiders(&part) {
			if !q.put(&who, part) {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kagimoriapi.WhoCanResponse{Action: in.Action, KeyArn: &keyARN, Answers: q.answers, Truncated: &q.truncated}, nil
}

// WhatCan tells what a user or role of the caller's account can do with which keys of the call's
// Region: those of the account, those that its identity policies name, and those with grants for it.
func (s *Service) WhatCan(ctx context.Context, c *guard.Call, in *kagimoriapi.WhatCanRequest) (*kagimoriapi.WhatCanResponse, error) {
	principal := api.Val(in.Principal)
	actions := in.Actions
	if len(actions) == 0 {
		actions = keyActions
	}
	if err := checkActions(actions...); err != nil {
		return nil, err
	}
	var q question
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		q = question{viewer: c.Account(), language: language(in.Language)}
		if err := s.allow(tx, c); err != nil {
			return err
		}
		who, ok, err := s.candidate(tx, principal)
		if err != nil {
			return err
		}
		if !ok || who.Principal.Account != c.Account() {
			return apierr.Newf("ResourceNotFoundException", "The principal %s is no user or role of account %s.", principal, c.Account())
		}
		keys, err := s.keysFor(tx, c, &who)
		if err != nil {
			return err
		}
		for _, key := range keys {
			part, ok, err := s.keyPart(tx, key, "")
			if err != nil {
				return err
			}
			for _, action := range actions {
				if part.Action = action; ok && !q.put(&who, grantWanted(part)) {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &kagimoriapi.WhatCanResponse{Principal: in.Principal, Answers: q.answers, Truncated: &q.truncated}, nil
}

// keyActions are the actions on a key. Source: Service Authorization Reference, "AWS Key Management
// Service".
var keyActions = []string{
	"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
	"kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext", "kms:GenerateMac", "kms:VerifyMac", "kms:Sign", "kms:Verify",
	"kms:DeriveSharedSecret", "kms:Encapsulate", "kms:Decapsulate", "kms:DescribeKey", "kms:GetPublicKey", "kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant", "kms:RetireGrant",
	"kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListKeyPolicies", "kms:EnableKey", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
	"kms:EnableKeyRotation", "kms:DisableKeyRotation", "kms:GetKeyRotationStatus", "kms:TagResource", "kms:UntagResource", "kms:ListResourceTags",
	"kms:UpdateKeyDescription", "kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias",
}

func keyOwner(keyARN string) (string, error) {
	a, err := arn.Parse(keyARN)
	if err != nil || a.Service != "kms" || a.Type() != "key" || !arn.IsAccount(a.Account) {
		return "", apierr.Newf("ValidationException", "%s is not the ARN of a key.", keyARN)
	}
	return a.Account, nil
}

// keyNamed is the ARN of the key that a name of any form names, whether there is such a key or not.
func (s *Service) keyNamed(tx store.Tx, c *guard.Call, name string) (string, error) {
	if a, err := arn.Parse(name); err == nil && a.Type() == "key" {
		return name, nil
	}
	return s.resolve(tx, c, name)
}

// resolve is the ARN of the key that a name of any form names. What an alias of another account names is that account's.
func (s *Service) resolve(tx store.Tx, c *guard.Call, name string) (string, error) {
	missing := apierr.Newf("ResourceNotFoundException", "Key '%s' does not exist", name)
	if a, err := arn.Parse(name); err == nil && a.Type() == "alias" && a.Account != c.Account() {
		return "", missing
	}
	keyARN, _, err := s.keys.Resolve(tx, c.Region, c.Account(), name)
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return "", apierr.New("ResourceNotFoundException", e.Message)
	}
	if err == nil && keyARN == "" {
		err = missing
	}
	return keyARN, err
}

// keyPart is a key with its grants and what its organization says of it.
func (s *Service) keyPart(tx store.Tx, keyARN, action string) (authz.Part, bool, error) {
	part, ok, err := s.keys.Key(tx, keyARN)
	if err != nil || !ok {
		return part, false, err
	}
	var grants []authz.Grant
	for g, err := range s.keys.Grants(tx, keyARN) {
		if err != nil {
			return part, false, err
		}
		if len(grants) == maxGrants {
			break
		}
		grants = append(grants, g)
	}
	part.GrantIndex = authz.IndexGrants(grants)
	place, err := s.g.Directory().Place(tx, part.Resource.Account)
	if err != nil {
		return part, false, err
	}
	part.RCPs, part.Action = place.RCPs, action
	part.Resource.AccountRole, part.Resource.OrgID, part.Resource.OrgPaths = place.Role, place.Organization, place.Paths
	return grantWanted(part), true, nil
}

// grantWanted asks for the least of grants where the question is who can make one.
func grantWanted(part authz.Part) authz.Part {
	part.NewGrant = nil
	if strings.EqualFold(part.Action, "kms:CreateGrant") {
		part.NewGrant = &authz.Grant{}
	}
	return part
}

// keysFor are the keys that a principal may have to do with.
func (s *Service) keysFor(tx store.Tx, c *guard.Call, who *ask.Candidate) ([]string, error) {
	var out []string
	p := &who.Principal
	for _, keys := range [...]func(yield func(string, error) bool){
		s.keys.Keys(tx, c.Region, c.Account()), s.keys.Granted(tx, c.Region, c.Account(), p.UniqueID),
	} {
		for key, err := range keys {
			if err != nil {
				return nil, err
			}
			if !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
	}
	for _, d := range who.Identity {
		if d.Source == nil {
			continue
		}
		for _, st := range d.Source.Statements {
			for _, r := range st.Resources {
				if a, err := arn.Parse(r.Value); err == nil && a.Service == "kms" && a.Region == c.Region && a.Account != c.Account() && !slices.Contains(out, r.Value) {
					out = append(out, r.Value)
				}
			}
		}
	}
	return out, nil
}

// outsiders are the principals of other accounts, the services and the instances that a key's policy
// or grants name. What identity policies of other accounts say is not known here.
func outsiders(part *authz.Part) []ask.Candidate {
	own := part.Resource.Account
	var out []ask.Candidate
	seen, named := map[string]bool{}, map[[2]string]bool{}
	add := func(who, id string) {
		if named[[2]string{who, id}] {
			return // very many grants may name the same
		}
		named[[2]string{who, id}] = true
		c, ok := outsider(own, who, id)
		if ok && !seen[c.Principal.ARN] {
			seen[c.Principal.ARN] = true
			out = append(out, c)
		}
	}
	if part.Policy != nil && part.Policy.Source != nil {
		for _, st := range part.Policy.Source.Statements {
			if st.Principal == nil || st.Effect != policy.Allow {
				continue
			}
			for _, t := range st.Principal.AWS {
				add(t.Value, part.Policy.PrincipalIDs()[t.Value])
			}
			for _, t := range st.Principal.Service {
				add(t.Value, "")
			}
		}
	}
	if part.GrantIndex != nil {
		for _, g := range part.GrantIndex.All() {
			add(g.Grantee, g.GranteeID)
		}
	}
	return out
}

// outsider is a principal by the name that a policy or grant gives it.
func outsider(own, who, id string) (ask.Candidate, bool) {
	if !strings.Contains(who, ":") && strings.Contains(who, ".") {
		return ask.Candidate{Principal: authz.Principal{Type: authz.Service, ARN: who}}, true
	}
	if arn.IsAccount(who) {
		who = arn.Root(who)
	}
	a, err := arn.Parse(who)
	if err != nil || !arn.IsAccount(a.Account) {
		return ask.Candidate{}, false
	}
	if who == arn.InfrastructureSession(a.Account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]) {
		return ask.Candidate{Principal: authz.Principal{
			Type: authz.RoleSession, ARN: who, RoleARN: arn.InfrastructureRole(a.Account), Account: a.Account,
		}}, true
	}
	if a.Account == own {
		return ask.Candidate{}, false // see principals
	}
	p := authz.Principal{Type: authz.User, ARN: who, Account: a.Account, UniqueID: id, Username: a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]}
	switch {
	case a.Service == "sts":
		p.Type = authz.RoleSession
	case a.Type() == "role":
		p.Type, p.RoleARN, p.Username = authz.RoleSession, who, ""
		p.ARN = arn.Session(a.Account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:], "session")
	}
	c := ask.Candidate{Principal: p}
	if !p.IsServiceLinked() { // whose policies give it nothing on keys of others
		unknown := authz.Compile(nil, policy.Identity)
		unknown.Name, unknown.Owner = "identity policies of account "+a.Account, a.Account
		c.Identity = []*authz.Document{unknown}
	}
	return c, true
}
