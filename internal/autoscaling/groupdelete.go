package autoscaling

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DeleteAutoScalingGroup removes a group without instances, or, with force, ends its instances
// first.
func (s *Service) DeleteAutoScalingGroup(ctx context.Context, c *guard.Call, in *autoscalingapi.DeleteAutoScalingGroupType) error {
	var p place
	force := api.Val(in.ForceDelete)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:DeleteAutoScalingGroup", func(_ *groupRecord, part *authz.Part) {
			part.Context.SetBool("autoscaling:forcedelete", force)
		})
		if err != nil {
			return err
		}
		p = g.place()
		switch {
		case g.DeletionProtection == "prevent-all-deletion", g.DeletionProtection == "prevent-force-deletion" && force:
			return validation("The group is protected against deletion: DeletionProtection is %s.", g.DeletionProtection)
		}
		all, err := members(tx, p)
		if err != nil {
			return err
		}
		if !force && len(all)+len(g.Launching) > 0 {
			if len(g.Launching) > 0 || slices.ContainsFunc(all, func(m memberRecord) bool { return m.pending() }) {
				return apierr.New("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
			}
			return apierr.New("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
		}
		if len(all) == 0 && len(g.Launching) == 0 {
			if left, err := dropChildren(tx, p); err != nil {
				return err
			} else if !left {
				return dropGroup(tx, p)
			}
		}
		g.Deleting, g.Min, g.Desired = true, 0, 0
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(p, 0)
	}
	return err
}

// SetDesiredCapacity asks for another number of instances.
func (s *Service) SetDesiredCapacity(ctx context.Context, c *guard.Call, in *autoscalingapi.SetDesiredCapacityType) error {
	var p place
	want := api.Val(in.DesiredCapacity)
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), "autoscaling:SetDesiredCapacity", nil)
		if err != nil {
			return err
		}
		p = g.place()
		all, err := members(tx, p)
		if err != nil {
			return err
		}
		cooled := g.cooled(s.g.Now(), all)
		switch {
		case api.Val(in.HonorCooldown) && !cooled:
			return inCooldown(&g)
		case want > g.Max:
			return validation("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", want, g.Max)
		case want < g.Min:
			return validation("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", want, g.Min)
		}
		if want != g.Desired {
			g.Causes = []string{sentence(s.g.Now(), "a user request explicitly set group desired capacity changing the desired capacity from "+
				itoa(g.Desired)+" to "+itoa(want)+".")}
			g.Desired, g.Scaled = want, false
			g.Retry = retry{}
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(p, 0)
	}
	return err
}
