package hosts

import (
	"context"
	"errors"
	"io/fs"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/blockdev/image"
	"github.com/kagimori/kagimori/internal/secret"
)

// A Rack is a host as the service works with it: it has the files of volumes, and keys while it holds
// them. Everything but store can be done twice.
type Rack interface {
	EngineRoom
	// Create makes the file of an empty volume, and fill that of one with the content of a snapshot; with
	// kind KindSnapshot a snapshot.
	Create(ctx context.Context, spec blockdev.Spec) error
	Fill(ctx context.Context, c blockdev.Copy, kind blockdev.Kind) error
	Hold(ctx context.Context, id, instance string, key secret.Bytes) error
	Release(ctx context.Context, id, instance string) error
	// Remove deletes the file of a volume, or a snapshot. It is no error that there is none.
	Remove(ctx context.Context, id string) error
	Grow(ctx context.Context, id string, size int64) error
	Begin(ctx context.Context, volume, snapshot string) (Taking, error)
	// Holds reports whether the host holds a volume for an instance, or with "" for any.
	Holds(id, instance string) bool
	Export(ctx context.Context, in ExportSpec) (ExportMade, error)
	Exports(ctx context.Context, region, account string) ([]ExportSpec, error)
	EndExports(ctx context.Context, volume string) error
}

// A Taking is a snapshot that was begun.
type Taking interface {
	Size() int64
	Waiting() int64
	Store(ctx context.Context, progress blockdev.Progress) error
	Drop()
}

// Why a host does nothing.
var (
	// ErrAway: the host cannot be reached, or is not taken up yet. What it is wanted for is tried again.
	ErrAway = errors.New("ec2: the host cannot be reached")
	// ErrLost: the host was given up, with what is on it.
	ErrLost = errors.New("ec2: the host is lost")
)

// A localRack is the host of this process.
type localRack struct{ *Host }

// Rack is the host as who works with it in the same process sees it.
func (h *Host) Rack() Rack { return localRack{h} }

func (r localRack) Create(_ context.Context, spec blockdev.Spec) error {
	return made(blockdev.Create(r.dir, spec))
}

func (r localRack) Fill(ctx context.Context, c blockdev.Copy, kind blockdev.Kind) error {
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

func (r localRack) Hold(_ context.Context, id, instance string, key secret.Bytes) error {
	return r.Host.hold(id, instance, key)
}

func (r localRack) Release(_ context.Context, id, instance string) error {
	return r.Host.release(id, instance)
}

func (r localRack) Remove(_ context.Context, id string) error { return r.Host.Remove(id) }

func (r localRack) Grow(_ context.Context, id string, size int64) error {
	return r.Host.grow(id, size)
}

func (r localRack) Begin(ctx context.Context, volume, snapshot string) (Taking, error) {
	p, err := r.Host.begin(ctx, volume, snapshot)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// An Empty is a host that does nothing, for a reason. Of one that is lost nothing has to be taken back:
// it drops its keys by itself, and removes files that nobody knows when it is there again.
type Empty struct{ Why error }

func (r Empty) back() error {
	if errors.Is(r.Why, ErrLost) {
		return nil
	}
	return r.Why
}

func (r Empty) Create(context.Context, blockdev.Spec) error              { return r.Why }
func (r Empty) Fill(context.Context, blockdev.Copy, blockdev.Kind) error { return r.Why }
func (r Empty) Release(context.Context, string, string) error            { return r.back() }
func (r Empty) Remove(context.Context, string) error                     { return r.back() }
func (r Empty) Grow(context.Context, string, int64) error                { return r.Why }
func (r Empty) Begin(context.Context, string, string) (Taking, error)    { return nil, r.Why }
func (r Empty) Holds(string, string) bool                                { return false }

func (r Empty) Hold(_ context.Context, _, _ string, key secret.Bytes) error {
	key.Wipe()
	return r.Why
}

// made drops the error of making a file that an earlier attempt of the same step made.
func made(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
