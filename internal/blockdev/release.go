package blockdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kagimori/kagimori/internal/objects"
)

// release removes a snapshot: it is gone for good when release returns. Blocks that others share stay.
// Errors: fs.ErrNotExist, ErrBusy while somebody reads it or makes something of it.
func (s *Shelf) release(ctx context.Context, id string) error {
	s.releasing.Lock()
	defer s.releasing.Unlock()
	if err := s.hide(ctx, id); err != nil {
		return err
	}
	err := s.toGone(ctx, id)
	if err == nil {
		return s.freeGone(ctx, id)
	}
	// It is still there, as far as we know.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = false
	return err
}

// hide makes a snapshot unknown, so that nobody begins to use it.
func (s *Shelf) hide(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	switch {
	case s.heads[id] == nil && s.broken[id] == nil:
		return fmt.Errorf("blockdev: snapshot %s: %w", id, fs.ErrNotExist)
	case s.pins[id] > 0:
		return fmt.Errorf("snapshot %s: %w", id, ErrBusy)
	}
	delete(s.heads, id)
	delete(s.broken, id)
	for i, x := range s.recent {
		if x.id == id {
			s.recent = append(s.recent[:i:i], s.recent[i+1:]...)
			break
		}
	}
	return nil
}

// toGone puts the index of a snapshot where what is being removed is.
func (s *Shelf) toGone(ctx context.Context, id string) error {
	b, err := s.objects.Get(ctx, indexPrefix+id, 0, -1)
	if err != nil {
		return err
	}
	if err := s.objects.Put(ctx, gonePrefix+id, b); err != nil {
		return err
	}
	if err := s.objects.Sync(ctx); err != nil {
		return err
	}
	if err := s.objects.Delete(ctx, indexPrefix+id); err != nil {
		return err
	}
	return s.objects.Sync(ctx)
}

// freeGone gives the blocks back that only a removed snapshot had. As long as there is an index that cannot
// be read, and might share them, they stay.
func (s *Shelf) freeGone(ctx context.Context, id string) error {
	x, err := s.readIndex(ctx, gonePrefix+id, id)
	switch {
	case errors.Is(err, ErrCorrupt):
		err = nil // what it had is unknown: Audit finds it
	case err == nil:
		err = s.freeDead(ctx, x)
	}
	if errors.Is(err, errBrokenIndex) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.objects.Sync(ctx); err != nil {
		return err
	}
	if err := s.objects.Delete(ctx, gonePrefix+id); err != nil {
		return err
	}
	return s.objects.Sync(ctx)
}

var errBrokenIndex = errors.New("blockdev: the index of another snapshot cannot be read")

// sharers are the snapshots that may use blocks of some origins.
func (s *Shelf) sharers(ctx context.Context, origins []string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if len(s.broken) > 0 {
		return nil, errBrokenIndex
	}
	of := map[string]bool{}
	for _, o := range origins {
		of[o] = true
	}
	var ids []string
	for id, x := range s.heads {
		for _, o := range x.origins {
			if of[o] {
				ids = append(ids, id)
				break
			}
		}
	}
	return ids, nil
}

// freeDead deletes the blocks of an index that no snapshot has.
func (s *Shelf) freeDead(ctx context.Context, x *index) error {
	dead := make(map[string]bool, len(x.entries))
	for i := range x.entries {
		dead[x.object(&x.entries[i])] = true
	}
	if err := s.keepShared(ctx, dead, x.origins); err != nil {
		return err
	}
	return s.deleteAll(ctx, dead)
}

// freeUnshared deletes the blocks of an origin that no snapshot has.
func (s *Shelf) freeUnshared(ctx context.Context, origin string) error {
	dead := map[string]bool{}
	err := s.objects.List(ctx, blocksOf(origin), func(o objects.Object) error {
		dead[o.Name] = true
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.keepShared(ctx, dead, []string{origin}); err != nil {
		return err
	}
	return s.deleteAll(ctx, dead)
}

// keepShared takes out of dead what some snapshot has of blocks of the origins.
func (s *Shelf) keepShared(ctx context.Context, dead map[string]bool, origins []string) error {
	ids, err := s.sharers(ctx, origins)
	if err != nil {
		return err
	}
	for _, id := range ids {
		// releasing is held: nothing that is known now is removed.
		y, err := s.readIndex(ctx, indexPrefix+id, id)
		if errors.Is(err, ErrCorrupt) {
			return errBrokenIndex
		}
		if err != nil {
			return err
		}
		for i := range y.entries {
			delete(dead, y.object(&y.entries[i]))
		}
	}
	return nil
}

func (s *Shelf) deleteAll(ctx context.Context, names map[string]bool) error {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	return parallel(ctx, len(list), func(i int) error { return s.objects.Delete(ctx, list[i]) })
}

// recover ends what an interrupted process had begun, and says how many snapshots that were. Nobody uses
// the shelf.
func (s *Shelf) recover(ctx context.Context) (int, error) {
	if err := s.objects.Recover(ctx); err != nil {
		return 0, err
	}
	var made, gone []string
	for prefix, ids := range map[string]*[]string{workPrefix: &made, gonePrefix: &gone} {
		err := s.objects.List(ctx, prefix, func(o objects.Object) error {
			if id := strings.TrimPrefix(o.Name, prefix); validID(id) || prefix == workPrefix && validOrigin(id) {
				*ids = append(*ids, id)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	for _, id := range gone {
		// The index goes, if it is still there, before the shelf looks at what there is.
		if err := s.endHide(ctx, id); err != nil {
			return 0, err
		}
	}
	if err := s.objects.Sync(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.loaded = false
	s.mu.Unlock()
	s.releasing.Lock()
	defer s.releasing.Unlock()
	for _, id := range gone {
		if err := s.freeGone(ctx, id); err != nil {
			return 0, err
		}
	}
	for _, origin := range made {
		// Of a snapshot that is complete after all, only what it does not use goes.
		err := s.freeUnshared(ctx, origin)
		if err == nil {
			err = s.objects.Sync(ctx)
		}
		if err == nil {
			err = s.objects.Delete(ctx, workPrefix+origin)
		}
		if err != nil && !errors.Is(err, errBrokenIndex) {
			return 0, err
		}
	}
	return len(made) + len(gone), s.objects.Sync(ctx)
}

// endHide deletes the index of a snapshot whose removal had begun.
func (s *Shelf) endHide(ctx context.Context, id string) error {
	there, err := s.objects.Get(ctx, indexPrefix+id, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	gone, err := s.objects.Get(ctx, gonePrefix+id, 0, -1)
	if err != nil {
		return err
	}
	if !bytes.Equal(there, gone) {
		return nil // another one, made since
	}
	return s.objects.Delete(ctx, indexPrefix+id)
}

// Doubt has the next [Sweep] look for blocks that belong to no snapshot: the shelf was copied while it was
// used. Everything is durable when Doubt returns.
func (s *Shelf) Doubt(ctx context.Context) error {
	origins := map[string]bool{}
	err := s.objects.List(ctx, blockPrefix, func(o objects.Object) error {
		origin, _, _ := strings.Cut(strings.TrimPrefix(o.Name, blockPrefix), "/")
		if validOrigin(origin) {
			origins[origin] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	names := make([]string, 0, len(origins))
	for origin := range origins {
		names = append(names, origin)
	}
	err = parallel(ctx, len(names), func(i int) error {
		return s.objects.Put(ctx, workPrefix+names[i], []byte("copied"))
	})
	if err != nil {
		return err
	}
	return s.objects.Sync(ctx)
}
