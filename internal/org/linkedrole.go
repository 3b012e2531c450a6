package org

import (
	"context"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Roles is IAM as Organizations calls it.
type Roles interface {
	// LinkRole is iam:CreateServiceLinkedRole for a service principal.
	LinkRole(ctx context.Context, parent *guard.Call, as guard.Caller, service, description string) error
}

// The service-linked role that an account of an organization with all features has.
// Source: AWS Organizations User Guide, "AWS Organizations and service-linked roles".
const (
	principal  = "organizations.amazonaws.com"
	linkedName = "AWSServiceRoleForOrganizations"
)

// needRole makes Organizations' service-linked role in the caller's account, with the caller's permission, if it is not there.
// Error: AccessDeniedForDependencyException.
func (s *Service) needRole(ctx context.Context, c *guard.Call) error {
	if s.roles == nil {
		return nil
	}
	exists := false
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		_, exists, err = s.dir.Resolve(tx, arn.Role(c.Account(), arn.ServiceLinkedPath(principal), linkedName))
		return err
	})
	if err != nil || exists {
		return err
	}
	as := c.Caller
	as.InvokedBy = principal
	err = s.roles.LinkRole(ctx, c, as, principal, "Service-linked role used by AWS Organizations to enable integration of other AWS services with Organizations.")
	switch apierr.Code(err) {
	case "InvalidInput": // another request was first
		return nil
	case "AccessDenied", "AccessDeniedException":
		return errDependency
	}
	return err
}
