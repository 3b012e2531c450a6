package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

const (
	useKeys = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}}`
	trust   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`
)

// peopleSteps make users, roles, policies, and an organization.
func (w *world) peopleSteps() []step {
	c := w.in(region)
	return []step{
		{"a user", func(ctx context.Context) error {
			if _, err := c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("kept")}); err != nil {
				return err
			}
			_, err := c.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("kept"), PolicyName: aws.String("use"), PolicyDocument: aws.String(useKeys)})
			if err != nil {
				return err
			}
			k, err := c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("kept")})
			if err == nil {
				w.holds.Names["access key"] = map[string]string{*k.AccessKey.AccessKeyId: *k.AccessKey.SecretAccessKey}
			}
			return err
		}},
		{"a group", func(ctx context.Context) error {
			if _, err := c.iam.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("kept")}); err != nil {
				return err
			}
			_, err := c.iam.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: aws.String("kept"), UserName: aws.String("kept")})
			return err
		}},
		{"a role with a policy", func(ctx context.Context) error {
			if _, err := c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("kept"), AssumeRolePolicyDocument: aws.String(trust)}); err != nil {
				return err
			}
			p, err := c.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("kept"), PolicyDocument: aws.String(useKeys)})
			if err != nil {
				return err
			}
			_, err = c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("kept"), PolicyArn: p.Policy.Arn})
			return err
		}},
		{"an instance profile", func(ctx context.Context) error {
			if _, err := c.iam.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("kept")}); err != nil {
				return err
			}
			_, err := c.iam.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("kept"), RoleName: aws.String("kept")})
			return err
		}},
		{"a key policy that names a role", func(ctx context.Context) error {
			policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"},
				{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:role/kept"},"Action":"kms:Decrypt","Resource":"*"}]}`
			_, err := c.kms.CreateKey(ctx, &kms.CreateKeyInput{Policy: &policy, Description: aws.String("names a role")})
			return err
		}},
		{"an organization", func(ctx context.Context) error {
			c := w.organization()
			_, err := c.org.CreateOrganization(ctx, &organizations.CreateOrganizationInput{FeatureSet: "ALL"})
			if _, there := errors.AsType[*orgtypes.AlreadyInOrganizationException](err); err != nil && !there {
				return err
			}
			roots, err := c.org.ListRoots(ctx, &organizations.ListRootsInput{})
			if err != nil {
				return err
			}
			root := roots.Roots[0].Id
			ou, err := c.org.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: root, Name: aws.String("kept")})
			if err != nil {
				return err
			}
			if _, err := c.org.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String("kept"), Email: aws.String("kept@example.com")}); err != nil {
				return err
			}
			if _, err := c.org.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: "SERVICE_CONTROL_POLICY"}); err != nil {
				if _, on := errors.AsType[*orgtypes.PolicyTypeAlreadyEnabledException](err); !on {
					return err
				}
			}
			p, err := c.org.CreatePolicy(ctx, &organizations.CreatePolicyInput{
				Name: aws.String("kept"), Description: aws.String(""), Type: "SERVICE_CONTROL_POLICY",
				Content: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:ScheduleKeyDeletion","Resource":"*"}}`),
			})
			if err != nil {
				return err
			}
			_, err = c.org.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: p.Policy.PolicySummary.Id, TargetId: ou.OrganizationalUnit.Id})
			return err
		}},
	}
}

// computeSteps make volumes, snapshots, images, templates and a group.
func (w *world) computeSteps() []step {
	c := w.in(region)
	var volume, snapshot, image string
	return []step{
		{"volumes, of a key of AWS's and of a customer's", func(ctx context.Context) error {
			for _, key := range []*string{nil, &w.holds.Ciphertexts[0].Key} {
				v, err := c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
					AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), Encrypted: aws.Bool(true), KmsKeyId: key,
					TagSpecifications: []ec2types.TagSpecification{{ResourceType: "volume", Tags: []ec2types.Tag{{Key: aws.String("made"), Value: aws.String("for a fixture")}}}},
				})
				if err != nil {
					return err
				}
				if key == nil {
					volume = *v.VolumeId
				}
				err = ec2.NewVolumeAvailableWaiter(c.ec2, func(o *ec2.VolumeAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }).
					Wait(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}}, time.Minute)
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"a snapshot", func(ctx context.Context) error {
			s, err := c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &volume, Description: aws.String("kept")})
			if err != nil {
				return err
			}
			snapshot = *s.SnapshotId
			return ec2.NewSnapshotCompletedWaiter(c.ec2, func(o *ec2.SnapshotCompletedWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }).
				Wait(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshot}}, time.Minute)
		}},
		{"an image", func(ctx context.Context) error {
			i, err := c.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{
				Name: aws.String("kept"), RootDeviceName: aws.String("/dev/xvda"), Architecture: "x86_64", VirtualizationType: aws.String("hvm"),
				BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
			})
			if err == nil {
				image = *i.ImageId
			}
			return err
		}},
		{"a launch template", func(ctx context.Context) error {
			_, err := c.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
				LaunchTemplateName: aws.String("kept"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
					ImageId: &image, InstanceType: "t3.micro", UserData: aws.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))),
				},
			})
			return err
		}},
		{"a group", func(ctx context.Context) error {
			_, err := c.asg.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
				AutoScalingGroupName: aws.String("kept"), MinSize: aws.Int32(0), MaxSize: aws.Int32(2), DesiredCapacity: aws.Int32(1), AvailabilityZones: []string{region + "a"},
				LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("kept"), Version: aws.String("$Latest")},
			})
			if err != nil {
				return err
			}
			for range 300 { // until it has its instance
				g, err := c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
				if err != nil {
					return err
				}
				if in := g.AutoScalingGroups[0].Instances; len(in) == 1 && in[0].LifecycleState == "InService" {
					return nil
				}
				time.Sleep(100 * time.Millisecond)
			}
			return fmt.Errorf("the group did not launch")
		}},
		{"a scaling policy", func(ctx context.Context) error {
			_, err := c.asg.PutScalingPolicy(ctx, &autoscaling.PutScalingPolicyInput{
				AutoScalingGroupName: aws.String("kept"), PolicyName: aws.String("kept"), PolicyType: aws.String("TargetTrackingScaling"),
				TargetTrackingConfiguration: &astypes.TargetTrackingConfiguration{
					TargetValue: aws.Float64(50), PredefinedMetricSpecification: &astypes.PredefinedMetricSpecification{PredefinedMetricType: "ASGAverageCPUUtilization"},
				},
			})
			return err
		}},
	}
}
