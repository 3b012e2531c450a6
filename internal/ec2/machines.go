package ec2

import (
	"context"
	"encoding/base64"
	"net"
	"slices"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev/nbd"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/store"
)

// reasonShutdown is of an instance whose guest shut it down, and reasonCrash of one whose machine
// ended otherwise. Source: EC2 API Reference, StateReason.
var (
	reasonShutdown = reason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
	reasonCrash    = reason{"Server.InternalError", "Server.InternalError: Internal error"}
)

// boots reports whether instances have machines.
func (s *Service) boots() bool {
	_, none := s.machines.(machine.Host)
	return !none
}

// boot starts the machine of an instance whose volumes the host holds.
func (s *Service) boot(ctx context.Context, region, account, id string) error {
	if !s.boots() {
		return nil
	}
	spec := machine.Spec{Instance: id, Exited: func(e machine.Exit) { s.machineEnded(region, account, id, e) }}
	err := s.g.Read(ctx, func(tx store.Tx) error {
		i, ok, err := instanceTable.Get(tx, region, account, id)
		if err != nil || !ok {
			return gone(id, err)
		}
		spec.Disks, spec.UserData = nil, nil
		for _, d := range i.Devices {
			if !s.host.holds(d.Volume, id) {
				continue // KMS refused it to a host that was restarted
			}
			disk := machine.Disk{Volume: d.Volume, Serve: s.serveDisk(d.Volume)}
			if d.Name == i.RootDevice {
				spec.Disks = append([]machine.Disk{disk}, spec.Disks...)
			} else {
				spec.Disks = append(spec.Disks, disk)
			}
		}
		if t, ok := lookupType(i.Type); ok {
			spec.VCPUs, spec.MemoryMiB = int(t.VCPUs), t.MemoryMiB
		}
		spec.UserData, err = base64.StdEncoding.DecodeString(i.Options.UserData)
		return err
	})
	if err != nil {
		return err
	}
	return s.machines.Boot(ctx, spec)
}

// bootAgain boots the machine of an instance that was running when its host was restarted, if its root
// volume could be opened again.
func (s *Service) bootAgain(ctx context.Context, i *instanceRecord) {
	root := slices.IndexFunc(i.Devices, func(d attachedDevice) bool { return d.Name == i.RootDevice })
	if root < 0 || !s.host.holds(i.Devices[root].Volume, i.ID) {
		return
	}
	if err := s.boot(ctx, i.Region, i.Account, i.ID); err != nil {
		s.log.Error("the machine of an instance does not boot again", "instance", i.ID, "error", err)
		s.clock.AfterFunc(0, func() { s.machineEnded(i.Region, i.Account, i.ID, machine.Exit{}) })
	}
}

// serveDisk serves a volume that the host holds to a machine.
func (s *Service) serveDisk(volume string) func(context.Context, net.Conn) error {
	return func(ctx context.Context, c net.Conn) error {
		d, err := s.host.disk(volume)
		if err != nil {
			_ = c.Close() // nobody is answered
			return err
		}
		server, err := nbd.NewServer(nbd.Config{
			Find: func(name string) (nbd.Export, bool) {
				return nbd.Export{Device: d, Description: volume}, name == volume
			},
			Logger: s.log,
		})
		if err != nil {
			return err
		}
		return server.ServeConn(ctx, c)
	}
}

// machineEnded takes note that a machine ended by itself: the instance stops or is terminated, as it
// was launched to. Source: EC2 User Guide, "Change instance initiated shutdown behavior".
func (s *Service) machineEnded(region, account, id string, e machine.Exit) {
	why := reasonShutdown
	if !e.Guest {
		why = reasonCrash
		s.log.Warn("the machine of an instance ended", "instance", id)
	}
	s.later("the end of a machine was not noted", id, func(ctx context.Context) (after aftermath, _ error) {
		defer s.locks.lock(id)()
		return after, s.g.Change(ctx, func(tx store.Tx) error {
			after = aftermath{}
			i, ok, err := instanceTable.Get(tx, region, account, id)
			if err != nil || !ok || i.State != running {
				return err
			}
			if i.Work != "" { // whoever works on it sees what became of the machine when that ends
				return apierr.New("IncorrectInstanceState", "work is under way")
			}
			op := launch.StopInstances
			i.State = stopping
			if i.Options.Shutdown == "terminate" || i.Options.Spot && !i.Options.SpotPersistent {
				op, i.State = launch.TerminateInstances, shuttingDown
			}
			i.Reason, i.Transition = new(why), ""
			after.next, err = s.beginRelease(tx, &i, readVolumes(tx, region, account), op, guard.NewRequestID(), s.g.Now())
			if err != nil {
				return err
			}
			after.changed = id
			return putInstance(tx, i)
		})
	}, region, account)
}

// closeVolume has the host let go of a volume for an instance: what uses it ends first.
func (s *Service) closeVolume(ctx context.Context, j *job, volume string) error {
	instance := j.State.Spec().InstanceID
	switch j.operation() {
	case launch.DetachVolume, launch.AttachVolume:
		if err := s.machines.Detach(ctx, instance, volume); err != nil {
			s.log.Warn("a guest keeps a volume that is taken away", "instance", instance, "volume", volume, "error", err)
		}
	default:
		if err := s.machines.Halt(ctx, instance); err != nil {
			return err
		}
	}
	return s.rack(j.Host).release(ctx, volume, instance)
}

// plugDisk gives a running machine a volume that was just opened for it.
func (s *Service) plugDisk(ctx context.Context, j *job, volume string) error {
	if j.operation() != launch.AttachVolume {
		return nil
	}
	return s.machines.Attach(ctx, j.State.Spec().InstanceID, machine.Disk{Volume: volume, Serve: s.serveDisk(volume)})
}
