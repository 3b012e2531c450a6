package hostile_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/testkit"
)

// plausible fills what an operation requires, and the members that known names.
func plausible(v reflect.Value, known map[string]string) {
	for i := range v.NumField() {
		f, field := v.Field(i), v.Type().Field(i)
		value, ok := known[field.Name]
		if field.Name == "KeySpec" || field.Name == "InstanceId" && !strings.Contains(field.Tag.Get("aws")+",", ",req,") {
			continue // excludes NumberOfBytes, or says how something else is made
		}
		if !ok && !strings.Contains(field.Tag.Get("aws")+",", ",req,") {
			continue
		}
		switch {
		case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct:
			f.Set(reflect.New(f.Type().Elem()))
			if f.Type().String() != "*time.Time" {
				plausible(f.Elem(), known)
			}
		case f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
			switch e := f.Elem(); e.Kind() {
			case reflect.String:
				if !ok {
					value = "x"
				}
				e.SetString(value)
			case reflect.Int32, reflect.Int64:
				e.SetInt(7)
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8:
			f.SetBytes([]byte("bytes of the request"))
		case f.Kind() == reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			switch e := f.Index(0); e.Kind() {
			case reflect.String:
				if !ok {
					value = "x"
				}
				e.SetString(value)
			case reflect.Struct:
				plausible(e, known)
			}
		}
	}
}

// attributes are good values of the member Attribute.
var attributes = map[string]string{
	"DescribeImageAttribute": "launchPermission", "DescribeInstanceAttribute": "userData", "DescribeSnapshotAttribute": "createVolumePermission",
	"DescribeVolumeAttribute": "autoEnableIO", "DescribeVpcAttribute": "enableDnsSupport", "ResetImageAttribute": "launchPermission", "DescribeNetworkInterfaceAttribute": "description",
	"ResetSnapshotAttribute": "createVolumePermission",
}

// ec2Members are good values of members of requests to EC2, by operation.
var ec2Members = map[string]map[string]string{
	"CreateVpc": {"CidrBlock": "10.0.0.0/16"}, "CreateSubnet": {"CidrBlock": "10.0.0.0/24", "VpcId": "vpc-00000000"},
	"AssociateVpcCidrBlock": {"CidrBlock": "10.1.0.0/16", "VpcId": "vpc-00000000"}, "AssociateSubnetCidrBlock": {"Ipv6CidrBlock": "2001:db8::/64", "SubnetId": "subnet-00000000"},
	"CreateVpcPeeringConnection": {"VpcId": "vpc-00000000", "PeerVpcId": "vpc-00000001"},
	"CreateManagedPrefixList":    {"PrefixListName": "p", "AddressFamily": "IPv4", "Cidr": "10.0.0.0/8"}, "ModifyManagedPrefixList": {"Cidr": "10.0.0.0/8"},
	"CreatePlacementGroup": {"GroupName": "g"}, "DeleteSecurityGroup": {"GroupId": "sg-00000000"}, "CreateSubnetCidrReservation": {"SubnetId": "subnet-00000000", "Cidr": "10.0.0.0/28", "ReservationType": "prefix"}, "GetSubnetCidrReservations": {"SubnetId": "subnet-00000000"}, "DeleteSubnetCidrReservation": {"SubnetCidrReservationId": "scr-00000000"}, "AssociateSecurityGroupVpc": {"GroupId": "sg-00000000", "VpcId": "vpc-00000000"}, "DisassociateSecurityGroupVpc": {"GroupId": "sg-00000000", "VpcId": "vpc-00000000"}, "DeleteKeyPair": {"KeyName": "k"},
	"ReleaseAddress": {"AllocationId": "eipalloc-00000000"}, "ModifySubnetAttribute": {"SubnetId": "subnet-00000000"},
	"DescribeAddressesAttribute": {"Attribute": "domain-name"}, "ModifyAddressAttribute": {"AllocationId": "eipalloc-00000000", "DomainName": "example.com"},
	"ResetAddressAttribute": {"AllocationId": "eipalloc-00000000", "Attribute": "domain-name"}, "ModifyAvailabilityZoneGroup": {"GroupName": "us-east-1-zg-1", "OptInStatus": "opted-in"},
	"ModifySecurityGroupRules": {"GroupId": "sg-00000000"}, "UpdateSecurityGroupRuleDescriptionsIngress": {"GroupId": "sg-00000000"},
	"UpdateSecurityGroupRuleDescriptionsEgress": {"GroupId": "sg-00000000"}, "ModifyVpcTenancy": {"VpcId": "vpc-00000000", "InstanceTenancy": "default"}, "ModifyVpcAttribute": {"VpcId": "vpc-00000000", "EnableDnsSupport": ""},
	"RevokeSecurityGroupIngress":    {"GroupId": "sg-00000000", "SecurityGroupRuleIds": "sgr-00000000"},
	"RevokeSecurityGroupEgress":     {"GroupId": "sg-00000000", "SecurityGroupRuleIds": "sgr-00000000"},
	"AuthorizeSecurityGroupIngress": {"GroupId": "sg-00000000", "IpProtocol": "-1", "CidrIp": "10.0.0.0/8"},
	"AuthorizeSecurityGroupEgress":  {"GroupId": "sg-00000000", "IpProtocol": "-1", "CidrIp": "10.0.0.0/8"},
	"RequestSpotInstances":          {"Type": "one-time", "LaunchSpecification": ""}, "RequestSpotFleet": {"Type": "request"},
	"ResetInstanceAttribute": {"Attribute": "sourceDestCheck"}, "ModifyInstanceAttribute": {"Attribute": ""},
	"ModifySnapshotAttribute": {"Attribute": "createVolumePermission", "UserIds": "111122223333", "OperationType": "add"}, "DescribeAccountAttributes": {"AttributeNames": "default-vpc"},
	"EnableSnapshotBlockPublicAccess": {"State": "block-all-sharing"}, "EnableImageBlockPublicAccess": {"ImageBlockPublicAccessState": "block-new-sharing"},
	"EnableAllowedImagesSettings": {"AllowedImagesSettingsState": "audit-mode"}, "ReplaceImageCriteriaInAllowedImagesSettings": {"ImageProviders": "amazon"},
	"ModifyImageAttribute": {"Attribute": "launchPermission", "UserIds": "111122223333", "OperationType": "add"}, "CreateTags": {"Value": "v"},
	"EnableFastSnapshotRestores": {"AvailabilityZones": "us-east-1a"}, "DisableFastSnapshotRestores": {"AvailabilityZones": "us-east-1a"},
	"GetInstanceTypesFromInstanceRequirements": {"ArchitectureTypes": "x86_64", "VirtualizationTypes": "hvm", "Context": ""},
	"GetDefaultCreditSpecification":            {"InstanceFamily": "t3"}, "ModifyDefaultCreditSpecification": {"InstanceFamily": "t3", "CpuCredits": "standard"},
	"RestoreSnapshotTier": {"TemporaryRestoreDays": ""},
	"LockSnapshot":        {"LockMode": "governance"}, "AssociateIamInstanceProfile": {"Arn": "", "Name": "ip"},
	"DeleteVpcEndpoints": {"VpcEndpointIds": "vpce-00000000"},
}

// good makes a request of an operation that is whole: what remains to be found out is whether the caller may.
func good(svc *api.Service, op *api.Operation, known map[string]string) any {
	in, with := op.NewInput(), maps.Clone(known)
	with["Attribute"], with["ResourceId"], with["Filter"] = attributes[op.Name], known["VolumeId"], "User"
	with["PolicyType"], with["Type"] = "SERVICE_CONTROL_POLICY", "SERVICE_CONTROL_POLICY"
	with["SourceSnapshotIds"] = known["SnapshotId"]
	switch svc.Name {
	case "organizations":
		with["ResourceId"], with["Filter"] = known["AccountId"], "SERVICE_CONTROL_POLICY"
	case "access-analyzer":
		with["PolicyType"], with["ResourceType"] = "IDENTITY_POLICY", "AWS::KMS::Key"
	case "kagimori":
		if with["Type"] = "ADD_ADMINISTRATOR"; op.Name == "PredictImpact" {
			with["Type"] = "DISABLE_KEY"
		}
	case "autoscaling":
		with["PolicyType"], with["Type"], with["TrafficSourceType"] = "SimpleScaling", "elb", "elb"
	case "iam":
		with["Granularity"] = "SERVICE_LEVEL"
	case "ebs":
		with["ChecksumAlgorithm"], with["Checksum"], with["SecondSnapshotId"] = "SHA256", strings.Repeat("A", 43)+"=", known["SnapshotId"]
	case "ec2":
		maps.Copy(with, ec2Members[op.Name])
		if op.Name == "CopyVolumes" {
			with["SourceVolumeId"] = known["VolumeId"]
		}
	}
	plausible(reflect.ValueOf(in).Elem(), with)
	special(in, known)
	return in
}

// special sets what no member's name says.
func special(in any, known map[string]string) {
	instance, image := new(known["InstanceId"]), new(known["ImageId"])
	switch r := in.(type) {
	case *ec2api.ModifyVpcAttributeRequest:
		r.EnableDnsHostnames, r.EnableNetworkAddressUsageMetrics = nil, nil
		r.EnableDnsSupport = &ec2api.AttributeBooleanValue{Value: new(true)}
	case *ec2api.ModifySubnetAttributeRequest:
		*r = ec2api.ModifySubnetAttributeRequest{SubnetId: r.SubnetId, MapPublicIpOnLaunch: &ec2api.AttributeBooleanValue{Value: new(true)}}
	case *ec2api.ModifySecurityGroupRulesRequest:
		r.SecurityGroupRules = []ec2api.SecurityGroupRuleUpdate{{SecurityGroupRuleId: new("sgr-00000000"), SecurityGroupRule: &ec2api.SecurityGroupRuleRequest{
			IpProtocol: new("-1"), CidrIpv4: new("10.0.0.0/8"),
		}}}
	case *ec2api.UpdateSecurityGroupRuleDescriptionsIngressRequest:
		r.SecurityGroupRuleDescriptions, r.IpPermissions = []ec2api.SecurityGroupRuleDescription{{SecurityGroupRuleId: new("sgr-00000000")}}, nil
	case *ec2api.UpdateSecurityGroupRuleDescriptionsEgressRequest:
		r.SecurityGroupRuleDescriptions, r.IpPermissions = []ec2api.SecurityGroupRuleDescription{{SecurityGroupRuleId: new("sgr-00000000")}}, nil
	case *ec2api.ModifyNetworkInterfaceAttributeRequest:
		*r = ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: new("eni-00000000"), SourceDestCheck: &ec2api.AttributeBooleanValue{Value: new(true)}}
	case *ec2api.ModifyInstanceCapacityReservationAttributesRequest:
		r.CapacityReservationSpecification = &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new("open")}
	case *ec2api.ModifyPrivateDnsNameOptionsRequest:
		*r = ec2api.ModifyPrivateDnsNameOptionsRequest{InstanceId: instance, EnableResourceNameDnsARecord: new(true)}
	case *ec2api.ModifyInstancePlacementRequest:
		*r = ec2api.ModifyInstancePlacementRequest{InstanceId: instance, Tenancy: new("default")}
	case *ec2api.ModifyInstanceCpuOptionsRequest:
		*r = ec2api.ModifyInstanceCpuOptionsRequest{InstanceId: instance, CoreCount: new(int32(1)), ThreadsPerCore: new(int32(1))}
	case *ec2api.ModifyInstanceMaintenanceOptionsRequest:
		*r = ec2api.ModifyInstanceMaintenanceOptionsRequest{InstanceId: instance, AutoRecovery: new("default")}
	case *ec2api.ModifyInstanceCreditSpecificationRequest:
		r.InstanceCreditSpecifications = []ec2api.InstanceCreditSpecificationRequest{{InstanceId: instance, CpuCredits: new("standard")}}
	case *ec2api.CreateNetworkInterfaceRequest:
		*r = ec2api.CreateNetworkInterfaceRequest{SubnetId: new("subnet-00000000")}
	case *ec2api.AttachNetworkInterfaceRequest:
		*r = ec2api.AttachNetworkInterfaceRequest{NetworkInterfaceId: new("eni-00000000"), InstanceId: instance, DeviceIndex: new(int32(1))}
	case *ec2api.AssignPrivateIpAddressesRequest:
		*r = ec2api.AssignPrivateIpAddressesRequest{NetworkInterfaceId: new("eni-00000000"), SecondaryPrivateIpAddressCount: new(int32(1))}
	case *ec2api.AssignIpv6AddressesRequest:
		*r = ec2api.AssignIpv6AddressesRequest{NetworkInterfaceId: new("eni-00000000"), Ipv6AddressCount: new(int32(1))}
	case *ec2api.UnassignIpv6AddressesRequest:
		*r = ec2api.UnassignIpv6AddressesRequest{NetworkInterfaceId: new("eni-00000000"), Ipv6Addresses: []string{"2001:db8::9"}}
	case *ec2api.UnassignPrivateIpAddressesRequest:
		*r = ec2api.UnassignPrivateIpAddressesRequest{NetworkInterfaceId: new("eni-00000000"), PrivateIpAddresses: []string{"10.0.0.9"}}
	case *ec2api.CreateCapacityReservationRequest:
		*r = ec2api.CreateCapacityReservationRequest{
			InstanceType: new("m5.large"), InstancePlatform: new("Linux/UNIX"), AvailabilityZone: new(testkit.Region + "a"), InstanceCount: new(int32(1)),
		}
	case *ec2api.ModifyCapacityReservationRequest:
		*r = ec2api.ModifyCapacityReservationRequest{CapacityReservationId: new("cr-00000000"), InstanceCount: new(int32(1))}
	case *ec2api.AllocateHostsRequest:
		*r = ec2api.AllocateHostsRequest{InstanceFamily: new("m5"), AvailabilityZone: new(testkit.Region + "a"), Quantity: new(int32(1))}
	case *ec2api.ModifyHostsRequest:
		*r = ec2api.ModifyHostsRequest{HostIds: []string{"h-00000000"}, AutoPlacement: new("on")}
	case *ec2api.CreateFlowLogsRequest:
		*r = ec2api.CreateFlowLogsRequest{ResourceType: new("VPC"), ResourceIds: []string{"vpc-00000000"}, TrafficType: new("ALL"), LogDestinationType: new("s3"), LogDestination: new("arn:aws:s3:::logs")}
	case *ec2api.CreateDhcpOptionsRequest:
		r.DhcpConfigurations = []ec2api.NewDhcpConfiguration{{Key: new("domain-name"), Values: []string{"example.com"}}}
	case *ec2api.ReplaceNetworkAclEntryRequest:
		r.Protocol, r.CidrBlock, r.RuleAction, r.RuleNumber, r.PortRange = new("-1"), new("10.0.0.0/8"), new("allow"), new(int32(1)), nil
	case *ec2api.CreateNetworkAclEntryRequest:
		r.Protocol, r.CidrBlock, r.RuleAction, r.RuleNumber, r.PortRange = new("-1"), new("10.0.0.0/8"), new("allow"), new(int32(1)), nil
	case *ec2api.CreateRouteRequest:
		*r = ec2api.CreateRouteRequest{RouteTableId: new("rtb-00000000"), DestinationCidrBlock: new("10.0.0.0/8"), GatewayId: new("igw-00000000")}
	case *ec2api.ReplaceRouteRequest:
		*r = ec2api.ReplaceRouteRequest{RouteTableId: new("rtb-00000000"), DestinationCidrBlock: new("10.0.0.0/8"), GatewayId: new("igw-00000000")}
	case *ec2api.DeleteRouteRequest:
		*r = ec2api.DeleteRouteRequest{RouteTableId: new("rtb-00000000"), DestinationCidrBlock: new("10.0.0.0/8")}
	case *ec2api.AssociateRouteTableRequest:
		*r = ec2api.AssociateRouteTableRequest{RouteTableId: new("rtb-00000000"), SubnetId: new("subnet-00000000")}
	case *ec2api.AssociateNatGatewayAddressRequest:
		*r = ec2api.AssociateNatGatewayAddressRequest{NatGatewayId: new("nat-00000000"), AllocationIds: []string{"eipalloc-00000000"}}
	case *ec2api.CreateNatGatewayRequest:
		*r = ec2api.CreateNatGatewayRequest{SubnetId: new("subnet-00000000"), AllocationId: new("eipalloc-00000000")}
	case *ec2api.CreateVpcEndpointRequest:
		*r = ec2api.CreateVpcEndpointRequest{VpcId: new("vpc-00000000"), ServiceName: new("com.amazonaws." + testkit.Region + ".s3")}
	case *ec2api.DisassociateAddressRequest:
		r.AssociationId, r.PublicIp = new("eipassoc-00000000"), nil
	case *ec2api.ModifyInstanceAttributeRequest:
		*r = ec2api.ModifyInstanceAttributeRequest{InstanceId: instance, DisableApiStop: &ec2api.AttributeBooleanValue{Value: new(true)}}
	case *ec2api.AssociateAddressRequest:
		r.InstanceId, r.AllocationId = instance, new("eipalloc-00000000")
	case *ec2api.CreateFleetRequest:
		r.Type = new("instant")
		r.LaunchTemplateConfigs = []ec2api.FleetLaunchTemplateConfigRequest{{LaunchTemplateSpecification: &ec2api.FleetLaunchTemplateSpecificationRequest{
			LaunchTemplateName: new("template"), Version: new("1")}}}
	case *ec2api.RegisterImageRequest:
		r.RootDeviceName = new("/dev/xvda")
		r.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{SnapshotId: new(known["SnapshotId"])}}}
	case *ec2api.CreateReplaceRootVolumeTaskRequest:
		*r = ec2api.CreateReplaceRootVolumeTaskRequest{InstanceId: instance}
	case *ec2api.RequestSpotFleetRequest:
		r.SpotFleetRequestConfig.LaunchSpecifications = []ec2api.SpotFleetLaunchSpecification{{ImageId: image, InstanceType: new("t3.micro")}}
		r.SpotFleetRequestConfig.IamFleetRole = new(known["RoleArn"])
	case *iamapi.CreateDelegationRequestRequest:
		r.Permissions = &iamapi.DelegationPermission{PolicyTemplateArn: new("arn:aws:iam:::delegation-template/acme/x")}
		r.RequestorWorkflowId, r.NotificationChannel, r.SessionDuration = new("workflow"), new("arn:aws:sns:us-east-1:"+known["AccountId"]+":t"), new(int32(3600))
	case *organizationsapi.InviteAccountToOrganizationRequest:
		r.Target = &organizationsapi.HandshakeParty{Id: new(secret.String(known["AccountId"])), Type: new("ACCOUNT")}
	case *organizationsapi.DescribeEffectivePolicyRequest:
		r.PolicyType = new("TAG_POLICY")
	case *organizationsapi.ListEffectivePolicyValidationErrorsRequest:
		r.PolicyType = new("TAG_POLICY")
	case *organizationsapi.ListAccountsWithInvalidEffectivePolicyRequest:
		r.PolicyType = new("TAG_POLICY")
	case *ebsapi.PutSnapshotBlockRequest:
		r.BlockData, r.DataLength = make([]byte, 512<<10), new(int32(512<<10))
		sum := sha256.Sum256(r.BlockData)
		r.Checksum = new(base64.StdEncoding.EncodeToString(sum[:]))
	case *ebsapi.CompleteSnapshotRequest:
		r.Checksum, r.ChecksumAlgorithm = nil, nil
	case *stsapi.AssumeRoleRequest: // codes are looked at before policies are asked
		r.SerialNumber, r.TokenCode = nil, nil
	case *stsapi.GetSessionTokenRequest:
		r.SerialNumber, r.TokenCode = nil, nil
	case *stsapi.GetWebIdentityTokenRequest:
		r.SigningAlgorithm = new("ES384")
	case *kmsapi.DecryptRequest:
		r.CiphertextBlob = []byte(known["ciphertext"])
	case *kmsapi.ReEncryptRequest:
		r.CiphertextBlob = []byte(known["ciphertext"])
	case *autoscalingapi.CreateAutoScalingGroupType:
		r.InstanceId, r.Tags = instance, nil
	case *autoscalingapi.GetPredictiveScalingForecastType:
		r.StartTime, r.EndTime = new(time.Now().Add(-time.Hour)), new(time.Now())
	case *kagimoriapi.PredictImpactRequest:
		r.Change.KeyId = new(known["KeyId"])
	}
}
