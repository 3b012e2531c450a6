package live

import (
	"context"
	"fmt"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// caller reads who calls EC2: a role or user, or if name is "" who the credentials belong to.
func (r *reader) caller(name string) error {
	if name == "" {
		name = r.home().who
	}
	a, err := arn.Parse(name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %q is not the ARN of a role or user", ErrUnreadable, name)
	case name == arn.Root(a.Account):
		r.sc.Launch.Caller = &name
		return r.account(a.Account)
	case a.Service == "sts" && a.Type() == "assumed-role":
		role, _, _ := strings.Cut(a.ID(), "/")
		name = arn.Role(a.Account, "/", role)
	case a.Service != "iam" || a.Type() != "role" && a.Type() != "user":
		return fmt.Errorf("%w: %s is neither a role nor a user: name one with --caller", ErrUnreadable, name)
	}
	before := len(r.sc.Principals)
	if err := r.principal(name, true); err != nil {
		return err
	}
	switch p := r.find(name); {
	case p != "":
		name = p
	case len(r.sc.Principals) > before:
		name = r.sc.Principals[before].ARN // with its path
	default:
		return fmt.Errorf("%w: %s does not exist", ErrUnreadable, name)
	}
	r.sc.Launch.Caller = &name
	return nil
}

// find is the ARN of a listed principal, with its path; "" if it is not listed.
func (r *reader) find(name string) string {
	a, _ := arn.Parse(name)
	for _, p := range r.sc.Principals {
		b, _ := arn.Parse(p.ARN)
		if a.Account == b.Account && a.Type() == b.Type() && short(a.ID()) == short(b.ID()) {
			return p.ARN
		}
	}
	return ""
}

// readInstance reads what an instance needs to start, now or at its next start.
func (s *Session) readInstance(ctx context.Context, id, caller string) (*Launch, error) {
	r, err := s.newReader(ctx, "instance-"+id, "The start of instance "+id)
	if err != nil {
		return nil, err
	}
	r.sc.Launch.Operation = format.StartInstances
	if err := r.caller(caller); err != nil {
		return nil, err
	}
	out, err := ask[ec2api.DescribeInstancesResult](ctx, s, r.home(), "ec2", "DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: []string{id}})
	if err != nil {
		if err := r.unread(err); err != nil {
			return nil, err
		}
		if err := r.unknownVolume(id, err); err != nil {
			return nil, err
		}
		return r.finish()
	}
	if len(out.Reservations) == 0 || len(out.Reservations[0].Instances) == 0 {
		return nil, fmt.Errorf("%w: there is no instance %s", ErrUnreadable, id)
	}
	i := &out.Reservations[0].Instances[0]
	for _, b := range i.BlockDeviceMappings {
		if b.Ebs != nil && b.Ebs.VolumeId != nil {
			if err := r.volume(*b.Ebs.VolumeId, api.Val(b.DeviceName)); err != nil {
				return nil, err
			}
		}
	}
	if len(r.sc.Launch.ExistingVolumes) == 0 {
		return nil, fmt.Errorf("%w: the instance %s has no volumes", ErrUnreadable, id)
	}
	return r.finish()
}

// readVolume reads what a volume needs to be attached.
func (s *Session) readVolume(ctx context.Context, id, caller string) (*Launch, error) {
	r, err := s.newReader(ctx, "volume-"+id, "The attachment of volume "+id)
	if err != nil {
		return nil, err
	}
	r.sc.Launch.Operation = format.AttachVolume
	if err := r.caller(caller); err != nil {
		return nil, err
	}
	if err := r.volume(id, "/dev/sdf"); err != nil {
		return nil, err
	}
	return r.finish()
}

// volume reads a volume that is there.
func (r *reader) volume(id, device string) error {
	out, err := ask[ec2api.DescribeVolumesResult](r.ctx, r.Session, r.home(), "ec2", "DescribeVolumes", &ec2api.DescribeVolumesRequest{VolumeIds: []string{id}})
	switch {
	case err != nil:
		if err := r.unread(err); err != nil {
			return err
		}
		return r.unknownVolume(id, err)
	case len(out.Volumes) == 0:
		return fmt.Errorf("%w: there is no volume %s", ErrUnreadable, id)
	}
	v := format.ExistingVolume{ID: id, Device: device}
	if api.Val(out.Volumes[0].Encrypted) {
		if v.Key = out.Volumes[0].KmsKeyId; v.Key == nil {
			return fmt.Errorf("live: the volume %s is encrypted, and has no key", id)
		}
		if err := r.listed(*v.Key); err != nil {
			return err
		}
	}
	r.sc.Launch.ExistingVolumes = append(r.sc.Launch.ExistingVolumes, v)
	return nil
}

// unknownVolume is a volume of which nothing but its id is known, or none of an instance.
func (r *reader) unknownVolume(id string, why error) error {
	path := fmt.Sprintf("/launch/existingVolumes/%d/key", len(r.sc.Launch.ExistingVolumes))
	r.sc.Launch.ExistingVolumes = append(r.sc.Launch.ExistingVolumes, format.ExistingVolume{ID: id, Device: "unknown"})
	return r.unread(why, path)
}
