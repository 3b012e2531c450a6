package ec2

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// volumeOperations are the handlers of volumes.
func (s *Service) volumeOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateVolume":    guard.Handle(s.CreateVolume),
		"DeleteVolume":    guard.HandleVoid(s.DeleteVolume),
		"DescribeVolumes": guard.Handle(s.DescribeVolumes),
		"AttachVolume":    guard.Handle(s.AttachVolume),
		"DetachVolume":    guard.Handle(s.DetachVolume),

		"DescribeVolumeStatus":    guard.Handle(s.DescribeVolumeStatus),
		"DescribeVolumeAttribute": guard.Handle(s.DescribeVolumeAttribute),

		"ModifyVolume":                 guard.Handle(s.ModifyVolume),
		"DescribeVolumesModifications": guard.Handle(s.DescribeVolumesModifications),
		"ModifyVolumeAttribute":        guard.HandleVoid(s.ModifyVolumeAttribute),
		"EnableVolumeIO":               guard.HandleVoid(s.EnableVolumeIO),
		"CopyVolumes":                  guard.Handle(s.CopyVolumes),
	}
}

// wire is a volume as answers carry it. Until it is made it shows the key as it was asked for.
func (v *volumeRecord) wire(tags map[string]string) ec2api.Volume {
	out := ec2api.Volume{
		VolumeId: &v.ID, Size: new(int32(v.SizeGiB)), SnapshotId: &v.Snapshot, AvailabilityZone: &v.Zone, AvailabilityZoneId: &v.ZoneID,
		State: &v.State, CreateTime: &v.Created, Encrypted: &v.Encrypted, VolumeType: &v.Type, MultiAttachEnabled: &v.MultiAttach,
		Iops: api.Opt(v.IOPS), Throughput: api.Opt(v.Throughput), Tags: apiTags(tags), KmsKeyId: api.Opt(v.KeyID),
		FastRestored: &v.FastRestored, SourceVolumeId: api.Opt(v.SourceVolume), VolumeInitializationRate: api.Opt(v.InitRate), Attachments: []ec2api.VolumeAttachment{},
		Operator: idiom.Unmanaged(),
	}
	if v.State != volumeCreating {
		out.KmsKeyId = api.Opt(v.KeyARN)
	}
	for n := range v.Plugs {
		out.Attachments = append(out.Attachments, *v.attachment(&v.Plugs[n], v.Plugs[n].State))
	}
	return out
}

// attachment is an attachment of the volume in a state.
func (v *volumeRecord) attachment(p *plug, state string) *ec2api.VolumeAttachment {
	return &ec2api.VolumeAttachment{
		VolumeId: &v.ID, InstanceId: &p.Instance, Device: &p.Device, State: &state, AttachTime: wholeSecond(p.Since),
		DeleteOnTermination: &p.DeleteOnTermination, EbsCardIndex: new(int32(0)),
	}
}

// lookupVolume finds a volume of the caller.
func (s *Service) lookupVolume(tx store.Tx, c *guard.Call, id string) (volumeRecord, error) {
	if rest, ok := strings.CutPrefix(id, "vol-"); !ok || !isHex(rest) {
		return volumeRecord{}, invalidValue("Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id)
	}
	v, ok, err := volumeTable.Get(tx, c.Region, c.Account(), id)
	if err == nil && !ok {
		err = errNoVolume(id)
	}
	return v, err
}

func errNoVolume(ids ...string) error {
	if len(ids) > 1 {
		return apierr.Newf("InvalidVolume.NotFound", "The volumes '%s' do not exist.", strings.Join(ids, ", "))
	}
	return apierr.Newf("InvalidVolume.NotFound", "The volume '%s' does not exist.", ids[0])
}

// volumePart is the evaluation of an action on a volume.
func (s *Service) volumePart(tx store.Tx, c *guard.Call, action string, v *volumeRecord) (authz.Part, error) {
	tags, err := tagsOf(tx, v.Region, v.Account, v.ID)
	if err != nil {
		return authz.Part{}, err
	}
	return s.volumePartTagged(c, action, v, tags), nil
}

// volumePartTagged is volumePart for a volume whose tags are known.
func (s *Service) volumePartTagged(c *guard.Call, action string, v *volumeRecord, tags map[string]string) authz.Part {
	c.Touch(v.arn(), v.Account, "AWS::EC2::Volume")
	p := s.part(c, action, "volume/"+v.ID, tags)
	v.describe(&p)
	return p
}

// describe puts a volume's condition keys into a part.
func (v *volumeRecord) describe(p *authz.Part) {
	p.Context.Set("ec2:volumeid", v.ID)
	p.Context.SetBool("ec2:encrypted", v.Encrypted)
	p.Context.Set("ec2:volumesize", strconv.FormatInt(v.SizeGiB, 10))
	p.Context.Set("ec2:volumetype", v.Type)
	if v.IOPS > 0 {
		p.Context.Set("ec2:volumeiops", strconv.Itoa(int(v.IOPS)))
	}
	if v.Throughput > 0 {
		p.Context.Set("ec2:volumethroughput", strconv.Itoa(int(v.Throughput)))
	}
	if v.InitRate > 0 {
		p.Context.Set("ec2:volumeinitializationrate", strconv.Itoa(int(v.InitRate)))
	}
	p.Context.Set("ec2:availabilityzone", v.Zone)
	p.Context.Set("ec2:availabilityzoneid", v.ZoneID)
	if v.SourceVolume != "" {
		p.Context.Set("ec2:parentvolume", arn.EC2(v.Region, v.Account, "volume/"+v.SourceVolume))
	}
	if v.Snapshot != "" {
		p.Context.Set("ec2:parentsnapshot", arn.EC2(v.Region, "", "snapshot/"+v.Snapshot))
	}
}

// DeleteVolume deletes a volume that is not attached, and its data.
func (s *Service) DeleteVolume(ctx context.Context, c *guard.Call, in *ec2api.DeleteVolumeRequest) error {
	id := api.Val(in.VolumeId)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.lookupVolume(tx, c, id)
		if err != nil {
			return err
		}
		p, err := s.volumePart(tx, c, "ec2:DeleteVolume", &v)
		if err != nil {
			return err
		}
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		switch {
		case len(v.Plugs) > 0:
			return apierr.Newf("VolumeInUse", "Volume %s is currently attached to %s", v.ID, v.Plugs[0].Instance)
		case v.State != volumeAvailable && v.State != volumeError || v.Work != "":
			return apierr.Newf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
		}
		if err := s.here(&v); err != nil && !s.lost(v.Host) { // a lost host finds out when it is there again
			return err
		}
		v.State = volumeDeleting
		return putVolume(tx, v)
	})
	if err != nil {
		return err
	}
	if err := s.removeVolume(ctx, c.Region, c.Account(), id); err != nil {
		s.log.Error("a volume stays in state deleting until the next start", "volume", id, "error", err)
	}
	return nil
}

// volumeFields are the filters of DescribeVolumes. Source: EC2 API Reference, DescribeVolumes.
func volumeFields() fields[*volumeRecord] {
	text := func(get func(*volumeRecord) string) func(*volumeRecord) []string {
		return func(v *volumeRecord) []string { return oneOf(get(v)) }
	}
	plugged := func(get func(*plug) string) func(*volumeRecord) []string {
		return func(v *volumeRecord) []string {
			var out []string
			for n := range v.Plugs {
				out = append(out, get(&v.Plugs[n]))
			}
			return out
		}
	}
	return fields[*volumeRecord]{
		"attachment.attach-time":           plugged(func(p *plug) string { return p.Since.UTC().Format("2006-01-02T15:04:05.000Z") }),
		"attachment.delete-on-termination": plugged(func(p *plug) string { return strconv.FormatBool(p.DeleteOnTermination) }),
		"attachment.device":                plugged(func(p *plug) string { return p.Device }),
		"attachment.instance-id":           plugged(func(p *plug) string { return p.Instance }),
		"attachment.status":                plugged(func(p *plug) string { return p.State }),
		"availability-zone":                text(func(v *volumeRecord) string { return v.Zone }),
		"availability-zone-id":             text(func(v *volumeRecord) string { return v.ZoneID }),
		"create-time":                      text(func(v *volumeRecord) string { return v.Created.UTC().Format("2006-01-02T15:04:05.000Z") }),
		"encrypted":                        func(v *volumeRecord) []string { return boolOf(v.Encrypted) },
		"fast-restored":                    func(v *volumeRecord) []string { return boolOf(v.FastRestored) },
		"multi-attach-enabled":             func(v *volumeRecord) []string { return boolOf(v.MultiAttach) },
		"source-volume-id":                 text(func(v *volumeRecord) string { return v.SourceVolume }),
		"operator.managed":                 fixed[*volumeRecord]("false"),
		"operator.principal":               fixed[*volumeRecord](),
		"size":                             func(v *volumeRecord) []string { return intOf(v.SizeGiB) },
		"snapshot-id":                      text(func(v *volumeRecord) string { return v.Snapshot }),
		"status":                           text(func(v *volumeRecord) string { return v.State }),
		"volume-id":                        text(func(v *volumeRecord) string { return v.ID }),
		"volume-type":                      text(func(v *volumeRecord) string { return v.Type }),
	}
}

// DescribeVolumes describes volumes.
func (s *Service) DescribeVolumes(ctx context.Context, c *guard.Call, in *ec2api.DescribeVolumesRequest) (*ec2api.DescribeVolumesResult, error) {
	pass, err := volumeFields().Filter(in.Filters)
	if err != nil {
		return nil, err
	}
	if len(in.VolumeIds) > 0 && in.MaxResults != nil {
		return nil, errIDsAndPage("volumesSet")
	}
	out := &ec2api.DescribeVolumesResult{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		out.Volumes = []ec2api.Volume{}
		if err := s.allowDry(tx, c, "ec2:DescribeVolumes", in.DryRun); err != nil {
			return err
		}
		found, err := s.selectVolumes(tx, c, in.VolumeIds)
		if err != nil {
			return err
		}
		tags, err := s.tagsFor(tx, c, in.VolumeIds)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(v *volumeRecord) bool { return !pass(v, tags[v.ID]) })
		order := func(v *volumeRecord) string { return v.Created.UTC().Format("2006-01-02T15:04:05.000000000") + v.ID }
		found, out.NextToken, err = paginate("DescribeVolumes", found, order, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, v := range found {
			out.Volumes = append(out.Volumes, v.wire(tags[v.ID]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// selectVolumes reads the volumes with the ids, each with one read, or all.
func (s *Service) selectVolumes(tx store.Tx, c *guard.Call, ids []string) ([]*volumeRecord, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	read := readVolumes(tx, c.Region, c.Account())
	if len(ids) == 0 {
		var all []*volumeRecord
		for r, err := range volumeTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return nil, err
			}
			all = append(all, &r.Value)
		}
		return all, nil
	}
	var out []*volumeRecord
	var missing []string
	for _, id := range ids {
		if rest, ok := strings.CutPrefix(id, "vol-"); !ok || !isHex(rest) {
			return nil, invalidValue("Value (%s) for parameter volumes is invalid. Expected: 'vol-...'.", id)
		}
		v, ok, err := read(id)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, id)
			continue
		}
		out = append(out, &v)
	}
	if len(missing) > 0 {
		return nil, errNoVolume(missing...)
	}
	return out, nil
}
