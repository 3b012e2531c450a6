// Package desk is the part of the kagimori service that judges what its caller brings along: key
// policies that are being edited, and launches that are planned. Its answers depend on the request
// alone, so each operation asks for its own action and nothing else, and stores nothing.
package desk

import (
	"context"
	"errors"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
	"github.com/kagimori/kagimori/internal/store"
)

// A Service answers for all accounts and regions. Safe for concurrent use.
type Service struct{ g *guard.Guard }

// New makes a Service.
func New(g *guard.Guard) *Service { return &Service{g} }

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"ViewKeyPolicy":      guard.Handle(s.ViewKeyPolicy),
		"EditKeyPolicy":      guard.Handle(s.EditKeyPolicy),
		"CompareKeyPolicies": guard.Handle(s.CompareKeyPolicies),
		"CheckLaunch":        guard.Handle(s.CheckLaunch),
	}
}

// allow decides the action of the call, which has no resource.
func (s *Service) allow(ctx context.Context, c *guard.Call) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.g.Allow(tx, c, authz.Part{
			Action: "kagimori:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()},
		})
		return err
	})
}

// parse reads a key policy that is looked at or edited.
func parse(text *string) (*keyview.Policy, error) {
	p, err := keyview.Parse([]byte(api.Val(text)))
	return p, malformed(err)
}

// malformed is the error of a document that is no policy, with the place where it is wrong.
func malformed(err error) error {
	if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
		return apierr.New("MalformedPolicyDocumentException", e.Reason).With("Line", e.Line).With("Column", e.Column)
	}
	return err
}

// verdicts by what the doctor says.
var verdicts = map[doctor.Verdict]string{doctor.Launches: "LAUNCHES", doctor.Fails: "FAILS", doctor.CannotTell: "CANNOT_TELL"}
