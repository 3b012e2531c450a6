package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
)

// compute is EC2 as Auto Scaling calls it: its operations, by their names.
type compute struct {
	g   *guard.Guard
	ops map[string]guard.Handler
}

// askEC2 makes a request to EC2 that is part of a call.
func askEC2[Out any](ctx context.Context, c compute, parent *guard.Call, as guard.Caller, op string, readOnly bool, in any) (*Out, error) {
	out, err := c.g.Invoke(ctx, parent.Child(as, "ec2", op, in, readOnly), in, c.ops[op])
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}

// RunInstances is ec2:RunInstances.
func (c compute) RunInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	return askEC2[ec2api.Reservation](ctx, c, parent, as, "RunInstances", false, in)
}

// TerminateInstances is ec2:TerminateInstances.
func (c compute) TerminateInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	return askEC2[ec2api.TerminateInstancesResult](ctx, c, parent, as, "TerminateInstances", false, in)
}

// DescribeInstances is ec2:DescribeInstances.
func (c compute) DescribeInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error) {
	return askEC2[ec2api.DescribeInstancesResult](ctx, c, parent, as, "DescribeInstances", true, in)
}

// DescribeSubnets is ec2:DescribeSubnets.
func (c compute) DescribeSubnets(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	return askEC2[ec2api.DescribeSubnetsResult](ctx, c, parent, as, "DescribeSubnets", true, in)
}

// DescribeAvailabilityZones is ec2:DescribeAvailabilityZones.
func (c compute) DescribeAvailabilityZones(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeAvailabilityZonesRequest) (*ec2api.DescribeAvailabilityZonesResult, error) {
	return askEC2[ec2api.DescribeAvailabilityZonesResult](ctx, c, parent, as, "DescribeAvailabilityZones", true, in)
}

// DescribeInstanceTypes is ec2:DescribeInstanceTypes.
func (c compute) DescribeInstanceTypes(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	return askEC2[ec2api.DescribeInstanceTypesResult](ctx, c, parent, as, "DescribeInstanceTypes", true, in)
}

// DescribeLaunchTemplateVersions is ec2:DescribeLaunchTemplateVersions.
func (c compute) DescribeLaunchTemplateVersions(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeLaunchTemplateVersionsRequest) (*ec2api.DescribeLaunchTemplateVersionsResult, error) {
	return askEC2[ec2api.DescribeLaunchTemplateVersionsResult](ctx, c, parent, as, "DescribeLaunchTemplateVersions", true, in)
}

// StartInstances is ec2:StartInstances.
func (c compute) StartInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	return askEC2[ec2api.StartInstancesResult](ctx, c, parent, as, "StartInstances", false, in)
}

// StopInstances is ec2:StopInstances.
func (c compute) StopInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	return askEC2[ec2api.StopInstancesResult](ctx, c, parent, as, "StopInstances", false, in)
}

// CreateTags is ec2:CreateTags.
func (c compute) CreateTags(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.CreateTagsRequest) error {
	_, err := c.g.Invoke(ctx, parent.Child(as, "ec2", "CreateTags", in, false), in, c.ops["CreateTags"])
	return err
}

// DeleteTags is ec2:DeleteTags.
func (c compute) DeleteTags(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DeleteTagsRequest) error {
	_, err := c.g.Invoke(ctx, parent.Child(as, "ec2", "DeleteTags", in, false), in, c.ops["DeleteTags"])
	return err
}
