package autoscaling

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// defaultRole is the service-linked role of a group that names none.
func defaultRole(account string) string {
	return arn.Role(account, arn.ServiceLinkedPath(Principal), "AWSServiceRoleForAutoScaling")
}

// CreateAutoScalingGroup makes a group. The template is tried out with the user's own identity;
// its keys are not: they are first used by the service-linked role, when an instance launches.
func (s *Service) CreateAutoScalingGroup(ctx context.Context, c *guard.Call, in *autoscalingapi.CreateAutoScalingGroupType) error {
	g, err := newGroup(c, in, s.g.Now())
	if err != nil {
		return err
	}
	authorize := func(tx store.Tx) error {
		parts := []authz.Part{s.part(g, "autoscaling:CreateAutoScalingGroup")}
		sizes(&parts[0].Context, &g.Min, &g.Max)
		parts[0].Context.SetBool("autoscaling:launchtemplateversionspecified", in.LaunchTemplate.Version != nil)
		requestTags(&parts[0].Context, g.Tags)
		if in.ServiceLinkedRoleARN != nil {
			parts = append(parts, passRole(g))
		}
		_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
		return err
	}
	if err := s.g.View(ctx, c, authorize); err != nil {
		return err
	}
	if err := s.checkTemplate(ctx, c, g, in.LaunchTemplate); err != nil {
		return err
	}
	if err := s.checkSubnets(ctx, c, g); err != nil {
		return err
	}
	if err := s.tryTemplate(ctx, c, g); err != nil {
		return err
	}
	if err := s.ensureRole(ctx, c, g, in.ServiceLinkedRoleARN != nil); err != nil {
		return err
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := authorize(tx); err != nil {
			return err
		}
		if _, exists, err := groupTable.Get(tx, g.place().key()...); err != nil {
			return err
		} else if exists {
			return apierr.Newf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", g.Name)
		}
		c.Touch(g.arn(), g.Account, "AWS::AutoScaling::AutoScalingGroup")
		return s.put(tx, *g)
	})
	if err == nil {
		s.wake(g.place(), 0)
	}
	return err
}

// newGroup checks the parameters of CreateAutoScalingGroup against each other.
func newGroup(c *guard.Call, in *autoscalingapi.CreateAutoScalingGroupType, now time.Time) (*groupRecord, error) {
	switch {
	case in.LaunchConfigurationName != nil || in.MixedInstancesPolicy != nil || in.InstanceId != nil:
		return nil, validation("kagimori launches groups from a LaunchTemplate only, so far.")
	case in.LaunchTemplate == nil:
		return nil, validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	case len(in.AvailabilityZones) == 0 && len(in.AvailabilityZoneIds) == 0 && api.Val(in.VPCZoneIdentifier) == "":
		return nil, validation("At least one Availability Zone or VPC Subnet is required.")
	case len(in.LoadBalancerNames)+len(in.TargetGroupARNs)+len(in.TrafficSources) > 0:
		return nil, validation("kagimori does not attach groups to load balancers yet.")
	case len(in.LifecycleHookSpecificationList) > 0:
		return nil, validation("kagimori does not run lifecycle hooks yet.")
	}
	g := &groupRecord{
		Region: c.Region, Account: c.Account(), Name: api.Val(in.AutoScalingGroupName), UUID: guard.NewRequestID(),
		Created: now.Truncate(time.Millisecond), Min: api.Val(in.MinSize), Max: api.Val(in.MaxSize), Cooldown: 300,
		Zones: in.AvailabilityZones, zoneIDs: in.AvailabilityZoneIds, Subnets: api.Val(in.VPCZoneIdentifier), HealthCheckType: "EC2",
		GracePeriod: api.Val(in.HealthCheckGracePeriod), TerminationPolicies: []string{"Default"},
		Protect: api.Val(in.NewInstancesProtectedFromScaleIn), Role: api.Val(in.ServiceLinkedRoleARN),
		MaxLifetime: in.MaxInstanceLifetime, Rebalance: in.CapacityRebalance, Warmup: in.DefaultInstanceWarmup,
		Context: api.Val(in.Context), DesiredType: api.Val(in.DesiredCapacityType),
		DeletionProtection: api.Val(in.DeletionProtection), MaintenanceMin: -1, MaintenanceMax: -1,
	}
	if strings.Contains(g.Name, ":") {
		return nil, validation("Invalid AutoScalingGroup name: a name may not contain a colon.")
	}
	if in.DesiredCapacity != nil {
		g.Desired = *in.DesiredCapacity
	} else {
		g.Desired = g.Min
	}
	if err := g.checkSizes(); err != nil {
		return nil, err
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
	g.setDistribution(in.AvailabilityZoneDistribution, in.InstanceMaintenancePolicy)
	var err error
	if g.Tags, err = mergeTags(nil, in.Tags, g.Name); err != nil {
		return nil, err
	}
	if g.Desired > 0 {
		g.Causes = []string{sentence(now, "a user request created an AutoScalingGroup changing the desired capacity from 0 to "+
			strconv.Itoa(int(g.Desired))+".")}
	}
	return g, nil
}

func (g *groupRecord) setDistribution(d *autoscalingapi.AvailabilityZoneDistribution, m *autoscalingapi.InstanceMaintenancePolicy) {
	if d != nil {
		g.ZoneDistribution = api.Val(d.CapacityDistributionStrategy)
	}
	if m != nil && m.MinHealthyPercentage != nil && m.MaxHealthyPercentage != nil {
		g.MaintenanceMin, g.MaintenanceMax = *m.MinHealthyPercentage, *m.MaxHealthyPercentage
	}
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

// passRole is the right to hand a service-linked role to Auto Scaling.
func passRole(g *groupRecord) authz.Part {
	p := authz.Part{Action: "iam:PassRole", Resource: authz.Resource{ARN: g.Role, Account: g.Account}}
	p.Context.Set("iam:passedtoservice", Principal)
	p.Context.Set("iam:associatedresourcearn", g.arn())
	return p
}

// checkTemplate finds the launch template with the user's rights and keeps its id and name.
func (s *Service) checkTemplate(ctx context.Context, c *guard.Call, g *groupRecord, spec *autoscalingapi.LaunchTemplateSpecification) error {
	if (spec.LaunchTemplateId == nil) == (spec.LaunchTemplateName == nil) {
		return validation("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	g.Template = templateRef{api.Val(spec.LaunchTemplateId), api.Val(spec.LaunchTemplateName), api.Val(spec.Version)}
	version := g.Template.Version
	if version == "" {
		version = "$Default"
	}
	out, err := s.compute.DescribeLaunchTemplateVersions(ctx, c, c.Caller.Via(Principal), &ec2api.DescribeLaunchTemplateVersionsRequest{
		LaunchTemplateId: spec.LaunchTemplateId, LaunchTemplateName: spec.LaunchTemplateName, Versions: []string{version},
	})
	if err != nil {
		return templateError(err)
	}
	if len(out.LaunchTemplateVersions) == 0 {
		return validation("%s", launch.TemplateError("The specified launch template version does not exist."))
	}
	v := out.LaunchTemplateVersions[0]
	g.Template.ID, g.Template.Name = api.Val(v.LaunchTemplateId), api.Val(v.LaunchTemplateName)
	return nil
}

// templateError wraps what EC2 says of a template.
func templateError(err error) error {
	e, ok := apiError(err)
	if !ok {
		return err
	}
	if e.Code == "UnauthorizedOperation" {
		return validation("%s", launch.TemplateError("You are not authorized to use launch template: "+e.Message))
	}
	return validation("%s", launch.TemplateError(e.Message))
}

// checkSubnets finds the group's subnets and zones, which must agree if both are given.
func (s *Service) checkSubnets(ctx context.Context, c *guard.Call, g *groupRecord) error {
	as := c.Caller.Via(Principal)
	if g.Subnets == "" {
		out, err := s.compute.DescribeAvailabilityZones(ctx, c, as, &ec2api.DescribeAvailabilityZonesRequest{ZoneNames: g.Zones, ZoneIds: g.zoneIDs})
		if err != nil || len(out.AvailabilityZones) < len(g.Zones)+len(g.zoneIDs) {
			return ec2Refusal(err, "One or more of the Availability Zones do not exist.")
		}
		g.Zones = nil
		for _, z := range out.AvailabilityZones {
			g.Zones = append(g.Zones, api.Val(z.ZoneName))
		}
		slices.Sort(g.Zones)
		return nil
	}
	out, err := s.compute.DescribeSubnets(ctx, c, as, &ec2api.DescribeSubnetsRequest{SubnetIds: splitList(g.Subnets)})
	if err != nil {
		return ec2Refusal(err, "")
	}
	var zones []string
	for _, sn := range out.Subnets {
		if z := api.Val(sn.AvailabilityZone); !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	slices.Sort(zones)
	if len(g.Zones) > 0 && !slices.Equal(zones, slices.Sorted(slices.Values(g.Zones))) {
		return validation("The availability zones of the specified subnets and the Auto Scaling group do not match")
	}
	g.Zones = zones
	return nil
}

// ec2Refusal is an error of EC2 as Auto Scaling passes it on.
func ec2Refusal(err error, otherwise string) error {
	if err == nil {
		return validation("%s", otherwise)
	}
	if e, ok := apiError(err); ok {
		return validation("%s", e.Message)
	}
	return err
}

// tryTemplate is the dry run of a launch that Auto Scaling makes as the user when a group is
// created or gets another template.
func (s *Service) tryTemplate(ctx context.Context, c *guard.Call, g *groupRecord) error {
	_, err := s.compute.RunInstances(ctx, c, c.Caller.Via(Principal), &ec2api.RunInstancesRequest{
		MinCount: new(int32(1)), MaxCount: new(int32(1)), DryRun: new(true),
		LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateId: &g.Template.ID, Version: api.Opt(g.Template.Version)},
	})
	if e, ok := apiError(err); ok && e.Code == "DryRunOperation" {
		return nil
	}
	if err == nil {
		return nil
	}
	return templateError(err)
}

// ensureRole makes the default service-linked role with the user's right to do so; another role
// must exist.
func (s *Service) ensureRole(ctx context.Context, c *guard.Call, g *groupRecord, given bool) error {
	exists := false
	err := s.g.Read(ctx, func(tx store.Tx) (err error) {
		_, exists, err = s.dir.Resolve(tx, g.Role)
		return err
	})
	if err != nil || exists {
		return err
	}
	if given && g.Role != defaultRole(g.Account) {
		return validation("ARN specified for Service-Linked Role does not exist.")
	}
	as := c.Caller
	as.InvokedBy = Principal
	_, err = s.roles.CreateServiceLinkedRole(ctx, c, as, &iamapi.CreateServiceLinkedRoleRequest{
		AWSServiceName: new(Principal),
		Description:    new("Default Service-Linked Role enables access to AWS Services and Resources used or managed by Auto Scaling"),
	})
	if e, ok := apiError(err); ok {
		if e.Code == "InvalidInput" { // another request was first
			return nil
		}
		return e
	}
	return err
}

// UpdateAutoScalingGroup changes what it names; the group is looked at anew.
func (s *Service) UpdateAutoScalingGroup(ctx context.Context, c *guard.Call, in *autoscalingapi.UpdateAutoScalingGroupType) error {
	name := api.Val(in.AutoScalingGroupName)
	var updated groupRecord
	apply := func(tx store.Tx) error {
		g, err := s.load(tx, c, name, "autoscaling:UpdateAutoScalingGroup", func(_ *groupRecord, p *authz.Part) {
			sizes(&p.Context, in.MinSize, in.MaxSize)
			if in.LaunchTemplate != nil {
				p.Context.SetBool("autoscaling:launchtemplateversionspecified", in.LaunchTemplate.Version != nil)
			}
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
	if in.LaunchTemplate != nil {
		if err := s.checkTemplate(ctx, c, &checked, in.LaunchTemplate); err != nil {
			return err
		}
		if err := s.tryTemplate(ctx, c, &checked); err != nil {
			return err
		}
	}
	if in.VPCZoneIdentifier != nil || in.AvailabilityZones != nil {
		if err := s.checkSubnets(ctx, c, &checked); err != nil {
			return err
		}
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
		updated.Template, updated.Zones = checked.Template, checked.Zones
		updated.Retry = retry{}
		return s.put(tx, updated)
	})
	if err == nil {
		s.wake(updated.place(), 0)
	}
	return err
}

func (s *Service) applyUpdate(g *groupRecord, in *autoscalingapi.UpdateAutoScalingGroupType) error {
	if in.LaunchConfigurationName != nil || in.MixedInstancesPolicy != nil {
		return validation("kagimori launches groups from a LaunchTemplate only, so far.")
	}
	set(&g.Min, in.MinSize)
	set(&g.Max, in.MaxSize)
	before := g.Desired
	switch {
	case in.DesiredCapacity != nil:
		g.Desired = *in.DesiredCapacity
	default:
		g.Desired = min(max(g.Desired, g.Min), g.Max)
	}
	if err := g.checkSizes(); err != nil {
		return err
	}
	if g.Desired != before {
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
		g.MaxLifetime = in.MaxInstanceLifetime
	}
	if in.CapacityRebalance != nil {
		g.Rebalance = in.CapacityRebalance
	}
	if in.DefaultInstanceWarmup != nil {
		g.Warmup = in.DefaultInstanceWarmup
	}
	if in.TerminationPolicies != nil {
		g.TerminationPolicies = in.TerminationPolicies
	}
	g.setDistribution(in.AvailabilityZoneDistribution, in.InstanceMaintenancePolicy)
	if in.VPCZoneIdentifier != nil {
		g.Subnets = *in.VPCZoneIdentifier
		g.Zones = nil
	}
	if in.AvailabilityZones != nil {
		g.Zones = in.AvailabilityZones
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

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
		if !force && len(all) > 0 {
			if slices.ContainsFunc(all, func(m memberRecord) bool { return m.State == statePending }) {
				return apierr.New("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
			}
			return apierr.New("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
		}
		if len(all) == 0 && len(g.Launching) == 0 {
			return groupTable.Delete(tx, p.key()...)
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
		switch {
		case want > g.Max:
			return validation("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", want, g.Max)
		case want < g.Min:
			return validation("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", want, g.Min)
		}
		if want != g.Desired {
			g.Causes = []string{sentence(s.g.Now(), "a user request explicitly set group desired capacity changing the desired capacity from "+
				itoa(g.Desired)+" to "+itoa(want)+".")}
			g.Desired = want
			g.Retry = retry{}
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(p, 0)
	}
	return err
}
