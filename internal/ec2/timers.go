package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/store"
)

// bury ends an instance that shut down because its launch failed: it has nothing left to release.
func (s *Service) bury(region, account, id string) {
	s.later("an instance was not terminated", id, func(ctx context.Context) (after aftermath, err error) {
		err = s.g.Change(ctx, func(tx store.Tx) error {
			after = aftermath{}
			i, ok, err := instanceTable.Get(tx, region, account, id)
			if err != nil || !ok || i.State != shuttingDown || i.Work != "" {
				return err
			}
			i.State, i.Ended = terminated, s.g.Now()
			after.changed, after.ended, after.host = id, true, i.Host
			return putInstance(tx, i)
		})
		return after, err
	}, region, account)
}

// forget removes an instance that was terminated long ago.
func (s *Service) forget(region, account, id string) {
	s.later("an instance was not forgotten", id, func(ctx context.Context) (aftermath, error) {
		var host string
		err := s.g.Change(ctx, func(tx store.Tx) error {
			i, ok, err := instanceTable.Get(tx, region, account, id)
			if err != nil || !ok || i.State != terminated {
				return err
			}
			for _, tagged := range []string{id, i.ENI} {
				if err := dropTags(tx, region, account, tagged); err != nil {
					return err
				}
			}
			host = i.Host
			return instanceTable.Delete(tx, i.key()...)
		})
		if err == nil {
			_ = s.rack(host).Forget(ctx, id) // its console, which goes with the host's process at the latest
		}
		return aftermath{}, err
	}, region, account)
}

// later runs the work of a timer.
func (s *Service) later(trouble, id string, work func(context.Context) (aftermath, error), region, account string) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	after, err := work(context.Background())
	if err != nil {
		store.Report(context.Background(), s.log, trouble, err, "id", id)
		if !interrupted(err) {
			s.clock.AfterFunc(retryJob, func() { s.later(trouble, id, work, region, account) })
		}
		return
	}
	s.follow(context.Background(), region, account, after)
}
