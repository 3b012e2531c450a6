package actions_test

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/testkit"
)

// publicImage is a public image with one plain root device.
const publicImage = "ami-12c6146b"

// specifications are tags for what an operation makes.
func specifications(types ...string) []in {
	var out []in
	for _, t := range types {
		out = append(out, in{"ResourceType": t, "Tags": []in{{"Key": "team", "Value": "red"}}})
	}
	return out
}

// driveEC2: an instance from a launch template, with a profile, tags and an encrypted volume;
// volumes, snapshots and images with tags.
func driveEC2(s *testkit.Server, c caller) {
	key := "arn:aws:kms:us-east-1:" + home + ":key/" + c.do("kms:CreateKey", in{}).str("KeyMetadata.KeyId")
	driveEC2Reads(c)
	vpc := c.do("ec2:DescribeVpcs", in{}).str("Vpcs.0.VpcId")
	subnet := c.do("ec2:DescribeSubnets", in{}).str("Subnets.0.SubnetId")
	group := c.do("ec2:DescribeSecurityGroups", in{}).str("SecurityGroups.0.GroupId")
	template := driveTemplates(c)
	run := in{
		"ImageId": publicImage, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1,
		"NetworkInterfaces": []in{{"DeviceIndex": 0, "SubnetId": subnet, "Groups": group, "AssociatePublicIpAddress": true}},
		"LaunchTemplate":    in{"LaunchTemplateId": template}, "IamInstanceProfile": in{"Name": "web"}, "EbsOptimized": true,
		"MetadataOptions": in{"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"},
		"Placement":       in{"Tenancy": "default", "GroupName": "spread"}, "KeyName": "login",
		"BlockDeviceMappings": []in{{"DeviceName": "/dev/sdf", "Ebs": in{"Encrypted": true, "KmsKeyId": key, "VolumeSize": 8, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125}}},
		"TagSpecifications":   specifications("instance", "volume", "network-interface"),
	}
	driveNames(c)
	own, snapshot := ownImage(s, c)
	run["ImageId"] = own
	for _, id := range []string{subnet, group, own, vpc, template} {
		c.do("ec2:CreateTags", in{"Resources": id, "Tags": []in{{"Key": "team", "Value": "red"}}})
		c.do("ec2:CreateTags", in{"Resources": id, "Tags": []in{{"Key": "team", "Value": "red"}}})
	}
	c.do("ec2:DescribeVpcAttribute", in{"VpcId": vpc, "Attribute": "enableDnsSupport"})
	launched := c.do("ec2:RunInstances", run)
	instance := launched.str("Instances.0.InstanceId")
	s.Advance(time.Minute)
	c.do("ec2:CreateTags", in{"Resources": launched.str("Instances.0.NetworkInterfaces.0.NetworkInterfaceId"), "Tags": []in{{"Key": "team", "Value": "red"}}})
	driveInstances(s, c, instance)
	volume := driveVolumes(s, c, key, snapshot, instance)
	driveSnapshots(s, c, volume, instance)
	driveSettings(c, key)
	driveNetwork(s, c, instance)
	driveVPC(c)
	drivePlug(c, instance)
	driveSettled(c, instance)
	driveSpot(s, c, own, subnet, group, key)
	c.do("ec2:TerminateInstances", in{"InstanceIds": instance})
	s.Advance(time.Minute)
}

// ownImage is an image of a snapshot of the account, and the snapshot, which was shared with all.
func ownImage(s *testkit.Server, c caller) (image, snapshot string) {
	volume := c.do("ec2:CreateVolume", in{"AvailabilityZone": "us-east-1a", "Size": 8}).str("VolumeId")
	s.Advance(time.Minute)
	snapshot = c.do("ec2:CreateSnapshot", in{"VolumeId": volume}).str("SnapshotId")
	s.Advance(time.Minute)
	for _, how := range []string{"add", "remove"} {
		c.do("ec2:ModifySnapshotAttribute", in{"SnapshotId": snapshot, "Attribute": "createVolumePermission", "OperationType": how, "GroupNames": "all"})
	}
	return c.do("ec2:RegisterImage", in{
		"Name": "base", "RootDeviceName": "/dev/xvda", "Architecture": "x86_64", "VirtualizationType": "hvm",
		"BlockDeviceMappings": []in{{"DeviceName": "/dev/xvda", "Ebs": in{"SnapshotId": snapshot}}},
	}).str("ImageId"), snapshot
}

func driveEC2Reads(c caller) {
	c.do("ec2:DescribeInstanceTypes", in{"InstanceTypes": "m5.large"})
	c.do("ec2:GetInstanceTypesFromInstanceRequirements", in{
		"ArchitectureTypes": "x86_64", "VirtualizationTypes": "hvm", "InstanceRequirements": in{"VCpuCount": in{"Min": 2}, "MemoryMiB": in{"Min": 4096}},
	})
	for _, name := range []string{
		"RouteTables", "AvailabilityZones", "Regions", "InstanceTypeOfferings", "Images", "Snapshots", "NetworkInterfaces", "InternetGateways",
		"NetworkAcls", "KeyPairs", "AccountAttributes", "SecurityGroupRules", "Addresses", "PlacementGroups", "LaunchTemplates", "Instances", "InstanceStatus", "Volumes", "VolumeStatus", "Tags",
	} {
		c.do("ec2:Describe"+name, in{})
	}
}

func driveTemplates(c caller) string {
	data := in{"ImageId": publicImage, "InstanceType": "m5.large"}
	create := in{"LaunchTemplateName": "web", "LaunchTemplateData": data, "TagSpecifications": specifications("launch-template")}
	id := c.do("ec2:CreateLaunchTemplate", create).str("LaunchTemplate.LaunchTemplateId")
	c.do("ec2:CreateLaunchTemplateVersion", in{"LaunchTemplateId": id, "LaunchTemplateData": data})
	c.do("ec2:DescribeLaunchTemplateVersions", in{"LaunchTemplateId": id})
	c.do("ec2:ModifyLaunchTemplate", in{"LaunchTemplateId": id, "DefaultVersion": "2"})
	c.do("ec2:DeleteLaunchTemplateVersions", in{"LaunchTemplateId": id, "Versions": "1"})
	create["LaunchTemplateName"] = "gone"
	c.do("ec2:DeleteLaunchTemplate", in{"LaunchTemplateId": c.do("ec2:CreateLaunchTemplate", create).str("LaunchTemplate.LaunchTemplateId")})
	return id
}

func driveInstances(s *testkit.Server, c caller, id string) {
	one := in{"InstanceIds": id}
	c.do("ec2:DescribeInstanceAttribute", in{"InstanceId": id, "Attribute": "instanceType"})
	c.do("ec2:ModifyInstanceAttribute", in{"InstanceId": id, "DisableApiTermination": in{"Value": false}})
	c.do("ec2:DescribeInstanceCreditSpecifications", one)
	c.do("ec2:RebootInstances", one)
	c.try("ec2:GetInstanceUefiData", in{"InstanceId": id})
	c.do("ec2:StopInstances", one)
	s.Advance(time.Minute)
	c.do("ec2:StartInstances", one)
	s.Advance(time.Minute)
	task := c.do("ec2:CreateReplaceRootVolumeTask", in{"InstanceId": id, "TagSpecifications": specifications("replace-root-volume-task")}).str("ReplaceRootVolumeTask.ReplaceRootVolumeTaskId")
	s.Advance(time.Minute)
	c.do("ec2:CreateTags", in{"Resources": task, "Tags": []in{{"Key": "team", "Value": "red"}}})
	c.do("ec2:DescribeReplaceRootVolumeTasks", in{})
	c.do("ec2:CreateTags", in{"Resources": id, "Tags": []in{{"Key": "team", "Value": "red"}, {"Key": "gone", "Value": "x"}}})
	c.do("ec2:DeleteTags", in{"Resources": id, "Tags": []in{{"Key": "gone", "Value": "x"}}})
	c.do("ec2:DeleteTags", in{"Resources": id, "Tags": []in{{"Key": "team", "Value": "blue"}}})
}

func driveVolumes(s *testkit.Server, c caller, key, snapshot, instance string) string {
	create := in{
		"AvailabilityZone": c.do("ec2:DescribeInstances", in{"InstanceIds": instance}).str("Reservations.0.Instances.0.Placement.AvailabilityZone"),
		"SnapshotId":       snapshot, "Size": 8, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125, "Encrypted": true, "KmsKeyId": key, "TagSpecifications": specifications("volume"),
	}
	id := c.do("ec2:CreateVolume", create).str("VolumeId")
	s.Advance(time.Minute)
	c.do("ec2:DescribeVolumeAttribute", in{"VolumeId": id, "Attribute": "autoEnableIO"})
	c.do("ec2:AttachVolume", in{"VolumeId": id, "InstanceId": instance, "Device": "/dev/sdg"})
	s.Advance(time.Minute)
	c.try("kagimori:ExportVolume", in{"VolumeId": id})
	c.do("kagimori:EndVolumeExports", in{"VolumeId": id})
	c.do("kagimori:ListVolumeExports", in{})
	c.do("ec2:DetachVolume", in{"VolumeId": id})
	s.Advance(time.Minute)
	c.do("ec2:CreateTags", in{"Resources": id, "Tags": []in{{"Key": "team", "Value": "red"}}})
	c.do("ec2:ModifyVolume", in{"VolumeId": id, "Size": 9})
	s.Advance(time.Minute)
	c.do("ec2:DescribeVolumesModifications", in{"VolumeIds": id})
	c.do("ec2:ModifyVolumeAttribute", in{"VolumeId": id, "AutoEnableIO": in{"Value": true}})
	c.do("ec2:EnableVolumeIO", in{"VolumeId": id})
	copied := c.do("ec2:CopyVolumes", in{"SourceVolumeId": id, "TagSpecifications": specifications("volume")}).str("Volumes.0.VolumeId")
	s.Advance(time.Minute)
	c.do("ec2:ModifyVolume", in{"VolumeId": copied, "Size": 10})
	c.do("ec2:ModifyVolumeAttribute", in{"VolumeId": copied, "AutoEnableIO": in{"Value": true}})
	gone := c.do("ec2:CreateVolume", create).str("VolumeId")
	s.Advance(time.Minute)
	c.do("ec2:DeleteVolume", in{"VolumeId": gone})
	return id
}

func driveSnapshots(s *testkit.Server, c caller, volume, instance string) {
	id := c.do("ec2:CreateSnapshot", in{"VolumeId": volume, "Description": "d", "TagSpecifications": specifications("snapshot")}).str("SnapshotId")
	c.do("ec2:CreateSnapshots", in{"InstanceSpecification": in{"InstanceId": instance}, "TagSpecifications": specifications("snapshot")})
	s.Advance(time.Minute)
	c.do("ec2:ModifySnapshotAttribute", in{"SnapshotId": id, "Attribute": "createVolumePermission", "OperationType": "add", "UserIds": other})
	c.do("ec2:ModifySnapshotAttribute", in{"SnapshotId": id, "Attribute": "createVolumePermission", "OperationType": "remove", "UserIds": other})
	c.do("ec2:DescribeSnapshotAttribute", in{"SnapshotId": id, "Attribute": "createVolumePermission"})
	c.do("ec2:ResetSnapshotAttribute", in{"SnapshotId": id, "Attribute": "createVolumePermission"})
	key := "arn:aws:kms:us-east-1:" + home + ":key/" + c.do("kms:CreateKey", in{}).str("KeyMetadata.KeyId") // another than the volume's
	copied := c.do("ec2:CopySnapshot", in{
		"SourceSnapshotId": id, "SourceRegion": "us-east-1", "Encrypted": true, "KmsKeyId": key, "TagSpecifications": specifications("snapshot"),
	}).str("SnapshotId")
	from := in{"AvailabilityZone": "us-east-1a", "SnapshotId": id, "TagSpecifications": specifications("volume"), "VolumeType": "gp3"}
	c.do("ec2:CreateVolume", from)
	s.Advance(time.Minute)
	for _, tagged := range []string{id, volume} {
		c.do("ec2:CreateTags", in{"Resources": tagged, "Tags": []in{{"Key": "team", "Value": "red"}}})
	}
	c.do("ec2:LockSnapshot", in{"SnapshotId": id, "LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 1})
	c.do("ec2:DescribeLockedSnapshots", in{})
	c.do("ec2:UnlockSnapshot", in{"SnapshotId": id})
	c.do("ec2:EnableFastSnapshotRestores", in{"SourceSnapshotIds": id, "AvailabilityZones": "us-east-1a"})
	c.do("ec2:DisableFastSnapshotRestores", in{"SourceSnapshotIds": id, "AvailabilityZones": "us-east-1a"})
	c.do("ec2:DescribeFastSnapshotRestores", in{})
	c.do("ec2:ListSnapshotsInRecycleBin", in{})
	c.do("ec2:ModifySnapshotTier", in{"SnapshotId": id, "StorageTier": "archive"})
	s.Advance(time.Minute)
	c.do("ec2:RestoreSnapshotTier", in{"SnapshotId": id, "PermanentRestore": true})
	s.Advance(time.Minute)
	c.do("ec2:DescribeSnapshotTierStatus", in{})
	c.try("ec2:RestoreSnapshotFromRecycleBin", in{"SnapshotId": id})
	driveImages(s, c, id, instance, key)
	c.do("ec2:DeleteSnapshot", in{"SnapshotId": copied})
}

func driveImages(s *testkit.Server, c caller, snapshot, instance, key string) {
	registered := c.do("ec2:RegisterImage", in{
		"Name": "own", "RootDeviceName": "/dev/xvda", "Architecture": "x86_64", "VirtualizationType": "hvm",
		"BlockDeviceMappings": []in{{"DeviceName": "/dev/xvda", "Ebs": in{"SnapshotId": snapshot}}}, "TagSpecifications": specifications("image"),
	}).str("ImageId")
	c.refused("ec2:RestoreImageFromRecycleBin", "InvalidAMIID.NotFound", in{"ImageId": registered})
	c.do("ec2:CreateImage", in{"InstanceId": instance, "Name": "made", "NoReboot": true, "TagSpecifications": specifications("image", "snapshot")})
	s.Advance(time.Minute)
	c.do("ec2:CopyImage", in{
		"SourceImageId": registered, "SourceRegion": "us-east-1", "Name": "copied", "Encrypted": true, "KmsKeyId": key, "TagSpecifications": specifications("image", "snapshot"),
	})
	s.Advance(time.Minute)
	share := in{"ImageId": registered, "Attribute": "launchPermission", "OperationType": "add", "UserIds": other}
	c.do("ec2:ModifyImageAttribute", share)
	share["OperationType"] = "remove"
	c.do("ec2:ModifyImageAttribute", share)
	c.do("ec2:ModifyImageAttribute", in{"ImageId": registered, "Description": in{"Value": "d"}})
	c.do("ec2:DescribeImageAttribute", in{"ImageId": registered, "Attribute": "launchPermission"})
	c.do("ec2:ResetImageAttribute", in{"ImageId": registered, "Attribute": "launchPermission"})
	c.refused("ec2:CancelImageLaunchPermission", "OperationNotPermitted", in{"ImageId": registered}) // it is the caller's own
	c.do("ec2:EnableImageDeprecation", in{"ImageId": registered, "DeprecateAt": time.Now().AddDate(1, 0, 0)})
	c.do("ec2:DescribeFastLaunchImages", in{"ImageIds": []string{registered}})
	c.refused("ec2:EnableFastLaunch", "UnsupportedOperation", in{"ImageId": registered, "LaunchTemplate": in{"LaunchTemplateName": "web", "Version": "1"}})
	c.refused("ec2:DisableFastLaunch", "UnsupportedOperation", in{"ImageId": registered})
	for _, op := range []string{"DisableImageDeprecation", "DisableImage", "EnableImage", "EnableImageDeregistrationProtection", "DisableImageDeregistrationProtection"} {
		c.do("ec2:"+op, in{"ImageId": registered})
	}
	c.do("ec2:DeregisterImage", in{"ImageId": registered})
}

func driveSettings(c caller, key string) {
	c.do("ec2:GetEbsEncryptionByDefault", in{})
	c.do("ec2:EnableEbsEncryptionByDefault", in{})
	c.do("ec2:DisableEbsEncryptionByDefault", in{})
	c.do("ec2:GetEbsDefaultKmsKeyId", in{})
	c.do("ec2:ModifyEbsDefaultKmsKeyId", in{"KmsKeyId": key})
	c.do("ec2:ResetEbsDefaultKmsKeyId", in{})
	c.do("ec2:EnableSnapshotBlockPublicAccess", in{"State": "block-new-sharing"})
	c.do("ec2:GetSnapshotBlockPublicAccessState", in{})
	c.do("ec2:DisableSnapshotBlockPublicAccess", in{})
	c.do("ec2:EnableImageBlockPublicAccess", in{"ImageBlockPublicAccessState": "block-new-sharing"})
	c.do("ec2:GetImageBlockPublicAccessState", in{})
	c.do("ec2:DisableImageBlockPublicAccess", in{})
	c.do("ec2:ReplaceImageCriteriaInAllowedImagesSettings", in{"ImageCriteria": []in{{"ImageProviders": []string{"amazon"}}}})
	c.do("ec2:EnableAllowedImagesSettings", in{"AllowedImagesSettingsState": "audit-mode"})
	c.do("ec2:GetAllowedImagesSettings", in{})
	c.do("ec2:DisableAllowedImagesSettings", in{})
	c.do("ec2:EnableSerialConsoleAccess", in{})
	c.do("ec2:GetSerialConsoleAccessStatus", in{})
	c.do("ec2:DisableSerialConsoleAccess", in{})
	c.do("ec2:ModifyInstanceMetadataDefaults", in{"HttpTokens": "optional"})
	c.do("ec2:GetInstanceMetadataDefaults", in{})
	c.do("ec2:ModifyDefaultCreditSpecification", in{"InstanceFamily": "t3", "CpuCredits": "unlimited"})
	c.do("ec2:GetDefaultCreditSpecification", in{"InstanceFamily": "t3"})
}

// driveAutoScaling: groups of a launch template and of a launch configuration, with tags.
func driveAutoScaling(s *testkit.Server, c caller) {
	driveAutoScalingReads(c)
	c.do("autoscaling:CreateLaunchConfiguration", in{
		"LaunchConfigurationName": "lc", "ImageId": publicImage, "InstanceType": "m5.large", "SpotPrice": "1.0",
		"MetadataOptions": in{"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2},
	})
	c.do("autoscaling:CreateLaunchConfiguration", in{"LaunchConfigurationName": "gone", "ImageId": publicImage, "InstanceType": "m5.large"})
	c.do("autoscaling:DeleteLaunchConfiguration", in{"LaunchConfigurationName": "gone"})
	subnet := c.do("ec2:DescribeSubnets", in{}).str("Subnets.0.SubnetId")
	tags := func(group string) []in {
		return []in{{"Key": "team", "Value": "red", "PropagateAtLaunch": true, "ResourceId": group, "ResourceType": "auto-scaling-group"}}
	}
	group := in{
		"AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 2, "DesiredCapacity": 1, "VPCZoneIdentifier": subnet,
		"LaunchTemplate": in{"LaunchTemplateName": "web", "Version": "$Latest"}, "Tags": tags("web"),
		"LoadBalancerNames": "classic", "TargetGroupARNs": targets + "a/1", "TrafficSources": []in{{"Identifier": targets + "b/1", "Type": "elbv2"}},
	}
	c.do("autoscaling:CreateAutoScalingGroup", group)
	c.do("autoscaling:CreateAutoScalingGroup", in{
		"AutoScalingGroupName": "old", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": subnet, "LaunchConfigurationName": "lc", "Tags": tags("old"),
	})
	mixed := in{
		"LaunchTemplate": in{"LaunchTemplateSpecification": in{"LaunchTemplateName": "web", "Version": "$Latest"}, "Overrides": []in{{"InstanceType": "m5.large", "ImageId": publicImage}}},
	}
	c.do("autoscaling:CreateAutoScalingGroup", in{
		"AutoScalingGroupName": "mixed", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": subnet, "MixedInstancesPolicy": mixed, "Tags": tags("mixed"),
	})
	c.do("autoscaling:UpdateAutoScalingGroup", in{"AutoScalingGroupName": "mixed", "MixedInstancesPolicy": mixed})
	s.Advance(time.Minute)
	const linked = "AWSServiceRoleForAutoScaling"
	c.do("iam:TagRole", in{"RoleName": linked, "Tags": []in{{"Key": "team", "Value": "red"}}})
	task := c.do("iam:DeleteServiceLinkedRole", in{"RoleName": linked}).str("DeletionTaskId") // fails: the role is in use
	c.do("iam:GetServiceLinkedRoleDeletionStatus", in{"DeletionTaskId": task})
	instance := c.do("autoscaling:DescribeAutoScalingInstances", in{}).str("AutoScalingInstances.0.InstanceId")
	c.do("autoscaling:UpdateAutoScalingGroup", in{
		"AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 3, "VPCZoneIdentifier": subnet, "LaunchTemplate": in{"LaunchTemplateName": "web", "Version": "$Default"},
	})
	c.do("autoscaling:UpdateAutoScalingGroup", in{"AutoScalingGroupName": "old", "LaunchConfigurationName": "lc"})
	c.do("autoscaling:CreateOrUpdateTags", in{"Tags": tags("web")})
	driveScaling(c)
	c.do("autoscaling:SetDesiredCapacity", in{"AutoScalingGroupName": "web", "DesiredCapacity": 2})
	c.do("autoscaling:SetInstanceProtection", in{"AutoScalingGroupName": "web", "InstanceIds": instance, "ProtectedFromScaleIn": false})
	c.do("autoscaling:SetInstanceHealth", in{"InstanceId": instance, "HealthStatus": "Healthy"})
	c.do("autoscaling:SuspendProcesses", in{"AutoScalingGroupName": "web", "ScalingProcesses": "AZRebalance"})
	c.do("autoscaling:ResumeProcesses", in{"AutoScalingGroupName": "web"})
	s.Advance(time.Minute)
	driveLifecycle(s, c, instance)
	c.do("autoscaling:DeleteTags", in{"Tags": tags("web")})
	c.do("autoscaling:CreateOrUpdateTags", in{"Tags": tags("web")})
	c.do("autoscaling:DeleteAutoScalingGroup", in{"AutoScalingGroupName": "web", "ForceDelete": true})
	s.Advance(time.Minute)
}

// targets is the beginning of the ARNs of target groups.
const targets = "arn:aws:elasticloadbalancing:" + testkit.Region + ":" + home + ":targetgroup/"

// driveScaling: what a group has beside its instances.
func driveScaling(c caller) {
	web := func(members in) in {
		members["AutoScalingGroupName"] = "web"
		return members
	}
	c.do("autoscaling:PutScalingPolicy", web(in{"PolicyName": "p", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1}))
	c.do("autoscaling:ExecutePolicy", web(in{"PolicyName": "p"}))
	c.do("autoscaling:DeletePolicy", web(in{"PolicyName": "p"}))
	c.try("autoscaling:GetPredictiveScalingForecast", web(in{"PolicyName": "p", "StartTime": time.Now(), "EndTime": time.Now().Add(time.Hour)}))
	c.do("autoscaling:EnableMetricsCollection", web(in{"Granularity": "1Minute"}))
	c.do("autoscaling:DisableMetricsCollection", web(in{}))
	c.do("autoscaling:PutScheduledUpdateGroupAction", web(in{"ScheduledActionName": "s", "Recurrence": "0 0 * * *", "MinSize": 1, "MaxSize": 3}))
	c.do("autoscaling:DeleteScheduledAction", web(in{"ScheduledActionName": "s"}))
	c.do("autoscaling:BatchPutScheduledUpdateGroupAction", web(in{"ScheduledUpdateGroupActions": []in{{"ScheduledActionName": "s", "Recurrence": "0 0 * * *", "MinSize": 1}}}))
	c.do("autoscaling:BatchDeleteScheduledAction", web(in{"ScheduledActionNames": "s"}))
	topic := "arn:aws:sns:" + testkit.Region + ":" + home + ":topic"
	c.do("autoscaling:PutNotificationConfiguration", web(in{"TopicARN": topic, "NotificationTypes": "autoscaling:EC2_INSTANCE_LAUNCH"}))
	c.do("autoscaling:DeleteNotificationConfiguration", web(in{"TopicARN": topic}))
	c.do("autoscaling:AttachLoadBalancers", web(in{"LoadBalancerNames": "second"}))
	c.do("autoscaling:DetachLoadBalancers", web(in{"LoadBalancerNames": "second"}))
	c.do("autoscaling:AttachLoadBalancerTargetGroups", web(in{"TargetGroupARNs": targets + "c/1"}))
	c.do("autoscaling:DetachLoadBalancerTargetGroups", web(in{"TargetGroupARNs": targets + "c/1"}))
	c.do("autoscaling:AttachTrafficSources", web(in{"TrafficSources": []in{{"Identifier": targets + "d/1"}}}))
	c.do("autoscaling:DetachTrafficSources", web(in{"TrafficSources": []in{{"Identifier": targets + "d/1"}}}))
}

// driveLifecycle: hooks, instances that go and come, the warm pool and the instance refresh of the group "web".
func driveLifecycle(s *testkit.Server, c caller, instance string) {
	web := func(more in) in {
		all := in{"AutoScalingGroupName": "web"}
		maps.Copy(all, more)
		return all
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	role := c.do("iam:CreateRole", in{"RoleName": "publisher", "AssumeRolePolicyDocument": trust}).str("Role.Arn")
	hook := in{"LifecycleHookName": "down"}
	c.do("autoscaling:PutLifecycleHook", web(in{
		"LifecycleHookName": "down", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "RoleARN": role,
		"NotificationTargetARN": "arn:aws:sqs:us-east-1:000000000000:q",
	}))
	c.do("autoscaling:EnterStandby", web(in{"InstanceIds": instance, "ShouldDecrementDesiredCapacity": true}))
	s.Advance(time.Minute)
	c.do("autoscaling:ExitStandby", web(in{"InstanceIds": instance}))
	s.Advance(time.Minute)
	c.do("autoscaling:DetachInstances", web(in{"InstanceIds": instance, "ShouldDecrementDesiredCapacity": true}))
	s.Advance(time.Minute)
	c.do("autoscaling:AttachInstances", web(in{"InstanceIds": instance}))
	s.Advance(time.Minute)
	c.do("autoscaling:LaunchInstances", web(in{"RequestedCapacity": 1, "ClientToken": "once"}))
	s.Advance(time.Minute)
	s.Advance(5 * time.Minute)
	c.do("autoscaling:TerminateInstanceInAutoScalingGroup", in{"InstanceId": instance, "ShouldDecrementDesiredCapacity": true})
	one := in{"LifecycleHookName": "down", "InstanceId": instance}
	c.do("autoscaling:RecordLifecycleActionHeartbeat", web(one))
	one["LifecycleActionResult"] = "CONTINUE"
	c.do("autoscaling:CompleteLifecycleAction", web(one))
	c.do("autoscaling:DeleteLifecycleHook", web(hook))
	s.Advance(time.Minute)
	// One that has begun may have ended before it is cancelled.
	c.refused("autoscaling:CancelInstanceRefresh", "ActiveInstanceRefreshNotFound", web(nil))
	c.do("autoscaling:PutWarmPool", web(in{"MinSize": 0, "MaxGroupPreparedCapacity": 0}))
	c.do("autoscaling:DeleteWarmPool", web(in{"ForceDelete": true}))
	version := strconv.FormatInt(*c.do("ec2:DescribeLaunchTemplateVersions", in{"LaunchTemplateName": "web"}).out.(*ec2api.DescribeLaunchTemplateVersionsResult).LaunchTemplateVersions[0].VersionNumber, 10)
	refresh := web(in{"DesiredConfiguration": in{"MixedInstancesPolicy": in{"LaunchTemplate": in{
		"LaunchTemplateSpecification": in{"LaunchTemplateName": "web", "Version": version}, "Overrides": []in{{"InstanceType": "m5.large", "ImageId": publicImage}},
	}}}})
	c.do("autoscaling:UpdateAutoScalingGroup", web(in{"LaunchTemplate": in{"LaunchTemplateName": "web", "Version": version}}))
	c.do("autoscaling:StartInstanceRefresh", refresh)
	c.do("autoscaling:RollbackInstanceRefresh", web(nil))
	s.Advance(time.Minute)
}

func driveAutoScalingReads(c caller) {
	ofGroup := []string{"DescribeLifecycleHooks", "DescribeWarmPool", "DescribeTrafficSources", "DescribeLoadBalancers", "DescribeLoadBalancerTargetGroups", "DescribeInstanceRefreshes"}
	for name := range serviceNamed("autoscaling").Operations {
		if strings.HasPrefix(name, "Describe") {
			members := in{}
			for _, n := range ofGroup {
				if n == name {
					members["AutoScalingGroupName"] = "web"
				}
			}
			c.try("autoscaling:"+name, members) // refused for want of the group: it is decided first
		}
	}
}
