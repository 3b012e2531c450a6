package autoscaling

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// wanted is capacity that is to be launched.
type wanted struct {
	have    []memberRecord // what is there: for the balance over the zones
	missing int32          // in units of capacity
	warm    bool           // for the warm pool
	extra   bool           // before other instances are taken out
	asked   bool           // by a user: the desired capacity grows with it
	cause   string         // of launches ahead, and of those that were asked for
	zone    string         // the only zone; "" for any
}

// stands reports whether the group, since it was seen, is as it was as far as the launches are
// concerned.
func (w *wanted) stands(g, seen *groupRecord) bool {
	switch {
	case g.Deleting || g.suspended(processLaunch) && !w.asked:
		return false
	case w.warm:
		return g.Pool != nil && !g.Pool.Deleting
	}
	return w.asked || g.Desired == seen.Desired
}

// scaleOut starts launches for what is missing, in units of capacity: first the activities, then
// the requests, so that a launch whose answer is lost is looked for under its token.
func (s *Service) scaleOut(ctx context.Context, v *sight, as guard.Caller, w wanted) error {
	call := s.newCall(v.place) // of which a refusal is told, whichever request it is of
	subnets, err := s.subnets(ctx, v, call, as)
	if err != nil {
		return s.refused(ctx, v, nil, call, err)
	}
	if w.zone != "" {
		maps.DeleteFunc(subnets, func(zone string, _ []string) bool { return zone != w.zone })
	}
	if len(subnets) == 0 {
		return nil
	}
	ids, _, err := s.planLaunches(ctx, v, call, as, w, subnets)
	if _, refused := apiError(err); refused {
		return s.refused(ctx, v, nil, call, err)
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.runLaunch(ctx, v, as, id); err != nil {
			return err
		}
	}
	return nil
}

// planLaunches records the activities of what is to be launched: at most a batch of them. It returns
// them and the capacity that they make.
func (s *Service) planLaunches(ctx context.Context, v *sight, call *guard.Call, as guard.Caller, w wanted, subnets map[string][]string) (ids []string, units int32, err error) {
	var known market
	source := v.group.source()
	if m := source.Mixed; m != nil {
		if known, err = s.survey(ctx, call, as, m.Overrides); err != nil {
			return nil, 0, err
		}
		if len(known.choices(m, source.DesiredType)) == 0 {
			return nil, 0, apierr.New("Unsupported", "No instance type meets the InstanceRequirements.")
		}
	}
	var planned groupRecord
	err = s.g.Change(ctx, func(tx store.Tx) error {
		ids, units = nil, 0
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		if !w.stands(&g, &v.group) { // a user changed what it was for: the next pass sees to it
			s.wake(v.place, 0)
			return nil
		}
		from := g.source()
		config, err := from.config(tx)
		if err != nil {
			return err
		}
		n := newCensus(slices.Sorted(maps.Keys(subnets)), w.have, known)
		begin := n.capacity
		for n.capacity < begin+w.missing && len(ids) < batch {
			zone, l := n.next(&from, config)
			l.Warm, l.Extra, l.Balance = w.warm, w.extra, w.zone != ""
			a := s.newLaunch(&g, l, subnets[zone][rand.IntN(len(subnets[zone]))], zone, int(n.capacity), w)
			n.add(zone, &l)
			ids = append(ids, a.ID)
			g.Launching = append(g.Launching, a.ID)
			if err := addActivity(tx, v.place, a); err != nil {
				return err
			}
		}
		units = n.capacity - begin
		if w.asked {
			g.Desired = min(g.Max, g.Desired+units)
		}
		planned = g
		return s.put(tx, g)
	})
	if err == nil && planned.Name != "" {
		v.group = planned
	}
	return ids, units, err
}

// newLaunch is the activity of a launch, with the reasons that the group has for it.
func (s *Service) newLaunch(g *groupRecord, l launchRecord, subnet, zone string, have int, w wanted) activityRecord {
	now := s.g.Now()
	to := have + int(max(1, l.Weight))
	var causes []string
	switch {
	case w.warm:
		causes = []string{sentence(now, "an instance was started in response to a difference between desired and actual warm pool capacity, "+
			"increasing the warm pool capacity from "+strconv.Itoa(have)+" to "+strconv.Itoa(to)+".")}
	case w.extra, w.asked:
		causes = []string{sentence(now, w.cause)}
	default:
		causes = s.launchCauses(g, have, to)
	}
	a := newActivity(g, now, launching(&l, ""), causes, subnet, zone)
	a.Subnet, a.Zone, a.Launch = subnet, zone, &l
	return a
}

// launching is the description of a launch.
func launching(l *launchRecord, instance string) string {
	text := launch.ActivityLaunching(instance)
	if l != nil && l.Warm {
		const plain = "Launching a new EC2 instance"
		text = plain + " into warm pool" + strings.TrimPrefix(text, plain)
	}
	return text
}

// launchCauses are the reasons of the next instance that goes into service.
func (s *Service) launchCauses(g *groupRecord, from, to int) []string {
	now := s.g.Now()
	causes := slices.Clone(g.Causes)
	g.Causes = nil
	switch {
	case g.Replace > 0:
		g.Replace--
		return append(causes, sentence(now, causeReplacement))
	case g.Refreshed > 0:
		g.Refreshed--
		return append(causes, sentence(now, causeRefreshLaunch))
	}
	return append(causes, sentence(now, startedFor(from, to)))
}

// config is the launch configuration of a group, nil if it has none.
func (g *groupRecord) config(tx store.Tx) (*configRecord, error) {
	if g.Config == "" {
		return nil, nil
	}
	r, _, err := configTable.Get(tx, g.Region, g.Account, g.Config)
	return &r, err
}

// subnets are the subnets that the group may launch into, by zone.
func (s *Service) subnets(ctx context.Context, v *sight, call *guard.Call, as guard.Caller) (map[string][]string, error) {
	out := map[string][]string{}
	in := &ec2api.DescribeSubnetsRequest{}
	if v.group.Subnets != "" {
		in.SubnetIds = splitList(v.group.Subnets)
	} else {
		in.Filters = []ec2api.Filter{
			{Name: new("default-for-az"), Values: []string{"true"}}, {Name: new("availability-zone"), Values: v.group.Zones},
		}
	}
	res, err := s.compute.DescribeSubnets(ctx, call, as, in)
	if err != nil {
		return nil, err
	}
	for _, sn := range res.Subnets {
		z := api.Val(sn.AvailabilityZone)
		out[z] = append(out[z], api.Val(sn.SubnetId))
	}
	if len(out) == 0 {
		return nil, apierr.New("InvalidSubnetID.NotFound", "The group has no subnet to launch into.")
	}
	return out, nil
}

// joinedList is a list of subnets as it is kept and answered: the ids with commas between them and nothing else, also for
// callers who write a space after each comma, as Cluster API does, and compare what comes back.
func joinedList(s *string) string { return strings.Join(splitList(api.Val(s)), ",") }

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (s *Service) activity(ctx context.Context, p place, id string) (a activityRecord, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) error {
		a, _, err = getActivity(tx, p, id)
		return err
	})
	return a, err
}

// runLaunch asks EC2 for the instance of one activity. After a failure that is not an answer of
// EC2 or IAM the launch stays on the group's list.
func (s *Service) runLaunch(ctx context.Context, v *sight, as guard.Caller, id string) error {
	a, err := s.activity(ctx, v.place, id)
	if err != nil {
		return err
	}
	if a.Launch == nil { // written by a server of an earlier version
		a.Launch = new(v.group.plainLaunch(nil))
	}
	call := s.newCall(v.place)
	launcher, err := s.launcher(ctx, v, call, as, a.Launch)
	if err != nil {
		return s.refused(ctx, v, &a, call, err)
	}
	res, err := s.compute.RunInstances(ctx, call, launcher, a.Launch.request(v.Name, id, a.Subnet))
	if err != nil {
		return s.refused(ctx, v, &a, call, err)
	}
	if len(res.Instances) == 0 {
		return s.refused(ctx, v, &a, call, apierr.New("InternalError", "EC2 started no instance."))
	}
	return s.started(ctx, v, a, res.Instances[0])
}

// started records an instance that EC2 accepted.
func (s *Service) started(ctx context.Context, v *sight, a activityRecord, inst ec2api.Instance) error {
	id := api.Val(inst.InstanceId)
	l := a.Launch
	if l == nil {
		l = new(v.group.plainLaunch(nil))
	}
	m := memberRecord{
		ID: id, Zone: a.Zone, ZoneID: v.group.zoneID(a.Zone), Subnet: a.Subnet, Type: api.Val(inst.InstanceType), State: statePending, Warm: l.Warm, Extra: l.Extra, Health: healthy, Protected: l.Protect,
		Template: l.Template, Launched: s.g.Now(), Activity: a.ID, Weight: l.Weight, Weighted: l.Weighted, Spot: l.Spot, Scaled: v.group.Scaled,
	}
	if l.Warm {
		m.State = stateWarmedPending
	}
	if l.Config != nil {
		m.Config, m.ConfigMade = l.Config.Name, l.Config.Created
	}
	for _, t := range inst.Tags {
		if api.Val(t.Key) == "aws:ec2launchtemplate:version" {
			m.Template.Version = api.Val(t.Value)
		}
	}
	a.Launch = nil
	err := s.g.Change(ctx, func(tx store.Tx) error {
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		g.launched(a.ID)
		if _, known, err := memberTable.Get(tx, v.Region, v.Account, v.Name, id); err != nil || known { // resumed meanwhile
			return errors.Join(err, s.put(tx, g))
		}
		a.Instance, a.Description, a.Progress = id, launching(l, id), 30
		if err := putActivity(tx, v.place, a); err != nil {
			return err
		}
		if err := memberOf.Put(tx, g.Name, v.Region, v.Account, id); err != nil {
			return err
		}
		if err := putMember(tx, v.place, m); err != nil {
			return err
		}
		return s.put(tx, g)
	})
	if err == nil {
		v.launched = cloned(v.launched)
		v.launched[id] = m.Type
		s.wake(v.place, s.timing.Detect) // the instance may have changed before it was ours
	}
	return err
}

// refused records a launch that EC2 refused at once, and waits before the next. Without an
// activity it makes one.
func (s *Service) refused(ctx context.Context, v *sight, a *activityRecord, call *guard.Call, cause error) error {
	refusal, ok := apiError(cause)
	if !ok {
		return cause
	}
	if a != nil {
		v.refusals = cloned(v.refusals)
		v.refusals[a.ID] = refusal
	}
	err := s.g.Change(ctx, func(tx store.Tx) error {
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		act := activityRecord{}
		if a != nil {
			act = *a
		} else {
			act = newActivity(&g, s.g.Now(), launch.ActivityLaunching(""), g.Causes, "", "")
			g.Causes = nil
		}
		// Another zone or type is tried at once; when all have failed, later.
		if l := act.Launch; l != nil && l.Balance && zonal(refusal.Code) {
			g.Balance = s.g.Now().Add(s.timing.RetryMax)
		} else if l == nil || !zonal(refusal.Code) || g.exhausted(l, act.Zone) {
			s.failed(&g)
		}
		act.finish(s.g.Now(), launch.ActivityRefused(refusal.Message))
		g.launched(act.ID)
		if err := s.g.LinkCause(tx, g.Account, g.Region, act.ID, call.ID); err != nil {
			return err
		}
		store := putActivity
		if a == nil {
			store = addActivity
		}
		if err := store(tx, v.place, act); err != nil {
			return err
		}
		v.group = g
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(v.place, max(0, v.group.Retry.Next.Sub(s.g.Now())))
	}
	return err
}

// unassumable is a pass that could not become the service-linked role.
func (s *Service) unassumable(ctx context.Context, v *sight, call *guard.Call, cause error) {
	if _, ours := apiError(cause); !ours {
		s.trouble(v.place, cause)
		return
	}
	if v.group.Deleting || capacityOf(v.active()) >= v.group.Desired || s.g.Now().Before(v.group.Retry.Next) {
		s.wake(v.place, s.timing.RetryFirst)
		return
	}
	if err := s.refused(ctx, v, nil, call, apierr.New("AccessDenied", launch.NotAssumable)); err != nil {
		s.trouble(v.place, err)
	}
}

// cloned is a map to add to, also of none.
func cloned[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
