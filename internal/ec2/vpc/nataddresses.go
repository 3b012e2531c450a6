package vpc

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// natAddresses is how many private addresses a NAT gateway has at most. Source: VPC User Guide, "Amazon VPC quotas".
const natAddresses = 8

// A natAddress is a secondary address of a NAT gateway; that of a public one has an Elastic IP address.
type natAddress struct {
	Private     string `json:"private"`
	Allocation  string `json:"allocation,omitempty"`
	Public      string `json:"public,omitempty"`
	Association string `json:"association,omitempty"`
}

func (n *natRecord) wireAddress(a natAddress, status string) ec2api.NatGatewayAddress {
	return ec2api.NatGatewayAddress{
		AllocationId: api.Opt(a.Allocation), NetworkInterfaceId: api.Opt(n.Face), PrivateIp: api.Opt(a.Private), PublicIp: api.Opt(a.Public),
		AssociationId: api.Opt(a.Association), IsPrimary: new(false), Status: &status,
	}
}

// natWants are the secondary addresses that a request wants.
type natWants struct {
	allocations, private []string
	count                int // of private ones that are not named
}

func natWantsOf(in *ec2api.CreateNatGatewayRequest) natWants {
	return natWants{in.SecondaryAllocationIds, in.SecondaryPrivateIpAddresses, int(api.Val(in.SecondaryPrivateIpAddressCount))}
}

// check refuses what a NAT gateway of a kind cannot have. AWS's texts are not published.
func (w *natWants) check(kind string) error {
	switch {
	case kind == "private" && len(w.allocations) > 0:
		return apierr.New("InvalidParameterCombination", "Secondary allocation IDs cannot be specified for a private NAT gateway.")
	case kind == "public" && w.count > 0:
		return apierr.New("InvalidParameterCombination", "The SecondaryPrivateIpAddressCount parameter can be specified only for a private NAT gateway.")
	case kind == "public" && len(w.private) > len(w.allocations):
		return apierr.New("InvalidParameterCombination", "Each secondary private IP address of a public NAT gateway must have a secondary allocation ID.")
	case w.count > 0 && len(w.private) > 0:
		return apierr.New("InvalidParameterCombination", "Secondary private IP addresses and their count cannot be specified together.")
	}
	return nil
}

// give gives a NAT gateway the secondary addresses; those of allocations without a private address get one.
func (s *Service) give(tx store.Tx, c *guard.Call, n *natRecord, w natWants) ([]natAddress, error) {
	count := w.count
	if n.Kind == "public" {
		count = len(w.allocations) - len(w.private)
	}
	if 1+len(n.More)+len(w.private)+count > natAddresses {
		return nil, apierr.Newf("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit (%d).", natAddresses)
	}
	if len(w.private)+count == 0 {
		return nil, nil
	}
	private, err := s.nets.AddAddresses(tx, c, n.Face, w.private, count)
	if err != nil {
		return nil, err
	}
	var out []natAddress
	for i, p := range private {
		a := natAddress{Private: p}
		if n.Kind == "public" {
			a.Allocation = w.allocations[i]
			if a.Public, a.Association, err = s.nets.TakeAddress(tx, c, a.Allocation, n.Face, p); err != nil {
				return nil, err
			}
		}
		out = append(out, a)
	}
	n.More = append(slices.Clone(n.More), out...)
	return out, nil
}

// take takes away the secondary addresses with the ids: of associations, or private addresses. No connection keeps one.
func (s *Service) take(tx store.Tx, c *guard.Call, n *natRecord, ids []string, id func(natAddress) string) ([]natAddress, error) {
	var out []natAddress
	var private []string
	for _, want := range ids {
		at := slices.IndexFunc(n.More, func(a natAddress) bool { return id(a) == want })
		if at < 0 {
			return nil, idiom.InvalidValue("%s is not a secondary address of NAT gateway %s.", want, n.ID)
		}
		a := n.More[at]
		if a.Association != "" {
			if err := s.nets.FreeAddress(tx, c, a.Allocation); err != nil {
				return nil, err
			}
		}
		out, private, n.More = append(out, a), append(private, a.Private), slices.Delete(slices.Clone(n.More), at, at+1)
	}
	return out, s.nets.DropAddresses(tx, c, n.Face, private)
}

// An alteration changes the secondary addresses of a NAT gateway of a kind; its answer tells those it was about, in a state.
type alteration struct {
	id, kind, status string
	dry              *bool
	allocations      []string
	do               func(tx store.Tx, n *natRecord) ([]natAddress, error)
}

func (s *Service) alterNAT(ctx context.Context, c *guard.Call, x alteration, told *[]ec2api.NatGatewayAddress) error {
	refs := []idiom.Ref{idiom.On("natgateway", x.id)}
	for _, a := range x.allocations {
		refs = append(refs, idiom.On("elastic-ip", a))
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		*told = nil
		if err := s.desk.Allow(tx, c, x.dry, nil, refs...); err != nil {
			return err
		}
		have, err := s.nats(tx, c)
		if err != nil {
			return err
		}
		n, err := find(have, x.id, errNAT)
		switch {
		case err != nil:
			return err
		case n.state() != "available":
			return apierr.Newf("InvalidState", "NAT gateway %s is in the state %s.", n.ID, n.state())
		case n.Kind != x.kind:
			return idiom.InvalidValue("NAT gateway %s is not %s.", n.ID, x.kind)
		}
		changed, err := x.do(tx, &n)
		if err != nil {
			return err
		}
		for _, a := range changed {
			*told = append(*told, n.wireAddress(a, x.status))
		}
		return put(tx, natTable, n)
	})
}

// AssociateNatGatewayAddress gives a public NAT gateway more Elastic IP addresses, each with a private address.
// Source: EC2 API Reference, AssociateNatGatewayAddress.
func (s *Service) AssociateNatGatewayAddress(ctx context.Context, c *guard.Call, in *ec2api.AssociateNatGatewayAddressRequest) (*ec2api.AssociateNatGatewayAddressResult, error) {
	if api.Val(in.AvailabilityZone) != "" || api.Val(in.AvailabilityZoneId) != "" {
		return nil, apierr.New("InvalidParameterCombination", "An Availability Zone can be specified only for regional NAT gateways.")
	}
	wants := natWants{allocations: in.AllocationIds, private: in.PrivateIpAddresses}
	if err := wants.check("public"); err != nil {
		return nil, err
	}
	out := &ec2api.AssociateNatGatewayAddressResult{NatGatewayId: in.NatGatewayId}
	return out, s.alterNAT(ctx, c, alteration{
		id: *in.NatGatewayId, kind: "public", status: ec2api.NatGatewayAddressStatusAssociating, dry: in.DryRun, allocations: in.AllocationIds,
		do: func(tx store.Tx, n *natRecord) ([]natAddress, error) { return s.give(tx, c, n, wants) },
	}, &out.NatGatewayAddresses)
}

// DisassociateNatGatewayAddress takes secondary Elastic IP addresses from a public NAT gateway, at once: no connections drain.
// Source: EC2 API Reference, DisassociateNatGatewayAddress.
func (s *Service) DisassociateNatGatewayAddress(ctx context.Context, c *guard.Call, in *ec2api.DisassociateNatGatewayAddressRequest) (*ec2api.DisassociateNatGatewayAddressResult, error) {
	out := &ec2api.DisassociateNatGatewayAddressResult{NatGatewayId: in.NatGatewayId}
	return out, s.alterNAT(ctx, c, alteration{
		id: *in.NatGatewayId, kind: "public", status: ec2api.NatGatewayAddressStatusDisassociating, dry: in.DryRun,
		do: func(tx store.Tx, n *natRecord) ([]natAddress, error) {
			return s.take(tx, c, n, in.AssociationIds, func(a natAddress) string { return a.Association })
		},
	}, &out.NatGatewayAddresses)
}

// AssignPrivateNatGatewayAddress gives a private NAT gateway more private addresses: those that are named, as many as
// it says, or one. Source: EC2 API Reference, AssignPrivateNatGatewayAddress.
func (s *Service) AssignPrivateNatGatewayAddress(ctx context.Context, c *guard.Call, in *ec2api.AssignPrivateNatGatewayAddressRequest) (*ec2api.AssignPrivateNatGatewayAddressResult, error) {
	wants := natWants{private: in.PrivateIpAddresses, count: int(api.Val(in.PrivateIpAddressCount))}
	if err := wants.check("private"); err != nil {
		return nil, err
	}
	if len(wants.private)+wants.count == 0 {
		wants.count = 1
	}
	out := &ec2api.AssignPrivateNatGatewayAddressResult{NatGatewayId: in.NatGatewayId}
	return out, s.alterNAT(ctx, c, alteration{
		id: *in.NatGatewayId, kind: "private", status: ec2api.NatGatewayAddressStatusAssigning, dry: in.DryRun,
		do: func(tx store.Tx, n *natRecord) ([]natAddress, error) { return s.give(tx, c, n, wants) },
	}, &out.NatGatewayAddresses)
}

// UnassignPrivateNatGatewayAddress takes secondary private addresses from a private NAT gateway, at once: no connections
// drain. Source: EC2 API Reference, UnassignPrivateNatGatewayAddress.
func (s *Service) UnassignPrivateNatGatewayAddress(ctx context.Context, c *guard.Call, in *ec2api.UnassignPrivateNatGatewayAddressRequest) (*ec2api.UnassignPrivateNatGatewayAddressResult, error) {
	out := &ec2api.UnassignPrivateNatGatewayAddressResult{NatGatewayId: in.NatGatewayId}
	return out, s.alterNAT(ctx, c, alteration{
		id: *in.NatGatewayId, kind: "private", status: ec2api.NatGatewayAddressStatusUnassigning, dry: in.DryRun,
		do: func(tx store.Tx, n *natRecord) ([]natAddress, error) {
			return s.take(tx, c, n, in.PrivateIpAddresses, func(a natAddress) string { return a.Private })
		},
	}, &out.NatGatewayAddresses)
}
