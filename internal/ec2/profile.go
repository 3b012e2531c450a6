package ec2

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Profile is an IAM instance profile. RoleARN is "" while no role is in it.
type Profile struct {
	ARN     string `json:"arn"`
	ID      string `json:"id"`
	RoleARN string `json:"role"`
}

// Profiles finds an instance profile of an account by its name or ARN. It decides nothing.
type Profiles func(tx store.Tx, account, nameOrARN string) (p Profile, ok bool, err error)

// profileOf is the instance profile that a launch names; nil if it names none. Its role is passed,
// see [Service.allowRun].
func (s *Service) profileOf(tx store.Tx, c *guard.Call, spec *ec2api.IamInstanceProfileSpecification) (*Profile, error) {
	if spec == nil {
		return nil, nil
	}
	by, what, noun := api.Val(spec.Arn), "arn", "ARN"
	if by == "" {
		by, what, noun = api.Val(spec.Name), "name", "name"
	}
	if by == "" {
		return nil, nil
	}
	p, ok, err := s.profiles(tx, c.Account(), by)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, invalidValue("Value (%s) for parameter iamInstanceProfile.%s is invalid. Invalid IAM Instance Profile %s", by, what, noun)
	case p.RoleARN == "":
		return nil, invalidValue("IAM Instance Profile %q has no associated IAM Roles", p.ARN)
	}
	return &p, nil
}

// passRole is the right to hand the role of a profile to EC2.
func (p *Profile) passRole(account string) authz.Part {
	return authz.PassRole(p.RoleARN, account, Principal)
}
