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

// egressKind is the type of the resource.
const egressKind = "egress-only-internet-gateway"

// An egressRecord is an egress-only internet gateway, which belongs to a VPC from the beginning to its end.
type egressRecord struct {
	own
	VPC string `json:"vpc"`
}

// egressTable is keyed by (region, account, id).
var egressTable = store.Table[egressRecord]{Bucket: "ec2/egress-only-internet-gateway", Version: 1}

func (s *Service) egressOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateEgressOnlyInternetGateway":    guard.Handle(s.CreateEgressOnlyInternetGateway),
		"DeleteEgressOnlyInternetGateway":    guard.Handle(s.DeleteEgressOnlyInternetGateway),
		"DescribeEgressOnlyInternetGateways": guard.Handle(s.DescribeEgressOnlyInternetGateways),
	}
}

// Sources: EC2 API Reference, "Error codes"; a route names it as any gateway.
var errEgress, errEgressRoute = notFound("InvalidEgressOnlyInternetGatewayId.NotFound", "egressOnlyInternetGateway"), notFound("InvalidGatewayID.NotFound", "egressOnlyInternetGateway")

func (g egressRecord) wire() ec2api.EgressOnlyInternetGateway {
	return ec2api.EgressOnlyInternetGateway{
		EgressOnlyInternetGatewayId: &g.ID, Attachments: []ec2api.InternetGatewayAttachment{{VpcId: &g.VPC, State: new("attached")}},
	}
}

// DescribeEgressOnlyInternetGateways lists the caller's egress-only internet gateways. Ids that none has are left out,
// which Terraform's provider counts on.
// Source: EC2 API Reference, DescribeEgressOnlyInternetGateways.
func (s *Service) DescribeEgressOnlyInternetGateways(ctx context.Context, c *guard.Call, in *ec2api.DescribeEgressOnlyInternetGatewaysRequest) (*ec2api.DescribeEgressOnlyInternetGatewaysResult, error) {
	out := new(ec2api.DescribeEgressOnlyInternetGatewaysResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		have, err := all(tx, c, egressTable, nil)
		if err != nil {
			return err
		}
		var items []ec2api.EgressOnlyInternetGateway
		for _, g := range have {
			if len(in.EgressOnlyInternetGatewayIds) == 0 || slices.Contains(in.EgressOnlyInternetGatewayIds, g.ID) {
				items = append(items, g.wire())
			}
		}
		out.EgressOnlyInternetGateways, out.NextToken, err = idiom.Query[ec2api.EgressOnlyInternetGateway]{
			Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Fields: idiom.Fields[ec2api.EgressOnlyInternetGateway]{
				"egress-only-internet-gateway-id": func(g ec2api.EgressOnlyInternetGateway) []string { return idiom.One(*g.EgressOnlyInternetGatewayId) },
			},
			Described: func(g *ec2api.EgressOnlyInternetGateway) (string, *[]ec2api.Tag) {
				return *g.EgressOnlyInternetGatewayId, &g.Tags
			},
		}.Answer(tx, c, items)
		return err
	})
}

// CreateEgressOnlyInternetGateway makes an egress-only internet gateway of a VPC, which routes for IPv6 lead to.
// Source: EC2 API Reference, CreateEgressOnlyInternetGateway.
func (s *Service) CreateEgressOnlyInternetGateway(ctx context.Context, c *guard.Call, in *ec2api.CreateEgressOnlyInternetGatewayRequest) (*ec2api.CreateEgressOnlyInternetGatewayResult, error) {
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, egressKind)
	if err != nil {
		return nil, err
	}
	g, tags := egressRecord{newOwn(c, "eigw"), *in.VpcId}, specs[egressKind]
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(in.VpcId, in.TagSpecifications))
	out := &ec2api.CreateEgressOnlyInternetGatewayResult{ClientToken: in.ClientToken}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: egressKind, ID: g.ID, Tags: tags}, idiom.On("vpc", g.VPC)); err != nil {
			return err
		}
		have, err := all(tx, c, egressTable, nil)
		if err != nil {
			return err
		}
		known, was, made, err := before(tx, c, token, have, errEgress)
		if err != nil {
			return err
		}
		if made {
			out.EgressOnlyInternetGateway = new(known.wire())
			out.EgressOnlyInternetGateway.Tags = was
			return nil
		}
		if len(have) >= s.Quotas.VPCs { // as many as VPCs: VPC User Guide, "Amazon VPC quotas"
			return apierr.New("EgressOnlyInternetGatewayLimitExceeded", "The maximum number of egress-only internet gateways has been reached.")
		}
		out.EgressOnlyInternetGateway = new(g.wire())
		out.EgressOnlyInternetGateway.Tags = idiom.MadeWith(tags)
		return keep(tx, c, token, s.g.Now(), egressTable, g, tags)
	})
}

// DeleteEgressOnlyInternetGateway deletes an egress-only internet gateway; routes to it lead nowhere.
// Source: EC2 API Reference, DeleteEgressOnlyInternetGateway.
func (s *Service) DeleteEgressOnlyInternetGateway(ctx context.Context, c *guard.Call, in *ec2api.DeleteEgressOnlyInternetGatewayRequest) (*ec2api.DeleteEgressOnlyInternetGatewayResult, error) {
	return &ec2api.DeleteEgressOnlyInternetGatewayResult{ReturnCode: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(egressKind, *in.EgressOnlyInternetGatewayId)); err != nil {
			return err
		}
		have, err := all(tx, c, egressTable, nil)
		if err != nil {
			return err
		}
		g, err := find(have, *in.EgressOnlyInternetGatewayId, errEgressRoute)
		if err != nil {
			return err
		}
		return drop(tx, c, egressTable, g, g.ID, nil)
	})
}
