package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// AttachInstances takes running instances into a group, which grows by them. They must run in one
// of the group's zones and belong to no group. Source: User Guide, "Detach or attach instances from
// your Auto Scaling group".
func (s *Service) AttachInstances(ctx context.Context, c *guard.Call, in *autoscalingapi.AttachInstancesQuery) error {
	ids := slices.Compact(slices.Sorted(slices.Values(in.InstanceIds)))
	switch {
	case len(ids) == 0:
		return validation("At least one instance must be named.")
	case len(ids) > maxNamed:
		return validation("The number of instances cannot be more than %d.", maxNamed)
	}
	var at place
	var role string
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:AttachInstances", nil)
		at, role = g.place(), g.Role
		return err
	})
	if err != nil {
		return err
	}
	found, err := s.findInstances(ctx, at, role, ids)
	if err != nil {
		return err
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, at.Name, "autoscaling:AttachInstances", nil)
		if err != nil {
			return err
		}
		all, err := members(tx, at)
		if err != nil {
			return err
		}
		if g.Deleting {
			return beingDeleted(&g)
		}
		if err := more("attach")(&g, int32(len(ids))); err != nil {
			return err
		}
		have := capacityOf(serving(all))
		for _, id := range ids {
			if err := s.attach(tx, &g, id, found[id], have); err != nil {
				return err
			}
			have++
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return err
}

// findInstances asks EC2 about instances, as the group's role.
func (s *Service) findInstances(ctx context.Context, at place, role string, ids []string) (map[string]ec2api.Instance, error) {
	call := s.newCall(at)
	as, err := s.session(ctx, call, role)
	if err != nil {
		return nil, err
	}
	out, err := s.compute.DescribeInstances(ctx, call, as, &ec2api.DescribeInstancesRequest{
		Filters: []ec2api.Filter{{Name: new("instance-id"), Values: ids}},
	})
	if err != nil {
		return nil, ec2Refusal(err, "")
	}
	found := map[string]ec2api.Instance{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			found[api.Val(i.InstanceId)] = i
		}
	}
	return found, nil
}

// attach records one instance as a member that is on its way into service.
func (s *Service) attach(tx store.Tx, g *groupRecord, id string, inst ec2api.Instance, have int32) error {
	state, zone := "", ""
	if inst.State != nil {
		state = api.Val(inst.State.Name)
	}
	if inst.Placement != nil {
		zone = api.Val(inst.Placement.AvailabilityZone)
	}
	other, taken, err := memberOf.Get(tx, g.Region, g.Account, id)
	switch {
	case err != nil:
		return err
	case state == "":
		return validation("Invalid Instance ID(s): [%s] specified", id)
	case taken:
		return validation("Invalid Instance ID(s): [%s] specified. The instance is already part of the Auto Scaling group %s.", id, other)
	case state != ec2api.InstanceStateNameRunning:
		return validation("Invalid Instance ID(s): [%s] specified. The instance is not in the running state.", id)
	case !slices.Contains(g.Zones, zone):
		return validation("The instance %s is in the Availability Zone %s, which the Auto Scaling group %s does not use.", id, zone, g.Name)
	}
	now := s.g.Now()
	a := newActivity(g, now, "Attaching an existing EC2 instance: "+id,
		[]string{sentence(now, "an instance was added in response to user request. Keeping the capacity at the new "+itoa(have+1)+".")}, "", zone)
	a.Instance, a.Status, a.Progress = id, autoscalingapi.ScalingActivityStatusCodePreInService, 30
	m := memberRecord{
		ID: id, Zone: zone, ZoneID: g.zoneID(zone), Subnet: api.Val(inst.SubnetId), Type: api.Val(inst.InstanceType), State: statePending, Health: healthy, Launched: now,
		Activity: a.ID, Untagged: true, Protected: g.Protect,
	}
	for _, t := range inst.Tags {
		switch api.Val(t.Key) {
		case "aws:ec2launchtemplate:id":
			m.Template.ID = api.Val(t.Value)
		case "aws:ec2launchtemplate:version":
			m.Template.Version = api.Val(t.Value)
		}
	}
	if err := addActivity(tx, g.place(), a); err != nil {
		return err
	}
	if err := memberOf.Put(tx, g.Name, g.Region, g.Account, id); err != nil {
		return err
	}
	return putMember(tx, g.place(), m)
}
