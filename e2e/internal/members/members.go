// Package members runs real etcd members, in a process of their own: their module is not one of these
// tests'.
package members

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Members are running.
type Members struct {
	// Store is what a server's --store is to be, but for the prefix.
	Store string
	in    io.WriteCloser
	out   *bufio.Reader
}

// Start runs n members until the test ends.
func Start(t testing.TB, n int) *Members {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "member")
	build := exec.Command("go", "build", "-o", bin, "./member")
	build.Dir = "etcdtest"
	if _, err := os.Stat(build.Dir); err != nil {
		build.Dir = filepath.Join("..", "etcdtest") // of the tests in a folder of their own
	}
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./etcdtest/member: %v\n%s", err, text)
	}
	cmd := exec.Command(bin, "-n", fmt.Sprint(n), "-dir", t.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &Members{in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := m.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	m.Store = "etcd://" + strings.TrimSpace(line)
	return m
}

// Stop ends a member, StartAgain starts it with its data.
func (m *Members) Stop(t testing.TB, i int) { m.tell(t, "stop", i) }

// StartAgain starts a member that was stopped.
func (m *Members) StartAgain(t testing.TB, i int) { m.tell(t, "start", i) }

// Begin makes the store of the nodes that are to come, under a prefix, in an earlier format.
func (m *Members) Begin(t testing.TB, prefix string, format int) { m.tell(t, "format", format, prefix) }

func (m *Members) tell(t testing.TB, what string, i int, rest ...any) {
	t.Helper()
	if _, err := fmt.Fprintln(m.in, append([]any{what, i}, rest...)...); err != nil {
		t.Fatal(err)
	}
	line, err := m.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "done <nil>" {
		t.Fatalf("%s %d: %q, %v", what, i, line, err)
	}
}
