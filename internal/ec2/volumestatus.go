package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// volumeStatusFields are the filters of DescribeVolumeStatus.
func (s *Service) volumeStatusFields() fields[*volumeRecord] {
	always := func(values ...string) func(*volumeRecord) []string {
		return func(*volumeRecord) []string { return values }
	}
	return fields[*volumeRecord]{
		"availability-zone":            func(v *volumeRecord) []string { return oneOf(v.Zone) },
		"availability-zone-id":         func(v *volumeRecord) []string { return oneOf(v.ZoneID) },
		"volume-status.status":         func(v *volumeRecord) []string { return oneOf(v.health()) },
		"volume-status.details-name":   always("io-enabled", "io-performance"),
		"volume-status.details-status": always("passed", "not-applicable"),
		"action.code":                  always(), "action.description": always(), "action.event-id": always(),
		"event.description": always(), "event.event-id": always(), "event.event-type": always(),
		"event.not-after": always(), "event.not-before": always(),
	}
}

// health is the status of a volume: what can be told of one that is being made is nothing yet; one that the
// host could not open again is impaired.
func (v *volumeRecord) health() string {
	switch v.State {
	case volumeCreating:
		return "insufficient-data"
	case volumeError:
		return "impaired"
	}
	return "ok"
}

// DescribeVolumeStatus tells the health of volumes.
// Source: Amazon EBS User Guide, "Amazon EBS volume status checks".
func (s *Service) DescribeVolumeStatus(ctx context.Context, c *guard.Call, in *ec2api.DescribeVolumeStatusRequest) (*ec2api.DescribeVolumeStatusResult, error) {
	out := &ec2api.DescribeVolumeStatusResult{}
	if len(in.VolumeIds) > 0 && in.MaxResults != nil {
		return nil, errIDsAndPage("volumesSet")
	}
	err := s.viewList(ctx, c, "ec2:DescribeVolumeStatus", in.DryRun, func(tx store.Tx) error {
		out.VolumeStatuses = []ec2api.VolumeStatusItem{}
		pass, err := s.volumeStatusFields().Filter(in.Filters)
		if err != nil {
			return err
		}
		found, err := s.selectVolumes(tx, c, in.VolumeIds)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(v *volumeRecord) bool { return !pass(v, nil) })
		found, out.NextToken, err = paginate(c.Operation, found, func(v *volumeRecord) string { return v.ID }, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, v := range found {
			out.VolumeStatuses = append(out.VolumeStatuses, v.statusWire())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (v *volumeRecord) statusWire() ec2api.VolumeStatusItem {
	enabled := "passed"
	if v.health() != "ok" {
		enabled = "failed"
	}
	out := ec2api.VolumeStatusItem{
		VolumeId: &v.ID, AvailabilityZone: &v.Zone, AvailabilityZoneId: &v.ZoneID, Operator: idiom.Unmanaged(),
		Actions: []ec2api.VolumeStatusAction{}, Events: []ec2api.VolumeStatusEvent{},
		VolumeStatus: &ec2api.VolumeStatusInfo{Status: new(v.health()), Details: []ec2api.VolumeStatusDetails{
			{Name: new("io-enabled"), Status: &enabled}, {Name: new("io-performance"), Status: new("not-applicable")},
		}},
	}
	for n := range v.Plugs {
		out.AttachmentStatuses = append(out.AttachmentStatuses, ec2api.VolumeStatusAttachmentStatus{InstanceId: &v.Plugs[n].Instance, IoPerformance: new("not-applicable")})
	}
	return out
}

// DescribeVolumeAttribute tells one attribute of a volume.
func (s *Service) DescribeVolumeAttribute(ctx context.Context, c *guard.Call, in *ec2api.DescribeVolumeAttributeRequest) (*ec2api.DescribeVolumeAttributeResult, error) {
	out := &ec2api.DescribeVolumeAttributeResult{VolumeId: in.VolumeId}
	switch a := api.Val(in.Attribute); a {
	case "autoEnableIO":
		out.AutoEnableIO = &ec2api.AttributeBooleanValue{} // below
	case "productCodes":
		out.ProductCodes = []ec2api.ProductCode{}
	default:
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", a)
	}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		v, err := s.lookupVolume(tx, c, api.Val(in.VolumeId))
		if err != nil {
			return err
		}
		p, err := s.volumePart(tx, c, "ec2:DescribeVolumeAttribute", &v)
		if err != nil {
			return err
		}
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if out.AutoEnableIO != nil {
			out.AutoEnableIO.Value = &v.AutoIO
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
