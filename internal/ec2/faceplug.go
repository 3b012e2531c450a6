package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// AttachNetworkInterface attaches a network interface to an instance, besides its first.
// Source: EC2 API Reference, AttachNetworkInterface.
func (s *Service) AttachNetworkInterface(ctx context.Context, c *guard.Call, in *ec2api.AttachNetworkInterfaceRequest) (*ec2api.AttachNetworkInterfaceResult, error) {
	fast, err := expressOf(in.EnaSrdSpecification)
	if err == nil {
		err = checkQueues(in.EnaQueueCount)
	}
	if err != nil {
		return nil, err
	}
	defer s.locks.Lock(*in.InstanceId)()
	card := api.Val(in.NetworkCardIndex)
	out := &ec2api.AttachNetworkInterfaceResult{AttachmentId: new(randomID("eni-attach")), NetworkCardIndex: &card}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		found, err := s.lookupInstances(tx, c, []string{*in.InstanceId})
		if err != nil && apierr.Code(err) == "" {
			return err
		}
		missing, tags := err, map[string]string(nil)
		part := s.part(c, "ec2:AttachNetworkInterface", "instance/"+*in.InstanceId, nil)
		if missing == nil {
			if tags, err = tagsOf(tx, c.Region, c.Account(), *in.InstanceId); err != nil {
				return err
			}
			part = s.instancePart(c, "ec2:AttachNetworkInterface", &found[0], tags)
		}
		f, err := s.theFace(tx, c, in.DryRun, *in.NetworkInterfaceId, nil, part)
		if err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		i := found[0]
		if err := i.takes(&f, card, *in.DeviceIndex); err != nil {
			return err
		}
		if err := f.suits(i.Type); err != nil {
			return err
		}
		f.Plug = &facePlug{ID: *out.AttachmentId, Instance: i.ID, Index: *in.DeviceIndex, At: s.g.Now(), Card: card, Express: fast}
		i.Faces = append(slices.Clone(i.Faces), f.faceRecord)
		if err := faceTable.Delete(tx, f.key()...); err != nil {
			return err
		}
		return putInstance(tx, i)
	})
}

// takes tells why a network interface cannot be attached to an instance at a place, if so.
func (i *instanceRecord) takes(f *heldFace, card, index int32) error {
	kind, ok := instancetype.Lookup(i.Type)
	switch faces := i.faces(); {
	case f.status() != "available":
		return errFaceInUse(f.ID)
	case i.State != running && i.State != stopped:
		return apierr.Newf("IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", i.ID)
	case f.Zone != i.Zone:
		return apierr.New("InvalidParameterCombination", "You may not attach a network interface to an instance if they are not in the same availability zone")
	case slices.ContainsFunc(faces, func(o faceRecord) bool { return o.Plug.Card == card && o.Plug.Index == index }):
		return invalidValue("Instance '%s' already has an interface attached at device index '%d'.", i.ID, index)
	case ok && len(faces) >= int(kind.ENIs):
		return apierr.Newf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(faces)+1, i.Type)
	case index < 0 || ok && index >= kind.ENIs:
		return invalidValue("Value (%d) for parameter deviceIndex is invalid.", index)
	case f.Fabric && i.State != stopped:
		return errFabricStays(i.ID)
	case f.Fabric:
		if err := checkFabrics(i.Type, i.fabrics()+1); err != nil {
			return err
		}
	}
	return checkCard(i.Type, card, index)
}

// errFabricStays is the error about attaching an Elastic Fabric Adapter to an instance that is not stopped, or detaching it.
// Source: EC2 User Guide, "Attach or detach an Elastic Fabric Adapter".
func errFabricStays(id string) error {
	return apierr.Newf("IncorrectState", "Instance '%s' is not 'stopped': Elastic Fabric Adapters are attached and detached then.", id)
}

// fabrics counts the Elastic Fabric Adapters of an instance.
func (i *instanceRecord) fabrics() (n int32) {
	for _, f := range i.faces() {
		if f.Fabric {
			n++
		}
	}
	return n
}

// plugged finds the network interface with an attachment.
func plugged(tx store.Tx, c *guard.Call, id string) (heldFace, error) {
	all, err := allFaces(tx, c.Region, c.Account())
	for _, f := range all {
		if f.Plug != nil && f.Plug.ID == id {
			return f, nil
		}
	}
	if err == nil {
		err = apierr.Newf("InvalidAttachmentID.NotFound", "The networkInterfaceAttachment ID '%s' does not exist", id)
	}
	return heldFace{}, err
}

// DetachNetworkInterface takes a network interface from an instance; the first one stays.
// Source: EC2 API Reference, DetachNetworkInterface.
func (s *Service) DetachNetworkInterface(ctx context.Context, c *guard.Call, in *ec2api.DetachNetworkInterfaceRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		f, missing := plugged(tx, c, *in.AttachmentId)
		if missing != nil && apierr.Code(missing) == "" {
			return missing
		}
		var parts []authz.Part
		if missing == nil {
			p, err := s.facePart(tx, c, f.ID, &f, nil)
			if err != nil {
				return err
			}
			tags, err := tagsOf(tx, c.Region, c.Account(), f.instance.ID)
			if err != nil {
				return err
			}
			parts = []authz.Part{p, s.instancePart(c, "ec2:DetachNetworkInterface", f.instance, tags)}
		} else {
			parts = []authz.Part{s.part(c, "ec2:DetachNetworkInterface", "network-interface/*", nil), s.part(c, "ec2:DetachNetworkInterface", "instance/*", nil)}
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(*in.AttachmentId, "ela-attach-"):
			return apierr.New("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
		case missing != nil:
			return missing
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if f.Plug.Index == 0 {
			return apierr.New("OperationNotPermitted", "The network interface at device index 0 and networkCard index 0 cannot be detached.")
		}
		if f.Fabric && f.instance.State != stopped {
			return errFabricStays(f.instance.ID)
		}
		f.instance.Faces = slices.DeleteFunc(slices.Clone(f.instance.Faces), func(o faceRecord) bool { return o.ID == f.ID })
		if err := putInstance(tx, *f.instance); err != nil {
			return err
		}
		f.Plug, f.SixPrimary = nil, false
		return faceTable.Put(tx, f.faceRecord, f.key()...)
	})
}
