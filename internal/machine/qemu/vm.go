package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/machine"
)

// A vm is one machine.
type vm struct {
	d       *Driver
	spec    machine.Spec
	console *ring
	cmd     *exec.Cmd
	mon     *monitor
	ready   chan struct{} // closed when start has returned
	done    chan struct{} // closed when the process has ended and nobody serves its disks any more
	reset   chan struct{} // gets one for each reset after a reboot was asked for
	stop    context.CancelFunc

	serving sync.WaitGroup

	mu        sync.Mutex
	halting   bool
	rebooting bool
	byGuest   bool
	gone      map[string]chan struct{} // devices that are to go, by id
}

// start runs the process and greets it. If it fails nothing is left.
func (v *vm) start(ctx context.Context) error {
	ours, theirs, err := v.files()
	if err != nil {
		closeAll(append(ours, theirs...))
		v.d.ended(v)
		return err
	}
	conns, err := connections(ours)
	if err != nil {
		closeAll(theirs)
		v.d.ended(v)
		return err
	}
	serve, stop := context.WithCancel(context.Background())
	v.stop = stop
	for i, c := range conns[1:] {
		v.serve(serve, &v.spec.Disks[i], c)
	}
	v.cmd = exec.Command(v.d.cfg.Binary, v.args()...)
	v.cmd.ExtraFiles, v.cmd.Stdout = theirs, v.console
	complaints := &tail{}
	v.cmd.Stderr = complaints
	v.cmd.SysProcAttr = dieWithUs()
	err = v.run()
	closeAll(theirs) // the process has its own, and when it is gone ours end
	if err != nil {
		stop()
		v.serving.Wait()
		v.d.ended(v)
		return fmt.Errorf("qemu: %w", errors.Join(err, conns[0].Close()))
	}
	greet, cancel := context.WithTimeout(ctx, hello)
	defer cancel()
	if v.mon, err = newMonitor(greet, conns[0], v.event); err != nil {
		v.kill()
		v.mon = nil
		return fmt.Errorf("qemu: %s did not start: %w: %s", v.d.name(), errors.Join(err, conns[0].Close()), strings.TrimSpace(complaints.String()))
	}
	return nil
}

// run starts the process and waits for its end elsewhere: on one thread, for the process dies with the
// thread that started it.
func (v *vm) run() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := v.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = v.cmd.Wait() // how it ended is seen from what the guest did
		v.stop()
		v.serving.Wait()
		v.d.ended(v)
		close(v.done)
		v.mu.Lock()
		told := v.halting
		exit := machine.Exit{Guest: v.byGuest}
		v.mu.Unlock()
		if !told && v.spec.Exited != nil {
			v.spec.Exited(exit)
		}
	}()
	return <-started
}

// files are both ends of the monitor's and the disks' connections, and the user data.
func (v *vm) files() (ours, theirs []*os.File, err error) {
	for range 1 + len(v.spec.Disks) {
		a, b, err := pair()
		if err != nil {
			return ours, theirs, err
		}
		ours, theirs = append(ours, a), append(theirs, b)
	}
	if len(v.spec.UserData) > 0 {
		r, err := pipeOf(v.spec.UserData)
		if err != nil {
			return ours, theirs, err
		}
		theirs = append(theirs, r)
	}
	return ours, theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// connections makes connections of descriptors, which it closes.
func connections(files []*os.File) ([]*net.UnixConn, error) {
	defer closeAll(files)
	var out []*net.UnixConn
	for _, f := range files {
		c, err := net.FileConn(f)
		if err != nil {
			return out, err
		}
		u, ok := c.(*net.UnixConn)
		if !ok {
			return out, errors.New("qemu: no Unix socket")
		}
		out = append(out, u)
	}
	return out, nil
}

// serve answers NBD for a disk.
func (v *vm) serve(ctx context.Context, disk *machine.Disk, c net.Conn) {
	v.serving.Go(func() {
		if err := disk.Serve(ctx, c); err != nil && ctx.Err() == nil {
			v.d.cfg.Logger.Warn("a machine's disk is not served any more", "instance", v.spec.Instance, "volume", disk.Volume, "error", err)
		}
	})
}

// event takes what QEMU tells. A guest that shut down leaves the process paused.
func (v *vm) event(name string, data json.RawMessage) {
	switch name {
	case "SHUTDOWN":
		v.mu.Lock()
		again := v.rebooting && !v.halting
		v.rebooting = false
		v.byGuest = !again
		v.mu.Unlock()
		go func() {
			if <-v.ready; v.mon == nil {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), hello)
			defer cancel()
			if !again {
				_, _ = v.mon.do(ctx, "quit", nil) // the answer may be lost with the process
				return
			}
			v.resetNow(ctx)
		}()
	case "STOP":
		go v.stopped()
	case "RESET":
		select {
		case v.reset <- struct{}{}:
		default:
		}
	case "DEVICE_DELETED":
		var d struct{ Device string }
		if json.Unmarshal(data, &d) != nil {
			return
		}
		v.mu.Lock()
		c := v.gone[d.Device]
		delete(v.gone, d.Device)
		v.mu.Unlock()
		if c != nil {
			close(c)
		}
	}
}

// stopped looks why the processors stand still: after an error of KVM they do for ever, and the machine
// is switched off, as one that crashed.
func (v *vm) stopped() {
	if <-v.ready; v.mon == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hello)
	defer cancel()
	data, err := v.mon.do(ctx, "query-status", nil)
	var s struct{ Status string }
	if err == nil && json.Unmarshal(data, &s) == nil && (s.Status == "internal-error" || s.Status == "guest-panicked" || s.Status == "io-error") {
		v.d.cfg.Logger.Error("a machine stands still and is switched off", "instance", v.spec.Instance, "status", s.Status)
		_ = v.cmd.Process.Kill()
	}
}

// resetNow boots again.
func (v *vm) resetNow(ctx context.Context) {
	_, err := v.mon.do(ctx, "system_reset", nil)
	if err == nil {
		_, err = v.mon.do(ctx, "cont", nil)
	}
	if err != nil && !errors.Is(err, errGone) {
		v.d.cfg.Logger.Warn("a machine does not reset", "instance", v.spec.Instance, "error", err)
	}
}

// press presses the power button until something comes of it, or patience ends; it reports whether
// something came.
func (v *vm) press(ctx context.Context, until <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, v.d.cfg.Patience)
	defer cancel()
	again := time.NewTicker(v.d.cfg.Again)
	defer again.Stop()
	for {
		if _, err := v.mon.do(ctx, "system_powerdown", nil); errors.Is(err, errGone) {
			<-v.done
		}
		select {
		case <-until:
			return true
		case <-v.done:
			return true
		case <-again.C: // a guest that is booting does not hear it
		case <-ctx.Done():
			return false
		}
	}
}

// halt shuts the machine down, and returns when it is.
func (v *vm) halt(ctx context.Context) {
	v.mu.Lock()
	v.halting = true
	v.mu.Unlock()
	if !v.press(ctx, v.done) {
		v.d.cfg.Logger.Warn("a guest does not shut down: its machine is switched off", "instance", v.spec.Instance)
		v.kill()
	}
}

// kill switches the machine off.
func (v *vm) kill() {
	v.mu.Lock()
	v.halting = true
	v.mu.Unlock()
	_ = v.cmd.Process.Kill() // it may be gone
	<-v.done
}

// reboot has the guest shut down and boots it again; a guest that does not is reset.
func (v *vm) reboot() {
	v.mu.Lock()
	if v.halting || v.rebooting {
		v.mu.Unlock()
		return
	}
	v.rebooting = true
	v.mu.Unlock()
	if v.press(context.Background(), v.reset) {
		return
	}
	v.mu.Lock()
	v.rebooting = false
	v.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), hello)
	defer cancel()
	v.resetNow(ctx)
}
