package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/store"
)

// controllers is the lease under which a node works: it has the shift, deletes and rotates keys that
// are due, and ends epochs of the seal.
const controllers = "controllers"

// A leader asks for the lease, and works while this node has it.
type leader struct {
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	fence *store.Fence // nil while another node works; guarded by mu
}

// handOver is how long a node that stops working waits for what runs, before it lets another one work.
const handOver = 3 * time.Second

// leaderRecord tells the other nodes where the one is that works.
type leaderRecord struct {
	Node string `json:"node"`
	URL  string `json:"url"`
}

var leaderTable = store.Table[leaderRecord]{Bucket: "app/leader", Version: 1}

// held is the fence of the node's lease; ok is false without one.
func (l *leader) held() (f store.Fence, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fence == nil {
		return f, false
	}
	return *l.fence, true
}

func (l *leader) hold(f *store.Fence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fence = f
}

// background is the context of work that nobody asked for; ok is false if another node does it.
func (s *server) background() (ctx context.Context, ok bool) {
	if s.store.node == nil {
		return context.Background(), true
	}
	if s.lead == nil {
		return nil, false
	}
	f, ok := s.lead.held()
	return store.WithFence(context.Background(), f), ok
}

// A fenced store has every update of a shift carry its fence.
type fenced struct {
	store.Store
	fence store.Fence
}

// Update implements [store.Store].
func (f fenced) Update(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Update(store.WithFence(ctx, f.fence), fn)
}

// holding is a lease that this node has, or had.
type holding interface {
	Fence() store.Fence
	Done() <-chan struct{}
}

// fence puts the fence of a lease into contexts, as long as it is not known to be over: calls that one service
// makes of another reach the store through that one's own guard, and cryptography writes nothing that a store
// could refuse.
func fence(lease holding) func(context.Context) (context.Context, error) {
	return func(ctx context.Context) (context.Context, error) {
		select {
		case <-lease.Done():
			return ctx, clientError(store.ErrFenced)
		default:
			return store.WithFence(ctx, lease.Fence()), nil
		}
	}
}

// following is the store with the seal that the nodes share. Without a cluster it is the store.
func (s *server) following(cfg Config, module *soft.Module) store.Store {
	if s.store.node == nil {
		return s.store.Store
	}
	n := &nodeStore{Store: s.store.Store, root: module.Root()}
	var once sync.Mutex
	n.resealed = func(seal []byte) {
		s.clock.Go(func() {
			once.Lock()
			defer once.Unlock()
			if err := module.Root().Adopt(context.Background(), seal, cfg.Locks...); err != nil {
				n.out.Store(true)
				cfg.Logger.Error("this node serves nothing any more", "error", err)
			}
		})
	}
	return n
}

// startLeading begins to ask for the lease, and to follow the seal.
func (s *server) startLeading() {
	run, stop := context.WithCancel(context.Background())
	s.lead = &leader{stop: stop, done: make(chan struct{})}
	var loops sync.WaitGroup
	loops.Go(func() {
		for run.Err() == nil {
			s.term(run)
		}
	})
	loops.Go(func() { s.followSeal(run) })
	loops.Go(func() { s.peers.stay(run) })
	go func() {
		loops.Wait()
		close(s.lead.done)
	}()
}

// stopLeading ends work and gives the lease to another node.
func (s *server) stopLeading() {
	if s.lead != nil {
		s.lead.stop()
		<-s.lead.done
	}
}

// term waits for the lease, works as long as it lasts, and stops.
func (s *server) term(ctx context.Context) {
	n := s.store.node
	lease, err := n.etcd.Acquire(ctx, controllers, n.id)
	if err != nil {
		return
	}
	log := s.keeper.log.With("node", n.id, "token", lease.Fence().Token)
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-lease.Done():
			cancel()
		case <-work.Done():
		}
	}()
	f := lease.Fence()
	s.lead.hold(&f)
	w, err := s.takeOver(work, lease)
	switch {
	case err == nil:
		log.Info("this node works now: it has the lease")
		s.followWork(work)
		log.Info("this node works no longer")
	case ctx.Err() == nil:
		store.Report(ctx, log, "this node could not take up the work", err)
	}
	s.work.CompareAndSwap(w, nil)
	if w != nil {
		w.drain()
	}
	s.lead.hold(nil)
	if w != nil {
		w.stop()
		// What runs ends under the lease, if it does so soon.
		end, done := context.WithTimeout(context.Background(), handOver)
		_ = s.clock.Wait(end)
		done()
	}
	lease.Release(context.Background())
	if err != nil && ctx.Err() == nil {
		_ = s.clock.Sleep(ctx, time.Second) // let another one try
	}
}

// takeOver begins to work from what the store has.
func (s *server) takeOver(ctx context.Context, lease holding) (*shift, error) {
	n, f := s.store.node, lease.Fence()
	under := store.WithFence(ctx, f)
	if err := s.keeper.start(under); err != nil {
		return nil, err
	}
	if err := s.kms.Start(under); err != nil {
		return nil, err
	}
	w := s.hire(s.guards(fenced{s.seen, f}, fence(lease)))
	if err := w.start(under); err != nil {
		return w, err
	}
	// Only now the others send requests here.
	err := s.seen.Update(under, func(tx store.Tx) error {
		return leaderTable.Put(tx, leaderRecord{n.id, n.cfg.URL}, controllers)
	})
	if err == nil {
		s.work.Store(w)
	}
	return w, err
}

// followWork tells who waits for something what other nodes did meanwhile, until ctx ends.
func (s *server) followWork(ctx context.Context) {
	var loops sync.WaitGroup
	watch := func(bucket string, tell func(store.Event), anew func(context.Context) error) {
		loops.Go(func() {
			for ctx.Err() == nil {
				from, err := s.revision(ctx)
				if err == nil {
					err = anew(ctx)
				}
				if err != nil {
					_ = s.clock.Sleep(ctx, 100*time.Millisecond)
					continue
				}
				for e, err := range s.store.Watch(ctx, bucket, from) {
					if err != nil {
						break // changes are no longer kept: look at everything
					}
					tell(e)
				}
			}
		})
	}
	for bucket, tell := range s.kms.Due() {
		watch(bucket, tell, s.kms.Recheck)
	}
	watch("kms/destruction", func(store.Event) { s.keeper.destroyed() }, s.keeper.waitFinal)
	loops.Wait()
	<-ctx.Done()
}

func (s *server) revision(ctx context.Context) (rev store.Revision, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		rev = tx.Revision()
		return nil
	})
	return rev, err
}

// followSeal has this node's keyring follow the shared seal even if nobody asks it anything.
func (s *server) followSeal(ctx context.Context) {
	for ctx.Err() == nil {
		from, err := s.revision(ctx)
		look := func() { err = errors.Join(err, s.seen.View(ctx, func(store.Tx) error { return nil })) }
		look()
		if err != nil {
			_ = s.clock.Sleep(ctx, 100*time.Millisecond)
			continue
		}
		for _, err := range s.store.Watch(ctx, sealBucket, from) {
			if err != nil {
				break
			}
			look()
			s.clock.AfterFunc(lingering, func() {
				if err := s.keeper.module.Root().Forget(); err != nil {
					s.keeper.log.Error("an ended epoch stays in memory", "error", err)
				}
			})
		}
	}
}

// errStopped is that only another start helps.
var errStopped = errors.New("the store or the audit log has stopped, because the disk failed: see the log; the server has to be started again")

// stopped is errStopped if that is so.
func (s *server) stopped() error {
	if s.trail.Err() != nil || s.store.file != nil && s.store.file.Err() != nil {
		return errStopped
	}
	return nil
}

// ready is nil if this node can answer.
func (s *server) ready(ctx context.Context) error {
	if err := s.stopped(); err != nil || s.store.node == nil {
		return err
	}
	return s.seen.View(ctx, func(store.Tx) error { return nil })
}

// whoWorks is the node that works, as this one knows.
func (s *server) whoWorks(ctx context.Context) (rec leaderRecord, err error) {
	err = s.seen.View(ctx, func(tx store.Tx) error {
		rec, _, err = leaderTable.Get(tx, controllers)
		return err
	})
	return rec, err
}
