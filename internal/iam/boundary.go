package iam

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// setBoundary gives a user or role another permissions boundary; "" takes it away.
func (s *Service) setBoundary(ctx context.Context, c *guard.Call, k kind, name *string, action, policyARN string) error {
	var extra func(*authz.Context)
	if policyARN != "" {
		extra = func(ctx *authz.Context) { ctx.Set("iam:permissionsboundary", policyARN) }
	}
	return s.change(ctx, c, k, name, action, extra, func(tx store.Tx, p *principal) error {
		if err := s.bound(tx, c, p.boundary, -1); err != nil {
			return err
		}
		if p.user != nil {
			p.user.Boundary = policyARN
		} else {
			p.role.Boundary = policyARN
		}
		return s.bound(tx, c, policyARN, 1)
	})
}

// PutUserPermissionsBoundary sets the policy that bounds what a user's other policies allow.
// Source: IAM User Guide, "Permissions boundaries for IAM entities".
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, c *guard.Call, in *iamapi.PutUserPermissionsBoundaryRequest) error {
	return s.setBoundary(ctx, c, userKind, in.UserName, "PutUserPermissionsBoundary", api.Val(in.PermissionsBoundary))
}

// DeleteUserPermissionsBoundary takes the boundary from a user. That there was none is no error.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, c *guard.Call, in *iamapi.DeleteUserPermissionsBoundaryRequest) error {
	return s.setBoundary(ctx, c, userKind, in.UserName, "DeleteUserPermissionsBoundary", "")
}

// PutRolePermissionsBoundary sets the policy that bounds what a role's other policies allow.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, c *guard.Call, in *iamapi.PutRolePermissionsBoundaryRequest) error {
	return s.setBoundary(ctx, c, roleKind, in.RoleName, "PutRolePermissionsBoundary", api.Val(in.PermissionsBoundary))
}

// DeleteRolePermissionsBoundary takes the boundary from a role. That there was none is no error.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, c *guard.Call, in *iamapi.DeleteRolePermissionsBoundaryRequest) error {
	return s.setBoundary(ctx, c, roleKind, in.RoleName, "DeleteRolePermissionsBoundary", "")
}
