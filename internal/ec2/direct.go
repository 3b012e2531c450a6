package ec2

import (
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A DirectSnapshot is a snapshot as the EBS direct APIs see it.
type DirectSnapshot struct {
	ID, Owner, OwnerAlias, Region, VolumeID, Description, State string
	SizeGiB                                                     int64
	Encrypted                                                   bool
	KeyARN, ContextID, DataKeyID                                string
	WrappedKey                                                  []byte
	Created                                                     time.Time
	// Catalogue marks the root disk of a public image, which has no file.
	Catalogue bool
	// What follows is only of snapshots that StartSnapshot made.
	Direct   bool
	Parent   string        // snapshot that it began as, or ""
	Progress int           // percent, as its writer says
	Timeout  time.Duration // without a write until it fails
	Touched  time.Time     // last write
}

// A direct is what a snapshot made with StartSnapshot has besides.
type direct struct {
	Parent   string        `json:"parent,omitempty"`
	Progress int           `json:"progress,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
	Touched  time.Time     `json:"touched,omitzero"`
}

// Direct is what the EBS direct APIs need of EC2's snapshots. Its methods decide nothing.
type Direct struct{ s *Service }

// Direct gives access to the snapshots for the EBS direct APIs.
func (s *Service) Direct() Direct { return Direct{s} }

// Find is a snapshot that an account may use, with the account's tags of it.
func (d Direct) Find(tx store.Tx, region, account, id string) (snap DirectSnapshot, tags map[string]string, ok bool, err error) {
	r, err := lookupSnapshotIn(tx, region, account, id)
	switch apierr.Code(err) {
	case "InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed", "InvalidParameterValue":
		return snap, nil, false, nil
	}
	if err != nil {
		return snap, nil, false, err
	}
	tags, err = tagsOf(tx, region, account, id)
	return r.direct(), tags, true, err
}

func (r *snapshotRecord) direct() DirectSnapshot {
	d := DirectSnapshot{
		ID: r.ID, Owner: r.Owner, OwnerAlias: r.OwnerAlias, Region: r.Region, VolumeID: r.VolumeID, Description: r.Description, State: r.State,
		SizeGiB: r.SizeGiB, Encrypted: r.Encrypted, KeyARN: r.KeyARN, ContextID: r.ContextID, DataKeyID: r.DataKeyID,
		WrappedKey: r.WrappedKey, Created: r.Created, Catalogue: r.Catalogue,
	}
	if x := r.Direct; x != nil {
		d.Direct, d.Parent, d.Progress, d.Timeout, d.Touched = true, x.Parent, x.Progress, x.Timeout, x.Touched
	}
	return d
}

// Add writes a new snapshot, whose file exists, in the transaction of the call that made it.
func (d Direct) Add(tx store.Tx, c *guard.Call, snap DirectSnapshot, tags map[string]string) error {
	r := snapshotRecord{
		ID: snap.ID, Owner: snap.Owner, Region: snap.Region, VolumeID: sourceOfCopies, Description: snap.Description, SizeGiB: snap.SizeGiB,
		Encrypted: snap.Encrypted, KeyARN: snap.KeyARN, ContextID: snap.ContextID, DataKeyID: snap.DataKeyID, WrappedKey: snap.WrappedKey,
		Created: snap.Created, State: snapshotPending,
		Direct: &direct{Parent: snap.Parent, Timeout: snap.Timeout, Touched: snap.Created},
	}
	var list []tag
	for _, t := range apiTags(tags) {
		list = append(list, tag{Key: *t.Key, Value: *t.Value})
	}
	c.Touch(r.arn(), r.Owner, "AWS::EC2::Snapshot")
	return addSnapshot(tx, snapshotDraft{r, list, d.s.name})
}

// Write notes a write to a pending snapshot of StartSnapshot; progress is -1 if the writer said nothing.
func (d Direct) Write(tx store.Tx, snap DirectSnapshot, progress int, now time.Time) error {
	return d.change(tx, snap, func(r *snapshotRecord) {
		r.Direct.Touched = now
		if progress >= 0 {
			r.Direct.Progress = progress
		}
	})
}

// End ends a pending snapshot of StartSnapshot: it is completed, or in error for the reason given.
func (d Direct) End(tx store.Tx, snap DirectSnapshot, failure string) error {
	return d.change(tx, snap, func(r *snapshotRecord) {
		r.State, r.Message = snapshotCompleted, failure
		if failure != "" {
			r.State = snapshotError
		} else {
			d.s.weigh(r)
		}
		r.Done = d.s.g.Now()
	})
}

func (d Direct) change(tx store.Tx, snap DirectSnapshot, fn func(*snapshotRecord)) error {
	r, ok, err := snapshotTable.own.Get(tx, snap.Region, snap.Owner, snap.ID)
	if err != nil || !ok || r.Direct == nil || r.State != snapshotPending {
		return err
	}
	x := *r.Direct
	r.Direct = &x
	fn(&r)
	return putSnapshot(tx, r)
}

// Pending are the snapshots of StartSnapshot, of all accounts, that are not completed.
func (d Direct) Pending(tx store.Tx) ([]DirectSnapshot, error) {
	var out []DirectSnapshot
	for r, err := range snapshotTable.own.Scan(tx) {
		if err != nil {
			return nil, err
		}
		if r.Value.Direct != nil && r.Value.State == snapshotPending {
			out = append(out, r.Value.direct())
		}
	}
	return out, nil
}

// Defaults are an account's settings for EBS encryption in a region.
func (d Direct) Defaults(tx store.Tx, region, account string) (byDefault bool, key string, err error) {
	x, err := d.s.encryptionDefaults(tx, region, account)
	if x.DefaultKey == "" {
		x.DefaultKey = launch.AWSManagedAlias
	}
	return x.EncryptionByDefault, x.DefaultKey, err
}
