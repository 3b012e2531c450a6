package iam

import (
	"context"
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

// CreateUser makes a user.
func (s *Service) CreateUser(ctx context.Context, c *guard.Call, in *iamapi.CreateUserRequest) (*iamapi.CreateUserResponse, error) {
	path := pathOf(in.Path)
	var out *iamapi.CreateUserResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		u := directory.User{
			Account: c.Account(), Name: api.Val(in.UserName), Path: path, ID: directory.NewID("AIDA"), Created: s.now(),
			Boundary: api.Val(in.PermissionsBoundary),
		}
		if err := s.authorizeCreate(tx, c, ofUser(&u), "User", in.Tags); err != nil {
			return err
		}
		if err := checkPath(path); err != nil {
			return err
		}
		var err error
		if u.Tags, err = merge(nil, in.Tags); err != nil {
			return err
		}
		if _, exists, err := s.dir.User(tx, u.Account, u.Name); err != nil {
			return err
		} else if exists {
			return apierr.Newf(codeExists, "User with name %s already exists.", u.Name)
		}
		if err := s.bound(tx, c, u.Boundary, 1); err != nil {
			return err
		}
		out = &iamapi.CreateUserResponse{User: apiUser(&u)}
		c.Respond(out)
		return s.dir.PutUser(tx, u)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// authorizeCreate decides iam:CreateUser or iam:CreateRole and, with tags, iam:TagUser or
// iam:TagRole on what is to be made.
func (s *Service) authorizeCreate(tx store.Tx, c *guard.Call, p *principal, noun string, tags []iamapi.Tag) error {
	create := s.part(p, "Create"+noun)
	newTags(&create.Context, tags)
	if p.boundary != "" {
		create.Context.Set("iam:permissionsboundary", p.boundary)
	}
	parts := []authz.Part{create}
	if len(tags) > 0 {
		tag := s.part(p, "Tag"+noun)
		requestTags(&tag.Context, tags)
		parts = append(parts, tag)
	}
	c.Touch(p.arn, p.account, p.kind.trail)
	_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// apiUser is a user with everything that GetUser shows.
func apiUser(u *directory.User) *iamapi.User {
	return &iamapi.User{
		Path: &u.Path, UserName: &u.Name, UserId: &u.ID, Arn: new(u.ARN()), CreateDate: new(u.Created.Truncate(time.Second)),
		PermissionsBoundary: boundaryOf(u.Boundary), Tags: apiTags(u.Tags),
	}
}

// GetUser describes a user; without a name, the caller.
// Source: IAM API Reference, GetUser.
func (s *Service) GetUser(ctx context.Context, c *guard.Call, in *iamapi.GetUserRequest) (*iamapi.GetUserResponse, error) {
	name := in.UserName
	if name == nil {
		switch c.Caller.Principal.Type {
		case authz.User:
			name = new(c.Caller.Principal.Username)
		case authz.Root:
			return s.getRoot(ctx, c)
		default:
			return nil, mustNameUser()
		}
	}
	out := &iamapi.GetUserResponse{}
	err := s.read(ctx, c, userKind, name, "GetUser", func(_ store.Tx, p *principal) error {
		out.User = apiUser(p.user)
		return nil
	})
	return out, err
}

// getRoot describes the account's root user, which has no name and no path.
func (s *Service) getRoot(ctx context.Context, c *guard.Call) (*iamapi.GetUserResponse, error) {
	me := c.Caller.Principal
	out := &iamapi.GetUserResponse{User: &iamapi.User{UserId: &me.Account, Arn: &me.ARN}}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		part := authz.Part{Action: "iam:GetUser", Resource: s.resource(me.ARN, me.Account, nil)}
		if _, err := s.g.Allow(tx, c, part); err != nil {
			return err
		}
		a, _, err := directory.Accounts.Get(tx, me.Account)
		if a.Created.IsZero() {
			// A development account exists without having been made. Clients want a date.
			a.Created = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
		}
		out.User.CreateDate = new(a.Created.Truncate(time.Second))
		return err
	})
	return out, err
}

// DeleteUser removes a user that has neither policies nor access keys.
func (s *Service) DeleteUser(ctx context.Context, c *guard.Call, in *iamapi.DeleteUserRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, userKind, in.UserName, "DeleteUser", nil)
		if err != nil {
			return err
		}
		keys, err := s.dir.UserAccessKeys(tx, p.account, p.label)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return apierr.New(codeConflict, "Cannot delete entity, must delete access keys first.")
		}
		b, _, err := belongingsTable.Get(tx, p.account, p.user.ID)
		if err != nil {
			return err
		}
		if err := b.removable(); err != nil {
			return err
		}
		if len(p.user.Groups) > 0 {
			return apierr.New(codeConflict, "Cannot delete entity, must remove users from group first.")
		}
		if err := p.removable(); err != nil {
			return err
		}
		if err := s.bound(tx, c, p.boundary, -1); err != nil {
			return err
		}
		if err := belongingsTable.Delete(tx, p.account, p.user.ID); err != nil {
			return err
		}
		return s.dir.DeleteUser(tx, *p.user)
	})
}

// ListUsers lists the users under a path by name, without boundary and tags.
func (s *Service) ListUsers(ctx context.Context, c *guard.Call, in *iamapi.ListUsersRequest) (*iamapi.ListUsersResponse, error) {
	prefix := pathOf(in.PathPrefix)
	pg, err := s.page(c, prefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var out *iamapi.ListUsersResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		out = &iamapi.ListUsersResponse{Users: []iamapi.User{}}
		if err := s.allowList(tx, c, "user", prefix); err != nil {
			return err
		}
		last := ""
		for r, err := range s.dir.Users(tx, c.Account(), pg.after) {
			if err != nil {
				return err
			}
			u := &r.Value
			if !strings.HasPrefix(u.Path, prefix) {
				continue
			}
			if len(out.Users) == pg.limit {
				out.IsTruncated, out.Marker = s.end(pg, last)
				return nil
			}
			last = u.Name
			shown := apiUser(u)
			shown.PermissionsBoundary, shown.Tags = nil, nil
			out.Users = append(out.Users, *shown)
		}
		out.IsTruncated, out.Marker = s.end(pg, "")
		return nil
	})
	return out, err
}
