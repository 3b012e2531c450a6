package zone

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ModifyAvailabilityZoneGroup opts in to a group of zones. Those of Availability Zones need none, and to opt out of a
// group only AWS Support can; Local Zones and Wavelength Zones, which one opts in to, do not exist here.
// Source: EC2 API Reference, ModifyAvailabilityZoneGroup.
func (s *Service) ModifyAvailabilityZoneGroup(ctx context.Context, c *guard.Call, in *ec2api.ModifyAvailabilityZoneGroupRequest) (*ec2api.ModifyAvailabilityZoneGroupResult, error) {
	return nil, idiom.ViewList(ctx, s.g, c, "ec2:"+c.Operation, in.DryRun, func(store.Tx) error {
		for _, z := range Of(c.Region) {
			if *in.GroupName == *z.wire(c.Region).GroupName {
				return apierr.Newf("UnsupportedOperation", "The zone group '%s' does not support the opt-in status '%s'.", *in.GroupName, *in.OptInStatus)
			}
		}
		return idiom.InvalidValue("Invalid availability zone group: [%s]", *in.GroupName)
	})
}
