package app

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
)

// Restore makes the data directory of cfg of a backup and the seal file that goes with it, which the
// config's locks open. Nothing is left behind if something is wrong, and a crash leaves at most a
// folder beside the directory, which is not taken for one.
func Restore(ctx context.Context, cfg Config, backup io.Reader, seal []byte) (err error) {
	if cfg, err = cfg.checked(); err != nil {
		return err
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return err
	}
	if names, err := os.ReadDir(cfg.Data); err == nil && len(names) > 0 {
		return fmt.Errorf("%s holds files; restore into a folder that is empty or does not exist", cfg.Data)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s cannot be used: %w", cfg.Data, cause(err))
	}
	temp := cfg.Data + ".restoring-" + rand.Text()
	if err := os.MkdirAll(filepath.Dir(temp), 0o700); err != nil {
		return fmt.Errorf("%s cannot be made: %w", filepath.Dir(temp), cause(err))
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return fmt.Errorf("%s cannot be made: %w", temp, cause(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	err = restoreInto(ctx, cfg, root, backup, seal)
	if err := errors.Join(err, root.Close()); err != nil {
		return err
	}
	if err := os.Remove(cfg.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temp, cfg.Data); err != nil {
		return fmt.Errorf("%s cannot be put in place: %w", cfg.Data, cause(err))
	}
	return syncPath(filepath.Dir(cfg.Data))
}

func restoreInto(ctx context.Context, cfg Config, root *os.Root, backup io.Reader, seal []byte) error {
	for _, name := range folders() {
		if err := root.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	if err := replaceFile(root, sealFile+".new", sealFile, seal); err != nil {
		return fmt.Errorf("the seal cannot be written: %w", cause(err))
	}
	module, err := unseal(ctx, root, cfg, true)
	if err != nil {
		return err
	}
	defer module.Close()
	r := &restoring{root: root, epochs: module.Root().Epochs()}
	if err := r.read(backup); err != nil {
		return err
	}
	mac, err := module.MAC(macPurpose)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(mac(r.manifest), r.mac) != 1 {
		return errors.New("the backup is not of this seal, or was changed: its code does not match")
	}
	var want []manifestEntry
	if err := json.Unmarshal(r.manifest, &want); err != nil || !slices.EqualFunc(want, r.got, func(a, b manifestEntry) bool {
		return a.Name == b.Name && a.Offset == b.Offset && a.Size == b.Size && bytes.Equal(a.SHA256, b.SHA256)
	}) {
		return errDamagedBackup
	}
	if !r.seen[backupHead] || !r.seen[markerFile] || !r.seen[storeFile] {
		return errDamagedBackup
	}
	return errors.Join(doubtSnapshots(ctx, root), syncFolder(root, volumeDir), syncFolder(root, "."))
}

// doubtSnapshots has the first start look for parts of snapshots that came or went while the backup was made.
func doubtSnapshots(ctx context.Context, root *os.Root) error {
	dir, err := root.OpenRoot(snapDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	volumes, err := root.OpenRoot(volumeDir)
	if err != nil {
		return err
	}
	defer volumes.Close()
	if err := blockdev.NewShelf(volumes, objects.NewFolder(dir)).Doubt(ctx); err != nil {
		return err
	}
	return fs.WalkDir(dir.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return syncFolder(dir, name)
	})
}

var errDamagedBackup = errors.New("the backup is damaged or not whole")

// restoring is a backup being read.
type restoring struct {
	sums
	root          *os.Root
	epochs        []uint64 // of the seal
	manifest, mac []byte
	seen          map[string]bool
}

func (r *restoring) read(backup io.Reader) error {
	z, err := gzip.NewReader(backup)
	if err != nil {
		return errors.New("this is not a backup of kagimori")
	}
	r.seen = map[string]bool{}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && r.mac != nil {
			_, err := io.Copy(io.Discard, z) // the sum of gzip
			return err
		}
		if err != nil || h.Typeflag != tar.TypeReg || r.mac != nil {
			return errDamagedBackup
		}
		if err := r.entry(h, t); err != nil {
			return err
		}
		r.seen[h.Name] = true
	}
}

func (r *restoring) entry(h *tar.Header, t io.Reader) error {
	switch name := h.Name; {
	case name == manifestFile, name == macFile, name == backupHead:
		if h.Size > maxSmall || r.seen[name] {
			return errDamagedBackup
		}
		var b bytes.Buffer
		err := r.of(manifestEntry{Name: name}, t, &b)
		switch {
		case err != nil:
			return errDamagedBackup
		case name == backupHead:
			if err := r.head(b.Bytes()); err != nil {
				return err
			}
		case name == manifestFile:
			r.manifest = b.Bytes()
		default:
			r.mac = b.Bytes()
		}
		if name != backupHead {
			r.got = r.got[:len(r.got)-1] // the manifest does not name itself, nor its code
		}
		return nil
	case !r.seen[backupHead]:
		return errors.New("this is not a backup of kagimori")
	case name == markerFile, name == storeFile:
		if r.seen[name] {
			return errDamagedBackup
		}
		return r.file(manifestEntry{Name: name}, h.Size, t)
	case strings.HasPrefix(name, snapDir+"/") && objects.CheckName(name) == nil,
		strings.HasPrefix(name, volumeDir+"/") && filepath.IsLocal(name) && strings.Count(name, "/") == 1:
		at, err := strconv.ParseInt(h.PAXRecords[paxOffset], 10, 64)
		size, err2 := strconv.ParseInt(h.PAXRecords[paxSize], 10, 64)
		if err != nil || err2 != nil || at < 0 || size < at+h.Size {
			return errDamagedBackup
		}
		return r.file(manifestEntry{Name: name, Offset: at, Size: size}, size, t)
	}
	return errDamagedBackup
}

// head says whether the seal opens what follows.
func (r *restoring) head(data []byte) error {
	var info backupInfo
	switch err := json.Unmarshal(data, &info); {
	case err != nil || info.Format < 1:
		return errors.New("this is not a backup of kagimori")
	case info.Format > backupFormat:
		return fmt.Errorf("the backup was made by a newer kagimori (format %d; this one knows %d)", info.Format, backupFormat)
	}
	for _, e := range info.Epochs {
		if !slices.Contains(r.epochs, e) {
			return fmt.Errorf("the backup of %s was made in epoch %d of the seal, which has ended since: its key material is unreadable with this seal",
				info.Made.Format("2006-01-02 15:04"), e)
		}
	}
	return nil
}

// file writes one stretch of a file, durably.
func (r *restoring) file(e manifestEntry, size int64, t io.Reader) error {
	if err := r.root.MkdirAll(filepath.Dir(filepath.FromSlash(e.Name)), 0o700); err != nil {
		return cause(err)
	}
	f, err := r.root.OpenFile(filepath.FromSlash(e.Name), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return cause(err)
	}
	err = f.Truncate(size)
	if err == nil {
		err = r.of(e, t, io.NewOffsetWriter(f, e.Offset))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncFolder has the names in a folder on disk.
func syncFolder(root *os.Root, name string) error {
	if runtime.GOOS == "windows" { // has no such operation
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncPath is syncFolder for a path.
func syncPath(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
