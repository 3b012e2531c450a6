package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// A server of a benchmark can be a process of its own, whose processor time is its own too: the
// test binary, told by these what to be.
const (
	roleVar  = "KAGIMORI_BENCH_ROLE"
	dataVar  = "KAGIMORI_BENCH_DATA"
	cacheVar = "KAGIMORI_BENCH_CACHE"
	// profileVar names a file for the processor profile of the server.
	profileVar = "KAGIMORI_BENCH_PROFILE"
)

// Roles.
const (
	roleBare   = "bare"
	roleServer = "server"
	roleSync   = "server with --audit-sync"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := serve(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve serves until standard input ends, and says where.
func serve(role string) error {
	h := bareHandler()
	began := time.Now()
	if role != roleBare {
		app.CollectLess()
		cache, _ := strconv.Atoi(os.Getenv(cacheVar)) // 0 is the default
		a, err := app.Open(context.Background(), app.Config{
			Data: os.Getenv(dataVar), Dev: true, Version: "bench", Logger: slog.New(slog.DiscardHandler), AuditSync: role == roleSync, KeyCache: cache,
		})
		if err != nil {
			return err
		}
		defer a.Close() // the data is thrown away
		h = a.Handler()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s %d\n", l.Addr(), time.Since(began).Microseconds())
	if path := os.Getenv(profileVar); path != "" && role != roleBare {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	srv := &http.Server{Handler: h}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Close()
	}()
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// bareHandler reads a request and verifies its signature, and does nothing else: what any signed
// API costs.
func bareHandler() http.Handler {
	creds := testkit.Admin(account)
	v := sigv4.NewVerifier(sigv4.Config{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = v.Verify(r, body, func(context.Context, string, string) (secret.String, error) { return creds.Secret, nil })
		}
		if err != nil {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, "{}") // a client that went away is no error of ours
	})
}

// A process is a server with its own processor time.
type process struct {
	tb    testing.TB
	url   string
	start time.Duration // from its beginning to listening
	cmd   *exec.Cmd
	stdin io.Closer
}

func startProcess(tb testing.TB, role, data string, env ...string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleVar+"="+role, dataVar+"="+data), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p := &process{tb: tb, cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatalf("the %s did not start: %v", role, err)
	}
	var micros int64
	if _, err := fmt.Sscan(line, &p.url, &micros); err != nil {
		tb.Fatal(err)
	}
	p.start = time.Duration(micros) * time.Microsecond
	tb.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	if p.stdin == nil {
		return
	}
	_ = p.stdin.Close()
	p.stdin = nil
	if err := p.cmd.Wait(); err != nil {
		p.tb.Errorf("the server ended with %v", err)
	}
}

// cpu is the processor time that the process has used. Source: proc(5), /proc/pid/stat, in ticks of
// 10 ms.
func (p *process) cpu() time.Duration {
	p.tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.tb.Fatal(err)
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		p.tb.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is the resident memory of the process, in bytes, without the pages of files that are mapped.
// Source: proc(5), RssAnon.
func (p *process) memory() int {
	p.tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "RssAnon:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.tb.Fatal(err)
	}
	return kilobytes << 10
}
