package iam

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// settings are what IAM keeps about an account as a whole.
type settings struct {
	Alias    string                 `json:"alias,omitempty"`
	Password *iamapi.PasswordPolicy `json:"passwordPolicy,omitempty"`
	// RootAccess are the features of central root access, of an account that manages an organization.
	RootAccess []string `json:"rootAccess,omitempty"`
	// TokenVersion is that of tokens of STS's global endpoint; 0 is 1.
	TokenVersion int32 `json:"tokenVersion,omitempty"`
	// IssuerID names the account's issuer of web tokens, once there was one; Outbound enables it.
	IssuerID string `json:"issuer,omitempty"`
	Outbound bool   `json:"outbound,omitempty"`
}

// Tables. An alias means one account of all.
var (
	settingsTable = store.Table[settings]{Bucket: "iam/account", Version: 1} // (account)
	aliasTable    = store.Table[string]{Bucket: "iam/alias", Version: 1}     // (alias) to the account
)

// settle lets fn change the settings of the caller's account after deciding the action.
func (s *Service) settle(ctx context.Context, c *guard.Call, fn func(store.Tx, *settings) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, c.Operation); err != nil {
			return err
		}
		v, _, err := settingsTable.Get(tx, c.Account())
		if err != nil {
			return err
		}
		if err := fn(tx, &v); err != nil {
			return err
		}
		return settingsTable.Put(tx, v, c.Account())
	})
}

// CreateAccountAlias gives the account an alias in place of the one it has. An alias that somebody
// has, the account itself included, is taken.
// Source: IAM API Reference, CreateAccountAlias.
func (s *Service) CreateAccountAlias(ctx context.Context, c *guard.Call, in *iamapi.CreateAccountAliasRequest) error {
	alias := api.Val(in.AccountAlias)
	return s.settle(ctx, c, func(tx store.Tx, v *settings) error {
		_, taken, err := aliasTable.Get(tx, alias)
		if err != nil {
			return err
		}
		if taken {
			return apierr.Newf(codeExists, "The account alias %s already exists.", alias)
		}
		if v.Alias != "" {
			if err := aliasTable.Delete(tx, v.Alias); err != nil {
				return err
			}
		}
		v.Alias = alias
		return aliasTable.Put(tx, c.Account(), alias)
	})
}

// DeleteAccountAlias takes the alias from the account.
func (s *Service) DeleteAccountAlias(ctx context.Context, c *guard.Call, in *iamapi.DeleteAccountAliasRequest) error {
	alias := api.Val(in.AccountAlias)
	return s.settle(ctx, c, func(tx store.Tx, v *settings) error {
		if v.Alias != alias {
			return noSuchEntity("The account alias with name %s cannot be found.", alias)
		}
		v.Alias = ""
		return aliasTable.Delete(tx, alias)
	})
}

// ListAccountAliases lists the alias of the account: none or one.
func (s *Service) ListAccountAliases(ctx context.Context, c *guard.Call, in *iamapi.ListAccountAliasesRequest) (*iamapi.ListAccountAliasesResponse, error) {
	var out *iamapi.ListAccountAliasesResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		out = &iamapi.ListAccountAliasesResponse{AccountAliases: []string{}, IsTruncated: new(false)}
		if err := s.allowAll(tx, c, "ListAccountAliases"); err != nil {
			return err
		}
		if _, err := s.page(c, "", in.Marker, in.MaxItems); err != nil {
			return err
		}
		v, _, err := settingsTable.Get(tx, c.Account())
		if v.Alias != "" {
			out.AccountAliases = append(out.AccountAliases, v.Alias)
		}
		return err
	})
	return out, err
}

// UpdateAccountPasswordPolicy replaces the account's rules for passwords: what the request leaves
// out goes back to its default. Source: IAM API Reference, UpdateAccountPasswordPolicy.
func (s *Service) UpdateAccountPasswordPolicy(ctx context.Context, c *guard.Call, in *iamapi.UpdateAccountPasswordPolicyRequest) error {
	return s.settle(ctx, c, func(_ store.Tx, v *settings) error {
		p := &iamapi.PasswordPolicy{
			MinimumPasswordLength: new(int32(6)), RequireSymbols: new(api.Val(in.RequireSymbols)), RequireNumbers: new(api.Val(in.RequireNumbers)),
			RequireUppercaseCharacters: new(api.Val(in.RequireUppercaseCharacters)), RequireLowercaseCharacters: new(api.Val(in.RequireLowercaseCharacters)),
			AllowUsersToChangePassword: new(api.Val(in.AllowUsersToChangePassword)), ExpirePasswords: new(api.Val(in.MaxPasswordAge) > 0),
			PasswordReusePrevention: in.PasswordReusePrevention, HardExpiry: in.HardExpiry,
		}
		if in.MinimumPasswordLength != nil {
			p.MinimumPasswordLength = in.MinimumPasswordLength
		}
		if api.Val(in.MaxPasswordAge) > 0 {
			p.MaxPasswordAge = in.MaxPasswordAge
		}
		v.Password = p
		return nil
	})
}

// GetAccountPasswordPolicy shows the account's rules for passwords.
func (s *Service) GetAccountPasswordPolicy(ctx context.Context, c *guard.Call, _ *iamapi.GetAccountPasswordPolicyRequest) (*iamapi.GetAccountPasswordPolicyResponse, error) {
	var out *iamapi.GetAccountPasswordPolicyResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, "GetAccountPasswordPolicy"); err != nil {
			return err
		}
		v, _, err := settingsTable.Get(tx, c.Account())
		if err == nil && v.Password == nil {
			err = noSuchEntity("The Password Policy with domain name %s cannot be found.", c.Account())
		}
		out = &iamapi.GetAccountPasswordPolicyResponse{PasswordPolicy: v.Password}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteAccountPasswordPolicy puts AWS's rules for passwords back in force.
func (s *Service) DeleteAccountPasswordPolicy(ctx context.Context, c *guard.Call, _ *iamapi.DeleteAccountPasswordPolicyRequest) error {
	return s.settle(ctx, c, func(_ store.Tx, v *settings) error {
		if v.Password == nil {
			return noSuchEntity("The account policy with name PasswordPolicy cannot be found.")
		}
		v.Password = nil
		return nil
	})
}
