package ec2

import (
	"context"
	"fmt"
	"strings"

	json "github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// ModifySpotFleetRequest changes the target capacity of a Spot Fleet that maintains it, what becomes of instances that it
// has too much of, and its launch templates. It is done at once: no request is seen in the state modifying.
// Source: EC2 API Reference, ModifySpotFleetRequest.
func (s *Service) ModifySpotFleetRequest(ctx context.Context, c *guard.Call, in *ec2api.ModifySpotFleetRequestRequest) (*ec2api.ModifySpotFleetRequestResponse, error) {
	if err := checkContext(c, in.Context); err != nil {
		return nil, err
	}
	var f fleetRecord
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		id := api.Val(in.SpotFleetRequestId)
		var missing error
		if f, missing = spotFleetNamed(tx, c, id); missing != nil && apierr.Code(missing) == "" {
			return missing
		}
		if err := s.allowSpotModify(tx, c, &f, in, missing); err != nil {
			return err
		}
		switch {
		case missing != nil:
			return missing
		case f.Type != fleetMaintain:
			return apierr.New("InvalidParameterValue", "Only Spot Fleet requests of type maintain can be modified.")
		case !f.live():
			return apierr.Newf("IncorrectState", "The Spot Fleet request %s is not in a modifiable state.", id)
		}
		if err := f.modifySpot(in); err != nil {
			return err
		}
		f.note(s.g.Now(), event{Type: "fleetRequestChange", Sub: "modify_in_progress"})
		f.note(s.g.Now(), event{Type: "fleetRequestChange", Sub: "modify_succeeded"})
		f.Done, f.Failures = false, 0
		return putFleet(tx, f)
	})
	if err != nil {
		return nil, err
	}
	s.fleetLater(&f, s.timing.Volume)
	return &ec2api.ModifySpotFleetRequestResponse{Return: new(true)}, nil
}

// allowSpotModify decides ec2:ModifySpotFleetRequest on a request and on the launch templates that it is to have, which
// become its choices. Source: Service Authorization Reference, "Actions defined by Amazon EC2".
func (s *Service) allowSpotModify(tx store.Tx, c *guard.Call, f *fleetRecord, in *ec2api.ModifySpotFleetRequestRequest, missing error) error {
	id := api.Val(in.SpotFleetRequestId)
	tags, err := tagsOf(tx, c.Region, c.Account(), id)
	if err != nil {
		return err
	}
	p := s.part(c, "ec2:ModifySpotFleetRequest", "spot-fleet-request/"+id, tags)
	if in.ExcessCapacityTerminationPolicy != nil {
		setAttribute(&p, "ExcessCapacityTerminationPolicy", *in.ExcessCapacityTerminationPolicy)
	}
	c.Touch(p.Resource.ARN, c.Account(), "AWS::EC2::SpotFleet")
	parts := []authz.Part{p}
	if missing == nil && len(in.LaunchTemplateConfigs) > 0 {
		var d ec2api.SpotFleetRequestConfigData
		if err := json.Unmarshal(f.Config, &d); err != nil {
			return err
		}
		if len(d.LaunchSpecifications) > 0 {
			return apierr.New("InvalidSpotFleetRequestConfig", "LaunchTemplateConfigs can be modified only of a Spot Fleet request that was made with them.")
		}
		d.LaunchTemplateConfigs = in.LaunchTemplateConfigs
		if f.Pools, err = s.spotFleetPools(tx, c, &d); err != nil {
			return err
		}
		templates, err := s.fleetTemplates(tx, c, f)
		if err != nil {
			return err
		}
		parts = append(parts, templates...)
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// modifySpot changes what answers and rounds of launches read.
func (f *fleetRecord) modifySpot(in *ec2api.ModifySpotFleetRequestRequest) error {
	var d ec2api.SpotFleetRequestConfigData
	if err := json.Unmarshal(f.Config, &d); err != nil {
		return err
	}
	total, onDemand := f.OnDemand+f.Spot, f.OnDemand
	if v := in.TargetCapacity; v != nil {
		total, d.TargetCapacity = *v, v
	}
	if v := in.OnDemandTargetCapacity; v != nil {
		onDemand, d.OnDemandTargetCapacity = *v, v
	}
	if total < 0 || onDemand < 0 || onDemand > total {
		return apierr.New("InvalidSpotFleetRequestConfig", "Parameter: SpotFleetRequestConfig.TargetCapacity is invalid.")
	}
	f.OnDemand, f.Spot = onDemand, total-onDemand
	if err := f.checkSize(); err != nil {
		return err
	}
	if v := in.ExcessCapacityTerminationPolicy; v != nil {
		d.ExcessCapacityTerminationPolicy, f.Excess = v, "termination"
		if strings.EqualFold(*v, "noTermination") {
			f.Excess = "no-termination"
		}
	}
	if len(in.LaunchTemplateConfigs) > 0 {
		d.LaunchTemplateConfigs = in.LaunchTemplateConfigs
	}
	var err error
	f.Config, err = json.Marshal(d, json.OmitZeroStructFields(true), json.Deterministic(true))
	return err
}

// checkSpotFleet refuses settings of a Spot Fleet that EC2 does not know.
func checkSpotFleet(c *guard.Call, kind string, d *ec2api.SpotFleetRequestConfigData) error {
	for name, price := range map[string]*string{"OnDemandMaxTotalPrice": d.OnDemandMaxTotalPrice, "SpotMaxTotalPrice": d.SpotMaxTotalPrice} {
		if err := checkPrice(name, api.Val(price)); err != nil {
			return err
		}
	}
	if m := d.SpotMaintenanceStrategies; m != nil && m.CapacityRebalance != nil {
		if err := checkRebalance(kind, m.CapacityRebalance.ReplacementStrategy, m.CapacityRebalance.TerminationDelay); err != nil {
			return err
		}
	}
	return checkContext(c, d.Context)
}

// historyTypes are the types of events as the history of an EC2 Fleet names them.
// Source: EC2 API Reference, HistoryRecordEntry.
var historyTypes = map[string]string{
	"error": ec2api.FleetEventTypeServiceError, "fleetRequestChange": ec2api.FleetEventTypeFleetChange, "instanceChange": ec2api.FleetEventTypeInstanceChange,
}

// DescribeFleetHistory tells what happened to an EC2 Fleet since a time. Source: EC2 API Reference, DescribeFleetHistory.
func (s *Service) DescribeFleetHistory(ctx context.Context, c *guard.Call, in *ec2api.DescribeFleetHistoryRequest) (*ec2api.DescribeFleetHistoryResult, error) {
	out := &ec2api.DescribeFleetHistoryResult{FleetId: in.FleetId, StartTime: in.StartTime, LastEvaluatedTime: new(s.g.Now())}
	err := s.viewFleet(ctx, c, "fleet", in.FleetId, in.DryRun, func(tx store.Tx) error {
		f, ok, err := fleetTable.Get(tx, c.Region, c.Account(), api.Val(in.FleetId))
		switch {
		case err != nil:
			return err
		case !ok || f.spotFleet():
			return errFleet(api.Val(in.FleetId))
		}
		page, next, err := f.historyPage(c.Operation, func(e *event) bool {
			return !e.At.Before(*in.StartTime) && (in.EventType == nil || historyTypes[e.Type] == *in.EventType)
		}, in.MaxResults, in.NextToken)
		out.HistoryRecords, out.NextToken = []ec2api.HistoryRecordEntry{}, next
		for _, e := range page {
			out.HistoryRecords = append(out.HistoryRecords, ec2api.HistoryRecordEntry{EventType: new(historyTypes[e.Type]), Timestamp: &e.At, EventInformation: e.wire()})
		}
		return err
	})
	return out, err
}

// historyPage is a page of a fleet's events.
func (f *fleetRecord) historyPage(operation string, wanted func(*event) bool, most *int32, token *string) (page []event, next *string, err error) {
	type numbered struct {
		event
		key string
	}
	var items []numbered
	for n, e := range f.History {
		if wanted(&e) {
			items = append(items, numbered{e, fmt.Sprintf("%020d.%06d", e.At.UnixNano(), n)})
		}
	}
	got, next, err := paginate(operation, items, func(i numbered) string { return i.key }, limits{1, 1000}, most, token)
	for _, i := range got {
		page = append(page, i.event)
	}
	return page, next, err
}

func (e *event) wire() *ec2api.EventInformation {
	return &ec2api.EventInformation{EventSubType: &e.Sub, EventDescription: api.Opt(e.Said), InstanceId: api.Opt(e.Instance)}
}
