package sts

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// userDuration is how long a session of a user lasts if the request does not say; one of the root
// user never lasts longer than rootDuration. Source: STS API Reference, GetSessionToken and
// GetFederationToken.
const (
	userDuration = 12 * time.Hour
	rootDuration = time.Hour
)

// userGrant is a session for the user or root user that calls with long-term credentials.
func (s *Service) userGrant(c *guard.Call, seconds *int32) (directory.SessionGrant, error) {
	p := &c.Caller.Principal
	if p.Type != authz.User && p.Type != authz.Root || c.Caller.Session != nil {
		return directory.SessionGrant{}, denied("Cannot call " + c.Operation + " with session credentials")
	}
	last := userDuration
	if seconds != nil {
		last = time.Duration(*seconds) * time.Second
	}
	g := directory.SessionGrant{Account: p.Account, IssuedAt: s.wall().UTC().Truncate(time.Second)}
	if p.Type == authz.Root {
		last = min(last, rootDuration)
	} else {
		g.User, g.UserID = p.Username, p.UniqueID
	}
	g.ExpiresAt = g.IssuedAt.Add(last)
	return g, nil
}

func credentials(creds directory.Credentials) *stsapi.Credentials {
	return &stsapi.Credentials{
		AccessKeyId: &creds.AccessKeyID, SecretAccessKey: &creds.Secret, SessionToken: new(creds.Token.Reveal()), Expiration: &creds.Expires,
	}
}

// GetSessionToken gives temporary credentials of the calling user. No permission is needed, but a
// policy can deny it. Source: STS API Reference, GetSessionToken.
func (s *Service) GetSessionToken(ctx context.Context, c *guard.Call, in *stsapi.GetSessionTokenRequest) (*stsapi.GetSessionTokenResponse, error) {
	g, err := s.userGrant(c, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	if g.MFA, err = s.proved(ctx, c, in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	if err := s.allow(ctx, c); err != nil {
		return nil, err
	}
	g.Kind = directory.OfUser
	creds, err := s.dir.Issue(g)
	if err != nil {
		return nil, err
	}
	out := &stsapi.GetSessionTokenResponse{Credentials: credentials(creds)}
	c.Respond(out)
	return out, nil
}

// GetFederationToken gives temporary credentials of somebody whom the calling user vouches for: what
// the user may do, as far as the session policies allow it. Source: STS API Reference,
// GetFederationToken; IAM User Guide, "Permissions for GetFederationToken".
func (s *Service) GetFederationToken(ctx context.Context, c *guard.Call, in *stsapi.GetFederationTokenRequest) (*stsapi.GetFederationTokenResponse, error) {
	g, err := s.userGrant(c, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	w := &wish{}
	as := &stsapi.AssumeRoleRequest{Policy: in.Policy, PolicyArns: in.PolicyArns, Tags: in.Tags}
	if err := w.setTags(c, as); err != nil {
		return nil, err
	}
	if err := w.setPolicies(as); err != nil {
		return nil, err
	}
	w.setTagContext()
	name := api.Val(in.Name)
	who := arn.Make("sts", "", g.Account, "federated-user/"+name)
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		part := authz.Part{Action: "sts:GetFederationToken", Resource: authz.Resource{ARN: who, Account: g.Account}, Context: w.context}
		parts := []authz.Part{part}
		if len(w.tags) > 0 {
			part.Action = "sts:TagSession"
			parts = append(parts, part)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		return s.checkPolicies(tx, &role{Role: directory.Role{Account: g.Account}}, w)
	})
	if err != nil {
		return nil, err
	}
	g.Kind, g.Name, g.Tags = directory.OfFederated, name, w.tags
	g.Policies, g.PolicyARNs, g.HasPolicies = w.policies, w.policyARNs, w.hasPolicies()
	creds, err := s.dir.Issue(g)
	if err != nil {
		return nil, err
	}
	out := &stsapi.GetFederationTokenResponse{
		Credentials: credentials(creds), FederatedUser: &stsapi.FederatedUser{Arn: &who, FederatedUserId: new(g.Account + ":" + name)},
	}
	if w.packed > 0 {
		out.PackedPolicySize = &w.packed
	}
	c.Respond(out)
	return out, nil
}

// Limited lets a handler serve only what the caller's credentials are good for. Temporary
// credentials of users may not call IAM, unless they were got with an MFA code and are the user's own, and of STS only GetCallerIdentity and, for the user itself,
// AssumeRole; what a service does for the caller is not limited. Source: IAM User Guide, "Compare
// AWS STS credentials".
func Limited(c *guard.Call, h guard.Handler) guard.Handler {
	if s := c.Caller.Session; s == nil || s.Kind == directory.OfRole || s.Kind == directory.OfRoot || c.Caller.Forwarded() || good(c, s.Kind) {
		return h
	}
	return func(context.Context, *guard.Call, any) (any, error) {
		return nil, apierr.New("InvalidClientTokenId", "The security token included in the request is invalid").WithStatus(403)
	}
}

func good(c *guard.Call, kind directory.SessionKind) bool {
	if c.Service != "sts" {
		return c.Service != "iam" || kind == directory.OfUser && c.Caller.Session.MFA
	}
	switch c.Operation {
	case "GetCallerIdentity", "GetSessionToken", "GetFederationToken": // the last two say themselves why not
		return true
	case "AssumeRole":
		return kind == directory.OfUser
	}
	return false
}
