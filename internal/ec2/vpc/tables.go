package vpc

import (
	"cmp"
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Limits of route tables. Source: VPC User Guide, "Amazon VPC quotas".
const (
	maxTables = 200
	maxRoutes = 500
)

// A tableRecord is a route table. The main one that a VPC has from the beginning is not stored until it is changed.
type tableRecord struct {
	own
	VPC    string  `json:"vpc"`
	Joins  []join  `json:"joins,omitempty"`
	Routes []route `json:"routes,omitempty"` // but the local one, unless it was replaced
}

// A join is the association of a route table: with a subnet, a gateway, or as the main one of its VPC.
type join struct {
	ID      string `json:"id"`
	Subnet  string `json:"subnet,omitempty"`
	Gateway string `json:"gateway,omitempty"`
}

func (j join) main() bool { return j.Subnet == "" && j.Gateway == "" }

// A route leads from a range of addresses to one target.
type route struct {
	To       string `json:"to"` // CIDR block or prefix list
	Gateway  string `json:"gateway,omitempty"`
	Egress   string `json:"egress,omitempty"`
	NAT      string `json:"nat,omitempty"`
	Peering  string `json:"peering,omitempty"`
	Face     string `json:"face,omitempty"`
	Instance string `json:"instance,omitempty"` // that was named; its interface is Face
	Owner    string `json:"owner,omitempty"`    // of the instance
}

// routeTable is keyed by (region, account, id).
var routeTable = store.Table[tableRecord]{Bucket: "ec2/route-table", Version: 1}

func (s *Service) routeOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateRouteTable":             guard.Handle(s.CreateRouteTable),
		"DeleteRouteTable":             guard.HandleVoid(s.DeleteRouteTable),
		"DescribeRouteTables":          guard.Handle(s.DescribeRouteTables),
		"CreateRoute":                  guard.Handle(s.CreateRoute),
		"ReplaceRoute":                 guard.HandleVoid(s.ReplaceRoute),
		"DeleteRoute":                  guard.HandleVoid(s.DeleteRoute),
		"AssociateRouteTable":          guard.Handle(s.AssociateRouteTable),
		"ReplaceRouteTableAssociation": guard.Handle(s.ReplaceRouteTableAssociation),
		"DisassociateRouteTable":       guard.HandleVoid(s.DisassociateRouteTable),
	}
}

var errRouteTable = notFound("InvalidRouteTableID.NotFound", "routeTable")

// tables are the caller's route tables. A VPC has a main one from the beginning; that of a default VPC leads to its
// internet gateway. Source: VPC User Guide, "Configure route tables" and "Default VPCs".
func (s *Service) tables(tx store.Tx, c *guard.Call) ([]tableRecord, error) {
	vpcs, err := s.nets.VPCs(tx, c)
	if err != nil {
		return nil, err
	}
	var first []tableRecord
	for _, v := range vpcs {
		t := tableRecord{own: own{Region: c.Region, Account: c.Account(), ID: v.first(c, "rtb")}, VPC: v.ID, Joins: []join{{ID: v.first(c, "rtbassoc")}}}
		if v.Default {
			t.Routes = []route{{To: "0.0.0.0/0", Gateway: v.first(c, "igw")}}
		}
		first = append(first, t)
	}
	return all(tx, c, routeTable, first)
}

// behind is what is behind a network interface; the zero one is nothing.
type behind struct {
	instance, owner string
	works           bool
}

// A scenery is what the targets of routes are found in.
type scenery struct {
	vpcs     []VPC
	gateways []gatewayRecord
	egress   []egressRecord
	nats     []natRecord
	services []endpointRecord
	faces    func(id string) behind
	peerings func(vpc, id string) bool // whether a peering connection of a VPC is active
}

func (s *Service) scenery(tx store.Tx, c *guard.Call) (v scenery, err error) {
	if v.vpcs, err = s.nets.VPCs(tx, c); err != nil {
		return v, err
	}
	if v.gateways, err = s.gateways(tx, c); err != nil {
		return v, err
	}
	if v.egress, err = all(tx, c, egressTable, nil); err != nil {
		return v, err
	}
	if v.nats, err = s.nats(tx, c); err != nil {
		return v, err
	}
	v.faces = func(id string) (b behind) {
		var err error
		if b.instance, b.owner, b.works, err = s.nets.Behind(tx, c, id); err != nil {
			return behind{}
		}
		return b
	}
	v.peerings = func(vpc, id string) bool {
		have, err := s.nets.Peerings(tx, c, vpc)
		return err == nil && have[id]
	}
	v.services, err = all(tx, c, endpointTable, nil)
	return v, err
}

// leads reports whether the target of a route is there.
func (v scenery) leads(t *tableRecord, r route) bool {
	switch {
	case r.Gateway != "":
		g, ok := attached(v.gateways, t.VPC)
		return ok && g.ID == r.Gateway
	case r.Egress != "":
		return slices.ContainsFunc(v.egress, func(g egressRecord) bool { return g.ID == r.Egress })
	case r.NAT != "":
		return slices.ContainsFunc(v.nats, func(n natRecord) bool { return n.ID == r.NAT && n.Deleted.IsZero() })
	}
	if r.Peering != "" {
		return v.peerings(t.VPC, r.Peering)
	}
	return v.faces(r.Face).works
}

// wire is a route table as answers carry it: the local route first, then those to the services of gateway endpoints.
func (t *tableRecord) wire(v scenery) ec2api.RouteTable {
	w := ec2api.RouteTable{
		RouteTableId: &t.ID, VpcId: &t.VPC, OwnerId: &t.Account, Associations: []ec2api.RouteTableAssociation{}, PropagatingVgws: []ec2api.PropagatingVgw{},
	}
	for _, j := range t.Joins {
		w.Associations = append(w.Associations, ec2api.RouteTableAssociation{
			Main: new(j.main()), RouteTableAssociationId: new(j.ID), RouteTableId: &t.ID, SubnetId: api.Opt(j.Subnet), GatewayId: api.Opt(j.Gateway),
			AssociationState: associated(),
		})
	}
	var locals []string
	for _, n := range v.vpcs {
		if n.ID == t.VPC {
			locals = n.CIDRs
		}
	}
	for _, to := range locals {
		one := ec2api.Route{GatewayId: new("local"), State: new("active")}
		if at := t.way(to); at >= 0 {
			one = t.Routes[at].wire(t, v)
		}
		one.Origin = new("CreateRouteTable")
		w.Routes = append(w.Routes, wayTo(to, one))
	}
	for _, r := range t.Routes {
		if !slices.Contains(locals, r.To) {
			w.Routes = append(w.Routes, wayTo(r.To, r.wire(t, v)))
		}
	}
	for _, e := range v.services {
		if slices.Contains(e.Tables, t.ID) {
			w.Routes = append(w.Routes, ec2api.Route{
				DestinationPrefixListId: new(prefixList(e.Region, e.Service)), GatewayId: new(e.ID), Origin: new("CreateRoute"), State: new("active"),
			})
		}
	}
	return w
}

// way is the place of a route in its table, -1 if there is none.
func (t *tableRecord) way(to string) int {
	return slices.IndexFunc(t.Routes, func(r route) bool { return r.To == to })
}

// wire is a route of a table as answers carry it, but for what it is for.
func (r route) wire(t *tableRecord, v scenery) ec2api.Route {
	w := ec2api.Route{
		GatewayId: api.Opt(r.Gateway), NatGatewayId: api.Opt(r.NAT), VpcPeeringConnectionId: api.Opt(r.Peering), NetworkInterfaceId: api.Opt(r.Face),
		EgressOnlyInternetGatewayId: api.Opt(r.Egress), Origin: new("CreateRoute"), State: new("active"),
	}
	if r.Face != "" {
		b := v.faces(r.Face)
		w.InstanceId, w.InstanceOwnerId = api.Opt(cmp.Or(b.instance, r.Instance)), api.Opt(cmp.Or(b.owner, r.Owner))
	}
	if !v.leads(t, r) {
		w.State = new("blackhole")
	}
	return w
}

// wayTo is a route with what it is for.
func wayTo(to string, r ec2api.Route) ec2api.Route {
	switch {
	case isList(to):
		r.DestinationPrefixListId = &to
	case isIPv6(to):
		r.DestinationIpv6CidrBlock = &to
	default:
		r.DestinationCidrBlock = &to
	}
	return r
}

func associated() *ec2api.RouteTableAssociationState {
	return &ec2api.RouteTableAssociationState{State: new("associated")}
}

// tableFields are the filters of DescribeRouteTables. Source: EC2 API Reference, DescribeRouteTables, Filters.
func tableFields() idiom.Fields[ec2api.RouteTable] {
	type table = ec2api.RouteTable
	routes := func(get func(ec2api.Route) *string) func(table) []string {
		return func(t table) []string { return idiom.Each(t.Routes, get) }
	}
	joins := func(get func(ec2api.RouteTableAssociation) *string) func(table) []string {
		return func(t table) []string { return idiom.Each(t.Associations, get) }
	}
	return idiom.Fields[table]{
		"route-table-id": func(t table) []string { return idiom.One(*t.RouteTableId) },
		"vpc-id":         func(t table) []string { return idiom.One(*t.VpcId) },
		"owner-id":       func(t table) []string { return idiom.One(*t.OwnerId) },
		"association.main": joins(func(a ec2api.RouteTableAssociation) *string {
			return &idiom.Bool(*a.Main)[0]
		}),
		"association.route-table-id":             joins(func(a ec2api.RouteTableAssociation) *string { return a.RouteTableId }),
		"association.route-table-association-id": joins(func(a ec2api.RouteTableAssociation) *string { return a.RouteTableAssociationId }),
		"association.subnet-id":                  joins(func(a ec2api.RouteTableAssociation) *string { return a.SubnetId }),
		"association.gateway-id":                 joins(func(a ec2api.RouteTableAssociation) *string { return a.GatewayId }),
		"route.destination-cidr-block":           routes(func(r ec2api.Route) *string { return r.DestinationCidrBlock }),
		"route.destination-ipv6-cidr-block":      routes(func(r ec2api.Route) *string { return r.DestinationIpv6CidrBlock }),
		"route.destination-prefix-list-id":       routes(func(r ec2api.Route) *string { return r.DestinationPrefixListId }),
		"route.gateway-id":                       routes(func(r ec2api.Route) *string { return r.GatewayId }),
		"route.instance-id":                      routes(func(r ec2api.Route) *string { return r.InstanceId }),
		"route.nat-gateway-id":                   routes(func(r ec2api.Route) *string { return r.NatGatewayId }),
		"route.origin":                           routes(func(r ec2api.Route) *string { return r.Origin }),
		"route.state":                            routes(func(r ec2api.Route) *string { return r.State }),
		"route.egress-only-internet-gateway-id":  routes(func(r ec2api.Route) *string { return r.EgressOnlyInternetGatewayId }),
		"route.transit-gateway-id":               idiom.Fixed[table](),
		"route.vpc-peering-connection-id":        routes(func(r ec2api.Route) *string { return r.VpcPeeringConnectionId }),
	}
}

// DescribeRouteTables lists the caller's route tables.
func (s *Service) DescribeRouteTables(ctx context.Context, c *guard.Call, in *ec2api.DescribeRouteTablesRequest) (*ec2api.DescribeRouteTablesResult, error) {
	out := new(ec2api.DescribeRouteTablesResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		tables, err := s.tables(tx, c)
		if err != nil {
			return err
		}
		view, err := s.scenery(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.RouteTable
		for i := range tables {
			items = append(items, tables[i].wire(view))
		}
		out.RouteTables, out.NextToken, err = idiom.Query[ec2api.RouteTable]{
			IDs: in.RouteTableIds, Missing: errRouteTable, Fields: tableFields(), Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(t *ec2api.RouteTable) (string, *[]ec2api.Tag) { return *t.RouteTableId, &t.Tags },
		}.Answer(tx, c, items)
		for i := range out.RouteTables {
			out.RouteTables[i].Tags = append([]ec2api.Tag{}, out.RouteTables[i].Tags...)
		}
		return err
	})
}

// CreateRouteTable makes a route table with the local route. Source: EC2 API Reference, CreateRouteTable.
func (s *Service) CreateRouteTable(ctx context.Context, c *guard.Call, in *ec2api.CreateRouteTableRequest) (*ec2api.CreateRouteTableResult, error) {
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "route-table")
	if err != nil {
		return nil, err
	}
	fresh, tags := tableRecord{own: newOwn(c, "rtb"), VPC: *in.VpcId}, specs["route-table"]
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(in.VpcId, in.TagSpecifications))
	out := new(ec2api.CreateRouteTableResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		t := fresh
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: "route-table", ID: t.ID, Tags: tags}, idiom.On("vpc", t.VPC)); err != nil {
			return err
		}
		have, err := s.tables(tx, c)
		if err != nil {
			return err
		}
		view, err := s.scenery(tx, c)
		if err != nil {
			return err
		}
		known, was, made, err := before(tx, c, token, have, errRouteTable)
		if err != nil {
			return err
		}
		if made {
			out.RouteTable, out.ClientToken = new(known.wire(view)), in.ClientToken
			out.RouteTable.Tags = was
			return nil
		}
		if count(have, func(o *tableRecord) bool { return o.VPC == t.VPC }) >= maxTables {
			return apierr.New("RouteTableLimitExceeded", "The maximum number of route tables has been reached.")
		}
		out.RouteTable, out.ClientToken = new(t.wire(view)), in.ClientToken
		out.RouteTable.Tags = idiom.MadeWith(tags)
		return keep(tx, c, token, s.g.Now(), routeTable, t, tags)
	})
}

// theTable decides the call's action on a route table and others, and finds it among all.
func (s *Service) theTable(tx store.Tx, c *guard.Call, dry *bool, id string, more ...idiom.Ref) (tableRecord, []tableRecord, error) {
	if err := s.desk.Allow(tx, c, dry, nil, append([]idiom.Ref{idiom.On("route-table", id)}, more...)...); err != nil {
		return tableRecord{}, nil, err
	}
	have, err := s.tables(tx, c)
	if err != nil {
		return tableRecord{}, nil, err
	}
	t, err := find(have, id, errRouteTable)
	return t, have, err
}

// DeleteRouteTable deletes a route table that is associated with nothing.
func (s *Service) DeleteRouteTable(ctx context.Context, c *guard.Call, in *ec2api.DeleteRouteTableRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		t, _, err := s.theTable(tx, c, in.DryRun, *in.RouteTableId)
		if err != nil {
			return err
		}
		services, err := all(tx, c, endpointTable, nil)
		if err != nil {
			return err
		}
		if len(t.Joins) > 0 || slices.ContainsFunc(services, func(e endpointRecord) bool { return slices.Contains(e.Tables, t.ID) }) {
			return errInUse("routeTable", t.ID)
		}
		v, err := s.vpc(tx, c, t.VPC)
		if err != nil {
			return err
		}
		var mark func(*tableRecord)
		if v.first(c, "rtb") == t.ID {
			mark = func(t *tableRecord) { t.Gone = true }
		}
		return drop(tx, c, routeTable, t, t.ID, mark)
	})
}
