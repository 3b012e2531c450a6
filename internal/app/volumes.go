package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects/s3"
)

// A VolumeFile is what the file of a volume or snapshot says of itself.
type VolumeFile struct {
	ID       string `json:"id"`
	Snapshot bool   `json:"snapshot"`
	Size     int64  `json:"size"` // bytes
	// KeyARN is the KMS key under which the data key in the file is wrapped; "" if it is not encrypted.
	KeyARN string `json:"keyArn,omitempty"`
	// Closed tells that it was closed properly, or never written.
	Closed bool `json:"closed"`
	// Busy tells that it was not checked, because a server has it open.
	Busy bool `json:"busy,omitempty"`
	// Problem is what is wrong with the file, "" if nothing was found.
	Problem string `json:"problem,omitempty"`
}

// VolumeFiles reads the files of volumes and snapshots of a data directory, all or those with the ids,
// whether a server runs or not. It needs no keys, but credentials if snapshots are in a bucket. With check,
// it looks for damage in those that nobody has open, and for parts of snapshots that belong to none.
func VolumeFiles(data string, bucket s3.Config, ids []string, check bool) ([]VolumeFile, error) {
	if _, err := os.Stat(filepath.Join(data, markerFile)); err != nil {
		return nil, fmt.Errorf("%s is not a data directory of kagimori", data)
	}
	dir, closeDir, err := shelfOf(data, bucket)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	all := len(ids) == 0
	if all {
		if ids, err = blockdev.List(dir); err != nil {
			return nil, err
		}
	}
	checker := blockdev.NewChecker(dir)
	files := []VolumeFile{}
	for _, id := range ids {
		info, err := blockdev.ReadInfo(dir, id)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s has no file of a volume or snapshot %s", data, id)
		}
		f := VolumeFile{ID: id, Snapshot: info.Kind == blockdev.KindSnapshot, Size: info.Size, Closed: info.Clean}
		if info.Encryption != nil {
			f.KeyARN = info.Encryption.KeyARN
		}
		if err == nil && check {
			err = checker.Check(context.Background(), id)
		}
		if f.Busy = errors.Is(err, blockdev.ErrBusy); err != nil && !f.Busy {
			f.Problem = err.Error()
		}
		files = append(files, f)
	}
	if !all || !check {
		return files, nil
	}
	orphans, err := checker.Orphans(context.Background())
	if errors.Is(err, blockdev.ErrCorrupt) || errors.Is(err, blockdev.ErrVersion) {
		return files, nil // the snapshot's own line says so
	}
	for _, name := range orphans {
		files = append(files, VolumeFile{ID: name, Snapshot: true, Problem: "it belongs to no snapshot"})
	}
	return files, err
}
