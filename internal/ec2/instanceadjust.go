package ec2

import (
	"context"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// adjust changes options of one instance that is not terminated; the decision is told of the attribute.
func (s *Service) adjust(ctx context.Context, c *guard.Call, id *string, flag *bool, attribute, value string, change func(tx store.Tx, i *instanceRecord) error) error {
	defer s.locks.Lock(api.Val(id))()
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, id, flag, func(p *authz.Part) { setAttribute(p, attribute, value) })
		if err != nil {
			return err
		}
		if i.State == terminated || i.State == shuttingDown {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is terminated.", i.ID)
		}
		if err := change(tx, &i); err != nil {
			return err
		}
		return putInstance(tx, i)
	})
}

// ModifyInstanceCapacityReservationAttributes changes which capacity reservations a stopped instance may use.
// Source: EC2 API Reference, ModifyInstanceCapacityReservationAttributes.
func (s *Service) ModifyInstanceCapacityReservationAttributes(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceCapacityReservationAttributesRequest) (*ec2api.ModifyInstanceCapacityReservationAttributesResult, error) {
	var o instanceOptions
	if err := o.reserve(in.CapacityReservationSpecification); err != nil {
		return nil, err
	}
	out := &ec2api.ModifyInstanceCapacityReservationAttributesResult{Return: new(true)}
	return out, s.adjust(ctx, c, in.InstanceId, in.DryRun, "CapacityReservationPreference", o.Reservations, func(tx store.Tx, i *instanceRecord) error {
		if i.State != stopped || i.Work != "" {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		i.Options.Reservations, i.Options.ReservationTarget = o.Reservations, o.ReservationTarget
		return s.capacity.CheckStopped(tx, c, i.use())
	})
}

// ModifyPrivateDnsNameOptions changes what a stopped instance is named by and found under.
// Source: EC2 API Reference, ModifyPrivateDnsNameOptions; EC2 User Guide, "Modify hostname types and DNS names".
func (s *Service) ModifyPrivateDnsNameOptions(ctx context.Context, c *guard.Call, in *ec2api.ModifyPrivateDnsNameOptionsRequest) (*ec2api.ModifyPrivateDnsNameOptionsResult, error) {
	kind := api.Val(in.PrivateDnsHostnameType)
	if in.PrivateDnsHostnameType != nil && kind != hostByAddress && kind != hostByResource {
		return nil, invalidValue("Value (%s) for parameter privateDnsHostnameType is invalid.", kind)
	}
	out := &ec2api.ModifyPrivateDnsNameOptionsResult{Return: new(true)}
	return out, s.adjust(ctx, c, in.InstanceId, in.DryRun, "PrivateDnsHostnameType", kind, func(_ store.Tx, i *instanceRecord) error {
		if kind != "" && (kind == hostByResource) != i.Options.ByResource && (i.State != stopped || i.Work != "") {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		if kind != "" {
			i.Options.ByResource = kind == hostByResource
		}
		if in.EnableResourceNameDnsARecord != nil {
			i.Options.ResourceA = *in.EnableResourceNameDnsARecord
		}
		if in.EnableResourceNameDnsAAAARecord != nil {
			i.Options.ResourceAAAA = *in.EnableResourceNameDnsAAAARecord
		}
		return nil
	})
}
