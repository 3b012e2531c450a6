package org

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A trusted is a service that may act in the organization's accounts.
type trusted struct {
	Principal string    `json:"principal"`
	Enabled   time.Time `json:"enabled"`
}

// A delegate is a member that administers services for the organization.
type delegate struct {
	Account  string               `json:"account"`
	Services map[string]time.Time `json:"services"`
}

// Tables have keys (organization, principal) and (organization, account).
var (
	trustedTable  = store.Table[trusted]{Bucket: "org/trusted", Version: 1}
	delegateTable = store.Table[delegate]{Bucket: "org/delegate", Version: 1}
)

var principals = regexp.MustCompile(`^[\w.-]+\.amazonaws\.com$`)

// Security Hub policies need the service to be trusted as long as their type is enabled: AWS names no other such type.
// Source: AWS Organizations API Reference, ConstraintViolationException, SERVICE_ACCESS_NOT_ENABLED and POLICY_TYPE_ENABLED_FOR_THIS_SERVICE.
const (
	securityHub  = directory.PolicyType("SECURITYHUB_POLICY")
	hubPrincipal = "securityhub.amazonaws.com"
)

// service decides an operation about a service principal, which has to look like one.
func (s *Service) service(tx store.Tx, c *guard.Call, principal string, ids ...string) (directory.Organization, error) {
	o, err := s.open(tx, c, question{ids: ids, service: principal, all: true})
	if err == nil && !principals.MatchString(principal) {
		err = because(codeInput, "UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal.")
	}
	return o, err
}

// EnableAWSServiceAccess trusts a service with the organization.
func (s *Service) EnableAWSServiceAccess(ctx context.Context, c *guard.Call, in *organizationsapi.EnableAWSServiceAccessRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.service(tx, c, *in.ServicePrincipal)
		if err != nil {
			return err
		}
		if _, ok, err := trustedTable.Get(tx, o.ID, *in.ServicePrincipal); err != nil || ok {
			return err
		}
		return trustedTable.Put(tx, trusted{*in.ServicePrincipal, s.now()}, o.ID, *in.ServicePrincipal)
	})
}

// DisableAWSServiceAccess ends that.
func (s *Service) DisableAWSServiceAccess(ctx context.Context, c *guard.Call, in *organizationsapi.DisableAWSServiceAccessRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.service(tx, c, *in.ServicePrincipal)
		if err != nil {
			return err
		}
		if *in.ServicePrincipal == hubPrincipal && o.Enabled(securityHub) {
			return errHubPolicies
		}
		return trustedTable.Delete(tx, o.ID, *in.ServicePrincipal)
	})
}

// ListAWSServiceAccessForOrganization lists the services that are trusted.
func (s *Service) ListAWSServiceAccessForOrganization(ctx context.Context, c *guard.Call, in *organizationsapi.ListAWSServiceAccessForOrganizationRequest) (*organizationsapi.ListAWSServiceAccessForOrganizationResponse, error) {
	out := &organizationsapi.ListAWSServiceAccessForOrganizationResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on().featured())
		if err != nil {
			return err
		}
		var all []trusted
		for r, err := range trustedTable.Scan(tx, o.ID) {
			if err != nil {
				return err
			}
			all = append(all, r.Value)
		}
		var some []trusted
		some, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, all, func(t *trusted) string { return t.Principal })
		out.EnabledServicePrincipals = shown(some, func(t trusted) organizationsapi.EnabledServicePrincipal {
			return organizationsapi.EnabledServicePrincipal{ServicePrincipal: &t.Principal, DateEnabled: &t.Enabled}
		})
		return err
	})
	return out, err
}

// RegisterDelegatedAdministrator lets a member administer a service for the organization.
func (s *Service) RegisterDelegatedAdministrator(ctx context.Context, c *guard.Call, in *organizationsapi.RegisterDelegatedAdministratorRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.service(tx, c, *in.ServicePrincipal, *in.AccountId)
		if err != nil {
			return err
		}
		m, err := s.member(tx, o, *in.AccountId)
		switch {
		case err != nil:
			return err
		case m.Account == o.Management:
			return errDelegateManager
		case !m.Closed.IsZero():
			return errDelegateClosed
		}
		if _, ok, err := trustedTable.Get(tx, o.ID, *in.ServicePrincipal); err != nil {
			return err
		} else if !ok {
			return errNotTrusted
		}
		d, _, err := delegateTable.Get(tx, o.ID, *in.AccountId)
		if err != nil {
			return err
		}
		if _, ok := d.Services[*in.ServicePrincipal]; ok {
			return errRegistered
		}
		if d.Services == nil {
			d = delegate{*in.AccountId, map[string]time.Time{}}
		}
		d.Services[*in.ServicePrincipal] = s.now()
		return delegateTable.Put(tx, d, o.ID, *in.AccountId)
	})
}

// DeregisterDelegatedAdministrator ends that.
func (s *Service) DeregisterDelegatedAdministrator(ctx context.Context, c *guard.Call, in *organizationsapi.DeregisterDelegatedAdministratorRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		o, err := s.service(tx, c, *in.ServicePrincipal, *in.AccountId)
		if err != nil {
			return err
		}
		d, err := s.delegate(tx, o, *in.AccountId)
		if err != nil {
			return err
		}
		if _, ok := d.Services[*in.ServicePrincipal]; !ok {
			return errNotRegistered
		}
		delete(d.Services, *in.ServicePrincipal)
		if len(d.Services) == 0 {
			return delegateTable.Delete(tx, o.ID, *in.AccountId)
		}
		return delegateTable.Put(tx, d, o.ID, *in.AccountId)
	})
}

// delegate is a member that administers something.
func (s *Service) delegate(tx store.Tx, o directory.Organization, account string) (delegate, error) {
	if _, err := s.member(tx, o, account); err != nil {
		return delegate{}, err
	}
	d, ok, err := delegateTable.Get(tx, o.ID, account)
	if err == nil && !ok {
		err = errNotRegistered
	}
	return d, err
}

// ListDelegatedAdministrators lists the members that administer something, or one service.
func (s *Service) ListDelegatedAdministrators(ctx context.Context, c *guard.Call, in *organizationsapi.ListDelegatedAdministratorsRequest) (*organizationsapi.ListDelegatedAdministratorsResponse, error) {
	out := &organizationsapi.ListDelegatedAdministratorsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		principal := api.Val(in.ServicePrincipal)
		o, err := s.open(tx, c, question{service: principal, all: true})
		if err != nil {
			return err
		}
		units, err := s.dir.Units(tx, o)
		if err != nil {
			return err
		}
		var all []delegate
		for r, err := range delegateTable.Scan(tx, o.ID) {
			if err != nil {
				return err
			}
			if _, ok := r.Value.Services[principal]; ok || principal == "" {
				all = append(all, r.Value)
			}
		}
		some, next, err := page(s, c, in.NextToken, in.MaxResults, all, func(d *delegate) string { return d.Account }, principal)
		if err != nil {
			return err
		}
		out.DelegatedAdministrators, out.NextToken = []organizationsapi.DelegatedAdministrator{}, next
		for _, d := range some {
			m, _, err := s.dir.Member(tx, o, d.Account)
			if err != nil {
				return err
			}
			a, err := showAccount(o, units, m)
			if err != nil {
				return err
			}
			since := slices.MinFunc(slices.Collect(maps.Values(d.Services)), time.Time.Compare)
			out.DelegatedAdministrators = append(out.DelegatedAdministrators, organizationsapi.DelegatedAdministrator{
				Id: a.Id, Arn: a.Arn, Email: a.Email, Name: a.Name, Status: a.Status, State: a.State, JoinedMethod: a.JoinedMethod,
				JoinedTimestamp: a.JoinedTimestamp, DelegationEnabledDate: &since,
			})
		}
		return nil
	})
	return out, err
}

// ListDelegatedServicesForAccount lists what a member administers.
func (s *Service) ListDelegatedServicesForAccount(ctx context.Context, c *guard.Call, in *organizationsapi.ListDelegatedServicesForAccountRequest) (*organizationsapi.ListDelegatedServicesForAccountResponse, error) {
	out := &organizationsapi.ListDelegatedServicesForAccountResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, err := s.open(tx, c, on(*in.AccountId).featured())
		if err != nil {
			return err
		}
		d, err := s.delegate(tx, o, *in.AccountId)
		if err != nil {
			return err
		}
		all := slices.Collect(maps.Keys(d.Services))
		var some []string
		some, out.NextToken, err = page(s, c, in.NextToken, in.MaxResults, all, func(p *string) string { return *p }, *in.AccountId)
		out.DelegatedServices = shown(some, func(p string) organizationsapi.DelegatedService {
			return organizationsapi.DelegatedService{ServicePrincipal: &p, DelegationEnabledDate: new(d.Services[p])}
		})
		return err
	})
	return out, err
}
