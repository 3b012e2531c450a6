package ec2

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
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
	return r.Public || r.Owner == account || slices.Contains(r.SharedWith, account)
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

// snapshots are those that the caller may use.
func (s *Service) snapshots(tx store.Tx, c *guard.Call) ([]snapshotRecord, error) {
	var all []snapshotRecord
	for _, e := range image.Catalogue() {
		all = append(all, snapshotOf(e, c.Region))
	}
	for rec, err := range snapshotTable.Scan(tx, c.Region) {
		if err != nil {
			return nil, err
		}
		if rec.Value.usable(c.Account()) {
			all = append(all, rec.Value)
		}
	}
	return all, nil
}

// progress is how much of a snapshot is copied. Only the whole of it is known.
func (r *snapshotRecord) progress() string {
	if r.State == "completed" {
		return "100%"
	}
	return "0%"
}

// wire is a snapshot as answers carry it.
func (r snapshotRecord) wire() ec2api.Snapshot {
	return ec2api.Snapshot{
		SnapshotId: &r.ID, OwnerId: &r.Owner, OwnerAlias: api.Opt(r.OwnerAlias), VolumeId: &r.VolumeID, Description: &r.Description,
		VolumeSize: new(int32(r.SizeGiB)), Encrypted: &r.Encrypted, KmsKeyId: api.Opt(r.KeyARN), DataEncryptionKeyId: api.Opt(r.DataKeyID),
		StartTime: &r.Created, State: &r.State, StateMessage: api.Opt(r.Message), Progress: new(r.progress()), StorageTier: new("standard"),
	}
}

var snapshotFields = fields[snapshotRecord]{
	"snapshot-id":   func(r snapshotRecord) []string { return oneOf(r.ID) },
	"owner-id":      func(r snapshotRecord) []string { return oneOf(r.Owner) },
	"owner-alias":   func(r snapshotRecord) []string { return oneOf(r.OwnerAlias) },
	"volume-id":     func(r snapshotRecord) []string { return oneOf(r.VolumeID) },
	"volume-size":   func(r snapshotRecord) []string { return intOf(r.SizeGiB) },
	"description":   func(r snapshotRecord) []string { return oneOf(r.Description) },
	"status":        func(r snapshotRecord) []string { return oneOf(r.State) },
	"progress":      func(r snapshotRecord) []string { return oneOf(r.progress()) },
	"encrypted":     func(r snapshotRecord) []string { return boolOf(r.Encrypted) },
	"start-time":    func(r snapshotRecord) []string { return oneOf(apiTime(r.Created)) },
	"storage-tier":  fixed[snapshotRecord]("standard"),
	"transfer-type": fixed[snapshotRecord](),
}

// restorable reports whether one of the users may make volumes of a snapshot: everybody ("all"),
// an account, or self. Source: EC2 API Reference, "DescribeSnapshots", RestorableBy.
func (r *snapshotRecord) restorable(users []string, self string) bool {
	return len(users) == 0 || slices.ContainsFunc(users, func(u string) bool {
		if u == "self" {
			u = self
		}
		return u == "all" && r.Public || u == r.Owner || slices.Contains(r.SharedWith, u)
	})
}

// DescribeSnapshots lists snapshots that the caller may use.
func (s *Service) DescribeSnapshots(ctx context.Context, c *guard.Call, in *ec2api.DescribeSnapshotsRequest) (*ec2api.DescribeSnapshotsResult, error) {
	out := new(ec2api.DescribeSnapshotsResult)
	err := s.viewList(ctx, c, "ec2:DescribeSnapshots", in.DryRun, func(tx store.Tx) error {
		if err := checkOwners(in.OwnerIds); err != nil {
			return err
		}
		all, err := s.snapshots(tx, c)
		if err != nil {
			return err
		}
		all, err = pick(all, in.SnapshotIds, func(r snapshotRecord) string { return r.ID }, func(id string) error {
			_, err := s.lookupSnapshot(tx, c, id)
			return err
		})
		if err != nil {
			return err
		}
		passes, err := snapshotFields.filter(in.Filters)
		if err != nil {
			return err
		}
		tags, err := tagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		var items []ec2api.Snapshot
		for _, r := range all {
			if !ownedBy(in.OwnerIds, r.Owner, r.OwnerAlias, c.Account()) || !r.restorable(in.RestorableByUserIds, c.Account()) || !passes(r, tags[r.ID]) {
				continue
			}
			w := r.wire()
			w.Tags = apiTags(tags[r.ID])
			items = append(items, w)
		}
		out.Snapshots, out.NextToken, err = paginate(c.Operation, items, func(r ec2api.Snapshot) string { return *r.SnapshotId }, anyPage, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// describe puts a snapshot's condition keys into a part.
func (r *snapshotRecord) describe(p *authz.Part) {
	owned(p, r.Owner, r.OwnerAlias)
	p.Context.Set("ec2:snapshotid", r.ID)
	p.Context.Set("ec2:snapshottime", r.Created.UTC().Format(time.RFC3339))
	p.Context.Set("ec2:volumesize", intOf(r.SizeGiB)[0])
	p.Context.SetBool("ec2:encrypted", r.Encrypted)
	p.Context.Set("ec2:parentvolume", arn.EC2(r.Region, r.Owner, "volume/"+r.VolumeID))
}
