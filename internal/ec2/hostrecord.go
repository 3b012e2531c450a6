package ec2

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Volumes and instances belong to a host: the process that has their files, and holds their keys while
// they run. Every process over a store is a host with a name of its own. What is to be done on a host
// is a job in the store: whoever accepts the request writes it, and the host of the instance or volume
// does it, whether that is the same process or another one that watches the jobs.

// localHost is the name of the host in a process that was given none.
const localHost = "local"

// A hostRecord is a host that was there once.
type hostRecord struct {
	Name    string    `json:"name"`
	Since   time.Time `json:"since"`
	Started time.Time `json:"started"` // the last time

	// The rest is of hosts of a cluster, which say again and again that they are there.
	Beat     int64         `json:"beat,omitempty"` // counts the signs of life
	Life     string        `json:"life,omitempty"` // another one after the host lost its keys
	URL      string        `json:"url,omitempty"`  // of its node
	Shelf    string        `json:"shelf,omitempty"`
	Patience time.Duration `json:"patience,omitempty"` // how long it may be silent
	Leaving  bool          `json:"leaving,omitempty"`  // it will be back
	Lost     time.Time     `json:"lost,omitzero"`      // when it was given up, until it is there again
	Skill    int           `json:"skill,omitempty"`    // what its node's version can do; see hostSkill
	Boots    bool          `json:"boots,omitempty"`    // instances have machines there
}

// hostSkill is that of this version's nodes: since 1 they know of volumes with Multi-Attach that are on another
// host than an instance.
const hostSkill = 1

// hostTable is keyed by the host's name.
var hostTable = store.Table[hostRecord]{Bucket: "ec2/host", Version: 1}

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
		r, ok, err := hostTable.Get(tx, s.name)
		if err != nil {
			return err
		}
		now := s.g.Now()
		if !ok {
			r = hostRecord{Name: s.name, Since: now}
		}
		r.Started = now
		return hostTable.Put(tx, r, s.name)
	})
}

// ours reports whether something belongs to this host. Records of before there were hosts do.
// In a cluster whoever works sees to all hosts.
func (s *Service) ours(host string) bool {
	return s.room != nil || cmp.Or(host, localHost) == s.name
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
