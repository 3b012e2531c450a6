package capacity

import (
	"context"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/hardware"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

const reservationKind = "capacity-reservation"

// A reservationRecord is a Capacity Reservation.
type reservationRecord struct {
	Region   string `json:"region"`
	Account  string `json:"account"`
	ID       string `json:"id"`
	Type     string `json:"type"`
	Platform string `json:"platform"`
	Zone     string `json:"zone"`
	ZoneID   string `json:"zoneId"`
	Tenancy  string `json:"tenancy"`
	Count    int32  `json:"count"`
	Targeted bool   `json:"targeted,omitempty"` // only for who asks for it
	Group    string `json:"group,omitempty"`    // ARN of a placement group

	EbsOptimized bool `json:"ebsOptimized,omitempty"`
	Ephemeral    bool `json:"ephemeral,omitempty"`

	Created   time.Time `json:"created"`
	Starts    time.Time `json:"starts,omitzero"`
	Ends      time.Time `json:"ends,omitzero"` // zero: unlimited
	Cancelled time.Time `json:"cancelled,omitzero"`
	// Committed is until when a reservation of the future cannot be given up.
	Committed time.Time `json:"committed,omitzero"`
	Delivery  string    `json:"delivery,omitempty"`
}

// reservationTable is keyed by (region, account, id).
var reservationTable = store.Table[reservationRecord]{Bucket: "ec2/capacity-reservation", Version: 1}

func (r *reservationRecord) key() []string { return []string{r.Region, r.Account, r.ID} }

// state follows from the time. Source: EC2 User Guide, "Capacity Reservation state".
func (r *reservationRecord) state(now time.Time) string {
	switch {
	case !r.Cancelled.IsZero():
		return ec2api.CapacityReservationStateCancelled
	case !r.Ends.IsZero() && !now.Before(r.Ends):
		return ec2api.CapacityReservationStateExpired
	case now.Before(r.Starts):
		return ec2api.CapacityReservationStateScheduled
	}
	return ec2api.CapacityReservationStateActive
}

func (r *reservationRecord) active(now time.Time) bool {
	return r.state(now) == ec2api.CapacityReservationStateActive
}

// ended is since when a reservation is cancelled or expired, zero if it is neither.
func (r *reservationRecord) ended(now time.Time) time.Time {
	if !r.Cancelled.IsZero() {
		return r.Cancelled
	}
	if !r.Ends.IsZero() && !now.Before(r.Ends) {
		return r.Ends
	}
	return time.Time{}
}

func errReservation(id string) error {
	return apierr.Newf("InvalidCapacityReservationId.NotFound", "The capacity reservation '%s' does not exist.", id)
}

// reservation is the caller's reservation with an id.
func (s *Service) reservation(tx store.Tx, c *guard.Call, id string) (reservationRecord, error) {
	r, ok, err := reservationTable.Get(tx, c.Region, c.Account(), id)
	if err == nil && (!ok || s.forgotten(c, &r)) {
		err = errReservation(id)
	}
	return r, err
}

func (s *Service) forgotten(c *guard.Call, r *reservationRecord) bool {
	at := r.ended(c.Time)
	return !at.IsZero() && c.Time.Sub(at) > remembered
}

// reservations are the caller's, in the order in which they were made.
func (s *Service) reservations(tx store.Tx, c *guard.Call) ([]reservationRecord, error) {
	var out []reservationRecord
	for rec, err := range reservationTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		if !s.forgotten(c, &rec.Value) {
			out = append(out, rec.Value)
		}
	}
	return inOrder(out), nil
}

// wire is a reservation as answers carry it, with used of its instances in use.
func (r *reservationRecord) wire(now time.Time, used int32) ec2api.CapacityReservation {
	match, end, free := ec2api.InstanceMatchCriteriaOpen, ec2api.EndDateTypeUnlimited, int32(0)
	if r.Targeted {
		match = ec2api.InstanceMatchCriteriaTargeted
	}
	if r.active(now) {
		free = r.Count - used
	}
	w := ec2api.CapacityReservation{
		CapacityReservationId: &r.ID, OwnerId: &r.Account, CapacityReservationArn: new(arn.EC2(r.Region, r.Account, reservationKind+"/"+r.ID)),
		InstanceType: &r.Type, InstancePlatform: &r.Platform, AvailabilityZone: &r.Zone, AvailabilityZoneId: &r.ZoneID, Tenancy: &r.Tenancy,
		TotalInstanceCount: &r.Count, AvailableInstanceCount: &free, EbsOptimized: &r.EbsOptimized, EphemeralStorage: &r.Ephemeral,
		State: new(r.state(now)), StartDate: &r.Created, CreateDate: &r.Created, EndDateType: &end, InstanceMatchCriteria: &match,
		PlacementGroupArn: api.Opt(r.Group), ReservationType: new(ec2api.CapacityReservationTypeDefault), DeliveryPreference: api.Opt(r.Delivery),
	}
	if !r.Starts.IsZero() {
		w.StartDate = &r.Starts
	}
	if !r.Ends.IsZero() {
		end, w.EndDate = ec2api.EndDateTypeLimited, &r.Ends
	}
	if !r.Committed.IsZero() {
		w.CommitmentInfo = &ec2api.CapacityReservationCommitmentInfo{CommittedInstanceCount: &r.Count, CommitmentEndDate: &r.Committed}
	}
	w.CapacityAllocations = []ec2api.CapacityAllocation{} // shown also where there are none
	if used > 0 {
		w.CapacityAllocations = append(w.CapacityAllocations, ec2api.CapacityAllocation{AllocationType: new(ec2api.AllocationTypeUsed), Count: &used})
	}
	return w
}

// newReservation reads a request for a reservation.
// Source: EC2 API Reference, CreateCapacityReservation; EC2 User Guide, "Create a Capacity Reservation".
func (s *Service) newReservation(c *guard.Call, in *ec2api.CreateCapacityReservationRequest) (reservationRecord, error) {
	r := reservationRecord{
		Region: c.Region, Account: c.Account(), ID: idiom.RandomID("cr"), Type: *in.InstanceType, Platform: *in.InstancePlatform, Count: *in.InstanceCount,
		Tenancy: ec2api.CapacityReservationTenancyDefault, Created: c.Time, Group: api.Val(in.PlacementGroupArn), Delivery: api.Val(in.DeliveryPreference),
		Targeted: api.Val(in.InstanceMatchCriteria) == ec2api.InstanceMatchCriteriaTargeted, EbsOptimized: api.Val(in.EbsOptimized), Ephemeral: api.Val(in.EphemeralStorage),
	}
	if in.Tenancy != nil {
		r.Tenancy = *in.Tenancy
	}
	if _, ok := hardware.Lookup(r.Type); !ok {
		return r, idiom.InvalidValue("Invalid value '%s' for InstanceType.", r.Type)
	}
	if in.OutpostArn != nil {
		return r, apierr.New("UnsupportedOperation", "This server does not support Outposts.")
	}
	if err := checkCount(r.Count); err != nil {
		return r, err
	}
	var err error
	if r.Zone, r.ZoneID, err = zoneOf(c, api.Val(in.AvailabilityZone), api.Val(in.AvailabilityZoneId)); err != nil {
		return r, err
	}
	if r.Ends, err = endOf(c.Time, in.EndDateType, in.EndDate); err != nil {
		return r, err
	}
	return r, r.later(in)
}

// maxInstances is how many instances a reservation has at most. Source: EC2 API Reference, CreateCapacityReservation.
const maxInstances = 1000

func checkCount(n int32) error {
	if n < 1 || n > maxInstances {
		return idiom.InvalidValue("Value (%d) for parameter instanceCount is invalid. It is from 1 to %d.", n, maxInstances)
	}
	return nil
}

// endOf is when a reservation ends, zero if it does not. Source: EC2 API Reference, CreateCapacityReservation, EndDate
// and EndDateType.
func endOf(now time.Time, kind *string, end *time.Time) (time.Time, error) {
	limited := api.Val(kind) == ec2api.EndDateTypeLimited
	switch {
	case limited && end == nil:
		return time.Time{}, apierr.New("MissingParameter", "The request must contain the parameter endDate if endDateType is limited")
	case kind != nil && !limited && end != nil:
		return time.Time{}, apierr.New("InvalidParameterCombination", "The parameter endDate cannot be used with the endDateType unlimited.")
	case end == nil:
		return time.Time{}, nil
	case !end.After(now):
		return time.Time{}, idiom.InvalidValue("The end date %s is in the past.", end.UTC().Format(time.RFC3339))
	}
	return *end, nil
}

// Limits of reservations of the future. Source: EC2 User Guide, "Create a future-dated Capacity Reservation".
const (
	soonest, latest = 5 * 24 * time.Hour, 120 * 24 * time.Hour
	leastCommitment = 14 * 24 * time.Hour
)

// later reads what a request says of a reservation that begins in the future.
func (r *reservationRecord) later(in *ec2api.CreateCapacityReservationRequest) error {
	if in.StartDate == nil {
		if in.CommitmentDuration != nil || in.DeliveryPreference != nil {
			return apierr.New("InvalidParameterCombination", "The parameters commitmentDuration and deliveryPreference need a startDate.")
		}
		return nil
	}
	r.Starts = *in.StartDate
	commitment := time.Duration(api.Val(in.CommitmentDuration)) * time.Second
	r.Committed = r.Starts.Add(commitment)
	switch ahead := r.Starts.Sub(r.Created); {
	case ahead < soonest || ahead > latest:
		return idiom.InvalidValue("The start date of a future-dated Capacity Reservation is from 5 to 120 days in advance.")
	case commitment < leastCommitment:
		return idiom.InvalidValue("Value (%d) for parameter commitmentDuration is invalid. It is at least %d seconds.",
			api.Val(in.CommitmentDuration), int64(leastCommitment/time.Second))
	case !r.Ends.IsZero() && r.Ends.Before(r.Committed):
		return idiom.InvalidValue("The end date is before the end of the commitment.")
	}
	if r.Delivery == "" {
		r.Delivery = ec2api.CapacityReservationDeliveryPreferenceFixed
	}
	return nil
}

// describe puts what a new reservation is to be into a part.
func (r *reservationRecord) describe(p *authz.Part) {
	w := r.wire(r.Created, 0)
	p.Context.Set("ec2:availabilityzone", r.Zone)
	p.Context.Set("ec2:availabilityzoneid", r.ZoneID)
	p.Context.Set("ec2:instancetype", r.Type)
	p.Context.Set("ec2:instanceplatform", r.Platform)
	p.Context.Set("ec2:instancecount", strconv.Itoa(int(r.Count)))
	p.Context.Set("ec2:instancematchcriteria", *w.InstanceMatchCriteria)
	p.Context.Set("ec2:tenancy", r.Tenancy)
	p.Context.Set("ec2:enddatetype", *w.EndDateType)
	p.Context.SetBool("ec2:ebsoptimized", r.EbsOptimized)
	p.Context.SetBool("ec2:ephemeralstorage", r.Ephemeral)
	if !r.Ends.IsZero() {
		p.Context.Set("ec2:enddate", r.Ends.UTC().Format(time.RFC3339))
	}
	if !r.Committed.IsZero() {
		p.Context.Set("ec2:commitmentduration", strconv.FormatInt(int64(r.Committed.Sub(r.Starts)/time.Second), 10))
	}
	if r.Group != "" {
		p.Context.Set("ec2:placementgroup", r.Group)
	}
}

// CreateCapacityReservation sets instances of a type aside in a zone.
func (s *Service) CreateCapacityReservation(ctx context.Context, c *guard.Call, in *ec2api.CreateCapacityReservationRequest) (*ec2api.CreateCapacityReservationResult, error) {
	r, err := s.newReservation(c, in)
	if err != nil {
		return nil, err
	}
	specs, err := idiom.TagSpecs(c, in.TagSpecifications, reservationKind)
	if err != nil {
		return nil, err
	}
	tags, plain := specs[reservationKind], *in
	plain.ClientToken, plain.DryRun = nil, nil
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(plain))
	out := &ec2api.CreateCapacityReservationResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		if r.Group != "" {
			if err := s.instances.Cluster(tx, c, r.Group); err != nil {
				return err
			}
		}
		made := &idiom.Made{Kind: reservationKind, ID: r.ID, Tags: tags, Describe: r.describe}
		if err := s.desk.Allow(tx, c, in.DryRun, made); err != nil {
			return err
		}
		before, err := token.Seen(tx, c)
		if err != nil {
			return err
		}
		if before != "" {
			out.CapacityReservation, err = s.shown(tx, c, before)
			return err
		}
		if err := sweep(tx, c, reservationTable, func(r *reservationRecord) (string, time.Time) { return r.ID, r.ended(c.Time) }); err != nil {
			return err
		}
		if err := reservationTable.Put(tx, r, r.key()...); err != nil {
			return err
		}
		if err := idiom.PutTags(tx, c.Region, c.Account(), r.ID, tags); err != nil {
			return err
		}
		if err := token.Remember(tx, c, c.Time, r.ID); err != nil {
			return err
		}
		out.CapacityReservation, err = s.shown(tx, c, r.ID)
		return err
	})
}

// shown is a reservation as an answer about it alone carries it.
func (s *Service) shown(tx store.Tx, c *guard.Call, id string) (*ec2api.CapacityReservation, error) {
	r, err := s.reservation(tx, c, id)
	if err != nil {
		return nil, err
	}
	used, err := s.used(tx, c)
	if err != nil {
		return nil, err
	}
	w := r.wire(c.Time, used[id])
	tags, err := idiom.TagsOf(tx, c.Region, c.Account(), id)
	w.Tags = idiom.Listed(tags)
	return &w, err
}
