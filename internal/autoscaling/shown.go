package autoscaling

import (
	"cmp"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
)

// A shownRecord is what a group keeps and shows, without any effect here: there are neither zonal shifts nor
// capacity reservations.
type shownRecord struct {
	Impairment   *autoscalingapi.AvailabilityZoneImpairmentPolicy `json:",omitempty"`
	Reservations *autoscalingapi.CapacityReservationSpecification `json:",omitempty"`
	Lifecycle    *autoscalingapi.InstanceLifecyclePolicy          `json:",omitempty"`
}

// set takes over what a request says.
func (s *shownRecord) set(impairment *autoscalingapi.AvailabilityZoneImpairmentPolicy, reservations *autoscalingapi.CapacityReservationSpecification,
	lifecycle *autoscalingapi.InstanceLifecyclePolicy,
) error {
	if r := reservations; r != nil {
		t := r.CapacityReservationTarget
		named := t != nil && len(t.CapacityReservationIds)+len(t.CapacityReservationResourceGroupArns) > 0
		if named && slices.Contains([]string{"", autoscalingapi.CapacityReservationPreferenceNone, autoscalingapi.CapacityReservationPreferenceDefault}, api.Val(r.CapacityReservationPreference)) {
			return validation("A CapacityReservationTarget needs the CapacityReservationPreference capacity-reservations-only or capacity-reservations-first.")
		}
		s.Reservations = r
	}
	if impairment != nil {
		s.Impairment = impairment
	}
	if lifecycle != nil {
		s.Lifecycle = lifecycle
	}
	return nil
}

// describe shows it, with the defaults. Source: API Reference, AutoScalingGroup.
func (s *shownRecord) describe(out *autoscalingapi.AutoScalingGroup) {
	out.AvailabilityZoneImpairmentPolicy = &autoscalingapi.AvailabilityZoneImpairmentPolicy{
		ZonalShiftEnabled: new(false), ImpairedZoneHealthCheckBehavior: new(autoscalingapi.ImpairedZoneHealthCheckBehaviorIgnoreUnhealthy),
	}
	if p := s.Impairment; p != nil {
		own := out.AvailabilityZoneImpairmentPolicy
		own.ZonalShiftEnabled = new(api.Val(p.ZonalShiftEnabled))
		own.ImpairedZoneHealthCheckBehavior = new(cmp.Or(api.Val(p.ImpairedZoneHealthCheckBehavior), *own.ImpairedZoneHealthCheckBehavior))
	}
	out.CapacityReservationSpecification = &autoscalingapi.CapacityReservationSpecification{CapacityReservationPreference: new(autoscalingapi.CapacityReservationPreferenceDefault)}
	if r := s.Reservations; r != nil {
		out.CapacityReservationSpecification = &autoscalingapi.CapacityReservationSpecification{
			CapacityReservationPreference: new(cmp.Or(api.Val(r.CapacityReservationPreference), autoscalingapi.CapacityReservationPreferenceDefault)),
			CapacityReservationTarget:     r.CapacityReservationTarget,
		}
	}
	out.InstanceLifecyclePolicy = s.Lifecycle
}
