package sink_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

func newFile(t testing.TB, cfg sink.FileConfig) sink.Target {
	t.Helper()
	f, err := sink.NewFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func send(t testing.TB, f sink.Target, fresh bool, lines ...sink.Line) {
	t.Helper()
	if err := f.Send(t.Context(), sink.Batch{Lines: lines, Fresh: fresh}); err != nil {
		t.Fatal(err)
	}
}

func shut(t testing.TB, f sink.Target) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// content is what a sink's files have, oldest first, and their names.
func content(t testing.TB, path string) (data []byte, files []string) {
	t.Helper()
	ext := filepath.Ext(path)
	files, err := filepath.Glob(strings.TrimSuffix(path, ext) + "-*")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, path)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		data = append(data, raw...)
	}
	return data, files
}

func checkFiles(t testing.TB, path string, first, last uint64) []string {
	t.Helper()
	data, files := content(t, path)
	var c trail.Copy
	if err := c.Read("files", bytes.NewReader(data)); err != nil {
		t.Error(err)
	}
	if c.First != first || c.End().Sequence != last {
		t.Errorf("records %d to %d, not %d to %d", c.First, c.End().Sequence, first, last)
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(data) {
		if seen[string(line)] {
			t.Errorf("twice: %.80s", line)
		}
		seen[string(line)] = true
	}
	return files
}

// Full files and old ones are put aside, compressed, and removed when they are too many; together the files
// are the chain.
func TestFilesRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.add(t, 100)
		lines := w.lines(t)
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		f := newFile(t, sink.FileConfig{Path: path, MaxSize: 5000, Compress: true})
		for i, l := range lines {
			send(t, f, i == 0, l)
			time.Sleep(time.Second)
		}
		files := checkFiles(t, path, 1, 100)
		if len(files) < 5 || !strings.HasSuffix(files[0], "Z.jsonl.gz") {
			t.Errorf("files %v", files)
		}
		if info, err := os.Stat(path); err != nil || info.Size() > 5000 {
			t.Errorf("%v %v", info.Size(), err)
		}
		shut(t, f)

		w.add(t, 50)
		lines = w.lines(t)
		f = newFile(t, sink.FileConfig{Path: path, MaxAge: time.Hour, Keep: 3})
		for i, l := range lines[100:] {
			send(t, f, false, l)
			if i == 24 {
				time.Sleep(time.Hour)
			}
		}
		shut(t, f)
		data, files := content(t, path)
		if len(files) != 4 || strings.HasSuffix(files[2], ".gz") {
			t.Errorf("files %v", files)
		}
		if last := lines[len(lines)-1].Text; !bytes.HasSuffix(data, append(last, '\n')) {
			t.Error("the last line is missing")
		}
		f = newFile(t, sink.FileConfig{Path: path, MaxTotal: 1, Compress: true})
		shut(t, f)
		if _, files := content(t, path); len(files) != 2 || !strings.HasSuffix(files[0], ".gz") {
			t.Errorf("files %v", files)
		}
	})
}

// A crash leaves a part of a line, a note that is behind, a file that was renamed with none in its place, or
// an old file in both forms: nothing is missing then, and nothing there twice.
func TestFilesAfterACrash(t *testing.T) {
	w := newWorld(t, 3000)
	w.add(t, 60)
	lines := w.lines(t)
	for name, crash := range map[string]func(t *testing.T, path string){
		"a part of a line": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(lines[30].Text[:100]); err != nil {
				t.Fatal(err)
			}
		},
		"a note that is behind": func(*testing.T, string) {},
		"renamed": func(t *testing.T, path string) {
			if err := os.Rename(path, strings.TrimSuffix(path, ".jsonl")+"-20260102T030405.000Z.jsonl"); err != nil {
				t.Fatal(err)
			}
		},
		"open to others": func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			f := newFile(t, sink.FileConfig{Path: path, Compress: true})
			send(t, f, true, lines[:30]...)
			shut(t, f)
			crash(t, path)
			f = newFile(t, sink.FileConfig{Path: path, Compress: true})
			send(t, f, false, lines[20:40]...)
			send(t, f, false, lines[20:40]...)
			send(t, f, false, lines[40:]...)
			shut(t, f)
			checkFiles(t, path, 1, 60)
		})
	}
}

// Another log, or one with a hole, begins a new file.
func TestFilesOfAnotherLog(t *testing.T) {
	one, other := newWorld(t, 0), newWorld(t, 0)
	one.add(t, 20)
	other.add(t, 10)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := newFile(t, sink.FileConfig{Path: path})
	send(t, f, true, one.lines(t)...)
	send(t, f, true, one.lines(t)...) // the note was lost
	checkFiles(t, path, 1, 20)
	send(t, f, true, other.lines(t)...)
	shut(t, f)
	data, files := content(t, path)
	if len(files) != 2 || bytes.Count(data, []byte("\n")) != 30 {
		t.Errorf("files %v with %d lines", files, bytes.Count(data, []byte("\n")))
	}
	var c trail.Copy
	last, _ := os.ReadFile(path)
	if err := c.Read("", bytes.NewReader(last)); err != nil || c.End() != other.log.Head() {
		t.Error(err, c.End())
	}
}

// A file that somebody else moved away is left, and a new one begun.
func TestFilesThatOthersRotate(t *testing.T) {
	w := newWorld(t, 0)
	w.add(t, 20)
	lines := w.lines(t)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := newFile(t, sink.FileConfig{Path: path})
	send(t, f, true, lines[:10]...)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send(t, f, false, lines[10:]...)
	shut(t, f)
	var c trail.Copy
	for _, name := range []string{path + ".1", path} {
		data, err := os.ReadFile(name)
		if err != nil || c.Read(name, bytes.NewReader(data)) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.End() != w.log.Head() {
		t.Error(c.End())
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none", "a.jsonl"), dir} {
		if _, err := sink.NewFile(sink.FileConfig{Path: path}); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
}
