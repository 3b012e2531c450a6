package ec2

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// Volumes and instances belong to a host: the process that has their files, and holds their keys while
// they run. Every process over a store is a host with a name of its own. What is to be done on a host
// is a job in the store: whoever accepts the request writes it, and the host of the instance or volume
// does it, whether that is the same process or another one that watches the jobs.

// Watch yields the changes of a bucket of the store; see [store.Store].
type Watch func(ctx context.Context, bucket string, from store.Revision) iter.Seq2[store.Event, error]

// A post is how work comes to a host.
type post struct {
	watch Watch
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu    sync.Mutex
	taken map[string]string // jobs of other processes that were taken up: their requests, by key; guarded by mu
}

// enroll writes down that the host is there.
func (s *Service) enroll(ctx context.Context) error {
	return s.g.Change(ctx, func(tx store.Tx) error {
		r, ok, err := hosts.Table.Get(tx, s.name)
		if err != nil {
			return err
		}
		now := s.g.Now()
		if !ok {
			r = hosts.Record{Name: s.name, Since: now}
		}
		r.Started = now
		return hosts.Table.Put(tx, r, s.name)
	})
}

// ours reports whether something belongs to this host. Records of before there were hosts do.
// In a cluster whoever works sees to all hosts.
func (s *Service) ours(host string) bool {
	return s.room != nil || cmp.Or(host, hosts.Local) == s.name
}

// listen takes up jobs for this host that other processes write, from a revision on.
func (s *Service) listen(from store.Revision) {
	if s.post.watch == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.post.stop, s.post.taken = cancel, map[string]string{}
	s.post.done.Go(func() {
		for ctx.Err() == nil {
			err := s.follows(ctx, from)
			if !errors.Is(err, store.ErrCompacted) {
				if err != nil && !interrupted(err) {
					s.log.Error("the host does not see its work any more", "host", s.name, "error", err)
				}
				return
			}
			if from, err = s.catchUp(ctx); err != nil {
				s.log.Error("the host does not see its work any more", "host", s.name, "error", err)
				return
			}
		}
	})
}

// deaf ends listen.
func (s *Service) deaf() {
	if s.post.stop != nil {
		s.post.stop()
		s.post.done.Wait()
	}
}

func (s *Service) follows(ctx context.Context, from store.Revision) error {
	for e, err := range s.post.watch(ctx, jobTable.Bucket, from) {
		switch {
		case err != nil:
			return err
		case e.Deleted:
			s.post.mu.Lock()
			delete(s.post.taken, e.Key)
			s.post.mu.Unlock()
		case bytes.Contains(e.Data, s.stamp): // our own, of which there are many
		default:
			r, err := jobTable.Decode(store.Pair{Key: e.Key, Value: store.Value{Data: e.Data, Rev: e.Rev}})
			if err != nil {
				return err
			}
			s.takeUp(e.Key, &r.Value)
		}
	}
	return ctx.Err()
}

// takeUp schedules a job of another process, once.
func (s *Service) takeUp(key string, r *jobRecord) {
	if !s.ours(r.Host) || r.By == s.process {
		return
	}
	s.post.mu.Lock()
	again := s.post.taken[key] == r.Request
	s.post.taken[key] = r.Request
	s.post.mu.Unlock()
	if !again {
		s.schedule(&job{jobRecord: *r, caller: r.Caller.Caller, saved: r.State.Step().Seq})
	}
}

// catchUp takes up what was written while nobody looked, and gives the revision to go on from.
func (s *Service) catchUp(ctx context.Context) (from store.Revision, err error) {
	var all []store.Record[jobRecord]
	err = s.g.Read(ctx, func(tx store.Tx) error {
		all, from = nil, tx.Revision()
		for r, err := range jobTable.Scan(tx) {
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	for _, r := range all {
		s.takeUp(store.Key(r.Key...), &r.Value)
	}
	return from, err
}
