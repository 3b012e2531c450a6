package vpc

import (
	"cmp"
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// natLinger is how long deleted and failed NAT gateways are described.
// Source: VPC User Guide, "Work with NAT gateways".
const natLinger = time.Hour

// A natRecord is a NAT gateway. One that is deleted or failed is described for a while.
type natRecord struct {
	own
	VPC         string `json:"vpc"`
	Subnet      string `json:"subnet"`
	Zone        string `json:"zone"`
	Kind        string `json:"kind"` // public or private
	Face        string `json:"face,omitempty"`
	Private     string `json:"private,omitempty"`
	Allocation  string `json:"allocation,omitempty"`
	Public      string `json:"public,omitempty"`
	Association string `json:"association,omitempty"`
	// More are the secondary addresses.
	More        []natAddress `json:"more,omitempty"`
	Created     time.Time    `json:"created"`
	Deleted     time.Time    `json:"deleted,omitzero"`
	FailureCode string       `json:"failureCode,omitempty"`
	Failure     string       `json:"failure,omitempty"`
}

// natTable is keyed by (region, account, id).
var natTable = store.Table[natRecord]{Bucket: "ec2/nat-gateway", Version: 1}

func (s *Service) natOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateNatGateway":    guard.Handle(s.CreateNatGateway),
		"DeleteNatGateway":    guard.Handle(s.DeleteNatGateway),
		"DescribeNatGateways": guard.Handle(s.DescribeNatGateways),

		"AssociateNatGatewayAddress":       guard.Handle(s.AssociateNatGatewayAddress),
		"DisassociateNatGatewayAddress":    guard.Handle(s.DisassociateNatGatewayAddress),
		"AssignPrivateNatGatewayAddress":   guard.Handle(s.AssignPrivateNatGatewayAddress),
		"UnassignPrivateNatGatewayAddress": guard.Handle(s.UnassignPrivateNatGatewayAddress),
	}
}

func errNAT(id string) error {
	return apierr.Newf("NatGatewayNotFound", "NAT gateway %s was not found", id)
}

// ended is since when a NAT gateway is deleted or failed.
func (n natRecord) ended() time.Time {
	if n.FailureCode != "" && n.Deleted.IsZero() {
		return n.Created
	}
	return n.Deleted
}

// nats are the caller's NAT gateways.
func (s *Service) nats(tx store.Tx, c *guard.Call) ([]natRecord, error) {
	stored, err := all(tx, c, natTable, nil)
	if err != nil {
		return nil, err
	}
	var out []natRecord
	for _, n := range stored {
		if end := n.ended(); end.IsZero() || s.g.Now().Sub(end) < natLinger {
			out = append(out, n)
		}
	}
	return out, nil
}

func (n natRecord) state() string {
	switch {
	case !n.Deleted.IsZero():
		return "deleted"
	case n.FailureCode != "":
		return "failed"
	}
	return "available"
}

func (n natRecord) wire() ec2api.NatGateway {
	w := ec2api.NatGateway{
		NatGatewayId: &n.ID, VpcId: &n.VPC, SubnetId: &n.Subnet, ConnectivityType: &n.Kind, AvailabilityMode: new("zonal"), CreateTime: &n.Created,
		State: new(n.state()), FailureCode: api.Opt(n.FailureCode), FailureMessage: api.Opt(n.Failure),
		NatGatewayAddresses: []ec2api.NatGatewayAddress{{
			AllocationId: api.Opt(n.Allocation), NetworkInterfaceId: api.Opt(n.Face), PrivateIp: api.Opt(n.Private), PublicIp: api.Opt(n.Public),
			AssociationId: api.Opt(n.Association), IsPrimary: new(true), Status: new("succeeded"),
		}},
	}
	for _, a := range n.More {
		w.NatGatewayAddresses = append(w.NatGatewayAddresses, n.wireAddress(a, ec2api.NatGatewayAddressStatusSucceeded))
	}
	if !n.Deleted.IsZero() {
		w.DeleteTime = &n.Deleted
	}
	if n.FailureCode != "" {
		w.NatGatewayAddresses[0].Status = new("failed")
	}
	return w
}

var natFields = idiom.Fields[ec2api.NatGateway]{
	"nat-gateway-id": func(n ec2api.NatGateway) []string { return idiom.One(*n.NatGatewayId) },
	"state":          func(n ec2api.NatGateway) []string { return idiom.One(*n.State) },
	"subnet-id":      func(n ec2api.NatGateway) []string { return idiom.One(*n.SubnetId) },
	"vpc-id":         func(n ec2api.NatGateway) []string { return idiom.One(*n.VpcId) },
}

// DescribeNatGateways lists the caller's NAT gateways.
func (s *Service) DescribeNatGateways(ctx context.Context, c *guard.Call, in *ec2api.DescribeNatGatewaysRequest) (*ec2api.DescribeNatGatewaysResult, error) {
	out := new(ec2api.DescribeNatGatewaysResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := s.nats(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.NatGateway
		for _, n := range have {
			items = append(items, n.wire())
		}
		out.NatGateways, out.NextToken, err = idiom.Query[ec2api.NatGateway]{
			IDs: in.NatGatewayIds, Missing: errNAT, Fields: natFields, Filters: in.Filter, Limits: idiom.Limits{Least: 5, Most: 1000}, Max: in.MaxResults, Token: in.NextToken,
			Described: func(n *ec2api.NatGateway) (string, *[]ec2api.Tag) { return *n.NatGatewayId, &n.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// checkNAT refuses what a request for a NAT gateway must not have, and what there is none of here.
func checkNAT(in *ec2api.CreateNatGatewayRequest) error {
	kind := cmp.Or(api.Val(in.ConnectivityType), "public")
	switch {
	case api.Val(in.AvailabilityMode) == "regional" || len(in.AvailabilityZoneAddresses) > 0:
		return apierr.New("UnsupportedOperation", "This server does not support regional NAT gateways.")
	case api.Val(in.VpcId) != "":
		return apierr.New("InvalidParameterCombination", "The VpcId parameter can be specified only for regional NAT gateways.")
	case kind != "public" && kind != "private":
		return idiom.InvalidValue("Value (%s) for parameter connectivityType is invalid. Valid values: public, private.", kind)
	case kind == "public" && api.Val(in.AllocationId) == "":
		return apierr.New("MissingParameter", "The request must include the AllocationId parameter. Add the required parameter and retry the request.")
	case kind == "private" && api.Val(in.AllocationId) != "":
		return apierr.New("InvalidParameterCombination", "The AllocationId parameter cannot be specified for a private NAT gateway.")
	case api.Val(in.SubnetId) == "":
		return apierr.New("MissingParameter", "The request must contain the parameter subnetId")
	}
	wants := natWantsOf(in)
	return wants.check(kind)
}

// CreateNatGateway makes a NAT gateway in a subnet. A public one fails afterwards if its VPC has no internet gateway.
// Source: EC2 API Reference, CreateNatGateway; VPC User Guide, "Troubleshoot NAT gateways".
func (s *Service) CreateNatGateway(ctx context.Context, c *guard.Call, in *ec2api.CreateNatGatewayRequest) (*ec2api.CreateNatGatewayResult, error) {
	if err := checkNAT(in); err != nil {
		return nil, err
	}
	wants := natWantsOf(in)
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "natgateway")
	if err != nil {
		return nil, err
	}
	tags := specs["natgateway"]
	fresh := natRecord{own: newOwn(c, "nat"), Subnet: *in.SubnetId, Kind: cmp.Or(api.Val(in.ConnectivityType), "public"), Allocation: api.Val(in.AllocationId), Created: s.g.Now()}
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(in.SubnetId, in.AllocationId, in.ConnectivityType, in.PrivateIpAddress, in.TagSpecifications,
		in.SecondaryAllocationIds, in.SecondaryPrivateIpAddresses, in.SecondaryPrivateIpAddressCount))
	out := new(ec2api.CreateNatGatewayResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		n := fresh
		refs := idiom.Some(idiom.On("subnet", n.Subnet), idiom.On("elastic-ip", n.Allocation))
		for _, a := range wants.allocations {
			refs = append(refs, idiom.On("elastic-ip", a))
		}
		err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: "natgateway", ID: n.ID, Tags: tags}, refs...)
		if err != nil {
			return err
		}
		have, err := s.nats(tx, c)
		if err != nil {
			return err
		}
		known, was, made, err := before(tx, c, token, have, errNAT)
		if err != nil {
			return err
		}
		if made {
			out.NatGateway, out.ClientToken = new(known.wire()), in.ClientToken
			out.NatGateway.State, out.NatGateway.Tags = new("pending"), was
			return nil
		}
		if n, err = s.newNAT(tx, c, n, have, api.Val(in.PrivateIpAddress), wants); err != nil {
			return err
		}
		out.NatGateway, out.ClientToken = new(n.wire()), in.ClientToken
		out.NatGateway.State, out.NatGateway.Tags = new("pending"), idiom.MadeWith(tags)
		return keep(tx, c, token, s.g.Now(), natTable, n, tags)
	})
}

// newNAT gives a NAT gateway its place and addresses.
func (s *Service) newNAT(tx store.Tx, c *guard.Call, n natRecord, have []natRecord, private string, wants natWants) (natRecord, error) {
	where, err := s.subnet(tx, c, n.Subnet)
	if err != nil {
		return n, err
	}
	n.VPC, n.Zone = where.VPC, where.Zone
	if count(have, func(o *natRecord) bool { return o.Zone == n.Zone && o.ended().IsZero() }) >= s.Quotas.NATGateways {
		return n, apierr.New("NatGatewayLimitExceeded", "The maximum number of NAT gateways has been reached.")
	}
	gateways, err := s.gateways(tx, c)
	if err != nil {
		return n, err
	}
	if _, ok := attached(gateways, n.VPC); !ok && n.Kind == "public" {
		n.FailureCode, n.Failure = "Gateway.NotAttached", "Network "+n.VPC+" has no Internet gateway attached"
		return n, nil
	}
	f, err := s.nets.AddFace(tx, c, Face{Subnet: n.Subnet, Address: private, Kind: "nat_gateway", Description: "Interface for NAT Gateway " + n.ID})
	if err != nil {
		return n, err
	}
	n.Face, n.Private = f.ID, f.Address
	if n.Kind == "public" {
		if n.Public, n.Association, err = s.nets.TakeAddress(tx, c, n.Allocation, n.Face, ""); err != nil {
			return n, err
		}
	}
	_, err = s.give(tx, c, &n, wants)
	return n, err
}

// DeleteNatGateway deletes a NAT gateway; its Elastic IP address is free again, and routes to it lead nowhere.
// Source: EC2 API Reference, DeleteNatGateway.
func (s *Service) DeleteNatGateway(ctx context.Context, c *guard.Call, in *ec2api.DeleteNatGatewayRequest) (*ec2api.DeleteNatGatewayResult, error) {
	return &ec2api.DeleteNatGatewayResult{NatGatewayId: in.NatGatewayId}, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On("natgateway", *in.NatGatewayId)); err != nil {
			return err
		}
		have, err := s.nats(tx, c)
		if err != nil {
			return err
		}
		n, err := find(have, *in.NatGatewayId, errNAT)
		if err != nil || !n.Deleted.IsZero() {
			return err
		}
		for _, a := range append(n.More, natAddress{Allocation: n.Allocation, Association: n.Association}) {
			if a.Association == "" {
				continue
			}
			if err := s.nets.FreeAddress(tx, c, a.Allocation); err != nil {
				return err
			}
		}
		if n.Face != "" {
			if err := s.nets.DropFace(tx, c, n.Face); err != nil {
				return err
			}
		}
		if err := s.forgetNATs(tx, c); err != nil {
			return err
		}
		n.Deleted, n.Association = s.g.Now(), ""
		for i := range n.More {
			n.More[i].Association = ""
		}
		return put(tx, natTable, n)
	})
}

// forgetNATs removes some that are not described any more.
func (s *Service) forgetNATs(tx store.Tx, c *guard.Call) error {
	stored, err := all(tx, c, natTable, nil)
	if err != nil {
		return err
	}
	left := 10
	for _, n := range stored {
		if end := n.ended(); !end.IsZero() && s.g.Now().Sub(end) >= natLinger && left > 0 {
			left--
			if err := drop(tx, c, natTable, n, n.ID, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
