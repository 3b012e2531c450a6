package etcd

import (
	"context"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
)

// Space is the part of etcd's keys below a prefix.
type Space = space

// Own, Data, Key, Split and Bounds are its methods.
func (p space) Own(parts ...string) string                          { return p.own(parts...) }
func (p space) Data() (lo, hi string)                               { return p.data() }
func (p space) Key(bucket, key string) string                       { return p.key(bucket, key) }
func (p space) Split(key string) (bucket, rest string, ok bool)     { return p.split(key) }
func (p space) Bounds(bucket string, r store.Range) (lo, hi string) { return p.bounds(bucket, r) }

// Encode is how a value is stored, Tombstone how its absence is.
func Encode(data []byte) string { return encode(data) }

const Tombstone = tombstone

// Reason and Definite say what an error of the cluster means.
func Reason(err error) error  { return reason(err) }
func Definite(err error) bool { return definite(err) }

// A Unit is a store whose cluster is a client of the test's, and which does nothing by itself.
type Unit struct{ s *Store }

// NewUnit makes one with nothing in it, as of revision 0.
func NewUnit(ctx context.Context, c *clientv3.Client, staleness time.Duration) *Unit {
	s := &Store{
		cfg: Config{Staleness: staleness, Patience: time.Second}, log: slog.New(slog.DiscardHandler), client: c, space: "p/",
		history: store.NewHistory(1000, 0), run: ctx, cancel: func() {},
	}
	s.replica = newReplica(s.space)
	s.replica.history = s.history
	s.replica.tree = newTree()
	s.replica.publish(0)
	return &Unit{s}
}

// Load reads everything, as a start does.
func (u *Unit) Load(ctx context.Context) error {
	began := time.Now()
	err := u.s.replica.load(ctx, u.s.client)
	if err == nil {
		u.s.fresh.begin(began)
	}
	return err
}

// Apply is what a watch tells.
func (u *Unit) Apply(rev int64, events ...*clientv3.Event) error {
	if err := u.s.replica.apply(events); err != nil {
		return err
	}
	u.s.replica.publish(rev)
	return nil
}

// Progressed, Begin, Lost, Young, Confirm and Age are about how old the replica is.
func (u *Unit) Progressed(rev int64)                { u.s.replica.progressed(rev) }
func (u *Unit) Begin()                              { u.s.fresh.begin(time.Now()) }
func (u *Unit) Lost()                               { u.s.fresh.lost() }
func (u *Unit) Young(ctx context.Context) error     { return u.s.young(ctx) }
func (u *Unit) Reachable(ctx context.Context) error { return u.s.reachable(ctx) }
func (u *Unit) Confirm(ctx context.Context) error   { return u.s.confirm(ctx) }
func (u *Unit) Age() time.Duration                  { return u.s.fresh.age() }
func (u *Unit) History() *store.History             { return u.s.history }

// Old are the tombstones up to a revision.
func (u *Unit) Old(rev int64) (keys []string) {
	for _, g := range u.s.replica.old(rev) {
		keys = append(keys, g.key)
	}
	return keys
}

// Bury and Compact are parts of the sweep.
func (u *Unit) Bury(rev int64) error                         { return u.s.bury(rev) }
func (u *Unit) Compact(ctx context.Context, rev int64) error { return u.s.compact(ctx, rev) }

// A Snapshot is what a transaction reads.
type Snapshot struct {
	store.Tx
	s *snapshot
}

// Snapshot is one of now; of an update it remembers what was read.
func (u *Unit) Snapshot(update bool) Snapshot {
	now, _ := u.s.replica.current()
	s := &snapshot{space: u.s.space, state: now, records: update}
	return Snapshot{readOnly{s}, s}
}

// Unchanged are the comparisons of what was read, End ends the transaction.
func (s Snapshot) Unchanged() []clientv3.Cmp { return s.s.unchanged() }
func (s Snapshot) End()                      { s.s.ended = true }

// Samples remember revisions by time.
type Samples struct{ l samples }

func (s *Samples) Add(at time.Time, rev int64, keep time.Duration) { s.l.add(at, rev, keep) }
func (s *Samples) Before(at time.Time) int64                       { return s.l.before(at) }
func (s *Samples) Len() int                                        { return len(s.l.list) }
