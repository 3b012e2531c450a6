package ec2_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/secret"
)

func TestWhatSurroundsAnInstance(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	i := h.instance(id)
	nics := ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{
		Filters: []ec2api.Filter{filter("attachment.instance-id", id), filter("vpc-id", *i.VpcId), filter("status", "in-use")},
	}).NetworkInterfaces
	if len(nics) != 1 || *nics[0].NetworkInterfaceId != *i.NetworkInterfaces[0].NetworkInterfaceId || *nics[0].PrivateIpAddress != *i.PrivateIpAddress {
		t.Errorf("%+v", nics)
	}
	h.refuse(h.owner(), &ec2api.DescribeNetworkInterfacesRequest{NetworkInterfaceIds: []string{"eni-00000000"}}, "InvalidNetworkInterfaceID.NotFound", "*")
	gateways := ask[ec2api.DescribeInternetGatewaysResult](h.desk, h.owner(), &ec2api.DescribeInternetGatewaysRequest{Filters: []ec2api.Filter{filter("attachment.vpc-id", *i.VpcId)}})
	tables := ask[ec2api.DescribeRouteTablesResult](h.desk, h.owner(), &ec2api.DescribeRouteTablesRequest{})
	if len(gateways.InternetGateways) != 1 || *gateways.InternetGateways[0].InternetGatewayId != *tables.RouteTables[0].Routes[1].GatewayId {
		t.Errorf("%+v", gateways)
	}
	acls := ask[ec2api.DescribeNetworkAclsResult](h.desk, h.owner(), &ec2api.DescribeNetworkAclsRequest{Filters: []ec2api.Filter{filter("default", "true"), filter("vpc-id", *i.VpcId)}})
	if len(acls.NetworkAcls) != 1 || len(acls.NetworkAcls[0].Entries) != 4 || len(acls.NetworkAcls[0].Associations) == 0 {
		t.Errorf("%+v", acls)
	}
	if got := ask[ec2api.DescribeKeyPairsResult](h.desk, h.owner(), &ec2api.DescribeKeyPairsRequest{}); len(got.KeyPairs) != 0 {
		t.Errorf("%+v", got)
	}
	h.refuse(h.owner(), &ec2api.DescribeKeyPairsRequest{KeyNames: []string{"mine"}}, "InvalidKeyPair.NotFound", "The key pair 'mine' does not exist")
	about := ask[ec2api.DescribeAccountAttributesResult](h.desk, h.owner(), &ec2api.DescribeAccountAttributesRequest{AttributeNames: []string{"default-vpc", "supported-platforms"}})
	if len(about.AccountAttributes) != 2 || *about.AccountAttributes[0].AttributeValues[0].AttributeValue != *i.VpcId {
		t.Errorf("%+v", about)
	}
	h.refuse(h.owner(), &ec2api.GetInstanceUefiDataRequest{InstanceId: &id}, "UnsupportedOperation", "*")

	v := *h.volumeOn(id, rootDevice).VolumeId
	health := ask[ec2api.DescribeVolumeStatusResult](h.desk, h.owner(), &ec2api.DescribeVolumeStatusRequest{VolumeIds: []string{v}}).VolumeStatuses
	if len(health) != 1 || *health[0].VolumeStatus.Status != "ok" {
		t.Errorf("%+v", health)
	}
	if got := ask[ec2api.DescribeVolumeAttributeResult](h.desk, h.owner(), &ec2api.DescribeVolumeAttributeRequest{VolumeId: &v, Attribute: new("autoEnableIO")}); *got.AutoEnableIO.Value {
		t.Errorf("%+v", got)
	}
}

func TestCreditsOfBurstableInstances(t *testing.T) {
	h := newHouse(t)
	start := func(kind, credits string) string {
		in := runRequest()
		in.InstanceType = &kind
		if credits != "" {
			in.CreditSpecification = &ec2api.CreditSpecificationRequest{CpuCredits: &credits}
		}
		return *ask[ec2api.Reservation](h.desk, h.owner(), in).Instances[0].InstanceId
	}
	want := map[string]string{start("t3.micro", ""): "unlimited", start("t2.micro", ""): "standard", start("t3.micro", "standard"): "standard"}
	start("m5.large", "")
	h.Advance(2 * time.Second)
	got := ask[ec2api.DescribeInstanceCreditSpecificationsResult](h.desk, h.owner(), &ec2api.DescribeInstanceCreditSpecificationsRequest{}).InstanceCreditSpecifications
	if len(got) != len(want) {
		t.Errorf("%+v", got)
	}
	for _, c := range got {
		if want[*c.InstanceId] != *c.CpuCredits {
			t.Errorf("%s: %s, want %s", *c.InstanceId, *c.CpuCredits, want[*c.InstanceId])
		}
	}
}

func TestModifyInstanceAttribute(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	modify := func(in ec2api.ModifyInstanceAttributeRequest) error {
		in.InstanceId = &id
		_, err := h.try(h.owner(), &in)
		return err
	}
	on, off := &ec2api.AttributeBooleanValue{Value: new(true)}, &ec2api.AttributeBooleanValue{Value: new(false)}
	attribute := func(name string) *ec2api.InstanceAttribute {
		return ask[ec2api.InstanceAttribute](h.desk, h.owner(), &ec2api.DescribeInstanceAttributeRequest{InstanceId: &id, Attribute: &name})
	}
	h.Must(modify(ec2api.ModifyInstanceAttributeRequest{DisableApiTermination: on}))
	h.Must(modify(ec2api.ModifyInstanceAttributeRequest{Attribute: new("disableApiStop"), Value: new(secret.String("true"))}))
	h.refuse(h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}}, "OperationNotPermitted", "*")
	h.refuse(h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}}, "OperationNotPermitted", "*")
	h.Must(modify(ec2api.ModifyInstanceAttributeRequest{DisableApiTermination: off}))
	h.Must(modify(ec2api.ModifyInstanceAttributeRequest{DisableApiStop: off}))
	h.Must(modify(ec2api.ModifyInstanceAttributeRequest{InstanceInitiatedShutdownBehavior: &ec2api.AttributeValue{Value: new("terminate")}}))
	if got := *attribute("instanceInitiatedShutdownBehavior").InstanceInitiatedShutdownBehavior.Value; got != "terminate" {
		t.Error(got)
	}
	h.Must(modify(ec2api.ModifyInstanceAttributeRequest{BlockDeviceMappings: []ec2api.InstanceBlockDeviceMappingSpecification{
		{DeviceName: new(rootDevice), Ebs: &ec2api.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: new(false)}},
	}}))
	if v := h.volumeOn(id, rootDevice); *v.Attachments[0].DeleteOnTermination || *h.instance(id).BlockDeviceMappings[0].Ebs.DeleteOnTermination {
		t.Errorf("%+v", v)
	}
	data := ec2api.ModifyInstanceAttributeRequest{UserData: &ec2api.SecureBlobAttributeValue{Value: secret.Bytes("echo")}}
	kind := ec2api.ModifyInstanceAttributeRequest{InstanceType: &ec2api.AttributeValue{Value: new("m5.large")}}
	data.InstanceId, kind.InstanceId = &id, &id
	h.refuse(h.owner(), &data, "IncorrectInstanceState", "The instance '"+id+"' is not in the 'stopped' state.")
	h.refuse(h.owner(), &kind, "IncorrectInstanceState", "*")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(2 * time.Second)
	h.Must(modify(data))
	h.Must(modify(kind))
	if got := api.Val(attribute("userData").UserData.Value); got != "ZWNobw==" {
		t.Error(got)
	}
	if got := h.instance(id); *got.InstanceType != "m5.large" || *got.CpuOptions.CoreCount != 1 {
		t.Errorf("%+v", got)
	}
	for name, in := range map[string]ec2api.ModifyInstanceAttributeRequest{
		"InvalidParameterCombination": {DisableApiStop: on, DisableApiTermination: on}, "MissingParameter": {},
		"InvalidParameterValue": {InstanceInitiatedShutdownBehavior: &ec2api.AttributeValue{Value: new("sleep")}},
		"UnsupportedOperation":  {EnaSupport: off}, "InvalidGroup.NotFound": {Groups: []string{"sg-00000000"}},
		"DryRunOperation": {DisableApiStop: on, DryRun: new(true)},
	} {
		in.InstanceId = &id
		h.refuse(h.owner(), &in, name, "*")
	}
	user := h.allowed("modifier", `"ec2:ModifyInstanceAttribute"`, `"*"`, `{"StringEquals":{"ec2:Attribute/DisableApiStop":"true"}}`)
	_, err := h.try(user, &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, DisableApiStop: on})
	h.Must(err)
	h.refuse(user, &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, DisableApiStop: off}, "UnauthorizedOperation", "*")
}

// The network interface shows the Elastic IP address, and is found by it, by what surrounds it and by its
// source/destination check.
func TestNetworkInterfacesShowAddresses(t *testing.T) {
	h := newHouse(t)
	id := h.run(h.owner())
	address := ask[ec2api.AllocateAddressResult](h.desk, h.owner(), &ec2api.AllocateAddressRequest{})
	plug := ask[ec2api.AssociateAddressResult](h.desk, h.owner(), &ec2api.AssociateAddressRequest{AllocationId: address.AllocationId, InstanceId: &id})
	_, err := h.try(h.owner(), &ec2api.ModifyInstanceAttributeRequest{InstanceId: &id, SourceDestCheck: &ec2api.AttributeBooleanValue{Value: new(false)}})
	h.Must(err)
	find := func(filters ...ec2api.Filter) []ec2api.NetworkInterface {
		return ask[ec2api.DescribeNetworkInterfacesResult](h.desk, h.owner(), &ec2api.DescribeNetworkInterfacesRequest{Filters: filters}).NetworkInterfaces
	}
	pending := ask[ec2api.Reservation](h.desk, h.owner(), runRequest()).Instances[0]
	ask[ec2api.TerminateInstancesResult](h.desk, h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{*pending.InstanceId}})
	h.Advance(time.Minute)
	if was, is := *pending.NetworkInterfaces[0].Attachment.Status, *h.instance(id).NetworkInterfaces[0].Attachment.Status; was != "attaching" || is != "attached" {
		t.Errorf("the interface of a new instance is %s, later %s", was, is)
	}
	nic := find()[0]
	for _, a := range []*ec2api.NetworkInterfaceAssociation{nic.Association, nic.PrivateIpAddresses[0].Association} {
		if a == nil || *a.PublicIp != *address.PublicIp || *a.AllocationId != *address.AllocationId || *a.AssociationId != *plug.AssociationId || *a.IpOwnerId != mine {
			t.Errorf("association %+v", a)
		}
	}
	for _, tt := range []struct {
		name, value string
		want        int
	}{
		{"association.public-ip", *address.PublicIp, 1}, {"addresses.association.public-ip", "192.0.2.1", 0}, {"association.allocation-id", "eipalloc-*", 1},
		{"association.association-id", *plug.AssociationId, 1}, {"source-dest-check", "false", 1}, {"source-dest-check", "true", 0},
		{"availability-zone-id", *nic.AvailabilityZoneId, 1}, {"group-name", "default", 1}, {"addresses.primary", "true", 1}, {"operator.principal", "*", 0},
	} {
		if got := find(filter(tt.name, tt.value)); len(got) != tt.want {
			t.Errorf("%s=%s finds %d", tt.name, tt.value, len(got))
		}
	}
	acls := func(name, value string) int {
		return len(ask[ec2api.DescribeNetworkAclsResult](h.desk, h.owner(), &ec2api.DescribeNetworkAclsRequest{Filters: []ec2api.Filter{filter(name, value)}}).NetworkAcls)
	}
	if acls("entry.rule-number", "32767") != 1 || acls("entry.rule-action", "deny") != 1 || acls("entry.cidr", "10.0.0.0/8") != 0 || acls("association.association-id", "aclassoc-*") != 1 {
		t.Error("network ACLs are not found by their entries")
	}
}
