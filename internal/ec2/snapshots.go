package ec2

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A snapshotRecord is a snapshot. Those of the catalogue's images are not stored.
type snapshotRecord struct {
	ID          string    `json:"id"`
	Owner       string    `json:"owner"`
	OwnerAlias  string    `json:"ownerAlias,omitempty"` // "amazon" or ""
	Region      string    `json:"region"`
	VolumeID    string    `json:"volumeId"`
	Description string    `json:"description,omitempty"`
	SizeGiB     int64     `json:"sizeGiB"`
	Encrypted   bool      `json:"encrypted,omitempty"`
	KeyARN      string    `json:"keyArn,omitempty"`
	ContextID   string    `json:"contextId,omitempty"` // aws:ebs:id under which the data key is wrapped
	DataKeyID   string    `json:"dataKeyId,omitempty"`
	WrappedKey  []byte    `json:"wrappedKey,omitempty"`
	Public      bool      `json:"public,omitempty"`
	SharedWith  []string  `json:"sharedWith,omitempty"` // accounts that may make volumes of it
	Created     time.Time `json:"created"`
	State       string    `json:"state"` // pending, completed, error
	Message     string    `json:"message,omitempty"`
	// Catalogue marks the root disk of a public image.
	Catalogue bool `json:"-"`
}

// snapshotTable holds the snapshots of all accounts: sharing finds them by their id alone.
var snapshotTable = store.Table[snapshotRecord]{Bucket: "ec2/snapshot", Version: 1} // region, id

// snapshotOf is the root snapshot of an image of the catalogue.
func snapshotOf(e image.Entry, region string) snapshotRecord {
	return snapshotRecord{
		ID: e.SnapshotID, Owner: e.OwnerID, OwnerAlias: e.Owner, Region: region, VolumeID: "vol-ffffffff",
		Description: "Root disk of " + e.Name, SizeGiB: e.SizeGiB, Public: true, Created: e.CreationDate,
		State: "completed", Catalogue: true,
	}
}

// usable reports whether an account may see a snapshot and make volumes of it.
func (r *snapshotRecord) usable(account string) bool {
	if r.Public || r.Owner == account {
		return true
	}
	for _, a := range r.SharedWith {
		if a == account {
			return true
		}
	}
	return false
}

// lookupSnapshot finds a snapshot that the caller may use.
func (s *Service) lookupSnapshot(tx store.Tx, c *guard.Call, id string) (snapshotRecord, error) {
	if rest, ok := strings.CutPrefix(id, "snap-"); !ok || !isHex(rest) {
		return snapshotRecord{}, apierr.Newf("InvalidSnapshotID.Malformed", "Invalid id: \"%s\" (expecting \"snap-...\")", id)
	}
	if e, ok := image.Find(id); ok {
		return snapshotOf(e, c.Region), nil
	}
	rec, ok, err := snapshotTable.Get(tx, c.Region, id)
	if err != nil {
		return snapshotRecord{}, err
	}
	if !ok || !rec.usable(c.Account()) {
		return snapshotRecord{}, apierr.Newf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	return rec, nil
}

// snapshotContent opens the content of a snapshot of the catalogue. The caller has no need to
// close it.
func (s *Service) snapshotContent(rec snapshotRecord) (blockdev.Source, error) {
	if !rec.Catalogue {
		return nil, fmt.Errorf("ec2: content of snapshot %s: %w", rec.ID, fs.ErrNotExist)
	}
	return image.Open(rec.ID)
}
