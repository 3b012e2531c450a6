package sts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts/webidentity"
)

// An Issuer is an OpenID Connect provider of an account.
type Issuer struct {
	ARN     string
	Clients []string // the audiences that it may issue tokens for
}

// leeway is by how much the clocks of issuers may be ahead.
const leeway = 5 * time.Minute

// invalidToken is the error of a token that proves nothing.
func invalidToken(format string, args ...any) error {
	return apierr.Newf("InvalidIdentityToken", format, args...)
}

// AssumeRoleWithWebIdentity gives temporary credentials of a role to whom a token of an OpenID Connect
// provider of the role's account stands for. Nobody signs the request: the token proves who asks.
// Source: STS API Reference, AssumeRoleWithWebIdentity.
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, c *guard.Call, in *stsapi.AssumeRoleWithWebIdentityRequest) (*stsapi.AssumeRoleWithWebIdentityResponse, error) {
	account, _, err := roleName(api.Val(in.RoleArn))
	if err != nil {
		return nil, err
	}
	if in.ProviderId != nil {
		return nil, apierr.New("ValidationError", "kagimori takes OpenID Connect tokens only, which come without a ProviderId.")
	}
	token, err := webidentity.Parse(in.WebIdentityToken.Reveal())
	switch {
	case errors.Is(err, webidentity.ErrClaim):
		return nil, invalidToken("Missing a required claim: iss, sub, aud, exp and iat are needed.")
	case err != nil:
		return nil, invalidToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	issuer, err := s.proveToken(ctx, c, account, token)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(token.Issuer, "https://")
	c.Caller.Federated = &guard.Federated{
		Type: "WebIdentityUser", PrincipalID: issuer.ARN + ":" + token.Client() + ":" + token.Subject(), UserName: token.Subject(), Provider: issuer.ARN,
	}
	c.Touch(api.Val(in.RoleArn), account, "AWS::IAM::Role")
	tags, transitive := token.Tags()
	as := &stsapi.AssumeRoleRequest{
		RoleArn: in.RoleArn, RoleSessionName: in.RoleSessionName, DurationSeconds: in.DurationSeconds, Policy: in.Policy, PolicyArns: in.PolicyArns,
		SourceIdentity: api.Opt(token.SourceIdentity()),
	}
	got, err := s.federate(ctx, c, as, federation{
		action: "sts:AssumeRoleWithWebIdentity", provider: issuer.ARN, claims: s.claims(name, token), tags: tags, transitive: transitive,
	})
	if err != nil {
		return nil, err
	}
	out := &stsapi.AssumeRoleWithWebIdentityResponse{
		Credentials: got.credentials, AssumedRoleUser: got.user, PackedPolicySize: got.packed, SourceIdentity: as.SourceIdentity,
		SubjectFromWebIdentityToken: new(token.Subject()), Provider: &issuer.ARN, Audience: api.Opt(token.Client()),
	}
	if out.Audience == nil {
		out.Audience = &token.Audiences()[0]
	}
	c.Respond(out)
	return out, nil
}

// proveToken wants the account to know the issuer, the issuer to have made the token, for an audience
// that the account takes, and the token to be good now.
func (s *Service) proveToken(ctx context.Context, c *guard.Call, account string, token *webidentity.Token) (Issuer, error) {
	name, https := strings.CutPrefix(token.Issuer, "https://")
	var issuer Issuer
	known := false
	if https && s.issuer != nil {
		err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
			issuer, known, err = s.issuer(tx, account, strings.TrimSuffix(name, "/"))
			return err
		})
		if err != nil {
			return issuer, err
		}
	}
	if !known {
		return issuer, invalidToken("No OpenIDConnect provider found in your account for %s", token.Issuer)
	}
	switch err := s.tokens.Verify(ctx, token); {
	case errors.Is(err, webidentity.ErrUnreachable):
		return issuer, apierr.New("IDPCommunicationError", "The identity provider could not be reached to verify the web identity token.").Because(err)
	case errors.Is(err, webidentity.ErrKeys):
		return issuer, invalidToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	case err != nil:
		return issuer, invalidToken("The signature of the web identity token could not be verified with the keys of the identity provider.")
	}
	now := s.wall()
	if !now.Before(token.Expires()) {
		return issuer, apierr.Newf("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), token.Expires().Unix())
	}
	if now.Add(leeway).Before(token.NotBefore()) {
		return issuer, invalidToken("Token is not valid yet: current date/time %d must be after %d", now.Unix(), token.NotBefore().Unix())
	}
	audiences := token.Audiences()
	if client := token.Client(); client != "" {
		audiences = []string{client}
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(issuer.Clients, a) }) {
		return issuer, invalidToken("Incorrect token audience")
	}
	return issuer, nil
}

// claims are the condition keys that a token gives: sub, aud and amr of every provider, and of some
// providers the claims that AWS lists. Sources: IAM User Guide, "IAM and AWS STS condition context
// keys", "Available keys for AWS OIDC federation"; Service Authorization Reference, AWS Security
// Token Service.
func (s *Service) claims(issuer string, t *webidentity.Token) authz.Context {
	var out authz.Context
	prefix := strings.ToLower(strings.TrimSuffix(issuer, "/")) + ":"
	out.Set(prefix+"sub", t.Subject())
	if client := t.Client(); client != "" {
		out.Set(prefix+"aud", client)
	} else {
		out.SetList(prefix+"aud", t.Audiences())
	}
	if amr := t.List("amr"); len(amr) > 0 {
		out.SetList(prefix+"amr", amr)
	}
	if prefix == google+":" {
		out.Set(prefix+"oaud", t.Audiences()[0])
	}
	action, _ := actions.Load().Action("sts:AssumeRoleWithWebIdentity")
	for _, template := range action.Keys {
		at := strings.LastIndexByte(template, ':')
		claim := template[at+1:]
		if claim == "sub" || claim == "aud" || claim == "amr" || !actions.Fits(template, prefix+claim) {
			continue
		}
		if v := t.Text(claim); v != "" {
			out.Set(prefix+claim, v)
		}
	}
	return out
}

// google has a key of its own for the claim aud of its tokens. Source: as claims.
const google = "accounts.google.com"
