package ec2_test

import (
	"encoding/base64"
	"net/url"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
)

// TestCopiesSayWhenTheyAreToBeDone, of snapshots and of images; presigned URLs are of the copy.
func TestCopiesSayWhenTheyAreToBeDone(t *testing.T) {
	h := newHouse(t)
	source := *h.rootSnapshot()
	link := func(change func(url.Values)) *secret.String {
		q := url.Values{"Action": {"CopySnapshot"}, "SourceRegion": {region}, "SourceSnapshotId": {source}, "DestinationRegion": {region}}
		change(q)
		return new(secret.String("https://ec2." + region + ".amazonaws.com/?" + q.Encode()))
	}
	for n, tt := range []struct {
		change func(*ec2api.CopySnapshotRequest)
		code   string
	}{
		{func(in *ec2api.CopySnapshotRequest) { in.CompletionDurationMinutes = new(int32(45)) }, ""},
		{func(in *ec2api.CopySnapshotRequest) { in.CompletionDurationMinutes = new(int32(20)) }, "InvalidParameterValue"},
		{func(in *ec2api.CopySnapshotRequest) { in.CompletionDurationMinutes = new(int32(2895)) }, "InvalidParameterValue"},
		{func(in *ec2api.CopySnapshotRequest) { in.DestinationRegion = new(region) }, ""},
		{func(in *ec2api.CopySnapshotRequest) { in.DestinationRegion = new("eu-west-1") }, "InvalidParameterValue"},
		{func(in *ec2api.CopySnapshotRequest) { in.PresignedUrl = link(func(url.Values) {}) }, ""},
		{func(in *ec2api.CopySnapshotRequest) {
			in.PresignedUrl = link(func(q url.Values) { q.Set("SourceSnapshotId", "snap-0") })
		}, "InvalidParameterValue"},
		{func(in *ec2api.CopySnapshotRequest) { in.PresignedUrl = new(secret.String("x")) }, "InvalidParameterValue"},
	} {
		in := &ec2api.CopySnapshotRequest{SourceRegion: new(region), SourceSnapshotId: &source}
		tt.change(in)
		out, err := h.try(h.owner(), in)
		if apierr.Code(err) != tt.code {
			t.Errorf("row %d: got %v, want %q", n, err, tt.code)
			continue
		}
		if tt.code != "" {
			continue
		}
		h.Advance(5 * time.Second)
		id := out.(*ec2api.CopySnapshotResult).SnapshotId
		s := ask[ec2api.DescribeSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{*id}}).Snapshots[0]
		want := map[bool]string{true: "time-based", false: "standard"}[in.CompletionDurationMinutes != nil]
		if *s.TransferType != want || api.Val(s.CompletionDurationMinutes) != api.Val(in.CompletionDurationMinutes) {
			t.Errorf("row %d: %+v", n, s)
		}
	}
	copied := &ec2api.CopyImageRequest{SourceRegion: new(region), SourceImageId: new(exampleImage), Name: new("soon"), SnapshotCopyCompletionDurationMinutes: new(int64(16))}
	h.refuse(h.owner(), copied, "InvalidParameterValue", "*")
	copied.SnapshotCopyCompletionDurationMinutes = new(int64(30))
	id := ask[ec2api.CopyImageResult](h.desk, h.owner(), copied).ImageId
	snap := h.image(h.owner(), *id).BlockDeviceMappings[0].Ebs.SnapshotId
	if s := ask[ec2api.DescribeSnapshotsResult](h.desk, h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{*snap}}).Snapshots[0]; *s.CompletionDurationMinutes != 30 {
		t.Errorf("the image's snapshot %+v", s)
	}
}

// TestImagesKeepUEFIVariables, and get no product codes and kernels.
func TestImagesKeepUEFIVariables(t *testing.T) {
	h := newHouse(t)
	data := base64.StdEncoding.EncodeToString([]byte("AMZNUEFI"))
	made := func(change func(*ec2api.RegisterImageRequest)) *ec2api.RegisterImageRequest {
		in := &ec2api.RegisterImageRequest{
			Name: new("own"), RootDeviceName: new(rootDevice), Architecture: new("x86_64"), VirtualizationType: new("hvm"), BootMode: new("uefi"), UefiData: &data,
			BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: new(rootDevice), Ebs: &ec2api.EbsBlockDevice{SnapshotId: new(h.newSnapshot())}}},
		}
		change(in)
		return in
	}
	for code, change := range map[string]func(*ec2api.RegisterImageRequest){
		"InvalidParameterValue":       func(in *ec2api.RegisterImageRequest) { in.UefiData = new("=") },
		"InvalidParameterCombination": func(in *ec2api.RegisterImageRequest) { in.BootMode = new("legacy-bios") },
		"UnsupportedOperation":        func(in *ec2api.RegisterImageRequest) { in.KernelId = new("aki-0") },
		"InvalidBlockDeviceMapping": func(in *ec2api.RegisterImageRequest) {
			in.BlockDeviceMappings[0].Ebs.VolumeInitializationRate = new(int32(100))
		},
	} {
		h.refuse(h.owner(), made(change), code, "*")
	}
	id := ask[ec2api.RegisterImageResult](h.desk, h.owner(), made(func(*ec2api.RegisterImageRequest) {})).ImageId
	if got := ask[ec2api.ImageAttribute](h.desk, h.owner(), &ec2api.DescribeImageAttributeRequest{ImageId: id, Attribute: new("uefiData")}); *got.UefiData.Value != data {
		t.Errorf("attribute %+v", got.UefiData)
	}
	h.refuse(h.owner(), &ec2api.ModifyImageAttributeRequest{ImageId: id, ProductCodes: []string{"774F4FF8"}}, "UnsupportedOperation", "*")
}

// TestNetworksHearTheRest: what needs a pool, an Outpost or IPv6 is refused, DNS options of endpoints are kept.
func TestNetworksHearTheRest(t *testing.T) {
	d := newDesk(t)
	p, me := d.opened(), d.root(mine)
	face := d.newFace(ec2api.CreateNetworkInterfaceRequest{SubnetId: &p.subnet})
	address := ask[ec2api.AllocateAddressResult](d, me, &ec2api.AllocateAddressRequest{})
	for n, tt := range []struct {
		in   any
		code string
	}{
		{&ec2api.CreateVpcRequest{CidrBlock: new("10.3.0.0/16"), Ipv4NetmaskLength: new(int32(16))}, "InvalidParameterCombination"},
		{&ec2api.CreateVpcRequest{CidrBlock: new("10.3.0.0/16"), Ipv6CidrBlockNetworkBorderGroup: new(region)}, "InvalidParameterValue"},
		{&ec2api.CreateSubnetRequest{VpcId: &p.vpc, CidrBlock: new("10.0.9.0/24"), Ipv6NetmaskLength: new(int32(64))}, "InvalidParameterCombination"},
		{&ec2api.AssociateVpcCidrBlockRequest{VpcId: &p.vpc, CidrBlock: new("10.4.0.0/16"), Ipv4NetmaskLength: new(int32(16))}, "InvalidParameterCombination"},
		{&ec2api.AssociateSubnetCidrBlockRequest{SubnetId: &p.subnet, Ipv6NetmaskLength: new(int32(64))}, "InvalidParameterCombination"},
		{&ec2api.CreateDefaultSubnetRequest{AvailabilityZone: new(zoneA), Ipv6Native: new(true)}, "UnsupportedOperation"},
		{&ec2api.ModifySubnetAttributeRequest{SubnetId: &p.subnet, CustomerOwnedIpv4Pool: new("ipv4pool-coip-0")}, "UnsupportedOperation"},
		{&ec2api.CreateNatGatewayRequest{SubnetId: &p.subnet, ConnectivityType: new("private"), VpcId: &p.vpc}, "InvalidParameterCombination"},
		{&ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId, NetworkBorderGroup: new("us-east-1-wl1-bos-wlz-1")}, "InvalidAddress.NotFound"},
		{&ec2api.ReleaseAddressRequest{AllocationId: address.AllocationId, NetworkBorderGroup: new(region)}, ""},
		{&ec2api.UnassignPrivateIpAddressesRequest{NetworkInterfaceId: face.NetworkInterfaceId, Ipv4Prefixes: []string{"10.0.1.16/28"}}, "InvalidParameterValue"},
		{&ec2api.CreatePlacementGroupRequest{GroupName: new("g"), ParentGroupId: new("pg-0")}, "UnsupportedOperation"},
		{&ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: new("com.amazonaws." + region + ".s3"), ResourceConfigurationArn: new("arn:x")}, "InvalidParameter"},
		{&ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: new("com.amazonaws." + region + ".s3"), DnsOptions: &ec2api.DnsOptionsSpecification{PrivateDnsPreference: new("ALL")}}, "InvalidParameter"},
		{&ec2api.CreateVpcEndpointRequest{VpcId: &p.vpc, ServiceName: new("com.amazonaws." + region + ".s3"), DnsOptions: &ec2api.DnsOptionsSpecification{DnsRecordIpType: new("dualstack")}}, "InvalidParameter"},
	} {
		if _, err := d.try(me, tt.in); apierr.Code(err) != tt.code {
			t.Errorf("row %d: got %v, want %q", n, err, tt.code)
		}
	}
	made := ask[ec2api.CreateVpcEndpointResult](d, me, &ec2api.CreateVpcEndpointRequest{
		VpcId: &p.vpc, ServiceName: new("com.amazonaws." + region + ".s3"), VpcEndpointType: new("Interface"), PrivateDnsEnabled: new(false),
		DnsOptions: &ec2api.DnsOptionsSpecification{DnsRecordIpType: new("ipv4"), PrivateDnsOnlyForInboundResolverEndpoint: new(true)},
	}).VpcEndpoint
	d.done(&ec2api.ModifyVpcEndpointRequest{VpcEndpointId: made.VpcEndpointId, DnsOptions: &ec2api.DnsOptionsSpecification{PrivateDnsPreference: new("SPECIFIED_DOMAINS_ONLY"), PrivateDnsSpecifiedDomains: []string{"a.example"}}})
	e := ask[ec2api.DescribeVpcEndpointsResult](d, me, &ec2api.DescribeVpcEndpointsRequest{VpcEndpointIds: []string{*made.VpcEndpointId}}).VpcEndpoints[0].DnsOptions
	if !*e.PrivateDnsOnlyForInboundResolverEndpoint || *e.PrivateDnsPreference != "SPECIFIED_DOMAINS_ONLY" || len(e.PrivateDnsSpecifiedDomains) != 1 || *e.DnsRecordIpType != "ipv4" {
		t.Errorf("DNS options %+v", e)
	}
	if far := ask[ec2api.DescribeVpcEndpointServicesResult](d, me, &ec2api.DescribeVpcEndpointServicesRequest{ServiceRegions: []string{"eu-west-1"}}); len(far.ServiceDetails) != 0 {
		t.Errorf("services of another Region: %v", far.ServiceNames)
	}
}

// TestAliasesAreNotResolved: a template keeps a parameter of Systems Manager as it was given.
func TestAliasesAreNotResolved(t *testing.T) {
	h := newHouse(t)
	id := h.template(&ec2api.RequestLaunchTemplateData{ImageId: new("resolve:ssm:/golden")})
	in := &ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateId: &id}
	if got := ask[ec2api.DescribeLaunchTemplateVersionsResult](h.desk, h.owner(), in).LaunchTemplateVersions; *got[0].LaunchTemplateData.ImageId != "resolve:ssm:/golden" {
		t.Errorf("versions %+v", got)
	}
	in.ResolveAlias = new(true)
	h.refuse(h.owner(), in, "UnsupportedOperation", "*")
	again := &ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateId: &id, LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: new("resolve:ssm:/golden")}, ResolveAlias: new(true)}
	h.refuse(h.owner(), again, "UnsupportedOperation", "*")
}

// TestInstancesBecomeParentsOfEnclaves while they are stopped; mappings change only what they can.
func TestInstancesBecomeParentsOfEnclaves(t *testing.T) {
	h := newHouse(t)
	in := runRequest()
	in.InstanceType = new("m5.xlarge")
	id := *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	h.Advance(time.Minute)
	on := &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, EnclaveOptions: &ec2api.EnclaveOptionsRequest{Enabled: new(true)}}
	h.refuse(h.owner(), on, "IncorrectInstanceState", "*")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Minute)
	h.done(on)
	if !*h.instance(id).EnclaveOptions.Enabled {
		t.Error("it is no parent of enclaves")
	}
	for _, m := range []ec2api.InstanceBlockDeviceMappingSpecification{
		{DeviceName: new(rootDevice), NoDevice: new("")}, {DeviceName: new(rootDevice), Ebs: &ec2api.EbsInstanceBlockDeviceSpecification{VolumeId: new("vol-0"), DeleteOnTermination: new(false)}},
	} {
		h.refuse(h.owner(), &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, BlockDeviceMappings: []ec2api.InstanceBlockDeviceMappingSpecification{m}}, "InvalidInstanceAttributeValue", "*")
	}
}
