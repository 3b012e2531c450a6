package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/sts"
)

// roles is IAM and STS as Auto Scaling calls them.
type roles struct {
	g   *guard.Guard
	iam *iam.Service
	sts *sts.Service
}

// CreateServiceLinkedRole is iam:CreateServiceLinkedRole.
func (r roles) CreateServiceLinkedRole(ctx context.Context, parent *guard.Call, as guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error) {
	return invoke(ctx, r.g, parent, as, "iam", "CreateServiceLinkedRole", false, in, r.iam.CreateServiceLinkedRole)
}

// AssumeServiceRole is sts:AssumeRole by the service itself.
func (r roles) AssumeServiceRole(ctx context.Context, parent *guard.Call, service, roleARN, session string) (directory.Identity, error) {
	return r.sts.AssumeServiceRole(ctx, parent, service, roleARN, session)
}
