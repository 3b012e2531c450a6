package iam

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// UpdateUser gives a user another name or path. The unique id stays, and with it what policies,
// grants and access keys give. The caller needs the right on the user under both names.
// Source: IAM API Reference, UpdateUser; IAM User Guide, "Rename an IAM user".
func (s *Service) UpdateUser(ctx context.Context, c *guard.Call, in *iamapi.UpdateUserRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.load(tx, userKind, c.Account(), api.Val(in.UserName))
		if err != nil {
			return err
		}
		renamed := *p.user
		if in.NewUserName != nil {
			renamed.Name = *in.NewUserName
		}
		if in.NewPath != nil {
			renamed.Path = *in.NewPath
		}
		parts := []authz.Part{s.part(p, "UpdateUser")}
		if renamed.ARN() != p.arn {
			parts = append(parts, s.part(ofUser(&renamed), "UpdateUser"))
		}
		c.Touch(p.arn, p.account, userKind.trail)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if !p.exists {
			return missing(userKind, api.Val(in.UserName))
		}
		if err := checkPath(renamed.Path); err != nil {
			return err
		}
		if other, exists, err := s.dir.User(tx, renamed.Account, renamed.Name); err != nil {
			return err
		} else if exists && other.ID != renamed.ID {
			return apierr.Newf(codeExists, "User with name %s already exists.", renamed.Name)
		}
		return s.dir.RenameUser(tx, *p.user, renamed)
	})
}
