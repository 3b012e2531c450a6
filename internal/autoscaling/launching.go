package autoscaling

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// scaleOut starts n launches: first the activities, then the requests, so that a launch whose
// answer is lost is asked for again under the same token and not twice.
func (s *Service) scaleOut(ctx context.Context, v *sight, as guard.Caller, have, n int) error {
	subnets, err := s.subnets(ctx, v, as)
	if err != nil {
		return s.refused(ctx, v, nil, s.newCall(v.place), err)
	}
	n = min(n, batch)
	var ids []string
	err = s.g.Change(ctx, func(tx store.Tx) error {
		ids = nil
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		perZone := map[string]int{}
		for _, z := range slices.Collect(maps.Keys(subnets)) {
			perZone[z] = 0
		}
		for _, m := range v.members {
			if _, ours := perZone[m.Zone]; ours && m.State != stateTerminating {
				perZone[m.Zone]++
			}
		}
		for i := range n {
			zone := slices.MinFunc(slices.Sorted(maps.Keys(perZone)), func(a, b string) int { return cmp.Compare(perZone[a], perZone[b]) })
			perZone[zone]++
			subnet := subnets[zone][rand.IntN(len(subnets[zone]))]
			now := s.g.Now()
			causes := slices.Clone(g.Causes)
			g.Causes = nil
			if g.Replace > 0 {
				g.Replace--
				causes = append(causes, sentence(now, causeReplacement))
			} else {
				causes = append(causes, sentence(now, startedFor(have+i, have+i+1)))
			}
			a := newActivity(&g, now, launch.ActivityLaunching(""), causes, subnet, zone)
			a.Subnet, a.Zone = subnet, zone
			ids = append(ids, a.ID)
			g.Launching = append(g.Launching, a.ID)
			if err := putActivity(tx, v.place, a); err != nil {
				return err
			}
		}
		v.group = g
		return s.put(tx, g)
	})
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

// subnets are the subnets that the group may launch into, by zone.
func (s *Service) subnets(ctx context.Context, v *sight, as guard.Caller) (map[string][]string, error) {
	out := map[string][]string{}
	in := &ec2api.DescribeSubnetsRequest{}
	if v.group.Subnets != "" {
		in.SubnetIds = splitList(v.group.Subnets)
	} else {
		in.Filters = []ec2api.Filter{
			{Name: new("default-for-az"), Values: []string{"true"}}, {Name: new("availability-zone"), Values: v.group.Zones},
		}
	}
	res, err := s.compute.DescribeSubnets(ctx, s.newCall(v.place), as, in)
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

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// runLaunch asks EC2 for the instance of one activity.
func (s *Service) runLaunch(ctx context.Context, v *sight, as guard.Caller, id string) error {
	var a activityRecord
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		a, _, err = getActivity(tx, v.place, id)
		return err
	})
	if err != nil {
		return err
	}
	g := &v.group
	call := s.newCall(v.place)
	in := &ec2api.RunInstancesRequest{
		MinCount: new(int32(1)), MaxCount: new(int32(1)), ClientToken: &id, SubnetId: &a.Subnet,
		LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateId: &g.Template.ID, Version: api.Opt(g.Template.Version)},
		TagSpecifications: []ec2api.TagSpecification{{
			ResourceType: new("instance"), Tags: g.instanceTags(),
		}},
	}
	res, err := s.compute.RunInstances(ctx, call, as, in)
	if err != nil {
		return s.refused(ctx, v, &a, call, err)
	}
	if len(res.Instances) == 0 {
		return s.refused(ctx, v, &a, call, apierr.New("InternalError", "EC2 started no instance."))
	}
	return s.started(ctx, v, a, res.Instances[0])
}

// instanceTags are the tags of a new instance.
func (g *groupRecord) instanceTags() []ec2api.Tag {
	tags := []ec2api.Tag{{Key: new("aws:autoscaling:groupName"), Value: &g.Name}}
	for _, t := range g.Tags {
		if t.Propagate {
			tags = append(tags, ec2api.Tag{Key: &t.Key, Value: &t.Value})
		}
	}
	return tags
}

// started records an instance that EC2 accepted.
func (s *Service) started(ctx context.Context, v *sight, a activityRecord, inst ec2api.Instance) error {
	id := api.Val(inst.InstanceId)
	m := memberRecord{
		ID: id, Zone: a.Zone, Type: api.Val(inst.InstanceType), State: statePending, Health: healthy, Protected: v.group.Protect,
		Template: v.group.Template, Launched: s.g.Now(), Activity: a.ID,
	}
	for _, t := range inst.Tags {
		if api.Val(t.Key) == "aws:ec2launchtemplate:version" {
			m.Template.Version = api.Val(t.Value)
		}
	}
	err := s.g.Change(ctx, func(tx store.Tx) error {
		g, ok, err := groupTable.Get(tx, v.key()...)
		if err != nil || !ok {
			return err
		}
		g.Launching = slices.DeleteFunc(g.Launching, func(x string) bool { return x == a.ID })
		a.Instance, a.Description, a.Progress = id, launch.ActivityLaunching(id), 30
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
		s.wake(v.place, s.timing.Detect) // the instance may have changed before it was ours
	}
	return err
}

// refused records a launch that EC2 refused at once, and waits before the next. Without an
// activity it makes one.
func (s *Service) refused(ctx context.Context, v *sight, a *activityRecord, call *guard.Call, cause error) error {
	message := cause.Error()
	if e, ok := apiError(cause); ok {
		message = e.Message
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
		act.finish(s.g.Now(), launch.ActivityRefused(message))
		g.Launching = slices.DeleteFunc(g.Launching, func(x string) bool { return x == act.ID })
		s.failed(&g)
		if err := s.g.LinkCause(tx, g.Account, g.Region, act.ID, call.ID); err != nil {
			return err
		}
		if err := putActivity(tx, v.place, act); err != nil {
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
	active := 0
	for _, m := range v.members {
		if m.State != stateTerminating {
			active++
		}
	}
	if v.group.Deleting || active >= int(v.group.Desired) || s.g.Now().Before(v.group.Retry.Next) {
		s.wake(v.place, s.timing.RetryFirst)
		return
	}
	if err := s.refused(ctx, v, nil, call, apierr.New("AccessDenied", launch.NotAssumable)); err != nil {
		s.trouble(v.place, err)
	}
}
