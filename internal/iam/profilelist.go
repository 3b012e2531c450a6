package iam

import (
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// showProfile is an instance profile with its role, as GetInstanceProfile shows it.
func (s *Service) showProfile(tx store.Tx, p *profile) (*iamapi.InstanceProfile, error) {
	out := &iamapi.InstanceProfile{
		Path: &p.Path, InstanceProfileName: &p.Name, InstanceProfileId: &p.ID, Arn: new(p.arn()),
		CreateDate: new(p.Created.Truncate(time.Second)), Roles: []iamapi.Role{}, Tags: apiTags(p.Tags),
	}
	if p.Role == "" {
		return out, nil
	}
	r, ok, err := s.dir.Role(tx, p.Account, p.Role)
	if err != nil || !ok {
		return out, err
	}
	trust, err := s.shownTrust(tx, &r)
	if err != nil {
		return nil, err
	}
	role := apiRole(&r, trust)
	role.PermissionsBoundary, role.Tags, role.MaxSessionDuration, role.Description = nil, nil, nil, nil
	out.Roles = append(out.Roles, *role)
	return out, nil
}

// GetInstanceProfile describes an instance profile.
func (s *Service) GetInstanceProfile(ctx context.Context, c *guard.Call, in *iamapi.GetInstanceProfileRequest) (*iamapi.GetInstanceProfileResponse, error) {
	out := &iamapi.GetInstanceProfileResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "GetInstanceProfile", nil)
		if err != nil {
			return err
		}
		out.InstanceProfile, err = s.showProfile(tx, p)
		return err
	})
	return out, err
}

// ListInstanceProfileTags lists an instance profile's tags.
func (s *Service) ListInstanceProfileTags(ctx context.Context, c *guard.Call, in *iamapi.ListInstanceProfileTagsRequest) (*iamapi.ListInstanceProfileTagsResponse, error) {
	out := &iamapi.ListInstanceProfileTagsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedProfile(tx, c, in.InstanceProfileName, "ListInstanceProfileTags", nil)
		if err != nil {
			return err
		}
		out.Tags, out.IsTruncated, out.Marker, err = s.listTags(c, p.arn(), p.Tags, in.Marker, in.MaxItems)
		return err
	})
	return out, err
}

// ListInstanceProfiles lists the instance profiles under a path by name, without tags.
func (s *Service) ListInstanceProfiles(ctx context.Context, c *guard.Call, in *iamapi.ListInstanceProfilesRequest) (*iamapi.ListInstanceProfilesResponse, error) {
	prefix := pathOf(in.PathPrefix)
	pg, err := s.page(c, prefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var out *iamapi.ListInstanceProfilesResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		out = &iamapi.ListInstanceProfilesResponse{InstanceProfiles: []iamapi.InstanceProfile{}}
		if err := s.allowList(tx, c, "instance-profile", prefix); err != nil {
			return err
		}
		after := store.Range{Prefix: store.Key(c.Account())}
		if pg.after != "" {
			after.After = store.Key(c.Account(), pg.after)
		}
		last := ""
		for r, err := range profiles.ScanRange(tx, after) {
			if err != nil {
				return err
			}
			if !strings.HasPrefix(r.Value.Path, prefix) {
				continue
			}
			if len(out.InstanceProfiles) == pg.limit {
				out.IsTruncated, out.Marker = s.end(pg, last)
				return nil
			}
			last = strings.ToLower(r.Value.Name)
			shown, err := s.showProfile(tx, &r.Value)
			if err != nil {
				return err
			}
			shown.Tags = nil
			out.InstanceProfiles = append(out.InstanceProfiles, *shown)
		}
		out.IsTruncated, out.Marker = s.end(pg, "")
		return nil
	})
	return out, err
}

// ListInstanceProfilesForRole lists the instance profiles that a role is in by name, without tags.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, c *guard.Call, in *iamapi.ListInstanceProfilesForRoleRequest) (*iamapi.ListInstanceProfilesForRoleResponse, error) {
	var out *iamapi.ListInstanceProfilesForRoleResponse
	err := s.read(ctx, c, roleKind, in.RoleName, "ListInstanceProfilesForRole", func(tx store.Tx, r *principal) error {
		out = &iamapi.ListInstanceProfilesForRoleResponse{InstanceProfiles: []iamapi.InstanceProfile{}}
		pg, err := s.page(c, r.arn, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		names, err := profilesOf(tx, r.role)
		if err != nil {
			return err
		}
		shown, last := cut(pg, names, strings.ToLower)
		for _, name := range shown {
			p, ok, err := profiles.Get(tx, r.account, strings.ToLower(name))
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			one, err := s.showProfile(tx, &p)
			if err != nil {
				return err
			}
			one.Tags = nil
			out.InstanceProfiles = append(out.InstanceProfiles, *one)
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}
