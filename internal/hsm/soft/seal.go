package soft

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"filippo.io/age"

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

// A Kind is how the root key is sealed.
type Kind string

// Kinds of seals.
const (
	// PlainFile: the file holds the root key as it is; whoever reads the file has all keys.
	PlainFile Kind = "plain-file"
	// Passphrase: the root key is encrypted by age with scrypt. Whoever has the file can try
	// passphrases, each at the cost of the work factor.
	Passphrase Kind = "passphrase"
)

// DefaultWorkFactor makes one try cost 2^18 steps of scrypt: about a second and 256 MiB.
const DefaultWorkFactor = 18

// maxWorkFactor bounds what a seal file can make Unseal spend.
const maxWorkFactor = 22

// A Seal says where the root key is stored and what opens it.
type Seal struct {
	// Dir is the data directory.
	Dir *os.Root
	// File is the name of the seal file in Dir; empty is "seal.json".
	File string
	// Kind must be the kind of the file. A file of another kind is refused, so nobody can swap
	// a passphrase seal for a plain one unnoticed.
	Kind Kind
	// Passphrase opens a Passphrase seal; it must not be empty there and is not used elsewhere.
	Passphrase secret.Bytes
	// WorkFactor is the logarithm of the scrypt work of a new Passphrase seal, 1 to 22; 0 is
	// [DefaultWorkFactor]. Only tests want less.
	WorkFactor int
}

// Create makes a random root key of epoch 1 and seals it. When it returns without an error the
// seal is on disk for good; otherwise no seal is left, at most a temporary file that nothing
// reads. It returns [ErrSealExists] if there is one, even one made at the same moment by
// another process: two root keys for one data directory would lose keys.
func Create(s Seal) (*RootKey, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if _, err := s.Dir.Lstat(s.name()); err == nil {
		return nil, ErrSealExists
	}
	r, err := NewRootKey()
	if err != nil {
		return nil, err
	}
	data, err := s.encode(r)
	if err == nil {
		err = s.write(data)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Unseal reads the seal and opens the root key. It returns [ErrNoSeal] if there is no seal file,
// hsm.ErrWrongSeal for a wrong passphrase, and sentences that begin with the path of the file
// for one that is damaged, of another kind, of a newer version, or plain and readable by others.
// It writes nothing.
func Unseal(s Seal) (*RootKey, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	data, mode, err := s.read()
	if err != nil {
		return nil, err
	}
	defer clear(data)
	f, err := decodeSeal(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", s.path(), err)
	}
	defer clear(f.Sealed)
	if f.Kind != s.Kind {
		return nil, fmt.Errorf("%s is a seal of kind %q, but %q was asked for", s.path(), f.Kind, s.Kind)
	}
	// Windows has no such mode bits.
	if f.Kind == PlainFile && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s holds the root key in plain and others may read or change it (mode %#o); set its mode to 0600, and if it was read, make new keys", s.path(), mode.Perm())
	}
	raw, err := s.open(f)
	if err != nil {
		return nil, err
	}
	defer raw.Wipe()
	key, err := secret.LockedFrom(raw)
	if err != nil {
		return nil, err
	}
	r := &RootKey{epoch: f.Epoch, key: key}
	if check, err := r.checkValue(f.Kind); err != nil || !check.Equal(f.Check) {
		return nil, errors.Join(fmt.Errorf("%s is damaged: its root key does not match its check value", s.path()), err, r.Close())
	}
	return r, nil
}

// check refuses settings that are wrong before any file is touched.
func (s Seal) check() error {
	switch {
	case s.Dir == nil:
		return errors.New("soft: a seal needs a directory")
	case s.Kind != PlainFile && s.Kind != Passphrase:
		return fmt.Errorf("soft: seal kind %q is not known; it is %q or %q", s.Kind, PlainFile, Passphrase)
	case s.Kind == Passphrase && len(s.Passphrase) == 0:
		return errors.New("soft: the passphrase is empty")
	case s.WorkFactor < 0 || s.WorkFactor > maxWorkFactor:
		return fmt.Errorf("soft: the work factor is between 1 and %d", maxWorkFactor)
	}
	return nil
}

func (s Seal) name() string {
	if s.File == "" {
		return "seal.json"
	}
	return s.File
}

func (s Seal) path() string { return filepath.Join(s.Dir.Name(), s.name()) }

// encode is the content of the seal file for the key.
func (s Seal) encode(r *RootKey) ([]byte, error) {
	f := sealFile{Kind: s.Kind, Epoch: r.epoch}
	check, err := r.checkValue(s.Kind)
	if err != nil {
		return nil, err
	}
	f.Check = check
	err = r.key.Use(func(b secret.Bytes) error {
		if s.Kind == PlainFile {
			f.Sealed = bytes.Clone(b)
			return nil
		}
		f.Sealed, err = s.ageEncrypt(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return encodeSeal(f)
}

// open returns the root key in the file.
func (s Seal) open(f sealFile) (secret.Bytes, error) {
	raw := secret.Bytes(bytes.Clone(f.Sealed))
	if f.Kind == Passphrase {
		var err error
		if raw, err = s.ageDecrypt(f.Sealed); err != nil {
			return nil, err
		}
	}
	if len(raw) != keySize {
		raw.Wipe()
		return nil, fmt.Errorf("%s is damaged: its root key has another length", s.path())
	}
	return raw, nil
}

func (s Seal) ageEncrypt(key secret.Bytes) ([]byte, error) {
	to, err := age.NewScryptRecipient(string(s.Passphrase))
	if err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	to.SetWorkFactor(DefaultWorkFactor)
	if s.WorkFactor != 0 {
		to.SetWorkFactor(s.WorkFactor)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	if _, err := w.Write(key); err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("soft: seal: %w", err)
	}
	return out.Bytes(), nil
}

// ageDecrypt tells a wrong passphrase from damage: the digest of the file was right, so what age
// cannot open with this passphrase was sealed with another one.
func (s Seal) ageDecrypt(sealed []byte) (secret.Bytes, error) {
	by, err := age.NewScryptIdentity(string(s.Passphrase))
	if err != nil {
		return nil, fmt.Errorf("soft: unseal: %w", err)
	}
	by.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(bytes.NewReader(sealed), by)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, hsm.ErrWrongSeal
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.path(), err)
	}
	key, err := io.ReadAll(io.LimitReader(r, keySize+1))
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.path(), err)
	}
	return key, nil
}

// write puts the seal in place so that a crash leaves the whole seal or none: a temporary file,
// fsync, the name, fsync of the directory.
func (s Seal) write(data []byte) error {
	defer clear(data)
	temp := s.name() + ".tmp-" + rand.Text()
	err := s.writeTemp(temp, data)
	if err == nil {
		err = s.place(temp)
	}
	// Nothing reads the temporary file, but it holds the key: it goes, whatever happened.
	err = errors.Join(err, ignoreMissing(s.Dir.Remove(temp)))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return ErrSealExists
	}
	return s.plain("written", err)
}

// place gives the temporary file its name. Link and not rename, because a link never replaces
// a seal that appeared meanwhile; only a file system without links gets a rename.
func (s Seal) place(temp string) error {
	err := s.Dir.Link(temp, s.name())
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		err = s.Dir.Rename(temp, s.name())
	}
	if err != nil {
		return err
	}
	if err := syncDir(s.Dir); err != nil {
		return errors.Join(err, s.Dir.Remove(s.name()))
	}
	return nil
}

func (s Seal) writeTemp(name string, data []byte) error {
	f, err := s.Dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the new name last. Windows cannot sync directories and does not need it.
func syncDir(dir *os.Root) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// read returns the seal file, which must be a regular file of sane size, and its mode.
func (s Seal) read() ([]byte, fs.FileMode, error) {
	if fi, err := s.Dir.Stat(s.name()); err == nil && !fi.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a file", s.path()) // opening a pipe would wait
	}
	f, err := s.Dir.Open(s.name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrNoSeal
	}
	if err != nil {
		return nil, 0, s.plain("read", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, s.plain("read", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSealFile+1))
	if err != nil {
		return nil, 0, s.plain("read", err)
	}
	return data, fi.Mode(), nil
}

// plain names the file once and in full; errors of os.Root name it without its directory.
func (s Seal) plain(done string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return fmt.Errorf("%s cannot be %s: %w", s.path(), done, err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
