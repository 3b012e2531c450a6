package partition

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	long   = flag.Duration("partition.time", 0, "how long the long form runs, in network namespaces; 0: only the short form, on proxies")
	random = flag.Uint64("partition.seed", 0, "where the faults begin; 0: by chance")
)

// programs are what is run: as the environment names them, or built here.
func programs(t testing.TB) (binary, member string) {
	t.Helper()
	dir := t.TempDir()
	binary, member = os.Getenv("KAGIMORI_BIN"), os.Getenv("KAGIMORI_MEMBER")
	build := func(out, in, from string, flags ...string) {
		t.Helper()
		cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), from)...)
		cmd.Dir = in
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", from, err, text)
		}
	}
	if member == "" {
		member = filepath.Join(dir, "member")
		build(member, "..", "./member")
	}
	if binary == "" {
		binary = filepath.Join(dir, "kagimori")
		build(binary, "../../..", "./cmd/kagimori")
	}
	return binary, member
}

func newWorld(t testing.TB, cfg Config) *World {
	t.Helper()
	cfg.Dir = t.TempDir()
	w, err := NewWorld(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, line := range w.trouble() {
			t.Error(line)
		}
		if t.Failed() {
			t.Log(w.logs())
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func crowdOf(t testing.TB, w *World) crowd {
	t.Helper()
	people, err := w.people(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return people
}

func seed(t *testing.T) uint64 {
	s := *random
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-partition.seed=%d", s)
	return s
}

// report fails the test if something was wrong.
func report(t *testing.T, name string, r *Result) {
	t.Helper()
	t.Logf("%s: %s", name, r)
	if r.Good() {
		return
	}
	for i, v := range r.Violations {
		if i < 10 {
			t.Error(v)
		}
	}
	for i, o := range r.Oddities {
		if i < 10 {
			t.Error("odd: ", o)
		}
	}
	t.Errorf("no order: %v; undecided: %v", r.Verdict.Illegal, r.Verdict.Undecided)
}

// A node that knows nothing of the last second says so.
func TestDeafNode(t *testing.T) {
	w, people := short(t)
	for _, linearizable := range []bool{false, true} {
		if err := w.RestartNodes(linearizable); err != nil {
			t.Fatal(err)
		}
		if err := w.DeafNode(people, 1); err != nil {
			t.Errorf("linearizable=%v: %v", linearizable, err)
		}
	}
}

// A node that was paused for longer than its lease does nothing under it.
func TestPausedController(t *testing.T) {
	w, people := short(t)
	if err := w.PausedController(people); err != nil {
		t.Error(err)
	}
}

// A member that hangs, as one whose disk does, stops no node.
func TestHangingMember(t *testing.T) {
	w, people := short(t)
	for m := range size {
		worst, err := w.HangingMember(people, m)
		if err != nil {
			t.Error(err)
		}
		t.Logf("without member %d, the slowest change and read took %s", m, worst.Round(time.Millisecond))
		time.Sleep(2 * time.Second)
	}
}

func short(t *testing.T) (*World, crowd) {
	binary, member := programs(t)
	w := newWorld(t, Config{Binary: binary, Member: member})
	return w, crowdOf(t, w)
}

// Some faults of every sort on proxies, once with reads of a second ago and once with reads of the newest.
func TestShort(t *testing.T) {
	w, people := short(t)
	s := seed(t)
	kinds := []string{
		"node cut off from etcd", "node alone with a member that is cut off", "leader cut off from the others", "node paused", "leader moved", "slow network", "connections break", "connections of clients break",
	}
	for _, linearizable := range []bool{false, true} {
		if linearizable {
			if err := w.RestartNodes(true); err != nil {
				t.Fatal(err)
			}
			kinds = []string{"node cut off from etcd", "member killed", "leader moved", "connections break"}
		}
		res, err := w.Round(people, s, kinds, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		report(t, fmt.Sprintf("linearizable=%v", linearizable), res)
		if !linearizable && res.Worst.Max() == 0 {
			t.Error("a node that was cut off for a second told nothing that was not of that moment; did anything happen elsewhere?")
		}
	}
}
