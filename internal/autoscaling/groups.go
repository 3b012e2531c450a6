package autoscaling

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// defaultRole is the service-linked role of a group that names none.
func defaultRole(account string) string {
	return arn.Role(account, arn.ServiceLinkedPath(Principal), "AWSServiceRoleForAutoScaling")
}

// CreateAutoScalingGroup makes a group. The template is tried out with the user's own identity;
// its keys are not: they are first used by the service-linked role, when an instance launches.
func (s *Service) CreateAutoScalingGroup(ctx context.Context, c *guard.Call, in *autoscalingapi.CreateAutoScalingGroupType) error {
	source := sourceInput{in.LaunchTemplate, in.LaunchConfigurationName, in.MixedInstancesPolicy, in.InstanceId}
	g, err := newGroup(c, in, source, s.g.Now())
	if err != nil {
		return err
	}
	authorize := func(tx store.Tx) error {
		parts := []authz.Part{s.part(g, "autoscaling:CreateAutoScalingGroup")}
		sizes(&parts[0].Context, &g.Min, &g.Max)
		source.context(&parts[0].Context)
		subnetContext(&parts[0].Context, in.VPCZoneIdentifier)
		sourceContext(&parts[0].Context, in.LoadBalancerNames, in.TargetGroupARNs, in.TrafficSources)
		requestTags(&parts[0].Context, g.Tags)
		if in.ServiceLinkedRoleARN != nil {
			parts = append(parts, passRole(g))
		}
		for _, h := range g.Hooks {
			parts = append(parts, hookParts(g.Account, h.Role)...)
		}
		_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
		return err
	}
	if err := s.g.View(ctx, c, authorize); err != nil {
		return err
	}
	if source.instance != nil {
		if err := s.groupAfter(ctx, c, g, *source.instance); err != nil {
			return err
		}
	}
	if err := s.checkSubnets(ctx, c, g); err != nil {
		return err
	}
	if err := s.checkSource(ctx, c, g, source); err != nil {
		return err
	}
	if err := g.checkUnit(); err != nil {
		return err
	}
	if err := s.ensureRole(ctx, c, g, in.ServiceLinkedRoleARN != nil); err != nil {
		return err
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := authorize(tx); err != nil {
			return err
		}
		if err := g.configExists(tx); err != nil {
			return err
		}
		if g.derived != nil {
			if err := s.addConfig(tx, c, g.derived, false); err != nil {
				return err
			}
		}
		c.Touch(g.arn(), g.Account, "AWS::AutoScaling::AutoScalingGroup")
		for _, h := range g.Hooks {
			if err := s.announceTest(tx, g, h.Target); err != nil {
				return err
			}
		}
		return s.addGroup(tx, g)
	})
	if err == nil {
		s.wake(g.place(), 0)
	}
	return err
}

// errZonesTwice refuses zones by name and by id. Source: API Reference, CreateAutoScalingGroup, AvailabilityZoneIds.
var errZonesTwice = validation("You cannot specify both AvailabilityZones and AvailabilityZoneIds in the same request.")

// newGroup checks the parameters of CreateAutoScalingGroup against each other.
func newGroup(c *guard.Call, in *autoscalingapi.CreateAutoScalingGroupType, source sourceInput, now time.Time) (*groupRecord, error) {
	if err := source.check(); err != nil {
		return nil, err
	}
	switch {
	case len(in.AvailabilityZones) > 0 && len(in.AvailabilityZoneIds) > 0:
		return nil, errZonesTwice
	case len(in.AvailabilityZones) == 0 && len(in.AvailabilityZoneIds) == 0 && joinedList(in.VPCZoneIdentifier) == "" && in.InstanceId == nil:
		return nil, validation("At least one Availability Zone or VPC Subnet is required.")
	case in.Operator != nil:
		return nil, validation("The parameter Operator is reserved for services of AWS.")
	}
	g := &groupRecord{
		Region: c.Region, Account: c.Account(), Name: api.Val(in.AutoScalingGroupName), UUID: guard.NewRequestID(),
		Created: now.Truncate(time.Millisecond), Min: api.Val(in.MinSize), Max: api.Val(in.MaxSize), Cooldown: 300,
		Zones: in.AvailabilityZones, zoneIDs: in.AvailabilityZoneIds, Subnets: joinedList(in.VPCZoneIdentifier), HealthCheckType: "EC2",
		GracePeriod: api.Val(in.HealthCheckGracePeriod), TerminationPolicies: []string{"Default"},
		Protect: api.Val(in.NewInstancesProtectedFromScaleIn), Role: api.Val(in.ServiceLinkedRoleARN),
		MaxLifetime: lifetime(in.MaxInstanceLifetime), Rebalance: in.CapacityRebalance, Warmup: warmup(in.DefaultInstanceWarmup),
		Context: api.Val(in.Context), DesiredType: api.Val(in.DesiredCapacityType),
		DeletionProtection: api.Val(in.DeletionProtection), MaintenanceMin: -1, MaintenanceMax: -1, Placement: api.Val(in.PlacementGroup),
	}
	if strings.Contains(g.Name, ":") {
		return nil, validation("Invalid AutoScalingGroup name: a name may not contain a colon.")
	}
	if in.DesiredCapacity != nil {
		g.Desired = *in.DesiredCapacity
	} else {
		g.Desired = g.Min
	}
	if in.DefaultCooldown != nil {
		g.Cooldown = *in.DefaultCooldown
	}
	if in.HealthCheckType != nil {
		g.HealthCheckType = *in.HealthCheckType
	}
	if len(in.TerminationPolicies) > 0 {
		g.TerminationPolicies = in.TerminationPolicies
	}
	if g.Role == "" {
		g.Role = defaultRole(g.Account)
	}
	if err := g.initialHooks(in.LifecycleHookSpecificationList); err != nil {
		return nil, err
	}
	if err := g.setDistribution(in.AvailabilityZoneDistribution, in.InstanceMaintenancePolicy); err != nil {
		return nil, err
	}
	if err := g.shownRecord.set(in.AvailabilityZoneImpairmentPolicy, in.CapacityReservationSpecification, in.InstanceLifecyclePolicy); err != nil {
		return nil, err
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	attached, err := sourcesOf(in.LoadBalancerNames, in.TargetGroupARNs, in.TrafficSources)
	if err == nil {
		err = g.attach(attached, now)
	}
	if err != nil {
		return nil, err
	}
	if g.Tags, err = mergeTags(nil, in.Tags, g.Name); err != nil {
		return nil, err
	}
	if g.Desired > 0 {
		g.Causes = []string{sentence(now, "a user request created an AutoScalingGroup changing the desired capacity from 0 to "+
			strconv.Itoa(int(g.Desired))+".")}
	}
	return g, nil
}

// setDistribution reads the distribution over zones and the instance maintenance policy, of which both
// percentages are given, and both -1 to take the policy away.
// Source: API Reference, InstanceMaintenancePolicy.
func (g *groupRecord) setDistribution(d *autoscalingapi.AvailabilityZoneDistribution, m *autoscalingapi.InstanceMaintenancePolicy) error {
	if d != nil {
		g.ZoneDistribution = api.Val(d.CapacityDistributionStrategy)
	}
	if m == nil {
		return nil
	}
	least, most := api.Val(m.MinHealthyPercentage), api.Val(m.MaxHealthyPercentage)
	switch {
	case m.MinHealthyPercentage == nil || m.MaxHealthyPercentage == nil:
		return validation("Both MinHealthyPercentage and MaxHealthyPercentage must be specified in an InstanceMaintenancePolicy.")
	case least == -1 && most == -1:
	case least == -1 || most == -1:
		return validation("MinHealthyPercentage and MaxHealthyPercentage of an InstanceMaintenancePolicy must both be -1 to clear it.")
	case most < 100:
		return validation("MaxHealthyPercentage of an InstanceMaintenancePolicy must be between 100 and 200, or -1.")
	case most-least > 100:
		return validation("The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.")
	}
	g.MaintenanceMin, g.MaintenanceMax = least, most
	return nil
}

func (g *groupRecord) checkSizes() error {
	switch {
	case g.Min < 0 || g.Max < 0:
		return validation("Min and max size must not be negative.")
	case g.Max < g.Min:
		return validation("Max bound, %d, must be greater than or equal to min bound, %d", g.Max, g.Min)
	case g.Desired < g.Min || g.Desired > g.Max:
		return validation("Desired capacity:%d must be between the specified min size:%d and max size:%d", g.Desired, g.Min, g.Max)
	}
	return nil
}

func sizes(ctx *authz.Context, minSize, maxSize *int32) {
	if minSize != nil {
		ctx.Set("autoscaling:minsize", strconv.Itoa(int(*minSize)))
	}
	if maxSize != nil {
		ctx.Set("autoscaling:maxsize", strconv.Itoa(int(*maxSize)))
	}
}
