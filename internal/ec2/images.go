package ec2

import (
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
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

// imageOf is a record of the catalogue.
func imageOf(e image.Entry, region string) imageRecord {
	return imageRecord{
		ID: e.ID, Region: region, Owner: e.OwnerID, OwnerAlias: e.Owner, Name: e.Name, Description: e.Description,
		Architecture: e.Architecture, RootDevice: e.RootDevice, Public: true, State: "available", Created: e.CreationDate,
		Devices: []imageDevice{{
			Name: e.RootDevice, SnapshotID: e.SnapshotID, SizeGiB: e.SizeGiB, VolumeType: e.VolumeType, DeleteOnTermination: true,
		}},
	}
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
func (s *Service) imageOperations() map[string]guard.Handler { return map[string]guard.Handler{} }
