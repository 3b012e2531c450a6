package iam

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func apiGroup(g *directory.Group) *iamapi.Group {
	return &iamapi.Group{Path: &g.Path, GroupName: &g.Name, GroupId: &g.ID, Arn: new(g.ARN()), CreateDate: new(g.Created.Truncate(time.Second))}
}

// CreateGroup makes a group.
func (s *Service) CreateGroup(ctx context.Context, c *guard.Call, in *iamapi.CreateGroupRequest) (*iamapi.CreateGroupResponse, error) {
	var out *iamapi.CreateGroupResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g := directory.Group{Account: c.Account(), Name: api.Val(in.GroupName), Path: pathOf(in.Path), ID: directory.NewID("AGPA"), Created: s.now()}
		c.Touch(g.ARN(), g.Account, groupKind.trail)
		if _, err := s.g.Allow(tx, c, s.part(ofGroup(&g), "CreateGroup")); err != nil {
			return err
		}
		if err := checkPath(g.Path); err != nil {
			return err
		}
		count := 0
		for r, err := range s.dir.Groups(tx, g.Account, "") {
			if err != nil {
				return err
			}
			if strings.EqualFold(r.Value.Name, g.Name) {
				return apierr.Newf(codeExists, "Group with name %s already exists.", g.Name)
			}
			count++
		}
		if count >= maxGroups {
			return exceeded("Cannot exceed quota for GroupsPerAccount: %d", maxGroups)
		}
		out = &iamapi.CreateGroupResponse{Group: apiGroup(&g)}
		c.Respond(out)
		return s.dir.PutGroup(tx, g)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetGroup describes a group and lists its users by name, without boundary and tags.
func (s *Service) GetGroup(ctx context.Context, c *guard.Call, in *iamapi.GetGroupRequest) (*iamapi.GetGroupResponse, error) {
	var out *iamapi.GetGroupResponse
	err := s.read(ctx, c, groupKind, in.GroupName, "GetGroup", func(tx store.Tx, p *principal) error {
		pg, err := s.page(c, p.group.ID, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		users, err := s.dir.GroupUsers(tx, *p.group)
		if err != nil {
			return err
		}
		out = &iamapi.GetGroupResponse{Group: apiGroup(p.group), Users: []iamapi.User{}}
		shown, last := cut(pg, users, func(u directory.User) string { return strings.ToLower(u.Name) })
		for _, u := range shown {
			user := apiUser(&u)
			user.PermissionsBoundary, user.Tags = nil, nil
			out.Users = append(out.Users, *user)
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

// UpdateGroup gives a group another name or path. The caller needs the right on the group under
// both names. Source: IAM API Reference, UpdateGroup.
func (s *Service) UpdateGroup(ctx context.Context, c *guard.Call, in *iamapi.UpdateGroupRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.load(tx, groupKind, c.Account(), api.Val(in.GroupName))
		if err != nil {
			return err
		}
		renamed := *p.group
		if in.NewGroupName != nil {
			renamed.Name = *in.NewGroupName
		}
		if in.NewPath != nil {
			renamed.Path = *in.NewPath
		}
		parts := []authz.Part{s.part(p, "UpdateGroup")}
		if renamed.ARN() != p.arn {
			parts = append(parts, s.part(ofGroup(&renamed), "UpdateGroup"))
		}
		c.Touch(p.arn, p.account, groupKind.trail)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if !p.exists {
			return missing(groupKind, api.Val(in.GroupName))
		}
		if err := checkPath(renamed.Path); err != nil {
			return err
		}
		if other, exists, err := s.dir.Group(tx, renamed.Account, renamed.Name); err != nil {
			return err
		} else if exists && other.ID != renamed.ID {
			return apierr.Newf(codeExists, "Group with name %s already exists.", renamed.Name)
		}
		return s.dir.RenameGroup(tx, *p.group, renamed)
	})
}

// DeleteGroup removes a group that has neither users nor policies.
func (s *Service) DeleteGroup(ctx context.Context, c *guard.Call, in *iamapi.DeleteGroupRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, groupKind, in.GroupName, "DeleteGroup", nil)
		if err != nil {
			return err
		}
		users, err := s.dir.GroupUsers(tx, *p.group)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return apierr.New(codeConflict, "Cannot delete entity, must remove users from group first.")
		}
		if err := p.removable(); err != nil {
			return err
		}
		return s.dir.DeleteGroup(tx, *p.group)
	})
}

// ListGroups lists the groups under a path by name.
func (s *Service) ListGroups(ctx context.Context, c *guard.Call, in *iamapi.ListGroupsRequest) (*iamapi.ListGroupsResponse, error) {
	prefix := pathOf(in.PathPrefix)
	pg, err := s.page(c, prefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var out *iamapi.ListGroupsResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		out = &iamapi.ListGroupsResponse{Groups: []iamapi.Group{}}
		if err := s.allowList(tx, c, "group", prefix); err != nil {
			return err
		}
		var all []directory.Group
		for r, err := range s.dir.Groups(tx, c.Account(), "") {
			if err != nil {
				return err
			}
			if strings.HasPrefix(r.Value.Path, prefix) {
				all = append(all, r.Value)
			}
		}
		shown, last := cut(pg, all, groupID)
		for _, g := range shown {
			out.Groups = append(out.Groups, *apiGroup(&g))
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

func groupID(g directory.Group) string { return strings.ToLower(g.Name) }

// ListGroupsForUser lists the groups that a user is in by name.
func (s *Service) ListGroupsForUser(ctx context.Context, c *guard.Call, in *iamapi.ListGroupsForUserRequest) (*iamapi.ListGroupsForUserResponse, error) {
	var out *iamapi.ListGroupsForUserResponse
	err := s.read(ctx, c, userKind, in.UserName, "ListGroupsForUser", func(tx store.Tx, p *principal) error {
		pg, err := s.page(c, p.user.ID, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		all, err := s.dir.GroupsOf(tx, *p.user)
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b directory.Group) int { return cmp.Compare(groupID(a), groupID(b)) })
		out = &iamapi.ListGroupsForUserResponse{Groups: []iamapi.Group{}}
		shown, last := cut(pg, all, groupID)
		for _, g := range shown {
			out.Groups = append(out.Groups, *apiGroup(&g))
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

// AddUserToGroup makes a user a member of a group; a second time changes nothing.
func (s *Service) AddUserToGroup(ctx context.Context, c *guard.Call, in *iamapi.AddUserToGroupRequest) error {
	return s.membership(ctx, c, in.GroupName, in.UserName, "AddUserToGroup", func(g *directory.Group, u *directory.User) error {
		switch {
		case slices.Contains(u.Groups, g.ID):
			return nil
		case len(u.Groups) >= maxGroupsPerUser:
			return exceeded("Cannot exceed quota for GroupsPerUser: %d", maxGroupsPerUser)
		}
		u.Groups = append(slices.Clone(u.Groups), g.ID)
		return nil
	})
}

// RemoveUserFromGroup ends a membership.
func (s *Service) RemoveUserFromGroup(ctx context.Context, c *guard.Call, in *iamapi.RemoveUserFromGroupRequest) error {
	return s.membership(ctx, c, in.GroupName, in.UserName, "RemoveUserFromGroup", func(g *directory.Group, u *directory.User) error {
		i := slices.Index(u.Groups, g.ID)
		if i < 0 {
			return noSuchEntity("The user with name %s cannot be found in the group with name %s.", u.Name, g.Name)
		}
		u.Groups = slices.Delete(slices.Clone(u.Groups), i, i+1)
		return nil
	})
}

// membership decides an action on a group and lets fn change the groups of a user.
func (s *Service) membership(ctx context.Context, c *guard.Call, group, user *string, action string, fn func(*directory.Group, *directory.User) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, groupKind, group, action, nil)
		if err != nil {
			return err
		}
		u, ok, err := s.dir.User(tx, p.account, api.Val(user))
		if err != nil {
			return err
		}
		if !ok {
			return missing(userKind, api.Val(user))
		}
		if err := fn(p.group, &u); err != nil {
			return err
		}
		return s.dir.PutUser(tx, u)
	})
}

// PutGroupPolicy adds an inline policy to a group or replaces one.
func (s *Service) PutGroupPolicy(ctx context.Context, c *guard.Call, in *iamapi.PutGroupPolicyRequest) error {
	return s.putInline(ctx, c, groupKind, in.GroupName, in.PolicyName, in.PolicyDocument, "PutGroupPolicy")
}

// GetGroupPolicy gives an inline policy of a group.
func (s *Service) GetGroupPolicy(ctx context.Context, c *guard.Call, in *iamapi.GetGroupPolicyRequest) (*iamapi.GetGroupPolicyResponse, error) {
	var out iamapi.GetGroupPolicyResponse
	var err error
	out.GroupName, out.PolicyName, out.PolicyDocument, err = s.getInline(ctx, c, groupKind, in.GroupName, in.PolicyName, "GetGroupPolicy")
	return &out, err
}

// DeleteGroupPolicy removes an inline policy of a group.
func (s *Service) DeleteGroupPolicy(ctx context.Context, c *guard.Call, in *iamapi.DeleteGroupPolicyRequest) error {
	return s.deleteInline(ctx, c, groupKind, in.GroupName, in.PolicyName, "DeleteGroupPolicy")
}

// ListGroupPolicies lists the names of a group's inline policies.
func (s *Service) ListGroupPolicies(ctx context.Context, c *guard.Call, in *iamapi.ListGroupPoliciesRequest) (*iamapi.ListGroupPoliciesResponse, error) {
	var out iamapi.ListGroupPoliciesResponse
	var err error
	out.PolicyNames, out.IsTruncated, out.Marker, err = s.listInline(ctx, c, groupKind, in.GroupName, in.Marker, in.MaxItems, "ListGroupPolicies")
	return &out, err
}

// AttachGroupPolicy attaches a managed policy to a group.
func (s *Service) AttachGroupPolicy(ctx context.Context, c *guard.Call, in *iamapi.AttachGroupPolicyRequest) error {
	return s.attach(ctx, c, groupKind, in.GroupName, in.PolicyArn, "AttachGroupPolicy")
}

// DetachGroupPolicy takes a managed policy from a group.
func (s *Service) DetachGroupPolicy(ctx context.Context, c *guard.Call, in *iamapi.DetachGroupPolicyRequest) error {
	return s.detach(ctx, c, groupKind, in.GroupName, in.PolicyArn, "DetachGroupPolicy")
}

// ListAttachedGroupPolicies lists the managed policies of a group.
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, c *guard.Call, in *iamapi.ListAttachedGroupPoliciesRequest) (*iamapi.ListAttachedGroupPoliciesResponse, error) {
	var out iamapi.ListAttachedGroupPoliciesResponse
	var err error
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = s.attachedTo(ctx, c, groupKind, in.GroupName, in.PathPrefix, in.Marker, in.MaxItems, "ListAttachedGroupPolicies")
	return &out, err
}
