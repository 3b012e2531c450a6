package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A deletion is the outcome of one request to delete a service-linked role. kagimori knows at
// once what uses a role, so a deletion is done, or has failed, when it gets its id.
type deletion struct {
	ID      string              `json:"id"`
	Account string              `json:"account"`
	Status  string              `json:"status"`
	Reason  string              `json:"reason,omitempty"`
	Usage   map[string][]string `json:"usage,omitempty"` // region to ARNs
}

// deletions are kept under (account, id).
var deletions = store.Table[deletion]{Bucket: "iam/deletion", Version: 1}

const deletionPrefix = "task/aws-service-role/"

// DeleteServiceLinkedRole deletes a service-linked role unless something uses it; either way it
// answers with the id of a task, whose status tells.
// Source: IAM User Guide, "Deleting a service-linked role".
func (s *Service) DeleteServiceLinkedRole(ctx context.Context, c *guard.Call, in *iamapi.DeleteServiceLinkedRoleRequest) (*iamapi.DeleteServiceLinkedRoleResponse, error) {
	var out *iamapi.DeleteServiceLinkedRoleResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, roleKind, in.RoleName, "DeleteServiceLinkedRole", nil)
		if err != nil {
			return err
		}
		if p.service == "" {
			return apierr.Newf(codeInvalid, "The role with name %s is not a service-linked role.", p.label)
		}
		d := deletion{
			ID: deletionPrefix + p.service + "/" + p.label + "/" + guard.NewRequestID(), Account: p.account,
			Status: iamapi.DeletionTaskStatusTypeSUCCEEDED,
		}
		if d.Usage, err = s.usage(tx, p.arn); err != nil {
			return err
		}
		if len(d.Usage) > 0 {
			d.Status = iamapi.DeletionTaskStatusTypeFAILED
			d.Reason = "The role is used by resources of " + p.service + ". Delete the resources or give them another role first."
		} else if err := s.dir.DeleteRole(tx, *p.role); err != nil {
			return err
		}
		out = &iamapi.DeleteServiceLinkedRoleResponse{DeletionTaskId: &d.ID}
		c.Respond(out)
		return deletions.Put(tx, d, d.Account, d.ID)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetServiceLinkedRoleDeletionStatus tells how a deletion went.
func (s *Service) GetServiceLinkedRoleDeletionStatus(ctx context.Context, c *guard.Call, in *iamapi.GetServiceLinkedRoleDeletionStatusRequest) (*iamapi.GetServiceLinkedRoleDeletionStatusResponse, error) {
	id := api.Val(in.DeletionTaskId)
	rest, ok := strings.CutPrefix(id, deletionPrefix)
	f := strings.Split(rest, "/")
	if !ok || len(f) != 3 {
		return nil, apierr.Newf(codeInvalid, "%s is not the id of a deletion task.", id)
	}
	role := directory.Role{Account: c.Account(), Path: arn.ServiceLinkedPath(f[0]), Name: f[1]}
	var out *iamapi.GetServiceLinkedRoleDeletionStatusResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		about := role
		if r, ok, err := s.dir.Role(tx, role.Account, role.Name); err != nil {
			return err
		} else if ok { // the deletion failed: it has its tags
			about = r
		}
		if _, err := s.g.Allow(tx, c, s.part(ofRole(&about), "GetServiceLinkedRoleDeletionStatus")); err != nil {
			return err
		}
		d, ok, err := deletions.Get(tx, c.Account(), id)
		if err != nil {
			return err
		}
		if !ok {
			return noSuchEntity("The deletion task with id %s cannot be found.", id)
		}
		out = &iamapi.GetServiceLinkedRoleDeletionStatusResponse{Status: &d.Status}
		if d.Reason == "" {
			return nil
		}
		out.Reason = &iamapi.DeletionTaskFailureReasonType{Reason: &d.Reason}
		for _, region := range slices.Sorted(maps.Keys(d.Usage)) {
			out.Reason.RoleUsageList = append(out.Reason.RoleUsageList, iamapi.RoleUsageType{Region: &region, Resources: d.Usage[region]})
		}
		return nil
	})
	return out, err
}
