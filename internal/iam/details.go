package iam

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A detail is one entry of GetAccountAuthorizationDetails: a principal or a policy.
type detail struct {
	id     string // its place in the list
	who    *principal
	policy *managedPolicy
}

// GetAccountAuthorizationDetails lists all users, groups, roles and policies of the account with
// what hangs on them. Policies of AWS are listed if they are in use.
// Source: IAM API Reference, GetAccountAuthorizationDetails.
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, c *guard.Call, in *iamapi.GetAccountAuthorizationDetailsRequest) (*iamapi.GetAccountAuthorizationDetailsResponse, error) {
	filter := slices.Sorted(slices.Values(in.Filter))
	pg, err := s.page(c, strings.Join(filter, ","), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var out *iamapi.GetAccountAuthorizationDetailsResponse
	var roles []*directory.Role
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		out = &iamapi.GetAccountAuthorizationDetailsResponse{
			UserDetailList: []iamapi.UserDetail{}, GroupDetailList: []iamapi.GroupDetail{}, RoleDetailList: []iamapi.RoleDetail{},
			Policies: []iamapi.ManagedPolicyDetail{},
		}
		roles = nil
		if err := s.allowAll(tx, c, "GetAccountAuthorizationDetails"); err != nil {
			return err
		}
		use, err := s.usageOf(tx, c.Account())
		if err != nil {
			return err
		}
		all, err := s.details(tx, c.Account(), filter, use)
		if err != nil {
			return err
		}
		groups, err := s.groupNames(tx, c.Account())
		if err != nil {
			return err
		}
		vessels, err := s.roleVessels(tx, c.Account())
		if err != nil {
			return err
		}
		shown, last := cut(pg, all, func(d detail) string { return d.id })
		for _, d := range shown {
			switch {
			case d.policy != nil:
				out.Policies = append(out.Policies, d.policy.detail(use[d.policy.arn]))
			case d.who.user != nil:
				out.UserDetailList = append(out.UserDetailList, userDetail(d.who, groups))
			case d.who.group != nil:
				out.GroupDetailList = append(out.GroupDetailList, groupDetail(d.who))
			default:
				roles = append(roles, d.who.role)
				out.RoleDetailList = append(out.RoleDetailList, roleDetail(d.who, vessels[strings.ToLower(d.who.label)]))
			}
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, s.completeRoles(ctx, out.RoleDetailList, roles)
}

// details are the entries asked for in the order of their ids: users, groups, roles, policies.
func (s *Service) details(tx store.Tx, account string, filter []string, use map[string]usage) ([]detail, error) {
	want := func(t string) bool { return len(filter) == 0 || slices.Contains(filter, t) }
	var all []detail
	add := func(order string, p *principal) {
		all = append(all, detail{id: order + strings.ToLower(p.label), who: p})
	}
	if want(iamapi.EntityTypeUser) {
		for r, err := range s.dir.Users(tx, account, "") {
			if err != nil {
				return nil, err
			}
			add("1 ", ofUser(&r.Value))
		}
	}
	if want(iamapi.EntityTypeGroup) {
		for r, err := range s.dir.Groups(tx, account, "") {
			if err != nil {
				return nil, err
			}
			add("2 ", ofGroup(&r.Value))
		}
	}
	if want(iamapi.EntityTypeRole) {
		for r, err := range s.dir.Roles(tx, account, "") {
			if err != nil {
				return nil, err
			}
			add("3 ", ofRole(&r.Value))
		}
	}
	policies, err := s.allPolicies(tx, account, iamapi.PolicyScopeTypeAll)
	if err != nil {
		return nil, err
	}
	for _, p := range policies {
		if p.customer != nil && want(iamapi.EntityTypeLocalManagedPolicy) || p.aws != nil && use[p.arn] != (usage{}) && want(iamapi.EntityTypeAWSManagedPolicy) {
			all = append(all, detail{id: "4 " + p.id(), policy: p})
		}
	}
	slices.SortFunc(all, func(a, b detail) int { return cmp.Compare(a.id, b.id) })
	return all, nil
}

// groupNames are the names of the account's groups by unique id.
func (s *Service) groupNames(tx store.Tx, account string) (map[string]string, error) {
	names := map[string]string{}
	for r, err := range s.dir.Groups(tx, account, "") {
		if err != nil {
			return nil, err
		}
		names[r.Value.ID] = r.Value.Name
	}
	return names, nil
}

// roleVessels are the account's instance profiles by the role in them, in lower case.
func (s *Service) roleVessels(tx store.Tx, account string) (map[string][]profile, error) {
	vessels := map[string][]profile{}
	for r, err := range profiles.Scan(tx, account) {
		if err != nil {
			return nil, err
		}
		if r.Value.Role != "" {
			role := strings.ToLower(r.Value.Role)
			vessels[role] = append(vessels[role], r.Value)
		}
	}
	return vessels, nil
}

// completeRoles fills in the trust policies, whose principals are shown as they are named now.
func (s *Service) completeRoles(ctx context.Context, list []iamapi.RoleDetail, roles []*directory.Role) error {
	var plain []directory.Role
	for _, r := range roles {
		plain = append(plain, *r)
	}
	names, err := s.trusted(ctx, plain)
	if err != nil {
		return err
	}
	for i := range list {
		trust := encode(showTrust(roles[i], names))
		list[i].AssumeRolePolicyDocument = &trust
		for j := range list[i].InstanceProfileList {
			list[i].InstanceProfileList[j].Roles = []iamapi.Role{*apiRole(roles[i], showTrust(roles[i], names))}
		}
	}
	return nil
}

func (p *principal) inlineDetails() []iamapi.PolicyDetail {
	list := []iamapi.PolicyDetail{}
	for _, name := range slices.Sorted(maps.Keys(*p.inline)) {
		list = append(list, iamapi.PolicyDetail{PolicyName: &name, PolicyDocument: new(encode((*p.inline)[name]))})
	}
	return list
}

func (p *principal) attachedDetails() []iamapi.AttachedPolicy {
	list := []iamapi.AttachedPolicy{}
	for _, policyARN := range *p.attachedPolicy {
		a := attachmentOf(policyARN)
		list = append(list, iamapi.AttachedPolicy{PolicyName: &a.name, PolicyArn: &a.arn})
	}
	return list
}

func userDetail(p *principal, groups map[string]string) iamapi.UserDetail {
	u := p.user
	d := iamapi.UserDetail{
		Path: &u.Path, UserName: &u.Name, UserId: &u.ID, Arn: &p.arn, CreateDate: new(u.Created.Truncate(time.Second)),
		UserPolicyList: p.inlineDetails(), AttachedManagedPolicies: p.attachedDetails(), GroupList: []string{},
		PermissionsBoundary: boundaryOf(u.Boundary), Tags: apiTags(u.Tags),
	}
	for _, id := range u.Groups {
		d.GroupList = append(d.GroupList, groups[id])
	}
	return d
}

func groupDetail(p *principal) iamapi.GroupDetail {
	g := p.group
	return iamapi.GroupDetail{
		Path: &g.Path, GroupName: &g.Name, GroupId: &g.ID, Arn: &p.arn, CreateDate: new(g.Created.Truncate(time.Second)),
		GroupPolicyList: p.inlineDetails(), AttachedManagedPolicies: p.attachedDetails(),
	}
}

// roleDetail is a role without its trust policy.
func roleDetail(p *principal, vessels []profile) iamapi.RoleDetail {
	r := p.role
	d := iamapi.RoleDetail{
		Path: &r.Path, RoleName: &r.Name, RoleId: &r.ID, Arn: &p.arn, CreateDate: new(r.Created.Truncate(time.Second)),
		RolePolicyList: p.inlineDetails(), AttachedManagedPolicies: p.attachedDetails(), InstanceProfileList: []iamapi.InstanceProfile{},
		PermissionsBoundary: boundaryOf(r.Boundary), Tags: apiTags(r.Tags), RoleLastUsed: lastUsed(r),
	}
	for _, v := range vessels {
		d.InstanceProfileList = append(d.InstanceProfileList, iamapi.InstanceProfile{
			Path: &v.Path, InstanceProfileName: &v.Name, InstanceProfileId: &v.ID, Arn: new(v.arn()), CreateDate: new(v.Created.Truncate(time.Second)),
		})
	}
	return d
}

func (p *managedPolicy) detail(u usage) iamapi.ManagedPolicyDetail {
	m := p.show(u)
	d := iamapi.ManagedPolicyDetail{
		PolicyName: m.PolicyName, PolicyId: m.PolicyId, Arn: m.Arn, Path: m.Path, DefaultVersionId: m.DefaultVersionId,
		AttachmentCount: m.AttachmentCount, PermissionsBoundaryUsageCount: m.PermissionsBoundaryUsageCount, IsAttachable: m.IsAttachable,
		Description: m.Description, CreateDate: m.CreateDate, UpdateDate: m.UpdateDate,
	}
	for _, v := range p.versions() {
		shown := apiVersion(&v, p.defaultVersion())
		shown.Document = new(encode(v.Document))
		d.PolicyVersionList = append(d.PolicyVersionList, shown)
	}
	return d
}
