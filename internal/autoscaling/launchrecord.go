package autoscaling

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/secret"
)

// launchRecord is what an activity launches. It is kept with the activity until EC2 has answered,
// so that a launch that is asked for again after a restart is the same, whatever became of its
// group in between.
type launchRecord struct {
	Template templateRef   `json:",omitzero"`
	Config   *configRecord `json:",omitempty"` // in place of a template
	Type     string        `json:",omitempty"` // in place of the template's
	Image    string        `json:",omitempty"` // in place of the template's
	Spot     bool          `json:",omitempty"` // of a mixed instances policy
	MaxPrice string        `json:",omitempty"`
	Weight   int32         `json:",omitempty"` // units of capacity; 0 is 1
	Weighted bool          `json:",omitempty"` // the policy gave the weight
	Among    int           `json:",omitempty"` // kinds of instance that it was chosen from
	Protect  bool          `json:",omitempty"`
	Warm     bool          `json:",omitempty"` // into the warm pool
	Extra    bool          `json:",omitempty"` // before another instance is taken out
	Balance  bool          `json:",omitempty"` // to even out the zones
	Tags     []tagRecord   `json:",omitempty"`
	// Placement is the placement group.
	Placement string `json:",omitempty"`
	// Reservations is the group's CapacityReservationSpecification.
	Reservations *autoscalingapi.CapacityReservationSpecification `json:",omitempty"`
}

// plainLaunch is a launch of a group without a mixed instances policy.
func (g *groupRecord) plainLaunch(config *configRecord) launchRecord {
	l := launchRecord{Template: g.Template, Config: config, Protect: g.Protect, Placement: g.Placement, Reservations: g.Reservations}
	for _, t := range g.Tags {
		if t.Propagate {
			l.Tags = append(l.Tags, t)
		}
	}
	return l
}

// bid is what the launch offers for a Spot Instance through a launch configuration, or "".
func (l *launchRecord) bid() string {
	if l.Config == nil {
		return ""
	}
	return api.Val(l.Config.Params.SpotPrice)
}

// pool is the capacity that the launch takes from: zone, market and type.
func (l *launchRecord) pool(zone string) string { return zone + "/" + l.market() + "/" + l.Type }

func (l *launchRecord) market() string {
	if l.Spot {
		return "spot"
	}
	return "on-demand"
}

// request is the launch as EC2 is asked for it. The activity's id is the client token.
func (l *launchRecord) request(group, token, subnet string) *ec2api.RunInstancesRequest {
	in := &ec2api.RunInstancesRequest{
		MinCount: new(int32(1)), MaxCount: new(int32(1)), ClientToken: &token, SubnetId: &subnet,
		InstanceType: api.Opt(l.Type), ImageId: api.Opt(l.Image),
	}
	tags := []ec2api.Tag{{Key: new(groupTag), Value: &group}}
	for _, t := range l.Tags {
		tags = append(tags, ec2api.Tag{Key: &t.Key, Value: &t.Value})
	}
	in.TagSpecifications = []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tags}}
	if l.Config != nil {
		l.Config.fill(in)
	} else {
		in.LaunchTemplate = &ec2api.LaunchTemplateSpecification{LaunchTemplateId: &l.Template.ID, Version: api.Opt(l.Template.Version)}
	}
	if l.Spot {
		in.InstanceMarketOptions = spotMarket(l.MaxPrice)
	} else if l.bid() == "" {
		in.CapacityReservationSpecification = reserved(l.Reservations)
	}
	placed(in, l.Placement)
	return in
}

// reserved is what a group's specification means to a launch: none, or nothing else than reservations, the only one that
// it names if it names one. Anything else is what EC2 does by itself: open reservations first.
// Source: Auto Scaling User Guide, "Use Capacity Reservations to reserve capacity in specific Availability Zones".
func reserved(r *autoscalingapi.CapacityReservationSpecification) *ec2api.CapacityReservationSpecification {
	if r == nil {
		return nil
	}
	switch api.Val(r.CapacityReservationPreference) {
	case autoscalingapi.CapacityReservationPreferenceNone:
		return &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new(ec2api.CapacityReservationPreferenceNone)}
	case autoscalingapi.CapacityReservationPreferenceCapacityReservationsOnly:
		if t := r.CapacityReservationTarget; t != nil && len(t.CapacityReservationIds) == 1 {
			return &ec2api.CapacityReservationSpecification{CapacityReservationTarget: &ec2api.CapacityReservationTarget{CapacityReservationId: &t.CapacityReservationIds[0]}}
		}
		return &ec2api.CapacityReservationSpecification{CapacityReservationPreference: new(ec2api.CapacityReservationPreferenceCapacityReservationsOnly)}
	}
	return nil
}

func spotMarket(price string) *ec2api.InstanceMarketOptionsRequest {
	return &ec2api.InstanceMarketOptionsRequest{
		MarketType:  new(ec2api.MarketTypeSpot),
		SpotOptions: &ec2api.SpotMarketOptions{MaxPrice: api.Opt(price), SpotInstanceType: new(ec2api.SpotInstanceTypeOneTime)},
	}
}

// fill puts the parameters of a launch configuration into a request.
// Source: API Reference, CreateLaunchConfiguration.
func (r *configRecord) fill(in *ec2api.RunInstancesRequest) {
	p := &r.Params
	in.ImageId, in.InstanceType, in.KeyName = p.ImageId, p.InstanceType, p.KeyName
	in.KernelId, in.RamdiskId, in.EbsOptimized = p.KernelId, p.RamdiskId, p.EbsOptimized
	in.Monitoring = &ec2api.RunInstancesMonitoringEnabled{Enabled: new(r.monitored())}
	if d := api.Val(p.UserData); d != "" {
		in.UserData = new(secret.String(d))
	}
	for _, id := range p.SecurityGroups {
		if isGroupID(id) {
			in.SecurityGroupIds = append(in.SecurityGroupIds, id)
		} else {
			in.SecurityGroups = append(in.SecurityGroups, id)
		}
	}
	for _, b := range p.BlockDeviceMappings {
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2Mapping(b))
	}
	if t := api.Val(p.PlacementTenancy); t != "" {
		in.Placement = &ec2api.Placement{Tenancy: &t}
	}
	if name := api.Val(p.IamInstanceProfile); name != "" {
		in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Name: &name}
		if isARN(name) {
			in.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Arn: &name}
		}
	}
	if m := p.MetadataOptions; m != nil {
		in.MetadataOptions = &ec2api.InstanceMetadataOptionsRequest{
			HttpTokens: m.HttpTokens, HttpPutResponseHopLimit: m.HttpPutResponseHopLimit, HttpEndpoint: m.HttpEndpoint,
		}
	}
	if price := api.Val(p.SpotPrice); price != "" {
		in.InstanceMarketOptions = spotMarket(price)
	}
	if p.AssociatePublicIpAddress != nil {
		in.NetworkInterfaces = []ec2api.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: new(int32(0)), AssociatePublicIpAddress: p.AssociatePublicIpAddress, SubnetId: in.SubnetId,
			Groups: in.SecurityGroupIds, DeleteOnTermination: new(true),
		}}
		in.SubnetId, in.SecurityGroupIds = nil, nil
	}
}

// ec2Mapping is a block device mapping in EC2's words.
func ec2Mapping(b autoscalingapi.BlockDeviceMapping) ec2api.BlockDeviceMapping {
	m := ec2api.BlockDeviceMapping{DeviceName: b.DeviceName, VirtualName: b.VirtualName}
	if api.Val(b.NoDevice) {
		m.NoDevice = new("")
	}
	if e := b.Ebs; e != nil {
		m.Ebs = &ec2api.EbsBlockDevice{
			SnapshotId: e.SnapshotId, VolumeSize: e.VolumeSize, VolumeType: e.VolumeType, DeleteOnTermination: e.DeleteOnTermination,
			Iops: e.Iops, Encrypted: e.Encrypted, Throughput: e.Throughput,
		}
	}
	return m
}
