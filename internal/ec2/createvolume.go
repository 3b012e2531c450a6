package ec2

import (
	"context"

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

// CreateVolume makes a volume. It answers at once; a volume that cannot be made, whatever the
// reason, disappears. Source: EC2 API Reference, CreateVolume; Amazon EBS User Guide, "Create an
// Amazon EBS volume".
func (s *Service) CreateVolume(ctx context.Context, c *guard.Call, in *ec2api.CreateVolumeRequest) (*ec2api.Volume, error) {
	plain := *in
	plain.ClientToken, plain.DryRun = nil, nil
	hash := idiom.Fingerprint(plain)
	tags, err := tagSpecs(c, in.TagSpecifications, "volume")
	if err != nil {
		return nil, err
	}
	var (
		out *ec2api.Volume
		j   *job
	)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		out, j = nil, nil
		v, d, err := s.draftVolume(tx, c, in)
		if err != nil {
			return err
		}
		if j, err = s.volumeJob(tx, c, d, &v, tags["volume"]); err != nil {
			return err
		}
		if err := s.allowCreate(tx, c, d, &v, tags["volume"]); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		known, ok, err := knownToken(tx, c, "CreateVolume", in.ClientToken, hash)
		if err != nil {
			return err
		}
		if ok {
			j = nil
			out, err = s.knownVolume(tx, c, known)
			return err
		}
		if err := s.putNewVolume(tx, c, &v, tags["volume"], j); err != nil {
			return err
		}
		if in.ClientToken != nil {
			if err := idiom.Tokens.Put(tx, idiom.TokenRecord{Hash: hash, IDs: []string{v.ID}, Made: s.g.Now()}, c.Region, c.Account(), "CreateVolume", *in.ClientToken); err != nil {
				return err
			}
		}
		out = new(v.wire(nil))
		out.Tags = madeWith(tags["volume"])
		c.Touch(v.arn(), v.Account, "AWS::EC2::Volume")
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if j != nil {
		if v := j.State.Volumes()[0]; v.Encrypted && in.KmsKeyId == nil {
			out.KmsKeyId = s.keyShown(ctx, c, v.KeyID)
		}
		s.counted(j.Host, 1) // before the job is another goroutine's
		s.schedule(j)
	}
	return out, nil
}

// draftVolume is the volume that a request asks for, with every error that EC2 reports at once.
func (s *Service) draftVolume(tx store.Tx, c *guard.Call, in *ec2api.CreateVolumeRequest) (v volumeRecord, d *newDevice, err error) {
	switch {
	case api.Val(in.OutpostArn) != "":
		return v, nil, apierr.New("UnsupportedOperation", "This server has no Outposts.")
	}
	if err := idiom.NoOperator(in.Operator); err != nil {
		return v, nil, err
	}
	if err := checkInitRate(in.VolumeInitializationRate, api.Val(in.SnapshotId) != ""); err != nil {
		return v, nil, err
	}
	where, err := s.volumeZone(c, api.Val(in.AvailabilityZone), api.Val(in.AvailabilityZoneId))
	if err != nil {
		return v, nil, err
	}
	d = &newDevice{encrypted: in.Encrypted, keyID: api.Val(in.KmsKeyId), initRate: api.Val(in.VolumeInitializationRate), perf: performance{
		Type: api.Val(in.VolumeType), SizeGiB: int64(api.Val(in.Size)), IOPS: in.Iops, Throughput: in.Throughput,
	}}
	if d.perf.Type == "" {
		d.perf.Type = defaultVolumeType
	}
	if err := s.fill(tx, c, d, api.Val(in.SnapshotId)); err != nil {
		return v, nil, err
	}
	switch {
	case d.perf.SizeGiB == 0 && in.Size == nil:
		return v, nil, apierr.New("MissingParameter", "The request must contain the parameter size or snapshotId")
	case d.snapshot != nil && d.perf.SizeGiB < d.snapshot.SizeGiB:
		return v, nil, invalidValue("Volume of %dGiB is smaller than snapshot '%s', expect size >= %dGiB", d.perf.SizeGiB, d.snapshot.ID, d.snapshot.SizeGiB)
	}
	if d.iops, d.rate, err = d.perf.settle(); err != nil {
		return v, nil, err
	}
	v = s.newVolume(c, d, &launchPlan{subnet: subnet{Zone: where.Name, ZoneID: where.ID}})
	if v.Host, err = s.hostFor(); err != nil {
		return v, nil, err
	}
	v.Token, v.Work, v.MultiAttach = api.Val(in.ClientToken), launch.CreateVolume, api.Val(in.MultiAttachEnabled)
	if v.MultiAttach && v.Type != "io1" && v.Type != "io2" {
		return v, nil, errMultiAttach(v.Type)
	}
	return v, d, nil
}

func (s *Service) volumeZone(c *guard.Call, name, id string) (zone.Zone, error) {
	if name == "" && id == "" {
		return zone.Zone{}, apierr.New("MissingParameter", "The request must contain the parameter AvailabilityZone")
	}
	for _, z := range zone.Of(c.Region) {
		if (name == "" || z.Name == name) && (id == "" || z.ID == id) {
			return z, nil
		}
	}
	return zone.Zone{}, apierr.Newf("InvalidZone.NotFound", "The zone '%s' does not exist.", name+id)
}

// volumeJob is the job that makes a volume.
func (s *Service) volumeJob(tx store.Tx, c *guard.Call, d *newDevice, v *volumeRecord, tags []tag) (*job, error) {
	defaults, err := s.encryptionDefaults(tx, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	spec := launch.Spec{
		Operation: launch.CreateVolume, Region: c.Region, Account: c.Account(), Defaults: defaults,
		Devices: []launch.Device{d.device(v.ID, c.Account())},
	}
	j, err := newJob(spec, v.ID, c.ID, c.Caller, s.g.Now().Add(s.timing.Volume))
	if err != nil {
		return nil, err
	}
	v.Encrypted, j.Host = j.State.Volumes()[0].Encrypted, v.Host
	j.Drafts = []draft{{*v, tags}}
	return j, nil
}

func (s *Service) allowCreate(tx store.Tx, c *guard.Call, d *newDevice, v *volumeRecord, tags []tag) error {
	p := s.newVolumePart(c, "ec2:CreateVolume", d, v.Encrypted, subnet{Zone: v.Zone, ZoneID: v.ZoneID}, tags)
	if d.keyID != "" {
		p.Context.Set("ec2:kmskeyid", d.keyID)
	}
	parts := []authz.Part{p}
	if d.snapshot != nil {
		of, err := tagsOf(tx, c.Region, c.Account(), d.snapshot.ID)
		if err != nil {
			return err
		}
		parts = append(parts, s.snapshotPart(c, "ec2:CreateVolume", d.snapshot, of))
	}
	if len(tags) > 0 {
		parts = append(parts, s.createTagsPart(c, "volume/*", tags, "CreateVolume"))
	}
	_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

func (s *Service) putNewVolume(tx store.Tx, c *guard.Call, v *volumeRecord, tags []tag, j *job) error {
	if err := putVolume(tx, *v); err != nil {
		return err
	}
	if err := putTags(tx, c.Region, c.Account(), v.ID, tags); err != nil {
		return err
	}
	return s.putJob(tx, j)
}

// knownVolume is the volume of an earlier request with the same client token. One that is gone
// again cannot be asked for with that token.
func (s *Service) knownVolume(tx store.Tx, c *guard.Call, t idiom.TokenRecord) (*ec2api.Volume, error) {
	v, ok, err := volumeTable.Get(tx, c.Region, c.Account(), t.IDs[0])
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errTokenMismatch()
	}
	tags, err := tagsOf(tx, c.Region, c.Account(), v.ID)
	out := new(v.wire(nil))
	out.Tags = listed(tags)
	return out, err
}
