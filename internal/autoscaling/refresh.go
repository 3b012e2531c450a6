package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// refresh moves the instance refresh of a group on: it finds what is to be replaced, counts what
// has been, and ends it. The replacing itself is done by replace.
func (s *Service) refresh(ctx context.Context, v *sight, as guard.Caller) error {
	r := v.group.Refresh
	if !r.active() {
		return nil
	}
	if v.group.suspended(processInstanceRefresh) && r.Status != refreshCancelling {
		return nil
	}
	switch {
	case r.Status == refreshPending && s.g.Now().Before(r.Paused):
		return nil
	case r.Status == refreshPending:
		if err := s.resolveVersions(ctx, v, as); err != nil {
			return err
		}
		return s.mark(ctx, v, func(g *groupRecord, m *memberRecord) bool { return m.Launched.Before(r.Start) && g.stale(m) })
	case r.Status == refreshRollingBack && r.Total < 0:
		return s.mark(ctx, v, func(_ *groupRecord, m *memberRecord) bool { return m.Replace == "" && !m.Launched.Before(r.Start) })
	}
	if err := s.advance(ctx, v); err != nil {
		return err
	}
	_, err := s.look(ctx, v)
	return err
}

// resolveVersions finds the numbers of the template versions that count as new.
func (s *Service) resolveVersions(ctx context.Context, v *sight, as guard.Caller) error {
	if !v.group.Refresh.Prefs.Skip {
		return nil
	}
	from := v.group.source()
	refs := []templateRef{from.Template}
	if m := from.Mixed; m != nil {
		refs = []templateRef{m.Template}
		for _, o := range m.Overrides {
			refs = append(refs, o.Template)
		}
	}
	found := map[string]string{}
	for _, t := range refs {
		if t.ID == "" || found[t.ID] != "" {
			continue
		}
		version := t.Version
		if version == "" {
			version = "$Default"
		}
		out, err := s.compute.DescribeLaunchTemplateVersions(ctx, s.newCall(v.place), as, &ec2api.DescribeLaunchTemplateVersionsRequest{
			LaunchTemplateId: &t.ID, Versions: []string{version},
		})
		if _, refused := apiError(err); err != nil && !refused {
			return err
		}
		if err == nil && len(out.LaunchTemplateVersions) > 0 {
			found[t.ID] = itoa(int32(api.Val(out.LaunchTemplateVersions[0].VersionNumber)))
		}
	}
	v.group.Refresh.Versions = found
	return nil
}

// stale reports whether a refresh replaces a member: always, or only if it differs from what the
// group launches. Source: User Guide, "Use an instance refresh with skip matching".
func (g *groupRecord) stale(m *memberRecord) bool {
	r := g.Refresh
	if !r.Prefs.Skip {
		return true
	}
	from := g.source()
	switch {
	case from.Config != "" || m.Config != "":
		return m.Config != from.Config
	case r.Versions[m.Template.ID] == "" || r.Versions[m.Template.ID] != m.Template.Version:
		return true
	case from.Mixed == nil:
		return false
	}
	typed := slices.ContainsFunc(from.Mixed.Overrides, func(o overrideRecord) bool { return o.Type != "" })
	return typed && !slices.ContainsFunc(from.Mixed.Overrides, func(o overrideRecord) bool { return o.Type == m.Type })
}

// replaceable reports whether a refresh may have to do with a member at all.
func (r *refreshRecord) replaceable(m *memberRecord) bool {
	switch {
	case m.terminating() || m.State == stateDetaching:
		return false
	case m.State == stateStandby || m.State == stateEnteringStandby:
		return r.Prefs.Standby != "Ignore"
	case m.Protected && m.live():
		return r.Prefs.Protected != "Ignore"
	}
	return true
}

// mark notes which members a refresh, or its rollback, replaces.
func (s *Service) mark(ctx context.Context, v *sight, which func(*groupRecord, *memberRecord) bool) error {
	var total, warm int32
	for part := range slices.Chunk(v.members, 40) {
		var t, w int32
		err := s.g.Change(ctx, func(tx store.Tx) error {
			t, w = 0, 0
			for _, m := range part {
				m, ok, err := memberTable.Get(tx, v.Region, v.Account, v.Name, m.ID)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				want := ""
				if v.group.Refresh.replaceable(&m) && which(&v.group, &m) {
					want = replaceRefresh
					t++
					if m.Warm {
						w++
					}
				}
				if m.Replace != want && (m.Replace == "" || m.Replace == replaceRefresh) {
					m.Replace = want
					if err := putMember(tx, v.place, m); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		total, warm = total+t, warm+w
	}
	versions := v.group.Refresh.Versions
	err := s.changeRefresh(ctx, v, func(_ *groupRecord, r *refreshRecord) {
		r.Versions = versions
		r.Total, r.Left, r.WarmTotal, r.WarmLeft, r.Percent = total, total, warm, warm, 0
		if r.Status == refreshPending {
			r.Status = refreshInProgress
		}
		if total == 0 {
			r.Percent = 100
		}
		r.Progressed = s.g.Now()
	})
	if err != nil {
		return err
	}
	_, err = s.look(ctx, v)
	s.wake(v.place, 0)
	return err
}

// changeRefresh changes the refresh that the sight has, if it still is the group's.
func (s *Service) changeRefresh(ctx context.Context, v *sight, change func(*groupRecord, *refreshRecord)) error {
	seen := *v.group.Refresh
	var changed groupRecord
	err := s.g.Change(ctx, func(tx store.Tx) error {
		g, ok, err := groupTable.Get(tx, v.key()...)
		changed = g
		if err != nil || !ok || g.Refresh == nil || g.Refresh.ID != seen.ID || g.Refresh.Status != seen.Status {
			return err
		}
		r := *g.Refresh
		g.Refresh = &r
		change(&g, &r)
		changed = g
		return s.putRefresh(tx, &g)
	})
	if err == nil {
		v.group = changed
	}
	return err
}

// advance counts what a refresh has done and ends it when there is nothing left to do, or when it
// cannot go on.
func (s *Service) advance(ctx context.Context, v *sight) error {
	g, r, now := &v.group, v.group.Refresh, s.g.Now()
	var left, warm, moving int32
	for i := range v.members {
		m := &v.members[i]
		switch {
		case m.Replace == replaceRefresh && !m.terminating():
			left++
			if m.Warm {
				warm++
			}
		case m.live() && (m.State != stateInService || now.Before(m.Served.Add(g.warmup()))):
			moving++
		}
	}
	missing := g.Desired - capacityOf(v.active())
	settled := moving == 0 && missing <= 0 && len(g.Launching) == 0
	last := int32(100)
	if n := len(r.Prefs.Checkpoints); n > 0 && r.Status != refreshRollingBack {
		last = r.Prefs.Checkpoints[n-1]
	}
	percent := r.Percent // nothing to replace, or nothing begun
	if r.Total > 0 {
		percent = percentDone(r.Total, min(r.Total, left+moving+max(0, missing)))
	}
	ended := func(status, why string) error {
		if err := s.unmark(ctx, v); err != nil {
			return err
		}
		return s.changeRefresh(ctx, v, func(g *groupRecord, r *refreshRecord) {
			r.Status, r.Reason, r.End, r.Left, r.WarmLeft = status, why, now, left, warm
			r.Percent = percent
			if status == refreshSuccessful && r.Desired != nil {
				g.sourceRecord = *r.Desired
			}
		})
	}
	alarm, err := s.alarmed(ctx, v.place, r)
	if err != nil {
		return err
	}
	complete := settled && (left == 0 || last < 100 && percent >= last)
	switch {
	case r.Status == refreshCancelling:
		if r.Moving && !settled && now.Sub(r.Progressed) < refreshPatience {
			return nil
		}
		return ended(refreshCancelled, "Cancelled due to user request.")
	case alarm != "":
		return s.stuck(ctx, v, ended, "The alarm "+alarm+" of the instance refresh is in the ALARM state.")
	case complete && r.Status == refreshRollingBack:
		return ended(refreshRollbackDone, "")
	case complete && r.Prefs.Bake > 0 && r.Baked.IsZero():
		return s.changeRefresh(ctx, v, func(_ *groupRecord, r *refreshRecord) {
			r.Status, r.Left, r.WarmLeft, r.Percent, r.Baked = refreshBaking, left, warm, percent, now.Add(time.Duration(r.Prefs.Bake)*time.Second)
		})
	case complete && now.Before(r.Baked):
		return nil
	case complete:
		return ended(refreshSuccessful, "")
	case !r.Paused.After(now) && now.Sub(r.Progressed) >= refreshPatience, now.Sub(r.Start) >= refreshLongest:
		return s.stuck(ctx, v, ended, "The instance refresh timed out: instances could not be replaced.")
	}
	if left == r.Left && warm == r.WarmLeft && percent == r.Percent {
		return nil
	}
	return s.changeRefresh(ctx, v, func(_ *groupRecord, r *refreshRecord) {
		if left < r.Left || percent > r.Percent {
			r.Progressed = now
		}
		r.Left, r.WarmLeft, r.Percent = left, warm, percent
		if c := r.Checkpoint; c < len(r.Prefs.Checkpoints) && percent >= r.Prefs.Checkpoints[c] {
			r.Checkpoint++
			r.Paused = now.Add(time.Duration(r.Prefs.Delay) * time.Second)
			r.Progressed = r.Paused
		}
	})
}

// stuck ends a refresh that cannot go on, as when it found nothing to replace for too long, or turns it
// back.
func (s *Service) stuck(ctx context.Context, v *sight, ended func(status, why string) error, why string) error {
	switch r := v.group.Refresh; {
	case r.Status == refreshRollingBack:
		return ended(refreshRollbackFailed, why)
	case r.Prefs.AutoRollback:
		s.wake(v.place, 0)
		return s.changeRefresh(ctx, v, func(_ *groupRecord, r *refreshRecord) { s.rollBack(r, why) })
	}
	return ended(refreshFailed, why)
}

// alarmed is the first alarm of a refresh that is raised, or "". Those that are not known here are as if
// there were none. Source: API Reference, AlarmSpecification.
func (s *Service) alarmed(ctx context.Context, at place, r *refreshRecord) (raised string, err error) {
	if len(r.Prefs.Alarms) == 0 || r.Status == refreshRollingBack || r.Status == refreshCancelling {
		return "", nil
	}
	err = s.g.Read(ctx, func(tx store.Tx) error {
		raised = ""
		for _, name := range r.Prefs.Alarms {
			a, ok, err := alarmTable.Get(tx, at.Region, at.Account, name)
			if err != nil {
				return err
			}
			if ok && a.State == alarmRaised {
				raised = name
				return nil
			}
		}
		return nil
	})
	return raised, err
}

// unmark lets members stay that a refresh was to replace.
func (s *Service) unmark(ctx context.Context, v *sight) error {
	var ids []string
	for _, m := range v.members {
		if m.Replace == replaceRefresh && !m.terminating() {
			ids = append(ids, m.ID)
		}
	}
	for part := range slices.Chunk(ids, 40) {
		err := s.changeMembers(ctx, v, part, func(tx store.Tx, m memberRecord) error {
			m.Replace = ""
			return putMember(tx, v.place, m)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
