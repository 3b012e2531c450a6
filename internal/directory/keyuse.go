package directory

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// A KeyUse is when, for what and where an access key was last used.
type KeyUse struct {
	At      time.Time `json:"at"`
	Service string    `json:"service"`
	Region  string    `json:"region"`
}

var keyUses = store.Table[KeyUse]{Bucket: "directory/keyuse", Version: 1} // (access key id)

// useStep is how exactly the use of a key is known: it costs a write each time.
const useStep = 15 * time.Minute

// Used remembers that a long-term access key was used.
func (d *Directory) Used(ctx context.Context, id Identity, service, region string) error {
	if id.AccessKeyID == "" || id.Session != nil {
		return nil
	}
	if _, _, dev := devKey(id.AccessKeyID); dev && d.cfg.Dev {
		return nil
	}
	now := d.cfg.Wall().UTC().Truncate(time.Second)
	if last, ok := d.used.Load(id.AccessKeyID); ok && now.Sub(last.(time.Time)) < useStep {
		return nil
	}
	return d.noteUse(ctx, id.AccessKeyID, KeyUse{now, service, region})
}

func (d *Directory) noteUse(ctx context.Context, accessKeyID string, use KeyUse) error {
	err := d.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if _, ok, err := AccessKeys.Get(tx, accessKeyID); err != nil || !ok {
			return err
		}
		return keyUses.Put(tx, use, accessKeyID)
	})
	if err == nil {
		d.used.Store(accessKeyID, use.At)
	}
	return err
}

// KeyUse is the last known use of an access key; ok is false if there was none.
func (d *Directory) KeyUse(tx store.Tx, accessKeyID string) (KeyUse, bool, error) {
	return keyUses.Get(tx, accessKeyID)
}
