package autoscaling

import (
	"context"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// UpdateAutoScalingGroup changes what it names; the group is looked at anew.
func (s *Service) UpdateAutoScalingGroup(ctx context.Context, c *guard.Call, in *autoscalingapi.UpdateAutoScalingGroupType) error {
	name := api.Val(in.AutoScalingGroupName)
	source := sourceInput{in.LaunchTemplate, in.LaunchConfigurationName, in.MixedInstancesPolicy, nil}
	if source.given() {
		if err := source.check(); err != nil {
			return err
		}
	}
	var updated groupRecord
	if in.AvailabilityZones != nil && in.AvailabilityZoneIds != nil {
		return errZonesTwice
	}
	moved := in.VPCZoneIdentifier != nil || in.AvailabilityZones != nil || in.AvailabilityZoneIds != nil
	apply := func(tx store.Tx) error {
		g, err := s.load(tx, c, name, "autoscaling:UpdateAutoScalingGroup", func(_ *groupRecord, p *authz.Part) {
			sizes(&p.Context, in.MinSize, in.MaxSize)
			source.context(&p.Context)
			subnetContext(&p.Context, in.VPCZoneIdentifier)
		})
		if err != nil {
			return err
		}
		if g.Deleting {
			return apierr.New("ScalingActivityInProgress", "You cannot update an AutoScalingGroup while it is being deleted.")
		}
		updated = g
		return s.applyUpdate(&updated, in)
	}
	if err := s.g.View(ctx, c, apply); err != nil {
		return err
	}
	checked := updated
	if moved {
		if err := s.checkSubnets(ctx, c, &checked); err != nil {
			return err
		}
	}
	if source.given() {
		if err := s.checkSource(ctx, c, &checked, source); err != nil {
			return err
		}
	}
	if err := checked.checkUnit(); err != nil {
		return err
	}
	if in.ServiceLinkedRoleARN != nil {
		if err := s.ensureRole(ctx, c, &checked, true); err != nil {
			return err
		}
	}
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := apply(tx); err != nil {
			return err
		}
		if in.ServiceLinkedRoleARN != nil {
			if _, err := s.g.Allow(tx, c, passRole(&updated)); err != nil {
				return err
			}
		}
		if source.given() {
			updated.sourceRecord = checked.sourceRecord
			if err := updated.configExists(tx); err != nil {
				return err
			}
		}
		if moved {
			updated.Zones, updated.ZoneIDs = checked.Zones, checked.ZoneIDs
		}
		updated.Retry = retry{}
		return s.put(tx, updated)
	})
	if err == nil {
		s.wake(updated.place(), 0)
	}
	return err
}

func (s *Service) applyUpdate(g *groupRecord, in *autoscalingapi.UpdateAutoScalingGroupType) error {
	set(&g.Min, in.MinSize)
	set(&g.Max, in.MaxSize)
	before := g.Desired
	switch {
	case in.DesiredCapacity != nil:
		g.Desired = *in.DesiredCapacity
	default:
		g.Desired = min(max(g.Desired, g.Min), g.Max)
	}
	if g.Desired != before {
		g.Scaled = false
		g.Causes = []string{sentence(s.g.Now(), "a user request update of AutoScalingGroup constraints to min: "+itoa(g.Min)+", max: "+
			itoa(g.Max)+", desired: "+itoa(g.Desired)+" changing the desired capacity from "+itoa(before)+" to "+itoa(g.Desired)+".")}
	}
	set(&g.Cooldown, in.DefaultCooldown)
	set(&g.HealthCheckType, in.HealthCheckType)
	set(&g.GracePeriod, in.HealthCheckGracePeriod)
	set(&g.Protect, in.NewInstancesProtectedFromScaleIn)
	set(&g.Role, in.ServiceLinkedRoleARN)
	set(&g.Context, in.Context)
	set(&g.DesiredType, in.DesiredCapacityType)
	set(&g.DeletionProtection, in.DeletionProtection)
	if in.MaxInstanceLifetime != nil {
		g.MaxLifetime = lifetime(in.MaxInstanceLifetime)
	}
	if in.CapacityRebalance != nil {
		g.Rebalance = in.CapacityRebalance
	}
	if in.DefaultInstanceWarmup != nil {
		g.Warmup = warmup(in.DefaultInstanceWarmup)
	}
	if in.TerminationPolicies != nil {
		g.TerminationPolicies = in.TerminationPolicies
	}
	if err := g.setDistribution(in.AvailabilityZoneDistribution, in.InstanceMaintenancePolicy); err != nil {
		return err
	}
	if err := g.shownRecord.set(in.AvailabilityZoneImpairmentPolicy, in.CapacityReservationSpecification, in.InstanceLifecyclePolicy); err != nil {
		return err
	}
	set(&g.Placement, in.PlacementGroup)
	if in.VPCZoneIdentifier != nil {
		g.Subnets = joinedList(in.VPCZoneIdentifier)
		g.Zones = nil
	}
	if in.AvailabilityZones != nil {
		g.Zones = in.AvailabilityZones
	}
	if in.AvailabilityZoneIds != nil {
		g.Zones, g.zoneIDs = nil, in.AvailabilityZoneIds
	}
	return g.check()
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
