package autoscaling

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Types of traffic sources. Source: API Reference, TrafficSourceIdentifier.
const (
	classicBalancer = "elb"
	targetGroup     = "elbv2"
	lattice         = "vpc-lattice"
)

// Quotas of traffic sources: of a request, and of each type in a group. Source: User Guide, "Quotas
// for Auto Scaling resources and groups".
const (
	maxSourcesNamed = 10
	maxSourcesHeld  = 50
)

// trafficRecord is a load balancer or the like that a group is attached to. There are none on this
// server: what is attached is recorded, with the states that an attachment goes through.
type trafficRecord struct {
	Type, ID string
	Since    time.Time // attached
	Until    time.Time `json:",omitzero"` // detached
}

// traffic are the sources of a group as of now, those that are being removed included.
func (s *Service) traffic(g *groupRecord) []trafficRecord {
	return slices.DeleteFunc(slices.Clone(g.Traffic), func(t trafficRecord) bool {
		return !t.Until.IsZero() && !s.g.Now().Before(t.Until.Add(s.timing.Detect))
	})
}

// attached are the identifiers of the sources of a type that are not being removed.
func (g *groupRecord) attached(types ...string) []string {
	out := []string{}
	for _, t := range g.Traffic {
		if slices.Contains(types, t.Type) && t.Until.IsZero() {
			out = append(out, t.ID)
		}
	}
	return out
}

func (g *groupRecord) trafficSources() []autoscalingapi.TrafficSourceIdentifier {
	out := []autoscalingapi.TrafficSourceIdentifier{}
	for _, t := range g.Traffic {
		if t.Until.IsZero() {
			out = append(out, autoscalingapi.TrafficSourceIdentifier{Identifier: &t.ID, Type: &t.Type})
		}
	}
	return out
}

// trafficState is how far an attachment is. Source: API Reference, LoadBalancerState.
func (s *Service) trafficState(g *groupRecord, t *trafficRecord, all []memberRecord) string {
	switch {
	case !t.Until.IsZero():
		return "Removing"
	case s.g.Now().Before(t.Since.Add(s.timing.Detect)):
		return "Adding"
	}
	checked := strings.Contains(g.HealthCheckType, "ELB") && t.Type != lattice || strings.Contains(g.HealthCheckType, "VPC_LATTICE") && t.Type == lattice
	if checked && slices.ContainsFunc(all, func(m memberRecord) bool { return m.State == stateInService }) {
		return "InService"
	}
	return "Added"
}

// sourcesOf reads the traffic sources that a request names, by their three kinds of names.
func sourcesOf(balancers, targets []string, sources []autoscalingapi.TrafficSourceIdentifier) ([]trafficRecord, error) {
	var out []trafficRecord
	add := func(typ, id string) error {
		switch {
		case typ == targetGroup && (!isARN(id) || !strings.Contains(id, ":targetgroup/")):
			return validation("Provided Target Groups may not be valid. Please ensure they exist and try again.")
		case typ == lattice && (!isARN(id) || !strings.Contains(id, ":targetgroup/")):
			return validation("%s is not the ARN of a VPC Lattice target group.", id)
		case typ == classicBalancer && strings.Contains(id, ":"):
			return validation("Provided Load Balancers may not be valid. Please ensure they exist and try again.")
		}
		if !slices.ContainsFunc(out, func(t trafficRecord) bool { return t.ID == id }) {
			out = append(out, trafficRecord{Type: typ, ID: id})
		}
		return nil
	}
	for _, id := range balancers {
		if err := add(classicBalancer, id); err != nil {
			return nil, err
		}
	}
	for _, id := range targets {
		if err := add(targetGroup, id); err != nil {
			return nil, err
		}
	}
	for _, t := range sources {
		id, typ := api.Val(t.Identifier), api.Val(t.Type)
		switch {
		case typ != "" && typ != classicBalancer && typ != targetGroup && typ != lattice:
			return nil, validation("Invalid traffic source type: %s. Valid values are %s, %s and %s.", typ, classicBalancer, targetGroup, lattice)
		case typ == "" && strings.Contains(id, ":vpc-lattice:"):
			typ = lattice
		case typ == "" && isARN(id):
			typ = targetGroup
		case typ == "":
			typ = classicBalancer
		}
		if err := add(typ, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// attach adds sources that the group does not have.
func (g *groupRecord) attach(more []trafficRecord, now time.Time) error {
	for _, t := range more {
		i := slices.IndexFunc(g.Traffic, func(h trafficRecord) bool { return h.ID == t.ID })
		if i >= 0 && g.Traffic[i].Until.IsZero() {
			continue
		}
		if i >= 0 {
			g.Traffic = slices.Delete(g.Traffic, i, i+1)
		}
		if len(g.attached(t.Type)) >= maxSourcesHeld {
			return apierr.Newf("LimitExceeded", "You have reached your limit of %d traffic sources of type %s for the Auto Scaling group %s.", maxSourcesHeld, t.Type, g.Name)
		}
		t.Since = now
		g.Traffic = append(g.Traffic, t)
	}
	return nil
}

// sourceContext are the condition keys of the traffic sources that a request names.
// Source: Service Authorization Reference, "Condition keys for Amazon EC2 Auto Scaling".
func sourceContext(ctx *authz.Context, balancers, targets []string, sources []autoscalingapi.TrafficSourceIdentifier) {
	if len(balancers) > 0 {
		ctx.SetList("autoscaling:loadbalancernames", balancers)
	}
	if len(targets) > 0 {
		ctx.SetList("autoscaling:targetgrouparns", targets)
	}
	if len(sources) > 0 {
		ids := make([]string, len(sources))
		for i, t := range sources {
			ids[i] = api.Val(t.Identifier)
		}
		ctx.SetList("autoscaling:trafficsourceidentifiers", ids)
	}
}

// changeTraffic attaches or detaches what a request names.
func (s *Service) changeTraffic(ctx context.Context, c *guard.Call, group *string, balancers, targets []string, sources []autoscalingapi.TrafficSourceIdentifier, attach bool) error {
	if n := len(balancers) + len(targets) + len(sources); n == 0 || n > maxSourcesNamed {
		return validation("Between 1 and %d traffic sources can be named.", maxSourcesNamed)
	}
	named, err := sourcesOf(balancers, targets, sources)
	if err != nil {
		return err
	}
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(group), "autoscaling:"+c.Operation, func(_ *groupRecord, p *authz.Part) {
			sourceContext(&p.Context, balancers, targets, sources)
		})
		if err != nil {
			return err
		}
		g.Traffic = s.traffic(&g)
		if attach {
			if g.Refresh.active() {
				return apierr.New("InstanceRefreshInProgress", "An active instance refresh is in progress and blocks the attachment of traffic sources.")
			}
			if err := g.attach(named, s.g.Now()); err != nil {
				return err
			}
			return s.put(tx, g)
		}
		for _, t := range named {
			i := slices.IndexFunc(g.Traffic, func(h trafficRecord) bool { return h.ID == t.ID && h.Type == t.Type && h.Until.IsZero() })
			if i < 0 {
				return validation("Trying to remove traffic sources that are not part of the group: %s", t.ID)
			}
			g.Traffic[i].Until = s.g.Now()
		}
		return s.put(tx, g)
	})
}

// AttachLoadBalancers attaches classic load balancers.
func (s *Service) AttachLoadBalancers(ctx context.Context, c *guard.Call, in *autoscalingapi.AttachLoadBalancersType) (*autoscalingapi.AttachLoadBalancersResultType, error) {
	return &autoscalingapi.AttachLoadBalancersResultType{}, s.changeTraffic(ctx, c, in.AutoScalingGroupName, in.LoadBalancerNames, nil, nil, true)
}

// DetachLoadBalancers detaches classic load balancers.
func (s *Service) DetachLoadBalancers(ctx context.Context, c *guard.Call, in *autoscalingapi.DetachLoadBalancersType) (*autoscalingapi.DetachLoadBalancersResultType, error) {
	return &autoscalingapi.DetachLoadBalancersResultType{}, s.changeTraffic(ctx, c, in.AutoScalingGroupName, in.LoadBalancerNames, nil, nil, false)
}

// AttachLoadBalancerTargetGroups attaches target groups.
func (s *Service) AttachLoadBalancerTargetGroups(ctx context.Context, c *guard.Call, in *autoscalingapi.AttachLoadBalancerTargetGroupsType) (*autoscalingapi.AttachLoadBalancerTargetGroupsResultType, error) {
	return &autoscalingapi.AttachLoadBalancerTargetGroupsResultType{}, s.changeTraffic(ctx, c, in.AutoScalingGroupName, nil, in.TargetGroupARNs, nil, true)
}

// DetachLoadBalancerTargetGroups detaches target groups.
func (s *Service) DetachLoadBalancerTargetGroups(ctx context.Context, c *guard.Call, in *autoscalingapi.DetachLoadBalancerTargetGroupsType) (*autoscalingapi.DetachLoadBalancerTargetGroupsResultType, error) {
	return &autoscalingapi.DetachLoadBalancerTargetGroupsResultType{}, s.changeTraffic(ctx, c, in.AutoScalingGroupName, nil, in.TargetGroupARNs, nil, false)
}

// AttachTrafficSources attaches sources of any type.
func (s *Service) AttachTrafficSources(ctx context.Context, c *guard.Call, in *autoscalingapi.AttachTrafficSourcesType) (*autoscalingapi.AttachTrafficSourcesResultType, error) {
	return &autoscalingapi.AttachTrafficSourcesResultType{}, s.changeTraffic(ctx, c, in.AutoScalingGroupName, nil, nil, in.TrafficSources, true)
}

// DetachTrafficSources detaches sources of any type.
func (s *Service) DetachTrafficSources(ctx context.Context, c *guard.Call, in *autoscalingapi.DetachTrafficSourcesType) (*autoscalingapi.DetachTrafficSourcesResultType, error) {
	return &autoscalingapi.DetachTrafficSourcesResultType{}, s.changeTraffic(ctx, c, in.AutoScalingGroupName, nil, nil, in.TrafficSources, false)
}

// walkTraffic yields the sources of a group that are of the given types, with their states.
func walkTraffic[E any](s *Service, group *string, types []string, entry func(t *trafficRecord, state string) E) func(store.Tx, store.Range, func(string, E) bool) error {
	return func(tx store.Tx, r store.Range, yield func(string, E) bool) error {
		key := store.SplitKey(r.Prefix)
		p := place{key[0], key[1], *group}
		g, _, err := groupTable.Get(tx, p.key()...)
		if err != nil {
			return err
		}
		all, err := members(tx, p)
		if err != nil {
			return err
		}
		sorted := slices.SortedFunc(slices.Values(s.traffic(&g)), func(a, b trafficRecord) int { return strings.Compare(a.ID, b.ID) })
		for i := range sorted {
			t := &sorted[i]
			if slices.Contains(types, t.Type) && !yield(store.Key(append(p.key(), t.ID)...), entry(t, s.trafficState(&g, t, all))) {
				return nil
			}
		}
		return nil
	}
}

// DescribeLoadBalancers lists the classic load balancers of a group.
func (s *Service) DescribeLoadBalancers(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLoadBalancersRequest) (*autoscalingapi.DescribeLoadBalancersResponse, error) {
	var err error
	out := &autoscalingapi.DescribeLoadBalancersResponse{}
	at := s.page(c, in.NextToken, in.MaxRecords, 100, 100).of(in.AutoScalingGroupName)
	out.LoadBalancers, out.NextToken, err = paged(ctx, at, walkTraffic(s, in.AutoScalingGroupName, []string{classicBalancer}, func(t *trafficRecord, state string) autoscalingapi.LoadBalancerState {
		return autoscalingapi.LoadBalancerState{LoadBalancerName: &t.ID, State: &state}
	}))
	return out, err
}

// DescribeLoadBalancerTargetGroups lists the target groups of a group.
func (s *Service) DescribeLoadBalancerTargetGroups(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeLoadBalancerTargetGroupsRequest) (*autoscalingapi.DescribeLoadBalancerTargetGroupsResponse, error) {
	var err error
	out := &autoscalingapi.DescribeLoadBalancerTargetGroupsResponse{}
	at := s.page(c, in.NextToken, in.MaxRecords, 100, 100).of(in.AutoScalingGroupName)
	out.LoadBalancerTargetGroups, out.NextToken, err = paged(ctx, at, walkTraffic(s, in.AutoScalingGroupName, []string{targetGroup}, func(t *trafficRecord, state string) autoscalingapi.LoadBalancerTargetGroupState {
		return autoscalingapi.LoadBalancerTargetGroupState{LoadBalancerTargetGroupARN: &t.ID, State: &state}
	}))
	return out, err
}

// DescribeTrafficSources lists the traffic sources of a group, of one type if it is named.
func (s *Service) DescribeTrafficSources(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeTrafficSourcesRequest) (*autoscalingapi.DescribeTrafficSourcesResponse, error) {
	types := []string{classicBalancer, targetGroup, lattice}
	if t := in.TrafficSourceType; t != nil {
		if !slices.Contains(types, *t) {
			return nil, validation("Invalid traffic source type: %s. Valid values are %s.", *t, strings.Join(types, ", "))
		}
		types = []string{*t}
	}
	var err error
	out := &autoscalingapi.DescribeTrafficSourcesResponse{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 50).of(in.AutoScalingGroupName)
	out.TrafficSources, out.NextToken, err = paged(ctx, at, walkTraffic(s, in.AutoScalingGroupName, types, func(t *trafficRecord, state string) autoscalingapi.TrafficSourceState {
		return autoscalingapi.TrafficSourceState{TrafficSource: &t.ID, Identifier: &t.ID, Type: &t.Type, State: &state}
	}))
	return out, err
}
