package ec2

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/store"
)

// watchMachines asks the hosts of a cluster again and again what their machines did by themselves.
func (s *Service) watchMachines() {
	if s.room == nil {
		return
	}
	time.AfterFunc(roomPause, func() {
		if !s.life.enter() {
			return
		}
		defer s.life.leave()
		for _, r := range s.room.crews() {
			go s.seeMachines(r)
		}
		s.watchMachines()
	})
}

// A crew is a host whose machines are asked about.
type crew struct {
	hosts.Remote
	v *hostView
}

// crews are the hosts that run machines and are not being asked about them.
func (m *room) crews() (out []crew) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.hosts {
		if !v.lost && v.life != "" && v.rec.Boots && !v.asked {
			v.asked = true
			out = append(out, crew{m.remote(v, v.life), v})
		}
	}
	return out
}

// seeMachines asks a host what its machines did, and does what follows.
func (s *Service) seeMachines(r crew) {
	defer func() {
		s.room.mu.Lock()
		defer s.room.mu.Unlock()
		r.v.asked = false
	}()
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	ctx := s.running
	report, err := r.Report(ctx)
	if err != nil {
		return // it is asked again, or given up
	}
	for _, e := range report.Ended {
		if err := s.seeEnd(ctx, r.Remote, e); err != nil && !interrupted(err) && !errors.Is(err, hosts.ErrAway) && !errors.Is(err, errWorkGoesOn) {
			store.Report(ctx, s.log, "the end of a machine was not noted", err, "instance", e.Instance)
		}
	}
	for _, e := range report.Lame {
		if err := s.boot(ctx, e.Region, e.Account, e.Instance); err != nil && !interrupted(err) && !errors.Is(err, hosts.ErrAway) {
			store.Report(ctx, s.log, "a machine does not get its volumes again", err, "instance", e.Instance)
		}
	}
}

// seeEnd takes note that a machine ended, if that is so still: its instance may have been stopped and started
// since. While it is locked nobody can do either.
func (s *Service) seeEnd(ctx context.Context, r hosts.Remote, e hosts.MachineNews) error {
	unlock := s.locks.Lock(e.Instance)
	report, err := r.Report(ctx)
	if err != nil || !slices.Contains(report.Ended, e) {
		unlock()
		return err
	}
	after, err := s.noteEnd(ctx, e)
	unlock()
	if err == nil {
		s.follow(ctx, e.Region, e.Account, after)
	}
	return err
}
