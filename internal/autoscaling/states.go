package autoscaling

import (
	"slices"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
)

// member states. Source: API Reference, Instance; User Guide, "Amazon EC2 Auto Scaling instance
// lifecycle" and "Lifecycle state transitions for instances in a warm pool".
const (
	statePending           = autoscalingapi.LifecycleStatePending
	stateInService         = autoscalingapi.LifecycleStateInService
	stateTerminating       = autoscalingapi.LifecycleStateTerminating
	stateEnteringStandby   = autoscalingapi.LifecycleStateEnteringStandby
	stateStandby           = autoscalingapi.LifecycleStateStandby
	stateDetaching         = autoscalingapi.LifecycleStateDetaching
	stateWarmedPending     = autoscalingapi.LifecycleStateWarmedPending
	stateWarmedProceed     = autoscalingapi.LifecycleStateWarmedPendingProceed
	stateWarmedStopped     = autoscalingapi.LifecycleStateWarmedStopped
	stateWarmedRunning     = autoscalingapi.LifecycleStateWarmedRunning
	stateWarmedHibernated  = autoscalingapi.LifecycleStateWarmedHibernated
	stateWarmedTerminating = autoscalingapi.LifecycleStateWarmedTerminating

	waitSuffix    = ":Wait"
	proceedSuffix = ":Proceed"

	healthy   = "Healthy"
	unhealthy = "Unhealthy"
)

// pending reports whether a member is on its way into service or into the warm pool.
func (m *memberRecord) pending() bool {
	return slices.Contains([]string{
		statePending, statePending + waitSuffix, stateWarmedPending, stateWarmedPending + waitSuffix, stateWarmedProceed,
	}, m.State)
}

// terminating reports whether a member is on its way out.
func (m *memberRecord) terminating() bool {
	return slices.Contains([]string{
		stateTerminating, stateTerminating + waitSuffix, stateTerminating + proceedSuffix,
		stateWarmedTerminating, stateWarmedTerminating + waitSuffix, stateWarmedTerminating + proceedSuffix,
	}, m.State)
}

// live reports whether a member counts for the group's capacity: it serves, or it will.
func (m *memberRecord) live() bool { return !m.Warm && (m.State == stateInService || m.pending()) }

// resting reports whether a member waits in the warm pool to be used.
func (m *memberRecord) resting() bool { return m.Warm && restOf(m.State) != "" }

// restOf is the state of an EC2 instance in a state of the warm pool.
func restOf(state string) string {
	switch state {
	case stateWarmedStopped, stateWarmedHibernated:
		return ec2api.InstanceStateNameStopped
	case stateWarmedRunning:
		return ec2api.InstanceStateNameRunning
	}
	return ""
}
