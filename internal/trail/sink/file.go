package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kagimori/kagimori/internal/trail"
)

// A FileConfig is that of a sink's file. A full or old one gets the time as a part of its name and stays
// beside the new one: audit.jsonl becomes audit-20260102T030405.000Z.jsonl.
type FileConfig struct {
	Path     string
	MaxSize  int64         // bytes, from which on a new file is begun; 0 is never
	MaxAge   time.Duration // after which a new file is begun, with the next record; 0 is never
	Keep     int           // most old files; 0 is all
	MaxTotal int64         // most bytes of old files together, of which the newest stays; 0 is all
	NoSync   bool          // leave out fsync: a crash of the machine loses records that count as delivered
	Compress bool          // old files, with gzip
	Logger   *slog.Logger  // nil is none
}

// file is the target. A line that is in the files already is not written once more: what the chain says of
// the last one tells.
type file struct {
	cfg  FileConfig
	dir  *os.Root
	name string // in dir

	f    *os.File // nil: to be opened
	size int64
	born time.Time
	last trail.Link // of the last line
}

// NewFile makes the target of a file, which only the server's user may read. Its folder has to be there.
func NewFile(cfg FileConfig) (Target, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t := &file{cfg: cfg, name: filepath.Base(path)}
	if t.dir, err = os.OpenRoot(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("the folder of %s cannot be used: %w", cfg.Path, err)
	}
	if err := t.open(); err != nil {
		return nil, errors.Join(err, t.dir.Close())
	}
	return t, nil
}

// Close implements [Target].
func (t *file) Close() error {
	err := t.shut()
	return errors.Join(err, t.dir.Close())
}

func (t *file) shut() error {
	if t.f == nil {
		return nil
	}
	err := errors.Join(t.f.Sync(), t.f.Close())
	t.f = nil
	return err
}

// open opens the file, takes away what a crash left of a line, and finds the last line.
func (t *file) open() error {
	f, err := t.dir.OpenFile(t.name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fail := func(err error) error { return errors.Join(err, f.Close()) }
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		return fail(fmt.Errorf("%s is not a file", t.cfg.Path))
	}
	if err := f.Chmod(0o600); err != nil {
		return fail(err)
	}
	first, last, end, err := ends(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		return fail(err)
	}
	if end < info.Size() {
		if err := errors.Join(f.Truncate(end), f.Sync()); err != nil {
			return fail(err)
		}
	}
	if err := t.finish(); err != nil {
		t.cfg.Logger.Error("old files of a sink cannot be compressed or removed", "file", t.cfg.Path, "error", err)
	}
	t.born = time.Now()
	if last == nil {
		if last, err = t.lastOfOld(); err != nil {
			return fail(err)
		}
	} else if _, at, ok := trail.EventOf(first); ok {
		t.born = at
	}
	t.f, t.size, t.last = f, end, trail.Link{}
	if last != nil {
		t.last = trail.LinkOf(last)
	}
	return nil
}

// ends reads the first and the last whole line, without their ends, and how long all whole lines are.
func ends(s io.Reader) (first, last []byte, end int64, err error) {
	buf := make([]byte, 1<<16)
	var open []byte // of a line whose end was not seen
	for {
		n, rerr := s.Read(buf)
		for part := buf[:n]; len(part) > 0; {
			line, rest, whole := bytes.Cut(part, []byte("\n"))
			open = append(open, line...)
			if !whole {
				break
			}
			if first == nil {
				first = bytes.Clone(open)
			}
			end += int64(len(open)) + 1
			last, open = append(last[:0], open...), open[:0]
			part = rest
		}
		if errors.Is(rerr, io.EOF) {
			return first, last, end, nil
		}
		if rerr != nil {
			return nil, nil, 0, rerr
		}
	}
}

// Send implements [Target].
func (t *file) Send(_ context.Context, b Batch) error {
	if t.f != nil && t.moved() {
		if err := t.shut(); err != nil {
			return err
		}
	}
	if t.f == nil {
		if err := t.open(); err != nil {
			return err
		}
	}
	if b.Fresh && t.size > 0 && !t.follows(b.Lines[0]) && !t.has(b.Lines) {
		if err := t.rotate(); err != nil {
			return err
		}
		t.last = trail.Link{}
	}
	var out bytes.Buffer
	last := t.last
	for _, l := range b.Lines {
		if last.Hash != "" && l.Previous != last.Hash && l.Sequence <= last.Sequence {
			continue // it is there already
		}
		if t.due(int64(out.Len()), int64(len(l.Text))+1) {
			if err := t.write(out.Bytes(), last); err != nil {
				return err
			}
			out.Reset()
			if err := t.rotate(); err != nil {
				return err
			}
		}
		out.Write(l.Text)
		out.WriteByte('\n')
		last = l.Link
	}
	return t.write(out.Bytes(), last)
}

func (t *file) follows(l Line) bool { return t.last.Hash != "" && l.Previous == t.last.Hash }

// has reports whether the last line of the file is one of those.
func (t *file) has(lines []Line) bool {
	return slices.ContainsFunc(lines, func(l Line) bool { return l.Hash == t.last.Hash })
}

// moved reports whether somebody else put another file in the place of this one, or took it away.
func (t *file) moved() bool {
	ours, err := t.f.Stat()
	there, terr := t.dir.Lstat(t.name)
	return err != nil || terr != nil || !os.SameFile(ours, there)
}

// write adds lines, of which last is the last one.
func (t *file) write(data []byte, last trail.Link) error {
	if len(data) == 0 {
		return nil
	}
	if _, err := t.f.WriteAt(data, t.size); err != nil {
		return errors.Join(err, t.f.Truncate(t.size))
	}
	if !t.cfg.NoSync {
		if err := t.f.Sync(); err != nil { // nobody knows what the disk has: it is read again
			err = errors.Join(err, t.f.Close())
			t.f = nil
			return err
		}
	}
	t.size += int64(len(data))
	t.last = last
	return nil
}

// due reports whether a new file is to be begun before a line, if so many bytes come before it.
func (t *file) due(before, line int64) bool {
	before += t.size
	return before > 0 && (t.cfg.MaxSize > 0 && before+line > t.cfg.MaxSize || t.cfg.MaxAge > 0 && time.Since(t.born) >= t.cfg.MaxAge)
}

const (
	stampForm  = "20060102T150405.000Z"
	packSuffix = ".gz"
	tempSuffix = ".gz.tmp"
)

// oldName is the name of an old file.
func (t *file) oldName(at time.Time) string {
	ext := filepath.Ext(t.name)
	return strings.TrimSuffix(t.name, ext) + "-" + at.UTC().Format(stampForm) + ext
}

// rotate gives the file its old name and begins a new one.
func (t *file) rotate() error {
	if t.size == 0 {
		return nil
	}
	if err := t.f.Sync(); err != nil {
		return err
	}
	at := time.Now()
	old := t.oldName(at)
	for t.taken(old) {
		at = at.Add(time.Millisecond)
		old = t.oldName(at)
	}
	if err := t.dir.Rename(t.name, old); err != nil {
		return err
	}
	if err := t.f.Close(); err != nil {
		return err
	}
	t.f = nil
	if err := t.open(); err != nil {
		return err
	}
	return t.syncDir()
}

// taken reports whether there is an old file of a name.
func (t *file) taken(old string) bool {
	_, plain := t.dir.Lstat(old)
	_, packed := t.dir.Lstat(old + packSuffix)
	return plain == nil || packed == nil
}

func (t *file) syncDir() error {
	d, err := t.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// olds are the old files, oldest first, compressed or not.
func (t *file) olds() ([]string, error) {
	d, err := t.dir.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	ext := filepath.Ext(t.name)
	names = slices.DeleteFunc(names, func(name string) bool {
		stamp, ok := strings.CutPrefix(name, strings.TrimSuffix(t.name, ext)+"-")
		stamp, ok2 := strings.CutSuffix(strings.TrimSuffix(stamp, packSuffix), ext)
		_, err := time.Parse(stampForm, stamp)
		return !ok || !ok2 || err != nil
	})
	slices.Sort(names)
	return names, nil
}

// finish compresses old files and removes what is too much of them.
func (t *file) finish() error {
	names, err := t.olds()
	if err != nil {
		return err
	}
	for i, name := range names {
		if !t.cfg.Compress || strings.HasSuffix(name, packSuffix) {
			continue
		}
		if err := t.pack(name); err != nil {
			return err
		}
		names[i] = name + packSuffix
	}
	names = slices.Compact(names)
	var total int64
	for i, name := range slices.Backward(names) {
		info, err := t.dir.Lstat(name)
		if err != nil {
			return err
		}
		total += info.Size()
		n := len(names) - i
		if t.cfg.Keep > 0 && n > t.cfg.Keep || t.cfg.MaxTotal > 0 && total > t.cfg.MaxTotal && n > 1 {
			if err := t.dir.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack compresses an old file. A crash leaves the file, or both of the same content.
func (t *file) pack(name string) error {
	in, err := t.dir.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := t.dir.OpenFile(name+tempSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), out.Sync(), out.Close()); err != nil {
		return errors.Join(err, t.dir.Remove(name+tempSuffix))
	}
	if err := t.dir.Rename(name+tempSuffix, name+packSuffix); err != nil {
		return err
	}
	return errors.Join(t.syncDir(), t.dir.Remove(name))
}

// lastOfOld is the last line of the newest old file; nil without one.
func (t *file) lastOfOld() ([]byte, error) {
	names, err := t.olds()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	name := names[len(names)-1]
	f, err := t.dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !strings.HasSuffix(name, packSuffix) {
		_, last, _, err := ends(f)
		return last, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	_, last, _, err := ends(z)
	return last, err
}
