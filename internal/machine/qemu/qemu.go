// Package qemu runs instances as QEMU processes: they boot from their root volume, write to a serial
// console, and are shut down by the power button of ACPI.
//
// A process gets everything as open descriptors: its monitor, and for each disk a connection to the
// NBD server of this process. Nothing else can connect to them, there is no file with plaintext, and
// when this process ends the kernel ends the machines. They have no network.
package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
)

// Config of a [Driver]. The zero value of a field means its default.
type Config struct {
	Binary    string        // qemu-system-x86_64
	Args      []string      // before all others, for tests
	Emulate   bool          // without KVM, even where it is there
	MemoryMiB int64         // most memory of a machine, whatever its type has; 512
	VCPUs     int           // most processors of a machine; 2
	Patience  time.Duration // how long a guest may take to shut down before it is cut off; 60 s
	Again     time.Duration // how often the power button is pressed until it does; 2 s
	Logger    *slog.Logger
}

// A Driver runs machines. Safe for concurrent use.
type Driver struct {
	cfg Config

	mu       sync.Mutex
	machines map[string]*vm   // those that run; guarded by mu
	consoles map[string]*ring // guarded by mu
	closed   bool             // guarded by mu
}

// errClosed: the driver boots nothing any more.
var errClosed = errors.New("qemu: the driver is closed")

// Find completes a Config. It fails if QEMU is not there.
func Find(cfg Config) (Config, error) {
	if cfg.Binary == "" {
		cfg.Binary = "qemu-system-x86_64"
	}
	path, err := exec.LookPath(cfg.Binary)
	if err != nil {
		return cfg, fmt.Errorf("the machines need QEMU (apt-get install qemu-system-x86): %w", err)
	}
	cfg.Binary = path
	def(&cfg.MemoryMiB, 512)
	def(&cfg.VCPUs, 2)
	def(&cfg.Patience, time.Minute)
	def(&cfg.Again, 2*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}

// New makes a Driver, with a Config that [Find] completed.
func New(cfg Config) *Driver {
	return &Driver{cfg: cfg, machines: map[string]*vm{}, consoles: map[string]*ring{}}
}

func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// hello is how long QEMU may take to greet, and to answer a command.
const hello = 30 * time.Second

// Boot starts a machine.
func (d *Driver) Boot(ctx context.Context, spec machine.Spec) error {
	if len(spec.Disks) == 0 {
		return errors.New("qemu: no disk to boot from")
	}
	d.mu.Lock()
	if d.closed || d.machines[spec.Instance] != nil {
		defer d.mu.Unlock()
		if d.closed {
			return errClosed
		}
		return nil
	}
	v := &vm{d: d, spec: spec, console: d.consoles[spec.Instance], ready: make(chan struct{}), done: make(chan struct{}), reset: make(chan struct{}, 1), gone: map[string]chan struct{}{}}
	if v.console == nil {
		v.console = &ring{}
	}
	d.machines[spec.Instance], d.consoles[spec.Instance] = v, v.console
	d.mu.Unlock()
	defer close(v.ready)
	if err := v.start(ctx); err != nil {
		return err
	}
	d.cfg.Logger.Info("a machine runs", "instance", spec.Instance)
	return nil
}

// args are the command line of a machine. Its monitor is descriptor 3, its disks follow, then the
// user data.
func (v *vm) args() []string {
	c := &v.d.cfg
	memory, cpus := c.MemoryMiB, c.VCPUs
	if m := v.spec.MemoryMiB; m > 0 {
		memory = min(memory, m)
	}
	if n := v.spec.VCPUs; n > 0 {
		cpus = min(cpus, n)
	}
	out := append([]string{}, c.Args...)
	out = append(out,
		"-name", v.spec.Instance, "-nodefaults", "-no-user-config", "-no-shutdown", "-display", "none", "-machine", "pc",
		"-cpu", "max,arch-capabilities=off", "-smp", strconv.Itoa(cpus), "-m", strconv.FormatInt(memory, 10),
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-smbios", "type=1,manufacturer=Amazon EC2,serial="+v.spec.Instance, "-nic", "none",
	)
	if !c.Emulate {
		out = append(out, "-accel", "kvm")
	}
	out = append(out, "-accel", "tcg") // where KVM is not there
	for i, disk := range v.spec.Disks {
		node := nodeOf(disk.Volume)
		out = append(out, "-blockdev", blockdev(disk.Volume, strconv.Itoa(4+i)))
		device := "virtio-blk-pci,id=d-" + node + ",drive=" + node + ",serial=" + serialOf(disk.Volume)
		if i == 0 {
			device += ",bootindex=0"
		}
		out = append(out, "-device", device)
	}
	if len(v.spec.UserData) > 0 {
		out = append(out, "-fw_cfg", "name=opt/org.kagimori/user-data,file=/dev/fd/"+strconv.Itoa(4+len(v.spec.Disks)))
	}
	return append(out, "-fw_cfg", "name=opt/org.kagimori/instance-id,string="+v.spec.Instance)
}

// nodeOf is the name of a disk within QEMU.
func nodeOf(volume string) string { return "n" + volume }

// serialOf is the serial number that a guest sees: the volume's id without its dash, as on Nitro
// instances. Source: EC2 User Guide, "Map Amazon EBS volumes to NVMe device names".
func serialOf(volume string) string {
	if len(volume) > 4 && volume[:4] == "vol-" {
		volume = "vol" + volume[4:]
	}
	return volume[:min(len(volume), 20)] // what virtio-blk has room for
}

// blockdev is a disk: the export of its volume on a connection that is open already.
func blockdev(volume, fd string) string {
	data, _ := json.Marshal(blockdevArgs(volume, fd)) // strings
	return string(data)
}

func blockdevArgs(volume, fd string) map[string]any {
	return map[string]any{
		"driver": "nbd", "node-name": nodeOf(volume), "export": volume, "discard": "unmap", "detect-zeroes": "unmap",
		"server": map[string]any{"type": "fd", "str": fd},
	}
}

// running is the machine of an instance once it has greeted, or nil.
func (d *Driver) running(instance string) *vm {
	d.mu.Lock()
	v := d.machines[instance]
	d.mu.Unlock()
	if v != nil {
		<-v.ready
	}
	if v == nil || v.mon == nil {
		return nil
	}
	return v
}

// Console is what a machine wrote.
func (d *Driver) Console(instance string) (machine.Console, bool) {
	d.mu.Lock()
	r := d.consoles[instance]
	d.mu.Unlock()
	if r == nil {
		return machine.Console{}, false
	}
	return r.console()
}

// Forget drops a console.
func (d *Driver) Forget(instance string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.machines[instance] == nil {
		delete(d.consoles, instance)
	}
}

// Halt shuts a machine down.
func (d *Driver) Halt(ctx context.Context, instance string) error {
	if v := d.running(instance); v != nil {
		v.halt(ctx)
	}
	return nil
}

// Reboot presses the power button, and boots again when the guest has shut down.
func (d *Driver) Reboot(instance string) {
	if v := d.running(instance); v != nil {
		go v.reboot()
	}
}

// Cut switches all machines off.
func (d *Driver) Cut() {
	var wg sync.WaitGroup
	for _, v := range d.all() {
		wg.Go(func() {
			if <-v.ready; v.mon != nil {
				v.kill()
			}
		})
	}
	wg.Wait()
}

func (d *Driver) all() (all []*vm) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.machines {
		all = append(all, v)
	}
	return all
}

// Close halts all machines at once.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	var wg sync.WaitGroup
	for _, v := range d.all() {
		wg.Go(func() { _ = d.Halt(context.Background(), v.spec.Instance) })
	}
	wg.Wait()
	return nil
}

// ended drops a machine that does not run any more.
func (d *Driver) ended(v *vm) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.machines[v.spec.Instance] == v {
		delete(d.machines, v.spec.Instance)
	}
}

// tail keeps the end of what QEMU complains about.
type tail struct{ bytes.Buffer }

// Write keeps p, and forgets what is old.
func (t *tail) Write(p []byte) (int, error) {
	if t.Len() > 8192 {
		t.Reset()
	}
	return t.Buffer.Write(p)
}

// pipeOf is a descriptor from which data can be read.
func pipeOf(data []byte) (*os.File, error) {
	if len(data) > 32<<10 { // a pipe has room for 64 KiB, user data for 16
		return nil, errors.New("qemu: too much user data")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = w.Write(data)
	return r, errors.Join(err, w.Close())
}

// name of the binary, for messages.
func (d *Driver) name() string { return filepath.Base(d.cfg.Binary) }
