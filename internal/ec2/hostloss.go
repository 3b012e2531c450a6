package ec2

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// reasonHostLost is of an instance whose host was given up.
// Source: EC2 API Reference, StateReason, Server.InternalError.
var reasonHostLost = reason{"Server.InternalError", "Server.InternalError: The host of the instance failed"}

// loseHost gives a host up that was silent for too long: by then it has let go of its keys. Its volumes are in
// error. Its instances are impaired, and terminated after Timing.Impaired, unless it is there again by then;
// stopped ones stay.
func (s *Service) loseHost(ctx context.Context, rec hosts.Record) error {
	gone := false
	err := s.g.Change(ctx, func(tx store.Tx) error {
		r, _, err := hosts.Table.Get(tx, rec.Name)
		if gone = err == nil && r.Beat == rec.Beat; !gone {
			return err // it is there
		}
		r.Lost = s.g.Now()
		return hosts.Table.Put(tx, r, r.Name)
	})
	if err != nil || !gone {
		return err
	}
	s.room.mu.Lock()
	v := s.room.hosts[rec.Name]
	s.room.retire(v)
	v.lost = true
	s.room.mu.Unlock()
	s.log.Error("a host is lost: its volumes are in error, and its instances will be terminated", "host", rec.Name)
	s.clock.AfterFunc(s.timing.Impaired, func() { s.terminateLost(rec.Name) })
	known, err := s.count(ctx)
	if err != nil {
		return err
	}
	return s.markLost(ctx, rec.Name, known, true)
}

// markLost puts the volumes of a host into error, or takes them out.
func (s *Service) markLost(ctx context.Context, host string, known *census, lost bool) error {
	var ids [][]string
	for _, v := range known.volumes {
		if v.Host == host && v.Lost != lost {
			ids = append(ids, v.key())
		}
	}
	for some := range slices.Chunk(ids, store.MaxOps/3) {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			for _, key := range some {
				v, ok, err := volumeTable.Get(tx, key...)
				if err != nil || !ok || v.Host != host {
					return err
				}
				v.Lost = lost
				if !lost && v.State == volumeError {
					v.State = volumeAvailable
					if len(v.Plugs) > 0 {
						v.State = volumeInUse
					}
				}
				if err := putVolume(tx, v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// findAgain takes the volumes of a host out of error that was lost and is there again.
func (s *Service) findAgain(ctx context.Context, host string, known *census) error {
	return s.markLost(ctx, host, known, false)
}

// terminateLost terminates the instances of a lost host that run, if it is lost still.
func (s *Service) terminateLost(host string) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	ctx := s.running
	if !s.room.isLost(host) {
		return
	}
	known, err := s.count(ctx)
	if err == nil {
		err = s.markLost(ctx, host, known, true)
	}
	again := time.Duration(0)
	for n := range known.instances {
		i := &known.instances[n]
		if err != nil || i.Host != host || i.State == terminated || i.State == stopped {
			continue
		}
		var rest bool
		rest, err = s.terminateLostOne(ctx, i)
		if rest {
			again = retryJob // work on it ends first
		}
	}
	if err != nil && !interrupted(err) {
		store.Report(ctx, s.log, "instances of a lost host are not terminated yet", err, "host", host)
		again = retryJob
	}
	if again > 0 {
		s.clock.AfterFunc(again, func() { s.terminateLost(host) })
	}
}

// lost reports whether a host of a cluster was given up.
func (s *Service) lost(host string) bool { return s.room != nil && s.room.isLost(host) }

func (m *room) isLost(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.hosts[name]
	return v != nil && v.lost
}

// terminateLostOne terminates an instance of a lost host; more tells that there is something to be done later.
func (s *Service) terminateLostOne(ctx context.Context, was *instanceRecord) (more bool, err error) {
	defer s.locks.Lock(was.ID)()
	var after aftermath
	err = s.g.Change(ctx, func(tx store.Tx) error {
		after, more = aftermath{}, false
		i, ok, err := instanceTable.Get(tx, was.key()...)
		if err != nil || !ok {
			return err
		}
		if i.State != running || i.Work != "" {
			more = i.State != terminated && i.State != stopped
			return nil
		}
		i.State, i.Reason, i.Transition = shuttingDown, new(reasonHostLost), reasonHostLost.Code
		if after.next, err = s.beginRelease(tx, &i, readVolumes(tx, i.Region, i.Account), launch.TerminateInstances, guard.NewRequestID(), s.g.Now()); err != nil {
			return err
		}
		after.changed = i.ID
		return putInstance(tx, i)
	})
	if err == nil {
		s.follow(ctx, was.Region, was.Account, after)
	}
	return more, err
}
