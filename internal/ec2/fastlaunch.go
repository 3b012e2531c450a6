package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// fastLaunchOperations are the handlers of EC2 Fast Launch, which is for images of Windows alone: there are none.
func (s *Service) fastLaunchOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"EnableFastLaunch":         guard.Handle(s.EnableFastLaunch),
		"DisableFastLaunch":        guard.Handle(s.DisableFastLaunch),
		"DescribeFastLaunchImages": guard.Handle(s.DescribeFastLaunchImages),
	}
}

// leastParallelLaunches is the least value of MaxParallelLaunches. Source: EC2 API Reference, EnableFastLaunch.
const leastParallelLaunches = 6

// EnableFastLaunch refuses every image that the caller may use. AWS's code and text are not published.
// Source: EC2 API Reference, EnableFastLaunch.
func (s *Service) EnableFastLaunch(ctx context.Context, c *guard.Call, in *ec2api.EnableFastLaunchRequest) (*ec2api.EnableFastLaunchResult, error) {
	t, snapshots := in.LaunchTemplate, in.SnapshotConfiguration
	switch {
	case in.ResourceType != nil && *in.ResourceType != ec2api.FastLaunchResourceTypeSnapshot:
		return nil, invalidValue("Value (%s) for parameter resourceType is invalid.", *in.ResourceType)
	case in.MaxParallelLaunches != nil && *in.MaxParallelLaunches < leastParallelLaunches:
		return nil, invalidValue("Value (%d) for parameter maxParallelLaunches is invalid. It must be %d or greater.", *in.MaxParallelLaunches, leastParallelLaunches)
	case snapshots != nil && snapshots.TargetResourceCount != nil && *snapshots.TargetResourceCount < 1:
		return nil, invalidValue("Value (%d) for parameter targetResourceCount is invalid.", *snapshots.TargetResourceCount)
	}
	return nil, s.fastLaunch(ctx, c, in.ImageId, t, in.DryRun)
}

// DisableFastLaunch is for images that EnableFastLaunch took. Source: EC2 API Reference, DisableFastLaunch.
func (s *Service) DisableFastLaunch(ctx context.Context, c *guard.Call, in *ec2api.DisableFastLaunchRequest) (*ec2api.DisableFastLaunchResult, error) {
	return nil, s.fastLaunch(ctx, c, in.ImageId, nil, in.DryRun)
}

// fastLaunch decides a request about an image that the caller may use, with the launch template that it names, and refuses it.
// Source: the managed policy EC2ImageBuilderExecutionPolicy, for the resources.
func (s *Service) fastLaunch(ctx context.Context, c *guard.Call, id *string, named *ec2api.FastLaunchLaunchTemplateSpecificationRequest, flag *bool) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		var parts []authz.Part
		if named != nil {
			t, err := template.Find(tx, c, api.Val(named.LaunchTemplateId), api.Val(named.LaunchTemplateName))
			if err != nil {
				return err
			}
			tags, err := tagsOf(tx, c.Region, c.Account(), t.ID)
			if err != nil {
				return err
			}
			parts = append(parts, s.part(c, "ec2:"+c.Operation, "launch-template/"+t.ID, tags))
		}
		r, err := s.decideImage(tx, c, *id, flag, "", "", parts...)
		if err != nil {
			return err
		}
		return apierr.Newf("UnsupportedOperation", "The image '%s' is not a Windows AMI: its platform is %s.", r.ID, r.Platform)
	})
}

// fastLaunchFields are the filters. Source: EC2 API Reference, DescribeFastLaunchImages, Filters.
var fastLaunchFields = fields[ec2api.DescribeFastLaunchImagesSuccessItem]{
	"resource-type": fixed[ec2api.DescribeFastLaunchImagesSuccessItem](), "owner-id": fixed[ec2api.DescribeFastLaunchImagesSuccessItem](),
	"state": fixed[ec2api.DescribeFastLaunchImagesSuccessItem](),
}

// DescribeFastLaunchImages lists the images with Fast Launch: none. Images that are named must be there.
// Source: EC2 API Reference, DescribeFastLaunchImages.
func (s *Service) DescribeFastLaunchImages(ctx context.Context, c *guard.Call, in *ec2api.DescribeFastLaunchImagesRequest) (*ec2api.DescribeFastLaunchImagesResult, error) {
	out := new(ec2api.DescribeFastLaunchImagesResult)
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		for _, id := range in.ImageIds {
			if _, err := s.lookupImage(tx, c, id); err != nil {
				return err
			}
		}
		items, err := idiom.Keep(fastLaunchFields, in.Filters, []ec2api.DescribeFastLaunchImagesSuccessItem{})
		if err != nil {
			return err
		}
		key := func(i ec2api.DescribeFastLaunchImagesSuccessItem) string { return *i.ImageId }
		out.FastLaunchImages, out.NextToken, err = paginate(c.Operation, items, key, anyPage, in.MaxResults, in.NextToken)
		return err
	})
}
