package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// imageMetadataFields are the filters but those of tags.
// Source: EC2 API Reference, DescribeInstanceImageMetadata, Filters.
var imageMetadataFields = idiom.Fields[ec2api.InstanceImageMetadata]{
	"availability-zone":   func(m ec2api.InstanceImageMetadata) []string { return idiom.One(*m.AvailabilityZone) },
	"zone-id":             func(m ec2api.InstanceImageMetadata) []string { return idiom.One(*m.ZoneId) },
	"instance-id":         func(m ec2api.InstanceImageMetadata) []string { return idiom.One(*m.InstanceId) },
	"instance-state-name": func(m ec2api.InstanceImageMetadata) []string { return idiom.One(*m.State.Name) },
	"instance-type":       func(m ec2api.InstanceImageMetadata) []string { return idiom.One(*m.InstanceType) },
	"launch-time":         func(m ec2api.InstanceImageMetadata) []string { return idiom.One(idiom.Time(*m.LaunchTime)) },
	"owner-alias": func(m ec2api.InstanceImageMetadata) []string {
		return idiom.One(api.Val(m.ImageMetadata.ImageOwnerAlias))
	},
	"owner-id": func(m ec2api.InstanceImageMetadata) []string { return idiom.One(api.Val(m.ImageMetadata.OwnerId)) },
	"image-allowed": func(m ec2api.InstanceImageMetadata) []string {
		return idiom.Bool(m.ImageMetadata.ImageAllowed == nil || *m.ImageMetadata.ImageAllowed)
	},
}

// anyImage finds an image whoever may use it; ok is false if it is deregistered.
func anyImage(tx store.Tx, region, account, id string) (r imageRecord, ok bool, err error) {
	if e, ok := image.Find(id); ok {
		return imageOf(e, region), true, nil
	}
	if r, ok, err = imageTable.find(tx, region, account, id); err != nil || ok {
		return r, ok, err
	}
	for rec, err := range imageTable.own.Scan(tx, region) {
		if err != nil || rec.Value.ID == id {
			return rec.Value, err == nil, err
		}
	}
	return r, false, nil
}

// imageMetadata is what is told of the image of an instance; of one that is deregistered its id alone is known.
func imageMetadata(tx store.Tx, i *instanceRecord, judge imageJudge) (*ec2api.ImageMetadata, error) {
	r, ok, err := anyImage(tx, i.Region, i.Account, i.Image)
	if err != nil || !ok {
		return &ec2api.ImageMetadata{ImageId: &i.Image, State: new(ec2api.ImageStateDeregistered)}, err
	}
	m := &ec2api.ImageMetadata{
		ImageId: &r.ID, Name: &r.Name, OwnerId: &r.Owner, State: &r.State, ImageOwnerAlias: api.Opt(r.OwnerAlias), CreationDate: new(apiTime(r.Created)),
		ImageAllowed: judge(&r).Allowed, IsPublic: &r.Public,
	}
	if !r.Deprecated.IsZero() {
		m.DeprecationTime = new(apiTime(r.Deprecated))
	}
	return m, nil
}

// DescribeInstanceImageMetadata tells of the images of instances, also of those that the account can no longer use.
// Source: EC2 API Reference, DescribeInstanceImageMetadata.
func (s *Service) DescribeInstanceImageMetadata(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceImageMetadataRequest) (*ec2api.DescribeInstanceImageMetadataResult, error) {
	out := &ec2api.DescribeInstanceImageMetadataResult{}
	return out, s.viewList(ctx, c, "ec2:"+c.Operation, in.DryRun, func(tx store.Tx) error {
		found, tags, err := s.selectInstances(tx, c, in.InstanceIds, nil)
		if err != nil {
			return err
		}
		judge, err := allowedImages(tx, c)
		if err != nil {
			return err
		}
		passes, err := imageMetadataFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		items, images := []ec2api.InstanceImageMetadata{}, map[string]*ec2api.ImageMetadata{}
		slices.SortFunc(found, func(a, b *instanceRecord) int { return a.Launched.Compare(b.Launched) })
		for _, i := range found {
			w := i.wire(tags[i.ID])
			m := ec2api.InstanceImageMetadata{
				InstanceId: &i.ID, InstanceType: &i.Type, LaunchTime: &i.Launched, AvailabilityZone: &i.Zone, ZoneId: &i.ZoneID, State: w.State, OwnerId: &i.Account,
				Tags: apiTags(tags[i.ID]), Operator: w.Operator,
			}
			if images[i.Image] == nil { // many instances have the same one
				if images[i.Image], err = imageMetadata(tx, i, judge); err != nil {
					return err
				}
			}
			m.ImageMetadata = images[i.Image]
			if passes(m, tags[i.ID]) {
				items = append(items, m)
			}
		}
		out.InstanceImageMetadata, out.NextToken, err = paginate(c.Operation, items, func(m ec2api.InstanceImageMetadata) string { return *m.InstanceId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
}
