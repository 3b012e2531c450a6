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

// AssociateRouteTable associates a route table with a subnet, which has the main one otherwise, or with an internet
// gateway. Source: EC2 API Reference, AssociateRouteTable.
func (s *Service) AssociateRouteTable(ctx context.Context, c *guard.Call, in *ec2api.AssociateRouteTableRequest) (*ec2api.AssociateRouteTableResult, error) {
	subnet, gateway := api.Val(in.SubnetId), api.Val(in.GatewayId)
	switch {
	case (subnet == "") == (gateway == ""):
		return nil, apierr.New("InvalidParameterCombination", "The request must contain exactly one of subnetId or gatewayId")
	case api.Val(in.PublicIpv4Pool) != "":
		return nil, apierr.New("UnsupportedOperation", "This server does not support address pools.")
	}
	j := join{ID: idiom.RandomID("rtbassoc"), Subnet: subnet, Gateway: gateway}
	out := &ec2api.AssociateRouteTableResult{AssociationId: &j.ID, AssociationState: associated()}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		t, have, err := s.theTable(tx, c, in.DryRun, *in.RouteTableId, idiom.Some(idiom.On("subnet", subnet), idiom.On("internet-gateway", gateway))...)
		if err != nil {
			return err
		}
		vpc, kind := "", "subnet"
		if subnet != "" {
			n, err := s.subnet(tx, c, subnet)
			if err != nil {
				return err
			}
			vpc = n.VPC
		} else {
			gateways, err := s.gateways(tx, c)
			if err != nil {
				return err
			}
			g, err := find(gateways, gateway, errGateway)
			if err != nil {
				return err
			}
			vpc, kind = g.VPC, "network gateway"
		}
		if vpc != t.VPC {
			return idiom.InvalidValue("Route table %s and %s %s belong to different networks", t.ID, kind, subnet+gateway)
		}
		for _, o := range have {
			if slices.ContainsFunc(o.Joins, func(o join) bool { return !o.main() && o.Subnet == subnet && o.Gateway == gateway }) {
				return apierr.Newf("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t.ID)
			}
		}
		t.Joins = append(slices.Clone(t.Joins), j)
		return put(tx, routeTable, t)
	})
}

// joined finds an association and its route table.
func (s *Service) joined(tx store.Tx, c *guard.Call, id string) (t tableRecord, at int, missing error, err error) {
	tables, err := s.tables(tx, c)
	if err != nil {
		return t, 0, nil, err
	}
	for _, t := range tables {
		if at := slices.IndexFunc(t.Joins, func(j join) bool { return j.ID == id }); at >= 0 {
			return t, at, nil, nil
		}
	}
	return t, 0, notFound("InvalidAssociationID.NotFound", "association")(id), nil
}

// refs are what a decision about an association is about: its route table, what the table has it with, and more.
func (t *tableRecord) refs(at int, missing error, more ...idiom.Ref) []idiom.Ref {
	if missing != nil {
		return append([]idiom.Ref{idiom.On("route-table", "*")}, more...)
	}
	return append(idiom.Some(idiom.On("route-table", t.ID), idiom.On("subnet", t.Joins[at].Subnet), idiom.On("internet-gateway", t.Joins[at].Gateway)), more...)
}

// ReplaceRouteTableAssociation has another route table take the place of one, as the main one of the VPC, too. The
// association has another id then. Source: EC2 API Reference, ReplaceRouteTableAssociation.
func (s *Service) ReplaceRouteTableAssociation(ctx context.Context, c *guard.Call, in *ec2api.ReplaceRouteTableAssociationRequest) (*ec2api.ReplaceRouteTableAssociationResult, error) {
	fresh := idiom.RandomID("rtbassoc")
	out := &ec2api.ReplaceRouteTableAssociationResult{NewAssociationId: &fresh, AssociationState: associated()}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		from, at, missing, err := s.joined(tx, c, *in.AssociationId)
		if err != nil {
			return err
		}
		if err := s.desk.Allow(tx, c, in.DryRun, nil, from.refs(at, missing, idiom.On("route-table", *in.RouteTableId))...); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		tables, err := s.tables(tx, c)
		if err != nil {
			return err
		}
		t, err := find(tables, *in.RouteTableId, errRouteTable)
		if err != nil {
			return err
		}
		if t.VPC != from.VPC {
			return idiom.InvalidValue("Route table %s and %s belong to different networks", t.ID, from.ID)
		}
		j := from.Joins[at]
		if t.ID == from.ID {
			t.Joins = slices.Clone(t.Joins)
			t.Joins[at].ID = fresh
			return put(tx, routeTable, t)
		}
		j.ID = fresh
		from.Joins, t.Joins = slices.Delete(slices.Clone(from.Joins), at, at+1), append(slices.Clone(t.Joins), j)
		if err := put(tx, routeTable, from); err != nil {
			return err
		}
		return put(tx, routeTable, t)
	})
}

// DisassociateRouteTable ends an association; the subnet has the main route table then.
func (s *Service) DisassociateRouteTable(ctx context.Context, c *guard.Call, in *ec2api.DisassociateRouteTableRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		t, at, missing, err := s.joined(tx, c, *in.AssociationId)
		if err != nil {
			return err
		}
		if err := s.desk.Allow(tx, c, in.DryRun, nil, t.refs(at, missing)...); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		if t.Joins[at].main() {
			return idiom.InvalidValue("cannot disassociate the main route table association %s", *in.AssociationId)
		}
		t.Joins = slices.Delete(slices.Clone(t.Joins), at, at+1)
		return put(tx, routeTable, t)
	})
}
