package autoscaling

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeAutoScalingGroups lists groups; names that do not exist are left out.
func (s *Service) DescribeAutoScalingGroups(ctx context.Context, c *guard.Call, in *autoscalingapi.AutoScalingGroupNamesType) (*autoscalingapi.AutoScalingGroupsType, error) {
	match, err := groupFilter(in.Filters)
	if err != nil {
		return nil, err
	}
	out := &autoscalingapi.AutoScalingGroupsType{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 100)
	out.AutoScalingGroups, out.NextToken, err = paged(ctx, at, func(tx store.Tx, r store.Range, yield func(string, autoscalingapi.AutoScalingGroup) bool) error {
		groups, members := groupTable.ScanRange(tx, r), memberTable.ScanRange(tx, r)
		if names := in.AutoScalingGroupNames; 0 < len(names) && len(names) <= fewGroups {
			groups, members = groupsNamed(tx, c, names)
		}
		return withMembers(groups, members, func(key []string, g *groupRecord, all []memberRecord) bool {
			if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, g.Name) || !match(g) {
				return true
			}
			shown := g.describe(all)
			if in.IncludeInstances != nil && !*in.IncludeInstances {
				shown.Instances = nil
			}
			return yield(store.Key(key...), shown)
		})
	})
	return out, err
}

// fewGroups is how many groups are read one by one, each with its instances; with more, all are.
const fewGroups = 30

// groupsNamed reads groups by their names, and their instances, in the order of the names.
func groupsNamed(tx store.Tx, c *guard.Call, names []string) (groups iter.Seq2[store.Record[groupRecord], error], members iter.Seq2[store.Record[memberRecord], error]) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	groups = func(yield func(store.Record[groupRecord], error) bool) {
		for _, n := range names {
			if r, ok, err := groupTable.Load(tx, c.Region, c.Account(), n); (ok || err != nil) && !yield(r, err) {
				return
			}
		}
	}
	members = func(yield func(store.Record[memberRecord], error) bool) {
		for _, n := range names {
			for r, err := range memberTable.Scan(tx, c.Region, c.Account(), n) {
				if !yield(r, err) {
					return
				}
			}
		}
	}
	return groups, members
}

// withMembers shows groups with their instances, until see returns false. Both are read side by side
// in the order of the groups' names, and only as far as needed: a transaction may read only so often.
func withMembers(groups iter.Seq2[store.Record[groupRecord], error], members iter.Seq2[store.Record[memberRecord], error],
	see func(key []string, g *groupRecord, all []memberRecord) bool) error {
	next, stop := iter.Pull2(members)
	defer stop()
	m, err, more := next()
	for g, failed := range groups {
		var all []memberRecord
		for ; more && err == nil && failed == nil && m.Key[2] <= g.Value.Name; m, err, more = next() {
			if m.Key[2] == g.Value.Name {
				all = append(all, m.Value)
			}
		}
		if err := errors.Join(failed, err); err != nil {
			return err
		}
		if !see(g.Key, &g.Value, all) {
			return nil
		}
	}
	return nil
}

// groupFilter understands tag-key, tag-value and tag:KEY.
func groupFilter(filters []autoscalingapi.Filter) (func(*groupRecord) bool, error) {
	for _, f := range filters {
		if n := api.Val(f.Name); n != "tag-key" && n != "tag-value" && !strings.HasPrefix(n, "tag:") {
			return nil, validation("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<tagKey>", n)
		}
	}
	return func(g *groupRecord) bool {
		for _, f := range filters {
			n := api.Val(f.Name)
			ok := slices.ContainsFunc(g.Tags, func(t tagRecord) bool {
				switch {
				case n == "tag-key":
					return slices.Contains(f.Values, t.Key)
				case n == "tag-value":
					return slices.Contains(f.Values, t.Value)
				}
				return t.Key == n[len("tag:"):] && slices.Contains(f.Values, t.Value)
			})
			if !ok {
				return false
			}
		}
		return true
	}, nil
}

// DescribeAutoScalingInstances lists instances of any group.
func (s *Service) DescribeAutoScalingInstances(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeAutoScalingInstancesType) (*autoscalingapi.AutoScalingInstancesType, error) {
	out := &autoscalingapi.AutoScalingInstancesType{}
	if len(in.InstanceIds) > maxNamedInstances {
		return nil, validation("The number of instance ids that may be passed in is limited to %d", maxNamedInstances)
	}
	owners, err := s.owners(ctx, c, in.InstanceIds)
	if err != nil {
		return nil, err
	}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 50)
	out.AutoScalingInstances, out.NextToken, err = paged(ctx, at, func(tx store.Tx, r store.Range, yield func(string, autoscalingapi.AutoScalingInstanceDetails) bool) error {
		tell := func(key []string, m *memberRecord) bool {
			return yield(store.Key(key...), autoscalingapi.AutoScalingInstanceDetails{
				InstanceId: &m.ID, InstanceType: api.Opt(m.Type), AutoScalingGroupName: &key[2], AvailabilityZone: &m.Zone, AvailabilityZoneId: api.Opt(m.ZoneID),
				LifecycleState: &m.State, HealthStatus: new(strings.ToUpper(m.Health)), LaunchTemplate: m.Template.spec(),
				ProtectedFromScaleIn: &m.Protected, LaunchConfigurationName: api.Opt(m.Config), WeightedCapacity: m.weighted(),
			})
		}
		if len(in.InstanceIds) == 0 {
			return scan(tx, memberTable, r, tell)
		}
		for _, key := range owners {
			if m, ok, err := memberTable.Get(tx, key...); err != nil {
				return err
			} else if ok && !tell(key, &m) {
				return nil
			}
		}
		return nil
	})
	return out, err
}

// maxNamedInstances is how many instances one request may name. Source: API Reference,
// DescribeAutoScalingInstances.
const maxNamedInstances = 50

// owners are the keys of those instances that belong to a group, in order.
func (s *Service) owners(ctx context.Context, c *guard.Call, ids []string) (keys [][]string, err error) {
	err = s.g.Read(ctx, func(tx store.Tx) error {
		keys = nil
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			name, ok, err := memberOf.Get(tx, c.Region, c.Account(), id)
			if err != nil {
				return err
			}
			if ok {
				keys = append(keys, []string{c.Region, c.Account(), name, id})
			}
		}
		return nil
	})
	slices.SortFunc(keys, slices.Compare)
	return keys, err
}
