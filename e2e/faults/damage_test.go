//go:build linux

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// A find is what came of a damaged byte.
type find int

const (
	unmet   find = iota // nobody noticed, and everything is right
	refused             // something was refused: a request, or the start of the server
)

// TestDamage changes single bits of the files of a data directory. What is met is refused, with a sentence that says
// what and where; nothing is answered wrongly, and nothing crashes.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	must(t, w.start())
	defer func() { w.srv.Kill() }()
	must(t, w.furnish(t.Context()))
	snap, err := w.ec2.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: &w.things.quiet})
	if err != nil {
		t.Fatal(err)
	}
	w.ledger.start(*snap.SnapshotId, "whole", func(w *world) (string, error) { return w.snapshot(*snap.SnapshotId) })
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.storm(ctx, false) }()
	w.writing()
	time.Sleep(1500 * time.Millisecond)
	w.srv.Kill()
	cancel()
	must(t, <-over)
	must(t, w.start())
	must(t, w.promised(end, 0, 0))
	must(t, w.settled())
	w.srv.Stop() // in order: a volume's map has its checksum then
	rnd := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for _, part := range []struct {
		pattern string
		times   int
		check   []string // the command that says what is damaged, if something was met
	}{
		{"store.db", times(6, 150), []string{"store", "check"}},
		{"seal.json", times(2, 40), nil},
		{"trail/*.jsonl", times(2, 40), []string{"trail", "verify", "--seal", "plain-file"}},
		{"snapshots/index/*", times(1, 30), []string{"volume", "check"}},
		{"snapshots/block/*/*", times(1, 30), []string{"volume", "check"}},
		{"kagimori.json", times(1, 10), nil},
	} {
		found := map[find]int{}
		for range part.times {
			f, where, err := w.damage(t, part.pattern, part.check, rnd)
			if err != nil {
				t.Errorf("%s: %v", where, err)
			}
			found[f]++
		}
		t.Logf("%s: %d bits changed; refused %d, not met %d", part.pattern, part.times, found[refused], found[unmet])
		if part.check != nil && found[refused] == 0 && part.times > 10 {
			t.Errorf("%s: no damage was met", part.pattern)
		}
	}
}

// damage changes a bit of a file in a copy of the data directory and looks at what the server makes of it.
func (w *world) damage(t *testing.T, pattern string, check []string, rnd *rand.Rand) (f find, where string, err error) {
	t.Helper()
	folder, err := os.MkdirTemp(t.TempDir(), "damage")
	if err != nil {
		return 0, "", err
	}
	defer os.RemoveAll(folder)
	v := w.at(filepath.Join(folder, "data"))
	if out, err := exec.Command("cp", "-a", "--sparse=always", w.dir, v.dir).CombinedOutput(); err != nil {
		return 0, "", fmt.Errorf("%w: %s", err, out)
	}
	if where, err = flip(v.dir, pattern, rnd); err != nil {
		return 0, where, err
	}
	told := v.start()
	if told != nil {
		text := told.Error()
		if panicked(text) || !strings.Contains(text, "kagimori: ") {
			return 0, where, fmt.Errorf("the server does not start: %s", text)
		}
		f = refused
	} else {
		f, err = v.answers()
		v.srv.Kill()
		if panicked(v.srv.Log()) {
			err = errors.Join(err, fmt.Errorf("the server panicked: %s", v.srv.Tail(2000)))
		}
	}
	if check == nil {
		return f, where, err
	}
	out, checked := v.kagimori(append(check, "--data", v.dir)...)
	switch {
	case checked != nil && panicked(checked.Error()):
		err = errors.Join(err, checked)
	case checked == nil && f == refused && !strings.HasPrefix(pattern, "trail"):
		err = errors.Join(err, fmt.Errorf("kagimori %s finds nothing: %s", strings.Join(check, " "), out))
	case checked != nil:
		f = refused
	}
	return f, where, err
}

// answers asks for everything: an answer is right, or a refusal of a server that failed.
func (w *world) answers() (f find, err error) {
	for _, r := range w.ledger.all() {
		got, failed := r.read(w)
		switch {
		case failed != nil && broken(failed):
			f = refused
		case failed != nil:
			err = errors.Join(err, fmt.Errorf("%s: %w", r.name, failed))
		case got == "error" && strings.HasPrefix(r.name, "snap-"), got == "creating" && strings.HasPrefix(r.name, "vol-"):
			f = refused
		case got != r.may(end)[0]:
			err = errors.Join(err, fmt.Errorf("%s is %q, not %q", r.name, got, r.may(end)[0]))
		}
	}
	return f, err
}

// broken reports whether an error is that of a server that cannot do what it should.
func broken(err error) bool {
	var status interface{ HTTPStatusCode() int }
	return errors.As(err, &status) && status.HTTPStatusCode() >= 500 || strings.Contains(err.Error(), "it is error")
}

// flip changes a bit of a file, of what is no hole.
func flip(dir, pattern string, rnd *rand.Rand) (where string, err error) {
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		return pattern, fmt.Errorf("%w: %v", fs.ErrNotExist, err)
	}
	name := names[rnd.IntN(len(names))]
	data, err := os.ReadFile(name)
	if err != nil {
		return name, err
	}
	at := rnd.IntN(max(1, len(bytes.TrimRight(data, "\x00"))))
	bit := byte(1) << rnd.IntN(8)
	data[at] ^= bit
	rel, _ := filepath.Rel(dir, name)
	return fmt.Sprintf("bit %#x of byte %d of %s", bit, at, rel), os.WriteFile(name, data, 0o600)
}
