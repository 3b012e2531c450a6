package partition

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// perRoundFaults is how many faults happen to the same keys.
const perRoundFaults = 4

// All faults, in an order by chance, again and again in network namespaces; in turn with reads of
// a second ago and of the newest.
func TestLong(t *testing.T) {
	if *long == 0 {
		t.Log("the long form runs with -partition.time (make partition)")
		return
	}
	binary, member := programs(t)
	w := newWorld(t, Config{Binary: binary, Member: member, Spaces: true})
	people := crowdOf(t, w)
	s := seed(t)
	r := rand.New(rand.NewPCG(s, 1))
	begun := time.Now()
	all := map[bool]*Result{false: {}, true: {}}
	var order []string
	for round := uint64(0); time.Since(begun) < *long; round++ {
		linearizable := round%8 >= 4
		if w.cfg.Linearizable != linearizable {
			if err := w.RestartNodes(linearizable); err != nil {
				t.Fatal(err)
			}
		}
		for len(order) < perRoundFaults {
			more := w.kinds()
			r.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
			order = append(order, more...)
		}
		faults := order[:perRoundFaults]
		order = order[perRoundFaults:]
		res, err := w.Round(people, s+round, faults, time.Second)
		if err != nil {
			t.Fatal(round, faults, err)
		}
		t.Logf("round %d, linearizable=%v: %d operations, %d unknown, %d answers of 503, oldest %s: %s", round, linearizable, res.Operations, res.Unknown, res.Refused,
			res.Worst.Max().Round(time.Millisecond), strings.Join(faults, ", "))
		if !res.Good() {
			report(t, fmt.Sprint("round ", round), res)
		}
		all[linearizable].add(res)
	}
	for _, linearizable := range []bool{false, true} {
		report(t, fmt.Sprintf("all rounds with linearizable=%v", linearizable), all[linearizable])
	}
	if err := w.PausedController(people); err != nil {
		t.Error(err)
	}
}

// A broken is a change of one line that the checkers have to notice.
type broken struct {
	name, file, from, to string
	faults               []string
	linearizable, fence  bool
}

var brokenOnes = []broken{
	{"the bound is half a minute", "etcd.go", "def(&c.Staleness, time.Second)", "def(&c.Staleness, 30*time.Second)", []string{"node cut off from etcd", "node cut off from etcd"}, false, false},
	{"reads do not ask first", "etcd.go", "if s.cfg.Linearizable {\n\t\terr = s.latest(ctx)", "if false {\n\t\terr = s.latest(ctx)", []string{"slow network", "slow network"}, true, false},
	{"commits compare nothing that was read", "commit.go", "cmps: snap.unchanged()", "cmps: nil", []string{"slow network", "slow network", "leader moved"}, false, false},
	{"a lost answer counts as nothing done", "commit.go", "return t.resolve(id, err)", "return 0, false, nil", slices.Repeat([]string{"connections break"}, 9), true, false},
	{"the fence is not compared", "commit.go", "if t.fenced {\n\t\tt.cmps", "if false {\n\t\tt.cmps", nil, false, true},
}

// The checkers notice a server that is broken on purpose: one line of it is another one in its build.
func TestBroken(t *testing.T) {
	if *long == 0 {
		t.Log("servers are broken with -partition.time (make partition)")
		return
	}
	_, member := programs(t)
	for _, b := range brokenOnes {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, Config{Binary: b.build(t), Member: member, Linearizable: b.linearizable})
			people := crowdOf(t, w)
			if b.fence {
				for range 6 { // it may notice that its lease is over before it sees what is due
					err := w.PausedController(people)
					if errors.Is(err, ErrActed) {
						return
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				t.Error("nothing was noticed")
				return
			}
			for round := range uint64(6) {
				res, err := w.Round(people, seed(t)+round, b.faults, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if len(res.Violations)+len(res.Verdict.Illegal) > 0 {
					t.Logf("noticed in round %d: %d violations, no order of %v; %s", round, len(res.Violations), res.Verdict.Illegal, res)
					return
				}
				t.Logf("not in round %d: %s", round, res)
			}
			t.Error("nothing was noticed")
		})
	}
}

// The lines are there, also when only the short form runs.
func TestBrokenLines(t *testing.T) {
	for _, b := range brokenOnes {
		if _, changed := b.text(t); changed == "" {
			t.Errorf("%s: nothing is left of %s", b.name, b.file)
		}
	}
}

// text is the file that is changed, and what it becomes.
func (b broken) text(t *testing.T) (path, changed string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../internal/store/etcd", b.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), b.from) != 1 {
		t.Fatalf("%s has not exactly one %q", b.file, b.from)
	}
	return path, strings.Replace(string(text), b.from, b.to, 1)
}

// build makes the program with the other line.
func (b broken) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path, text := b.text(t)
	changed, overlay, out := filepath.Join(dir, b.file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "kagimori")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", out, "./cmd/kagimori")
	cmd.Dir = "../../.."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}
