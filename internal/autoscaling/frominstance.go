package autoscaling

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// modelInstance is the instance that a launch configuration or a group is made after, as the caller
// may see it.
func (s *Service) modelInstance(ctx context.Context, c *guard.Call, id string) (*ec2api.Instance, error) {
	out, err := s.compute.DescribeInstances(ctx, c, c.Caller.Via(Principal), &ec2api.DescribeInstancesRequest{
		Filters: []ec2api.Filter{{Name: new("instance-id"), Values: []string{id}}},
	})
	if err != nil {
		return nil, ec2Refusal(err, "")
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			if i.State != nil && api.Val(i.State.Name) != ec2api.InstanceStateNameTerminated {
				return &i, nil
			}
		}
	}
	return nil, validation("Invalid Instance ID(s): [%s] specified", id)
}

// afterInstance fills in what a request for a launch configuration does not say from an instance. Its block
// devices are not taken over: those of the image are used. Nor is its user data, which EC2 tells by
// another operation.
// Source: User Guide, "Create a launch configuration using an EC2 instance".
func afterInstance(in autoscalingapi.CreateLaunchConfigurationType, i *ec2api.Instance) autoscalingapi.CreateLaunchConfigurationType {
	in.InstanceId = nil
	from := func(to **string, v *string) {
		if *to == nil && api.Val(v) != "" {
			*to = v
		}
	}
	from(&in.ImageId, i.ImageId)
	from(&in.InstanceType, i.InstanceType)
	from(&in.KeyName, i.KeyName)
	from(&in.KernelId, i.KernelId)
	from(&in.RamdiskId, i.RamdiskId)
	if i.IamInstanceProfile != nil {
		from(&in.IamInstanceProfile, i.IamInstanceProfile.Arn)
	}
	if p := i.Placement; p != nil && api.Val(p.Tenancy) == "dedicated" {
		from(&in.PlacementTenancy, p.Tenancy)
	}
	if in.EbsOptimized == nil {
		in.EbsOptimized = i.EbsOptimized
	}
	if in.InstanceMonitoring == nil {
		on := i.Monitoring != nil && (api.Val(i.Monitoring.State) == "enabled" || api.Val(i.Monitoring.State) == "pending")
		in.InstanceMonitoring = &autoscalingapi.InstanceMonitoring{Enabled: &on}
	}
	if in.AssociatePublicIpAddress == nil && api.Val(i.PublicIpAddress) != "" {
		in.AssociatePublicIpAddress = new(true)
	}
	if len(in.SecurityGroups) == 0 {
		for _, g := range i.SecurityGroups {
			in.SecurityGroups = append(in.SecurityGroups, api.Val(g.GroupId))
		}
	}
	return in
}

// groupAfter makes the launch configuration of a group that is made after an instance: it has the
// group's name. The group is where the instance is, unless it says where, and has its tags.
// Source: API Reference, CreateAutoScalingGroup, InstanceId; User Guide, "Create an Auto Scaling group
// using parameters from an existing instance".
func (s *Service) groupAfter(ctx context.Context, c *guard.Call, g *groupRecord, id string) error {
	i, err := s.modelInstance(ctx, c, id)
	if err != nil {
		return err
	}
	r := configRecord{
		Region: g.Region, Account: g.Account, Name: g.Name, UUID: guard.NewRequestID(), Created: g.Created,
		Params: afterInstance(autoscalingapi.CreateLaunchConfigurationType{LaunchConfigurationName: &g.Name}, i),
	}
	if g.Subnets == "" && len(g.Zones)+len(g.zoneIDs) == 0 {
		g.Subnets = api.Val(i.SubnetId)
	}
	var tags []autoscalingapi.Tag
	for _, t := range i.Tags {
		known := false
		for _, have := range g.Tags {
			known = known || have.Key == api.Val(t.Key)
		}
		if !known && !strings.HasPrefix(api.Val(t.Key), "aws:") {
			tags = append(tags, autoscalingapi.Tag{Key: t.Key, Value: t.Value, PropagateAtLaunch: new(true)})
		}
	}
	if g.Tags, err = mergeTags(g.Tags, tags, g.Name); err != nil {
		return err
	}
	g.sourceRecord, g.derived = sourceRecord{Config: g.Name}, &r
	return nil
}

// addConfig decides on a new launch configuration and stores it, unless its name is taken or it is one
// too many.
func (s *Service) addConfig(tx store.Tx, c *guard.Call, r *configRecord, decide bool) error {
	if decide {
		if err := s.allowConfig(tx, c, r); err != nil {
			return err
		}
	}
	n := 0
	for have, err := range configTable.Scan(tx, r.Region, r.Account) {
		if err != nil {
			return err
		}
		if have.Value.Name == r.Name {
			return apierr.Newf("AlreadyExists", "Launch Configuration by this name already exists - "+
				"A launch configuration already exists with the name %s", r.Name)
		}
		n++
	}
	if n >= maxConfigs {
		return apierr.Newf("LimitExceeded", "You have reached your limit of %d launch configurations for the Region.", maxConfigs)
	}
	c.Touch(r.arn(), r.Account, "AWS::AutoScaling::LaunchConfiguration")
	return configTable.Put(tx, *r, r.Region, r.Account, r.Name)
}

// placed puts a launch into a placement group.
func placed(in *ec2api.RunInstancesRequest, group string) {
	if group == "" {
		return
	}
	if in.Placement == nil {
		in.Placement = &ec2api.Placement{}
	}
	in.Placement.GroupName = &group
}
