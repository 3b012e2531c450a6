package ec2

import (
	"maps"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// partFields are the filters of DescribeInstances about what an answer shows of an instance, and about
// what no instance here has. Source: EC2 API Reference, DescribeInstances, Filters.
func partFields() fields[*instanceRecord] {
	of := func(get func(*ec2api.Instance) []string) func(*instanceRecord) []string {
		return func(i *instanceRecord) []string {
			w := i.wire(nil)
			return get(&w)
		}
	}
	text := func(get func(*ec2api.Instance) *string) func(*instanceRecord) []string {
		return of(func(w *ec2api.Instance) []string { return oneOf(api.Val(get(w))) })
	}
	flag := func(get func(*ec2api.Instance) *bool) func(*instanceRecord) []string {
		return of(func(w *ec2api.Instance) []string { return boolOf(api.Val(get(w))) })
	}
	out := fields[*instanceRecord]{
		"dns-name":                   text(func(w *ec2api.Instance) *string { return w.PublicDnsName }),
		"current-instance-boot-mode": text(func(w *ec2api.Instance) *string { return w.CurrentInstanceBootMode }),
		"usage-operation":            text(func(w *ec2api.Instance) *string { return w.UsageOperation }),
		"reason":                     text(func(w *ec2api.Instance) *string { return w.StateTransitionReason }),
		"usage-operation-update-time": of(func(w *ec2api.Instance) []string {
			return timeText(w.UsageOperationUpdateTime)
		}),
		"ebs-optimized":                  flag(func(w *ec2api.Instance) *bool { return w.EbsOptimized }),
		"ena-support":                    flag(func(w *ec2api.Instance) *bool { return w.EnaSupport }),
		"enclave-options.enabled":        flag(func(w *ec2api.Instance) *bool { return w.EnclaveOptions.Enabled }),
		"hibernation-options.configured": flag(func(w *ec2api.Instance) *bool { return w.HibernationOptions.Configured }),
		"maintenance-options.auto-recovery": text(func(w *ec2api.Instance) *string {
			return w.MaintenanceOptions.AutoRecovery
		}),
		"metadata-options.state":                  text(func(w *ec2api.Instance) *string { return w.MetadataOptions.State }),
		"metadata-options.http-protocol-ipv4":     fixed[*instanceRecord]("enabled"),
		"metadata-options.http-protocol-ipv6":     text(func(w *ec2api.Instance) *string { return w.MetadataOptions.HttpProtocolIpv6 }),
		"metadata-options.instance-metadata-tags": text(func(w *ec2api.Instance) *string { return w.MetadataOptions.InstanceMetadataTags }),
		"metadata-options.http-put-response-hop-limit": of(func(w *ec2api.Instance) []string {
			return intOf(api.Val(w.MetadataOptions.HttpPutResponseHopLimit))
		}),
		"iam-instance-profile.id": of(func(w *ec2api.Instance) []string {
			if w.IamInstanceProfile == nil {
				return nil
			}
			return oneOf(api.Val(w.IamInstanceProfile.Id))
		}),
		"private-dns-name-options.hostname-type": text(func(w *ec2api.Instance) *string {
			return w.PrivateDnsNameOptions.HostnameType
		}),
		"private-dns-name-options.enable-resource-name-dns-a-record": flag(func(w *ec2api.Instance) *bool {
			return w.PrivateDnsNameOptions.EnableResourceNameDnsARecord
		}),
		"private-dns-name-options.enable-resource-name-dns-aaaa-record": flag(func(w *ec2api.Instance) *bool {
			return w.PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord
		}),
		"capacity-reservation-specification.capacity-reservation-preference": text(func(w *ec2api.Instance) *string {
			return w.CapacityReservationSpecification.CapacityReservationPreference
		}),
		"affinity":                text(func(w *ec2api.Instance) *string { return w.Placement.Affinity }),
		"host-id":                 text(func(w *ec2api.Instance) *string { return w.Placement.HostId }),
		"capacity-reservation-id": text(func(w *ec2api.Instance) *string { return w.CapacityReservationId }),
		"capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": func(i *instanceRecord) []string {
			return oneOf(i.Options.ReservationTarget)
		},
		"block-device-mapping.attach-time": of(func(w *ec2api.Instance) (out []string) {
			for _, d := range w.BlockDeviceMappings {
				out = append(out, timeText(d.Ebs.AttachTime)...)
			}
			return out
		}),
		"operator.managed": fixed[*instanceRecord]("false"),
		"boot-mode":        text(func(w *ec2api.Instance) *string { return w.BootMode }),
		"network-performance-options.bandwidth-weighting": text(func(w *ec2api.Instance) *string {
			return w.NetworkPerformanceOptions.BandwidthWeighting
		}),
	}
	for _, name := range []string{
		"kernel-id", "operator.principal", "outpost-arn",
		"product-code", "product-code.type", "ramdisk-id", "requester-id", "tpm-support",
		"capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn",
	} {
		out[name] = fixed[*instanceRecord]()
	}
	out["ipv6-address"] = of(func(w *ec2api.Instance) []string { return oneOf(api.Val(w.Ipv6Address)) })
	maps.Copy(out, faceFields(of))
	return out
}

// faceFields are those about network interfaces.
func faceFields(of func(func(*ec2api.Instance) []string) func(*instanceRecord) []string) fields[*instanceRecord] {
	each := func(get func(*ec2api.InstanceNetworkInterface) []string) func(*instanceRecord) []string {
		return of(func(w *ec2api.Instance) (out []string) {
			for n := range w.NetworkInterfaces {
				out = append(out, get(&w.NetworkInterfaces[n])...)
			}
			return out
		})
	}
	text := func(get func(*ec2api.InstanceNetworkInterface) *string) func(*instanceRecord) []string {
		return each(func(n *ec2api.InstanceNetworkInterface) []string { return oneOf(api.Val(get(n))) })
	}
	public := func(get func(*ec2api.InstanceNetworkInterfaceAssociation) *string) func(*instanceRecord) []string {
		return each(func(n *ec2api.InstanceNetworkInterface) []string {
			if n.Association == nil {
				return nil
			}
			return oneOf(api.Val(get(n.Association)))
		})
	}
	groups := func(get func(ec2api.GroupIdentifier) *string) func(*instanceRecord) []string {
		return each(func(n *ec2api.InstanceNetworkInterface) (out []string) {
			for _, g := range n.Groups {
				out = append(out, oneOf(api.Val(get(g)))...)
			}
			return out
		})
	}
	owner := public(func(a *ec2api.InstanceNetworkInterfaceAssociation) *string { return a.IpOwnerId })
	name := public(func(a *ec2api.InstanceNetworkInterfaceAssociation) *string { return a.PublicDnsName })
	address := public(func(a *ec2api.InstanceNetworkInterfaceAssociation) *string { return a.PublicIp })
	out := fields[*instanceRecord]{
		"addresses.private-ip-address":          text(func(n *ec2api.InstanceNetworkInterface) *string { return n.PrivateIpAddress }),
		"addresses.private-dns-name":            text(func(n *ec2api.InstanceNetworkInterface) *string { return n.PrivateDnsName }),
		"addresses.primary":                     each(func(*ec2api.InstanceNetworkInterface) []string { return boolOf(true) }),
		"addresses.association.ip-owner-id":     owner,
		"addresses.association.public-dns-name": name,
		"addresses.association.public-ip":       address,
		"association.ip-owner-id":               owner,
		"association.public-dns-name":           name,
		"association.public-ip":                 address,
		"attachment.attach-time":                each(func(n *ec2api.InstanceNetworkInterface) []string { return timeText(n.Attachment.AttachTime) }),
		"attachment.attachment-id":              text(func(n *ec2api.InstanceNetworkInterface) *string { return n.Attachment.AttachmentId }),
		"attachment.delete-on-termination": each(func(n *ec2api.InstanceNetworkInterface) []string {
			return boolOf(api.Val(n.Attachment.DeleteOnTermination))
		}),
		"attachment.device-index": each(func(n *ec2api.InstanceNetworkInterface) []string { return intOf(api.Val(n.Attachment.DeviceIndex)) }),
		"attachment.network-card-index": each(func(n *ec2api.InstanceNetworkInterface) []string {
			return intOf(api.Val(n.Attachment.NetworkCardIndex))
		}),
		"attachment.status":            text(func(n *ec2api.InstanceNetworkInterface) *string { return n.Attachment.Status }),
		"attachment.instance-id":       of(func(w *ec2api.Instance) []string { return oneOf(*w.InstanceId) }),
		"attachment.instance-owner-id": text(func(n *ec2api.InstanceNetworkInterface) *string { return n.OwnerId }),
		"availability-zone":            of(func(w *ec2api.Instance) []string { return oneOf(*w.Placement.AvailabilityZone) }),
		"description":                  text(func(n *ec2api.InstanceNetworkInterface) *string { return n.Description }),
		"group-id":                     groups(func(g ec2api.GroupIdentifier) *string { return g.GroupId }),
		"group-name":                   groups(func(g ec2api.GroupIdentifier) *string { return g.GroupName }),
		"mac-address":                  text(func(n *ec2api.InstanceNetworkInterface) *string { return n.MacAddress }),
		"network-interface-id":         text(func(n *ec2api.InstanceNetworkInterface) *string { return n.NetworkInterfaceId }),
		"owner-id":                     text(func(n *ec2api.InstanceNetworkInterface) *string { return n.OwnerId }),
		"private-dns-name":             text(func(n *ec2api.InstanceNetworkInterface) *string { return n.PrivateDnsName }),
		"private-ip-address":           text(func(n *ec2api.InstanceNetworkInterface) *string { return n.PrivateIpAddress }),
		"public-dns-name":              name,
		"operator.managed":             each(func(*ec2api.InstanceNetworkInterface) []string { return boolOf(false) }),
		"requester-managed":            each(func(*ec2api.InstanceNetworkInterface) []string { return boolOf(false) }),
		"source-dest-check":            each(func(n *ec2api.InstanceNetworkInterface) []string { return boolOf(api.Val(n.SourceDestCheck)) }),
		"status":                       text(func(n *ec2api.InstanceNetworkInterface) *string { return n.Status }),
	}
	for _, none := range []string{
		"addresses.association.allocation-id", "addresses.association.association-id", "addresses.association.carrier-ip", "addresses.association.customer-owned-ip",
		"association.allocation-id", "association.association-id", "association.carrier-ip", "association.customer-owned-ip",
		"deny-all-igw-traffic", "ipv6-native", "operator.principal", "outpost-arn", "requester-id", "tag-key", "tag-value",
	} {
		out[none] = fixed[*instanceRecord]()
	}
	out["ipv4-prefixes.ipv4-prefix"] = each(func(n *ec2api.InstanceNetworkInterface) []string {
		return prefixTexts(n.Ipv4Prefixes, func(p ec2api.InstanceIpv4Prefix) *string { return p.Ipv4Prefix })
	})
	out["ipv6-prefixes.ipv6-prefix"] = each(func(n *ec2api.InstanceNetworkInterface) []string {
		return prefixTexts(n.Ipv6Prefixes, func(p ec2api.InstanceIpv6Prefix) *string { return p.Ipv6Prefix })
	})
	out["ipv6-addresses.ipv6-address"] = each(func(n *ec2api.InstanceNetworkInterface) (out []string) {
		for _, a := range n.Ipv6Addresses {
			out = append(out, oneOf(*a.Ipv6Address)...)
		}
		return out
	})
	out["ipv6-address"] = out["ipv6-addresses.ipv6-address"]
	out["ipv6-addresses.is-primary-ipv6"] = each(func(n *ec2api.InstanceNetworkInterface) (out []string) {
		for _, a := range n.Ipv6Addresses {
			out = append(out, boolOf(*a.IsPrimaryIpv6)...)
		}
		return out
	})
	out["is-primary-ipv6"] = out["ipv6-addresses.is-primary-ipv6"]
	named := make(fields[*instanceRecord], len(out))
	for name, get := range out {
		named["network-interface."+name] = get
	}
	return named
}

// wholeSecond is a time as EC2 tells when something was launched or attached.
func wholeSecond(t time.Time) *time.Time { return new(t.Truncate(time.Second)) }

// timeText is a time as filters name it.
func timeText(t *time.Time) []string {
	if t == nil {
		return nil
	}
	return oneOf(apiTime(*t))
}

// statusFields are the filters of DescribeInstanceStatus: those of instances, and of their health. Nothing is
// scheduled for instances here. Source: EC2 API Reference, DescribeInstanceStatus, Filters.
func (s *Service) statusFields() fields[*instanceRecord] {
	out := instanceFields()
	reach := func(v *ec2api.InstanceStatusSummary) []string {
		if len(v.Details) == 0 {
			return nil
		}
		return oneOf(*v.Details[0].Status)
	}
	out["instance-status.status"] = func(i *instanceRecord) []string { return oneOf(*s.status(i).InstanceStatus.Status) }
	out["instance-status.reachability"] = func(i *instanceRecord) []string { return reach(s.status(i).InstanceStatus) }
	out["system-status.status"] = func(i *instanceRecord) []string { return oneOf(*s.status(i).SystemStatus.Status) }
	out["system-status.reachability"] = func(i *instanceRecord) []string { return reach(s.status(i).SystemStatus) }
	out["attached-ebs-status.status"] = func(i *instanceRecord) []string { return oneOf(*s.status(i).AttachedEbsStatus.Status) }
	for _, name := range []string{"code", "description", "instance-event-id", "not-after", "not-before", "not-before-deadline"} {
		out["event."+name] = fixed[*instanceRecord]()
	}
	return out
}
