package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// publicImage is an image of every account, with a plain root device: what instances run that
// only hold volumes, of type holderType.
const (
	publicImage = "ami-12c6146b"
	publicRoot  = "/dev/xvda"
	holderType  = "t3.micro"
)

// Names of the stand-in and of its snapshot.
const (
	standInImage    = "stand-in"
	standInSnapshot = "root of the stand-in"
)

// newVolume makes a volume of 1 GiB and waits until it can be used.
func (w *World) newVolume(ctx context.Context, who place, key *string) (string, error) {
	in := &ec2api.CreateVolumeRequest{AvailabilityZone: new(who.region + "a"), Size: new(int32(1))}
	if key != nil {
		in.Encrypted, in.KmsKeyId = new(true), new(w.Real(*key))
	}
	var out ec2api.Volume
	if err := w.s.do(ctx, who, "ec2", "CreateVolume", in, &out); err != nil {
		return "", err
	}
	id := api.Val(out.VolumeId)
	return id, w.s.until(ctx, "volume "+id+" becomes available", func() (bool, error) {
		v, err := w.volume(ctx, who, id)
		if err == nil && v == nil {
			err = fmt.Errorf("%w: volume %s is gone: its key may not be used for it", ErrUnable, id)
		}
		return err == nil && api.Val(v.State) == "available", err
	})
}

// volume describes a volume; nil if it is gone.
func (w *World) volume(ctx context.Context, who place, id string) (*ec2api.Volume, error) {
	var out ec2api.DescribeVolumesResult
	err := w.s.ask(ctx, who, "ec2", "DescribeVolumes", &ec2api.DescribeVolumesRequest{
		Filters: []ec2api.Filter{{Name: new("volume-id"), Values: []string{id}}},
	}, &out)
	if err != nil || len(out.Volumes) == 0 {
		return nil, err
	}
	return &out.Volumes[0], nil
}

// makeSnapshots makes each snapshot of a volume under its key, and shares it.
func (w *World) makeSnapshots(ctx context.Context) error {
	for _, s := range w.Scenario.Snapshots {
		who := admin(s.Owner).in(w.Scenario.Region)
		id, err := w.newSnapshot(ctx, who, s.ID, s.Key)
		if err != nil {
			return err
		}
		if len(s.SharedWith) > 0 {
			in := &ec2api.ModifySnapshotAttributeRequest{SnapshotId: &id, CreateVolumePermission: &ec2api.CreateVolumePermissionModifications{}}
			for _, a := range s.SharedWith {
				in.CreateVolumePermission.Add = append(in.CreateVolumePermission.Add, ec2api.CreateVolumePermission{UserId: &a})
			}
			if err := w.s.do(ctx, who, "ec2", "ModifySnapshotAttribute", in, nil); err != nil {
				return err
			}
		}
		w.real[s.ID] = id
		w.s.tell("snapshot %s is %s", s.ID, id)
	}
	return nil
}

// newSnapshot makes a snapshot of a volume of its own, and waits for it.
func (w *World) newSnapshot(ctx context.Context, who place, name string, key *string) (string, error) {
	volume, err := w.newVolume(ctx, who, key)
	if err != nil {
		return "", err
	}
	var out ec2api.Snapshot
	err = w.s.do(ctx, who, "ec2", "CreateSnapshot", &ec2api.CreateSnapshotRequest{VolumeId: &volume, Description: &name}, &out)
	if err != nil {
		return "", err
	}
	id := api.Val(out.SnapshotId)
	err = w.s.until(ctx, "snapshot "+id+" is completed", func() (bool, error) {
		var out ec2api.DescribeSnapshotsResult
		err := w.s.ask(ctx, who, "ec2", "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}, &out)
		return err == nil && len(out.Snapshots) == 1 && api.Val(out.Snapshots[0].State) == "completed", err
	})
	if err != nil {
		return "", err
	}
	return id, w.s.do(ctx, who, "ec2", "DeleteVolume", &ec2api.DeleteVolumeRequest{VolumeId: &volume}, nil)
}

// makeImages registers the images, each with its first device as the root, and shares them; and
// the stand-in, if a template names no image.
func (w *World) makeImages(ctx context.Context) error {
	for _, m := range w.Scenario.Images {
		who := admin(m.Owner).in(w.Scenario.Region)
		id, err := w.newImage(ctx, who, m)
		if err != nil {
			return err
		}
		if len(m.SharedWith) > 0 {
			in := &ec2api.ModifyImageAttributeRequest{ImageId: &id, LaunchPermission: &ec2api.LaunchPermissionModifications{}}
			for _, a := range m.SharedWith {
				in.LaunchPermission.Add = append(in.LaunchPermission.Add, ec2api.LaunchPermission{UserId: &a})
			}
			if err := w.s.do(ctx, who, "ec2", "ModifyImageAttribute", in, nil); err != nil {
				return err
			}
		}
		w.real[m.ID] = id
		w.s.tell("image %s is %s", m.ID, id)
	}
	if !slices.ContainsFunc(w.Scenario.Launch.Templates, func(t Template) bool { return t.ImageID == nil && t.Kind != kindVolume }) {
		return nil
	}
	return w.makeStandIn(ctx)
}

func (w *World) newImage(ctx context.Context, who place, m Image) (string, error) {
	in := &ec2api.RegisterImageRequest{
		Name: new(w.Scenario.ID + " " + m.ID), Architecture: new("x86_64"), RootDeviceName: &m.Devices[0].Device,
		VirtualizationType: new("hvm"), EnaSupport: new(true),
	}
	for _, d := range m.Devices {
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2api.BlockDeviceMapping{
			DeviceName: &d.Device, Ebs: &ec2api.EbsBlockDevice{SnapshotId: new(w.Real(d.SnapshotID)), DeleteOnTermination: new(true)},
		})
	}
	var out ec2api.RegisterImageResult
	err := w.s.do(ctx, who, "ec2", "RegisterImage", in, &out)
	return api.Val(out.ImageId), err
}

// makeStandIn registers the image of the templates that name none: its root device, plain, is one
// that they do not name, so that their devices are empty volumes.
func (w *World) makeStandIn(ctx context.Context) error {
	snapshot, err := w.newSnapshot(ctx, w.owner(), standInSnapshot, nil)
	if err != nil {
		return err
	}
	root := "/dev/sda1"
	for n := 'z'; w.names(root); n-- {
		root = "/dev/xvd" + string(n)
	}
	w.standIn, err = w.newImage(ctx, w.owner(), Image{ID: standInImage, Devices: []ImageDevice{{Device: root, SnapshotID: snapshot}}})
	if err == nil {
		w.s.tell("image %s stands in where the scenario names none; its root device is %s", w.standIn, root)
	}
	return err
}

// names reports whether a template names a device.
func (w *World) names(device string) bool {
	return slices.ContainsFunc(w.Scenario.Launch.Templates, func(t Template) bool {
		return slices.ContainsFunc(t.BlockDevices, func(d BlockDevice) bool { return d.Device == device })
	})
}

// makeVolumes makes the existing volumes: on a stopped instance for StartInstances, free beside a
// running instance for AttachVolume.
func (w *World) makeVolumes(ctx context.Context) error {
	l := &w.Scenario.Launch
	who := admin(l.Account).in(w.Scenario.Region)
	switch l.Operation {
	case attachVolume:
		id, err := w.newInstance(ctx, who, nil)
		if err != nil {
			return err
		}
		w.holder = id
		for _, v := range l.ExistingVolumes {
			if w.real[v.ID], err = w.newVolume(ctx, who, v.Key); err != nil {
				return err
			}
			w.s.tell("volume %s is %s, to be attached to %s", v.ID, w.real[v.ID], id)
		}
	case startInstances:
		id, err := w.newInstance(ctx, who, l.ExistingVolumes)
		if err != nil {
			return err
		}
		w.holder = id
		err = w.s.do(ctx, who, "ec2", "StopInstances", &ec2api.StopInstancesRequest{InstanceIds: []string{id}}, &ec2api.StopInstancesResult{})
		if err != nil {
			return err
		}
		if err := w.reach(ctx, who, id, "stopped"); err != nil {
			return err
		}
		on, err := w.volumesOn(ctx, who, id)
		if err != nil {
			return err
		}
		for _, v := range l.ExistingVolumes {
			w.real[v.ID] = on[v.Device].ID
			w.s.tell("volume %s is %s, on the stopped instance %s", v.ID, w.real[v.ID], id)
		}
	}
	return nil
}

// newInstance runs an instance with volumes under their keys, and waits for it.
func (w *World) newInstance(ctx context.Context, who place, volumes []ExistingVolume) (string, error) {
	in := &ec2api.RunInstancesRequest{ImageId: new(publicImage), InstanceType: new(holderType), MinCount: new(int32(1)), MaxCount: new(int32(1))}
	for _, v := range volumes {
		ebs := &ec2api.EbsBlockDevice{DeleteOnTermination: new(true)}
		if v.Device != publicRoot {
			ebs.VolumeSize = new(int32(1))
		}
		if v.Key != nil {
			ebs.Encrypted, ebs.KmsKeyId = new(true), new(w.Real(*v.Key))
		}
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2api.BlockDeviceMapping{DeviceName: &v.Device, Ebs: ebs})
	}
	var out ec2api.Reservation
	if err := w.s.do(ctx, who, "ec2", "RunInstances", in, &out); err != nil {
		return "", err
	}
	id := api.Val(out.Instances[0].InstanceId)
	return id, w.reach(ctx, who, id, "running")
}

// reach waits until an instance is in a state.
func (w *World) reach(ctx context.Context, who place, id, state string) error {
	return w.s.until(ctx, id+" is "+state, func() (bool, error) {
		i, err := w.instance(ctx, who, id)
		if err != nil {
			return false, err
		}
		got := api.Val(i.State.Name)
		if got == "terminated" && got != state {
			return false, fmt.Errorf("%w: %s is terminated: %s", ErrUnable, id, reason(i))
		}
		return got == state, nil
	})
}

func reason(i *ec2api.Instance) string {
	if i.StateReason == nil {
		return ""
	}
	return api.Val(i.StateReason.Message)
}

func (w *World) instance(ctx context.Context, who place, id string) (*ec2api.Instance, error) {
	var out ec2api.DescribeInstancesResult
	err := w.s.ask(ctx, who, "ec2", "DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: []string{id}}, &out)
	if err != nil {
		return nil, err
	}
	if len(out.Reservations) != 1 || len(out.Reservations[0].Instances) != 1 {
		return nil, fmt.Errorf("%w: instance %s is gone", ErrUnable, id)
	}
	return &out.Reservations[0].Instances[0], nil
}

// A Volume of a launch.
type Volume struct {
	ID, Device string
	Encrypted  bool
	Key        string // ARN, or ""
}

// volumesOn are the volumes of an instance by device.
func (w *World) volumesOn(ctx context.Context, who place, instance string) (map[string]Volume, error) {
	var out ec2api.DescribeVolumesResult
	err := w.s.ask(ctx, who, "ec2", "DescribeVolumes", &ec2api.DescribeVolumesRequest{
		Filters: []ec2api.Filter{{Name: new("attachment.instance-id"), Values: []string{instance}}},
	}, &out)
	if err != nil {
		return nil, err
	}
	on := map[string]Volume{}
	for _, v := range out.Volumes {
		d := api.Val(v.Attachments[0].Device)
		on[d] = Volume{ID: api.Val(v.VolumeId), Device: d, Encrypted: api.Val(v.Encrypted), Key: api.Val(v.KmsKeyId)}
	}
	return on, nil
}

// setDefaults sets the accounts' defaults for EBS encryption.
func (w *World) setDefaults(ctx context.Context) error {
	for _, a := range w.Scenario.Accounts {
		for _, region := range slices.Sorted(maps.Keys(a.EBS)) {
			e, who := a.EBS[region], admin(a.ID).in(region)
			if !strings.HasSuffix(e.DefaultKmsKeyID, "alias/aws/ebs") {
				err := w.s.do(ctx, who, "ec2", "ModifyEbsDefaultKmsKeyId", &ec2api.ModifyEbsDefaultKmsKeyIdRequest{
					KmsKeyId: new(w.Real(e.DefaultKmsKeyID)),
				}, &ec2api.ModifyEbsDefaultKmsKeyIdResult{})
				if err != nil {
					return err
				}
				w.s.tell("default key of %s in %s: %s", a.ID, region, e.DefaultKmsKeyID)
			}
			if e.EncryptionByDefault {
				err := w.s.do(ctx, who, "ec2", "EnableEbsEncryptionByDefault", &ec2api.EnableEbsEncryptionByDefaultRequest{}, &ec2api.EnableEbsEncryptionByDefaultResult{})
				if err != nil {
					return err
				}
				w.s.tell("encryption by default of %s in %s", a.ID, region)
			}
		}
	}
	return nil
}
