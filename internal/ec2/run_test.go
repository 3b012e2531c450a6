package ec2_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/secret"
)

// template makes a launch template and returns its id.
func (h *house) template(data *ec2api.RequestLaunchTemplateData) string {
	h.T.Helper()
	out := ask[ec2api.CreateLaunchTemplateResult](h.desk, h.owner(), &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new(fmt.Sprint("template-", time.Now().UnixNano())), LaunchTemplateData: data,
	})
	return *out.LaunchTemplate.LaunchTemplateId
}

func fromTemplate(id string) *ec2api.RunInstancesRequest {
	return &ec2api.RunInstancesRequest{
		MinCount: new(int32(1)), MaxCount: new(int32(1)), LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateId: &id},
	}
}

// The subnet of a request, by which Auto Scaling places instances, goes before the zone of a template, and is that of all
// its network interfaces that have none.
func TestTheSubnetOfARequestIsThatOfTheTemplatesInterfaces(t *testing.T) {
	h := newHouse(t)
	p := h.opened()
	other := *h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet}).NetworkInterfaceId
	face := func(i int32) ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
		return ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{DeviceIndex: &i, Description: new(fmt.Sprint("eth", i))}
	}
	kept := ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{DeviceIndex: new(int32(2)), NetworkInterfaceId: &other}
	id := h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("m5.large"), Placement: &ec2api.LaunchTemplatePlacementRequest{AvailabilityZone: new(h.elsewhere(p.subnet))},
		NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{face(0), face(1), kept},
	})
	in := fromTemplate(id)
	in.SubnetId = &p.subnet
	made := ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0]
	if *made.SubnetId != p.subnet || len(made.NetworkInterfaces) != 3 {
		t.Fatalf("instance %+v", made)
	}
	for _, n := range made.NetworkInterfaces {
		if *n.SubnetId != p.subnet {
			t.Errorf("interface %s is in %s", *n.Description, *n.SubnetId)
		}
	}
}

// elsewhere is an Availability Zone that a subnet is not in.
func (h *house) elsewhere(subnet string) string {
	h.T.Helper()
	zone := *ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{SubnetIds: []string{subnet}}).Subnets[0].AvailabilityZone
	for _, z := range ask[ec2api.DescribeAvailabilityZonesResult](h.desk, h.owner(), &ec2api.DescribeAvailabilityZonesRequest{}).AvailabilityZones {
		if *z.ZoneName != zone {
			return *z.ZoneName
		}
	}
	h.T.Fatal("there is one zone")
	return ""
}

func tagValue(tags []ec2api.Tag, key string) string {
	for _, t := range tags {
		if *t.Key == key {
			return *t.Value
		}
	}
	return ""
}

func TestALaunchMergesTemplateImageAndRequest(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"), UserData: new(secret.String("ZWNobw==")),
		BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: new(rootDevice), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{Encrypted: new(true), KmsKeyId: &key}},
			{DeviceName: new("/dev/sdf"), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: new(int32(1)), VolumeType: new("gp3")}},
			{DeviceName: new("/dev/sdg"), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: new(int32(2))}},
		},
		TagSpecifications: []ec2api.LaunchTemplateTagSpecificationRequest{
			{ResourceType: new("instance"), Tags: tagList("Name", "template", "Team", "a")},
			{ResourceType: new("volume"), Tags: tagList("Disk", "yes")},
		},
	})
	in := fromTemplate(id)
	in.InstanceType = new("t3.small")
	in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{
		{DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(3))}},
		{DeviceName: new("/dev/sdg"), NoDevice: new("")},
	}
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tagList("Name", "request")}}
	i := ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0]
	if *i.InstanceType != "t3.small" || *i.ImageId != exampleImage {
		t.Errorf("%s of %s", *i.InstanceType, *i.ImageId)
	}
	for key, want := range map[string]string{
		"Name": "request", "Team": "a", "aws:ec2launchtemplate:id": id, "aws:ec2launchtemplate:version": "1",
	} {
		if got := tagValue(i.Tags, key); got != want {
			t.Errorf("tag %s is %q, want %q", key, got, want)
		}
	}
	h.Advance(2 * time.Second)
	h.wantState(*i.InstanceId, "running")
	root := h.volumeOn(*i.InstanceId, rootDevice)
	if *root.KmsKeyId != key || *root.SnapshotId == "" || *root.Size != 8 || tagValue(root.Tags, "Disk") != "yes" ||
		!*root.Attachments[0].DeleteOnTermination {
		t.Errorf("root: %+v", root)
	}
	if f := h.volumeOn(*i.InstanceId, "/dev/sdf"); *f.Size != 3 || *f.VolumeType != "gp2" || *f.Encrypted || !*f.Attachments[0].DeleteOnTermination {
		t.Errorf("/dev/sdf is the request's, not the template's: %+v", f)
	}
	if n := len(h.volumes()); n != 2 {
		t.Errorf("%d volumes", n)
	}
	data := ask[ec2api.InstanceAttribute](h.desk, h.owner(), &ec2api.DescribeInstanceAttributeRequest{InstanceId: i.InstanceId, Attribute: new("userData")})
	if api.Val(data.UserData.Value) != "ZWNobw==" {
		t.Errorf("user data %q", api.Val(data.UserData.Value))
	}
}

// TestInterfacesOfATemplate: a group places instances of such a template by a subnet of its own.
func TestInterfacesOfATemplate(t *testing.T) {
	h := newHouse(t)
	subnets := ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{}).Subnets
	groups := ask[ec2api.DescribeSecurityGroupsResult](h.desk, h.owner(), &ec2api.DescribeSecurityGroupsRequest{}).SecurityGroups
	in := fromTemplate(h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"),
		NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{
			DeviceIndex: new(int32(0)), SubnetId: subnets[0].SubnetId, Groups: []string{*groups[0].GroupId},
		}},
	}))
	if i := ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0]; *i.SubnetId != *subnets[0].SubnetId || *i.SecurityGroups[0].GroupId != *groups[0].GroupId {
		t.Errorf("%s, %v", *i.SubnetId, i.SecurityGroups)
	}
	in.SubnetId = subnets[1].SubnetId
	i := ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0]
	if *i.SubnetId != *subnets[1].SubnetId || *i.Placement.AvailabilityZone != *subnets[1].AvailabilityZone {
		t.Errorf("%s", *i.SubnetId)
	}
	own := runRequest()
	own.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), SubnetId: subnets[1].SubnetId}}
	if i := ask[ec2api.Reservation](h.desk, h.owner(), own).Instances[0]; *i.SubnetId != *subnets[1].SubnetId {
		t.Errorf("%s", *i.SubnetId)
	}
	own.SubnetId = subnets[1].SubnetId
	h.refuse(h.owner(), own, "InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
}

func TestEncryptionByDefaultReachesPlainImages(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	ask[ec2api.EnableEbsEncryptionByDefaultResult](h.desk, h.owner(), &ec2api.EnableEbsEncryptionByDefaultRequest{})
	ask[ec2api.ModifyEbsDefaultKmsKeyIdResult](h.desk, h.owner(), &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &key})
	id := h.run(h.owner())
	h.wantState(id, "running")
	if v := h.volumeOn(id, rootDevice); !*v.Encrypted || *v.KmsKeyId != key {
		t.Errorf("%+v", v)
	}
}

func TestAClientTokenLaunchesOnce(t *testing.T) {
	h := newHouse(t)
	in := runRequest()
	in.ClientToken, in.MaxCount = new("token"), new(int32(3))
	first := ask[ec2api.Reservation](h.desk, h.owner(), in)
	if len(first.Instances) != 3 || *first.Instances[2].AmiLaunchIndex != 2 {
		t.Fatalf("%d instances", len(first.Instances))
	}
	second := ask[ec2api.Reservation](h.desk, h.owner(), in)
	if *second.ReservationId != *first.ReservationId || len(second.Instances) != 3 {
		t.Error("the token launched again")
	}
	other := runRequest()
	other.ClientToken, other.InstanceType = new("token"), new("t3.small")
	h.refuse(h.owner(), other, "IdempotentParameterMismatch", "*")
	secretly := runRequest()
	secretly.ClientToken, secretly.UserData = new("secret"), new(secret.String("YQ=="))
	ask[ec2api.Reservation](h.desk, h.owner(), secretly)
	secretly.UserData = new(secret.String("Yg=="))
	h.refuse(h.owner(), secretly, "IdempotentParameterMismatch", "*")
	var ids []string
	addresses := map[string]bool{}
	for _, i := range first.Instances {
		ids = append(ids, *i.InstanceId)
		addresses[*i.PrivateIpAddress] = true
	}
	if len(addresses) != 3 {
		t.Errorf("addresses: %v", addresses)
	}
	h.Advance(2 * time.Second)
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: ids})
	h.Advance(time.Second)
	h.refuse(h.owner(), in, "IdempotentInstanceTerminated", "*")
}

func TestRunInstancesRefusals(t *testing.T) {
	h := newHouse(t)
	size := func(n int32) *ec2api.EbsBlockDevice { return &ec2api.EbsBlockDevice{VolumeSize: &n} }
	tests := []struct {
		name          string
		change        func(*ec2api.RunInstancesRequest)
		code, message string
	}{
		{"no image", func(in *ec2api.RunInstancesRequest) { in.ImageId = nil }, "MissingParameter", "The request must contain the parameter ImageId"},
		{"unknown image", func(in *ec2api.RunInstancesRequest) { in.ImageId = new("ami-0123456789abcdef0") }, "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist"},
		{"unknown type", func(in *ec2api.RunInstancesRequest) { in.InstanceType = new("t3.pico") }, "InvalidParameterValue", "Invalid value 't3.pico' for InstanceType."},
		{"wrong architecture", func(in *ec2api.RunInstancesRequest) { in.InstanceType = new("t4g.micro") }, "InvalidParameterValue", "*"},
		{"more least than most", func(in *ec2api.RunInstancesRequest) { in.MinCount = new(int32(2)) }, "InvalidParameterCombination", "*"},
		{"too many", func(in *ec2api.RunInstancesRequest) { in.MinCount, in.MaxCount = new(int32(5001)), new(int32(5001)) }, "InstanceLimitExceeded", "*"},
		{"profile", func(in *ec2api.RunInstancesRequest) {
			in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Name: new("none")}
		}, "InvalidParameterValue", "Value (none) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"},
		{"user data that is no base64", func(in *ec2api.RunInstancesRequest) { in.UserData = new(secret.String("#!/bin/sh")) },
			"InvalidParameterValue", "Invalid BASE64 encoding of user data"},
		{"key pair", func(in *ec2api.RunInstancesRequest) { in.KeyName = new("me") }, "InvalidKeyPair.NotFound", "The key pair 'me' does not exist"},
		{"unknown subnet", func(in *ec2api.RunInstancesRequest) { in.SubnetId = new("subnet-0123456789abcdef0") }, "InvalidSubnetID.NotFound", "*"},
		{"address elsewhere", func(in *ec2api.RunInstancesRequest) { in.PrivateIpAddress = new("10.0.0.1") }, "InvalidParameterValue", "Address 10.0.0.1 does not fall within the subnet's address range"},
		{"unknown group", func(in *ec2api.RunInstancesRequest) { in.SecurityGroupIds = []string{"sg-0123456789abcdef0"} }, "InvalidGroup.NotFound", "*"},
		{"key without Encrypted", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{KmsKeyId: new("alias/x")}}}
		}, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."},
		{"Encrypted with a named snapshot", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsBlockDevice{
				SnapshotId: h.rootSnapshot(), Encrypted: new(true),
			}}}
		}, "InvalidBlockDeviceMapping", "the encrypted flag cannot be specified since device /dev/sdf has a snapshot specified."},
		{"a hard disk to boot from", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{VolumeType: new("sc1"), VolumeSize: new(int32(500))}}}
		}, "InvalidBlockDeviceMapping", "Volumes of type sc1 cannot be used as root volume."},
		{"smaller than its snapshot", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: size(1)}}
		}, "InvalidBlockDeviceMapping", "*"},
		{"no size", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsBlockDevice{}}}
		}, "MissingParameter", "The request must contain the parameter size or snapshotId"},
		{"no root", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), NoDevice: new("")}}
		}, "InvalidBlockDeviceMapping", "*"},
		{"capacity block", func(in *ec2api.RunInstancesRequest) {
			in.InstanceMarketOptions = &ec2api.InstanceMarketOptionsRequest{MarketType: new("capacity-block")}
		}, "UnsupportedOperation", "*"},
		{"unknown template", func(in *ec2api.RunInstancesRequest) {
			in.LaunchTemplate = &ec2api.LaunchTemplateSpecification{LaunchTemplateId: new("lt-0123456789abcdef0")}
		}, "InvalidLaunchTemplateId.NotFound", "*"},
		{"aws tags", func(in *ec2api.RunInstancesRequest) {
			in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tagList("aws:x", "y")}}
		}, "InvalidParameterValue", "*"},
		{"cores without threads", func(in *ec2api.RunInstancesRequest) {
			in.CpuOptions = &ec2api.CpuOptionsRequest{CoreCount: new(int32(1))}
		},
			"InvalidParameterCombination", "*"},
		{"more cores than the type has", func(in *ec2api.RunInstancesRequest) {
			in.CpuOptions = &ec2api.CpuOptionsRequest{CoreCount: new(int32(2)), ThreadsPerCore: new(int32(1))}
		}, "InvalidParameterValue", "*"},
		{"a hop limit of 65", func(in *ec2api.RunInstancesRequest) {
			in.MetadataOptions = &ec2api.InstanceMetadataOptionsRequest{HttpPutResponseHopLimit: new(int32(65))}
		}, "InvalidParameterValue", "*"},
		{"credits of no kind", func(in *ec2api.RunInstancesRequest) {
			in.CreditSpecification = &ec2api.CreditSpecificationRequest{CpuCredits: new("many")}
		}, "InvalidParameterValue", "*"},
		{"a device twice", func(in *ec2api.RunInstancesRequest) {
			in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{encrypted("/dev/sdf", ""), encrypted("/dev/sdf", "")}
		}, "InvalidBlockDeviceMapping", "*"},
		{"a capacity reservation", func(in *ec2api.RunInstancesRequest) {
			in.CapacityReservationSpecification = &ec2api.CapacityReservationSpecification{CapacityReservationTarget: &ec2api.CapacityReservationTarget{CapacityReservationId: new("cr-1")}}
		}, "InvalidCapacityReservationId.NotFound", "*"},
		{"dry run", func(in *ec2api.RunInstancesRequest) { in.DryRun = new(true) }, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
	}
	for _, tt := range tests {
		in := runRequest()
		tt.change(in)
		t.Log(tt.name)
		h.refuse(h.owner(), in, tt.code, tt.message)
	}
	if out := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{}); len(out.Reservations) != 0 {
		t.Errorf("%d reservations", len(out.Reservations))
	}
	// What Terraform sends where it means nothing.
	in := runRequest()
	in.Placement, in.EbsOptimized = &ec2api.Placement{AvailabilityZone: new("")}, new(false)
	in.HibernationOptions = &ec2api.HibernationOptionsRequest{Configured: new(false)}
	in.PrivateDnsNameOptions = &ec2api.PrivateDnsNameOptionsRequest{HostnameType: new("resource-name"), EnableResourceNameDnsARecord: new(true)}
	in.CapacityReservationSpecification = &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new("none")}
	i := ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0]
	if n := i.PrivateDnsNameOptions; *n.HostnameType != "resource-name" || !*n.EnableResourceNameDnsARecord || *n.EnableResourceNameDnsAAAARecord ||
		*i.PrivateDnsName != *i.InstanceId+"."+region+".compute.internal" || *i.CapacityReservationSpecification.CapacityReservationPreference != "none" {
		t.Errorf("%+v %s", n, *i.PrivateDnsName)
	}
}

// rootSnapshot is the snapshot of the example image.
func (h *house) rootSnapshot() *string {
	h.T.Helper()
	out := ask[ec2api.DescribeImagesResult](h.desk, h.owner(), &ec2api.DescribeImagesRequest{ImageIds: []string{exampleImage}})
	return out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
}

// TestRunInstancesIsDecidedOnEverythingItTouches: an allow-all with one condition on one kind of
// resource refuses exactly the launches that it is about.
func TestRunInstancesIsDecidedOnEverythingItTouches(t *testing.T) {
	h := newHouse(t)
	template := h.template(&ec2api.RequestLaunchTemplateData{ImageId: new(exampleImage), InstanceType: new("t3.micro")})
	arnOf := func(kind string) string { return "arn:aws:ec2:" + region + ":" + mine + ":" + kind }
	fine := func() *ec2api.RunInstancesRequest {
		in := fromTemplate(template)
		in.BlockDeviceMappings = []ec2api.BlockDeviceMapping{encrypted(rootDevice, "")}
		in.TagSpecifications = []ec2api.TagSpecification{
			{ResourceType: new("instance"), Tags: tagList("Team", "a")}, {ResourceType: new("volume"), Tags: tagList("Team", "a")},
		}
		in.DryRun = new(true)
		return in
	}
	tests := []struct {
		name, resource, operator, key, value string
		bad                                  func(*ec2api.RunInstancesRequest) // nil: nothing makes it bad
	}{
		{"volumes must be encrypted", arnOf("volume/*"), "Bool", "ec2:Encrypted", "true",
			func(in *ec2api.RunInstancesRequest) { in.BlockDeviceMappings = nil }},
		{"volume size", arnOf("volume/*"), "NumericLessThanEquals", "ec2:VolumeSize", "8",
			func(in *ec2api.RunInstancesRequest) { in.BlockDeviceMappings[0].Ebs.VolumeSize = new(int32(9)) }},
		{"volume type", arnOf("volume/*"), "StringEquals", "ec2:VolumeType", "gp2",
			func(in *ec2api.RunInstancesRequest) { in.BlockDeviceMappings[0].Ebs.VolumeType = new("gp3") }},
		{"parent snapshot", arnOf("volume/*"), "ArnLike", "ec2:ParentSnapshot", "arn:aws:ec2:" + region + "::snapshot/snap-*",
			func(in *ec2api.RunInstancesRequest) {
				in.BlockDeviceMappings = append(in.BlockDeviceMappings, encrypted("/dev/sdf", ""))
			}},
		{"instance type", arnOf("instance/*"), "StringEquals", "ec2:InstanceType", "t3.micro",
			func(in *ec2api.RunInstancesRequest) { in.InstanceType = new("t3.small") }},
		{"the type comes from the template", arnOf("instance/*"), "Bool", "ec2:IsLaunchTemplateResource", "true",
			func(in *ec2api.RunInstancesRequest) { in.InstanceType = new("t3.small") }},
		{"a template is used", arnOf("instance/*"), "ArnLike", "ec2:LaunchTemplate", arnOf("launch-template/lt-*"),
			func(in *ec2api.RunInstancesRequest) {
				in.LaunchTemplate, in.ImageId, in.InstanceType = nil, new(exampleImage), new("t3.micro")
			}},
		{"owner of the image", "arn:aws:ec2:" + region + "::image/*", "StringEquals", "ec2:Owner", "amazon", nil},
		{"request tags", arnOf("instance/*"), "StringEquals", "aws:RequestTag/Team", "a",
			func(in *ec2api.RunInstancesRequest) { in.TagSpecifications[0].Tags = tagList("Team", "b") }},
		{"tags of volumes", arnOf("volume/*"), "ForAllValues:StringEquals", "aws:TagKeys", "Team",
			func(in *ec2api.RunInstancesRequest) { in.TagSpecifications[1].Tags = tagList("Other", "a") }},
		{"metadata tokens", arnOf("instance/*"), "StringEquals", "ec2:MetadataHttpTokens", "optional",
			func(in *ec2api.RunInstancesRequest) {
				in.MetadataOptions = &ec2api.InstanceMetadataOptionsRequest{HttpTokens: new("required")}
			}},
		{"the VPC", arnOf("subnet/*"), "ArnLike", "ec2:Vpc", arnOf("vpc/vpc-*"), nil},
		{"the subnet of the interface", arnOf("network-interface/*"), "ArnLike", "ec2:Subnet", arnOf("subnet/subnet-*"), nil},
		{"the zone", arnOf("instance/*"), "StringEquals", "ec2:AvailabilityZone", region + "a",
			func(in *ec2api.RunInstancesRequest) {
				in.Placement = &ec2api.Placement{AvailabilityZone: new(region + "b")}
			}},
		{"the region", arnOf("security-group/*"), "StringEquals", "ec2:Region", region, nil},
	}
	for n, tt := range tests {
		user := h.User(mine, fmt.Sprint("runner-", n), conditioned(tt.resource, tt.operator, tt.key, tt.value))
		t.Log(tt.name)
		h.refuse(user, fine(), "DryRunOperation", "*")
		if tt.bad != nil {
			in := fine()
			tt.bad(in)
			h.refuse(user, in, "UnauthorizedOperation", "*")
		}
	}
}

// conditioned allows RunInstances and its tags on everything, but on one kind of resource only
// under a condition.
func conditioned(resource, operator, key, value string) string {
	doc, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Effect": "Allow", "Action": "ec2:RunInstances", "NotResource": resource},
		map[string]any{"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": resource, "Condition": map[string]any{operator: map[string]string{key: value}}},
		map[string]any{"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*", "Condition": map[string]any{
			"StringEquals": map[string]string{"ec2:CreateAction": "RunInstances"},
		}},
	}})
	if err != nil {
		panic(err)
	}
	return string(doc)
}

func TestTaggingAtLaunchNeedsItsOwnPermission(t *testing.T) {
	h := newHouse(t)
	user := h.allowed("untagged", `"ec2:RunInstances"`, `"*"`, "")
	ask[ec2api.Reservation](h.desk, user, runRequest())
	in := runRequest()
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tagList("a", "b")}}
	h.refuse(user, in, "UnauthorizedOperation", "*")
}

// TestAnotherAccountsKey is the seed's second example: a grant on the foreign key to the launcher
// is what it takes.
func TestAnotherAccountsKey(t *testing.T) {
	h := newHouse(t)
	out, err := h.Invoke(t.Context(), h.root(theirs), kmsapi.Service(), h.kms.Operations(), "CreateKey", &kmsapi.CreateKeyRequest{
		Policy: new(`{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + theirs + `:root"},"Action":"kms:*","Resource":"*"},
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + mine + `:root"},"Action":"kms:CreateGrant","Resource":"*"}]}`)})
	h.Must(err)
	key := *out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
	scaling := h.scaling()
	failed := h.run(scaling, encrypted(rootDevice, key))
	h.wantState(failed, "terminated")
	_, err = h.Invoke(t.Context(), h.owner(), kmsapi.Service(), h.kms.Operations(), "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: &scaling.Principal.RoleARN,
		Operations: []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"},
	})
	h.Must(err)
	id := h.run(scaling, encrypted(rootDevice, key))
	h.wantState(id, "running")
	if v := h.volumeOn(id, rootDevice); *v.KmsKeyId != key {
		t.Errorf("%+v", v)
	}
}
