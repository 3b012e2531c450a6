package iam

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// versions of a policy, newest first; that of a policy of AWS is the default one.
func (p *managedPolicy) versions() []directory.PolicyVersion {
	if a := p.aws; a != nil {
		return []directory.PolicyVersion{{ID: a.Version, Document: a.Document(), Created: a.Updated}}
	}
	all := slices.Clone(p.customer.Versions)
	slices.Reverse(all)
	return all
}

func (p *managedPolicy) defaultVersion() string {
	if p.aws != nil {
		return p.aws.Version
	}
	return p.customer.Default
}

func apiVersion(v *directory.PolicyVersion, def string) iamapi.PolicyVersion {
	return iamapi.PolicyVersion{VersionId: &v.ID, IsDefaultVersion: new(v.ID == def), CreateDate: new(v.Created.Truncate(time.Second))}
}

// number of a version id such as v12.
func number(id string) int {
	n, _ := strconv.Atoi(id[1:]) // ids are made here or are data
	return n
}

func missingVersion(policyARN, id string) error {
	return noSuchEntity("Policy %s version %s does not exist or is not attachable.", policyARN, id)
}

func indexOf(versions []directory.PolicyVersion, id string) int {
	return slices.IndexFunc(versions, func(v directory.PolicyVersion) bool { return v.ID == id })
}

// CreatePolicyVersion adds a version, and makes it the default one if asked to.
func (s *Service) CreatePolicyVersion(ctx context.Context, c *guard.Call, in *iamapi.CreatePolicyVersionRequest) (*iamapi.CreatePolicyVersionResponse, error) {
	var out *iamapi.CreatePolicyVersionResponse
	err := s.changePolicy(ctx, c, in.PolicyArn, "CreatePolicyVersion", nil, func(p *directory.ManagedPolicy) error {
		if err := checkManaged(api.Val(in.PolicyDocument)); err != nil {
			return err
		}
		if len(p.Versions) >= maxVersions {
			return exceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v := directory.PolicyVersion{ID: "v" + strconv.Itoa(p.NextVersion), Document: api.Val(in.PolicyDocument), Created: s.now()}
		p.NextVersion++
		p.Versions = append(p.Versions, v)
		p.Updated = v.Created
		if api.Val(in.SetAsDefault) {
			p.Default = v.ID
		}
		out = &iamapi.CreatePolicyVersionResponse{PolicyVersion: new(apiVersion(&v, p.Default))}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetPolicyVersion gives a version with its document.
func (s *Service) GetPolicyVersion(ctx context.Context, c *guard.Call, in *iamapi.GetPolicyVersionRequest) (*iamapi.GetPolicyVersionResponse, error) {
	out := &iamapi.GetPolicyVersionResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedPolicy(tx, c, in.PolicyArn, "GetPolicyVersion", nil)
		if err != nil {
			return err
		}
		versions := p.versions()
		i := indexOf(versions, api.Val(in.VersionId))
		if i < 0 {
			return missingVersion(p.arn, api.Val(in.VersionId))
		}
		out.PolicyVersion = new(apiVersion(&versions[i], p.defaultVersion()))
		out.PolicyVersion.Document = new(encode(versions[i].Document))
		return nil
	})
	return out, err
}

// ListPolicyVersions lists versions without their documents, newest first.
func (s *Service) ListPolicyVersions(ctx context.Context, c *guard.Call, in *iamapi.ListPolicyVersionsRequest) (*iamapi.ListPolicyVersionsResponse, error) {
	var out *iamapi.ListPolicyVersionsResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorizedPolicy(tx, c, in.PolicyArn, "ListPolicyVersions", nil)
		if err != nil {
			return err
		}
		pg, err := s.page(c, p.arn, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		versions := slices.DeleteFunc(p.versions(), func(v directory.PolicyVersion) bool {
			return pg.after != "" && number(v.ID) >= number(pg.after)
		})
		last := ""
		if len(versions) > pg.limit {
			versions = versions[:pg.limit]
			last = versions[pg.limit-1].ID
		}
		out = &iamapi.ListPolicyVersionsResponse{Versions: []iamapi.PolicyVersion{}}
		for i := range versions {
			out.Versions = append(out.Versions, apiVersion(&versions[i], p.defaultVersion()))
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

// DeletePolicyVersion removes a version that is not the default one.
func (s *Service) DeletePolicyVersion(ctx context.Context, c *guard.Call, in *iamapi.DeletePolicyVersionRequest) error {
	return s.changePolicy(ctx, c, in.PolicyArn, "DeletePolicyVersion", nil, func(p *directory.ManagedPolicy) error {
		i := indexOf(p.Versions, api.Val(in.VersionId))
		switch {
		case i < 0:
			return missingVersion(p.ARN(), api.Val(in.VersionId))
		case p.Versions[i].ID == p.Default:
			return apierr.New(codeConflict, "Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		p.Updated = s.now()
		return nil
	})
}

// SetDefaultPolicyVersion makes a version the one that counts.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, c *guard.Call, in *iamapi.SetDefaultPolicyVersionRequest) error {
	return s.changePolicy(ctx, c, in.PolicyArn, "SetDefaultPolicyVersion", nil, func(p *directory.ManagedPolicy) error {
		if indexOf(p.Versions, api.Val(in.VersionId)) < 0 {
			return missingVersion(p.ARN(), api.Val(in.VersionId))
		}
		p.Default, p.Updated = api.Val(in.VersionId), s.now()
		return nil
	})
}
