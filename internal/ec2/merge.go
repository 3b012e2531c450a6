package ec2

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// merged are the parameters of a launch: those of the request, which win, over those of its launch
// template. Source: EC2 API Reference, RunInstances, LaunchTemplate.
type merged struct {
	ec2api.RunInstancesRequest
	mappings []mapping
	spot     *ec2api.SpotMarketOptions // nil: no Spot Instance
	public   *bool                     // AssociatePublicIpAddress; nil: not said
	// Which of the resources come from the template: ec2:IsLaunchTemplateResource.
	imageByTemplate, typeByTemplate, subnetByTemplate, groupsByTemplate, keyByTemplate bool
}

// fromTemplate are the parameters of launch template data, as if a request had them.
func fromTemplate(d *ec2api.RequestLaunchTemplateData) *ec2api.RunInstancesRequest {
	in := &ec2api.RunInstancesRequest{
		EbsOptimized: d.EbsOptimized, ImageId: d.ImageId, InstanceType: d.InstanceType, KeyName: d.KeyName,
		DisableApiTermination: d.DisableApiTermination, DisableApiStop: d.DisableApiStop, UserData: d.UserData,
		InstanceInitiatedShutdownBehavior: d.InstanceInitiatedShutdownBehavior, SecurityGroupIds: d.SecurityGroupIds,
		SecurityGroups: d.SecurityGroups, CreditSpecification: d.CreditSpecification, KernelId: d.KernelId, RamdiskId: d.RamDiskId,
	}
	for _, b := range d.BlockDeviceMappings {
		m := ec2api.BlockDeviceMapping{DeviceName: b.DeviceName, VirtualName: b.VirtualName, NoDevice: b.NoDevice}
		if e := b.Ebs; e != nil {
			m.Ebs = &ec2api.EbsBlockDevice{
				Encrypted: e.Encrypted, DeleteOnTermination: e.DeleteOnTermination, Iops: e.Iops, KmsKeyId: e.KmsKeyId,
				SnapshotId: e.SnapshotId, VolumeSize: e.VolumeSize, VolumeType: e.VolumeType, Throughput: e.Throughput,
				VolumeInitializationRate: e.VolumeInitializationRate, EbsCardIndex: e.EbsCardIndex,
			}
		}
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, m)
	}
	for i := range d.NetworkInterfaces {
		in.NetworkInterfaces = append(in.NetworkInterfaces, templateFace(&d.NetworkInterfaces[i]))
	}
	for _, t := range d.TagSpecifications {
		in.TagSpecifications = append(in.TagSpecifications, ec2api.TagSpecification(t))
	}
	if p := d.IamInstanceProfile; p != nil {
		in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Arn: p.Arn, Name: p.Name}
	}
	if m := d.Monitoring; m != nil {
		in.Monitoring = &ec2api.RunInstancesMonitoringEnabled{Enabled: m.Enabled}
	}
	if p := d.Placement; p != nil {
		in.Placement = &ec2api.Placement{
			AvailabilityZone: p.AvailabilityZone, AvailabilityZoneId: p.AvailabilityZoneId, Affinity: p.Affinity, GroupName: p.GroupName,
			HostId: p.HostId, Tenancy: p.Tenancy, GroupId: p.GroupId, PartitionNumber: p.PartitionNumber, HostResourceGroupArn: p.HostResourceGroupArn,
		}
	}
	if m := d.InstanceMarketOptions; m != nil {
		in.InstanceMarketOptions = &ec2api.InstanceMarketOptionsRequest{MarketType: m.MarketType}
		if o := m.SpotOptions; o != nil {
			in.InstanceMarketOptions.SpotOptions = &ec2api.SpotMarketOptions{
				MaxPrice: o.MaxPrice, SpotInstanceType: o.SpotInstanceType, BlockDurationMinutes: o.BlockDurationMinutes,
				ValidUntil: o.ValidUntil, InstanceInterruptionBehavior: o.InstanceInterruptionBehavior,
			}
		}
	}
	templateOptions(in, d)
	return in
}

// templateOptions are the members of a template that are structures of their own.
func templateOptions(in *ec2api.RunInstancesRequest, d *ec2api.RequestLaunchTemplateData) {
	if m := d.MetadataOptions; m != nil {
		in.MetadataOptions = &ec2api.InstanceMetadataOptionsRequest{
			HttpTokens: m.HttpTokens, HttpPutResponseHopLimit: m.HttpPutResponseHopLimit, HttpEndpoint: m.HttpEndpoint,
			HttpProtocolIpv6: m.HttpProtocolIpv6, InstanceMetadataTags: m.InstanceMetadataTags,
		}
	}
	if p := d.CpuOptions; p != nil {
		in.CpuOptions = new(ec2api.CpuOptionsRequest(*p))
	}
	if p := d.MaintenanceOptions; p != nil {
		in.MaintenanceOptions = &ec2api.InstanceMaintenanceOptionsRequest{AutoRecovery: p.AutoRecovery}
	}
	if p := d.PrivateDnsNameOptions; p != nil {
		in.PrivateDnsNameOptions = new(ec2api.PrivateDnsNameOptionsRequest(*p))
	}
	if r := d.CapacityReservationSpecification; r != nil {
		in.CapacityReservationSpecification = new(ec2api.CapacityReservationSpecification(*r))
	}
	if h := d.HibernationOptions; h != nil {
		in.HibernationOptions = &ec2api.HibernationOptionsRequest{Configured: h.Configured}
	}
	if e := d.EnclaveOptions; e != nil {
		in.EnclaveOptions = &ec2api.EnclaveOptionsRequest{Enabled: e.Enabled}
	}
	if p := d.NetworkPerformanceOptions; p != nil {
		in.NetworkPerformanceOptions = new(ec2api.InstanceNetworkPerformanceOptionsRequest(*p))
	}
	for _, l := range d.LicenseSpecifications {
		in.LicenseSpecifications = append(in.LicenseSpecifications, ec2api.LicenseConfigurationRequest(l))
	}
	for _, a := range d.ElasticInferenceAccelerators {
		in.ElasticInferenceAccelerators = append(in.ElasticInferenceAccelerators, ec2api.ElasticInferenceAccelerator(a))
	}
	in.ElasticGpuSpecification, in.Operator = d.ElasticGpuSpecifications, d.Operator
	in.SecondaryInterfaces = make([]ec2api.InstanceSecondaryInterfaceSpecificationRequest, len(d.SecondaryInterfaces)) // a launch refuses any
}

// merge puts a request over a template's parameters (nil without a template).
func merge(in, template *ec2api.RunInstancesRequest) merged {
	m := merged{RunInstancesRequest: *in}
	for _, b := range in.BlockDeviceMappings {
		m.mappings = append(m.mappings, mapping{b, false})
	}
	if template == nil {
		m.takeSpot()
		return m
	}
	m.imageByTemplate = over(&m.ImageId, template.ImageId)
	m.typeByTemplate = over(&m.InstanceType, template.InstanceType)
	m.keyByTemplate = over(&m.KeyName, template.KeyName)
	over(&m.EbsOptimized, template.EbsOptimized)
	over(&m.DisableApiTermination, template.DisableApiTermination)
	over(&m.DisableApiStop, template.DisableApiStop)
	over(&m.UserData, template.UserData)
	over(&m.InstanceInitiatedShutdownBehavior, template.InstanceInitiatedShutdownBehavior)
	over(&m.CreditSpecification, template.CreditSpecification)
	over(&m.KernelId, template.KernelId)
	over(&m.RamdiskId, template.RamdiskId)
	over(&m.IamInstanceProfile, template.IamInstanceProfile)
	over(&m.Monitoring, template.Monitoring)
	over(&m.InstanceMarketOptions, template.InstanceMarketOptions)
	over(&m.MetadataOptions, template.MetadataOptions)
	over(&m.CpuOptions, template.CpuOptions)
	over(&m.MaintenanceOptions, template.MaintenanceOptions)
	over(&m.HibernationOptions, template.HibernationOptions)
	over(&m.EnclaveOptions, template.EnclaveOptions)
	over(&m.PrivateDnsNameOptions, template.PrivateDnsNameOptions)
	over(&m.CapacityReservationSpecification, template.CapacityReservationSpecification)
	over(&m.NetworkPerformanceOptions, template.NetworkPerformanceOptions)
	over(&m.Operator, template.Operator)
	overList(&m.LicenseSpecifications, template.LicenseSpecifications)
	overList(&m.ElasticGpuSpecification, template.ElasticGpuSpecification)
	overList(&m.ElasticInferenceAccelerators, template.ElasticInferenceAccelerators)
	overList(&m.SecondaryInterfaces, template.SecondaryInterfaces)
	// Terraform sends an empty zone where it means none.
	if p := m.Placement; p == nil || *p == (ec2api.Placement{}) || *p == (ec2api.Placement{AvailabilityZone: p.AvailabilityZone}) && api.Val(p.AvailabilityZone) == "" {
		m.Placement = nil
		over(&m.Placement, template.Placement)
		if p := m.Placement; p != nil && m.SubnetId != nil { // the request's subnet has its zone
			elsewhere := *p
			elsewhere.AvailabilityZone, elsewhere.AvailabilityZoneId = nil, nil
			m.Placement = &elsewhere
		}
	}
	m.mergeNetwork(template)
	m.mergeMappings(template)
	m.TagSpecifications = mergeTags(template.TagSpecifications, in.TagSpecifications)
	m.takeSpot()
	return m
}

// over fills an absent member from the template and reports whether it did.
func over[T any](member **T, template *T) bool {
	if *member != nil || template == nil {
		return false
	}
	*member = template
	return true
}

// overList fills an empty list from the template.
func overList[T any](member *[]T, template []T) {
	if len(*member) == 0 {
		*member = template
	}
}

func (m *merged) mergeNetwork(template *ec2api.RunInstancesRequest) {
	if len(m.NetworkInterfaces) > 0 {
		return
	}
	if len(m.SecurityGroupIds)+len(m.SecurityGroups) == 0 {
		m.SecurityGroupIds, m.SecurityGroups = template.SecurityGroupIds, template.SecurityGroups
		m.groupsByTemplate = len(m.SecurityGroupIds)+len(m.SecurityGroups) > 0
	}
	if len(template.NetworkInterfaces) == 0 {
		return
	}
	if len(template.NetworkInterfaces) > 1 || !plainFace(template.NetworkInterfaces[0]) {
		m.takeFaces(template)
		return
	}
	// A subnet of the request goes before that of the template's interface: this is how a group
	// places instances of a template that describes an interface.
	n := template.NetworkInterfaces[0]
	m.subnetByTemplate = over(&m.SubnetId, n.SubnetId)
	if len(m.SecurityGroupIds) == 0 && len(n.Groups) > 0 {
		m.SecurityGroupIds, m.groupsByTemplate = n.Groups, true
	}
	over(&m.PrivateIpAddress, n.PrivateIpAddress)
	m.public = n.AssociatePublicIpAddress
}

// takeFaces takes all network interfaces of a template. A subnet and security groups of the request are those of the
// first, and the subnet is that of others that have none: so groups place what has several interfaces.
func (m *merged) takeFaces(template *ec2api.RunInstancesRequest) {
	m.NetworkInterfaces = slices.Clone(template.NetworkInterfaces)
	at := slices.IndexFunc(m.NetworkInterfaces, func(n ec2api.InstanceNetworkInterfaceSpecification) bool { return api.Val(n.DeviceIndex) == 0 })
	if at < 0 {
		return
	}
	first := &m.NetworkInterfaces[at]
	m.subnetByTemplate = m.SubnetId == nil
	if m.SubnetId != nil {
		for i := range m.NetworkInterfaces {
			if n := &m.NetworkInterfaces[i]; n.NetworkInterfaceId == nil {
				over(&n.SubnetId, m.SubnetId)
			}
		}
		first.SubnetId, m.SubnetId = m.SubnetId, nil
	}
	if len(first.Groups) > 0 && !m.groupsByTemplate && len(m.SecurityGroupIds) > 0 || len(first.Groups) == 0 {
		first.Groups = m.SecurityGroupIds
	} else {
		m.groupsByTemplate = true
	}
	m.SecurityGroupIds = nil
}

// mergeMappings puts the mappings of the template before those of the request; the request's
// replace those of the same device.
func (m *merged) mergeMappings(template *ec2api.RunInstancesRequest) {
	own := m.mappings
	m.mappings = nil
	for _, b := range template.BlockDeviceMappings {
		same := func(o mapping) bool { return api.Val(o.DeviceName) == api.Val(b.DeviceName) }
		if !slices.ContainsFunc(own, same) {
			m.mappings = append(m.mappings, mapping{b, true})
		}
	}
	m.mappings = append(m.mappings, own...)
}

// mergeTags joins the tags of both by resource type; those of the request win.
func mergeTags(template, own []ec2api.TagSpecification) []ec2api.TagSpecification {
	out := slices.Clone(own)
	for _, t := range template {
		i := slices.IndexFunc(out, func(o ec2api.TagSpecification) bool { return api.Val(o.ResourceType) == api.Val(t.ResourceType) })
		if i < 0 {
			out = append(out, t)
			continue
		}
		tags := slices.Clone(out[i].Tags)
		for _, tag := range t.Tags {
			if !slices.ContainsFunc(tags, func(o ec2api.Tag) bool { return api.Val(o.Key) == api.Val(tag.Key) }) {
				tags = append(tags, tag)
			}
		}
		out[i].Tags = tags
	}
	return out
}
