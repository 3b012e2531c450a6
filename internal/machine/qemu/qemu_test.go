package qemu_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/machine/qemu"
)

// The test binary is QEMU too: with this as its first argument, and then what it is to do.
const fake = "-fake-qemu"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == fake {
		os.Exit(fakeQEMU(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

// fakeQEMU speaks QMP on descriptor 3. deaf hears no power button, mute does not greet, crash ends at
// the first one, off shuts down by itself, broken complains and ends.
func fakeQEMU(kind string, args []string) int {
	fmt.Println("boot", strings.Join(args, " "))
	if i := slices.IndexFunc(args, func(a string) bool { return strings.Contains(a, "user-data,file=") }); i >= 0 {
		data, err := os.ReadFile(strings.SplitN(args[i], "file=", 2)[1])
		fmt.Println("user data", string(data), err)
	}
	if kind == "broken" {
		fmt.Fprintln(os.Stderr, "qemu: no such machine")
		return 1
	}
	c, err := net.FileConn(os.NewFile(3, "qmp"))
	if err != nil {
		return 2
	}
	say := func(format string, a ...any) { fmt.Fprintf(c, format+"\r\n", a...) }
	if kind != "mute" {
		say(`{"QMP":{"version":{"qemu":{"major":7}},"capabilities":[]}}`)
	}
	if kind == "off" {
		time.AfterFunc(100*time.Millisecond, func() { say(`{"event":"SHUTDOWN","data":{"guest":true}}`) })
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		var q struct {
			Execute   string
			ID        int
			Arguments map[string]any
		}
		if json.Unmarshal(lines.Bytes(), &q) != nil {
			return 3
		}
		fmt.Println("command", q.Execute, q.Arguments["id"])
		if q.Execute == "blockdev-add" && strings.Contains(fmt.Sprint(q.Arguments), "bad") {
			say(`{"id":%d,"error":{"class":"GenericError","desc":"no such export"}}`, q.ID)
			continue
		}
		if q.Execute == "query-status" {
			say(`{"id":%d,"return":{"status":"internal-error","running":false}}`, q.ID)
			continue
		}
		say(`{"id":%d,"return":{}}`, q.ID)
		if kind == "stuck" && q.Execute == "qmp_capabilities" {
			say(`{"event":"STOP"}`)
		}
		switch {
		case q.Execute == "quit":
			return 0
		case q.Execute == "system_powerdown" && kind == "crash":
			return 139
		case q.Execute == "system_powerdown" && kind != "deaf":
			say(`{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}`)
		case q.Execute == "system_reset":
			say(`{"event":"RESET","data":{"guest":false}}`)
		case q.Execute == "device_del":
			say(`{"event":"DEVICE_DELETED","data":{"device":%q}}`, q.Arguments["id"])
		}
	}
	return 0
}

func newDriver(t *testing.T, kind string) *qemu.Driver {
	t.Helper()
	return patientDriver(t, kind, time.Minute)
}

func patientDriver(t *testing.T, kind string, patience time.Duration) *qemu.Driver {
	t.Helper()
	cfg, err := qemu.Find(qemu.Config{
		Binary: os.Args[0], Args: []string{fake, kind}, Patience: patience, Again: 50 * time.Millisecond, MemoryMiB: 256,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := qemu.New(cfg)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// A guest is an instance with two disks whose connections are counted.
type guest struct {
	mu     sync.Mutex
	open   int
	exited chan machine.Exit
}

func (g *guest) serve(ctx context.Context, c net.Conn) error {
	g.mu.Lock()
	g.open++
	g.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	for buf := make([]byte, 64); ; {
		if _, err := c.Read(buf); err != nil {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	return nil
}

func (g *guest) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *guest) spec() machine.Spec {
	g.exited = make(chan machine.Exit, 1)
	return machine.Spec{
		Instance: "i-1", VCPUs: 64, MemoryMiB: 1 << 20, UserData: []byte("hello, guest"),
		Disks:  []machine.Disk{{Volume: "vol-0123456789abcdef0", Serve: g.serve}, {Volume: "vol-2", Serve: g.serve}},
		Exited: func(e machine.Exit) { g.exited <- e },
	}
}

// console waits until the console has a text.
func console(t *testing.T, d *qemu.Driver, want string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		c, _ := d.Console("i-1")
		if strings.Contains(string(c.Output), want) {
			if c.At.IsZero() {
				t.Error("the console has no time")
			}
			return string(c.Output)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the console lacks %q:\n%s", want, c.Output)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestBootAndHalt(t *testing.T) {
	d := newDriver(t, "good")
	var g guest
	if err := d.Boot(t.Context(), g.spec()); err != nil {
		t.Fatal(err)
	}
	out := console(t, d, "command qmp_capabilities")
	for _, want := range []string{
		"-smp 2 -m 256", `"export":"vol-0123456789abcdef0"`, `"str":"4"`, "bootindex=0", "serial=vol0123456789abcdef0", `"str":"5"`,
		"user data hello, guest <nil>", "string=i-1", "-accel kvm -accel tcg",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the machine was started without %q:\n%s", want, out)
		}
	}
	if err := d.Boot(t.Context(), g.spec()); err != nil { // it runs
		t.Error(err)
	}
	if err := d.Halt(t.Context(), "i-1"); err != nil {
		t.Error(err)
	}
	if n := g.connections(); n != 0 {
		t.Errorf("%d disks are served after the halt", n)
	}
	select {
	case e := <-g.exited:
		t.Errorf("a halt is an exit of the guest: %+v", e)
	default:
	}
	console(t, d, "command quit") // it stays after the machine
	if err := d.Halt(t.Context(), "i-1"); err != nil {
		t.Error(err)
	}
	if d.Forget("i-1"); len(consoleOf(d)) > 0 {
		t.Error("the console is not forgotten")
	}
}

// TestCut switches machines off without asking a guest, also one that is just being started.
func TestCut(t *testing.T) {
	d := newDriver(t, "deaf")
	var g guest
	if err := d.Boot(t.Context(), g.spec()); err != nil {
		t.Fatal(err)
	}
	if d.Cut(); g.connections() != 0 {
		t.Errorf("%d disks are served after it", g.connections())
	}
	if out := console(t, d, "command qmp_capabilities"); strings.Contains(out, "system_powerdown") {
		t.Errorf("the guest was asked:\n%s", out)
	}
	select {
	case e := <-g.exited:
		t.Errorf("it is an exit of the guest: %+v", e)
	default:
	}
	if err := d.Boot(t.Context(), g.spec()); err != nil { // others can boot
		t.Error(err)
	}
	d.Cut()
	mute := newDriver(t, "mute")
	ctx, cancel := context.WithCancel(t.Context())
	booted := make(chan error, 1)
	go func() { booted <- mute.Boot(ctx, g.spec()) }()
	for len(consoleOf(mute)) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if mute.Cut(); <-booted == nil {
		t.Error("a machine that was cut off runs")
	}
}

func consoleOf(d *qemu.Driver) []byte {
	c, _ := d.Console("i-1")
	return c.Output
}

// A guest that hears no power button is switched off after a while; until then the button is pressed again.
func TestADeafGuestIsSwitchedOff(t *testing.T) {
	d := patientDriver(t, "deaf", 200*time.Millisecond)
	var g guest
	if err := d.Boot(t.Context(), g.spec()); err != nil {
		t.Fatal(err)
	}
	if err := d.Halt(t.Context(), "i-1"); err != nil || g.connections() != 0 {
		t.Errorf("halt: %v, %d connections", err, g.connections())
	}
	d = newDriver(t, "deaf")
	if err := d.Boot(t.Context(), g.spec()); err != nil {
		t.Fatal(err)
	}
	ctx, enough := context.WithCancel(t.Context())
	halted := make(chan error, 1)
	go func() { halted <- d.Halt(ctx, "i-1") }()
	pressed := func() int {
		return strings.Count(console(t, d, "command system_powerdown"), "command system_powerdown")
	}
	for begun := time.Now(); pressed() < 3 && time.Since(begun) < time.Minute; {
		time.Sleep(5 * time.Millisecond)
	}
	enough()
	if err := <-halted; err != nil || g.connections() != 0 {
		t.Errorf("halt: %v, %d connections", err, g.connections())
	}
	if n := pressed(); n < 3 {
		t.Errorf("the button was pressed %d times", n)
	}
}

func TestExits(t *testing.T) {
	for kind, byGuest := range map[string]bool{"off": true, "crash": false, "stuck": false} {
		d := newDriver(t, kind)
		var g guest
		if err := d.Boot(t.Context(), g.spec()); err != nil {
			t.Fatal(err)
		}
		if kind == "crash" {
			d.Reboot("i-1")
		}
		select {
		case e := <-g.exited:
			if e.Guest != byGuest {
				t.Errorf("%s: %+v", kind, e)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: no exit", kind)
		}
		if err := d.Boot(t.Context(), g.spec()); err != nil { // it can boot again
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestReboot(t *testing.T) {
	d := newDriver(t, "good")
	var g guest
	if err := d.Boot(t.Context(), g.spec()); err != nil {
		t.Fatal(err)
	}
	d.Reboot("i-1")
	console(t, d, "command cont")
	select {
	case e := <-g.exited:
		t.Errorf("a reboot is an exit: %+v", e)
	default:
	}
}

func TestDisks(t *testing.T) {
	d := newDriver(t, "good")
	var g guest
	if err := d.Attach(t.Context(), "i-1", machine.Disk{Volume: "vol-3", Serve: g.serve}); err != nil { // it does not run
		t.Error(err)
	}
	if err := d.Boot(t.Context(), g.spec()); err != nil {
		t.Fatal(err)
	}
	if err := d.Attach(t.Context(), "i-1", machine.Disk{Volume: "vol-3", Serve: g.serve}); err != nil {
		t.Error(err)
	}
	console(t, d, "command device_add d-nvol-3")
	if err := d.Detach(t.Context(), "i-1", "vol-3"); err != nil {
		t.Error(err)
	}
	console(t, d, "command blockdev-del")
	if err := d.Attach(t.Context(), "i-1", machine.Disk{Volume: "vol-bad", Serve: g.serve}); err == nil || !strings.Contains(err.Error(), "no such export") {
		t.Errorf("a disk that QEMU refuses: %v", err)
	}
}

func TestBootFails(t *testing.T) {
	d := newDriver(t, "broken")
	var g guest
	err := d.Boot(t.Context(), g.spec())
	if err == nil || !strings.Contains(err.Error(), "no such machine") {
		t.Errorf("err = %v", err)
	}
	if err := d.Boot(t.Context(), machine.Spec{Instance: "i-1"}); err == nil {
		t.Error("a machine without disks boots")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := newDriver(t, "mute").Boot(ctx, g.spec()); err == nil {
		t.Error("a machine that does not greet runs")
	}
	if n := g.connections(); n != 0 {
		t.Errorf("%d disks are served", n)
	}
	if _, err := qemu.Find(qemu.Config{Binary: "no-such-qemu"}); err == nil || !strings.Contains(err.Error(), "apt-get install qemu-system-x86") {
		t.Errorf("without QEMU: %v", err)
	}
}
