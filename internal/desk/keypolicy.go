package desk

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ask/compare"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
	"github.com/kagimori/kagimori/internal/speech"
)

// ViewKeyPolicy tells how a key policy looks in the default view of AWS's console.
func (s *Service) ViewKeyPolicy(ctx context.Context, c *guard.Call, in *kagimoriapi.ViewKeyPolicyRequest) (*kagimoriapi.ViewKeyPolicyResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	p, err := parse(in.Policy)
	if err != nil {
		return nil, err
	}
	v := p.View()
	out := &kagimoriapi.ViewKeyPolicyResponse{
		Root: &v.Root, Administrators: list(v.Administrators), AdministratorsMayDelete: &v.MayDelete,
		Users: list(v.Users), Accounts: list(v.Accounts), OtherStatements: []int32{}, RepeatedSids: list(p.RepeatedSids()),
	}
	if owner, ok := p.Owner(); ok {
		out.Owner = &owner
	}
	for _, i := range v.Other { // counted from 1, as in findings
		out.OtherStatements = append(out.OtherStatements, int32(i+1))
	}
	return out, nil
}

// list is never absent from an answer.
func list(names []string) []string { return append([]string{}, names...) }

// edits by type; each takes the principal that it is about.
var edits = map[string]func(p *keyview.Policy, principal string, of keyview.Usage) (*keyview.Policy, error){
	kagimoriapi.KeyPolicyEditTypeADD_ADMINISTRATOR:     plain((*keyview.Policy).AddAdministrator),
	kagimoriapi.KeyPolicyEditTypeREMOVE_ADMINISTRATOR:  plain((*keyview.Policy).RemoveAdministrator),
	kagimoriapi.KeyPolicyEditTypeADD_USER:              (*keyview.Policy).AddUser,
	kagimoriapi.KeyPolicyEditTypeREMOVE_USER:           plain((*keyview.Policy).RemoveUser),
	kagimoriapi.KeyPolicyEditTypeADD_ACCOUNT:           (*keyview.Policy).AddAccount,
	kagimoriapi.KeyPolicyEditTypeREMOVE_ACCOUNT:        plain((*keyview.Policy).RemoveAccount),
	kagimoriapi.KeyPolicyEditTypeADD_LINKED_ROLE:       plain((*keyview.Policy).AddLinkedRole),
	kagimoriapi.KeyPolicyEditTypeADD_LINKED_ROLE_LEAST: plain((*keyview.Policy).AddLinkedRoleLeast),
	kagimoriapi.KeyPolicyEditTypeREMOVE_LINKED_ROLE:    plain((*keyview.Policy).RemoveLinkedRole),
	kagimoriapi.KeyPolicyEditTypeSHARE_WITH_ACCOUNT:    plain((*keyview.Policy).ShareWithAccount),
	kagimoriapi.KeyPolicyEditTypeUNSHARE_WITH_ACCOUNT:  plain((*keyview.Policy).UnshareWithAccount),
}

func plain(edit func(*keyview.Policy, string) (*keyview.Policy, error)) func(*keyview.Policy, string, keyview.Usage) (*keyview.Policy, error) {
	return func(p *keyview.Policy, principal string, _ keyview.Usage) (*keyview.Policy, error) {
		return edit(p, principal)
	}
}

// EditKeyPolicy edits the text of a key policy as AWS's console does, one edit after the other. No
// byte changes that an edit is not about. Nothing is stored: that is PutKeyPolicy's.
func (s *Service) EditKeyPolicy(ctx context.Context, c *guard.Call, in *kagimoriapi.EditKeyPolicyRequest) (*kagimoriapi.EditKeyPolicyResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	p, err := parse(in.Policy)
	if err != nil {
		return nil, err
	}
	usage := keyview.Symmetric
	if in.Usage != nil {
		usage = keyview.Usage(*in.Usage)
	}
	for i, e := range in.Edits {
		if p, err = apply(p, &e, usage); err != nil {
			return nil, apierr.Validation("Edit %d, %s: %s", i+1, api.Val(e.Type), strings.TrimPrefix(err.Error(), "keyview: "))
		}
	}
	return &kagimoriapi.EditKeyPolicyResponse{Policy: new(string(p.Bytes())), Notes: list(speech.All(language(in.Language), speech.AllWritten(p.Notes())))}, nil
}

// apply makes one edit.
func apply(p *keyview.Policy, e *kagimoriapi.KeyPolicyEdit, usage keyview.Usage) (*keyview.Policy, error) {
	switch t := api.Val(e.Type); {
	case t == kagimoriapi.KeyPolicyEditTypeALLOW_DELETE:
		return p.AllowDelete(true)
	case t == kagimoriapi.KeyPolicyEditTypeFORBID_DELETE:
		return p.AllowDelete(false)
	case e.Principal == nil:
		return nil, apierr.Validation("it needs a Principal")
	default:
		return edits[t](p, *e.Principal, usage)
	}
}

// changes of access by the comparison's names.
var changes = map[string]string{
	compare.Gains: kagimoriapi.AccessChangeTypeGAINS, compare.Loses: kagimoriapi.AccessChangeTypeLOSES,
	compare.Wider: kagimoriapi.AccessChangeTypeWIDER, compare.Tighter: kagimoriapi.AccessChangeTypeTIGHTER,
	compare.Other: kagimoriapi.AccessChangeTypeOTHER,
}

// CompareKeyPolicies tells what access changes when a key policy takes the place of another.
func (s *Service) CompareKeyPolicies(ctx context.Context, c *guard.Call, in *kagimoriapi.CompareKeyPoliciesRequest) (*kagimoriapi.CompareKeyPoliciesResponse, error) {
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	key := compare.Key{Account: c.Account(), Region: c.Region}
	if in.KeyArn != nil {
		a, err := arn.Parse(*in.KeyArn)
		if err != nil || a.Service != "kms" || a.Type() != "key" {
			return nil, apierr.Validation("KeyArn is not the ARN of a key.")
		}
		key = compare.Key{ARN: *in.KeyArn, Account: a.Account, Region: a.Region}
	}
	before, err := policy.Parse([]byte(api.Val(in.Before)), policy.Key)
	if err != nil {
		return nil, malformed(err)
	}
	after, err := policy.Parse([]byte(api.Val(in.After)), policy.Key)
	if err != nil {
		return nil, malformed(err)
	}
	l := language(in.Language)
	out := &kagimoriapi.CompareKeyPoliciesResponse{Changes: []kagimoriapi.AccessChange{}}
	for _, ch := range compare.Policies(before, after, key) {
		out.Changes = append(out.Changes, kagimoriapi.AccessChange{
			Type: new(changes[ch.Kind]), Principal: new(speech.Written(ch.Principal).In(l)), Actions: list(ch.Actions), Before: new(speech.Written(ch.Before).In(l)), After: new(speech.Written(ch.After).In(l)),
		})
	}
	return out, nil
}
