package ec2

import (
	"context"
	"errors"
	"io"

	"github.com/kagimori/kagimori/internal/store"
)

// A Disk is the content of a volume that the host holds open.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Size() int64
	Flush() error
}

// ErrNotHeld is what Disk says of a volume that the host does not hold open: no running instance
// has it attached.
var ErrNotHeld = errors.New("ec2: the host does not hold this volume")

// Disk is the content of an attached volume, as the instance sees it.
func (s *Service) Disk(ctx context.Context, account, region, volumeID string) (Disk, error) {
	err := s.g.Read(ctx, func(tx store.Tx) error {
		_, ok, err := volumeTable.Get(tx, region, account, volumeID)
		if err == nil && !ok {
			err = errNoVolume(volumeID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	v := s.host.volume(volumeID)
	if v == nil {
		return nil, ErrNotHeld
	}
	return v, nil
}
