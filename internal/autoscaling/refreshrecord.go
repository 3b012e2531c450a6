package autoscaling

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/store"
)

// Statuses of an instance refresh. Source: API Reference, InstanceRefresh.
const (
	refreshPending        = autoscalingapi.InstanceRefreshStatusPending
	refreshInProgress     = autoscalingapi.InstanceRefreshStatusInProgress
	refreshBaking         = autoscalingapi.InstanceRefreshStatusBaking
	refreshCancelling     = autoscalingapi.InstanceRefreshStatusCancelling
	refreshCancelled      = autoscalingapi.InstanceRefreshStatusCancelled
	refreshSuccessful     = autoscalingapi.InstanceRefreshStatusSuccessful
	refreshFailed         = autoscalingapi.InstanceRefreshStatusFailed
	refreshRollingBack    = autoscalingapi.InstanceRefreshStatusRollbackInProgress
	refreshRollbackDone   = autoscalingapi.InstanceRefreshStatusRollbackSuccessful
	refreshRollbackFailed = autoscalingapi.InstanceRefreshStatusRollbackFailed
)

// Times after which an instance refresh gives up. Source: User Guide, "How an instance refresh
// works in an Auto Scaling group".
const (
	refreshPatience = time.Hour           // for instances that cannot be replaced
	refreshLongest  = 14 * 24 * time.Hour // in all
)

// refreshRecord is an instance refresh. While it runs it is kept with its group as well.
type refreshRecord struct {
	ID, Status string
	Reason     string `json:",omitempty"`
	Start, End time.Time
	Prefs      refreshPrefs
	// Desired is what the new instances are launched from, which becomes the group's if all goes well.
	Desired *sourceRecord `json:",omitempty"`
	// Versions are the versions of launch templates that count as new, by id: of SkipMatching.
	Versions map[string]string `json:",omitempty"`
	// Total are the instances that the refresh replaces, Left those that are not replaced yet.
	Total, Left int32
	WarmTotal   int32 `json:",omitempty"`
	WarmLeft    int32 `json:",omitempty"`
	Percent     int32
	Checkpoint  int       `json:",omitempty"` // that comes next
	Paused      time.Time `json:",omitzero"`  // while pending and at a checkpoint, until then
	Baked       time.Time `json:",omitzero"`  // when the bake time ends
	Progressed  time.Time // when an instance was last replaced
	Moving      bool      `json:",omitempty"` // Cancelling waits for instances on their way
	Rollback    *rollback `json:",omitempty"`
}

// rollback is how far a refresh was when it was turned back.
type rollback struct {
	Reason        string
	Start         time.Time
	Percent, Left int32
}

// refreshPrefs are the preferences, with the defaults filled in.
type refreshPrefs struct {
	Min, Max           int32
	Warmup             *int32  `json:",omitempty"`
	Checkpoints        []int32 `json:",omitempty"`
	Delay              int32
	Skip, AutoRollback bool
	Protected, Standby string
	Bake               int32    `json:",omitempty"`
	Alarms             []string `json:",omitempty"`
}

// refreshTable keeps instance refreshes, the newest of a group first: region, account, id of the
// group, order, id.
var refreshTable = store.Table[refreshRecord]{Bucket: "autoscaling/refresh", Version: 1}

// refreshAlarms are the alarms that the refreshes of groups watch: region, account, alarm, group: id of
// the refresh. What is over is removed when the alarm is raised.
var refreshAlarms = store.Table[string]{Bucket: "autoscaling/refreshalarm", Version: 1}

// watching are the groups whose refresh watches an alarm.
func watching(tx store.Tx, region, account, alarm string) (found []place, err error) {
	for r, err := range refreshAlarms.Scan(tx, region, account, alarm) {
		if err != nil {
			return nil, err
		}
		at := place{region, account, r.Key[3]}
		g, ok, err := groupTable.Get(tx, at.key()...)
		switch {
		case err != nil:
			return nil, err
		case ok && g.Refresh.active() && g.Refresh.ID == r.Value:
			found = append(found, at)
		default:
			if err := refreshAlarms.Delete(tx, r.Key...); err != nil {
				return nil, err
			}
		}
		if len(found) >= 40 { // more than a transaction may read: they are seen with the next datum
			break
		}
	}
	return found, nil
}

// order is a key that sorts later times first.
func order(t time.Time) string { return fmt.Sprintf("%016x", math.MaxInt64-t.UnixNano()) }

func (r *refreshRecord) active() bool {
	return r != nil && slices.Contains([]string{refreshPending, refreshInProgress, refreshBaking, refreshCancelling, refreshRollingBack}, r.Status)
}

// launches reports whether the refresh makes the group launch from its desired configuration.
func (r *refreshRecord) launches() bool {
	return r.active() && r.Desired != nil && r.Status != refreshRollingBack && r.Status != refreshCancelling
}

// source is the group as it launches now: from the desired configuration of a refresh that runs.
func (g *groupRecord) source() groupRecord {
	from := *g
	if g.Refresh.launches() {
		from.sourceRecord = *g.Refresh.Desired
	}
	return from
}

// putRefresh stores the refresh of a group in its history, and with the group.
func (s *Service) putRefresh(tx store.Tx, g *groupRecord) error {
	r := g.Refresh
	if err := refreshTable.Put(tx, *r, g.Region, g.Account, g.UUID, order(r.Start), r.ID); err != nil {
		return err
	}
	return s.put(tx, *g)
}

// warmup is how long an instance in service does not count yet.
func (g *groupRecord) warmup() time.Duration {
	seconds := int32(0)
	switch {
	case g.Refresh.active() && g.Refresh.Prefs.Warmup != nil:
		seconds = *g.Refresh.Prefs.Warmup
	case g.Warmup != nil && *g.Warmup >= 0:
		seconds = *g.Warmup
	case g.Refresh.active():
		seconds = g.GracePeriod
	}
	return time.Duration(seconds) * time.Second
}

func (r *refreshRecord) describe(group string) autoscalingapi.InstanceRefresh {
	out := autoscalingapi.InstanceRefresh{
		InstanceRefreshId: &r.ID, AutoScalingGroupName: &group, Status: &r.Status, StatusReason: api.Opt(r.Reason),
		StartTime: new(r.Start.Truncate(time.Second)), Strategy: new(autoscalingapi.RefreshStrategyRolling), Preferences: r.Prefs.describe(),
		DesiredConfiguration: r.Desired.describe(),
	}
	if r.Status != refreshPending {
		out.PercentageComplete, out.InstancesToUpdate, out.ProgressDetails = &r.Percent, &r.Left, r.progress()
	}
	if !r.End.IsZero() {
		out.EndTime = new(r.End.Truncate(time.Second))
	}
	if b := r.Rollback; b != nil {
		out.RollbackDetails = &autoscalingapi.RollbackDetails{
			RollbackReason: &b.Reason, RollbackStartTime: new(b.Start.Truncate(time.Second)),
			PercentageCompleteOnRollback: &b.Percent, InstancesToUpdateOnRollback: &b.Left,
		}
	}
	return out
}

// progress tells the live and the warm pool apart, if there are instances of the latter to replace.
func (r *refreshRecord) progress() *autoscalingapi.InstanceRefreshProgressDetails {
	if r.WarmTotal == 0 {
		return nil
	}
	live := max(0, r.Left-r.WarmLeft)
	return &autoscalingapi.InstanceRefreshProgressDetails{
		LivePoolProgress: &autoscalingapi.InstanceRefreshLivePoolProgress{
			PercentageComplete: new(percentDone(r.Total-r.WarmTotal, live)), InstancesToUpdate: &live,
		},
		WarmPoolProgress: &autoscalingapi.InstanceRefreshWarmPoolProgress{
			PercentageComplete: new(percentDone(r.WarmTotal, r.WarmLeft)), InstancesToUpdate: &r.WarmLeft,
		},
	}
}

func percentDone(total, left int32) int32 {
	if total <= 0 || left <= 0 {
		return 100
	}
	return max(0, (total-left)*100/total)
}

func (s *sourceRecord) describe() *autoscalingapi.DesiredConfiguration {
	if s == nil {
		return nil
	}
	return &autoscalingapi.DesiredConfiguration{LaunchTemplate: s.Template.spec(), MixedInstancesPolicy: s.Mixed.describe()}
}

func (p *refreshPrefs) describe() *autoscalingapi.RefreshPreferences {
	out := &autoscalingapi.RefreshPreferences{
		MinHealthyPercentage: &p.Min, MaxHealthyPercentage: &p.Max, InstanceWarmup: p.Warmup, SkipMatching: &p.Skip,
		AutoRollback: &p.AutoRollback, ScaleInProtectedInstances: &p.Protected, StandbyInstances: &p.Standby, CheckpointPercentages: p.Checkpoints,
	}
	if len(p.Checkpoints) > 0 {
		out.CheckpointDelay = &p.Delay
	}
	if p.Bake > 0 {
		out.BakeTime = &p.Bake
	}
	if len(p.Alarms) > 0 {
		out.AlarmSpecification = &autoscalingapi.AlarmSpecification{Alarms: p.Alarms}
	}
	return out
}

// preferences reads the preferences of a refresh. What is not given follows from the group's
// instance maintenance policy. Source: API Reference, RefreshPreferences.
func (g *groupRecord) preferences(in *autoscalingapi.RefreshPreferences) (refreshPrefs, error) {
	p := refreshPrefs{Min: 90, Max: 100, Delay: 3600, Protected: "Wait", Standby: "Wait"}
	if g.MaintenanceMin >= 0 {
		p.Min, p.Max = g.MaintenanceMin, g.MaintenanceMax
	}
	if in == nil {
		return p, nil
	}
	set(&p.Min, in.MinHealthyPercentage)
	set(&p.Max, in.MaxHealthyPercentage)
	set(&p.Delay, in.CheckpointDelay)
	set(&p.Skip, in.SkipMatching)
	set(&p.AutoRollback, in.AutoRollback)
	set(&p.Protected, in.ScaleInProtectedInstances)
	set(&p.Standby, in.StandbyInstances)
	set(&p.Bake, in.BakeTime)
	p.Warmup, p.Checkpoints = in.InstanceWarmup, in.CheckpointPercentages
	if p.Warmup != nil && *p.Warmup < 0 { // -1: the group's own
		p.Warmup = nil
	}
	if in.AlarmSpecification != nil {
		p.Alarms = in.AlarmSpecification.Alarms
	}
	switch {
	case in.MinHealthyPercentage == nil && in.MaxHealthyPercentage != nil:
		return p, validation("If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage.")
	case p.Max-p.Min > 100:
		return p, validation("The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.")
	case !slices.IsSortedFunc(p.Checkpoints, func(a, b int32) int { return int(a - b) }) || len(slices.Compact(slices.Clone(p.Checkpoints))) < len(p.Checkpoints):
		return p, validation("CheckpointPercentages must be in ascending order, each once.")
	case in.CheckpointDelay != nil && len(p.Checkpoints) == 0:
		return p, validation("CheckpointDelay needs CheckpointPercentages.")
	}
	return p, nil
}
