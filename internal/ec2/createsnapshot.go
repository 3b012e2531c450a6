package ec2

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A snapshotDraft is a snapshot to be made.
type snapshotDraft struct {
	record snapshotRecord
	tags   []tag
}

// draftSnapshot describes a snapshot of a volume.
func (s *Service) draftSnapshot(v *volumeRecord, description string, tags []tag) snapshotDraft {
	now := s.g.Now()
	return snapshotDraft{v.newSnapshot(randomID("snap"), description, now, now.Add(s.timing.Snapshot)), tags}
}

// CreateSnapshot makes a snapshot of a volume as it is at this moment, attached or not; it is
// completed a little later. KMS is not asked: what is encrypted stays so, under the same data key.
// Source: EC2 API Reference, CreateSnapshot; Amazon EBS User Guide, "How Amazon EBS encryption works".
func (s *Service) CreateSnapshot(ctx context.Context, c *guard.Call, in *ec2api.CreateSnapshotRequest) (*ec2api.Snapshot, error) {
	if err := regional(in.Location, in.OutpostArn); err != nil {
		return nil, err
	}
	if !s.life.enter() {
		return nil, errHostDown
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
		out.Tags = apiTags(tagMap(d.tags))
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
		return s.here(v)
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

// takeSnapshots makes the files of snapshots, then their records, in the transaction of the call:
// a file without a record belongs to nobody, and the next start removes it. more is part of the
// transaction. The caller has entered the service's lifetime.
func (s *Service) takeSnapshots(ctx context.Context, c *guard.Call, drafts []snapshotDraft, more func(store.Tx) error) error {
	var err error
	for _, d := range drafts {
		if err = s.host.snapshot(ctx, d.record.VolumeID, d.record.ID); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = errNoVolume(d.record.VolumeID)
			}
			break
		}
	}
	if err == nil {
		err = s.measure(drafts)
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
		for _, d := range drafts {
			if err := s.host.remove(d.record.ID); err != nil {
				s.log.Error("the file of a snapshot that was not made stays until the next start", "snapshot", d.record.ID, "error", err)
			}
		}
		return err
	}
	for _, d := range drafts {
		s.completeLater(d.record)
	}
	return nil
}

// measure takes the sizes of snapshots from their files: a volume may have grown since they were drafted.
func (s *Service) measure(drafts []snapshotDraft) error {
	for n := range drafts {
		info, err := blockdev.ReadInfo(s.volumes, drafts[n].record.ID)
		if err != nil {
			return err
		}
		drafts[n].record.SizeGiB = info.Size / gibibyte
		s.weigh(&drafts[n].record)
	}
	return nil
}

func addSnapshot(tx store.Tx, d snapshotDraft) error {
	r := d.record
	if err := snapshotTable.add(tx, r.Region, r.Owner, r.ID, r); err != nil {
		return err
	}
	if len(d.tags) == 0 {
		return nil
	}
	return tagTable.Put(tx, d.tags, r.Region, r.Owner, r.ID)
}

// completeLater sets the timer with which a snapshot is completed.
func (s *Service) completeLater(r snapshotRecord) {
	s.clock.AfterFunc(max(0, r.Done.Sub(s.g.Now())), func() { s.complete(r.Region, r.Owner, r.ID) })
}

func (s *Service) complete(region, owner, id string) {
	s.later("a snapshot is not completed yet", id, func(ctx context.Context) (aftermath, error) {
		return aftermath{}, s.g.Change(ctx, func(tx store.Tx) error {
			r, ok, err := snapshotTable.own.Get(tx, region, owner, id)
			if err != nil || !ok || r.State != snapshotPending {
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
		return nil, errHostDown
	}
	defer s.life.leave()
	defer s.locks.lock(*of.InstanceId)() // no volume comes or goes meanwhile
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
				Description: &r.Description, StartTime: &r.Created, State: &r.State, Progress: new(r.progress()), Tags: apiTags(tagMap(d.tags)),
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
		if !reserved(*t.Key) && !slices.ContainsFunc(own, func(o tag) bool { return o.Key == *t.Key }) {
			own = append(own, tag{*t.Key, *t.Value})
		}
	}
	return own
}
