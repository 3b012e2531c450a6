package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/sts"
)

// roles is IAM and STS as other services call them.
type roles struct {
	g   *guard.Guard
	iam *iam.Service
	sts *sts.Service
}

// CreateServiceLinkedRole is iam:CreateServiceLinkedRole. IAM is global: its calls, and what they
// leave in the trail, are of us-east-1.
func (r roles) CreateServiceLinkedRole(ctx context.Context, parent *guard.Call, as guard.Caller, in *iamapi.CreateServiceLinkedRoleRequest) (*iamapi.CreateServiceLinkedRoleResponse, error) {
	c := parent.Child(as, "iam", "CreateServiceLinkedRole", in, false)
	c.Region = "us-east-1"
	return guard.InvokeOp(ctx, r.g, c, in, r.iam.CreateServiceLinkedRole)
}

// LinkRole is CreateServiceLinkedRole without its answer, as Organizations asks for it.
func (r roles) LinkRole(ctx context.Context, parent *guard.Call, as guard.Caller, service, description string) error {
	_, err := r.CreateServiceLinkedRole(ctx, parent, as, &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: &service, Description: &description})
	return err
}

// AssumeServiceRole is sts:AssumeRole by the service itself.
func (r roles) AssumeServiceRole(ctx context.Context, parent *guard.Call, service, roleARN, session string) (directory.Identity, error) {
	return r.sts.AssumeServiceRole(ctx, parent, service, roleARN, session)
}
