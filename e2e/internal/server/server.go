// Package server builds and runs the kagimori binary for tests: the race-built program, as its
// users start it, on a data directory of its own.
package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BinaryEnv names a kagimori binary to test instead of building one.
const BinaryEnv = "KAGIMORI_BIN"

// StoreEnv names an etcd cluster, as etcd://HOST:PORT, that all servers are to keep their stores in.
const StoreEnv = "KAGIMORI_STORE"

// store are the flags that put the store of a data directory there, unless args name one.
func store(dir string, args []string) []string {
	cluster := os.Getenv(StoreEnv)
	if cluster == "" || slices.Contains(args, "--store") {
		return args
	}
	dir, _ = filepath.Abs(dir)
	return append([]string{"--store", fmt.Sprintf("%s/%x", cluster, sha256.Sum256([]byte(dir))), "--drain", "1ms"}, args...)
}

// ready is how long a server may take to answer its health page; race-built on a busy machine.
const ready = 60 * time.Second

var (
	build = sync.OnceValues(buildBinary)
	built string // folder of what build made
)

// Clean removes the program that was built, at the end of the tests.
func Clean() { _ = os.RemoveAll(built) } // a temporary folder may stay

// Binary is the path of the program under test, built with the race detector unless
// [BinaryEnv] names one.
func Binary() (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		return filepath.Abs(path)
	}
	return build()
}

func buildBinary() (string, error) {
	root, err := productRoot()
	if err != nil {
		return "", err
	}
	if built, err = os.MkdirTemp("", "kagimori-e2e-bin-"); err != nil {
		return "", err
	}
	out := filepath.Join(built, "kagimori")
	cmd := exec.Command("go", "build", "-race", "-o", out, "./cmd/kagimori")
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build -race ./cmd/kagimori: %w\n%s", err, text)
	}
	return out, nil
}

// productRoot is the folder of the module under test: the nearest one above that has its go.mod.
func productRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/kagimori/kagimori\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the module github.com/kagimori/kagimori is in no folder above")
		}
		dir = up
	}
}

// A Server is a running kagimori in development mode.
type Server struct {
	URL string // "http://127.0.0.1:PORT"
	Dir string // its data directory
	cmd *exec.Cmd
	log *output
	end chan struct{} // closed when the process has ended
	err error         // of the process; read after end
}

// Start runs a server on a data directory, until the test ends. A data race, a panic or an
// internal error in its log fails the test.
func Start(t testing.TB, dir string, args ...string) *Server {
	t.Helper()
	s, err := Run(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		for _, line := range s.Trouble() {
			t.Errorf("server: %s", line)
		}
		if t.Failed() {
			t.Logf("end of the server's log:\n%s", s.Tail(4000))
		}
	})
	return s
}

// Run starts a server and waits until it is healthy. The caller has to stop it.
func Run(dir string, args ...string) (*Server, error) {
	return RunBy(dir, (*exec.Cmd).Start, args...)
}

// RunBy is Run for a server whose process is started by a function.
func RunBy(dir string, start func(*exec.Cmd) error, args ...string) (*Server, error) {
	bin, err := Binary()
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, log: newOutput(), end: make(chan struct{})}
	s.cmd = exec.Command(bin, append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "--data", dir}, store(dir, args)...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := start(s.cmd); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.end)
	}()
	if err := s.await(); err != nil {
		s.Kill()
		return nil, fmt.Errorf("%w\n%s", err, s.Tail(4000))
	}
	return s, nil
}

func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	select {
	case s.URL = <-s.log.url:
	case <-s.end:
		return fmt.Errorf("the server ended before it was ready: %v", s.err)
	case <-ctx.Done():
		return errors.New("the server did not tell its address")
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/_kagimori/health", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.end:
			return fmt.Errorf("the server ended before it was healthy: %v", s.err)
		case <-ctx.Done():
			return errors.New("the server did not become healthy")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.end
}

// Stop asks the process to end, and kills it if it does not.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case <-s.end:
	case <-time.After(15 * time.Second):
		s.Kill()
	}
}

// Ended is closed when the process has ended.
func (s *Server) Ended() <-chan struct{} { return s.end }

// Log is all that the process printed.
func (s *Server) Log() string { return s.log.String() }

// ExitCode of the ended process.
func (s *Server) ExitCode() int {
	<-s.end
	return s.cmd.ProcessState.ExitCode()
}

// Advance moves service time.
func (s *Server) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	res, err := http.Post(s.URL+"/_kagimori/clock", "application/json", strings.NewReader(`{"advance":"`+d.String()+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("advancing the clock by %s: %s %s", d, res.Status, body)
	}
}

var troubleLine = regexp.MustCompile(`DATA RACE|(?i)msg="?panic|level=ERROR|"level":"ERROR"|^panic:|^fatal error:`)

// Trouble are the lines of the log that no test may cause.
func (s *Server) Trouble() []string { return s.log.matching(troubleLine) }

// Tail is the end of the log.
func (s *Server) Tail(n int) string {
	all := s.log.String()
	return all[max(0, len(all)-n):]
}

// output keeps what a process prints and finds its address in it.
type output struct {
	url  chan string
	mu   sync.Mutex
	buf  bytes.Buffer
	told bool
}

func newOutput() *output { return &output{url: make(chan string, 1)} }

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// Write is called by the goroutine that reads the process's pipe.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.buf.Write(p)
	if !o.told {
		// Complete lines only: a port may be cut.
		text := o.buf.Bytes()
		if m := address.Find(text[:bytes.LastIndexByte(text, '\n')+1]); m != nil {
			o.told = true
			o.url <- string(m)
		}
	}
	return n, err
}

// String is all that was printed.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) matching(re *regexp.Regexp) []string {
	var out []string
	lines := bufio.NewScanner(strings.NewReader(o.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if re.MatchString(lines.Text()) {
			out = append(out, lines.Text())
		}
	}
	return out
}
