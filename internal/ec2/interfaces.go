package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

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
	plug := func(get func(*ec2api.NetworkInterfaceAttachment) []string) func(face) []string {
		return func(n face) []string {
			if n.Attachment == nil {
				return nil
			}
			return get(n.Attachment)
		}
	}
	plugText := func(get func(*ec2api.NetworkInterfaceAttachment) *string) func(face) []string {
		return plug(func(a *ec2api.NetworkInterfaceAttachment) []string { return oneOf(api.Val(get(a))) })
	}
	addresses := func(get func(ec2api.NetworkInterfacePrivateIpAddress) *string) func(face) []string {
		return func(n face) []string { return each(n.PrivateIpAddresses, get) }
	}
	owner := public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.IpOwnerId })
	ip := public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.PublicIp })
	out := fields[face]{
		"network-interface-id":            text(func(n *face) *string { return n.NetworkInterfaceId }),
		"association.allocation-id":       public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.AllocationId }),
		"association.association-id":      public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.AssociationId }),
		"association.ip-owner-id":         owner,
		"association.public-ip":           ip,
		"association.public-dns-name":     public(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.PublicDnsName }),
		"addresses.association.owner-id":  owner,
		"addresses.association.public-ip": ip,
		"addresses.primary": addresses(func(a ec2api.NetworkInterfacePrivateIpAddress) *string {
			return &boolOf(*a.Primary)[0]
		}),
		"addresses.private-ip-address":     addresses(func(a ec2api.NetworkInterfacePrivateIpAddress) *string { return a.PrivateIpAddress }),
		"description":                      text(func(n *face) *string { return n.Description }),
		"requester-id":                     text(func(n *face) *string { return n.RequesterId }),
		"attachment.attach-time":           plug(func(a *ec2api.NetworkInterfaceAttachment) []string { return timeText(a.AttachTime) }),
		"attachment.attachment-id":         plugText(func(a *ec2api.NetworkInterfaceAttachment) *string { return a.AttachmentId }),
		"attachment.instance-id":           plugText(func(a *ec2api.NetworkInterfaceAttachment) *string { return a.InstanceId }),
		"attachment.instance-owner-id":     plugText(func(a *ec2api.NetworkInterfaceAttachment) *string { return a.InstanceOwnerId }),
		"attachment.device-index":          plug(func(a *ec2api.NetworkInterfaceAttachment) []string { return intOf(*a.DeviceIndex) }),
		"attachment.status":                plugText(func(a *ec2api.NetworkInterfaceAttachment) *string { return a.Status }),
		"attachment.delete-on-termination": plug(func(a *ec2api.NetworkInterfaceAttachment) []string { return boolOf(*a.DeleteOnTermination) }),
		"availability-zone":                text(func(n *face) *string { return n.AvailabilityZone }),
		"availability-zone-id":             text(func(n *face) *string { return n.AvailabilityZoneId }),
		"subnet-id":                        text(func(n *face) *string { return n.SubnetId }),
		"vpc-id":                           text(func(n *face) *string { return n.VpcId }),
		"mac-address":                      text(func(n *face) *string { return n.MacAddress }),
		"owner-id":                         text(func(n *face) *string { return n.OwnerId }),
		"private-ip-address":               text(func(n *face) *string { return n.PrivateIpAddress }),
		"private-dns-name":                 text(func(n *face) *string { return n.PrivateDnsName }),
		"group-id":                         groups(func(g ec2api.GroupIdentifier) *string { return g.GroupId }),
		"group-name":                       groups(func(g ec2api.GroupIdentifier) *string { return g.GroupName }),
		"status":                           text(func(n *face) *string { return n.Status }),
		"interface-type":                   text(func(n *face) *string { return n.InterfaceType }),
		"requester-managed":                func(n face) []string { return boolOf(*n.RequesterManaged) },
		"operator.managed":                 fixed[face]("false"),
		"source-dest-check":                func(n face) []string { return boolOf(*n.SourceDestCheck) },
	}
	out["ipv6-addresses.ipv6-address"] = func(n face) []string {
		return each(n.Ipv6Addresses, func(a ec2api.NetworkInterfaceIpv6Address) *string { return a.Ipv6Address })
	}
	out["operator.principal"] = fixed[face]()
	return out
}

// DescribeNetworkInterfaces lists the network interfaces: those of instances, as long as they are not terminated, those of
// their own and those of services.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, c *guard.Call, in *ec2api.DescribeNetworkInterfacesRequest) (*ec2api.DescribeNetworkInterfacesResult, error) {
	out := &ec2api.DescribeNetworkInterfacesResult{}
	err := s.viewList(ctx, c, "ec2:DescribeNetworkInterfaces", in.DryRun, func(tx store.Tx) error {
		out.NetworkInterfaces = []ec2api.NetworkInterface{}
		pass, err := interfaceFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		all, err := allFaces(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		tags, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		all, err = pick(all, in.NetworkInterfaceIds, func(f heldFace) string { return f.ID }, errInterface)
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
		names, err := s.naming(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.NetworkInterface
		for i := range all {
			f := &all[i]
			f.nameless = !names[f.VPC]
			n := f.wire(associations[f.PublicBy])
			if n.TagSet = listed(tags[f.ID]); pass(n, tags[f.ID]) {
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
