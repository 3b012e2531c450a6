package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/server"
)

// blocks are the shell commands of a section of a page.
func blocks(t *testing.T, path, section string) (all []string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## "+section)
	rest, _, _ = strings.Cut(rest, "\n## ")
	for {
		_, after, ok := strings.Cut(rest, "```sh\n")
		if !ok {
			return all
		}
		block, after, _ := strings.Cut(after, "```")
		all, rest = append(all, block), after
	}
}

// TestThreeNodesByCopyAndPaste runs the commands of docs/cluster.md, as they are there but for the folder, with
// etcd itself.
func TestThreeNodesByCopyAndPaste(t *testing.T) {
	commands := blocks(t, "../../docs/cluster.md", "Three nodes on one machine")
	if len(commands) != 3 {
		t.Fatalf("%d blocks of commands", len(commands))
	}
	kagimori, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(kagimori, filepath.Join(bin, "kagimori")); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "etcd"), "go.etcd.io/etcd/server/v3")
	build.Dir = "../etcdtest"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("etcd: %v\n%s", err, out)
	}
	script := strings.ReplaceAll(strings.Join(commands, "\n"), "/tmp/three", dir)
	if !strings.Contains(script, dir) {
		t.Fatal("the commands have another folder")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script+"\nexit $?\n")
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "PATH=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }() // all that the commands started
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-time.After(3 * time.Minute):
		err = os.ErrDeadlineExceeded
	}
	out, _ := os.ReadFile(log.Name())
	if err != nil || !strings.Contains(string(out), `"KeyState": "Enabled"`) || strings.Count(string(out), `"status":"ok"`) != 3 || !strings.Contains(string(out), "aws_secret_access_key = ") {
		t.Errorf("%v\n%s", err, out)
	}
}
