package iam

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// rootAccess lets fn change the features of central root access of the organization that the
// caller's account manages, after deciding the action. They are kept with the managing account. IAM
// is always trusted in kagimori's organizations, and there are no delegated administrators.
//
// Source: IAM User Guide, "Centralize root access for member accounts".
func (s *Service) rootAccess(ctx context.Context, c *guard.Call, fn func([]string) []string) (org *string, features []string, err error) {
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		o, v, err := s.rootFeatures(tx, c)
		if err != nil {
			return err
		}
		v.RootAccess = fn(v.RootAccess)
		slices.Sort(v.RootAccess)
		org, features = &o.ID, append([]string{}, v.RootAccess...)
		return settingsTable.Put(tx, v, c.Account())
	})
	return org, features, err
}

func (s *Service) rootFeatures(tx store.Tx, c *guard.Call) (directory.Organization, settings, error) {
	if err := s.allowAll(tx, c, c.Operation); err != nil {
		return directory.Organization{}, settings{}, err
	}
	o, in, err := s.dir.OrganizationOf(tx, c.Account())
	switch {
	case err != nil:
		return o, settings{}, err
	case !in:
		return o, settings{}, apierr.New("OrganizationNotFoundException", "The account is not a member of an organization.")
	case o.Management != c.Account():
		return o, settings{}, apierr.New("AccountNotManagementOrDelegatedAdministratorException",
			"The request was rejected because the account making the request is not the management account or delegated administrator account for centralized root access.")
	}
	v, _, err := settingsTable.Get(tx, c.Account())
	return o, v, err
}

func with(feature string) func([]string) []string {
	return func(list []string) []string { return unique(append(list, feature)) }
}

func withoutFeature(feature string) func([]string) []string {
	return func(list []string) []string {
		return slices.DeleteFunc(list, func(f string) bool { return f == feature })
	}
}

// EnableOrganizationsRootSessions lets the managing account act as root user of members by
// sts:AssumeRoot.
func (s *Service) EnableOrganizationsRootSessions(ctx context.Context, c *guard.Call, _ *iamapi.EnableOrganizationsRootSessionsRequest) (*iamapi.EnableOrganizationsRootSessionsResponse, error) {
	o, f, err := s.rootAccess(ctx, c, with(iamapi.FeatureTypeRootSessions))
	return &iamapi.EnableOrganizationsRootSessionsResponse{OrganizationId: o, EnabledFeatures: f}, err
}

// DisableOrganizationsRootSessions ends that.
func (s *Service) DisableOrganizationsRootSessions(ctx context.Context, c *guard.Call, _ *iamapi.DisableOrganizationsRootSessionsRequest) (*iamapi.DisableOrganizationsRootSessionsResponse, error) {
	o, f, err := s.rootAccess(ctx, c, withoutFeature(iamapi.FeatureTypeRootSessions))
	return &iamapi.DisableOrganizationsRootSessionsResponse{OrganizationId: o, EnabledFeatures: f}, err
}

// EnableOrganizationsRootCredentialsManagement lets the managing account remove credentials of root
// users of members.
func (s *Service) EnableOrganizationsRootCredentialsManagement(ctx context.Context, c *guard.Call, _ *iamapi.EnableOrganizationsRootCredentialsManagementRequest) (*iamapi.EnableOrganizationsRootCredentialsManagementResponse, error) {
	o, f, err := s.rootAccess(ctx, c, with(iamapi.FeatureTypeRootCredentialsManagement))
	return &iamapi.EnableOrganizationsRootCredentialsManagementResponse{OrganizationId: o, EnabledFeatures: f}, err
}

// DisableOrganizationsRootCredentialsManagement ends that.
func (s *Service) DisableOrganizationsRootCredentialsManagement(ctx context.Context, c *guard.Call, _ *iamapi.DisableOrganizationsRootCredentialsManagementRequest) (*iamapi.DisableOrganizationsRootCredentialsManagementResponse, error) {
	o, f, err := s.rootAccess(ctx, c, withoutFeature(iamapi.FeatureTypeRootCredentialsManagement))
	return &iamapi.DisableOrganizationsRootCredentialsManagementResponse{OrganizationId: o, EnabledFeatures: f}, err
}

// ListOrganizationsFeatures lists what is enabled of central root access.
func (s *Service) ListOrganizationsFeatures(ctx context.Context, c *guard.Call, _ *iamapi.ListOrganizationsFeaturesRequest) (*iamapi.ListOrganizationsFeaturesResponse, error) {
	out := &iamapi.ListOrganizationsFeaturesResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, v, err := s.rootFeatures(tx, c)
		out.OrganizationId, out.EnabledFeatures = &o.ID, append([]string{}, v.RootAccess...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RootAccess reports whether the account that manages an organization enabled a task policy's feature
// of central root access. Source: STS API Reference, AssumeRoot.
func (s *Service) RootAccess(tx store.Tx, management string, credentials bool) (bool, error) {
	v, _, err := settingsTable.Get(tx, management)
	feature := iamapi.FeatureTypeRootSessions
	if credentials {
		feature = iamapi.FeatureTypeRootCredentialsManagement
	}
	return slices.Contains(v.RootAccess, feature), err
}

// SetSecurityTokenServicePreferences chooses the version of the tokens of STS's global endpoint.
// kagimori's tokens are good in all Regions either way: GetAccountSummary tells what was chosen.
func (s *Service) SetSecurityTokenServicePreferences(ctx context.Context, c *guard.Call, in *iamapi.SetSecurityTokenServicePreferencesRequest) error {
	return s.settle(ctx, c, func(_ store.Tx, v *settings) error {
		v.TokenVersion = 1
		if *in.GlobalEndpointTokenVersion == iamapi.GlobalEndpointTokenVersionV2Token {
			v.TokenVersion = 2
		}
		return nil
	})
}
