package app

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/guard"
)

// compute is EC2 as Auto Scaling calls it.
type compute struct {
	g   *guard.Guard
	ec2 *ec2.Service
}

// RunInstances is ec2:RunInstances.
func (c compute) RunInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.RunInstancesRequest) (*ec2api.Reservation, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "RunInstances", false, in, c.ec2.RunInstances)
}

// TerminateInstances is ec2:TerminateInstances.
func (c compute) TerminateInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.TerminateInstancesRequest) (*ec2api.TerminateInstancesResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "TerminateInstances", false, in, c.ec2.TerminateInstances)
}

// DescribeInstances is ec2:DescribeInstances.
func (c compute) DescribeInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "DescribeInstances", true, in, c.ec2.DescribeInstances)
}

// DescribeSubnets is ec2:DescribeSubnets.
func (c compute) DescribeSubnets(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeSubnetsRequest) (*ec2api.DescribeSubnetsResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "DescribeSubnets", true, in, c.ec2.DescribeSubnets)
}

// DescribeAvailabilityZones is ec2:DescribeAvailabilityZones.
func (c compute) DescribeAvailabilityZones(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeAvailabilityZonesRequest) (*ec2api.DescribeAvailabilityZonesResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "DescribeAvailabilityZones", true, in, c.ec2.DescribeAvailabilityZones)
}

// DescribeInstanceTypes is ec2:DescribeInstanceTypes.
func (c compute) DescribeInstanceTypes(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeInstanceTypesRequest) (*ec2api.DescribeInstanceTypesResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "DescribeInstanceTypes", true, in, c.ec2.DescribeInstanceTypes)
}

// DescribeLaunchTemplateVersions is ec2:DescribeLaunchTemplateVersions.
func (c compute) DescribeLaunchTemplateVersions(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DescribeLaunchTemplateVersionsRequest) (*ec2api.DescribeLaunchTemplateVersionsResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "DescribeLaunchTemplateVersions", true, in, c.ec2.DescribeLaunchTemplateVersions)
}

// StartInstances is ec2:StartInstances.
func (c compute) StartInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.StartInstancesRequest) (*ec2api.StartInstancesResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "StartInstances", false, in, c.ec2.StartInstances)
}

// StopInstances is ec2:StopInstances.
func (c compute) StopInstances(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.StopInstancesRequest) (*ec2api.StopInstancesResult, error) {
	return invoke(ctx, c.g, parent, as, "ec2", "StopInstances", false, in, c.ec2.StopInstances)
}

// CreateTags is ec2:CreateTags.
func (c compute) CreateTags(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.CreateTagsRequest) error {
	return guard.InvokeVoid(ctx, c.g, parent.Child(as, "ec2", "CreateTags", in, false), in, c.ec2.CreateTags)
}

// DeleteTags is ec2:DeleteTags.
func (c compute) DeleteTags(ctx context.Context, parent *guard.Call, as guard.Caller, in *ec2api.DeleteTagsRequest) error {
	return guard.InvokeVoid(ctx, c.g, parent.Child(as, "ec2", "DeleteTags", in, false), in, c.ec2.DeleteTags)
}
