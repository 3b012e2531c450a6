package autoscaling

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Reasons for which a member is replaced while it still serves.
const (
	replaceRefresh  = "refresh"
	replaceHealth   = "health"
	replaceLifetime = "lifetime"
)

const (
	causeRefresh       = "an instance was taken out of service in response to an instance refresh."
	causeRefreshLaunch = "an instance was launched in response to an instance refresh."
	causeLifetime      = "an instance was taken out of service in response to its maximum instance lifetime being reached."
	causeAhead         = "an instance was launched to replace an instance that is to be taken out of service."
)

// why is the reason for which a member is to be replaced now, or "".
func (g *groupRecord) why(m *memberRecord, now time.Time) string {
	if m.Replace == "" && g.MaxLifetime != nil && m.live() && !now.Before(m.Launched.Add(time.Duration(*g.MaxLifetime)*time.Second)) {
		return replaceLifetime
	}
	if m.Replace == replaceRefresh && !g.Refresh.active() {
		return ""
	}
	return m.Replace
}

func causeOf(why string) string {
	switch why {
	case replaceRefresh:
		return causeRefresh
	case replaceLifetime:
		return causeLifetime
	case replaceRebalance:
		return causeRebalance
	}
	return causeSetHealth
}

// bounds are the percentages of the desired capacity between which a group stays while instances
// are replaced. Source: User Guide, "Instance maintenance policies" and "Replace Auto Scaling
// instances based on maximum instance lifetime".
func (g *groupRecord) bounds() (least, most int32) {
	switch {
	case g.Refresh.active():
		return g.Refresh.Prefs.Min, g.Refresh.Prefs.Max
	case g.MaintenanceMin >= 0:
		return g.MaintenanceMin, g.MaintenanceMax
	}
	return 90, 100
}

// serves reports whether a member counts as healthy: in service, past its warm-up. The warm-up of a
// refresh is for what the refresh launches.
func (g *groupRecord) serves(m *memberRecord, now time.Time) bool {
	warm := g.warmup()
	if g.Refresh.active() && m.Launched.Before(g.Refresh.Start) {
		warm = 0
	}
	return m.live() && m.State == stateInService && m.Health == healthy && !now.Before(m.Served.Add(warm))
}

// replacing is what a pass knows of the members that are to be replaced.
type replacing struct {
	due       []memberRecord // can be taken out, in the order in which they are
	healthy   int32          // units that serve
	ahead     int32          // units launched before others are taken out
	moving    bool           // something is on its way into service
	least     int32          // units that must serve
	mostUnit  int32          // units that may be there
	rebalance bool           // some are due because of a recommendation
}

func (s *Service) replacing(v *sight) replacing {
	g, now := &v.group, s.g.Now()
	least, most := g.bounds()
	r := replacing{least: (g.Desired*least + 99) / 100, mostUnit: g.Desired * most / 100}
	if most > 100 && r.mostUnit <= g.Desired { // a small group still grows by one
		r.mostUnit = g.Desired + 1
	}
	zones := map[string]int{}
	for _, m := range v.active() {
		zones[m.Zone]++
	}
	paused := g.Refresh.active() && !g.refreshing(now)
	for i := range v.members {
		m := &v.members[i]
		why := g.why(m, now)
		if why != "" && !m.terminating() && !(paused && why == replaceRefresh) && g.reachable(m, why) {
			r.due = append(r.due, *m)
			if why == replaceRebalance {
				r.rebalance, r.mostUnit = true, max(r.mostUnit, g.rebalanced())
			}
		}
		switch {
		case g.serves(m, now):
			r.healthy += m.weight()
		case m.live():
			r.moving = true
		}
		if m.live() && m.Extra {
			r.ahead += m.weight()
		}
	}
	slices.SortStableFunc(r.due, func(a, b memberRecord) int {
		return cmp.Or(boolInt(g.serves(&a, now))-boolInt(g.serves(&b, now)), zones[b.Zone]-zones[a.Zone], a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
	})
	return r
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// refreshing reports whether the refresh of a group replaces instances now.
func (g *groupRecord) refreshing(now time.Time) bool {
	r := g.Refresh
	return (r.Status == refreshInProgress || r.Status == refreshRollingBack) && !now.Before(r.Paused) && !g.suspended(processInstanceRefresh)
}

// reachable reports whether a member may be taken out for a reason: those on standby and those
// that are protected only if the refresh says so.
func (g *groupRecord) reachable(m *memberRecord, why string) bool {
	if why != replaceRefresh {
		return m.live()
	}
	switch {
	case m.State == stateStandby:
		return g.Refresh.Prefs.Standby == "Terminate"
	case m.Protected && m.live():
		return g.Refresh.Prefs.Protected == "Refresh"
	}
	return m.live() || m.resting()
}

// upTo is how many instances a refresh may still replace before its next checkpoint.
func (r *refreshRecord) upTo() int {
	if r.Checkpoint >= len(r.Prefs.Checkpoints) {
		if len(r.Prefs.Checkpoints) > 0 && r.Status != refreshRollingBack && r.Prefs.Checkpoints[len(r.Prefs.Checkpoints)-1] < 100 {
			return 0
		}
		return int(r.Left)
	}
	return max(0, int((r.Total*r.Prefs.Checkpoints[r.Checkpoint]+99)/100-(r.Total-r.Left)))
}

// replace takes members out that are to be replaced, as many as the bounds allow at once, or
// launches others ahead of that. What is taken out is launched anew by the next pass.
func (s *Service) replace(ctx context.Context, v *sight, as guard.Caller, active []memberRecord) error {
	g := &v.group
	r := s.replacing(v)
	if len(r.due) == 0 {
		return s.rebalance(ctx, v, as, active)
	}
	if g.suspended(processTerminate) || g.suspended(processLaunch) || s.g.Now().Before(g.Retry.Next) {
		return nil
	}
	if g.Refresh.active() {
		r.due = r.due[:min(len(r.due), g.Refresh.upTo())]
	}
	var victims []memberRecord
	can := r.healthy - r.least
	if r.mostUnit > g.Desired {
		units := capacityOf(serving(r.due))
		if n := min(r.mostUnit-capacityOf(active)-r.ahead, units-r.ahead, batch); n > 0 {
			cause := causeAhead
			switch {
			case g.Refresh.active():
				cause = causeRefreshLaunch
			case r.rebalance:
				cause = causeRebalanceLaunch
			}
			stay := slices.DeleteFunc(serving(v.members), func(m memberRecord) bool { return g.why(&m, s.g.Now()) != "" })
			return s.scaleOut(ctx, v, as, wanted{have: stay, missing: n, extra: true, cause: cause})
		}
	} else if can <= 0 && !r.moving { // however high the bound is, one at a time is replaced
		can = 1
	}
	for _, m := range r.due {
		switch {
		case len(victims) == batch:
		case !g.serves(&m, s.g.Now()): // costs no healthy capacity
			victims = append(victims, m)
		case can >= m.weight() || can > 0 && len(victims) == 0:
			can -= m.weight()
			victims = append(victims, m)
		}
	}
	return s.takeOutDue(ctx, v, as, victims)
}

// takeOutDue takes out members that are due to be replaced.
func (s *Service) takeOutDue(ctx context.Context, v *sight, as guard.Caller, victims []memberRecord) error {
	if len(victims) == 0 {
		return nil
	}
	now := s.g.Now()
	why := map[string]string{}
	refreshed := 0
	for _, m := range victims {
		reason := v.group.why(&m, now)
		why[m.ID] = causeOf(reason)
		if reason == replaceRefresh && m.live() {
			refreshed++
		}
	}
	if refreshed > 0 {
		err := s.g.Change(ctx, func(tx store.Tx) error {
			g, ok, err := groupTable.Get(tx, v.key()...)
			if err != nil || !ok {
				return err
			}
			g.Refreshed += refreshed
			return s.put(tx, g)
		})
		if err != nil {
			return err
		}
	}
	return s.takeOut(ctx, v, as, victims, func(m *memberRecord) string { return why[m.ID] })
}

// overdue picks, of a group that has more than it needs because others were launched ahead, the
// members that these replace. It reports false if no member is to be replaced.
func (s *Service) overdue(v *sight, over int32) (victims []memberRecord, any bool) {
	r := s.replacing(v)
	due := serving(r.due)
	can := r.healthy - r.least
	for _, m := range due {
		serves := v.group.serves(&m, s.g.Now())
		if over < m.weight() || serves && can < m.weight() {
			continue
		}
		if serves {
			can -= m.weight()
		}
		over -= m.weight()
		victims = append(victims, m)
	}
	return victims, len(due) > 0
}

// rebalance evens out the zones of a group: it launches where there is least, and the group, which
// then has one too many, takes one out where there is most. Zones that the group has left are emptied so.
// Source: User Guide, "Auto Scaling benefits: Rebalancing activities".
func (s *Service) rebalance(ctx context.Context, v *sight, as guard.Caller, active []memberRecord) error {
	g, now := &v.group, s.g.Now()
	if g.suspended(processAZRebalance) || g.suspended(processLaunch) || g.suspended(processTerminate) || now.Before(g.Retry.Next) || len(g.Zones) == 0 {
		return nil
	}
	zones := map[string]int{}
	for _, z := range g.Zones {
		zones[z] = 0
	}
	for _, m := range v.members {
		if m.live() && (m.State != stateInService || m.Extra) {
			return nil // let it come to rest first
		}
	}
	for _, m := range active {
		zones[m.Zone]++
	}
	names := slices.Sorted(maps.Keys(zones))
	low := slices.MinFunc(slices.Sorted(slices.Values(g.Zones)), func(a, b string) int { return cmp.Compare(zones[a], zones[b]) })
	left := func(zone string) bool { return !slices.Contains(g.Zones, zone) } // the group has left it
	high := slices.MaxFunc(names, func(a, b string) int {
		return cmp.Or(boolInt(left(a))-boolInt(left(b)), cmp.Compare(zones[a], zones[b]))
	})
	if zones[high]-zones[low] < 2 && !left(high) {
		return nil
	}
	if wait := g.Balance.Sub(now); wait > 0 {
		s.wake(v.place, wait)
		return nil
	}
	counts := make([]string, len(names))
	for i, z := range names {
		counts[i] = strconv.Itoa(zones[z])
	}
	return s.scaleOut(ctx, v, as, wanted{have: active, missing: 1, extra: true, zone: low,
		cause: "availability zones " + strings.Join(names, " ") + " had " + strings.Join(counts, " ") +
			" instances respectively. An instance was launched to aid in balancing the group's zones."})
}
