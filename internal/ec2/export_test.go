package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/store"
)

// SnapshotVolume makes a snapshot of a volume that nobody has open, as CreateSnapshot will.
func (s *Service) SnapshotVolume(ctx context.Context, region, account, volume, id string, sharedWith ...string) error {
	if err := blockdev.Snapshot(s.volumes, volume, id); err != nil {
		return err
	}
	return s.g.Change(ctx, func(tx store.Tx) error {
		v, ok, err := volumeTable.Get(tx, region, account, volume)
		if err != nil || !ok {
			return gone(volume, err)
		}
		return snapshotTable.Put(tx, snapshotRecord{
			ID: id, Owner: account, Region: region, VolumeID: volume, SizeGiB: v.SizeGiB, Encrypted: v.Encrypted, KeyARN: v.KeyARN,
			ContextID: volume, DataKeyID: v.DataKeyID, WrappedKey: v.WrappedKey, SharedWith: sharedWith, State: "completed", Created: s.g.Now(),
		}, region, id)
	})
}
