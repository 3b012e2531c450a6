package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/objects/s3"
	"github.com/kagimori/kagimori/internal/store"
)

// hostsPrefix is below the place that nodes share: each writes in a part of its own, and reads those of all.
const hostsPrefix = "hosts"

// sharedShelf is where a node keeps volumes and snapshots. In a bucket or folder that nodes share, each has
// a part of its own; without one its snapshots are in its data directory, and no other node's business.
func (s *server) sharedShelf(ctx context.Context, cfg Config, dir, volumes, folder *os.Root) (*shelfPlace, error) {
	own := cfg.Snapshots
	p, known, err := readPlace(dir)
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.SnapshotFolder != "":
		return s.sharedFolder(cfg, dir, volumes, folder, p, known)
	case known && p.Folder != "":
		return nil, fmt.Errorf("the snapshots of the data directory %s are in the folder %s; name it with --snapshots", dir.Name(), p.Folder)
	case own.Bucket != "" && !(known && p.Prefix == own.Prefix): // else it was named before nodes shared buckets
		own.Prefix = path.Join(own.Prefix, hostsPrefix, s.store.node.id)
	}
	snapshots, err := snapshotStore(ctx, own, dir, folder)
	if err != nil {
		return nil, err
	}
	p, known, err = readPlace(dir)
	if err != nil || !known {
		return &shelfPlace{Shelf: blockdev.NewShelf(volumes, snapshots)}, err
	}
	return s.shelfAmong(cfg, volumes, snapshots, p)
}

// sharedFolder is sharedShelf for a folder.
func (s *server) sharedFolder(cfg Config, dir, volumes, folder *os.Root, p place, known bool) (*shelfPlace, error) {
	whole, err := filepath.Abs(cfg.SnapshotFolder)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(whole, hostsPrefix, s.store.node.id)
	if !known {
		if some, err := anyObject(folder); err != nil || some {
			return nil, errors.Join(err, fmt.Errorf("the data directory %s has snapshots of its own; another place can be named only before there are any", dir.Name()))
		}
		p = place{Owner: s.store.node.id, Folder: own}
		data, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		if err := replaceFile(dir, placeFile+".new", placeFile, append(data, '\n')); err != nil {
			return nil, fmt.Errorf("%s cannot be written: %w", filepath.Join(dir.Name(), placeFile), cause(err))
		}
	}
	if p.Folder != own {
		return nil, fmt.Errorf("the snapshots of the data directory %s are in %s; they are not looked for elsewhere", dir.Name(), p.name())
	}
	if _, err := os.Stat(whole); err != nil {
		return nil, fmt.Errorf("the folder for snapshots cannot be used: %w", cause(err))
	}
	if err := os.MkdirAll(own, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for snapshots cannot be used: %w", cause(err))
	}
	root, err := os.OpenRoot(own)
	if err != nil {
		return nil, err
	}
	s.folders = append(s.folders, root)
	return s.shelfAmong(cfg, volumes, objects.NewFolder(root), p)
}

func (p *place) name() string {
	if p.Folder != "" {
		return "the folder " + p.Folder
	}
	return "the bucket " + p.Bucket
}

func anyObject(folder *os.Root) (bool, error) {
	some := errors.New("some")
	err := objects.NewFolder(folder).List(context.Background(), "", func(objects.Object) error { return some })
	if errors.Is(err, some) {
		return true, nil
	}
	return false, err
}

// shelfAmong is a shelf that reads what other nodes keep, too.
func (s *server) shelfAmong(cfg Config, volumes *os.Root, snapshots objects.Store, p place) (*shelfPlace, error) {
	p.Owner = ""
	told, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	o := &otherPlaces{s: s, access: cfg.Snapshots, own: string(told), open: map[string]objects.Store{}}
	return &shelfPlace{blockdev.NewShared(volumes, snapshots, o.list), string(told)}, nil
}

// Other places are where other nodes keep their snapshots. Safe for concurrent use.
type otherPlaces struct {
	s      *server
	access s3.Config
	own    string

	mu   sync.Mutex
	open map[string]objects.Store // by what their nodes say of them; guarded by mu
}

// list implements [blockdev.Others]. What cannot be reached is left out.
func (o *otherPlaces) list() []objects.Store {
	var told []string
	err := o.s.shared.View(context.Background(), func(tx store.Tx) (err error) {
		told, err = ec2.Shelves(tx)
		return err
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		for _, t := range told {
			if t == o.own || o.open[t] != nil {
				continue
			}
			st, err := o.reach(t)
			if err != nil {
				o.s.keeper.log.Warn("the snapshots of another node cannot be read", "error", err)
				continue
			}
			o.open[t] = st
		}
	}
	var out []objects.Store
	for _, t := range slices.Sorted(maps.Keys(o.open)) {
		out = append(out, o.open[t])
	}
	return out
}

func (o *otherPlaces) reach(told string) (objects.Store, error) {
	var p place
	if err := json.Unmarshal([]byte(told), &p); err != nil {
		return nil, err
	}
	if p.Folder == "" {
		return p.bucket(o.access)
	}
	root, err := os.OpenRoot(p.Folder)
	if err != nil {
		return nil, err
	}
	return objects.NewFolder(root), nil // open as long as the process
}
