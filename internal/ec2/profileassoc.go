package ec2

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// profileOperations are the handlers of which instance profile an instance has.
func (s *Service) profileOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"AssociateIamInstanceProfile":            guard.Handle(s.AssociateIamInstanceProfile),
		"DisassociateIamInstanceProfile":         guard.Handle(s.DisassociateIamInstanceProfile),
		"ReplaceIamInstanceProfileAssociation":   guard.Handle(s.ReplaceIamInstanceProfileAssociation),
		"DescribeIamInstanceProfileAssociations": guard.Handle(s.DescribeIamInstanceProfileAssociations),
	}
}

// associationID is the id of an instance's association with its profile.
func (i *instanceRecord) associationID() string {
	if i.ProfileBy != "" {
		return i.ProfileBy
	}
	return networkID("iip-assoc", i.Region, i.Account, i.ID) // of the launch
}

func (i *instanceRecord) association(state string) ec2api.IamInstanceProfileAssociation {
	at := i.ProfileAt
	if at.IsZero() {
		at = i.Launched
	}
	return ec2api.IamInstanceProfileAssociation{
		AssociationId: new(i.associationID()), InstanceId: &i.ID, State: &state, Timestamp: &at,
		IamInstanceProfile: &ec2api.IamInstanceProfile{Arn: &i.Profile.ARN, Id: &i.Profile.ID},
	}
}

func errAssociation(id string) error {
	return apierr.Newf("InvalidAssociationID.NotFound", "An invalid association-id of '%s' was given", id)
}

// associated finds the instance with an association.
func associated(tx store.Tx, c *guard.Call, id string) (instanceRecord, error) {
	for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return instanceRecord{}, err
		}
		if i := r.Value; i.Profile != nil && !i.gone() && i.associationID() == id {
			return i, nil
		}
	}
	return instanceRecord{}, errAssociation(id)
}

// allowNone decides the call's action on no instance in particular: who may not do it does not learn
// whether an association exists.
func (s *Service) allowNone(tx store.Tx, c *guard.Call, missing error) error {
	if apierr.Code(missing) == "" {
		return missing
	}
	if _, err := s.g.Allow(tx, c, s.part(c, "ec2:"+c.Operation, "instance/*", nil)); err != nil {
		return err
	}
	return missing
}

// allowProfile decides the call's action on an instance and, with a new profile, the right to pass
// its role. Source: EC2 User Guide, "IAM roles for Amazon EC2", permissions.
func (s *Service) allowProfile(tx store.Tx, c *guard.Call, i *instanceRecord, profile *Profile) error {
	tags, err := tagsOf(tx, c.Region, c.Account(), i.ID)
	if err != nil {
		return err
	}
	p := s.instancePart(c, "ec2:"+c.Operation, i, tags)
	parts := []authz.Part{p}
	if profile != nil {
		parts[0].Context.Set("ec2:newinstanceprofile", profile.ARN)
		parts = append(parts, profile.passRole(c.Account()))
	}
	c.Touch(i.arn(), i.Account, "AWS::EC2::Instance")
	_, err = s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// newProfile is the profile of a request that must name one, for an instance. What is wrong with it learns only
// who may do the operation on the instance.
func (s *Service) newProfile(tx store.Tx, c *guard.Call, i *instanceRecord, spec *ec2api.IamInstanceProfileSpecification) (*Profile, error) {
	p, err := s.profileOf(tx, c, spec)
	switch {
	case err == nil && p == nil:
		err = apierr.New("MissingParameter", "The request must contain the parameter IamInstanceProfile")
	case apierr.Code(err) != "":
		if err := s.allowProfile(tx, c, i, nil); err != nil {
			return nil, err
		}
	}
	return p, err
}

// AssociateIamInstanceProfile gives an instance a profile. Source: EC2 API Reference,
// AssociateIamInstanceProfile.
func (s *Service) AssociateIamInstanceProfile(ctx context.Context, c *guard.Call, in *ec2api.AssociateIamInstanceProfileRequest) (*ec2api.AssociateIamInstanceProfileResult, error) {
	defer s.locks.Lock(api.Val(in.InstanceId))()
	id := randomID("iip-assoc")
	out := &ec2api.AssociateIamInstanceProfileResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		found, err := s.lookupInstances(tx, c, []string{api.Val(in.InstanceId)})
		if err != nil {
			return err
		}
		i := found[0]
		profile, err := s.newProfile(tx, c, &i, in.IamInstanceProfile)
		if err != nil {
			return err
		}
		if err := s.allowProfile(tx, c, &i, profile); err != nil {
			return err
		}
		switch {
		case i.State == terminated || i.State == shuttingDown:
			return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' states.", i.ID)
		case i.Profile != nil:
			return apierr.Newf("IncorrectState", "There is an existing association for instance %s", i.ID)
		}
		i.Profile, i.ProfileBy, i.ProfileAt = profile, id, s.g.Now()
		out.IamInstanceProfileAssociation = new(i.association("associating"))
		return putInstance(tx, i)
	})
}

// DisassociateIamInstanceProfile takes the profile of an instance away.
func (s *Service) DisassociateIamInstanceProfile(ctx context.Context, c *guard.Call, in *ec2api.DisassociateIamInstanceProfileRequest) (*ec2api.DisassociateIamInstanceProfileResult, error) {
	out := &ec2api.DisassociateIamInstanceProfileResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := associated(tx, c, api.Val(in.AssociationId))
		if err != nil {
			return s.allowNone(tx, c, err)
		}
		if err := s.allowProfile(tx, c, &i, nil); err != nil {
			return err
		}
		out.IamInstanceProfileAssociation = new(i.association("disassociating"))
		i.Profile, i.ProfileBy = nil, ""
		return putInstance(tx, i)
	})
}

// ReplaceIamInstanceProfileAssociation gives an instance another profile, in one step.
func (s *Service) ReplaceIamInstanceProfileAssociation(ctx context.Context, c *guard.Call, in *ec2api.ReplaceIamInstanceProfileAssociationRequest) (*ec2api.ReplaceIamInstanceProfileAssociationResult, error) {
	id := randomID("iip-assoc")
	out := &ec2api.ReplaceIamInstanceProfileAssociationResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		i, err := associated(tx, c, api.Val(in.AssociationId))
		if err != nil {
			return s.allowNone(tx, c, err)
		}
		profile, err := s.newProfile(tx, c, &i, in.IamInstanceProfile)
		if err != nil {
			return err
		}
		if err := s.allowProfile(tx, c, &i, profile); err != nil {
			return err
		}
		i.Profile, i.ProfileBy, i.ProfileAt = profile, id, s.g.Now()
		out.IamInstanceProfileAssociation = new(i.association("associating"))
		return putInstance(tx, i)
	})
}

var associationFields = fields[ec2api.IamInstanceProfileAssociation]{
	"instance-id":    func(a ec2api.IamInstanceProfileAssociation) []string { return oneOf(*a.InstanceId) },
	"state":          func(a ec2api.IamInstanceProfileAssociation) []string { return oneOf(*a.State) },
	"association-id": func(a ec2api.IamInstanceProfileAssociation) []string { return oneOf(*a.AssociationId) },
}

// DescribeIamInstanceProfileAssociations lists which instances have which profiles.
func (s *Service) DescribeIamInstanceProfileAssociations(ctx context.Context, c *guard.Call, in *ec2api.DescribeIamInstanceProfileAssociationsRequest) (*ec2api.DescribeIamInstanceProfileAssociationsResult, error) {
	out := &ec2api.DescribeIamInstanceProfileAssociationsResult{}
	id := func(a ec2api.IamInstanceProfileAssociation) string { return *a.AssociationId }
	err := s.viewList(ctx, c, "ec2:DescribeIamInstanceProfileAssociations", nil, func(tx store.Tx) error {
		passes, err := associationFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		var items []ec2api.IamInstanceProfileAssociation
		for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			if r.Value.Profile != nil && !r.Value.gone() {
				items = append(items, r.Value.association("associated"))
			}
		}
		if items, err = pick(items, in.AssociationIds, id, errAssociation); err != nil {
			return err
		}
		items = slices.DeleteFunc(items, func(a ec2api.IamInstanceProfileAssociation) bool { return !passes(a, nil) })
		out.IamInstanceProfileAssociations, out.NextToken, err = paginate(c.Operation, items, id, limits{5, 1000}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}
