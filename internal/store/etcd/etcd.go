// Package etcd is the engine for several nodes: the store is in an etcd cluster, and every node keeps
// all of it in memory, as of a moment ago.
//
// Reads are of that replica, which a watch feeds. A node knows how old its replica is: a few times a
// second it asks the cluster, through its quorum, which revision is the newest, and waits until the
// replica is there. Whoever reads is told [store.ErrUnavailable] when the replica may be older than
// [Config.Staleness]. With [Config.Linearizable] every read asks first.
//
// Updates run on the replica and remember what they read, ranges included; their commit is one etcd
// transaction that compares all of it. So they are serializable whatever the replica's age, and one
// that met a change runs again. An update that writes nothing, or fails, has what it read compared all
// the same: a refusal is never founded on the past.
//
// A deletion writes a tombstone, because etcd compares only keys that are there; tombstones are
// removed after a minute, by a transaction that fails all who might have needed them.
//
// What is trusted: whoever can write to the cluster can change everything in it; records that must
// survive that are sealed by their owners.
package etcd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/kagimori/kagimori/internal/store"
)

// Config of a [Store].
type Config struct {
	// Endpoints are those of the members, with or without a scheme.
	Endpoints []string
	// Prefix is that of all keys; "kagimori/" if empty.
	Prefix string
	// TLS is nil for plain connections.
	TLS *tls.Config
	// User and Password sign in, where the cluster asks for it.
	User, Password string
	// Staleness is how old what is read may be; 1 s if 0.
	Staleness time.Duration
	// Linearizable has each read see everything that was committed before it.
	Linearizable bool
	// HistoryLimit is how many changes watches can go back; 10000 if 0.
	HistoryLimit int
	// Patience is how long a commit may wait for the cluster; 5 s if 0.
	Patience time.Duration
	// Wait is how long Open may wait for a cluster that cannot be used for the moment; Patience if 0.
	Wait time.Duration
	// Keep is for how long the cluster keeps old revisions: they are compacted by this store; 10 min
	// if 0. Negative leaves it to the cluster's own settings.
	Keep time.Duration
	// Grave is how long a tombstone stays; 1 min if 0.
	Grave time.Duration
	// Lease is how long the cluster remembers a node, and its leases, that it hears nothing of; 5 s if 0.
	Lease  time.Duration
	Logger *slog.Logger // nil logs nothing
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.Staleness, time.Second)
	def(&c.Patience, 5*time.Second)
	def(&c.Wait, c.Patience)
	def(&c.Keep, 10*time.Minute)
	def(&c.Grave, time.Minute)
	def(&c.Lease, 5*time.Second)
	if c.Prefix == "" {
		c.Prefix = "kagimori/"
	}
	if c.HistoryLimit <= 0 {
		c.HistoryLimit = 10000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Names of the engine's own keys.
const (
	floorKey  = "floor"  // written when tombstones are removed
	commitKey = "commit" // node, number: the last commit of a lane
	leaseKey  = "lease"  // name: who holds it
	formatKey = "format"
)

// format is that of the keys and values in the cluster.
const format = "1"

// Store is the engine; it implements [store.Store]. Safe for concurrent use.
type Store struct {
	cfg     Config
	log     *slog.Logger
	client  *clientv3.Client
	space   space
	node    string // of this process
	history *store.History
	replica *replica
	fresh   freshness
	lanes   lanes
	samples samples
	session session

	run     context.Context // until Close
	cancel  context.CancelFunc
	loops   sync.WaitGroup
	open    sync.WaitGroup // running transactions
	gate    sync.RWMutex   // guards closed against open
	closed  bool           // guarded by gate
	retries sync.Mutex     // held by an update of this node that met a conflict
	stats   struct{ commits, conflicts, refused atomic.Uint64 }
}

// Open connects to the cluster and reads everything.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: cfg.Endpoints, TLS: cfg.TLS, Username: cfg.User, Password: cfg.Password,
		DialTimeout: cfg.Patience, DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
		MaxCallSendMsgSize: 4 << 20, PermitWithoutStream: true, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			// A member that came back is to be used within a second.
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}, MinConnectTimeout: time.Second,
		})},
	})
	if err != nil {
		return nil, reason(err)
	}
	s := &Store{
		cfg: cfg, log: cfg.Logger, client: client, space: space(cfg.Prefix), node: rand.Text(),
		history: store.NewHistory(cfg.HistoryLimit, 0), replica: newReplica(space(cfg.Prefix)),
	}
	s.replica.history = s.history
	s.run, s.cancel = context.WithCancel(context.Background())
	if err := s.begin(ctx); err != nil {
		s.cancel()
		return nil, errors.Join(err, client.Close())
	}
	s.loops.Go(s.follow)
	s.loops.Go(s.refresh)
	s.loops.Go(s.sweep)
	s.loops.Go(s.attend)
	return s, nil
}

// loading is how long it may take to read everything.
const loading = time.Minute

// begin looks whether the cluster can be used, and loads the replica. A cluster that looks for a leader, or a
// machine that is too busy, is waited for.
func (s *Store) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Wait+loading)
	defer cancel()
	told := time.Time{}
	for end := time.Now().Add(s.cfg.Wait); ; {
		err := s.tryBegin(ctx)
		if err == nil || !store.Passing(err) || ctx.Err() != nil || !time.Now().Before(end) {
			return err
		}
		if s.cfg.Wait > s.cfg.Patience && time.Since(told) > 2*s.cfg.Patience {
			told = time.Now()
			s.log.Warn("etcd is waited for", "error", err, "for-at-most", time.Until(end).Round(time.Second))
		}
		pause(ctx, again)
	}
}

func (s *Store) tryBegin(ctx context.Context) error {
	if err := recent(ctx, s.client); err != nil {
		return err
	}
	if err := s.claim(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := s.replica.load(ctx, s.client); err != nil {
		return reason(err)
	}
	s.fresh.begin(began)
	return nil
}

// claim writes down, or checks, which format the data have. It may be done twice.
func (s *Store) claim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	key := s.space.own(formatKey)
	resp, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, format)).
		Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return reason(err)
	}
	if !resp.Succeeded {
		kvs := resp.Responses[0].GetResponseRange().Kvs
		if len(kvs) != 1 || string(kvs[0].Value) != format {
			return fmt.Errorf("%w: the data in etcd below %q has a format that this kagimori does not know", store.ErrCorrupt, s.cfg.Prefix)
		}
	}
	return nil
}

// Stats count what happened since Open.
type Stats struct {
	Commits   uint64 // of updates that wrote
	Conflicts uint64 // runs of closures in vain
	Refused   uint64 // reads and updates, because the replica may be too old
	Pairs     int    // in memory, tombstones included
	Age       time.Duration
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	now, _ := s.replica.current()
	return Stats{
		Commits: s.stats.commits.Load(), Conflicts: s.stats.conflicts.Load(), Refused: s.stats.refused.Load(),
		Pairs: now.tree.Len(), Age: s.fresh.age(),
	}
}

// Node is the name of this process in the cluster, another one with each Open.
func (s *Store) Node() string { return s.node }

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.cfg.Linearizable {
		err = s.latest(ctx)
	} else {
		err = s.young(ctx)
	}
	if err != nil {
		return err
	}
	now, _ := s.replica.current()
	snap := &snapshot{space: s.space, state: now, memory: store.NewMemory(now.memos, now.newest, nil)}
	defer func() { snap.ended = true }()
	return fn(readOnly{snap})
}

// latest waits until the replica has everything that was committed before the call.
func (s *Store) latest(ctx context.Context) (err error) {
	began := time.Now()
	if s.confirm(ctx) != nil { // one that failed may succeed again
		err = s.young(ctx)
	}
	if err == nil && !s.fresh.since(began) {
		err = s.confirm(ctx)
	}
	return err
}

// enter begins a transaction.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	s.open.Add(1)
	return s.open.Done, nil
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, bucket string, from store.Revision) iter.Seq2[store.Event, error] {
	return s.history.Watch(ctx, bucket, from)
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.gate.Lock()
	again := s.closed
	s.closed = true
	s.gate.Unlock()
	if again {
		return nil
	}
	s.open.Wait()
	s.history.Close()
	s.session.end(s)
	s.cancel()
	s.loops.Wait()
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Check tells whether the cluster answers, and whether every pair of it can be read.
func (s *Store) Check(ctx context.Context) error {
	if err := s.confirm(ctx); err != nil {
		return err
	}
	fresh := newReplica(s.space)
	fresh.history = store.NewHistory(1, 0)
	if err := fresh.load(ctx, s.client); err != nil {
		return reason(err)
	}
	loaded, _ := fresh.current()
	mine, err := s.replica.until(ctx, loaded.applied)
	if err != nil {
		return err
	}
	var wrong error
	loaded.tree.Ascend(func(i item) bool {
		if j, ok := mine.tree.Get(item{key: i.key}); !ok && i.live() || ok && j.rev < i.rev {
			wrong = fmt.Errorf("%w: the replica of this node lacks a pair of %s", store.ErrCorrupt, s.space.bucketOf(i.key))
		}
		return wrong == nil
	})
	return wrong
}
