package vpc

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A gatewayRecord is an internet gateway. That of a default VPC is not stored until it is changed.
type gatewayRecord struct {
	own
	VPC string `json:"vpc,omitempty"` // "": detached
}

// gatewayTable is keyed by (region, account, id).
var gatewayTable = store.Table[gatewayRecord]{Bucket: "ec2/internet-gateway", Version: 1}

func (s *Service) gatewayOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateInternetGateway":    guard.Handle(s.CreateInternetGateway),
		"DeleteInternetGateway":    guard.HandleVoid(s.DeleteInternetGateway),
		"AttachInternetGateway":    guard.HandleVoid(s.AttachInternetGateway),
		"DetachInternetGateway":    guard.HandleVoid(s.DetachInternetGateway),
		"DescribeInternetGateways": guard.Handle(s.DescribeInternetGateways),
	}
}

var errGateway = notFound("InvalidInternetGatewayID.NotFound", "internetGateway")

// gateways are the caller's internet gateways. A default VPC has one from the beginning.
// Source: VPC User Guide, "Default VPCs".
func (s *Service) gateways(tx store.Tx, c *guard.Call) ([]gatewayRecord, error) {
	vpcs, err := s.nets.VPCs(tx, c)
	if err != nil {
		return nil, err
	}
	var first []gatewayRecord
	for _, v := range vpcs {
		if v.Default {
			first = append(first, gatewayRecord{own{Region: c.Region, Account: c.Account(), ID: v.first(c, "igw")}, v.ID})
		}
	}
	return all(tx, c, gatewayTable, first)
}

// attached is the internet gateway of a VPC; ok is false if it has none.
func attached(gateways []gatewayRecord, vpc string) (g gatewayRecord, ok bool) {
	for _, g := range gateways {
		if g.VPC == vpc {
			return g, true
		}
	}
	return g, false
}

func (g gatewayRecord) wire() ec2api.InternetGateway {
	w := ec2api.InternetGateway{InternetGatewayId: &g.ID, OwnerId: &g.Account, Attachments: []ec2api.InternetGatewayAttachment{}}
	if g.VPC != "" {
		w.Attachments = append(w.Attachments, ec2api.InternetGatewayAttachment{VpcId: &g.VPC, State: new("available")})
	}
	return w
}

var gatewayFields = idiom.Fields[ec2api.InternetGateway]{
	"internet-gateway-id": func(g ec2api.InternetGateway) []string { return idiom.One(*g.InternetGatewayId) },
	"owner-id":            func(g ec2api.InternetGateway) []string { return idiom.One(*g.OwnerId) },
	"attachment.vpc-id": func(g ec2api.InternetGateway) []string {
		return idiom.Each(g.Attachments, func(a ec2api.InternetGatewayAttachment) *string { return a.VpcId })
	},
	"attachment.state": func(g ec2api.InternetGateway) []string {
		return idiom.Each(g.Attachments, func(a ec2api.InternetGatewayAttachment) *string { return a.State })
	},
}

// DescribeInternetGateways lists the caller's internet gateways.
func (s *Service) DescribeInternetGateways(ctx context.Context, c *guard.Call, in *ec2api.DescribeInternetGatewaysRequest) (*ec2api.DescribeInternetGatewaysResult, error) {
	out := new(ec2api.DescribeInternetGatewaysResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		gateways, err := s.gateways(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.InternetGateway
		for _, g := range gateways {
			items = append(items, g.wire())
		}
		out.InternetGateways, out.NextToken, err = idiom.Query[ec2api.InternetGateway]{
			IDs: in.InternetGatewayIds, Missing: errGateway, Fields: gatewayFields, Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(g *ec2api.InternetGateway) (string, *[]ec2api.Tag) { return *g.InternetGatewayId, &g.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// CreateInternetGateway makes an internet gateway, which no VPC has yet.
// Source: EC2 API Reference, CreateInternetGateway.
func (s *Service) CreateInternetGateway(ctx context.Context, c *guard.Call, in *ec2api.CreateInternetGatewayRequest) (*ec2api.CreateInternetGatewayResult, error) {
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, "internet-gateway")
	if err != nil {
		return nil, err
	}
	g, tags := gatewayRecord{own: newOwn(c, "igw")}, specs["internet-gateway"]
	out := new(ec2api.CreateInternetGatewayResult)
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: "internet-gateway", ID: g.ID, Tags: tags}); err != nil {
			return err
		}
		have, err := s.gateways(tx, c)
		if err != nil {
			return err
		}
		if len(have) >= s.Quotas.VPCs {
			return apierr.New("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
		}
		out.InternetGateway = new(g.wire())
		out.InternetGateway.Tags = idiom.MadeWith(tags)
		if err := idiom.PutTags(tx, c.Region, c.Account(), g.ID, tags); err != nil {
			return err
		}
		return put(tx, gatewayTable, g)
	})
}

// theGateway decides the call's action on an internet gateway and more, and finds it among all.
func (s *Service) theGateway(tx store.Tx, c *guard.Call, dry *bool, id string, more ...idiom.Ref) (gatewayRecord, []gatewayRecord, error) {
	if err := s.desk.Allow(tx, c, dry, nil, append([]idiom.Ref{idiom.On("internet-gateway", id)}, more...)...); err != nil {
		return gatewayRecord{}, nil, err
	}
	have, err := s.gateways(tx, c)
	if err != nil {
		return gatewayRecord{}, nil, err
	}
	g, err := find(have, id, errGateway)
	return g, have, err
}

// AttachInternetGateway gives a VPC an internet gateway. Source: EC2 API Reference, AttachInternetGateway.
func (s *Service) AttachInternetGateway(ctx context.Context, c *guard.Call, in *ec2api.AttachInternetGatewayRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, have, err := s.theGateway(tx, c, in.DryRun, *in.InternetGatewayId, idiom.On("vpc", *in.VpcId))
		if err != nil {
			return err
		}
		if g.VPC != "" {
			return apierr.Newf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.ID, g.VPC)
		}
		if other, ok := attached(have, *in.VpcId); ok {
			return apierr.Newf("InvalidParameterValue", "Network %s already has an internet gateway attached: %s", *in.VpcId, other.ID)
		}
		g.VPC = *in.VpcId
		return put(tx, gatewayTable, g)
	})
}

// DetachInternetGateway takes an internet gateway from its VPC, in which nothing may have a public address.
// Source: EC2 API Reference, DetachInternetGateway.
func (s *Service) DetachInternetGateway(ctx context.Context, c *guard.Call, in *ec2api.DetachInternetGatewayRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, _, err := s.theGateway(tx, c, in.DryRun, *in.InternetGatewayId, idiom.On("vpc", *in.VpcId))
		if err != nil {
			return err
		}
		if g.VPC != *in.VpcId {
			return apierr.Newf("Gateway.NotAttached", "resource %s is not attached to network %s", g.ID, *in.VpcId)
		}
		open, err := s.nets.Open(tx, c, g.VPC)
		if err != nil {
			return err
		}
		if open {
			return apierr.Newf("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) "+
				"before detaching the gateway.", g.VPC)
		}
		g.VPC = ""
		return put(tx, gatewayTable, g)
	})
}

// DeleteInternetGateway deletes an internet gateway that no VPC has.
func (s *Service) DeleteInternetGateway(ctx context.Context, c *guard.Call, in *ec2api.DeleteInternetGatewayRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, _, err := s.theGateway(tx, c, in.DryRun, *in.InternetGatewayId)
		if err != nil {
			return err
		}
		if g.VPC != "" {
			return errInUse("internetGateway", g.ID)
		}
		return s.dropGateway(tx, c, g)
	})
}

// dropGateway deletes an internet gateway; that of a default VPC stays gone.
func (s *Service) dropGateway(tx store.Tx, c *guard.Call, g gatewayRecord) error {
	vpcs, err := s.nets.VPCs(tx, c)
	if err != nil {
		return err
	}
	var mark func(*gatewayRecord)
	for _, v := range vpcs {
		if v.first(c, "igw") == g.ID {
			mark = func(g *gatewayRecord) { g.Gone = true }
		}
	}
	return drop(tx, c, gatewayTable, g, g.ID, mark)
}
