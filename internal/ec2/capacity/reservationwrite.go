package capacity

import (
	"context"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

func (s *Service) reservationOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateCapacityReservation":       guard.Handle(s.CreateCapacityReservation),
		"ModifyCapacityReservation":       guard.Handle(s.ModifyCapacityReservation),
		"CancelCapacityReservation":       guard.Handle(s.CancelCapacityReservation),
		"DescribeCapacityReservations":    guard.Handle(s.DescribeCapacityReservations),
		"GetCapacityReservationUsage":     guard.Handle(s.GetCapacityReservationUsage),
		"GetGroupsForCapacityReservation": guard.Handle(s.GetGroupsForCapacityReservation),

		"CreateCapacityReservationBySplitting": guard.Handle(s.CreateCapacityReservationBySplitting),
		"MoveCapacityReservationInstances":     guard.Handle(s.MoveCapacityReservationInstances),
	}
}

// ModifyCapacityReservation changes how many instances an active reservation has, when it ends, and for whom it is.
// Source: EC2 API Reference, ModifyCapacityReservation; EC2 User Guide, "Modify an active Capacity Reservation".
func (s *Service) ModifyCapacityReservation(ctx context.Context, c *guard.Call, in *ec2api.ModifyCapacityReservationRequest) (*ec2api.ModifyCapacityReservationResult, error) {
	if in.InstanceCount == nil && in.EndDate == nil && in.EndDateType == nil && in.InstanceMatchCriteria == nil && in.Accept == nil && in.AdditionalInfo == nil {
		return nil, apierr.New("MissingParameter", "At least one of instanceCount, endDate, endDateType and instanceMatchCriteria must be specified")
	}
	return &ec2api.ModifyCapacityReservationResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(reservationKind, *in.CapacityReservationId).Telling(func(p *authz.Part) {
			if in.InstanceCount != nil {
				setAttribute(p, "InstanceCount", strconv.Itoa(int(*in.InstanceCount)))
			}
			if in.EndDate != nil {
				setAttribute(p, "EndDate", in.EndDate.UTC().Format(time.RFC3339))
			}
			setAttribute(p, "EndDateType", api.Val(in.EndDateType))
			setAttribute(p, "InstanceMatchCriteria", api.Val(in.InstanceMatchCriteria))
		}))
		if err != nil {
			return err
		}
		r, err := s.open(tx, c, *in.CapacityReservationId)
		if err != nil {
			return err
		}
		used, err := s.used(tx, c)
		if err != nil {
			return err
		}
		if err := r.change(c.Time, in, used[r.ID]); err != nil {
			return err
		}
		return reservationTable.Put(tx, r, r.key()...)
	})
}

// change is what a request changes of a reservation that is in use by some instances.
func (r *reservationRecord) change(now time.Time, in *ec2api.ModifyCapacityReservationRequest, used int32) error {
	if n := in.InstanceCount; n != nil {
		if err := checkCount(*n); err != nil {
			return err
		}
		if *n < used {
			return idiom.InvalidValue("Value (%d) for parameter instanceCount is invalid. %d instances run in the capacity reservation.", *n, used)
		}
		if now.Before(r.Committed) && *n < r.Count {
			return errCommitted(r)
		}
		r.Count = *n
	}
	if in.EndDate != nil || in.EndDateType != nil {
		end, err := endOf(now, in.EndDateType, in.EndDate)
		if err != nil {
			return err
		}
		if !end.IsZero() && end.Before(r.Committed) {
			return errCommitted(r)
		}
		r.Ends = end
	}
	if in.InstanceMatchCriteria != nil {
		targeted := *in.InstanceMatchCriteria == ec2api.InstanceMatchCriteriaTargeted
		if targeted != r.Targeted && used > 0 {
			return apierr.New("InvalidParameterCombination", "The instance eligibility of a capacity reservation that is in use cannot be changed.")
		}
		r.Targeted = targeted
	}
	return nil
}

func errCommitted(r *reservationRecord) error {
	return apierr.Newf("OperationNotPermitted", "The capacity reservation '%s' is committed until %s.", r.ID, r.Committed.UTC().Format(time.RFC3339))
}

// open is a reservation that has neither ended nor been cancelled.
func (s *Service) open(tx store.Tx, c *guard.Call, id string) (reservationRecord, error) {
	r, err := s.reservation(tx, c, id)
	if err == nil && !r.ended(c.Time).IsZero() {
		err = apierr.Newf("InvalidCapacityReservationState", "The capacity reservation '%s' is %s.", id, r.state(c.Time))
	}
	return r, err
}

// CancelCapacityReservation gives a reservation up. Instances that run in it keep running.
// Source: EC2 API Reference, CancelCapacityReservation; EC2 User Guide, "Cancel a Capacity Reservation".
func (s *Service) CancelCapacityReservation(ctx context.Context, c *guard.Call, in *ec2api.CancelCapacityReservationRequest) (*ec2api.CancelCapacityReservationResult, error) {
	return &ec2api.CancelCapacityReservationResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(reservationKind, *in.CapacityReservationId)); err != nil {
			return err
		}
		r, err := s.open(tx, c, *in.CapacityReservationId)
		if err != nil {
			return err
		}
		if c.Time.Before(r.Committed) && !c.Time.Before(r.Starts) {
			return errCommitted(&r)
		}
		r.Cancelled = c.Time
		return reservationTable.Put(tx, r, r.key()...)
	})
}

// dateText is a time as filters name it. Source: EC2 API Reference, DescribeCapacityReservations, Filters.
func dateText(t *time.Time) []string {
	if t == nil {
		return nil
	}
	return idiom.One(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// reservationFields are the filters of DescribeCapacityReservations.
// Source: EC2 API Reference, DescribeCapacityReservations, Filters.
func reservationFields() idiom.Fields[ec2api.CapacityReservation] {
	text := func(get func(*ec2api.CapacityReservation) *string) func(ec2api.CapacityReservation) []string {
		return func(r ec2api.CapacityReservation) []string { return idiom.One(api.Val(get(&r))) }
	}
	return idiom.Fields[ec2api.CapacityReservation]{
		"instance-type":           text(func(r *ec2api.CapacityReservation) *string { return r.InstanceType }),
		"owner-id":                text(func(r *ec2api.CapacityReservation) *string { return r.OwnerId }),
		"instance-platform":       text(func(r *ec2api.CapacityReservation) *string { return r.InstancePlatform }),
		"availability-zone":       text(func(r *ec2api.CapacityReservation) *string { return r.AvailabilityZone }),
		"availability-zone-id":    text(func(r *ec2api.CapacityReservation) *string { return r.AvailabilityZoneId }),
		"tenancy":                 text(func(r *ec2api.CapacityReservation) *string { return r.Tenancy }),
		"outpost-arn":             text(func(r *ec2api.CapacityReservation) *string { return r.OutpostArn }),
		"state":                   text(func(r *ec2api.CapacityReservation) *string { return r.State }),
		"end-date-type":           text(func(r *ec2api.CapacityReservation) *string { return r.EndDateType }),
		"instance-match-criteria": text(func(r *ec2api.CapacityReservation) *string { return r.InstanceMatchCriteria }),
		"placement-group-arn":     text(func(r *ec2api.CapacityReservation) *string { return r.PlacementGroupArn }),
		"start-date":              func(r ec2api.CapacityReservation) []string { return dateText(r.StartDate) },
		"end-date":                func(r ec2api.CapacityReservation) []string { return dateText(r.EndDate) },
	}
}

// DescribeCapacityReservations lists the caller's reservations; those that ended for an hour.
// Source: EC2 API Reference, DescribeCapacityReservations.
func (s *Service) DescribeCapacityReservations(ctx context.Context, c *guard.Call, in *ec2api.DescribeCapacityReservationsRequest) (*ec2api.DescribeCapacityReservationsResult, error) {
	out := &ec2api.DescribeCapacityReservationsResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.List(tx, c, in.DryRun); err != nil {
			return err
		}
		all, err := s.reservations(tx, c)
		if err != nil {
			return err
		}
		used, err := s.used(tx, c)
		if err != nil {
			return err
		}
		items := []ec2api.CapacityReservation{}
		for n := range all {
			items = append(items, all[n].wire(c.Time, used[all[n].ID]))
		}
		out.CapacityReservations, out.NextToken, err = idiom.Query[ec2api.CapacityReservation]{
			IDs: in.CapacityReservationIds, Missing: errReservation, Fields: reservationFields(), Filters: in.Filters, Limits: idiom.AnyPage,
			Max: in.MaxResults, Token: in.NextToken,
			Described: func(r *ec2api.CapacityReservation) (string, *[]ec2api.Tag) { return *r.CapacityReservationId, &r.Tags },
		}.Answer(tx, c, items)
		return err
	})
}

// GetCapacityReservationUsage tells how much of a reservation each account uses: its owner alone, for reservations are
// not shared. Source: EC2 API Reference, GetCapacityReservationUsage.
func (s *Service) GetCapacityReservationUsage(ctx context.Context, c *guard.Call, in *ec2api.GetCapacityReservationUsageRequest) (*ec2api.GetCapacityReservationUsageResult, error) {
	out := &ec2api.GetCapacityReservationUsageResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(reservationKind, *in.CapacityReservationId)); err != nil {
			return err
		}
		r, err := s.shown(tx, c, *in.CapacityReservationId)
		if err != nil {
			return err
		}
		*out = ec2api.GetCapacityReservationUsageResult{
			CapacityReservationId: r.CapacityReservationId, InstanceType: r.InstanceType, TotalInstanceCount: r.TotalInstanceCount,
			AvailableInstanceCount: r.AvailableInstanceCount, State: r.State,
		}
		var usages []ec2api.InstanceUsage
		for _, a := range r.CapacityAllocations {
			usages = append(usages, ec2api.InstanceUsage{AccountId: r.OwnerId, UsedInstanceCount: a.Count})
		}
		out.InstanceUsages, out.NextToken, err = idiom.Page(c.Operation, usages, func(u ec2api.InstanceUsage) string { return *u.AccountId },
			idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}

// GetGroupsForCapacityReservation lists the resource groups that a reservation is in: none, for there are no resource
// groups. Source: EC2 API Reference, GetGroupsForCapacityReservation.
func (s *Service) GetGroupsForCapacityReservation(ctx context.Context, c *guard.Call, in *ec2api.GetGroupsForCapacityReservationRequest) (*ec2api.GetGroupsForCapacityReservationResult, error) {
	out := &ec2api.GetGroupsForCapacityReservationResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if err := s.desk.Allow(tx, c, in.DryRun, nil, idiom.On(reservationKind, *in.CapacityReservationId)); err != nil {
			return err
		}
		out.CapacityReservationGroups, out.NextToken, err = idiom.Page(c.Operation, []ec2api.CapacityReservationGroup{},
			func(g ec2api.CapacityReservationGroup) string { return *g.GroupArn }, idiom.AnyPage, in.MaxResults, in.NextToken)
		return err
	})
}
