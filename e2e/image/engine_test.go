package image_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// run is what a command says; it has to succeed.
func run(t *testing.T, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", command, err, out, failed.String())
	}
	return strings.TrimSpace(string(out))
}

// An engine builds images without a daemon, with images and containers in a folder of its own.
type engine struct {
	t      *testing.T
	folder string
}

func (e engine) run(command ...string) string {
	e.t.Helper()
	return run(e.t, append([]string{"buildah", "--root", filepath.Join(e.folder, "root"), "--runroot", filepath.Join(e.folder, "run"),
		"--storage-driver", "vfs", "--registries-conf", "/dev/null"}, command...)...)
}

// standIn makes an image of files, by path, in the name of one that registries have.
func (e engine) standIn(name string, files map[string]string, config ...string) {
	e.t.Helper()
	root := e.t.TempDir()
	for path, content := range files {
		at := filepath.Join(root, path)
		must(e.t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch {
		case strings.HasSuffix(path, "/"):
			must(e.t, os.MkdirAll(at, 0o755))
		case strings.HasPrefix(content, "-> "):
			must(e.t, os.Symlink(content[3:], at))
		case strings.HasPrefix(path, "bin/"):
			must(e.t, os.WriteFile(at, []byte(content), 0o755))
		default:
			must(e.t, os.WriteFile(at, []byte(content), 0o644))
		}
	}
	c := e.run("from", "scratch")
	e.run("copy", c, root, "/")
	e.run(append(append([]string{"config"}, config...), c)...)
	e.run("commit", "--quiet", "--rm", c, name)
}

// A container is a process of an image's files, made as Kubernetes makes the one of deploy/kubernetes/single.yaml.
type container struct {
	t      *testing.T
	bundle string
	name   string
	cmd    *exec.Cmd
	log    *os.File
	exited chan error
}

// mount is a folder of the machine in a container.
type mount struct {
	from, to string
	writable bool
}

// start runs what the image says, with its root read-only, without capabilities and new privileges.
func start(t *testing.T, root string, config imageConfig, mounts ...mount) *container {
	t.Helper()
	c := &container{t: t, bundle: t.TempDir(), exited: make(chan error, 1)}
	c.name = "kagimori-" + strings.ReplaceAll(strings.TrimPrefix(c.bundle, os.TempDir()+"/"), "/", "-")
	var uid, gid int
	if n, err := fmt.Sscanf(config.User, "%d:%d", &uid, &gid); n != 2 {
		t.Fatalf("the image's user is %q: %v", config.User, err)
	}
	type object = map[string]any
	none := []string{}
	where := []object{
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": []string{"nosuid", "noexec", "nodev", "ro"}},
	}
	for _, m := range mounts {
		access := "ro"
		if m.writable {
			access = "rw"
		}
		where = append(where, object{"destination": m.to, "type": "bind", "source": m.from, "options": []string{"rbind", "nosuid", "nodev", access}})
	}
	spec, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"root":       object{"path": root, "readonly": true},
		"process": object{
			"user": object{"uid": uid, "gid": gid}, "cwd": config.WorkingDir, "env": config.Env, "args": append(config.Entrypoint, config.Cmd...),
			"capabilities":    object{"bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none},
			"noNewPrivileges": true,
		},
		"mounts": where,
		"linux": object{
			"namespaces":    []object{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}}, // the network is the machine's
			"maskedPaths":   []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			"readonlyPaths": []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"},
		},
	})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(c.bundle, "config.json"), spec, 0o600))
	c.log, err = os.Create(filepath.Join(c.bundle, "log"))
	must(t, err)
	c.cmd = c.runtime("run", "--bundle", c.bundle, c.name)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	must(t, c.cmd.Start())
	go func() { c.exited <- c.cmd.Wait() }()
	t.Cleanup(func() {
		_ = c.runtime("delete", "--force", c.name).Run() // it has ended, if all is well
		if t.Failed() {
			t.Logf("%s said:\n%s", c.name, c.said())
		}
		_ = c.log.Close()
	})
	return c
}

// runtime is a command of the container runtime. It needs version 2 of control groups, of which a machine that has
// both versions shows the other one first.
func (c *container) runtime(command ...string) *exec.Cmd {
	script := `mount -t cgroup2 none /sys/fs/cgroup && exec crun --root "$0" --cgroup-manager=disabled "$@"`
	return exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, filepath.Join(c.bundle, "state")}, command...)...)
}

func (c *container) said() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// pid is the process, as the machine sees it.
func (c *container) pid() int {
	c.t.Helper()
	out, err := c.runtime("state", c.name).Output()
	must(c.t, err)
	var state struct{ Pid int }
	must(c.t, json.Unmarshal(out, &state))
	return state.Pid
}

func (c *container) signal(s syscall.Signal) {
	c.t.Helper()
	if out, err := c.runtime("kill", c.name, fmt.Sprint(int(s))).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}
