package autoscaling

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// passRole is the right to hand a service-linked role to Auto Scaling.
func passRole(g *groupRecord) authz.Part {
	p := authz.PassRole(g.Role, g.Account, Principal)
	p.Context.Set("iam:associatedresourcearn", g.arn())
	return p
}

// checkSubnets finds the group's subnets and zones, which must agree if both are given.
func (s *Service) checkSubnets(ctx context.Context, c *guard.Call, g *groupRecord) error {
	as := c.Caller.Via(Principal)
	if g.Subnets == "" {
		out, err := s.compute.DescribeAvailabilityZones(ctx, c, as, &ec2api.DescribeAvailabilityZonesRequest{ZoneNames: g.Zones, ZoneIds: g.zoneIDs})
		if err != nil || len(out.AvailabilityZones) < len(g.Zones)+len(g.zoneIDs) {
			return ec2Refusal(err, "One or more of the Availability Zones do not exist.")
		}
		ids := map[string]string{}
		for _, z := range out.AvailabilityZones {
			ids[api.Val(z.ZoneName)] = api.Val(z.ZoneId)
		}
		g.setZones(ids)
		return nil
	}
	out, err := s.compute.DescribeSubnets(ctx, c, as, &ec2api.DescribeSubnetsRequest{SubnetIds: splitList(g.Subnets)})
	if err != nil {
		return ec2Refusal(err, "")
	}
	ids := map[string]string{}
	for _, sn := range out.Subnets {
		ids[api.Val(sn.AvailabilityZone)] = api.Val(sn.AvailabilityZoneId)
	}
	if len(g.Zones) > 0 && !slices.Equal(slices.Sorted(maps.Keys(ids)), slices.Sorted(slices.Values(g.Zones))) ||
		len(g.zoneIDs) > 0 && !slices.Equal(slices.Sorted(maps.Values(ids)), slices.Sorted(slices.Values(g.zoneIDs))) {
		return validation("The availability zones of the specified subnets and the Auto Scaling group do not match")
	}
	g.setZones(ids)
	return nil
}

// setZones gives the group zones, by name with their ids, in order.
func (g *groupRecord) setZones(ids map[string]string) {
	g.Zones, g.ZoneIDs = slices.Sorted(maps.Keys(ids)), nil
	for _, z := range g.Zones {
		g.ZoneIDs = append(g.ZoneIDs, ids[z])
	}
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

// ensureRole makes the default service-linked role with the user's right to do so; another role
// must exist.
func (s *Service) ensureRole(ctx context.Context, c *guard.Call, g *groupRecord, given bool) error {
	if arn.Owner(g.Role) != g.Account { // whether another account has it is not told
		return validation("ARN specified for Service-Linked Role does not exist.")
	}
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

// groupCount keeps how many groups an account has in a Region, so that making one does not cost more
// the more there are.
var groupCount = store.Table[int]{Bucket: "autoscaling/groupcount", Version: 1} // region, account

// addGroup stores a new group. It refuses one whose name is taken, or one too many.
func (s *Service) addGroup(tx store.Tx, g *groupRecord) error {
	if _, taken, err := groupTable.Get(tx, g.place().key()...); err != nil {
		return err
	} else if taken {
		return apierr.Newf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", g.Name)
	}
	n, _, err := groupCount.Get(tx, g.Region, g.Account)
	if err != nil {
		return err
	}
	if n >= s.maxGroups {
		return apierr.Newf("LimitExceeded", "You have reached your limit of %d Auto Scaling groups for the Region.", s.maxGroups)
	}
	if err := groupCount.Put(tx, n+1, g.Region, g.Account); err != nil {
		return err
	}
	return s.put(tx, *g)
}

// dropGroup removes a group that is there.
func dropGroup(tx store.Tx, p place) error {
	n, _, err := groupCount.Get(tx, p.Region, p.Account)
	if err != nil {
		return err
	}
	if err := groupCount.Put(tx, max(0, n-1), p.Region, p.Account); err != nil {
		return err
	}
	return groupTable.Delete(tx, p.key()...)
}

// subnetContext is the condition key of the subnets that a request names.
func subnetContext(ctx *authz.Context, subnets *string) {
	if ids := splitList(api.Val(subnets)); len(ids) > 0 {
		ctx.SetList("autoscaling:vpczoneidentifiers", ids)
	}
}

// lifetime is a MaxInstanceLifetime as kept: 0 takes the limit away.
func lifetime(given *int32) *int32 {
	if api.Val(given) == 0 {
		return nil
	}
	return given
}

// warmup is a default instance warm-up; -1 takes it away.
// Source: API Reference, UpdateAutoScalingGroup, DefaultInstanceWarmup.
func warmup(given *int32) *int32 {
	if given != nil && *given == -1 {
		return nil
	}
	return given
}

// Instances live a day at least, if their life is limited, and a year at most.
const (
	minLifetime = 86400
	maxLifetime = 31536000
)

// check refuses settings that do not go together or are out of range.
// Source: API Reference, CreateAutoScalingGroup.
func (g *groupRecord) check() error {
	if err := g.checkSizes(); err != nil {
		return err
	}
	switch {
	case g.MaxLifetime != nil && (*g.MaxLifetime < minLifetime || *g.MaxLifetime > maxLifetime):
		return validation("MaxInstanceLifetime must be 0 or between %d and %d seconds.", minLifetime, maxLifetime)
	case g.GracePeriod < 0:
		return validation("HealthCheckGracePeriod must not be negative.")
	case g.Cooldown < 0:
		return validation("DefaultCooldown must not be negative.")
	case g.Warmup != nil && *g.Warmup < 0:
		return validation("DefaultInstanceWarmup must not be negative.")
	case !slices.Contains([]string{"", "units", byCPU, byMemory}, g.DesiredType):
		return validation("Invalid DesiredCapacityType: %s. Valid values are units, vcpu and memory-mib.", g.DesiredType)
	}
	for t := range strings.SplitSeq(g.HealthCheckType, ",") {
		if !slices.Contains([]string{"EC2", "EBS", "ELB", "VPC_LATTICE"}, strings.TrimSpace(t)) {
			return validation("Invalid HealthCheckType: %s. Valid values are EC2, EBS, ELB and VPC_LATTICE.", t)
		}
	}
	return checkTermination(g.TerminationPolicies)
}
