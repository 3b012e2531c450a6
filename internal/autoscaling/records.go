package autoscaling

import (
	"cmp"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
)

// place is the key under which a group is kept.
type place struct{ Region, Account, Name string }

func (p place) key() []string { return []string{p.Region, p.Account, p.Name} }

// templateRef is a launch template as the caller named it. Version is empty if it was not given.
type templateRef struct {
	ID, Name, Version string
}

// groupRecord is a group as stored.
type groupRecord struct {
	Region, Account, Name, UUID string
	Created                     time.Time
	Min, Max, Desired           int32
	Cooldown                    int32
	Zones                       []string
	Subnets                     string // VPCZoneIdentifier, without spaces
	sourceRecord
	HealthCheckType     string
	GracePeriod         int32
	TerminationPolicies []string
	Protect             bool
	Role                string // ServiceLinkedRoleARN
	Tags                []tagRecord
	MaxLifetime         *int32 `json:",omitempty"`
	Rebalance           *bool  `json:",omitempty"`
	Warmup              *int32 `json:",omitempty"`
	Context             string `json:",omitempty"`
	DesiredType         string `json:",omitempty"`
	ZoneDistribution    string `json:",omitempty"`
	DeletionProtection  string `json:",omitempty"`
	Placement           string `json:",omitempty"` // name of the placement group
	shownRecord
	// Maintenance percentages; -1 each if there is no policy.
	MaintenanceMin, MaintenanceMax int32
	Deleting                       bool  `json:",omitempty"`
	Retry                          retry `json:",omitzero"`
	// Causes are sentences that the next activity begins with: why the capacity changed.
	Causes []string `json:",omitempty"`
	// Scaled says that the capacity is one that a step or target tracking policy raised it to.
	Scaled bool `json:",omitempty"`
	// Launching are the activities whose instance EC2 has not confirmed yet.
	Launching []string `json:",omitempty"`
	// Replace counts unhealthy instances that are still to be replaced.
	Replace int `json:",omitempty"`
	// Suspended are the processes that do not run.
	Suspended []suspension `json:",omitempty"`
	// Traffic are the load balancers and the like that it is attached to, Metrics those that are collected.
	Traffic []trafficRecord `json:",omitempty"`
	Metrics []string        `json:",omitempty"`
	Cooling cooling         `json:",omitzero"`
	// Shrunk is when a target tracking policy took capacity away: what was measured before does not
	// count for that again.
	Shrunk time.Time `json:",omitzero"`
	// Predicted is the hour up to which each predictive policy has had its say.
	Predicted map[string]int64 `json:",omitempty"`
	// Hooks are the lifecycle hooks, Pool the warm pool.
	Hooks []hookRecord `json:",omitempty"`
	Pool  *poolRecord  `json:",omitempty"`
	// Refresh is the last instance refresh that was started.
	Refresh *refreshRecord `json:",omitempty"`
	// Refreshed counts instances taken out to be replaced that still are to be, Refresh or not.
	Refreshed int `json:",omitempty"`
	// Balance is before when no instance is launched to even out the zones.
	Balance time.Time `json:",omitzero"`
	// ZoneIDs are the ids of Zones, in their order; a group that an older version made has none until it is changed.
	ZoneIDs []string      `json:",omitempty"`
	zoneIDs []string      // as given; checkSubnets turns them into Zones
	derived *configRecord // made with the group, after an instance
}

func (g *groupRecord) place() place { return place{g.Region, g.Account, g.Name} }

func (g *groupRecord) arn() string { return groupARN(g.Region, g.Account, g.UUID, g.Name) }

func groupARN(region, account, uuid, name string) string {
	return arn.Make("autoscaling", region, account, "autoScalingGroup:"+uuid+":autoScalingGroupName/"+name)
}

// retry is what a group remembers of launches that failed.
type retry struct {
	Failures int
	Next     time.Time // no launch before
	Since    time.Time // first failure of the row
	Avoid    []string  `json:",omitempty"` // pools that had no capacity
}

type tagRecord struct {
	Key, Value string
	Propagate  bool
}

// memberRecord is an instance of a group.
type memberRecord struct {
	ID, Zone, Type string
	ZoneID         string `json:",omitempty"`
	Subnet         string `json:",omitempty"`
	State          string // LifecycleState
	Health         string // Healthy or Unhealthy
	Protected      bool
	Template       templateRef // id, name and the number of the version it was launched from
	Launched       time.Time
	Activity       string // id of the activity that is about this instance now; "" if none
	// Config is the launch configuration in place of a template, made at ConfigMade.
	Config     string    `json:",omitempty"`
	ConfigMade time.Time `json:",omitzero"`
	Weight     int32     `json:",omitempty"` // units of capacity; 0 is 1
	Weighted   bool      `json:",omitempty"` // the policy gave the weight
	Served     time.Time `json:",omitzero"`  // when it came into service
	Spot       bool      `json:",omitempty"` // by a mixed instances policy
	// Waits are the lifecycle actions that are to be completed before the member goes on.
	Waits    []waitRecord `json:",omitempty"`
	Warm     bool         `json:",omitempty"` // in the warm pool
	Reuse    bool         `json:",omitempty"` // on its way from service into the warm pool
	Starting bool         `json:",omitempty"` // EC2 is still to be asked to start it
	Untagged bool         `json:",omitempty"` // EC2 is still to be asked to tag it: it was attached
	Extra    bool         `json:",omitempty"` // launched before another is taken out: not counted until it serves
	Replace  string       `json:",omitempty"` // why it is to be replaced; "" if it stays
	Scaled   bool         `json:",omitempty"` // launched due to a step or target tracking policy
}

// activityRecord is a scaling activity.
type activityRecord struct {
	ID, Group, GroupARN string
	Description, Cause  string
	Status, Message     string
	Progress            int32
	Start               time.Time
	End                 time.Time
	Details             string
	Instance            string
	Subnet, Zone        string
	Launch              *launchRecord `json:",omitempty"` // until EC2 has answered
}

func (a *activityRecord) open() bool { return a.End.IsZero() }

// Tables. Keys start with region and account.
var (
	groupTable  = store.Table[groupRecord]{Bucket: "autoscaling/group", Version: 1}   // ..., name
	memberTable = store.Table[memberRecord]{Bucket: "autoscaling/member", Version: 1} // ..., name, instance
	memberOf    = store.Table[string]{Bucket: "autoscaling/memberof", Version: 1}     // ..., instance: group
)

// describe is the group as DescribeAutoScalingGroups shows it.
func (g *groupRecord) describe(members []memberRecord) autoscalingapi.AutoScalingGroup {
	var warm int32
	out := autoscalingapi.AutoScalingGroup{
		AutoScalingGroupName: &g.Name, AutoScalingGroupARN: new(g.arn()), CreatedTime: &g.Created,
		MinSize: &g.Min, MaxSize: &g.Max, DesiredCapacity: &g.Desired, DefaultCooldown: &g.Cooldown,
		AvailabilityZones: g.Zones, AvailabilityZoneIds: g.ZoneIDs, VPCZoneIdentifier: &g.Subnets, LaunchTemplate: g.Template.spec(),
		LaunchConfigurationName: api.Opt(g.Config), MixedInstancesPolicy: g.Mixed.describe(),
		HealthCheckType: &g.HealthCheckType, HealthCheckGracePeriod: &g.GracePeriod,
		TerminationPolicies: g.TerminationPolicies, NewInstancesProtectedFromScaleIn: &g.Protect,
		ServiceLinkedRoleARN: &g.Role, MaxInstanceLifetime: g.MaxLifetime, CapacityRebalance: g.Rebalance,
		DefaultInstanceWarmup: g.Warmup, Context: api.Opt(g.Context), DesiredCapacityType: api.Opt(g.DesiredType),
		Instances: []autoscalingapi.Instance{}, Tags: []autoscalingapi.TagDescription{},
		LoadBalancerNames: g.attached(classicBalancer), TargetGroupARNs: g.attached(targetGroup), SuspendedProcesses: []autoscalingapi.SuspendedProcess{},
		EnabledMetrics: g.enabledMetrics(), TrafficSources: g.trafficSources(),
		DeletionProtection: new(cmp.Or(g.DeletionProtection, autoscalingapi.DeletionProtectionNone)), PlacementGroup: api.Opt(g.Placement),
	}
	out.AvailabilityZoneDistribution = &autoscalingapi.AvailabilityZoneDistribution{
		CapacityDistributionStrategy: new(cmp.Or(g.ZoneDistribution, autoscalingapi.CapacityDistributionStrategyBalancedBestEffort)),
	}
	g.shownRecord.describe(&out)
	if g.MaintenanceMin >= 0 {
		out.InstanceMaintenancePolicy = &autoscalingapi.InstanceMaintenancePolicy{
			MinHealthyPercentage: &g.MaintenanceMin, MaxHealthyPercentage: &g.MaintenanceMax,
		}
	}
	if g.Deleting {
		out.Status = new("Delete in progress")
	}
	for _, p := range g.Suspended {
		out.SuspendedProcesses = append(out.SuspendedProcesses, autoscalingapi.SuspendedProcess{
			ProcessName: &p.Process, SuspensionReason: &p.Reason,
		})
	}
	for _, m := range members {
		if m.Warm {
			warm++
			continue
		}
		out.Instances = append(out.Instances, m.describe())
	}
	if g.Pool != nil {
		out.WarmPoolConfiguration, out.WarmPoolSize = g.Pool.describe(), &warm
	}
	for _, t := range g.Tags {
		out.Tags = append(out.Tags, t.describe(g.Name))
	}
	return out
}

// zoneID is the id of one of the group's zones, "" if it is not known.
func (g *groupRecord) zoneID(zone string) string {
	if n := slices.Index(g.Zones, zone); n >= 0 && n < len(g.ZoneIDs) {
		return g.ZoneIDs[n]
	}
	return ""
}

func (t templateRef) spec() *autoscalingapi.LaunchTemplateSpecification {
	if t.ID == "" {
		return nil
	}
	return &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateId: &t.ID, LaunchTemplateName: api.Opt(t.Name), Version: api.Opt(t.Version)}
}

func (m *memberRecord) describe() autoscalingapi.Instance {
	return autoscalingapi.Instance{
		InstanceId: &m.ID, InstanceType: api.Opt(m.Type), AvailabilityZone: &m.Zone, AvailabilityZoneId: api.Opt(m.ZoneID), LifecycleState: &m.State,
		HealthStatus: &m.Health, LaunchTemplate: m.Template.spec(), ProtectedFromScaleIn: &m.Protected,
		LaunchConfigurationName: api.Opt(m.Config), WeightedCapacity: m.weighted(),
	}
}

// weighted is the weight as it is shown: only if the policy gave one.
func (m *memberRecord) weighted() *string {
	if !m.Weighted {
		return nil
	}
	return new(itoa(m.weight()))
}

func (t tagRecord) describe(group string) autoscalingapi.TagDescription {
	return autoscalingapi.TagDescription{
		ResourceId: &group, ResourceType: new("auto-scaling-group"), Key: &t.Key, Value: &t.Value, PropagateAtLaunch: &t.Propagate,
	}
}

// describe is the activity as its group's history shows it; deleted says that the group is gone.
func (a *activityRecord) describe(deleted bool) autoscalingapi.Activity {
	out := autoscalingapi.Activity{
		ActivityId: &a.ID, AutoScalingGroupName: &a.Group, Description: &a.Description, Cause: &a.Cause,
		StartTime: new(a.Start.Truncate(time.Millisecond)), StatusCode: &a.Status, StatusMessage: api.Opt(a.Message), Progress: &a.Progress,
		Details: &a.Details, AutoScalingGroupARN: &a.GroupARN,
	}
	if !a.End.IsZero() {
		out.EndTime = new(a.End.Truncate(time.Second))
	}
	if deleted {
		out.AutoScalingGroupState = new("Deleted")
	}
	return out
}
