// Package disk stands between a program and the files below one folder. It notes every change that the
// program makes there and every fsync, so that what a disk may hold after a power cut can be made up; and it
// can have calls fail, wait or find no room.
//
// The program is the real one: a seccomp filter hands its system calls to the test (seccomp_unotify(2)), which
// notes each and lets the kernel go on with it, or answers itself. Only Linux has that; what is noted, and what
// may be left of it, is plain Go.
package disk

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
)

// A Kind of change.
type Kind int

// The kinds. Names are paths below the folder, "." is the folder itself.
const (
	Write    Kind = iota // Data at At of File
	Punch                // a hole of Size at At of File
	Truncate             // File has Size
	Sync                 // File's content and size are on the disk
	Link                 // Name is File, in place of what it was
	Rename               // Name was From
	Unlink               // Name is nothing
	Mkdir                // Name is a folder
	Rmdir                // Name is none
	SyncDir              // the names in Name are on the disk
	Lost                 // an fsync of File failed: what was not on the disk by then never will be
)

// A Step is a change or an fsync.
type Step struct {
	Kind       Kind
	File       int
	Name, From string
	At, Size   int64
	Data       []byte
}

// A Journal is what was there in the beginning and all steps since. Safe for concurrent use.
type Journal struct {
	mu    sync.Mutex
	names map[string]int // of files in the beginning
	dirs  map[string]bool
	files map[int]*content // in the beginning
	next  int              // number of the next file
	steps []Step
}

// NewJournal is a journal of an empty folder.
func NewJournal() *Journal {
	return &Journal{names: map[string]int{}, dirs: map[string]bool{".": true}, files: map[int]*content{}}
}

// File numbers a new file.
func (j *Journal) File() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	return j.next
}

// Add notes a step.
func (j *Journal) Add(s Step) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps = append(j.steps, s)
}

// Len is how many steps there are. What was acknowledged by then is to be there after a cut at Len or later.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.steps)
}

// Steps are the steps so far.
func (j *Journal) Steps() []Step {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.steps)
}

// String is the step on a line, without the content.
func (s Step) String() string {
	what := [...]string{"write", "punch", "truncate", "sync", "link", "rename", "unlink", "mkdir", "rmdir", "syncdir", "lost"}[s.Kind]
	return fmt.Sprintf("%s file %d name %s from %s at %d, %d bytes, size %d", what, s.File, s.Name, s.From, s.At, len(s.Data), s.Size)
}

// Tell is all steps, for people, with a line at a cut.
func (j *Journal) Tell(cut int) string {
	var b strings.Builder
	for i, s := range j.Steps() {
		if i == cut {
			b.WriteString("---- cut\n")
		}
		fmt.Fprintf(&b, "%d %s\n", i, s)
	}
	return b.String()
}

// A Loss says what becomes of changes that were not synced when the power fails.
type Loss int

// The losses.
const (
	Nothing Loss = iota // all are there
	All                 // none is there
	Some                // any of them are there, and names up to any
	Torn                // as Some, and of a write any sectors of 512 bytes
	Pages               // as Torn, with sectors of 4096 bytes
)

// Losses are all of them.
func Losses() []Loss { return []Loss{Nothing, All, Some, Torn, Pages} }

// String is its name.
func (l Loss) String() string { return [...]string{"nothing", "all", "some", "torn", "pages"}[l] }

// Cut is what the folder may hold if the power fails when n steps were made.
func (j *Journal) Cut(n int, loss Loss, rnd *rand.Rand) *Image {
	j.mu.Lock()
	defer j.mu.Unlock()
	steps := j.steps[:n]
	c := &cut{loss: loss, rnd: rnd, synced: map[int]int{}, named: map[string]int{}, lost: map[int][][2]int{}}
	for i, s := range steps {
		switch s.Kind {
		case Sync:
			c.synced[s.File] = i
		case Lost:
			c.lost[s.File] = append(c.lost[s.File], [2]int{c.synced[s.File], i})
		case SyncDir:
			c.named[s.Name] = i
		}
	}
	files := map[int]*content{}
	for id, f := range j.files {
		files[id] = f.clone()
	}
	img := &Image{Files: map[string]*content{}, Dirs: map[string]bool{}}
	ids := map[string]int{}
	for name, id := range j.names {
		ids[name] = id
	}
	for dir := range j.dirs {
		img.Dirs[dir] = true
	}
	upTo := c.lasting(steps)
	for i, s := range steps {
		switch s.Kind {
		case Write, Punch, Truncate:
			if files[s.File] == nil {
				files[s.File] = newContent()
			}
			c.content(files[s.File], i, s)
		case Link, Rename, Unlink, Mkdir, Rmdir:
			if i < upTo[path.Dir(s.Name)] {
				rename(ids, img.Dirs, s)
			}
		}
	}
	for name, id := range ids {
		if !img.reachable(name) {
			continue
		}
		if img.Files[name] = files[id]; files[id] == nil {
			img.Files[name] = newContent()
		}
	}
	for dir := range img.Dirs {
		if !img.reachable(dir) {
			delete(img.Dirs, dir)
		}
	}
	return img
}

// rename makes a change of names.
func rename(ids map[string]int, dirs map[string]bool, s Step) {
	switch s.Kind {
	case Link:
		ids[s.Name] = s.File
	case Rename:
		ids[s.Name] = s.File
		delete(ids, s.From)
	case Unlink:
		delete(ids, s.Name)
	case Mkdir:
		dirs[s.Name] = true
	case Rmdir:
		delete(dirs, s.Name)
	}
}

// A cut decides what is there of what was not synced.
type cut struct {
	loss   Loss
	rnd    *rand.Rand
	synced map[int]int      // the last fsync of a file
	named  map[string]int   // and of a folder
	lost   map[int][][2]int // from and to which step what was written to a file was lost
}

// lasting is, for each folder, the number of the step before which changes of its names are on the disk: file
// systems keep their order.
func (c *cut) lasting(steps []Step) map[string]int {
	upTo := map[string]int{}
	for _, s := range steps {
		switch s.Kind {
		case Link, Rename, Unlink, Mkdir, Rmdir:
		default:
			continue
		}
		dir := path.Dir(s.Name)
		if _, ok := upTo[dir]; ok {
			continue
		}
		from := c.named[dir]
		switch c.loss {
		case Nothing:
			upTo[dir] = len(steps)
		case All:
			upTo[dir] = from
		default:
			upTo[dir] = from + c.rnd.IntN(len(steps)-from+1)
		}
	}
	return upTo
}

// content makes a change of content, or a part of it, or not.
func (c *cut) content(f *content, i int, s Step) {
	synced, ok := c.synced[s.File]
	for _, r := range c.lost[s.File] {
		if r[0] <= i && i < r[1] && s.Kind == Write {
			return
		}
	}
	switch {
	case ok && i < synced || c.loss == Nothing:
		f.change(s)
	case c.loss == All || c.rnd.IntN(2) == 0:
	case s.Kind != Write || c.loss == Some:
		f.change(s)
	default:
		sector := int64(512)
		if c.loss == Pages {
			sector = 4096
		}
		for at := s.At; at < s.At+int64(len(s.Data)); {
			to := min((at/sector+1)*sector, s.At+int64(len(s.Data)))
			if c.rnd.IntN(2) == 0 {
				f.write(s.Data[at-s.At:to-s.At], at)
			}
			at = to
		}
	}
}

// below is the path of name below the folder, "" if it is not there.
func below(folder, name string) string {
	if name == folder {
		return "."
	}
	rest, ok := strings.CutPrefix(name, folder+"/")
	if !ok {
		return ""
	}
	return rest
}
