package ec2

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// spotProduct is what Spot prices are for: all images here are of Linux.
const spotProduct = "Linux/UNIX"

var priceFields = fields[ec2api.SpotPrice]{
	"availability-zone":    func(p ec2api.SpotPrice) []string { return oneOf(*p.AvailabilityZone) },
	"availability-zone-id": func(p ec2api.SpotPrice) []string { return oneOf(*p.AvailabilityZoneId) },
	"instance-type":        func(p ec2api.SpotPrice) []string { return oneOf(*p.InstanceType) },
	"product-description":  func(p ec2api.SpotPrice) []string { return []string{spotProduct, spotProduct + " (Amazon VPC)"} },
	"spot-price":           func(p ec2api.SpotPrice) []string { return oneOf(*p.SpotPrice) },
	"timestamp":            func(p ec2api.SpotPrice) []string { return oneOf(p.Timestamp.UTC().Format(time.RFC3339)) },
}

// spotPrice is the price of a Spot Instance an hour, as texts of AWS have it.
func (t instanceType) spotPrice() string {
	micro := launch.SpotPrice(t.onDemandMicro())
	return strconv.FormatFloat(float64(micro)/1e6, 'f', 6, 64)
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
	err := s.viewList(ctx, c, "ec2:DescribeSpotPriceHistory", in.DryRun, func(store.Tx) error {
		passes, err := priceFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		products := in.ProductDescriptions
		ours := len(products) == 0 || slices.Contains(products, spotProduct) || slices.Contains(products, spotProduct+" (Amazon VPC)")
		var items []ec2api.SpotPrice
		for _, t := range instanceTypes() {
			if !ours || !t.Spot() || len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, t.Name) {
				continue
			}
			for _, z := range zonesOf(c.Region) {
				p := ec2api.SpotPrice{
					AvailabilityZone: &z.Name, AvailabilityZoneId: &z.ID, InstanceType: new(t.Name), ProductDescription: new(spotProduct),
					SpotPrice: new(t.spotPrice()), Timestamp: &at,
				}
				wanted := (api.Val(in.AvailabilityZone) == "" || *in.AvailabilityZone == z.Name) &&
					(api.Val(in.AvailabilityZoneId) == "" || *in.AvailabilityZoneId == z.ID)
				if wanted && passes(p, nil) {
					items = append(items, p)
				}
			}
		}
		key := func(p ec2api.SpotPrice) string { return store.Key(*p.InstanceType, *p.AvailabilityZone) }
		out.SpotPriceHistory, out.NextToken, err = paginate(c.Operation, items, key, anyPage, in.MaxResults, in.NextToken)
		if out.NextToken == nil {
			out.NextToken = new("") // as AWS answers
		}
		return err
	})
	return out, err
}
