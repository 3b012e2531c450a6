// Package cloudtrail is the part of CloudTrail's API that reads the event history: LookupEvents over
// the server's audit log. Trails, which copy events into buckets, do not exist; the operations that
// list them say so.
//
// An account sees, in each region, what its principals did there and what others did to its
// resources; events of global services are in us-east-1. Nothing that kagimori adds to a record is
// shown.
//
// Source: CloudTrail API Reference; CloudTrail User Guide, "Working with CloudTrail event history".
package cloudtrail

import (
	"context"
	"regexp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// Config of a [Service].
type Config struct {
	Guard *guard.Guard
	Trail *trail.Trail
	// Sources are the logs that events are looked up in, one of each node; nil is Trail alone.
	Sources func(context.Context) ([]Source, error)
	// Tokens seals the tokens that continue a look-up.
	Tokens directory.Box
}

// A Service answers for all accounts and regions. Safe for concurrent use.
type Service struct {
	g       *guard.Guard
	sources func(context.Context) ([]Source, error)
	tokens  directory.Box
}

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.Sources == nil {
		cfg.Sources = func(context.Context) ([]Source, error) { return []Source{{Each: cfg.Trail.Each}}, nil }
	}
	return &Service{g: cfg.Guard, sources: cfg.Sources, tokens: cfg.Tokens}
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"LookupEvents":   guard.Handle(s.LookupEvents),
		"DescribeTrails": guard.Handle(s.DescribeTrails),
		"GetTrailStatus": guard.Handle(s.GetTrailStatus),
		"ListTrails":     guard.Handle(s.ListTrails),
	}
}

// allow decides the action of the call.
func (s *Service) allow(ctx context.Context, c *guard.Call, resource string) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.g.Allow(tx, c, authz.Part{
			Action: "cloudtrail:" + c.Operation, Resource: authz.Resource{ARN: resource, Account: c.Account()},
		})
		return err
	})
}

// DescribeTrails lists no trails.
func (s *Service) DescribeTrails(ctx context.Context, c *guard.Call, in *cloudtrailapi.DescribeTrailsRequest) (*cloudtrailapi.DescribeTrailsResponse, error) {
	for _, name := range in.TrailNameList {
		if _, err := trailNamed(c, name); err != nil {
			return nil, err
		}
	}
	if err := s.allow(ctx, c, "*"); err != nil {
		return nil, err
	}
	return &cloudtrailapi.DescribeTrailsResponse{TrailList: []cloudtrailapi.Trail{}}, nil
}

// ListTrails lists no trails. No token of a list without pages is valid.
func (s *Service) ListTrails(ctx context.Context, c *guard.Call, in *cloudtrailapi.ListTrailsRequest) (*cloudtrailapi.ListTrailsResponse, error) {
	if err := s.allow(ctx, c, "*"); err != nil {
		return nil, err
	}
	if api.Val(in.NextToken) != "" {
		return nil, invalidToken()
	}
	return &cloudtrailapi.ListTrailsResponse{Trails: []cloudtrailapi.TrailInfo{}}, nil
}

var (
	trailARN  = regexp.MustCompile(`^arn:aws:cloudtrail:[a-z0-9-]+:\d{12}:trail/(.+)$`)
	trailName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,126}[A-Za-z0-9]$`)
)

// GetTrailStatus fails with TrailNotFoundException: there are no trails.
func (s *Service) GetTrailStatus(ctx context.Context, c *guard.Call, in *cloudtrailapi.GetTrailStatusRequest) (*cloudtrailapi.GetTrailStatusResponse, error) {
	resource, err := trailNamed(c, api.Val(in.Name))
	if err != nil {
		return nil, err
	}
	if err := s.allow(ctx, c, resource); err != nil {
		return nil, err
	}
	return nil, apierr.Newf("TrailNotFoundException", "Unknown trail: %s for the user: %s", resource, c.Account())
}

// trailNamed is the ARN of a trail that is named by it, or by its name.
func trailNamed(c *guard.Call, name string) (string, error) {
	resource := name
	if len(name) < 4 || name[:4] != "arn:" {
		resource = arn.Make("cloudtrail", c.Region, c.Account(), "trail/"+name)
	}
	m := trailARN.FindStringSubmatch(resource)
	switch {
	case m == nil:
		return "", apierr.Newf("CloudTrailARNInvalidException", "The ARN is not valid: %.256s", name)
	case !trailName.MatchString(m[1]):
		return "", apierr.Newf("InvalidTrailNameException", "The trail name is not valid: %.128s. "+
			"It must have 3 to 128 letters, digits, dots, dashes and underscores, and begin and end with a letter or a digit.", m[1])
	}
	return resource, nil
}
