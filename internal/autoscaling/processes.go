package autoscaling

import (
	"context"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Processes of a group that can be suspended.
// Source: EC2 Auto Scaling User Guide, "Suspend and resume Amazon EC2 Auto Scaling processes".
const (
	processLaunch           = "Launch"
	processTerminate        = "Terminate"
	processHealthCheck      = "HealthCheck"
	processReplaceUnhealthy = "ReplaceUnhealthy"
	processAlarm            = "AlarmNotification"
	processScheduled        = "ScheduledActions"
	processAZRebalance      = "AZRebalance"
	processInstanceRefresh  = "InstanceRefresh"
)

// processes are all of them, in the order in which they are listed. Those without a constant are
// remembered and have no effect: there is nothing yet that they would stop.
var processes = []string{
	processAZRebalance, "AddToLoadBalancer", processAlarm, processHealthCheck, processInstanceRefresh, processLaunch,
	processReplaceUnhealthy, processScheduled, processTerminate,
}

// suspension is a process that does not run.
type suspension struct{ Process, Reason string }

func (g *groupRecord) suspended(process string) bool {
	return slices.ContainsFunc(g.Suspended, func(s suspension) bool { return s.Process == process })
}

// suspend stops a process, for the first reason that is given.
func (g *groupRecord) suspend(process, reason string) {
	if !g.suspended(process) {
		g.Suspended = append(g.Suspended, suspension{process, reason})
	}
}

func suspendedAt(who string, now time.Time) string {
	return who + " suspended at " + now.UTC().Format("2006-01-02T15:04:05Z")
}

// SuspendProcesses stops processes of a group, all if none is named.
func (s *Service) SuspendProcesses(ctx context.Context, c *guard.Call, in *autoscalingapi.ScalingProcessQuery) error {
	return s.setProcesses(ctx, c, in, "autoscaling:SuspendProcesses", func(g *groupRecord, process string) {
		g.suspend(process, suspendedAt("User", s.g.Now()))
	})
}

// ResumeProcesses lets processes run again, all if none is named, also those that were suspended
// after a day of failed launches.
func (s *Service) ResumeProcesses(ctx context.Context, c *guard.Call, in *autoscalingapi.ScalingProcessQuery) error {
	return s.setProcesses(ctx, c, in, "autoscaling:ResumeProcesses", func(g *groupRecord, process string) {
		g.Suspended = slices.DeleteFunc(g.Suspended, func(s suspension) bool { return s.Process == process })
		if process == processLaunch {
			g.Retry = retry{}
		}
	})
}

func (s *Service) setProcesses(ctx context.Context, c *guard.Call, in *autoscalingapi.ScalingProcessQuery, action string, set func(*groupRecord, string)) error {
	named := in.ScalingProcesses
	for _, p := range named {
		if !slices.Contains(processes, p) {
			return validation("Invalid process name: %s. Valid process names are: %v", p, processes)
		}
	}
	if len(named) == 0 {
		named = processes
	}
	var at place
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		g, err := s.load(tx, c, api.Val(in.AutoScalingGroupName), action, nil)
		if err != nil {
			return err
		}
		at = g.place()
		for _, p := range named {
			set(&g, p)
		}
		return s.put(tx, g)
	})
	if err == nil {
		s.wake(at, 0)
	}
	return err
}
