package ec2

import (
	"context"
	"errors"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// drive performs the steps of a job until its last, which it returns. The state is stored before
// each step that has an effect beyond this process, and every such step can be performed twice. An
// error means that the job did not end: it stands where the store last saw it, or further.
func (s *Service) drive(ctx context.Context, j *job) (launch.Step, error) {
	step := j.State.Step()
	for !step.Terminal() {
		result, err := s.advance(ctx, j, step)
		if err != nil {
			return step, err
		}
		j.State, step = j.State.Next(result)
	}
	return step, nil
}

func (s *Service) advance(ctx context.Context, j *job, step launch.Step) (launch.Result, error) {
	if lasting(step) && j.saved != step.Seq {
		if err := s.g.Change(ctx, func(tx store.Tx) error { return s.putJob(tx, j) }); err != nil {
			return launch.Result{}, err
		}
		j.saved = step.Seq
	}
	if !step.Undo {
		if doomed, err := s.isDoomed(ctx, j); err != nil {
			return launch.Result{}, err
		} else if doomed {
			return launch.Result{Failure: &launch.Failure{Cause: causeTerminated}}, nil
		}
	}
	result, err := s.perform(ctx, j, step)
	if err == nil {
		return result, nil
	}
	if interrupted(err) || errors.Is(err, store.ErrUnavailable) || errors.Is(err, hosts.ErrAway) { // nobody refused anything
		return launch.Result{}, err
	}
	f := &launch.Failure{Cause: err.Error()}
	if p, ok := errors.AsType[*partError](err); ok {
		f.Part = p.part
	}
	if _, ours := errors.AsType[*apierr.Error](err); !ours {
		s.log.Error("a step of a launch failed", "subject", j.Subject, "step", step.Kind, "volume", step.VolumeID, "error", err)
	}
	return launch.Result{Failure: f}, nil
}

// lasting reports whether a step has an effect that outlives the process. Opening a volume has
// none: a process that dies has opened nothing, so the state is stored before the first of them
// and not again until all are open and the instance runs.
func lasting(step launch.Step) bool {
	switch step.Kind {
	case launch.StepRequest:
		call := step.Requests[0].Call
		return call == launch.CreateGrant || call == launch.RetireGrant
	case launch.StepResolveKey, launch.StepOpenVolume, launch.StepCloseVolume, launch.StepRunning:
		return false
	}
	return true
}

// interrupted tells what ends the process from what ends the launch.
func interrupted(err error) bool {
	return store.Over(err) || errors.Is(err, hosts.ErrDown) || errors.Is(err, context.Canceled)
}

// A partError says which KMS request of a step was refused, from 1 over Step.Parts.
type partError struct {
	part int
	err  error
}

// Error is that of the request.
func (e *partError) Error() string { return e.err.Error() }

// Unwrap gives the request's error.
func (e *partError) Unwrap() error { return e.err }

// causeTerminated is the cause of launches that TerminateInstances cut off.
const causeTerminated = "the instance was terminated meanwhile"

// isDoomed reports whether a job works for an instance that is to be terminated instead.
func (s *Service) isDoomed(ctx context.Context, j *job) (doomed bool, err error) {
	if op := j.operation(); op != launch.RunInstances && op != launch.StartInstances {
		return false, nil
	}
	err = s.g.Read(ctx, func(tx store.Tx) error {
		i, ok, err := instanceTable.Get(tx, j.Region, j.Account, j.Subject)
		doomed = !ok || i.Doomed
		return err
	})
	return doomed, err
}

// perform does one step. Its errors are those of the step.
func (s *Service) perform(ctx context.Context, j *job, step launch.Step) (r launch.Result, err error) {
	switch step.Kind {
	case launch.StepResolveKey:
		r.KeyARN, err = s.resolveKey(ctx, j, step.KeyID)
		return r, err
	case launch.StepRequest:
		return s.request(ctx, j, step.Requests[0])
	case launch.StepCreateVolume:
		return r, s.makeVolume(ctx, j, step)
	case launch.StepCreateSnapshot:
		return r, nil // its record exists since the request; the file comes when it is filled
	case launch.StepHydrate:
		return r, s.hydrate(ctx, j, step)
	case launch.StepAttach:
		return r, s.plugIn(ctx, j, step)
	case launch.StepOpenVolume:
		return r, s.openVolume(ctx, j, step)
	case launch.StepRunning:
		return r, s.boot(ctx, j.Region, j.Account, j.State.Spec().InstanceID) // all volumes are open; finish writes it down
	case launch.StepCloseVolume:
		return r, s.closeVolume(ctx, j, step.VolumeID)
	case launch.StepDetach:
		return r, s.unplug(ctx, j, step.VolumeID, j.State.Spec().InstanceID, j.takesAlong(step.VolumeID))
	case launch.StepDeleteVolume:
		if j.operation() == launch.TerminateInstances {
			return r, s.deleteUnplugged(ctx, j, step.VolumeID)
		}
		return r, s.removeVolume(ctx, j.Region, j.Account, step.VolumeID)
	case launch.StepDeleteSnapshot:
		return r, s.rack(j.Host).Remove(ctx, step.VolumeID) // the record stays, to tell of the error
	}
	return r, errors.New("ec2: this host does not know the step " + string(step.Kind))
}
