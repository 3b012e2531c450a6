package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
	if len(commands) != 5 {
		t.Fatalf("%d blocks of commands", len(commands))
	}
	dir := t.TempDir()
	script := strings.ReplaceAll(strings.Join(commands, "\n"), "/tmp/three", dir)
	if !strings.Contains(script, dir) {
		t.Fatal("the commands have another folder")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script+"\nexit $?\n")
	cmd.Dir = "../.."
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
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
	if err != nil || strings.Count(string(out), `"KeyState": "Enabled"`) != 3 || strings.Count(string(out), `"status":"ok"`) != 3 || !strings.Contains(string(out), "aws_secret_access_key = ") {
		t.Errorf("%v\n%s", err, out)
	}
}
