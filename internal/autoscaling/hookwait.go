package autoscaling

import (
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// waitRecord is a lifecycle action: an instance that waits at a hook.
type waitRecord struct {
	Hook, Token string
	Heartbeat   int32     // seconds
	Default     string    // the result when time is up
	Until       time.Time // the next heartbeat is due
	Limit       time.Time // no heartbeat helps any more
	Done        string    `json:",omitempty"` // the result that was reported
}

// deadline is when the action ends by itself.
func (w *waitRecord) deadline() time.Time {
	if w.Limit.Before(w.Until) {
		return w.Limit
	}
	return w.Until
}

// wait makes a member wait at the group's hooks of a transition. It reports false if there are none.
func (g *groupRecord) wait(m *memberRecord, transition string, now time.Time) bool {
	m.Waits = nil
	for _, h := range g.Hooks {
		if h.Transition != transition {
			continue
		}
		m.Waits = append(m.Waits, waitRecord{
			Hook: h.Name, Token: guard.NewRequestID(), Heartbeat: h.Heartbeat, Default: h.Result,
			Until: now.Add(time.Duration(h.Heartbeat) * time.Second), Limit: now.Add(time.Duration(h.limit()) * time.Second),
		})
	}
	return len(m.Waits) > 0
}

// An outcome is how the waiting of a member ended.
type outcome struct {
	abandoned string // token of the action that was abandoned
	timedOut  bool   // it was not answered in time
}

// waited looks at what a member waits for. It reports whether the waiting is over: all actions are
// done, or one was abandoned, which ends the others. An action whose hook is gone ends: a launch
// is abandoned, a termination goes on.
func (g *groupRecord) waited(m *memberRecord, transition string, now time.Time) (over bool, out outcome) {
	var left []waitRecord
	for _, w := range m.Waits {
		result := w.Done
		late := result == "" && !now.Before(w.deadline())
		switch {
		case late:
			result = w.Default
		case result == "" && !slices.ContainsFunc(g.Hooks, func(h hookRecord) bool { return h.Name == w.Hook }):
			result = resultContinue
			if transition == onLaunch {
				result = resultAbandon
			}
		}
		switch result {
		case resultAbandon:
			m.Waits = nil
			return true, outcome{w.Token, late}
		case "":
			left = append(left, w)
		}
	}
	m.Waits = left
	return len(left) == 0, outcome{}
}

// midAction marks the activity of a member that waits at hooks of a launch, and tells of it.
func (s *Service) midAction(tx store.Tx, p place, g *groupRecord, m *memberRecord, progress int32) error {
	a, ok, err := getActivity(tx, p, m.Activity)
	if err != nil || !ok || !a.open() {
		return err
	}
	if err := s.announceWaits(tx, p, g, m, &a, onLaunch); err != nil {
		return err
	}
	a.Status, a.Progress = autoscalingapi.ScalingActivityStatusCodeMidLifecycleAction, progress
	return putActivity(tx, p, a)
}

// nextDeadline is the earliest time after now at which something of a group is due by itself; zero if
// there is none.
func (v *sight) nextDeadline(now time.Time) time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	g := &v.group
	for i := range v.members {
		m := &v.members[i]
		for j := range m.Waits {
			sooner(m.Waits[j].deadline())
		}
		if g.MaxLifetime != nil && m.live() {
			sooner(m.Launched.Add(time.Duration(*g.MaxLifetime) * time.Second))
		}
		if m.State == stateInService {
			sooner(m.Served.Add(g.warmup()))
		}
	}
	sooner(g.Retry.Next)
	if r := g.Refresh; r.active() {
		sooner(r.Paused)
		sooner(r.Baked)
		sooner(r.Progressed.Add(refreshPatience))
		sooner(r.Start.Add(refreshLongest))
	}
	return next
}
