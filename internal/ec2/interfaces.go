package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// interfaceWire is the network interface of an instance as answers carry it. association is the id with which
// its Elastic IP address is associated, if it has one.
func (i *instanceRecord) interfaceWire(association string) ec2api.NetworkInterface {
	n := ec2api.NetworkInterface{
		NetworkInterfaceId: &i.ENI, Description: new(""), OwnerId: &i.Account, Status: new("in-use"), InterfaceType: new("interface"),
		SubnetId: &i.Subnet, VpcId: &i.VPC, AvailabilityZone: &i.Zone, AvailabilityZoneId: &i.ZoneID, MacAddress: &i.MAC, Groups: i.groups(),
		PrivateDnsName: new(i.dnsName()), PrivateIpAddress: &i.Address, SourceDestCheck: new(!i.Options.NoSourceCheck), RequesterManaged: new(false),
		PrivateIpAddresses: []ec2api.NetworkInterfacePrivateIpAddress{{Primary: new(true), PrivateDnsName: new(i.dnsName()), PrivateIpAddress: &i.Address}},
		Ipv6Addresses:      []ec2api.NetworkInterfaceIpv6Address{},
		Attachment: &ec2api.NetworkInterfaceAttachment{
			AttachTime: &i.Launched, AttachmentId: &i.ENIPlug, DeleteOnTermination: new(true), DeviceIndex: new(int32(0)),
			NetworkCardIndex: new(int32(0)), InstanceId: &i.ID, InstanceOwnerId: &i.Account, Status: new(plugAttached),
		},
	}
	if i.PublicIP != "" {
		n.Association = &ec2api.NetworkInterfaceAssociation{
			AllocationId: api.Opt(i.PublicBy), AssociationId: api.Opt(association), IpOwnerId: new(i.publicOwner()), PublicDnsName: new(i.publicName()), PublicIp: &i.PublicIP,
		}
		n.PrivateIpAddresses[0].Association = n.Association
	}
	return n
}

// interfaceFields are the filters of DescribeNetworkInterfaces. Source: EC2 API Reference,
// DescribeNetworkInterfaces, Filters.
func interfaceFields() fields[ec2api.NetworkInterface] {
	type face = ec2api.NetworkInterface
	text := func(get func(*face) *string) func(face) []string {
		return func(n face) []string { return oneOf(api.Val(get(&n))) }
	}
	public := func(get func(*ec2api.NetworkInterfaceAssociation) *string) func(face) []string {
		return func(n face) []string {
			if n.Association == nil {
				return nil
			}
			return oneOf(api.Val(get(n.Association)))
		}
	}
	groups := func(get func(ec2api.GroupIdentifier) *string) func(face) []string {
		return func(n face) []string { return each(n.Groups, get) }
	}
	address := text(func(n *face) *string { return n.PrivateIpAddress })
	owner := public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.IpOwnerId })
	ip := public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.PublicIp })
	out := fields[face]{
		"network-interface-id":             text(func(n *face) *string { return n.NetworkInterfaceId }),
		"association.allocation-id":        public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.AllocationId }),
		"association.association-id":       public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.AssociationId }),
		"association.ip-owner-id":          owner,
		"association.public-ip":            ip,
		"association.public-dns-name":      public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.PublicDnsName }),
		"addresses.association.owner-id":   owner,
		"addresses.association.public-ip":  ip,
		"addresses.primary":                fixed[face]("true"),
		"addresses.private-ip-address":     address,
		"attachment.attach-time":           func(n face) []string { return timeText(n.Attachment.AttachTime) },
		"attachment.attachment-id":         text(func(n *face) *string { return n.Attachment.AttachmentId }),
		"attachment.instance-id":           text(func(n *face) *string { return n.Attachment.InstanceId }),
		"attachment.instance-owner-id":     text(func(n *face) *string { return n.Attachment.InstanceOwnerId }),
		"attachment.device-index":          func(n face) []string { return intOf(*n.Attachment.DeviceIndex) },
		"attachment.status":                text(func(n *face) *string { return n.Attachment.Status }),
		"attachment.delete-on-termination": func(n face) []string { return boolOf(*n.Attachment.DeleteOnTermination) },
		"availability-zone":                text(func(n *face) *string { return n.AvailabilityZone }),
		"availability-zone-id":             text(func(n *face) *string { return n.AvailabilityZoneId }),
		"subnet-id":                        text(func(n *face) *string { return n.SubnetId }),
		"vpc-id":                           text(func(n *face) *string { return n.VpcId }),
		"mac-address":                      text(func(n *face) *string { return n.MacAddress }),
		"owner-id":                         text(func(n *face) *string { return n.OwnerId }),
		"private-ip-address":               address,
		"private-dns-name":                 text(func(n *face) *string { return n.PrivateDnsName }),
		"group-id":                         groups(func(g ec2api.GroupIdentifier) *string { return g.GroupId }),
		"group-name":                       groups(func(g ec2api.GroupIdentifier) *string { return g.GroupName }),
		"status":                           text(func(n *face) *string { return n.Status }),
		"interface-type":                   text(func(n *face) *string { return n.InterfaceType }),
		"requester-managed":                fixed[face]("false"),
		"operator.managed":                 fixed[face]("false"),
		"source-dest-check":                func(n face) []string { return boolOf(*n.SourceDestCheck) },
	}
	for _, none := range []string{"description", "requester-id", "ipv6-addresses.ipv6-address", "operator.principal"} {
		out[none] = fixed[face]()
	}
	return out
}

// DescribeNetworkInterfaces lists the network interfaces: each instance has one, as long as it is not
// terminated.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, c *guard.Call, in *ec2api.DescribeNetworkInterfacesRequest) (*ec2api.DescribeNetworkInterfacesResult, error) {
	out := &ec2api.DescribeNetworkInterfacesResult{}
	err := s.viewList(ctx, c, "ec2:DescribeNetworkInterfaces", in.DryRun, func(tx store.Tx) error {
		out.NetworkInterfaces = []ec2api.NetworkInterface{}
		pass, err := interfaceFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		all, tags, err := s.selectInstances(tx, c, nil, nil)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(i *instanceRecord) bool { return i.gone() })
		all, err = pick(all, in.NetworkInterfaceIds, func(i *instanceRecord) string { return i.ENI }, errInterface)
		if err != nil {
			return err
		}
		elastic, _, err := s.addresses(tx, c)
		if err != nil {
			return err
		}
		associations := map[string]string{}
		for _, e := range elastic {
			associations[e.ID] = e.Association
		}
		var items []ec2api.NetworkInterface
		for _, i := range all {
			n := i.interfaceWire(associations[i.PublicBy])
			if n.TagSet = apiTags(tags[i.ENI]); pass(n, tags[i.ENI]) {
				items = append(items, n)
			}
		}
		items, out.NextToken, err = paginate(c.Operation, items, func(n ec2api.NetworkInterface) string { return *n.NetworkInterfaceId }, limits{5, 1000}, in.MaxResults, in.NextToken)
		out.NetworkInterfaces = append(out.NetworkInterfaces, items...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
