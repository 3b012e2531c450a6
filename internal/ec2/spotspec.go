package ec2

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// A spotSpec is what the request behind a Spot Instance shows of its launch, if RunInstances, a fleet or a group made it. A request
// of RequestSpotInstances shows what it was given, and has the names of its security groups here.
type spotSpec struct {
	Image      string   `json:"image,omitempty"`
	Type       string   `json:"type,omitempty"`
	Key        string   `json:"key,omitempty"`
	Subnet     string   `json:"subnet,omitempty"`
	Zone       string   `json:"zone,omitempty"`
	Profile    string   `json:"profile,omitempty"` // ARN
	Optimized  bool     `json:"optimized,omitempty"`
	Monitoring bool     `json:"monitoring,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	GroupsBy   []string `json:"groupsBy,omitempty"` // their names, in the same order
}

// spotSpec is that of the instance's request.
func (i *instanceRecord) spotSpec() *spotSpec {
	s := &spotSpec{
		Image: i.Image, Type: i.Type, Key: i.Options.Key, Subnet: i.Subnet, Zone: i.Zone, Optimized: i.Options.EbsOptimized,
		Monitoring: i.Options.Monitoring, Groups: i.Groups, GroupsBy: i.GroupsBy,
	}
	if i.Profile != nil {
		s.Profile = i.Profile.ARN
	}
	return s
}

// named is that of a request of RequestSpotInstances.
func (pl *launchPlan) named() *spotSpec {
	s := &spotSpec{}
	for _, g := range pl.groups {
		s.Groups, s.GroupsBy = append(s.Groups, g.ID), append(s.GroupsBy, g.Name)
	}
	return s
}

// groups are security groups, with their names as far as they are known.
func (s *spotSpec) groups(ids []string) (out []ec2api.GroupIdentifier) {
	for _, id := range ids {
		g := ec2api.GroupIdentifier{GroupId: &id}
		if s != nil {
			if n := slices.Index(s.Groups, id); n >= 0 {
				g.GroupName = &s.GroupsBy[n]
			}
		}
		out = append(out, g)
	}
	return out
}

// wire is the specification as answers carry it.
func (s *spotSpec) wire() *ec2api.LaunchSpecification {
	out := &ec2api.LaunchSpecification{
		ImageId: &s.Image, InstanceType: &s.Type, KeyName: api.Opt(s.Key), SubnetId: &s.Subnet, EbsOptimized: &s.Optimized,
		Monitoring: &ec2api.RunInstancesMonitoringEnabled{Enabled: &s.Monitoring}, Placement: &ec2api.SpotPlacement{AvailabilityZone: &s.Zone},
		SecurityGroups: s.groups(s.Groups),
	}
	if s.Profile != "" {
		out.IamInstanceProfile = &ec2api.IamInstanceProfileSpecification{Arn: &s.Profile}
	}
	return out
}
