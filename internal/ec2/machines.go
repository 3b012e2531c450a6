package ec2

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// reasonShutdown is of an instance whose guest shut it down, and reasonCrash of one whose machine
// ended otherwise. Source: EC2 API Reference, StateReason.
var (
	reasonShutdown = reason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
	reasonCrash    = reason{"Server.InternalError", "Server.InternalError: Internal error"}
)

// boot starts the machine of an instance whose volumes are held, if its host runs machines. One that runs stays.
func (s *Service) boot(ctx context.Context, region, account, id string) error {
	var spec hosts.MachineSpec
	var host string
	err := s.g.Read(ctx, func(tx store.Tx) error {
		spec = hosts.MachineSpec{}
		i, ok, err := instanceTable.Get(tx, region, account, id)
		if err != nil || !ok {
			return gone(id, err)
		}
		if host = i.Host; !s.rack(host).Boots() {
			return nil
		}
		spec, err = s.machineOf(tx, &i)
		return err
	})
	if err != nil || spec.Instance == "" {
		return err
	}
	return s.rack(host).Boot(ctx, spec)
}

// machineOf describes the machine of an instance, with the volumes that are held for it.
func (s *Service) machineOf(tx store.Tx, i *instanceRecord) (hosts.MachineSpec, error) {
	spec := hosts.MachineSpec{Instance: i.ID, Region: i.Region, Account: i.Account}
	for _, d := range i.Devices {
		at, err := s.volumeHost(tx, i, d.Volume)
		if err != nil {
			return spec, err
		}
		if !s.rack(at).Holds(d.Volume, i.ID) {
			continue // KMS refused it to a host that was restarted, or the host is not there
		}
		disk := s.diskOf(d.Volume, at, i.Host)
		if d.Name == i.RootDevice {
			spec.Disks = append([]hosts.MachineDisk{disk}, spec.Disks...)
		} else {
			spec.Disks = append(spec.Disks, disk)
		}
	}
	if t, ok := instancetype.Lookup(i.Type); ok {
		spec.VCPUs, spec.MemoryMiB = int(t.VCPUs), t.MemoryMiB
	}
	var err error
	spec.UserData, err = base64.StdEncoding.DecodeString(i.Options.UserData)
	return spec, err
}

// diskOf is a volume on one host as a machine on another one, or the same, has it.
func (s *Service) diskOf(volume, at, host string) hosts.MachineDisk {
	if s.room == nil || at == host {
		return hosts.MachineDisk{Volume: volume}
	}
	return hosts.MachineDisk{Volume: volume, URL: s.room.urlOf(at)}
}

// volumeHost is the host that has the file of an instance's volume: its own, but for volumes with Multi-Attach.
func (s *Service) volumeHost(tx store.Tx, i *instanceRecord, volume string) (string, error) {
	if s.room == nil {
		return i.Host, nil
	}
	v, ok, err := volumeTable.Get(tx, i.Region, i.Account, volume)
	if err != nil || !ok {
		return i.Host, err
	}
	return v.Host, nil
}

// whereabouts are the hosts of a job's instance and of one of its volumes.
func (s *Service) whereabouts(ctx context.Context, j *job, volume string) (instance, at string, err error) {
	instance, at = j.Host, j.Host
	if s.room == nil {
		return instance, at, nil
	}
	err = s.g.Read(ctx, func(tx store.Tx) error {
		instance, at = j.Host, j.Host
		i, ok, err := instanceTable.Get(tx, j.Region, j.Account, j.State.Spec().InstanceID)
		if err != nil {
			return err
		}
		if ok {
			instance = i.Host
		}
		v, ok, err := volumeTable.Get(tx, j.Region, j.Account, volume)
		if ok {
			at = v.Host
		}
		return err
	})
	return instance, at, err
}

// bootSoon is bootAgain; who looks at the hosts of a cluster does not wait for it.
func (s *Service) bootSoon(i *instanceRecord) {
	if s.room == nil {
		s.bootAgain(s.running, i)
		return
	}
	s.bootAfter(0, i)
}

// bootAfter boots an instance's machine again after a while, if it runs still.
func (s *Service) bootAfter(wait time.Duration, was *instanceRecord) {
	s.clock.AfterFunc(wait, func() {
		if !s.life.enter() {
			return
		}
		defer s.life.leave()
		var i instanceRecord
		err := s.g.Read(s.running, func(tx store.Tx) (err error) {
			i, _, err = instanceTable.Get(tx, was.key()...)
			return err
		})
		switch {
		case interrupted(err):
		case err != nil:
			s.bootAfter(retryJob, was)
		case i.State == running && i.Work == "":
			s.bootAgain(s.running, &i)
		}
	})
}

// bootAgain boots the machine of an instance that was running when its host was restarted, if its root
// volume could be opened again.
func (s *Service) bootAgain(ctx context.Context, i *instanceRecord) {
	root := slices.IndexFunc(i.Devices, func(d attachedDevice) bool { return d.Name == i.RootDevice })
	if root < 0 || !s.rack(i.Host).Holds(i.Devices[root].Volume, i.ID) {
		return
	}
	err := s.boot(ctx, i.Region, i.Account, i.ID)
	switch {
	case err == nil:
	case interrupted(err) || errors.Is(err, hosts.ErrLost): // nothing runs there
	case errors.Is(err, hosts.ErrAway):
		s.bootAfter(retryJob, i)
	default:
		s.log.Error("the machine of an instance does not boot again", "instance", i.ID, "error", err)
		s.clock.AfterFunc(0, func() { s.machineEnded(hosts.MachineNews{Instance: i.ID, Region: i.Region, Account: i.Account}) })
	}
}

// machineEnded takes note that a machine ended by itself.
func (s *Service) machineEnded(e hosts.MachineNews) {
	s.later("the end of a machine was not noted", e.Instance, func(ctx context.Context) (aftermath, error) {
		defer s.locks.Lock(e.Instance)()
		return s.noteEnd(ctx, e)
	}, e.Region, e.Account)
}

// noteEnd has an instance whose machine ended stop, or be terminated, as it was launched to. It is locked.
// Source: EC2 User Guide, "Change instance initiated shutdown behavior".
func (s *Service) noteEnd(ctx context.Context, e hosts.MachineNews) (aftermath, error) {
	var after aftermath
	why := reasonShutdown
	if !e.Guest {
		why = reasonCrash
	}
	var host string
	err := s.g.Change(ctx, func(tx store.Tx) error {
		after = aftermath{}
		i, ok, err := instanceTable.Get(tx, e.Region, e.Account, e.Instance)
		if err != nil || !ok || i.State != running {
			return err
		}
		if i.Work != "" { // whoever works on it sees what became of the machine when that ends
			return errWorkGoesOn
		}
		host = i.Host
		op := launch.StopInstances
		i.State = stopping
		if i.Options.Shutdown == "terminate" || i.Options.Spot && !i.Options.SpotPersistent {
			op, i.State = launch.TerminateInstances, shuttingDown
		}
		i.Reason, i.Transition = new(why), ""
		after.next, err = s.beginRelease(tx, &i, readVolumes(tx, e.Region, e.Account), op, guard.NewRequestID(), s.g.Now())
		if err != nil {
			return err
		}
		after.changed = e.Instance
		return putInstance(tx, i)
	})
	if err == nil && after.changed != "" && !e.Guest {
		s.log.Warn("the machine of an instance ended", "instance", e.Instance, "host", host)
	}
	return after, err
}

var errWorkGoesOn = apierr.New("IncorrectInstanceState", "work is under way")

// closeVolume has the host let go of a volume for an instance: what uses it ends first.
func (s *Service) closeVolume(ctx context.Context, j *job, volume string) error {
	instance := j.State.Spec().InstanceID
	host, at, err := s.whereabouts(ctx, j, volume)
	if err != nil {
		return err
	}
	switch j.operation() {
	case launch.DetachVolume, launch.AttachVolume:
		err = s.rack(host).Unplug(ctx, instance, volume)
		if err != nil && !errors.Is(err, hosts.ErrAway) {
			s.log.Warn("a guest keeps a volume that is taken away", "instance", instance, "volume", volume, "error", err)
			err = nil
		}
	default:
		err = s.rack(host).Halt(ctx, instance, j.Abrupt)
	}
	if err != nil {
		return err
	}
	return s.rack(at).Release(ctx, volume, instance)
}

// openFor has a host hold a volume for the instance of a job, and gives it to its machine if that runs.
func (s *Service) openFor(ctx context.Context, j *job, volume string, key secret.Bytes) error {
	instance := j.State.Spec().InstanceID
	host, at, err := s.whereabouts(ctx, j, volume)
	if err != nil {
		key.Wipe()
		return err
	}
	if err := s.rack(at).Hold(ctx, volume, instance, key); err != nil || j.operation() != launch.AttachVolume {
		return err
	}
	return s.rack(host).Plug(ctx, instance, s.diskOf(volume, at, host))
}
