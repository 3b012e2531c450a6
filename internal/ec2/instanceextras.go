package ec2

import (
	"cmp"
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// DescribeInstanceCreditSpecifications tells how burstable instances get CPU credits: the others
// have none and are left out. Source: EC2 API Reference, DescribeInstanceCreditSpecifications; EC2
// User Guide, "Unlimited mode for burstable performance instances", defaults.
func (s *Service) DescribeInstanceCreditSpecifications(ctx context.Context, c *guard.Call, in *ec2api.DescribeInstanceCreditSpecificationsRequest) (*ec2api.DescribeInstanceCreditSpecificationsResult, error) {
	out := &ec2api.DescribeInstanceCreditSpecificationsResult{}
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, errIDsAndPage("instancesSet")
	}
	err := s.viewList(ctx, c, "ec2:DescribeInstanceCreditSpecifications", in.DryRun, func(tx store.Tx) error {
		out.InstanceCreditSpecifications = []ec2api.InstanceCreditSpecification{}
		found, _, err := s.selectInstances(tx, c, in.InstanceIds, in.Filters)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(i *instanceRecord) bool { return i.credits() == "" || i.gone() })
		found, out.NextToken, err = paginate(c.Operation, found, instanceOrder, limits{5, 1000}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		for _, i := range found {
			out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications,
				ec2api.InstanceCreditSpecification{InstanceId: &i.ID, CpuCredits: new(i.credits())})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// credits is how an instance gets CPU credits; "" if its type has none.
func (i *instanceRecord) credits() string {
	kind, ok := instancetype.Lookup(i.Type)
	switch {
	case !ok || !kind.Burstable():
		return ""
	case kind.Family.Name == "t2":
		return cmp.Or(i.Options.Credits, "standard")
	}
	return cmp.Or(i.Options.Credits, "unlimited")
}

// GetInstanceUefiData has nothing to give: no instance here keeps variables of UEFI.
// Source: EC2 API Reference, GetInstanceUefiData.
func (s *Service) GetInstanceUefiData(ctx context.Context, c *guard.Call, in *ec2api.GetInstanceUefiDataRequest) (*ec2api.GetInstanceUefiDataResult, error) {
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
		if err != nil {
			return err
		}
		if err := s.allowInstances(tx, c, "ec2:GetInstanceUefiData", found); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		return apierr.Newf("UnsupportedOperation", "The instance '%s' has no UEFI data.", found[0].ID)
	})
	return nil, err
}
