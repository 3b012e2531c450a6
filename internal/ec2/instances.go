package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// instanceOperations are the handlers of instances.
func (s *Service) instanceOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"RunInstances":              guard.Handle(s.RunInstances),
		"DescribeInstances":         guard.Handle(s.DescribeInstances),
		"DescribeInstanceStatus":    guard.Handle(s.DescribeInstanceStatus),
		"DescribeInstanceTopology":  guard.Handle(s.DescribeInstanceTopology),
		"DescribeInstanceAttribute": guard.Handle(s.DescribeInstanceAttribute),
		"TerminateInstances":        guard.Handle(s.TerminateInstances),
		"StartInstances":            guard.Handle(s.StartInstances),
		"StopInstances":             guard.Handle(s.StopInstances),
		"RebootInstances":           guard.HandleVoid(s.RebootInstances),
		"ModifyInstanceAttribute":   guard.HandleVoid(s.ModifyInstanceAttribute),
		"GetInstanceUefiData":       guard.Handle(s.GetInstanceUefiData),

		"DescribeInstanceCreditSpecifications": guard.Handle(s.DescribeInstanceCreditSpecifications),
	}
}

// dnsName is the private name of an address. Source: EC2 User Guide, "EC2 instance hostnames".
func (i *instanceRecord) dnsName() string {
	name := privateName(i.Region, i.Address)
	if i.Options.ByResource {
		_, domain, _ := strings.Cut(name, ".")
		return i.ID + "." + domain
	}
	return name
}

func (i *instanceRecord) groups() []ec2api.GroupIdentifier {
	var out []ec2api.GroupIdentifier
	for n := range i.Groups {
		out = append(out, ec2api.GroupIdentifier{GroupId: &i.Groups[n], GroupName: &i.GroupsBy[n]})
	}
	return out
}

// bootsBy is the mode that the instance boots in: UEFI if its image and its type can, else BIOS.
// Source: EC2 User Guide, "Instance launch behavior with Amazon EC2 boot modes".
func (i *instanceRecord) bootsBy() string {
	kind, ok := hardware.Lookup(i.Type)
	if i.Architecture == image.ARM || strings.HasPrefix(i.BootMode, bootUEFI) && ok && slices.Contains(kind.BootModes(), bootUEFI) {
		return bootUEFI
	}
	return "legacy-bios"
}

// gone reports whether the instance has nothing but its record left.
func (i *instanceRecord) gone() bool { return i.State == terminated }

// wire is an instance as answers carry it. The lists of its parts are there if they are empty, too, as in the
// samples of DescribeInstances; tags are not.
func (i *instanceRecord) wire(tags map[string]string) ec2api.Instance {
	o := &i.Options
	out := ec2api.Instance{
		InstanceId: &i.ID, ImageId: &i.Image, State: i.State.wire(), StateTransitionReason: &i.Transition, InstanceType: &i.Type,
		AmiLaunchIndex: &i.Index, LaunchTime: wholeSecond(i.Launched), ClientToken: &i.Token, Tags: apiTags(tags),
		PrivateDnsName: new(""), PublicDnsName: new(""), Architecture: &i.Architecture, Hypervisor: new("xen"),
		VirtualizationType: new("hvm"), EnaSupport: new(true), EbsOptimized: &o.EbsOptimized,
		RootDeviceName: &i.RootDevice, RootDeviceType: new("ebs"), PlatformDetails: &i.Platform, UsageOperation: new("RunInstances"),
		UsageOperationUpdateTime: &i.Launched, SourceDestCheck: new(!o.NoSourceCheck),
		InstanceLifecycle: api.Opt(i.lifecycle()), SpotInstanceRequestId: api.Opt(i.spotRequest()),
		Placement: i.placement(), KeyName: api.Opt(o.Key), CapacityReservationId: api.Opt(i.reserved),
		Monitoring:                       &ec2api.Monitoring{State: new(map[bool]string{true: "enabled", false: "disabled"}[o.Monitoring])},
		CpuOptions:                       o.cpu(),
		NetworkPerformanceOptions:        &ec2api.InstanceNetworkPerformanceOptions{BandwidthWeighting: new(o.weighting())},
		CapacityReservationSpecification: o.wantsReservations(),
		Licenses:                         o.licenses(),
		HibernationOptions:               &ec2api.HibernationOptions{Configured: &o.Hibernation},
		EnclaveOptions:                   &ec2api.EnclaveOptions{Enabled: &o.Enclave},
		MaintenanceOptions:               &ec2api.InstanceMaintenanceOptions{AutoRecovery: new(o.recovery()), RebootMigration: new(o.migration())},
		BootMode:                         api.Opt(i.BootMode), CurrentInstanceBootMode: new(i.bootsBy()),
		Operator:            &ec2api.OperatorResponse{Managed: new(false), HiddenByDefault: new(false)},
		SecondaryInterfaces: []ec2api.InstanceSecondaryInterface{},
		PrivateDnsNameOptions: &ec2api.PrivateDnsNameOptionsResponse{
			HostnameType: new(hostnameType(o.ByResource)), EnableResourceNameDnsARecord: &o.ResourceA, EnableResourceNameDnsAAAARecord: &o.ResourceAAAA,
		},
		MetadataOptions:     i.metadata(map[bool]string{true: "pending", false: "applied"}[i.State == pending]),
		BlockDeviceMappings: []ec2api.InstanceBlockDeviceMapping{}, NetworkInterfaces: []ec2api.InstanceNetworkInterface{},
		SecurityGroups: []ec2api.GroupIdentifier{}, ProductCodes: []ec2api.ProductCode{},
	}
	if p := i.Profile; p != nil {
		out.IamInstanceProfile = &ec2api.IamInstanceProfile{Arn: &p.ARN, Id: &p.ID}
	}
	if i.Reason != nil {
		out.StateReason = &ec2api.StateReason{Code: &i.Reason.Code, Message: &i.Reason.Message}
	}
	if i.gone() {
		return out // it has left its network
	}
	out.PrivateDnsName, out.PrivateIpAddress = new(i.dnsName()), &i.Address
	if i.PublicIP != "" {
		out.PublicIpAddress, out.PublicDnsName = &i.PublicIP, new(i.publicName())
	}
	if first := i.first(); len(first.Six) > 0 {
		out.Ipv6Address = &first.Six[0]
	}
	out.SubnetId, out.VpcId, out.SecurityGroups = &i.Subnet, &i.VPC, i.groups()
	for _, f := range i.faces() {
		f.nameless = i.nameless
		out.NetworkInterfaces = append(out.NetworkInterfaces, i.wireFace(&heldFace{f, i}))
	}
	for n := range i.Devices {
		d := &i.Devices[n]
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, d.wire())
	}
	return out
}

func (i *instanceRecord) placement() *ec2api.Placement {
	o := &i.Options
	p := &ec2api.Placement{
		AvailabilityZone: &i.Zone, AvailabilityZoneId: &i.ZoneID, GroupName: &o.Placement, GroupId: api.Opt(o.PlacementID), Tenancy: &o.Tenancy,
	}
	if o.Partition > 0 {
		p.PartitionNumber = &o.Partition
	}
	if o.Tenancy == hostTenancy {
		p.Affinity = new(cmp.Or(o.Affinity, affinityDefault))
		if o.Affinity == affinityHost || i.State != stopped && !i.gone() {
			p.HostId = api.Opt(o.DedicatedHost)
		}
	}
	return p
}

// publicName is the name of the public address, "" in a VPC that gives none. Source: EC2 API Reference, Instance,
// PublicDnsName; VPC User Guide, "DNS attributes for your VPC".
func (i *instanceRecord) publicName() string {
	if i.nameless {
		return ""
	}
	return publicHostName(i.Region, i.PublicIP)
}

func (d *attachedDevice) wire() ec2api.InstanceBlockDeviceMapping {
	return ec2api.InstanceBlockDeviceMapping{DeviceName: &d.Name, Ebs: &ec2api.EbsInstanceBlockDevice{
		AttachTime: wholeSecond(d.Attached), DeleteOnTermination: &d.DeleteOnTermination, Status: new(plugAttached), VolumeId: &d.Volume,
		EbsCardIndex: new(int32(0)),
	}}
}

// wireFace is a network interface of an instance as answers about the instance carry it.
func (i *instanceRecord) wireFace(f *heldFace) ec2api.InstanceNetworkInterface {
	n := ec2api.InstanceNetworkInterface{
		NetworkInterfaceId: &f.ID, Description: &f.Description, OwnerId: &f.Account, Status: new("in-use"), SourceDestCheck: new(!f.NoSourceCheck),
		SubnetId: &f.Subnet, VpcId: &f.VPC, MacAddress: &f.MAC, Groups: f.wireGroups(), InterfaceType: new(f.interfaceType()), Operator: idiom.Unmanaged(),
		PrivateDnsName: new(f.name()), PrivateIpAddress: &f.Address, Ipv6Addresses: []ec2api.InstanceIpv6Address{},
		Ipv4Prefixes: wirePrefixes(f.Prefixes, instanceFourPrefix), Ipv6Prefixes: wirePrefixes(f.SixPrefixes, instanceSixPrefix),
		PrivateIpAddresses: []ec2api.InstancePrivateIpAddress{{Primary: new(true), PrivateDnsName: new(f.name()), PrivateIpAddress: &f.Address}},
		Attachment: &ec2api.InstanceNetworkInterfaceAttachment{
			AttachTime: wholeSecond(f.Plug.At), AttachmentId: &f.Plug.ID, DeleteOnTermination: &f.Plug.Delete, DeviceIndex: &f.Plug.Index,
			NetworkCardIndex: &f.Plug.Card, Status: new(plugAttached), EnaSrdSpecification: f.Plug.Express.wireInstance(),
		},
	}
	if t := f.Tracking.wire(); t != nil {
		n.ConnectionTrackingConfiguration = new(ec2api.ConnectionTrackingSpecificationResponse(*t))
	}
	for _, a := range f.Secondary {
		n.PrivateIpAddresses = append(n.PrivateIpAddresses, ec2api.InstancePrivateIpAddress{
			Primary: new(false), PrivateDnsName: new(privateName(f.Region, a)), PrivateIpAddress: new(a), Association: f.openedInstance(a),
		})
	}
	for at, a := range f.Six {
		n.Ipv6Addresses = append(n.Ipv6Addresses, ec2api.InstanceIpv6Address{Ipv6Address: new(a), IsPrimaryIpv6: new(f.SixPrimary && at == 0)})
	}
	if i.State == pending {
		n.Attachment.Status = new(plugAttaching)
	}
	if f.PublicIP != "" {
		n.Association = &ec2api.InstanceNetworkInterfaceAssociation{
			IpOwnerId: new(f.publicOwner()), PublicDnsName: new(f.publicName(f.PublicIP)), PublicIp: &f.PublicIP,
		}
		n.PrivateIpAddresses[0].Association = n.Association
	}
	return n
}

// newReservation is that of an instance, without instances.
func newReservation(i *instanceRecord) *ec2api.Reservation {
	return &ec2api.Reservation{OwnerId: &i.Account, ReservationId: &i.Reservation, Groups: []ec2api.GroupIdentifier{}}
}

// DescribeInstances describes instances, by reservation.
func (s *Service) DescribeInstances(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstancesRequest) (*ec2api.DescribeInstancesResult, error) {
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, errIDsAndPage("instancesSet")
	}
	out := &ec2api.DescribeInstancesResult{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		out.Reservations = nil
		if err := s.allowDry(tx, c, "ec2:DescribeInstances", in.DryRun); err != nil {
			return err
		}
		found, tags, err := s.selectInstances(tx, c, in.InstanceIds, in.Filters)
		if err != nil {
			return err
		}
		found, out.NextToken, err = paginate("DescribeInstances", found, instanceOrder, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, i := range found {
			n := len(out.Reservations)
			if n == 0 || *out.Reservations[n-1].ReservationId != i.Reservation {
				out.Reservations = append(out.Reservations, ec2api.Reservation{
					OwnerId: &i.Account, ReservationId: &i.Reservation, Groups: []ec2api.GroupIdentifier{},
				})
				n++
			}
			r := &out.Reservations[n-1]
			r.Instances = append(r.Instances, i.wire(tags[i.ID]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeInstanceStatus describes the health of instances: of running ones, unless all are asked
// for.
func (s *Service) DescribeInstanceStatus(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceStatusRequest) (*ec2api.DescribeInstanceStatusResult, error) {
	out := &ec2api.DescribeInstanceStatusResult{}
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, errIDsAndPage("instancesSet")
	}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		out.InstanceStatuses = nil
		if err := s.allowDry(tx, c, "ec2:DescribeInstanceStatus", in.DryRun); err != nil {
			return err
		}
		found, _, err := s.selectBy(tx, c, s.statusFields(), in.InstanceIds, in.Filters)
		if err != nil {
			return err
		}
		if !api.Val(in.IncludeAllInstances) {
			found = slices.DeleteFunc(found, func(i *instanceRecord) bool { return i.State != running })
		}
		found, out.NextToken, err = paginate("DescribeInstanceStatus", found, instanceOrder, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, i := range found {
			out.InstanceStatuses = append(out.InstanceStatuses, s.status(i))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// status is the health of an instance: that of a running one is what the host can say, whether it
// holds all volumes. Without the root volume nothing of it works.
func (s *Service) status(i *instanceRecord) ec2api.InstanceStatus {
	machine, disks := "not-applicable", "not-applicable"
	if i.State == running {
		machine, disks = "ok", "ok"
		for _, d := range i.Devices {
			if s.held(i.Host, d.Volume, i.ID) {
				continue
			}
			if disks = "impaired"; d.Name == i.RootDevice {
				machine = "impaired"
			}
		}
	}
	reach := func(status string) *string {
		return map[string]*string{"ok": new("passed"), "impaired": new("failed")}[status]
	}
	check := func() *ec2api.InstanceStatusSummary {
		out := &ec2api.InstanceStatusSummary{Status: &machine}
		if r := reach(machine); r != nil {
			out.Details = []ec2api.InstanceStatusDetails{{Name: new("reachability"), Status: r}}
		}
		return out
	}
	out := ec2api.InstanceStatus{
		InstanceId: &i.ID, AvailabilityZone: &i.Zone, AvailabilityZoneId: &i.ZoneID, InstanceState: i.State.wire(),
		Operator: idiom.Unmanaged(), InstanceStatus: check(), SystemStatus: check(), AttachedEbsStatus: &ec2api.EbsStatusSummary{Status: &disks},
	}
	if r := reach(disks); r != nil {
		out.AttachedEbsStatus.Details = []ec2api.EbsStatusDetails{{Name: new("reachability"), Status: r}}
	}
	return out
}

// DescribeInstanceAttribute gives one attribute of an instance.
func (s *Service) DescribeInstanceAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceAttributeRequest) (*ec2api.InstanceAttribute, error) {
	var out *ec2api.InstanceAttribute
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
		if err != nil {
			return err
		}
		if err := s.allowInstances(tx, c, "ec2:DescribeInstanceAttribute", found); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		out, err = found[0].attribute(api.Val(in.Attribute))
		return err
	})
	return out, err
}

func (i *instanceRecord) attribute(name string) (*ec2api.InstanceAttribute, error) {
	text := func(v string) *ec2api.AttributeValue { return &ec2api.AttributeValue{Value: &v} }
	flag := func(v bool) *ec2api.AttributeBooleanValue { return &ec2api.AttributeBooleanValue{Value: &v} }
	out, o := &ec2api.InstanceAttribute{InstanceId: &i.ID}, &i.Options
	switch name {
	case "instanceType":
		out.InstanceType = text(i.Type)
	case "userData":
		out.UserData = &ec2api.AttributeValue{Value: api.Opt(o.UserData)}
	case "disableApiTermination":
		out.DisableApiTermination = flag(o.ProtectTermination)
	case "disableApiStop":
		out.DisableApiStop = flag(o.ProtectStop)
	case "instanceInitiatedShutdownBehavior":
		out.InstanceInitiatedShutdownBehavior = text(o.Shutdown)
	case "rootDeviceName":
		out.RootDeviceName = text(i.RootDevice)
	case "blockDeviceMapping":
		for n := range i.Devices {
			out.BlockDeviceMappings = append(out.BlockDeviceMappings, i.Devices[n].wire())
		}
	case "sourceDestCheck":
		out.SourceDestCheck = flag(!o.NoSourceCheck)
	case "groupSet":
		out.Groups = i.groups()
	case "ebsOptimized":
		out.EbsOptimized = flag(o.EbsOptimized)
	case "enaSupport":
		out.EnaSupport = flag(true)
	case "enclaveOptions":
		out.EnclaveOptions = &ec2api.EnclaveOptions{Enabled: &o.Enclave}
	case "sriovNetSupport":
		out.SriovNetSupport = text("simple")
	case "kernel":
		out.KernelId = &ec2api.AttributeValue{}
	case "ramdisk":
		out.RamdiskId = &ec2api.AttributeValue{}
	case "productCodes":
		out.ProductCodes = nil
	default:
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return out, nil
}
