package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func errInterface(id string) error {
	return apierr.Newf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

// ModifyNetworkInterfaceAttribute changes one attribute of a network interface: its description, its security groups,
// whether it looks at where packets come from and go to, or whether it goes with its instance.
// Source: EC2 API Reference, ModifyNetworkInterfaceAttribute.
func (s *Service) ModifyNetworkInterfaceAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyNetworkInterfaceAttributeRequest) error {
	name, value, err := interfaceChange(in)
	if err != nil {
		return err
	}
	track, err := trackingOf(in.ConnectionTrackingSpecification)
	if err != nil {
		return err
	}
	fast, err := expressOf(in.EnaSrdSpecification)
	if err != nil {
		return err
	}
	instance := ""
	err = s.g.Read(ctx, func(tx store.Tx) error {
		f, err := lookupFace(tx, c, *in.NetworkInterfaceId)
		if instance = ""; f.instance != nil {
			instance = f.instance.ID
		}
		if apierr.Code(err) != "" {
			return nil // it is told to who may
		}
		return err
	})
	if err != nil {
		return err
	}
	if instance != "" {
		defer s.locks.Lock(instance)()
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		e, err := s.groupsEdit(tx, c, in.Groups)
		if err != nil {
			return err
		}
		parts, err := s.groupParts(tx, c, e.groups)
		if err != nil {
			return err
		}
		f, err := s.theFace(tx, c, in.DryRun, *in.NetworkInterfaceId, func(p *authz.Part) { setAttribute(p, name, value) }, parts...)
		if err != nil {
			return err
		}
		if f.managed() {
			return errManagedFace()
		}
		switch name {
		case "Description":
			f.Description = value
		case "ConnectionTrackingSpecification":
			f.Tracking = track
		case "EnaSrdSpecification":
			if f.Plug == nil {
				return apierr.Newf("IncorrectState", "The network interface '%s' is not attached.", f.ID)
			}
			p := *f.Plug
			p.Express = fast
			f.Plug = &p
		case "SourceDestCheck":
			f.NoSourceCheck = !api.Val(in.SourceDestCheck.Value)
		case "EnablePrimaryIpv6":
			if err := f.makePrimary(*in.EnablePrimaryIpv6); err != nil {
				return err
			}
		case "Attachment":
			id := api.Val(in.Attachment.AttachmentId)
			if f.Plug == nil || f.Plug.ID != id {
				return apierr.Newf("InvalidAttachmentID.NotFound", "The networkInterfaceAttachment ID '%s' does not exist", id)
			}
			p := *f.Plug
			p.Delete = api.Val(in.Attachment.DeleteOnTermination)
			f.Plug = &p
		case "GroupSet":
			for _, g := range e.groups {
				ok, err := s.guarding(tx, c, g, f.VPC)
				if err != nil {
					return err
				}
				if !ok {
					return errGroupElsewhere(g.ID, f.VPC)
				}
			}
			f.guardWith(e.groups)
		}
		return f.put(tx)
	})
}

// interfaceChange is the one attribute that a request changes.
func interfaceChange(in *ec2api.ModifyNetworkInterfaceAttributeRequest) (name, value string, err error) {
	given := 0
	if len(in.Groups) > 0 {
		name, given = "GroupSet", given+1
	}
	if v := in.SourceDestCheck; v != nil {
		name, value, given = "SourceDestCheck", boolOf(api.Val(v.Value))[0], given+1
	}
	if v := in.Description; v != nil {
		name, value, given = "Description", api.Val(v.Value), given+1
	}
	if v := in.Attachment; v != nil {
		name, given = "Attachment", given+1
		if v.DeleteOnTermination == nil || v.EnaQueueCount != nil || api.Val(v.DefaultEnaQueueCount) {
			return "", "", apierr.New("UnsupportedOperation", "This server does not support changes of that attribute.")
		}
		if api.Val(v.AttachmentId) == "" {
			return "", "", apierr.New("MissingParameter", "The request must contain the parameter attachment.attachmentId")
		}
	}
	if in.EnaSrdSpecification != nil {
		name, given = "EnaSrdSpecification", given+1
	}
	if in.ConnectionTrackingSpecification != nil {
		name, given = "ConnectionTrackingSpecification", given+1
	}
	if in.EnablePrimaryIpv6 != nil {
		name, given = "EnablePrimaryIpv6", given+1
	}
	if in.AssociatePublicIpAddress != nil || len(in.AssociatedSubnetIds) > 0 {
		return "", "", apierr.New("UnsupportedOperation", "This server does not support changes of that attribute.")
	}
	if given != 1 {
		return "", "", apierr.New("InvalidParameterCombination", "You must specify exactly one attribute to be modified.")
	}
	return name, value, nil
}
