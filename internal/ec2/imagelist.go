package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func imageText(value func(imageRecord) string) func(imageRecord) []string {
	return func(r imageRecord) []string { return oneOf(value(r)) }
}

func imageDevices(value func(imageDevice) []string) func(imageRecord) []string {
	return func(r imageRecord) (values []string) {
		for _, d := range r.Devices {
			values = append(values, value(d)...)
		}
		return values
	}
}

var imageFields = fields[imageRecord]{
	"image-id":             imageText(func(r imageRecord) string { return r.ID }),
	"name":                 imageText(func(r imageRecord) string { return r.Name }),
	"description":          imageText(func(r imageRecord) string { return r.Description }),
	"architecture":         imageText(func(r imageRecord) string { return r.Architecture }),
	"owner-id":             imageText(func(r imageRecord) string { return r.Owner }),
	"owner-alias":          imageText(func(r imageRecord) string { return r.OwnerAlias }),
	"root-device-name":     imageText(func(r imageRecord) string { return r.RootDevice }),
	"state":                imageText(func(r imageRecord) string { return r.State }),
	"creation-date":        imageText(func(r imageRecord) string { return apiTime(r.Created) }),
	"manifest-location":    imageText(func(r imageRecord) string { return *r.wire().ImageLocation }),
	"is-public":            func(r imageRecord) []string { return boolOf(r.Public) },
	"root-device-type":     fixed[imageRecord]("ebs"),
	"virtualization-type":  imageText(func(r imageRecord) string { return r.Virtualization }),
	"hypervisor":           fixed[imageRecord]("xen"),
	"image-type":           fixed[imageRecord]("machine"),
	"ena-support":          func(r imageRecord) []string { return boolOf(r.ENA) },
	"sriov-net-support":    imageText(func(r imageRecord) string { return r.SRIOV }),
	"platform-details":     imageText(func(r imageRecord) string { return r.Platform }),
	"usage-operation":      fixed[imageRecord]("RunInstances"),
	"free-tier-eligible":   fixed[imageRecord]("false"),
	"platform":             fixed[imageRecord](),
	"kernel-id":            fixed[imageRecord](),
	"ramdisk-id":           fixed[imageRecord](),
	"product-code":         fixed[imageRecord](),
	"product-code.type":    fixed[imageRecord](),
	"state-reason-code":    fixed[imageRecord](),
	"state-reason-message": fixed[imageRecord](),
	"source-image-id":      imageText(func(r imageRecord) string { return r.SourceImage }),
	"source-image-region":  imageText(func(r imageRecord) string { return r.SourceRegion }),
	"source-instance-id":   imageText(func(r imageRecord) string { return r.SourceInstance }),

	"block-device-mapping.device-name": imageDevices(func(d imageDevice) []string { return oneOf(d.Name) }),
	"block-device-mapping.snapshot-id": imageDevices(func(d imageDevice) []string { return oneOf(d.SnapshotID) }),
	"block-device-mapping.volume-size": imageDevices(func(d imageDevice) []string { return intOf(d.SizeGiB) }),
	"block-device-mapping.volume-type": imageDevices(func(d imageDevice) []string { return oneOf(d.VolumeType) }),
	"block-device-mapping.encrypted":   imageDevices(func(d imageDevice) []string { return boolOf(d.Encrypted) }),
	"block-device-mapping.delete-on-termination": imageDevices(func(d imageDevice) []string {
		return boolOf(d.DeleteOnTermination)
	}),
}

// ownedBy reports whether one of the names that a request gives for owners means the owner: an
// account, its alias, or self.
func ownedBy(names []string, owner, alias, self string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(n string) bool {
		return n == owner || alias != "" && n == alias || n == "self" && owner == self
	})
}

// checkOwners refuses names that can mean no owner.
func checkOwners(names []string) error {
	for _, n := range names {
		switch {
		case arn.IsAccount(n), n == "self", n == "amazon", n == "aws-marketplace", n == "aws-backup-vault", n == "microsoft":
		default:
			return invalidValue("Invalid value '%s' for owner", n)
		}
	}
	return nil
}

// executable reports whether an image is shared with one of the users: everybody ("all"), or an
// account that was named. The right that follows from being everybody's does not count as named,
// and what others share is told to its owner and to whom it is shared with.
// What is shared with an organization counts for who is in it, and asks for itself: member tells that.
// Source: EC2 API Reference, "DescribeImages", ExecutableBy.
func (r *imageRecord) executable(users []string, self string, member bool) bool {
	return len(users) == 0 || slices.ContainsFunc(users, func(u string) bool {
		if u == "self" {
			u = self
		}
		return u == "all" && r.Public || member && u == self || slices.Contains(r.SharedWith, u) && (u == self || r.Owner == self)
	})
}

// DescribeImages lists images that the caller may use. An image that is deprecated is only shown
// to who asks for it, and so is one that is disabled.
func (s *Service) DescribeImages(ctx context.Context, c *guard.Call, in *ec2api.DescribeImagesRequest) (*ec2api.DescribeImagesResult, error) {
	out := new(ec2api.DescribeImagesResult)
	err := s.viewList(ctx, c, "ec2:DescribeImages", in.DryRun, func(tx store.Tx) error {
		if err := checkOwners(in.Owners); err != nil {
			return err
		}
		all, err := s.images(tx, c)
		if err != nil {
			return err
		}
		judge, err := allowedImages(tx, c)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(r imageRecord) bool { return judge(&r).Hidden })
		var missing []string
		for _, id := range in.ImageIds {
			if slices.ContainsFunc(all, func(r imageRecord) bool { return r.ID == id }) {
				continue
			}
			switch err := s.passGone(tx, c, id); {
			case apierr.Code(err) == "InvalidAMIID.NotFound":
				missing = append(missing, id)
			case err != nil:
				return err
			}
		}
		if len(missing) > 0 {
			return errNoImage(missing...)
		}
		passes, err := judge.fields().Filter(in.Filters)
		if err != nil {
			return err
		}
		tags, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		var items []ec2api.Image
		for _, r := range all {
			named := slices.Contains(in.ImageIds, r.ID)
			member, err := s.inside(tx, r.Organizations, c.Account())
			if err != nil {
				return err
			}
			deprecated := !r.Deprecated.IsZero() && r.Deprecated.Before(c.Time)
			switch {
			case len(in.ImageIds) > 0 && !named,
				r.State == imageDisabled && !named && !api.Val(in.IncludeDisabled),
				deprecated && !named && !api.Val(in.IncludeDeprecated) && r.Owner != c.Account(),
				!ownedBy(in.Owners, r.Owner, r.OwnerAlias, c.Account()),
				!r.executable(in.ExecutableUsers, c.Account(), member),
				!passes(r, tags[r.ID]):
				continue
			}
			w := r.wire()
			w.Tags, w.DeregistrationProtection = apiTags(tags[r.ID]), new(r.protection(c.Time))
			w.ImageAllowed = judge(&r).Allowed
			items = append(items, w)
		}
		out.Images, out.NextToken, err = paginate(c.Operation, items, func(i ec2api.Image) string { return *i.ImageId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
