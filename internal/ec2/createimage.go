package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// CreateImage makes an image of an instance: a snapshot of each of its volumes. What is encrypted
// stays encrypted. Without NoReboot the machine of a running instance is shut down before they are taken. The image is
// available when its snapshots are completed. Source: EC2 API Reference, CreateImage.
func (s *Service) CreateImage(ctx context.Context, c *guard.Call, in *ec2api.CreateImageRequest) (*ec2api.CreateImageResult, error) {
	if err := regional(in.SnapshotLocation, nil); err != nil {
		return nil, err
	}
	tags, err := tagSpecs(c, in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	defer s.locks.Lock(api.Val(in.InstanceId))() // no volume comes or goes meanwhile
	var (
		img    imageRecord
		drafts []snapshotDraft
	)
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		img, drafts, err = s.draftImage(tx, c, in, tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ec2api.CreateImageResult{ImageId: &img.ID}
	put := func(tx store.Tx) error {
		c.Respond(out)
		return s.addNamed(tx, c, img, tags["image"])
	}
	take := func() error { return s.takeSnapshots(ctx, c, drafts, put) }
	if api.Val(in.NoReboot) {
		err = take()
	} else {
		err = s.atRest(ctx, c, img.SourceInstance, take)
	}
	return out, err
}

// atRest does something while the machine of an instance is shut down, and has it boot again whatever came of it. The
// instance is in the state running all the time and keeps its host and its addresses. It is locked.
// Source: EC2 API Reference, CreateImage, NoReboot.
func (s *Service) atRest(ctx context.Context, c *guard.Call, id string, do func() error) error {
	var i instanceRecord
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		i, _, err = instanceTable.Get(tx, c.Region, c.Account(), id)
		return err
	})
	if err != nil {
		return err
	}
	if i.State == running {
		defer s.bootAgain(s.running, &i) // even if the caller does not wait
		if err := s.rack(i.Host).Halt(ctx, id, false); err != nil {
			return err
		}
	}
	return do()
}

// addNamed is addImage of one whose name no other image of the account may have; copies may have that of their source.
func (s *Service) addNamed(tx store.Tx, c *guard.Call, img imageRecord, tags []tag) error {
	if err := nameFree(tx, c, img.Name); err != nil {
		return err
	}
	return s.addImage(tx, c, img, tags)
}

// addImage writes a new image with its tags.
func (s *Service) addImage(tx store.Tx, c *guard.Call, img imageRecord, tags []tag) error {
	if err := imageTable.add(tx, img.Region, img.Owner, img.ID, img); err != nil {
		return err
	}
	c.Touch(img.arn(), img.Owner, "AWS::EC2::Ami")
	return putTags(tx, img.Region, img.Owner, img.ID, tags)
}

func nameFree(tx store.Tx, c *guard.Call, name string) error {
	for r, err := range imageTable.own.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return err
		}
		if r.Value.Name == name {
			return apierr.Newf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, r.Value.ID)
		}
	}
	return nil
}

// checkName checks the name of an image. Source: EC2 API Reference, CreateImage, Name.
func checkName(name *string) error {
	const others = "()[] ./-'@_"
	n := api.Val(name)
	if name == nil || n == "" {
		return apierr.New("MissingParameter", "The request must contain the parameter Name")
	}
	strange := strings.IndexFunc(n, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune(others, r)
	})
	if len(n) < 3 || len(n) > 128 || strange >= 0 {
		return apierr.New("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "+
			"'(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'")
	}
	return nil
}

// draftImage decides CreateImage and describes what it makes.
func (s *Service) draftImage(tx store.Tx, c *guard.Call, in *ec2api.CreateImageRequest, tags map[string][]tag) (img imageRecord, drafts []snapshotDraft, err error) {
	const action = "ec2:CreateImage"
	if err := checkName(in.Name); err != nil {
		return img, nil, err
	}
	found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
	if err != nil {
		return img, nil, err
	}
	i := &found[0]
	own, err := tagsOf(tx, i.Region, i.Account, i.ID)
	if err != nil {
		return img, nil, err
	}
	volumes := make([]volumeRecord, len(i.Devices))
	for n, d := range i.Devices {
		v, ok, err := volumeTable.Get(tx, i.Region, i.Account, d.Volume)
		if err != nil || !ok {
			return img, nil, gone(d.Volume, err)
		}
		volumes[n] = v
	}
	img = s.imageFrom(i, in)
	c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	parts := []authz.Part{s.newImagePart(c, action, tags["image"]), s.instancePart(c, action, i, own)}
	var refusal error
	img.Stores = storesOf(in.BlockDeviceMappings)
	img.Devices, drafts, refusal = s.imageDevices(tx, c, i, volumes, in.BlockDeviceMappings)
	for n := range drafts {
		d := &drafts[n]
		d.record.Image, d.tags = img.ID, tags["snapshot"]
		d.record.Description = "Created by CreateImage(" + i.ID + ") for " + img.ID
		at := slices.IndexFunc(volumes, func(v volumeRecord) bool { return v.ID == d.record.VolumeID })
		parts = append(parts, s.newSnapshotPart(c, action, &volumes[at], d.tags))
	}
	for _, kind := range []string{"image", "snapshot"} {
		if len(tags[kind]) > 0 {
			parts = append(parts, s.createTagsPart(c, kind+"/*", tags[kind], "CreateImage"))
		}
	}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return img, nil, err
	}
	if refusal != nil {
		return img, nil, refusal
	}
	if err := dryRun(in.DryRun); err != nil {
		return img, nil, err
	}
	return img, drafts, nameFree(tx, c, img.Name)
}

// imageFrom is the image that CreateImage makes, without its devices.
func (s *Service) imageFrom(i *instanceRecord, in *ec2api.CreateImageRequest) imageRecord {
	return imageRecord{
		ID: randomID("ami"), Region: i.Region, Owner: i.Account, Name: api.Val(in.Name), Description: api.Val(in.Description),
		Architecture: i.Architecture, RootDevice: i.RootDevice, Platform: i.Platform, Virtualization: "hvm", ENA: true, SRIOV: "simple",
		BootMode:       cmp.Or(i.BootMode, map[bool]string{true: bootUEFI}[i.Architecture == image.ARM]),
		SourceInstance: i.ID, SourceImage: i.Image, SourceRegion: i.Region, State: imagePending, Created: s.g.Now(),
	}
}

// newImagePart is the evaluation of an action on an image to be made.
func (s *Service) newImagePart(c *guard.Call, action string, tags []tag) authz.Part {
	p := s.part(c, action, "image/*", nil)
	p.Context.Set("ec2:owner", c.Account())
	addRequestTags(&p, tags)
	return p
}

// imageDevices are the devices of an image of an instance, with the snapshots to be made for them:
// those of the instance, as the mappings of the request change them, and those that the mappings
// add. Source: EC2 API Reference, CreateImage, BlockDeviceMapping.
func (s *Service) imageDevices(tx store.Tx, c *guard.Call, i *instanceRecord, volumes []volumeRecord, mappings []ec2api.BlockDeviceMapping,
) ([]imageDevice, []snapshotDraft, error) {
	if i.State != running && i.State != stopped || i.Work != "" {
		return nil, nil, apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in a state from which an image can be created.", i.ID)
	}
	var devices []imageDevice
	var drafts []snapshotDraft
	for n, d := range i.Devices {
		v := &volumes[n]
		at := slices.IndexFunc(mappings, func(m ec2api.BlockDeviceMapping) bool { return api.Val(m.DeviceName) == d.Name })
		if at >= 0 && mappings[at].NoDevice != nil {
			if d.Name == i.RootDevice {
				return nil, nil, apierr.Newf("InvalidBlockDeviceMapping", "The root device %s cannot be suppressed", d.Name)
			}
			continue
		}
		if err := s.snapshotable(v); err != nil {
			return nil, nil, err
		}
		draft := s.draftSnapshot(v, "", nil)
		drafts = append(drafts, draft)
		device := imageDevice{Name: d.Name, SnapshotID: draft.record.ID, Encrypted: v.Encrypted, DeleteOnTermination: d.DeleteOnTermination}
		device.perform(v.Type, v.SizeGiB, v.IOPS, v.Throughput)
		if at >= 0 {
			if err := device.change(mappings[at].Ebs); err != nil {
				return nil, nil, err
			}
		}
		devices = append(devices, device)
	}
	for _, m := range mappings {
		if i.deviceNamed(api.Val(m.DeviceName)) || m.NoDevice != nil {
			continue
		}
		device, err := s.mappedDevice(tx, c, &m)
		if err != nil {
			return nil, nil, err
		}
		if device != nil {
			devices = append(devices, *device)
		}
	}
	return devices, drafts, nil
}

func (i *instanceRecord) deviceNamed(name string) bool {
	return slices.ContainsFunc(i.Devices, func(d attachedDevice) bool { return d.Name == name })
}

// change applies a mapping to a device whose content is that of the instance's volume: neither its
// snapshot nor its encryption can be chosen.
func (d *imageDevice) change(e *ec2api.EbsBlockDevice) error {
	if e == nil {
		return nil
	}
	if err := imageMember(e); err != nil {
		return err
	}
	switch {
	case api.Val(e.SnapshotId) != "":
		return apierr.Newf("InvalidBlockDeviceMapping", "A snapshot cannot be specified for the device %s of the instance.", d.Name)
	case e.Encrypted != nil && *e.Encrypted != d.Encrypted, api.Val(e.KmsKeyId) != "":
		return apierr.Newf("InvalidBlockDeviceMapping", "The encryption of the device %s is that of the volume of the instance.", d.Name)
	case e.VolumeSize != nil && int64(*e.VolumeSize) < d.SizeGiB:
		return apierr.Newf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than the volume of the instance, expect size >= %dGB",
			*e.VolumeSize, d.SizeGiB)
	}
	if e.DeleteOnTermination != nil {
		d.DeleteOnTermination = *e.DeleteOnTermination
	}
	p := performance{Type: d.VolumeType, SizeGiB: d.SizeGiB, IOPS: api.Opt(d.Iops), Throughput: api.Opt(d.Throughput)}
	if t := api.Val(e.VolumeType); t != "" && t != p.Type {
		p.Type, p.IOPS, p.Throughput = t, nil, nil
	}
	p.override(e)
	return d.settle(p)
}

// override takes over what a mapping says of a volume's performance.
func (p *performance) override(e *ec2api.EbsBlockDevice) {
	if e.VolumeSize != nil {
		p.SizeGiB = int64(*e.VolumeSize)
	}
	if e.Iops != nil {
		p.IOPS = e.Iops
	}
	if e.Throughput != nil {
		p.Throughput = e.Throughput
	}
}

// settle fixes type, size and performance of the volumes that the device makes.
func (d *imageDevice) settle(p performance) error {
	iops, throughput, err := p.settle()
	d.perform(p.Type, p.SizeGiB, iops, throughput)
	return err
}

func (d *imageDevice) perform(kind string, size int64, iops, throughput int32) {
	if kind == "gp2" {
		iops = 0 // it follows from the size, which a launch can change
	}
	d.VolumeType, d.SizeGiB, d.Iops, d.Throughput = kind, size, iops, throughput
}
