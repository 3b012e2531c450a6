package autoscaling

import (
	"context"
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
		all, err := membersByGroup(tx, r.Prefix)
		if err != nil {
			return err
		}
		return scan(tx, groupTable, r, func(key []string, g *groupRecord) bool {
			if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, g.Name) || !match(g) {
				return true
			}
			return yield(store.Key(key...), g.describe(all[g.Name]))
		})
	})
	return out, err
}

// membersByGroup reads the instances of all groups of an account and region at once: a transaction
// may read only so often.
func membersByGroup(tx store.Tx, prefix string) (map[string][]memberRecord, error) {
	all := map[string][]memberRecord{}
	for r, err := range memberTable.ScanRange(tx, store.Range{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		all[r.Key[2]] = append(all[r.Key[2]], r.Value)
	}
	return all, nil
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
	var err error
	out := &autoscalingapi.AutoScalingInstancesType{}
	at := s.page(c, in.NextToken, in.MaxRecords, 50, 50)
	out.AutoScalingInstances, out.NextToken, err = paged(ctx, at, func(tx store.Tx, r store.Range, yield func(string, autoscalingapi.AutoScalingInstanceDetails) bool) error {
		return scan(tx, memberTable, r, func(key []string, m *memberRecord) bool {
			if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, m.ID) {
				return true
			}
			return yield(store.Key(key...), autoscalingapi.AutoScalingInstanceDetails{
				InstanceId: &m.ID, InstanceType: api.Opt(m.Type), AutoScalingGroupName: &key[2], AvailabilityZone: &m.Zone,
				LifecycleState: &m.State, HealthStatus: new(strings.ToUpper(m.Health)), LaunchTemplate: m.Template.spec(),
				ProtectedFromScaleIn: &m.Protected, LaunchConfigurationName: api.Opt(m.Config), WeightedCapacity: m.weighted(),
			})
		})
	})
	return out, err
}

// DescribeScalingActivities lists activities, those in progress first, then the newest.
func (s *Service) DescribeScalingActivities(ctx context.Context, c *guard.Call, in *autoscalingapi.DescribeScalingActivitiesType) (*autoscalingapi.ActivitiesType, error) {
	limit, err := bound(in.MaxRecords, 100, 100)
	if err != nil {
		return nil, err
	}
	prefix := store.Key(c.Region, c.Account())
	from, err := after(in.NextToken, prefix)
	if err != nil {
		return nil, err
	}
	out := &autoscalingapi.ActivitiesType{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		out.Activities, out.NextToken = []autoscalingapi.Activity{}, nil
		if err := s.allowList(tx, c, "autoscaling:DescribeScalingActivities"); err != nil {
			return err
		}
		name, deletedToo := api.Val(in.AutoScalingGroupName), api.Val(in.IncludeDeletedGroups)
		alive, err := groupARNs(tx, prefix)
		if err != nil {
			return err
		}
		if name != "" && alive[name] == "" && !deletedToo {
			return notFound(name)
		}
		deleted := func(a *activityRecord) bool { return alive[a.Group] != a.GroupARN }
		want := func(a *activityRecord) bool {
			return (name == "" || a.Group == name) && (len(in.ActivityIds) == 0 || slices.Contains(in.ActivityIds, a.ID)) &&
				(deletedToo || !deleted(a)) && s.g.Now().Sub(a.Start) < activityAge
		}
		if from == "" {
			if err := scanActivities(tx, prefix, "", func(a *activityRecord, _ string) bool {
				if want(a) && a.open() {
					out.Activities = append(out.Activities, a.describe(deleted(a)))
				}
				return true
			}); err != nil {
				return err
			}
		}
		last := prefix // before the first finished one
		return scanActivities(tx, prefix, from, func(a *activityRecord, key string) bool {
			if !want(a) || a.open() {
				return true
			}
			if len(out.Activities) >= limit {
				out.NextToken = token(last)
				return false
			}
			out.Activities = append(out.Activities, a.describe(deleted(a)))
			last = key
			return true
		})
	})
	return out, err
}

// groupARNs are the groups of an account and region: name to ARN.
func groupARNs(tx store.Tx, prefix string) (map[string]string, error) {
	arns := map[string]string{}
	for r, err := range groupTable.ScanRange(tx, store.Range{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		arns[r.Value.Name] = r.Value.arn()
	}
	return arns, nil
}

func scanActivities(tx store.Tx, prefix, from string, yield func(*activityRecord, string) bool) error {
	for r, err := range activityTable.ScanRange(tx, store.Range{Prefix: prefix, After: from}) {
		if err != nil {
			return err
		}
		if !yield(&r.Value, store.Key(r.Key...)) {
			return nil
		}
	}
	return nil
}
