package iam

import (
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// defaultSession is MaxSessionDuration if a role does not say, in seconds.
const defaultSession = 3600

// CreateRole makes a role.
func (s *Service) CreateRole(ctx context.Context, c *guard.Call, in *iamapi.CreateRoleRequest) (*iamapi.CreateRoleResponse, error) {
	path := pathOf(in.Path)
	var out *iamapi.CreateRoleResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		r := directory.Role{
			Account: c.Account(), Name: api.Val(in.RoleName), Path: path, ID: directory.NewID("AROA"), Created: s.now(),
			Description: api.Val(in.Description), MaxSession: defaultSession, Boundary: api.Val(in.PermissionsBoundary),
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		if err := s.authorizeCreate(tx, c, ofRole(&r), "Role", in.Tags); err != nil {
			return err
		}
		if err := checkPath(path); err != nil {
			return err
		}
		var err error
		if r.Tags, err = merge(nil, in.Tags); err != nil {
			return err
		}
		if _, exists, err := s.dir.Role(tx, r.Account, r.Name); err != nil {
			return err
		} else if exists {
			return apierr.Newf(codeExists, "Role with name %s already exists.", r.Name)
		}
		if err := s.setTrust(tx, &r, api.Val(in.AssumeRolePolicyDocument)); err != nil {
			return err
		}
		if err := s.bound(tx, c, r.Boundary, 1); err != nil {
			return err
		}
		out = &iamapi.CreateRoleResponse{Role: apiRole(&r, r.Trust)}
		c.Respond(out)
		return s.dir.PutRole(tx, r)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// apiRole is a role with everything that GetRole shows but when it was last used. trust is the
// document to show.
func apiRole(r *directory.Role, trust string) *iamapi.Role {
	return &iamapi.Role{
		Path: &r.Path, RoleName: &r.Name, RoleId: &r.ID, Arn: new(r.ARN()), CreateDate: new(r.Created.Truncate(time.Second)),
		AssumeRolePolicyDocument: new(encode(trust)), Description: api.Opt(r.Description), MaxSessionDuration: &r.MaxSession,
		PermissionsBoundary: boundaryOf(r.Boundary), Tags: apiTags(r.Tags),
	}
}

// GetRole describes a role.
func (s *Service) GetRole(ctx context.Context, c *guard.Call, in *iamapi.GetRoleRequest) (*iamapi.GetRoleResponse, error) {
	out := &iamapi.GetRoleResponse{}
	err := s.read(ctx, c, roleKind, in.RoleName, "GetRole", func(tx store.Tx, p *principal) error {
		trust, err := s.shownTrust(tx, p.role)
		if err != nil {
			return err
		}
		out.Role = apiRole(p.role, trust)
		out.Role.RoleLastUsed = lastUsed(p.role)
		return nil
	})
	return out, err
}

// lastUsed is when and where a role was last used; empty if never.
func lastUsed(r *directory.Role) *iamapi.RoleLastUsed {
	out := &iamapi.RoleLastUsed{Region: api.Opt(r.LastUsedRegion)}
	if !r.LastUsed.IsZero() {
		out.LastUsedDate = new(r.LastUsed.Truncate(time.Second))
	}
	return out
}

// DeleteRole removes a role that has no policies.
func (s *Service) DeleteRole(ctx context.Context, c *guard.Call, in *iamapi.DeleteRoleRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, roleKind, in.RoleName, "DeleteRole", nil)
		if err != nil {
			return err
		}
		if err := p.protected(); err != nil {
			return err
		}
		if err := p.removable(); err != nil {
			return err
		}
		if in, err := profilesOf(tx, p.role); err != nil {
			return err
		} else if len(in) > 0 {
			return apierr.New(codeConflict, hasRole)
		}
		if err := s.bound(tx, c, p.boundary, -1); err != nil {
			return err
		}
		return s.dir.DeleteRole(tx, *p.role)
	})
}

// UpdateRole changes the description or the longest session; of a service-linked role only the
// description. Source: IAM User Guide, "Editing a service-linked role".
func (s *Service) UpdateRole(ctx context.Context, c *guard.Call, in *iamapi.UpdateRoleRequest) (*iamapi.UpdateRoleResponse, error) {
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, roleKind, in.RoleName, "UpdateRole", nil)
		if err != nil {
			return err
		}
		if in.MaxSessionDuration != nil {
			if err := p.protected(); err != nil {
				return err
			}
			p.role.MaxSession = *in.MaxSessionDuration
		}
		if in.Description != nil {
			p.role.Description = *in.Description
		}
		return s.dir.PutRole(tx, *p.role)
	})
	return &iamapi.UpdateRoleResponse{}, err
}

// UpdateRoleDescription changes the description alone; of service-linked roles too.
func (s *Service) UpdateRoleDescription(ctx context.Context, c *guard.Call, in *iamapi.UpdateRoleDescriptionRequest) (*iamapi.UpdateRoleDescriptionResponse, error) {
	var out *iamapi.UpdateRoleDescriptionResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, roleKind, in.RoleName, "UpdateRoleDescription", nil)
		if err != nil {
			return err
		}
		p.role.Description = api.Val(in.Description)
		trust, err := s.shownTrust(tx, p.role)
		if err != nil {
			return err
		}
		out = &iamapi.UpdateRoleDescriptionResponse{Role: apiRole(p.role, trust)}
		c.Respond(out)
		return s.dir.PutRole(tx, *p.role)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateAssumeRolePolicy replaces a role's trust policy.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, c *guard.Call, in *iamapi.UpdateAssumeRolePolicyRequest) error {
	return s.change(ctx, c, roleKind, in.RoleName, "UpdateAssumeRolePolicy", nil, func(tx store.Tx, p *principal) error {
		return s.setTrust(tx, p.role, api.Val(in.PolicyDocument))
	})
}

// ListRoles lists the roles under a path by name, without boundary, tags and last use.
func (s *Service) ListRoles(ctx context.Context, c *guard.Call, in *iamapi.ListRolesRequest) (*iamapi.ListRolesResponse, error) {
	prefix := pathOf(in.PathPrefix)
	pg, err := s.page(c, prefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var roles []directory.Role
	out := &iamapi.ListRolesResponse{Roles: []iamapi.Role{}}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		roles = nil
		if err := s.allowList(tx, c, "role", prefix); err != nil {
			return err
		}
		out.IsTruncated, out.Marker = s.end(pg, "")
		for r, err := range s.dir.Roles(tx, c.Account(), pg.after) {
			if err != nil {
				return err
			}
			if !strings.HasPrefix(r.Value.Path, prefix) {
				continue
			}
			if len(roles) == pg.limit {
				out.IsTruncated, out.Marker = s.end(pg, roles[len(roles)-1].Name)
				return nil
			}
			roles = append(roles, r.Value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	names, err := s.trusted(ctx, roles)
	if err != nil {
		return nil, err
	}
	for i := range roles {
		shown := apiRole(&roles[i], showTrust(&roles[i], names))
		shown.PermissionsBoundary, shown.Tags = nil, nil
		out.Roles = append(out.Roles, *shown)
	}
	return out, nil
}
