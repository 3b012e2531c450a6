package ec2

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/ec2/placement"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// placeOperations are the handlers of where and how an instance runs.
func (s *Service) placeOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"ModifyInstancePlacement":           guard.Handle(s.ModifyInstancePlacement),
		"ModifyInstanceMaintenanceOptions":  guard.Handle(s.ModifyInstanceMaintenanceOptions),
		"ModifyInstanceCreditSpecification": guard.Handle(s.ModifyInstanceCreditSpecification),
	}
}

// ModifyInstancePlacement changes tenancy, Dedicated Host, placement group and partition of a stopped instance. An
// empty name takes it out of its group. Source: EC2 API Reference, ModifyInstancePlacement; EC2 User Guide, "Modify
// Amazon EC2 Dedicated Host instance tenancy and affinity".
func (s *Service) ModifyInstancePlacement(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstancePlacementRequest) (*ec2api.ModifyInstancePlacementResult, error) {
	tenancy, group := api.Val(in.Tenancy), in.GroupName != nil || in.GroupId != nil
	switch {
	case in.Affinity == nil && in.HostId == nil && in.HostResourceGroupArn == nil && tenancy == "" && !group && in.PartitionNumber == nil:
		return nil, apierr.New("MissingParameter", "At least one of affinity, host ID, tenancy and placement group must be specified")
	case tenancy != "" && !slices.Contains([]string{"default", "dedicated", "host"}, tenancy):
		return nil, invalidValue("Value (%s) for parameter tenancy is invalid. Valid values: default, dedicated, host.", tenancy)
	}
	defer s.locks.Lock(api.Val(in.InstanceId))()
	return &ec2api.ModifyInstancePlacementResult{Return: new(true)}, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, nil, func(p *authz.Part) {
			setAttribute(p, "Tenancy", tenancy)
			setAttribute(p, "Affinity", api.Val(in.Affinity))
			setAttribute(p, "HostId", api.Val(in.HostId))
			setAttribute(p, "GroupName", api.Val(in.GroupName))
		})
		if err != nil {
			return err
		}
		if i.State != stopped {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		if err := s.rehost(tx, c, &i, in); err != nil {
			return err
		}
		if err := s.regroup(tx, c, &i, in); err != nil {
			return err
		}
		return putInstance(tx, i)
	})
}

// regroup is what a request changes of an instance's placement group.
func (s *Service) regroup(tx store.Tx, c *guard.Call, i *instanceRecord, in *ec2api.ModifyInstancePlacementRequest) error {
	o := &i.Options
	switch {
	case in.GroupName != nil || in.GroupId != nil:
		g, err := placement.For(tx, c, &ec2api.Placement{GroupName: in.GroupName, GroupId: in.GroupId, PartitionNumber: in.PartitionNumber})
		if err != nil {
			return err
		}
		if kind, ok := instancetype.Lookup(i.Type); ok {
			if err := together(kind, g); err != nil {
				return err
			}
		}
		o.place(g, api.Val(in.PartitionNumber))
	case in.PartitionNumber != nil:
		g, err := placement.For(tx, c, &ec2api.Placement{GroupName: &o.Placement, PartitionNumber: in.PartitionNumber})
		if err != nil {
			return err
		}
		if g == nil || g.Partitions == 0 {
			return apierr.New("InvalidParameterCombination", "A partition number needs a partition placement group.")
		}
		o.place(g, *in.PartitionNumber)
	}
	return nil
}

// together refuses a type of which there are no instances in a placement group of a strategy; there may be no group. The text is
// as reported by users, of cluster. Source: EC2 User Guide, "Placement strategies for your placement groups".
func together(kind instancetype.Type, g *placement.Group) error {
	switch {
	case g == nil:
		return nil
	case g.Spread == placement.SpreadHost:
		return apierr.New("UnsupportedOperation", "Spread level host is for Outposts only.")
	case slices.Contains(kind.Placement(), g.Strategy):
		return nil
	}
	return apierr.Newf("InvalidParameterCombination", "%s placement groups are not supported by the '%s' instance type. Specify a supported instance type or "+
		"change the placement group strategy, and try again.", strings.ToUpper(g.Strategy[:1])+g.Strategy[1:], kind.Name)
}

// place puts an instance into a placement group, or into none.
func (o *instanceOptions) place(g *placement.Group, partition int32) {
	o.Placement, o.PlacementID, o.Partition = "", "", 0
	if g == nil {
		return
	}
	o.Placement, o.PlacementID, o.Partition = g.Name, g.ID, partition
	if g.Partitions > 0 && partition == 0 {
		o.Partition = 1
	}
}

// ModifyInstanceMaintenanceOptions says what is to be done with an instance whose hardware fails or is maintained.
// Source: EC2 API Reference, ModifyInstanceMaintenanceOptions.
func (s *Service) ModifyInstanceMaintenanceOptions(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceMaintenanceOptionsRequest) (*ec2api.ModifyInstanceMaintenanceOptionsResult, error) {
	for _, v := range []struct {
		name  string
		value *string
	}{{"autoRecovery", in.AutoRecovery}, {"rebootMigration", in.RebootMigration}} {
		if v.value != nil && *v.value != ec2api.InstanceAutoRecoveryStateDefault && *v.value != ec2api.InstanceAutoRecoveryStateDisabled {
			return nil, invalidValue("Value (%s) for parameter %s is invalid. Valid values: default, disabled.", *v.value, v.name)
		}
	}
	if in.AutoRecovery == nil && in.RebootMigration == nil {
		return nil, apierr.New("MissingParameter", "At least one of autoRecovery and rebootMigration must be specified")
	}
	defer s.locks.Lock(api.Val(in.InstanceId))()
	out := &ec2api.ModifyInstanceMaintenanceOptionsResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun, func(p *authz.Part) {
			setAttribute(p, "RebootMigration", api.Val(in.RebootMigration))
			setAttribute(p, "AutoRecovery", api.Val(in.AutoRecovery))
		})
		if err != nil {
			return err
		}
		if i.State == terminated || i.State == shuttingDown {
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is terminated.", i.ID)
		}
		o := &i.Options
		o.AutoRecovery, o.RebootMigration = cmp.Or(api.Val(in.AutoRecovery), o.AutoRecovery), cmp.Or(api.Val(in.RebootMigration), o.RebootMigration)
		*out = ec2api.ModifyInstanceMaintenanceOptionsResult{InstanceId: &i.ID, AutoRecovery: new(o.recovery()), RebootMigration: new(o.migration())}
		return putInstance(tx, i)
	})
}

// ModifyInstanceCreditSpecification changes how burstable instances get CPU credits. Each instance is a success or
// a failure of its own. Source: EC2 API Reference, ModifyInstanceCreditSpecification.
func (s *Service) ModifyInstanceCreditSpecification(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceCreditSpecificationRequest) (*ec2api.ModifyInstanceCreditSpecificationResult, error) {
	asked := in.InstanceCreditSpecifications
	if len(asked) > decidedTogether {
		return nil, invalidValue("You can specify up to %d instances in a single request.", decidedTogether)
	}
	token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(asked))
	var ids []string
	for _, a := range asked {
		if v := api.Val(a.CpuCredits); v != "standard" && v != "unlimited" {
			return nil, invalidValue("Value (%s) for parameter cpuCredits is invalid. Valid values are standard, unlimited.", v)
		}
		ids = append(ids, api.Val(a.InstanceId))
	}
	defer s.locks.Lock(ids...)()
	out := &ec2api.ModifyInstanceCreditSpecificationResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		*out = ec2api.ModifyInstanceCreditSpecificationResult{
			SuccessfulInstanceCreditSpecifications:   []ec2api.SuccessfulInstanceCreditSpecificationItem{},
			UnsuccessfulInstanceCreditSpecifications: []ec2api.UnsuccessfulInstanceCreditSpecificationItem{},
		}
		var found []instanceRecord
		credits := map[string]string{}
		fail := func(id, code, message string) {
			out.UnsuccessfulInstanceCreditSpecifications = append(out.UnsuccessfulInstanceCreditSpecifications, ec2api.UnsuccessfulInstanceCreditSpecificationItem{
				InstanceId: &id, Error: &ec2api.UnsuccessfulInstanceCreditSpecificationItemError{Code: &code, Message: &message},
			})
		}
		for n, id := range ids {
			one, err := s.lookupInstances(tx, c, []string{id})
			switch refused, ok := errors.AsType[*apierr.Error](err); {
			case err == nil:
				found = append(found, one[0])
				credits[id] = *asked[n].CpuCredits
			case !ok:
				return err
			default:
				fail(id, refused.Code, refused.Message)
			}
		}
		if err := s.allowCredits(tx, c, found, credits); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		switch before, err := token.Seen(tx, c); {
		case err != nil:
			return err
		case before != "":
			*out = ec2api.ModifyInstanceCreditSpecificationResult{}
			return json.Unmarshal([]byte(before), out)
		}
		for n := range found {
			i := &found[n]
			switch {
			case i.credits() == "":
				fail(i.ID, "InstanceCreditSpecification.NotSupported", "The instance type '"+i.Type+"' does not support CPU credits.")
				continue
			case i.State == terminated || i.State == shuttingDown:
				fail(i.ID, "IncorrectInstanceState", "The instance '"+i.ID+"' is not in a valid state for this operation.")
				continue
			}
			i.Options.Credits = credits[i.ID]
			out.SuccessfulInstanceCreditSpecifications = append(out.SuccessfulInstanceCreditSpecifications, ec2api.SuccessfulInstanceCreditSpecificationItem{InstanceId: &i.ID})
			if err := putInstance(tx, *i); err != nil {
				return err
			}
		}
		answer, err := json.Marshal(out)
		if err != nil {
			return err
		}
		return token.Remember(tx, c, c.Time, string(answer))
	})
}

// allowCredits decides on a change of credits; a request about no instance that exists is decided on "*".
func (s *Service) allowCredits(tx store.Tx, c *guard.Call, found []instanceRecord, credits map[string]string) error {
	if len(found) == 0 {
		_, err := s.g.Allow(tx, c, s.part(c, "ec2:"+c.Operation, "instance/*", nil))
		return err
	}
	var ids []string
	for n := range found {
		ids = append(ids, found[n].ID)
	}
	tags, err := s.tagsFor(tx, c, ids)
	if err != nil {
		return err
	}
	var parts []authz.Part
	for n := range found {
		i := &found[n]
		p := s.instancePart(c, "ec2:"+c.Operation, i, tags[i.ID])
		setAttribute(&p, "CpuCredits", credits[i.ID])
		parts = append(parts, p)
		c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	}
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}
