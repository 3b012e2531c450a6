package ec2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
)

// A crew runs machines of which only their disks are real: each is a client of NBD. An instance that runs on two
// hosts at once fails the test.
type crew struct {
	t   testing.TB
	all map[string]*clusterNode

	mu       sync.Mutex
	running  map[string]*crewMachine
	consoles map[string]string // what happened, by instance
	deaf     map[string]bool   // guests that do not shut down
	slow     chan struct{}     // unless nil, machines boot when it is closed
}

type crewMachine struct {
	spec  machine.Spec
	disks map[string]*crewDisk
}

// A crewDisk is a disk as the guest has it.
type crewDisk struct {
	conn  net.Conn
	stop  context.CancelFunc
	ended chan struct{}
}

func (c *crew) say(instance, what string) { c.consoles[instance] += what + "\n" }

// Boot implements [machine.Driver].
func (c *crew) Boot(ctx context.Context, spec machine.Spec) error {
	for name, n := range c.all {
		if n.crew != nil && n.crew != c && n.crew.runs(spec.Instance) {
			c.t.Errorf("%s boots, and runs on %s", spec.Instance, name)
		}
	}
	c.mu.Lock()
	slow := c.slow
	c.mu.Unlock()
	if slow != nil {
		<-slow
	}
	m := &crewMachine{spec, map[string]*crewDisk{}}
	if len(spec.Disks) == 0 {
		return errors.New("no disk to boot from")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[spec.Instance] != nil {
		return nil
	}
	for _, d := range spec.Disks {
		disk, err := plugIn(ctx, d)
		if err != nil {
			return err
		}
		m.disks[d.Volume] = disk
	}
	c.running[spec.Instance] = m
	c.say(spec.Instance, "boot "+string(spec.UserData))
	return nil
}

// plugIn connects a disk and chooses its export, as the protocol of NBD has it.
func plugIn(ctx context.Context, d machine.Disk) (*crewDisk, error) {
	ours, theirs := net.Pipe()
	serve, stop := context.WithCancel(context.WithoutCancel(ctx))
	disk := &crewDisk{ours, stop, make(chan struct{})}
	go func() {
		defer close(disk.ended)
		_ = d.Serve(serve, theirs)
		_ = theirs.Close()
	}()
	err := disk.choose(d.Volume)
	if err != nil {
		disk.pull()
		return nil, err
	}
	return disk, nil
}

func (d *crewDisk) choose(volume string) error {
	_ = d.conn.SetDeadline(time.Now().Add(time.Minute))
	hello := make([]byte, 18)
	if _, err := io.ReadFull(d.conn, hello); err != nil {
		return err
	}
	out := append([]byte("\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x01"), 0, 0, 0, byte(len(volume)))
	if _, err := d.conn.Write(append(out, volume...)); err != nil {
		return err
	}
	_, err := io.ReadFull(d.conn, make([]byte, 10)) // size and flags
	_ = d.conn.SetDeadline(time.Time{})
	return err
}

func (d *crewDisk) pull() {
	d.stop()
	_ = d.conn.Close()
	<-d.ended
}

// do asks the disk for something and gives what it answers.
func (d *crewDisk) do(command uint16, off int64, n int, data []byte) ([]byte, error) {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, []any{uint32(0x25609513)}[0])
	for _, v := range []any{uint16(0), command, uint64(7), uint64(off), uint32(n)} {
		_ = binary.Write(&b, binary.BigEndian, v)
	}
	b.Write(data)
	if _, err := d.conn.Write(b.Bytes()); err != nil {
		return nil, err
	}
	head := make([]byte, 16)
	if _, err := io.ReadFull(d.conn, head); err != nil {
		return nil, err
	}
	if code := binary.BigEndian.Uint32(head[4:]); code != 0 {
		return nil, fmt.Errorf("error %d", code)
	}
	if command != 0 {
		return nil, nil
	}
	out := make([]byte, n)
	_, err := io.ReadFull(d.conn, out)
	return out, err
}

func (c *crew) machine(instance string) *crewMachine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[instance]
}

func (c *crew) runs(instance string) bool { return c.machine(instance) != nil }

// disk is a disk of a machine that runs.
func (c *crew) disk(instance, volume string) *crewDisk {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.running[instance]
	if m == nil || m.disks[volume] == nil {
		c.t.Fatalf("%s has no disk %s", instance, volume)
	}
	return m.disks[volume]
}

func (c *crew) write(instance, volume, text string, off int64) error {
	c.t.Helper()
	_, err := c.disk(instance, volume).do(1, off, 512, append([]byte(text), make([]byte, 512-len(text))...))
	return err
}

func (c *crew) flush(instance, volume string) error {
	c.t.Helper()
	_, err := c.disk(instance, volume).do(3, 0, 0, nil)
	return err
}

func (c *crew) read(instance, volume string, off int64) (string, error) {
	c.t.Helper()
	b, err := c.disk(instance, volume).do(0, off, 512, nil)
	return string(bytes.TrimRight(b, "\x00")), err
}

// Attach implements [machine.Driver].
func (c *crew) Attach(ctx context.Context, instance string, d machine.Disk) error {
	disk, err := plugIn(ctx, d)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.running[instance]
	if m == nil || m.disks[d.Volume] != nil {
		disk.pull()
		return errors.New("there is such a disk")
	}
	m.disks[d.Volume] = disk
	c.say(instance, "attach "+d.Volume)
	return nil
}

// Detach implements [machine.Driver].
func (c *crew) Detach(_ context.Context, instance, volume string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.running[instance]
	if m == nil || m.disks[volume] == nil {
		return nil
	}
	m.disks[volume].pull()
	delete(m.disks, volume)
	c.say(instance, "detach "+volume)
	return nil
}

// Reboot implements [machine.Driver].
func (c *crew) Reboot(instance string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.say(instance, "reboot")
}

// Halt implements [machine.Driver]: a guest writes something when it shuts down.
func (c *crew) Halt(ctx context.Context, instance string) error {
	m := c.machine(instance)
	if m == nil {
		return nil
	}
	c.mu.Lock()
	deaf := c.deaf[instance]
	c.mu.Unlock()
	if deaf {
		<-ctx.Done()
	}
	how := "halt"
	if ctx.Err() != nil {
		how = "switched off"
	} else if err := c.write(instance, m.spec.Disks[0].Volume, "down", 0); err != nil {
		how = "halt without its disk"
	}
	c.off(instance, how)
	return nil
}

// off ends a machine.
func (c *crew) off(instance, how string) *crewMachine {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.running[instance]
	if m == nil {
		return nil
	}
	for _, d := range m.disks {
		d.pull()
	}
	delete(c.running, instance)
	c.say(instance, how)
	return m
}

// end has a machine end by itself.
func (c *crew) end(instance string, guest bool) {
	c.t.Helper()
	m := c.off(instance, "end")
	if m == nil {
		c.t.Fatalf("%s does not run", instance)
	}
	m.spec.Exited(machine.Exit{Guest: guest})
}

// Console implements [machine.Driver].
func (c *crew) Console(instance string) (machine.Console, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, ok := c.consoles[instance]
	return machine.Console{Output: []byte(text), At: time.Now()}, ok
}

// Forget implements [machine.Driver].
func (c *crew) Forget(instance string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.consoles, instance)
}

// Cut implements [machine.Driver].
func (c *crew) Cut() {
	c.mu.Lock()
	var all []string
	for id := range c.running {
		all = append(all, id)
	}
	c.mu.Unlock()
	for _, id := range all {
		c.off(id, "cut")
	}
}

// Close implements [machine.Driver].
func (c *crew) Close() error {
	c.Cut()
	return nil
}

// dial connects a machine of a node with a volume of another one.
func (n *clusterNode) dial(_ context.Context, url, volume, instance string) (net.Conn, error) {
	to := n.c.nodes[url[len("http://"):]]
	if to == nil || to.isOff() || n.isOff() {
		return nil, errors.New("no route to host")
	}
	ours, theirs := net.Pipe()
	go func() { _ = to.agent.ServeLine(context.Background(), theirs, volume, instance) }()
	return ours, nil
}
