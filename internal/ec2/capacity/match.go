package capacity

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func inOrder(all []reservationRecord) []reservationRecord {
	slices.SortFunc(all, func(a, b reservationRecord) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return all
}

// matches reports whether an instance has the attributes of a reservation. Spot Instances and those on Dedicated Hosts
// run in none. Source: EC2 User Guide, "On-Demand Capacity Reservation concepts", matching attributes.
func (r *reservationRecord) matches(u *Use) bool {
	return !u.Spot && u.Type == r.Type && u.Platform == r.Platform && u.Zone == r.Zone && u.Tenancy == r.Tenancy && (r.Group == "" || u.Group == r.Group)
}

// takes reports whether a reservation is one that an instance may run in.
func (r *reservationRecord) takes(u *Use) bool {
	if u.Want.Target != "" {
		return r.ID == u.Want.Target && r.matches(u)
	}
	return !r.Targeted && u.Want.Preference != ec2api.CapacityReservationPreferenceNone && r.matches(u)
}

// assign tells which reservation each instance runs in: first those that ask for one, in that; then those that take
// any open one, the oldest in the oldest that has room. So who runs in one keeps it: nobody is launched into one that
// is full, and one is not made smaller than what is used of it.
// Source: EC2 User Guide, "On-Demand Capacity Reservation concepts", instance eligibility.
func assign(now time.Time, all []reservationRecord, uses []Use) map[string]string {
	left := map[string]int32{}
	for n := range all {
		if all[n].active(now) {
			left[all[n].ID] = all[n].Count
		}
	}
	uses = slices.Clone(uses)
	slices.SortFunc(uses, func(a, b Use) int {
		return cmp.Or(-cmp.Compare(len(a.Want.Target), len(b.Want.Target)), a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
	})
	out := map[string]string{}
	for n := range uses {
		u := &uses[n]
		at := slices.IndexFunc(all, func(r reservationRecord) bool { return left[r.ID] > 0 && r.takes(u) })
		if at >= 0 {
			left[all[at].ID]--
			out[u.ID] = all[at].ID
		}
	}
	return out
}

// Held tells which reservation each of the caller's instances runs in; what is in none is not among them.
func (s *Service) Held(tx store.Tx, c *guard.Call) (map[string]string, error) {
	all, err := s.reservations(tx, c)
	if err != nil || !slices.ContainsFunc(all, func(r reservationRecord) bool { return r.active(c.Time) }) {
		return nil, err
	}
	uses, err := s.instances.Uses(tx, c)
	return assign(c.Time, all, uses), err
}

// used is how many instances run in each reservation.
func (s *Service) used(tx store.Tx, c *guard.Call) (map[string]int32, error) {
	held, err := s.Held(tx, c)
	out := map[string]int32{}
	for _, id := range held {
		out[id]++
	}
	return out, err
}

// Check fails for an instance that asks for a reservation that it cannot run in, whatever room there is.
// Source: EC2 API Reference, RunInstances, CapacityReservationSpecification.
func (s *Service) Check(tx store.Tx, c *guard.Call, u *Use) error {
	if u.Want.Target == "" {
		return nil
	}
	r, err := s.target(tx, c, u)
	if err == nil && !r.matches(u) {
		err = apierr.Newf("InvalidParameterValue", "The attributes of the instance do not match those of the capacity reservation '%s'.", r.ID)
	}
	return err
}

// CheckStopped is Check for an instance that does not run: whether it has the attributes of the reservation shows
// when it is started.
func (s *Service) CheckStopped(tx store.Tx, c *guard.Call, u *Use) error {
	if u.Want.Target == "" {
		return nil
	}
	_, err := s.target(tx, c, u)
	return err
}

// target is the reservation that an instance asks for.
func (s *Service) target(tx store.Tx, c *guard.Call, u *Use) (reservationRecord, error) {
	r, err := s.reservation(tx, c, u.Want.Target)
	switch {
	case err != nil:
	case !r.active(c.Time):
		err = apierr.Newf("InvalidCapacityReservationState", "The capacity reservation '%s' is not active.", r.ID)
	case u.Spot:
		err = apierr.New("InvalidParameterCombination", "Spot Instances cannot run in a capacity reservation.")
	}
	return r, err
}

// Zone is where instances run that ask for the reservation, "" of one that does not exist: the launch fails on that.
func (s *Service) Zone(tx store.Tx, c *guard.Call, id string) (string, error) {
	r, err := s.reservation(tx, c, id)
	if apierr.Code(err) != "" {
		return "", nil
	}
	return r.Zone, err
}

// Room tells how many instances like one can be launched: what their reservation has left if they ask for one, what
// all open ones have left if they run in nothing else, and else any number.
// Source: EC2 API Reference, "Error codes" (ReservationCapacityExceeded).
func (s *Service) Room(tx store.Tx, c *guard.Call, u *Use) (int, error) {
	if u.Want.Target == "" && u.Want.Preference != ec2api.CapacityReservationPreferenceCapacityReservationsOnly {
		return math.MaxInt, nil
	}
	if err := s.Check(tx, c, u); err != nil {
		return 0, err
	}
	all, err := s.reservations(tx, c)
	if err != nil {
		return 0, err
	}
	used, err := s.used(tx, c)
	room := 0
	for n := range all {
		if r := &all[n]; r.active(c.Time) && r.takes(u) {
			room += int(r.Count - used[r.ID])
		}
	}
	return room, err
}

// Fit is Room for some instances: it fails if not so many can be launched.
func (s *Service) Fit(tx store.Tx, c *guard.Call, u *Use, n int) error {
	room, err := s.Room(tx, c, u)
	if err == nil && room < n {
		err = errExceeded()
	}
	return err
}

func errExceeded() error {
	return apierr.New("ReservationCapacityExceeded", "Requested capacity exceeds what is available in the capacity reservation.")
}
