package etcd

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/kagimori/kagimori/internal/store"
)

// again is how long a loop waits after a failure.
const again = 100 * time.Millisecond

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// follow keeps the replica up to date.
func (s *Store) follow() {
	for s.run.Err() == nil {
		err := s.watch()
		switch {
		case s.run.Err() != nil:
			return
		case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, errWentBack):
			s.log.Warn("the changes in etcd could not be followed; everything is read anew", "error", err)
			s.reload()
		case errors.Is(err, errSilent):
			s.log.Warn("the watch on etcd is silent; another one begins")
		default:
			s.log.Warn("the watch on etcd ended; it begins anew", "error", err)
			pause(s.run, again)
		}
	}
}

// reload reads everything, until that succeeds.
func (s *Store) reload() {
	for s.run.Err() == nil {
		s.fresh.lost()
		began := time.Now()
		err := s.replica.load(s.run, s.client)
		if err == nil {
			s.fresh.begin(began)
			return
		}
		store.Report(s.run, s.log, "the data in etcd could not be read", reason(err))
		pause(s.run, 5*again)
	}
}

// errWentBack: the cluster's revision is older than the replica. It was restored from a backup.
var errWentBack = errors.New("etcd: the cluster went back to an older revision")

// watch applies changes until the watch ends, and says why it ended.
func (s *Store) watch() error {
	ctx, cancel := context.WithCancelCause(s.run)
	defer cancel(nil)
	number, ended := s.fresh.interrupts(cancel)
	defer ended()
	ctx = leading(ctx, number)
	now, _ := s.replica.current()
	lo, hi := s.space.data()
	changes := s.client.Watch(ctx, lo, clientv3.WithRange(hi), clientv3.WithRev(now.applied+1),
		clientv3.WithProgressNotify(), clientv3.WithFragment())
	for resp := range changes {
		if resp.CompactRevision != 0 {
			return rpctypes.ErrCompacted
		}
		if err := resp.Err(); err != nil {
			return err
		}
		if resp.IsProgressNotify() {
			s.replica.progressed(resp.Header.Revision)
			continue
		}
		if len(resp.Events) == 0 { // it was made
			continue
		}
		if err := s.replica.apply(resp.Events); err != nil {
			s.fresh.lost()
			return err
		}
		s.replica.publish(resp.Events[len(resp.Events)-1].Kv.ModRevision)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return errors.New("etcd: the watch was closed")
}

// leading is the context of a watch of the replica, and of requests for its progress: a member without a
// leader ends it. Watches whose contexts are alike share a stream to one member; each of these has one of its
// own, so that a new one goes to another member.
func leading(ctx context.Context, number int) context.Context {
	return metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), "kagimori-watch", strconv.Itoa(number))
}
