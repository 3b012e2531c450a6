package capacity

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// source finds a reservation that so many instances can leave: those that are available first, then those that run
// there and take any open reservation, if it is open itself.
// Source: EC2 User Guide, "Move capacity between Capacity Reservations" and "Split off capacity from an existing
// Capacity Reservation".
func (s *Service) source(tx store.Tx, c *guard.Call, id string, n int32) (reservationRecord, error) {
	r, err := s.active(tx, c, id)
	switch {
	case err != nil:
		return r, err
	case n < 1:
		return r, idiom.InvalidValue("Value (%d) for parameter instanceCount is invalid. It is at least 1.", n)
	case c.Time.Before(r.Committed):
		return r, errCommitted(&r)
	}
	held, err := s.Held(tx, c)
	if err != nil {
		return r, err
	}
	uses, err := s.instances.Uses(tx, c)
	if err != nil {
		return r, err
	}
	most := r.Count
	for _, u := range uses {
		stays := r.Targeted || u.Want.Target != "" || u.Want.Preference == ec2api.CapacityReservationPreferenceCapacityReservationsOnly
		if held[u.ID] == id && stays {
			most--
		}
	}
	if n > most {
		return r, idiom.InvalidValue("Value (%d) for parameter instanceCount is invalid. %d instances can leave the capacity reservation '%s'.", n, most, id)
	}
	return r, nil
}

// active is a reservation in the state active.
func (s *Service) active(tx store.Tx, c *guard.Call, id string) (reservationRecord, error) {
	r, err := s.reservation(tx, c, id)
	if err == nil && !r.active(c.Time) {
		err = apierr.Newf("InvalidCapacityReservationState", "The capacity reservation '%s' is %s.", id, r.state(c.Time))
	}
	return r, err
}

// both are the two reservations of a split or a move as its answer carries them.
func (s *Service) both(tx store.Tx, c *guard.Call, from, to string) (source, destination *ec2api.CapacityReservation, err error) {
	if source, err = s.shown(tx, c, from); err != nil {
		return nil, nil, err
	}
	destination, err = s.shown(tx, c, to)
	return source, destination, err
}

// CreateCapacityReservationBySplitting makes a reservation of some instances of another one, like it but for its tags;
// at least one stays. Source: EC2 API Reference, of that name.
func (s *Service) CreateCapacityReservationBySplitting(ctx context.Context, c *guard.Call, in *ec2api.CreateCapacityReservationBySplittingRequest) (*ec2api.CreateCapacityReservationBySplittingResult, error) {
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, reservationKind)
	if err != nil {
		return nil, err
	}
	tags, id, from, n := specs[reservationKind], idiom.RandomID("cr"), *in.SourceCapacityReservationId, *in.InstanceCount
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(from, n, in.TagSpecifications))
	out := &ec2api.CreateCapacityReservationBySplittingResult{InstanceCount: &n}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, &idiom.Made{Kind: reservationKind, ID: id, Tags: tags}, idiom.On(reservationKind, from)); err != nil {
			return err
		}
		to, err := token.Seen(tx, c)
		if err != nil {
			return err
		}
		if to == "" {
			to = id
			if err := s.split(tx, c, from, id, n); err != nil {
				return err
			}
			if err := idiom.PutTags(tx, c.Region, c.Account(), id, tags); err != nil {
				return err
			}
			if err := token.Remember(tx, c, c.Time, id); err != nil {
				return err
			}
		}
		out.SourceCapacityReservation, out.DestinationCapacityReservation, err = s.both(tx, c, from, to)
		return err
	})
}

func (s *Service) split(tx store.Tx, c *guard.Call, from, id string, n int32) error {
	r, err := s.source(tx, c, from, n)
	if err != nil {
		return err
	}
	if n >= r.Count {
		return idiom.InvalidValue("Value (%d) for parameter instanceCount is invalid. At least one instance stays in the capacity reservation '%s'.", n, from)
	}
	part := r
	part.ID, part.Count, part.Created = id, n, c.Time
	r.Count -= n
	if err := reservationTable.Put(tx, r, r.key()...); err != nil {
		return err
	}
	return reservationTable.Put(tx, part, part.key()...)
}

// MoveCapacityReservationInstances moves instances of a reservation to one with the same attributes, whoever is
// eligible for it; one that none are left in is cancelled. Source: EC2 API Reference, of that name.
func (s *Service) MoveCapacityReservationInstances(ctx context.Context, c *guard.Call, in *ec2api.MoveCapacityReservationInstancesRequest) (*ec2api.MoveCapacityReservationInstancesResult, error) {
	from, to, n := *in.SourceCapacityReservationId, *in.DestinationCapacityReservationId, *in.InstanceCount
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(from, to, n))
	out := &ec2api.MoveCapacityReservationInstancesResult{InstanceCount: &n}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(reservationKind, from), idiom.On(reservationKind, to)); err != nil {
			return err
		}
		done, err := token.Seen(tx, c)
		if err != nil {
			return err
		}
		if done == "" {
			if err := s.move(tx, c, from, to, n); err != nil {
				return err
			}
			if err := token.Remember(tx, c, c.Time, to); err != nil {
				return err
			}
		}
		out.SourceCapacityReservation, out.DestinationCapacityReservation, err = s.both(tx, c, from, to)
		return err
	})
}

func (s *Service) move(tx store.Tx, c *guard.Call, from, to string, n int32) error {
	if from == to {
		return idiom.InvalidValue("The source and the destination are the same capacity reservation.")
	}
	r, err := s.source(tx, c, from, n)
	if err != nil {
		return err
	}
	d, err := s.active(tx, c, to)
	if err != nil {
		return err
	}
	if r.Type != d.Type || r.Platform != d.Platform || r.Zone != d.Zone || r.Tenancy != d.Tenancy || r.Group != d.Group || !r.Ends.Equal(d.Ends) {
		return idiom.InvalidValue("The capacity reservations '%s' and '%s' do not have the same instance type, platform, Availability Zone, tenancy, placement group and end time.", from, to)
	}
	if free, err := s.room(tx, c, &r); err != nil || d.Targeted && n > free {
		return orInvalid(err, "Instances that run in the capacity reservation '%s' can only be moved to an open one.", from)
	}
	r.Count, d.Count = r.Count-n, d.Count+n
	if err := checkCount(d.Count); err != nil {
		return err
	}
	if r.Count == 0 {
		r.Cancelled = c.Time
	}
	if err := reservationTable.Put(tx, r, r.key()...); err != nil {
		return err
	}
	return reservationTable.Put(tx, d, d.key()...)
}

// room is how many instances of a reservation are available.
func (s *Service) room(tx store.Tx, c *guard.Call, r *reservationRecord) (int32, error) {
	used, err := s.used(tx, c)
	return r.Count - used[r.ID], err
}

func orInvalid(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return idiom.InvalidValue(format, args...)
}
