package app

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/store"
)

// A backup is a tar file, compressed by gzip:
//
//	backup.json        what it is: format, time, the epochs of the seal
//	kagimori.json      the marker of the data directory
//	store.db           the store, as of one moment
//	volumes/NAME       with volumes: one entry for each stretch of data; the PAX records say where it
//	                   lies, and how long the file is
//	snapshots/NAME     with volumes: the objects of snapshots that are kept in the data directory
//	manifest.json      the SHA-256 of each entry before, in order
//	manifest.mac       a code over the manifest under a key of the seal
//
// The seal is not in it: it goes into a file beside it. Only both together open anything, so that a
// newer seal, whose epochs have ended, makes an older backup unreadable. Since format 3 keys are packed, since 4
// grants.
const backupFormat = 4

const (
	backupHead   = "backup.json"
	manifestFile = "manifest.json"
	macFile      = "manifest.mac"
	macPurpose   = "backup manifest"
	paxOffset    = "KAGIMORI.offset"
	paxSize      = "KAGIMORI.size"
	// maxSmall bounds what is read into memory of a backup.
	maxSmall = 64 << 20
)

type backupInfo struct {
	Format  int       `json:"format"`
	Made    time.Time `json:"made"`
	Version string    `json:"version,omitempty"`
	Epochs  []uint64  `json:"epochs"`
	Volumes bool      `json:"volumes,omitempty"`
}

type manifestEntry struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset,omitempty"`
	Size   int64  `json:"size,omitempty"`
	SHA256 []byte `json:"sha256"`
}

// backupWriter writes entries and remembers their sums.
type backupWriter struct {
	tar      *tar.Writer
	manifest []manifestEntry
}

func (b *backupWriter) entry(h *tar.Header, e manifestEntry, copyTo func(io.Writer) error) error {
	h.Mode, h.Typeflag, h.Name = 0o600, tar.TypeReg, e.Name
	if err := b.tar.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	if err := copyTo(io.MultiWriter(b.tar, sum)); err != nil {
		return err
	}
	e.SHA256 = sum.Sum(nil)
	b.manifest = append(b.manifest, e)
	return nil
}

func (b *backupWriter) bytes(name string, data []byte) error {
	return b.entry(&tar.Header{Size: int64(len(data))}, manifestEntry{Name: name}, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (b *backupWriter) json(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.bytes(name, data)
}

// backup writes a backup while the server serves. gotSeal is given the seal file that opens it before
// anything is written. Volumes are copied as they are: one that an instance writes to meanwhile is
// not of one moment.
func (k *keeper) backup(ctx context.Context, dir *os.Root, volumes bool, gotSeal func([]byte) error, out io.Writer) error {
	k.mu.Lock()
	locked := true
	unlock := func() {
		if locked {
			locked = false
			k.mu.Unlock()
		}
	}
	defer unlock()
	mark, err := dir.ReadFile(markerFile)
	if err != nil {
		return err
	}
	mac, err := k.module.MAC(macPurpose)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	b := &backupWriter{tar: tar.NewWriter(z)}
	info := backupInfo{Format: backupFormat, Made: time.Now().UTC(), Version: k.cfg.Version, Volumes: volumes}
	err = k.moment(ctx, dir, func(seal []byte, epochs []uint64, size int64, db io.WriterTo) error {
		unlock() // seal and store are of one moment; copying them takes its time
		info.Epochs = epochs
		if err := gotSeal(seal); err != nil {
			return err
		}
		if err := errors.Join(b.json(backupHead, info), b.bytes(markerFile, mark)); err != nil {
			return err
		}
		return b.entry(&tar.Header{Size: size}, manifestEntry{Name: storeFile}, func(w io.Writer) error {
			_, err := db.WriteTo(w)
			return err
		})
	})
	if err != nil {
		return err
	}
	if volumes {
		if err := b.volumes(ctx, dir); err != nil {
			return err
		}
	}
	manifest, err := json.Marshal(b.manifest)
	if err != nil {
		return err
	}
	if err := errors.Join(b.bytes(manifestFile, manifest), b.bytes(macFile, mac(manifest))); err != nil {
		return err
	}
	return errors.Join(b.tar.Close(), z.Close())
}

// moment gives the seal, its epochs and the store of one moment to fn, the store as the file that a single
// server would have. The caller holds mu until fn is called.
func (k *keeper) moment(ctx context.Context, dir *os.Root, fn func(seal []byte, epochs []uint64, size int64, db io.WriterTo) error) error {
	if k.file != nil {
		seal, err := dir.ReadFile(sealFile)
		if err != nil {
			return err
		}
		epochs := k.module.Root().Epochs()
		return k.file.Snapshot(ctx, func(size int64, db io.WriterTo) error { return fn(seal, epochs, size, db) })
	}
	all := &withSeal{pairs: k.cluster}
	name, _, err := fileOf(ctx, dir, all, k.node)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Remove(name) }() // the next start of the node removes it otherwise
	st, err := soft.Seal{Shared: all}.Status()
	if err != nil {
		return err
	}
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	return fn(all.seal, st.Epochs, fi.Size(), f)
}

// withSeal notes the seal among the pairs of a cluster, of the same moment as they are.
type withSeal struct {
	pairs
	seal []byte
}

// Each implements pairs.
func (w *withSeal) Each(ctx context.Context, fn func(bucket, key string, data []byte) error) error {
	return w.pairs.Each(ctx, func(bucket, key string, data []byte) error {
		if bucket == sealBucket {
			rec, err := sealTable.Decode(store.Pair{Key: key, Value: store.Value{Data: data}})
			if err != nil {
				return err
			}
			w.seal = rec.Value.Seal
		}
		return fn(bucket, key, data)
	})
}

// Load implements [soft.Shared].
func (w *withSeal) Load() ([]byte, error) { return w.seal, nil }

// Swap implements [soft.Shared]: it changes nothing.
func (w *withSeal) Swap(_, _ []byte) error { return soft.ErrSealChanged }

// Name implements [soft.Shared].
func (w *withSeal) Name() string { return "the seal in etcd" }

// volumes writes what is in the files of the folders, without their holes. What is known of the changes of
// volumes stays behind: it may not fit what is written of them.
func (b *backupWriter) volumes(ctx context.Context, dir *os.Root) error {
	names, err := folder(dir, volumeDir)
	if err != nil {
		return err
	}
	var files []string
	for _, name := range names {
		if !strings.HasSuffix(name, ".kchg") {
			files = append(files, filepath.Join(volumeDir, name))
		}
	}
	snapshots, err := dir.OpenRoot(snapDir)
	if err != nil {
		return err
	}
	defer snapshots.Close()
	err = objects.NewFolder(snapshots).List(ctx, "", func(o objects.Object) error {
		files = append(files, filepath.Join(snapDir, filepath.FromSlash(o.Name)))
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := errors.Join(ctx.Err(), b.volume(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (b *backupWriter) volume(dir *os.Root, name string) error {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	size := info.Size()
	for at, first := int64(0), true; ; first = false {
		from, to, err := stretch(f, at, size)
		if err != nil {
			return err
		}
		if from == size && !first {
			return nil
		}
		h := &tar.Header{Size: to - from, Format: tar.FormatPAX, PAXRecords: map[string]string{
			paxOffset: strconv.FormatInt(from, 10), paxSize: strconv.FormatInt(size, 10),
		}}
		err = b.entry(h, manifestEntry{Name: filepath.ToSlash(name), Offset: from, Size: size}, func(w io.Writer) error {
			n, err := io.Copy(w, io.NewSectionReader(f, from, to-from))
			if err == nil && n < to-from {
				err = fmt.Errorf("%s became shorter while it was read", name)
			}
			return err
		})
		if err != nil {
			return err
		}
		at = to
	}
}

// sums reads entries and remembers their sums.
type sums struct{ got []manifestEntry }

func (s *sums) of(e manifestEntry, r io.Reader, w io.Writer) error {
	var h hash.Hash = sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, h), r); err != nil {
		return err
	}
	e.SHA256 = h.Sum(nil)
	s.got = append(s.got, e)
	return nil
}
