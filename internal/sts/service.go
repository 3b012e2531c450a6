package sts

import (
	"context"
	"log/slog"
	"time"

	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts/webidentity"
)

// Config of a [Service].
type Config struct {
	Guard *guard.Guard
	// Wall is the wall clock: sessions end by it, whatever the service time is.
	Wall func() time.Time
	// Messages opens the details of EC2's denials; the guard seals them with the same.
	Messages Messages
	// MFA takes a code of an MFA device of a user or root user, and tells whether it knows the device and whether the code
	// is good; nil knows no device.
	MFA func(ctx context.Context, who authz.Principal, serial, code string) (known, ok bool, err error)
	// Issuer finds an account's OpenID Connect provider by its URL without the scheme; nil knows none.
	Issuer func(tx store.Tx, account, issuer string) (Issuer, bool, error)
	// SAML finds a SAML provider by its ARN; nil knows none.
	SAML func(tx store.Tx, providerARN string) (SAMLProvider, bool, error)
	// Outbound lets accounts' principals get web tokens; without an Issuer none may.
	Outbound Outbound
	// RootAccess tells whether an organization's managing account enabled central root access: for
	// credentials, or for other tasks; nil is never.
	RootAccess func(tx store.Tx, management string, credentials bool) (bool, error)
	// Tokens verifies their tokens; nil if there is no Issuer.
	Tokens *webidentity.Verifier
	Logger *slog.Logger
}

// A Service is STS for all accounts and regions. Safe for concurrent use.
type Service struct {
	g          *guard.Guard
	dir        *directory.Directory
	wall       func() time.Time
	messages   Messages
	mfa        func(ctx context.Context, who authz.Principal, serial, code string) (known, ok bool, err error)
	issuer     func(tx store.Tx, account, issuer string) (Issuer, bool, error)
	saml       func(tx store.Tx, providerARN string) (SAMLProvider, bool, error)
	rootAccess func(tx store.Tx, management string, credentials bool) (bool, error)
	tokens     *webidentity.Verifier
	outbound   webIssuer
	log        *slog.Logger
}

// New makes a Service.
func New(cfg Config) *Service {
	return &Service{
		g: cfg.Guard, dir: cfg.Guard.Directory(), wall: cfg.Wall, messages: cfg.Messages, mfa: cfg.MFA, issuer: cfg.Issuer, tokens: cfg.Tokens, rootAccess: cfg.RootAccess,
		saml: cfg.SAML, outbound: webIssuer{Outbound: cfg.Outbound}, log: cfg.Logger,
	}
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"GetCallerIdentity":          guard.Handle(s.GetCallerIdentity),
		"AssumeRole":                 guard.Handle(s.AssumeRole),
		"AssumeRoleWithWebIdentity":  guard.Handle(s.AssumeRoleWithWebIdentity),
		"AssumeRoleWithSAML":         guard.Handle(s.AssumeRoleWithSAML),
		"AssumeRoot":                 guard.Handle(s.AssumeRoot),
		"GetWebIdentityToken":        guard.Handle(s.GetWebIdentityToken),
		"GetDelegatedAccessToken":    guard.Handle(s.GetDelegatedAccessToken),
		"GetAccessKeyInfo":           guard.Handle(s.GetAccessKeyInfo),
		"DecodeAuthorizationMessage": guard.Handle(s.DecodeAuthorizationMessage),
		"GetSessionToken":            guard.Handle(s.GetSessionToken),
		"GetFederationToken":         guard.Handle(s.GetFederationToken),
	}
}

// GetCallerIdentity says who calls. It needs no permission and no policy can deny it, so nothing
// is decided; like every call it is recorded. Source: STS API Reference, GetCallerIdentity.
func (s *Service) GetCallerIdentity(_ context.Context, c *guard.Call, _ *stsapi.GetCallerIdentityRequest) (*stsapi.GetCallerIdentityResponse, error) {
	me := c.Caller.Principal
	return &stsapi.GetCallerIdentityResponse{UserId: &me.UserID, Account: &me.Account, Arn: &me.ARN}, nil
}
