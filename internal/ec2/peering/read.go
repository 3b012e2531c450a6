package peering

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// filters are those of DescribeVpcPeeringConnections. Source: EC2 API Reference, DescribeVpcPeeringConnections, Filters.
func filters() idiom.Fields[ec2api.VpcPeeringConnection] {
	type connection = ec2api.VpcPeeringConnection
	type info = ec2api.VpcPeeringConnectionVpcInfo
	out := idiom.Fields[connection]{
		"vpc-peering-connection-id": func(p connection) []string { return idiom.One(*p.VpcPeeringConnectionId) },
		"status-code":               func(p connection) []string { return idiom.One(*p.Status.Code) },
		"status-message":            func(p connection) []string { return idiom.One(*p.Status.Message) },
		"expiration-time": func(p connection) []string {
			return idiom.Optional(p.ExpirationTime, func(t time.Time) []string { return idiom.One(idiom.Time(t)) })
		},
	}
	for name, of := range map[string]func(connection) *info{
		"requester-vpc-info.": func(p connection) *info { return p.RequesterVpcInfo },
		"accepter-vpc-info.":  func(p connection) *info { return p.AccepterVpcInfo },
	} {
		out[name+"owner-id"] = func(p connection) []string { return idiom.One(*of(p).OwnerId) }
		out[name+"vpc-id"] = func(p connection) []string { return idiom.One(*of(p).VpcId) }
		out[name+"cidr-block"] = func(p connection) []string {
			return idiom.Each(of(p).CidrBlockSet, func(b ec2api.CidrBlock) *string { return b.CidrBlock })
		}
	}
	return out
}

// DescribeVpcPeeringConnections lists the connections that the caller asked for or was asked for.
func (s *Service) DescribeVpcPeeringConnections(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcPeeringConnectionsRequest) (*ec2api.DescribeVpcPeeringConnectionsResult, error) {
	out := new(ec2api.DescribeVpcPeeringConnectionsResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		all, err := s.list(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.VpcPeeringConnection
		for i := range all {
			w, err := s.wire(tx, &all[i])
			if err != nil {
				return err
			}
			items = append(items, w)
		}
		out.VpcPeeringConnections, out.NextToken, err = idiom.Query[ec2api.VpcPeeringConnection]{
			IDs: in.VpcPeeringConnectionIds, Missing: errMissing, Fields: filters(), Filters: in.Filters, Limits: idiom.AnyPage, Max: in.MaxResults, Token: in.NextToken,
			Described: func(p *ec2api.VpcPeeringConnection) (string, *[]ec2api.Tag) {
				return *p.VpcPeeringConnectionId, &p.Tags
			},
		}.Answer(tx, c, items)
		return err
	})
}
