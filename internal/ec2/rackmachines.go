package ec2

import (
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
)

// An engine room is what a host does with the machines of instances. Everything can be done twice, and nothing
// of it is an error on a host that runs none.
type engineRoom interface {
	// boots reports whether instances have machines there.
	boots() bool
	boot(ctx context.Context, spec machineSpec) error
	halt(ctx context.Context, instance string) error
	reboot(ctx context.Context, instance string) error
	plug(ctx context.Context, instance string, d machineDisk) error
	unplug(ctx context.Context, instance, volume string) error
	console(ctx context.Context, instance string) (c machine.Console, ok bool, err error)
	forget(ctx context.Context, instance string) error
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

// A hostConsole is a machine.Console on its way.
type hostConsole struct {
	Output []byte    `json:"output"`
	At     time.Time `json:"at"`
}

func (r localRack) boots() bool { return r.machines.boots() }

func (r localRack) boot(ctx context.Context, spec machineSpec) error {
	return r.machines.boot(ctx, spec)
}

func (r localRack) halt(ctx context.Context, instance string) error {
	return r.machines.halt(ctx, instance)
}

func (r localRack) reboot(_ context.Context, instance string) error {
	r.machines.driver.Reboot(instance)
	return nil
}

func (r localRack) plug(ctx context.Context, instance string, d machineDisk) error {
	return r.machines.plug(ctx, instance, d)
}

func (r localRack) unplug(ctx context.Context, instance, volume string) error {
	return r.machines.unplug(ctx, instance, volume)
}

func (r localRack) console(_ context.Context, instance string) (c machine.Console, ok bool, err error) {
	c, ok = r.machines.driver.Console(instance)
	return c, ok, nil
}

func (r localRack) forget(_ context.Context, instance string) error {
	r.machines.driver.Forget(instance)
	return nil
}

// Machines of a host that is lost are switched off; one that is away may run some.

func (r emptyRack) boots() bool                                     { return false }
func (r emptyRack) boot(context.Context, machineSpec) error         { return r.why }
func (r emptyRack) halt(context.Context, string) error              { return r.back() }
func (r emptyRack) reboot(context.Context, string) error            { return r.why }
func (r emptyRack) plug(context.Context, string, machineDisk) error { return r.why }
func (r emptyRack) unplug(context.Context, string, string) error    { return r.back() }
func (r emptyRack) forget(context.Context, string) error            { return r.why }
func (r emptyRack) console(context.Context, string) (machine.Console, bool, error) {
	return machine.Console{}, false, r.why
}

func (r remoteRack) boots() bool {
	r.room.mu.Lock()
	defer r.room.mu.Unlock()
	return r.v.rec.Boots
}

// machines asks a host that runs machines for something.
func (r remoteRack) machines(ctx context.Context, in hostRequest, bounded bool) (hostAnswer, error) {
	if !r.boots() {
		return hostAnswer{}, nil
	}
	return r.ask(ctx, in, bounded)
}

func (r remoteRack) boot(ctx context.Context, spec machineSpec) error {
	_, err := r.machines(ctx, hostRequest{Op: askBoot, Machine: &spec}, false)
	return err
}

func (r remoteRack) halt(ctx context.Context, instance string) error {
	_, err := r.machines(ctx, hostRequest{Op: askHalt, Instance: instance}, false)
	return err
}

func (r remoteRack) reboot(ctx context.Context, instance string) error {
	_, err := r.machines(ctx, hostRequest{Op: askReboot, Instance: instance}, true)
	return err
}

func (r remoteRack) plug(ctx context.Context, instance string, d machineDisk) error {
	_, err := r.machines(ctx, hostRequest{Op: askPlug, Instance: instance, Disk: &d}, false)
	return err
}

func (r remoteRack) unplug(ctx context.Context, instance, volume string) error {
	_, err := r.machines(ctx, hostRequest{Op: askUnplug, Instance: instance, ID: volume}, false)
	return err
}

func (r remoteRack) console(ctx context.Context, instance string) (c machine.Console, ok bool, err error) {
	out, err := r.machines(ctx, hostRequest{Op: askConsole, Instance: instance}, true)
	if err != nil || out.Console == nil {
		return c, false, err
	}
	return machine.Console(*out.Console), true, nil
}

func (r remoteRack) forget(ctx context.Context, instance string) error {
	_, err := r.machines(ctx, hostRequest{Op: askForget, Instance: instance}, true)
	return err
}

func (r remoteRack) report(ctx context.Context) (machineReport, error) {
	out, err := r.machines(ctx, hostRequest{Op: askReport}, true)
	if err != nil || out.Machines == nil {
		return machineReport{}, err
	}
	return *out.Machines, nil
}

// serveMachines does what has to do with machines.
func (a *Agent) serveMachines(ctx context.Context, in *hostRequest, out *hostAnswer) error {
	r := localRack{a.host}
	switch {
	case in.Op == askReport:
		report := r.machines.report()
		out.Machines = &report
		return nil
	case in.Op == askConsole:
		if c, ok, _ := r.console(ctx, in.Instance); ok {
			out.Console = new(hostConsole(c))
		}
		return nil
	case in.Op == askBoot && in.Machine != nil:
		return a.boot(ctx, in.Machine)
	case in.Op == askPlug && in.Disk != nil:
		return r.plug(ctx, in.Instance, *in.Disk)
	case in.Op == askUnplug:
		return r.unplug(ctx, in.Instance, in.ID)
	case in.Op == askHalt:
		return a.halt(ctx, in.Instance)
	case in.Op == askReboot:
		return r.reboot(ctx, in.Instance)
	case in.Op == askForget:
		return r.forget(ctx, in.Instance)
	}
	return errors.New("ec2: a host is asked to do nothing with a machine: " + in.Op)
}

// boot starts a machine, unless the host just let go of everything.
func (a *Agent) boot(ctx context.Context, spec *machineSpec) error {
	a.gate.RLock()
	defer a.gate.RUnlock()
	if ctx.Err() != nil {
		return errHostAway
	}
	return a.host.machines.boot(ctx, *spec)
}

// halt shuts a machine down. A guest that was asked to has its time, whoever works meanwhile.
func (a *Agent) halt(ctx context.Context, instance string) error {
	done := make(chan error, 1)
	go func() { done <- a.host.machines.halt(context.WithoutCancel(ctx), instance) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errHostAway
	}
}

// releaseFor lets go of a volume. Who asks has taken it out of machines before; a node of an earlier version knows
// of none, and the machine is switched off: it would work with a disk that is gone.
func (a *Agent) releaseFor(ctx context.Context, id, instance string) error {
	for _, user := range a.host.machines.users(id, instance) {
		over, cancel := context.WithCancel(ctx)
		cancel()
		if err := a.host.machines.haltWithin(ctx, over, user); err != nil {
			return err
		}
	}
	return a.host.release(id, instance)
}
