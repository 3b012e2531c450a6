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
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/lane"
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
	// profileVar names a file for the processor profile of the server, and that of its memory beside it.
	profileVar = "KAGIMORI_BENCH_PROFILE"
	// lateVar has it begin at SIGUSR1, which a benchmark sends when all is warm.
	lateVar = "KAGIMORI_BENCH_PROFILE_LATE"
)

// Roles.
const (
	roleBare   = "bare"
	roleLane   = "lane" // the bare handler behind the server's own way of HTTP
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
	app.CollectLess()
	if role != roleBare && role != roleLane {
		cache, _ := strconv.Atoi(os.Getenv(cacheVar)) // 0 is the default
		a, err := app.Open(context.Background(), app.Config{
			Data: os.Getenv(dataVar), Dev: true, Version: "bench", Logger: slog.New(slog.DiscardHandler), AuditSync: role == roleSync, KeyCache: cache, MaxGroups: 100_000,
		})
		if err != nil {
			return err
		}
		defer a.Close() // the data is thrown away
		h = withHeap(a.Handler())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s %d\n", l.Addr(), time.Since(began).Microseconds())
	if path := os.Getenv(profileVar); path != "" {
		f, err := os.Create(path + "." + strings.Fields(role)[0])
		if err != nil {
			return err
		}
		defer f.Close()
		start := func() { _ = pprof.StartCPUProfile(f) } // if it has begun already, it goes on
		if os.Getenv(lateVar) == "" {
			start()
		} else {
			asked := make(chan os.Signal, 1)
			signal.Notify(asked, unix.SIGUSR1)
			go func() {
				<-asked
				start()
			}()
		}
		defer pprof.StopCPUProfile()
		defer func() {
			if heap, err := os.Create(f.Name() + ".heap"); err == nil { // else there is a profile less
				runtime.GC()
				_ = pprof.Lookup("heap").WriteTo(heap, 0)
				_ = heap.Close()
			}
		}()
	}
	var srv interface {
		Serve(net.Listener) error
		Close() error
	}
	std := app.HTTPServer(h, slog.New(slog.DiscardHandler))
	if srv = std; role != roleBare {
		srv = lane.New(std)
	}
	defer time.AfterFunc(time.Second, app.Settle).Stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Close()
	}()
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// heapPath answers with the size of the live heap.
const heapPath = "/bench/heap"

func withHeap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != heapPath {
			h.ServeHTTP(w, r)
			return
		}
		for range 2 { // what a sync.Pool had is gone after the second
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_, _ = fmt.Fprint(w, m.HeapAlloc) // a client that went away is no error of ours
	})
}

// bareHandler is what any signed API costs: it reads the body of a request, bounded, verifies the
// signature, with the same cache of derived keys, and answers with a body. Nothing else: whose key it is
// it knows, and what it answers it has. A request for /answer makes its body the answer from then on, so
// that answers are as long as those that they are compared to.
func bareHandler() http.Handler {
	creds := testkit.Admin(account)
	v := sigv4.NewVerifier(sigv4.Config{})
	var answer atomic.Pointer[[]byte]
	answer.Store(new([]byte("{}")))
	mux := http.NewServeMux()
	mux.HandleFunc("/answer", func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			answer.Store(&body)
		}
	})
	lookup := func(context.Context, string, string) (secret.String, error) { return creds.Secret, nil }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			mux.ServeHTTP(w, r)
			return
		}
		var body []byte
		err := error(nil)
		if n := r.ContentLength; n >= 0 && n <= 1<<20 {
			body = make([]byte, n)
			_, err = io.ReadFull(r.Body, body)
		} else {
			body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		}
		if err == nil {
			_, err = v.Verify(r, body, lookup)
		}
		if err != nil {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		out := *answer.Load()
		h := w.Header()
		h["Content-Type"] = []string{"application/x-amz-json-1.1"}
		h["Content-Length"] = []string{strconv.Itoa(len(out))}
		_, _ = w.Write(out) // a client that went away is no error of ours
	})
}

// A process is a server with its own processor time.
type process struct {
	tb    testing.TB
	url   string
	start time.Duration // from its beginning to listening, if it is of the test binary
	cmd   *exec.Cmd
	stdin io.Closer
	stops bool // at SIGTERM
}

func startProcess(tb testing.TB, role, data string, env ...string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleVar+"="+role, dataVar+"="+data), env...)
	p := &process{tb: tb, cmd: cmd}
	line := p.begin()
	var micros int64
	if _, err := fmt.Sscan(line, &p.url, &micros); err != nil {
		tb.Fatal(err)
	}
	p.start = time.Duration(micros) * time.Microsecond
	return p
}

// startProgram starts a program that says last in its first line where it listens.
func startProgram(tb testing.TB, path string, args ...string) *process {
	tb.Helper()
	p := &process{tb: tb, cmd: exec.Command(path, args...), stops: true}
	words := strings.Fields(p.begin())
	p.url = words[len(words)-1]
	return p
}

// begin starts the process and returns the line that it writes.
func (p *process) begin() string {
	p.tb.Helper()
	if !p.stops { // a program's log is nobody's business
		p.cmd.Stderr = os.Stderr
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.tb.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
	p.stdin = stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.tb.Fatalf("%v did not start: %v", p.cmd.Args, err)
	}
	p.tb.Cleanup(p.stop)
	return line
}

// profileNow begins the profile of a process whose profile begins late.
func (p *process) profileNow() {
	if os.Getenv(lateVar) != "" {
		_ = p.cmd.Process.Signal(unix.SIGUSR1) // one that ended already says so when it is stopped
	}
}

func (p *process) stop() {
	if p.stdin == nil {
		return
	}
	if p.stops {
		_ = p.cmd.Process.Signal(unix.SIGTERM) // one that ended already says so below
	}
	_ = p.stdin.Close()
	p.stdin = nil
	if err := p.cmd.Wait(); err != nil {
		p.tb.Errorf("the server ended with %v", err)
	}
}

// cpu is the processor time that the process has used. Source: clock_getcpuclockid(3): the clock of a
// process has its number in its name.
func (p *process) cpu() time.Duration {
	p.tb.Helper()
	const ofProcess = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|ofProcess), &t); err != nil {
		p.tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// ownCPU is the processor time that this process has used.
func ownCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// memory is the resident memory of the process, in bytes, without the pages of files that are mapped.
// Source: proc(5), RssAnon.
func (p *process) memory() int {
	p.tb.Helper()
	return p.resident("RssAnon:")
}

// resident is a line of the process's status that counts memory, in bytes.
func (p *process) resident(line string) int {
	p.tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), line)
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.tb.Fatal(err)
	}
	return kilobytes << 10
}
