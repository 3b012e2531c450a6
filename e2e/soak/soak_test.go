//go:build linux

// Package soak_test has a server work as hard as it can for SOAKTIME, and looks whether anything of it grows; and asks
// more of one than it takes on.
package soak_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Clean()
	os.Exit(code)
}

// soakTime is how long a soak lasts: a moment with the other tests, SOAKTIME in a long run.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAKTIME")
	if text == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// freeAddress is an address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// gauges are what a server tells of itself.
type gauges struct {
	memory float64 // resident
	// goal is how large the heap may get until it is collected: so many times what was in use at the last collection.
	goal                       float64
	goroutines, files, records float64
}

// ask reads the metrics of a private port.
func ask(t *testing.T, address string) (g gauges) {
	t.Helper()
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "process_resident_memory_bytes":
			g.memory = v
		case "go_memstats_next_gc_bytes":
			g.goal = v
		case "go_goroutines":
			g.goroutines = v
		case "process_open_fds":
			g.files = v
		case "kagimori_trail_records":
			g.records = v
		}
	}
	if g.memory == 0 || g.goal == 0 || g.goroutines == 0 || g.files == 0 {
		t.Fatalf("the metrics lack some: %+v", g)
	}
	return g
}

// size is what a folder takes on the disk.
func size(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil { // else it went meanwhile
				n += info.Size()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// moment is what was seen in a part of a soak.
type moment struct {
	gauges
	rate     float64
	p50, p99 time.Duration
	store    int64
}

// TestSustainedLoad has 32 connections ask as fast as they are answered. Memory, files, goroutines and the store stay
// as they are after a quarter of the time, requests do not fail, and in a long run the slowest do not get slower.
func TestSustainedLoad(t *testing.T) {
	const parts = 20
	private := freeAddress(t)
	s := server.Start(t, filepath.Join(t.TempDir(), "data"), "--private-listen", private)
	c := newCaller(s.URL, seed.NewAccount(), 32)
	var key struct{ KeyMetadata struct{ KeyId string } }
	if err := c.must("CreateKey", object{}, &key); err != nil {
		t.Fatal(err)
	}
	var n counts
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() { c.load(ctx, key.KeyMetadata.KeyId, &n) })
	}
	total, each := soakTime(t), soakTime(t)/parts
	var seen []moment
	requests := int64(0)
	for i := range parts {
		time.Sleep(each)
		k, p50, p99, err := n.take()
		if err != nil {
			t.Errorf("part %d: a request failed: %v", i, err)
			break
		}
		requests += k
		m := moment{ask(t, private), float64(k) / each.Seconds(), p50, p99, size(t, filepath.Join(s.Dir, "store.db"))}
		seen = append(seen, m)
		t.Logf("%8s %6.0f requests/s, p50 %8s, p99 %8s; %4.0f MB, %4.0f at most, %3.0f goroutines, %3.0f files; store %5.1f MB, trail %7.1f MB", time.Duration(i+1)*each,
			m.rate, m.p50.Round(10*time.Microsecond), m.p99.Round(10*time.Microsecond), m.memory/1e6, m.goal/1e6, m.goroutines, m.files, float64(m.store)/1e6,
			float64(size(t, filepath.Join(s.Dir, "trail")))/1e6)
	}
	cancel()
	wait.Wait()
	if t.Failed() {
		return
	}
	early, late := seen[parts/4:parts/2], seen[3*parts/4:]
	if err := grown(early, late, total >= time.Minute); err != nil {
		t.Error(err)
	}
	t.Logf("%d requests in %s, %.0f a second; %.0f bytes of the audit log for each", requests, total, float64(requests)/total.Seconds(),
		float64(size(t, filepath.Join(s.Dir, "trail")))/float64(requests))
}

// grown says what was more late in a soak than early. Times count in long soaks only: others use the machine too. So does
// resident memory, which grows with garbage until there is as much as there may be.
func grown(early, late []moment, long bool) error {
	most := func(ms []moment, of func(moment) float64) (v float64) {
		for _, m := range ms {
			v = max(v, of(m))
		}
		return v
	}
	for _, g := range []struct {
		what       string
		of         func(moment) float64
		times, add float64
		long       bool
	}{
		{"bytes of memory", func(m moment) float64 { return m.memory }, 1.2, 20e6, true}, // garbage too, which a short soak has not enough of
		{"bytes of the heap", func(m moment) float64 { return m.goal }, 1.2, 40e6, false},
		{"goroutines", func(m moment) float64 { return m.goroutines }, 1.1, 20, false},
		{"open files", func(m moment) float64 { return m.files }, 1, 10, false},
		{"bytes of the store", func(m moment) float64 { return float64(m.store) }, 1.1, 4 << 20, false},
		{"nanoseconds (p99)", func(m moment) float64 { return float64(m.p99) }, 2, 20e6, true},
	} {
		a, b := most(early, g.of), most(late, g.of)
		if b > a*g.times+g.add && (long || !g.long) {
			return fmt.Errorf("%s grow: %.0f early, %.0f late", g.what, a, b)
		}
	}
	return nil
}

// A server that grows is noticed.
func TestGrowthIsNoticed(t *testing.T) {
	flat := moment{gauges{50e6, 60e6, 80, 60, 0}, 3000, 5 * time.Millisecond, 30 * time.Millisecond, 1 << 20}
	if err := grown([]moment{flat}, []moment{flat}, true); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*moment){
		"memory":     func(m *moment) { m.memory *= 2 },
		"heap":       func(m *moment) { m.goal *= 2 },
		"goroutines": func(m *moment) { m.goroutines += 40 },
		"files":      func(m *moment) { m.files += 20 },
		"store":      func(m *moment) { m.store += 16 << 20 },
		"p99":        func(m *moment) { m.p99 *= 5 },
	} {
		more := flat
		change(&more)
		if grown([]moment{flat}, []moment{more}, true) == nil {
			t.Errorf("twice the %s is not noticed", name)
		}
	}
}

// TestOverload asks for more at once than a server takes on: the rest is throttled at once, with the service's error
// and a hint when to come again, and soon after nothing is throttled any more.
func TestOverload(t *testing.T) {
	s := server.Start(t, filepath.Join(t.TempDir(), "data"), "--max-requests", "8")
	c := newCaller(s.URL, seed.NewAccount(), 300)
	var key struct{ KeyMetadata struct{ KeyId string } }
	if err := c.must("CreateKey", object{}, &key); err != nil {
		t.Fatal(err)
	}
	var served, throttled atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), max(2*time.Second, soakTime(t)/20))
	defer cancel()
	var wait sync.WaitGroup
	for range 300 {
		wait.Go(func() {
			for ctx.Err() == nil {
				status, code, err := c.ask("CreateGrant", object{"KeyId": key.KeyMetadata.KeyId, "GranteePrincipal": seed.Root("111122223333"), "Operations": []string{"Decrypt"}}, nil)
				switch {
				case err != nil:
					t.Errorf("no answer: %v", err)
					return
				case status == http.StatusOK, code == "LimitExceededException":
					served.Add(1)
				case strings.HasSuffix(code, "ThrottlingException"):
					throttled.Add(1)
				default:
					t.Errorf("%d %s", status, code)
					return
				}
			}
		})
	}
	wait.Wait()
	if throttled.Load() == 0 || served.Load() == 0 {
		t.Errorf("%d requests were served, %d throttled", served.Load(), throttled.Load())
	}
	begun := time.Now()
	for good := 0; good < 20; {
		status, code, err := c.ask("DescribeKey", object{"KeyId": key.KeyMetadata.KeyId}, nil)
		switch {
		case err != nil:
			t.Fatal(err)
		case status == http.StatusOK:
			good++
		case time.Since(begun) > 5*time.Second:
			t.Fatalf("5 seconds after the load: %d %s", status, code)
		default:
			good = 0
		}
	}
	t.Logf("%d served, %d throttled; everything is served %s after", served.Load(), throttled.Load(), time.Since(begun).Round(time.Millisecond))
}
