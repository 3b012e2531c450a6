package ec2

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// CopyVolumes makes a volume with the content that another has at this moment, in the same zone. A copy of
// an encrypted volume is encrypted, under the same key if the request names no other; that of another one
// as CreateVolume would. Between the two is a snapshot that nobody sees: its file goes when the copy is filled.
// Source: EC2 API Reference, CopyVolumes; Amazon EBS User Guide, "Copy an Amazon EBS volume".
func (s *Service) CopyVolumes(ctx context.Context, c *guard.Call, in *ec2api.CopyVolumesRequest) (*ec2api.CopyVolumesResult, error) {
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	hash := idiom.Fingerprint(plain)
	tags, err := tagSpecs(c, in.TagSpecifications, "volume")
	if err != nil {
		return nil, err
	}
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	var (
		known *ec2api.Volume
		src   volumeRecord
	)
	snapshot, grown := randomID("snap"), int64(0)
	draft := func(tx store.Tx) (made *job, err error) {
		if src, err = s.lookupVolume(tx, c, api.Val(in.SourceVolumeId)); err != nil {
			return nil, err
		}
		src.SizeGiB = max(src.SizeGiB, grown)
		v, d, err := s.draftVolumeCopy(c, &src, in, snapshot)
		if err != nil {
			return nil, err
		}
		if made, err = s.volumeJob(tx, c, d, &v, tags["volume"]); err != nil {
			return nil, err
		}
		v.Snapshot = ""
		made.Drafts[0].Volume = v
		from, err := s.volumePart(tx, c, "ec2:CopyVolumes", &src)
		if err != nil {
			return nil, err
		}
		p := s.newVolumePart(c, "ec2:CopyVolumes", d, v.Encrypted, subnet{Zone: v.Zone, ZoneID: v.ZoneID}, tags["volume"])
		p.Context.Set("ec2:parentvolume", arn.EC2(src.Region, src.Account, "volume/"+src.ID))
		parts := []authz.Part{from, p}
		if len(tags["volume"]) > 0 {
			parts = append(parts, s.createTagsPart(c, "volume/*", tags["volume"], "CopyVolumes"))
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return nil, err
		}
		if err := dryRun(in.DryRun); err != nil {
			return nil, err
		}
		return made, s.snapshotable(&src)
	}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		known = nil
		if _, err := draft(tx); err != nil {
			return err
		}
		t, ok, err := knownToken(tx, c, "CopyVolumes", in.ClientToken, hash)
		if err == nil && ok {
			known, err = s.knownVolume(tx, c, t)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if known != nil {
		return &ec2api.CopyVolumesResult{Volumes: []ec2api.Volume{*known}}, nil
	}
	p, err := s.rack(src.Host).Begin(ctx, src.ID, snapshot)
	if err == nil {
		grown = p.Size() / gibibyte // it may have been growing
		err = p.Store(ctx, nil)
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errNoVolume(src.ID)
		}
		return nil, err
	}
	out, j, err := s.storeVolumeCopy(ctx, c, in, draft, snapshot, idiom.TokenRecord{Hash: hash})
	if err != nil || j == nil {
		if rmErr := s.rack(src.Host).Remove(ctx, snapshot); rmErr != nil {
			s.log.Error("the file of a copy that was not made stays until the next start", "snapshot", snapshot, "error", rmErr)
		}
		return out, err
	}
	s.counted(j.Host, 1) // before the job is another goroutine's
	s.schedule(j)
	s.discard(snapshot)
	return out, nil
}

// storeVolumeCopy writes the copy and its job; the job is nil if an equal request was faster.
func (s *Service) storeVolumeCopy(ctx context.Context, c *guard.Call, in *ec2api.CopyVolumesRequest,
	draft func(store.Tx) (*job, error), snapshot string, token idiom.TokenRecord) (out *ec2api.CopyVolumesResult, j *job, err error) {
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		out, j = nil, nil
		made, err := draft(tx)
		if err != nil {
			return err
		}
		v, tags := made.Drafts[0].Volume, made.Drafts[0].Tags
		t, ok, err := knownToken(tx, c, "CopyVolumes", in.ClientToken, token.Hash)
		if err != nil {
			return err
		}
		if ok {
			known, err := s.knownVolume(tx, c, t)
			if err == nil {
				out = &ec2api.CopyVolumesResult{Volumes: []ec2api.Volume{*known}}
			}
			return err
		}
		if err := s.putNewVolume(tx, c, &v, tags, made); err != nil {
			return err
		}
		if in.ClientToken != nil {
			token.IDs, token.Made = []string{v.ID}, s.g.Now()
			if err := idiom.Tokens.Put(tx, token, c.Region, c.Account(), "CopyVolumes", *in.ClientToken); err != nil {
				return err
			}
		}
		c.Touch(v.arn(), v.Account, "AWS::EC2::Volume")
		out, j = &ec2api.CopyVolumesResult{Volumes: []ec2api.Volume{v.wire(nil)}}, made
		out.Volumes[0].Tags = madeWith(tags)
		c.Respond(out)
		return discardTable.Put(tx, discardRecord{snapshot, s.g.Now()}, snapshot)
	})
	return out, j, err
}

// draftVolumeCopy is the copy that a request asks for, made of the snapshot in between.
func (s *Service) draftVolumeCopy(c *guard.Call, src *volumeRecord, in *ec2api.CopyVolumesRequest, snapshot string) (volumeRecord, *newDevice, error) {
	snap := src.newSnapshot(snapshot, "", s.g.Now(), s.g.Now())
	d := &newDevice{snapshot: &snap, encrypted: in.Encrypted, keyID: api.Val(in.KmsKeyId), perf: performance{
		Type: cmp.Or(api.Val(in.VolumeType), defaultVolumeType), SizeGiB: int64(api.Val(in.Size)), IOPS: in.Iops, Throughput: in.Throughput,
	}}
	if d.perf.SizeGiB == 0 {
		d.perf.SizeGiB = src.SizeGiB
	}
	if d.perf.SizeGiB < src.SizeGiB {
		return volumeRecord{}, nil, invalidValue("Volume of %dGiB is smaller than its source '%s', expect size >= %dGiB", d.perf.SizeGiB, src.ID, src.SizeGiB)
	}
	var err error
	if d.iops, d.rate, err = d.perf.settle(); err != nil {
		return volumeRecord{}, nil, err
	}
	v := s.newVolume(c, d, &launchPlan{subnet: subnet{Zone: src.Zone, ZoneID: src.ZoneID}})
	v.Host, v.Token, v.Work, v.SourceVolume = src.Host, api.Val(in.ClientToken), launch.CreateVolume, src.ID
	if v.MultiAttach = api.Val(in.MultiAttachEnabled); v.MultiAttach && v.Type != "io1" && v.Type != "io2" {
		return v, nil, errMultiAttach(v.Type)
	}
	return v, d, nil
}
