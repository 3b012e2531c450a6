package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// A group in a VPC of its own, as Terraform's and CDK's are: the template names security groups of that VPC, and the
// account has a default VPC as well.
func TestAGroupLaunchesInAVPCOfItsOwn(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	ctx := t.Context()
	vpc := *must(c.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.77.0.0/16")}))(t).Vpc.VpcId
	subnet := *must(c.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: new("10.77.1.0/24")}))(t).Subnet.SubnetId
	guards := *must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: &vpc, GroupName: new("web"), Description: new("web")}))(t).GroupId
	others := *must(c.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: new("others"), Description: new("of the default VPC")}))(t).GroupId
	image := c.plainImage(t)
	for name, group := range map[string]string{"own": guards, "other": others} {
		must(c.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: &image, InstanceType: ec2types.InstanceTypeT3Micro, SecurityGroupIds: []string{group},
		}}))(t)
	}
	in := groupInput("own", 1)
	in.AvailabilityZones, in.VPCZoneIdentifier = nil, &subnet
	g := c.groupBy(t, in)
	i := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: g.running(t, 1)}))(t).Reservations[0].Instances[0]
	if *i.VpcId != vpc || len(i.SecurityGroups) != 1 || *i.SecurityGroups[0].GroupId != guards {
		t.Errorf("launched in %s with %+v", *i.VpcId, i.SecurityGroups)
	}

	own := &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("own")}
	in.AutoScalingGroupName, in.LaunchTemplate, in.DesiredCapacity = new("mixed"), nil, new(int32(0))
	in.MixedInstancesPolicy = &astypes.MixedInstancesPolicy{LaunchTemplate: &astypes.LaunchTemplate{LaunchTemplateSpecification: own,
		Overrides: []astypes.LaunchTemplateOverrides{{InstanceType: new("t3.small")}, {InstanceType: new("t3.micro")}}}}
	must(c.asg.CreateAutoScalingGroup(ctx, in))(t)

	other := &astypes.LaunchTemplateSpecification{LaunchTemplateName: new("other")}
	refused(c.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &g.name, LaunchTemplate: other}))(t,
		"ValidationError", "One or more security groups in the launch template are not linked to the VPCs configured in the Auto Scaling group")

	faces := must(c.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: new("faces"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
		ImageId: &image, InstanceType: ec2types.InstanceTypeT3Micro, SecurityGroupIds: []string{guards},
		NetworkInterfaces: []ec2types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: new(int32(0))}},
	}}))(t).LaunchTemplate
	refused(c.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &g.name, LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: faces.LaunchTemplateId},
	}))(t, "InvalidQueryParameter", "Invalid launch template: When a network interface is provided, the security groups must be a part of it.")
}
