// Package accessanalyzer is the part of IAM Access Analyzer that judges documents: ValidatePolicy over
// the checks of package lint, and the custom policy checks, which ask the engine about requests that
// stand for all that a document's statements can match. There are no analyzers.
//
// Source: IAM Access Analyzer API Reference; IAM User Guide, "Validate policies with IAM Access
// Analyzer custom policy checks".
package accessanalyzer

import (
	"context"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// A Service answers for all accounts and regions. Safe for concurrent use.
type Service struct{ g *guard.Guard }

// New makes a Service.
func New(g *guard.Guard) *Service { return &Service{g} }

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"ValidatePolicy":        guard.Handle(s.ValidatePolicy),
		"CheckAccessNotGranted": guard.Handle(s.CheckAccessNotGranted),
		"CheckNoNewAccess":      guard.Handle(s.CheckNoNewAccess),
		"CheckNoPublicAccess":   guard.Handle(s.CheckNoPublicAccess),
	}
}

// allow decides the action of the call, which has no resource.
func (s *Service) allow(ctx context.Context, c *guard.Call) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.g.Allow(tx, c, authz.Part{
			Action: "access-analyzer:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()},
		})
		return err
	})
}

// invalid is a ValidationException about one member.
func invalid(member, message string) *apierr.Error {
	return apierr.Validation("%s", message).With("reason", "fieldValidationFailed").
		With("fieldList", []map[string]string{{"name": member, "message": message}})
}

// parse reads a document that is to be checked. One that AWS would not store is refused.
func parse(member, text string, kind policy.Kind) (*policy.Document, error) {
	doc, err := policy.Parse([]byte(text), kind)
	if err != nil {
		return nil, apierr.Newf("InvalidParameterException", "The %s is not a valid policy: %v", member, err)
	}
	return doc, nil
}
