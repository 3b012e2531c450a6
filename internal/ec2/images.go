package ec2

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// States of an image. Source: EC2 API Reference, Image.
const (
	imagePending   = "pending"
	imageAvailable = "available"
	imageFailed    = "failed"
	imageDisabled  = "disabled"
)

// An imageRecord is a machine image. Those of the catalogue are not stored.
type imageRecord struct {
	ID             string    `json:"id"`
	Region         string    `json:"region"`
	Owner          string    `json:"owner"`
	OwnerAlias     string    `json:"ownerAlias,omitempty"` // "amazon" or ""
	Name           string    `json:"name"`
	Description    string    `json:"description,omitempty"`
	Architecture   string    `json:"architecture"`
	RootDevice     string    `json:"rootDevice"`
	Platform       string    `json:"platform"` // PlatformDetails
	Virtualization string    `json:"virtualization"`
	ENA            bool      `json:"ena,omitempty"`
	SRIOV          string    `json:"sriov,omitempty"`
	BootMode       string    `json:"bootMode,omitempty"`
	IMDS           string    `json:"imds,omitempty"` // ImdsSupport
	TPM            string    `json:"tpm,omitempty"`
	UEFI           string    `json:"uefi,omitempty"` // variables, in base64
	SourceInstance string    `json:"sourceInstance,omitempty"`
	SourceImage    string    `json:"sourceImage,omitempty"`
	SourceRegion   string    `json:"sourceRegion,omitempty"` // of SourceImage
	Public         bool      `json:"public,omitempty"`
	SharedWith     []string  `json:"sharedWith,omitempty"`    // accounts that may launch it, sorted
	Organizations  []string  `json:"organizations,omitempty"` // ARNs of organizations and units whose accounts may launch it, sorted
	State          string    `json:"state"`
	Message        string    `json:"message,omitempty"` // of a failed one
	Created        time.Time `json:"created"`
	Deprecated     time.Time `json:"deprecated,omitzero"`  // from when on it counts as deprecated
	Protection     string    `json:"protection,omitempty"` // deregistration protection, "" for none
	ProtectedUntil time.Time `json:"protectedUntil,omitzero"`

	Devices []imageDevice `json:"devices"`
	Stores  []imageStore  `json:"stores,omitempty"`
}

// An imageStore is an instance store volume that an image's mapping names. It is shown; hosts here have none.
type imageStore struct {
	Name    string `json:"name"`    // /dev/sdb
	Virtual string `json:"virtual"` // ephemeral0
}

// imageTable holds the images of all accounts.
var imageTable = newRegistry[imageRecord]("ec2/image")

func (r *imageRecord) ours(account string) bool { return r.Owner == account }

// usableImage reports whether an account may see an image and launch it.
func (s *Service) usableImage(tx store.Tx, r *imageRecord, account string) (bool, error) {
	if r.Public || r.Owner == account || slices.Contains(r.SharedWith, account) {
		return true, nil
	}
	return s.inside(tx, r.Organizations, account)
}

// unshare leaves an image to its owner.
func (r *imageRecord) unshare() { r.Public, r.SharedWith, r.Organizations = false, nil, nil }

// unmark takes deprecation and protection from an image.
func (r *imageRecord) unmark() {
	r.Deprecated, r.Protection, r.ProtectedUntil = time.Time{}, "", time.Time{}
}

func (r *imageRecord) arn() string { return arn.EC2(r.Region, "", "image/"+r.ID) }

func putImage(tx store.Tx, r imageRecord) error {
	return imageTable.put(tx, r.Region, r.Owner, r.ID, r, r.Public || len(r.SharedWith)+len(r.Organizations) > 0)
}

// An imageDevice is a volume that an image's mapping makes.
type imageDevice struct {
	Name                string `json:"name"`                 // /dev/xvda
	SnapshotID          string `json:"snapshotId,omitempty"` // "" for an empty volume
	SizeGiB             int64  `json:"sizeGiB"`
	VolumeType          string `json:"volumeType"`
	Iops                int32  `json:"iops,omitempty"`
	Throughput          int32  `json:"throughput,omitempty"`
	Encrypted           bool   `json:"encrypted,omitempty"`
	DeleteOnTermination bool   `json:"deleteOnTermination,omitempty"`
}

// imageOf is a record of the catalogue. The images of the first Amazon Linux count as deprecated,
// two years after they were made. The others have a date too, as public images do, but a later one,
// so that they stay in lists. Source: EC2 User Guide, "Deprecate an Amazon EC2 AMI".
func imageOf(e image.Entry, region string) imageRecord {
	r := imageRecord{
		ID: e.ID, Region: region, Owner: e.OwnerID, OwnerAlias: e.Owner, Name: e.Name, Description: e.Description,
		Architecture: e.Architecture, RootDevice: e.RootDevice, Public: true, State: imageAvailable, Created: e.CreationDate,
		Platform: platformLinux, Virtualization: "hvm", ENA: true, SRIOV: "simple",
		Devices: []imageDevice{{
			Name: e.RootDevice, SnapshotID: e.SnapshotID, SizeGiB: e.SizeGiB, VolumeType: e.VolumeType, DeleteOnTermination: true,
		}},
	}
	if r.Devices[0].VolumeType == "gp3" {
		r.Devices[0].Iops, r.Devices[0].Throughput = 3000, 125
	}
	switch {
	case e.Architecture == image.ARM:
		r.BootMode = bootUEFI
	case strings.HasPrefix(e.Name, "al2023-ami-") || strings.Contains(e.Name, "ubuntu-noble"):
		r.BootMode = "uefi-preferred" // Source: Amazon Linux 2023 User Guide, "UEFI Secure Boot on AL2023"
	}
	if strings.HasPrefix(e.Name, "al2023-ami-") {
		r.IMDS = imdsV2 // Source: Amazon Linux 2023 User Guide, "Comparing AL2 and AL2023", IMDSv2
	}
	years := maxDeprecation
	if strings.HasPrefix(e.Name, "amzn-ami-hvm-") {
		years = maxPublicDeprecation
	}
	r.Deprecated = e.CreationDate.AddDate(years, 0, 0)
	return r
}

// bootUEFI is the boot mode of images that boot by UEFI only, and that of instances that do.
const bootUEFI = "uefi"

// platformLinux is the only platform here.
const platformLinux = "Linux/UNIX"

// lookupImage finds an image that the caller may use.
func (s *Service) lookupImage(tx store.Tx, c *guard.Call, id string) (imageRecord, error) {
	return s.lookupImageIn(tx, c.Region, c.Account(), id, c.Time)
}

// CheckImage says why an account cannot launch an image. Its errors are EC2's.
func (s *Service) CheckImage(tx store.Tx, region, account, id string, now time.Time) error {
	_, err := s.lookupImageIn(tx, region, account, id, now)
	return err
}

func (s *Service) lookupImageIn(tx store.Tx, region, account, id string, now time.Time) (imageRecord, error) {
	if rest, ok := strings.CutPrefix(id, "ami-"); !ok || !isHex(rest) {
		return imageRecord{}, apierr.Newf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	if e, ok := image.Find(id); ok {
		rec := imageOf(e, region)
		return rec, admitImage(tx, account, &rec, now)
	}
	rec, ok, err := imageTable.find(tx, region, account, id)
	if err == nil && ok {
		ok, err = s.usableImage(tx, &rec, account)
	}
	switch {
	case err != nil:
		return rec, err
	case !ok:
		return rec, errGoneImage(tx, region, account, id, now)
	}
	return rec, admitImage(tx, account, &rec, now)
}

func errNoImage(ids ...string) error {
	if len(ids) > 1 {
		return apierr.Newf("InvalidAMIID.NotFound", "The image ids '[%s]' do not exist", strings.Join(ids, ", "))
	}
	return apierr.Newf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", ids[0])
}

// bootImage finds an image that the caller may use and that is available.
func (s *Service) bootImage(tx store.Tx, c *guard.Call, id string) (imageRecord, error) {
	rec, err := s.lookupImage(tx, c, id)
	if err == nil && rec.State != imageAvailable {
		err = errImageUnavailable(id)
	}
	return rec, err
}

// ownImage finds an image of the caller's for a change that only its owner can make.
func (s *Service) ownImage(tx store.Tx, c *guard.Call, id string) (imageRecord, error) {
	rec, err := s.lookupImage(tx, c, id)
	if err == nil && rec.Owner != c.Account() {
		err = apierr.Newf("AuthFailure", "Not authorized for image:%s", id)
	}
	return rec, err
}

// imageSnapshot is a snapshot of an image: who may launch the image may have its volumes made,
// whether or not the snapshot is shared for itself.
// Source: EC2 User Guide, "Share an AMI with specific AWS accounts".
func (s *Service) imageSnapshot(tx store.Tx, img *imageRecord, id string) (snapshotRecord, error) {
	if e, ok := image.Find(id); ok {
		return snapshotOf(e, img.Region), nil
	}
	rec, ok, err := snapshotTable.own.Get(tx, img.Region, img.Owner, id)
	if err == nil && !ok {
		err = errNoSnapshot(id)
	}
	return rec, err
}

// imageOperations are the handlers of images and snapshots.
func (s *Service) imageOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"DescribeImages":              guard.Handle(s.DescribeImages),
		"CreateImage":                 guard.Handle(s.CreateImage),
		"RegisterImage":               guard.Handle(s.RegisterImage),
		"DeregisterImage":             guard.Handle(s.DeregisterImage),
		"CopyImage":                   guard.Handle(s.CopyImage),
		"ModifyImageAttribute":        guard.HandleVoid(s.ModifyImageAttribute),
		"DescribeImageAttribute":      guard.Handle(s.DescribeImageAttribute),
		"ResetImageAttribute":         guard.HandleVoid(s.ResetImageAttribute),
		"CancelImageLaunchPermission": guard.Handle(s.CancelImageLaunchPermission),
		"DescribeSnapshots":           guard.Handle(s.DescribeSnapshots),
		"CreateSnapshot":              guard.Handle(s.CreateSnapshot),
		"CreateSnapshots":             guard.Handle(s.CreateSnapshots),
		"CopySnapshot":                guard.Handle(s.CopySnapshot),
		"DeleteSnapshot":              guard.HandleVoid(s.DeleteSnapshot),

		"LockSnapshot":                  guard.Handle(s.LockSnapshot),
		"UnlockSnapshot":                guard.Handle(s.UnlockSnapshot),
		"DescribeLockedSnapshots":       guard.Handle(s.DescribeLockedSnapshots),
		"ListSnapshotsInRecycleBin":     guard.Handle(s.ListSnapshotsInRecycleBin),
		"RestoreSnapshotFromRecycleBin": guard.Handle(s.RestoreSnapshotFromRecycleBin),
		"ListImagesInRecycleBin":        guard.Handle(s.ListImagesInRecycleBin),
		"RestoreImageFromRecycleBin":    guard.Handle(s.RestoreImageFromRecycleBin),
		"DescribeSnapshotTierStatus":    guard.Handle(s.DescribeSnapshotTierStatus),
		"ModifySnapshotTier":            guard.Handle(s.ModifySnapshotTier),
		"RestoreSnapshotTier":           guard.Handle(s.RestoreSnapshotTier),
		"EnableFastSnapshotRestores":    guard.Handle(s.EnableFastSnapshotRestores),
		"DescribeFastSnapshotRestores":  guard.Handle(s.DescribeFastSnapshotRestores),
		"DisableFastSnapshotRestores":   guard.Handle(s.DisableFastSnapshotRestores),
		"ModifySnapshotAttribute":       guard.HandleVoid(s.ModifySnapshotAttribute),
		"DescribeSnapshotAttribute":     guard.Handle(s.DescribeSnapshotAttribute),
		"ResetSnapshotAttribute":        guard.HandleVoid(s.ResetSnapshotAttribute),
	}
}

// images are those that the caller may use.
func (s *Service) images(tx store.Tx, c *guard.Call) ([]imageRecord, error) {
	var all []imageRecord
	for _, e := range image.Catalogue() {
		all = append(all, imageOf(e, c.Region))
	}
	stored, err := imageTable.list(tx, c.Region, c.Account(), func(r *imageRecord) bool { return r.ours(c.Account()) })
	if err != nil {
		return nil, err
	}
	for _, r := range stored {
		switch may, err := s.usableImage(tx, &r, c.Account()); {
		case err != nil:
			return nil, err
		case may:
			all = append(all, r)
		}
	}
	return all, nil
}

// wire is an image as answers carry it.
func (r imageRecord) wire() ec2api.Image {
	out := ec2api.Image{
		ImageId: &r.ID, Name: &r.Name, Description: api.Opt(r.Description), OwnerId: &r.Owner, ImageOwnerAlias: api.Opt(r.OwnerAlias),
		ImageLocation: new(cmp.Or(r.OwnerAlias, r.Owner) + "/" + r.Name), State: &r.State, Public: &r.Public, CreationDate: new(apiTime(r.Created)),
		Architecture: &r.Architecture, ImageType: new("machine"), RootDeviceName: &r.RootDevice, RootDeviceType: new("ebs"),
		VirtualizationType: &r.Virtualization, Hypervisor: new("xen"), EnaSupport: &r.ENA, SriovNetSupport: api.Opt(r.SRIOV),
		PlatformDetails: &r.Platform, UsageOperation: new("RunInstances"), BootMode: api.Opt(r.BootMode), ImdsSupport: api.Opt(r.IMDS),
		TpmSupport: api.Opt(r.TPM), SourceInstanceId: api.Opt(r.SourceInstance), SourceImageId: api.Opt(r.SourceImage),
		SourceImageRegion: api.Opt(r.SourceRegion), FreeTierEligible: new(r.OwnerAlias != ""),
	}
	if r.Message != "" {
		out.StateReason = &ec2api.StateReason{Code: new("Client.InternalError"), Message: &r.Message}
	}
	if !r.Deprecated.IsZero() {
		out.DeprecationTime = new(apiTime(r.Deprecated))
	}
	for _, d := range r.Devices {
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, ec2api.BlockDeviceMapping{
			DeviceName: new(d.Name),
			Ebs: &ec2api.EbsBlockDevice{
				SnapshotId: api.Opt(d.SnapshotID), VolumeSize: new(int32(d.SizeGiB)), VolumeType: new(d.VolumeType), Iops: api.Opt(d.Iops),
				Throughput: api.Opt(d.Throughput), Encrypted: new(d.Encrypted), DeleteOnTermination: new(d.DeleteOnTermination),
			},
		})
	}
	for _, d := range r.Stores {
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, ec2api.BlockDeviceMapping{DeviceName: &d.Name, VirtualName: &d.Virtual})
	}
	return out
}

// describe puts an image's condition keys into a part.
func (r *imageRecord) describe(p *authz.Part) {
	owned(p, r.Owner, r.OwnerAlias)
	p.Context.Set("ec2:imageid", r.ID)
	p.Context.Set("ec2:imagetype", "machine")
	p.Context.SetBool("ec2:public", r.Public)
	p.Context.Set("ec2:rootdevicetype", "ebs")
}
