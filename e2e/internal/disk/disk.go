//go:build linux

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An Answer is what becomes of a call that the program makes.
type Answer struct {
	Err  syscall.Errno // it fails with this, and is not made
	Wait time.Duration // before it is made
	// Forget leaves the step out of the journal, as a disk would that says yes to an fsync and does nothing.
	Forget bool
}

// A Rule says what becomes of a call that would make the step. It is called by one goroutine at a time. New says
// how many pages of 4096 bytes the file would have more than before.
type Rule func(s Step, new int) Answer

// A Disk is a folder and a program that changes it.
type Disk struct {
	*Journal
	folder   string
	listener int
	rule     atomic.Pointer[Rule]
	done     chan struct{}

	mu     sync.Mutex // guards what follows, and is held while a step is made
	ids    map[uint64]int
	pages  map[int]map[int64]bool // of files, which are no holes
	sizes  map[int]int64
	called map[int]string // a name of each file
	odd    []string       // calls that are not understood
}

// Start starts the command with its changes below the folder noted. The folder is to be there already.
func Start(cmd *exec.Cmd, folder string) (*Disk, error) {
	return StartWith(cmd, folder, nil)
}

// StartWith is Start with a rule from the first call on.
func StartWith(cmd *exec.Cmd, folder string, rule Rule) (*Disk, error) {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, err
	}
	d := &Disk{
		Journal: NewJournal(), folder: folder, done: make(chan struct{}),
		ids: map[uint64]int{}, pages: map[int]map[int64]bool{}, sizes: map[int]int64{}, called: map[int]string{},
	}
	if err := d.begin(); err != nil {
		return nil, err
	}
	d.Obey(rule)
	if d.listener, err = start(cmd); err != nil {
		return nil, err
	}
	go d.serve()
	return d, nil
}

// Obey has the rule say what becomes of calls from now on; nil lets all of them be made.
func (d *Disk) Obey(r Rule) {
	if r == nil {
		r = func(Step, int) Answer { return Answer{} }
	}
	d.rule.Store(&r)
}

// Odd are changes of the folder that are not understood: the journal is not the truth if there are any.
func (d *Disk) Odd() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.odd
}

// Name is the name that a file had last. Only a [Rule] may call it.
func (d *Disk) Name(file int) string { return d.called[file] }

// Wait returns when the program, and what it started, are gone.
func (d *Disk) Wait() { <-d.done }

// begin notes what is there already.
func (d *Disk) begin() error {
	j := d.Journal
	return filepath.WalkDir(d.folder, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := below(d.folder, p)
		if e.IsDir() {
			j.dirs[name] = true
			return nil
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		ino := info.Sys().(*syscall.Stat_t).Ino
		id, known := d.ids[ino]
		if !known {
			id = j.File()
			c, err := load(p)
			if err != nil {
				return err
			}
			d.ids[ino], j.files[id], d.sizes[id], d.pages[id] = id, c, c.size, map[int64]bool{}
			for n := range c.pages {
				d.pages[id][n] = true
			}
		}
		j.names[name], d.called[id] = id, name
		return nil
	})
}

// dataAfter is the first range of a file that is no hole, from an offset on.
func dataAfter(f *os.File, at, size int64) (from, to int64, err error) {
	from, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil
	}
	if err != nil {
		return 0, 0, err
	}
	to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
	return from, to, err
}

// decide asks the rule. mu is held.
func (d *Disk) decide(s Step) Answer {
	return (*d.rule.Load())(s, d.more(s))
}

// more is how many pages a step takes that were holes. mu is held.
func (d *Disk) more(s Step) (n int) {
	switch s.Kind {
	case Write:
		for p := s.At / page; p*page < s.At+int64(len(s.Data)); p++ {
			if !d.pages[s.File][p] {
				n++
			}
		}
	case Link, Mkdir:
		n = 1
	}
	return n
}

// note keeps a step that is made. mu is held.
func (d *Disk) note(s Step) {
	switch s.Kind {
	case Write:
		if d.pages[s.File] == nil {
			d.pages[s.File] = map[int64]bool{}
		}
		for p := s.At / page; p*page < s.At+int64(len(s.Data)); p++ {
			d.pages[s.File][p] = true
		}
		d.sizes[s.File] = max(d.sizes[s.File], s.At+int64(len(s.Data)))
	case Punch:
		for p := (s.At + page - 1) / page; (p+1)*page <= s.At+s.Size; p++ {
			delete(d.pages[s.File], p)
		}
	case Link, Rename:
		d.called[s.File] = s.Name
	case Truncate:
		for p := range d.pages[s.File] {
			if p*page >= s.Size {
				delete(d.pages[s.File], p)
			}
		}
		d.sizes[s.File] = s.Size
	}
	d.Add(s)
}

// strange notes a call that is not understood. mu is held.
func (d *Disk) strange(format string, args ...any) {
	d.odd = append(d.odd, fmt.Sprintf(format, args...))
}
