package vpc

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/prefixlist"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func isIPv6(cidr string) bool { return strings.Contains(cidr, ":") }

// isList reports whether the destination of a route is a prefix list.
func isList(to string) bool { return strings.HasPrefix(to, "pl-") }

// checkList refuses a prefix list that is not there, and AWS's: gateway endpoints route to those.
func checkList(tx store.Tx, c *guard.Call, to string) error {
	l, err := prefixlist.Find(tx, c, to)
	if err == nil && l.Managed() {
		err = idiom.InvalidValue("The prefix list '%s' is managed by AWS: a gateway endpoint routes to it.", to)
	}
	return err
}

// Routing are the caller's route tables with a route to a prefix list.
func (s *Service) Routing(tx store.Tx, c *guard.Call, list string) (out []string, err error) {
	tables, err := s.tables(tx, c)
	for _, t := range tables {
		if slices.ContainsFunc(t.Routes, func(r route) bool { return r.To == list }) {
			out = append(out, t.ID)
		}
	}
	return out, err
}

// destination is the one range of addresses, or list of ranges, that a route is for, in its canonical form.
// Source: EC2 API Reference, CreateRoute, DestinationCidrBlock.
func destination(v4, v6, list *string) (string, error) {
	var given []string
	for _, v := range []*string{v4, v6, list} {
		if api.Val(v) != "" {
			given = append(given, *v)
		}
	}
	if len(given) != 1 {
		return "", apierr.New("MissingParameter", "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock, "+
			"destinationPrefixListId")
	}
	if api.Val(list) != "" {
		return *list, nil
	}
	name := "destinationCidrBlock"
	if api.Val(v6) != "" {
		name = "destinationIpv6CidrBlock"
	}
	p, err := netip.ParsePrefix(given[0])
	if err != nil || p.Addr().Is4() != (api.Val(v6) == "") {
		return "", idiom.InvalidValue("Value (%s) for parameter %s is invalid. This is not a valid CIDR block.", given[0], name)
	}
	return p.Masked().String(), nil
}

// elsewhere are targets of routes that there are none of here, each with AWS's error about one that does not exist.
func elsewhere(in *ec2api.CreateRouteRequest) error {
	for _, t := range []struct {
		id         *string
		code, kind string
	}{
		{in.TransitGatewayId, "InvalidTransitGatewayID.NotFound", "transitGateway"},
		{in.VpcEndpointId, "InvalidVpcEndpointId.NotFound", "vpcEndpoint"},
		{in.LocalGatewayId, "InvalidLocalGatewayID.NotFound", "localGateway"},
		{in.CarrierGatewayId, "InvalidCarrierGatewayID.NotFound", "carrierGateway"},
		{in.CoreNetworkArn, "InvalidCoreNetworkArn.NotFound", "coreNetwork"},
		{in.OdbNetworkArn, "InvalidOdbNetworkArn.NotFound", "odbNetwork"},
	} {
		if api.Val(t.id) != "" {
			return notFound(t.code, t.kind)(*t.id)
		}
	}
	return nil
}

// target is where a route of a table leads to: exactly one thing, of the same VPC.
func (s *Service) target(tx store.Tx, c *guard.Call, t *tableRecord, to string, in *ec2api.CreateRouteRequest) (route, error) {
	r := route{To: to}
	given := 0
	for _, v := range []*string{in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId, in.TransitGatewayId, in.VpcPeeringConnectionId,
		in.EgressOnlyInternetGatewayId, in.VpcEndpointId, in.LocalGatewayId, in.CarrierGatewayId, in.CoreNetworkArn, in.OdbNetworkArn} {
		if api.Val(v) != "" {
			given++
		}
	}
	if given != 1 {
		return r, apierr.New("InvalidParameterCombination", "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, "+
			"vpcPeeringConnectionId, transitGatewayId, instanceId, egressOnlyInternetGatewayId, localGatewayId, carrierGatewayId, vpcEndpointId, coreNetworkArn")
	}
	if err := elsewhere(in); err != nil {
		return r, err
	}
	view, err := s.scenery(tx, c)
	if err != nil {
		return r, err
	}
	foreign := func(kind, id string) error {
		return idiom.InvalidValue("route table %s and %s %s belong to different networks", t.ID, kind, id)
	}
	switch {
	case api.Val(in.GatewayId) != "":
		r.Gateway = *in.GatewayId
		g, err := find(view.gateways, r.Gateway, notFound("InvalidGatewayID.NotFound", "gateway"))
		if err == nil && g.VPC != t.VPC {
			err = foreign("network gateway", g.ID)
		}
		return r, err
	case api.Val(in.EgressOnlyInternetGatewayId) != "":
		r.Egress = *in.EgressOnlyInternetGatewayId
		g, err := find(view.egress, r.Egress, errEgressRoute)
		if err != nil {
			return r, err
		}
		six := isIPv6(to)
		if isList(to) {
			l, err := prefixlist.Find(tx, c, to)
			if err != nil {
				return r, err
			}
			six = l.Six
		}
		switch {
		case g.VPC != t.VPC:
			err = foreign("egress only internet gateway", g.ID)
		case !six:
			err = apierr.New("InvalidParameterCombination", "An egress-only internet gateway is a target of IPv6 routes only.")
		}
		return r, err
	case api.Val(in.NatGatewayId) != "":
		r.NAT = *in.NatGatewayId
		n, err := find(view.nats, r.NAT, notFound("InvalidNatGatewayID.NotFound", "natGateway"))
		switch {
		case err == nil && !n.Deleted.IsZero():
			err = notFound("InvalidNatGatewayID.NotFound", "natGateway")(n.ID)
		case err == nil && n.VPC != t.VPC:
			err = foreign("NAT gateway", n.ID)
		}
		return r, err
	case api.Val(in.VpcPeeringConnectionId) != "":
		r.Peering = *in.VpcPeeringConnectionId
		have, err := s.nets.Peerings(tx, c, t.VPC)
		if _, ok := have[r.Peering]; err == nil && !ok {
			err = notFound("InvalidVpcPeeringConnectionID.NotFound", "vpcPeeringConnection")(r.Peering)
		}
		return r, err
	}
	var vpc string
	r.Face, vpc, r.Owner, err = s.nets.FaceOf(tx, c, api.Val(in.NetworkInterfaceId), api.Val(in.InstanceId))
	r.Instance = api.Val(in.InstanceId)
	if err == nil && vpc != t.VPC {
		err = foreign("interface", r.Face)
	}
	return r, err
}

// local reports whether a range is one of the VPC of a table, which are routed without anybody's doing.
func (s *Service) local(tx store.Tx, c *guard.Call, t *tableRecord, to string) (bool, error) {
	v, err := s.vpc(tx, c, t.VPC)
	return slices.Contains(v.CIDRs, to), err
}

// CreateRoute adds a route to a route table. Source: EC2 API Reference, CreateRoute.
func (s *Service) CreateRoute(ctx context.Context, c *guard.Call, in *ec2api.CreateRouteRequest) (*ec2api.CreateRouteResult, error) {
	to, err := destination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	return &ec2api.CreateRouteResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		t, _, err := s.theTable(tx, c, in.DryRun, *in.RouteTableId)
		if err != nil {
			return err
		}
		r, err := s.target(tx, c, &t, to, in)
		if err != nil {
			return err
		}
		if isList(to) {
			if err := checkList(tx, c, to); err != nil {
				return err
			}
		}
		local, err := s.local(tx, c, &t, to)
		switch {
		case err != nil:
			return err
		case local || t.way(to) >= 0:
			return apierr.Newf("RouteAlreadyExists", "The route identified by %s already exists.", to)
		case len(t.Routes) >= maxRoutes:
			return apierr.New("RouteLimitExceeded", "The maximum number of routes has been reached.")
		}
		t.Routes = append(slices.Clone(t.Routes), r)
		return put(tx, routeTable, t)
	})
}

func errRoute(t *tableRecord, to string) error {
	return apierr.Newf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", to, t.ID)
}

// ReplaceRoute has a route lead to something else: the local one to a NAT gateway or a network interface, or back.
// Sources: EC2 API Reference, ReplaceRoute; VPC User Guide, "Replace or restore the target for a local route".
func (s *Service) ReplaceRoute(ctx context.Context, c *guard.Call, in *ec2api.ReplaceRouteRequest) error {
	to, err := destination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		t, _, err := s.theTable(tx, c, in.DryRun, *in.RouteTableId)
		if err != nil {
			return err
		}
		local, err := s.local(tx, c, &t, to)
		at := t.way(to)
		switch {
		case err != nil:
			return err
		case local && api.Val(in.LocalTarget):
			t.Routes = slices.DeleteFunc(slices.Clone(t.Routes), func(r route) bool { return r.To == to })
			return put(tx, routeTable, t)
		case api.Val(in.LocalTarget):
			return idiom.InvalidValue("The route %s of route table %s is not a local route", to, t.ID)
		case !local && at < 0:
			return errRoute(&t, to)
		}
		r, err := s.target(tx, c, &t, to, &ec2api.CreateRouteRequest{
			GatewayId: in.GatewayId, NatGatewayId: in.NatGatewayId, NetworkInterfaceId: in.NetworkInterfaceId, InstanceId: in.InstanceId,
			TransitGatewayId: in.TransitGatewayId, VpcPeeringConnectionId: in.VpcPeeringConnectionId, VpcEndpointId: in.VpcEndpointId,
			EgressOnlyInternetGatewayId: in.EgressOnlyInternetGatewayId, LocalGatewayId: in.LocalGatewayId, CarrierGatewayId: in.CarrierGatewayId,
			CoreNetworkArn: in.CoreNetworkArn, OdbNetworkArn: in.OdbNetworkArn,
		})
		if err != nil {
			return err
		}
		if local && r.NAT == "" && r.Face == "" {
			return idiom.InvalidValue("cannot replace local route %s in route table %s", to, t.ID)
		}
		if t.Routes = slices.Clone(t.Routes); at < 0 {
			t.Routes = append(t.Routes, r)
		} else {
			t.Routes[at] = r
		}
		return put(tx, routeTable, t)
	})
}

// DeleteRoute removes a route from a route table. The local one is never removed, wherever it leads, which Terraform's
// provider counts on. Source: EC2 API Reference, DeleteRoute.
func (s *Service) DeleteRoute(ctx context.Context, c *guard.Call, in *ec2api.DeleteRouteRequest) error {
	to, err := destination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		t, _, err := s.theTable(tx, c, in.DryRun, *in.RouteTableId)
		if err != nil {
			return err
		}
		local, err := s.local(tx, c, &t, to)
		at := t.way(to)
		switch {
		case err != nil:
			return err
		case local: // Terraform's provider knows it by the text
			return idiom.InvalidValue("cannot remove local route %s in route table %s", to, t.ID)
		case at < 0:
			return errRoute(&t, to)
		}
		t.Routes = slices.Delete(slices.Clone(t.Routes), at, at+1)
		return put(tx, routeTable, t)
	})
}
