package iam

import (
	"context"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Delegation requests ask a customer to let a partner of AWS in for a while. Partners make them from
// templates that AWS registered for them. kagimori knows no partner and no template, so no request
// can be made, and none is there.
//
// Source: IAM User Guide, "IAM temporary delegation for AWS Partners".

// delegation is the kind of ARNs of delegation requests.
const delegation = "delegation-request"

// onDelegation decides the operation on a delegation request.
func (s *Service) onDelegation(ctx context.Context, c *guard.Call, id string, extra func(*authz.Context)) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		part := authz.Part{Action: "iam:" + c.Operation, Resource: s.resource(arn.Make("iam", "", c.Account(), delegation+"/"+id), c.Account(), nil)}
		if extra != nil {
			extra(&part.Context)
		}
		_, err := s.g.Allow(tx, c, part)
		return err
	})
}

func noDelegation(id string) error {
	return noSuchEntity("Delegation request with id %s does not exist.", id)
}

// noRequest answers an operation on a delegation request, which is not there.
func (s *Service) noRequest(ctx context.Context, c *guard.Call, id *string) error {
	if err := s.onDelegation(ctx, c, api.Val(id), nil); err != nil {
		return err
	}
	return noDelegation(api.Val(id))
}

// CreateDelegationRequest is for partners of AWS, from a template that AWS registered.
func (s *Service) CreateDelegationRequest(ctx context.Context, c *guard.Call, in *iamapi.CreateDelegationRequestRequest) (*iamapi.CreateDelegationRequestResponse, error) {
	template := api.Val(in.Permissions.PolicyTemplateArn)
	err := s.onDelegation(ctx, c, "*", func(ctx *authz.Context) {
		ctx.Set("iam:delegationduration", strconv.Itoa(int(api.Val(in.SessionDuration))))
		ctx.Set("iam:notificationchannel", api.Val(in.NotificationChannel))
		if template != "" {
			ctx.Set("iam:templatearn", template)
		}
	})
	if err != nil {
		return nil, err
	}
	return nil, apierr.Newf(codeInvalid, "The policy template %s is not registered for this account.", template)
}

// AssociateDelegationRequest would make the caller the owner of a request.
func (s *Service) AssociateDelegationRequest(ctx context.Context, c *guard.Call, in *iamapi.AssociateDelegationRequestRequest) error {
	return s.noRequest(ctx, c, in.DelegationRequestId)
}

// GetDelegationRequest would describe a request.
func (s *Service) GetDelegationRequest(ctx context.Context, c *guard.Call, in *iamapi.GetDelegationRequestRequest) (*iamapi.GetDelegationRequestResponse, error) {
	return nil, s.noRequest(ctx, c, in.DelegationRequestId)
}

// AcceptDelegationRequest would accept a request.
func (s *Service) AcceptDelegationRequest(ctx context.Context, c *guard.Call, in *iamapi.AcceptDelegationRequestRequest) error {
	return s.noRequest(ctx, c, in.DelegationRequestId)
}

// RejectDelegationRequest would reject a request.
func (s *Service) RejectDelegationRequest(ctx context.Context, c *guard.Call, in *iamapi.RejectDelegationRequestRequest) error {
	return s.noRequest(ctx, c, in.DelegationRequestId)
}

// UpdateDelegationRequest would add notes to a request.
func (s *Service) UpdateDelegationRequest(ctx context.Context, c *guard.Call, in *iamapi.UpdateDelegationRequestRequest) error {
	return s.noRequest(ctx, c, in.DelegationRequestId)
}

// SendDelegationToken would hand the token of an accepted request to its partner.
func (s *Service) SendDelegationToken(ctx context.Context, c *guard.Call, in *iamapi.SendDelegationTokenRequest) error {
	return s.noRequest(ctx, c, in.DelegationRequestId)
}

// ListDelegationRequests lists the requests of an owner: none.
func (s *Service) ListDelegationRequests(ctx context.Context, c *guard.Call, in *iamapi.ListDelegationRequestsRequest) (*iamapi.ListDelegationRequestsResponse, error) {
	out := &iamapi.ListDelegationRequestsResponse{DelegationRequests: []iamapi.DelegationRequest{}, IsTruncated: new(false)}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		part := authz.Part{Action: "iam:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()}}
		if owner := api.Val(in.OwnerId); owner != "" {
			part.Context.Set("iam:delegationrequestowner", owner)
		}
		if _, err := s.g.Allow(tx, c, part); err != nil {
			return err
		}
		_, err := s.page(c, api.Val(in.OwnerId), in.Marker, in.MaxItems)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetHumanReadableSummary describes delegation requests in words, and nothing else.
func (s *Service) GetHumanReadableSummary(ctx context.Context, c *guard.Call, in *iamapi.GetHumanReadableSummaryRequest) (*iamapi.GetHumanReadableSummaryResponse, error) {
	a, err := arn.Parse(api.Val(in.EntityArn))
	if err != nil || a.Partition != arn.Partition || a.Service != "iam" || a.Type() != delegation || a.ID() == "" {
		return nil, apierr.Newf(codeInvalid, "%s is not the ARN of a delegation request.", api.Val(in.EntityArn))
	}
	if err := s.onDelegation(ctx, c, strings.TrimPrefix(a.Resource, delegation+"/"), nil); err != nil {
		return nil, err
	}
	return nil, noDelegation(a.ID())
}
