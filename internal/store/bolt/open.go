package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/kagimori/kagimori/internal/store"
)

// The meta bucket says whose file it is, in which format (one byte), and the newest revision
// (8 bytes, big-endian; missing means 0).
const (
	magic  = "kagimori store"
	format = 2 // since 2 values have checksums
)

var (
	magicKey    = []byte("magic")
	formatKey   = []byte("format")
	revisionKey = []byte("revision")
)

// Open opens the store in the file, and makes it if there is no such file.
//
// Errors: store.ErrCorrupt if the file is something else, damaged, or of a newer format (it is left
// as it is); store.ErrLocked if another process has it open; otherwise what the system said.
func Open(cfg Config) (*Store, error) {
	if cfg.HistoryLimit <= 0 {
		cfg.HistoryLimit = 10000
	}
	if cfg.LockTimeout <= 0 {
		cfg.LockTimeout = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := prepare(cfg); err != nil {
		return nil, err
	}
	db, file, rev, err := load(cfg, false)
	if err != nil {
		return nil, err
	}
	mixed, err := raise(db)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: cannot write %s: %w", cfg.Path, plain(err)), db.Close())
	}
	s := &Store{
		db: db, file: file, mixed: mixed, log: cfg.Logger, history: store.NewHistory(cfg.HistoryLimit, rev),
		queue: make(chan *request, batchUpdates), stop: make(chan struct{}), done: make(chan struct{}),
		rev: rev, disk: rev,
	}
	go s.work()
	return s, nil
}

// prepare makes the file if it is missing; one that is there is only read.
func prepare(cfg Config) error {
	info, err := os.Stat(cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(cfg); err != nil {
			return fmt.Errorf("store: cannot make %s: %w", cfg.Path, plain(err))
		}
	case err != nil:
		return fmt.Errorf("store: cannot open %s: %w", cfg.Path, plain(err))
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a file", store.ErrCorrupt, cfg.Path)
	case info.Size() == 0:
		// Not ours: create never leaves one. It may be a store that something cut off.
		return fmt.Errorf("%w: %s is empty; to start with a new store, remove it", store.ErrCorrupt, cfg.Path)
	}
	db, file, _, err := load(cfg, true)
	if err != nil {
		return err
	}
	err = structured(db, file)
	switch {
	case err != nil && fromSystem(err):
		err = fmt.Errorf("store: cannot read %s: %w", cfg.Path, plain(err))
	case err != nil:
		err = fmt.Errorf("%w: %s is damaged: %w", store.ErrCorrupt, cfg.Path, err)
	}
	return errors.Join(err, db.Close())
}

// create makes a new store beside its final place and links it there when it is whole, so that a
// crash leaves either no file or a valid one, and of two processes one wins.
func create(cfg Config) (err error) {
	dir := filepath.Dir(cfg.Path)
	f, err := os.CreateTemp(dir, filepath.Base(cfg.Path)+".new-*")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() { err = errors.Join(err, os.Remove(temp)) }()
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(temp, 0o600, options(cfg, false))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return errors.Join(b.Put(magicKey, []byte(magic)), b.Put(formatKey, []byte{format}), b.Put(summedKey, nil), enlist(tx))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, cfg.Path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in a folder durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such operation
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// options for bbolt. The list of free pages is kept in the file: rebuilding it would read the whole
// file at each start, and damage found by that ends the process.
func options(cfg Config, readOnly bool) *bolt.Options {
	o := &bolt.Options{
		Timeout: cfg.LockTimeout, ReadOnly: readOnly, NoSync: cfg.NoSync, NoStatistics: true,
		FreelistType: bolt.FreelistMapType,
	}
	if bits := 32 << (^uint(0) >> 63); bits == 64 && runtime.GOOS != "windows" {
		// Address space, not memory. While the file is smaller, a long View or a backup never
		// makes a writer, and all who come after it, wait for a new mapping.
		o.InitialMmapSize = 1 << 30
	}
	return o
}

// load opens an existing file and checks whose it is.
func load(cfg Config, readOnly bool) (db *bolt.DB, file *os.File, rev store.Revision, err error) {
	o := options(cfg, readOnly)
	o.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		var err error
		file, err = os.OpenFile(name, flag&^os.O_CREATE, perm)
		return file, err
	}
	defer func(faults bool) { // bbolt panics or faults on some damage
		debug.SetPanicOnFault(faults)
		if p := recover(); p != nil {
			if file != nil {
				unlock(file)
				_ = file.Close() // nothing was written
			}
			db, err = nil, fmt.Errorf("%w: %s is damaged", store.ErrCorrupt, cfg.Path)
		}
	}(debug.SetPanicOnFault(true))
	db, err = bolt.Open(cfg.Path, 0o600, o)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, 0, fmt.Errorf("%w: %s", store.ErrLocked, cfg.Path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, nil, 0, fmt.Errorf("%w: %s is not a kagimori store", store.ErrCorrupt, cfg.Path)
	case err != nil && file != nil && !fromSystem(err): // bbolt's own: what it read makes no sense
		return nil, nil, 0, fmt.Errorf("%w: %s is damaged: %w", store.ErrCorrupt, cfg.Path, err)
	case err != nil:
		return nil, nil, 0, fmt.Errorf("store: cannot open %s: %w", cfg.Path, plain(err))
	}
	db.AllocSize = 4 << 20 // how much the file grows at a time
	if rev, err = identify(db, file, cfg.Path); err != nil {
		return nil, nil, 0, errors.Join(err, db.Close())
	}
	return db, file, rev, nil
}

// structured checks the pages of a file that nobody writes to.
func structured(db *bolt.DB, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return structure(file, info.Size(), int64(db.Info().PageSize))
}

// identify checks that an open file is a whole store of a format we know.
func identify(db *bolt.DB, file *os.File, path string) (rev store.Revision, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	err = db.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: %s is cut off", store.ErrCorrupt, path)
		}
		b := tx.Bucket(metaBucket)
		if b == nil || string(b.Get(magicKey)) != magic {
			return fmt.Errorf("%w: %s is not a kagimori store", store.ErrCorrupt, path)
		}
		switch f := b.Get(formatKey); {
		case len(f) != 1 || f[0] == 0:
			return fmt.Errorf("%w: %s does not say its format", store.ErrCorrupt, path)
		case f[0] > format:
			return fmt.Errorf("%w: %s has format %d, written by a newer kagimori; this one knows up to %d",
				store.ErrCorrupt, path, f[0], format)
		}
		rev = revision(b)
		return nil
	})
	return rev, err
}

func revision(meta *bolt.Bucket) store.Revision {
	if meta == nil { // damaged: list says so
		return 0
	}
	if v := meta.Get(revisionKey); len(v) == 8 {
		return store.Revision(binary.BigEndian.Uint64(v))
	}
	return 0
}

func encodeRevision(rev store.Revision) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(rev))
}

// fromSystem reports whether a system call failed.
func fromSystem(err error) bool {
	_, call := errors.AsType[syscall.Errno](err)
	_, file := errors.AsType[*fs.PathError](err)
	return call || file
}

// plain leaves out the path and the system call, which the sentence around it tells better.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
