package ec2

import (
	"context"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeAccountAttributes tells the attributes of the caller's account.
// Source: EC2 API Reference, DescribeAccountAttributes.
func (s *Service) DescribeAccountAttributes(ctx context.Context, c *guard.Call, in *ec2api.DescribeAccountAttributesRequest) (*ec2api.DescribeAccountAttributesResult, error) {
	out := &ec2api.DescribeAccountAttributesResult{}
	err := s.viewList(ctx, c, "ec2:DescribeAccountAttributes", in.DryRun, func(tx store.Tx) error {
		out.AccountAttributes = []ec2api.AccountAttribute{}
		vpc, ok, err := s.defaultVPC(tx, c)
		if err != nil {
			return err
		}
		first := "none"
		if ok {
			first = vpc.ID
		}
		addresses := strconv.Itoa(s.nets.Quotas.Addresses)
		for _, v := range [][2]string{
			{"default-vpc", first}, {"max-elastic-ips", addresses}, {"max-instances", "20"}, {"supported-platforms", "VPC"},
			{"vpc-max-elastic-ips", addresses}, {"vpc-max-security-groups-per-interface", "5"},
		} {
			if len(in.AttributeNames) > 0 && !slices.Contains(in.AttributeNames, v[0]) {
				continue
			}
			out.AccountAttributes = append(out.AccountAttributes, ec2api.AccountAttribute{
				AttributeName: new(v[0]), AttributeValues: []ec2api.AccountAttributeValue{{AttributeValue: new(v[1])}},
			})
		}
		return nil
	})
	return out, err
}
