package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A profile is an instance profile: the vessel in which EC2 gets a role.
type profile struct {
	Account string          `json:"account"`
	Name    string          `json:"name"`
	Path    string          `json:"path"`
	ID      string          `json:"id"` // AIPA...
	Created time.Time       `json:"created"`
	Tags    []directory.Tag `json:"tags,omitempty"`
	Role    string          `json:"role,omitempty"` // its name; a role cannot go while it is in a profile
}

func (p *profile) arn() string {
	return arn.Make("iam", "", p.Account, "instance-profile"+p.Path+p.Name)
}

// Tables. Names in keys are in lower case: IAM compares them without case.
var (
	profiles     = store.Table[profile]{Bucket: "iam/profile", Version: 1}    // (account, profile)
	roleProfiles = store.Table[string]{Bucket: "iam/roleprofile", Version: 1} // (account, role, profile) to the profile's name
)

const (
	profileTrail = "AWS::IAM::InstanceProfile"
	hasRole      = "Cannot delete entity, must remove roles from instance profile first."
)

// profilesOf are the names of the instance profiles that a role is in.
func profilesOf(tx store.Tx, r *directory.Role) (names []string, err error) {
	for rec, err := range roleProfiles.Scan(tx, r.Account, strings.ToLower(r.Name)) {
		if err != nil {
			return nil, err
		}
		names = append(names, rec.Value)
	}
	return names, nil
}

func putProfile(tx store.Tx, p *profile) error {
	return profiles.Put(tx, *p, p.Account, strings.ToLower(p.Name))
}

// profilePart is the evaluation of an action on an instance profile.
func (s *Service) profilePart(p *profile, action string, extra func(*authz.Context)) authz.Part {
	part := authz.Part{Action: "iam:" + action, Resource: s.resource(p.arn(), p.Account, p.Tags)}
	for _, t := range p.Tags {
		part.Context.Set("iam:resourcetag/"+t.Key, t.Value)
	}
	if extra != nil {
		extra(&part.Context)
	}
	return part
}

// authorizedProfile reads an instance profile, decides the action on it beside other parts, and
// says if it is not there. One that does not exist is decided with the ARN it would have without
// a path.
func (s *Service) authorizedProfile(tx store.Tx, c *guard.Call, name *string, action string, extra func(*authz.Context), other ...authz.Part) (*profile, error) {
	p, exists, err := profiles.Get(tx, c.Account(), strings.ToLower(api.Val(name)))
	if err != nil {
		return nil, err
	}
	if !exists {
		p = profile{Account: c.Account(), Path: "/", Name: api.Val(name)}
	}
	c.Touch(p.arn(), p.Account, profileTrail)
	parts := append([]authz.Part{s.profilePart(&p, action, extra)}, other...)
	if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
		return nil, err
	}
	if !exists {
		return nil, noSuchEntity("Instance Profile %s cannot be found.", p.Name)
	}
	return &p, nil
}

// CreateInstanceProfile makes an instance profile without a role.
func (s *Service) CreateInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.CreateInstanceProfileRequest) (*iamapi.CreateInstanceProfileResponse, error) {
	var out *iamapi.CreateInstanceProfileResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		p := &profile{
			Account: c.Account(), Name: api.Val(in.InstanceProfileName), Path: pathOf(in.Path), ID: directory.NewID("AIPA"), Created: s.now(),
		}
		parts := []authz.Part{s.profilePart(p, "CreateInstanceProfile", withNewTags(in.Tags))}
		if len(in.Tags) > 0 {
			parts = append(parts, s.profilePart(p, "TagInstanceProfile", withTags(in.Tags)))
		}
		c.Touch(p.arn(), p.Account, profileTrail)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if err := checkPath(p.Path); err != nil {
			return err
		}
		var err error
		if p.Tags, err = merge(nil, in.Tags); err != nil {
			return err
		}
		if _, exists, err := profiles.Get(tx, p.Account, strings.ToLower(p.Name)); err != nil {
			return err
		} else if exists {
			return apierr.Newf(codeExists, "Instance Profile %s already exists.", p.Name)
		}
		shown, err := s.showProfile(tx, p)
		if err != nil {
			return err
		}
		out = &iamapi.CreateInstanceProfileResponse{InstanceProfile: shown}
		c.Respond(out)
		return putProfile(tx, p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteInstanceProfile removes an instance profile without a role. Instances that were launched
// with it keep what they have.
func (s *Service) DeleteInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.DeleteInstanceProfileRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "DeleteInstanceProfile", nil)
		if err != nil {
			return err
		}
		if p.Role != "" {
			return apierr.New(codeConflict, hasRole)
		}
		return profiles.Delete(tx, p.Account, strings.ToLower(p.Name))
	})
}

// AddRoleToInstanceProfile puts the one role into an instance profile. The caller needs the right
// to pass it to EC2. Source: IAM API Reference, AddRoleToInstanceProfile.
func (s *Service) AddRoleToInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.AddRoleToInstanceProfileRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.load(tx, roleKind, c.Account(), api.Val(in.RoleName))
		if err != nil {
			return err
		}
		pass := s.part(r, "PassRole")
		pass.Context.Set("iam:passedtoservice", "ec2.amazonaws.com")
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "AddRoleToInstanceProfile", nil, pass)
		if err != nil {
			return err
		}
		if !r.exists {
			return missing(roleKind, api.Val(in.RoleName))
		}
		if err := r.protected(); err != nil {
			return err
		}
		if p.Role != "" {
			return exceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
		}
		p.Role = r.label
		if err := roleProfiles.Put(tx, p.Name, p.Account, strings.ToLower(r.label), strings.ToLower(p.Name)); err != nil {
			return err
		}
		return putProfile(tx, p)
	})
}

// RemoveRoleFromInstanceProfile takes the role out of an instance profile.
func (s *Service) RemoveRoleFromInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.RemoveRoleFromInstanceProfileRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "RemoveRoleFromInstanceProfile", nil)
		if err != nil {
			return err
		}
		role := api.Val(in.RoleName)
		if p.Role == "" || !strings.EqualFold(p.Role, role) {
			return noSuchEntity("Role %s in Instance Profile %s cannot be found.", role, p.Name)
		}
		if err := roleProfiles.Delete(tx, p.Account, strings.ToLower(p.Role), strings.ToLower(p.Name)); err != nil {
			return err
		}
		p.Role = ""
		return putProfile(tx, p)
	})
}

// TagInstanceProfile adds tags to an instance profile or replaces their values.
func (s *Service) TagInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.TagInstanceProfileRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "TagInstanceProfile", withTags(in.Tags))
		if err != nil {
			return err
		}
		if p.Tags, err = merge(p.Tags, in.Tags); err != nil {
			return err
		}
		return putProfile(tx, p)
	})
}

// UntagInstanceProfile removes tags; unknown ones are no error.
func (s *Service) UntagInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.UntagInstanceProfileRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "UntagInstanceProfile", withTagKeys(in.TagKeys))
		if err != nil {
			return err
		}
		p.Tags = without(p.Tags, in.TagKeys)
		return putProfile(tx, p)
	})
}

// An InstanceProfile is what EC2 has to know of one. RoleARN is "" while no role is in it.
type InstanceProfile struct {
	ARN, ID, RoleARN string
}

// FindInstanceProfile finds an instance profile of an account by its name or its ARN. It decides
// nothing: passing the role is for the service that uses the profile to decide.
func (s *Service) FindInstanceProfile(tx store.Tx, account, nameOrARN string) (found InstanceProfile, ok bool, err error) {
	name := nameOrARN
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	p, ok, err := profiles.Get(tx, account, strings.ToLower(name))
	if err != nil || !ok || !slices.Contains([]string{p.Name, p.arn()}, nameOrARN) {
		return InstanceProfile{}, false, err
	}
	found = InstanceProfile{ARN: p.arn(), ID: p.ID}
	if p.Role != "" {
		r, exists, err := s.dir.Role(tx, account, p.Role)
		if err != nil {
			return InstanceProfile{}, false, err
		}
		if exists {
			found.RoleARN = r.ARN()
		}
	}
	return found, true, nil
}
