package org

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ListAccountsWithInvalidEffectivePolicy lists the accounts whose effective policy of a type cannot be used: none, as
// policies of a wrong form are not taken.
// Source: AWS Organizations API Reference, ListAccountsWithInvalidEffectivePolicy.
func (s *Service) ListAccountsWithInvalidEffectivePolicy(ctx context.Context, c *guard.Call, in *organizationsapi.ListAccountsWithInvalidEffectivePolicyRequest) (*organizationsapi.ListAccountsWithInvalidEffectivePolicyResponse, error) {
	out := &organizationsapi.ListAccountsWithInvalidEffectivePolicyResponse{PolicyType: in.PolicyType}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, question{kind: *in.PolicyType})
		switch {
		case err != nil:
			return err
		case !o.Enabled(directory.PolicyType(*in.PolicyType)):
			return errNoEffective
		}
		out.Accounts, out.NextToken, err = s.pageOfAccounts(tx, c, o, in.NextToken, in.MaxResults, []directory.Member{})
		return err
	})
	return out, err
}

// ListEffectivePolicyValidationErrors lists what is wrong with the effective policy of an account: nothing.
// Source: AWS Organizations API Reference, ListEffectivePolicyValidationErrors.
func (s *Service) ListEffectivePolicyValidationErrors(ctx context.Context, c *guard.Call, in *organizationsapi.ListEffectivePolicyValidationErrorsRequest) (*organizationsapi.ListEffectivePolicyValidationErrorsResponse, error) {
	out := &organizationsapi.ListEffectivePolicyValidationErrorsResponse{AccountId: in.AccountId, PolicyType: in.PolicyType, EvaluationTimestamp: new(s.now())}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, question{ids: []string{*in.AccountId}, kind: *in.PolicyType})
		if err != nil {
			return err
		}
		m, err := s.member(tx, o, *in.AccountId)
		if err != nil {
			return err
		}
		if _, _, err := s.effective(tx, o, directory.PolicyType(*in.PolicyType), m); err != nil {
			return err
		}
		units, err := s.dir.Units(tx, o)
		if err != nil {
			return err
		}
		chain, _, err := climb(o, units, m.Parent)
		if err != nil {
			return err
		}
		out.Path = new(path(o, chain) + m.Account + "/")
		all, next, err := page(s, c, in.NextToken, in.MaxResults, []organizationsapi.EffectivePolicyValidationError{}, func(*organizationsapi.EffectivePolicyValidationError) string { return "" }, *in.AccountId, *in.PolicyType)
		out.EffectivePolicyValidationErrors, out.NextToken = all, next
		return err
	})
	return out, err
}

// CreateGovCloudAccount is refused: it wants a management account that is paired with one in AWS GovCloud (US), which
// does not exist here. Source: AWS Organizations API Reference, CreateGovCloudAccount.
func (s *Service) CreateGovCloudAccount(ctx context.Context, c *guard.Call, in *organizationsapi.CreateGovCloudAccountRequest) (*organizationsapi.CreateGovCloudAccountResponse, error) {
	return nil, s.g.View(ctx, c, func(tx store.Tx) error {
		if _, err := s.open(tx, c, question{tags: in.Tags, makes: true, tagged: newAccount}); err != nil {
			return err
		}
		return errNoGovCloud
	})
}
