package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// TestTopologyAndDatafeed: where instances are in the network, and the data feed of Spot Instances.
func TestTopologyAndDatafeed(t *testing.T) {
	c, ctx := admin(t), t.Context()
	if all := must(c.ec2.DescribeInstanceTopology(ctx, &ec2.DescribeInstanceTopologyInput{}))(t).Instances; len(all) != 0 {
		t.Errorf("topology %+v", all)
	}
	must(c.ec2.CreateSpotDatafeedSubscription(ctx, &ec2.CreateSpotDatafeedSubscriptionInput{Bucket: new("logs"), Prefix: new("spot")}))(t)
	if f := must(c.ec2.DescribeSpotDatafeedSubscription(ctx, &ec2.DescribeSpotDatafeedSubscriptionInput{}))(t).SpotDatafeedSubscription; *f.Bucket != "logs" || *f.Prefix != "spot" {
		t.Errorf("feed %+v", f)
	}
	must(c.ec2.DeleteSpotDatafeedSubscription(ctx, &ec2.DeleteSpotDatafeedSubscriptionInput{}))(t)
	refused(c.ec2.DescribeSpotDatafeedSubscription(ctx, &ec2.DescribeSpotDatafeedSubscriptionInput{}))(t, "InvalidSpotDatafeed.NotFound")
	refused(c.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{Name: new("ab"), RootDeviceName: new("/dev/xvda")}))(t, "InvalidAMIName.Malformed")
}
