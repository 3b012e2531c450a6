package instancetype

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// SpotProduct is what Spot prices are for: all images here are of Linux.
const SpotProduct = "Linux/UNIX"

var priceFields = idiom.Fields[ec2api.SpotPrice]{
	"availability-zone":    func(p ec2api.SpotPrice) []string { return idiom.One(*p.AvailabilityZone) },
	"availability-zone-id": func(p ec2api.SpotPrice) []string { return idiom.One(*p.AvailabilityZoneId) },
	"instance-type":        func(p ec2api.SpotPrice) []string { return idiom.One(*p.InstanceType) },
	"product-description":  func(p ec2api.SpotPrice) []string { return []string{SpotProduct, SpotProduct + " (Amazon VPC)"} },
	"spot-price":           func(p ec2api.SpotPrice) []string { return idiom.One(*p.SpotPrice) },
	"timestamp":            func(p ec2api.SpotPrice) []string { return idiom.One(p.Timestamp.UTC().Format(time.RFC3339)) },
}

// DescribeSpotPriceHistory tells the prices of Spot Instances. They never change here: each is told
// as of the last midnight of the time that is asked for.
// Source: EC2 API Reference, DescribeSpotPriceHistory.
func (s *Service) DescribeSpotPriceHistory(ctx context.Context, c *guard.Call, in *ec2api.DescribeSpotPriceHistoryRequest) (*ec2api.DescribeSpotPriceHistoryResult, error) {
	out := &ec2api.DescribeSpotPriceHistoryResult{}
	at := s.g.Now()
	if in.EndTime != nil && in.EndTime.Before(at) {
		at = *in.EndTime
	}
	at = at.UTC().Truncate(24 * time.Hour)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeSpotPriceHistory", in.DryRun, func(store.Tx) error {
		passes, err := priceFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		products := in.ProductDescriptions
		ours := len(products) == 0 || slices.Contains(products, SpotProduct) || slices.Contains(products, SpotProduct+" (Amazon VPC)")
		var items []ec2api.SpotPrice
		for _, t := range All() {
			if !ours || !t.Spot() || len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, t.Name) {
				continue
			}
			for _, z := range zone.Of(c.Region) {
				p := ec2api.SpotPrice{
					AvailabilityZone: &z.Name, AvailabilityZoneId: &z.ID, InstanceType: new(t.Name), ProductDescription: new(SpotProduct),
					SpotPrice: new(t.SpotPrice()), Timestamp: &at,
				}
				wanted := (api.Val(in.AvailabilityZone) == "" || *in.AvailabilityZone == z.Name) &&
					(api.Val(in.AvailabilityZoneId) == "" || *in.AvailabilityZoneId == z.ID)
				if wanted && passes(p, nil) {
					items = append(items, p)
				}
			}
		}
		key := func(p ec2api.SpotPrice) string { return store.Key(*p.InstanceType, *p.AvailabilityZone) }
		out.SpotPriceHistory, out.NextToken, err = idiom.Page(c.Operation, items, key, idiom.AnyPage, in.MaxResults, in.NextToken)
		if out.NextToken == nil {
			out.NextToken = new("") // as AWS answers
		}
		return err
	})
	return out, err
}
