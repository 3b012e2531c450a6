package ec2

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// States of a modification. Source: EC2 API Reference, VolumeModification.
const (
	modifying    = "modifying"
	optimizing   = "optimizing"
	modified     = "completed"
	modifyFailed = "failed"
)

// How often a volume may be modified.
// Source: Amazon EBS User Guide, "Modify an Amazon EBS volume using Elastic Volumes operations", limitations.
const (
	maxModifications = 4
	modifyWindow     = 24 * time.Hour
)

// A shape is what a modification can change of a volume.
type shape struct {
	SizeGiB     int64  `json:"sizeGiB"`
	Type        string `json:"type"`
	IOPS        int32  `json:"iops,omitempty"`
	Throughput  int32  `json:"throughput,omitempty"`
	MultiAttach bool   `json:"multiAttach,omitempty"`
}

// A modification is the latest one of a volume.
type modification struct {
	State   string    `json:"state"`
	Message string    `json:"message,omitempty"`
	From    shape     `json:"from"`
	To      shape     `json:"to"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end,omitzero"`
}

func (v *volumeRecord) shape() shape {
	return shape{v.SizeGiB, v.Type, v.IOPS, v.Throughput, v.MultiAttach}
}

// ModifyVolume changes size, type and performance of a volume, attached or not. It answers at once; the
// volume has its new shape when the modification is optimizing. Encryption and key never change.
// Source: EC2 API Reference, ModifyVolume.
func (s *Service) ModifyVolume(ctx context.Context, c *guard.Call, in *ec2api.ModifyVolumeRequest) (*ec2api.ModifyVolumeResult, error) {
	var v volumeRecord
	out := &ec2api.ModifyVolumeResult{}
	err := s.g.Update(ctx, c, func(tx store.Tx) (err error) {
		if v, err = s.changeVolume(tx, c, api.Val(in.VolumeId), in.DryRun, modifyAttributes(in)); err != nil {
			return err
		}
		if err := s.here(&v); err != nil {
			return err
		}
		to, err := v.reshape(in)
		if err != nil {
			return err
		}
		if err := v.boots(tx, to.Type); err != nil {
			return err
		}
		now := s.g.Now()
		if err := v.modifiable(now); err != nil {
			return err
		}
		v.Modification = &modification{State: modifying, From: v.shape(), To: to, Start: now}
		v.Modified = append(v.recent(now), now)
		out.VolumeModification = new(v.modificationWire(now))
		c.Respond(out)
		return putVolume(tx, v)
	})
	if err != nil {
		return nil, err
	}
	s.advanceLater(&v)
	return out, nil
}

// modifyAttributes are the attributes that a request sets, by name.
func modifyAttributes(in *ec2api.ModifyVolumeRequest) map[string]string {
	set := map[string]string{}
	number := func(name string, value *int32) {
		if value != nil {
			set[name] = strconv.Itoa(int(*value))
		}
	}
	number("Size", in.Size)
	number("Iops", in.Iops)
	number("Throughput", in.Throughput)
	if in.VolumeType != nil {
		set["VolumeType"] = *in.VolumeType
	}
	if in.MultiAttachEnabled != nil {
		set["MultiAttachEnabled"] = strconv.FormatBool(*in.MultiAttachEnabled)
	}
	return set
}

// changeVolume decides the call's action, which sets attributes, on a volume of the caller.
// Source: EC2 User Guide, "ec2:Attribute condition key".
func (s *Service) changeVolume(tx store.Tx, c *guard.Call, id string, flag *bool, set map[string]string) (volumeRecord, error) {
	v, err := s.lookupVolume(tx, c, id)
	if err != nil {
		return v, err
	}
	p, err := s.volumePart(tx, c, "ec2:"+c.Operation, &v)
	if err != nil {
		return v, err
	}
	for name, value := range set {
		p.Context.Set("ec2:attribute/"+name, value)
	}
	if names := slices.Sorted(maps.Keys(set)); len(names) > 0 {
		p.Context.Set("ec2:attribute", strings.Join(names, ","))
	}
	if _, err := s.g.Allow(tx, c, p); err != nil {
		return v, err
	}
	return v, dryRun(flag)
}

// recent are the beginnings of modifications that count.
func (v *volumeRecord) recent(now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(v.Modified), func(t time.Time) bool { return now.Sub(t) >= modifyWindow })
}

// modifiable is EC2's refusal to modify a volume.
func (v *volumeRecord) modifiable(now time.Time) error {
	m := v.Modification
	switch {
	case v.State != volumeAvailable && v.State != volumeInUse:
		return apierr.Newf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	case m != nil && (m.State == modifying || m.State == optimizing):
		return apierr.Newf("IncorrectModificationState", "Volume %s cannot be modified in modification state %s", v.ID, strings.ToUpper(m.State))
	case len(v.recent(now)) >= maxModifications:
		return apierr.New("VolumeModificationRateExceeded",
			"You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.")
	}
	return nil
}

// reshape is what a request makes of a volume. What it does not name stays, or becomes what EBS chooses
// for another type. Clients send IOPS of 0 for what they leave open: Terraform's provider does.
func (v *volumeRecord) reshape(in *ec2api.ModifyVolumeRequest) (shape, error) {
	to := v.shape()
	if in.Size == nil && in.VolumeType == nil && in.Iops == nil && in.Throughput == nil && in.MultiAttachEnabled == nil {
		return to, apierr.New("MissingParameter", "The request must contain at least one of size, volumeType, iops, throughput and multiAttachEnabled")
	}
	if in.Size != nil {
		to.SizeGiB = int64(*in.Size)
	}
	to.Type = cmp.Or(api.Val(in.VolumeType), v.Type)
	if to.SizeGiB < v.SizeGiB {
		return to, invalidValue("New size cannot be smaller than existing size")
	}
	want := performance{Type: to.Type, SizeGiB: to.SizeGiB, IOPS: api.Opt(api.Val(in.Iops)), Throughput: in.Throughput}
	v.keepPerformance(&want)
	var err error
	if to.IOPS, to.Throughput, err = want.settle(); err != nil {
		return to, err
	}
	if in.MultiAttachEnabled != nil {
		to.MultiAttach = *in.MultiAttachEnabled
	}
	switch {
	case v.MultiAttach && to.Type != v.Type:
		return to, apierr.New("UnsupportedOperation", "The type of a volume with Multi-Attach cannot be changed.")
	case v.MultiAttach && v.Type == "io1" && (to.SizeGiB != v.SizeGiB || to.IOPS != v.IOPS):
		return to, apierr.New("UnsupportedOperation", "Size and IOPS of an io1 volume with Multi-Attach cannot be changed.")
	case to.MultiAttach && to.Type != "io1" && to.Type != "io2":
		return to, errMultiAttach(to.Type)
	case to.MultiAttach != v.MultiAttach && v.Type != "io2":
		return to, apierr.New("UnsupportedOperation", "Multi-Attach can be changed after creation for io2 volumes only.")
	case to.MultiAttach != v.MultiAttach && len(v.Plugs) > 0:
		return to, apierr.Newf("VolumeInUse", "Volume %s is currently attached to %s", v.ID, v.Plugs[0].Instance)
	}
	return to, nil
}

// keepPerformance fills in what a request leaves open: within a type the volume keeps its IOPS and
// throughput; from gp2 to gp3 it gets at least what it had, and another type is given 3000 IOPS.
// Source: EC2 API Reference, ModifyVolume, Iops and Throughput; Amazon EBS User Guide, "Migrate from gp2 to gp3".
func (v *volumeRecord) keepPerformance(want *performance) {
	gp3 := want.Type == "gp3"
	switch provisioned := gp3 || want.Type == "io1" || want.Type == "io2"; {
	case !provisioned:
	case want.IOPS == nil && v.Type == want.Type:
		want.IOPS = api.Opt(v.IOPS)
	case want.IOPS == nil && gp3 && v.Type == "gp2" && v.IOPS > 3000:
		want.IOPS = new(v.IOPS)
	case want.IOPS == nil:
		want.IOPS = new(int32(3000))
	}
	if !gp3 || want.Throughput != nil {
		return
	}
	switch {
	case v.Type == "gp3":
		want.Throughput = api.Opt(v.Throughput)
	case v.Type == "gp2" && v.SizeGiB > 170:
		want.Throughput = new(int32(250))
	}
}

// boots refuses a hard disk as the root volume of an instance.
// Source: Amazon EBS User Guide, "Requirements for Amazon EBS volume modifications", Limitations.
func (v *volumeRecord) boots(tx store.Tx, kind string) error {
	if kind != "st1" && kind != "sc1" || kind == v.Type {
		return nil
	}
	for _, p := range v.Plugs {
		i, ok, err := instanceTable.Get(tx, v.Region, v.Account, p.Instance)
		if err != nil {
			return err
		}
		if ok && i.RootDevice == p.Device {
			return invalidValue("Volume %s is a root volume: it cannot be modified to the type %s.", v.ID, kind)
		}
	}
	return nil
}

func errMultiAttach(kind string) error {
	return apierr.Newf("InvalidParameterCombination", "The parameter multiAttachEnabled is not supported for %s volumes.", kind)
}

// advanceLater sets the timer of a modification's next state.
func (s *Service) advanceLater(v *volumeRecord) {
	m := v.Modification
	if m == nil || m.State == modified || m.State == modifyFailed {
		return
	}
	due := m.Start.Add(s.timing.Volume)
	if m.State == optimizing {
		due = due.Add(s.timing.Optimize)
	}
	region, account, id := v.Region, v.Account, v.ID
	s.clock.AfterFunc(max(0, due.Sub(s.g.Now())), func() { s.reshapeNext(region, account, id) })
}

// reshapeNext takes a modification to its next state. The file is made larger before the volume says so.
func (s *Service) reshapeNext(region, account, id string) {
	s.later("a modification does not go on", id, func(ctx context.Context) (aftermath, error) {
		var v volumeRecord
		var ok bool
		err := s.g.Read(ctx, func(tx store.Tx) (err error) {
			v, ok, err = volumeTable.Get(tx, region, account, id)
			return err
		})
		if err != nil || !ok || v.Modification == nil {
			return aftermath{}, err
		}
		var failure string
		if v.Modification.State == modifying && v.Modification.To.SizeGiB > v.SizeGiB {
			switch err := s.rack(v.Host).Grow(ctx, id, v.Modification.To.SizeGiB*gibibyte); {
			case errors.Is(err, fs.ErrNotExist):
				return aftermath{}, nil // it is being deleted
			case interrupted(err), errors.Is(err, hosts.ErrAway):
				return aftermath{}, err
			case err != nil:
				s.log.Error("a volume could not be made larger", "volume", id, "error", err)
				failure = "An internal error has occurred"
			}
		}
		err = s.g.Change(ctx, func(tx store.Tx) (err error) {
			if v, ok, err = volumeTable.Get(tx, region, account, id); err != nil || !ok || v.Modification == nil {
				return err
			}
			v.advance(failure, s.g.Now())
			return putVolume(tx, v)
		})
		if err == nil && ok {
			s.advanceLater(&v)
		}
		return aftermath{}, err
	}, region, account)
}

// advance is the step of a modification's state.
func (v *volumeRecord) advance(failure string, now time.Time) {
	m := *v.Modification
	v.Modification = &m
	switch {
	case failure != "":
		m.State, m.Message, m.End = modifyFailed, failure, now
	case m.State == modifying:
		m.State = optimizing
		v.SizeGiB, v.Type, v.IOPS, v.Throughput, v.MultiAttach = m.To.SizeGiB, m.To.Type, m.To.IOPS, m.To.Throughput, m.To.MultiAttach
	case m.State == optimizing:
		m.State, m.End = modified, now
	}
}

// modificationWire is the latest modification of a volume as answers carry it.
func (v *volumeRecord) modificationWire(now time.Time) ec2api.VolumeModification {
	m := v.Modification
	out := ec2api.VolumeModification{
		VolumeId: &v.ID, Operator: idiom.Unmanaged(), ModificationState: &m.State, StatusMessage: api.Opt(m.Message), StartTime: &m.Start, Progress: new(int64(0)),
		OriginalSize: new(int32(m.From.SizeGiB)), OriginalVolumeType: &m.From.Type, OriginalIops: api.Opt(m.From.IOPS),
		OriginalThroughput: api.Opt(m.From.Throughput), OriginalMultiAttachEnabled: &m.From.MultiAttach,
		TargetSize: new(int32(m.To.SizeGiB)), TargetVolumeType: &m.To.Type, TargetIops: api.Opt(m.To.IOPS),
		TargetThroughput: api.Opt(m.To.Throughput), TargetMultiAttachEnabled: &m.To.MultiAttach,
	}
	switch m.State {
	case optimizing: // half-way at least: the volume has its new shape
		out.Progress = new(int64(50))
	case modified:
		out.Progress, out.EndTime = new(int64(100)), &m.End
	case modifyFailed:
		out.EndTime = &m.End
	}
	return out
}

// modificationFields are the filters of DescribeVolumesModifications.
func modificationFields() fields[*volumeRecord] {
	number := func(get func(*modification) int64) func(*volumeRecord) []string {
		return func(v *volumeRecord) []string { return []string{strconv.FormatInt(get(v.Modification), 10)} }
	}
	return fields[*volumeRecord]{
		"volume-id":                     func(v *volumeRecord) []string { return oneOf(v.ID) },
		"modification-state":            func(v *volumeRecord) []string { return oneOf(v.Modification.State) },
		"original-size":                 number(func(m *modification) int64 { return m.From.SizeGiB }),
		"original-iops":                 number(func(m *modification) int64 { return int64(m.From.IOPS) }),
		"original-volume-type":          func(v *volumeRecord) []string { return oneOf(v.Modification.From.Type) },
		"original-multi-attach-enabled": func(v *volumeRecord) []string { return boolOf(v.Modification.From.MultiAttach) },
		"target-size":                   number(func(m *modification) int64 { return m.To.SizeGiB }),
		"target-iops":                   number(func(m *modification) int64 { return int64(m.To.IOPS) }),
		"target-volume-type":            func(v *volumeRecord) []string { return oneOf(v.Modification.To.Type) },
		"target-multi-attach-enabled":   func(v *volumeRecord) []string { return boolOf(v.Modification.To.MultiAttach) },
		"start-time":                    func(v *volumeRecord) []string { return oneOf(apiTime(v.Modification.Start)) },
	}
}

// DescribeVolumesModifications describes the latest modification of volumes. Asked by id about a volume
// that was never modified, it refuses. Source: EC2 API Reference, DescribeVolumesModifications.
func (s *Service) DescribeVolumesModifications(ctx context.Context, c *guard.Call, in *ec2api.DescribeVolumesModificationsRequest) (*ec2api.DescribeVolumesModificationsResult, error) {
	out := &ec2api.DescribeVolumesModificationsResult{}
	err := s.viewList(ctx, c, "ec2:DescribeVolumesModifications", in.DryRun, func(tx store.Tx) error {
		out.VolumesModifications = []ec2api.VolumeModification{}
		pass, err := modificationFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		found, err := s.selectVolumes(tx, c, in.VolumeIds)
		if err != nil {
			return err
		}
		var kept []*volumeRecord
		for _, v := range found {
			switch {
			case v.Modification == nil && len(in.VolumeIds) > 0:
				return apierr.Newf("InvalidVolumeModification.NotFound", "Modification for volume '%s' does not exist.", v.ID)
			case v.Modification != nil && pass(v, nil):
				kept = append(kept, v)
			}
		}
		kept, out.NextToken, err = paginate(c.Operation, kept, func(v *volumeRecord) string { return v.ID }, limits{1, 500}, in.MaxResults, in.NextToken)
		for _, v := range kept {
			out.VolumesModifications = append(out.VolumesModifications, v.modificationWire(s.g.Now()))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ModifyVolumeAttribute says whether I/O goes on by itself after EBS found a volume inconsistent, which no
// volume here ever is.
func (s *Service) ModifyVolumeAttribute(ctx context.Context, c *guard.Call, in *ec2api.ModifyVolumeAttributeRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		var set map[string]string
		if in.AutoEnableIO != nil {
			set = map[string]string{"AutoEnableIO": strconv.FormatBool(api.Val(in.AutoEnableIO.Value))}
		}
		v, err := s.changeVolume(tx, c, api.Val(in.VolumeId), in.DryRun, set)
		if err != nil {
			return err
		}
		if in.AutoEnableIO == nil || in.AutoEnableIO.Value == nil {
			return apierr.New("MissingParameter", "The request must contain the parameter AutoEnableIO")
		}
		v.AutoIO = *in.AutoEnableIO.Value
		return putVolume(tx, v)
	})
}

// EnableVolumeIO lets I/O go on; it always does. Source: EC2 API Reference, EnableVolumeIO.
func (s *Service) EnableVolumeIO(ctx context.Context, c *guard.Call, in *ec2api.EnableVolumeIORequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		_, err := s.changeVolume(tx, c, api.Val(in.VolumeId), in.DryRun, nil)
		return err
	})
}
