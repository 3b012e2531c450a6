package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// TestTheDefaultNetworkIsDescribed, as every client that launches something asks for it.
func TestTheDefaultNetworkIsDescribed(t *testing.T) {
	c, ctx := admin(t), t.Context()
	vpcs := must(c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: new("isDefault"), Values: []string{"true"}}}}))(t).Vpcs
	if len(vpcs) != 1 || !*vpcs[0].IsDefault || *vpcs[0].CidrBlock != "172.31.0.0/16" {
		t.Fatalf("VPCs %+v", vpcs)
	}
	of := []ec2types.Filter{{Name: new("vpc-id"), Values: []string{*vpcs[0].VpcId}}}
	zones := must(c.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{}))(t).AvailabilityZones
	subnets := must(c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: of}))(t).Subnets
	if len(subnets) != len(zones) || len(zones) == 0 {
		t.Errorf("%d subnets in %d zones", len(subnets), len(zones))
	}
	if groups := must(c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: of}))(t).SecurityGroups; len(groups) != 1 || *groups[0].GroupName != "default" {
		t.Errorf("groups %+v", groups)
	}
	if tables := must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: of}))(t).RouteTables; len(tables) != 1 || !*tables[0].Associations[0].Main {
		t.Errorf("route tables %+v", tables)
	}
	if acls := must(c.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: of}))(t).NetworkAcls; len(acls) != 1 || !*acls[0].IsDefault {
		t.Errorf("network ACLs %+v", acls)
	}
	gateways := must(c.ec2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: []ec2types.Filter{{Name: new("attachment.vpc-id"), Values: []string{*vpcs[0].VpcId}}}}))(t)
	if len(gateways.InternetGateways) != 1 {
		t.Errorf("gateways %+v", gateways.InternetGateways)
	}
	if r := must(c.ec2.DescribeRegions(ctx, &ec2.DescribeRegionsInput{RegionNames: []string{c.region}}))(t).Regions; len(r) != 1 || *r[0].RegionName != c.region {
		t.Errorf("Regions %+v", r)
	}
	found := false
	for _, a := range must(c.ec2.DescribeAccountAttributes(ctx, &ec2.DescribeAccountAttributesInput{AttributeNames: []ec2types.AccountAttributeName{ec2types.AccountAttributeNameDefaultVpc}}))(t).AccountAttributes {
		found = found || *a.AttributeName == "default-vpc" && *a.AttributeValues[0].AttributeValue == *vpcs[0].VpcId
	}
	if !found {
		t.Error("the account's attributes do not name its default VPC")
	}
	kind := must(c.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{"m5.large"}}))(t).InstanceTypes[0]
	if *kind.VCpuInfo.DefaultVCpus != 2 || *kind.MemoryInfo.SizeInMiB != 8192 || !*kind.HibernationSupported || kind.Hypervisor != ec2types.InstanceTypeHypervisorNitro {
		t.Errorf("m5.large is %+v", kind)
	}
	offers := must(c.ec2.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone, Filters: []ec2types.Filter{{Name: new("instance-type"), Values: []string{"m5.large"}}},
	}))(t).InstanceTypeOfferings
	if len(offers) != len(zones) {
		t.Errorf("%d offerings", len(offers))
	}
}

// TestAnInstanceIsDescribed in all the ways that there are.
func TestAnInstanceIsDescribed(t *testing.T) {
	c, ctx := admin(t), t.Context()
	id := c.runInstance(t)
	status := must(c.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}))(t).InstanceStatuses
	if len(status) != 1 || status[0].InstanceStatus.Status != ec2types.SummaryStatusOk || status[0].SystemStatus.Status != ec2types.SummaryStatusOk ||
		status[0].AttachedEbsStatus.Status != ec2types.SummaryStatusOk {
		t.Errorf("status %+v", status)
	}
	a := must(c.ec2.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: ec2types.InstanceAttributeNameInstanceType}))(t)
	if *a.InstanceType.Value != "t3.micro" {
		t.Errorf("type %+v", a.InstanceType)
	}
	credits := must(c.ec2.DescribeInstanceCreditSpecifications(ctx, &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: []string{id}}))(t).InstanceCreditSpecifications
	if len(credits) != 1 || *credits[0].CpuCredits != "unlimited" {
		t.Errorf("credits %+v", credits)
	}
	refused(c.ec2.GetInstanceUefiData(ctx, &ec2.GetInstanceUefiDataInput{InstanceId: &id}))(t, "UnsupportedOperation")
	nic := must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: new("attachment.instance-id"), Values: []string{id}}}}))(t).NetworkInterfaces
	if len(nic) != 1 || *nic[0].PrivateIpAddress != *c.instance(t, id).PrivateIpAddress {
		t.Errorf("network interfaces %+v", nic)
	}
	must(c.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: new("team"), Value: new("red")}}}))(t)
	if tags := c.instance(t, id).Tags; len(tags) != 1 || *tags[0].Value != "red" {
		t.Errorf("tags %+v", tags)
	}
	listed := must(c.ec2.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []ec2types.Filter{{Name: new("resource-id"), Values: []string{id}}}}))(t).Tags
	if len(listed) != 1 || listed[0].ResourceType != ec2types.ResourceTypeInstance || *listed[0].Key != "team" {
		t.Errorf("tags listed %+v", listed)
	}
	must(c.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: new("team")}}}))(t)
	if tags := c.instance(t, id).Tags; len(tags) != 0 {
		t.Errorf("tags are left: %+v", tags)
	}
	v := c.volumesOf(t, id)[0]
	health := must(c.ec2.DescribeVolumeStatus(ctx, &ec2.DescribeVolumeStatusInput{VolumeIds: []string{*v.VolumeId}}))(t).VolumeStatuses
	if len(health) != 1 || health[0].VolumeStatus.Status != ec2types.VolumeStatusInfoStatusOk {
		t.Errorf("volume status %+v", health)
	}
	sets := must(c.ec2.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: &id}, Description: new("all")}))(t).Snapshots
	if len(sets) != 1 || *sets[0].VolumeId != *v.VolumeId {
		t.Errorf("snapshots %+v", sets)
	}
	if f := must(c.ec2.DescribeFastSnapshotRestores(ctx, &ec2.DescribeFastSnapshotRestoresInput{}))(t).FastSnapshotRestores; len(f) != 0 {
		t.Errorf("fast restores %+v", f)
	}
}

// TestSharingIsDescribedAndReset, of images and snapshots.
func TestSharingIsDescribedAndReset(t *testing.T) {
	c, ctx := admin(t), t.Context()
	const other = "444455556666"
	id := c.runInstance(t)
	image := *must(c.ec2.CreateImage(ctx, &ec2.CreateImageInput{InstanceId: &id, Name: new("golden")}))(t).ImageId
	must(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &image, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: new(other)}}}}))(t)
	shares := func() []ec2types.LaunchPermission {
		return must(c.ec2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &image, Attribute: ec2types.ImageAttributeNameLaunchPermission}))(t).LaunchPermissions
	}
	if s := shares(); len(s) != 1 || *s[0].UserId != other {
		t.Errorf("image shared with %+v", s)
	}
	theirs := adminOf(c.url, other)
	must(theirs.ec2.CancelImageLaunchPermission(ctx, &ec2.CancelImageLaunchPermissionInput{ImageId: &image}))(t)
	if s := shares(); len(s) != 0 {
		t.Errorf("image shared still with %+v", s)
	}
	must(c.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &image, OperationType: ec2types.OperationTypeAdd, UserIds: []string{other}}))(t)
	must(c.ec2.ResetImageAttribute(ctx, &ec2.ResetImageAttributeInput{ImageId: &image, Attribute: ec2types.ResetImageAttributeNameLaunchPermission}))(t)
	if s := shares(); len(s) != 0 {
		t.Errorf("image shared still with %+v", s)
	}
	snapshot := *must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}}))(t).Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
	permission := ec2types.SnapshotAttributeNameCreateVolumePermission
	must(c.ec2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: &snapshot, Attribute: permission, OperationType: ec2types.OperationTypeAdd, UserIds: []string{other}}))(t)
	users := func() []ec2types.CreateVolumePermission {
		return must(c.ec2.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: &snapshot, Attribute: permission}))(t).CreateVolumePermissions
	}
	if u := users(); len(u) != 1 || *u[0].UserId != other {
		t.Errorf("snapshot shared with %+v", u)
	}
	must(c.ec2.ResetSnapshotAttribute(ctx, &ec2.ResetSnapshotAttributeInput{SnapshotId: &snapshot, Attribute: permission}))(t)
	if u := users(); len(u) != 0 {
		t.Errorf("snapshot shared still with %+v", u)
	}
	must(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &image}))(t)
	if left := must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{image}}))(t).Images; len(left) != 0 { // for a while, no error
		t.Errorf("a deregistered image is listed: %+v", left)
	}
	refused(c.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &image}))(t, "InvalidAMIID.Unavailable")
}

func TestLaunchTemplatesAreListedAndTheirDefaultChanges(t *testing.T) {
	c, ctx := admin(t), t.Context()
	c.template(t, "web")
	name := new("web")
	must(c.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: name, SourceVersion: new("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: ec2types.InstanceTypeM5Large},
	}))(t)
	if m := must(c.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateName: name, DefaultVersion: new("2")}))(t).LaunchTemplate; *m.DefaultVersionNumber != 2 {
		t.Errorf("template %+v", m)
	}
	all := must(c.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"web"}}))(t).LaunchTemplates
	if len(all) != 1 || *all[0].LatestVersionNumber != 2 || *all[0].DefaultVersionNumber != 2 {
		t.Errorf("templates %+v", all)
	}
}

// TestAnInstanceChangesItsProfile: associated, replaced and disassociated.
func TestAnInstanceChangesItsProfile(t *testing.T) {
	c, ctx := admin(t), t.Context()
	var specs []*ec2types.IamInstanceProfileSpecification
	for _, name := range []string{"one", "two"} {
		must(c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)}))(t)
		p := must(c.iam.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &name}))(t).InstanceProfile
		must(c.iam.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &name, RoleName: &name}))(t)
		specs = append(specs, &ec2types.IamInstanceProfileSpecification{Arn: p.Arn})
	}
	id := c.runInstance(t)
	made := must(c.ec2.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: specs[0]}))(t).IamInstanceProfileAssociation
	if *made.InstanceId != id || *made.IamInstanceProfile.Arn != *specs[0].Arn {
		t.Errorf("association %+v", made)
	}
	refused(c.ec2.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: specs[1]}))(t, "IncorrectState")
	changed := must(c.ec2.ReplaceIamInstanceProfileAssociation(ctx, &ec2.ReplaceIamInstanceProfileAssociationInput{AssociationId: made.AssociationId, IamInstanceProfile: specs[1]}))(t).IamInstanceProfileAssociation
	list := must(c.ec2.DescribeIamInstanceProfileAssociations(ctx, &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: []ec2types.Filter{{Name: new("instance-id"), Values: []string{id}}}}))(t).IamInstanceProfileAssociations
	if len(list) != 1 || *list[0].IamInstanceProfile.Arn != *specs[1].Arn || aws.ToString(list[0].AssociationId) != aws.ToString(changed.AssociationId) {
		t.Errorf("associations %+v", list)
	}
	must(c.ec2.DisassociateIamInstanceProfile(ctx, &ec2.DisassociateIamInstanceProfileInput{AssociationId: changed.AssociationId}))(t)
	if p := c.instance(t, id).IamInstanceProfile; p != nil {
		t.Errorf("the instance has still %+v", p)
	}
}

// TestAVolumeIsShared between two instances, each with a grant of its own, until the last lets go of it.
func TestAVolumeIsShared(t *testing.T) {
	c, ctx := admin(t), t.Context()
	key := c.key(t, "")
	v := *must(c.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: new("us-west-2a"), Size: new(int32(4)), VolumeType: ec2types.VolumeTypeIo2, Iops: new(int32(100)), MultiAttachEnabled: new(true), Encrypted: new(true), KmsKeyId: &key,
	}))(t).VolumeId
	c.awaitVolume(t, v)
	run := must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeM5Large, MinCount: new(int32(2)), MaxCount: new(int32(2)), Placement: &ec2types.Placement{AvailabilityZone: new("us-west-2a")},
	}))(t).Instances
	for _, i := range run {
		c.isRunning(t, *i.InstanceId)
		must(c.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &v, InstanceId: i.InstanceId, Device: new("/dev/sdf")}))(t)
	}
	shared := must(c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{v}}))(t).Volumes[0]
	if len(shared.Attachments) != 2 || shared.State != ec2types.VolumeStateInUse || len(c.grants(t, key)) != 2 {
		t.Errorf("volume %+v, %d grants", shared, len(c.grants(t, key)))
	}
	for n, i := range run {
		must(c.ec2.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &v, InstanceId: i.InstanceId}))(t)
		if g := c.grants(t, key); len(g) != 1-n {
			t.Errorf("%d grants after %d are detached", len(g), n+1)
		}
	}
	c.awaitVolume(t, v)
}

// TestAnInstanceHibernates and starts again.
func TestAnInstanceHibernates(t *testing.T) {
	c, ctx := admin(t), t.Context()
	in := &ec2.RunInstancesInput{
		ImageId: new(c.plainImage(t)), InstanceType: ec2types.InstanceTypeM5Large, MinCount: new(int32(1)), MaxCount: new(int32(1)), HibernationOptions: &ec2types.HibernationOptionsRequest{Configured: new(true)},
	}
	refused(c.ec2.RunInstances(ctx, in))(t, "UnsupportedHibernationConfiguration")
	in.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), VolumeSize: new(int32(20))}}}
	id := *must(c.ec2.RunInstances(ctx, in))(t).Instances[0].InstanceId
	c.isRunning(t, id)
	must(c.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}, Hibernate: new(true)}))(t)
	c.awaitInstance(t, id, ec2types.InstanceStateNameStopped)
	if r := c.instance(t, id).StateReason; *r.Code != "Client.UserInitiatedHibernate" {
		t.Errorf("reason %+v", *r.Code)
	}
	must(c.ec2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}}))(t)
	c.isRunning(t, id)
}
