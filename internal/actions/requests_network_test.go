package actions_test

import "github.com/kagimori/kagimori/internal/testkit"

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
		c.do("ec2:RevokeSecurityGroup"+way, in{"GroupId": group, "IpPermissions": rule})
	}
	c.do("ec2:GetSecurityGroupsForVpc", in{"VpcId": vpc})
	address := c.do("ec2:AllocateAddress", in{"Domain": "vpc", "TagSpecifications": specifications("elastic-ip")}).str("AllocationId")
	retag(c, address)
	c.do("ec2:AssociateAddress", in{"AllocationId": address, "InstanceId": instance})
	c.do("ec2:ReleaseAddress", in{"AllocationId": address})
	c.do("ec2:DeleteSecurityGroup", in{"GroupId": group})
	c.do("ec2:DeleteSubnet", in{"SubnetId": subnet})
	c.do("ec2:DeleteVpc", in{"VpcId": vpc})
}
