package soft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
)

// Errors of seals. All others, besides hsm.ErrWrongSeal, are sentences for the operator.
var (
	// ErrNoSeal: there is no seal file yet. It is also fs.ErrNotExist.
	ErrNoSeal = fmt.Errorf("soft: no seal: %w", fs.ErrNotExist)
	// ErrSealExists: Create never replaces a seal. It is also fs.ErrExist.
	ErrSealExists = fmt.Errorf("soft: a seal exists: %w", fs.ErrExist)
)

// A Seal says where the keyring is stored.
type Seal struct {
	// Dir is the data directory.
	Dir *os.Root
	// File is the name of the seal file in Dir; empty is "seal.json".
	File string
	// Shared keeps the seal instead, if it is not nil.
	Shared Shared

	medium medium // what it is written by; nil is Dir itself
}

// home is the seal of an open keyring.
type home struct {
	Seal
	sealKey *secret.Locked // opens the keyring in the file; in each slot
	file    sealFile       // as on disk
}

// Create makes a random keyring and seals it, once for each lock. When it returns without an error
// the seal is on disk for good; otherwise no seal is left, at most a temporary file that nothing
// reads. It returns [ErrSealExists] if there is one, even one made at the same moment by another
// process: two root keys for one data directory would lose keys.
func Create(ctx context.Context, s Seal, locks ...Lock) (*RootKey, error) {
	if err := s.check(locks); err != nil {
		return nil, err
	}
	if s.Shared == nil {
		if _, err := s.Dir.Lstat(s.name()); err == nil {
			return nil, ErrSealExists
		}
	}
	r, err := NewRootKey()
	if err != nil {
		return nil, err
	}
	next, data, err := r.prepare(ctx, home{Seal: s}, locks, r.Epochs())
	if err == nil {
		r.dwell(next)
		err = s.write(data)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Unseal reads the seal and opens the keyring with the first lock that fits a slot. It returns
// [ErrNoSeal] if there is no seal file, hsm.ErrWrongSeal if no lock fits, and sentences that begin
// with the path of the file for one that is damaged, of other kinds, of a newer version, or plain
// and readable by others. It writes nothing.
func Unseal(ctx context.Context, s Seal, locks ...Lock) (*RootKey, error) {
	if err := s.check(locks); err != nil {
		return nil, err
	}
	data, mode, err := s.read()
	if err != nil {
		return nil, err
	}
	defer clear(data)
	f, old, err := decodeSeal(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", s.path(), err)
	}
	// Windows has no such mode bits.
	if f.plain() && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s holds the root key in plain and others may read or change it (mode %#o); set its mode to 0600, and if it was read, make new keys", s.path(), mode.Perm())
	}
	sealKey, err := s.tryLocks(ctx, f, locks)
	if err != nil {
		return nil, err
	}
	defer sealKey.Wipe()
	var r *RootKey
	if old != nil {
		r, err = old.open(sealKey)
	} else {
		r, err = f.open(sealKey)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %w", s.path(), err)
	}
	if old != nil {
		return r, r.settle(s, f)
	}
	h := &home{Seal: s, file: f}
	if h.sealKey, err = secret.LockedFrom(sealKey); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.dwell(h)
	return r, nil
}

// dwell makes h the home of the keyring.
func (r *RootKey) dwell(h *home) {
	r.home = h
	r.generation.Store(h.file.Generation)
}

// settle gives the keyring of an old seal a home without a seal key: [RootKey.Reseal] is the only
// change that it takes.
func (r *RootKey) settle(s Seal, f sealFile) error {
	var err error
	r.home = &home{Seal: s, file: f}
	r.home.sealKey, err = randomLocked()
	return err
}

// tryLocks opens a slot.
func (s Seal) tryLocks(ctx context.Context, f sealFile, locks []Lock) (secret.Bytes, error) {
	var failed error
	tried := false
	for _, l := range locks {
		for _, slot := range f.Slots {
			if slot.Kind != l.Kind() {
				continue
			}
			tried = true
			key, err := l.Unwrap(ctx, slot)
			if err == nil {
				return key, nil
			}
			if !errors.Is(err, hsm.ErrWrongSeal) {
				failed = errors.Join(failed, fmt.Errorf("%s cannot be opened by its slot of kind %q: %w", s.path(), slot.Kind, err))
			}
		}
	}
	switch {
	case failed != nil:
		return nil, failed
	case tried:
		return nil, hsm.ErrWrongSeal
	}
	return nil, fmt.Errorf("%s is a seal of kind %q, but %q was asked for", s.path(), f.Slots[0].Kind, locks[0].Kind())
}

// check refuses settings that are wrong before any file is touched.
func (s Seal) check(locks []Lock) error {
	if s.Dir == nil && s.Shared == nil {
		return errors.New("soft: a seal needs a directory")
	}
	if len(locks) == 0 {
		return errors.New("soft: a seal needs a lock")
	}
	for _, l := range locks {
		if p, ok := l.(PassphraseLock); ok {
			if err := p.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f sealFile) plain() bool {
	return slices.ContainsFunc(f.Slots, func(s Slot) bool { return s.Kind == PlainFile })
}

func (s Seal) name() string {
	if s.File == "" {
		return "seal.json"
	}
	return s.File
}

func (s Seal) path() string {
	if s.Shared != nil {
		return s.Shared.Name()
	}
	return filepath.Join(s.Dir.Name(), s.name())
}

// A SealStatus is what a seal file says to everybody who can read it.
type SealStatus struct {
	Format     int      `json:"format"`
	Generation uint64   `json:"generation"`
	Epochs     []uint64 `json:"epochs"` // more than one: keys are being wrapped anew
	Slots      []Slot   `json:"slots"`  // without what they seal
}

// Status reads a seal file without opening it.
func (s Seal) Status() (SealStatus, error) {
	data, _, err := s.read()
	if err != nil {
		return SealStatus{}, err
	}
	defer clear(data)
	f, _, err := decodeSeal(data)
	if err != nil {
		return SealStatus{}, fmt.Errorf("%s %w", s.path(), err)
	}
	return f.status(), nil
}

func (f sealFile) status() SealStatus {
	st := SealStatus{Format: f.Format, Generation: f.Generation, Epochs: f.Epochs}
	for _, slot := range f.Slots {
		st.Slots = append(st.Slots, Slot{Kind: slot.Kind, Params: slot.Params})
	}
	return st
}

// read returns the seal file, which must be a regular file of sane size, and its mode.
func (s Seal) read() ([]byte, fs.FileMode, error) {
	if s.Shared != nil {
		data, err := s.Shared.Load()
		if err == nil && data == nil {
			err = ErrNoSeal
		}
		return slices.Clone(data), 0o600, err
	}
	if fi, err := s.Dir.Stat(s.name()); err == nil && !fi.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a file", s.path()) // opening a pipe would wait
	}
	f, err := s.Dir.Open(s.name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrNoSeal
	}
	if err != nil {
		return nil, 0, s.explain("read", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, s.explain("read", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSealFile+1))
	if err != nil {
		return nil, 0, s.explain("read", err)
	}
	return data, fi.Mode(), nil
}

// explain names the file once and in full; errors of os.Root name it without its directory.
func (s Seal) explain(done string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return fmt.Errorf("%s cannot be %s: %w", s.path(), done, err)
}
