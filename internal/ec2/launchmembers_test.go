package ec2_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// fastFace are the members of a network interface that are kept and shown, as a launch template has them.
func fastFace(index, card int32) ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
	return ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{
		DeviceIndex: &index, NetworkCardIndex: &card,
		ConnectionTrackingSpecification: &ec2api.ConnectionTrackingSpecificationRequest{TcpEstablishedTimeout: new(int32(600)), UdpTimeout: new(int32(45))},
		EnaSrdSpecification:             &ec2api.EnaSrdSpecificationRequest{EnaSrdEnabled: new(true), EnaSrdUdpSpecification: &ec2api.EnaSrdUdpSpecificationRequest{EnaSrdUdpEnabled: new(true)}},
	}
}

// TestALaunchIsHeardFromATemplate: what a template says of network interfaces, processors, bandwidth and volumes is what
// the instance has.
func TestALaunchIsHeardFromATemplate(t *testing.T) {
	h := newHouse(t)
	data := &ec2api.RequestLaunchTemplateData{
		ImageId: new(exampleImage), InstanceType: new("m8i.large"),
		NetworkInterfaces:         []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{fastFace(0, 0)},
		CpuOptions:                &ec2api.LaunchTemplateCpuOptionsRequest{NestedVirtualization: new("enabled")},
		NetworkPerformanceOptions: &ec2api.LaunchTemplateNetworkPerformanceOptionsRequest{BandwidthWeighting: new("vpc-1")},
		PrivateDnsNameOptions:     &ec2api.LaunchTemplatePrivateDnsNameOptionsRequest{HostnameType: new("resource-name"), EnableResourceNameDnsARecord: new(true)},
		BlockDeviceMappings: []ec2api.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: new(rootDevice), Ebs: &ec2api.LaunchTemplateEbsBlockDeviceRequest{VolumeInitializationRate: new(int32(200)), EbsCardIndex: new(int32(0))}},
		},
	}
	template := h.template(data)
	id := *ask[ec2api.Reservation](h.desk, h.owner(), fromTemplate(template)).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	i := h.instance(id)
	face := i.NetworkInterfaces[0]
	if *i.CpuOptions.NestedVirtualization != "enabled" || *i.NetworkPerformanceOptions.BandwidthWeighting != "vpc-1" || !strings.HasPrefix(*i.PrivateDnsName, id) ||
		*face.ConnectionTrackingConfiguration.TcpEstablishedTimeout != 600 || *face.ConnectionTrackingConfiguration.UdpTimeout != 45 || !*face.Attachment.EnaSrdSpecification.EnaSrdUdpSpecification.EnaSrdUdpEnabled {
		t.Errorf("instance %+v", i)
	}
	f := h.face(*face.NetworkInterfaceId)
	if *f.ConnectionTrackingConfiguration.TcpEstablishedTimeout != 600 || !*f.Attachment.EnaSrdSpecification.EnaSrdEnabled {
		t.Errorf("interface %+v", f)
	}
	if v := h.volumeOn(id, rootDevice); *v.VolumeInitializationRate != 200 {
		t.Errorf("volume %+v", v)
	}
	by := []ec2api.Filter{{Name: new("network-performance-options.bandwidth-weighting"), Values: []string{"vpc-1"}}}
	if out := ask[ec2api.DescribeInstancesResult](h.desk, h.owner(), &ec2api.DescribeInstancesRequest{Filters: by}); len(out.Reservations) != 1 {
		t.Errorf("the filter finds %+v", out)
	}
	shown := ask[ec2api.DescribeLaunchTemplateVersionsResult](h.desk, h.owner(), &ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateId: &template}).LaunchTemplateVersions[0].LaunchTemplateData
	if n := shown.NetworkInterfaces[0]; *n.ConnectionTrackingSpecification.UdpTimeout != 45 || !*n.EnaSrdSpecification.EnaSrdEnabled || *shown.BlockDeviceMappings[0].Ebs.VolumeInitializationRate != 200 {
		t.Errorf("template %+v", shown)
	}
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face.NetworkInterfaceId, ConnectionTrackingSpecification: &ec2api.ConnectionTrackingSpecificationRequest{UdpStreamTimeout: new(int32(90))}})
	h.done(&ec2api.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceId: face.NetworkInterfaceId, EnaSrdSpecification: &ec2api.EnaSrdSpecification{EnaSrdEnabled: new(false)}})
	if f = h.face(*f.NetworkInterfaceId); *f.ConnectionTrackingConfiguration.UdpStreamTimeout != 90 || f.ConnectionTrackingConfiguration.UdpTimeout != nil || *f.Attachment.EnaSrdSpecification.EnaSrdEnabled {
		t.Errorf("changed interface %+v", f)
	}
}

// TestNetworkCards: interfaces of one device index on several cards, as a launch and AttachNetworkInterface have them.
func TestNetworkCards(t *testing.T) {
	h := newHouse(t)
	data := &ec2api.RequestLaunchTemplateData{ImageId: new(exampleImage), InstanceType: new("p4d.24xlarge"), NetworkInterfaces: []ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{
		fastFace(0, 0), fastFace(1, 1), fastFace(1, 2),
	}}
	id := *ask[ec2api.Reservation](h.desk, h.owner(), fromTemplate(h.template(data))).Instances[0].InstanceId
	h.Advance(5 * time.Second)
	var cards []int32
	for _, n := range h.instance(id).NetworkInterfaces {
		cards = append(cards, *n.Attachment.NetworkCardIndex)
	}
	if !slices.Equal(cards, []int32{0, 1, 2}) {
		t.Errorf("cards %v", cards)
	}
	i := h.instance(id)
	spare := h.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: i.SubnetId, ConnectionTrackingSpecification: &ec2api.ConnectionTrackingSpecificationRequest{TcpEstablishedTimeout: new(int32(60))}})
	plug := &ec2api.AttachNetworkInterfaceRequest{InstanceId: &id, NetworkInterfaceId: spare.NetworkInterfaceId, DeviceIndex: new(int32(1)), NetworkCardIndex: new(int32(3))}
	plug.EnaSrdSpecification = &ec2api.EnaSrdSpecification{EnaSrdEnabled: new(true)}
	if out := ask[ec2api.AttachNetworkInterfaceResult](h.desk, h.owner(), plug); *out.NetworkCardIndex != 3 {
		t.Errorf("attached %+v", out)
	}
	f := h.face(*spare.NetworkInterfaceId)
	if *f.Attachment.NetworkCardIndex != 3 || !*f.Attachment.EnaSrdSpecification.EnaSrdEnabled || *f.ConnectionTrackingConfiguration.TcpEstablishedTimeout != 60 {
		t.Errorf("interface %+v", f)
	}
}

// TestWhatALaunchCannotHave is refused, in a request or in its template, and not passed over.
func TestWhatALaunchCannotHave(t *testing.T) {
	h := newHouse(t)
	type data = ec2api.RequestLaunchTemplateData
	face := func(change func(*ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest)) func(*data) {
		return func(d *data) {
			n := ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{DeviceIndex: new(int32(0))}
			change(&n)
			d.NetworkInterfaces = append(d.NetworkInterfaces, n)
		}
	}
	disk := func(e ec2api.LaunchTemplateEbsBlockDeviceRequest) func(*data) {
		return func(d *data) {
			d.BlockDeviceMappings = []ec2api.LaunchTemplateBlockDeviceMappingRequest{{DeviceName: new("/dev/sdf"), Ebs: &e}}
		}
	}
	type spec = ec2api.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest
	for n, tt := range []struct {
		change func(*data)
		code   string
	}{
		{face(func(n *spec) { n.InterfaceType = new("efa") }), "UnsupportedOperation"},
		{face(func(n *spec) { n.EnaQueueCount = new(int32(2)) }), "UnsupportedOperation"},
		{face(func(n *spec) { n.AssociateCarrierIpAddress = new(true) }), "InvalidParameterCombination"},
		{face(func(n *spec) { n.NetworkCardIndex = new(int32(1)) }), "InvalidParameterValue"},
		{face(func(n *spec) {
			n.ConnectionTrackingSpecification = &ec2api.ConnectionTrackingSpecificationRequest{UdpTimeout: new(int32(61))}
		}), "InvalidParameterValue"},
		{face(func(n *spec) {
			n.EnaSrdSpecification = &ec2api.EnaSrdSpecificationRequest{EnaSrdUdpSpecification: &ec2api.EnaSrdUdpSpecificationRequest{EnaSrdUdpEnabled: new(true)}}
		}), "InvalidParameterCombination"},
		{func(d *data) {
			d.CpuOptions = &ec2api.LaunchTemplateCpuOptionsRequest{NestedVirtualization: new("enabled")}
		}, "InvalidParameterCombination"},
		{func(d *data) {
			d.NetworkPerformanceOptions = &ec2api.LaunchTemplateNetworkPerformanceOptionsRequest{BandwidthWeighting: new("ebs-1")}
		}, "InvalidParameterCombination"},
		{func(d *data) {
			d.LicenseSpecifications = []ec2api.LaunchTemplateLicenseConfigurationRequest{{LicenseConfigurationArn: new("arn:aws:license-manager:us-east-1:111122223333:license-configuration:0")}}
		}, "InvalidParameterValue"},
		{func(d *data) {
			d.SecondaryInterfaces = []ec2api.LaunchTemplateInstanceSecondaryInterfaceSpecificationRequest{{DeviceIndex: new(int32(1))}}
		}, "UnsupportedOperation"},
		{func(d *data) { d.Operator = &ec2api.OperatorRequest{Principal: new("eks.amazonaws.com")} }, "UnsupportedOperation"},
		{func(d *data) { d.KernelId = new("aki-0") }, "UnsupportedOperation"},
		{func(d *data) {
			d.Placement = &ec2api.LaunchTemplatePlacementRequest{Tenancy: new("host"), HostResourceGroupArn: new("arn:aws:resource-groups:us-east-1:111122223333:group/g")}
		}, "UnsupportedOperation"},
		{disk(ec2api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: new(int32(1)), VolumeInitializationRate: new(int32(100))}), "InvalidParameterCombination"},
		{disk(ec2api.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: h.rootSnapshot(), VolumeInitializationRate: new(int32(301))}), "InvalidParameterValue"},
		{disk(ec2api.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: new(int32(1)), EbsCardIndex: new(int32(1))}), "InvalidParameterValue"},
	} {
		d := data{ImageId: new(exampleImage), InstanceType: new("t3.micro")}
		tt.change(&d)
		if _, err := h.try(h.owner(), fromTemplate(h.template(&d))); apierr.Code(err) != tt.code {
			t.Errorf("row %d: got %v, want %s", n, err, tt.code)
		}
	}
	in := runRequest(ec2api.BlockDeviceMapping{DeviceName: new("/dev/sdf"), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(1)), AvailabilityZone: new(zoneA)}})
	h.refuse(h.owner(), in, "InvalidBlockDeviceMapping", "*")
	for code, in := range map[string]any{
		"InvalidParameterCombination": &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), Size: new(int32(1)), VolumeInitializationRate: new(int32(100))},
		"UnsupportedOperation":        &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), Size: new(int32(1)), Operator: &ec2api.OperatorRequest{Principal: new("x")}},
		"InvalidParameterValue":       &ec2api.AttachVolumeRequest{VolumeId: new("vol-0"), InstanceId: new("i-0"), Device: new("/dev/sdf"), EbsCardIndex: new(int32(1))},
	} {
		h.refuse(h.owner(), in, code, "*")
	}
	made := ask[ec2api.Volume](h.desk, h.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), SnapshotId: h.rootSnapshot(), VolumeInitializationRate: new(int32(100))})
	if api.Val(made.VolumeInitializationRate) != 100 {
		t.Errorf("volume %+v", made)
	}
}

// TestAbruptStops: SkipOsShutdown does not ask the guest, once; CreateImage shuts the machine down meanwhile unless NoReboot.
func TestAbruptStops(t *testing.T) {
	inCrews(t, func(t *testing.T, c *cluster) {
		instance, _ := c.on("b", c.key(""))
		said := func() string {
			text := strings.Split(strings.TrimSpace(c.console(instance)), "\n")
			return strings.TrimSpace(text[len(text)-1])
		}
		image := &ec2api.CreateImageRequest{InstanceId: &instance, Name: new("still"), NoReboot: new(true)}
		ask[ec2api.CreateImageResult](c.desk, c.owner(), image)
		if got := said(); got != "boot" {
			t.Errorf("after an image without a reboot it said %q", got)
		}
		image.Name, image.NoReboot = new("again"), nil
		ask[ec2api.CreateImageResult](c.desk, c.owner(), image)
		c.wantState(instance, "running")
		c.wait(time.Second) // it boots
		if got := c.console(instance); !strings.HasSuffix(strings.TrimSpace(got), "halt\nboot") {
			t.Errorf("after an image it said %q", got)
		}
		c.refuse(c.owner(), image, "InvalidAMIName.Duplicate", "*")
		if got := c.console(instance); strings.Count(got, "halt") != 1 {
			t.Errorf("an image that is refused shut it down: %q", got)
		}
		c.wait(2 * time.Second)
		ask[ec2api.StopInstancesResult](c.desk, c.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{instance}, SkipOsShutdown: new(true)})
		c.wait(2 * time.Second)
		c.wantState(instance, "stopped")
		if got := said(); got != "switched off" {
			t.Errorf("after an abrupt stop it said %q", got)
		}
		c.begin(instance)
		c.wait(3 * time.Second)
		c.stop(instance)
		c.wait(2 * time.Second)
		if got := said(); got != "halt" {
			t.Errorf("after a stop it said %q", got)
		}
		c.begin(instance)
		c.wait(3 * time.Second)
		ask[ec2api.TerminateInstancesResult](c.desk, c.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{instance}, SkipOsShutdown: new(true)})
		c.wait(2 * time.Second)
		c.wantState(instance, "terminated")
		if got := c.nodes["b"].crew.consoles[instance]; !strings.HasSuffix(got, "switched off\n") {
			t.Errorf("the console is %q", got)
		}
	}, "a", "b")
}
