package soft

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"
)

// A Recorder is a medium that does what it is told and notes it, so that what a disk may hold after a
// power cut can be made up. It is in this package because a medium is.
type Recorder struct {
	folder
	names   map[string]int // what the directory showed before
	content map[int][]byte // of files
	steps   []step
	next    int
	ids     map[string]int
}

type step struct {
	op       string // write, fsync, name, unname, dirsync
	file     int
	name     string
	at       int64
	data     []byte
	replaces bool
}

// Record has the seal written by a recorder that begins with the directory as it is.
func (s Seal) Record(t *testing.T) (Seal, *Recorder) {
	t.Helper()
	r := &Recorder{folder: folder{s.Dir}, names: map[string]int{}, content: map[int][]byte{}, ids: map[string]int{}}
	entries, err := os.ReadDir(s.Dir.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := s.Dir.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		r.names[e.Name()], r.content[r.next] = r.next, data
		r.ids[e.Name()] = r.next
		r.next++
	}
	s.medium = r
	return s, r
}

// Rehome has an open keyring written by another medium.
func (r *RootKey) Rehome(s Seal) { r.home.medium = s.medium }

type recordedFile struct {
	sealOut
	r  *Recorder
	id int
	at int64
}

func (f *recordedFile) Write(p []byte) (int, error) {
	f.r.steps = append(f.r.steps, step{op: "write", file: f.id, at: f.at, data: bytes.Clone(p)})
	f.at += int64(len(p))
	return f.sealOut.Write(p)
}

func (f *recordedFile) WriteAt(p []byte, at int64) (int, error) {
	f.r.steps = append(f.r.steps, step{op: "write", file: f.id, at: at, data: bytes.Clone(p)})
	return f.sealOut.WriteAt(p, at)
}

func (f *recordedFile) Sync() error {
	f.r.steps = append(f.r.steps, step{op: "fsync", file: f.id})
	return f.sealOut.Sync()
}

func (r *Recorder) create(name string) (sealOut, error) {
	f, err := r.folder.create(name)
	if err != nil {
		return nil, err
	}
	id := r.next
	r.next++
	r.ids[name] = id
	r.steps = append(r.steps, step{op: "name", file: id, name: name})
	return &recordedFile{f, r, id, 0}, nil
}

func (r *Recorder) open(name string) (sealOut, error) {
	f, err := r.folder.open(name)
	if err != nil {
		return nil, err
	}
	return &recordedFile{f, r, r.ids[name], 0}, nil
}

func (r *Recorder) link(from, to string) error {
	r.steps = append(r.steps, step{op: "name", file: r.ids[from], name: to})
	r.ids[to] = r.ids[from]
	return r.folder.link(from, to)
}

func (r *Recorder) rename(from, to string) error {
	r.steps = append(r.steps, step{op: "name", file: r.ids[from], name: to, replaces: true})
	r.ids[to] = r.ids[from]
	return r.folder.rename(from, to)
}

func (r *Recorder) remove(name string) error {
	r.steps = append(r.steps, step{op: "unname", name: name})
	return r.folder.remove(name)
}

func (r *Recorder) sync() error {
	r.steps = append(r.steps, step{op: "dirsync"})
	return r.folder.sync()
}

// Cuts yields what the directory may hold if the power fails, after each step: names that were not
// synced are there up to any of them; of writes that were not synced, all, none, and those up to each
// byte of one.
func (r *Recorder) Cuts(yield func(files map[string][]byte) bool) {
	for n := range len(r.steps) + 1 {
		steps := r.steps[:n]
		lasting := 0 // steps on names before this one are on disk
		for i, s := range steps {
			if s.op == "dirsync" {
				lasting = i
			}
		}
		for upTo := lasting; upTo <= n; upTo++ {
			names := r.namesAfter(steps[:upTo])
			for contents := range r.contentsAfter(steps) {
				files := map[string][]byte{}
				for name, id := range names {
					files[name] = contents[id]
				}
				if !yield(files) {
					return
				}
			}
		}
	}
}

func (r *Recorder) namesAfter(steps []step) map[string]int {
	names := maps.Clone(r.names)
	for _, s := range steps {
		switch s.op {
		case "name":
			if s.replaces {
				maps.DeleteFunc(names, func(_ string, id int) bool { return id == s.file })
			}
			names[s.name] = s.file
		case "unname":
			delete(names, s.name)
		}
	}
	return names
}

// contentsAfter are the contents that files may have, of those that were not synced one at a time.
func (r *Recorder) contentsAfter(steps []step) func(func(map[int][]byte) bool) {
	write := func(b, p []byte, at int64) []byte {
		if grow := int(at) + len(p) - len(b); grow > 0 {
			b = append(b, make([]byte, grow)...)
		}
		copy(b[at:], p)
		return b
	}
	base := map[int][]byte{}
	for id, b := range r.content {
		base[id] = bytes.Clone(b)
	}
	var loose []step
	for i, s := range steps {
		if s.op != "write" {
			continue
		}
		if slices.ContainsFunc(steps[i:], func(t step) bool { return t.op == "fsync" && t.file == s.file }) {
			base[s.file] = write(base[s.file], s.data, s.at)
		} else {
			loose = append(loose, s)
		}
	}
	return func(yield func(map[int][]byte) bool) {
		if !yield(base) {
			return
		}
		for _, s := range loose {
			for n := 1; n <= len(s.data); n++ {
				all := maps.Clone(base)
				all[s.file] = write(bytes.Clone(all[s.file]), s.data[:n], s.at)
				if !yield(all) {
					return
				}
			}
		}
	}
}
