package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A machine is a systemd of its own, in namespaces.
type machine struct {
	t   *testing.T
	pid string // of its first process, here
}

// boot starts a machine that finds the folder as /srv/kagimori.
func boot(t *testing.T, folder string) *machine {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--fork", "--kill-child", "testdata/boot.sh", folder)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the machine said:\n%s", said.String())
		}
	})
	m := &machine{t: t}
	m.wait("systemd runs", func() error {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if err != nil {
			return err
		}
		if m.pid = strings.TrimSpace(string(children)); m.pid == "" {
			return errors.New("no process")
		}
		name, err := os.ReadFile("/proc/" + m.pid + "/comm")
		if err != nil || string(name) != "systemd\n" {
			return fmt.Errorf("the first process is %q, %v", name, err)
		}
		out, err := m.try("", "systemctl", "is-system-running")
		if out == "running\n" || out == "degraded\n" {
			return nil
		}
		return fmt.Errorf("%q, %v", out, err)
	})
	m.run("", "ip", "link", "set", "lo", "up")
	return m
}

// try runs a command on the machine, as root.
func (m *machine) try(in string, command ...string) (string, error) {
	cmd := exec.CommandContext(m.t.Context(), "nsenter", append([]string{"--target", m.pid, "--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--root", "--wdns=/srv/kagimori", "--"}, command...)...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machine) run(in string, command ...string) string {
	m.t.Helper()
	out, err := m.try(in, command...)
	if err != nil {
		m.t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(out)
}

// wait is over when f has no error, or a minute later with the last one.
func (m *machine) wait(what string, f func() error) {
	m.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-end:
			m.t.Fatalf("%s: not within a minute: %v", what, err)
		case <-tick.C:
		}
	}
}

// dial connects within the machine's network: a socket is of the namespace of the thread that makes it.
func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		f, err := os.Open(filepath.Join("/proc", m.pid, "ns/net"))
		if err != nil {
			done <- result{err: err}
			return
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{err: err}
			return
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		done <- result{c, err}
	}()
	r := <-done
	return r.c, r.err
}
