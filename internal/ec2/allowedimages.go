package ec2

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/allowedimages"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// allowedOperations are the handlers of the Allowed AMIs of an account.
func (s *Service) allowedOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"GetAllowedImagesSettings":                    guard.Handle(s.GetAllowedImagesSettings),
		"EnableAllowedImagesSettings":                 guard.Handle(s.EnableAllowedImagesSettings),
		"DisableAllowedImagesSettings":                guard.Handle(s.DisableAllowedImagesSettings),
		"DescribeInstanceImageMetadata":               guard.Handle(s.DescribeInstanceImageMetadata),
		"ReplaceImageCriteriaInAllowedImagesSettings": guard.Handle(s.ReplaceImageCriteriaInAllowedImagesSettings),
	}
}

// judged is an image as Allowed AMIs look at it.
func (r *imageRecord) judged() allowedimages.Image {
	return allowedimages.Image{Owner: r.Owner, Alias: r.OwnerAlias, Name: r.Name, Created: r.Created, Deprecated: r.Deprecated}
}

// admitImage refuses an image that the Allowed AMIs of the account hide, as if it did not exist.
func admitImage(tx store.Tx, account string, img *imageRecord, now time.Time) error {
	rec, _, err := settingTable.Get(tx, img.Region, account)
	if err == nil && rec.Allowed.Judge(account, img.judged(), now).Hidden {
		err = errNoImage(img.ID)
	}
	return err
}

// An imageJudge says what the caller's settings mean for an image.
type imageJudge func(*imageRecord) allowedimages.Verdict

func allowedImages(tx store.Tx, c *guard.Call) (imageJudge, error) {
	rec, _, err := settingTable.Get(tx, c.Region, c.Account())
	return func(r *imageRecord) allowedimages.Verdict { return rec.Allowed.Judge(c.Account(), r.judged(), c.Time) }, err
}

// fields are the filters of images. While nothing is told of an image, it counts as allowed.
func (judge imageJudge) fields() fields[imageRecord] {
	all := maps.Clone(imageFields)
	all["image-allowed"] = func(r imageRecord) []string {
		allowed := judge(&r).Allowed
		return boolOf(allowed == nil || *allowed)
	}
	return all
}

// GetAllowedImagesSettings tells state and criteria. Source: EC2 API Reference, of that name.
func (s *Service) GetAllowedImagesSettings(ctx context.Context, c *guard.Call, in *ec2api.GetAllowedImagesSettingsRequest) (*ec2api.GetAllowedImagesSettingsResult, error) {
	out := &ec2api.GetAllowedImagesSettingsResult{ManagedBy: new(managedByAccount)}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		rec, _, err := settingTable.Get(tx, c.Region, c.Account())
		out.State, out.ImageCriteria = new(cmp.Or(rec.Allowed.State, allowedimages.Disabled)), allowedimages.Wire(rec.Allowed.Criteria)
		return err
	})
}

// EnableAllowedImagesSettings applies the criteria, or in audit-mode only tells of each image whether it meets them.
// Source: EC2 API Reference, of that name.
func (s *Service) EnableAllowedImagesSettings(ctx context.Context, c *guard.Call, in *ec2api.EnableAllowedImagesSettingsRequest) (*ec2api.EnableAllowedImagesSettingsResult, error) {
	state := *in.AllowedImagesSettingsState
	out := &ec2api.EnableAllowedImagesSettingsResult{AllowedImagesSettingsState: &state}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.Allowed.State = state })
}

// DisableAllowedImagesSettings lets every image be seen and launched again; the criteria are kept.
// Source: EC2 API Reference, of that name.
func (s *Service) DisableAllowedImagesSettings(ctx context.Context, c *guard.Call, in *ec2api.DisableAllowedImagesSettingsRequest) (*ec2api.DisableAllowedImagesSettingsResult, error) {
	out := &ec2api.DisableAllowedImagesSettingsResult{AllowedImagesSettingsState: new(allowedimages.Disabled)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.Allowed.State = "" })
}

// ReplaceImageCriteriaInAllowedImagesSettings sets the criteria; none take all away. Source: EC2 API Reference, of that name.
func (s *Service) ReplaceImageCriteriaInAllowedImagesSettings(ctx context.Context, c *guard.Call, in *ec2api.ReplaceImageCriteriaInAllowedImagesSettingsRequest) (*ec2api.ReplaceImageCriteriaInAllowedImagesSettingsResult, error) {
	criteria, err := allowedimages.Read(in.ImageCriteria)
	if err != nil {
		return nil, err
	}
	out := &ec2api.ReplaceImageCriteriaInAllowedImagesSettingsResult{ReturnValue: new(true)}
	return out, s.set(ctx, c, in.DryRun, out, func(rec *settingRecord) { rec.Allowed.Criteria = criteria })
}
