package ec2_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// A denial is a statement that denies an action on a condition key, a request that it is about and
// one that it is not about.
type denial struct {
	name, action, operator, key, value string
	denied, other                      any
}

// wantDenials fails unless each statement, besides one that allows everything, takes effect on the
// one request and not on the other.
func (h *house) wantDenials(tests []denial) {
	h.T.Helper()
	for n, tt := range tests {
		user := h.User(mine, fmt.Sprint("denied-", n), fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:%s","Resource":"*","Condition":{"%s":{"%s":"%s"}}}]}`, tt.action, tt.operator, tt.key, tt.value))
		if _, err := h.try(user, tt.denied); apierr.Code(err) != "UnauthorizedOperation" {
			h.T.Errorf("%s: %v", tt.name, err)
		}
		if _, err := h.try(user, tt.other); err != nil && apierr.Code(err) != "DryRunOperation" {
			h.T.Errorf("%s: the other request: %v", tt.name, err)
		}
	}
}

// dryLaunch is the dry run of a launch that differs from the usual.
func dryLaunch(change func(*ec2api.RunInstancesRequest)) *ec2api.RunInstancesRequest {
	in := runRequest()
	in.DryRun = new(true)
	change(in)
	return in
}

func TestLaunchIsDecidedOnTheTagsOfItsNetwork(t *testing.T) {
	h := newHouse(t)
	subnets := ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{}).Subnets
	group := *ask[ec2api.DescribeSecurityGroupsResult](h.desk, h.owner(), &ec2api.DescribeSecurityGroupsRequest{}).SecurityGroups[0].GroupId
	h.tag([]string{*subnets[0].SubnetId}, "net", "closed")
	h.tag([]string{group}, "kind", "legacy")
	in := func(n int) *ec2api.RunInstancesRequest {
		return dryLaunch(func(in *ec2api.RunInstancesRequest) { in.SubnetId = subnets[n].SubnetId })
	}
	var tests []denial
	for _, prefix := range []string{"aws", "ec2"} {
		tests = append(tests,
			denial{prefix + " subnet", "RunInstances", "StringEquals", prefix + ":ResourceTag/net", "closed", in(0), in(1)},
			denial{prefix + " group", "RunInstances", "StringEquals", prefix + ":ResourceTag/kind", "legacy", in(0), &ec2api.DescribeInstancesRequest{}})
	}
	id := h.run(h.owner())
	tests = append(tests, denial{"group of an instance", "ModifyInstanceAttribute", "StringEquals", "aws:ResourceTag/kind", "legacy",
		&ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, Groups: []string{group}},
		&ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, DisableApiStop: &ec2api.AttributeBooleanValue{Value: new(false)}}})
	h.wantDenials(tests)
}

func TestTaggingIsDecidedOnWhatIsKnownOfVolumes(t *testing.T) {
	h := newHouse(t)
	plain := h.filled(h.owner(), "", "text")
	snapshot := h.snapshot(h.owner(), plain)
	made := *ask[ec2api.Volume](h.desk, h.owner(), &ec2api.CreateVolumeRequest{
		AvailabilityZone: new(region + "a"), SnapshotId: &snapshot, Size: new(int32(8)), VolumeType: new("gp3"), Iops: new(int32(4000)), Throughput: new(int32(250)),
	}).VolumeId
	h.Advance(time.Second)
	on := func(id string) *ec2api.CreateTagsRequest {
		return &ec2api.CreateTagsRequest{Resources: []string{id}, Tags: tagList("a", "b")}
	}
	h.wantDenials([]denial{
		{"parent", "CreateTags", "ArnLike", "ec2:ParentSnapshot", "arn:*:*:*:*:*/" + snapshot, on(made), on(plain)},
		{"iops", "CreateTags", "NumericGreaterThan", "ec2:VolumeIops", "3000", on(made), on(plain)},
		{"throughput", "CreateTags", "NumericGreaterThan", "ec2:VolumeThroughput", "125", on(made), on(plain)},
	})
}

func TestTaggingIsDecidedOnWhatIsKnownOfInterfaces(t *testing.T) {
	h := newHouse(t)
	eni := func() (string, string) {
		i := h.instance(h.run(h.owner()))
		return *i.NetworkInterfaces[0].NetworkInterfaceId, *i.SubnetId
	}
	one, subnet := eni()
	two, _ := eni()
	h.tag([]string{one}, "kind", "core")
	on := func(id string) *ec2api.CreateTagsRequest {
		return &ec2api.CreateTagsRequest{Resources: []string{id}, Tags: tagList("a", "b")}
	}
	h.wantDenials([]denial{
		{"id", "CreateTags", "StringEquals", "ec2:NetworkInterfaceID", one, on(one), on(two)},
		{"tag", "CreateTags", "StringEquals", "ec2:ResourceTag/kind", "core", on(one), on(two)},
		{"subnet", "CreateTags", "ArnLike", "ec2:Subnet", "arn:*:*:*:*:*/" + subnet, on(one), on(subnet)},
		{"zone", "CreateTags", "StringLike", "ec2:AvailabilityZone", region + "?", on(one), on(h.vpc())},
		{"VPC", "CreateTags", "ArnLike", "ec2:Vpc", "arn:*:*:*:*:*", on(one), on(h.vpc())},
	})
}

func TestDeletedTagsAreDecidedByTheValuesGiven(t *testing.T) {
	h := newHouse(t)
	remove := func(tags ...ec2api.Tag) *ec2api.DeleteTagsRequest {
		return &ec2api.DeleteTagsRequest{Resources: []string{h.vpc()}, Tags: tags}
	}
	prod, test, all := tagList("stage", "prod"), tagList("stage", "test"), []ec2api.Tag{{Key: new("stage")}}
	h.wantDenials([]denial{
		{"value", "DeleteTags", "StringEquals", "aws:RequestTag/stage", "prod", remove(prod...), remove(test...)},
		{"no value", "DeleteTags", "Null", "aws:RequestTag/stage", "true", remove(all...), remove(test...)},
		{"keys of both", "DeleteTags", "ForAnyValue:StringEquals", "aws:TagKeys", "stage", remove(tagList("a", "b")[0], all[0]), remove(tagList("a", "b")...)},
	})
}

func TestInstancesAreDecidedOnTheirRecovery(t *testing.T) {
	h := newHouse(t)
	off := &ec2api.InstanceMaintenanceOptionsRequest{AutoRecovery: new("disabled")}
	in := runRequest()
	in.MaintenanceOptions = off
	still := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	template := h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"),
		MaintenanceOptions: &ec2api.LaunchTemplateInstanceMaintenanceOptionsRequest{AutoRecovery: new("disabled")},
	})
	byTemplate := fromTemplate(template)
	byTemplate.DryRun = new(true)
	usual := h.run(h.owner())
	if got := h.instance(still); *got.MaintenanceOptions.AutoRecovery != "disabled" {
		t.Errorf("%+v", got.MaintenanceOptions)
	}
	launch := dryLaunch(func(in *ec2api.RunInstancesRequest) { in.MaintenanceOptions = off })
	plain := dryLaunch(func(*ec2api.RunInstancesRequest) {})
	reboot := func(id string) *ec2api.RebootInstancesRequest {
		return &ec2api.RebootInstancesRequest{InstanceIds: []string{id}, DryRun: new(true)}
	}
	const key = "ec2:InstanceAutoRecovery"
	h.wantDenials([]denial{
		{"launch", "RunInstances", "StringEquals", key, "disabled", launch, plain},
		{"launch of a template", "RunInstances", "StringEquals", key, "disabled", byTemplate, plain},
		{"launch with the default", "RunInstances", "StringEquals", key, "default", plain, launch},
		{"instance", "RebootInstances", "StringEquals", key, "disabled", reboot(still), reboot(usual)},
	})
}

func TestLaunchIsDecidedOnThePublicAddressAskedFor(t *testing.T) {
	h := newHouse(t)
	with := func(public *bool) *ec2api.RunInstancesRequest {
		return dryLaunch(func(in *ec2api.RunInstancesRequest) {
			in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), AssociatePublicIpAddress: public}}
		})
	}
	byTemplate := fromTemplate(h.template(&ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"),
		NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: new(int32(0)), AssociatePublicIpAddress: new(true)}},
	}))
	byTemplate.DryRun = new(true)
	const key = "ec2:AssociatePublicIpAddress"
	h.wantDenials([]denial{
		{"public", "RunInstances", "Bool", key, "true", with(new(true)), with(new(false))},
		{"private", "RunInstances", "Bool", key, "false", with(new(false)), with(nil)},
		{"said", "RunInstances", "Null", key, "false", with(new(true)), with(nil)},
		{"by the template", "RunInstances", "Bool", key, "true", byTemplate, with(nil)},
	})
}

// Of attributes that are texts the value is known, of permissions only the name.
func TestImagesAreDecidedOnTheAttributeChanged(t *testing.T) {
	h := newHouse(t)
	snapshot := h.snapshot(h.owner(), h.filled(h.owner(), "", "text"))
	image := *ask[ec2api.RegisterImageResult](h.desk, h.owner(), &ec2api.RegisterImageRequest{
		Name: new("own"), RootDeviceName: new(rootDevice), Architecture: new("x86_64"), VirtualizationType: new("hvm"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: &snapshot}}},
	}).ImageId
	describe := func(text string) *ec2api.ModifyImageAttributeRequest {
		return &ec2api.ModifyImageAttributeRequest{ImageId: &image, Description: &ec2api.AttributeValue{Value: &text}}
	}
	share := &ec2api.ModifyImageAttributeRequest{ImageId: &image, Attribute: new("launchPermission"), OperationType: new("add"), UserIds: []string{theirs}}
	h.wantDenials([]denial{
		{"text", "ModifyImageAttribute", "StringEquals", "ec2:Attribute/Description", "secret", describe("secret"), describe("open")},
		{"older form", "ModifyImageAttribute", "StringEquals", "ec2:Attribute/Description", "secret",
			&ec2api.ModifyImageAttributeRequest{ImageId: &image, Attribute: new("description"), Value: new("secret")}, share},
		{"any text", "ModifyImageAttribute", "Null", "ec2:Attribute/Description", "false", describe("x"), share},
		{"name", "ModifyImageAttribute", "StringEquals", "ec2:Attribute", "LaunchPermission", share, describe("x")},
	})
}
