package ec2

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// launchPermission is the attribute that says who may launch an image.
const launchPermission = "launchPermission"

// imdsV2 is the only value of an image's ImdsSupport. Source: EC2 API Reference, Image.
const imdsV2 = "v2.0"

// changeImage decides the call's action on an image of the caller's. attribute, if not "", is what
// it changes; value is the new value of one that is a text.
// Source: EC2 User Guide, "ec2:Attribute condition key".
func (s *Service) changeImage(tx store.Tx, c *guard.Call, id string, flag *bool, attribute, value string) (imageRecord, error) {
	r, err := s.decideImage(tx, c, id, flag, attribute, value)
	if err != nil {
		return r, err
	}
	return s.ownImage(tx, c, id)
}

// decideImage is changeImage of an image that the caller may use, whoever owns it. What else is decided on comes with it.
func (s *Service) decideImage(tx store.Tx, c *guard.Call, id string, flag *bool, attribute, value string, more ...authz.Part) (imageRecord, error) {
	r, err := s.lookupImage(tx, c, id)
	if err != nil {
		return r, err
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), id)
	if err != nil {
		return r, err
	}
	p := s.part(c, "ec2:"+c.Operation, "image/"+r.ID, tags)
	r.describe(&p)
	setAttribute(&p, attribute, value)
	c.Touch(r.arn(), r.Owner, "AWS::EC2::Ami")
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: append([]authz.Part{p}, more...)}); err != nil {
		return r, err
	}
	return r, dryRun(flag)
}

// ModifyImageAttribute changes who may launch an image, or its description.
// Source: EC2 API Reference, ModifyImageAttribute.
func (s *Service) ModifyImageAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyImageAttributeRequest) error {
	id := api.Val(in.ImageId)
	text := func(attribute string, value *string, set func(*imageRecord, string)) error {
		v := api.Val(value)
		return s.g.Update(ctx, c, func(tx store.Tx) error {
			r, err := s.changeImage(tx, c, id, in.DryRun, attribute, v)
			if err != nil {
				return err
			}
			set(&r, v)
			return putImage(tx, r)
		})
	}
	description := func(r *imageRecord, v string) { r.Description = v }
	attribute := api.Val(in.Attribute)
	switch {
	case len(in.ProductCodes) > 0: // Source: EC2 API Reference, ModifyImageAttribute, ProductCodes: not supported.
		return apierr.New("UnsupportedOperation", "Product codes cannot be added to an image.")
	case in.Description != nil:
		return text("Description", in.Description.Value, description)
	case strings.EqualFold(attribute, "description"):
		return text("Description", in.Value, description)
	case in.ImdsSupport != nil:
		if v := api.Val(in.ImdsSupport.Value); v != imdsV2 {
			return invalidValue("Value (%s) for parameter imdsSupport is invalid.", v)
		}
		return text("ImdsSupport", in.ImdsSupport.Value, func(r *imageRecord, v string) { r.IMDS = v })
	case attribute != "" && !strings.EqualFold(attribute, launchPermission):
		return invalidValue("Value (%s) for parameter attribute is invalid. It cannot be modified.", attribute)
	}
	x, err := imageSharing(in)
	if err != nil {
		return err
	}
	return s.shareImage(ctx, c, id, in.DryRun, &x)
}

func imageSharing(in *ec2api.ModifyImageAttributeRequest) (x sharing, err error) {
	if p := in.LaunchPermission; p != nil {
		if err := launchers(&x.add, p.Add); err != nil {
			return x, err
		}
		if err := launchers(&x.remove, p.Remove); err != nil {
			return x, err
		}
	}
	if err := x.listed(api.Val(in.OperationType), in.UserIds, in.UserGroups, slices.Concat(in.OrganizationArns, in.OrganizationalUnitArns)...); err != nil {
		return x, err
	}
	if x.empty() {
		return x, apierr.New("MissingParameter", "The request must contain the parameter LaunchPermission")
	}
	return x, nil
}

func launchers(m *members, in []ec2api.LaunchPermission) error {
	for _, p := range in {
		for _, a := range []*string{p.OrganizationArn, p.OrganizationalUnitArn} {
			if a == nil {
				continue
			}
			if err := m.addOrganization(*a); err != nil {
				return err
			}
		}
		if p.UserId != nil {
			if err := m.addAccount(*p.UserId); err != nil {
				return err
			}
		}
		if p.Group != nil {
			if err := m.addGroup(*p.Group); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareImage changes who may launch an image: for its snapshots the same rules hold as if they were
// shared. Source: EC2 User Guide, "Share an AMI with specific AWS accounts", considerations.
func (s *Service) shareImage(ctx context.Context, c *guard.Call, id string, flag *bool, x *sharing) error {
	var snapshots []snapshotRecord
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		snapshots = nil
		r, err := s.changeImage(tx, c, id, flag, "LaunchPermission", "")
		if err != nil {
			return err
		}
		for _, d := range r.Devices {
			if d.SnapshotID == "" {
				continue
			}
			snap, err := s.imageSnapshot(tx, &r, d.SnapshotID)
			if err != nil {
				return err
			}
			snapshots = append(snapshots, snap)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.shareable(ctx, x, snapshots); err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.ownImage(tx, c, id)
		if err != nil {
			return err
		}
		if r.State == imageDisabled && x.add.any() {
			return apierr.Newf("OperationNotPermitted", "The image '%s' is disabled and cannot be shared.", r.ID) // AWS's code is not published
		}
		_, state, err := publicBlocks(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		if err := x.publishable(state, "image"); err != nil {
			return err
		}
		x.apply(&r.Public, &r.SharedWith)
		r.Organizations = changed(r.Organizations, x.add.organizations, x.remove.organizations)
		return putImage(tx, r)
	})
}

// ResetImageAttribute shares an image with nobody.
func (s *Service) ResetImageAttribute(ctx context.Context, c *guard.Call, in *ec2api.ResetImageAttributeRequest) error {
	if a := api.Val(in.Attribute); !strings.EqualFold(a, launchPermission) {
		return invalidValue("Value (%s) for parameter attribute is invalid. Only launchPermission can be reset.", a)
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeImage(tx, c, api.Val(in.ImageId), in.DryRun, "LaunchPermission", "")
		if err != nil {
			return err
		}
		r.unshare()
		return putImage(tx, r)
	})
}

// CancelImageLaunchPermission ends that an image is shared with the caller's account. One that everybody may launch, or the
// account's organization, stays; AWS does not say with which code it refuses.
// Source: EC2 User Guide, "Cancel having an AMI shared with your AWS account".
func (s *Service) CancelImageLaunchPermission(ctx context.Context, c *guard.Call, in *ec2api.CancelImageLaunchPermissionRequest) (*ec2api.CancelImageLaunchPermissionResult, error) {
	return &ec2api.CancelImageLaunchPermissionResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.decideImage(tx, c, *in.ImageId, in.DryRun, "", "")
		if err != nil {
			return err
		}
		if !slices.Contains(r.SharedWith, c.Account()) {
			return apierr.Newf("OperationNotPermitted", "The image '%s' is not shared with the account %s by its id.", r.ID, c.Account())
		}
		r.SharedWith = changed(r.SharedWith, nil, []string{c.Account()})
		return putImage(tx, r)
	})
}

// DescribeImageAttribute tells one attribute of an image to its owner.
func (s *Service) DescribeImageAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeImageAttributeRequest) (*ec2api.ImageAttribute, error) {
	var r imageRecord
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		r, err = s.changeImage(tx, c, api.Val(in.ImageId), in.DryRun, "", "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.attribute(api.Val(in.Attribute), c.Time)
}

func (r *imageRecord) attribute(name string, now time.Time) (*ec2api.ImageAttribute, error) {
	text := func(v string) *ec2api.AttributeValue { return &ec2api.AttributeValue{Value: api.Opt(v)} }
	out := &ec2api.ImageAttribute{ImageId: &r.ID}
	switch name {
	case launchPermission:
		out.LaunchPermissions = []ec2api.LaunchPermission{}
		if r.Public {
			out.LaunchPermissions = append(out.LaunchPermissions, ec2api.LaunchPermission{Group: new(everybody)})
		}
		for _, id := range slices.Sorted(slices.Values(r.SharedWith)) {
			out.LaunchPermissions = append(out.LaunchPermissions, ec2api.LaunchPermission{UserId: &id})
		}
		for _, a := range r.Organizations {
			p := ec2api.LaunchPermission{OrganizationArn: &a}
			if strings.Contains(a, unitARN) {
				p = ec2api.LaunchPermission{OrganizationalUnitArn: &a}
			}
			out.LaunchPermissions = append(out.LaunchPermissions, p)
		}
	case "description":
		out.Description = text(r.Description)
	case "blockDeviceMapping":
		out.BlockDeviceMappings = r.wire().BlockDeviceMappings
	case "sriovNetSupport":
		out.SriovNetSupport = text(r.SRIOV)
	case "bootMode":
		out.BootMode = text(r.BootMode)
	case "tpmSupport":
		out.TpmSupport = text(r.TPM)
	case "imdsSupport":
		out.ImdsSupport = text(r.IMDS)
	case "kernel":
		out.KernelId = text("")
	case "ramdisk":
		out.RamdiskId = text("")
	case "uefiData":
		out.UefiData = text(r.UEFI)
	case "lastLaunchedTime":
		out.LastLaunchedTime = text("")
	case "deregistrationProtection":
		out.DeregistrationProtection = text(r.protection(now))
	case "productCodes":
		out.ProductCodes = []ec2api.ProductCode{}
	default:
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return out, nil
}
