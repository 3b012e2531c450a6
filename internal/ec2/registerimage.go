package ec2

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// RegisterImage makes an image of snapshots of the caller's. Nothing is copied and KMS is not asked:
// what a device is encrypted under is a matter of its snapshot.
// Source: EC2 API Reference, RegisterImage.
func (s *Service) RegisterImage(ctx context.Context, c *guard.Call, in *ec2api.RegisterImageRequest) (*ec2api.RegisterImageResult, error) {
	tags, err := tagSpecs(c, in.TagSpecifications, "image")
	if err != nil {
		return nil, err
	}
	if err := registrable(in); err != nil {
		return nil, err
	}
	var out *ec2api.RegisterImageResult
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		have, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		img, refusal := s.registered(tx, c, in)
		parts := []authz.Part{s.newImagePart(c, "ec2:RegisterImage", tags["image"])}
		for _, d := range img.Devices {
			if d.SnapshotID == "" {
				continue
			}
			snap, err := s.lookupSnapshot(tx, c, d.SnapshotID)
			if err != nil {
				return err
			}
			parts = append(parts, s.snapshotPart(c, "ec2:RegisterImage", &snap, have[snap.ID]))
		}
		if len(tags) > 0 {
			parts = append(parts, s.createTagsPart(c, "image/*", tags["image"], "RegisterImage"))
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if refusal != nil {
			return refusal
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		out = &ec2api.RegisterImageResult{ImageId: &img.ID}
		c.Respond(out)
		return s.addNamed(tx, c, img, tags["image"])
	})
	return out, err
}

// registrable refuses what can be said of a request alone. Images that S3 holds are not among what
// this server has. Source of the rule about TPM: EC2 User Guide, "Requirements for using NitroTPM".
func registrable(in *ec2api.RegisterImageRequest) error {
	if err := checkName(in.Name); err != nil {
		return err
	}
	v := cmp.Or(api.Val(in.VirtualizationType), "paravirtual") // Source: as above, VirtualizationType.
	a := cmp.Or(api.Val(in.Architecture), "i386")
	switch {
	case api.Val(in.ImageLocation) != "":
		return apierr.New("UnsupportedOperation", "This server has no images in Amazon S3.")
	case len(in.BillingProducts) > 0:
		return apierr.New("UnsupportedOperation", "This server does not support billing products.")
	case v != "hvm" && v != "paravirtual":
		return invalidValue("Value (%s) for parameter virtualizationType is invalid.", v)
	case !slices.Contains([]string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}, a):
		return invalidValue("Value (%s) for parameter architecture is invalid.", a)
	case api.Val(in.TpmSupport) != "" && !strings.HasPrefix(api.Val(in.BootMode), "uefi"):
		return apierr.New("InvalidParameterCombination", "TpmSupport needs the boot mode uefi or uefi-preferred.")
	case len(in.BlockDeviceMappings) == 0:
		return apierr.New("MissingParameter", "The request must contain the parameter BlockDeviceMapping")
	case api.Val(in.KernelId) != "" || api.Val(in.RamdiskId) != "":
		return apierr.New("UnsupportedOperation", "This server does not support kernels and RAM disks.")
	case api.Val(in.UefiData) != "" && !strings.HasPrefix(api.Val(in.BootMode), "uefi"):
		return apierr.New("InvalidParameterCombination", "UefiData needs the boot mode uefi or uefi-preferred.")
	}
	if raw, err := base64.StdEncoding.DecodeString(api.Val(in.UefiData)); err != nil || len(raw) > maxUefiData {
		return invalidValue("The parameter uefiData is invalid. It is base64-encoded, of up to %d bytes.", maxUefiData)
	}
	return nil
}

// maxUefiData is the most that the variables of UEFI take. Source: EC2 User Guide, "UEFI variables for Amazon EC2 instances".
const maxUefiData = 64 << 10

// registered is the image that a request describes. If the request is refused the image has the
// devices that could be read, for the decision that comes first.
func (s *Service) registered(tx store.Tx, c *guard.Call, in *ec2api.RegisterImageRequest) (imageRecord, error) {
	img := imageRecord{
		ID: randomID("ami"), Region: c.Region, Owner: c.Account(), Name: api.Val(in.Name), Description: api.Val(in.Description),
		Architecture: cmp.Or(api.Val(in.Architecture), "i386"), RootDevice: api.Val(in.RootDeviceName), Platform: platformLinux,
		Virtualization: cmp.Or(api.Val(in.VirtualizationType), "paravirtual"), ENA: api.Val(in.EnaSupport), SRIOV: api.Val(in.SriovNetSupport),
		BootMode: api.Val(in.BootMode), IMDS: api.Val(in.ImdsSupport), TPM: api.Val(in.TpmSupport), UEFI: api.Val(in.UefiData), State: imageAvailable, Created: s.g.Now(),
	}
	for _, m := range in.BlockDeviceMappings {
		if m.NoDevice != nil {
			continue
		}
		d, err := s.mappedDevice(tx, c, &m)
		if err != nil {
			return img, err
		}
		if d == nil {
			continue
		}
		if slices.ContainsFunc(img.Devices, func(o imageDevice) bool { return o.Name == d.Name }) {
			return img, apierr.Newf("InvalidBlockDeviceMapping", "The device '%s' is used in more than one block-device mapping", d.Name)
		}
		img.Devices = append(img.Devices, *d)
	}
	img.Stores = storesOf(in.BlockDeviceMappings)
	if img.RootDevice == "" && len(img.Devices) > 0 {
		img.RootDevice = img.Devices[0].Name
	}
	root := slices.IndexFunc(img.Devices, func(d imageDevice) bool { return d.Name == img.RootDevice })
	if root < 0 || img.Devices[root].SnapshotID == "" {
		return img, apierr.Newf("InvalidBlockDeviceMapping", "The root device %s needs a mapping with a snapshot.", img.RootDevice)
	}
	if kind := img.Devices[root].VolumeType; kind == "st1" || kind == "sc1" {
		return img, errBootVolume(kind)
	}
	return img, nil
}

// storesOf are the instance store volumes that mappings name.
func storesOf(mappings []ec2api.BlockDeviceMapping) (out []imageStore) {
	for _, m := range mappings {
		if m.Ebs == nil && m.NoDevice == nil && api.Val(m.VirtualName) != "" {
			out = append(out, imageStore{api.Val(m.DeviceName), *m.VirtualName})
		}
	}
	return out
}

// mappedDevice is the device of an image that a mapping describes; nil for one that makes no volume.
// Only an empty device says by itself that it is encrypted: for others the snapshot does.
// Source: EC2 API Reference, EbsBlockDevice, Encrypted and KmsKeyId.
func (s *Service) mappedDevice(tx store.Tx, c *guard.Call, m *ec2api.BlockDeviceMapping) (*imageDevice, error) {
	e, name := m.Ebs, api.Val(m.DeviceName)
	switch {
	case name == "":
		return nil, apierr.New("MissingParameter", "The request must contain the parameter deviceName")
	case e == nil && strings.HasPrefix(api.Val(m.VirtualName), "ephemeral"):
		return nil, nil
	case e == nil:
		return nil, apierr.Newf("InvalidBlockDeviceMapping", "The device %s has neither an EBS volume nor a virtual name", name)
	}
	if err := imageMember(e); err != nil {
		return nil, err
	}
	d := &imageDevice{Name: name, SnapshotID: api.Val(e.SnapshotId), DeleteOnTermination: true}
	if e.DeleteOnTermination != nil {
		d.DeleteOnTermination = *e.DeleteOnTermination
	}
	p := performance{Type: cmp.Or(api.Val(e.VolumeType), defaultVolumeType)}
	p.override(e)
	switch {
	case api.Val(e.KmsKeyId) != "":
		return nil, apierr.Newf("InvalidParameterCombination", "The parameter KmsKeyId cannot be specified for the device %s of an image.", name)
	case d.SnapshotID == "":
		d.Encrypted = api.Val(e.Encrypted)
		return d, d.register(p)
	case e.Encrypted != nil:
		return nil, apierr.Newf("InvalidBlockDeviceMapping", "the encrypted flag cannot be specified since device %s has a snapshot specified.", name)
	}
	snap, err := s.ownSnapshot(tx, c, d.SnapshotID)
	if err != nil {
		return nil, err
	}
	if err := s.ready(&snap); err != nil {
		return nil, err
	}
	d.Encrypted = snap.Encrypted
	if p.SizeGiB == 0 {
		p.SizeGiB = snap.SizeGiB
	}
	if p.SizeGiB < snap.SizeGiB {
		return nil, apierr.Newf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB",
			p.SizeGiB, snap.ID, snap.SizeGiB)
	}
	return d, d.register(p)
}

// register fixes type, size and performance of the volumes that the device is to make.
func (d *imageDevice) register(p performance) error {
	iops, throughput, err := p.settleMapped()
	d.perform(p.Type, p.SizeGiB, iops, throughput)
	return err
}

// DeregisterImage removes an image. Instances that were launched from it, and its snapshots, stay;
// if asked it deletes those that no other image uses.
// Source: EC2 API Reference, DeregisterImage.
func (s *Service) DeregisterImage(ctx context.Context, c *guard.Call, in *ec2api.DeregisterImageRequest) (*ec2api.DeregisterImageResult, error) {
	out := &ec2api.DeregisterImageResult{Return: new(true)}
	var img imageRecord
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		if img, err = s.changeImage(tx, c, api.Val(in.ImageId), in.DryRun, "", ""); err != nil {
			return err
		}
		if err := img.deregistrable(c.Time); err != nil {
			return err
		}
		if err := imageTable.remove(tx, img.Region, img.Owner, img.ID); err != nil {
			return err
		}
		if err := rememberGone(tx, &img, c.Time); err != nil {
			return err
		}
		c.Respond(out)
		return dropTags(tx, img.Region, img.Owner, img.ID)
	})
	if err != nil {
		return nil, err
	}
	if !api.Val(in.DeleteAssociatedSnapshots) {
		return out, nil
	}
	for _, d := range img.Devices {
		if d.SnapshotID == "" {
			continue
		}
		code, err := s.deleteUnused(ctx, c, d.SnapshotID)
		if err != nil {
			s.log.Error("a snapshot of a deregistered image stays", "snapshot", d.SnapshotID, "error", err)
		}
		out.DeleteSnapshotResults = append(out.DeleteSnapshotResults, ec2api.DeleteSnapshotReturnCode{SnapshotId: new(d.SnapshotID), ReturnCode: &code})
	}
	return out, nil
}

// deleteUnused deletes a snapshot of an image that is gone, if nothing else uses it and the caller
// may: a transaction of its own for each, as each is its own success or failure.
// Source: EC2 API Reference, DeleteSnapshotReturnCode.
func (s *Service) deleteUnused(ctx context.Context, c *guard.Call, id string) (code string, err error) {
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		code = "success"
		snap, err := s.ownSnapshot(tx, c, id)
		if err != nil {
			return err
		}
		user, err := imageUsing(tx, &snap)
		if err != nil || user != "" {
			code = "skipped"
			return err
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), id)
		if err != nil {
			return err
		}
		if _, err := s.g.Allow(tx, c, s.snapshotPart(c, "ec2:DeleteSnapshot", &snap, tags)); err != nil {
			return err
		}
		return s.forgetSnapshot(tx, &snap)
	})
	_, refused := guard.Denied(err)
	switch {
	case refused:
		return "missing-permissions", nil
	case err != nil:
		return "internal-error", err
	case code == "success":
		s.discard(id)
	}
	return code, nil
}

// imageUsing is an image that uses a snapshot, or "".
func imageUsing(tx store.Tx, snap *snapshotRecord) (string, error) {
	for r, err := range imageTable.own.Scan(tx, snap.Region, snap.Owner) {
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(r.Value.Devices, func(d imageDevice) bool { return d.SnapshotID == snap.ID }) {
			return r.Value.ID, nil
		}
	}
	return "", nil
}

// settleImage makes a pending image available when all its snapshots are completed, and failed when
// one of them is in error. "" is no image.
func (s *Service) settleImage(tx store.Tx, region, owner, id string) error {
	if id == "" {
		return nil
	}
	img, ok, err := imageTable.own.Get(tx, region, owner, id)
	if err != nil || !ok || img.State != imagePending {
		return err
	}
	img.State = imageAvailable
	for _, d := range img.Devices {
		if d.SnapshotID == "" {
			continue
		}
		snap, ok, err := snapshotTable.own.Get(tx, region, owner, d.SnapshotID)
		if err != nil {
			return err
		}
		switch {
		case !ok || snap.State == snapshotError:
			img.State, img.Message = imageFailed, "Client.InternalError: "+cmp.Or(snap.Message, "Snapshot "+d.SnapshotID+" does not exist")
			return putImage(tx, img)
		case snap.State == snapshotPending:
			return nil
		}
	}
	return putImage(tx, img)
}
