package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A spotFeed is where an account wants to read of its Spot Instances. Nothing is written there: there is no S3.
type spotFeed struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix,omitempty"`
}

func (f *spotFeed) wire(account string) *ec2api.SpotDatafeedSubscription {
	return &ec2api.SpotDatafeedSubscription{
		Bucket: &f.Bucket, Prefix: api.Opt(f.Prefix), OwnerId: &account, State: new(ec2api.DatafeedSubscriptionStateActive),
	}
}

// CreateSpotDatafeedSubscription keeps the account's data feed, which is one: another takes its place.
// Source: EC2 API Reference, CreateSpotDatafeedSubscription.
func (s *Service) CreateSpotDatafeedSubscription(ctx context.Context, c *guard.Call, in *ec2api.CreateSpotDatafeedSubscriptionRequest) (*ec2api.CreateSpotDatafeedSubscriptionResult, error) {
	feed := &spotFeed{api.Val(in.Bucket), api.Val(in.Prefix)}
	out := &ec2api.CreateSpotDatafeedSubscriptionResult{SpotDatafeedSubscription: feed.wire(c.Account())}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowDry(tx, c, "ec2:"+c.Operation, in.DryRun); err != nil {
			return err
		}
		if n := len(feed.Bucket); n < 3 || n > 63 {
			return invalidValue("Value (%s) for parameter bucket is invalid. The name of a bucket has 3 to 63 characters.", feed.Bucket)
		}
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		rec.Feed = feed
		c.Respond(out)
		return settingTable.Put(tx, rec, c.Region, c.Account())
	})
}

// DescribeSpotDatafeedSubscription tells the account's data feed.
// Source: EC2 API Reference, DescribeSpotDatafeedSubscription; "Error codes for the Amazon EC2 API".
func (s *Service) DescribeSpotDatafeedSubscription(ctx context.Context, c *guard.Call, in *ec2api.DescribeSpotDatafeedSubscriptionRequest) (*ec2api.DescribeSpotDatafeedSubscriptionResult, error) {
	out := &ec2api.DescribeSpotDatafeedSubscriptionResult{}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		if rec.Feed == nil {
			return apierr.New("InvalidSpotDatafeed.NotFound", "Spot datafeed subscription does not exist.")
		}
		out.SpotDatafeedSubscription = rec.Feed.wire(c.Account())
		return nil
	})
}

// DeleteSpotDatafeedSubscription ends the account's data feed, if there is one.
// Source: EC2 API Reference, DeleteSpotDatafeedSubscription.
func (s *Service) DeleteSpotDatafeedSubscription(ctx context.Context, c *guard.Call, in *ec2api.DeleteSpotDatafeedSubscriptionRequest) error {
	return s.set(ctx, c, in.DryRun, nil, func(rec *settingRecord) { rec.Feed = nil })
}
