package ec2

import (
	"context"
	"net/url"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/zone"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// maxCopies is how many copies may be under way to a region.
// Source: Amazon EBS User Guide, "Copy an Amazon EBS snapshot", considerations.
const maxCopies = 20

// CopySnapshot copies a snapshot, its own or a shared one, perhaps from another region, perhaps under
// another key. It answers at once; a copy whose keys are out of reach ends in error.
// Source: EC2 API Reference, CopySnapshot; Amazon EBS User Guide, "Copy an Amazon EBS snapshot".
func (s *Service) CopySnapshot(ctx context.Context, c *guard.Call, in *ec2api.CopySnapshotRequest) (*ec2api.CopySnapshotResult, error) {
	if err := copyable(in, c.Region); err != nil {
		return nil, err
	}
	tags, err := tagSpecs(c, in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	var (
		out *ec2api.CopySnapshotResult
		j   *job
	)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		snap, err := lookupSnapshotIn(tx, *in.SourceRegion, c.Account(), api.Val(in.SourceSnapshotId))
		if err != nil {
			return err
		}
		d := s.draftCopy(c, &snap, api.Val(in.Description), tags["snapshot"])
		d.record.Within = api.Val(in.CompletionDurationMinutes)
		if j, err = s.copyJob(tx, c, launch.CopySnapshot, d.record.ID, []launch.Device{d.copyOf(&snap, "", in.Encrypted, in.KmsKeyId)}); err != nil {
			return err
		}
		d.record.Encrypted = j.State.Volumes()[0].Encrypted
		if err := s.allowCopy(tx, c, &snap, d); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if err := s.ready(&snap); err != nil {
			return err
		}
		if err := copiesLeft(tx, c); err != nil {
			return err
		}
		if err := addSnapshot(tx, d); err != nil {
			return err
		}
		out = &ec2api.CopySnapshotResult{SnapshotId: &d.record.ID, Tags: apiTags(tagMap(d.tags))}
		c.Touch(d.record.arn(), d.record.Owner, "AWS::EC2::Snapshot")
		c.Respond(out)
		return s.putJob(tx, j)
	})
	if err != nil {
		return nil, err
	}
	s.schedule(j)
	return out, nil
}

func copyable(in *ec2api.CopySnapshotRequest, region string) error {
	switch {
	case api.Val(in.SourceRegion) == "":
		return apierr.New("MissingParameter", "The request must contain the parameter SourceRegion")
	case !slices.Contains(zone.Regions(), *in.SourceRegion):
		return zone.ErrRegion(*in.SourceRegion)
	case api.Val(in.SourceSnapshotId) == "":
		return apierr.New("MissingParameter", "The request must contain the parameter SourceSnapshotId")
	case api.Val(in.DestinationAvailabilityZone) != "":
		return apierr.New("UnsupportedOperation", "This server has no Local Zones.")
	}
	if err := presignedFor(in, region); err != nil {
		return err
	}
	if err := checkWithin("CompletionDurationMinutes", int64(api.Val(in.CompletionDurationMinutes)), in.CompletionDurationMinutes != nil); err != nil {
		return err
	}
	return regional(nil, in.DestinationOutpostArn)
}

// checkWithin refuses a time for a copy that EBS does not offer.
// Source: Amazon EBS User Guide, "Time-based copies for Amazon EBS snapshots and EBS-backed AMIs".
func checkWithin(name string, minutes int64, given bool) error {
	if given && (minutes < 15 || minutes > 2880 || minutes%15 != 0) {
		return invalidValue("Value (%d) for parameter %s is invalid. It is from 15 to 2880 minutes, in increments of 15.", minutes, name)
	}
	return nil
}

// presignedFor refuses a presigned URL that is of something else, and a destination in another Region than the request's.
// Nothing here needs the URL: its signature is not looked at. Source: EC2 API Reference, CopySnapshot, PresignedUrl.
func presignedFor(in *ec2api.CopySnapshotRequest, region string) error {
	bad := func() error {
		return invalidValue("The parameter PresignedUrl is not a request for this copy.")
	}
	if to := api.Val(in.DestinationRegion); to != "" && to != region {
		return invalidValue("Value (%s) for parameter destinationRegion is invalid. The copy is made in %s, where the request is sent to.", to, region)
	}
	if in.PresignedUrl == nil || in.PresignedUrl.Reveal() == "" {
		return nil
	}
	u, err := url.Parse(in.PresignedUrl.Reveal())
	if err != nil || u.Host == "" {
		return bad()
	}
	q := u.Query()
	for name, want := range map[string]string{"Action": "CopySnapshot", "SourceRegion": *in.SourceRegion, "SourceSnapshotId": *in.SourceSnapshotId, "DestinationRegion": region} {
		if got := q.Get(name); got != "" && got != want {
			return bad()
		}
	}
	return nil
}

// draftCopy describes a copy of a snapshot. It has the source's tags no more than AWS's.
func (s *Service) draftCopy(c *guard.Call, snap *snapshotRecord, description string, tags []tag) snapshotDraft {
	return snapshotDraft{snapshotRecord{
		ID: randomID("snap"), Owner: c.Account(), Region: c.Region, VolumeID: sourceOfCopies, Description: description,
		SizeGiB: snap.SizeGiB, Created: s.g.Now(), State: snapshotPending,
	}, tags, s.name}
}

// copyOf is the copy as a launch sees it.
func (d *snapshotDraft) copyOf(snap *snapshotRecord, name string, encrypted *bool, keyID *string) launch.Device {
	src := sourceOf(snap, d.record.Owner)
	if snap.Region != d.record.Region {
		src.Owned = false // its key is not there: the default key takes its place
	}
	return launch.Device{
		Name: name, VolumeID: d.record.ID, Encrypted: encrypted, KmsKeyID: api.Val(keyID), Source: src,
		SizeGiB: snap.SizeGiB,
	}
}

// copyJob is the job that makes copies for a subject.
func (s *Service) copyJob(tx store.Tx, c *guard.Call, op launch.Operation, subject string, devices []launch.Device) (*job, error) {
	defaults, err := s.encryptionDefaults(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	spec := launch.Spec{Operation: op, Region: c.Region, Account: c.Account(), Defaults: defaults, Devices: devices}
	return newJob(spec, subject, c.ID, c.Caller, s.g.Now().Add(s.timing.Snapshot))
}

// allowCopy decides ec2:CopySnapshot on the source and on the copy.
func (s *Service) allowCopy(tx store.Tx, c *guard.Call, snap *snapshotRecord, d snapshotDraft) error {
	const action = "ec2:CopySnapshot"
	tags, err := tagsOf(tx, snap.Region, c.Account(), snap.ID)
	if err != nil {
		return err
	}
	parts := []authz.Part{s.snapshotPart(c, action, snap, tags), s.newCopyPart(c, action, snap, d.record.Encrypted, d.tags)}
	if len(d.tags) > 0 {
		parts = append(parts, s.createTagsPart(c, "snapshot/*", d.tags, "CopySnapshot"))
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// newCopyPart is the evaluation of an action on a copy to be made.
func (s *Service) newCopyPart(c *guard.Call, action string, snap *snapshotRecord, encrypted bool, tags []tag) authz.Part {
	p := s.part(c, action, "snapshot/*", nil)
	p.Context.Set("ec2:owner", c.Account())
	p.Context.Set("ec2:parentsnapshot", snap.arn())
	p.Context.Set("ec2:volumesize", intOf(snap.SizeGiB)[0])
	p.Context.SetBool("ec2:encrypted", encrypted)
	addRequestTags(&p, tags)
	return p
}

// copiesLeft refuses more copies to a region than may be under way.
func copiesLeft(tx store.Tx, c *guard.Call) error {
	n := 0
	for r, err := range jobTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return err
		}
		if r.Value.operation() == launch.CopySnapshot {
			n++
		}
	}
	if n >= maxCopies {
		return apierr.Newf("ResourceLimitExceeded", "The number of snapshot copies under way to this region exceeds the limit of %d.", maxCopies)
	}
	return nil
}

// finishCopy ends a copy: its snapshots are completed, or all of them are in error.
func (s *Service) finishCopy(tx store.Tx, j *job, end launch.Step) error {
	for _, l := range j.State.Volumes() {
		r, ok, err := snapshotTable.own.Get(tx, j.Region, j.Account, l.VolumeID)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		switch {
		case end.Fail == nil:
			r.learn(l)
			s.weigh(&r)
			r.State, r.Done = snapshotCompleted, s.g.Now()
		case end.Fail.Action == "" && end.Fail.Phase != launch.PhaseResolveKey:
			r.State, r.Message = snapshotError, "An internal error has occurred"
		default:
			r.State, r.Message = snapshotError, launch.CopyStateMessage
		}
		if err := putSnapshot(tx, r); err != nil {
			return err
		}
	}
	if j.operation() == launch.CopyImage {
		return s.settleImage(tx, j.Region, j.Account, j.Subject)
	}
	return nil
}

// CopyImage copies an image and each of its snapshots. Own encrypted snapshots keep their key
// unless another is named. Who may launch the source, its deprecation and its protection are not copied.
// Source: EC2 API Reference, CopyImage; EC2 User Guide, "Copy an AMI"; the deprecation as reported in
// hashicorp/packer-plugin-amazon issue 249.
func (s *Service) CopyImage(ctx context.Context, c *guard.Call, in *ec2api.CopyImageRequest) (*ec2api.CopyImageResult, error) {
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	hash := idiom.Fingerprint(plain)
	if err := imageCopyable(in); err != nil {
		return nil, err
	}
	tags, err := tagSpecs(c, in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	var (
		out *ec2api.CopyImageResult
		j   *job
	)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		j = nil
		img, drafts, made, own, err := s.draftImageCopy(tx, c, in, tags)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		known, ok, err := knownToken(tx, c, "CopyImage", in.ClientToken, hash)
		if err != nil {
			return err
		}
		if ok {
			out = &ec2api.CopyImageResult{ImageId: &known.IDs[0]}
			return nil
		}
		for _, d := range drafts {
			if err := addSnapshot(tx, d); err != nil {
				return err
			}
		}
		if err := s.addImage(tx, c, img, own); err != nil {
			return err
		}
		if in.ClientToken != nil {
			if err := idiom.Tokens.Put(tx, idiom.TokenRecord{Hash: hash, IDs: []string{img.ID}, Made: s.g.Now()}, c.Region, c.Account(), "CopyImage", *in.ClientToken); err != nil {
				return err
			}
		}
		out, j = &ec2api.CopyImageResult{ImageId: &img.ID}, made
		c.Respond(out)
		return s.putJob(tx, j)
	})
	if err != nil {
		return nil, err
	}
	if j != nil {
		s.schedule(j)
	}
	return out, nil
}

func imageCopyable(in *ec2api.CopyImageRequest) error {
	switch {
	case api.Val(in.SourceRegion) == "":
		return apierr.New("MissingParameter", "The request must contain the parameter SourceRegion")
	case !slices.Contains(zone.Regions(), *in.SourceRegion):
		return zone.ErrRegion(*in.SourceRegion)
	case api.Val(in.SourceImageId) == "":
		return apierr.New("MissingParameter", "The request must contain the parameter SourceImageId")
	case api.Val(in.DestinationAvailabilityZone) != "" || api.Val(in.DestinationAvailabilityZoneId) != "":
		return apierr.New("UnsupportedOperation", "This server has no Local Zones.")
	}
	if err := checkName(in.Name); err != nil {
		return err
	}
	within := in.SnapshotCopyCompletionDurationMinutes
	if err := checkWithin("SnapshotCopyCompletionDurationMinutes", api.Val(within), within != nil); err != nil {
		return err
	}
	return regional(nil, in.DestinationOutpostArn)
}

// draftImageCopy decides CopyImage and describes what it makes: the image with its tags, the
// snapshots, and the job.
func (s *Service) draftImageCopy(tx store.Tx, c *guard.Call, in *ec2api.CopyImageRequest, tags map[string][]tag) (
	img imageRecord, drafts []snapshotDraft, j *job, own []tag, err error) {
	const action = "ec2:CopyImage"
	fail := func(err error) (imageRecord, []snapshotDraft, *job, []tag, error) {
		return imageRecord{}, nil, nil, nil, err
	}
	source, err := s.lookupImageIn(tx, *in.SourceRegion, c.Account(), api.Val(in.SourceImageId), c.Time)
	if err != nil {
		return fail(err)
	}
	if source.State != imageAvailable {
		return fail(errImageUnavailable(source.ID))
	}
	sourceTags, err := tagsOf(tx, source.Region, c.Account(), source.ID)
	if err != nil {
		return fail(err)
	}
	own = slices.Clone(tags["image"])
	if api.Val(in.CopyImageTags) {
		own = inherit(own, sourceTags)
	}
	img = source
	img.ID, img.Region, img.Owner, img.OwnerAlias = randomID("ami"), c.Region, c.Account(), ""
	img.Name = *in.Name
	if in.Description != nil { // an empty one too: clients say so that there is none
		img.Description = *in.Description
	}
	img.SourceImage, img.SourceRegion, img.SourceInstance = source.ID, source.Region, ""
	img.unshare()
	img.unmark()
	img.State, img.Message, img.Created, img.Devices = imagePending, "", s.g.Now(), slices.Clone(source.Devices)
	from := s.part(c, action, "image/"+source.ID, sourceTags)
	source.describe(&from)
	parts := []authz.Part{s.newImagePart(c, action, own), from}
	var devices []launch.Device
	for n := range img.Devices {
		d := &img.Devices[n]
		if d.SnapshotID == "" {
			continue
		}
		snap, err := lookupSnapshotIn(tx, source.Region, c.Account(), d.SnapshotID)
		if apierr.Code(err) == "InvalidSnapshot.NotFound" {
			err = apierr.New("InvalidRequest", "You do not have permission to access the storage of this ami")
		}
		if err == nil {
			err = s.ready(&snap)
		}
		if err != nil {
			return fail(err)
		}
		draft := s.draftCopy(c, &snap, "Copied for DestinationAmi "+img.ID+" from SourceAmi "+source.ID+" for SourceSnapshot "+snap.ID+".", tags["snapshot"])
		draft.record.Image, draft.record.Within = img.ID, int32(api.Val(in.SnapshotCopyCompletionDurationMinutes))
		drafts, devices = append(drafts, draft), append(devices, draft.copyOf(&snap, d.Name, in.Encrypted, in.KmsKeyId))
		parts = append(parts, s.newCopyPart(c, action, &snap, false, draft.tags))
		d.SnapshotID = draft.record.ID
	}
	if j, err = s.copyJob(tx, c, launch.CopyImage, img.ID, devices); err != nil {
		return fail(err)
	}
	vols := j.State.Volumes()
	for n := range drafts {
		drafts[n].record.Encrypted = vols[n].Encrypted
		parts[2+n].Context.SetBool("ec2:encrypted", vols[n].Encrypted)
		img.setEncrypted(vols[n].VolumeID, vols[n].Encrypted)
	}
	if len(own) > 0 {
		parts = append(parts, s.createTagsPart(c, "image/*", own, "CopyImage"))
	}
	if len(tags["snapshot"]) > 0 {
		parts = append(parts, s.createTagsPart(c, "snapshot/*", tags["snapshot"], "CopyImage"))
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return img, drafts, j, own, err
}

func (r *imageRecord) setEncrypted(snapshot string, encrypted bool) {
	for n := range r.Devices {
		if r.Devices[n].SnapshotID == snapshot {
			r.Devices[n].Encrypted = encrypted
		}
	}
}
