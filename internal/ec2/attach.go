package ec2

import (
	"context"
	"errors"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// AttachVolume attaches a volume to an instance. The caller makes the grant with which the
// instance gets the data key: unlike a launch it is told at once if that fails.
// Source: EC2 API Reference, AttachVolume; Amazon EBS User Guide, "Unusable KMS keys".
func (s *Service) AttachVolume(ctx context.Context, c *guard.Call, in *ec2api.AttachVolumeRequest) (*ec2api.VolumeAttachment, error) {
	if err := checkEBSCard(in.EbsCardIndex); err != nil {
		return nil, err
	}
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	defer s.locks.Lock(api.Val(in.InstanceId), api.Val(in.VolumeId))()
	var (
		j       *job
		resting bool
	)
	attach := func(tx store.Tx) error {
		v, i, err := s.findPair(tx, c, "ec2:AttachVolume", api.Val(in.VolumeId), api.Val(in.InstanceId), in.DryRun)
		if err != nil {
			return err
		}
		if err := attachable(&v, &i, api.Val(in.Device)); err != nil {
			return err
		}
		if err := s.here(&v); err != nil {
			return err
		}
		switch {
		case !s.ours(i.Host):
			return apierr.Newf("UnsupportedOperation", "Volume %s and instance %s are on different hosts.", v.ID, i.ID)
		case s.room == nil || v.Host == i.Host:
		case len(v.Plugs) == 0:
			return &elsewhere{v, i.Host}
		default:
			if err := s.abroad(&v, &i); err != nil {
				return err
			}
		}
		resting = i.State == stopped
		v.Plugs = append(v.Plugs, plug{Instance: i.ID, Device: *in.Device, State: plugAttaching, Since: s.g.Now()})
		v.State, v.Work = volumeInUse, launch.AttachVolume
		j, err = s.plugJob(tx, c, launch.AttachVolume, &v, i.ID)
		return err
	}
	err := s.g.Begin(ctx, c, attach)
	if far, ok := errors.AsType[*elsewhere](err); ok {
		if err = s.moveVolume(ctx, &far.volume, far.host); err == nil {
			err = s.g.Begin(ctx, c, attach)
		}
	}
	if err != nil {
		return nil, err
	}
	end, err := s.drive(ctx, j)
	if err != nil {
		s.schedule(j)
		return nil, err
	}
	if end.Fail != nil {
		if err := s.finish(ctx, j, end); err != nil {
			return nil, err
		}
		if end.Fail.Action == "" {
			return nil, apierr.New("InternalError", "An internal error has occurred")
		}
		return nil, apierr.New(launch.AttachError(j.Subject))
	}
	if err := s.finishAs(ctx, c, j, end); err != nil {
		return nil, err
	}
	if resting {
		if err := s.rest(ctx, j); err != nil {
			return nil, err
		}
	}
	return s.attachmentNow(ctx, j, plugAttaching)
}

// abroad refuses a volume with Multi-Attach to an instance on another host than the volume's, if that cannot be.
func (s *Service) abroad(v *volumeRecord, i *instanceRecord) error {
	switch {
	case s.absent(i.Host):
		return apierr.Newf("UnsupportedOperation", "Instance %s is on the host %s, which is not there.", i.ID, i.Host)
	case !s.room.skilled(hosts.Skill):
		return apierr.Newf("UnsupportedOperation", "Volume %s is attached to an instance on another host than that of %s, which nodes of an earlier version do not know.", v.ID, i.ID)
	}
	return nil
}

// findPair finds the volume and the instance of a request and decides the action on both.
func (s *Service) findPair(tx store.Tx, c *guard.Call, action, volumeID, instanceID string, flag *bool) (v volumeRecord, i instanceRecord, err error) {
	if v, err = s.lookupVolume(tx, c, volumeID); err != nil {
		return v, i, err
	}
	found, err := s.lookupInstances(tx, c, []string{instanceID})
	if err != nil {
		return v, i, err
	}
	i = found[0]
	p, err := s.volumePart(tx, c, action, &v)
	if err != nil {
		return v, i, err
	}
	tags, err := tagsOf(tx, i.Region, i.Account, i.ID)
	if err != nil {
		return v, i, err
	}
	c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	parts := []authz.Part{p, s.instancePart(c, action, &i, tags)}
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return v, i, err
	}
	return v, i, dryRun(flag)
}

// maxPlugs is how many instances can have a volume with Multi-Attach at a time.
// Source: Amazon EBS User Guide, "Attach an EBS volume to multiple EC2 instances using Multi-Attach".
const maxPlugs = 16

// attachable is EC2's refusal to attach a volume. Source: EC2 API Reference, "Error codes".
func attachable(v *volumeRecord, i *instanceRecord, device string) error {
	switch {
	case device == "":
		return apierr.New("MissingParameter", "The request must contain the parameter device")
	case !deviceName(device):
		return invalidValue("Value (%s) for parameter device is invalid. %s is not a valid EBS device name.", device, device)
	case v.plug(i.ID) != nil || !v.MultiAttach && len(v.Plugs) > 0:
		return apierr.Newf("VolumeInUse", "%s is already attached to an instance", v.ID)
	case len(v.Plugs) >= maxPlugs:
		return apierr.Newf("AttachmentLimitExceeded", "Volume %s is attached to %d instances, which is the most it can be.", v.ID, len(v.Plugs))
	case v.State != volumeAvailable && len(v.Plugs) == 0 || v.State == volumeError || v.Work != "":
		return apierr.Newf("IncorrectState", "%s is not 'available'.", v.ID)
	case i.State != running && i.State != stopped || i.Work != "":
		return apierr.Newf("IncorrectState", "Instance '%s' is not 'running'.", i.ID)
	case v.Zone != i.Zone:
		return apierr.Newf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.ID, i.ID)
	}
	if err := instancetype.CheckVolumes(i.Type, len(i.Devices)+1); err != nil {
		return err
	}
	if v.MultiAttach {
		switch kind, ok := instancetype.Lookup(i.Type); {
		case ok && !kind.OnNitro():
			return apierr.Newf("UnsupportedOperation", "Volume %s has Multi-Attach enabled: it can be attached only to instances built on the Nitro System, "+
				"and %s is not.", v.ID, i.Type)
		case device == i.RootDevice:
			return apierr.Newf("UnsupportedOperation", "Volume %s has Multi-Attach enabled: it cannot be the root volume of an instance.", v.ID)
		}
	}
	for _, d := range i.Devices {
		if d.Name == device {
			return invalidValue("Invalid value '%s' for unixDevice. Attachment point %s is already in use", device, device)
		}
	}
	return nil
}

// plugJob stores a volume and makes the job that attaches or detaches it.
func (s *Service) plugJob(tx store.Tx, c *guard.Call, op launch.Operation, v *volumeRecord, instance string) (*job, error) {
	p := v.plug(instance)
	spec := launch.Spec{
		Operation: op, Region: v.Region, Account: v.Account, InstanceID: instance,
		Devices: []launch.Device{v.device(p, p.DeleteOnTermination)},
	}
	j, err := newJob(spec, v.ID, c.ID, c.Caller, s.g.Now())
	if err != nil {
		return nil, err
	}
	j.Host = v.Host
	if err := putVolume(tx, *v); err != nil {
		return nil, err
	}
	return j, s.putJob(tx, j)
}

// rest takes the key of a volume away again that was attached to a stopped instance: nobody holds
// it until the instance starts, which needs a grant of whoever starts it. For one volume it is
// what StopInstances is for all.
func (s *Service) rest(ctx context.Context, j *job) error {
	spec := j.State.Spec()
	spec.Operation = launch.StopInstances
	spec.Devices[0].Grant = j.State.Volumes()[0].Attach
	back, err := newJob(spec, j.Subject, j.Request, ownCaller(), s.g.Now())
	if err != nil {
		return err
	}
	back.Host = j.Host
	end, err := s.drive(ctx, back)
	if err != nil {
		s.schedule(back)
		return err
	}
	return s.finish(ctx, back, end)
}

// restIfStopped is rest after an attachment that nobody waits for, if its instance is stopped. The
// instance is locked.
func (s *Service) restIfStopped(ctx context.Context, j *job) {
	resting := false
	err := s.g.Read(ctx, func(tx store.Tx) error {
		i, ok, err := instanceTable.Get(tx, j.Region, j.Account, j.State.Spec().InstanceID)
		resting = ok && i.State == stopped
		return err
	})
	if err == nil && resting {
		err = s.rest(ctx, j)
	}
	if err != nil && !interrupted(err) {
		s.log.Error("a volume of a stopped instance may keep its grant", "volume", j.Subject, "error", err)
	}
}

// attachmentNow answers with the attachment of a job's volume.
func (s *Service) attachmentNow(ctx context.Context, j *job, state string) (out *ec2api.VolumeAttachment, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) error {
		v, ok, err := volumeTable.Get(tx, j.Region, j.Account, j.Subject)
		if err != nil || !ok {
			return gone(j.Subject, err)
		}
		p := v.plug(j.State.Spec().InstanceID)
		if p == nil {
			return gone(j.Subject, nil)
		}
		out = v.attachment(p, state)
		return nil
	})
	return out, err
}

// DetachVolume detaches a volume: the host closes it and forgets its key, and the grant is retired.
func (s *Service) DetachVolume(ctx context.Context, c *guard.Call, in *ec2api.DetachVolumeRequest) (*ec2api.VolumeAttachment, error) {
	if !s.life.enter() {
		return nil, hosts.ErrDown
	}
	defer s.life.leave()
	id := api.Val(in.VolumeId)
	instance, err := s.pluggedInto(ctx, c, in)
	if err != nil {
		return nil, err
	}
	defer s.locks.Lock(instance, id)()
	var (
		j   *job
		out *ec2api.VolumeAttachment
	)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		v, err := s.lookupVolume(tx, c, id)
		if err != nil {
			return err
		}
		i, err := s.allowDetach(tx, c, &v, instance)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if err := detachable(&v, &i, instance, in); err != nil {
			return err
		}
		if err := s.here(&v); err != nil && (!s.lost(v.Host) || i.Host == v.Host) {
			return err
		}
		p := v.plug(instance)
		p.State, v.Work = plugDetaching, launch.DetachVolume
		out = v.attachment(p, plugDetaching)
		c.Respond(out)
		j, err = s.plugJob(tx, c, launch.DetachVolume, &v, instance)
		return err
	})
	if err != nil {
		return nil, err
	}
	end, err := s.drive(ctx, j)
	if err == nil {
		err = s.finish(ctx, j, end)
	}
	if err != nil { // it is recorded and goes on
		store.Report(ctx, s.log, "a volume is not detached yet", err, "volume", id)
		s.schedule(j)
	}
	return out, nil
}

// pluggedInto is the instance that a request detaches a volume from: the one that it names, else the
// one that has the volume; "" if there is none, or if there are several.
func (s *Service) pluggedInto(ctx context.Context, c *guard.Call, in *ec2api.DetachVolumeRequest) (instance string, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) error {
		instance = ""
		v, _, err := volumeTable.Get(tx, c.Region, c.Account(), api.Val(in.VolumeId))
		switch named := api.Val(in.InstanceId); {
		case v.plug(named) != nil:
			instance = named
		case len(v.Plugs) == 1:
			instance = v.Plugs[0].Instance
		}
		return err
	})
	return instance, err
}

// allowDetach decides ec2:DetachVolume on a volume and the instance that has it, which it returns.
func (s *Service) allowDetach(tx store.Tx, c *guard.Call, v *volumeRecord, instance string) (i instanceRecord, err error) {
	p, err := s.volumePart(tx, c, "ec2:DetachVolume", v)
	if err != nil {
		return i, err
	}
	parts := []authz.Part{p}
	if v.plug(instance) != nil {
		var ok bool
		if i, ok, err = instanceTable.Get(tx, v.Region, v.Account, instance); err != nil || !ok {
			return i, gone(instance, err)
		}
		tags, err := tagsOf(tx, i.Region, i.Account, i.ID)
		if err != nil {
			return i, err
		}
		parts = append(parts, s.instancePart(c, "ec2:DetachVolume", &i, tags))
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return i, err
}

// detachable is EC2's refusal to detach a volume.
func detachable(v *volumeRecord, i *instanceRecord, instance string, in *ec2api.DetachVolumeRequest) error {
	named, device := api.Val(in.InstanceId), api.Val(in.Device)
	p := v.plug(instance)
	switch {
	case len(v.Plugs) == 0:
		return apierr.Newf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	case named == "" && len(v.Plugs) > 1:
		return apierr.Newf("InvalidParameterCombination", "Volume '%s' is attached to several instances: the request must contain the parameter instanceId.", v.ID)
	case named != "" && named != instance, p != nil && device != "" && device != p.Device:
		return apierr.Newf("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'.", v.ID, named, device)
	case p == nil: // detached since the look before
		return apierr.Newf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, v.State)
	case p.State != plugAttached || v.Work != "" || i.Work != "":
		return apierr.Newf("IncorrectState", "Volume '%s' is in the '%s' state.", v.ID, p.State)
	case p.Device == i.RootDevice && i.State != stopped:
		return apierr.Newf("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.ID, i.ID)
	}
	return nil
}
