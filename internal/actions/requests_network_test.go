package actions_test

import (
	"time"

	"github.com/kagimori/kagimori/internal/testkit"
)

// retag gives a resource a tag twice: the second time it has that tag already.
func retag(c caller, id string) {
	for range 2 {
		c.do("ec2:CreateTags", in{"Resources": id, "Tags": []in{{"Key": "team", "Value": "red"}}})
	}
}

// driveNames: a key pair and a placement group with tags, for a launch, and others that go again.
func driveNames(c caller) {
	key := c.do("ec2:CreateKeyPair", in{"KeyName": "login", "KeyType": "ed25519", "TagSpecifications": specifications("key-pair")}).str("KeyPairId")
	retag(c, key)
	c.do("ec2:ImportKeyPair", in{
		"KeyName": "theirs", "TagSpecifications": specifications("key-pair"),
		"PublicKeyMaterial": []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPgkXRDH1JxwjQ3Px/LXz5CzBQ8oxBVTpVk4eVdLLT8W"),
	})
	c.do("ec2:DeleteKeyPair", in{"KeyName": "theirs"})
	placement := in{"GroupName": "spread", "Strategy": "spread", "TagSpecifications": specifications("placement-group")}
	retag(c, c.do("ec2:CreatePlacementGroup", placement).str("PlacementGroup.GroupId"))
	placement["GroupName"] = "gone"
	c.do("ec2:CreatePlacementGroup", placement)
	c.do("ec2:DeletePlacementGroup", in{"GroupName": "gone"})
}

// driveNetwork: a VPC with a subnet and a security group, an address for an instance, all with tags.
func driveNetwork(s *testkit.Server, c caller, instance string) {
	vpc := c.do("ec2:CreateVpc", in{"CidrBlock": "10.0.0.0/16", "TagSpecifications": specifications("vpc")}).str("Vpc.VpcId")
	c.do("ec2:ModifyVpcAttribute", in{"VpcId": vpc, "EnableDnsHostnames": in{"Value": true}})
	c.refused("ec2:CreateDefaultVpc", "DefaultVpcAlreadyExists", in{})
	c.refused("ec2:CreateDefaultSubnet", "DefaultSubnetAlreadyExistsInAvailabilityZone", in{"AvailabilityZone": "us-east-1a"})
	subnet := c.do("ec2:CreateSubnet", in{"VpcId": vpc, "CidrBlock": "10.0.1.0/24", "TagSpecifications": specifications("subnet")}).str("Subnet.SubnetId")
	group := c.do("ec2:CreateSecurityGroup", in{
		"GroupName": "web", "Description": "d", "VpcId": vpc, "TagSpecifications": specifications("security-group"),
	}).str("GroupId")
	rule := []in{{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": []in{{"CidrIp": "10.0.0.0/8"}}}}
	for _, way := range []string{"Ingress", "Egress"} {
		id := c.do("ec2:AuthorizeSecurityGroup"+way, in{
			"GroupId": group, "IpPermissions": rule, "TagSpecifications": specifications("security-group-rule"),
		}).str("SecurityGroupRules.0.SecurityGroupRuleId")
		retag(c, id)
		c.do("ec2:UpdateSecurityGroupRuleDescriptions"+way, in{"GroupId": group, "IpPermissions": rule})
		c.do("ec2:ModifySecurityGroupRules", in{"GroupId": group, "SecurityGroupRules": []in{{
			"SecurityGroupRuleId": id, "SecurityGroupRule": in{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "10.0.0.0/8"},
		}}})
		c.do("ec2:RevokeSecurityGroup"+way, in{"GroupId": group, "IpPermissions": rule})
	}
	c.do("ec2:GetSecurityGroupsForVpc", in{"VpcId": vpc})
	kept := c.do("ec2:CreateSubnetCidrReservation", in{
		"SubnetId": subnet, "Cidr": "10.0.1.64/28", "ReservationType": "prefix", "TagSpecifications": specifications("subnet-cidr-reservation"),
	}).str("SubnetCidrReservation.SubnetCidrReservationId")
	retag(c, kept)
	c.do("ec2:DeleteTags", in{"Resources": kept, "Tags": []in{{"Key": "team", "Value": "red"}}})
	c.do("ec2:GetSubnetCidrReservations", in{"SubnetId": subnet})
	c.do("ec2:DeleteSubnetCidrReservation", in{"SubnetCidrReservationId": kept})
	second := c.do("ec2:CreateVpc", in{"CidrBlock": "10.9.0.0/16", "TagSpecifications": specifications("vpc")}).str("Vpc.VpcId")
	retag(c, group)
	c.do("ec2:AssociateSecurityGroupVpc", in{"GroupId": group, "VpcId": second})
	c.do("ec2:DescribeSecurityGroupVpcAssociations", in{})
	c.do("ec2:DescribeSecurityGroupReferences", in{"GroupId": []string{group}})
	c.do("ec2:DescribeStaleSecurityGroups", in{"VpcId": second})
	c.do("ec2:DisassociateSecurityGroupVpc", in{"GroupId": group, "VpcId": second})
	c.do("ec2:DeleteVpc", in{"VpcId": second})
	address := c.do("ec2:AllocateAddress", in{"Domain": "vpc", "TagSpecifications": specifications("elastic-ip")}).str("AllocationId")
	retag(c, address)
	c.do("ec2:ModifySubnetAttribute", in{"SubnetId": subnet, "MapPublicIpOnLaunch": in{"Value": true}})
	c.do("ec2:DisassociateAddress", in{"AssociationId": c.do("ec2:AssociateAddress", in{"AllocationId": address, "InstanceId": instance}).str("AssociationId")})
	c.do("ec2:AssociateAddress", in{"AllocationId": address, "InstanceId": instance})
	c.do("ec2:ModifyAddressAttribute", in{"AllocationId": address, "DomainName": "www.example.com"})
	c.do("ec2:DescribeAddressesAttribute", in{"AllocationIds": []string{address}})
	c.do("ec2:ResetAddressAttribute", in{"AllocationId": address, "Attribute": "domain-name"})
	c.refused("ec2:ModifyAvailabilityZoneGroup", "UnsupportedOperation", in{"GroupName": "us-east-1-zg-1", "OptInStatus": "opted-in"})
	c.do("ec2:DisassociateAddress", in{"PublicIp": c.do("ec2:DescribeAddresses", in{"AllocationIds": []string{address}}).str("Addresses.0.PublicIp")})
	driveFaces(c, subnet, group, address)
	c.do("ec2:ReleaseAddress", in{"AllocationId": address})
	c.do("ec2:DeleteSecurityGroup", in{"GroupId": group})
	c.do("ec2:DeleteSubnet", in{"SubnetId": subnet})
	c.do("ec2:DeleteVpc", in{"VpcId": vpc})
}

// driveSettled: what is set and read of an instance that has a profile.
func driveSettled(c caller, instance string) {
	association := c.do("ec2:DescribeIamInstanceProfileAssociations", in{}).str("IamInstanceProfileAssociations.0.AssociationId")
	c.do("ec2:ReplaceIamInstanceProfileAssociation", in{"AssociationId": association, "IamInstanceProfile": in{"Name": "web"}})
	association = c.do("ec2:DescribeIamInstanceProfileAssociations", in{}).str("IamInstanceProfileAssociations.0.AssociationId")
	c.refused("ec2:AssociateIamInstanceProfile", "IncorrectState", in{"InstanceId": instance, "IamInstanceProfile": in{"Name": "web"}})
	c.do("ec2:ModifyInstanceMetadataOptions", in{"InstanceId": instance, "HttpTokens": "required"})
	c.refused("ec2:ModifyInstanceCpuOptions", "IncorrectInstanceState", in{"InstanceId": instance, "CoreCount": 1, "ThreadsPerCore": 1})
	c.refused("ec2:ModifyInstanceNetworkPerformanceOptions", "IncorrectInstanceState", in{"InstanceId": instance, "BandwidthWeighting": "default"})
	c.do("ec2:ModifyInstanceMaintenanceOptions", in{"InstanceId": instance, "AutoRecovery": "disabled", "RebootMigration": "disabled"})
	c.do("ec2:ModifyInstanceCreditSpecification", in{"InstanceCreditSpecifications": []in{{"InstanceId": instance, "CpuCredits": "standard"}}})
	c.refused("ec2:ModifyInstancePlacement", "IncorrectInstanceState", in{"InstanceId": instance, "Tenancy": "dedicated"})
	driveCapacity(c)
	c.do("ec2:ModifyPrivateDnsNameOptions", in{"InstanceId": instance, "PrivateDnsHostnameType": "ip-name"})
	c.refused("ec2:ModifyInstanceCapacityReservationAttributes", "IncorrectInstanceState", in{
		"InstanceId": instance, "CapacityReservationSpecification": in{"CapacityReservationPreference": "none"},
	})
	shown := c.do("ec2:DescribeInstances", in{"InstanceIds": []string{instance}})
	face := shown.str("Reservations.0.Instances.0.NetworkInterfaces.0.NetworkInterfaceId")
	c.do("ec2:ModifyNetworkInterfaceAttribute", in{"NetworkInterfaceId": face, "SourceDestCheck": in{"Value": true}})
	c.do("ec2:ModifyNetworkInterfaceAttribute", in{
		"NetworkInterfaceId": face, "Groups": []string{shown.str("Reservations.0.Instances.0.SecurityGroups.0.GroupId")},
	})
	c.do("ec2:MonitorInstances", in{"InstanceIds": instance})
	c.do("ec2:UnmonitorInstances", in{"InstanceIds": instance})
	c.do("ec2:ResetInstanceAttribute", in{"InstanceId": instance, "Attribute": "sourceDestCheck"})
	c.do("ec2:GetConsoleOutput", in{"InstanceId": instance})
	c.do("ec2:GetConsoleScreenshot", in{"InstanceId": instance})
	c.do("ec2:SendDiagnosticInterrupt", in{"InstanceId": instance})
	c.refused("ec2:ModifyInstanceEventStartTime", "InvalidInstanceEventIDNotFound", in{"InstanceId": instance, "InstanceEventId": "instance-event-0d59937288b749b32", "NotBefore": time.Unix(0, 0)})
	c.do("ec2:GetPasswordData", in{"InstanceId": instance})
	c.do("ec2:GetLaunchTemplateData", in{"InstanceId": instance})
	c.do("ec2:DescribeSpotPriceHistory", in{"InstanceTypes": "m5.large"})
	c.do("ec2:GetSpotPlacementScores", in{"InstanceTypes": []string{"m5.large"}, "TargetCapacity": 1})
	c.do("ec2:CreateSpotDatafeedSubscription", in{"Bucket": "logs"})
	c.do("ec2:DescribeSpotDatafeedSubscription", in{})
	c.do("ec2:DeleteSpotDatafeedSubscription", in{})
	c.do("ec2:DescribeInstanceTopology", in{})
	c.do("ec2:DescribeInstanceImageMetadata", in{})
	c.do("ec2:DisassociateIamInstanceProfile", in{"AssociationId": association})
	c.do("ec2:AssociateIamInstanceProfile", in{"InstanceId": instance, "IamInstanceProfile": in{"Name": "web"}})
}

// driveSpot: Spot Instance requests and fleets, whose instances go with them.
func driveSpot(s *testkit.Server, c caller, image, subnet, group, key string) {
	devices := []in{{"DeviceName": "/dev/sdf", "Ebs": in{"Encrypted": true, "KmsKeyId": key, "VolumeSize": 8, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125}}}
	template := c.do("ec2:CreateLaunchTemplate", in{"LaunchTemplateName": "fleet", "TagSpecifications": specifications("launch-template"), "LaunchTemplateData": in{
		"ImageId": image, "InstanceType": "m5.large", "IamInstanceProfile": in{"Name": "web"}, "BlockDeviceMappings": devices, "TagSpecifications": specifications("volume"),
	}}).str("LaunchTemplate.LaunchTemplateId")
	request := c.do("ec2:RequestSpotInstances", in{
		"LaunchSpecification": in{
			"ImageId": image, "InstanceType": "m5.large", "SubnetId": subnet, "SecurityGroupIds": group, "KeyName": "login",
			"Placement": in{"GroupName": "spread"},
		},
		"TagSpecifications": specifications("spot-instances-request"),
	}).str("SpotInstanceRequests.0.SpotInstanceRequestId")
	retag(c, request)
	c.do("ec2:DescribeSpotInstanceRequests", in{})
	c.do("ec2:CancelSpotInstanceRequests", in{"SpotInstanceRequestIds": request})
	config := []in{{"LaunchTemplateSpecification": in{"LaunchTemplateId": template, "Version": "$Latest"}, "Overrides": []in{{
		"SubnetId": subnet, "Placement": in{"GroupName": "spread"},
	}}}}
	for _, kind := range []string{"instant", "maintain"} {
		fleet := in{
			"Type": kind, "TargetCapacitySpecification": in{"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"}, "LaunchTemplateConfigs": config,
			"TagSpecifications": specifications("fleet", "instance"),
		}
		id := c.do("ec2:CreateFleet", fleet).str("FleetId")
		retag(c, id)
		s.Advance(time.Minute)
		c.do("ec2:DescribeFleets", in{"FleetIds": id})
		if kind == "maintain" {
			c.do("ec2:DescribeFleetInstances", in{"FleetId": id})
			c.do("ec2:DescribeFleetHistory", in{"FleetId": id, "StartTime": time.Unix(0, 0)})
			c.do("ec2:ModifyFleet", in{"FleetId": id, "ExcessCapacityTerminationPolicy": "termination", "TargetCapacitySpecification": in{"TotalTargetCapacity": 0}, "LaunchTemplateConfigs": config})
		}
		c.do("ec2:DeleteFleets", in{"FleetIds": id, "TerminateInstances": true})
	}
	spot := c.do("ec2:RequestSpotFleet", in{"SpotFleetRequestConfig": in{
		"IamFleetRole": "arn:aws:iam::" + home + ":role/assumed", "TargetCapacity": 1, "TagSpecifications": specifications("spot-fleet-request"),
		"LaunchSpecifications": []in{{"ImageId": image, "InstanceType": "m5.large", "SubnetId": subnet, "KeyName": "login", "SecurityGroups": []in{{"GroupId": group}}, "BlockDeviceMappings": devices}},
	}}).str("SpotFleetRequestId")
	retag(c, spot)
	s.Advance(time.Minute)
	c.do("ec2:DescribeSpotFleetRequests", in{})
	c.do("ec2:DescribeSpotFleetInstances", in{"SpotFleetRequestId": spot})
	c.do("ec2:DescribeSpotFleetRequestHistory", in{"SpotFleetRequestId": spot, "StartTime": time.Unix(0, 0)})
	c.do("ec2:ModifySpotFleetRequest", in{"SpotFleetRequestId": spot, "TargetCapacity": 2, "ExcessCapacityTerminationPolicy": "noTermination"})
	c.do("ec2:CancelSpotFleetRequests", in{"SpotFleetRequestIds": spot, "TerminateInstances": true})
	s.Advance(time.Minute)
}
