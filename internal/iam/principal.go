package iam

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A kind of what policies hang on and what differs between the three.
type kind struct {
	name      string // in AWS's texts
	inlineMax int
	attached  string // name of the quota for attached policies
	trail     string
}

var (
	userKind  = kind{"user", maxUserInlineSize, "PoliciesPerUser", "AWS::IAM::User"}
	roleKind  = kind{"role", maxRoleInlineSize, "PoliciesPerRole", "AWS::IAM::Role"}
	groupKind = kind{"group", maxGroupInlineSize, "PoliciesPerGroup", "AWS::IAM::Group"}
)

// A principal is a user, a role or a group (which is none, but has policies like one), as the
// operations on all of them see it.
type principal struct {
	kind
	exists         bool
	label          string // its name, as it is spelt
	arn, account   string
	boundary       string
	service        string // of a service-linked role, or ""
	role           *directory.Role
	user           *directory.User
	group          *directory.Group
	tags           *[]directory.Tag
	inline         *map[string]string
	attachedPolicy *[]string
}

func ofUser(u *directory.User) *principal {
	return &principal{
		kind: userKind, exists: true, label: u.Name, arn: u.ARN(), account: u.Account, boundary: u.Boundary, user: u,
		tags: &u.Tags, inline: &u.Inline, attachedPolicy: &u.Attached,
	}
}

func ofRole(r *directory.Role) *principal {
	return &principal{
		kind: roleKind, exists: true, label: r.Name, arn: r.ARN(), account: r.Account, boundary: r.Boundary, role: r, service: r.Service,
		tags: &r.Tags, inline: &r.Inline, attachedPolicy: &r.Attached,
	}
}

// ofGroup has no tags: nobody can tag a group.
func ofGroup(g *directory.Group) *principal {
	return &principal{
		kind: groupKind, exists: true, label: g.Name, arn: g.ARN(), account: g.Account, group: g,
		tags: new([]directory.Tag), inline: &g.Inline, attachedPolicy: &g.Attached,
	}
}

// load reads a user, role or group of the account. One that does not exist has the ARN that it would
// have without a path: that is what is authorized.
func (s *Service) load(tx store.Tx, k kind, account, name string) (*principal, error) {
	switch k.name {
	case groupKind.name:
		g, ok, err := s.dir.Group(tx, account, name)
		if !ok || err != nil {
			p := ofGroup(&directory.Group{Account: account, Path: "/", Name: name})
			p.exists = false
			return p, err
		}
		return ofGroup(&g), nil
	case userKind.name:
		u, ok, err := s.dir.User(tx, account, name)
		if !ok || err != nil {
			p := ofUser(&directory.User{Account: account, Path: "/", Name: name})
			p.exists = false
			return p, err
		}
		return ofUser(&u), nil
	}
	r, ok, err := s.dir.Role(tx, account, name)
	if !ok || err != nil {
		p := ofRole(&directory.Role{Account: account, Path: "/", Name: name})
		p.exists = false
		return p, err
	}
	return ofRole(&r), nil
}

func (s *Service) save(tx store.Tx, p *principal) error {
	switch {
	case p.group != nil:
		return s.dir.PutGroup(tx, *p.group)
	case p.user != nil:
		return s.dir.PutUser(tx, *p.user)
	}
	return s.dir.PutRole(tx, *p.role)
}

// boundaryActions carry iam:PermissionsBoundary of the principal they are done to.
// Source: Service Authorization Reference, IAM.
var boundaryActions = []string{
	"AttachUserPolicy", "DetachUserPolicy", "PutUserPolicy", "DeleteUserPolicy",
	"AttachRolePolicy", "DetachRolePolicy", "PutRolePolicy", "DeleteRolePolicy",
	"DeleteRole", "GetRole", "UpdateRole", "UpdateRoleDescription", "UpdateAssumeRolePolicy",
	"DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary",
}

// part is the evaluation of an action on a user, role or group.
func (s *Service) part(p *principal, action string) authz.Part {
	part := authz.Part{Action: "iam:" + action, Resource: s.resource(p.arn, p.account, *p.tags)}
	for _, t := range *p.tags {
		part.Context.Set("iam:resourcetag/"+t.Key, t.Value)
	}
	if p.boundary != "" && slices.Contains(boundaryActions, action) {
		part.Context.Set("iam:permissionsboundary", p.boundary)
	}
	return part
}

// authorized loads a user, role or group, decides the action on it and says if it is not there. extra
// adds condition keys of the request.
func (s *Service) authorized(tx store.Tx, c *guard.Call, k kind, name *string, action string, extra func(*authz.Context)) (*principal, error) {
	p, err := s.load(tx, k, c.Account(), api.Val(name))
	if err != nil {
		return nil, err
	}
	part := s.part(p, action)
	if extra != nil {
		extra(&part.Context)
	}
	c.Touch(p.arn, p.account, k.trail)
	if err := s.allow(tx, c, part); err != nil {
		return nil, err
	}
	if !p.exists {
		return nil, missing(k, api.Val(name))
	}
	return p, nil
}

func missing(k kind, name string) error {
	return noSuchEntity("The %s with name %s cannot be found.", k.name, name)
}

// protected refuses changes of a service-linked role.
func (p *principal) protected() error {
	if p.service == "" {
		return nil
	}
	return apierr.Newf(codeUnmodifiable, "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", p.label)
}

// read runs fn on a user, role or group after deciding the action.
func (s *Service) read(ctx context.Context, c *guard.Call, k kind, name *string, action string, fn func(store.Tx, *principal) error) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, k, name, action, nil)
		if err != nil {
			return err
		}
		return fn(tx, p)
	})
}

// change lets fn edit a user, role or group after deciding the action. Service-linked roles stay as
// they are.
func (s *Service) change(ctx context.Context, c *guard.Call, k kind, name *string, action string, extra func(*authz.Context), fn func(store.Tx, *principal) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, k, name, action, extra)
		if err != nil {
			return err
		}
		if err := p.protected(); err != nil {
			return err
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		return s.save(tx, p)
	})
}

// removable refuses to delete a user, role or group that still has policies.
func (p *principal) removable() error {
	switch {
	case len(*p.attachedPolicy) > 0:
		return apierr.New(codeConflict, "Cannot delete entity, must detach all policies first.")
	case len(*p.inline) > 0:
		return apierr.New(codeConflict, "Cannot delete entity, must delete policies first.")
	}
	return nil
}

// checkPath refuses the paths that AWS keeps for itself.
// Source: IAM User Guide, "IAM identifiers"; "Using service-linked roles".
func checkPath(path string) error {
	for _, reserved := range []string{"/aws-service-role/", "/aws-reserved/"} {
		if len(path) >= len(reserved) && path[:len(reserved)] == reserved {
			return apierr.Newf(codeInvalid, "The path %s is reserved for AWS.", reserved)
		}
	}
	return nil
}

// pathOf is the path that a request asks for; "/" if it does not.
func pathOf(path *string) string {
	if p := api.Val(path); p != "" {
		return p
	}
	return "/"
}

func policyARN(account, path, name string) string {
	return arn.Make("iam", "", account, "policy"+path+name)
}
