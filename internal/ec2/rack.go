package ec2

import (
	"context"
	"errors"
	"io/fs"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/secret"
)

// A rack is a host as the service works with it: it has the files of volumes, and keys while it holds
// them. Everything but store can be done twice.
type rack interface {
	engineRoom
	// create makes the file of an empty volume, and fill that of one with the content of a snapshot; with
	// kind KindSnapshot a snapshot.
	create(ctx context.Context, spec blockdev.Spec) error
	fill(ctx context.Context, c blockdev.Copy, kind blockdev.Kind) error
	hold(ctx context.Context, id, instance string, key secret.Bytes) error
	release(ctx context.Context, id, instance string) error
	// remove deletes the file of a volume, or a snapshot. It is no error that there is none.
	remove(ctx context.Context, id string) error
	grow(ctx context.Context, id string, size int64) error
	begin(ctx context.Context, volume, snapshot string) (taking, error)
	// holds reports whether the host holds a volume for an instance, or with "" for any.
	holds(id, instance string) bool
	export(ctx context.Context, in exportSpec) (exportMade, error)
	exports(ctx context.Context, region, account string) ([]exportSpec, error)
	endExports(ctx context.Context, volume string) error
}

// A taking is a snapshot that was begun.
type taking interface {
	Size() int64
	Waiting() int64
	Store(ctx context.Context, progress blockdev.Progress) error
	Drop()
}

// Why a host does nothing.
var (
	// errHostAway: the host cannot be reached, or is not taken up yet. What it is wanted for is tried again.
	errHostAway = errors.New("ec2: the host cannot be reached")
	// errHostLost: the host was given up, with what is on it.
	errHostLost = errors.New("ec2: the host is lost")
)

// A localRack is the host of this process.
type localRack struct{ *host }

func (r localRack) create(_ context.Context, spec blockdev.Spec) error {
	return made(blockdev.Create(r.dir, spec))
}

func (r localRack) fill(ctx context.Context, c blockdev.Copy, kind blockdev.Kind) error {
	copies := kind == blockdev.KindSnapshot
	if _, ok := image.Find(c.From); ok {
		src, err := image.Open(c.From)
		if err != nil {
			return err
		}
		if copies {
			return made(blockdev.CreateSnapshotFrom(ctx, r.dir, c.To, src, c.Progress))
		}
		return made(blockdev.CreateFrom(ctx, r.dir, c.To, src, nil))
	}
	if copies {
		return made(blockdev.CopySnapshot(ctx, r.dir, c))
	}
	return made(blockdev.CreateFromSnapshot(ctx, r.dir, c))
}

func (r localRack) hold(_ context.Context, id, instance string, key secret.Bytes) error {
	return r.host.hold(id, instance, key)
}

func (r localRack) release(_ context.Context, id, instance string) error {
	return r.host.release(id, instance)
}

func (r localRack) remove(_ context.Context, id string) error { return r.host.remove(id) }

func (r localRack) grow(_ context.Context, id string, size int64) error {
	return r.host.grow(id, size)
}

func (r localRack) begin(ctx context.Context, volume, snapshot string) (taking, error) {
	p, err := r.host.begin(ctx, volume, snapshot)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// An emptyRack is a host that does nothing, for a reason. Of one that is lost nothing has to be taken back:
// it drops its keys by itself, and removes files that nobody knows when it is there again.
type emptyRack struct{ why error }

func (r emptyRack) back() error {
	if errors.Is(r.why, errHostLost) {
		return nil
	}
	return r.why
}

func (r emptyRack) create(context.Context, blockdev.Spec) error              { return r.why }
func (r emptyRack) fill(context.Context, blockdev.Copy, blockdev.Kind) error { return r.why }
func (r emptyRack) release(context.Context, string, string) error            { return r.back() }
func (r emptyRack) remove(context.Context, string) error                     { return r.back() }
func (r emptyRack) grow(context.Context, string, int64) error                { return r.why }
func (r emptyRack) begin(context.Context, string, string) (taking, error)    { return nil, r.why }
func (r emptyRack) holds(string, string) bool                                { return false }

func (r emptyRack) hold(_ context.Context, _, _ string, key secret.Bytes) error {
	key.Wipe()
	return r.why
}

// rack is a host by its name.
func (s *Service) rack(name string) rack {
	if s.room == nil {
		return localRack{s.host}
	}
	return s.room.rack(name)
}

// here refuses what only the host of a volume can do at once, if it cannot be asked.
func (s *Service) here(v *volumeRecord) error {
	switch _, empty := s.rack(v.Host).(emptyRack); {
	case s.room != nil && empty:
		return apierr.Newf("UnsupportedOperation", "Volume %s is on the host %s, which is not there.", v.ID, v.Host)
	case s.room == nil && !s.ours(v.Host):
		return apierr.Newf("UnsupportedOperation", "Volume %s is on the host %s; this is the host %s.", v.ID, v.Host, s.name)
	}
	return nil
}

// removeSnapshot deletes the data of a snapshot, wherever it is; done is false as long as a host that may
// have it is not there.
func (s *Service) removeSnapshot(ctx context.Context, id string) (done bool, err error) {
	if s.room == nil {
		err := blockdev.Remove(s.volumes, id)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return true, err
	}
	done = true
	for _, name := range s.room.names() {
		r := s.rack(name)
		if _, empty := r.(emptyRack); empty {
			done = false
			continue
		}
		if err := r.remove(ctx, id); err != nil {
			return false, err
		}
	}
	return done, nil
}
