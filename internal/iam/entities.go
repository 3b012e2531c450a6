package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ListEntitiesForPolicy lists the users, groups and roles that a managed policy is attached to or bounds.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, c *guard.Call, in *iamapi.ListEntitiesForPolicyRequest) (*iamapi.ListEntitiesForPolicyResponse, error) {
	var out *iamapi.ListEntitiesForPolicyResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedPolicy(tx, c, in.PolicyArn, "ListEntitiesForPolicy", nil)
		if err != nil {
			return err
		}
		pg, err := s.page(c, strings.Join([]string{p.arn, api.Val(in.EntityFilter), api.Val(in.PathPrefix), api.Val(in.PolicyUsageFilter)}, "\x00"), in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		all, err := s.entities(tx, c.Account(), p.arn, in)
		if err != nil {
			return err
		}
		out = &iamapi.ListEntitiesForPolicyResponse{
			PolicyGroups: []iamapi.PolicyGroup{}, PolicyUsers: []iamapi.PolicyUser{}, PolicyRoles: []iamapi.PolicyRole{},
		}
		shown, last := cut(pg, all, entityID)
		for _, e := range shown {
			switch {
			case e.user != nil:
				out.PolicyUsers = append(out.PolicyUsers, iamapi.PolicyUser{UserName: &e.user.Name, UserId: &e.user.ID})
			case e.group != nil:
				out.PolicyGroups = append(out.PolicyGroups, iamapi.PolicyGroup{GroupName: &e.group.Name, GroupId: &e.group.ID})
			default:
				out.PolicyRoles = append(out.PolicyRoles, iamapi.PolicyRole{RoleName: &e.role.Name, RoleId: &e.role.ID})
			}
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

func entityID(p *principal) string { return p.name + "/" + strings.ToLower(p.label) }

// entities are the groups, roles and users asked for, in the order of their ids.
func (s *Service) entities(tx store.Tx, account, policyARN string, in *iamapi.ListEntitiesForPolicyRequest) ([]*principal, error) {
	filter, prefix, use := api.Val(in.EntityFilter), pathOf(in.PathPrefix), api.Val(in.PolicyUsageFilter)
	wanted := func(p *principal, path string) bool {
		attached := slices.Contains(*p.attachedPolicy, policyARN) && use != iamapi.PolicyUsageTypePermissionsBoundary
		bounds := p.boundary == policyARN && use != iamapi.PolicyUsageTypePermissionsPolicy
		return (attached || bounds) && strings.HasPrefix(path, prefix)
	}
	var all []*principal
	if filter == "" || filter == iamapi.EntityTypeGroup {
		for r, err := range s.dir.Groups(tx, account, "") {
			if err != nil {
				return nil, err
			}
			if p := ofGroup(&r.Value); wanted(p, r.Value.Path) {
				all = append(all, p)
			}
		}
	}
	if filter == "" || filter == iamapi.EntityTypeRole {
		for r, err := range s.dir.Roles(tx, account, "") {
			if err != nil {
				return nil, err
			}
			if p := ofRole(&r.Value); wanted(p, r.Value.Path) {
				all = append(all, p)
			}
		}
	}
	if filter == "" || filter == iamapi.EntityTypeUser {
		for r, err := range s.dir.Users(tx, account, "") {
			if err != nil {
				return nil, err
			}
			if p := ofUser(&r.Value); wanted(p, r.Value.Path) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}
