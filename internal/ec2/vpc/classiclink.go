package vpc

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func (s *Service) classicOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"DescribeVpcClassicLink":           guard.Handle(s.DescribeVpcClassicLink),
		"DescribeVpcClassicLinkDnsSupport": guard.Handle(s.DescribeVpcClassicLinkDnsSupport),
	}
}

// linkFields are the filters of DescribeVpcClassicLink. No VPC is linked: EC2-Classic is gone.
var linkFields = idiom.Fields[ec2api.VpcClassicLink]{"is-classic-link-enabled": idiom.Fixed[ec2api.VpcClassicLink]("false")}

var errVPC = notFound("InvalidVpcID.NotFound", "vpc")

// DescribeVpcClassicLink says of the caller's VPCs that they are not linked to EC2-Classic, as clients from its days
// ask before they do anything. Source: EC2 API Reference, DescribeVpcClassicLink.
func (s *Service) DescribeVpcClassicLink(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcClassicLinkRequest) (*ec2api.DescribeVpcClassicLinkResult, error) {
	out := new(ec2api.DescribeVpcClassicLinkResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		vpcs, err := s.nets.VPCs(tx, c)
		if err != nil {
			return err
		}
		var items []ec2api.VpcClassicLink
		for _, v := range vpcs {
			items = append(items, ec2api.VpcClassicLink{VpcId: &v.ID, ClassicLinkEnabled: new(false)})
		}
		out.Vpcs, _, err = idiom.Query[ec2api.VpcClassicLink]{
			IDs: in.VpcIds, Missing: errVPC, Fields: linkFields, Filters: in.Filters, Limits: idiom.AnyPage,
			Described: func(v *ec2api.VpcClassicLink) (string, *[]ec2api.Tag) { return *v.VpcId, &v.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// DescribeVpcClassicLinkDnsSupport says the same of names. Source: EC2 API Reference, DescribeVpcClassicLinkDnsSupport.
func (s *Service) DescribeVpcClassicLinkDnsSupport(ctx context.Context, c *guard.Call, in *ec2api.DescribeVpcClassicLinkDnsSupportRequest) (*ec2api.DescribeVpcClassicLinkDnsSupportResult, error) {
	out := new(ec2api.DescribeVpcClassicLinkDnsSupportResult)
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, nil); err != nil {
			return err
		}
		vpcs, err := s.nets.VPCs(tx, c)
		if err != nil {
			return err
		}
		id := func(v ec2api.ClassicLinkDnsSupport) string { return *v.VpcId }
		var items []ec2api.ClassicLinkDnsSupport
		for _, v := range vpcs {
			items = append(items, ec2api.ClassicLinkDnsSupport{VpcId: &v.ID, ClassicLinkDnsSupported: new(false)})
		}
		if items, err = idiom.Pick(items, in.VpcIds, id, errVPC); err != nil {
			return err
		}
		out.Vpcs, out.NextToken, err = idiom.Page(c.Operation, items, id, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}
