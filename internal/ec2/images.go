package ec2

import (
	"cmp"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// An imageRecord is a machine image. Those of the catalogue are not stored.
type imageRecord struct {
	ID           string        `json:"id"`
	Region       string        `json:"region"`
	Owner        string        `json:"owner"`
	OwnerAlias   string        `json:"ownerAlias,omitempty"` // "amazon" or ""
	Name         string        `json:"name"`
	Description  string        `json:"description,omitempty"`
	Architecture string        `json:"architecture"`
	RootDevice   string        `json:"rootDevice"`
	Public       bool          `json:"public,omitempty"`
	State        string        `json:"state"` // available, ...
	Created      time.Time     `json:"created"`
	Deprecated   time.Time     `json:"deprecated,omitzero"` // from when on it counts as deprecated
	Devices      []imageDevice `json:"devices"`
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
// two years after they were made. Source: EC2 User Guide, "Deprecate an Amazon EC2 AMI".
func imageOf(e image.Entry, region string) imageRecord {
	r := imageRecord{
		ID: e.ID, Region: region, Owner: e.OwnerID, OwnerAlias: e.Owner, Name: e.Name, Description: e.Description,
		Architecture: e.Architecture, RootDevice: e.RootDevice, Public: true, State: "available", Created: e.CreationDate,
		Devices: []imageDevice{{
			Name: e.RootDevice, SnapshotID: e.SnapshotID, SizeGiB: e.SizeGiB, VolumeType: e.VolumeType, DeleteOnTermination: true,
		}},
	}
	if r.Devices[0].VolumeType == "gp3" {
		r.Devices[0].Iops, r.Devices[0].Throughput = 3000, 125
	}
	if strings.HasPrefix(e.Name, "amzn-ami-hvm-") {
		r.Deprecated = e.CreationDate.AddDate(2, 0, 0)
	}
	return r
}

// lookupImage finds an image that the caller may use.
func (s *Service) lookupImage(_ store.Tx, c *guard.Call, id string) (imageRecord, error) {
	if rest, ok := strings.CutPrefix(id, "ami-"); !ok || !isHex(rest) {
		return imageRecord{}, apierr.Newf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	if e, ok := image.Find(id); ok {
		return imageOf(e, c.Region), nil
	}
	return imageRecord{}, apierr.Newf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

// imageOperations are the handlers of images and snapshots.
func (s *Service) imageOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"DescribeImages":    guard.Handle(s.DescribeImages),
		"DescribeSnapshots": guard.Handle(s.DescribeSnapshots),
	}
}

// images are those that the caller may use.
func (s *Service) images(c *guard.Call) []imageRecord {
	var all []imageRecord
	for _, e := range image.Catalogue() {
		all = append(all, imageOf(e, c.Region))
	}
	return all
}

// apiTime is how EC2 writes the times of images, which are text in its model.
func apiTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// wire is an image as answers carry it.
func (r imageRecord) wire() ec2api.Image {
	out := ec2api.Image{
		ImageId: &r.ID, Name: &r.Name, Description: api.Opt(r.Description), OwnerId: &r.Owner, ImageOwnerAlias: api.Opt(r.OwnerAlias),
		ImageLocation: new(cmp.Or(r.OwnerAlias, r.Owner) + "/" + r.Name), State: &r.State, Public: &r.Public, CreationDate: new(apiTime(r.Created)),
		Architecture: &r.Architecture, ImageType: new("machine"), RootDeviceName: &r.RootDevice, RootDeviceType: new("ebs"),
		VirtualizationType: new("hvm"), Hypervisor: new("xen"), EnaSupport: new(true), SriovNetSupport: new("simple"),
		PlatformDetails: new("Linux/UNIX"), UsageOperation: new("RunInstances"),
	}
	if r.Architecture == image.ARM {
		out.BootMode = new("uefi")
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
