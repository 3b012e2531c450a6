package ec2

import (
	"cmp"
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeInstanceCreditSpecifications tells how burstable instances get CPU credits: the others
// have none and are left out. Source: EC2 API Reference, DescribeInstanceCreditSpecifications; EC2
// User Guide, "Unlimited mode for burstable performance instances", defaults.
func (s *Service) DescribeInstanceCreditSpecifications(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceCreditSpecificationsRequest) (*ec2api.DescribeInstanceCreditSpecificationsResult, error) {
	out := &ec2api.DescribeInstanceCreditSpecificationsResult{}
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, errIDsAndPage("instancesSet")
	}
	err := s.viewList(ctx, c, "ec2:DescribeInstanceCreditSpecifications", in.DryRun, func(tx store.Tx) error {
		out.InstanceCreditSpecifications = []ec2api.InstanceCreditSpecification{}
		found, _, err := s.selectInstances(tx, c, in.InstanceIds, in.Filters)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(i *instanceRecord) bool { return i.credits() == "" || i.gone() })
		found, out.NextToken, err = paginate(c.Operation, found, instanceOrder, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, i := range found {
			out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications,
				ec2api.InstanceCreditSpecification{InstanceId: &i.ID, CpuCredits: new(i.credits())})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// credits is how an instance gets CPU credits; "" if its type has none.
func (i *instanceRecord) credits() string {
	kind, ok := lookupType(i.Type)
	switch {
	case !ok || !kind.Burstable():
		return ""
	case kind.Family.Name == "t2":
		return cmp.Or(i.Options.Credits, "standard")
	}
	return cmp.Or(i.Options.Credits, "unlimited")
}

// GetInstanceUefiData has nothing to give: no instance here keeps variables of UEFI.
// Source: EC2 API Reference, GetInstanceUefiData.
func (s *Service) GetInstanceUefiData(ctx context.Context, c *guard.Call, in *ec2api.GetInstanceUefiDataRequest) (*ec2api.GetInstanceUefiDataResult, error) {
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
		if err != nil {
			return err
		}
		if err := s.allowInstances(tx, c, "ec2:GetInstanceUefiData", found); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		return apierr.Newf("UnsupportedOperation", "The instance '%s' has no UEFI data.", found[0].ID)
	})
	return nil, err
}

// wire is the network interface of an instance as answers carry it.
func (i *instanceRecord) interfaceWire(tags map[string]string) ec2api.NetworkInterface {
	return ec2api.NetworkInterface{
		NetworkInterfaceId: &i.ENI, Description: new(""), OwnerId: &i.Account, Status: new("in-use"), InterfaceType: new("interface"),
		SubnetId: &i.Subnet, VpcId: &i.VPC, AvailabilityZone: &i.Zone, AvailabilityZoneId: &i.ZoneID, MacAddress: &i.MAC, Groups: i.groups(),
		PrivateDnsName: new(i.dnsName()), PrivateIpAddress: &i.Address, SourceDestCheck: new(!i.Options.NoSourceCheck), RequesterManaged: new(false),
		PrivateIpAddresses: []ec2api.NetworkInterfacePrivateIpAddress{{Primary: new(true), PrivateDnsName: new(i.dnsName()), PrivateIpAddress: &i.Address}},
		TagSet:             apiTags(tags),
		Attachment: &ec2api.NetworkInterfaceAttachment{
			AttachTime: &i.Launched, AttachmentId: &i.ENIPlug, DeleteOnTermination: new(true), DeviceIndex: new(int32(0)),
			NetworkCardIndex: new(int32(0)), InstanceId: &i.ID, InstanceOwnerId: &i.Account, Status: new(plugAttached),
		},
	}
}

// interfaceFields are the filters of DescribeNetworkInterfaces.
func interfaceFields() fields[*instanceRecord] {
	text := func(get func(*instanceRecord) string) func(*instanceRecord) []string {
		return func(i *instanceRecord) []string { return oneOf(get(i)) }
	}
	always := func(values ...string) func(*instanceRecord) []string {
		return func(*instanceRecord) []string { return values }
	}
	address := text(func(i *instanceRecord) string { return i.Address })
	return fields[*instanceRecord]{
		"network-interface-id":             text(func(i *instanceRecord) string { return i.ENI }),
		"attachment.attachment-id":         text(func(i *instanceRecord) string { return i.ENIPlug }),
		"attachment.instance-id":           text(func(i *instanceRecord) string { return i.ID }),
		"attachment.instance-owner-id":     text(func(i *instanceRecord) string { return i.Account }),
		"attachment.device-index":          always("0"),
		"attachment.status":                always(plugAttached),
		"attachment.delete-on-termination": always("true"),
		"availability-zone":                text(func(i *instanceRecord) string { return i.Zone }),
		"subnet-id":                        text(func(i *instanceRecord) string { return i.Subnet }),
		"vpc-id":                           text(func(i *instanceRecord) string { return i.VPC }),
		"mac-address":                      text(func(i *instanceRecord) string { return i.MAC }),
		"owner-id":                         text(func(i *instanceRecord) string { return i.Account }),
		"private-ip-address":               address,
		"addresses.private-ip-address":     address,
		"private-dns-name":                 text((*instanceRecord).dnsName),
		"group-id":                         func(i *instanceRecord) []string { return i.Groups },
		"group-name":                       func(i *instanceRecord) []string { return i.GroupsBy },
		"status":                           always("in-use"),
		"interface-type":                   always("interface"),
		"requester-managed":                always("false"),
		"source-dest-check":                always("true"),
		"description":                      always(),
		"requester-id":                     always(),
	}
}

// DescribeNetworkInterfaces lists the network interfaces: each instance has one, as long as it is not
// terminated.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, c *guard.Call, in *ec2api.DescribeNetworkInterfacesRequest) (*ec2api.DescribeNetworkInterfacesResult, error) {
	out := &ec2api.DescribeNetworkInterfacesResult{}
	err := s.viewList(ctx, c, "ec2:DescribeNetworkInterfaces", in.DryRun, func(tx store.Tx) error {
		out.NetworkInterfaces = []ec2api.NetworkInterface{}
		pass, err := interfaceFields().filter(in.Filters)
		if err != nil {
			return err
		}
		all, tags, err := s.selectInstances(tx, c, nil, nil)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(i *instanceRecord) bool { return i.gone() })
		all, err = pick(all, in.NetworkInterfaceIds, func(i *instanceRecord) string { return i.ENI }, func(id string) error {
			return apierr.Newf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
		})
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(i *instanceRecord) bool { return !pass(i, tags[i.ENI]) })
		all, out.NextToken, err = paginate(c.Operation, all, func(i *instanceRecord) string { return i.ENI }, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, i := range all {
			out.NetworkInterfaces = append(out.NetworkInterfaces, i.interfaceWire(tags[i.ENI]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
