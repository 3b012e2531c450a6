package ec2

import (
	"cmp"
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// A leftoverRecord is a step that should have given something back and failed. It is tried again
// until it works or the attempts are used up.
type leftoverRecord struct {
	ID       string `json:"id"`
	Region   string `json:"region"`
	Account  string `json:"account"`
	Subject  string `json:"subject"`
	Instance string `json:"instance,omitempty"`
	Host     string `json:"host,omitempty"`
	// TakesAlong: the volume was to be deleted with its instance.
	TakesAlong bool            `json:"takesAlong,omitempty"`
	Step       launch.Leftover `json:"step"`
	Attempts   int             `json:"attempts"`
	Due        time.Time       `json:"due"`
}

// leftoverTable is keyed by (region, account, id).
var leftoverTable = store.Table[leftoverRecord]{Bucket: "ec2/leftover", Version: 1}

// Attempts to get rid of a leftover: after a minute, then after twice as long, at most an hour.
const (
	leftoverFirst    = time.Minute
	leftoverMax      = time.Hour
	leftoverAttempts = 48
)

// leftovers are the records of what a job could not give back.
func (s *Service) leftovers(j *job, left []launch.Leftover) []leftoverRecord {
	out := make([]leftoverRecord, 0, len(left))
	for _, l := range left {
		out = append(out, leftoverRecord{
			ID: guard.NewRequestID(), Region: j.Region, Account: j.Account, Subject: j.Subject, Instance: j.State.Spec().InstanceID, Host: cmp.Or(j.Host, s.name), TakesAlong: j.takesAlong(l.VolumeID), Step: l,
			Due: s.g.Now().Add(leftoverFirst),
		})
	}
	return out
}

func (r *leftoverRecord) key() []string { return []string{r.Region, r.Account, r.ID} }

func (s *Service) scheduleLeftover(r leftoverRecord) {
	s.clock.AfterFunc(r.Due.Sub(s.g.Now()), func() { s.retryLeftover(r) })
}

func (s *Service) retryLeftover(r leftoverRecord) {
	if !s.life.enter() {
		return
	}
	defer s.life.leave()
	ctx := context.Background()
	err := s.giveBack(ctx, r)
	switch {
	case interrupted(err):
		return
	case store.Passing(err): // that is no attempt
		store.Report(ctx, s.log, "a leftover of a launch waits", err, "subject", r.Subject)
		s.clock.AfterFunc(retryJob, func() { s.retryLeftover(r) })
		return
	}
	done := err == nil
	if !done {
		r.Attempts++
		r.Step.Cause = err.Error()
		r.Due = s.g.Now().Add(min(leftoverMax, leftoverFirst<<min(r.Attempts, 10)))
		if done = r.Attempts >= leftoverAttempts; done {
			s.log.Error("a leftover of a launch is given up", "subject", r.Subject, "step", r.Step.Kind, "volume", r.Step.VolumeID, "error", err)
		}
	}
	err = s.g.Change(ctx, func(tx store.Tx) error {
		if done {
			return leftoverTable.Delete(tx, r.key()...)
		}
		return leftoverTable.Put(tx, r, r.key()...)
	})
	store.Report(ctx, s.log, "a leftover of a launch was not written down", err, "subject", r.Subject)
	if err != nil && !interrupted(err) && done { // it is done again, which changes nothing
		r.Due = s.g.Now().Add(retryJob)
	}
	if !done || err != nil && !interrupted(err) {
		s.scheduleLeftover(r)
	}
}

// giveBack performs the step of a leftover.
func (s *Service) giveBack(ctx context.Context, r leftoverRecord) error {
	j := &job{jobRecord: jobRecord{Region: r.Region, Account: r.Account, Subject: r.Subject, Request: r.ID}, caller: ownCaller()}
	switch r.Step.Kind {
	case launch.StepCloseVolume:
		_, at, err := s.whereabouts(ctx, &job{jobRecord: jobRecord{Region: r.Region, Account: r.Account, Host: r.Host}}, r.Step.VolumeID)
		if err != nil {
			return err
		}
		return s.rack(at).Release(ctx, r.Step.VolumeID, r.Instance)
	case launch.StepDetach:
		if err := s.unplug(ctx, j, r.Step.VolumeID, r.Instance, r.TakesAlong); err != nil || !r.TakesAlong {
			return err
		}
		return s.deleteUnplugged(ctx, j, r.Step.VolumeID)
	case launch.StepDeleteVolume:
		return s.removeVolume(ctx, r.Region, r.Account, r.Step.VolumeID)
	case launch.StepDeleteSnapshot:
		return s.rack(r.Host).Remove(ctx, r.Step.VolumeID)
	case launch.StepRequest:
		for _, q := range r.Step.Requests {
			if _, err := s.request(ctx, j, q); err != nil {
				return err
			}
		}
	}
	return nil
}
