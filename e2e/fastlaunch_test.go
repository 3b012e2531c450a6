package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestFastLaunch: it is for images of Windows, of which there are none.
func TestFastLaunch(t *testing.T) {
	c, ctx := admin(t), t.Context()
	images := must(c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: []ec2types.Filter{{Name: new("architecture"), Values: []string{"x86_64"}}}}))(t).Images
	refused(c.ec2.EnableFastLaunch(ctx, &ec2.EnableFastLaunchInput{ImageId: images[0].ImageId}))(t, "UnsupportedOperation")
	refused(c.ec2.DisableFastLaunch(ctx, &ec2.DisableFastLaunchInput{ImageId: images[0].ImageId}))(t, "UnsupportedOperation")
	if all := must(c.ec2.DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{ImageIds: []string{*images[0].ImageId}}))(t).FastLaunchImages; len(all) != 0 {
		t.Errorf("images %+v", all)
	}
}
