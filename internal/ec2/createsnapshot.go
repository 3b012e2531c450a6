package ec2

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A snapshotDraft is a snapshot to be made.
type snapshotDraft struct {
	record snapshotRecord
	tags   []tag
	host   string // that has the volume
}

// draftSnapshot describes a snapshot of a volume.
func (s *Service) draftSnapshot(v *volumeRecord, description string, tags []tag) snapshotDraft {
	now := s.g.Now()
	return snapshotDraft{v.newSnapshot(randomID("snap"), description, now, now.Add(s.timing.Snapshot)), tags, cmp.Or(v.Host, s.name)}
}

// CreateSnapshot makes a snapshot of a volume as it is at this moment, attached or not; it is
// completed when its blocks are stored. KMS is not asked: what is encrypted stays so, under the same data key.
// Source: EC2 API Reference, CreateSnapshot; Amazon EBS User Guide, "How Amazon EBS encryption works".
func (s *Service) CreateSnapshot(ctx context.Context, c *guard.Call, in *ec2api.CreateSnapshotRequest) (*ec2api.Snapshot, error) {
	if err := regional(in.Location, in.OutpostArn); err != nil {
		return nil, err
	}
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	tags, err := tagSpecs(c, in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	var d snapshotDraft
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		v, err := s.lookupVolume(tx, c, api.Val(in.VolumeId))
		if err != nil {
			return err
		}
		p, err := s.volumePart(tx, c, "ec2:CreateSnapshot", &v)
		if err != nil {
			return err
		}
		parts := []authz.Part{p, s.newSnapshotPart(c, "ec2:CreateSnapshot", &v, tags["snapshot"])}
		if len(tags) > 0 {
			parts = append(parts, s.createTagsPart(c, "snapshot/*", tags["snapshot"], "CreateSnapshot"))
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		d = s.draftSnapshot(&v, api.Val(in.Description), tags["snapshot"])
		return s.snapshotable(&v)
	})
	if err != nil {
		return nil, err
	}
	var out ec2api.Snapshot
	err = s.takeSnapshots(ctx, c, []snapshotDraft{d}, func(store.Tx) error {
		out = d.record.wire()
		out.Progress = new("") // nothing is known yet
		out.Tags = madeWith(d.tags)
		c.Touch(d.record.arn(), d.record.Owner, "AWS::EC2::Snapshot")
		c.Respond(&out)
		return nil
	})
	return &out, err
}

// regional refuses snapshots that are not kept in the region.
func regional(location, outpost *string) error {
	switch {
	case api.Val(outpost) != "":
		return apierr.New("UnsupportedOperation", "This server has no Outposts.")
	case location != nil && *location != "regional":
		return apierr.New("UnsupportedOperation", "This server has no Local Zones.")
	}
	return nil
}

// snapshotable is EC2's refusal to make a snapshot of a volume.
func (s *Service) snapshotable(v *volumeRecord) error {
	if v.State == volumeAvailable || v.State == volumeInUse {
		if err := s.here(v); err != nil {
			return err
		}
		return s.snapshotsAtATime(v)
	}
	return apierr.Newf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
}

// newSnapshotPart is the evaluation of an action on a snapshot to be made of a volume.
func (s *Service) newSnapshotPart(c *guard.Call, action string, v *volumeRecord, tags []tag) authz.Part {
	p := s.part(c, action, "snapshot/*", nil)
	p.Context.Set("ec2:parentvolume", arn.EC2(v.Region, v.Account, "volume/"+v.ID))
	p.Context.Set("ec2:volumesize", intOf(v.SizeGiB)[0])
	addRequestTags(&p, tags)
	return p
}

// takeSnapshots makes snapshots of volumes as they are now. Few changed blocks are stored at once, and the records
// come then, in the transaction of the call: what has no record belongs to nobody, and the next start removes it.
// Many are stored after the answer, while the records say that this host does it. more is part of the
// transaction. The caller has entered the service's lifetime.
func (s *Service) takeSnapshots(ctx context.Context, c *guard.Call, drafts []snapshotDraft, more func(store.Tx) error) error {
	begun, waiting, err := s.beginSnapshots(ctx, drafts)
	later := waiting > s.atOnce
	for n := 0; err == nil && n < len(drafts); n++ {
		r := &drafts[n].record
		if r.SizeGiB = begun[n].Size() / gibibyte; later { // the volume may have grown since
			r.Storing = drafts[n].host
			continue
		}
		p := begun[n]
		begun[n] = nil
		if err = p.Store(ctx, nil); err == nil {
			s.weigh(r)
		}
	}
	if err == nil {
		err = s.g.Update(ctx, c, func(tx store.Tx) error {
			for _, d := range drafts {
				if err := addSnapshot(tx, d); err != nil {
					return err
				}
			}
			return more(tx)
		})
	}
	if err != nil {
		s.dropSnapshots(drafts, begun)
		return err
	}
	for n, d := range drafts {
		if later {
			s.storeLater(d.record, begun[n])
		} else {
			s.completeLater(d.record)
		}
	}
	return nil
}

// beginSnapshots fixes the moment of snapshots. waiting is how many bytes are to be looked at for them.
func (s *Service) beginSnapshots(ctx context.Context, drafts []snapshotDraft) (begun []hosts.Taking, waiting int64, err error) {
	for _, d := range drafts {
		p, err := s.rack(d.host).Begin(ctx, d.record.VolumeID, d.record.ID)
		if errors.Is(err, fs.ErrNotExist) {
			err = errNoVolume(d.record.VolumeID)
		}
		if err != nil {
			return begun, 0, err
		}
		begun = append(begun, p)
		waiting += p.Waiting()
	}
	return begun, waiting, nil
}

// dropSnapshots removes what there is of snapshots that are not made.
func (s *Service) dropSnapshots(drafts []snapshotDraft, begun []hosts.Taking) {
	for n, p := range begun {
		if p != nil {
			p.Drop()
			continue
		}
		id := drafts[n].record.ID
		if err := s.rack(drafts[n].host).Remove(context.Background(), id); err != nil {
			s.log.Error("the file of a snapshot that was not made stays until the next start", "snapshot", id, "error", err)
		}
	}
}

func addSnapshot(tx store.Tx, d snapshotDraft) error {
	r := d.record
	if err := snapshotTable.add(tx, r.Region, r.Owner, r.ID, r); err != nil {
		return err
	}
	if len(d.tags) == 0 {
		return nil
	}
	return idiom.Tags.Put(tx, d.tags, r.Region, r.Owner, r.ID)
}

// completeLater sets the timer with which a snapshot is completed.
func (s *Service) completeLater(r snapshotRecord) {
	s.clock.AfterFunc(max(0, r.Done.Sub(s.g.Now())), func() { s.complete(r.Region, r.Owner, r.ID) })
}

func (s *Service) complete(region, owner, id string) {
	s.later("a snapshot is not completed yet", id, func(ctx context.Context) (aftermath, error) {
		return aftermath{}, s.g.Change(ctx, func(tx store.Tx) error {
			r, ok, err := snapshotTable.own.Get(tx, region, owner, id)
			if err != nil || !ok || r.State != snapshotPending || r.Storing != "" {
				return err
			}
			r.State = snapshotCompleted
			if err := putSnapshot(tx, r); err != nil {
				return err
			}
			return s.settleImage(tx, region, owner, r.Image)
		})
	}, region, owner)
}

// CreateSnapshots makes snapshots of the volumes of an instance, which belong together.
// Source: EC2 API Reference, CreateSnapshots.
func (s *Service) CreateSnapshots(ctx context.Context, c *guard.Call, in *ec2api.CreateSnapshotsRequest) (*ec2api.CreateSnapshotsResult, error) {
	if err := regional(in.Location, in.OutpostArn); err != nil {
		return nil, err
	}
	of := in.InstanceSpecification
	if of == nil || api.Val(of.InstanceId) == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter InstanceSpecification.InstanceId")
	}
	tags, err := tagSpecs(c, in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	defer s.locks.Lock(*of.InstanceId)() // no volume comes or goes meanwhile
	var drafts []snapshotDraft
	err = s.g.View(ctx, c, func(tx store.Tx) (err error) {
		drafts, err = s.draftSet(tx, c, in, tags["snapshot"])
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ec2api.CreateSnapshotsResult{}
	err = s.takeSnapshots(ctx, c, drafts, func(store.Tx) error {
		out.Snapshots = nil
		for n := range drafts {
			d := &drafts[n]
			r := &d.record
			c.Touch(r.arn(), r.Owner, "AWS::EC2::Snapshot")
			out.Snapshots = append(out.Snapshots, ec2api.SnapshotInfo{
				SnapshotId: &r.ID, VolumeId: &r.VolumeID, VolumeSize: new(int32(r.SizeGiB)), Encrypted: &r.Encrypted, OwnerId: &r.Owner,
				Description: &r.Description, StartTime: &r.Created, State: &r.State, Progress: new(""), Tags: madeWith(d.tags),
			})
		}
		c.Respond(out)
		return nil
	})
	return out, err
}

// draftSet decides CreateSnapshots and describes what it makes.
func (s *Service) draftSet(tx store.Tx, c *guard.Call, in *ec2api.CreateSnapshotsRequest, tags []tag) ([]snapshotDraft, error) {
	const action = "ec2:CreateSnapshots"
	of := in.InstanceSpecification
	found, err := s.lookupInstances(tx, c, []string{*of.InstanceId})
	if err != nil {
		return nil, err
	}
	i := &found[0]
	all, err := tagsOfAll(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	parts := []authz.Part{s.instancePart(c, action, i, all[i.ID])}
	var drafts []snapshotDraft
	var unready error
	for _, d := range i.Devices {
		if d.Name == i.RootDevice && api.Val(of.ExcludeBootVolume) || slices.Contains(of.ExcludeDataVolumeIds, d.Volume) {
			continue
		}
		v, ok, err := volumeTable.Get(tx, i.Region, i.Account, d.Volume)
		if err != nil || !ok {
			return nil, gone(d.Volume, err)
		}
		if err := s.snapshotable(&v); err != nil {
			unready = err
		}
		own := slices.Clone(tags)
		if api.Val(in.CopyTagsFromSource) == "volume" {
			own = inherit(own, all[v.ID])
		}
		parts = append(parts, s.volumePartTagged(c, action, &v, all[v.ID]), s.newSnapshotPart(c, action, &v, own))
		if len(own) > 0 {
			parts = append(parts, s.createTagsPart(c, "snapshot/*", own, "CreateSnapshots"))
		}
		drafts = append(drafts, s.draftSnapshot(&v, api.Val(in.Description), own))
	}
	if len(drafts) == 0 {
		return nil, invalidValue("The instance '%s' has no volume that the request does not exclude.", i.ID)
	}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return drafts, unready
}

// inherit adds tags of a source; those that a request gives win, and those of AWS stay behind.
func inherit(own []tag, source map[string]string) []tag {
	for _, t := range apiTags(source) {
		if !idiom.Reserved(*t.Key) && !slices.ContainsFunc(own, func(o tag) bool { return o.Key == *t.Key }) {
			own = append(own, tag{Key: *t.Key, Value: *t.Value})
		}
	}
	return own
}
