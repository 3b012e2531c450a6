package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/objects/s3"
)

// placeFile says in which bucket the snapshots of a data directory are; without it they are in its folder.
const placeFile = "snapshots.json"

// A place is what placeFile holds. Credentials are not in it.
type place struct {
	Owner    string `json:"owner"` // that the bucket names, too
	Endpoint string `json:"endpoint,omitempty"`
	Region   string `json:"region,omitempty"`
	Bucket   string `json:"bucket,omitempty"`
	Folder   string `json:"folder,omitempty"` // that nodes share, instead of a bucket
	Prefix   string `json:"prefix,omitempty"`
}

// readPlace is where snapshots are; ok is false if they are in the folder.
func readPlace(dir *os.Root) (p place, ok bool, err error) {
	data, err := dir.ReadFile(placeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err == nil && (p.Owner == "" || p.Bucket == "" && p.Folder == "") {
		err = errors.New("it names no bucket or folder")
	}
	if err != nil {
		return p, false, fmt.Errorf("%s cannot be read: %w", filepath.Join(dir.Name(), placeFile), cause(err))
	}
	return p, true, nil
}

// bucket is the store in the bucket of a place, with the credentials and roots of a config.
func (p *place) bucket(cfg s3.Config) (*s3.Bucket, error) {
	cfg.Endpoint, cfg.Region, cfg.Bucket, cfg.Prefix = p.Endpoint, p.Region, p.Bucket, p.Prefix
	return s3.New(cfg)
}

// snapshotStore is where the snapshots of a data directory are, in its folder or in a bucket. The first time
// that a bucket is named, it is taken; from then on it is the same one, named or not.
func snapshotStore(ctx context.Context, cfg s3.Config, dir, folder *os.Root) (objects.Store, error) {
	p, ok, err := readPlace(dir)
	if err != nil {
		return nil, err
	}
	switch {
	case !ok && cfg.Bucket == "":
		return objects.NewFolder(folder), nil
	case !ok:
		return takeBucket(ctx, cfg, dir, folder)
	case cfg.Bucket != "" && (p.Bucket != cfg.Bucket || p.Prefix != cfg.Prefix || p.Endpoint != cfg.Endpoint || p.Region != cfg.Region):
		return nil, fmt.Errorf("the snapshots of the data directory %s are in the bucket %s (prefix %q, endpoint %q, region %q); they are not looked for elsewhere",
			dir.Name(), p.Bucket, p.Prefix, p.Endpoint, p.Region)
	}
	b, err := p.bucket(cfg)
	if err != nil {
		return nil, err
	}
	if err := b.Claim(ctx, p.Owner); err != nil {
		return nil, fmt.Errorf("the snapshots cannot be reached: %w", err)
	}
	return b, nil
}

// takeBucket makes a bucket the place of snapshots, of which there are none yet.
func takeBucket(ctx context.Context, cfg s3.Config, dir, folder *os.Root) (objects.Store, error) {
	some := errors.New("some")
	err := objects.NewFolder(folder).List(ctx, "", func(objects.Object) error { return some })
	if errors.Is(err, some) {
		return nil, fmt.Errorf("the data directory %s has snapshots in its folder; a bucket can be named only before there are any", dir.Name())
	}
	if err != nil {
		return nil, err
	}
	p := place{Owner: rand.Text(), Endpoint: cfg.Endpoint, Region: cfg.Region, Bucket: cfg.Bucket, Prefix: cfg.Prefix}
	b, err := p.bucket(cfg)
	if err != nil {
		return nil, err
	}
	switch owner, err := b.Owner(ctx); {
	case err != nil:
		return nil, fmt.Errorf("snapshots cannot be kept there: %w", err)
	case owner != "":
		return nil, fmt.Errorf("the bucket %s holds the snapshots of another data directory there; name another prefix", p.Bucket)
	}
	// Known before it is claimed: a crash in between leaves a place that the next start claims.
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(dir, placeFile+".new", placeFile, append(data, '\n')); err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", filepath.Join(dir.Name(), placeFile), cause(err))
	}
	return b, b.Claim(ctx, p.Owner)
}

// A shelfPlace is where volumes and snapshots are, and what others need to read the snapshots.
type shelfPlace struct {
	*blockdev.Shelf
	shared string
}

// shelf is where volumes and snapshots are.
func (s *server) shelf(ctx context.Context, cfg Config, dir *os.Root) (*shelfPlace, error) {
	volumes, err := s.folder(dir, volumeDir)
	if err != nil {
		return nil, err
	}
	folder, err := s.folder(dir, snapDir)
	if err != nil {
		return nil, err
	}
	format := dataFormat
	if s.store.node != nil {
		format = nodeFormat
	}
	if err := raiseMarker(dir, format); err != nil {
		return nil, err
	}
	if s.store.node != nil {
		return s.sharedShelf(ctx, cfg, dir, volumes, folder)
	}
	if cfg.SnapshotFolder != "" {
		return nil, errors.New("a folder for snapshots is for nodes with --store; one server keeps them in its data directory, or in a bucket")
	}
	snapshots, err := snapshotStore(ctx, cfg.Snapshots, dir, folder)
	if err != nil {
		return nil, err
	}
	return &shelfPlace{Shelf: blockdev.NewShelf(volumes, snapshots)}, nil
}

// shelfOf opens what a data directory has of volumes and snapshots, beside a server or without one.
func shelfOf(data string, cfg s3.Config) (_ *blockdev.Shelf, closeIt func(), err error) {
	dir, err := os.OpenRoot(data)
	if err != nil {
		return nil, nil, err
	}
	roots := []*os.Root{dir}
	closeIt = func() {
		for _, r := range roots {
			_ = r.Close()
		}
	}
	defer func() {
		if err != nil {
			closeIt()
		}
	}()
	for _, name := range []string{volumeDir, snapDir} {
		if err := dir.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) { // an earlier version's has no snapDir
			return nil, nil, err
		}
		r, err := dir.OpenRoot(name)
		if err != nil {
			return nil, nil, err
		}
		roots = append(roots, r)
	}
	p, ok, err := readPlace(dir)
	if err != nil || !ok {
		return blockdev.NewShelf(roots[1], objects.NewFolder(roots[2])), closeIt, err
	}
	if p.Folder != "" {
		r, err := os.OpenRoot(p.Folder)
		if err != nil {
			return nil, nil, err
		}
		roots = append(roots, r)
		return blockdev.NewShelf(roots[1], objects.NewFolder(r)), closeIt, nil
	}
	b, err := p.bucket(cfg)
	return blockdev.NewShelf(roots[1], b), closeIt, err
}
