package org

import (
	"cmp"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Service].
type Config struct {
	Guard *guard.Guard
	// Tokens seals the tokens of lists.
	Tokens directory.Box
	// Roles makes the service-linked role. Nil: there is none.
	Roles Roles
}

// A Service is AWS Organizations. Safe for concurrent use.
type Service struct {
	g      *guard.Guard
	dir    *directory.Directory
	tokens directory.Box
	roles  Roles
	docs   *authz.Cache // resource policies
}

// New makes a Service.
func New(cfg Config) *Service {
	return &Service{g: cfg.Guard, dir: cfg.Guard.Directory(), tokens: cfg.Tokens, roles: cfg.Roles, docs: authz.NewCache(cachedPolicies)}
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateOrganization":                     guard.Handle(s.CreateOrganization),
		"DescribeOrganization":                   guard.Handle(s.DescribeOrganization),
		"DeleteOrganization":                     guard.HandleVoid(s.DeleteOrganization),
		"ListRoots":                              guard.Handle(s.ListRoots),
		"CreateAccount":                          guard.Handle(s.CreateAccount),
		"DescribeCreateAccountStatus":            guard.Handle(s.DescribeCreateAccountStatus),
		"ListCreateAccountStatus":                guard.Handle(s.ListCreateAccountStatus),
		"DescribeAccount":                        guard.Handle(s.DescribeAccount),
		"ListAccounts":                           guard.Handle(s.ListAccounts),
		"ListAccountsForParent":                  guard.Handle(s.ListAccountsForParent),
		"CloseAccount":                           guard.HandleVoid(s.CloseAccount),
		"MoveAccount":                            guard.HandleVoid(s.MoveAccount),
		"CreateOrganizationalUnit":               guard.Handle(s.CreateOrganizationalUnit),
		"DescribeOrganizationalUnit":             guard.Handle(s.DescribeOrganizationalUnit),
		"UpdateOrganizationalUnit":               guard.Handle(s.UpdateOrganizationalUnit),
		"DeleteOrganizationalUnit":               guard.HandleVoid(s.DeleteOrganizationalUnit),
		"ListOrganizationalUnitsForParent":       guard.Handle(s.ListOrganizationalUnitsForParent),
		"ListParents":                            guard.Handle(s.ListParents),
		"ListChildren":                           guard.Handle(s.ListChildren),
		"CreatePolicy":                           guard.Handle(s.CreatePolicy),
		"DescribePolicy":                         guard.Handle(s.DescribePolicy),
		"UpdatePolicy":                           guard.Handle(s.UpdatePolicy),
		"DeletePolicy":                           guard.HandleVoid(s.DeletePolicy),
		"ListPolicies":                           guard.Handle(s.ListPolicies),
		"AttachPolicy":                           guard.HandleVoid(s.AttachPolicy),
		"DetachPolicy":                           guard.HandleVoid(s.DetachPolicy),
		"ListPoliciesForTarget":                  guard.Handle(s.ListPoliciesForTarget),
		"ListTargetsForPolicy":                   guard.Handle(s.ListTargetsForPolicy),
		"EnablePolicyType":                       guard.Handle(s.EnablePolicyType),
		"DisablePolicyType":                      guard.Handle(s.DisablePolicyType),
		"InviteAccountToOrganization":            guard.Handle(s.InviteAccountToOrganization),
		"AcceptHandshake":                        guard.Handle(s.AcceptHandshake),
		"DeclineHandshake":                       guard.Handle(s.DeclineHandshake),
		"CancelHandshake":                        guard.Handle(s.CancelHandshake),
		"DescribeHandshake":                      guard.Handle(s.DescribeHandshake),
		"ListHandshakesForAccount":               guard.Handle(s.ListHandshakesForAccount),
		"ListHandshakesForOrganization":          guard.Handle(s.ListHandshakesForOrganization),
		"EnableAllFeatures":                      guard.Handle(s.EnableAllFeatures),
		"ListAWSServiceAccessForOrganization":    guard.Handle(s.ListAWSServiceAccessForOrganization),
		"DescribeEffectivePolicy":                guard.Handle(s.DescribeEffectivePolicy),
		"ListDelegatedAdministrators":            guard.Handle(s.ListDelegatedAdministrators),
		"ListDelegatedServicesForAccount":        guard.Handle(s.ListDelegatedServicesForAccount),
		"RemoveAccountFromOrganization":          guard.HandleVoid(s.RemoveAccountFromOrganization),
		"LeaveOrganization":                      guard.HandleVoid(s.LeaveOrganization),
		"EnableAWSServiceAccess":                 guard.HandleVoid(s.EnableAWSServiceAccess),
		"DisableAWSServiceAccess":                guard.HandleVoid(s.DisableAWSServiceAccess),
		"RegisterDelegatedAdministrator":         guard.HandleVoid(s.RegisterDelegatedAdministrator),
		"DeregisterDelegatedAdministrator":       guard.HandleVoid(s.DeregisterDelegatedAdministrator),
		"PutResourcePolicy":                      guard.Handle(s.PutResourcePolicy),
		"DescribeResourcePolicy":                 guard.Handle(s.DescribeResourcePolicy),
		"DeleteResourcePolicy":                   guard.HandleVoid(s.DeleteResourcePolicy),
		"CreateGovCloudAccount":                  guard.Handle(s.CreateGovCloudAccount),
		"ListAccountsWithInvalidEffectivePolicy": guard.Handle(s.ListAccountsWithInvalidEffectivePolicy),
		"ListEffectivePolicyValidationErrors":    guard.Handle(s.ListEffectivePolicyValidationErrors),
		"TagResource":                            guard.HandleVoid(s.TagResource),
		"UntagResource":                          guard.HandleVoid(s.UntagResource),
		"ListTagsForResource":                    guard.Handle(s.ListTagsForResource),
	}
}

// now is the service time to the millisecond, as answers show it.
func (s *Service) now() time.Time { return s.g.Now().UTC().Truncate(time.Millisecond) }

// A question is what an operation has to be allowed for.
type question struct {
	ids     []string               // of roots, units, accounts and policies; none: no resource
	kind    string                 // organizations:PolicyType, or "": then that of the policy among ids
	tags    []organizationsapi.Tag // aws:RequestTag
	makes   bool                   // the tags are those of what is decided: it is to be made
	tagged  string                 // id, or pattern of ids, of what gets tags when it is made or invited; that needs TagResource
	tagKeys []string               // aws:TagKeys of an operation without values
	service string                 // organizations:ServicePrincipal
	manages bool                   // it is the managing account's, or a delegate's
	all     bool                   // it needs an organization with all features
}

// These stand for what has no id yet.
const (
	newPolicy  = "p-*"
	newUnit    = "ou-*"
	newAccount = "*"
)

// featured is a question of an operation that an organization with consolidated billing only does not have.
// Source: AWS Organizations User Guide, "Available feature sets"; API Reference, CloseAccount.
func (q question) featured() question {
	q.all = true
	return q
}

// on is the question about things by their ids.
func on(ids ...string) question { return question{ids: ids} }

// open decides the operation and returns the caller's organization, which the caller must manage, or
// have been delegated to. The order is AWS's as far as it shows: permission, being in an organization,
// managing it, its features.
func (s *Service) open(tx store.Tx, c *guard.Call, q question) (directory.Organization, error) {
	q.manages = true
	o, in, err := s.ask(tx, c, q)
	if err == nil && !in {
		err = errNotInUse
	}
	if err == nil && q.all && o.Billing {
		err = errBilling
	}
	return o, err
}

// ask is open for operations that other accounts may use too: in tells whether the caller is in an
// organization. The resources are decided as the caller's own, unless the resource policy has a say:
// what keeps other members out is not their owner but a rule of its own.
func (s *Service) ask(tx store.Tx, c *guard.Call, q question) (o directory.Organization, in bool, err error) {
	if o, in, err = s.dir.OrganizationOf(tx, c.Account()); err != nil {
		return o, in, err
	}
	var by *authz.Document
	may := true
	if in && q.manages && o.Management != c.Account() {
		if by, may, err = s.delegation(tx, c, q, o); err != nil {
			return o, in, err
		}
	}
	if err := s.decide(tx, c, q, o, in, by); err != nil {
		return o, in, err
	}
	if !may {
		return o, in, errNotManagement
	}
	return o, in, nil
}

// decide asks the one decision about each thing that a question names. by is the resource policy by
// which a member may act, or nil.
func (s *Service) decide(tx store.Tx, c *guard.Call, q question, o directory.Organization, in bool, by *authz.Document) (err error) {
	if in && q.kind == "" {
		if q.kind, err = s.kindOf(tx, o, q.ids); err != nil {
			return err
		}
	}
	base := authz.Part{Action: "organizations:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()}, Policy: by}
	if by != nil {
		base.Resource.Account = o.Management
	}
	if q.kind != "" {
		base.Context.Set("organizations:policytype", q.kind)
	}
	if q.service != "" {
		base.Context.Set("organizations:serviceprincipal", q.service)
	}
	if len(q.tags) > 0 {
		for _, t := range q.tags {
			q.tagKeys = append(q.tagKeys, *t.Key)
			base.Context.Set("aws:requesttag/"+*t.Key, *t.Value)
		}
	}
	if q.makes {
		base.Resource.Tags = authz.TagsOf(tagMap(q.tags))
	}
	if len(q.tagKeys) > 0 {
		base.Context.SetList("aws:tagkeys", q.tagKeys)
	}
	parts := make([]authz.Part, 0, 1)
	for _, id := range q.ids {
		p := base
		if in {
			if err := s.name(tx, o, id, q.kind, &p.Resource); err != nil {
				return err
			}
			if !q.makes {
				c.Touch(p.Resource.ARN, o.Management, resourceType(id))
			}
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		parts = append(parts, base)
	}
	if len(q.tags) > 0 && q.tagged != "" {
		p := base
		p.Action = "organizations:TagResource"
		if in {
			if err := s.name(tx, o, q.tagged, q.kind, &p.Resource); err != nil {
				return err
			}
		}
		p.Resource.Tags = authz.TagsOf(tagMap(q.tags))
		parts = append(parts, p)
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// kindOf is the type of the first policy among ids, "" if there is none.
func (s *Service) kindOf(tx store.Tx, o directory.Organization, ids []string) (string, error) {
	for _, id := range ids {
		if !isPolicy(id) {
			continue
		}
		p, _, err := s.policy(tx, o, id)
		return string(p.Type), err
	}
	return "", nil
}

// name fills in the ARN and the tags of what an id names, whether it exists or not. kind is the
// type of a policy that does not exist; "" goes as service control policy.
func (s *Service) name(tx store.Tx, o directory.Organization, id, kind string, r *authz.Resource) error {
	if isPolicy(id) {
		p, _, err := s.policy(tx, o, id)
		if err != nil {
			return err
		}
		r.ARN = o.PolicyARN(cmp.Or(p.Type, directory.PolicyType(kind), directory.SCP), id)
	} else {
		r.ARN = o.TargetARN(id)
	}
	tags, _, ok, err := s.tagsOf(tx, o, id)
	if ok {
		r.Tags = tags
	}
	return err
}

// tagMap are the tags of a request as a resource has them.
func tagMap(tags []organizationsapi.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[*t.Key] = *t.Value
	}
	return out
}

func isPolicy(id string) bool { return strings.HasPrefix(id, "p-") }
func isUnit(id string) bool   { return strings.HasPrefix(id, "ou-") }
func isRoot(id string) bool   { return strings.HasPrefix(id, "r-") }

func isResourcePolicy(id string) bool { return strings.HasPrefix(id, "rp-") }

// resourceType is how CloudFormation, and with it the trail, calls what an id names.
func resourceType(id string) string {
	switch {
	case isPolicy(id):
		return "AWS::Organizations::Policy"
	case isUnit(id):
		return "AWS::Organizations::OrganizationalUnit"
	case isRoot(id):
		return "AWS::Organizations::Root"
	case isResourcePolicy(id):
		return "AWS::Organizations::ResourcePolicy"
	}
	return "AWS::Organizations::Account"
}
