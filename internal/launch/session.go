package launch

import (
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// Names of the sessions as which service-linked roles launch. That of Auto Scaling is always this
// one, as records of it show; AWS does not publish those of EC2 Spot and of fleets.
const (
	AutoScalingSession = "AutoScaling"
	SpotSession        = "EC2Spot"
	FleetSession       = "EC2Fleet"
	SpotFleetSession   = "EC2SpotFleet"
)

// SessionOf is the name of the sessions of a service-linked role that launches, or "".
func SessionOf(role string) string {
	for service, name := range map[string]string{
		"autoscaling.amazonaws.com": AutoScalingSession, "spot.amazonaws.com": SpotSession,
		"ec2fleet.amazonaws.com": FleetSession, "spotfleet.amazonaws.com": SpotFleetSession,
	} {
		if strings.Contains(role, ":role"+arn.ServiceLinkedPath(service)) {
			return name
		}
	}
	return ""
}
