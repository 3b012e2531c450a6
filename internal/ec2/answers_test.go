package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// Programs read these members of every answer: AWS always gives them.
func TestAnswersHaveWhatAWSAlwaysGives(t *testing.T) {
	h := newHouse(t)
	img := imageNamed(h, "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64")
	if *img.BootMode != "uefi-preferred" || !*img.FreeTierEligible {
		t.Errorf("the image boots by %s, eligible %t", *img.BootMode, *img.FreeTierEligible)
	}
	out := ask[ec2api.Reservation](h.desk, h.owner(), &ec2api.RunInstancesRequest{ImageId: img.ImageId, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: new("t3.micro")})
	h.Advance(5 * time.Second)
	i := h.instance(*out.Instances[0].InstanceId)
	if *i.BootMode != "uefi-preferred" || *i.CurrentInstanceBootMode != "uefi" || *i.NetworkPerformanceOptions.BandwidthWeighting != "default" ||
		*i.Operator.Managed || *i.Operator.HiddenByDefault || i.SecondaryInterfaces == nil || *i.NetworkInterfaces[0].Operator.Managed ||
		*i.BlockDeviceMappings[0].Ebs.EbsCardIndex != 0 {
		t.Errorf("the instance is shown as %+v", i)
	}
	made := *ask[ec2api.CreateImageResult](h.desk, h.owner(), &ec2api.CreateImageRequest{InstanceId: i.InstanceId, Name: new("golden")}).ImageId
	if got := h.image(h.owner(), made); *got.SourceImageId != *img.ImageId || *got.SourceImageRegion != region || *got.BootMode != "uefi-preferred" || *got.FreeTierEligible {
		t.Errorf("an image of the instance is shown as %+v", got)
	}
	status := ask[ec2api.DescribeInstanceStatusResult](h.desk, h.owner(), &ec2api.DescribeInstanceStatusRequest{}).InstanceStatuses[0]
	face := ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{}).NetworkInterfaces[0]
	if *status.Operator.Managed || *face.Operator.Managed {
		t.Errorf("managed: %+v, %+v", status, face)
	}
	v := ask[ec2api.DescribeVolumesResult](h.desk, h.owner(), &ec2api.DescribeVolumesRequest{}).Volumes[0]
	health := ask[ec2api.DescribeVolumeStatusResult](h.desk, h.owner(), &ec2api.DescribeVolumeStatusRequest{}).VolumeStatuses[0]
	if *v.Operator.Managed || *v.Attachments[0].EbsCardIndex != 0 || *health.Operator.Managed || *health.AttachmentStatuses[0].InstanceId != *i.InstanceId {
		t.Errorf("the volume is shown as %+v, %+v", v, health)
	}
	vpc := ask[ec2api.DescribeVpcsResult](h.desk, h.owner(), &ec2api.DescribeVpcsRequest{}).Vpcs[0]
	net := ask[ec2api.DescribeSubnetsResult](h.desk, h.owner(), &ec2api.DescribeSubnetsRequest{}).Subnets[0]
	if *vpc.BlockPublicAccessStates.InternetGatewayBlockMode != "off" || *net.BlockPublicAccessStates.InternetGatewayBlockMode != "off" {
		t.Errorf("block public access: %+v, %+v", vpc, net)
	}
}

// An instance that is built on Xen boots by BIOS whatever its image would rather have.
func TestBootModeIsOfTheTypeToo(t *testing.T) {
	h := newHouse(t)
	img := imageNamed(h, "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64")
	out := ask[ec2api.Reservation](h.desk, h.owner(), &ec2api.RunInstancesRequest{ImageId: img.ImageId, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: new("t2.micro")})
	if i := out.Instances[0]; *i.BootMode != "uefi-preferred" || *i.CurrentInstanceBootMode != "legacy-bios" {
		t.Errorf("a t2.micro boots by %s (%s)", *i.CurrentInstanceBootMode, *i.BootMode)
	}
}

func imageNamed(h *house, name string) ec2api.Image {
	h.T.Helper()
	return ask[ec2api.DescribeImagesResult](h.desk, h.owner(), &ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("name", name)}}).Images[0]
}

func TestSnapshotsSayWhenTheyWereCompleted(t *testing.T) {
	h := newHouse(t)
	id := h.snapshot(h.owner(), h.filled(h.owner(), "", "text"))
	first := h.snapshotNow(h.owner(), id)
	copied := *ask[ec2api.CopySnapshotResult](h.desk, h.owner(), &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &id}).SnapshotId
	h.Advance(5 * time.Second)
	second := h.snapshotNow(h.owner(), copied)
	if first.CompletionTime == nil || first.CompletionTime.Before(*first.StartTime) || first.TransferType != nil {
		t.Errorf("a snapshot: %+v", first)
	}
	if second.CompletionTime == nil || second.TransferType == nil || *second.TransferType != "standard" {
		t.Errorf("a copy: %+v", second)
	}
}

// Each request for a Spot Instance tells what it launches, whoever made it.
func TestSpotRequestsTellTheLaunch(t *testing.T) {
	h := newHouse(t)
	group := *ask[ec2api.CreateSecurityGroupResult](h.desk, h.owner(), &ec2api.CreateSecurityGroupRequest{GroupName: new("web"), Description: new("d")}).GroupId
	h.launched(&ec2api.RunInstancesRequest{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)), SecurityGroupIds: []string{group},
		InstanceMarketOptions: &ec2api.InstanceMarketOptionsRequest{MarketType: new("spot")},
	})
	ask[ec2api.RequestSpotInstancesResult](h.desk, h.owner(), &ec2api.RequestSpotInstancesRequest{LaunchSpecification: &ec2api.RequestSpotLaunchSpecification{
		ImageId: new(exampleImage), InstanceType: new("t3.micro"), SecurityGroupIds: []string{group},
	}})
	in := &ec2api.DescribeSpotInstanceRequestsRequest{Filters: []ec2api.Filter{filter("launch.image-id", exampleImage), filter("launch.group-name", "web")}}
	found := ask[ec2api.DescribeSpotInstanceRequestsResult](h.desk, h.owner(), in).SpotInstanceRequests
	if len(found) != 2 {
		t.Fatalf("found %d requests", len(found))
	}
	for _, r := range found {
		if l := r.LaunchSpecification; *l.InstanceType != "t3.micro" || *l.SecurityGroups[0].GroupId != group || *l.SecurityGroups[0].GroupName != "web" || *l.Monitoring.Enabled {
			t.Errorf("it launches %+v", l)
		}
	}
}
