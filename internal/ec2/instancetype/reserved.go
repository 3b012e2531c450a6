package instancetype

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// reservedPage is the most offerings of an answer, and how many there are if nobody says.
// Source: EC2 API Reference, DescribeReservedInstancesOfferings, MaxResults.
const reservedPage = 100

const year = 365 * 24 * time.Hour

// A term is for how long an instance is reserved, and how it is paid for.
type term struct {
	class, payment string
	years          int64
	percent        int64 // of the price on demand
	upfront        int64 // percent of that, at once
}

// terms have prices of ours: AWS publishes a price for each type and Region.
var terms = []term{
	{"standard", "No Upfront", 1, 63, 0}, {"standard", "Partial Upfront", 1, 60, 50}, {"standard", "All Upfront", 1, 59, 100},
	{"standard", "No Upfront", 3, 43, 0}, {"standard", "Partial Upfront", 3, 40, 50}, {"standard", "All Upfront", 3, 38, 100},
	{"convertible", "No Upfront", 1, 72, 0}, {"convertible", "Partial Upfront", 1, 69, 50}, {"convertible", "All Upfront", 1, 67, 100},
	{"convertible", "No Upfront", 3, 54, 0}, {"convertible", "Partial Upfront", 3, 50, 50}, {"convertible", "All Upfront", 3, 49, 100},
}

func (t term) seconds() int64 { return t.years * int64(year/time.Second) }

// An offer is a type on a term in a zone, or in the whole Region. There are tens of thousands: what is written of one is
// made when it is shown.
type offer struct {
	kind   *Type
	region string
	zone   zone.Zone // empty for the Region
	on     term
	key    string // order
}

var reservedFields = idiom.Fields[offer]{
	"availability-zone":              func(o offer) []string { return idiom.One(o.zone.Name) },
	"availability-zone-id":           func(o offer) []string { return idiom.One(o.zone.ID) },
	"duration":                       func(o offer) []string { return idiom.Int(o.on.seconds()) },
	"fixed-price":                    func(o offer) []string { return idiom.One(strconv.FormatFloat(o.fixed(), 'f', -1, 64)) },
	"instance-type":                  func(o offer) []string { return idiom.One(o.kind.Name) },
	"marketplace":                    idiom.Fixed[offer]("false"),
	"product-description":            idiom.Fixed[offer](SpotProduct, inVPC),
	"reserved-instances-offering-id": func(o offer) []string { return idiom.One(o.id()) },
	"scope":                          func(o offer) []string { return idiom.One(o.scope()) },
	"usage-price":                    idiom.Fixed[offer]("0", "0.0"),
}

// inVPC is how products have been called since all instances are in VPCs.
const inVPC = SpotProduct + " (Amazon VPC)"

// DescribeReservedInstancesOfferings lists what could be reserved: each type, in the Region and in each zone, on each
// term. Nothing can be bought here. Source: EC2 API Reference, DescribeReservedInstancesOfferings.
func (s *Service) DescribeReservedInstancesOfferings(ctx context.Context, c *guard.Call, in *ec2api.DescribeReservedInstancesOfferingsRequest) (*ec2api.DescribeReservedInstancesOfferingsResult, error) {
	out := new(ec2api.DescribeReservedInstancesOfferingsResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeReservedInstancesOfferings", in.DryRun, func(store.Tx) error {
		items, err := named(offers(c.Region, in), in.ReservedInstancesOfferingIds)
		if err != nil {
			return err
		}
		if items, err = idiom.Keep(reservedFields, in.Filters, items); err != nil {
			return err
		}
		most := cmp.Or(api.Val(in.MaxResults), reservedPage)
		items, out.NextToken, err = idiom.Page(c.Operation, items, func(o offer) string { return o.key }, idiom.Limits{Least: 1, Most: reservedPage}, &most, in.NextToken)
		for _, o := range items {
			out.ReservedInstancesOfferings = append(out.ReservedInstancesOfferings, o.wire())
		}
		return err
	})
	return out, err
}

// named are the offers with the ids, all of them without any. An id takes longer to make than to compare.
func named(all []offer, ids []string) (out []offer, err error) {
	if len(ids) == 0 {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	for _, o := range all {
		if id := o.id(); wanted[id] {
			out = append(out, o)
			delete(wanted, id)
		}
	}
	for _, id := range ids {
		if wanted[id] {
			return nil, apierr.Newf("InvalidReservedInstancesOfferingId", "The ID '%s' does not exist", id)
		}
	}
	return out, nil
}

// offers are those that a request asks for, but for its ids and filters.
func offers(region string, in *ec2api.DescribeReservedInstancesOfferingsRequest) (out []offer) {
	is := func(asked *string, v string) bool { return asked == nil || *asked == v }
	product := api.Val(in.ProductDescription)
	if product != "" && product != SpotProduct && product != inVPC || !is(in.InstanceTenancy, "default") {
		return nil
	}
	places, types := append([]zone.Zone{{}}, zone.Of(region)...), All()
	for i := range types {
		if !is(in.InstanceType, types[i].Name) {
			continue
		}
		for _, z := range places {
			if !is(in.AvailabilityZone, z.Name) || !is(in.AvailabilityZoneId, z.ID) {
				continue
			}
			for _, on := range terms {
				if !is(in.OfferingClass, on.class) || !is(in.OfferingType, on.payment) || on.seconds() < api.Val(in.MinDuration) || in.MaxDuration != nil && on.seconds() > *in.MaxDuration {
					continue
				}
				key := store.Key(types[i].Name, z.Name, on.class, strconv.FormatInt(on.years, 10), on.payment)
				out = append(out, offer{&types[i], region, z, on, key})
			}
		}
	}
	return out
}

func (o offer) scope() string {
	if o.zone.Name == "" {
		return "Region"
	}
	return "Availability Zone"
}

// hourly is the price of an hour in US dollars, were nothing paid upfront.
func (o offer) hourly() float64 { return float64(o.kind.OnDemandMicro()*o.on.percent) / 100 / 1e6 }

// fixed is what is paid at once.
func (o offer) fixed() float64 {
	return cents(o.hourly() * float64(o.on.seconds()) / 3600 * float64(o.on.upfront) / 100)
}

// id is the same each time: an offering is not stored.
func (o offer) id() string {
	sum := sha256.Sum256([]byte(store.Key("offering", o.region, o.key)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func (o offer) wire() ec2api.ReservedInstancesOffering {
	w := ec2api.ReservedInstancesOffering{
		CurrencyCode: new("USD"), Duration: new(o.on.seconds()), FixedPrice: new(o.fixed()), InstanceTenancy: new("default"), InstanceType: new(o.kind.Name),
		Marketplace: new(false), OfferingClass: new(o.on.class), OfferingType: new(o.on.payment), PricingDetails: []ec2api.PricingDetail{},
		ProductDescription: new(SpotProduct), RecurringCharges: []ec2api.RecurringCharge{}, ReservedInstancesOfferingId: new(o.id()), Scope: new(o.scope()), UsagePrice: new(0.0),
	}
	if o.zone.Name != "" {
		w.AvailabilityZone, w.AvailabilityZoneId = new(o.zone.Name), new(o.zone.ID)
	}
	if o.on.upfront < 100 {
		w.RecurringCharges = append(w.RecurringCharges, ec2api.RecurringCharge{Amount: new(o.hourly() * float64(100-o.on.upfront) / 100), Frequency: new("Hourly")})
	}
	return w
}

func cents(v float64) float64 { return float64(int64(v*100+0.5)) / 100 }
