package ec2

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/capacity"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	hostTenancy     = ec2api.TenancyHost
	affinityHost    = ec2api.AffinityHost
	affinityDefault = ec2api.AffinityDefault
)

// dedicate reads on which Dedicated Host an instance is to run. Who names one means the tenancy host.
// Source: EC2 API Reference, "Placement"; EC2 User Guide, "Launch Amazon EC2 instances on an Amazon EC2 Dedicated Host".
func (o *instanceOptions) dedicate(p *ec2api.Placement) error {
	o.DedicatedHost, o.Affinity = api.Val(p.HostId), api.Val(p.Affinity)
	if o.DedicatedHost != "" && api.Val(p.Tenancy) == "" {
		o.Tenancy = hostTenancy
	}
	switch {
	case api.Val(p.HostResourceGroupArn) != "":
		return apierr.New("UnsupportedOperation", "This server does not support host resource groups.")
	case o.Affinity != "" && o.Affinity != affinityHost && o.Affinity != affinityDefault:
		return invalidValue("Value (%s) for parameter affinity is invalid. Valid values: default, host.", o.Affinity)
	case o.Tenancy != hostTenancy && (o.DedicatedHost != "" || o.Affinity == affinityHost):
		return apierr.Newf("InvalidParameterCombination", "A host and an affinity with hosts need the tenancy host, not %s.", o.Tenancy)
	case o.Tenancy == hostTenancy && o.Spot:
		return apierr.New("InvalidParameterCombination", "Spot Instances cannot run on Dedicated Hosts.")
	}
	return nil
}

// seatOf is where an instance is to run. One that was launched on a host, or has affinity with it, runs on no other.
func (i *instanceRecord) seatOf() capacity.Seat {
	o := &i.Options
	return capacity.Seat{Type: i.Type, Zone: i.Zone, Host: o.DedicatedHost, Auto: i.State == stopped && o.Affinity != affinityHost}
}

// suits fails for an instance that names a Dedicated Host on which it cannot run.
func (s *Service) suits(tx store.Tx, c *guard.Call, i *instanceRecord) error {
	if i.Options.Tenancy != hostTenancy || i.Options.DedicatedHost == "" {
		return nil
	}
	return s.capacity.Suits(tx, c, i.seatOf())
}

// seat finds a Dedicated Host for an instance that starts, if its tenancy is host.
func (s *Service) seat(tx store.Tx, c *guard.Call, i *instanceRecord) error {
	if i.Options.Tenancy != hostTenancy {
		return nil
	}
	hosts, err := s.capacity.Place(tx, c, i.seatOf(), 1)
	if err == nil {
		i.Options.DedicatedHost = hosts[0]
	}
	return err
}

// seatAll is seat for the instances of a launch, which are alike.
func (s *Service) seatAll(tx store.Tx, c *guard.Call, made []draftLaunch) error {
	if first := &made[0].instance; first.Options.Tenancy == hostTenancy {
		hosts, err := s.capacity.Place(tx, c, first.seatOf(), len(made))
		if err != nil {
			return err
		}
		for n := range made {
			made[n].instance.Options.DedicatedHost = hosts[n]
		}
	}
	return nil
}

// rehost is what a request changes of a stopped instance's tenancy and host. An empty host frees it of that which it
// was on; one that is named is that of its next start, on which it stays with affinity alone.
func (s *Service) rehost(tx store.Tx, c *guard.Call, i *instanceRecord, in *ec2api.ModifyInstancePlacementRequest) error {
	if in.Tenancy == nil && in.HostId == nil && in.Affinity == nil && in.HostResourceGroupArn == nil {
		return nil
	}
	o := &i.Options
	p := &ec2api.Placement{Tenancy: in.Tenancy, Affinity: in.Affinity, HostId: in.HostId, HostResourceGroupArn: in.HostResourceGroupArn}
	if api.Val(in.Tenancy) == "" && api.Val(in.HostId) == "" {
		p.Tenancy = &o.Tenancy
	}
	if p.Tenancy != nil && *p.Tenancy == hostTenancy {
		if p.HostId == nil {
			p.HostId = &o.DedicatedHost
		}
		if p.Affinity == nil {
			p.Affinity = &o.Affinity
		}
	}
	if p.Tenancy != nil {
		o.Tenancy = *p.Tenancy
	}
	if err := o.dedicate(p); err != nil {
		return err
	}
	if api.Val(in.HostId) == "" {
		return nil
	}
	return s.suits(tx, c, i)
}
