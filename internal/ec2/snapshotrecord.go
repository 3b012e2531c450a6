package ec2

import (
	"slices"
	"strconv"
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
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// States of a snapshot. Source: EC2 API Reference, Snapshot.
const (
	snapshotPending   = "pending"
	snapshotCompleted = "completed"
	snapshotError     = "error"
)

// sourceOfCopies is the volume that copies show. Source: Amazon EBS User Guide, "Copy an Amazon EBS
// snapshot": an arbitrary id, which means nothing.
const sourceOfCopies = "vol-ffffffff"

// A snapshotRecord is a snapshot. Its content is the file of blockdev with its id. Those of the
// catalogue's images are not stored.
type snapshotRecord struct {
	ID          string      `json:"id"`
	Owner       string      `json:"owner"`
	OwnerAlias  string      `json:"ownerAlias,omitempty"` // "amazon" or ""
	Region      string      `json:"region"`
	VolumeID    string      `json:"volumeId"`
	Description string      `json:"description,omitempty"`
	SizeGiB     int64       `json:"sizeGiB"`
	Encrypted   bool        `json:"encrypted,omitempty"`
	KeyARN      string      `json:"keyArn,omitempty"`
	ContextID   string      `json:"contextId,omitempty"` // aws:ebs:id under which the data key is wrapped
	DataKeyID   string      `json:"dataKeyId,omitempty"`
	WrappedKey  []byte      `json:"wrappedKey,omitempty"`
	Public      bool        `json:"public,omitempty"`
	SharedWith  []string    `json:"sharedWith,omitempty"` // accounts that may make volumes of it, sorted
	Created     time.Time   `json:"created"`
	Done        time.Time   `json:"done,omitzero"` // when it is, or will be, completed; zero while that is open
	State       string      `json:"state"`
	Storing     string      `json:"storing,omitempty"`  // host that stores its blocks, while it does
	Within      int32       `json:"within,omitempty"`   // minutes in which a copy was asked to be done
	FullSize    *int64      `json:"fullSize,omitempty"` // bytes of all its blocks, once it is completed
	Message     string      `json:"message,omitempty"`
	Image       string      `json:"image,omitempty"`  // that waits for it, of the same owner
	Direct      *direct     `json:"direct,omitempty"` // of StartSnapshot
	Lock        *lockRecord `json:"lock,omitempty"`
	Tier        *tierRecord `json:"tier,omitempty"` // nil: it was never archived
	// Catalogue marks the root disk of a public image.
	Catalogue bool `json:"-"`
}

// snapshotTable holds the snapshots of all accounts.
var snapshotTable = newRegistry[snapshotRecord]("ec2/snapshot")

func (r *snapshotRecord) ours(account string) bool { return r.Owner == account }

func putSnapshot(tx store.Tx, r snapshotRecord) error {
	return snapshotTable.put(tx, r.Region, r.Owner, r.ID, r, r.Public || len(r.SharedWith) > 0)
}

// newSnapshot is a snapshot of a volume: it inherits the key, the data key and the context under
// which that is wrapped. Source: Amazon EBS User Guide, "How Amazon EBS encryption works".
func (v *volumeRecord) newSnapshot(id, description string, now, done time.Time) snapshotRecord {
	r := snapshotRecord{
		ID: id, Owner: v.Account, Region: v.Region, VolumeID: v.ID, Description: description, SizeGiB: v.SizeGiB,
		Created: now, Done: done, State: snapshotPending,
	}
	if v.Encrypted {
		r.Encrypted, r.KeyARN, r.ContextID, r.DataKeyID, r.WrappedKey = true, v.KeyARN, v.ID, v.DataKeyID, v.WrappedKey
	}
	return r
}

// learn takes over what a copy found out about the snapshot's key.
func (r *snapshotRecord) learn(l launch.Volume) {
	r.Encrypted, r.KeyARN, r.DataKeyID, r.WrappedKey = l.Encrypted, l.KeyARN, l.DataKeyID, l.WrappedKey
	if l.Encrypted {
		r.ContextID = r.ID
	}
}

func (r *snapshotRecord) arn() string { return arn.EC2(r.Region, "", "snapshot/"+r.ID) }

// snapshotOf is the root snapshot of an image of the catalogue.
func snapshotOf(e image.Entry, region string) snapshotRecord {
	return snapshotRecord{
		ID: e.SnapshotID, Owner: e.OwnerID, OwnerAlias: e.Owner, Region: region, VolumeID: sourceOfCopies,
		Description: "Root disk of " + e.Name, SizeGiB: e.SizeGiB, Public: true, Created: e.CreationDate,
		State: snapshotCompleted, Catalogue: true,
	}
}

// usable reports whether an account may see a snapshot and make volumes of it.
func (r *snapshotRecord) usable(account string) bool {
	return r.Public || r.Owner == account || slices.Contains(r.SharedWith, account)
}

// lookupSnapshot finds a snapshot that the caller may use.
func (s *Service) lookupSnapshot(tx store.Tx, c *guard.Call, id string) (snapshotRecord, error) {
	return lookupSnapshotIn(tx, c.Region, c.Account(), id)
}

func lookupSnapshotIn(tx store.Tx, region, account, id string) (snapshotRecord, error) {
	rest, named := strings.CutPrefix(id, "snap-")
	switch {
	case id == "":
		return snapshotRecord{}, invalidValue("Value () for parameter snapshotId is invalid. Parameter may not be null or empty")
	case !named:
		return snapshotRecord{}, invalidValue("Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id)
	case !isHex(rest):
		return snapshotRecord{}, apierr.Newf("InvalidSnapshotID.Malformed", "Invalid id: \"%s\" (expecting \"snap-...\")", id)
	}
	if e, ok := image.Find(id); ok {
		return snapshotOf(e, region), nil
	}
	rec, ok, err := snapshotTable.find(tx, region, account, id)
	if err == nil && ok && rec.usable(account) {
		ok, err = rec.visible(tx, account)
	}
	if err == nil && (!ok || !rec.usable(account)) {
		err = errNoSnapshot(id)
	}
	return rec, err
}

func errNoSnapshot(id string) error {
	return apierr.Newf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

// ownSnapshot finds a snapshot of the caller's for a change that only its owner can make.
func (s *Service) ownSnapshot(tx store.Tx, c *guard.Call, id string) (snapshotRecord, error) {
	rec, err := s.lookupSnapshot(tx, c, id)
	if err == nil && rec.Owner != c.Account() {
		err = apierr.Newf("OperationNotPermitted", "The account %s does not own the snapshot '%s'.", c.Account(), id)
	}
	return rec, err
}

// snapshots are those that the caller may use.
func (s *Service) snapshots(tx store.Tx, c *guard.Call) ([]snapshotRecord, error) {
	var all []snapshotRecord
	for _, e := range image.Catalogue() {
		all = append(all, snapshotOf(e, c.Region))
	}
	stored, err := snapshotTable.list(tx, c.Region, c.Account(), func(r *snapshotRecord) bool { return r.ours(c.Account()) })
	if err != nil {
		return nil, err
	}
	for _, r := range stored {
		if r.usable(c.Account()) {
			all = append(all, r)
		}
	}
	return hidden(tx, c.Region, c.Account(), all)
}

// progress is how much of a snapshot is copied, of one that is being stored see progressBook. Only the whole of it is known, or what the writer
// of a snapshot of StartSnapshot says.
func (r *snapshotRecord) progress() string {
	switch {
	case r.State == snapshotCompleted:
		return "100%"
	case r.Direct != nil:
		return strconv.Itoa(r.Direct.Progress) + "%"
	}
	return "0%"
}

// wire is a snapshot as answers carry it.
func (r snapshotRecord) wire() ec2api.Snapshot {
	w := ec2api.Snapshot{
		SnapshotId: &r.ID, OwnerId: &r.Owner, OwnerAlias: api.Opt(r.OwnerAlias), VolumeId: &r.VolumeID, Description: &r.Description,
		VolumeSize: new(int32(r.SizeGiB)), Encrypted: &r.Encrypted, KmsKeyId: api.Opt(r.KeyARN), DataEncryptionKeyId: api.Opt(r.DataKeyID),
		StartTime: &r.Created, State: &r.State, StateMessage: api.Opt(r.Message), Progress: new(r.progress()), StorageTier: new("standard"),
	}
	if r.State == snapshotCompleted {
		w.FullSnapshotSizeInBytes, w.CompletionTime = r.FullSize, r.completed()
	}
	if r.VolumeID == sourceOfCopies && r.Direct == nil && !r.Catalogue {
		w.TransferType = new(ec2api.TransferTypeStandard)
		if r.Within > 0 {
			w.TransferType, w.CompletionDurationMinutes = new(ec2api.TransferTypeTimeBased), &r.Within
		}
	}
	return w
}

// completed is when a completed snapshot was completed; nil if that was not kept.
func (r *snapshotRecord) completed() *time.Time {
	switch {
	case !r.Done.IsZero():
		return &r.Done
	case r.Catalogue:
		return &r.Created
	}
	return nil
}

// weigh notes the full size of a snapshot whose content is there. That of one that cannot be read stays unknown.
func (s *Service) weigh(r *snapshotRecord) {
	if n, err := blockdev.FullSize(s.volumes, r.ID); err == nil {
		r.FullSize = &n
	}
}

// describe puts a snapshot's condition keys into a part.
func (r *snapshotRecord) describe(p *authz.Part) {
	owned(p, r.Owner, r.OwnerAlias)
	p.Context.Set("ec2:snapshotid", r.ID)
	p.Context.Set("ec2:snapshottime", r.Created.UTC().Format(time.RFC3339))
	p.Context.Set("ec2:volumesize", intOf(r.SizeGiB)[0])
	p.Context.SetBool("ec2:encrypted", r.Encrypted)
	p.Context.Set("ec2:parentvolume", arn.EC2(r.Region, r.Owner, "volume/"+r.VolumeID))
	if r.Lock != nil {
		p.Context.Set("ec2:snapshotcooloffperiod", strconv.Itoa(int(r.Lock.CoolOff)))
		p.Context.Set("ec2:snapshotlockduration", strconv.Itoa(int(r.Lock.Days)))
	}
}
