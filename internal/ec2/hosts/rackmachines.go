package hosts

import (
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
)

// An engine room is what a host does with the machines of instances. Everything can be done twice, and nothing
// of it is an error on a host that runs none.
type EngineRoom interface {
	// Boots reports whether instances have machines there.
	Boots() bool
	Boot(ctx context.Context, spec MachineSpec) error
	// Halt shuts a machine down; now, without asking its guest.
	Halt(ctx context.Context, instance string, now bool) error
	Reboot(ctx context.Context, instance string) error
	Plug(ctx context.Context, instance string, d MachineDisk) error
	Unplug(ctx context.Context, instance, volume string) error
	Console(ctx context.Context, instance string) (c machine.Console, ok bool, err error)
	Forget(ctx context.Context, instance string) error
}

// Requests to a host about machines.
const (
	askBoot    = "boot"
	askHalt    = "halt"
	askReboot  = "reboot"
	askPlug    = "plug"
	askUnplug  = "unplug"
	askConsole = "console"
	askForget  = "forget"
	askReport  = "machines"
)

// A consoleText is a machine.Console on its way.
type consoleText struct {
	Output []byte    `json:"output"`
	At     time.Time `json:"at"`
}

func (r localRack) Boots() bool { return r.machines.boots() }

func (r localRack) Boot(ctx context.Context, spec MachineSpec) error {
	return r.machines.boot(ctx, spec)
}

func (r localRack) Halt(ctx context.Context, instance string, now bool) error {
	if now {
		return r.machines.switchOff(ctx, instance)
	}
	return r.machines.halt(ctx, instance)
}

func (r localRack) Reboot(_ context.Context, instance string) error {
	r.machines.driver.Reboot(instance)
	return nil
}

func (r localRack) Plug(ctx context.Context, instance string, d MachineDisk) error {
	return r.machines.plug(ctx, instance, d)
}

func (r localRack) Unplug(ctx context.Context, instance, volume string) error {
	return r.machines.unplug(ctx, instance, volume)
}

func (r localRack) Console(_ context.Context, instance string) (c machine.Console, ok bool, err error) {
	c, ok = r.machines.driver.Console(instance)
	return c, ok, nil
}

func (r localRack) Forget(_ context.Context, instance string) error {
	r.machines.driver.Forget(instance)
	return nil
}

// Machines of a host that is lost are switched off; one that is away may run some.

func (r Empty) Boots() bool                                     { return false }
func (r Empty) Boot(context.Context, MachineSpec) error         { return r.Why }
func (r Empty) Halt(context.Context, string, bool) error        { return r.back() }
func (r Empty) Reboot(context.Context, string) error            { return r.Why }
func (r Empty) Plug(context.Context, string, MachineDisk) error { return r.Why }
func (r Empty) Unplug(context.Context, string, string) error    { return r.back() }
func (r Empty) Forget(context.Context, string) error            { return r.Why }
func (r Empty) Console(context.Context, string) (machine.Console, bool, error) {
	return machine.Console{}, false, r.Why
}

func (r Remote) Boots() bool { return r.Book.Boots() }

// machines asks a host that runs machines for something.
func (r Remote) machines(ctx context.Context, in order, bounded bool) (reply, error) {
	if !r.Boots() {
		return reply{}, nil
	}
	return r.ask(ctx, in, bounded)
}

func (r Remote) Boot(ctx context.Context, spec MachineSpec) error {
	_, err := r.machines(ctx, order{Op: askBoot, Machine: &spec}, false)
	return err
}

func (r Remote) Halt(ctx context.Context, instance string, now bool) error {
	_, err := r.machines(ctx, order{Op: askHalt, Instance: instance, Now: now}, false)
	return err
}

func (r Remote) Reboot(ctx context.Context, instance string) error {
	_, err := r.machines(ctx, order{Op: askReboot, Instance: instance}, true)
	return err
}

func (r Remote) Plug(ctx context.Context, instance string, d MachineDisk) error {
	_, err := r.machines(ctx, order{Op: askPlug, Instance: instance, Disk: &d}, false)
	return err
}

func (r Remote) Unplug(ctx context.Context, instance, volume string) error {
	_, err := r.machines(ctx, order{Op: askUnplug, Instance: instance, ID: volume}, false)
	return err
}

func (r Remote) Console(ctx context.Context, instance string) (c machine.Console, ok bool, err error) {
	out, err := r.machines(ctx, order{Op: askConsole, Instance: instance}, true)
	if err != nil || out.Console == nil {
		return c, false, err
	}
	return machine.Console(*out.Console), true, nil
}

func (r Remote) Forget(ctx context.Context, instance string) error {
	_, err := r.machines(ctx, order{Op: askForget, Instance: instance}, true)
	return err
}

func (r Remote) Report(ctx context.Context) (MachineReport, error) {
	out, err := r.machines(ctx, order{Op: askReport}, true)
	if err != nil || out.Machines == nil {
		return MachineReport{}, err
	}
	return *out.Machines, nil
}

// serveMachines does what has to do with machines.
func (a *Agent) serveMachines(ctx context.Context, in *order, out *reply) error {
	r := localRack{a.host}
	switch {
	case in.Op == askReport:
		report := r.machines.report()
		out.Machines = &report
		return nil
	case in.Op == askConsole:
		if c, ok, _ := r.Console(ctx, in.Instance); ok {
			out.Console = new(consoleText(c))
		}
		return nil
	case in.Op == askBoot && in.Machine != nil:
		return a.boot(ctx, in.Machine)
	case in.Op == askPlug && in.Disk != nil:
		return r.Plug(ctx, in.Instance, *in.Disk)
	case in.Op == askUnplug:
		return r.Unplug(ctx, in.Instance, in.ID)
	case in.Op == askHalt:
		return a.halt(ctx, in.Instance, in.Now)
	case in.Op == askReboot:
		return r.Reboot(ctx, in.Instance)
	case in.Op == askForget:
		return r.Forget(ctx, in.Instance)
	}
	return errors.New("ec2: a host is asked to do nothing with a machine: " + in.Op)
}

// boot starts a machine, unless the host just let go of everything.
func (a *Agent) boot(ctx context.Context, spec *MachineSpec) error {
	a.gate.RLock()
	defer a.gate.RUnlock()
	if ctx.Err() != nil {
		return ErrAway
	}
	return a.host.machines.boot(ctx, *spec)
}

// halt shuts a machine down. A guest that was asked to has its time, whoever works meanwhile.
func (a *Agent) halt(ctx context.Context, instance string, now bool) error {
	done := make(chan error, 1)
	go func() { done <- localRack{a.host}.Halt(context.WithoutCancel(ctx), instance, now) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ErrAway
	}
}

// releaseFor lets go of a volume. Who asks has taken it out of machines before; a node of an earlier version knows
// of none, and the machine is switched off: it would work with a disk that is gone.
func (a *Agent) releaseFor(ctx context.Context, id, instance string) error {
	for _, user := range a.host.machines.users(id, instance) {
		if err := a.host.machines.switchOff(ctx, user); err != nil {
			return err
		}
	}
	return a.host.release(id, instance)
}
