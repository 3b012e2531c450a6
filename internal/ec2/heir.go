package ec2

import (
	"cmp"
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// A host can become another one: when the data directory of a single server becomes a node's, or a node's that
// of a single server, the disk is the same and has another name.

// A heirRecord says which host has what was on another one.
type heirRecord struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// heirTable is keyed by the host that was.
var heirTable = store.Table[heirRecord]{Bucket: "ec2/heir", Version: 1}

// Inherit has everything that is on a host belong to another one, from the next start on. "" is the host of a
// server without a cluster.
func Inherit(tx store.Tx, from, to string) error {
	r := heirRecord{cmp.Or(from, hosts.Local), cmp.Or(to, hosts.Local)}
	var before []heirRecord // of which nobody has started since
	for h, err := range heirTable.Scan(tx) {
		if err != nil {
			return err
		}
		if h.Value.To == r.From {
			before = append(before, h.Value)
		}
	}
	for _, h := range before {
		if err := heirTable.Delete(tx, h.From); err != nil {
			return err
		}
		if h.To = r.To; h.From == h.To {
			continue
		}
		if err := heirTable.Put(tx, h, h.From); err != nil {
			return err
		}
	}
	return heirTable.Put(tx, r, r.From)
}

// inherit does what Inherit was told. It can be done twice, and goes on after a crash.
func (s *Service) inherit(ctx context.Context) error {
	var all []heirRecord
	err := s.g.Read(ctx, func(tx store.Tx) error {
		all = nil
		for r, err := range heirTable.Scan(tx) {
			if err != nil {
				return err
			}
			all = append(all, r.Value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := s.bequeath(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) bequeath(ctx context.Context, h heirRecord) error {
	n := 0
	for _, move := range []func() (int, error){
		func() (int, error) {
			return rehost(ctx, s, h, volumeTable, func(v *volumeRecord) *string { return &v.Host })
		},
		func() (int, error) {
			return rehost(ctx, s, h, instanceTable, func(i *instanceRecord) *string { return &i.Host })
		},
		func() (int, error) { return rehost(ctx, s, h, jobTable, func(j *jobRecord) *string { return &j.Host }) },
		func() (int, error) {
			return rehost(ctx, s, h, leftoverTable, func(l *leftoverRecord) *string { return &l.Host })
		},
		func() (int, error) {
			return rehost(ctx, s, h, rootTaskTable, func(t *rootTask) *string { return &t.Host })
		},
		func() (int, error) {
			return rehost(ctx, s, h, batchTable, func(b *batchRecord) *string { return &b.Host })
		},
	} {
		some, err := move()
		if err != nil {
			return err
		}
		n += some
	}
	err := s.g.Change(ctx, func(tx store.Tx) error {
		if err := hosts.Table.Delete(tx, h.From); err != nil {
			return err
		}
		return heirTable.Delete(tx, h.From)
	})
	if err == nil {
		s.log.Info("what was on a host is another one's now", "from", h.From, "to", h.To, "records", n)
	}
	return err
}

// rehost changes the host of a table's records, of which there were n.
func rehost[T any](ctx context.Context, s *Service, h heirRecord, table store.Table[T], host func(*T) *string) (n int, err error) {
	var keys [][]string
	err = s.g.Read(ctx, func(tx store.Tx) error {
		keys = nil
		for r, err := range table.Scan(tx) {
			if err != nil {
				return err
			}
			if cmp.Or(*host(&r.Value), hosts.Local) == h.From {
				keys = append(keys, r.Key)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(keys, store.MaxOps/3) {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			for _, key := range some {
				r, ok, err := table.Get(tx, key...)
				if err != nil {
					return err
				}
				if !ok || cmp.Or(*host(&r), hosts.Local) != h.From {
					continue
				}
				*host(&r) = h.To
				if err := table.Put(tx, r, key...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
