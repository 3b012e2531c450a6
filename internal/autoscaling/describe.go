package autoscaling

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// after reads a token, which is the key of the last entry shown.
func after(token *string, prefix string) (string, error) {
	if token == nil || *token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || !strings.HasPrefix(string(raw), prefix) {
		return "", apierr.New("InvalidNextToken", "The token '"+*token+"' is invalid.")
	}
	return string(raw), nil
}

func token(key string) *string {
	if key == "" {
		return nil
	}
	return new(base64.RawURLEncoding.EncodeToString([]byte(key)))
}

// bound is the size of a page.
func bound(given *int32, def, limit int) (int, error) {
	if given == nil {
		return def, nil
	}
	if *given < 1 || int(*given) > limit {
		return 0, validation("MaxRecords must be between 1 and %d", limit)
	}
	return int(*given), nil
}

// DescribeAutoScalingGroups lists groups; names that do not exist are left out.
func (s *Service) DescribeAutoScalingGroups(ctx context.Context, c *guard.Call, in *autoscalingapi.AutoScalingGroupNamesType) (*autoscalingapi.AutoScalingGroupsType, error) {
	limit, err := bound(in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	prefix := store.Key(c.Region, c.Account())
	from, err := after(in.NextToken, prefix)
	if err != nil {
		return nil, err
	}
	match, err := groupFilter(in.Filters)
	if err != nil {
		return nil, err
	}
	out := &autoscalingapi.AutoScalingGroupsType{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "autoscaling:DescribeAutoScalingGroups"); err != nil {
			return err
		}
		out.AutoScalingGroups, out.NextToken = []autoscalingapi.AutoScalingGroup{}, nil
		all, err := membersByGroup(tx, prefix)
		if err != nil {
			return err
		}
		last := ""
		for r, err := range groupTable.ScanRange(tx, store.Range{Prefix: prefix, After: from}) {
			if err != nil {
				return err
			}
			g := r.Value
			if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, g.Name) || !match(&g) {
				continue
			}
			if len(out.AutoScalingGroups) == limit {
				out.NextToken = token(last)
				break
			}
			out.AutoScalingGroups = append(out.AutoScalingGroups, g.describe(all[g.Name]))
			last = store.Key(r.Key...)
		}
		return nil
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
	limit, err := bound(in.MaxRecords, 50, 50)
	if err != nil {
		return nil, err
	}
	prefix := store.Key(c.Region, c.Account())
	from, err := after(in.NextToken, prefix)
	if err != nil {
		return nil, err
	}
	out := &autoscalingapi.AutoScalingInstancesType{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "autoscaling:DescribeAutoScalingInstances"); err != nil {
			return err
		}
		out.AutoScalingInstances, out.NextToken = []autoscalingapi.AutoScalingInstanceDetails{}, nil
		last := ""
		for r, err := range memberTable.ScanRange(tx, store.Range{Prefix: prefix, After: from}) {
			if err != nil {
				return err
			}
			m := r.Value
			if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, m.ID) {
				continue
			}
			if len(out.AutoScalingInstances) == limit {
				out.NextToken = token(last)
				break
			}
			out.AutoScalingInstances = append(out.AutoScalingInstances, autoscalingapi.AutoScalingInstanceDetails{
				InstanceId: &m.ID, InstanceType: api.Opt(m.Type), AutoScalingGroupName: &r.Key[2], AvailabilityZone: &m.Zone,
				LifecycleState: &m.State, HealthStatus: new(strings.ToUpper(m.Health)), LaunchTemplate: m.Template.spec(),
				ProtectedFromScaleIn: &m.Protected, LaunchConfigurationName: api.Opt(m.Config), WeightedCapacity: m.weighted(),
			})
			last = store.Key(r.Key...)
		}
		return nil
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
