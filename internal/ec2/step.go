package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// gibibyte is the unit of volume sizes.
const gibibyte = 1 << 30

// fileSpec is the file of a volume that a step makes.
func fileSpec(step launch.Step) blockdev.Spec {
	spec := blockdev.Spec{ID: step.VolumeID, Size: step.Create.SizeGiB * gibibyte}
	if step.Create.Encrypted {
		spec.Encryption = &blockdev.Encryption{
			KeyARN: step.Create.KeyARN, DataKeyID: step.Create.DataKeyID, ContextID: step.VolumeID, WrappedKey: step.Create.WrappedKey,
		}
	}
	return spec
}

// makeVolume writes a volume's record, and the file of an empty one; that of others comes when
// they are filled.
func (s *Service) makeVolume(ctx context.Context, j *job, step launch.Step) error {
	d := j.draft(step.VolumeID)
	if d == nil {
		return fmt.Errorf("ec2: no draft of volume %s", step.VolumeID)
	}
	if step.Create.How == launch.HowEmpty {
		if err := s.rack(j.Host).Create(ctx, fileSpec(step)); err != nil {
			return err
		}
	}
	return s.g.Change(ctx, func(tx store.Tx) error {
		v := d.Volume
		v.State, v.Plugs = volumeCreating, nil
		v.Encrypted, v.KeyARN = step.Create.Encrypted, step.Create.KeyARN
		v.WrappedKey, v.DataKeyID = step.Create.WrappedKey, step.Create.DataKeyID
		if err := putVolume(tx, v); err != nil {
			return err
		}
		return putTags(tx, v.Region, v.Account, v.ID, d.Tags)
	})
}

// hydrate makes the file of a volume, or of a copy, with the content of its snapshot. That the caller
// may use the snapshot was decided with the request: what became of it since does not matter, and
// its file stays as long as there is work that reads it.
func (s *Service) hydrate(ctx context.Context, j *job, step launch.Step) error {
	keys, err := s.dataKeys(ctx, j, step.Requests)
	if err != nil {
		return err
	}
	defer wipe(keys)
	c := blockdev.Copy{From: step.Create.SnapshotID, To: fileSpec(step)}
	switch {
	case step.Create.How == launch.HowReencrypt:
		c.FromKey, c.To.Key = keys[0], keys[1]
	case len(keys) > 0:
		c.To.Key = keys[0]
	}
	copies := j.copies()
	if copies {
		c.Progress = s.progress.watch(step.VolumeID)
		defer s.progress.forget(step.VolumeID)
	}
	kind := blockdev.KindVolume
	if copies {
		kind = blockdev.KindSnapshot
	}
	return s.rack(j.Host).Fill(ctx, c, kind)
}

// plugIn records the attachment of a volume, on both sides.
func (s *Service) plugIn(ctx context.Context, j *job, step launch.Step) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		v, ok, err := volumeTable.Get(tx, j.Region, j.Account, step.VolumeID)
		if err != nil || !ok {
			return gone(step.VolumeID, err)
		}
		i, ok, err := instanceTable.Get(tx, j.Region, j.Account, j.State.Spec().InstanceID)
		if err != nil || !ok {
			return gone(j.State.Spec().InstanceID, err)
		}
		if d := j.draft(v.ID); d != nil && len(v.Plugs) == 0 {
			v.Plugs = slices.Clone(d.Volume.Plugs)
		}
		p := v.plug(i.ID)
		if p == nil {
			return fmt.Errorf("ec2: volume %s is not meant for %s", v.ID, i.ID)
		}
		v.State, p.Since = volumeInUse, s.g.Now()
		if i.device(v.ID) < 0 {
			i.Devices = append(i.Devices, attachedDevice{p.Device, v.ID, p.Since, p.DeleteOnTermination})
		}
		if err := putInstance(tx, i); err != nil {
			return err
		}
		return putVolume(tx, v)
	})
}

func gone(id string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("ec2: %s is gone", id)
}

// openVolume has the host hold a volume, with the data key that KMS decrypts for the instance.
func (s *Service) openVolume(ctx context.Context, j *job, step launch.Step) error {
	keys, err := s.dataKeys(ctx, j, step.Requests)
	if err != nil {
		return err
	}
	defer wipe(keys)
	var key secret.Bytes
	if len(keys) > 0 {
		key = keys[0]
	}
	return s.openFor(ctx, j, step.VolumeID, key)
}

// unplug removes the attachment of a volume, on both sides. doomed: the volume is deleted if this was
// its last one.
func (s *Service) unplug(ctx context.Context, j *job, volume, instance string, doomed bool) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		i, ok, err := instanceTable.Get(tx, j.Region, j.Account, instance)
		if err != nil {
			return err
		}
		if ok && i.device(volume) >= 0 {
			i.Devices = slices.Delete(slices.Clone(i.Devices), i.device(volume), i.device(volume)+1)
			if err := putInstance(tx, i); err != nil {
				return err
			}
		}
		v, ok, err := volumeTable.Get(tx, j.Region, j.Account, volume)
		if err != nil || !ok {
			return err
		}
		if v.pull(instance); doomed && len(v.Plugs) == 0 {
			v.State = volumeDeleting
		}
		return putVolume(tx, v)
	})
}

// deleteUnplugged deletes a volume that an instance took with it. One that other instances had still
// when this one let go of it stays: with Multi-Attach the last of them decides.
// Source: Amazon EBS User Guide, "Attach an EBS volume to multiple EC2 instances using Multi-Attach".
func (s *Service) deleteUnplugged(ctx context.Context, j *job, volume string) error {
	doomed := false
	err := s.g.Read(ctx, func(tx store.Tx) error {
		v, ok, err := volumeTable.Get(tx, j.Region, j.Account, volume)
		doomed = ok && v.State == volumeDeleting
		return err
	})
	if err != nil || !doomed {
		return err
	}
	return s.removeVolume(ctx, j.Region, j.Account, volume)
}

// removeVolume deletes a volume: its file first, so that a record leads to every file.
func (s *Service) removeVolume(ctx context.Context, region, account, id string) error {
	v := volumeRecord{Host: s.name}
	err := s.g.Read(ctx, func(tx store.Tx) error {
		found, ok, err := volumeTable.Get(tx, region, account, id)
		if ok {
			v = found
		}
		return err
	})
	if err != nil {
		return err
	}
	r := s.rack(v.Host)
	if err := r.Release(ctx, id, ""); err != nil {
		if errors.Is(err, hosts.ErrAway) {
			return err
		}
		s.log.Error("a volume to be deleted was not closed properly", "volume", id, "error", err)
	}
	if err := r.Remove(ctx, id); err != nil {
		return err
	}
	s.counted(v.Host, -1)
	return s.g.Change(ctx, func(tx store.Tx) error {
		if err := volumeTable.Delete(tx, region, account, id); err != nil {
			return err
		}
		return dropTags(tx, region, account, id)
	})
}
