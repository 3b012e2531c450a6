package template

import (
	"context"
	"slices"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// deleteChunk is how many versions one transaction of the store removes.
const deleteChunk = 80

// DeleteLaunchTemplate removes a template with all its versions.
func (s *Service) DeleteLaunchTemplate(ctx context.Context, c *guard.Call, in *ec2api.DeleteLaunchTemplateRequest) (*ec2api.DeleteLaunchTemplateResult, error) {
	out := new(ec2api.DeleteLaunchTemplateResult)
	var gone Template
	err := s.change(ctx, c, in.LaunchTemplateId, in.LaunchTemplateName, in.DryRun, nil, func(tx store.Tx, t *Template, tags map[string]string) error {
		gone = *t
		out.LaunchTemplate = t.wire(tags)
		c.Respond(out)
		if err := table.Delete(tx, t.Region, t.Account, t.ID); err != nil {
			return err
		}
		if err := nameTable.Delete(tx, t.Region, t.Account, t.Name); err != nil {
			return err
		}
		if err := idiom.DropTags(tx, t.Region, t.Account, t.ID); err != nil {
			return err
		}
		_, err := dropVersions(tx, t)
		return err
	})
	// No request reaches the versions that are left.
	for left := err == nil && gone.Count > deleteChunk; left; {
		err = s.g.Change(ctx, func(tx store.Tx) (err error) {
			left, err = dropVersions(tx, &gone)
			return err
		})
		if err != nil {
			break
		}
	}
	return out, err
}

// dropVersions removes some versions of a template, and tells whether there may be more.
func dropVersions(tx store.Tx, t *Template) (bool, error) {
	recs, next, err := versionTable.Page(tx, []string{t.Region, t.Account, t.ID}, "", deleteChunk)
	if err != nil {
		return false, err
	}
	for _, r := range recs {
		if err := versionTable.Delete(tx, r.Key...); err != nil {
			return false, err
		}
	}
	return next != "", nil
}

// maxDeletes is how many versions a request can delete. Source: EC2 API Reference,
// "DeleteLaunchTemplateVersions".
const maxDeletes = 200

// DeleteLaunchTemplateVersions removes versions, but never the default one. Each has its own
// outcome.
func (s *Service) DeleteLaunchTemplateVersions(ctx context.Context, c *guard.Call, in *ec2api.DeleteLaunchTemplateVersionsRequest) (*ec2api.DeleteLaunchTemplateVersionsResult, error) {
	if len(in.Versions) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter LaunchTemplateVersion")
	}
	if len(in.Versions) > maxDeletes {
		return nil, idiom.InvalidValue("You can delete up to %d launch template versions in a single request.", maxDeletes)
	}
	out := new(ec2api.DeleteLaunchTemplateVersionsResult)
	for chunk := range slices.Chunk(in.Versions, deleteChunk) {
		var part ec2api.DeleteLaunchTemplateVersionsResult
		err := s.change(ctx, c, in.LaunchTemplateId, in.LaunchTemplateName, in.DryRun, nil, func(tx store.Tx, t *Template, _ map[string]string) error {
			part = ec2api.DeleteLaunchTemplateVersionsResult{}
			for _, version := range chunk {
				if err := t.deleteVersion(tx, version, &part); err != nil {
					return err
				}
			}
			c.Respond(&part)
			if err := t.findLatest(tx); err != nil {
				return err
			}
			return t.put(tx)
		})
		if err != nil {
			return nil, err
		}
		out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, part.SuccessfullyDeletedLaunchTemplateVersions...)
		out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, part.UnsuccessfullyDeletedLaunchTemplateVersions...)
	}
	return out, nil
}

// deleteVersion removes one version, or says in out why not.
func (t *Template) deleteVersion(tx store.Tx, version string, out *ec2api.DeleteLaunchTemplateVersionsResult) error {
	n, err := t.versionNumber(version)
	if err != nil {
		return err
	}
	_, ok, err := versionTable.Get(tx, t.Region, t.Account, t.ID, versionKey(n))
	if err != nil {
		return err
	}
	code, text := "", ""
	switch {
	case !ok:
		code, text = "launchTemplateVersionDoesNotExist", "The specified launch template version does not exist."
	case n == t.Default:
		code, text = "unexpectedError", "You cannot delete the default version of a launch template."
	}
	if code != "" {
		out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, ec2api.DeleteLaunchTemplateVersionsResponseErrorItem{
			LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: &n,
			ResponseError: &ec2api.ResponseError{Code: &code, Message: &text},
		})
		return nil
	}
	t.Count--
	out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, ec2api.DeleteLaunchTemplateVersionsResponseSuccessItem{
		LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: &n,
	})
	return versionTable.Delete(tx, t.Region, t.Account, t.ID, versionKey(n))
}

// findLatest sets the newest version among those that are left.
func (t *Template) findLatest(tx store.Tx) error {
	for r, err := range versionTable.ScanRange(tx, store.Range{Prefix: store.Key(t.Region, t.Account, t.ID), Reverse: true, Limit: 1}) {
		if err != nil {
			return err
		}
		t.Latest = r.Value.Number
	}
	return nil
}
