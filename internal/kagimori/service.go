// Package kagimori is the service that AWS has no API for: it explains decisions. Its answers are
// made from the trail, so they tell what bore on a request when it was decided.
//
// Evidence belongs to the account that owns the document it comes from: the caller's account and
// the resource's account each see their own statements, and of the other's only whether there
// was an allow. Every other account gets the answer for an id that does not exist.
//
// Model for the vocabulary: IAM Toolbox API Reference, GetRequestAuthorizationDetails.
package kagimori

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// Config of a [Service].
type Config struct {
	Guard *guard.Guard
	Trail *trail.Trail
	Keys  Keys
	// Launches tell of what needs keys. Nil means that there is nothing.
	Launches Uses
	// Activities tells of scaling activities; nil knows none.
	Activities Activities
}

// Activities tells what became of scaling activities.
type Activities interface {
	// FailedActivity is when and why an activity failed; ok is false if there is none that did.
	FailedActivity(tx store.Tx, region, account, id string) (at time.Time, why string, ok bool, _ error)
}

// Keys tells of keys as they bear on decisions.
type Keys interface {
	// Key is the key without its grants and an action; ok is false if there is none.
	Key(tx store.Tx, keyARN string) (_ authz.Part, ok bool, _ error)
	// Rule is a key as the rules of its kind and state see it.
	Rule(tx store.Tx, keyARN string) (_ keyrule.Key, ok bool, _ error)
	// Resolve finds the key that an identifier of an account names; keyARN is "" for the managed key
	// that is not made yet.
	Resolve(tx store.Tx, region, account, id string) (keyARN string, made bool, _ error)
	// Grants yields the grants of a key, and Grant is one of them; ok is false if there is none with the id.
	Grants(tx store.Tx, keyARN string) iter.Seq2[authz.Grant, error]
	Grant(tx store.Tx, keyARN, id string) (_ authz.Grant, ok bool, _ error)
	// Keys yields the ARNs of the keys of an account in a Region, and Granted those of other
	// accounts with grants for a principal, by unique id or ARN, maybe more than once.
	Keys(tx store.Tx, region, account string) iter.Seq2[string, error]
	Granted(tx store.Tx, region, account, grantee string) iter.Seq2[string, error]
}

// A Service explains. Safe for concurrent use.
type Service struct {
	g          *guard.Guard
	trail      *trail.Trail
	keys       Keys
	activities Activities
	launches   Uses
}

// New makes a Service.
func New(cfg Config) *Service {
	s := &Service{g: cfg.Guard, trail: cfg.Trail, keys: cfg.Keys, activities: cfg.Activities, launches: cfg.Launches}
	if s.launches == nil {
		s.launches = nothing{}
	}
	return s
}

// nothing needs keys.
type nothing struct{}

// Uses yields nothing.
func (nothing) Uses(store.Tx, string, string) iter.Seq2[KeyUse, error] {
	return func(func(KeyUse, error) bool) {}
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"GetAuthorizationDetails":        guard.Handle(s.GetAuthorizationDetails),
		"GetRequestAuthorizationDetails": guard.Handle(s.GetRequestAuthorizationDetails),
		"ExplainResource":                guard.Handle(s.ExplainResource),
		"WhoCan":                         guard.Handle(s.WhoCan),
		"WhatCan":                        guard.Handle(s.WhatCan),
		"PredictImpact":                  guard.Handle(s.PredictImpact),
	}
}

// GetAuthorizationDetails tells what was decided in the course of a request, named by its request
// id, oldest first. It fails with ResourceNotFoundException if the request is not known or is none
// of the caller's account.
func (s *Service) GetAuthorizationDetails(ctx context.Context, c *guard.Call, in *kagimoriapi.GetAuthorizationDetailsRequest) (*kagimoriapi.GetAuthorizationDetailsResponse, error) {
	err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allow(tx, c) })
	if err != nil {
		return nil, err
	}
	found, err := s.authorizations(ctx, reader{c.Account(), language(in.Language)}, api.Val(in.AuthorizationId))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, apierr.Newf("ResourceNotFoundException", "No authorization details are kept for the authorization id %s.", api.Val(in.AuthorizationId))
	}
	return &kagimoriapi.GetAuthorizationDetailsResponse{Authorizations: found}, nil
}

// ExplainResource tells what was decided in the course of the request that explains what became of
// an instance, a volume or a scaling activity of the caller's account in the call's region.
func (s *Service) ExplainResource(ctx context.Context, c *guard.Call, in *kagimoriapi.ExplainResourceRequest) (*kagimoriapi.ExplainResourceResponse, error) {
	id := api.Val(in.ResourceId)
	var request string
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		if err := s.allow(tx, c); err != nil {
			return err
		}
		request, _, err = s.trail.Cause(tx, c.Account(), c.Region, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	var found []kagimoriapi.Authorization
	if request != "" {
		if found, err = s.authorizations(ctx, reader{c.Account(), language(in.Language)}, request); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		if found, err = s.failed(ctx, c, id); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, apierr.Newf("ResourceNotFoundException", "Nothing is kept that explains what became of %s.", id)
	}
	return &kagimoriapi.ExplainResourceResponse{ResourceId: &id, Authorizations: found}, nil
}

// failed tells of a scaling activity that failed before anything was asked that the account may see,
// as when its group's role could not be assumed.
func (s *Service) failed(ctx context.Context, c *guard.Call, id string) (found []kagimoriapi.Authorization, err error) {
	if s.activities == nil {
		return nil, nil
	}
	err = s.g.Read(ctx, func(tx store.Tx) error {
		found = nil
		at, why, ok, err := s.activities.FailedActivity(tx, c.Region, c.Account(), id)
		if ok {
			found = []kagimoriapi.Authorization{{
				AuthorizationId: &id, EventTime: &at, EventSource: new("autoscaling.amazonaws.com"), EventName: new("Launch"), ErrorMessage: &why,
			}}
		}
		return err
	})
	return found, err
}

// allow decides the action of the call, which has no resource.
func (s *Service) allow(tx store.Tx, c *guard.Call) error {
	_, err := s.g.Allow(tx, c, authz.Part{
		Action: "kagimori:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()},
	})
	return err
}

// authorizations are the records of a request as an account may see them, oldest first.
func (s *Service) authorizations(ctx context.Context, who reader, request string) ([]kagimoriapi.Authorization, error) {
	records, err := s.trail.Get(ctx, guard.RequestOf(request))
	if err != nil {
		return nil, fmt.Errorf("kagimori: trail: %w", err)
	}
	var out []kagimoriapi.Authorization
	err = s.g.Read(ctx, func(tx store.Tx) error {
		out = nil
		for i := range slices.Backward(records) {
			a, ok, err := authorization(&records[i], who, s.texts(tx))
			if err != nil {
				return err
			}
			if ok {
				out = append(out, a)
			}
		}
		return nil
	})
	return out, err
}
