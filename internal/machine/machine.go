// Package machine says what runs an instance: a driver boots its machine on volumes that are open,
// tells what it writes to its console, and shuts it down before they are closed. [Host] runs nothing,
// and is what EC2 works with unless somebody asks for more; package machine/qemu runs QEMU.
package machine

import (
	"context"
	"net"
	"time"
)

// A Driver runs machines. Safe for concurrent use.
type Driver interface {
	// Boot starts the machine of an instance. Booting one that runs does nothing.
	Boot(ctx context.Context, spec Spec) error
	// Attach gives a running machine another disk, and Detach takes one away: the guest has let go of it
	// when Detach returns, or does not answer. Of a machine that does not run both do nothing.
	Attach(ctx context.Context, instance string, d Disk) error
	Detach(ctx context.Context, instance, volume string) error
	// Reboot begins to reboot a machine and does not wait.
	Reboot(instance string)
	// Halt shuts a machine down: it asks the guest, and after a while does not ask. When it returns
	// nobody uses the disks any more. Halting one that does not run does nothing.
	Halt(ctx context.Context, instance string) error
	// Console is what a machine wrote; ok is false if that is nothing yet.
	Console(instance string) (_ Console, ok bool)
	// Forget drops the console of a machine that does not run.
	Forget(instance string)
	// Cut switches all machines off at once and asks no guest; when it returns nobody uses their disks any
	// more. Their consoles stay, and other machines can boot.
	Cut()
	// Close halts all machines.
	Close() error
}

// A Spec describes a machine.
type Spec struct {
	Instance  string
	VCPUs     int
	MemoryMiB int64
	Disks     []Disk // the first is what it boots from
	UserData  []byte
	// Exited is called, once, when the machine ended and nobody halted it.
	Exited func(Exit)
}

// A Disk is an open volume.
type Disk struct {
	Volume string
	// Serve answers NBD on a connection until ctx or the connection ends; the export has the volume's id.
	Serve func(ctx context.Context, c net.Conn) error
}

// An Exit is why a machine ended by itself.
type Exit struct {
	Guest bool // the guest shut it down; else it crashed
}

// A Console is the end of what a machine wrote to its serial console.
type Console struct {
	Output []byte
	At     time.Time // when it wrote last
}

// Host runs nothing: that the volumes of an instance are open is all there is of it.
type Host struct{}

// Boot does nothing.
func (Host) Boot(context.Context, Spec) error { return nil }

// Attach does nothing.
func (Host) Attach(context.Context, string, Disk) error { return nil }

// Detach does nothing.
func (Host) Detach(context.Context, string, string) error { return nil }

// Reboot does nothing.
func (Host) Reboot(string) {}

// Halt does nothing.
func (Host) Halt(context.Context, string) error { return nil }

// Console has nothing.
func (Host) Console(string) (Console, bool) { return Console{}, false }

// Forget does nothing.
func (Host) Forget(string) {}

// Cut does nothing.
func (Host) Cut() {}

// Close does nothing.
func (Host) Close() error { return nil }
