package hosts

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev/nbd"
	"github.com/kagimori/kagimori/internal/machine"
)

// A MachineSpec is the machine of an instance as it is asked of a host.
type MachineSpec struct {
	Instance  string        `json:"instance"`
	Region    string        `json:"region"`
	Account   string        `json:"account"`
	VCPUs     int           `json:"vcpus,omitempty"`
	MemoryMiB int64         `json:"memoryMiB,omitempty"`
	UserData  []byte        `json:"userData,omitempty"`
	Disks     []MachineDisk `json:"disks"` // the first is what it boots from
}

// A MachineDisk is a volume of a machine.
type MachineDisk struct {
	Volume string `json:"volume"`
	URL    string `json:"url,omitempty"` // of the node whose host has the file, if it is another one
}

// A MachineNews is something that a machine did by itself.
type MachineNews struct {
	Instance string `json:"instance"`
	Region   string `json:"region"`
	Account  string `json:"account"`
	Guest    bool   `json:"guest,omitempty"` // the guest shut it down
}

// Dial connects to the host at the URL of another node, which serves the volume there to a machine of an instance here.
type Dial func(ctx context.Context, url, volume, instance string) (net.Conn, error)

// machines are those that a host runs. Safe for concurrent use.
type machines struct {
	h      *Host
	driver machine.Driver
	dial   Dial
	told   func(MachineNews) // of each exit; nil: nobody, and who works asks
	log    *slog.Logger

	mu sync.Mutex
	of map[string]*machineState // by instance; guarded by mu
}

// A machineState is guarded by the mu of its host's machines.
type machineState struct {
	spec    MachineSpec
	ready   chan struct{} // closed when the driver has booted it
	failed  error         // why it did not; read after ready
	ended   bool          // by itself
	guest   bool          // its guest shut it down
	mending bool
	disks   map[string]*plugged
}

func (is *machineState) news() MachineNews {
	return MachineNews{is.spec.Instance, is.spec.Region, is.spec.Account, is.guest}
}

// A plugged is a volume in a machine.
type plugged struct {
	url  string
	dead bool      // the line to the host that has it broke
	due  time.Time // when to try again
}

// mendPause is how long a machine waits until another line to a volume on another host is tried.
const mendPause = 10 * time.Second

func newHostMachines(h *Host, driver machine.Driver, log *slog.Logger) *machines {
	if driver == nil {
		driver = machine.Host{}
	}
	return &machines{h: h, driver: driver, log: log, of: map[string]*machineState{}}
}

// boots reports whether instances have machines here.
func (m *machines) boots() bool {
	_, none := m.driver.(machine.Host)
	return !none
}

// boot starts a machine. One that runs stays, and what it lost of volumes on other hosts it gets again.
func (m *machines) boot(ctx context.Context, spec MachineSpec) error {
	m.mu.Lock()
	is := m.of[spec.Instance]
	if is != nil && !is.ended {
		m.mu.Unlock()
		return m.booted(ctx, is, spec)
	}
	is = &machineState{spec: spec, ready: make(chan struct{}), disks: map[string]*plugged{}}
	m.of[spec.Instance] = is
	out := machine.Spec{Instance: spec.Instance, VCPUs: spec.VCPUs, MemoryMiB: spec.MemoryMiB, UserData: spec.UserData}
	for _, d := range spec.Disks {
		out.Disks = append(out.Disks, m.disk(spec.Instance, is, d))
	}
	m.mu.Unlock()
	out.Exited = func(e machine.Exit) { m.exited(is, e) }
	err := m.driver.Boot(ctx, out)
	if err != nil {
		m.drop(spec.Instance, is)
	}
	is.failed = err
	close(is.ready)
	return err
}

// booted waits for a machine that somebody boots.
func (m *machines) booted(ctx context.Context, is *machineState, spec MachineSpec) error {
	select {
	case <-is.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if is.failed != nil {
		return is.failed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if lost := is.lost(spec.Disks); len(lost) > 0 && !is.mending {
		is.mending = true
		go m.mend(spec.Instance, is, lost)
	}
	return nil
}

// exited notes that a machine ended by itself.
func (m *machines) exited(is *machineState, e machine.Exit) {
	m.mu.Lock()
	is.ended, is.guest = true, e.Guest
	news, told := is.news(), m.told
	if m.of[is.spec.Instance] != is { // halted, or cut off
		told = nil
	}
	m.mu.Unlock()
	if told != nil {
		told(news)
	}
}

// drop forgets that there is a machine; nil is any.
func (m *machines) drop(instance string, is *machineState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if is == nil || m.of[instance] == is {
		delete(m.of, instance)
	}
}

// lost are those of disks whose line broke, and that are due.
func (is *machineState) lost(disks []MachineDisk) (out []MachineDisk) {
	for _, d := range disks {
		if p := is.disks[d.Volume]; p != nil && p.dead && !time.Now().Before(p.due) {
			out = append(out, d)
		}
	}
	return out
}

// mend takes disks away that are dead and gives them to the machine again.
func (m *machines) mend(instance string, is *machineState, disks []MachineDisk) {
	ctx := context.Background() // the driver bounds it
	for _, d := range disks {
		if m.plugOf(instance, is, d.Volume) == nil {
			continue // detached meanwhile, or it is over
		}
		if err := m.driver.Detach(ctx, instance, d.Volume); err != nil {
			m.log.Warn("a guest keeps a volume that is lost to it", "instance", instance, "volume", d.Volume, "error", err)
		}
		m.mu.Lock()
		if m.of[instance] != is || is.ended || is.disks[d.Volume] == nil {
			m.mu.Unlock()
			continue
		}
		disk := m.disk(instance, is, d)
		p := is.disks[d.Volume]
		m.mu.Unlock()
		if err := m.driver.Attach(ctx, instance, disk); err != nil {
			m.log.Warn("a machine does not get a volume on another host again yet", "instance", instance, "volume", d.Volume, "error", err)
			m.broke(instance, is, d.Volume, p)
			continue
		}
		m.log.Info("a machine has a volume on another host again", "instance", instance, "volume", d.Volume)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	is.mending = false
}

// plugOf is a volume in a machine that runs.
func (m *machines) plugOf(instance string, is *machineState, volume string) *plugged {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[instance] != is || is.ended {
		return nil
	}
	return is.disks[volume]
}

// disk is a volume as the driver gets it. The machines are locked.
func (m *machines) disk(instance string, is *machineState, d MachineDisk) machine.Disk {
	p := &plugged{url: d.URL}
	is.disks[d.Volume] = p
	if d.URL == "" {
		return machine.Disk{Volume: d.Volume, Serve: m.serveHere(d.Volume)}
	}
	return machine.Disk{Volume: d.Volume, Serve: func(ctx context.Context, c net.Conn) error {
		err := m.serveThere(ctx, c, d.URL, d.Volume, instance)
		if ctx.Err() == nil {
			m.broke(instance, is, d.Volume, p)
		}
		return err
	}}
}

// broke notes that the line of a disk broke.
func (m *machines) broke(instance string, is *machineState, volume string, p *plugged) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p != nil && m.of[instance] == is && is.disks[volume] == p {
		p.dead, p.due = true, time.Now().Add(mendPause)
	}
}

// serveHere serves a volume that the host holds to a machine.
func (m *machines) serveHere(volume string) func(context.Context, net.Conn) error {
	return func(ctx context.Context, c net.Conn) error { return m.h.serveDisk(ctx, c, volume, m.log) }
}

// serveDisk answers NBD for a volume that the host holds.
func (h *Host) serveDisk(ctx context.Context, c net.Conn, volume string, log *slog.Logger) error {
	d, err := h.disk(volume)
	if err != nil {
		_ = c.Close() // nobody is answered
		return err
	}
	server, err := nbd.NewServer(nbd.Config{
		Find: func(name string) (nbd.Export, bool) {
			return nbd.Export{Device: d, Description: volume}, name == volume
		},
		Logger: log,
	})
	if err != nil {
		return err
	}
	return server.ServeConn(ctx, c)
}

// plug gives a running machine a volume that was just opened for it.
func (m *machines) plug(ctx context.Context, instance string, d MachineDisk) error {
	m.mu.Lock()
	is := m.of[instance]
	if is == nil || is.ended || is.disks[d.Volume] != nil {
		m.mu.Unlock()
		return nil
	}
	disk := m.disk(instance, is, d)
	m.mu.Unlock()
	err := m.driver.Attach(ctx, instance, disk)
	if err != nil {
		m.mu.Lock()
		delete(is.disks, d.Volume)
		m.mu.Unlock()
	}
	return err
}

// unplug takes a volume away from a running machine.
func (m *machines) unplug(ctx context.Context, instance, volume string) error {
	m.mu.Lock()
	if is := m.of[instance]; is != nil {
		delete(is.disks, volume)
	}
	m.mu.Unlock()
	return m.driver.Detach(ctx, instance, volume)
}

// halt shuts a machine down. One that is about to boot does first: nobody would know of it afterwards.
func (m *machines) halt(ctx context.Context, instance string) error {
	return m.haltWithin(ctx, ctx, instance)
}

// switchOff switches a machine off, and asks no guest.
func (m *machines) switchOff(ctx context.Context, instance string) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	return m.haltWithin(ctx, over, instance)
}

// haltWithin is halt for who waits for a boot as long as one context, and for the guest as long as another one.
func (m *machines) haltWithin(boot, guest context.Context, instance string) error {
	m.mu.Lock()
	is := m.of[instance]
	m.mu.Unlock()
	if is != nil {
		select {
		case <-is.ready:
		case <-boot.Done():
			return boot.Err()
		}
	}
	err := m.driver.Halt(guest, instance)
	if err == nil {
		m.drop(instance, nil)
	}
	return err
}

// users are the machines that have a volume: that of an instance, or with "" any.
func (m *machines) users(volume, instance string) (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, is := range m.of {
		if !is.ended && is.disks[volume] != nil && (instance == "" || id == instance) {
			out = append(out, id)
		}
	}
	return out
}

// cut switches all machines off at once.
func (m *machines) cut() {
	m.mu.Lock()
	clear(m.of)
	m.mu.Unlock()
	m.driver.Cut()
}

// haltAll shuts all machines down, and switches those off that take longer than ctx.
func (m *machines) haltAll(ctx context.Context) {
	m.mu.Lock()
	var ids []string
	for id, is := range m.of {
		if !is.ended {
			ids = append(ids, id)
		}
	}
	m.mu.Unlock()
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			if err := m.halt(ctx, id); err != nil {
				m.log.Error("a machine was not shut down properly", "instance", id, "error", err)
			}
		})
	}
	all.Wait()
}

// A MachineReport is what a host tells of its machines.
type MachineReport struct {
	There []string      `json:"there,omitempty"` // instances that have one, or had one that ended by itself
	Ended []MachineNews `json:"ended,omitempty"` // by themselves; until they are halted or boot again
	Lame  []MachineNews `json:"lame,omitempty"`  // those that lost a volume on another host
}

func (m *machines) report() (r MachineReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, is := range m.of {
		r.There = append(r.There, id)
		switch lame := false; {
		case is.ended:
			r.Ended = append(r.Ended, is.news())
		case !is.mending:
			for _, p := range is.disks {
				lame = lame || p.dead && !time.Now().Before(p.due)
			}
			if lame {
				r.Lame = append(r.Lame, is.news())
			}
		}
	}
	return r
}

// serveThere connects a machine with the host of another node.
func (m *machines) serveThere(ctx context.Context, c net.Conn, url, volume, instance string) error {
	defer c.Close()
	if m.dial == nil {
		return fmt.Errorf("ec2: volume %s is on another host, and there is no way to it", volume)
	}
	far, err := m.dial(ctx, url, volume, instance)
	if err != nil {
		return err
	}
	return splice(ctx, c, far)
}
