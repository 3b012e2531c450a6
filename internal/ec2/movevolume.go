package ec2

import (
	"context"
	"fmt"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/store"
)

// elsewhere: a volume is to be attached to an instance on another host.
type elsewhere struct {
	volume volumeRecord
	host   string // of the instance
}

// Error names both.
func (e *elsewhere) Error() string {
	return fmt.Sprintf("ec2: volume %s is on host %s, not %s", e.volume.ID, e.volume.Host, e.host)
}

// moveVolume takes a volume that nothing has to another host, in time for the data that it has: what it
// contains goes through a snapshot that nobody sees. Until the end the volume is where it was.
func (s *Service) moveVolume(ctx context.Context, was *volumeRecord, to string) error {
	if len(was.Plugs) > 0 {
		return apierr.Newf("UnsupportedOperation", "Volume %s is attached to an instance on another host.", was.ID)
	}
	snapshot, from, target := randomID("snap"), s.rack(was.Host), s.rack(to)
	err := s.g.Change(ctx, func(tx store.Tx) error {
		if _, err := s.stillThere(tx, was); err != nil {
			return err
		}
		return discardTable.Put(tx, discardRecord{snapshot, s.g.Now()}, snapshot)
	})
	if err != nil {
		return err
	}
	defer s.discard(snapshot)
	p, err := from.Begin(ctx, was.ID, snapshot)
	if err == nil {
		err = p.Store(ctx, nil)
	}
	if err != nil {
		return err
	}
	spec := blockdev.Spec{ID: was.ID, Size: was.SizeGiB * gibibyte}
	if was.Encrypted {
		spec.Encryption = &blockdev.Encryption{KeyARN: was.KeyARN, DataKeyID: was.DataKeyID, ContextID: was.ID, WrappedKey: was.WrappedKey}
	}
	s.room.moving(was.ID, true)
	defer s.room.moving(was.ID, false)
	err = target.Remove(ctx, was.ID) // of an earlier attempt
	if err == nil {
		err = target.Fill(ctx, blockdev.Copy{From: snapshot, To: spec}, blockdev.KindVolume)
	}
	if err == nil {
		err = s.g.Change(ctx, func(tx store.Tx) error {
			v, err := s.stillThere(tx, was)
			if err != nil {
				return err
			}
			v.Host = to
			return putVolume(tx, v)
		})
	}
	if err != nil {
		_ = target.Remove(context.WithoutCancel(ctx), was.ID) // else the host does it when it is taken up again
		return err
	}
	s.counted(was.Host, -1)
	s.counted(to, 1)
	s.log.Info("a volume was moved", "volume", was.ID, "from", was.Host, "to", to)
	if err := from.Remove(ctx, was.ID); err != nil {
		s.log.Warn("the file of a volume that was moved stays for now", "volume", was.ID, "host", was.Host, "error", err)
	}
	return nil
}

// stillThere is a volume that nothing happened to.
func (s *Service) stillThere(tx store.Tx, was *volumeRecord) (volumeRecord, error) {
	v, ok, err := volumeTable.Get(tx, was.key()...)
	switch {
	case err != nil:
		return v, err
	case !ok:
		return v, errNoVolume(was.ID)
	case v.State != volumeAvailable || v.Work != "" || len(v.Plugs) > 0 || v.Host != was.Host || v.SizeGiB != was.SizeGiB ||
		v.Modification != nil && v.Modification.State == modifying:
		return v, apierr.Newf("IncorrectState", "%s is not 'available'.", v.ID)
	}
	return v, nil
}
